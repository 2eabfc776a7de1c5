//! How late did states become visible? A state modified before an earlier read ended, and not in it, was late by at
//! least the time from its modification to that read.
use super::Rows;
use crate::time::Timestamp;
use arrow::{
    array::{Array, AsArray},
    datatypes::TimestampMicrosecondType,
};

/// Powers of two seconds that are told apart: up to half a year.
const STEPS: usize = 25;

/// What was asked for before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Everything modified up to here.
    pub through: Timestamp,
    /// When.
    pub asked_at: Timestamp,
}

/// Lateness of rows that changed though they were due before, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Late {
    /// Rows.
    pub rows: u64,
    /// The longest.
    pub max_secs: u64,
    /// Rows by the number of bits of their seconds.
    steps: [u64; STEPS],
}

impl Late {
    /// Of these rows of a commit.
    pub(super) fn of(rows: &Rows, changed: &[usize], due: Option<Due>) -> Self {
        let mut late = Self::default();
        let updated = rows.main.column_by_name("source_updated_at");
        let updated = updated.and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
        let (Some(due), Some(updated)) = (due, updated) else { return late };
        for row in changed.iter().filter(|row| updated.is_valid(**row)) {
            let at = Timestamp(updated.value(*row));
            if at <= due.through {
                late.add(due.asked_at.since(at).as_secs());
            }
        }
        late
    }
    fn add(&mut self, secs: u64) {
        self.rows += 1;
        self.max_secs = self.max_secs.max(secs);
        let step = usize::try_from(u64::BITS - secs.leading_zeros()).unwrap_or(STEPS).min(STEPS - 1);
        if let Some(count) = self.steps.get_mut(step) {
            *count += 1;
        }
    }
    /// Adds the rows of another commit.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.max_secs = self.max_secs.max(other.max_secs);
        self.steps.iter_mut().zip(other.steps).for_each(|(to, from)| *to += from);
    }
    /// Of 99 rows in a hundred none was later; rounded up to a power of two, and never above the longest.
    pub fn p99_secs(&self) -> u64 {
        let mut left = self.rows - self.rows / 100;
        for (step, count) in self.steps.iter().enumerate() {
            left = left.saturating_sub(*count);
            if left == 0 {
                return (1_u64 << step).saturating_sub(1).min(self.max_secs);
            }
        }
        self.max_secs
    }
}

#[cfg(test)]
mod tests {
    use super::Late;

    #[test]
    fn the_99th_percentile_ignores_one_row_in_a_hundred_and_is_never_above_the_longest() {
        let mut late = Late::default();
        (0..99).for_each(|_| late.add(5));
        assert_eq!((late.max_secs, late.p99_secs()), (5, 5));
        late.add(100_000);
        assert_eq!((late.rows, late.max_secs, late.p99_secs()), (100, 100_000, 7));
        let mut both = Late::default();
        both.add(3);
        both.merge(&late);
        late.add(3);
        assert_eq!(both, late);
        late.add(200_000);
        late.add(u64::MAX);
        assert_eq!((late.max_secs, late.p99_secs() > 100), (u64::MAX, true));
    }
}

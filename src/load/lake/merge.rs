//! Folds sorted inputs into one sorted output; per id the newest input decides. Memory is bounded by the number of
//! inputs, not by their size.
use super::rows::{BATCH, Batches, Stretches};
use crate::{
    entity::Entity,
    error::Result,
    load::fold::{self, REMOVE},
};
use arrow::{
    array::{Array, RecordBatch, StringArray},
    compute::interleave_record_batch,
};
use std::{cmp::Ordering, collections::BTreeSet};

/// One side of a merge, sorted by id, each id once.
pub(super) enum Input<'a> {
    /// Current rows.
    Rows(Batches),
    /// The next so many rows of a history file: one month.
    Section(&'a mut Stretches, usize),
    /// Ids whose rows went to another month.
    Left(std::collections::btree_set::Iter<'a, String>),
}

impl<'a> Input<'a> {
    pub(super) fn left(ids: &'a BTreeSet<String>) -> Self {
        Self::Left(ids.iter())
    }
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        match self {
            Self::Left(_) => Ok(None),
            Self::Rows(batches) => batches.next().transpose(),
            Self::Section(stretches, left) => stretches.next(left),
        }
    }
}

struct Cursor<'a> {
    input: Input<'a>,
    /// Position of the batch in the pool.
    batch: usize,
    row: usize,
    at: At,
}

/// What a cursor stands at.
enum At {
    Row(StringArray),
    Left(String),
    End,
}

/// Batches that output rows may still point to.
struct Pool {
    entity_columns: Vec<usize>,
    batches: Vec<RecordBatch>,
    picks: Vec<(usize, usize)>,
}

/// `inputs`: oldest first. Rows whose newest state is a removal are left out. Output has `Entity::schema`.
pub(super) fn merge(
    entity: &Entity,
    inputs: Vec<Input<'_>>,
    mut out: impl FnMut(&RecordBatch) -> Result<()>,
) -> Result<()> {
    let width = entity.schema().fields().len();
    let mut pool = Pool { entity_columns: (0..width).collect(), batches: Vec::new(), picks: Vec::new() };
    let mut cursors = Vec::new();
    for input in inputs {
        let mut cursor = Cursor { input, batch: 0, row: 0, at: At::End };
        cursor.refill(&mut pool)?;
        cursors.push(cursor);
    }
    let mut same = Vec::new();
    loop {
        least(&cursors, &mut same);
        let Some(newest) = same.last().and_then(|i| cursors.get(*i)) else { break };
        if matches!(newest.at, At::Row(_)) {
            pool.pick(newest.batch, newest.row);
        }
        for i in &same {
            if let Some(cursor) = cursors.get_mut(*i) {
                cursor.advance(&mut pool)?;
            }
        }
        if pool.picks.len() >= BATCH || pool.batches.len() > cursors.len().saturating_mul(2).saturating_add(8)
        {
            pool.flush(&mut cursors, &mut out)?;
        }
    }
    pool.flush(&mut cursors, &mut out)
}

/// The cursors that stand at the least id, oldest first.
fn least(cursors: &[Cursor<'_>], same: &mut Vec<usize>) {
    same.clear();
    let mut best = None;
    for (i, id) in cursors.iter().enumerate().filter_map(|(i, c)| Some((i, c.id()?))) {
        match best.map_or(Ordering::Less, |best| id.cmp(best)) {
            Ordering::Greater => continue,
            Ordering::Equal => {}
            Ordering::Less => same.clear(),
        }
        best = Some(id);
        same.push(i);
    }
}

impl Cursor<'_> {
    fn id(&self) -> Option<&str> {
        match &self.at {
            At::Row(ids) => Some(ids.value(self.row)),
            At::Left(id) => Some(id),
            At::End => None,
        }
    }
    fn advance(&mut self, pool: &mut Pool) -> Result<()> {
        self.row += 1;
        match &self.at {
            At::Row(ids) if self.row < ids.len() => Ok(()),
            _ => self.refill(pool),
        }
    }
    fn refill(&mut self, pool: &mut Pool) -> Result<()> {
        self.row = 0;
        self.at = match &mut self.input {
            Input::Left(ids) => ids.next().map_or(At::End, |id| At::Left(id.clone())),
            input => loop {
                let Some(batch) = input.next()? else { break At::End };
                if batch.num_rows() > 0 {
                    let ids = fold::column::<StringArray>(&batch, "id")?.clone();
                    self.batch = pool.batches.len();
                    pool.batches.push(batch);
                    break At::Row(ids);
                }
            },
        };
        Ok(())
    }
}

impl Pool {
    fn pick(&mut self, batch: usize, row: usize) {
        let op = self.batches.get(batch).and_then(|b| b.column_by_name("op"));
        let op = op.and_then(|c| c.as_any().downcast_ref::<StringArray>());
        if op.is_none_or(|op| op.value(row) != REMOVE) {
            self.picks.push((batch, row));
        }
    }
    /// Writes what was picked and lets go of batches that no cursor stands in.
    fn flush(
        &mut self,
        cursors: &mut [Cursor<'_>],
        out: &mut impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        if !self.picks.is_empty() {
            let own: Result<Vec<RecordBatch>> = self
                .batches
                .iter()
                .map(|batch| batch.project(&self.entity_columns).map_err(fold::arrow))
                .collect();
            let own = own?;
            let all: Vec<&RecordBatch> = own.iter().collect();
            out(&interleave_record_batch(&all, &self.picks).map_err(fold::arrow)?)?;
            self.picks.clear();
        }
        let mut kept = Vec::new();
        for cursor in cursors.iter_mut().filter(|c| matches!(c.at, At::Row(_))) {
            if let Some(batch) = self.batches.get(cursor.batch) {
                kept.push(batch.clone());
                cursor.batch = kept.len() - 1;
            }
        }
        self.batches = kept;
        Ok(())
    }
}

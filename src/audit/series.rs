//! Which numbers does a series of documents lack? `INV-0007` is prefix `INV-` and number 7; numbers of one prefix are
//! given without holes, so a hole is a document that never arrived.
//!
//! Absent on purpose: a judgement on long jumps. A merchant may set the next number by hand, so a hole of more than
//! `HOLE_MAX` numbers is a new beginning, not so many lost documents.
use serde::Serialize;
use std::collections::BTreeMap;

/// A longer hole is a jump.
const HOLE_MAX: u64 = 1_000;
/// A prefix with fewer documents is no series: every one of them may be a name somebody chose.
const SERIES_MIN: usize = 3;
/// Digits of a number that is still counted.
const DIGITS_MAX: usize = 18;

/// Numbers that a series lacks, one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Table whose documents are numbered.
    pub table: String,
    /// What is before the number.
    pub prefix: String,
    /// First missing, as it would be written.
    pub from: String,
    /// Last missing, as it would be written.
    pub to: String,
    /// How many.
    pub missing: u64,
    /// Number of the document before the hole.
    pub after: String,
    /// Number of the document behind the hole.
    pub before: String,
}

/// The numbers of one table's documents, in 8 bytes each.
#[derive(Debug, Default)]
pub struct Numbers(BTreeMap<(String, usize), Vec<u64>>);

impl Numbers {
    /// Takes in one document's number, deleted documents too; what does not end in digits belongs to no series.
    /// A number padded with zeros is in one series with those of its width; others count by their prefix alone.
    pub fn add(&mut self, text: &str) {
        let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count();
        let (prefix, number) = text.split_at(text.len().saturating_sub(digits));
        if digits == 0 || digits > DIGITS_MAX {
            return;
        }
        let Ok(value) = number.parse() else { return };
        let width = if number.starts_with('0') && digits > 1 { digits } else { 0 };
        self.0.entry((prefix.to_owned(), width)).or_default().push(value);
    }
    /// The holes, by prefix and number.
    pub fn gaps(mut self, table: &str) -> Vec<Gap> {
        self.join();
        let mut gaps = Vec::new();
        for ((prefix, width), mut values) in self.0 {
            values.sort_unstable();
            values.dedup();
            if values.len() < SERIES_MIN {
                continue;
            }
            let written = |n: u64| format!("{prefix}{n:0width$}");
            for pair in values.windows(2) {
                let [before, next] = pair else { continue };
                let missing = next - before - 1;
                if missing == 0 || missing > HOLE_MAX {
                    continue;
                }
                gaps.push(Gap {
                    table: table.to_owned(),
                    prefix: prefix.clone(),
                    from: written(before + 1),
                    to: written(next - 1),
                    missing,
                    after: written(*before),
                    before: written(*next),
                });
            }
        }
        gaps
    }
    /// `INV-099` is followed by `INV-100`: a padded series goes on in the unpadded one of its prefix.
    fn join(&mut self) {
        let padded: Vec<(String, usize)> = self.0.keys().filter(|(_, width)| *width > 0).cloned().collect();
        for key in padded {
            let limit = 10_u64.saturating_pow(u32::try_from(key.1 - 1).unwrap_or(u32::MAX));
            let plain = (key.0.clone(), 0);
            let Some(values) = self.0.get_mut(&plain) else { continue };
            let (own, others): (Vec<u64>, Vec<u64>) = values.iter().partition(|v| **v >= limit);
            *values = others;
            self.0.entry(key).or_default().extend(own);
        }
    }
}

//! Old bodies go; there is nothing to merge.
use super::{Compacted, Retained, Stored, count};
use crate::{load::RawRecord, time::Timestamp};
use std::collections::HashMap;

impl Stored {
    /// Bodies read before `before` of which a later one of the same record is stored.
    pub(super) fn retain(&mut self, before: Timestamp) -> Retained {
        let mut newest: HashMap<(String, String), i64> = HashMap::new();
        for (stream, record) in self.raw.iter().filter(|(_, r)| !r.deleted) {
            let newest = newest.entry((stream.clone(), record.key.clone())).or_default();
            *newest = record.commit_no.max(*newest);
        }
        let goes = |stream: &String, record: &RawRecord| {
            let newest = newest.get(&(stream.clone(), record.key.clone()));
            record.read_at < before && newest.is_some_and(|newest| *newest > record.commit_no)
        };
        let gone: Vec<(String, RawRecord)> =
            self.raw.extract_if(.., |(stream, record)| goes(stream, record)).collect();
        for (stream, _) in &gone {
            let from = self.upkeep.bodies_from.entry(stream.clone()).or_insert(before);
            *from = before.max(*from);
        }
        self.upkeep.retained_before = Some(before);
        Retained { removed: count(gone.len()), waiting: 0 }
    }
    pub(super) fn compact(&mut self, before: Option<Timestamp>) -> Compacted {
        let bodies_removed = before.map_or(0, |before| self.retain(before).removed);
        Compacted { bodies_removed, layers: Vec::new() }
    }
}

//! What housekeeping did to what is stored, and what it still has to do.
//!
//! Housekeeping changes no row and no answer, except that bodies of superseded states go when they are old enough.
use crate::time::Timestamp;
use std::{collections::BTreeMap, time::Duration};

/// A sync lets old bodies go at most this often.
const RETAIN_EVERY: Duration = Duration::from_secs(86_400);
/// With more files than this that a compaction would save, one is due.
const SPARE_FILES_DUE: u64 = 500;

/// What housekeeping has before it, and how far it went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Files that a compaction would save; 0 in a database.
    pub spare_files: u64,
    /// Bodies of superseded states that were read before this were let go of last.
    pub retained_before: Option<Timestamp>,
    /// By stream: every body that was read at or after this is there. A stream that is absent lost none.
    pub bodies_from: BTreeMap<String, Timestamp>,
}

impl Upkeep {
    /// Whether enough time passed to let bodies that were read before `before` go.
    pub fn retention_due(&self, before: Timestamp) -> bool {
        self.retained_before.is_none_or(|last| before.since(last) >= RETAIN_EVERY)
    }
    /// Whether a compaction is worth its while.
    pub fn compaction_due(&self) -> bool {
        self.spare_files > SPARE_FILES_DUE
    }
}

/// What a retention did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Bodies removed.
    pub removed: u64,
    /// Bodies that are old enough and stay until the next compaction, because too much would be written for them.
    pub waiting: u64,
}

/// What a compaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Compacted {
    /// Bodies of superseded states that were removed.
    pub bodies_removed: u64,
    /// Sizes per layer, before and after.
    pub layers: Vec<LayerSize>,
}

/// Sizes of one layer before and after.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct LayerSize {
    /// `history`, `raw`, `rejects`, `issues`; of a database also `billing`.
    pub layer: String,
    /// Files; of a database: tables.
    pub files_before: u64,
    /// The same.
    pub files_after: u64,
    /// Their bytes; tables and their indexes, of all tenants, in a database.
    pub bytes_before: u64,
    /// The same.
    pub bytes_after: u64,
}

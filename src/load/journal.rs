//! What operators did to checkpoints, and what was there before: kept by the destination in the same act.
//!
//! Absent on purpose: what a sync does. Its commits only move checkpoints forward, with the rows.
use crate::{checkpoint::Checkpoint, time::Timestamp};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Entries kept per connection; older ones are let go of.
pub const JOURNAL_MAX: usize = 200;

/// What an operator did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Forgot how far streams are read.
    Reset,
    /// Put exported checkpoints in place.
    Import,
    /// Moved a watermark.
    Set,
    /// Put back what was before an earlier change.
    Undo,
}

impl Verb {
    /// As stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Import => "import",
            Self::Set => "set",
            Self::Undo => "undo",
        }
    }
    /// The way back of `name`.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Reset, Self::Import, Self::Set, Self::Undo].into_iter().find(|verb| verb.name() == name)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An operator's act: all of it happens, and is in the journal, or nothing does.
#[derive(Clone, Debug)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// What.
    pub verb: Verb,
    /// The entry that an undo puts back.
    pub undoes: Option<i64>,
    /// What rows were made with until now, when the change leaves no checkpoint.
    pub made_with: Option<String>,
    /// The new checkpoint of each stream; None: it is forgotten.
    pub to: BTreeMap<String, Option<Checkpoint>>,
}

/// A change as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// From 1; grows per connection, never used twice.
    pub no: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub verb: Verb,
    /// The entry that an undo put back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<i64>,
    /// What rows were made with until then, when the change left no checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_with: Option<String>,
    /// Per stream.
    pub streams: BTreeMap<String, Moved>,
}

/// One stream's checkpoint around a change; None: there was none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Until then.
    pub before: Option<Checkpoint>,
    /// From then on.
    pub after: Option<Checkpoint>,
}

impl Change {
    /// The entry of this change on what is stored.
    pub(super) fn entry(&self, no: i64, stored: &BTreeMap<String, Checkpoint>) -> Entry {
        let moved = |(stream, to): (&String, &Option<Checkpoint>)| {
            (stream.clone(), Moved { before: stored.get(stream).cloned(), after: to.clone() })
        };
        Entry {
            no,
            at: self.at,
            verb: self.verb,
            undoes: self.undoes,
            made_with: self.made_with.clone(),
            streams: self.to.iter().map(moved).collect(),
        }
    }
    /// Replaces the checkpoints and appends the entry, whose number it answers.
    pub(super) fn apply(self, journal: &mut Vec<Entry>, stored: &mut BTreeMap<String, Checkpoint>) -> i64 {
        let no = journal.last().map_or(0, |entry| entry.no).saturating_add(1);
        journal.push(self.entry(no, stored));
        journal.drain(..journal.len().saturating_sub(JOURNAL_MAX));
        for (stream, to) in self.to {
            match to {
                Some(to) => stored.insert(stream, to),
                None => stored.remove(&stream),
            };
        }
        no
    }
}

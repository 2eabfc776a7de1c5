//! The one document whose replacement is the atomic act, and the fence around it.
use super::{
    files::Files,
    layout::{Layout, Month},
};
use crate::{
    checkpoint::Checkpoint,
    error::{Error, Kind, Result},
    load::{Commit, Erasure},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

/// The stored form this release writes; older ones still load. 2: a file may hold the rows of several commits.
const FORMAT: u32 = 2;
const NAME: &str = "state.json";

/// Everything a reader or the next writer must know of one connection.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) format: u32,
    pub(super) commit_no: i64,
    pub(super) epoch: i64,
    pub(super) checkpoints: BTreeMap<String, Checkpoint>,
    pub(super) streams: BTreeMap<String, StreamFiles>,
    pub(super) tables: BTreeMap<String, Table>,
    pub(super) rejects: Vec<RejectFile>,
    pub(super) issues: Vec<KeptFile>,
    /// Told erasures, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) erasures: Vec<Erasure>,
    /// Entities whose current files are being exchanged right now.
    pub(super) publishing: BTreeSet<String>,
    /// `Upkeep::retained_before`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) retained_before: Option<Timestamp>,
    /// File of what operators did to checkpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) journal: Option<String>,
}

/// What a stream feeds and which bodies it stored.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct StreamFiles {
    pub(super) main: String,
    /// Child entities, each with the column that names the parent.
    pub(super) children: BTreeMap<String, String>,
    pub(super) raw: Vec<KeptFile>,
    /// Files of keys that its unfinished sweep saw.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) seen: Vec<String>,
    /// `Upkeep::bodies_from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bodies_from: Option<Timestamp>,
}

/// The rows of one commit in an immutable file. A merged file holds those of several, one after the other; the state
/// names all rows of a file or none, for whoever reads history reads whole files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct KeptFile {
    pub(super) name: String,
    pub(super) commit_no: i64,
    pub(super) rows: u64,
    /// Of the file; 0 where it began with another commit.
    pub(super) bytes: u64,
    /// Where the rows begin in the file.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) start: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl KeptFile {
    /// Its rows in the file.
    pub(super) fn range(&self) -> Range<usize> {
        let place = |row: u64| usize::try_from(row).unwrap_or(usize::MAX);
        place(self.start)..place(self.start.saturating_add(self.rows))
    }
}

/// Quarantined records of one commit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RejectFile {
    pub(super) file: KeptFile,
    /// Ordinals of redriven records.
    pub(super) resolved: BTreeSet<u64>,
}

/// One unified table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Table {
    /// Oldest first; one entry a commit.
    pub(super) history: Vec<HistoryFile>,
    /// Published current files.
    pub(super) months: BTreeSet<Month>,
    /// Rebuilt: the next publish replaces the current files by what the history says.
    #[serde(default)]
    pub(super) fresh: bool,
}

/// Unified changes of one commit, sorted by month, then id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct HistoryFile {
    pub(super) file: KeptFile,
    pub(super) stream: String,
    /// Rows per month, in file order.
    pub(super) sections: Vec<(Month, usize)>,
    /// Ids that left a month for another.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) left: BTreeMap<Month, BTreeSet<String>>,
    pub(super) published: bool,
}

impl State {
    /// The columns of a table that may name a row's parent.
    pub(super) fn parent_columns(&self, table: &str) -> BTreeSet<String> {
        self.streams.values().filter_map(|s| s.children.get(table).cloned()).collect()
    }
}

impl StreamFiles {
    /// Notes which tables the commit's rows belong to.
    pub(super) fn learn(&mut self, commit: &Commit) {
        let Some(rows) = &commit.rows else { return };
        self.main.clone_from(&rows.entity.name);
        for parent in
            rows.children.iter().filter_map(|(child, _)| Some((&child.name, child.parent.as_ref()?)))
        {
            self.children.insert(parent.0.clone(), parent.1.column.clone());
        }
    }
    /// Main and child entities.
    pub(super) fn feeds(&self) -> impl Iterator<Item = &String> {
        self.children.keys().chain([&self.main])
    }
}

impl Table {
    /// Whether the current files lack something.
    pub(super) fn waits(&self) -> bool {
        self.fresh || self.unpublished().next().is_some()
    }
    /// Positions in `history` of what the current files lack.
    pub(super) fn unpublished(&self) -> impl Iterator<Item = (usize, &HistoryFile)> {
        self.history.iter().enumerate().filter(|(_, f)| !f.published)
    }
}

/// What is stored, without a lock; None when the connection was never opened.
pub(super) fn load(files: &Files, layout: &Layout) -> Result<Option<(State, Vec<u8>)>> {
    let path = layout.state(NAME);
    let Some(bytes) = files.read(&path)? else { return Ok(None) };
    let state: State = serde_json::from_slice(&bytes).map_err(|e| {
        Error::new(Kind::Destination, "the lake's state document cannot be read")
            .with("path", path.display())
            .hint("restore the file from a backup; nothing was changed")
            .because(e)
    })?;
    if state.format > FORMAT {
        return Err(Error::new(Kind::Invalid, "this lake was written by a newer release")
            .with("path", path.display())
            .with("format", state.format)
            .with("known", FORMAT)
            .hint("install a newer tidegate"));
    }
    Ok(Some((state, bytes)))
}

/// The document as this writer left it: compare-and-set against it.
#[derive(Debug)]
pub(super) struct Held {
    files: Files,
    layout: Layout,
    pub(super) state: State,
    bytes: Vec<u8>,
}

impl Held {
    /// What is stored now, or an empty document.
    pub(super) fn take(files: Files, layout: Layout) -> Result<Self> {
        let (state, bytes) = load(&files, &layout)?.unwrap_or_default();
        Ok(Self { files, layout, state, bytes })
    }
    /// Fails `Stale` when the stored document is not the one we know.
    pub(super) fn check(&self) -> Result<()> {
        if self.files.read(&self.layout.state(NAME))?.unwrap_or_default() == self.bytes {
            return Ok(());
        }
        Err(Error::new(Kind::Stale, "another writer took this connection over; nothing was written")
            .with("epoch", self.state.epoch)
            .with("path", self.layout.state(NAME).display()))
    }
    /// The atomic act. Bytes written. After an error here the next `check` tells whether it took hold.
    pub(super) fn replace(&mut self, mut next: State) -> Result<u64> {
        self.check()?;
        next.format = FORMAT;
        let bytes = serde_json::to_vec(&next)
            .map_err(|e| Error::new(Kind::Bug, "the state document cannot be written").because(e))?;
        self.files.replace(&self.layout.state(NAME), &bytes)?;
        self.state = next;
        self.bytes = bytes;
        Ok(u64::try_from(self.bytes.len()).unwrap_or(u64::MAX))
    }
}

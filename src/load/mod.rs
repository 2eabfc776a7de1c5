//! Destinations: what makes rows, history, raw bodies, rejects and the checkpoint durable in one act.
//!
//! There is no other way to move a watermark. A destination knows entities and checkpoints; it knows nothing of
//! providers, HTTP or mappings.
pub mod erase;
mod fold;
mod issue;
mod journal;
pub mod lake;
mod late;
pub mod memory;
pub mod postgres;
mod upkeep;

pub use crate::normalize::Rows;
use crate::{
    checkpoint::Checkpoint,
    decode::{Issue, Reject},
    entity::Entity,
    error::Result,
    id::Owner,
    time::Timestamp,
};
use arrow::array::RecordBatch;
use bytes::Bytes;
pub use erase::{Cleared, Erased, Erasure};
pub use issue::{IssueKey, StoredIssue};
pub use journal::{Change, Entry, JOURNAL_MAX, Moved, Verb};
pub use late::{Due, Late};
use std::{
    collections::{BTreeMap, HashSet},
    future::Future,
    sync::Arc,
};
pub use upkeep::{Compacted, LayerSize, Retained, Upkeep};

/// What an opened connection knows of itself.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    /// Fencing token; grows with every open. A writer of an older epoch changes nothing.
    pub epoch: i64,
    /// Number of the last commit; 0 before the first.
    pub commit_no: i64,
    /// Per stream.
    pub checkpoints: BTreeMap<String, Checkpoint>,
}

/// What a scan says of stored rows. Keys as `key_hash`.
#[derive(Clone, Debug)]
pub enum Scanned {
    /// The provider has these and no others: whatever else is stored is gone.
    There(Arc<HashSet<u128>>),
    /// These are gone, and nothing is said of others: how a rebuild says again what a scan found once.
    Gone(Arc<HashSet<u128>>),
}

/// Proof of deletes: a scan was complete.
#[derive(Clone, Debug)]
pub struct CompleteScan {
    /// What it found.
    pub found: Scanned,
    /// When the scan's first request was sent: becomes `deleted_at` and `observed_at` of what is missing.
    pub asked_at: Timestamp,
    /// Above this share of living rows (0.0 to 1.0) and above `GUARD_ROWS` rows nothing is deleted: `Guard`.
    pub delete_share_max: f64,
}

impl CompleteScan {
    /// Whether a stored row of this key is gone.
    fn misses(&self, key: u128) -> bool {
        match &self.found {
            Scanned::There(keys) => !keys.contains(&key),
            Scanned::Gone(keys) => keys.contains(&key),
        }
    }
}

/// A scan that would delete no more rows than this is never stopped by the share guard.
pub const GUARD_ROWS: u64 = 10;

/// 128-bit hash of a row's id, for `CompleteScan`.
pub fn key_hash(id: &str) -> u128 {
    twox_hash::XxHash3_128::oneshot(id.as_bytes())
}

/// Row hash of a row that a complete scan found missing. An involution, computable in SQL (`#`).
pub const TOMBSTONE_XOR: i64 = 0x5EED_DEAD_0000_0001;

/// One atomic act.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Stream it belongs to.
    pub stream: String,
    /// What the stream's records became; None when there were none.
    pub rows: Option<Rows>,
    /// Records refused.
    pub rejects: Vec<Reject>,
    /// Values that became NULL.
    pub issues: Vec<Issue>,
    /// Set by the last commit of a complete scan; applied after `rows`.
    pub scan: Option<CompleteScan>,
    /// Stored with the rows; must be allowed to follow the stored one.
    pub checkpoint: Checkpoint,
    /// False: bodies are not kept (`raw: drop`).
    pub keep_raw: bool,
    /// Set while rebuilding: the number under which these records were first committed.
    pub as_of: Option<i64>,
    /// Quarantined records that this commit redrives, by `StoredReject::id`: marked resolved in the same act.
    pub resolves: Vec<String>,
    /// Keys that the stream's unfinished sweep saw since its last commit, as `key_hash`. Kept until a commit of the
    /// stream whose checkpoint does not go on with that sweep.
    pub seen: Vec<u128>,
    /// What an earlier read asked for already: changed rows that were due then are counted as late.
    pub due: Option<Due>,
    /// Persons whose data the provider says it cleared: noted as still to be erased, unless known already.
    pub cleared: Vec<Cleared>,
}

impl Commit {
    /// Whether the sweep of the stored checkpoint goes on in this one's: what it saw stays. Else that is let go of.
    fn goes_on_sweeping(&self, stored: Option<&Checkpoint>) -> bool {
        let before = stored.and_then(Checkpoint::sweep).map(|s| s.started);
        before.is_some() && before == self.checkpoint.sweep().map(|s| s.started)
    }
}

/// What a commit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Its number.
    pub commit_no: i64,
    /// Main rows new or changed.
    pub changed: u64,
    /// Main rows whose stored state was equal or newer.
    pub unchanged: u64,
    /// Main rows found deleted by a complete scan.
    pub deleted: u64,
    /// Child rows written or removed.
    pub child_changes: u64,
    /// Bytes written to files, or sent to the server.
    pub bytes: u64,
    /// Changed main rows that were due before.
    pub late: Late,
}

/// Is shown rows, batch by batch.
pub type See<'a> = &'a mut (dyn FnMut(RecordBatch) -> Result<()> + Send);

/// Which copy of an entity to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// `Entity::schema`.
    Current,
    /// `Entity::history_schema`.
    History,
}

/// A stored body, newest last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// The record's key.
    pub key: String,
    /// Provider's version, else 0.
    pub version: i64,
    /// When the request that first returned it was sent.
    pub read_at: Timestamp,
    /// Found missing by a complete scan; the body is empty then.
    pub deleted: bool,
    /// As received, less what was cut out of it since.
    pub body: Bytes,
    /// Low half of the xxh3-128 of the body as it was received, when something was cut out of it.
    pub received: Option<u64>,
    /// Commit that stored it.
    pub commit_no: i64,
}

/// The destination boundary: every durable effect goes through `open`, `commit`, `publish`.
///
/// Order of states of one row (architecture law 4): `(version, observed_at, row_hash)`, greater wins. An incoming
/// main row is *changed* when it is greater than the stored one and its `row_hash` differs; then its history row, its
/// raw body and its child sets are written, else nothing of it is. The `row_hash` of a main row covers its body, so
/// equal hash means equal children. A child row is written when no stored row of that id has its `row_hash`, and
/// removed (history `op = remove`) when its parent's new set lacks it. A child's `row_hash` covers its own columns,
/// `deleted_at`, and its parent's month, not its version.
pub trait Destination: Send {
    /// Takes the connection's lock, raises its epoch, finishes what a dead writer left, prepares the tables.
    /// Fails `Locked` while another live process holds it.
    fn open(
        &mut self,
        owner: &Owner,
        entities: &[Arc<Entity>],
    ) -> impl Future<Output = Result<Opened>> + Send;
    /// Makes everything in `commit` durable in one act, or nothing. Fails `Stale` when another writer took over.
    fn commit(&mut self, commit: Commit) -> impl Future<Output = Result<Committed>> + Send;
    /// Makes commits of a stream visible to readers that do not go through us. Safe to repeat. Bytes written.
    fn publish(&mut self, stream: &str) -> impl Future<Output = Result<u64>> + Send;
    /// Gives the lock back.
    fn close(&mut self) -> impl Future<Output = Result<()>> + Send;

    /// What is stored of the connection, without taking its lock; None when it was never opened.
    fn peek(&mut self, owner: &Owner) -> impl Future<Output = Result<Option<Opened>>> + Send;
    /// Rows of one layer of one entity, of the opened connection only. Sees every commit, published or not.
    fn read(
        &mut self,
        entity: &Entity,
        layer: Layer,
    ) -> impl Future<Output = Result<Vec<RecordBatch>>> + Send;
    /// Shows every current row of an entity of the opened connection, in batches and in no order. Memory does not grow
    /// with the table. Fails with what `see` fails.
    fn each(&mut self, entity: &Entity, see: See<'_>) -> impl Future<Output = Result<()>> + Send;
    /// Keys that the stream's unfinished sweep saw so far, of the opened connection.
    fn seen(&mut self, stream: &str) -> impl Future<Output = Result<Vec<u128>>> + Send;
    /// The stream's stored bodies of the first commit after `after` that stored any; None at the end.
    fn raw_after(
        &mut self,
        stream: &str,
        after: i64,
    ) -> impl Future<Output = Result<Option<(i64, Vec<RawRecord>)>>> + Send;
    /// Quarantined records of a connection that were not redriven, oldest first; no lock needed.
    fn rejects(&mut self, owner: &Owner) -> impl Future<Output = Result<Vec<StoredReject>>> + Send;
    /// What is known to be wrong, resolved issues too, oldest first; no lock needed.
    fn issues(&mut self, owner: &Owner) -> impl Future<Output = Result<Vec<StoredIssue>>> + Send;
    /// Keeps what a proof found, of an opened connection, one of each key: an open issue of the same key is brought up
    /// to date and keeps `first_seen`, so one with `resolved_at` resolves it; any other open one is added.
    fn settle_issues(&mut self, issues: Vec<StoredIssue>) -> impl Future<Output = Result<()>> + Send;
    /// Operator's act on an opened connection: replaces (or removes) checkpoints, backwards too, and keeps in the journal
    /// what was there before, in one act. The entry's number.
    fn change_state(&mut self, change: Change) -> impl Future<Output = Result<i64>> + Send;
    /// What operators did to checkpoints, oldest first, at most `JOURNAL_MAX` entries; no lock needed.
    fn journal(&mut self, owner: &Owner) -> impl Future<Output = Result<Vec<Entry>>> + Send;
    /// Told erasures of a connection, oldest first, done or not; no lock needed.
    fn erasures(&mut self, owner: &Owner) -> impl Future<Output = Result<Vec<Erasure>>> + Send;
    /// Takes what is personal out of everything of the opened connection that was read before it was told to: rows of
    /// both layers, bodies, quarantine and issues, and notes the erasures as done. Number, order, version,
    /// `observed_at` of rows stay; so does the `row_hash` of main rows. Repeating one that died part-way finishes it.
    fn erase(&mut self, order: &erase::Order) -> impl Future<Output = Result<Erased>> + Send;
    /// Keeps one run's JSON summary, of an opened connection.
    fn record_run(&mut self, summary: &serde_json::Value) -> impl Future<Output = Result<()>> + Send;
    /// The last `limit` summaries, newest first; no lock needed.
    fn runs(
        &mut self,
        owner: &Owner,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<serde_json::Value>>> + Send;

    /// Commits of `stream` from now on go aside, into empty tables, until `rebuild_end`; checkpoints, raw bodies and
    /// rejects are left alone meanwhile. History rows take `Commit::as_of` as their number, which does not shrink.
    /// History rows whose record has no stored body of their commit cannot be made again: they are taken over as they
    /// are, each before what is committed aside under a later number.
    fn rebuild_begin(&mut self, stream: &str) -> impl Future<Output = Result<()>> + Send;
    /// Compares what was built aside with what is there, per entity; `apply` swaps it in, else it is dropped.
    fn rebuild_end(&mut self, apply: bool) -> impl Future<Output = Result<Vec<Diff>>> + Send;

    /// Removes bodies of superseded states that were read before `before`, of the opened connection: those of which a
    /// later body of the same record is stored. May leave some to the next compaction, to bound what is written.
    fn retain(&mut self, before: Timestamp) -> impl Future<Output = Result<Retained>> + Send;
    /// Publishes what waits and brings many small files into few, of the opened connection; with `before`, removes all
    /// bodies that `retain` may remove. What can be read stays the same. A second time it changes nothing.
    fn compact(&mut self, before: Option<Timestamp>) -> impl Future<Output = Result<Compacted>> + Send;
    /// What housekeeping has before it; no lock needed.
    fn upkeep(&mut self, owner: &Owner) -> impl Future<Output = Result<Upkeep>> + Send;
}

/// A quarantined record and where it is kept.
#[derive(Clone, Debug)]
pub struct StoredReject {
    /// Stable: `<commit_no>-<ordinal>`.
    pub id: String,
    /// Commit that stored it.
    pub commit_no: i64,
    /// What and why.
    pub reject: Reject,
}

/// What a rebuild would change in one entity's current rows, compared by id and own columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Diff {
    /// Unified table.
    pub entity: String,
    /// Rows only in the rebuilt table.
    pub added: u64,
    /// Rows only in the old table.
    pub removed: u64,
    /// Rows that differ.
    pub changed: u64,
    /// Equal rows.
    pub same: u64,
}

//! The Postgres destination: one transaction per commit, one row per key in `billing`, every change in `history`.
//!
//! An opened connection is one session: its advisory lock, its transactions and its rebuild tables live and die
//! together, so a dead process leaves nothing to clean up. Text of statements that depend on an entity is made in
//! `generated`. Absent on purpose: staging tables (stored states are looked up first and only what changed is sent),
//! a pool, and any knowledge of providers or mappings.
mod commit;
mod copy;
mod copy_out;
mod decode;
mod erase;
mod fault;
mod generated;
mod issues;
mod journal;
mod prepare;
mod quarantine;
mod query;
mod rebuild;
mod rows;
mod scan;
mod seen;
mod session;
mod state;
mod upkeep;
mod views;

use crate::{
    entity::{Entity, Parent},
    error::{Error, Kind, Result},
    id::Owner,
    load::{
        Change, Commit, Committed, Compacted, Destination, Diff, Entry, Erased, Erasure, Layer, Opened,
        RawRecord, Retained, See, StoredIssue, StoredReject, Upkeep, erase::Order,
    },
    time::Timestamp,
};
use arrow::array::RecordBatch;
use sqlx::{PgConnection, postgres::PgConnectOptions};
use std::{collections::BTreeMap, sync::Arc};

/// A Postgres database as destination. Holds at most one session.
pub struct Postgres {
    options: PgConnectOptions,
    /// Host, port and database, for messages.
    place: String,
    /// None: not connected, or the connection was lost.
    conn: Option<PgConnection>,
    open: Option<Open>,
}

/// An opened connection, as this process believes it to be.
struct Open {
    owner: Owner,
    epoch: i64,
    commit_no: i64,
    /// False while the outcome of a transaction is not known: the number must be read back.
    sure: bool,
    entities: BTreeMap<String, Arc<Entity>>,
    /// Stream -> main entity, child entities.
    feeds: BTreeMap<String, Feeds>,
    rebuild: Option<rebuild::Rebuild>,
}

/// Which unified tables a stream feeds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Feeds {
    main: String,
    /// `entity.parent_column`: two streams may feed one child table, each by a column of its own.
    children: Vec<String>,
}

impl Open {
    fn entity(&self, name: &str) -> Result<&Arc<Entity>> {
        self.entities.get(name).ok_or_else(|| {
            Error::new(Kind::Bug, "an entity was not named when the connection was opened")
                .with("entity", name)
        })
    }
    /// A child entity as this stream feeds it.
    fn child(&self, feeds: &Feeds, child: &str) -> Result<Arc<Entity>> {
        let (name, column) = child.split_once('.').unwrap_or((child, ""));
        let mut entity = self.entity(name)?.as_ref().clone();
        entity.parent = Some(Parent { entity: feeds.main.clone(), column: column.to_owned() });
        Ok(Arc::new(entity))
    }
}

fn not_open() -> Error {
    Error::new(Kind::Bug, "the connection was not opened")
}

impl Destination for Postgres {
    async fn open(&mut self, owner: &Owner, entities: &[Arc<Entity>]) -> Result<Opened> {
        self.open_owner(owner, entities).await
    }
    async fn commit(&mut self, commit: Commit) -> Result<Committed> {
        self.commit_all(&commit).await
    }
    /// Readers of Postgres see a commit at once: there is nothing left to do.
    async fn publish(&mut self, _stream: &str) -> Result<u64> {
        Ok(0)
    }
    async fn close(&mut self) -> Result<()> {
        self.close_session().await
    }
    async fn peek(&mut self, owner: &Owner) -> Result<Option<Opened>> {
        self.peek_owner(owner).await
    }
    async fn read(&mut self, entity: &Entity, layer: Layer) -> Result<Vec<RecordBatch>> {
        self.read_layer(entity, layer).await
    }
    async fn each(&mut self, entity: &Entity, see: See<'_>) -> Result<()> {
        self.each_row(entity, see).await
    }
    async fn seen(&mut self, stream: &str) -> Result<Vec<u128>> {
        self.seen_keys(stream).await
    }
    async fn raw_after(&mut self, stream: &str, after: i64) -> Result<Option<(i64, Vec<RawRecord>)>> {
        self.raw_after_commit(stream, after).await
    }
    async fn rejects(&mut self, owner: &Owner) -> Result<Vec<StoredReject>> {
        self.open_rejects(owner).await
    }
    async fn issues(&mut self, owner: &Owner) -> Result<Vec<StoredIssue>> {
        self.all_issues(owner).await
    }
    async fn settle_issues(&mut self, issues: Vec<StoredIssue>) -> Result<()> {
        self.settle(&issues).await
    }
    async fn change_state(&mut self, change: Change) -> Result<i64> {
        self.change_checkpoints(change).await
    }
    async fn journal(&mut self, owner: &Owner) -> Result<Vec<Entry>> {
        self.entries(owner).await
    }
    async fn erasures(&mut self, owner: &Owner) -> Result<Vec<Erasure>> {
        self.told_erasures(owner).await
    }
    async fn erase(&mut self, order: &Order) -> Result<Erased> {
        self.erase_persons(order).await
    }
    async fn record_run(&mut self, summary: &serde_json::Value) -> Result<()> {
        self.keep_run(summary).await
    }
    async fn runs(&mut self, owner: &Owner, limit: usize) -> Result<Vec<serde_json::Value>> {
        self.last_runs(owner, limit).await
    }
    async fn rebuild_begin(&mut self, stream: &str) -> Result<()> {
        self.begin_rebuild(stream).await
    }
    async fn rebuild_end(&mut self, apply: bool) -> Result<Vec<Diff>> {
        self.end_rebuild(apply).await
    }
    async fn retain(&mut self, before: Timestamp) -> Result<Retained> {
        self.retain_bodies(before).await
    }
    async fn compact(&mut self, before: Option<Timestamp>) -> Result<Compacted> {
        self.compact_tables(before).await
    }
    async fn upkeep(&mut self, owner: &Owner) -> Result<Upkeep> {
        self.upkeep_of(owner).await
    }
}

//! The destination a pipeline names, whichever it is.
use crate::{
    checkpoint::Checkpoint,
    entity::Entity,
    error::Result,
    id::Owner,
    load::{
        Commit, Committed, Destination, Diff, Layer, Opened, RawRecord, StoredReject, lake::Lake, postgres::Postgres,
    },
};
use arrow::array::RecordBatch;
use std::sync::Arc;

/// Lake or Postgres.
pub enum Store {
    /// Parquet files.
    Lake(Lake),
    /// A database.
    Postgres(Box<Postgres>),
}

macro_rules! either {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match $self {
            Store::Lake(lake) => lake.$method($($argument),*).await,
            Store::Postgres(postgres) => postgres.$method($($argument),*).await,
        }
    };
}

impl Destination for Store {
    async fn open(&mut self, owner: &Owner, entities: &[Arc<Entity>]) -> Result<Opened> {
        either!(self.open(owner, entities))
    }
    async fn commit(&mut self, commit: Commit) -> Result<Committed> {
        either!(self.commit(commit))
    }
    async fn publish(&mut self, stream: &str) -> Result<u64> {
        either!(self.publish(stream))
    }
    async fn close(&mut self) -> Result<()> {
        either!(self.close())
    }
    async fn peek(&mut self, owner: &Owner) -> Result<Option<Opened>> {
        either!(self.peek(owner))
    }
    async fn read(&mut self, entity: &Entity, layer: Layer) -> Result<Vec<RecordBatch>> {
        either!(self.read(entity, layer))
    }
    async fn raw_after(&mut self, stream: &str, after: i64) -> Result<Option<(i64, Vec<RawRecord>)>> {
        either!(self.raw_after(stream, after))
    }
    async fn rejects(&mut self, owner: &Owner) -> Result<Vec<StoredReject>> {
        either!(self.rejects(owner))
    }
    async fn set_checkpoint(&mut self, stream: &str, to: Option<Checkpoint>) -> Result<()> {
        either!(self.set_checkpoint(stream, to))
    }
    async fn record_run(&mut self, summary: &serde_json::Value) -> Result<()> {
        either!(self.record_run(summary))
    }
    async fn runs(&mut self, owner: &Owner, limit: usize) -> Result<Vec<serde_json::Value>> {
        either!(self.runs(owner, limit))
    }
    async fn rebuild_begin(&mut self, stream: &str) -> Result<()> {
        either!(self.rebuild_begin(stream))
    }
    async fn rebuild_end(&mut self, apply: bool) -> Result<Vec<Diff>> {
        either!(self.rebuild_end(apply))
    }
}

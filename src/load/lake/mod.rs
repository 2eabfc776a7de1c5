//! A lake: Parquet files in a local directory, and one state document per connection that says which of them count.
//!
//! `ARCHITECTURE.md` section 6 has the layout. Absent on purpose: a clock, SQL, object stores.
mod carry;
mod compact;
mod connection;
mod erase;
mod files;
mod issues;
mod journal;
mod layout;
mod merge;
mod plan;
mod publish;
mod raw;
mod rebuild;
mod retain;
mod rows;
mod seen;
mod shelf;
mod stack;
mod state;

pub use files::{Effect, Files, Watch};
pub use publish::ReadGuard;

use super::{
    Change, Commit, Committed, Compacted, Destination, Diff, Entry, Erased, Erasure, Layer, Opened,
    RawRecord, Retained, See, StoredIssue, StoredReject, Upkeep, erase::Order,
};
use crate::{
    entity::Entity,
    error::{Error, Kind, Result},
    id::{ConnectionId, Owner, TenantId},
    time::Timestamp,
};
use arrow::{array::RecordBatch, datatypes::SchemaRef};
use connection::Connection;
use layout::Layout;
use state::State;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// A lake in one directory. Many connections of many tenants may share it, each with its own writer.
#[derive(Debug)]
pub struct Lake {
    root: PathBuf,
    files: Files,
    open: Option<Connection>,
}

impl Lake {
    /// The directory is made at the first `open`.
    pub fn new(root: PathBuf) -> Self {
        Self::with_files(root, Files::default())
    }
    /// The same, on a watched file system.
    pub fn with_files(root: PathBuf, files: Files) -> Self {
        Self { root, files, open: None }
    }
    fn layout(&self, owner: &Owner) -> Layout {
        Layout::new(&self.root, owner)
    }
    fn opened(&mut self) -> Result<&mut Connection> {
        self.open.as_mut().ok_or_else(|| Error::new(Kind::Bug, "the lake is not open"))
    }
    /// The lake's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// Every connection that was ever opened here, sorted.
    pub fn owners(&self) -> Result<Vec<Owner>> {
        let named = |path: &Path, key: &str| {
            let name = path.file_name()?.to_str()?;
            name.strip_prefix(key)?.strip_prefix('=').map(str::to_owned)
        };
        let mut found = Vec::new();
        for tenant_path in self.files.list(&self.root.join("_tidegate"))? {
            let Some(tenant) = named(&tenant_path, "tenant") else { continue };
            for path in self.files.list(&tenant_path)? {
                let Some(connection) = named(&path, "connection") else { continue };
                let (tenant, connection) = (TenantId::parse(&tenant)?, ConnectionId::parse(&connection)?);
                found.push(Owner { tenant, connection });
            }
        }
        Ok(found)
    }
    /// While it lives no current file is exchanged. Take it before `current_files` and keep it while reading.
    pub fn read_guard(&self, owner: &Owner) -> Result<ReadGuard> {
        publish::shared(&self.files, &publish::lock_path(&self.layout(owner)))
    }
    /// Published current files of one entity; empty when there are none. Fails `Destination` when the last publish
    /// was cut short: the next sync finishes it.
    pub fn current_files(&self, owner: &Owner, entity: &str) -> Result<Vec<PathBuf>> {
        let layout = self.layout(owner);
        let Some((state, _)) = state::load(&self.files, &layout)? else { return Ok(Vec::new()) };
        if state.publishing.contains(entity) {
            return Err(Error::new(Kind::Destination, "the last publish was cut short")
                .with("owner", owner)
                .with("entity", entity)
                .hint("run the sync again; it finishes the publish"));
        }
        let Some(table) = state.tables.get(entity) else { return Ok(Vec::new()) };
        Ok(table.months.iter().map(|month| layout.current(entity, *month)).collect())
    }
    /// Files of the connection's quality issues, of columns `issue_schema`.
    pub fn issue_files(&self, owner: &Owner) -> Result<Vec<PathBuf>> {
        let layout = self.layout(owner);
        let Some((state, _)) = state::load(&self.files, &layout)? else { return Ok(Vec::new()) };
        let files = state.issues.iter().filter(|file| file.start == 0);
        Ok(files.map(|file| layout.kept("issues", None).join(&file.name)).collect())
    }
    /// Columns of the quality issues.
    pub fn issue_schema() -> SchemaRef {
        issues::schema()
    }
    /// Committed history files of one entity, oldest first.
    pub fn history_files(&self, owner: &Owner, entity: &str) -> Result<Vec<PathBuf>> {
        let layout = self.layout(owner);
        let Some((state, _)) = state::load(&self.files, &layout)? else { return Ok(Vec::new()) };
        let Some(table) = state.tables.get(entity) else { return Ok(Vec::new()) };
        let files = table.history.iter().filter(|file| file.file.start == 0);
        Ok(files.map(|file| layout.history(entity, &file.file.name)).collect())
    }
    /// What `read` makes of the state, None when there is none. Without a lock a file may go while it is read: then the
    /// state is another by now, and is read again.
    fn steady<T>(&self, owner: &Owner, read: impl Fn(&Layout, &State) -> Result<T>) -> Result<Option<T>> {
        let layout = self.layout(owner);
        let Some((mut state, mut bytes)) = state::load(&self.files, &layout)? else { return Ok(None) };
        loop {
            let failed = match read(&layout, &state) {
                Ok(found) => return Ok(Some(found)),
                Err(failed) => failed,
            };
            match state::load(&self.files, &layout)? {
                Some((newer, now)) if now != bytes => (state, bytes) = (newer, now),
                _ => return Err(failed),
            }
        }
    }
}

impl Destination for Lake {
    async fn open(&mut self, owner: &Owner, entities: &[Arc<Entity>]) -> Result<Opened> {
        self.open = None;
        let connection = Connection::open(self.files.clone(), &self.root, owner, entities)?;
        let opened = connection.opened();
        self.open = Some(connection);
        Ok(opened)
    }
    async fn commit(&mut self, commit: Commit) -> Result<Committed> {
        let open = self.opened()?;
        if open.aside.as_ref().is_some_and(|aside| aside.stream == commit.stream) {
            return open.commit_aside(&commit);
        }
        open.commit(&commit)
    }
    async fn publish(&mut self, stream: &str) -> Result<u64> {
        self.opened()?.publish(stream)
    }
    async fn close(&mut self) -> Result<()> {
        self.open = None;
        Ok(())
    }
    async fn peek(&mut self, owner: &Owner) -> Result<Option<Opened>> {
        let stored = state::load(&self.files, &self.layout(owner))?;
        Ok(stored.map(|(state, _)| connection::opened(&state)))
    }
    async fn read(&mut self, entity: &Entity, layer: Layer) -> Result<Vec<RecordBatch>> {
        self.opened()?.read(entity, layer)
    }
    async fn each(&mut self, entity: &Entity, see: See<'_>) -> Result<()> {
        self.opened()?.each(entity, see)
    }
    async fn seen(&mut self, stream: &str) -> Result<Vec<u128>> {
        self.opened()?.seen_keys(stream)
    }
    async fn raw_after(&mut self, stream: &str, after: i64) -> Result<Option<(i64, Vec<RawRecord>)>> {
        self.opened()?.raw_after(stream, after)
    }
    async fn rejects(&mut self, owner: &Owner) -> Result<Vec<StoredReject>> {
        let found =
            self.steady(owner, |layout, state| connection::open_rejects(&self.files, layout, state))?;
        Ok(found.unwrap_or_default())
    }
    async fn issues(&mut self, owner: &Owner) -> Result<Vec<StoredIssue>> {
        let found = self.steady(owner, |layout, state| issues::read(&self.files, layout, state))?;
        Ok(found.unwrap_or_default())
    }
    async fn settle_issues(&mut self, issues: Vec<StoredIssue>) -> Result<()> {
        self.opened()?.settle(issues)
    }
    async fn change_state(&mut self, change: Change) -> Result<i64> {
        self.opened()?.change_state(change)
    }
    async fn journal(&mut self, owner: &Owner) -> Result<Vec<Entry>> {
        let found = self.steady(owner, |layout, state| journal::read(&self.files, layout, state))?;
        Ok(found.unwrap_or_default())
    }
    async fn erasures(&mut self, owner: &Owner) -> Result<Vec<Erasure>> {
        let stored = state::load(&self.files, &self.layout(owner))?;
        Ok(stored.map(|(state, _)| state.erasures).unwrap_or_default())
    }
    async fn erase(&mut self, order: &Order) -> Result<Erased> {
        self.opened()?.erase(order)
    }
    async fn record_run(&mut self, summary: &serde_json::Value) -> Result<()> {
        self.opened()?.record_run(summary)
    }
    async fn runs(&mut self, owner: &Owner, limit: usize) -> Result<Vec<serde_json::Value>> {
        let lines = connection::runs(&self.files, &self.layout(owner))?;
        let parsed = lines.iter().rev().take(limit).map(|line| serde_json::from_str(line));
        parsed.collect::<Result<_, _>>().map_err(|e| {
            Error::new(Kind::Destination, "the runs of a lake cannot be read").with("owner", owner).because(e)
        })
    }
    async fn rebuild_begin(&mut self, stream: &str) -> Result<()> {
        self.opened()?.rebuild_begin(stream)
    }
    async fn rebuild_end(&mut self, apply: bool) -> Result<Vec<Diff>> {
        self.opened()?.rebuild_end(apply)
    }
    async fn retain(&mut self, before: Timestamp) -> Result<Retained> {
        self.opened()?.retain(before)
    }
    async fn compact(&mut self, before: Option<Timestamp>) -> Result<Compacted> {
        self.opened()?.compact(before)
    }
    async fn upkeep(&mut self, owner: &Owner) -> Result<Upkeep> {
        let Some((state, _)) = state::load(&self.files, &self.layout(owner))? else {
            return Ok(Upkeep::default());
        };
        let bodies_from = state.streams.iter().filter_map(|(name, s)| Some((name.clone(), s.bodies_from?)));
        Ok(Upkeep {
            spare_files: compact::spare_files(&state),
            retained_before: state.retained_before,
            bodies_from: bodies_from.collect(),
        })
    }
}

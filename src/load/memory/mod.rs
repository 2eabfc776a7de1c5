//! A destination of plain maps, for simulations: small, obviously right, and able to outlive a dead writer.
//!
//! Absent on purpose: a lock. Whoever opens takes over, so that fencing alone is what is tested.
mod aside;
mod erasing;
mod quarantine;
mod upkeep;

use super::{
    Change, Commit, Committed, Compacted, Destination, Diff, Entry, Erased, Erasure, Late, Layer, Opened,
    RawRecord, Retained, Rows, See, StoredIssue, StoredReject, Upkeep, erase,
    fold::{self, Census, ChildChanges, Held, HeldRows, Keys, REMOVE, UPSERT},
    issue, key_hash,
};
use crate::{
    entity::Entity,
    error::{Error, Kind, Result},
    id::Owner,
    time::Timestamp,
};
use arrow::{array::RecordBatch, compute::concat_batches};
use aside::{Aside, commit_aside};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

/// Everything that survives a process.
#[derive(Clone, Debug, Default)]
pub struct Store(BTreeMap<Owner, Stored>);

#[derive(Clone, Debug, Default)]
struct Stored {
    opened: Opened,
    tables: BTreeMap<String, Table>,
    /// What each stream that ever wrote rows feeds.
    fed: BTreeMap<String, Fed>,
    raw: Vec<(String, RawRecord)>,
    rejects: Vec<StoredReject>,
    resolved: BTreeSet<String>,
    issues: Vec<StoredIssue>,
    /// By stream, what its unfinished sweep saw.
    seen: BTreeMap<String, Vec<u128>>,
    erasures: Vec<Erasure>,
    runs: Vec<serde_json::Value>,
    upkeep: Upkeep,
    journal: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Fed {
    main: Arc<Entity>,
    children: BTreeMap<String, Arc<Entity>>,
}

#[derive(Clone, Debug, Default)]
struct Table {
    /// By id.
    current: BTreeMap<String, Row>,
    /// One row each, of `Entity::history_schema`, oldest first.
    history: Vec<RecordBatch>,
}

#[derive(Clone, Debug)]
struct Row {
    held: Held<()>,
    /// One row of `Entity::schema`.
    batch: RecordBatch,
}

/// A writer on a shared store.
#[derive(Debug)]
pub struct Memory {
    store: Arc<Mutex<Store>>,
    mine: Option<Mine>,
}

#[derive(Debug)]
struct Mine {
    owner: Owner,
    epoch: i64,
    aside: Option<Aside>,
}

impl Memory {
    /// A writer that is not opened yet.
    pub fn new(store: Arc<Mutex<Store>>) -> Self {
        Self { store, mine: None }
    }
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
    fn mine(&self) -> Result<&Mine> {
        self.mine.as_ref().ok_or_else(|| Error::new(Kind::Bug, "the destination is not open"))
    }
    /// Runs `act` on what is stored, unless another writer took over.
    fn with<T>(&self, act: impl FnOnce(&Mine, &mut Stored) -> Result<T>) -> Result<T> {
        let mine = self.mine()?;
        let mut store = self.lock();
        let stored = store.0.entry(mine.owner.clone()).or_default();
        if stored.opened.epoch != mine.epoch {
            return Err(Error::new(
                Kind::Stale,
                "another writer took this connection over; nothing was written",
            )
            .with("owner", &mine.owner));
        }
        act(mine, stored)
    }
}

impl Table {
    fn held(&self) -> HeldRows<&String> {
        let mut all = HeldRows::default();
        for (id, row) in &self.current {
            let Held { rank, alive, parent, .. } = row.held;
            all.insert(key_hash(id), Held { rank, alive, parent, place: id });
        }
        all
    }
    /// The rows that come with this entity's parents, and those that come with other parents.
    fn split(self, entity: &Entity) -> (Self, Self) {
        let column = entity.parent.as_ref().map_or("id", |p| p.column.as_str());
        let ours = |row: &RecordBatch| row.column_by_name(column).is_some_and(|c| c.is_valid(0));
        let (mine, other) = self.current.into_iter().partition(|(_, row)| ours(&row.batch));
        let (mine_history, other_history) = self.history.into_iter().partition(ours);
        (Self { current: mine, history: mine_history }, Self { current: other, history: other_history })
    }
    fn write(&mut self, entity: &Entity, row: RecordBatch, op: &str, commit_no: i64) -> Result<()> {
        self.history.push(fold::as_history(&row, entity.history_schema(), op, commit_no)?);
        let (id, held) = {
            let keys = Keys::of(&row, entity)?;
            (keys.id(0).to_owned(), keys.held(0, ()))
        };
        if op == REMOVE {
            self.current.remove(&id);
        } else {
            self.current.insert(id, Row { held, batch: row });
        }
        Ok(())
    }
}

impl Stored {
    /// Nothing is changed when this fails `Guard`; what fails later is a bug.
    fn apply(&mut self, mine: &Mine, commit: &Commit, number: i64) -> Result<Committed> {
        let mut done = Committed { commit_no: number, ..Committed::default() };
        if let Some(rows) = &commit.rows {
            fold::prove(&mine.owner, rows)?;
        }
        let known = self.fed.get(&commit.stream).cloned();
        let main = commit.rows.as_ref().map(|rows| &rows.entity).or(known.as_ref().map(|fed| &fed.main));
        let Some(main) = main.cloned() else { return Ok(done) };
        let missing = self.missing(commit, &main)?;
        let mut fed = known.unwrap_or_else(|| Fed { main: Arc::clone(&main), children: BTreeMap::new() });
        if let Some(rows) = &commit.rows {
            fed.children
                .extend(rows.children.iter().map(|(child, _)| (child.name.clone(), Arc::clone(child))));
            self.upsert(rows, commit, &mut done)?;
        }
        if let Some(scan) = &commit.scan {
            let keep = commit.keep_raw.then_some(commit.stream.as_str());
            done.deleted = self.bury(&main, scan.asked_at, keep, number, |key, _| missing.contains(&key))?;
            for child in fed.children.values() {
                let owners = fold::owners(child, missing.iter().copied());
                done.child_changes +=
                    self.bury(child, scan.asked_at, None, number, |_, owner| owners.contains(&owner))?;
            }
        }
        self.fed.insert(commit.stream.clone(), fed);
        Ok(done)
    }
    fn missing(&self, commit: &Commit, main: &Entity) -> Result<fold::KeySet> {
        let Some(scan) = &commit.scan else { return Ok(fold::KeySet::default()) };
        let none = Table::default();
        let held = self.tables.get(&main.name).unwrap_or(&none).held();
        let keys = commit.rows.as_ref().map(|rows| Keys::of(&rows.main, main)).transpose()?;
        let mut census = Census::new(scan, keys.as_ref(), &held)?;
        for (key, row) in &held {
            census.count(*key, row);
        }
        census.missing()
    }
    fn upsert(&mut self, rows: &Rows, commit: &Commit, done: &mut Committed) -> Result<()> {
        let table = self.tables.entry(rows.entity.name.clone()).or_default();
        let keys = Keys::of(&rows.main, &rows.entity)?;
        let changed = fold::changed(&keys, &table.held());
        for row in &changed {
            table.write(&rows.entity, rows.main.slice(*row, 1), UPSERT, done.commit_no)?;
            if commit.keep_raw {
                let body = rows.bodies.get(*row).cloned().unwrap_or_default();
                self.raw.push((
                    commit.stream.clone(),
                    raw(&keys.held(*row, ()), keys.id(*row), body, done.commit_no),
                ));
            }
        }
        done.changed = count(changed.len());
        done.late = Late::of(rows, &changed, commit.due);
        done.unchanged = count(keys.len()) - done.changed;
        let changed: fold::KeySet = changed.into_iter().map(|row| keys.key(row)).collect();
        for (child, batch) in &rows.children {
            let table = self.tables.entry(child.name.clone()).or_default();
            let keys = Keys::of(batch, child)?;
            let held = table.held();
            let owners = fold::owners(child, changed.iter().copied());
            let ChildChanges { write, remove } = fold::child_changes(&keys, &owners, &held);
            let gone: BTreeSet<String> =
                remove.iter().filter_map(|k| held.get(k)).map(|h| h.place.clone()).collect();
            done.child_changes += count(write.len()) + count(gone.len());
            for row in gone.iter().filter_map(|id| table.current.get(id).cloned()).collect::<Vec<_>>() {
                table.write(child, row.batch, REMOVE, done.commit_no)?;
            }
            for row in write {
                table.write(child, batch.slice(row, 1), UPSERT, done.commit_no)?;
            }
        }
        Ok(())
    }
    /// Tombstones the living rows that `which` (own key, owner) names; how many. `keep`: stream for raw.
    fn bury(
        &mut self,
        entity: &Entity,
        asked_at: Timestamp,
        keep: Option<&str>,
        number: i64,
        which: impl Fn(u128, u128) -> bool,
    ) -> Result<u64> {
        let table = self.tables.entry(entity.name.clone()).or_default();
        let living =
            table.current.iter().filter(|(id, row)| row.held.alive && which(key_hash(id), row.held.parent));
        let living: Vec<(String, RecordBatch)> =
            living.map(|(id, row)| (id.clone(), row.batch.clone())).collect();
        for (id, row) in &living {
            let row = fold::buried(row, asked_at)?;
            let now = Keys::of(&row, entity)?.held(0, ());
            table.write(entity, row, UPSERT, number)?;
            if let Some(stream) = keep {
                let record = raw(&now, id, Bytes::new(), number);
                self.raw.push((stream.to_owned(), RawRecord { deleted: true, ..record }));
            }
        }
        Ok(count(living.len()))
    }
}

fn raw(held: &Held<()>, key: &str, body: Bytes, commit_no: i64) -> RawRecord {
    RawRecord {
        key: key.to_owned(),
        version: held.rank.version,
        read_at: Timestamp(held.rank.observed_at),
        deleted: false,
        body,
        received: None,
        commit_no,
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

impl Destination for Memory {
    async fn open(&mut self, owner: &Owner, _entities: &[Arc<Entity>]) -> Result<Opened> {
        let opened = {
            let mut store = self.lock();
            let stored = store.0.entry(owner.clone()).or_default();
            stored.opened.epoch += 1;
            stored.opened.clone()
        };
        self.mine = Some(Mine { owner: owner.clone(), epoch: opened.epoch, aside: None });
        Ok(opened)
    }
    async fn commit(&mut self, commit: Commit) -> Result<Committed> {
        if let Some(mut mine) =
            self.mine.take_if(|m| m.aside.as_ref().is_some_and(|a| a.stream == commit.stream))
        {
            let outcome = commit_aside(&mut mine, &self.store, commit);
            self.mine = Some(mine);
            return outcome;
        }
        self.with(|mine, stored| {
            commit.checkpoint.may_follow(stored.opened.checkpoints.get(&commit.stream))?;
            let number = stored.opened.commit_no + 1;
            let done = stored.apply(mine, &commit, number)?;
            stored.keep_rejects(&commit, number);
            let before = stored.opened.checkpoints.get(&commit.stream);
            if !commit.goes_on_sweeping(before) {
                stored.seen.remove(&commit.stream);
            }
            if commit.checkpoint.sweep().is_some() {
                stored.seen.entry(commit.stream.clone()).or_default().extend(&commit.seen);
            }
            erase::learn(&mut stored.erasures, &commit.stream, &commit.cleared);
            stored.opened.commit_no = number;
            stored.opened.checkpoints.insert(commit.stream.clone(), commit.checkpoint);
            Ok(done)
        })
    }
    async fn publish(&mut self, _stream: &str) -> Result<u64> {
        self.with(|_, _| Ok(0))
    }
    async fn close(&mut self) -> Result<()> {
        self.mine = None;
        Ok(())
    }
    async fn peek(&mut self, owner: &Owner) -> Result<Option<Opened>> {
        Ok(self.lock().0.get(owner).map(|stored| stored.opened.clone()))
    }
    async fn read(&mut self, entity: &Entity, layer: Layer) -> Result<Vec<RecordBatch>> {
        self.with(|_, stored| {
            let Some(table) = stored.tables.get(&entity.name) else { return Ok(Vec::new()) };
            let all = match layer {
                Layer::Current => {
                    concat_batches(&entity.schema(), table.current.values().map(|row| &row.batch))
                }
                Layer::History => concat_batches(&entity.history_schema(), &table.history),
            };
            Ok(vec![all.map_err(fold::arrow)?])
        })
    }
    async fn each(&mut self, entity: &Entity, see: See<'_>) -> Result<()> {
        self.read(entity, Layer::Current).await?.into_iter().try_for_each(see)
    }
    async fn seen(&mut self, stream: &str) -> Result<Vec<u128>> {
        self.with(|_, stored| Ok(stored.seen.get(stream).cloned().unwrap_or_default()))
    }
    async fn raw_after(&mut self, stream: &str, after: i64) -> Result<Option<(i64, Vec<RawRecord>)>> {
        self.with(|_, stored| {
            let of_stream: Vec<&RawRecord> =
                stored.raw.iter().filter(|(s, _)| s == stream).map(|(_, r)| r).collect();
            let Some(first) = of_stream.iter().map(|r| r.commit_no).filter(|no| *no > after).min() else {
                return Ok(None);
            };
            Ok(Some((first, of_stream.into_iter().filter(|r| r.commit_no == first).cloned().collect())))
        })
    }
    async fn rejects(&mut self, owner: &Owner) -> Result<Vec<StoredReject>> {
        let store = self.lock();
        let Some(stored) = store.0.get(owner) else { return Ok(Vec::new()) };
        Ok(stored.rejects.iter().filter(|r| !stored.resolved.contains(&r.id)).cloned().collect())
    }
    async fn issues(&mut self, owner: &Owner) -> Result<Vec<StoredIssue>> {
        Ok(self.lock().0.get(owner).map(|stored| stored.issues.clone()).unwrap_or_default())
    }
    async fn settle_issues(&mut self, issues: Vec<StoredIssue>) -> Result<()> {
        self.with(|_, stored| {
            issue::put(&mut stored.issues, issues);
            Ok(())
        })
    }
    async fn change_state(&mut self, change: Change) -> Result<i64> {
        self.with(|_, stored| Ok(change.apply(&mut stored.journal, &mut stored.opened.checkpoints)))
    }
    async fn journal(&mut self, owner: &Owner) -> Result<Vec<Entry>> {
        Ok(self.lock().0.get(owner).map(|stored| stored.journal.clone()).unwrap_or_default())
    }
    async fn erasures(&mut self, owner: &Owner) -> Result<Vec<Erasure>> {
        Ok(self.lock().0.get(owner).map(|stored| stored.erasures.clone()).unwrap_or_default())
    }
    async fn erase(&mut self, order: &erase::Order) -> Result<Erased> {
        self.with(|_, stored| stored.erase(order))
    }
    async fn record_run(&mut self, summary: &serde_json::Value) -> Result<()> {
        self.with(|_, stored| {
            stored.runs.push(summary.clone());
            Ok(())
        })
    }
    async fn runs(&mut self, owner: &Owner, limit: usize) -> Result<Vec<serde_json::Value>> {
        let store = self.lock();
        let Some(stored) = store.0.get(owner) else { return Ok(Vec::new()) };
        Ok(stored.runs.iter().rev().take(limit).cloned().collect())
    }
    async fn rebuild_begin(&mut self, stream: &str) -> Result<()> {
        self.with(|_, _| Ok(()))?;
        if let Some(mine) = &mut self.mine {
            mine.aside = Some(Aside::of(stream));
        }
        Ok(())
    }
    async fn rebuild_end(&mut self, apply: bool) -> Result<Vec<Diff>> {
        let aside = self.mine.as_mut().and_then(|mine| mine.aside.take());
        let aside = aside.ok_or_else(|| Error::new(Kind::Bug, "no rebuild was begun"))?;
        self.with(|_, stored| aside.end(stored, apply))
    }
    async fn retain(&mut self, before: Timestamp) -> Result<Retained> {
        self.with(|_, stored| Ok(stored.retain(before)))
    }
    async fn compact(&mut self, before: Option<Timestamp>) -> Result<Compacted> {
        self.with(|_, stored| Ok(stored.compact(before)))
    }
    async fn upkeep(&mut self, owner: &Owner) -> Result<Upkeep> {
        Ok(self.lock().0.get(owner).map(|stored| stored.upkeep.clone()).unwrap_or_default())
    }
}

//! Builds a stream's tables again, aside, compares, and swaps them in by one state replacement. What has no body any
//! more is taken over (`carry`).
use super::{
    connection::Connection,
    layout::aside_file,
    shelf::{Seen, Shelf},
    state::{HistoryFile, State, Table},
};
use crate::{
    entity::Entity,
    error::{Error, Kind, Result},
    load::{Commit, Committed, Diff, fold},
};
use arrow::{
    array::StringArray,
    row::{RowConverter, SortField},
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Tables that nobody sees yet. Their files are garbage unless swapped in.
#[derive(Debug)]
pub(super) struct Aside {
    pub(super) stream: String,
    /// The connection's, with what the rebuilding commits feed: a rebuild may fill a table for the first time.
    pub(super) known: State,
    pub(super) tables: BTreeMap<String, Table>,
    pub(super) seen: BTreeMap<String, Seen>,
    pub(super) files: u64,
    /// Of commits up to here, rows whose bodies are gone were taken over.
    pub(super) carried: i64,
}

impl Connection {
    pub(super) fn rebuild_begin(&mut self, stream: &str) -> Result<()> {
        self.held.check()?;
        self.aside = Some(Aside {
            stream: stream.to_owned(),
            known: self.held.state.clone(),
            tables: BTreeMap::new(),
            seen: BTreeMap::new(),
            files: self.aside.take().map_or(0, |old| old.files),
            carried: 0,
        });
        Ok(())
    }
    /// Commits into the tables aside; checkpoint, bodies and rejects are left alone.
    pub(super) fn commit_aside(&mut self, commit: &Commit) -> Result<Committed> {
        self.held.check()?;
        let number =
            commit.as_of.ok_or_else(|| Error::new(Kind::Bug, "a rebuilding commit needs its number"))?;
        let mut aside = self.aside.take().ok_or_else(not_begun)?;
        let outcome =
            self.carry(&mut aside, number).and_then(|()| self.write_aside(&mut aside, commit, number));
        self.aside = Some(aside);
        outcome
    }
    /// A name that no file of the table has: a stream may be rebuilt twice by one writer.
    pub(super) fn free_aside(&self, aside: &mut Aside, table: &str, number: i64) -> String {
        loop {
            aside.files += 1;
            let name = aside_file(number, self.held.state.epoch, aside.files);
            if !self.layout.history(table, &name).exists() {
                return name;
            }
        }
    }
    fn write_aside(&self, aside: &mut Aside, commit: &Commit, number: i64) -> Result<Committed> {
        aside.known.streams.entry(commit.stream.clone()).or_default().learn(commit);
        let plan = self.plan(&self.view_of(&aside.known, &aside.tables, &aside.seen), commit, number)?;
        let Some(plan) = plan else { return Ok(Committed { commit_no: number, ..Committed::default() }) };
        let mut done = plan.done;
        for (name, draft) in plan.drafts {
            let file = self.free_aside(aside, &name, number);
            let Some((file, rows)) = draft.keep(&self.files, &self.layout, &file, &commit.stream, number)?
            else {
                continue;
            };
            done.bytes += file.file.bytes;
            let table = aside.tables.entry(name.clone()).or_default();
            table.history.push(file);
            aside.seen.entry(name).or_default().absorb(&rows)?;
        }
        Ok(done)
    }
    pub(super) fn rebuild_end(&mut self, apply: bool) -> Result<Vec<Diff>> {
        self.held.check()?;
        let mut aside = self.aside.take().ok_or_else(not_begun)?;
        self.carry(&mut aside, i64::MAX)?;
        let fed = aside.known.streams.get(&aside.stream).cloned().unwrap_or_default();
        let names: BTreeSet<String> = fed.feeds().filter(|name| !name.is_empty()).cloned().collect();
        let mut diffs = Vec::new();
        for entity in names.iter().filter_map(|name| self.entities.get(name)) {
            let (old, new) = (self.view(), self.view_of(&aside.known, &aside.tables, &aside.seen));
            let column = fed.children.get(&entity.name).map_or("id", String::as_str);
            diffs.push(diff(&old.shelf(entity), &new.shelf(entity), column)?);
        }
        let garbage = if apply { self.swap(aside, &names)? } else { aside.tables };
        for (name, table) in garbage {
            for file in table.history {
                self.files.remove(&self.layout.history(&name, &file.file.name))?;
            }
        }
        Ok(diffs)
    }
    /// What was replaced.
    fn swap(&mut self, mut aside: Aside, names: &BTreeSet<String>) -> Result<BTreeMap<String, Table>> {
        let mut next = self.held.state.clone();
        let fed = aside.known.streams.remove(&aside.stream).unwrap_or_default();
        let stream = next.streams.entry(aside.stream.clone()).or_default();
        (stream.main, stream.children) = (fed.main, fed.children);
        let mut replaced = BTreeMap::new();
        for name in names {
            let table = next.tables.entry(name.clone()).or_default();
            let own = |file: &HistoryFile| file.stream == aside.stream;
            let (old, mut kept): (Vec<_>, Vec<_>) =
                std::mem::take(&mut table.history).into_iter().partition(own);
            kept.extend(aside.tables.remove(name).map(|t| t.history).unwrap_or_default());
            kept.iter_mut().for_each(|file| file.published = false);
            table.history = kept;
            table.fresh = true;
            replaced.insert(name.clone(), Table { history: old, ..Table::default() });
        }
        self.held.replace(next)?;
        for (name, table) in self.held.state.tables.iter().filter(|(name, _)| names.contains(*name)) {
            self.seen.insert(name.clone(), Seen::build(&self.files, &self.layout, name, table)?);
        }
        self.publish_tables(names)?;
        Ok(replaced)
    }
}

fn not_begun() -> Error {
    Error::new(Kind::Bug, "no rebuild was begun")
}

/// Own columns, hashed, by key, of every current row whose `column` is not NULL.
fn own(shelf: &Shelf<'_>, entity: &Entity, column: &str) -> Result<HashMap<u128, u128>> {
    let fields = entity.columns.iter().map(|c| SortField::new(c.ty.arrow())).collect();
    let converter = RowConverter::new(fields).map_err(fold::arrow)?;
    let mut found = HashMap::new();
    shelf.batches(|batch| {
        let columns: Vec<_> =
            entity.columns.iter().filter_map(|c| batch.column_by_name(&c.name).cloned()).collect();
        let rows = converter.convert_columns(&columns).map_err(fold::arrow)?;
        let ids: &StringArray = fold::column(&batch, "id")?;
        let hashed = rows.iter().map(|row| twox_hash::XxHash3_128::oneshot(row.as_ref()));
        let ours = batch.column_by_name(column);
        let all = ids.iter().flatten().map(crate::load::key_hash).zip(hashed).enumerate();
        found.extend(all.filter(|(row, _)| ours.is_some_and(|c| c.is_valid(*row))).map(|(_, of)| of));
        Ok(())
    })?;
    Ok(found)
}

/// `column`: not NULL in the rows that the stream feeds.
fn diff(old: &Shelf<'_>, new: &Shelf<'_>, column: &str) -> Result<Diff> {
    let entity = old.entity;
    let mut before = own(old, entity, column)?;
    let mut diff = Diff { entity: entity.name.clone(), ..Diff::default() };
    for (key, hash) in own(new, entity, column)? {
        match before.remove(&key) {
            None => diff.added += 1,
            Some(was) if was == hash => diff.same += 1,
            Some(_) => diff.changed += 1,
        }
    }
    diff.removed = u64::try_from(before.len()).unwrap_or(u64::MAX);
    Ok(diff)
}

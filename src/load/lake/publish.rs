//! Folds unpublished history into the current files: staged under temporary names first, then exchanged quickly.
//!
//! The result depends only on what the history says of the touched ids, so repeating a publish that died is safe.
use super::{
    connection::Connection,
    files::{Files, Finished},
    layout::Month,
    merge::{Input, merge},
    plan::View,
    rows::{self, Part, Stretches, Writer},
    shelf::Seen,
    state::{HistoryFile, Table},
};
use crate::{
    entity::Entity,
    error::{Error, Kind, Result},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Unpublished history files of a table. That many are published before the stream's end: bounds what a publish
/// merges at once, and what is remembered of unpublished keys.
const UNPUBLISHED_MAX: usize = 24;
const LOCK: &str = "publish.lock";

/// What becomes of one current file; None: it goes.
type Exchange = (Month, Option<Finished>);

struct Staged {
    entity: Arc<Entity>,
    /// Old files without the rows that go to another month. They take their place first, so that no row is ever
    /// there twice.
    first: Vec<Exchange>,
    then: Vec<Exchange>,
    months: BTreeSet<Month>,
}

/// Holds readers off, or writers; given back when dropped.
#[derive(Debug)]
pub struct ReadGuard(#[expect(dead_code, reason = "held for its lock")] File);

pub(super) fn shared(files: &Files, path: &Path) -> Result<ReadGuard> {
    let file = files.lock_file(path)?;
    file.lock_shared().map_err(|e| super::files::failed("lock", path, e))?;
    Ok(ReadGuard(file))
}

pub(super) fn lock_path(layout: &super::layout::Layout) -> PathBuf {
    layout.state(LOCK)
}

impl Connection {
    /// Publishes everything unpublished of a stream's tables. Bytes written.
    pub(super) fn publish(&mut self, stream: &str) -> Result<u64> {
        let Some(stream) = self.held.state.streams.get(stream) else { return Ok(0) };
        let waiting =
            stream.feeds().filter(|name| self.held.state.tables.get(*name).is_some_and(Table::waits));
        let waiting: BTreeSet<String> = waiting.cloned().collect();
        self.publish_tables(&waiting)
    }
    /// Publishes those of the tables that have too much unpublished. Bytes written.
    pub(super) fn publish_full<'a>(&mut self, names: impl Iterator<Item = &'a String>) -> Result<u64> {
        let tables = &self.held.state.tables;
        let is_full = |t: &Table| t.unpublished().count() >= UNPUBLISHED_MAX;
        let full = names.filter(|name| tables.get(*name).is_some_and(is_full)).cloned().collect();
        self.publish_tables(&full)
    }
    pub(super) fn publish_tables(&mut self, names: &BTreeSet<String>) -> Result<u64> {
        if names.is_empty() {
            return Ok(0);
        }
        self.held.check()?;
        let staged = self.stage(names)?;
        let moved = staged.iter().flat_map(|s| s.first.iter().chain(&s.then));
        let mut bytes: u64 = moved.filter_map(|(_, new)| new.as_ref()).map(|new| new.bytes).sum();
        let _guard = self.hold_readers_off()?;
        let mut next = self.held.state.clone();
        next.publishing.clone_from(names);
        bytes += self.held.replace(next)?;
        let mut next = self.held.state.clone();
        next.publishing.clear();
        for staged in staged {
            self.exchange(&staged)?;
            let table = next.tables.entry(staged.entity.name.clone()).or_default();
            table.months = staged.months;
            table.fresh = false;
            table.history.iter_mut().for_each(|file| file.published = true);
        }
        bytes += self.held.replace(next)?;
        for name in names {
            self.seen.insert(name.clone(), Seen::default());
        }
        Ok(bytes)
    }
    /// While it lives nobody reads under a `ReadGuard`: files may go.
    pub(super) fn hold_readers_off(&self) -> Result<File> {
        let path = lock_path(&self.layout);
        let guard = self.files.lock_file(&path)?;
        guard.lock().map_err(|e| super::files::failed("lock", &path, e))?;
        Ok(guard)
    }
    fn stage(&self, names: &BTreeSet<String>) -> Result<Vec<Staged>> {
        let view = self.view();
        let mut staged = Vec::new();
        for name in names {
            let table = self.held.state.tables.get(name);
            let (Some(entity), Some(table)) = (self.entities.get(name), table) else {
                return Err(Error::new(
                    Kind::Invalid,
                    "the lake holds a table that no connector describes any more",
                )
                .with("entity", name)
                .hint("bring its `connectors/unified` file back and run the sync again"));
            };
            staged.push(stage_table(&view, entity, table, self.held.state.publishing.contains(name))?);
        }
        Ok(staged)
    }
    fn exchange(&self, staged: &Staged) -> Result<()> {
        let old = self.held.state.tables.get(&staged.entity.name).filter(|t| t.fresh);
        let gone: Vec<Exchange> = old.iter().flat_map(|t| t.months.iter().map(|m| (*m, None))).collect();
        for (month, new) in gone.iter().chain(&staged.first).chain(&staged.then) {
            let path = self.layout.current(&staged.entity.name, *month);
            match new {
                Some(new) => self.files.place(new)?,
                None => self.files.remove(&path)?,
            }
            if let Some(folder) = path.parent().filter(|f| f.is_dir()) {
                self.files.sync_folder(folder)?;
            }
        }
        Ok(())
    }
}

/// `cut_short`: a publish of this table died, so a touched month's file may be gone already.
fn stage_table(view: &View<'_>, entity: &Arc<Entity>, table: &Table, cut_short: bool) -> Result<Staged> {
    let mut touched = BTreeSet::new();
    let mut left: BTreeMap<Month, BTreeSet<String>> = BTreeMap::new();
    for (_, file) in table.unpublished() {
        touched.extend(file.sections.iter().map(|(month, _)| *month));
        for (month, ids) in &file.left {
            touched.insert(*month);
            left.entry(*month).or_default().extend(ids.iter().cloned());
        }
    }
    let mut old: BTreeSet<Month> = if table.fresh { BTreeSet::new() } else { table.months.clone() };
    if cut_short {
        old.retain(|month| !touched.contains(month) || view.layout.current(&entity.name, *month).is_file());
    }
    let mut staged =
        Staged { entity: Arc::clone(entity), first: Vec::new(), then: Vec::new(), months: old.clone() };
    let stage = Stage { view, entity };
    for (month, ids) in left.iter().filter(|(month, _)| old.contains(month)) {
        let current = view.layout.current(&entity.name, *month);
        staged.first.push((*month, stage.month(*month, Some(current), vec![Input::left(ids)], "-left")?));
    }
    let files: Vec<&HistoryFile> = table.unpublished().map(|(_, file)| file).collect();
    let mut done: BTreeMap<Month, Option<Finished>> = BTreeMap::new();
    for (round, files) in files.chunks(UNPUBLISHED_MAX).enumerate() {
        stage.round(files, &old, &format!("-{round}"), &mut done)?;
    }
    for (month, new) in &done {
        if new.is_some() {
            staged.months.insert(*month)
        } else {
            staged.months.remove(month)
        };
    }
    staged.then.extend(done);
    Ok(staged)
}

struct Stage<'a> {
    view: &'a View<'a>,
    entity: &'a Entity,
}

impl Stage<'_> {
    /// Folds these history files into the months that they touch. `done`: what earlier rounds made of a month.
    fn round(
        &self,
        files: &[&HistoryFile],
        old: &BTreeSet<Month>,
        tag: &str,
        done: &mut BTreeMap<Month, Option<Finished>>,
    ) -> Result<()> {
        let mut history = Vec::new();
        let mut touched = BTreeSet::new();
        for file in files {
            touched.extend(file.sections.iter().map(|(month, _)| *month).chain(file.left.keys().copied()));
            let path = self.view.layout.history(&self.entity.name, &file.file.name);
            let schema = self.entity.history_schema();
            history.push((file, Stretches::open(self.view.files, &path, file.file.range(), schema)?));
        }
        // Ascending, as the sections of every file are: each file is read once.
        for month in touched {
            let mut inputs = Vec::new();
            for (file, stretches) in &mut history {
                inputs.extend(file.left.get(&month).map(Input::left));
                let rows = file.sections.iter().find(|(m, _)| *m == month).map(|(_, rows)| *rows);
                inputs.extend(rows.map(|rows| Input::Section(stretches, rows)));
            }
            let before = done.remove(&month);
            let base = match &before {
                Some(made) => made.as_ref().map(|made| made.temporary.clone()),
                None => old.contains(&month).then(|| self.view.layout.current(&self.entity.name, month)),
            };
            done.insert(month, self.month(month, base, inputs, tag)?);
            if let Some(Some(before)) = before {
                self.view.files.remove(&before.temporary)?;
            }
        }
        Ok(())
    }
    /// The month's new file under a temporary name, from `base` and what changed; None when no row is left.
    fn month(
        &self,
        month: Month,
        base: Option<PathBuf>,
        changes: Vec<Input<'_>>,
        tag: &str,
    ) -> Result<Option<Finished>> {
        let View { files, layout, .. } = self.view;
        let path = layout.current(&self.entity.name, month);
        let mut inputs = Vec::new();
        if let Some(base) = base {
            let part = Part { schema: Some(self.entity.schema()), ..Part::default() };
            inputs.push(Input::Rows(rows::read(files, &base, part)?));
        }
        inputs.extend(changes);
        let mut writer = Writer::tagged(files, &path, tag, self.entity.schema(), None)?;
        let mut written = 0;
        merge(self.entity, inputs, |rows| {
            written += rows.num_rows();
            writer.write(rows)
        })?;
        let finished = writer.finish()?;
        if written == 0 { files.remove(&finished.temporary).map(|()| None) } else { Ok(Some(finished)) }
    }
}

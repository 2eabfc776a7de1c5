//! Rebuilding: commits that go aside after what has no body any more, and what they would change.
use super::{Mine, Row, Store, Stored, Table, count};
use crate::{
    entity::Entity,
    error::{Error, Kind, Result},
    load::{
        Commit, Committed, Diff,
        fold::{self, Keys, REMOVE},
    },
};
use arrow::array::{Array, Int64Array, RecordBatch, StringArray};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
};

/// What is built aside.
#[derive(Debug)]
pub(super) struct Aside {
    pub(super) stream: String,
    tables: Stored,
    /// Of commits up to here, rows whose bodies are gone were taken over.
    carried: i64,
}

pub(super) fn commit_aside(mine: &mut Mine, store: &Mutex<Store>, commit: Commit) -> Result<Committed> {
    let number = commit.as_of.ok_or_else(|| Error::new(Kind::Bug, "a rebuilding commit needs its number"))?;
    let Some(mut aside) = mine.aside.take() else {
        return Err(Error::new(Kind::Bug, "no rebuild was begun"));
    };
    let carried = {
        let store = store.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        store.0.get(&mine.owner).map_or(Ok(()), |stored| aside.carry(stored, number))
    };
    let outcome =
        carried.and_then(|()| aside.tables.apply(mine, &Commit { keep_raw: false, ..commit }, number));
    mine.aside = Some(aside);
    outcome
}

impl Aside {
    pub(super) fn of(stream: &str) -> Self {
        Self { stream: stream.to_owned(), tables: Stored::default(), carried: 0 }
    }
    /// Takes over history rows up to a commit whose records have no body of their commit.
    fn carry(&mut self, stored: &Stored, through: i64) -> Result<()> {
        let range = self.carried.saturating_add(1)..=through;
        self.carried = self.carried.max(through);
        let Some(fed) = stored.fed.get(&self.stream) else { return Ok(()) };
        let bodies = stored.raw.iter().filter(|(stream, _)| *stream == self.stream);
        let bodies: BTreeSet<(i64, &str)> = bodies.map(|(_, r)| (r.commit_no, r.key.as_str())).collect();
        for entity in fed.children.values().chain([&fed.main]) {
            let column = entity.parent.as_ref().map_or("id", |p| p.column.as_str());
            let Some(table) = stored.tables.get(&entity.name) else { continue };
            for row in &table.history {
                let number = fold::column::<Int64Array>(row, "commit_no")?.value(0);
                let of: &StringArray = fold::column(row, column)?;
                let gone = of.is_valid(0) && !bodies.contains(&(number, of.value(0)));
                if range.contains(&number) && gone {
                    self.tables.tables.entry(entity.name.clone()).or_default().take_over(entity, row)?;
                }
            }
        }
        Ok(())
    }
    /// Compares with what is there, and takes its place when `apply` says so.
    pub(super) fn end(mut self, stored: &mut Stored, apply: bool) -> Result<Vec<Diff>> {
        self.carry(stored, i64::MAX)?;
        Ok(swap(stored, &self.stream, &self.tables, apply))
    }
}

impl Table {
    /// A history row as it is.
    fn take_over(&mut self, entity: &Entity, row: &RecordBatch) -> Result<()> {
        let own: Vec<usize> = (0..entity.schema().fields().len()).collect();
        let state = row.project(&own).map_err(fold::arrow)?;
        let (id, held) = {
            let keys = Keys::of(&state, entity)?;
            (keys.id(0).to_owned(), keys.held(0, ()))
        };
        if fold::column::<StringArray>(row, "op")?.value(0) == REMOVE {
            self.current.remove(&id);
        } else {
            self.current.insert(id, Row { held, batch: state });
        }
        self.history.push(row.clone());
        Ok(())
    }
}

/// By id and own columns.
fn diff(entity: &Entity, old: &Table, new: &Table) -> Diff {
    let own = |table: &Table| -> HashMap<String, Vec<arrow::array::ArrayRef>> {
        let columns = |row: &Row| {
            entity.columns.iter().filter_map(|c| row.batch.column_by_name(&c.name).cloned()).collect()
        };
        table.current.iter().map(|(id, row)| (id.clone(), columns(row))).collect()
    };
    let (old, new) = (own(old), own(new));
    let mut diff = Diff { entity: entity.name.clone(), ..Diff::default() };
    for (id, row) in &new {
        match old.get(id) {
            None => diff.added += 1,
            Some(before) if before == row => diff.same += 1,
            Some(_) => diff.changed += 1,
        }
    }
    diff.removed = count(old.keys().filter(|id| !new.contains_key(*id)).count());
    diff
}

/// Compares what was built aside with what is there, and puts it in its place when `apply` says so.
fn swap(stored: &mut Stored, stream: &str, aside: &Stored, apply: bool) -> Vec<Diff> {
    let known = [&stored.fed, &aside.fed].into_iter().filter_map(|fed| fed.get(stream));
    let entities: BTreeMap<String, Arc<Entity>> = known
        .flat_map(|fed| fed.children.values().chain([&fed.main]))
        .map(|entity| (entity.name.clone(), Arc::clone(entity)))
        .collect();
    let mut diffs = Vec::new();
    for (name, entity) in entities {
        let (old, mut kept) = stored.tables.remove(&name).unwrap_or_default().split(&entity);
        let new = aside.tables.get(&name).cloned().unwrap_or_default();
        diffs.push(diff(&entity, &old, &new));
        let mut own = if apply { new } else { old };
        kept.current.append(&mut own.current);
        kept.history.append(&mut own.history);
        stored.tables.insert(name, kept);
    }
    diffs
}

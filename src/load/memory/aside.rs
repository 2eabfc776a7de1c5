//! Rebuilding: commits that go aside, and what they would change.
use super::{Mine, Row, Stored, Table, count};
use crate::{
    entity::Entity,
    error::{Error, Kind, Result},
    load::{Commit, Committed, Diff},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

pub(super) fn commit_aside(mine: &mut Mine, commit: Commit) -> Result<Committed> {
    let number = commit.as_of.ok_or_else(|| Error::new(Kind::Bug, "a rebuilding commit needs its number"))?;
    let Some((stream, mut aside)) = mine.aside.take() else {
        return Err(Error::new(Kind::Bug, "no rebuild was begun"));
    };
    let outcome = aside.apply(mine, &Commit { keep_raw: false, ..commit }, number);
    mine.aside = Some((stream, aside));
    outcome
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
pub(super) fn swap(stored: &mut Stored, stream: &str, aside: &Stored, apply: bool) -> Vec<Diff> {
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

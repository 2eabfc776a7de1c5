//! Rebuilding: commits that go aside, and what they would change.
use super::{Mine, Row, Table, count};
use crate::{
    entity::Entity,
    error::{Error, Kind, Result},
    load::{Commit, Committed, Diff},
};
use std::collections::HashMap;

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
pub(super) fn diff(entity: &Entity, old: &Table, new: &Table) -> Diff {
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

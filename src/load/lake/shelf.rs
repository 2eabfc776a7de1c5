//! What is held of one table: published current files, under the history that is not published yet.
use super::{
    files::Files,
    layout::{Layout, Month},
    rows::{self, Part},
    state::Table,
};
use crate::{
    entity::Entity,
    error::{Error, Kind, Result},
    load::{
        fold::{self, Held, HeldRows, KeyHasher, KeyMap, KeySet, Keys, REMOVE},
        key_hash,
    },
};
use arrow::array::{BooleanArray, RecordBatch, StringArray};
use std::{
    collections::{BTreeSet, HashSet},
    hash::BuildHasherDefault,
    ops::Range,
};

/// Where a current row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Position in `Table::history`; None: the month's current file.
    pub(super) history: Option<usize>,
    pub(super) month: Month,
    pub(super) row: usize,
}

/// Whether a key may have an unpublished state: half of each key's hash, so that a load of any size fits in memory.
/// What it points to is read from the history files, which is rare.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(HashSet<u64, BuildHasherDefault<KeyHasher>>);

/// Newest unpublished state of keys; `None` for a row that was removed. Hides what current files say of them.
type Newest = KeyMap<Option<Held<Place>>>;

#[expect(clippy::cast_possible_truncation, reason = "half of a good hash is one")]
fn half(key: u128) -> u64 {
    key as u64
}

impl Seen {
    /// Reads the ids of a table's unpublished history.
    pub(super) fn build(files: &Files, layout: &Layout, name: &str, table: &Table) -> Result<Self> {
        let mut seen = Self::default();
        for (_, file) in table.unpublished() {
            let part = Part { columns: &["id"], rows: Some(vec![file.file.range()]), schema: None };
            for batch in rows::read(files, &layout.history(name, &file.file.name), part)? {
                seen.absorb(&batch?)?;
            }
        }
        Ok(seen)
    }
    /// Takes in history rows.
    pub(super) fn absorb(&mut self, batch: &RecordBatch) -> Result<()> {
        let ids: &StringArray = fold::column(batch, "id")?;
        self.0.extend(ids.iter().flatten().map(|id| half(key_hash(id))));
        Ok(())
    }
    fn may_have(&self, key: u128) -> bool {
        self.0.contains(&half(key))
    }
}

fn key_columns(parents: &BTreeSet<String>) -> Vec<&str> {
    let mut columns = vec!["id", "version", "observed_at", "row_hash", "deleted_at"];
    columns.extend(parents.iter().map(String::as_str));
    columns
}

/// One table, readable.
pub(super) struct Shelf<'a> {
    pub(super) files: &'a Files,
    pub(super) layout: &'a Layout,
    pub(super) entity: &'a Entity,
    pub(super) table: &'a Table,
    pub(super) seen: &'a Seen,
    /// Columns that may name a row's parent.
    pub(super) parents: BTreeSet<String>,
}

impl Shelf<'_> {
    fn months(&self) -> impl Iterator<Item = Month> {
        self.table.months.iter().copied().filter(|_| !self.table.fresh)
    }
    /// The newest unpublished states of the keys that `wanted` (own key, owner) names in any of their states.
    fn newest(&self, wanted: impl Fn(u128, u128) -> bool) -> Result<Newest> {
        let mut columns = key_columns(&self.parents);
        columns.push("op");
        let mut newest = Newest::default();
        for (nth, file) in self.table.unpublished() {
            let path = self.layout.history(&self.entity.name, &file.file.name);
            let mut months =
                file.sections.iter().flat_map(|(month, rows)| std::iter::repeat_n(*month, *rows)).enumerate();
            let part = Part { columns: &columns, rows: Some(vec![file.file.range()]), schema: None };
            for batch in rows::read(self.files, &path, part)? {
                let batch = batch?;
                let keys = self.keys(&batch)?;
                let op: &StringArray = fold::column(&batch, "op")?;
                for row in 0..keys.len() {
                    let (at, month) = months.next().ok_or_else(|| {
                        Error::new(Kind::Bug, "a history file has more rows than its sections")
                            .with("file", &file.file.name)
                    })?;
                    let (key, place) = (keys.key(row), Place { history: Some(nth), month, row: at });
                    if wanted(key, keys.parent(row)) || newest.contains_key(&key) {
                        newest.insert(key, (op.value(row) != REMOVE).then(|| keys.held(row, place)));
                    }
                }
            }
        }
        Ok(newest)
    }
    fn keys<'b>(&self, batch: &'b RecordBatch) -> Result<Keys<'b>> {
        Keys::with(batch, self.parents.iter().map(String::as_str))
    }
    /// Shows every row of the current files, also those that have a newer state by now.
    fn published(&self, mut visit: impl FnMut(u128, Held<Place>)) -> Result<()> {
        let columns = key_columns(&self.parents);
        for month in self.months() {
            let path = self.layout.current(&self.entity.name, month);
            let mut start = 0;
            for batch in rows::read(self.files, &path, Part { columns: &columns, ..Part::default() })? {
                let batch = batch?;
                let keys = self.keys(&batch)?;
                for row in 0..keys.len() {
                    visit(keys.key(row), keys.held(row, Place { history: None, month, row: start + row }));
                }
                start += batch.num_rows();
            }
        }
        Ok(())
    }
    /// Shows every current row once, in no order.
    pub(super) fn each(&self, mut visit: impl FnMut(u128, Held<Place>)) -> Result<()> {
        let newest = self.newest(|_, _| true)?;
        self.published(|key, held| {
            if !newest.contains_key(&key) {
                visit(key, held);
            }
        })?;
        for (key, state) in newest {
            if let Some(held) = state {
                visit(key, held);
            }
        }
        Ok(())
    }
    /// The current rows of these keys, and those of these owners.
    pub(super) fn held(&self, ids: &KeySet, owners: &KeySet) -> Result<HeldRows<Place>> {
        let mut found = HeldRows::default();
        if ids.is_empty() && owners.is_empty() {
            return Ok(found);
        }
        let wanted = |key: u128, owner: u128| ids.contains(&key) || owners.contains(&owner);
        self.published(|key, held| {
            if wanted(key, held.parent) {
                found.insert(key, held);
            }
        })?;
        let may_have = |key: &u128| self.seen.may_have(*key);
        if owners.is_empty() && !ids.iter().any(may_have) && !found.keys().any(may_have) {
            return Ok(found);
        }
        for (key, state) in self.newest(|key, owner| wanted(key, owner) || found.contains_key(&key))? {
            match state.filter(|held| wanted(key, held.parent)) {
                Some(held) => found.insert(key, held),
                None => found.remove(&key),
            };
        }
        Ok(found)
    }
    /// Whole rows (`Entity::schema`) at these places, with each row's month.
    pub(super) fn rows(&self, mut places: Vec<Place>) -> Result<Vec<(Vec<Month>, RecordBatch)>> {
        places.sort_unstable();
        let mut found = Vec::new();
        let same_file =
            |a: &Place, b: &Place| a.history == b.history && (a.history.is_some() || a.month == b.month);
        for group in places.chunk_by(same_file) {
            let Some(first) = group.first() else { continue };
            let (path, start) = match first.history {
                None => (self.layout.current(&self.entity.name, first.month), 0),
                Some(nth) => {
                    let file = self.table.history.get(nth);
                    let file = file.ok_or_else(|| Error::new(Kind::Bug, "a history file is not listed"))?;
                    (self.layout.history(&self.entity.name, &file.file.name), file.file.range().start)
                }
            };
            let mut group: Vec<&Place> = group.iter().collect();
            group.sort_unstable_by_key(|p| p.row);
            let ranges: Vec<Range<usize>> = group.iter().map(|p| start + p.row..start + p.row + 1).collect();
            let part = Part { rows: Some(ranges), schema: Some(self.entity.schema()), ..Part::default() };
            let mut months = group.into_iter().map(|p| p.month);
            for batch in rows::read(self.files, &path, part)? {
                let batch = batch?;
                found.push((months.by_ref().take(batch.num_rows()).collect(), batch));
            }
        }
        Ok(found)
    }
    /// Shows every current row, whole, in batches.
    pub(super) fn batches(&self, mut visit: impl FnMut(RecordBatch) -> Result<()>) -> Result<()> {
        let part = || Part { schema: Some(self.entity.schema()), ..Part::default() };
        let newest = self.newest(|_, _| true)?;
        for month in self.months() {
            for batch in rows::read(self.files, &self.layout.current(&self.entity.name, month), part())? {
                self.pick(batch?, |key, _| !newest.contains_key(&key), &mut visit)?;
            }
        }
        for (nth, file) in self.table.unpublished() {
            let mut start = 0;
            let path = self.layout.history(&self.entity.name, &file.file.name);
            let part = Part { rows: Some(vec![file.file.range()]), ..part() };
            for batch in rows::read(self.files, &path, part)? {
                let batch = batch?;
                let rows = batch.num_rows();
                let is_newest = |key: u128, row: usize| {
                    let held = newest.get(&key).and_then(Option::as_ref);
                    held.is_some_and(|h| h.place.history == Some(nth) && h.place.row == start + row)
                };
                self.pick(batch, is_newest, &mut visit)?;
                start += rows;
            }
        }
        Ok(())
    }
    fn pick(
        &self,
        batch: RecordBatch,
        wanted: impl Fn(u128, usize) -> bool,
        visit: &mut impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let keys = Keys::of(&batch, self.entity)?;
        let mask: BooleanArray = (0..keys.len()).map(|row| Some(wanted(keys.key(row), row))).collect();
        let picked = arrow::compute::filter_record_batch(&batch, &mask).map_err(fold::arrow)?;
        if picked.num_rows() == 0 { Ok(()) } else { visit(picked) }
    }
}

//! What is held of one table: published current files, under the history that is not published yet.
use super::{
    files::Files,
    layout::{Layout, Month},
    rows::{self, Part},
    state::{HistoryFile, Table},
};
use crate::{
    entity::Entity,
    error::{Error, Kind, Result},
    load::fold::{self, Held, HeldRows, Keys, REMOVE},
};
use arrow::array::{BooleanArray, RecordBatch, StringArray};
use std::{
    collections::{BTreeSet, HashMap},
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

/// Newest unpublished state of each key; `None` for a row that was removed. Hides what current files say of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Index(HashMap<u128, Option<Held<Place>>>);

impl Index {
    /// Reads the deciding columns of a table's unpublished history.
    pub(super) fn build(
        files: &Files,
        layout: &Layout,
        name: &str,
        table: &Table,
        parents: &BTreeSet<String>,
    ) -> Result<Self> {
        let mut index = Self::default();
        let mut columns = key_columns(parents);
        columns.push("op");
        for (nth, file) in table.unpublished() {
            let part = Part { columns: &columns, ..Part::default() };
            let mut start = 0;
            for batch in rows::read(files, &layout.history(name, &file.file.name), part)? {
                let batch = batch?;
                index.absorb(parents, nth, file, start, &batch)?;
                start += batch.num_rows();
            }
        }
        Ok(index)
    }
    /// Takes in history rows that begin at `start` of the `nth` history file.
    pub(super) fn absorb(
        &mut self,
        parents: &BTreeSet<String>,
        nth: usize,
        file: &HistoryFile,
        start: usize,
        batch: &RecordBatch,
    ) -> Result<()> {
        let keys = Keys::with(batch, parents.iter().map(String::as_str))?;
        let op: &StringArray = fold::column(batch, "op")?;
        let mut months =
            file.sections.iter().flat_map(|(month, rows)| std::iter::repeat_n(*month, *rows)).skip(start);
        for row in 0..keys.len() {
            let month = months.next().ok_or_else(|| {
                Error::new(Kind::Bug, "a history file has more rows than its sections")
                    .with("file", &file.file.name)
            })?;
            let place = Place { history: Some(nth), month, row: start + row };
            let state = (op.value(row) != REMOVE).then(|| keys.held(row, place));
            self.0.insert(keys.key(row), state);
        }
        Ok(())
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
    pub(super) index: &'a Index,
    /// Columns that may name a row's parent.
    pub(super) parents: BTreeSet<String>,
}

impl Shelf<'_> {
    fn months(&self) -> impl Iterator<Item = Month> {
        self.table.months.iter().copied().filter(|_| !self.table.fresh)
    }
    /// Shows every current row once, in no order.
    pub(super) fn each(&self, mut visit: impl FnMut(u128, Held<Place>)) -> Result<()> {
        let columns = key_columns(&self.parents);
        for month in self.months() {
            let path = self.layout.current(&self.entity.name, month);
            let mut start = 0;
            for batch in rows::read(self.files, &path, Part { columns: &columns, ..Part::default() })? {
                let batch = batch?;
                let keys = Keys::with(&batch, self.parents.iter().map(String::as_str))?;
                for row in 0..keys.len() {
                    let key = keys.key(row);
                    if !self.index.0.contains_key(&key) {
                        visit(key, keys.held(row, Place { history: None, month, row: start + row }));
                    }
                }
                start += batch.num_rows();
            }
        }
        for (key, state) in &self.index.0 {
            if let Some(held) = state {
                visit(*key, *held);
            }
        }
        Ok(())
    }
    /// The current rows that `wanted` (own key, owner) names.
    pub(super) fn held(&self, wanted: impl Fn(u128, u128) -> bool) -> Result<HeldRows<Place>> {
        let mut found = HeldRows::new();
        self.each(|key, held| {
            if wanted(key, held.parent) {
                found.insert(key, held);
            }
        })?;
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
            let path = match first.history {
                None => self.layout.current(&self.entity.name, first.month),
                Some(nth) => {
                    let file = self.table.history.get(nth);
                    let file = file.ok_or_else(|| Error::new(Kind::Bug, "a history file is not listed"))?;
                    self.layout.history(&self.entity.name, &file.file.name)
                }
            };
            let mut group: Vec<&Place> = group.iter().collect();
            group.sort_unstable_by_key(|p| p.row);
            let ranges: Vec<Range<usize>> = group.iter().map(|p| p.row..p.row + 1).collect();
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
        for month in self.months() {
            for batch in rows::read(self.files, &self.layout.current(&self.entity.name, month), part())? {
                self.pick(batch?, |key, _| !self.index.0.contains_key(&key), &mut visit)?;
            }
        }
        for (nth, file) in self.table.unpublished() {
            let mut start = 0;
            for batch in
                rows::read(self.files, &self.layout.history(&self.entity.name, &file.file.name), part())?
            {
                let batch = batch?;
                let rows = batch.num_rows();
                let newest = |key: u128, row: usize| {
                    let held = self.index.0.get(&key).and_then(Option::as_ref);
                    held.is_some_and(|h| h.place.history == Some(nth) && h.place.row == start + row)
                };
                self.pick(batch, newest, &mut visit)?;
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

//! Unified columns plus what the machine knows of each record: the full rows that a destination takes.
use super::{Facts, Refusal, Refusals, Rows, bug, hash::RowHashes, output::Table};
use crate::{
    decode::{Records, Reject},
    error::{Error, Kind, Result},
    manifest::Stream,
};
use arrow::{
    array::{
        Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
        UInt32Array,
    },
    datatypes::Date32Type,
};
use chrono::{Datelike, Duration, NaiveDate};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

/// The records of one batch and whose they are.
pub(super) struct Assembly<'a> {
    pub(super) provider: &'a str,
    pub(super) stream: &'a Stream,
    pub(super) facts: &'a Facts,
    pub(super) records: &'a Records,
    /// Something of the records is not stored as it comes: no hash may cover their bytes.
    pub(super) hides: bool,
}

impl Assembly<'_> {
    /// The rows of every accepted record, one winner per id, and how many older states were superseded.
    pub(super) fn rows(&self, tables: Vec<Table>, refused: &mut Refusals) -> Result<(Option<Rows>, usize)> {
        let mut tables = tables.into_iter();
        let main =
            tables.next().ok_or_else(|| Error::new(Kind::Bug, "a stream feeds at least one entity"))?;
        let children: Vec<Table> = tables.collect();
        self.each_record_once(&main, refused)?;
        let main_ids = main.ids()?;
        let id_of = self.by_record(main.row.iter().enumerate().map(|(i, row)| (*row, main_ids.value(i))));
        let mut owner_of = BTreeMap::new();
        for child in &children {
            let owner_of = owner_of.entry(child.entity.name.as_str()).or_default();
            refuse_strange_children(&id_of, child, owner_of, refused)?;
        }
        let hashes = self.main_hashes(&main, &children);
        let (winners, superseded) = self.winners(&main, &hashes, refused)?;
        if winners.is_empty() {
            return Ok((None, superseded));
        }
        let months = month_of(&main);
        let month = winners.iter().filter_map(|i| Some((*main.row.get(*i)?, *months.get(*i)?)));
        let month = self.by_record(month);
        let picked =
            |values: &[i64]| winners.iter().map(|i| values.get(*i).copied().unwrap_or(0)).collect::<Vec<_>>();
        let batch = self.batch(&main, &winners, picked(&hashes))?;
        let child_batch = |table: &Table| {
            let kept: Vec<usize> = (0..table.row.len())
                .filter(|i| table.row.get(*i).is_some_and(|r| at(&month, *r).is_some()))
                .collect();
            let hashes = self.child_hashes(table, &kept, &month);
            Ok((Arc::clone(&table.entity), self.batch(table, &kept, hashes)?))
        };
        let body =
            |i: &usize| main.row.get(*i).and_then(|r| self.records.body.get(*r)).cloned().unwrap_or_default();
        let rows = Rows {
            entity: Arc::clone(&main.entity),
            main: batch,
            children: children.iter().map(child_batch).collect::<Result<_>>()?,
            bodies: winners.iter().map(body).collect(),
        };
        Ok((Some(rows), superseded))
    }

    /// A refused record with its bytes.
    pub(super) fn reject(&self, row: usize, why: Refusal) -> Option<Reject> {
        Some(Reject {
            stream: self.stream.name.clone(),
            key: self.records.key.get(row).cloned(),
            rule: why.rule.to_owned(),
            pointer: why.pointer,
            message: why.message,
            asked_at: *self.records.asked_at.get(row)?,
            body: self.records.body.get(row)?.clone(),
        })
    }

    /// The main mapping answers exactly one row per record that it did not fail on.
    fn each_record_once(&self, main: &Table, refused: &Refusals) -> Result<()> {
        let distinct = self.by_record(main.row.iter().map(|row| (*row, ()))).iter().flatten().count();
        let failed = refused.iter().filter(|(_, why)| why.rule == "mapping_failed").count();
        let ids = main.ids()?;
        let keyed = |(i, row): (usize, &usize)| {
            ids.is_null(i) || self.records.key.get(*row).is_some_and(|key| key == ids.value(i))
        };
        if !main.row.iter().enumerate().all(keyed) {
            return Err(Error::new(Kind::Invalid, "the id of a main entity must be its stream's key")
                .with("stream", &self.stream.name)
                .with("entity", &main.entity.name)
                .with("key", &self.stream.key));
        }
        if distinct == main.row.len() && main.row.len() + failed == self.records.key.len() {
            return Ok(());
        }
        Err(Error::new(Kind::Invalid, "the mapping of a main entity must answer one row per record")
            .with("stream", &self.stream.name)
            .with("entity", &main.entity.name)
            .with("records", self.records.key.len())
            .with("rows", main.row.len())
            .hint("take `where`, joins and unnest out of it"))
    }

    /// Per row of `main`. Covers the body, so that equal hash means equal children and an equal raw record; or, where
    /// values are hidden, what is stored instead: whoever has the hash could test guesses of what the body held.
    fn main_hashes(&self, main: &Table, children: &[Table]) -> Vec<i64> {
        let seeds = if self.hides { self.stored_hashes(children) } else { self.records.body_hash.clone() };
        let of = |row: &usize| seeds.get(*row).copied().unwrap_or(0);
        let mut hashes = RowHashes::new(main.row.iter().map(of));
        hashes.mix(main.row.iter().map(|r| self.records.version.get(*r).copied().map(i64::cast_unsigned)));
        hashes.mix(main.row.iter().map(|r| Some(u64::from(self.is_deleted(*r)))));
        main.columns.iter().for_each(|c| hashes.column(c));
        hashes.finish()
    }

    /// Per record: its modification time and child rows, in any order, as they are stored.
    fn stored_hashes(&self, children: &[Table]) -> Vec<u64> {
        let updated = self.records.updated_at.iter().map(|at| at.map_or(0, |t| t.0.cast_unsigned()));
        let mut all: Vec<u64> = updated.collect();
        for (nth, child) in (1_u64..).zip(children) {
            let mut hashes = RowHashes::new(child.row.iter().map(|_| nth));
            child.columns.iter().for_each(|c| hashes.column(c));
            for (row, hash) in child.row.iter().zip(hashes.finish()) {
                if let Some(sum) = all.get_mut(*row) {
                    *sum = sum.wrapping_add(hash.cast_unsigned());
                }
            }
        }
        all
    }

    /// Per kept row. Covers the parent's month, so that a child moves with its parent.
    fn child_hashes(&self, child: &Table, kept: &[usize], month: &[Option<i64>]) -> Vec<i64> {
        let row = |i: &usize| child.row.get(*i).copied().unwrap_or(usize::MAX);
        let month = |i: &usize| at(month, row(i)).unwrap_or(0).cast_unsigned();
        let mut hashes = RowHashes::new((0..child.row.len()).map(|i| month(&i)));
        hashes.mix(child.row.iter().map(|r| Some(u64::from(self.is_deleted(*r)))));
        child.columns.iter().for_each(|c| hashes.column(c));
        let all = hashes.finish();
        kept.iter().map(|i| all.get(*i).copied().unwrap_or(0)).collect()
    }

    /// Something of each record that has it.
    fn by_record<T: Copy>(&self, of: impl Iterator<Item = (usize, T)>) -> Vec<Option<T>> {
        let mut all = vec![None; self.records.key.len()];
        for (row, value) in of {
            if let Some(slot) = all.get_mut(row) {
                *slot = Some(value);
            }
        }
        all
    }

    fn is_deleted(&self, row: usize) -> bool {
        self.records.deleted.get(row).copied().unwrap_or(false)
    }

    /// Positions in `main` of the greatest state of each id (architecture law 4), in order of arrival.
    fn winners(&self, main: &Table, hashes: &[i64], refused: &Refusals) -> Result<(Vec<usize>, usize)> {
        let ids = main.ids()?;
        let order = |i: usize| {
            let row = main.row.get(i).copied().unwrap_or(usize::MAX);
            (self.records.version.get(row), self.records.asked_at.get(row), hashes.get(i))
        };
        let mut best: HashMap<&str, usize> = HashMap::new();
        let mut superseded = 0;
        for (i, _) in main.row.iter().enumerate().filter(|(_, row)| !refused.contains_key(row)) {
            let slot = best.entry(ids.value(i)).or_insert(i);
            if *slot != i {
                superseded += 1;
                if order(i) > order(*slot) {
                    *slot = i;
                }
            }
        }
        let mut winners: Vec<usize> = best.into_values().collect();
        winners.sort_unstable();
        Ok((winners, superseded))
    }

    /// Full rows at these positions of `table`.
    fn batch(&self, table: &Table, kept: &[usize], hashes: Vec<i64>) -> Result<RecordBatch> {
        let positions: UInt32Array = kept.iter().map(|i| u32::try_from(*i).ok()).collect();
        let rows: Vec<usize> =
            kept.iter().map(|i| table.row.get(*i).copied().unwrap_or(usize::MAX)).collect();
        let same = |text: &str| {
            Arc::new(std::iter::repeat_n(Some(text), kept.len()).collect::<StringArray>()) as ArrayRef
        };
        let owner = &self.facts.owner;
        let mut columns =
            vec![same(owner.tenant.as_str()), same(owner.connection.as_str()), same(self.provider)];
        columns.extend(table.take(&positions)?);
        let records = self.records;
        let asked = |r: &usize| records.asked_at.get(*r).map(|t| t.0);
        let updated = |r: &usize| records.updated_at.get(*r).copied().flatten().map(|t| t.0);
        let deleted = |r: &usize| if self.is_deleted(*r) { updated(r).or_else(|| asked(r)) } else { None };
        let times = |of: &dyn Fn(&usize) -> Option<i64>| {
            Arc::new(rows.iter().map(of).collect::<TimestampMicrosecondArray>()) as ArrayRef
        };
        columns.push(Arc::new(rows.iter().map(|r| records.version.get(*r).copied()).collect::<Int64Array>()));
        columns.push(times(&updated));
        columns.push(times(&asked));
        columns.push(Arc::new(Int64Array::from(hashes)));
        columns.push(times(&deleted));
        RecordBatch::try_new(table.entity.schema(), columns).map_err(bug("build unified rows"))
    }
}

fn at<T: Copy>(by_record: &[Option<T>], row: usize) -> Option<T> {
    by_record.get(row).copied().flatten()
}

/// A child row must hang on its own record's main row, under an id no other row has. `id_of`: of each record's main
/// row; `owner_of`: the parent of each child row so far.
fn refuse_strange_children<'t>(
    id_of: &[Option<&str>],
    child: &'t Table,
    owner_of: &mut HashMap<&'t str, &'t str>,
    refused: &mut Refusals,
) -> Result<()> {
    let parents = child
        .entity
        .parent
        .as_ref()
        .and_then(|p| child.column(&p.column))
        .and_then(|c| c.as_string_opt::<i32>());
    let parents = parents.ok_or_else(|| Error::new(Kind::Bug, "a child has a parent column"))?;
    let ids = child.ids()?;
    let mut seen = HashSet::new();
    for (i, row) in child.row.iter().enumerate().filter(|(i, _)| ids.is_valid(*i) && parents.is_valid(*i)) {
        let (id, parent) = (ids.value(i), parents.value(i));
        let strange = if at(id_of, *row) != Some(parent) {
            Some(("foreign_child", format!("it names the parent `{parent}`")))
        } else if !seen.insert((*row, id)) {
            Some(("duplicate_child", format!("its id `{id}` comes twice")))
        } else if *owner_of.entry(id).or_insert(parent) != parent {
            Some(("duplicate_child", format!("its id `{id}` belongs to another document too")))
        } else {
            None
        };
        if let Some((rule, message)) = strange {
            let message = format!("a row of `{}` is out of place: {message}", child.entity.name);
            refused.entry(*row).or_insert(Refusal { rule, pointer: child.entity.name.clone(), message });
        }
    }
    Ok(())
}

/// Per row of `main`: year * 12 + month of its document date; 0 without one.
fn month_of(main: &Table) -> Vec<i64> {
    let dates = main
        .entity
        .month
        .as_ref()
        .and_then(|m| main.column(m))
        .and_then(|c| c.as_primitive_opt::<Date32Type>());
    let Some(dates) = dates else { return vec![0; main.row.len()] };
    let epoch = NaiveDate::default();
    let number = |day: i32| {
        let date = epoch.checked_add_signed(Duration::days(i64::from(day)));
        date.map_or(0, |d| i64::from(d.year()) * 12 + i64::from(d.month()))
    };
    dates.iter().map(|d| d.map_or(0, number)).collect()
}

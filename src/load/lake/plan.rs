//! What a commit writes: reads what is held, decides with `fold`, and sorts the history rows to be written.
use super::{
    files::Files,
    layout::{Layout, Month},
    raw,
    rows::Writer,
    shelf::{Place, Seen, Shelf},
    state::{HistoryFile, State, Table},
};
use crate::{
    entity::Entity,
    error::{Error, Kind, Result},
    load::{
        Commit, Committed, Late, RawRecord, Rows,
        fold::{self, Census, ChildChanges, HeldRows, KeyMap, KeySet, Keys, REMOVE, UPSERT},
    },
    time::Timestamp,
};
use arrow::{
    array::{RecordBatch, StringArray, UInt64Array},
    compute::{concat_batches, take_record_batch},
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The tables a commit is compared with: the connection's, or those being rebuilt aside.
pub(super) struct View<'a> {
    pub(super) files: &'a Files,
    pub(super) layout: &'a Layout,
    pub(super) entities: &'a BTreeMap<String, Arc<Entity>>,
    /// Says which columns name parents.
    pub(super) state: &'a State,
    pub(super) tables: &'a BTreeMap<String, Table>,
    pub(super) seen: &'a BTreeMap<String, Seen>,
    /// Stands for what was seen of a table that was never written.
    pub(super) none: Seen,
}

/// Stands for a table that was never written.
static NO_TABLE: Table = Table { history: Vec::new(), months: BTreeSet::new(), fresh: false };

impl<'a> View<'a> {
    pub(super) fn shelf<'b>(&'b self, entity: &'b Entity) -> Shelf<'b> {
        let table = self.tables.get(&entity.name).unwrap_or(&NO_TABLE);
        let seen = self.seen.get(&entity.name).unwrap_or(&self.none);
        let parents = self.state.parent_columns(&entity.name);
        Shelf { files: self.files, layout: self.layout, entity, table, seen, parents }
    }
}

/// Unsorted history rows of one entity.
pub(super) struct Draft {
    pub(super) entity: Arc<Entity>,
    parts: Vec<RecordBatch>,
    months: Vec<Month>,
    left: BTreeMap<Month, BTreeSet<String>>,
}

/// Everything one commit writes.
pub(super) struct Plan {
    number: i64,
    pub(super) drafts: BTreeMap<String, Draft>,
    pub(super) raw: Vec<RawRecord>,
    pub(super) done: Committed,
}

/// `main`: the stream's main entity, known from the rows or from earlier commits. `children`: its child tables, with
/// the columns that name their parents.
pub(super) fn plan(
    view: &View<'_>,
    commit: &Commit,
    main: &Arc<Entity>,
    children: &BTreeMap<String, String>,
    number: i64,
) -> Result<Plan> {
    let done = Committed { commit_no: number, ..Committed::default() };
    let mut plan = Plan { number, drafts: BTreeMap::new(), raw: Vec::new(), done };
    let keys = commit.rows.as_ref().map(|rows| Keys::of(&rows.main, main)).transpose()?;
    let shelf = view.shelf(main);
    let incoming: KeySet = keys.iter().flat_map(|k| (0..k.len()).map(|row| k.key(row))).collect();
    let held = shelf.held(&incoming, &KeySet::default())?;
    if let (Some(rows), Some(keys)) = (&commit.rows, &keys) {
        plan.upsert(view, rows, keys, &held, commit)?;
    }
    if let Some(scan) = &commit.scan {
        let mut census = Census::new(scan, keys.as_ref(), &held)?;
        let mut places = Vec::new();
        shelf.each(|key, held| {
            if census.count(key, &held) {
                places.push(held.place);
            }
        })?;
        let missing = census.missing()?;
        plan.done.deleted = plan.bury(&shelf, main, places, scan.asked_at, commit.keep_raw)?;
        plan.bury_children(view, children, &missing, scan.asked_at)?;
    }
    Ok(plan)
}

impl Plan {
    fn draft(&mut self, entity: &Arc<Entity>) -> &mut Draft {
        self.drafts.entry(entity.name.clone()).or_insert_with(|| Draft::new(entity))
    }
    fn upsert(
        &mut self,
        view: &View<'_>,
        rows: &Rows,
        keys: &Keys<'_>,
        held: &HeldRows<Place>,
        commit: &Commit,
    ) -> Result<()> {
        let number = self.number;
        let changed = fold::changed(keys, held);
        let months = Month::of_rows(&rows.entity, &rows.main);
        self.draft(&rows.entity).write(
            &rows.main,
            keys,
            &changed,
            |row| months.get(row).copied(),
            held,
            number,
        )?;
        if commit.keep_raw {
            self.raw.extend(changed.iter().map(|row| {
                let body = rows.bodies.get(*row).cloned().unwrap_or_default();
                record(keys, *row, body, number)
            }));
        }
        self.done.changed = count(changed.len());
        self.done.late = Late::of(rows, &changed, commit.due);
        self.done.unchanged = count(keys.len()).saturating_sub(self.done.changed);
        let month_of: KeyMap<Month> =
            changed.iter().filter_map(|row| Some((keys.key(*row), months.get(*row).copied()?))).collect();
        // Only rows that were there before can have children to compare with.
        let known: Vec<u128> = month_of.keys().filter(|key| held.contains_key(*key)).copied().collect();
        for (child, batch) in rows.children.iter().filter(|_| !month_of.is_empty()) {
            let column = child.parent.as_ref().map_or("", |p| p.column.as_str());
            let month_of =
                month_of.iter().map(|(key, month)| (fold::owned_by(column, *key), *month)).collect();
            let known = fold::owners(child, known.iter().copied());
            self.upsert_children(view, child, batch, &month_of, &known)?;
        }
        Ok(())
    }
    fn upsert_children(
        &mut self,
        view: &View<'_>,
        child: &Arc<Entity>,
        batch: &RecordBatch,
        month_of: &KeyMap<Month>,
        known: &KeySet,
    ) -> Result<()> {
        let changed: KeySet = month_of.keys().copied().collect();
        let keys = Keys::of(batch, child)?;
        let incoming: KeySet = (0..keys.len()).map(|row| keys.key(row)).collect();
        let shelf = view.shelf(child);
        let held = shelf.held(&incoming, known)?;
        let ChildChanges { write, remove } = fold::child_changes(&keys, &changed, &held);
        self.done.child_changes += count(write.len()) + count(remove.len());
        let number = self.number;
        let gone = shelf.rows(remove.iter().filter_map(|key| held.get(key)).map(|h| h.place).collect())?;
        let draft = self.draft(child);
        draft.write(batch, &keys, &write, |row| month_of.get(&keys.parent(row)).copied(), &held, number)?;
        for (months, rows) in gone {
            draft.add(&rows, REMOVE, number, months)?;
        }
        Ok(())
    }
    /// Tombstones the rows at these places; how many.
    fn bury(
        &mut self,
        shelf: &Shelf<'_>,
        entity: &Arc<Entity>,
        places: Vec<Place>,
        asked_at: Timestamp,
        keep_raw: bool,
    ) -> Result<u64> {
        let buried = count(places.len());
        let number = self.number;
        for (months, rows) in shelf.rows(places)? {
            let rows = fold::buried(&rows, asked_at)?;
            if keep_raw {
                let keys = Keys::of(&rows, entity)?;
                let records = (0..keys.len()).map(|row| record(&keys, row, Bytes::new(), number));
                self.raw.extend(records.map(|r| RawRecord { deleted: true, ..r }));
            }
            self.draft(entity).add(&rows, UPSERT, number, months)?;
        }
        Ok(buried)
    }
    /// Tombstones the living children of `missing` parents, except what this very commit wrote.
    fn bury_children(
        &mut self,
        view: &View<'_>,
        children: &BTreeMap<String, String>,
        missing: &KeySet,
        asked_at: Timestamp,
    ) -> Result<()> {
        for (child, column) in children.iter().filter(|_| !missing.is_empty()) {
            let child = view.entities.get(child).ok_or_else(|| {
                Error::new(Kind::Bug, "a stored child table was not given to open").with("entity", child)
            })?;
            let owners: KeySet = missing.iter().map(|parent| fold::owned_by(column, *parent)).collect();
            let shelf = view.shelf(child);
            let written = self.drafts.get(&child.name).map(Draft::keys).transpose()?.unwrap_or_default();
            let held = shelf.held(&KeySet::default(), &owners)?;
            let places =
                held.into_iter().filter(|(key, h)| h.alive && !written.contains(key)).map(|(_, h)| h.place);
            let places = places.collect();
            self.done.child_changes += self.bury(&shelf, child, places, asked_at, false)?;
        }
        Ok(())
    }
}

fn record(keys: &Keys<'_>, row: usize, body: Bytes, commit_no: i64) -> RawRecord {
    let rank = keys.rank(row);
    RawRecord {
        key: keys.id(row).to_owned(),
        version: rank.version,
        read_at: Timestamp(rank.observed_at),
        deleted: false,
        body,
        received: None,
        commit_no,
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn indices(rows: impl Iterator<Item = usize>) -> UInt64Array {
    UInt64Array::from_iter_values(rows.map(count))
}

impl Draft {
    pub(super) fn new(entity: &Arc<Entity>) -> Self {
        let entity = Arc::clone(entity);
        Self { entity, parts: Vec::new(), months: Vec::new(), left: BTreeMap::new() }
    }
    /// Adds the picked rows of an incoming batch, and notes which of them leave another month.
    pub(super) fn write(
        &mut self,
        batch: &RecordBatch,
        keys: &Keys<'_>,
        picked: &[usize],
        month: impl Fn(usize) -> Option<Month>,
        held: &HeldRows<Place>,
        number: i64,
    ) -> Result<()> {
        let mut months = Vec::with_capacity(picked.len());
        for row in picked {
            let to = month(*row)
                .ok_or_else(|| Error::new(Kind::Bug, "a row has no month").with("id", keys.id(*row)))?;
            months.push(to);
            if let Some(from) = held.get(&keys.key(*row)).map(|h| h.place.month).filter(|from| *from != to) {
                self.left.entry(from).or_default().insert(keys.id(*row).to_owned());
            }
        }
        let rows = take_record_batch(batch, &indices(picked.iter().copied())).map_err(fold::arrow)?;
        self.add(&rows, UPSERT, number, months)
    }
    pub(super) fn add(
        &mut self,
        rows: &RecordBatch,
        op: &str,
        number: i64,
        months: Vec<Month>,
    ) -> Result<()> {
        if rows.num_rows() > 0 {
            self.parts.push(fold::as_history(rows, self.entity.history_schema(), op, number)?);
            self.months.extend(months);
        }
        Ok(())
    }
    fn keys(&self) -> Result<KeySet> {
        let mut all = KeySet::default();
        for part in &self.parts {
            let keys = Keys::of(part, &self.entity)?;
            all.extend((0..keys.len()).map(|row| keys.key(row)));
        }
        Ok(all)
    }
    /// Writes the rows of one stream, sorted, as an immutable history file; None when there are none.
    pub(super) fn keep(
        self,
        files: &Files,
        layout: &Layout,
        name: &str,
        stream: &str,
        number: i64,
    ) -> Result<Option<(HistoryFile, RecordBatch)>> {
        if self.parts.is_empty() {
            return Ok(None);
        }
        let schema = self.entity.history_schema();
        let all = concat_batches(&schema, &self.parts).map_err(fold::arrow)?;
        let ids: &StringArray = fold::column(&all, "id")?;
        let mut order: Vec<(Month, &str, usize)> = self
            .months
            .iter()
            .zip(ids.iter())
            .enumerate()
            .map(|(i, (m, id))| (*m, id.unwrap_or(""), i))
            .collect();
        order.sort_unstable();
        let sorted =
            take_record_batch(&all, &indices(order.iter().map(|(_, _, i)| *i))).map_err(fold::arrow)?;
        let sections =
            order.chunk_by(|a, b| a.0 == b.0).filter_map(|c| Some((c.first()?.0, c.len()))).collect();
        let mut writer = Writer::create(files, &layout.history(&self.entity.name, name), schema, None)?;
        writer.write(&sorted)?;
        let file = raw::keep(files, &writer.finish()?, number, sorted.num_rows())?;
        Ok(Some((
            HistoryFile { file, stream: stream.to_owned(), sections, left: self.left, published: false },
            sorted,
        )))
    }
}

//! History rows that a rebuild cannot make again, because their bodies are gone: taken over into the tables aside.
//!
//! They come before what is rebuilt of later commits, so that every rebuilt state is compared with the state before it,
//! and leaves the month where that one lies.
use super::{
    connection::Connection,
    layout::Month,
    plan::Draft,
    rebuild::Aside,
    rows::{self, Part},
    state::HistoryFile,
};
use crate::{
    entity::Entity,
    error::Result,
    load::{
        fold::{self, KeySet, Keys, REMOVE},
        key_hash,
    },
};
use arrow::array::{Array, BooleanArray, RecordBatch, StringArray};
use std::{collections::BTreeSet, sync::Arc};

/// History rows of one commit, with the month of each.
type Rows = (RecordBatch, Vec<Month>);

impl Connection {
    /// Takes over what cannot be made again of the commits up to `through` that were not looked at yet.
    pub(super) fn carry(&self, aside: &mut Aside, through: i64) -> Result<()> {
        let range = aside.carried.saturating_add(1)..=through;
        aside.carried = aside.carried.max(through);
        let Some(fed) = self.held.state.streams.get(&aside.stream) else { return Ok(()) };
        let history = |name: &str| self.held.state.tables.get(name).map_or(&[][..], |t| &t.history);
        let own = |f: &&HistoryFile| f.stream == aside.stream && range.contains(&f.file.commit_no);
        let commits: BTreeSet<i64> =
            history(&fed.main).iter().filter(own).map(|f| f.file.commit_no).collect();
        let tables = std::iter::once((&fed.main, "id"));
        let tables: Vec<_> = tables.chain(fed.children.iter().map(|(n, c)| (n, c.as_str()))).collect();
        let stream = aside.stream.clone();
        for commit_no in commits {
            let kept = self.kept_bodies(&stream, commit_no)?;
            for (name, column) in &tables {
                let files: Vec<&HistoryFile> = history(name)
                    .iter()
                    .filter(|f| f.stream == stream && f.file.commit_no == commit_no)
                    .collect();
                let Some(entity) = self.entities.get(*name).filter(|_| !files.is_empty()) else { continue };
                let rows = self.without_body(entity, &files, column, &kept)?;
                if rows.is_empty() && *name == &fed.main {
                    break;
                }
                self.carry_rows(aside, entity, rows, commit_no)?;
            }
        }
        Ok(())
    }
    /// Keys of the bodies that the stream's commit stored and that are still there.
    fn kept_bodies(&self, stream: &str, commit_no: i64) -> Result<KeySet> {
        let mut keys = KeySet::default();
        let parts = self.held.state.streams.get(stream).into_iter().flat_map(|s| &s.raw);
        for part in parts.filter(|part| part.commit_no == commit_no) {
            let read = Part { columns: &["key"], rows: Some(vec![part.range()]), schema: None };
            for batch in rows::read(&self.files, &self.layout.raw(stream, &part.name), read)? {
                let batch = batch?;
                keys.extend(fold::column::<StringArray>(&batch, "key")?.iter().flatten().map(key_hash));
            }
        }
        Ok(keys)
    }
    /// `column`: names the record that a row came with.
    fn without_body(
        &self,
        entity: &Entity,
        files: &[&HistoryFile],
        column: &str,
        kept: &KeySet,
    ) -> Result<Vec<Rows>> {
        let mut found = Vec::new();
        for file in files {
            let path = self.layout.history(&entity.name, &file.file.name);
            let (rows, schema) = (Some(vec![file.file.range()]), Some(entity.history_schema()));
            let mut months =
                file.sections.iter().flat_map(|(month, rows)| std::iter::repeat_n(*month, *rows));
            for batch in rows::read(&self.files, &path, Part { rows, schema, ..Part::default() })? {
                let batch = batch?;
                let of: &StringArray = fold::column(&batch, column)?;
                let gone = |row| of.is_valid(row) && !kept.contains(&key_hash(of.value(row)));
                let gone: Vec<bool> = (0..batch.num_rows()).map(gone).collect();
                let months: Vec<Month> = months.by_ref().take(batch.num_rows()).collect();
                let picked = months.into_iter().zip(&gone).filter(|(_, gone)| **gone).map(|(m, _)| m);
                let picked: Vec<Month> = picked.collect();
                if !picked.is_empty() {
                    found.push((filtered(&batch, |row| gone.get(row) == Some(&true))?, picked));
                }
            }
        }
        Ok(found)
    }
    fn carry_rows(
        &self,
        aside: &mut Aside,
        entity: &Arc<Entity>,
        rows: Vec<Rows>,
        commit_no: i64,
    ) -> Result<()> {
        let mut draft = Draft::new(entity);
        for (batch, months) in rows {
            let ops: &StringArray = fold::column(&batch, "op")?;
            let removed = |row: usize| ops.value(row) == REMOVE;
            let own: Vec<usize> = (0..entity.schema().fields().len()).collect();
            let states = batch.project(&own).map_err(fold::arrow)?;
            let keys = Keys::of(&states, entity)?;
            let ids: KeySet = (0..keys.len()).map(|row| keys.key(row)).collect();
            let view = self.view_of(&aside.known, &aside.tables, &aside.seen);
            let held = view.shelf(entity).held(&ids, &KeySet::default())?;
            let upserts: Vec<usize> = (0..keys.len()).filter(|row| !removed(*row)).collect();
            draft.write(&states, &keys, &upserts, |row| months.get(row).copied(), &held, commit_no)?;
            // A row is removed where it lies aside, which need not be where it lay.
            let place = |(row, month): (usize, &Month)| {
                removed(row).then(|| held.get(&keys.key(row)).map_or(*month, |h| h.place.month))
            };
            let places: Vec<Month> = months.iter().enumerate().filter_map(place).collect();
            draft.add(&filtered(&states, removed)?, REMOVE, commit_no, places)?;
        }
        let name = self.free_aside(aside, &entity.name, commit_no);
        if let Some((file, rows)) = draft.keep(&self.files, &self.layout, &name, &aside.stream, commit_no)? {
            aside.tables.entry(entity.name.clone()).or_default().history.push(file);
            aside.seen.entry(entity.name.clone()).or_default().absorb(&rows)?;
        }
        Ok(())
    }
}

fn filtered(batch: &RecordBatch, wanted: impl Fn(usize) -> bool) -> Result<RecordBatch> {
    let mask: BooleanArray = (0..batch.num_rows()).map(|row| Some(wanted(row))).collect();
    arrow::compute::filter_record_batch(batch, &mask).map_err(fold::arrow)
}

//! Many small files into few: the rows of several commits in one file, each commit's place in it named by the state.
//!
//! New files have new names; one replacement of the state document swaps them in, and the old ones go after it, while no
//! reader holds a guard. Absent on purpose: current files, which publishing keeps few, which bodies go (`retain`), and
//! how files are merged (`stack`).
use super::{
    connection::Connection,
    raw, retain,
    stack::{Effort, FILE_BYTES, Stack, count, spare},
    state::{HistoryFile, KeptFile, State},
};
use crate::{
    error::Result,
    load::{Compacted, LayerSize, Retained},
    time::Timestamp,
};
use arrow::datatypes::SchemaRef;
use std::{collections::BTreeSet, path::PathBuf};

/// (layer, its parts) of everything that is merged, one per folder and stream.
fn stacks(state: &State) -> Vec<(&'static str, Vec<KeptFile>)> {
    let mut all = Vec::new();
    for table in state.tables.values() {
        let streams: BTreeSet<&String> = table.history.iter().map(|f| &f.stream).collect();
        all.extend(streams.into_iter().map(|s| ("history", of_stream(&table.history, s))));
    }
    all.extend(state.streams.values().map(|s| ("raw", s.raw.clone())));
    all.push(("rejects", state.rejects.iter().map(|r| r.file.clone()).collect()));
    all.push(("issues", state.issues.clone()));
    all
}

fn of_stream(history: &[HistoryFile], stream: &str) -> Vec<KeptFile> {
    history.iter().filter(|f| f.stream == stream).map(|f| f.file.clone()).collect()
}

/// Files that a compaction would save, over all layers.
pub(super) fn spare_files(state: &State) -> u64 {
    stacks(state).iter().map(|(_, parts)| spare(parts)).sum()
}

/// (files, bytes) of a layer.
fn size(state: &State, layer: &str) -> (u64, u64) {
    let of_layer = stacks(state).into_iter().filter(|(l, _)| *l == layer).flat_map(|(_, parts)| parts);
    of_layer.fold((0, 0), |(files, bytes), part| (files + u64::from(part.start == 0), bytes + part.bytes))
}

impl Connection {
    /// Publishes what waits, then merges everything; with `before`, lets old bodies go.
    pub(super) fn compact(&mut self, before: Option<Timestamp>) -> Result<Compacted> {
        self.held.check()?;
        let waiting = self.held.state.tables.iter().filter(|(_, table)| table.waits());
        let waiting: BTreeSet<String> = waiting.map(|(name, _)| name.clone()).collect();
        self.publish_tables(&waiting)?;
        let mut next = self.held.state.clone();
        let mut old = Vec::new();
        let retained = self.write_bodies(&mut next, before, Effort::Whole, &mut old)?;
        self.merge_rest(&mut next, &mut old)?;
        let layer = |layer: &str| {
            let (before, after) = (size(&self.held.state, layer), size(&next, layer));
            LayerSize {
                layer: layer.to_owned(),
                files_before: before.0,
                files_after: after.0,
                bytes_before: before.1,
                bytes_after: after.1,
            }
        };
        let layers = ["history", "raw", "rejects", "issues"].map(layer).into();
        if !old.is_empty() {
            next.retained_before = next.retained_before.max(before);
            self.exchange_files(next, &old)?;
        }
        Ok(Compacted { bodies_removed: retained.removed, layers })
    }
    /// Lets bodies go that were read before `before` and of which a later one is stored, where it is worth it.
    pub(super) fn retain(&mut self, before: Timestamp) -> Result<Retained> {
        self.held.check()?;
        let mut next = self.held.state.clone();
        let mut old = Vec::new();
        let retained = self.write_bodies(&mut next, Some(before), Effort::Little, &mut old)?;
        next.retained_before = Some(before);
        self.exchange_files(next, &old)?;
        Ok(retained)
    }
    fn stack(
        &self,
        layer: &str,
        of: Option<&str>,
        schema: SchemaRef,
        wide: Option<&'static str>,
    ) -> Stack<'_> {
        let folder = self.layout.kept(layer, of);
        Stack { files: &self.files, folder, schema, wide, epoch: self.held.state.epoch, full: FILE_BYTES }
    }
    fn write_bodies(
        &self,
        next: &mut State,
        before: Option<Timestamp>,
        effort: Effort,
        old: &mut Vec<PathBuf>,
    ) -> Result<Retained> {
        let mut done = Retained::default();
        for (name, stream) in &mut next.streams {
            let stack = self.stack("raw", Some(name), raw::record_schema(), Some("body"));
            let goes = match before {
                Some(before) => retain::superseded(&self.files, &stack.folder, &stream.raw, before)?,
                None => Vec::new(),
            };
            let all = count(goes.iter().flatten().filter(|goes| **goes).count());
            let rows = |parts: &[KeptFile]| parts.iter().map(|part| part.rows).sum::<u64>();
            let stored = rows(&stream.raw);
            old.extend(stack.merge(&mut stream.raw, &goes, effort)?);
            let removed = stored - rows(&stream.raw);
            if removed > 0 {
                stream.bodies_from = stream.bodies_from.max(before);
            }
            done.removed += removed;
            done.waiting += all - removed;
        }
        Ok(done)
    }
    fn merge_rest(&self, next: &mut State, old: &mut Vec<PathBuf>) -> Result<()> {
        for (name, table) in &mut next.tables {
            let Some(entity) = self.entities.get(name) else { continue };
            let stack = self.stack("history", Some(name), entity.history_schema(), None);
            let streams: BTreeSet<String> = table.history.iter().map(|f| f.stream.clone()).collect();
            for stream in streams {
                let mut parts = of_stream(&table.history, &stream);
                old.extend(stack.merge(&mut parts, &[], Effort::Whole)?);
                let own = table.history.iter_mut().filter(|f| f.stream == stream);
                own.zip(parts).for_each(|(entry, part)| entry.file = part);
            }
        }
        let stack = self.stack("rejects", None, raw::reject_schema(), Some("body"));
        let mut parts: Vec<KeptFile> = next.rejects.iter().map(|r| r.file.clone()).collect();
        old.extend(stack.merge(&mut parts, &[], Effort::Whole)?);
        next.rejects.iter_mut().zip(parts).for_each(|(entry, part)| entry.file = part);
        let stack = self.stack("issues", None, super::issues::schema(), None);
        old.extend(stack.merge(&mut next.issues, &[], Effort::Whole)?);
        Ok(())
    }
    /// The state that names other files takes the place of the old one; then what it does not name goes.
    fn exchange_files(&mut self, next: State, old: &[PathBuf]) -> Result<()> {
        let _guard = (!old.is_empty()).then(|| self.hold_readers_off()).transpose()?;
        self.held.replace(next)?;
        old.iter().try_for_each(|path| self.files.remove(path))
    }
}

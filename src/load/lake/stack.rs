//! Files of one kind: which of them are worth writing again, and how they are merged.
//!
//! Rows are copied as they are, in the order of their commits, a row group at a time. Absent on purpose: what a row
//! means, the state document, and locks (`compact`).
use super::{
    files::Files,
    layout::merged_file,
    raw,
    rows::{self, Part, Writer},
    state::KeptFile,
};
use crate::{error::Result, load::fold};
use arrow::{
    array::{BooleanArray, RecordBatch},
    datatypes::SchemaRef,
};
use std::{
    ops::Range,
    path::{Path, PathBuf},
};

/// A file of this size is full: it is not merged with others again.
pub(super) const FILE_BYTES: u64 = 128 << 20;
/// A sync writes a file of bodies again when at least one row in so many goes: at most three bytes written for one
/// that is freed. A compaction does it for any row.
const RETAIN_SHARE: u64 = 4;

/// Which files are worth writing again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// Those of which enough goes.
    Little,
    /// Those too that are small or of which anything goes.
    Whole,
}

/// Rows of a part that go, in order; empty: none.
pub(super) type Goes = Vec<bool>;

/// Files of one kind in one folder.
pub(super) struct Stack<'a> {
    pub(super) files: &'a Files,
    pub(super) folder: PathBuf,
    /// Of new files; columns that an older file lacks become NULL.
    pub(super) schema: SchemaRef,
    /// A column of large values that never repeat.
    pub(super) wide: Option<&'static str>,
    /// Of the writer: part of new names.
    pub(super) epoch: i64,
    /// Size of a full file, bytes.
    pub(super) full: u64,
}

/// Parts that lie in the same file.
struct Group {
    parts: Range<usize>,
    rows: u64,
    bytes: u64,
    gone: u64,
}

pub(super) fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

/// One for each file, in order.
fn groups(parts: &[KeptFile], goes: &[Goes]) -> Vec<Group> {
    let mut found: Vec<Group> = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let gone = goes.get(at).map_or(0, |goes| count(goes.iter().filter(|goes| **goes).count()));
        if part.start == 0 {
            found.push(Group { parts: at..at, rows: 0, bytes: 0, gone: 0 });
        }
        if let Some(group) = found.last_mut() {
            group.parts.end = at + 1;
            group.rows += part.rows;
            group.bytes += part.bytes;
            group.gone += gone;
        }
    }
    found
}

impl Group {
    fn worth(&self, effort: Effort, full: u64) -> bool {
        match effort {
            Effort::Little => self.gone > 0 && self.gone.saturating_mul(RETAIN_SHARE) >= self.rows,
            Effort::Whole => self.gone > 0 || self.bytes < full,
        }
    }
}

/// Neighbours that are to become one file or more, among groups that are worth it or not.
fn runs<'a>(groups: &'a [Group], worth: &'a [bool]) -> impl Iterator<Item = &'a [Group]> {
    let all: Vec<(usize, bool)> = worth.iter().copied().enumerate().collect();
    let runs: Vec<Range<usize>> = all
        .chunk_by(|a, b| a.1 && b.1)
        .filter(|run| run.first().is_some_and(|(_, worth)| *worth))
        .filter_map(|run| Some(run.first()?.0..run.last()?.0 + 1))
        .collect();
    let alone = |run: &&[Group]| run.len() > 1 || run.iter().any(|group| group.gone > 0);
    runs.into_iter().filter_map(|run| groups.get(run)).filter(alone)
}

/// Files that a compaction would save.
pub(super) fn spare(parts: &[KeptFile]) -> u64 {
    let groups = groups(parts, &[]);
    let worth: Vec<bool> = groups.iter().map(|g| g.worth(Effort::Whole, FILE_BYTES)).collect();
    runs(&groups, &worth).map(|run| count(run.len()) - 1).sum()
}

impl Stack<'_> {
    /// Brings what is worth it into new files; parts without rows are dropped. Returns the files that are not needed
    /// any more.
    pub(super) fn merge(
        &self,
        parts: &mut Vec<KeptFile>,
        goes: &[Goes],
        effort: Effort,
    ) -> Result<Vec<PathBuf>> {
        let groups = groups(parts, goes);
        let mut worth = Vec::new();
        for group in &groups {
            let file = parts.get(group.parts.start).map(|part| self.folder.join(&part.name));
            let fits = |file: PathBuf| self.fits(&file);
            worth
                .push(group.worth(effort, self.full) && file.map(fits).transpose()?.is_some_and(|fits| fits));
        }
        let mut replaced = Vec::new();
        for run in runs(&groups, &worth) {
            let range = run.first().map_or(0, |g| g.parts.start)..run.last().map_or(0, |g| g.parts.end);
            let (Some(run), goes) = (parts.get_mut(range.clone()), goes.get(range)) else { continue };
            replaced.extend(run.iter().filter(|p| p.start == 0).map(|p| self.folder.join(&p.name)));
            self.rewrite(run, goes.unwrap_or_default())?;
        }
        parts.retain(|part| part.rows > 0);
        Ok(replaced)
    }
    /// False for a file with a column that its table does not have any more: it is left as it is.
    fn fits(&self, file: &Path) -> Result<bool> {
        let there = rows::columns(self.files, file)?;
        Ok(there.fields().iter().all(|field| self.schema.column_with_name(field.name()).is_some()))
    }
    fn rewrite(&self, parts: &mut [KeptFile], goes: &[Goes]) -> Result<()> {
        let mut out: Option<Writer> = None;
        let (mut rows, mut first) = (0, 0);
        for at in 0..parts.len() {
            let Some(part) = parts.get(at) else { break };
            let (commit_no, start) = (part.commit_no, rows);
            self.stay(part, goes.get(at).map_or(&[], Vec::as_slice), |batch| {
                let mut writer = match out.take() {
                    Some(writer) => writer,
                    None => {
                        Writer::create(self.files, &self.free(commit_no), self.schema.clone(), self.wide)?
                    }
                };
                rows += count(batch.num_rows());
                writer.write(&batch)?;
                out = Some(writer);
                Ok(())
            })?;
            if let Some(part) = parts.get_mut(at) {
                (part.start, part.rows) = (start, rows - start);
            }
            let last = at + 1 == parts.len();
            if let Some(writer) = out.take_if(|out| last || out.bytes() >= self.full) {
                self.finish(writer, parts.get_mut(first..=at).unwrap_or_default(), rows)?;
                (rows, first) = (0, at + 1);
            }
        }
        Ok(())
    }
    /// Shows the rows of a part that stay.
    fn stay(
        &self,
        part: &KeptFile,
        goes: &[bool],
        mut show: impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let read =
            Part { rows: Some(vec![part.range()]), schema: Some(self.schema.clone()), ..Part::default() };
        let mut goes = goes.iter();
        for batch in rows::read(self.files, &self.folder.join(&part.name), read)? {
            let batch = batch?;
            let stays = (0..batch.num_rows()).map(|_| Some(!goes.next().copied().unwrap_or(false)));
            let stays: BooleanArray = stays.collect();
            let batch = arrow::compute::filter_record_batch(&batch, &stays).map_err(fold::arrow)?;
            if batch.num_rows() > 0 {
                show(batch)?;
            }
        }
        Ok(())
    }
    fn finish(&self, writer: Writer, parts: &mut [KeptFile], rows: u64) -> Result<()> {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let file = raw::keep(self.files, &writer.finish()?, 0, rows)?;
        let mut bytes = file.bytes;
        for part in parts.iter_mut().filter(|part| part.rows > 0) {
            part.name.clone_from(&file.name);
            part.bytes = std::mem::take(&mut bytes);
        }
        Ok(())
    }
    /// A name that no file has.
    fn free(&self, commit_no: i64) -> PathBuf {
        let mut nth = 0;
        loop {
            let path = self.folder.join(merged_file(commit_no, self.epoch, nth));
            if !path.exists() {
                return path;
            }
            nth += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{ConnectionId, Owner, TenantId},
        load::{RawRecord, lake::layout::Layout},
        time::Timestamp,
    };
    use bytes::Bytes;

    fn record(commit_no: i64, key: usize) -> RawRecord {
        let body = Bytes::from(format!("{{\"id\":\"{key}\",\"of\":{commit_no}}}"));
        RawRecord {
            key: key.to_string(),
            version: 0,
            read_at: Timestamp(commit_no),
            deleted: false,
            body,
            received: None,
            commit_no,
        }
    }

    /// A row group of bodies is 2,048 rows, and only what was written counts.
    #[test]
    fn a_full_file_is_followed_by_another_and_is_not_merged_again() {
        let home = tempfile::tempdir().unwrap();
        let owner = Owner {
            tenant: TenantId::parse("acme").unwrap(),
            connection: ConnectionId::parse("main").unwrap(),
        };
        let (files, layout) = (Files::default(), Layout::new(home.path(), &owner));
        let mut parts = Vec::new();
        for commit_no in 1..=7 {
            let records: Vec<_> = (0..2_500).map(|key| record(commit_no, key)).collect();
            parts.extend(raw::write(&files, &layout, "bills", &records).unwrap());
        }
        let one = parts[0].bytes;
        let stack = Stack {
            files: &files,
            folder: layout.kept("raw", Some("bills")),
            schema: raw::record_schema(),
            wide: Some("body"),
            epoch: 1,
            full: one * 2,
        };
        let read = |parts: &[KeptFile]| -> Vec<_> {
            parts.iter().map(|part| raw::read(&files, &layout, "bills", part).unwrap()).collect()
        };
        let before = read(&parts);
        let old = stack.merge(&mut parts, &[], Effort::Whole).unwrap();
        assert_eq!(old.len(), 7);
        assert_eq!(read(&parts), before);
        let sizes: Vec<(u64, u64)> = groups(&parts, &[]).iter().map(|g| (g.rows / 2_500, g.bytes)).collect();
        assert!(sizes.len() > 1 && sizes.len() < 7, "{sizes:?}");
        assert!(sizes.iter().rev().skip(1).all(|(_, bytes)| *bytes >= one * 2), "{sizes:?}");
        let names: Vec<String> = parts.iter().map(|p| p.name.clone()).collect();
        assert!(stack.merge(&mut parts, &[], Effort::Whole).unwrap().is_empty(), "a second time");
        assert_eq!(parts.iter().map(|p| p.name.clone()).collect::<Vec<_>>(), names);

        let mut goes: Vec<Goes> = vec![Vec::new(); 7];
        goes[0] = (0..2_500).map(|row| row < 100).collect();
        assert!(stack.merge(&mut parts, &goes, Effort::Little).unwrap().is_empty(), "not worth it");
        let old = stack.merge(&mut parts, &goes, Effort::Whole).unwrap();
        assert!(!old.is_empty());
        let after = read(&parts);
        assert_eq!((after[0].len(), &after[0][..], &after[1..]), (2_400, &before[0][100..], &before[1..]));
    }
}

//! Which records of a sweep's pages are worth normalizing? Those whose id or version is not stored; the others are seen
//! and counted, in 16 bytes each.
//!
//! Reads only key, version and deleted flag of a record. Absent on purpose: a change that the provider did not give a
//! new version; a sweep in full finds those.
use crate::{
    decode::{Decoder, Keys, Mark, Page, Struct},
    entity::Entity,
    error::{Error, Kind, Result},
    load::{Destination, key_hash},
    manifest::Stream,
};
use arrow::{
    array::{Array, AsArray},
    datatypes::Int64Type,
};
use std::{
    collections::{HashMap, HashSet},
    mem,
};

/// Stands among the keys for a record whose key could not be read, so that later parts of a sweep know of it.
const HOLE: u128 = 0;

/// What is stored of a key.
#[derive(Clone, Copy)]
struct State {
    version: i64,
    alive: bool,
}

/// One stream's sweep.
pub(super) struct Sift {
    decoder: Decoder,
    /// By `key_hash`; None: every record is passed on.
    stored: Option<HashMap<u128, State>>,
    seen: HashSet<u128>,
    /// Seen and not committed.
    fresh: Vec<u128>,
    /// A record had no readable key.
    pub(super) hole: bool,
    same: u64,
    no_cursor: u64,
}

impl Sift {
    /// `seen`: by earlier runs of the sweep. `ids_only` needs a version: a stream without one is swept in full.
    pub(super) async fn new<D: Destination>(
        stream: &Stream,
        ids_only: bool,
        seen: Vec<u128>,
        destination: &mut D,
    ) -> Result<Self> {
        let main = stream.feeds.first().filter(|_| ids_only && stream.version.is_some());
        let stored = match main {
            Some(main) => Some(stored(&main.entity, destination).await?),
            None => None,
        };
        let wanted = [
            Some(&stream.key),
            stream.version.as_ref(),
            stream.deleted.as_ref().map(Mark::field),
            stream.updated.as_ref(),
        ];
        let mut shape = Struct::default();
        shape.fields.extend(stream.record.fields.iter().filter(|f| wanted.contains(&Some(&f.name))).cloned());
        let keys = Keys {
            key: stream.key.clone(),
            version: stream.version.clone(),
            updated: stream.updated.clone(),
            deleted: stream.deleted.clone(),
        };
        let decoder = Decoder::new(&stream.name, &shape, &keys)?;
        let seen: HashSet<u128> = seen.into_iter().collect();
        let hole = seen.contains(&HOLE);
        Ok(Self { decoder, stored, seen, fresh: Vec::new(), hole, same: 0, no_cursor: 0 })
    }
    /// Notes the keys of a page and takes out of it what is stored already. A record that cannot be read stays in.
    pub(super) fn page(&mut self, page: &mut Page) -> Result<()> {
        let mut kept = Vec::new();
        for range in mem::take(&mut page.records) {
            let one = std::iter::once(range.clone()).collect();
            self.decoder.push(&Page { records: one, ..page.clone() });
            let (records, rejects) = self.decoder.finish()?;
            self.no_cursor += records.updated_at.iter().filter(|at| at.is_none()).count() as u64;
            let key = records.key.first().or(rejects.first().and_then(|r| r.key.as_ref()));
            self.hole |= key.is_none();
            let key = key.map(|key| key_hash(key));
            if let Some(key) = key.or(Some(HOLE)).filter(|key| self.seen.insert(*key)) {
                self.fresh.push(key);
            }
            let found = key.zip(records.version.first().copied()).zip(records.deleted.first().copied());
            match found {
                Some(((key, version), deleted)) if self.is_stored(key, version, !deleted) => self.same += 1,
                _ => kept.push(range),
            }
        }
        page.records = kept;
        Ok(())
    }
    fn is_stored(&self, key: u128, version: i64, alive: bool) -> bool {
        let stored = self.stored.as_ref().and_then(|all| all.get(&key));
        stored.is_some_and(|s| s.version > version || (s.version == version && s.alive == alive))
    }
    /// Keys seen since the last call.
    pub(super) fn fresh(&mut self) -> Vec<u128> {
        mem::take(&mut self.fresh)
    }
    /// Records taken out since the last call.
    pub(super) fn same(&mut self) -> u64 {
        mem::take(&mut self.same)
    }
    /// Records without a modification time so far.
    pub(super) fn no_cursor(&self) -> u64 {
        self.no_cursor
    }
    /// All keys, at the end.
    pub(super) fn seen(&mut self) -> HashSet<u128> {
        mem::take(&mut self.seen)
    }
}

async fn stored<D: Destination>(main: &Entity, destination: &mut D) -> Result<HashMap<u128, State>> {
    let mut all = HashMap::new();
    destination
        .each(main, &mut |batch| {
            let column = |name: &str| {
                batch.column_by_name(name).ok_or_else(|| Error::new(Kind::Bug, "a batch lacks a column"))
            };
            let versions = column("version")?.as_primitive_opt::<Int64Type>();
            let deleted = column("deleted_at")?;
            let ids = column("id")?.as_string_opt::<i32>();
            for (row, id) in ids.into_iter().flatten().enumerate() {
                let version = versions.filter(|v| row < v.len()).map_or(0, |v| v.value(row));
                let state = State { version, alive: deleted.is_null(row) };
                all.insert(key_hash(id.unwrap_or_default()), state);
            }
            Ok(())
        })
        .await?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        load::memory::{Memory, Store},
        manifest,
        time::Timestamp,
    };
    use std::sync::{Arc, Mutex};

    async fn part(records: &[&str], seen: Vec<u128>) -> Result<Sift> {
        let catalog = manifest::catalog(None)?;
        let stream = catalog.connector("chargebee")?.streams.iter().find(|s| s.name == "customers").cloned();
        let stream = stream.ok_or_else(|| Error::new(Kind::Bug, "no customers"))?;
        let mut memory = Memory::new(Arc::new(Mutex::new(Store::default())));
        let mut sift = Sift::new(&stream, false, seen, &mut memory).await?;
        let body = records.concat();
        let ranges = records.iter().scan(0, |at, record| {
            let from = *at;
            *at += record.len();
            Some(from..*at)
        });
        let asked_at = Timestamp(0);
        let mut page =
            Page { records: ranges.collect(), body: body.into(), next: None, total: None, asked_at };
        sift.page(&mut page)?;
        Ok(sift)
    }

    #[tokio::test]
    async fn a_record_without_a_readable_key_is_remembered_by_the_later_parts_of_a_sweep() -> Result<()> {
        for (second, hole) in [(r#"{"id":"b"}"#, false), (r#"{"id":{}}"#, true)] {
            let mut first = part(&[r#"{"id":"a"}"#, second], Vec::new()).await?;
            assert_eq!(first.hole, hole, "{second}");
            let later = part(&[r#"{"id":"c"}"#], first.fresh()).await?;
            assert_eq!(later.hole, hole, "after {second}");
        }
        Ok(())
    }
}

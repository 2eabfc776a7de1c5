//! Which stored rows may a fresh read of the source lack without being wrong?
//!
//! Rows that may be from before a pipeline's `start`: a fresh read begins there, but a sync also stores an older document
//! when it changes. And rows of a scanned list that were first seen so shortly before the last scan that it did not
//! speak for them (`lag`): when they are gone, the next sync finds them deleted. Only such rows that are here alone are
//! left out; one that is missing or differs is still found.
use super::tables::Fed;
use crate::{
    audit::key64,
    error::{Error, Kind, Result},
    load::Destination,
    manifest::{Cursor, Stream},
    sync::Job,
    time::Timestamp,
};
use arrow::{array::AsArray, datatypes::TimestampMicrosecondType};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Keys by main table. `through`: how far both sides know each.
pub(super) async fn rows<A: Destination, B: Destination>(
    here: &mut A,
    there: &mut B,
    tables: &[Fed],
    job: &Job,
    through: &BTreeMap<String, Timestamp>,
) -> Result<HashMap<String, HashSet<u64>>> {
    let mut found = HashMap::new();
    for table in tables.iter().filter(|t| t.parents.is_empty()) {
        let through = through.get(&table.entity.name).copied();
        let fed_by = |s: &&std::sync::Arc<Stream>| table.streams.contains(&s.name);
        let since = job.streams.iter().filter(fed_by).filter_map(|stream| match &stream.cursor {
            Cursor::Window { slices: Some(_), .. } if job.options.start.is_some() => Some(i64::MIN),
            Cursor::Window { .. } => None,
            Cursor::Snapshot { lag, .. } => Some(through?.minus(*lag).0),
        });
        let Some(since) = since.min() else { continue };
        let mut alone = keys(here, table, since).await?;
        if !alone.is_empty() {
            let fresh = keys(there, table, i64::MIN).await?;
            alone.retain(|key| !fresh.contains(key));
            found.insert(table.entity.name.clone(), alone);
        }
    }
    Ok(found)
}

/// Keys of the rows that were first seen as they are after `since`.
async fn keys<D: Destination>(destination: &mut D, table: &Fed, since: i64) -> Result<HashSet<u64>> {
    let mut keys = HashSet::new();
    let lacks = |what| Error::new(Kind::Bug, "a batch lacks a column").with("column", what);
    destination
        .each(&table.entity, &mut |batch| {
            let column = |name| batch.column_by_name(name).ok_or_else(|| lacks(name));
            let ids = column("id")?.as_string_opt::<i32>().ok_or_else(|| lacks("id"))?;
            let observed = column("observed_at")?.as_primitive_opt::<TimestampMicrosecondType>();
            let observed = observed.ok_or_else(|| lacks("observed_at"))?;
            let young = ids.iter().zip(observed).filter(|(_, at)| at.is_some_and(|at| at > since));
            keys.extend(young.filter_map(|(id, _)| id).map(key64));
            Ok(())
        })
        .await?;
    Ok(keys)
}

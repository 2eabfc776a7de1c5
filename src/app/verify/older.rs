//! Which stored rows may be from before a pipeline's `start`? A fresh read begins there, but a sync also stores an
//! older document when it changes: such a row is here, not there, and that says nothing.
//!
//! So of streams that `start` cuts, a row that is only here is left out; one that is missing or differs is still found.
use super::tables::Fed;
use crate::{
    audit::key64,
    error::{Error, Kind, Result},
    load::Destination,
    manifest::{Cursor, Stream},
};
use arrow::array::AsArray;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Keys by main table of those streams.
pub(super) async fn older<A: Destination, B: Destination>(
    here: &mut A,
    there: &mut B,
    tables: &[Fed],
    streams: &[Arc<Stream>],
) -> Result<HashMap<String, HashSet<u64>>> {
    let cut = |s: &&Arc<Stream>| matches!(&s.cursor, Cursor::Window { slices: Some(_), .. });
    let cut: HashSet<&str> = streams.iter().filter(cut).map(|s| s.name.as_str()).collect();
    let mut found = HashMap::new();
    for table in tables.iter().filter(|t| t.parents.is_empty()) {
        if !table.streams.iter().any(|stream| cut.contains(stream.as_str())) {
            continue;
        }
        let fresh = keys(there, table).await?;
        let mut only_here = keys(here, table).await?;
        only_here.retain(|key| !fresh.contains(key));
        found.insert(table.entity.name.clone(), only_here);
    }
    Ok(found)
}

async fn keys<D: Destination>(destination: &mut D, table: &Fed) -> Result<HashSet<u64>> {
    let mut keys = HashSet::new();
    destination
        .each(&table.entity, &mut |batch| {
            let ids = batch.column_by_name("id").and_then(|c| c.as_string_opt::<i32>());
            let ids = ids.ok_or_else(|| Error::new(Kind::Bug, "a batch lacks its ids"))?;
            keys.extend(ids.iter().flatten().map(key64));
            Ok(())
        })
        .await?;
    Ok(keys)
}

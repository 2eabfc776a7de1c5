//! Which quarantined records does a commit make moot? Those of a key whose record arrives again and fits now.
//!
//! Absent on purpose: trying a record again (`redrive`).
use super::Job;
use crate::{
    error::Result,
    load::{Commit, Destination, Rows},
    manifest::Stream,
    time::Timestamp,
};
use arrow::{
    array::AsArray,
    datatypes::{Int64Type, TimestampMicrosecondType},
};
use std::collections::HashMap;

/// A quarantined record: its id, when it was asked for, and its version.
type Record = (String, Timestamp, i64);

/// Quarantined records of a connection, by stream and key, as they were when the run began. Those whose key or version
/// cannot be read stay until they are redriven: nothing shows that another state is newer.
#[derive(Debug, Default)]
pub(super) struct Quarantined(HashMap<String, HashMap<String, Vec<Record>>>);

impl Quarantined {
    pub(super) async fn read<D: Destination>(destination: &mut D, job: &Job) -> Result<Self> {
        let mut all = Self::default();
        for stored in destination.rejects(&job.facts.owner).await? {
            let reject = stored.reject;
            let stream = job.connector.streams.iter().find(|s| s.name == reject.stream);
            let version = stream.and_then(|stream| version(stream, &reject.body));
            if let (Some(key), Some(version)) = (reject.key, version) {
                let of_stream = all.0.entry(reject.stream).or_default();
                of_stream.entry(key).or_default().push((stored.id, reject.asked_at, version));
            }
        }
        Ok(all)
    }

    /// Lets the commit resolve what its rows supersede: a state of no lower version, asked for no earlier.
    pub(super) fn supersede(&mut self, commit: &mut Commit) {
        let Some(records) = self.0.get_mut(&commit.stream).filter(|records| !records.is_empty()) else {
            return;
        };
        let Some(rows) = &commit.rows else { return };
        for (id, observed_at, version) in states(rows) {
            let Some(of_key) = records.get_mut(id) else { continue };
            let moot = of_key.extract_if(.., |(_, asked_at, v)| *asked_at <= observed_at && *v <= version);
            commit.resolves.extend(moot.map(|(id, ..)| id));
        }
    }
}

/// The record's version, 0 where the stream has none; None when it cannot be read.
pub(super) fn version(stream: &Stream, body: &[u8]) -> Option<i64> {
    let Some(field) = &stream.version else { return Some(0) };
    serde_json::from_slice::<serde_json::Value>(body).ok()?.get(field)?.as_i64()
}

/// Id, `observed_at` and version of each main row.
fn states(rows: &Rows) -> impl Iterator<Item = (&str, Timestamp, i64)> {
    let ids = rows.main.column_by_name("id").and_then(|c| c.as_string_opt::<i32>());
    let at = rows.main.column_by_name("observed_at");
    let at = at.and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
    let version = rows.main.column_by_name("version").and_then(|c| c.as_primitive_opt::<Int64Type>());
    let all = ids.into_iter().flatten().zip(at.into_iter().flatten()).zip(version.into_iter().flatten());
    all.filter_map(|((id, at), version)| Some((id?, Timestamp(at?), version?)))
}

//! Quarantined records again, through the connector as it is now.
use super::{Job, Normalizers, erase, normalizers::decoder};
use crate::{
    checkpoint::Checkpoint,
    decode::Page,
    error::Result,
    load::{Commit, Destination, StoredReject},
    manifest::Stream,
    time::Timestamp,
};
use std::{collections::BTreeSet, sync::Arc};

/// What came of a stream's quarantined records.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Redriven {
    /// Stream.
    pub stream: String,
    /// Records that fit now; resolved.
    pub accepted: u64,
    /// Of those, states newer than what is stored.
    pub changed: u64,
    /// Records that still do not fit; they stay.
    pub rejected: u64,
}

/// Redrives these records of one stream, oldest first. The connection must be open; its checkpoint is `checkpoint`.
pub async fn redrive<D: Destination>(
    job: &Job,
    stream: &Arc<Stream>,
    stored: Vec<StoredReject>,
    checkpoint: Checkpoint,
    destination: &mut D,
    normalizers: &Normalizers,
    now: Timestamp,
) -> Result<Redriven> {
    let normalizer = normalizers.get(&job.connector, stream).await?;
    let mut decoder = decoder(stream)?;
    for record in &stored {
        let body = record.reject.body.clone();
        let records = std::iter::once(0..body.len()).collect();
        decoder.push(&Page { body, records, next: None, total: None, asked_at: record.reject.asked_at });
    }
    let (decoded, mut rejects) = decoder.finish()?;
    let cleared = erase::told(stream, &decoded);
    let mut normalized = normalizer.run(&job.facts, &decoded).await?;
    rejects.extend(normalized.rejects);
    let still: BTreeSet<_> = rejects.iter().map(|r| (r.asked_at, r.body.clone())).collect();
    let fits = |s: &&StoredReject| !still.contains(&(s.reject.asked_at, s.reject.body.clone()));
    let resolves: Vec<String> = stored.iter().filter(fits).map(|s| s.id.clone()).collect();
    let mut done = Redriven {
        stream: stream.name.clone(),
        accepted: resolves.len() as u64,
        changed: 0,
        rejected: rejects.len() as u64,
    };
    if resolves.is_empty() {
        return Ok(done);
    }
    if let Some(rows) = &mut normalized.rows {
        let bygone = erase::Bygone::read(job, stream, destination).await?;
        bygone.leave_out(rows, &mut normalized.issues)?;
    }
    let commit = Commit {
        stream: stream.name.clone(),
        rows: normalized.rows,
        rejects: Vec::new(),
        issues: normalized.issues,
        scan: None,
        checkpoint,
        keep_raw: job.keep_raw,
        as_of: None,
        resolves,
        seen: Vec::new(),
        due: None,
        cleared,
    };
    done.changed = destination.commit(commit).await?.changed;
    erase::pending(job, destination, now).await?;
    destination.publish(&stream.name).await?;
    Ok(done)
}

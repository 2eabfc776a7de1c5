//! Unified rows again, from the stored bodies: what a changed mapping, zone or column needs.
use super::{Job, Normalizers, erase, normalizers::decoder};
use crate::{
    checkpoint::{Checkpoint, Phase},
    decode::Page,
    error::{Error, Kind, Result},
    load::{Commit, CompleteScan, Destination, Diff, RawRecord, Scanned, erase::blank_all, key_hash},
    manifest::Stream,
};
use arrow::array::RecordBatch;
use std::{collections::HashSet, sync::Arc};

/// What a rebuild did or would do to one stream's entities.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Rebuilt {
    /// Stream.
    pub stream: String,
    /// Stored bodies read.
    pub bodies: u64,
    /// Bodies that the current mapping refuses.
    pub rejected: u64,
    /// Per entity.
    pub diffs: Vec<Diff>,
}

/// Rebuilds one stream aside and, with `apply`, swaps it in. The connection must be open.
/// Fails `Invalid` when the destination keeps rows of the stream and no bodies; what is there stays.
pub async fn rebuild<D: Destination>(
    job: &Job,
    stream: &Arc<Stream>,
    destination: &mut D,
    normalizers: &Normalizers,
    apply: bool,
) -> Result<Rebuilt> {
    let normalizer = normalizers.get(&job.connector, stream).await?;
    let mut decoder = decoder(stream)?;
    let mut rebuilt = Rebuilt { stream: stream.name.clone(), bodies: 0, rejected: 0, diffs: Vec::new() };
    let bygone = erase::Bygone::read(job, stream, destination).await?;
    let mut after = 0;
    let mut begun = false;
    while let Some((commit_no, records)) = destination.raw_after(&stream.name, after).await? {
        if !begun {
            destination.rebuild_begin(&stream.name).await?;
            begun = true;
        }
        after = commit_no;
        rebuilt.bodies += records.len() as u64;
        let mut received = Vec::new();
        for record in records.iter().filter(|r| !r.deleted) {
            let before = decoder.len();
            decoder.push(&page(record));
            received.extend((decoder.len() > before).then_some(record.received));
        }
        let (mut decoded, rejects) = decoder.finish()?;
        // States that only differ in what was cut out of them stay different ones.
        for (hash, received) in decoded.body_hash.iter_mut().zip(received) {
            *hash = received.unwrap_or(*hash);
        }
        let mut normalized = normalizer.run(&job.facts, &decoded).await?;
        let cut: Vec<String> =
            records.iter().filter(|r| r.received.is_some()).map(|r| r.key.clone()).collect();
        if let Some(rows) = &mut normalized.rows {
            blank_all(rows, &cut)?;
            bygone.leave_out(rows, &mut normalized.issues)?;
        }
        rebuilt.rejected += (rejects.len() + normalized.rejects.len()) as u64;
        let scan = tombstones(&records);
        let checkpoint = Checkpoint::new(&job.connector.hash, Phase::Snapshot { complete: None });
        let commit = Commit {
            stream: stream.name.clone(),
            rows: normalized.rows,
            rejects: Vec::new(),
            issues: Vec::new(),
            scan,
            checkpoint,
            keep_raw: false,
            as_of: Some(commit_no),
            resolves: Vec::new(),
            seen: Vec::new(),
            due: None,
            cleared: Vec::new(),
        };
        destination.commit(commit).await?;
    }
    if !begun && !has_rows(stream, destination).await? {
        return Ok(rebuilt);
    }
    if !begun {
        return Err(Error::new(Kind::Invalid, "there are no stored bodies to rebuild from")
            .with("stream", &stream.name)
            .hint("bodies are kept under `raw: keep`; to read everything from the provider again, run `tidegate state reset` and `tidegate sync`"));
    }
    rebuilt.diffs = destination.rebuild_end(apply).await?;
    Ok(rebuilt)
}

/// A stream may have been read and found empty.
async fn has_rows<D: Destination>(stream: &Stream, destination: &mut D) -> Result<bool> {
    let mut any = false;
    for feed in stream.feeds.iter().take(1) {
        let mut see = |batch: RecordBatch| {
            any |= batch.num_rows() > 0;
            Ok(())
        };
        destination.each(&feed.entity, &mut see).await?;
    }
    Ok(any)
}

fn page(record: &RawRecord) -> Page {
    let body = record.body.clone();
    let records = std::iter::once(0..body.len()).collect();
    Page { body, records, next: None, total: None, asked_at: record.read_at }
}

/// The deletes of a commit, said again.
fn tombstones(records: &[RawRecord]) -> Option<CompleteScan> {
    let gone = || records.iter().filter(|r| r.deleted);
    let asked_at = gone().map(|r| r.read_at).max()?;
    let keys: HashSet<u128> = gone().map(|r| key_hash(&r.key)).collect();
    Some(CompleteScan { found: Scanned::Gone(Arc::new(keys)), asked_at, delete_share_max: 1.0 })
}

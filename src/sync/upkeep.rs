//! What a completed sync does last: bodies of superseded states go when they are old enough, at most once a day.
//!
//! The run is done and kept by then, so what stops this is only logged, and the next sync tries again. Absent on
//! purpose: merging files, which rewrites them (`tidegate compact`).
use super::{
    Job,
    summary::{Status, Summary},
};
use crate::{
    error::Result,
    load::{Destination, Retained},
    time::Timestamp,
};

/// Lets old bodies go, of an opened connection.
pub(super) async fn after<D: Destination>(destination: &mut D, job: &Job, summary: &Summary) {
    let synced = summary.status == Status::Completed && summary.errand.is_none();
    let Some(keep) = job.raw_for.filter(|_| synced) else { return };
    match retain(destination, job, summary.finished.minus(keep)).await {
        Ok(None) => {}
        Ok(Some(Retained { removed, waiting })) => tracing::info!(removed, waiting, "old bodies were let go"),
        Err(error) => tracing::warn!(%error, "old bodies go later"),
    }
}

async fn retain<D: Destination>(
    destination: &mut D,
    job: &Job,
    before: Timestamp,
) -> Result<Option<Retained>> {
    if !destination.upkeep(&job.facts.owner).await?.retention_due(before) {
        return Ok(None);
    }
    destination.retain(before).await.map(Some)
}

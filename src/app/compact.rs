//! `tidegate compact`: many small files into few, and old bodies of superseded states out.
use super::project::Project;
use crate::{
    error::Result,
    load::{Compacted, Destination},
    pipeline::{DestinationSpec, Pipeline},
    time::Clock,
};
use serde::Serialize;

/// What was done to one pipeline's destination.
#[derive(Debug, Serialize)]
pub struct PipelineCompacted {
    /// Name.
    pub pipeline: String,
    /// What `files_before` and `files_after` count: `files` of a lake, `tables` of a database.
    pub counts: &'static str,
    /// Nothing was ever synced.
    pub new: bool,
    /// Sizes per layer, before and after.
    #[serde(flatten)]
    pub done: Compacted,
}

/// Compacts what the pipeline stored; does nothing when it was never synced.
pub async fn compact<C: Clock>(
    project: &Project,
    pipeline: &Pipeline,
    clock: &C,
) -> Result<PipelineCompacted> {
    let counts = match pipeline.destination {
        DestinationSpec::Lake { .. } => "files",
        DestinationSpec::Postgres { .. } => "tables",
    };
    let mut answer =
        PipelineCompacted { pipeline: pipeline.name.clone(), counts, new: true, done: Compacted::default() };
    let mut store = project.store(pipeline).await?;
    if store.peek(&pipeline.owner).await?.is_none() {
        return Ok(answer);
    }
    store.open(&pipeline.owner, &project.entities(pipeline)?).await?;
    let done = store.compact(pipeline.raw_for.map(|keep| clock.now().minus(keep))).await;
    store.close().await?;
    (answer.new, answer.done) = (false, done?);
    Ok(answer)
}

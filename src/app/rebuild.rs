//! `tidegate rebuild`: tables again from the stored bodies, aside, then swapped in.
use super::project::{Narrow, Project};
use crate::{
    error::{Error, Kind, Result},
    load::Destination,
    pipeline::Pipeline,
    sync::{self, Normalizers, Rebuilt},
    time::{Clock, SystemClock},
};

/// Rebuilds the tables of these streams (all: none given); with `apply` false it only tells the difference.
/// Fails `Invalid` for a pipeline with `raw: drop`: rows that it stored have no body, or only an older one.
pub async fn rebuild(
    project: &Project,
    pipeline: &Pipeline,
    streams: &[String],
    apply: bool,
    normalizers: &Normalizers,
) -> Result<Vec<Rebuilt>> {
    if !pipeline.raw_keep {
        return Err(Error::new(Kind::Invalid, "rows without stored bodies cannot be made again")
            .with("pipeline", &pipeline.name)
            .with("raw", "drop")
            .hint(super::status::renewal(pipeline)));
    }
    let narrow = Narrow { streams: streams.to_vec(), requests_max: None };
    let job = project.job(pipeline, &narrow)?;
    let mut store = project.synced(pipeline).await?;
    let opened = store.open(&pipeline.owner, &job.entities).await?;
    let work = async {
        let mut done = Vec::new();
        // What was never read, as a stream that the account does not offer, has nothing to rebuild.
        let read = |stream: &str| !streams.is_empty() || opened.checkpoints.contains_key(stream);
        for stream in job.streams.iter().filter(|s| read(&s.name)) {
            // Nor has a stream that never had a record.
            if streams.is_empty() && store.raw_after(&stream.name, 0).await?.is_none() {
                continue;
            }
            done.push(sync::rebuild(&job, stream, &mut store, normalizers, apply).await?);
        }
        if apply && streams.is_empty() {
            let run = serde_json::json!({
                "status": "rebuilt",
                "finished": SystemClock.now(),
                "rows_made_with": sync::made_with(&job.connector, job.facts.time_zone),
                "streams": done,
            });
            store.record_run(&run).await?;
        }
        Ok(done)
    };
    let done = work.await;
    store.close().await?;
    done
}

//! `tidegate status`: how fresh each stream is, and what the last runs did.
use super::project::Project;
use crate::{
    checkpoint::{Checkpoint, Phase, Progress},
    error::Result,
    load::Destination,
    pipeline::Pipeline,
    time::{Clock, Timestamp},
};
use serde::Serialize;

/// One pipeline.
#[derive(Debug, Serialize)]
pub struct PipelineStatus {
    /// Name.
    pub pipeline: String,
    /// Connector.
    pub connector: String,
    /// False: the mappings changed since the rows were made.
    pub current: bool,
    /// Commits so far.
    pub commits: i64,
    /// Records in quarantine.
    pub quarantined: u64,
    /// When the schedule is due next.
    pub next_due: Option<Timestamp>,
    /// Per stream of the connector.
    pub streams: Vec<StreamStatus>,
    /// The last runs' summaries, newest first.
    pub runs: Vec<serde_json::Value>,
}

/// One stream.
#[derive(Debug, Serialize)]
pub struct StreamStatus {
    /// Name.
    pub stream: String,
    /// In words: `never synced`, `first load, 3 of 12 slices`, `up to date`, `inside a window`.
    pub phase: String,
    /// Everything modified up to here is durable.
    pub data_through: Option<Timestamp>,
    /// Seconds since then.
    pub lag_secs: Option<u64>,
}

/// Reads what is stored; takes no lock.
pub async fn status<C: Clock>(
    project: &Project,
    pipeline: &Pipeline,
    runs: usize,
    clock: &C,
) -> Result<PipelineStatus> {
    let connector = project.connector(pipeline)?;
    let mut store = project.store(pipeline).await?;
    let stored = store.peek(&pipeline.owner).await?;
    let summaries =
        if stored.is_some() { store.runs(&pipeline.owner, runs.max(1)).await? } else { Vec::new() };
    let rejects = if stored.is_some() { store.rejects(&pipeline.owner).await?.len() as u64 } else { 0 };
    let opened = stored.unwrap_or_default();
    let now = clock.now();
    let streams = connector.streams.iter().map(|s| {
        let checkpoint = opened.checkpoints.get(&s.name);
        let data_through = checkpoint.and_then(Checkpoint::watermark);
        let lag_secs = data_through.map(|t| now.since(t).as_secs());
        let absent = checkpoint.is_none() && summaries.first().is_some_and(|run| passed_over(run, &s.name));
        let phase = if absent { "not offered".to_owned() } else { phase(checkpoint) };
        StreamStatus { stream: s.name.clone(), phase, data_through, lag_secs }
    });
    let made = summaries.first().and_then(|s| s.get("rows_made_with")).and_then(|h| h.as_str());
    Ok(PipelineStatus {
        pipeline: pipeline.name.clone(),
        connector: connector.name.clone(),
        current: made.is_none_or(|h| h == crate::sync::made_with(&connector, pipeline.time_zone)),
        commits: opened.commit_no,
        quarantined: rejects,
        next_due: pipeline.schedule.as_ref().and_then(|s| s.next_after(now)),
        streams: streams.collect(),
        runs: summaries.into_iter().take(runs).collect(),
    })
}

/// Whether that run found that the account does not have the stream.
fn passed_over(run: &serde_json::Value, stream: &str) -> bool {
    let streams = run.get("streams").and_then(|s| s.as_array()).into_iter().flatten();
    streams
        .filter(|s| s.get("stream").and_then(|n| n.as_str()) == Some(stream))
        .any(|s| s.get("not_offered").is_some())
}

/// Where a stream stands, in words.
pub fn phase(checkpoint: Option<&Checkpoint>) -> String {
    match checkpoint.map(|c| &c.phase) {
        None => "never synced".into(),
        Some(Phase::FirstLoad { slices, .. }) => {
            let done = slices.iter().filter(|s| s.progress == Progress::Done).count();
            format!("first load, {done} of {} slices", slices.len())
        }
        Some(Phase::Windows { open: Some(_), .. }) => "inside a window".into(),
        Some(Phase::Windows { open: None, .. }) => "up to date".into(),
        Some(Phase::Snapshot { complete: Some(_) }) => "scanned whole".into(),
        Some(Phase::Snapshot { complete: None }) => "no complete scan yet".into(),
    }
}

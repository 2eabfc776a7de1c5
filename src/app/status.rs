//! `tidegate status`: how fresh each stream is, and what the last runs did.
use super::project::Project;
use crate::{
    checkpoint::{Checkpoint, Errand, Phase, Progress},
    error::Result,
    load::{Destination, Erased, Erasure},
    manifest::{Connector, Cursor, Stream},
    pipeline::Pipeline,
    sync::summary::StreamSummary,
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
    /// False: the mappings, the zone or a column's policy changed since the rows were made.
    pub current: bool,
    /// What makes the rows anew, when they are not current.
    pub renewal: Option<String>,
    /// Commits so far.
    pub commits: i64,
    /// Records in quarantine.
    pub quarantined: u64,
    /// Small files that a compaction would save.
    pub spare_files: u64,
    /// The command that saves them, when there are many.
    pub compaction: Option<String>,
    /// Persons whose data the provider cleared.
    pub erasures: Erasures,
    /// When the schedule is due next.
    pub next_due: Option<Timestamp>,
    /// Per stream of the connector.
    pub streams: Vec<StreamStatus>,
    /// The last runs' summaries, newest first.
    pub runs: Vec<serde_json::Value>,
}

/// What the provider told of erasures, and what was done.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Erasures {
    /// Persons whose older data is erased.
    pub done: u64,
    /// Persons whose older data the next sync erases.
    pub pending: u64,
    /// When the last one was done.
    pub last: Option<Timestamp>,
    /// What was erased.
    #[serde(flatten)]
    pub erased: Erased,
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
    /// Every body that was read at or after this is stored; None: all that ever were.
    pub bodies_from: Option<Timestamp>,
    /// What was measured of the provider.
    pub measured: Measured,
}

/// What the kept runs measured of one stream.
#[derive(Debug, Default, Serialize)]
pub struct Measured {
    /// Share of records without a modification time (0 to 1), when all were read last. A sync's filter hides such
    /// records once they are stored: sweeps find what becomes of them.
    pub no_cursor_share: Option<f64>,
    /// Changed rows that an earlier read should have shown.
    pub late: u64,
    /// By how many seconds they were late at least: the longest.
    pub late_max_secs: Option<u64>,
    /// The same of 99 in a hundred, in the run where that was longest.
    pub late_p99_secs: Option<u64>,
    /// How far back each sync reads again: a row that is later is found by a sweep only.
    pub overlap_secs: Option<u64>,
    /// When the last finished sweep began.
    pub swept: Option<Timestamp>,
}

/// Runs that are looked through for measures.
const MEASURED_RUNS: usize = 200;

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
    let summaries = if stored.is_some() {
        store.runs(&pipeline.owner, runs.max(MEASURED_RUNS)).await?
    } else {
        Vec::new()
    };
    let rejects = if stored.is_some() { store.rejects(&pipeline.owner).await?.len() as u64 } else { 0 };
    let upkeep = store.upkeep(&pipeline.owner).await?;
    let told = if stored.is_some() { store.erasures(&pipeline.owner).await? } else { Vec::new() };
    let opened = stored.unwrap_or_default();
    let now = clock.now();
    let streams: Vec<StreamStatus> = connector
        .streams
        .iter()
        .map(|s| {
            let checkpoint = opened.checkpoints.get(&s.name);
            let data_through = checkpoint.and_then(Checkpoint::watermark);
            let lag_secs = data_through.map(|t| now.since(t).as_secs());
            let absent =
                checkpoint.is_none() && summaries.first().is_some_and(|run| passed_over(run, &s.name));
            let measured = measured(s, checkpoint, &summaries);
            StreamStatus {
                stream: s.name.clone(),
                phase: if absent { "not offered".to_owned() } else { phase(checkpoint) },
                data_through,
                lag_secs,
                bodies_from: upkeep.bodies_from.get(&s.name).copied(),
                measured,
            }
        })
        .collect();
    let current = current(&summaries, &connector, pipeline);
    Ok(PipelineStatus {
        pipeline: pipeline.name.clone(),
        connector: connector.name.clone(),
        current,
        renewal: (!current).then(|| renewal(pipeline)),
        commits: opened.commit_no,
        quarantined: rejects,
        spare_files: upkeep.spare_files,
        compaction: upkeep.compaction_due().then(|| format!("tidegate compact {}", pipeline.name)),
        erasures: erasures(&told),
        next_due: pipeline.schedule.as_ref().and_then(|s| s.next_after(now)),
        streams,
        runs: summaries.into_iter().take(runs).collect(),
    })
}

fn erasures(told: &[Erasure]) -> Erasures {
    let mut all = Erasures::default();
    for one in told {
        match one.done_at {
            Some(at) => {
                all.done += 1;
                all.last = all.last.max(Some(at));
            }
            None => all.pending += 1,
        }
        all.erased.add(one.erased);
    }
    all
}

/// Whether the rows would be made the same today. `runs`: newest first.
pub(super) fn current(runs: &[serde_json::Value], connector: &Connector, pipeline: &Pipeline) -> bool {
    let made = runs.first().and_then(|run| run.get("rows_made_with")?.as_str());
    made.is_none_or(|made| made == crate::sync::made_with(connector, pipeline.time_zone))
}

/// The command that makes all current rows anew: from the stored bodies, or by reading everything again.
pub(super) fn renewal(pipeline: &Pipeline) -> String {
    let name = &pipeline.name;
    match pipeline.raw_keep {
        true => format!("tidegate rebuild {name}"),
        false => format!("tidegate state reset {name} --all, then tidegate sync {name}"),
    }
}

fn measured(stream: &Stream, checkpoint: Option<&Checkpoint>, runs: &[serde_json::Value]) -> Measured {
    let of_stream = |run: &serde_json::Value| {
        let all = run.get("streams")?.as_array()?.iter();
        all.filter_map(|s| serde_json::from_value::<StreamSummary>(s.clone()).ok())
            .find(|s| s.stream == stream.name)
    };
    let all: Vec<StreamSummary> = runs.iter().filter_map(of_stream).collect();
    let share = |s: &StreamSummary| Some(s.no_cursor? as f64 / s.read.max(1) as f64);
    let swept = checkpoint.into_iter().flat_map(|c| &c.asides);
    Measured {
        no_cursor_share: all.iter().filter(|s| s.read > 0).find_map(share),
        late: all.iter().map(|s| s.late).sum(),
        late_max_secs: all.iter().filter_map(|s| s.late_max_secs).max(),
        late_p99_secs: all.iter().filter_map(|s| s.late_p99_secs).max(),
        overlap_secs: match &stream.cursor {
            Cursor::Window { overlap, .. } => Some(overlap.as_secs()),
            Cursor::Snapshot { .. } => None,
        },
        swept: swept
            .filter(|a| matches!(a.errand, Errand::Sweep { .. }) && a.finished())
            .map(|a| a.started)
            .max(),
    }
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
        _ if checkpoint.is_some_and(|c| c.sweep().is_some()) => "in the middle of a sweep".into(),
        Some(Phase::Windows { open: Some(_), .. }) => "inside a window".into(),
        Some(Phase::Windows { open: None, .. }) => "up to date".into(),
        Some(Phase::Snapshot { complete: Some(_) }) => "scanned whole".into(),
        Some(Phase::Snapshot { complete: None }) => "no complete scan yet".into(),
    }
}

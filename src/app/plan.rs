//! `tidegate plan`: what the next sync would cost. Estimates from a few first pages; writes nothing.
use super::{
    overlays::Overlaid,
    probe::{self, Sampled},
    project::{Narrow, Project},
};
use crate::{
    checkpoint::{Progress, Slice},
    decode::{Decoder, Keys, Page},
    error::{Error, Kind, Result},
    load::Destination,
    manifest::{Cursor, Paging, Stream},
    pipeline::Pipeline,
    sync::Job,
    time::{Clock, Timestamp},
    wire::Http,
};
use arrow::{array::AsArray, datatypes::TimestampMicrosecondType};
use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// Points of time at which the density of a stream's records is measured.
const SAMPLES: u32 = 6;
/// How far back samples reach without `start`, in days.
const SAMPLED_DAYS: u64 = 5 * 365;

/// What the next sync of one stream would cost.
#[derive(Debug, Serialize)]
pub struct StreamPlan {
    /// Stream.
    pub stream: String,
    /// `first load`, `first load from ..`, `changes since ..`, `scan of everything`.
    pub what: String,
    /// Records, about; None: cannot be told before it is read.
    pub records: Option<u64>,
    /// Requests, about.
    pub requests: Option<u64>,
    /// Bytes of bodies, about.
    pub bytes: Option<u64>,
    /// True when the provider stated the count.
    pub exact: bool,
    /// Why it cannot be planned.
    pub error: Option<String>,
    /// What to do about it.
    pub next: Option<String>,
    /// Decides the exit code.
    #[serde(skip)]
    pub kind: Option<Kind>,
}

/// What the next sync of one pipeline would cost.
#[derive(Debug, Serialize)]
pub struct PipelinePlan {
    /// Pipeline.
    pub pipeline: String,
    /// Per stream.
    pub streams: Vec<StreamPlan>,
    /// Requests of all streams, about.
    pub requests: u64,
    /// At the connector's request budget, about.
    pub minutes: f64,
    /// Bytes of bodies, about.
    pub bytes: u64,
    /// Tables with columns of the pipeline's own.
    pub overlays: Vec<Overlaid>,
}

/// Asks the provider a few small questions.
pub async fn plan<H: Http, C: Clock>(
    project: &Project,
    pipeline: &Pipeline,
    narrow: &Narrow,
    http: &H,
    clock: &C,
) -> Result<PipelinePlan> {
    let job = project.job(pipeline, narrow)?;
    let mut store = project.store(pipeline).await?;
    let opened = store.peek(&pipeline.owner).await?.unwrap_or_default();
    let read = opened.checkpoints.iter().filter_map(|(name, c)| Some((name.clone(), c.watermark()?)));
    cost(&job, &read.collect(), None, http, clock).await
}

/// What reading the job's streams would cost. `read`: how far each is read already; `period`: only documents of that
/// time are read, of streams that can be cut by it.
pub(super) async fn cost<H: Http, C: Clock>(
    job: &Job,
    read: &BTreeMap<String, Timestamp>,
    period: Option<(Timestamp, Timestamp)>,
    http: &H,
    clock: &C,
) -> Result<PipelinePlan> {
    let now = clock.now();
    let slices: BTreeMap<String, Vec<Slice>> = job
        .streams
        .iter()
        .map(|s| {
            let sampled = probe::slice_field(s).is_some() && !read.contains_key(&s.name);
            let grid =
                || period.map_or_else(|| grid(job.options.start, now), |(from, to)| grid(Some(from), to));
            (s.name.clone(), if sampled { grid() } else { Vec::new() })
        })
        .collect();
    let mut sampled = probe::sample(job, &slices, http, clock).await?.streams;
    let mut streams = Vec::new();
    for stream in &job.streams {
        let found = sampled.remove(&stream.name).unwrap_or_default();
        if found.not_offered.is_some() {
            continue;
        }
        let slices = slices.get(&stream.name).map_or(&[][..], Vec::as_slice);
        let what = what(stream, read.get(&stream.name).copied(), job.options.start);
        streams.push(estimate(stream, &found, slices, read.get(&stream.name).copied(), what));
    }
    let requests = 1 + streams.iter().filter_map(|s| s.requests).sum::<u64>();
    let budget = &job.connector.budget;
    let pace = f64::from(budget.requests) / budget.per.as_secs_f64();
    let bytes = streams.iter().filter_map(|s| s.bytes).sum();
    Ok(PipelinePlan {
        pipeline: job.pipeline.clone(),
        streams,
        requests,
        minutes: requests as f64 / pace / 60.0,
        bytes,
        overlays: super::overlays::told(&job.connector),
    })
}

/// Slices that together cover the time since the start, one sample in each; the first is open below.
fn grid(start: Option<Timestamp>, now: Timestamp) -> Vec<Slice> {
    let from = start.unwrap_or_else(|| now.minus(Duration::from_secs(SAMPLED_DAYS * 86_400)));
    let step = now.since(from) / SAMPLES;
    let slice = |i: u32| Slice {
        from: (i > 0 || start.is_some()).then(|| from.plus(step * i)),
        to: Some(from.plus(step * (i + 1))),
        absent: false,
        progress: Progress::Start,
    };
    (0..SAMPLES).map(slice).collect()
}

/// What is read of a stream. `start` cuts a first load by a field that never changes; a stream without one is read
/// whole.
fn what(stream: &Stream, watermark: Option<Timestamp>, start: Option<Timestamp>) -> String {
    match (&stream.cursor, watermark, start) {
        (Cursor::Snapshot { .. }, _, None) => "scan of everything".to_owned(),
        (Cursor::Snapshot { .. }, _, Some(_)) => "scan of everything, `start` cannot cut it".to_owned(),
        (Cursor::Window { .. }, Some(read), _) => format!("changes since {read}"),
        (Cursor::Window { .. }, None, None) => "first load".to_owned(),
        (Cursor::Window { slices: Some(_), .. }, None, Some(start)) => format!("first load from {start}"),
        (Cursor::Window { slices: None, .. }, None, Some(_)) => {
            "first load, whole: `start` cannot cut it".to_owned()
        }
    }
}

fn estimate(
    stream: &Stream,
    found: &Sampled,
    slices: &[Slice],
    watermark: Option<Timestamp>,
    what: String,
) -> StreamPlan {
    let size = match &stream.paging {
        Paging::Token { size, .. } | Paging::PageNumber { size, .. } => u64::from(size.value.max(1)),
    };
    let records_seen: u64 = found.pages.iter().map(|p| p.records.len() as u64).sum();
    let bytes_seen: u64 = found.pages.iter().map(|p| p.body.len() as u64).sum();
    let stated = found.pages.iter().find_map(|p| p.total);
    let whole = found.pages.len() == 1 && found.pages.iter().all(|p| p.next.is_none() && stated.is_none());
    let incremental = watermark.is_some() && matches!(stream.cursor, Cursor::Window { .. });
    let records = match stated {
        _ if incremental => None,
        Some(total) => Some(total),
        None if whole => Some(records_seen),
        None if slices.is_empty() => None,
        None => Some(found.pages.iter().map(|p| in_slice(stream, p, slices)).sum()),
    };
    let records = records.filter(|_| found.error.is_none());
    let incremental = incremental && found.error.is_none();
    let requests = records.map(|r| r.div_ceil(size).max(1)).or(incremental.then_some(1));
    let each = bytes_seen.checked_div(records_seen).unwrap_or(0);
    StreamPlan {
        stream: stream.name.clone(),
        what,
        records,
        requests: requests.map(|n| n + u64::from(stream.deletes.is_some())),
        bytes: records.map(|r| r * each),
        exact: stated.is_some() || whole,
        error: found.error.as_ref().map(|e| e.line_without("stream")),
        next: found.error.as_ref().and_then(Error::next).map(str::to_owned),
        kind: found.error.as_ref().map(Error::kind),
    }
}

/// Records of the slice that a page opens: all of them when it is the last page, else by the page's density.
fn in_slice(stream: &Stream, page: &Page, slices: &[Slice]) -> u64 {
    let count = page.records.len() as u64;
    if page.next.is_none() {
        return count;
    }
    let Some((first, last)) = times(stream, page) else { return count };
    let holds = |s: &&Slice| s.from.is_none_or(|f| f <= first) && s.to.is_some_and(|t| first <= t);
    let Some(until) = slices.iter().find(holds).and_then(|s| s.to) else { return count };
    let spanned = last.since(first).as_secs_f64().max(1.0);
    (count as f64 * (until.since(first).as_secs_f64() / spanned).max(1.0)) as u64
}

fn times(stream: &Stream, page: &Page) -> Option<(Timestamp, Timestamp)> {
    let keys = Keys { key: stream.key.clone(), version: None, updated: None, deleted: None };
    let mut decoder = Decoder::new(&stream.name, &stream.record, &keys).ok()?;
    decoder.push(page);
    let (records, _) = decoder.finish().ok()?;
    let column = records.batch.column_by_name(probe::slice_field(stream)?)?;
    let values = column.as_primitive_opt::<TimestampMicrosecondType>()?;
    Some((Timestamp(arrow::compute::min(values)?), Timestamp(arrow::compute::max(values)?)))
}

//! `tidegate verify`: is everything there? Counts, sums and digests of one destination; against another destination;
//! against a fresh read of the source. Also the numbers that series of documents lack.
//!
//! Both sides are held by their locks while they are read, so that a difference is never a sync in progress. A fresh
//! read goes into a lake of its own in `.tidegate/verify/`: the stored state of the pipeline is not touched.
mod compare;
pub mod report;
mod tables;
mod unsaid;

use super::{
    plan::{self, PipelinePlan},
    project::{Narrow, Project},
    store::Store,
    working::Working,
};
use crate::{
    checkpoint::{Checkpoint, Phase},
    error::{Error, Kind, Result},
    extract::InputValue,
    id::Owner,
    load::{Destination, Opened, lake::Lake},
    manifest::Stream,
    pipeline::Pipeline,
    sync::{self, Job},
    time::{Clock, Timestamp},
    wire::Http,
};
use compare::{compare, tally};
use report::{Report, Table};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tables::{Fed, fed};

/// An unfinished fresh read that is older begins anew: rows deleted meanwhile would still be in it.
const FRESH_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// What to look at and how much to show.
#[derive(Clone, Debug)]
pub struct Order {
    /// Only tables of these streams; empty: the pipeline's.
    pub streams: Vec<String>,
    /// Rows shown per table.
    pub ids: usize,
    /// Requests that a fresh read may send.
    pub requests_max: Option<u64>,
}

impl Order {
    fn narrow(&self) -> Narrow {
        Narrow { streams: self.streams.clone(), requests_max: self.requests_max }
    }
}

/// Counts, sums, digests and gaps of one destination.
pub async fn alone(project: &Project, pipeline: &Pipeline, order: &Order) -> Result<Report> {
    let job = project.job(pipeline, &order.narrow())?;
    let tables = fed(&job.connector, &job.streams);
    let mut store = opened(project, pipeline, &job).await?.0;
    let done = async {
        let tallied = tally(&mut store, &tables, &BTreeMap::new()).await?;
        let found = tallied.alone(&tables);
        Ok(report(pipeline, None, found, tallied, 0))
    };
    let done = done.await;
    store.close().await?;
    done
}

/// Two destinations of one provider account. Fails `Invalid` when they do not read the same account of one tenant, or
/// are the same destination.
pub async fn against(
    project: &Project,
    pipeline: &Pipeline,
    other: &Pipeline,
    order: &Order,
) -> Result<Report> {
    let job = project.job(pipeline, &order.narrow())?;
    let others = project.job(other, &order.narrow())?;
    same_account(pipeline, other, &job, &others)?;
    if pipeline.destination == other.destination && pipeline.owner == other.owner {
        return Err(Error::new(Kind::Invalid, "a pipeline cannot be compared with itself")
            .hint(format!("tidegate verify {} --source   compares with the provider", pipeline.name)));
    }
    let both = |s: &&Arc<Stream>| others.streams.iter().any(|o| o.name == s.name);
    let streams: Vec<Arc<Stream>> = job.streams.iter().filter(both).cloned().collect();
    let tables = fed(&job.connector, &streams);
    let mut left = opened(project, pipeline, &job).await?.0;
    let mut right = match opened(project, other, &others).await {
        Ok((right, _)) => right,
        Err(error) => {
            left.close().await?;
            return Err(error);
        }
    };
    let done = both_sides(&mut left, &mut right, &tables, &BTreeMap::new(), HashMap::new(), order).await;
    left.close().await?;
    right.close().await?;
    let (found, tallied) = done?;
    Ok(report(pipeline, Some(other.name.clone()), found, tallied, 0))
}

/// Fails `Invalid` on the first thing that makes their rows differ by right.
fn same_account(pipeline: &Pipeline, other: &Pipeline, job: &Job, others: &Job) -> Result<()> {
    let texts = |job: &Job| {
        let text = |(name, value): (&String, &InputValue)| match value {
            InputValue::Text(text) => Some(format!("{name} {text}")),
            InputValue::Secret(_) => None,
        };
        job.inputs.iter().filter_map(text).collect::<Vec<_>>().join(", ")
    };
    let facts = |pipeline: &Pipeline, job: &Job| {
        [
            ("tenant", pipeline.owner.tenant.to_string()),
            ("connector", pipeline.connector.clone()),
            ("inputs", texts(job)),
            ("base_url", pipeline.base_url.clone().unwrap_or_default()),
            ("time_zone", pipeline.time_zone.name().to_owned()),
            ("columns", job.connector.policies.told()),
        ]
    };
    super::overlays::same(job, others)?;
    let pairs = facts(pipeline, job).into_iter().zip(facts(other, others));
    match pairs.into_iter().find(|(a, b)| a != b) {
        None => Ok(()),
        Some(((what, here), (_, there))) => {
            Err(Error::new(Kind::Invalid, "the two pipelines do not read the same account")
                .with("differs_in", what)
                .with("here", here)
                .with("there", there)
                .hint(match what {
                    "tenant" => format!("write `tenant: {}` in both files, or make the other one by tidegate init --tenant; what it holds has to be synced again", pipeline.owner.tenant),
                    _ => "compare pipelines that differ in their destination only".to_owned(),
                }))
        }
    }
}

/// What a fresh read of the source would cost.
pub async fn cost<H: Http, C: Clock>(
    project: &Project,
    pipeline: &Pipeline,
    order: &Order,
    http: &H,
    clock: &C,
) -> Result<PipelinePlan> {
    let job = project.job(pipeline, &order.narrow())?;
    plan::cost(&job, &BTreeMap::new(), None, http, clock).await
}

/// The destination against the provider, read again from the beginning, or from the pipeline's `start`. What changed at
/// the provider after the last sync is left out, and so is what may be older than the start. An interrupted read goes on
/// where it stopped, within a day.
/// Fails `Budget` when the requests are used up, and with whatever ends the read.
pub async fn source<H: Http, C: Clock>(
    project: &Project,
    pipeline: &Pipeline,
    order: &Order,
    mut working: Working<'_, H, C>,
) -> Result<Report> {
    let mut job = project.job(pipeline, &order.narrow())?;
    job.keep_raw = false;
    job.raw_for = None;
    job.reject_share_max = 1.0;
    project.synced(pipeline).await?;
    let scratch = Scratch::of(project, pipeline);
    let mut fresh = scratch.take(&pipeline.owner, working.clock.now()).await?;
    let outcome = sync::sync(&job, working.tools(&mut fresh)).await;
    if let Some(error) = outcome.error {
        return Err(error);
    }
    if outcome.summary.status != sync::summary::Status::Completed {
        return Err(Error::new(Kind::Interrupted, "the source was not read to its end")
            .hint(format!("tidegate verify {} --source   goes on where this stopped", pipeline.name)));
    }
    let requests = outcome.summary.streams.iter().map(|s| s.requests).sum();
    let tables = fed(&job.connector, &job.streams);
    let read = fresh.open(&pipeline.owner, &job.entities).await?;
    let (mut store, opened) = opened(project, pipeline, &job).await?;
    let through = through(&tables, &opened, &read);
    let done = async {
        let unsaid = unsaid::rows(&mut store, &mut fresh, &tables, &job, &through).await?;
        both_sides(&mut store, &mut fresh, &tables, &through, unsaid, order).await
    };
    let done = done.await;
    store.close().await?;
    fresh.close().await?;
    let (found, tallied) = done?;
    scratch.remove()?;
    Ok(report(pipeline, Some("source".into()), found, tallied, requests))
}

/// Per main table: up to when both sides must know every change.
fn through(tables: &[Fed], here: &Opened, there: &Opened) -> BTreeMap<String, Timestamp> {
    let read = |opened: &Opened, stream: &String| {
        opened.checkpoints.get(stream).and_then(Checkpoint::watermark).unwrap_or(Timestamp(0))
    };
    let main = tables.iter().filter(|t| t.parents.is_empty());
    let through = main.filter_map(|table| {
        let both = |stream| read(here, stream).min(read(there, stream));
        Some((table.entity.name.clone(), table.streams.iter().map(both).min()?))
    });
    through.collect()
}

async fn both_sides<A: Destination, B: Destination>(
    left: &mut A,
    right: &mut B,
    tables: &[Fed],
    through: &BTreeMap<String, Timestamp>,
    unsaid: HashMap<String, HashSet<u64>>,
    order: &Order,
) -> Result<(Vec<Table>, compare::Tallied)> {
    let mut here = tally(left, tables, through).await?;
    let mut there = tally(right, tables, through).await?;
    here.leave_out(unsaid);
    here.share_later(&mut there);
    let found = compare((left, &here), (right, &there), tables, order.ids).await?;
    Ok((found, here))
}

async fn opened(project: &Project, pipeline: &Pipeline, job: &Job) -> Result<(Store, Opened)> {
    let mut store = project.synced(pipeline).await?;
    let opened = store.open(&pipeline.owner, &job.entities).await?;
    Ok((store, opened))
}

fn report(
    pipeline: &Pipeline,
    against: Option<String>,
    tables: Vec<Table>,
    tallied: compare::Tallied,
    requests: u64,
) -> Report {
    let name = &pipeline.name;
    let equal = tables.iter().all(|t| t.equal);
    let gaps: Vec<_> =
        tallied.numbers.into_iter().flat_map(|(table, numbers)| numbers.gaps(&table)).collect();
    let mut next = Vec::new();
    if !equal && against.as_deref() == Some("source") {
        next.push(format!("tidegate sweep {name} --mode full"));
    } else if !equal {
        next.push(format!("tidegate verify {name} --source"));
    }
    if let Some(gap) = gaps.first() {
        next.push(format!("tidegate backfill {name} --stream {} --ids {}", gap.table, gap.from));
        next.push(format!("tidegate sweep {name} --stream {}", gap.table));
    }
    Report { pipeline: name.clone(), against, equal, tables, gaps, requests, next }
}

/// Removes what an unfinished fresh read of the source left: it may hold what was erased meanwhile.
pub(super) fn forget(project: &Project, pipeline: &Pipeline) -> Result<()> {
    Scratch::of(project, pipeline).remove()
}

/// Where a fresh read is kept until it was compared.
struct Scratch(PathBuf);

impl Scratch {
    fn of(project: &Project, pipeline: &Pipeline) -> Self {
        Self(project.dir.join(".tidegate").join("verify").join(&pipeline.name))
    }
    /// An empty lake, or one whose unfinished first loads go on.
    async fn take(&self, owner: &Owner, now: Timestamp) -> Result<Lake> {
        let mut lake = Lake::new(self.0.clone());
        let begun = lake.peek(owner).await?.map(|o| o.checkpoints).unwrap_or_default();
        let loading = begun.values().any(|c| matches!(c.phase, Phase::FirstLoad { .. }));
        let young = |c: &Checkpoint| match &c.phase {
            Phase::FirstLoad { signpost, .. } => now.since(*signpost) < FRESH_FOR,
            Phase::Windows { watermark, .. } => now.since(*watermark) < FRESH_FOR,
            Phase::Snapshot { complete } => complete.is_none_or(|t| now.since(t) < FRESH_FOR),
        };
        if !loading || !begun.values().all(young) {
            self.remove()?;
        }
        Ok(lake)
    }
    fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::new(Kind::Destination, "a fresh read of the source cannot be removed")
                    .with("folder", self.0.display())
                    .hint("remove the folder by hand, then verify again")
                    .because(e))
            }
            _ => Ok(()),
        }
    }
}

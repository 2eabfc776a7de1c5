//! `tidegate sweep` and `tidegate backfill`: read again what a sync would not, beside the live windows.
use super::{
    plan::{self, PipelinePlan, StreamPlan},
    project::{Narrow, Project},
    working::Working,
};
use crate::{
    checkpoint::Errand,
    error::{Error, Kind, Result},
    manifest::Cursor,
    pipeline::Pipeline,
    schedule,
    sync::{self, Job, Outcome, summary::Status},
    time::{Clock, Timestamp},
    wire::Http,
};
use chrono::{Days, NaiveDate, NaiveTime};
use chrono_tz::Tz;
use std::{collections::BTreeMap, time::Duration};

/// Ids of one backfill: each costs a request, and those that are left are part of the checkpoint.
pub const IDS_MAX: usize = 1_000;

/// What to read again.
#[derive(Clone, Debug)]
pub struct Order {
    /// These streams; empty: every one of the pipeline that can be.
    pub streams: Vec<String>,
    /// At most so many requests.
    pub requests_max: Option<u64>,
    /// What for.
    pub errand: Errand,
}

/// A period of civil dates in the connection's zone, both days included.
/// Fails `Invalid` for dates in the wrong order or outside the calendar.
pub fn period(zone: Tz, from: NaiveDate, to: NaiveDate) -> Result<Errand> {
    let midnight = |day: Option<NaiveDate>| {
        day.and_then(|day| schedule::place(zone, day.and_time(NaiveTime::MIN)))
            .ok_or_else(|| Error::new(Kind::Invalid, "a date is outside the calendar"))
    };
    if from > to {
        return Err(Error::new(Kind::Invalid, "the period ends before it begins")
            .with("from", from)
            .with("to", to)
            .hint(format!("--from {to} --to {from}")));
    }
    let end = midnight(to.checked_add_days(Days::new(1)))?.minus(Duration::from_secs(1));
    Ok(Errand::Period { from: midnight(Some(from))?, to: end })
}

/// Single records. Fails `Invalid` for none or too many of them.
pub fn ids(given: &[String]) -> Result<Errand> {
    let mut left: Vec<String> =
        given.iter().map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()).collect();
    left.sort();
    left.dedup();
    if left.is_empty() || left.len() > IDS_MAX {
        return Err(Error::new(Kind::Invalid, format!("give 1 to {IDS_MAX} ids"))
            .with("given", left.len())
            .hint("for more records give a period: --from 2026-01-01 --to 2026-01-31"));
    }
    Ok(Errand::Ids { asked: left.clone(), left })
}

/// The job of an order. Fails `Invalid` when nothing can be read in this way.
fn job(project: &Project, pipeline: &Pipeline, order: &Order) -> Result<Job> {
    let narrow = Narrow { streams: order.streams.clone(), requests_max: order.requests_max };
    let mut job = project.job(pipeline, &narrow)?;
    if order.streams.is_empty() {
        job.streams.retain(|s| matches!(s.cursor, Cursor::Window { .. }));
    }
    if job.streams.is_empty() {
        return Err(Error::new(Kind::Invalid, "every sync reads all streams of this pipeline whole")
            .hint(format!("tidegate sync {}", pipeline.name)));
    }
    Ok(job)
}

/// What it would cost. Asks the provider a few small questions, unless single records are asked for.
pub async fn cost<H: Http, C: Clock>(
    project: &Project,
    pipeline: &Pipeline,
    order: &Order,
    http: &H,
    clock: &C,
) -> Result<PipelinePlan> {
    let job = job(project, pipeline, order)?;
    match &order.errand {
        Errand::Ids { left, .. } => Ok(singly(&job, left.len() as u64)),
        Errand::Period { from, to } => {
            plan::cost(&job, &BTreeMap::new(), Some((*from, *to)), http, clock).await
        }
        Errand::Sweep { .. } => plan::cost(&job, &BTreeMap::new(), None, http, clock).await,
    }
}

fn singly(job: &Job, records: u64) -> PipelinePlan {
    let one = |name: &String| StreamPlan {
        stream: name.clone(),
        what: "single records".into(),
        records: Some(records),
        requests: Some(records),
        bytes: None,
        exact: true,
        error: None,
        next: None,
        kind: None,
    };
    let streams: Vec<StreamPlan> = job.streams.iter().map(|s| one(&s.name)).collect();
    let requests = 1 + records * streams.len() as u64;
    let pace = f64::from(job.connector.budget.requests) / job.connector.budget.per.as_secs_f64();
    let minutes = requests as f64 / pace / 60.0;
    let overlays = super::overlays::told(&job.connector);
    PipelinePlan { pipeline: job.pipeline.clone(), streams, requests, minutes, bytes: 0, overlays }
}

/// Reads it, from where an unfinished run of the same order stopped, and keeps the summary at the destination.
/// Fails only before it begins; a run that failed is an `Outcome` with an error.
pub async fn run<H: Http, C: Clock>(
    project: &Project,
    pipeline: &Pipeline,
    order: &Order,
    mut working: Working<'_, H, C>,
) -> Result<Outcome> {
    let job = job(project, pipeline, order)?;
    let mut store = project.store(pipeline).await?;
    let mut outcome = sync::repair(&job, &order.errand, working.tools(&mut store)).await;
    if outcome.summary.erased > 0 {
        super::verify::forget(project, pipeline)?;
    }
    let name = &pipeline.name;
    let kind = outcome.error.as_ref().map(Error::kind);
    outcome.summary.next = match outcome.summary.status {
        _ if kind == Some(Kind::Budget) => vec![format!("{}   goes on", command(pipeline, order))],
        Status::Completed => vec![format!("tidegate verify {name}")],
        Status::Interrupted => vec![format!("{}   goes on", command(pipeline, order))],
        Status::Partial | Status::Failed => vec![format!("tidegate check {name}")],
    };
    Ok(outcome)
}

/// The command that goes on with an order.
fn command(pipeline: &Pipeline, order: &Order) -> String {
    let streams: String = order.streams.iter().map(|s| format!(" --stream {s}")).collect();
    let day = |t: &Timestamp| {
        t.utc().map_or_else(String::new, |t| t.with_timezone(&pipeline.time_zone).date_naive().to_string())
    };
    let rest = match &order.errand {
        Errand::Sweep { ids_only: true } => " --mode ids".to_owned(),
        Errand::Sweep { ids_only: false } => " --mode full".to_owned(),
        Errand::Period { from, to } => format!(" --from {} --to {}", day(from), day(to)),
        Errand::Ids { asked, .. } => format!(" --ids {}", asked.join(",")),
    };
    format!("tidegate {} {}{streams}{rest}", order.errand.name(), pipeline.name)
}

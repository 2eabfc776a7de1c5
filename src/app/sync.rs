//! `tidegate sync`: every asked-for pipeline once.
use super::project::{Narrow, Project};
use crate::{
    error::{Error, Kind, Result},
    http::{Client, Limits},
    pipeline::Pipeline,
    sync::{self, Normalizers, Outcome, Stop, Tools, progress::Progress, summary::Status},
    time::SystemClock,
};

/// Runs one pipeline once and keeps its summary at the destination.
/// Fails only before the sync begins; a sync that failed is an `Outcome` with an error.
pub async fn pipeline(
    project: &Project,
    pipeline: &Pipeline,
    narrow: &Narrow,
    normalizers: &Normalizers,
    report: &mut (dyn FnMut(Progress) + Send),
    stop: Stop,
) -> Result<Outcome> {
    let job = project.job(pipeline, narrow)?;
    let mut store = project.store(pipeline).await?;
    let http = Client::new(Limits::default())?;
    let tools =
        Tools { http: &http, clock: &SystemClock, destination: &mut store, normalizers, report, stop };
    let mut outcome = sync::sync(&job, tools).await;
    if outcome.summary.error.is_none()
        && let Err(error) = store.renew_models().await
    {
        outcome.summary.status = Status::Failed;
        outcome.summary.error = Some(error.to_string());
        outcome.error.get_or_insert(error);
    }
    if outcome.summary.erased > 0 {
        super::verify::forget(project, pipeline)?;
    }
    outcome.summary.next = next(pipeline, &outcome);
    Ok(outcome)
}

/// What is worth running next.
fn next(pipeline: &Pipeline, outcome: &Outcome) -> Vec<String> {
    let name = &pipeline.name;
    let mut next = Vec::new();
    if outcome.summary.rejected() > 0 {
        next.push(format!("tidegate quarantine list {name}"));
    }
    match outcome.summary.status {
        Status::Completed => {
            next.push(format!("tidegate query --pipeline {name} \"select * from invoiced_by_month\""));
            next.push(format!("tidegate status {name}"));
        }
        Status::Interrupted => next.push(format!("tidegate sync {name}")),
        Status::Partial | Status::Failed => {
            let again = |e: &Error| {
                matches!(e.kind(), Kind::Budget | Kind::Transient | Kind::Throttled { .. } | Kind::Locked)
            };
            let verb = if outcome.error.as_ref().is_some_and(again) { "sync" } else { "check" };
            next.push(format!("tidegate {verb} {name}"));
        }
    }
    next
}

//! `sync` and `run`.
use super::Scene;
use crate::{
    app::{self, project::Narrow},
    cli::{
        args::{Output, Run, Sync},
        exit::Exit,
        render::{progress::View, summary},
    },
    error::Result,
    sync::{Normalizers, Outcome, summary::StreamSummary},
    time::{Clock, SystemClock},
};

pub(super) async fn sync(scene: &Scene<'_>, asked: &Sync) -> Result<Exit> {
    let project = scene.project()?;
    let pipelines = project.pipelines(&asked.pipelines)?;
    let narrow = Narrow { streams: asked.streams.clone(), requests_max: asked.max_requests };
    let normalizers = Normalizers::default();
    let mut worst = Exit::Ok;
    for pipeline in &pipelines {
        let mut view = View::new(scene.out);
        let mut report = |event| view.show(SystemClock.now(), &event);
        let stop = scene.stop.clone();
        let outcome = app::sync::pipeline(&project, pipeline, &narrow, &normalizers, &mut report, stop).await;
        view.finish();
        let exit = match outcome {
            Ok(outcome) => {
                show(scene, &outcome)?;
                Exit::of_run(
                    &outcome.summary,
                    asked.strict,
                    outcome.error.as_ref().map(crate::error::Error::kind),
                )
            }
            Err(error) => {
                scene.out.error(&error);
                Exit::of_kind(error.kind())
            }
        };
        worst = if worst == Exit::Ok { exit } else { worst };
        if *scene.stop.borrow() {
            break;
        }
    }
    Ok(worst)
}

/// The summary on stdout; what stopped it on stderr.
pub(super) fn show(scene: &Scene<'_>, outcome: &Outcome) -> Result<()> {
    match scene.out.output {
        Output::Json => scene.out.json(&outcome.summary)?,
        Output::Text => {
            scene.out.data(&scene.out.typed(&summary::text(&outcome.summary, &scene.out.data)))?
        }
    }
    if let Some(error) = &outcome.error {
        scene.out.error(error);
    }
    Ok(())
}

pub(super) async fn run(scene: &Scene<'_>, asked: &Run) -> Result<Exit> {
    let project = scene.project()?;
    let pipelines = project.pipelines(&asked.pipelines)?;
    let tell = |event: app::run::Event| match event {
        app::run::Event::Due { pipeline, at } => tracing::info!(%pipeline, %at, "waiting for the schedule"),
        app::run::Event::Ended { pipeline, outcome } => ended(scene, &pipeline, outcome),
    };
    app::run::run(&project, pipelines, &SystemClock, scene.stop.clone(), &tell).await?;
    Ok(Exit::Interrupted)
}

/// One log line; under `-o json` the summary too, on one line of stdout.
fn ended(scene: &Scene<'_>, pipeline: &str, outcome: Result<Box<Outcome>>) {
    let error = match &outcome {
        Ok(outcome) => {
            let summary = &outcome.summary;
            let sum = |count: fn(&StreamSummary) -> u64| summary.streams.iter().map(count).sum::<u64>();
            let (changed, deleted) = (sum(|s| s.changed), sum(|s| s.deleted));
            let (requests, rejected) = (sum(|s| s.requests), summary.rejected());
            let status = summary.status.name();
            tracing::info!(%pipeline, status, requests, changed, deleted, rejected, "synced");
            let written = match scene.out.output {
                Output::Json => scene.out.json_line(summary),
                Output::Text => Ok(()),
            };
            if let Err(error) = written {
                scene.out.error(&error);
            }
            outcome.error.as_ref()
        }
        Err(error) => Some(error),
    };
    if let Some(error) = error {
        tracing::error!(%pipeline, %error, next = error.next(), "the sync failed");
    }
}

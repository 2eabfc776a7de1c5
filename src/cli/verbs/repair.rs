//! `verify`, `sweep`, `backfill`.
use super::{Scene, confirmed, sync};
use crate::{
    app::{
        self,
        plan::PipelinePlan,
        project::Project,
        repair,
        verify::{Order, report::Report},
        working::Working,
    },
    checkpoint::Errand,
    cli::{
        args::{Backfill, Mode, Output, Sweep, Verify},
        exit::Exit,
        render::{figures, progress::View, verify},
    },
    error::{Error, Kind, Result},
    http::{Client, Limits},
    pipeline::Pipeline,
    sync::Normalizers,
    time::{Clock, SystemClock},
};
use std::time::Duration;

pub(super) async fn verify(scene: &Scene<'_>, asked: &Verify) -> Result<Exit> {
    let project = scene.project()?;
    let pipeline = project.pipeline(&asked.pipeline)?;
    let order = Order { streams: asked.streams.clone(), ids: asked.ids, requests_max: asked.max_requests };
    let report = match &asked.against {
        Some(other) => app::verify::against(&project, &pipeline, &project.pipeline(other)?, &order).await?,
        None if asked.source => source(scene, &project, &pipeline, &order, asked.yes).await?,
        None => app::verify::alone(&project, &pipeline, &order).await?,
    };
    match scene.out.output {
        Output::Json => scene.out.json(&report)?,
        Output::Text => scene.out.data(&verify::text(&report, &scene.out.data))?,
    }
    Ok(if report.equal { Exit::Ok } else { Exit::Unproven })
}

async fn source(
    scene: &Scene<'_>,
    project: &Project,
    pipeline: &Pipeline,
    order: &Order,
    yes: bool,
) -> Result<Report> {
    let http = Client::new(Limits::default())?;
    let cost = app::verify::cost(project, pipeline, order, &http, &SystemClock).await?;
    priced(scene, &cost);
    confirmed(yes, &format!("Read {} again from the provider?", pipeline.name))?;
    let normalizers = Normalizers::default();
    let mut view = View::new(scene.out);
    let mut report = |event| view.show(SystemClock.now(), &event);
    let working = Working {
        http: &http,
        clock: &SystemClock,
        normalizers: &normalizers,
        report: &mut report,
        stop: scene.stop.clone(),
    };
    let done = app::verify::source(project, pipeline, order, working).await;
    view.finish();
    done
}

/// One line: what it would cost.
fn priced(scene: &Scene<'_>, cost: &PipelinePlan) {
    let unknown = cost.streams.iter().filter(|s| s.requests.is_none()).count();
    let more = if unknown == 0 { String::new() } else { format!(", {unknown} streams not counted") };
    scene.out.note(&format!(
        "about {} requests, {} at the request budget{more}",
        scene.out.notes.count(cost.requests),
        figures::length(Duration::from_secs_f64(cost.minutes * 60.0)),
    ));
}

pub(super) async fn sweep(scene: &Scene<'_>, asked: &Sweep) -> Result<Exit> {
    let project = scene.project()?;
    let pipeline = project.pipeline(&asked.pipeline)?;
    let order = repair::Order {
        streams: asked.streams.clone(),
        requests_max: asked.max_requests,
        errand: Errand::Sweep { ids_only: asked.mode == Mode::Ids },
    };
    let http = Client::new(Limits::default())?;
    run(scene, &project, &pipeline, &order, &http).await
}

pub(super) async fn backfill(scene: &Scene<'_>, asked: &Backfill) -> Result<Exit> {
    let project = scene.project()?;
    let pipeline = project.pipeline(&asked.pipeline)?;
    let errand = match (asked.from, asked.to) {
        (Some(from), Some(to)) => repair::period(pipeline.time_zone, from, to)?,
        _ if asked.streams.len() > 1 => {
            return Err(Error::new(Kind::Invalid, "ids are those of one stream")
                .hint("give --stream once, and run it again for the other stream"));
        }
        _ => repair::ids(&asked.ids)?,
    };
    let order = repair::Order { streams: asked.streams.clone(), requests_max: asked.max_requests, errand };
    let http = Client::new(Limits::default())?;
    let cost = repair::cost(&project, &pipeline, &order, &http, &SystemClock).await?;
    priced(scene, &cost);
    confirmed(asked.yes, &format!("Read this again into {}?", pipeline.name))?;
    run(scene, &project, &pipeline, &order, &http).await
}

async fn run(
    scene: &Scene<'_>,
    project: &Project,
    pipeline: &Pipeline,
    order: &repair::Order,
    http: &Client,
) -> Result<Exit> {
    let normalizers = Normalizers::default();
    let mut view = View::new(scene.out);
    let mut report = |event| view.show(SystemClock.now(), &event);
    let working = Working {
        http,
        clock: &SystemClock,
        normalizers: &normalizers,
        report: &mut report,
        stop: scene.stop.clone(),
    };
    let done = repair::run(project, pipeline, order, working).await;
    view.finish();
    let outcome = done?;
    sync::show(scene, &outcome)?;
    Ok(Exit::of_run(&outcome.summary, false, outcome.error.as_ref().map(Error::kind)))
}

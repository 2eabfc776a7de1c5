//! `verify`.
use super::{Scene, confirmed};
use crate::{
    app::{
        self,
        plan::PipelinePlan,
        project::Project,
        verify::{Order, Reading, report::Report},
    },
    cli::{
        args::{Output, Verify},
        exit::Exit,
        render::{figures, progress::View, verify},
    },
    error::Result,
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
    Ok(if report.equal { Exit::Ok } else { Exit::Differs })
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
    let reading = Reading {
        http: &http,
        clock: &SystemClock,
        normalizers: &normalizers,
        report: &mut report,
        stop: scene.stop.clone(),
    };
    let done = app::verify::source(project, pipeline, order, reading).await;
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

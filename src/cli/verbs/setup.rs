//! `init`, `check`, `plan`: everything before the first sync.
use super::Scene;
use crate::{
    app::{self, plan::PipelinePlan, project::Narrow},
    cli::{
        args::{Init, Names, Output, Plan},
        ask,
        exit::Exit,
        render::{Look, figures, summary, table::Table},
    },
    error::Result,
    http::{Client, Limits},
    time::SystemClock,
};
use std::{io::IsTerminal, time::Duration};

pub(super) fn init(scene: &Scene<'_>, asked: &Init) -> Result<Exit> {
    let project = scene.project()?;
    let names: Vec<&str> = project.catalog.connectors.keys().map(String::as_str).collect();
    let inputs = |name: &str| project.catalog.connector(name).map(|c| c.inputs.clone());
    let (mut answers, mut questions) = (std::io::stdin().lock(), std::io::stderr().lock());
    let dialog = std::io::stdin()
        .is_terminal()
        .then_some(ask::Dialog { answers: &mut answers, questions: &mut questions });
    let order = ask::order(asked, &names, inputs, dialog)?;
    drop(questions);
    let connector = project.catalog.connector(&order.connector)?;
    let streams: Vec<&str> = connector.streams.iter().map(|s| s.name.as_str()).collect();
    let written = app::init::init(&project.dir, &order, &connector.inputs, &streams)?;
    match scene.out.output {
        Output::Json => {
            scene.out.json(&serde_json::json!({ "files": written.files, "next": written.next }))?
        }
        Output::Text => {
            written.files.iter().for_each(|f| scene.out.note(&format!("wrote {}", f.display())));
            scene.out.note(&format!("\nnext:\n  {}", written.next.join("\n  ")));
        }
    }
    Ok(Exit::Ok)
}

pub(super) async fn check(scene: &Scene<'_>, asked: &Names) -> Result<Exit> {
    let project = scene.project()?;
    let names = if asked.pipelines.is_empty() { project.names()? } else { asked.pipelines.clone() };
    if names.is_empty() {
        project.pipelines(&[])?;
    }
    let mut all = Vec::new();
    for name in &names {
        all.extend(app::check::check(&project, name).await);
    }
    let exit = all.iter().find_map(|f| f.kind).map_or(Exit::Ok, Exit::of_kind);
    if scene.out.output == Output::Json {
        scene.out.json(&all)?;
        return Ok(exit);
    }
    let mut table = Table::new().text("pipeline").text("checked").text("").text("found");
    for finding in &all {
        let mark = match (finding.ok, &finding.next) {
            (true, None) => scene.out.data.green("ok"),
            (true, Some(_)) => scene.out.data.yellow("warning"),
            (false, _) => scene.out.data.red("wrong"),
        };
        table.row(vec![finding.pipeline.clone(), finding.what.clone(), mark, finding.found.clone()]);
    }
    scene.out.table(&table)?;
    let mut hints: Vec<&str> = all.iter().filter_map(|f| f.next.as_deref()).collect();
    hints.dedup();
    hints.iter().for_each(|hint| scene.out.note(&format!("next: {hint}")));
    if exit == Exit::Ok {
        scene.out.note(&format!("next: tidegate plan {0}, then tidegate sync {0}", names.join(" ")));
    }
    Ok(exit)
}

pub(super) async fn plan(scene: &Scene<'_>, asked: &Plan) -> Result<Exit> {
    let project = scene.project()?;
    let narrow = Narrow { streams: asked.streams.clone(), requests_max: None };
    let http = Client::new(Limits::default())?;
    let mut all = Vec::new();
    for pipeline in project.pipelines(&asked.pipelines)? {
        all.push(app::plan::plan(&project, &pipeline, &narrow, &http, &SystemClock).await?);
    }
    let exit = all.iter().flat_map(|p| &p.streams).find_map(|s| s.kind).map_or(Exit::Ok, Exit::of_kind);
    if scene.out.output == Output::Json {
        scene.out.json(&all)?;
        return Ok(exit);
    }
    for plan in &all {
        scene.out.data(&drawn(plan, &scene.out.data))?;
        let mut hints: Vec<&str> = plan.streams.iter().filter_map(|s| s.next.as_deref()).collect();
        hints.dedup();
        hints.iter().for_each(|hint| scene.out.note(&format!("next: {hint}")));
        if plan.streams.iter().all(|s| s.error.is_none()) {
            scene.out.note(&format!("next: tidegate sync {}", plan.pipeline));
        }
    }
    Ok(exit)
}

fn drawn(plan: &PipelinePlan, look: &Look) -> String {
    let about = |n: Option<u64>, exact: bool, show: fn(u64) -> String| match n {
        None => "?".to_owned(),
        Some(n) if exact => show(n),
        Some(n) => format!("~{}", show(n)),
    };
    let mut table =
        Table::new().text("stream").text("what").number("records").number("requests").number("bytes");
    for s in &plan.streams {
        let cells = [
            about(s.records, s.exact, figures::grouped),
            about(s.requests, s.exact, figures::grouped),
            about(s.bytes, false, figures::bytes),
        ];
        table.row([s.stream.clone(), s.what.clone()].into_iter().chain(cells).collect());
    }
    let mut text = format!("{}\n{}", look.bold(&plan.pipeline), table.draw(look));
    let pace = figures::length(Duration::from_secs_f64(plan.minutes * 60.0));
    if plan.streams.iter().all(|s| s.requests.is_none()) {
        text.push_str("what a sync would cost cannot be told");
    } else {
        let requests = figures::counted(plan.requests, "request", "requests");
        text.push_str(&format!("about {requests}, {pace} at the request budget"));
    }
    if plan.bytes > 0 {
        text.push_str(&format!(", {} of bodies", figures::bytes(plan.bytes)));
    }
    if plan.streams.iter().any(|s| s.records.is_none()) {
        text.push_str("; ? cannot be told before it is read");
    }
    text.push('\n');
    for overlay in &plan.overlays {
        text.push_str(&format!("{} has columns of its own: {}\n", overlay.table, overlay.file));
    }
    let failed = plan.streams.iter().filter_map(|s| Some((s.stream.as_str(), s.error.as_deref()?)));
    for (streams, error) in summary::together(failed) {
        text.push_str(&format!("{} {}: {error}\n", look.red("failed:"), streams.join(", ")));
    }
    text
}

//! `init`, `check`, `plan`: everything before the first sync.
use super::Scene;
use crate::{
    app::{self, project::Narrow},
    cli::{
        args::{Init, Names, Output, Plan},
        ask,
        exit::Exit,
        render::{figures, table::Table},
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
        let mark = if finding.ok { scene.out.data.green("ok") } else { scene.out.data.red("wrong") };
        table.row(vec![finding.pipeline.clone(), finding.what.clone(), mark, finding.found.clone()]);
    }
    scene.out.table(&table)?;
    let wrong = all.iter().filter(|f| !f.ok);
    wrong.filter_map(|f| f.next.as_ref()).for_each(|next| scene.out.note(&format!("next: {next}")));
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
    if scene.out.output == Output::Json {
        scene.out.json(&all)?;
        return Ok(Exit::Ok);
    }
    let about = |n: Option<u64>, exact: bool, show: fn(u64) -> String| match n {
        None => "?".to_owned(),
        Some(n) if exact => show(n),
        Some(n) => format!("~{}", show(n)),
    };
    for plan in &all {
        let mut table =
            Table::new().text("stream").text("what").number("records").number("requests").number("bytes");
        for s in &plan.streams {
            let what = s.error.clone().unwrap_or_else(|| s.what.clone());
            let cells = [
                about(s.records, s.exact, figures::grouped),
                about(s.requests, s.exact, figures::grouped),
                about(s.bytes, false, figures::bytes),
            ];
            table.row([s.stream.clone(), what].into_iter().chain(cells).collect());
        }
        scene.out.data(&format!("{}\n", scene.out.data.bold(&plan.pipeline)))?;
        scene.out.table(&table)?;
        scene.out.data(&format!(
            "about {} requests, {} at the request budget, {} of bodies; ? cannot be told before it is read\n",
            figures::grouped(plan.requests),
            figures::length(Duration::from_secs_f64(plan.minutes * 60.0)),
            figures::bytes(plan.bytes),
        ))?;
        scene.out.note(&format!("next: tidegate sync {}", plan.pipeline));
    }
    let failed = all.iter().flat_map(|p| &p.streams).any(|s| s.error.is_some());
    Ok(if failed { Exit::Partial } else { Exit::Ok })
}

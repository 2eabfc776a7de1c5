//! `state`: how far streams are read, what operators changed there, and the way back.
use super::{Scene, confirmed};
use crate::{
    app::{self, project::Project, state::journal},
    cli::{
        args::{Output, State},
        exit::Exit,
        render::table::Table,
    },
    error::{Error, Kind, Result},
    pipeline::Pipeline,
};
use std::{fs, path::Path};

pub(super) async fn state(scene: &Scene<'_>, asked: &State) -> Result<Exit> {
    let project = scene.project()?;
    match asked {
        State::List(names) => listed(scene, &project, &names.pipelines).await?,
        State::Show { pipeline, stream } => {
            let pipeline = project.pipeline(pipeline)?;
            scene.out.json(&app::state::show(&project, &pipeline, stream).await?)?;
        }
        State::Reset { pipeline, streams, yes, .. } => {
            let pipeline = project.pipeline(pipeline)?;
            for stream in streams {
                app::state::show(&project, &pipeline, stream).await?;
            }
            let what = if streams.is_empty() { "all streams".to_owned() } else { streams.join(", ") };
            confirmed(
                *yes,
                &format!("Read {what} of {} from the beginning at the next sync?", pipeline.name),
            )?;
            let (reset, entry) = app::state::reset(&project, &pipeline, streams).await?;
            let said = format!("reset: {}\nnext: tidegate sync {}", reset.join(", "), pipeline.name);
            told(scene, &serde_json::json!({ "reset": reset, "entry": entry }), &said)?;
            way_back(scene, &pipeline, entry);
        }
        State::Set { pipeline, stream, watermark, skip, yes } => {
            set(scene, &project, (pipeline, stream, watermark), *skip, *yes).await?;
        }
        State::Export { pipeline, out } => exported(scene, &project, pipeline, out.as_deref()).await?,
        State::Import { pipeline, file, yes } => {
            let pipeline = project.pipeline(pipeline)?;
            let text = fs::read_to_string(file).map_err(|e| {
                Error::new(Kind::Invalid, "cannot read the state").with("file", file.display()).because(e)
            })?;
            confirmed(*yes, &format!("Replace the checkpoints of {}?", pipeline.name))?;
            let done = app::state::import(&project, &pipeline, &text)
                .await
                .map_err(|e| e.with("file", file.display()))?;
            let mut said = format!("imported: {}", done.imported.join(", "));
            if !done.kept.is_empty() {
                said.push_str(&format!("\nnot in the file, left as they were: {}", done.kept.join(", ")));
            }
            done.notes.iter().for_each(|note| said.push_str(&format!("\n{note}")));
            told(scene, &serde_json::json!(done), &said)?;
            way_back(scene, &pipeline, Some(done.entry));
        }
        State::Journal { pipeline } => journaled(scene, &project, &project.pipeline(pipeline)?).await?,
        State::Undo { pipeline, entry, force, yes } => {
            let pipeline = project.pipeline(pipeline)?;
            let (number, lines) = journal::preview(&project, &pipeline, *entry, *force).await?;
            let lines = lines.join("\n  ");
            confirmed(*yes, &format!("Put back what was before entry {number}?\n  {lines}\n"))?;
            let done = journal::undo(&project, &pipeline, Some(number), *force).await?;
            let streams: Vec<String> =
                done.streams.iter().map(|(s, stand)| format!("{s}: {stand}")).collect();
            let said = format!("as before entry {number}:\n  {}", streams.join("\n  "));
            told(scene, &serde_json::json!(done), &said)?;
            way_back(scene, &pipeline, Some(done.entry));
        }
    }
    Ok(Exit::Ok)
}

/// How to take a change back, for a person.
fn way_back(scene: &Scene<'_>, pipeline: &Pipeline, entry: Option<i64>) {
    if let (Some(entry), Output::Text) = (entry, scene.out.output) {
        scene.out.note(&format!("to take it back: tidegate state undo {} --entry {entry}", pipeline.name));
    }
}

async fn set(
    scene: &Scene<'_>,
    project: &Project,
    (pipeline, stream, watermark): (&str, &str, &str),
    skip: bool,
    yes: bool,
) -> Result<()> {
    let pipeline = project.pipeline(pipeline)?;
    let to = app::state::moment(&pipeline, watermark)?;
    app::state::show(project, &pipeline, stream).await?;
    confirmed(yes, &format!("Move the watermark of {stream} of {}?", pipeline.name))?;
    let set = app::state::set(project, &pipeline, stream, to, skip).await?;
    let what = if set.skipped {
        "changes between the two are never read"
    } else {
        "changes since then are read again"
    };
    let said =
        format!("{}: {} -> {}; {what}\nnext: tidegate sync {}", set.stream, set.from, set.to, pipeline.name);
    told(scene, &serde_json::json!(set), &said)?;
    way_back(scene, &pipeline, Some(set.entry));
    Ok(())
}

async fn exported(scene: &Scene<'_>, project: &Project, pipeline: &str, out: Option<&Path>) -> Result<()> {
    let exported = app::state::export(project, &project.pipeline(pipeline)?).await?;
    let Some(file) = out else { return scene.out.json(&exported) };
    let text = serde_json::to_string_pretty(&exported)
        .map_err(|e| Error::new(Kind::Bug, "a state is always JSON").because(e))?;
    fs::write(file, text + "\n").map_err(|e| {
        Error::new(Kind::Destination, "cannot write the state").with("file", file.display()).because(e)
    })?;
    let count = exported.checkpoints.len();
    let said = format!("{count} checkpoints written to {}", file.display());
    told(scene, &serde_json::json!({ "file": file, "checkpoints": count }), &said)
}

async fn listed(scene: &Scene<'_>, project: &Project, names: &[String]) -> Result<()> {
    let mut table = Table::new().text("pipeline").text("stream").text("data through").text("checkpoint");
    let mut all = Vec::new();
    for pipeline in project.pipelines(names)? {
        let exported = app::state::export(project, &pipeline).await?;
        for (stream, checkpoint) in &exported.checkpoints {
            let through = checkpoint.watermark().map_or_else(|| "-".into(), |t| t.to_string());
            table.row(vec![
                pipeline.name.clone(),
                stream.clone(),
                through,
                app::status::phase(Some(checkpoint)),
            ]);
        }
        all.push(exported);
    }
    match scene.out.output {
        Output::Json => scene.out.json(&all),
        Output::Text if table.is_empty() => {
            scene.out.note("nothing was synced yet: tidegate sync");
            Ok(())
        }
        Output::Text => scene.out.table(&table),
    }
}

async fn journaled(scene: &Scene<'_>, project: &Project, pipeline: &Pipeline) -> Result<()> {
    let all = journal::journal(project, pipeline).await?;
    let mut table =
        Table::new().number("entry").text("when").text("what").text("stream").text("before").text("after");
    for shown in &all {
        let what =
            shown.undoes.map_or_else(|| shown.verb.to_string(), |no| format!("{} of {no}", shown.verb));
        for (stream, moved) in &shown.streams {
            table.row(vec![
                shown.entry.to_string(),
                shown.at.clone(),
                what.clone(),
                stream.clone(),
                journal::stand(moved.before.as_ref()),
                journal::stand(moved.after.as_ref()),
            ]);
        }
    }
    match scene.out.output {
        Output::Json => scene.out.json(&all),
        Output::Text if all.is_empty() => {
            scene.out.note(&format!("no operator has changed the state of {}", pipeline.name));
            Ok(())
        }
        Output::Text => {
            scene.out.table(&table)?;
            scene.out.note(&format!("to take one back: tidegate state undo {} --entry N", pipeline.name));
            Ok(())
        }
    }
}

/// What was done: a document for a program, a sentence for a person.
fn told(scene: &Scene<'_>, document: &serde_json::Value, sentence: &str) -> Result<()> {
    match scene.out.output {
        Output::Json => scene.out.json(document),
        Output::Text => {
            scene.out.note(sentence);
            Ok(())
        }
    }
}

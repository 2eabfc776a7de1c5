//! `state`, `quarantine`, `rebuild`.
use super::{Scene, confirmed};
use crate::{
    app::{self, project::Project},
    cli::{
        args::{Output, Quarantine, Rebuild, State},
        exit::Exit,
        render::table::Table,
    },
    error::{Error, Kind, Result},
    sync::Normalizers,
};
use std::fs;

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
            let what = if streams.is_empty() { "all streams".to_owned() } else { streams.join(", ") };
            confirmed(
                *yes,
                &format!("Read {what} of {} from the beginning at the next sync?", pipeline.name),
            )?;
            let reset = app::state::reset(&project, &pipeline, streams).await?;
            let said = format!("reset: {}\nnext: tidegate sync {}", reset.join(", "), pipeline.name);
            told(scene, &serde_json::json!({ "reset": reset }), &scene.out.typed(&said))?;
        }
        State::Export { pipeline, out } => {
            let exported = app::state::export(&project, &project.pipeline(pipeline)?).await?;
            match out {
                None => scene.out.json(&exported)?,
                Some(file) => {
                    let text = serde_json::to_string_pretty(&exported)
                        .map_err(|e| Error::new(Kind::Bug, "a state is always JSON").because(e))?;
                    fs::write(file, text + "\n").map_err(|e| {
                        Error::new(Kind::Destination, "cannot write the state")
                            .with("file", file.display())
                            .because(e)
                    })?;
                    let count = exported.checkpoints.len();
                    let said = format!("{count} checkpoints written to {}", file.display());
                    told(scene, &serde_json::json!({ "file": file, "checkpoints": count }), &said)?;
                }
            }
        }
        State::Import { pipeline, file, yes } => {
            let pipeline = project.pipeline(pipeline)?;
            let text = fs::read_to_string(file).map_err(|e| {
                Error::new(Kind::Invalid, "cannot read the state").with("file", file.display()).because(e)
            })?;
            confirmed(*yes, &format!("Replace the checkpoints of {}?", pipeline.name))?;
            let streams = app::state::import(&project, &pipeline, &text).await?;
            let said = format!("imported: {}", streams.join(", "));
            told(scene, &serde_json::json!({ "imported": streams }), &said)?;
        }
    }
    Ok(Exit::Ok)
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

pub(super) async fn quarantine(scene: &Scene<'_>, asked: &Quarantine) -> Result<Exit> {
    let project = scene.project()?;
    match asked {
        Quarantine::List { pipelines, streams, rows } => {
            let mut all = Vec::new();
            for pipeline in project.pipelines(pipelines)? {
                let stored = app::quarantine::list(&project, &pipeline, streams).await?;
                all.extend(stored.into_iter().map(|s| (pipeline.name.clone(), s)));
            }
            if all.is_empty() && scene.out.output == Output::Text && rows.out.is_none() {
                scene.out.note("no record is in quarantine");
                return Ok(Exit::Ok);
            }
            let batch = app::quarantine::batch(&all)?;
            scene.out.rows(&batch.schema(), std::slice::from_ref(&batch), rows)?;
            if let Some((pipeline, first)) = all.first().filter(|_| scene.out.output == Output::Text) {
                scene.out.note(&format!("next: tidegate quarantine show {pipeline} {}", first.id));
                scene.out.note(&format!("next: tidegate quarantine redrive {pipeline}"));
            }
        }
        Quarantine::Show { pipeline, id } => {
            let stored = app::quarantine::show(&project, &project.pipeline(pipeline)?, id).await?;
            let body = String::from_utf8_lossy(&stored.reject.body);
            let reject = &stored.reject;
            match scene.out.output {
                Output::Json => scene.out.json(&serde_json::json!({
                    "id": stored.id, "stream": reject.stream, "key": reject.key, "rule": reject.rule,
                    "pointer": reject.pointer, "message": reject.message, "asked_at": reject.asked_at.to_string(),
                    "body": body,
                }))?,
                Output::Text => scene.out.data(&format!(
                    "{}  {}  {}\n{} at `{}`: {}\nasked for {}\n\n{body}\n",
                    stored.id,
                    reject.stream,
                    reject.key.as_deref().unwrap_or("(no key)"),
                    reject.rule,
                    reject.pointer,
                    reject.message,
                    reject.asked_at,
                ))?,
            }
        }
        Quarantine::Redrive { pipeline, ids } => {
            let pipeline = project.pipeline(pipeline)?;
            let done =
                app::quarantine::redrive_all(&project, &pipeline, ids, &Normalizers::default()).await?;
            let mut table =
                Table::new().text("stream").number("accepted").number("changed").number("still refused");
            for stream in &done {
                let count = |n| scene.out.data.count(n);
                let cells = [count(stream.accepted), count(stream.changed), count(stream.rejected)];
                table.row(std::iter::once(stream.stream.clone()).chain(cells).collect());
            }
            match scene.out.output {
                Output::Json => scene.out.json(&done)?,
                Output::Text if done.is_empty() => scene.out.note("no record is in quarantine"),
                Output::Text => scene.out.table(&table)?,
            }
        }
    }
    Ok(Exit::Ok)
}

pub(super) async fn rebuild(scene: &Scene<'_>, asked: &Rebuild) -> Result<Exit> {
    let project = scene.project()?;
    let pipeline = project.pipeline(&asked.pipeline)?;
    let done =
        app::rebuild::rebuild(&project, &pipeline, &asked.streams, !asked.diff, &Normalizers::default())
            .await?;
    if scene.out.output == Output::Json {
        scene.out.json(&done)?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new()
        .text("stream")
        .text("table")
        .number("added")
        .number("removed")
        .number("changed")
        .number("same");
    for stream in &done {
        for diff in &stream.diffs {
            let count = |n| scene.out.data.count(n);
            let cells = [count(diff.added), count(diff.removed), count(diff.changed), count(diff.same)];
            table.row([stream.stream.clone(), diff.entity.clone()].into_iter().chain(cells).collect());
        }
    }
    scene.out.table(&table)?;
    let rejected: u64 = done.iter().map(|s| s.rejected).sum();
    if rejected > 0 {
        scene.out.note(&format!(
            "{rejected} stored records do not fit the mapping of today and would leave the tables"
        ));
    }
    scene.out.note(match (done.is_empty(), asked.diff) {
        (true, _) => "no stream was read yet, so there is nothing to rebuild",
        (false, true) => "nothing was changed; without --diff the new tables are swapped in",
        (false, false) => "swapped in",
    });
    Ok(Exit::Ok)
}

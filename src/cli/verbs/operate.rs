//! `quarantine`, `rebuild`.
use super::Scene;
use crate::{
    app,
    cli::{
        args::{Output, Quarantine, Rebuild},
        exit::Exit,
        render::table::Table,
    },
    error::Result,
    sync::Normalizers,
};

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

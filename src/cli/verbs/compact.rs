//! `compact`.
use super::Scene;
use crate::{
    app::{self, compact::PipelineCompacted},
    cli::{
        args::{Compact, Output},
        exit::Exit,
        render::{figures, table::Table},
    },
    error::Result,
    time::SystemClock,
};

pub(super) async fn compact(scene: &Scene<'_>, asked: &Compact) -> Result<Exit> {
    let project = scene.project()?;
    let mut all = Vec::new();
    for pipeline in project.pipelines(&asked.pipelines)? {
        let done = app::compact::compact(&project, &pipeline, &SystemClock).await?;
        if scene.out.output == Output::Text {
            text(scene, &done)?;
        }
        all.push(done);
    }
    if scene.out.output == Output::Json {
        scene.out.json(&all)?;
    }
    Ok(Exit::Ok)
}

fn text(scene: &Scene<'_>, one: &PipelineCompacted) -> Result<()> {
    if one.new {
        scene.out.note(&format!("nothing was synced yet: tidegate sync {}", one.pipeline));
        return Ok(());
    }
    let mut table = Table::new()
        .text("layer")
        .number(format!("{} before", one.counts))
        .number("after")
        .number("bytes before")
        .number("after");
    for layer in &one.done.layers {
        table.row(vec![
            layer.layer.clone(),
            scene.out.data.count(layer.files_before),
            scene.out.data.count(layer.files_after),
            figures::bytes(layer.bytes_before),
            figures::bytes(layer.bytes_after),
        ]);
    }
    scene.out.data(&format!("{}\n", scene.out.data.bold(&one.pipeline)))?;
    scene.out.table(&table)?;
    if one.done.bodies_removed > 0 {
        let removed = figures::grouped(one.done.bodies_removed);
        scene.out.note(&format!("{removed} bodies of superseded states were removed"));
    }
    Ok(())
}

//! `schema`, `connectors`, `completions`: what needs no destination and no provider.
use super::Scene;
use crate::{
    app,
    cli::{
        args::{self, Connectors, Output, SchemaArgs},
        exit::Exit,
        render::table::Table,
    },
    error::Result,
};
use std::io;

pub(super) fn schema(scene: &Scene<'_>, asked: &SchemaArgs) -> Result<Exit> {
    let catalog = scene.project()?.catalog;
    let batch = match &asked.entity {
        None => app::schema::tables_batch(&catalog)?,
        Some(entity) => app::schema::columns_batch(&catalog, entity)?,
    };
    scene.out.rows(&batch.schema(), std::slice::from_ref(&batch), &asked.rows)?;
    Ok(Exit::Ok)
}

pub(super) fn connectors(scene: &Scene<'_>, asked: &Connectors) -> Result<Exit> {
    match asked {
        Connectors::List => {
            let all = app::connectors::list(&scene.project()?.catalog);
            let mut table = Table::new().text("connector").number("streams").text("needs");
            for one in &all {
                let needs: Vec<&str> = one.inputs.iter().map(|i| i.name.as_str()).collect();
                table.row(vec![one.connector.clone(), one.streams.len().to_string(), needs.join(", ")]);
            }
            match scene.out.output {
                Output::Json => scene.out.json(&all)?,
                Output::Text => scene.out.table(&table)?,
            }
        }
        Connectors::Show { name } => {
            let shown = app::connectors::show(&scene.project()?.catalog, name)?;
            if scene.out.output == Output::Json {
                scene.out.json(&shown)?;
                return Ok(Exit::Ok);
            }
            scene.out.data(&format!("{}\n{}\n\n", scene.out.data.bold(&shown.connector), shown.limits))?;
            let mut inputs = Table::new().text("input").text("kind").text("meaning");
            shown
                .inputs
                .iter()
                .for_each(|i| inputs.row(vec![i.name.clone(), i.kind.clone(), i.meaning.clone()]));
            scene.out.table(&inputs)?;
            scene.out.data("\n")?;
            let mut streams = Table::new()
                .text("stream")
                .text("how changes are found")
                .text("deletes")
                .text("pages")
                .leaves(1)
                .text("tables");
            for s in &shown.streams {
                streams.row(vec![
                    s.stream.clone(),
                    s.changes.clone(),
                    s.deletes.clone(),
                    s.pages.clone(),
                    s.tables.join(", "),
                ]);
            }
            scene.out.table(&streams)?;
        }
        Connectors::Lint { paths } => {
            let checked = app::connectors::lint(&scene.global.dir, paths)?;
            match scene.out.output {
                Output::Json => scene.out.json(&checked)?,
                Output::Text => checked.iter().try_for_each(|c| scene.out.data(&format!("{c}: ok\n")))?,
            }
        }
        Connectors::Schema => scene.out.json(&crate::manifest::json_schema()?)?,
    }
    Ok(Exit::Ok)
}

pub(super) fn completions(shell: clap_complete::Shell) -> Result<Exit> {
    clap_complete::generate(shell, &mut args::command(), "tidegate", &mut io::stdout());
    Ok(Exit::Ok)
}

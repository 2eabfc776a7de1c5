//! `schema`, `connectors`, `completions`: what needs no destination and no provider.
use super::Scene;
use crate::{
    app::{
        self,
        promises::{self, CELLS},
        schema::Dictionary,
    },
    cli::{
        args::{self, Connectors, Output, SchemaArgs},
        exit::Exit,
        render::table::Table,
    },
    error::Result,
};
use std::io;

pub(super) fn schema(scene: &Scene<'_>, asked: &SchemaArgs) -> Result<Exit> {
    let project = scene.project()?;
    let dictionary = match &asked.pipeline {
        None => Dictionary::of(&project.catalog),
        Some(name) => Dictionary::of_pipeline(&project, &project.pipeline(name)?)?,
    };
    let batch = match &asked.entity {
        None => dictionary.tables()?,
        Some(entity) => dictionary.columns(entity)?,
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
            scene.out.data(&format!("{}\n{}\n", scene.out.data.bold(&shown.connector), shown.limits))?;
            if let Some(rights) = &shown.rights {
                scene.out.data(&format!("least rights: {rights}\n"))?;
            }
            scene.out.data("\n")?;
            let mut inputs = Table::new().text("input").text("kind").text("meaning");
            shown
                .inputs
                .iter()
                .for_each(|i| inputs.row(vec![i.name.clone(), i.kind.clone(), i.meaning.clone()]));
            scene.out.table(&inputs)?;
            scene.out.data("\n")?;
            let told: Vec<&str> = CELLS.into_iter().chain(["tables"]).collect();
            let wide = told.iter().map(|name| name.len()).max().unwrap_or_default();
            for (names, cells) in promises::groups(&shown.streams) {
                scene.out.data(&format!("{}\n", scene.out.data.bold(&names.join(", "))))?;
                let fed = shown.streams.iter().filter(|s| names.contains(&s.stream.as_str()));
                let tables: Vec<&str> = fed.flat_map(|s| s.tables.iter().map(String::as_str)).collect();
                let tables = tables.join(", ");
                for (name, cell) in told.iter().zip(cells.into_iter().chain([tables.as_str()])) {
                    scene.out.data(&format!("  {name:wide$}  {}\n", cell.replace('`', "")))?;
                }
                scene.out.data("\n")?;
            }
            limits(scene, &shown)?;
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

/// Which streams can be read by id, and what no stream gives.
fn limits(scene: &Scene<'_>, shown: &app::connectors::Shown) -> Result<()> {
    let single = shown.streams.iter().filter(|s| s.single).map(|s| s.stream.as_str());
    let single: Vec<&str> = single.collect();
    if !single.is_empty() {
        scene.out.data(&format!("Read by id too (backfill --ids): {}\n\n", single.join(", ")))?;
    }
    scene.out.data("Columns that the provider does not give are NULL; a view v_TABLE may know more:\n")?;
    for missing in &shown.not_given {
        let view = match missing.in_view.as_slice() {
            [] => String::new(),
            known => format!(" (v_{} has {})", missing.table, known.join(", ")),
        };
        scene.out.data(&format!("  {}: {}{view}\n", missing.table, missing.columns.join(", ")))?;
    }
    Ok(())
}

pub(super) fn completions(shell: clap_complete::Shell) -> Result<Exit> {
    clap_complete::generate(shell, &mut args::command(), "tidegate", &mut io::stdout());
    Ok(Exit::Ok)
}

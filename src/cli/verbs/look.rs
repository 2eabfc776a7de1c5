//! `status`, `query`, `export`: what is there.
use super::Scene;
use crate::{
    app::{
        self,
        query::Reader,
        status::{Measured, PipelineStatus},
    },
    cli::{
        args::{Export, Output, Query, Status},
        exit::Exit,
        render::{figures, rows, table::Table},
    },
    error::{Error, Kind, Result},
    pipeline::Pipeline,
    time::{Clock, SystemClock, Timestamp},
};
use std::{fs, time::Duration};

pub(super) async fn status(scene: &Scene<'_>, asked: &Status) -> Result<Exit> {
    let project = scene.project()?;
    let mut all = Vec::new();
    for pipeline in project.pipelines(&asked.pipelines)? {
        all.push(app::status::status(&project, &pipeline, asked.runs, &SystemClock).await?);
    }
    if scene.out.output == Output::Json {
        scene.out.json(&all)?;
        return Ok(Exit::Ok);
    }
    let now = SystemClock.now();
    for one in &all {
        let due =
            one.next_due.map(|t| format!(", next run {}", figures::relative(t, now))).unwrap_or_default();
        let title = scene.out.data.bold(&one.pipeline);
        scene
            .out
            .data(&format!("{title}  {} commits, {} in quarantine{due}\n", one.commits, one.quarantined))?;
        scene.out.table(&streams(one, now))?;
        let mut runs =
            Table::new().text("run").text("ended").number("changed").number("rejected").text("error");
        for run in &one.runs {
            runs.row(run_line(run, now));
        }
        if !runs.is_empty() {
            scene.out.data("\n")?;
            scene.out.table(&runs)?;
        }
        lateness(scene, one);
        upkeep(scene, one);
        erasures(scene, one);
        if let Some(renewal) = &one.renewal {
            scene.out.note(&format!(
                "the mappings, overlays or column policies changed since these rows were made: {renewal}"
            ));
        }
        if one.quarantined > 0 {
            scene.out.note(&format!("next: tidegate quarantine list {}", one.pipeline));
        }
        if one.commits == 0 {
            scene.out.note(&format!("next: tidegate sync {}", one.pipeline));
        }
    }
    Ok(Exit::Ok)
}

fn persons(count: u64) -> String {
    if count == 1 { "1 person".into() } else { format!("{count} persons") }
}

fn erasures(scene: &Scene<'_>, one: &PipelineStatus) {
    let told = &one.erasures;
    if told.done > 0 {
        let what = &told.erased;
        scene.out.note(&format!(
            "erased what was read of {} before the provider cleared it: {} rows, {} bodies, {} quarantined records, \
             {} issues",
            persons(told.done),
            what.rows, what.bodies, what.rejects, what.issues
        ));
    }
    if told.pending > 0 {
        let name = &one.pipeline;
        scene.out.note(&format!("still to be erased: {}; next: tidegate sync {name}", persons(told.pending)));
    }
}

fn streams(one: &PipelineStatus, now: Timestamp) -> Table {
    let secs = |n: Option<u64>| n.map_or_else(String::new, |n| figures::length(Duration::from_secs(n)));
    let mut table = Table::new().text("stream").text("state").text("data through").text("age").leaves(1);
    let any = |known: fn(&Measured) -> bool| one.streams.iter().any(|s| known(&s.measured));
    let (shares, late, swept) =
        (any(|m| m.no_cursor_share.is_some()), any(|m| m.late > 0), any(|m| m.swept.is_some()));
    if shares {
        table = table.number("without cursor").leaves(1);
    }
    if late {
        table = table.text("late up to").leaves(2).text("late p99").leaves(1);
    }
    if swept {
        table = table.text("swept").leaves(2);
    }
    for s in &one.streams {
        let through = s.data_through.map_or_else(|| "-".into(), figures::minute);
        let mut cells = vec![s.stream.clone(), s.phase.clone(), through, secs(s.lag_secs)];
        let m = &s.measured;
        if shares {
            cells.push(m.no_cursor_share.map_or_else(String::new, |n| format!("{:.1} %", n * 100.0)));
        }
        if late {
            cells.extend([secs(m.late_max_secs), secs(m.late_p99_secs)]);
        }
        if swept {
            cells.push(m.swept.map_or_else(String::new, |t| figures::relative(t, now)));
        }
        table.row(cells);
    }
    table
}

/// What housekeeping did and has to do.
fn upkeep(scene: &Scene<'_>, one: &PipelineStatus) {
    if let Some(from) = one.streams.iter().filter_map(|s| s.bodies_from).max() {
        scene.out.note(&format!(
            "bodies are whole from {}; before that, of each record the newest is kept",
            figures::minute(from)
        ));
    }
    if let Some(command) = &one.compaction {
        let files = figures::grouped(one.spare_files);
        scene.out.note(&format!("{files} small files could be fewer: {command}"));
    }
}

/// A row that is later than the overlap is found by a sweep only; one that was late for most of it is a warning.
fn lateness(scene: &Scene<'_>, one: &PipelineStatus) {
    for s in &one.streams {
        if let (Some(late), Some(overlap)) = (s.measured.late_max_secs, s.measured.overlap_secs)
            && late.saturating_mul(2) > overlap
        {
            scene.out.note(&format!(
                "{}: a row was visible {} after its change at the earliest, and syncs read back {}; later ones need tidegate sweep {} --stream {}",
                s.stream,
                figures::length(Duration::from_secs(late)),
                figures::length(Duration::from_secs(overlap)),
                one.pipeline,
                s.stream,
            ));
        }
    }
}

fn run_line(run: &serde_json::Value, now: Timestamp) -> Vec<String> {
    let text = |key: &str| run.get(key).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
    let sum = |key: &str| {
        let streams = run.get("streams").and_then(|s| s.as_array());
        let counts = streams.into_iter().flatten().filter_map(|s| s.get(key)?.as_u64());
        counts.sum::<u64>().to_string()
    };
    let failed = run.get("streams").and_then(|s| s.as_array()).into_iter().flatten();
    let error = failed.chain([run]).filter_map(|s| s.get("error")?.as_str()).next_back().unwrap_or_default();
    let ended = run.get("finished").and_then(serde_json::Value::as_i64).map(Timestamp);
    let ended = ended.map_or_else(String::new, |t| figures::relative(t, now));
    let what = [text("errand"), text("status")].join(" ");
    vec![what.trim().to_owned(), ended, sum("changed"), sum("rejected"), error.to_owned()]
}

/// The named pipeline, or the only one. Several on one destination share its tables, so any of them will do.
fn one_pipeline(scene: &Scene<'_>, name: Option<&String>) -> Result<(app::project::Project, Pipeline)> {
    let project = scene.project()?;
    let mut all = project.pipelines(&name.cloned().into_iter().collect::<Vec<_>>())?;
    let first = all.remove(0);
    if let Some(other) = all.iter().find(|p| p.destination != first.destination) {
        return Err(Error::new(Kind::Invalid, "the pipelines of this folder have several destinations")
            .hint(format!("add --pipeline {}   (or {})", first.name, other.name)));
    }
    Ok((project, first))
}

pub(super) async fn query(scene: &Scene<'_>, asked: &Query) -> Result<Exit> {
    let sql = match (&asked.sql, &asked.file) {
        (Some(sql), _) => sql.clone(),
        (None, Some(file)) => fs::read_to_string(file).map_err(|e| {
            Error::new(Kind::Invalid, "cannot read the query").with("file", file.display()).because(e)
        })?,
        (None, None) => {
            return Err(Error::new(Kind::Invalid, "there is no query").hint("tidegate query --help"));
        }
    };
    let (project, pipeline) = one_pipeline(scene, asked.pipeline.as_ref())?;
    let reader = Reader::open(&project, &pipeline).await?;
    let batches = reader.query(&sql).await?;
    if let Some(first) = batches.first() {
        scene.out.rows(&first.schema(), &batches, &asked.rows)?;
    }
    Ok(Exit::Ok)
}

pub(super) async fn export(scene: &Scene<'_>, asked: &Export) -> Result<Exit> {
    let project = scene.project()?;
    let pipeline = project.pipeline(&asked.pipeline)?;
    let tables = app::export::tables(&project, &pipeline, &asked.entities)?;
    fs::create_dir_all(&asked.out).map_err(|e| {
        Error::new(Kind::Destination, "cannot make the folder").with("folder", asked.out.display()).because(e)
    })?;
    let reader = Reader::open(&project, &pipeline).await?;
    let mut written = Vec::new();
    for table in &tables {
        let batches = app::export::table(&reader, &pipeline, table).await?;
        let Some(first) = batches.first() else { continue };
        let file = asked.out.join(format!("{table}.{}", asked.format.ending()));
        let rows = rows::to_file(&file, &first.schema(), &batches, asked.format.into())?;
        written.push(serde_json::json!({ "table": table, "file": file, "rows": rows }));
        if scene.out.output == Output::Text {
            scene.out.note(&format!("{}  {}", file.display(), figures::counted(rows, "row", "rows")));
        }
    }
    if scene.out.output == Output::Json {
        scene.out.json(&written)?;
    }
    Ok(Exit::Ok)
}

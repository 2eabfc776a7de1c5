//! What a lake holds, as JSON by table: the same for every way that leads there.
use super::stage::Stage;
use arrow::array::RecordBatch;
use serde_json::Value;
use std::collections::BTreeMap;
use tidegate::{
    app::{project::Project, query::Reader},
    cli::{args::Format, render::rows},
    load::{Destination, Layer, lake::Lake},
};

/// When and in which commit a row came differs from run to run; nothing else may.
const OF_THE_RUN: [&str; 2] = ["observed_at", "commit_no"];

/// Current rows and history of every table, read as the next sync would read them.
pub(crate) fn all(stage: &Stage) -> BTreeMap<String, Vec<String>> {
    let project = Project::open(&stage.path(".")).unwrap();
    let owner = project.pipeline("acme").unwrap().owner;
    let entities: Vec<_> = project.catalog.entities.values().cloned().collect();
    let mut lake = Lake::new(stage.path("lake"));
    let mut all = BTreeMap::new();
    runtime().block_on(async {
        lake.open(&owner, &entities).await.unwrap();
        for entity in &entities {
            for (layer, prefix) in [(Layer::Current, ""), (Layer::History, "history_")] {
                let batches = lake.read(entity, layer).await.unwrap();
                all.insert(format!("{prefix}{}", entity.name), texts(&batches));
            }
        }
    });
    all
}

/// Number of rows over all current tables and histories.
pub(crate) fn count(tables: &BTreeMap<String, Vec<String>>) -> usize {
    tables.values().map(Vec::len).sum()
}

/// The rows of one SELECT.
pub(crate) fn select(stage: &Stage, sql: &str) -> Vec<Value> {
    let project = Project::open(&stage.path(".")).unwrap();
    let rows = ask(&project, &[sql]).remove(0);
    rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect()
}

/// The rows of many SELECTs, each sorted.
pub(crate) fn answers(stage: &Stage, questions: &[String]) -> Vec<Vec<String>> {
    let project = Project::open(&stage.path(".")).unwrap();
    let questions: Vec<&str> = questions.iter().map(String::as_str).collect();
    ask(&project, &questions)
}

fn ask(project: &Project, questions: &[&str]) -> Vec<Vec<String>> {
    runtime().block_on(async {
        let reader = Reader::open(project, &project.pipeline("acme").unwrap()).await.unwrap();
        let mut answers = Vec::new();
        for sql in questions {
            let batches = reader.query(sql).await.unwrap();
            answers.push(texts(&batches));
        }
        answers
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Sorted.
fn texts(batches: &[RecordBatch]) -> Vec<String> {
    let Some(first) = batches.first() else { return Vec::new() };
    let mut text = Vec::new();
    assert!(rows::write(&mut text, &first.schema(), batches, Format::Json).is_ok());
    let found: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let mut found: Vec<String> = found.into_iter().map(bare).collect();
    found.sort();
    found
}

fn bare(mut row: Value) -> String {
    row.as_object_mut().unwrap().retain(|name, _| !OF_THE_RUN.contains(&name.as_str()));
    row.to_string()
}

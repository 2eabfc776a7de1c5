//! What a lake holds, as JSON by table: the same for every way that leads there.
use super::stage::Stage;
use serde_json::Value;
use std::collections::BTreeMap;
use tidegate::{
    app::{project::Project, query::Reader},
    cli::{args::Format, render::rows},
};

/// When and in which commit a row came differs from run to run; nothing else may.
const OF_THE_RUN: [&str; 2] = ["observed_at", "commit_no"];

/// Current rows and history of every table, in one consistent state.
pub(crate) fn all(stage: &Stage) -> BTreeMap<String, Vec<String>> {
    let project = Project::open(&stage.path(".")).unwrap();
    let names: Vec<String> = project.catalog.entities.keys().cloned().collect();
    let pairs = names.iter().flat_map(|n| [n.clone(), format!("history_{n}")]);
    let questions: Vec<(String, String)> = pairs.map(|t| (t.clone(), format!("select * from {t}"))).collect();
    let answers = ask(&project, &questions.iter().map(|(_, sql)| sql.as_str()).collect::<Vec<_>>());
    questions.into_iter().map(|(name, _)| name).zip(answers).collect()
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

fn ask(project: &Project, questions: &[&str]) -> Vec<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let reader = Reader::open(project, &project.pipeline("acme").unwrap()).await.unwrap();
        let mut answers = Vec::new();
        for sql in questions {
            let batches = reader.query(sql).await.unwrap();
            let mut text = Vec::new();
            assert!(rows::write(&mut text, &batches[0].schema(), &batches, Format::Json).is_ok());
            let found: Vec<Value> = serde_json::from_slice(&text).unwrap();
            let mut found: Vec<String> = found.into_iter().map(bare).collect();
            found.sort();
            answers.push(found);
        }
        answers
    })
}

fn bare(mut row: Value) -> String {
    row.as_object_mut().unwrap().retain(|name, _| !OF_THE_RUN.contains(&name.as_str()));
    row.to_string()
}

//! `tidegate connectors`: what can be read, and what each stream can and cannot promise.
use super::promises::{self, NotGiven, Promise};
use crate::{
    error::{Error, Kind, Result},
    manifest::{self, Catalog, Connector, InputKind},
};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// One connector, in short.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// Name.
    pub connector: String,
    /// Names of its streams.
    pub streams: Vec<String>,
    /// What the operator gives.
    pub inputs: Vec<InputInfo>,
}

/// One input.
#[derive(Debug, Serialize)]
pub struct InputInfo {
    /// Key under `source.connection`.
    pub name: String,
    /// `host_label`, `text` or `secret`.
    pub kind: String,
    /// One sentence.
    pub meaning: String,
}

/// One connector in full.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// Name.
    pub connector: String,
    /// The request budget, in words.
    pub limits: String,
    /// The least that the key must be allowed, and how to see that it is not more.
    pub rights: Option<String>,
    /// What the operator gives.
    pub inputs: Vec<InputInfo>,
    /// Its streams.
    pub streams: Vec<Promise>,
    /// What the provider does not give.
    pub not_given: Vec<NotGiven>,
}

/// All connectors.
pub fn list(catalog: &Catalog) -> Vec<Listed> {
    let info = |c: &std::sync::Arc<Connector>| Listed {
        connector: c.name.clone(),
        streams: c.streams.iter().map(|s| s.name.clone()).collect(),
        inputs: inputs(c),
    };
    catalog.connectors.values().map(info).collect()
}

fn inputs(connector: &Connector) -> Vec<InputInfo> {
    let kind = |kind: InputKind| match kind {
        InputKind::HostLabel => "host_label",
        InputKind::Text => "text",
        InputKind::Secret => "secret",
    };
    let info = |i: &manifest::Input| InputInfo {
        name: i.name.clone(),
        kind: kind(i.kind).into(),
        meaning: i.meaning.clone(),
    };
    connector.inputs.iter().map(info).collect()
}

/// One connector. Fails `Invalid` with the nearest name.
pub fn show(catalog: &Catalog, name: &str) -> Result<Shown> {
    let Some(connector) = catalog.connectors.get(name) else {
        let known: Vec<&str> = catalog.connectors.keys().map(String::as_str).collect();
        return Err(Error::new(Kind::Invalid, format!("there is no connector `{name}`"))
            .hint(format!("there are: {}", known.join(", "))));
    };
    let budget = &connector.budget;
    Ok(Shown {
        connector: connector.name.clone(),
        limits: format!(
            "at most {} requests in {} s and {} at a time, shared per {}",
            budget.requests,
            budget.per.as_secs(),
            budget.concurrency,
            budget.scope.0
        ),
        rights: connector.rights.clone(),
        inputs: inputs(connector),
        streams: connector.streams.iter().map(|s| Promise::of(s)).collect(),
        not_given: promises::not_given(connector)?,
    })
}

/// Loads connectors as a sync would; names of what is right. Folders narrow it to connectors of those names.
pub fn lint(project: &Path, folders: &[PathBuf]) -> Result<Vec<String>> {
    let catalog = manifest::catalog(Some(project))?;
    let names = folders.iter().map(|f| f.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned());
    let names: Vec<String> = names.collect();
    if let Some(unknown) = names.iter().find(|n| !catalog.connectors.contains_key(*n)) {
        return Err(Error::new(Kind::Invalid, format!("there is no connector folder `{unknown}`"))
            .with("project", project.display())
            .hint(
                "connectors of a project are connectors/<name>/connector.yaml; -C names the project folder",
            ));
    }
    Ok(catalog.connectors.keys().filter(|k| names.is_empty() || names.contains(k)).cloned().collect())
}

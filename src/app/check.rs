//! `tidegate check`: are files, credentials and destination right? Reads one page per stream, writes nothing.
use super::{
    overlays::{self, Overlaid},
    probe,
    project::{Narrow, Project},
};
use crate::{
    error::{Error, Kind, Result},
    http::{Client, Limits},
    load::{Destination, Opened},
    manifest::Connector,
    pipeline::Pipeline,
    sync::Normalizers,
    time::SystemClock,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// Pipeline.
    pub pipeline: String,
    /// What was looked at: `pipeline file`, `mappings`, `stream invoices`, `destination`.
    pub what: String,
    /// Whether it is right.
    pub ok: bool,
    /// What was found.
    pub found: String,
    /// What to do; a finding that is right and has this is a warning.
    pub next: Option<String>,
    /// Decides the exit code.
    #[serde(skip)]
    pub kind: Option<Kind>,
}

/// Looks at everything a sync of this pipeline needs; goes on after a fault as far as that makes sense.
pub async fn check(project: &Project, name: &str) -> Vec<Finding> {
    let mut findings = Findings { pipeline: name.to_owned(), all: Vec::new() };
    let pipeline = match project.pipeline(name) {
        Ok(pipeline) => pipeline,
        Err(e) => {
            findings.wrong("pipeline file", &e);
            return findings.all;
        }
    };
    let job = match project.job(&pipeline, &Narrow::default()) {
        Ok(job) => job,
        Err(e) => {
            findings.wrong("pipeline file", &e);
            return findings.all;
        }
    };
    let all = job.connector.streams.len();
    let found = match job.streams.len() {
        asked if asked == all => format!("reads all {all} streams of {}", job.connector.name),
        _ => format!("reads {} from {}", names(&job.streams), job.connector.name),
    };
    findings.right("pipeline file", found);
    if let Err(e) = plan_mappings(&job.connector).await {
        findings.wrong("mappings", &e);
    } else {
        findings.right("mappings", "fit their streams and tables".into());
        for Overlaid { table, file } in overlays::told(&job.connector) {
            findings.right(&format!("overlay of {table}"), format!("{file} fits its table"));
        }
    }
    let sampled = match Client::new(Limits::default()) {
        Ok(http) => probe::sample(&job, &BTreeMap::new(), &http, &SystemClock).await,
        Err(e) => Err(e),
    };
    match sampled {
        Err(e) => findings.wrong("provider", &e),
        Ok(sampled) => {
            let answered = sampled.streams.values().any(|s| s.error.is_none());
            findings.streams(sampled.streams);
            if answered {
                findings.clock(sampled.skew, &job.streams);
            }
        }
    }
    findings.rights(&job.connector);
    findings.bodies(&pipeline);
    findings.erasures(&job.connector, &job.streams);
    let reached = reached(project, &pipeline).await;
    let runs = reached.as_ref().map_or(&[][..], |(_, _, runs)| runs);
    findings.columns(&pipeline, &job.connector, super::status::current(runs, &job.connector, &pipeline));
    match reached {
        Ok((what, None, _)) => findings.right("destination", format!("{what}; nothing synced yet")),
        Ok((what, Some(opened), _)) => {
            findings.right("destination", format!("{what}; {} commits so far", opened.commit_no))
        }
        Err(e) => findings.wrong("destination", &e),
    }
    findings.all
}

/// What the destination is, what it holds, and the last run.
async fn reached(
    project: &Project,
    pipeline: &Pipeline,
) -> Result<(String, Option<Opened>, Vec<serde_json::Value>)> {
    let mut store = project.store(pipeline).await?;
    let opened = store.peek(&pipeline.owner).await?;
    let what = store.writable().await?;
    let runs = if opened.is_some() { store.runs(&pipeline.owner, 1).await? } else { Vec::new() };
    Ok((what, opened, runs))
}

fn names(streams: &[std::sync::Arc<crate::manifest::Stream>]) -> String {
    streams.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ")
}

async fn plan_mappings(connector: &Connector) -> Result<()> {
    let normalizers = Normalizers::default();
    for stream in &connector.streams {
        normalizers.get(connector, stream).await?;
    }
    Ok(())
}

/// What was found of one pipeline so far.
pub(super) struct Findings {
    pipeline: String,
    all: Vec<Finding>,
}

impl Findings {
    pub(super) fn right(&mut self, what: &str, found: String) {
        let pipeline = self.pipeline.clone();
        self.all.push(Finding { pipeline, what: what.into(), ok: true, found, next: None, kind: None });
    }
    /// Nothing is wrong, and yet there is something to do.
    pub(super) fn warned(&mut self, what: &str, found: String, next: String) {
        let pipeline = self.pipeline.clone();
        self.all.push(Finding { pipeline, what: what.into(), ok: true, found, next: Some(next), kind: None });
    }
    /// Streams that are wrong for the same reason are one finding.
    fn streams(&mut self, sampled: BTreeMap<String, probe::Sampled>) {
        let count = sampled.len();
        let mut wrong: Vec<(Vec<String>, Error)> = Vec::new();
        for (stream, found) in sampled {
            if let Some(why) = found.not_offered {
                self.right(&format!("stream {stream}"), format!("not offered: {why}"));
                continue;
            }
            match (found.error, found.pages.first()) {
                (Some(e), _) => {
                    let reason = e.line_without("stream");
                    match wrong.iter_mut().find(|(_, told)| told.line_without("stream") == reason) {
                        Some((streams, _)) => streams.push(stream),
                        None => wrong.push((vec![stream], e)),
                    }
                }
                (None, page) => {
                    let found = page.map_or_else(
                        || "answers, no record yet".into(),
                        |p| format!("answers, {} records on its first page", p.records.len()),
                    );
                    self.right(&format!("stream {stream}"), found);
                }
            }
        }
        for (streams, error) in wrong {
            let all = streams.len() == count;
            let what = if all { "provider".to_owned() } else { format!("stream {}", streams.join(", ")) };
            self.wrong(&what, &error);
        }
    }
    fn wrong(&mut self, what: &str, error: &Error) {
        self.all.push(Finding {
            pipeline: self.pipeline.clone(),
            what: what.into(),
            ok: false,
            found: error.line_without("stream"),
            next: error.next().map(str::to_owned),
            kind: Some(error.kind()),
        });
    }
}

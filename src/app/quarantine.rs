//! `tidegate quarantine`: records that were refused, and a second try.
use super::project::{Narrow, Project};
use crate::{
    error::{Error, Kind, Result},
    load::{Destination, StoredReject},
    pipeline::Pipeline,
    sync::{Normalizers, Redriven, redrive},
    time::{Clock, SystemClock},
};

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use std::sync::Arc;

/// Refused records of a pipeline, oldest first; of these streams only, unless empty.
pub async fn list(project: &Project, pipeline: &Pipeline, streams: &[String]) -> Result<Vec<StoredReject>> {
    let mut store = project.store(pipeline).await?;
    let mut all = store.rejects(&pipeline.owner).await?;
    all.retain(|r| streams.is_empty() || streams.contains(&r.reject.stream));
    Ok(all)
}

/// One refused record. Fails `Invalid` when there is none of that id.
pub async fn show(project: &Project, pipeline: &Pipeline, id: &str) -> Result<StoredReject> {
    let all = list(project, pipeline, &[]).await?;
    all.into_iter().find(|r| r.id == id).ok_or_else(|| unknown(pipeline, id))
}

fn unknown(pipeline: &Pipeline, id: &str) -> Error {
    Error::new(Kind::Invalid, format!("no refused record `{id}`"))
        .hint(format!("tidegate quarantine list {}", pipeline.name))
}

/// Tries refused records again, with the connector of today; all, when no id is given.
pub async fn redrive_all(
    project: &Project,
    pipeline: &Pipeline,
    ids: &[String],
    normalizers: &Normalizers,
) -> Result<Vec<Redriven>> {
    let job = project.job(pipeline, &Narrow::default())?;
    let mut store = project.store(pipeline).await?;
    let opened = store.open(&pipeline.owner, &job.entities).await?;
    let work = async {
        let stored = store.rejects(&pipeline.owner).await?;
        if let Some(id) = ids.iter().find(|id| stored.iter().all(|s| &s.id != *id)) {
            return Err(unknown(pipeline, id));
        }
        let mut done = Vec::new();
        for stream in &job.connector.streams {
            let chosen =
                |s: &&StoredReject| s.reject.stream == stream.name && (ids.is_empty() || ids.contains(&s.id));
            let chosen: Vec<StoredReject> = stored.iter().filter(chosen).cloned().collect();
            let Some(checkpoint) = opened.checkpoints.get(&stream.name).filter(|_| !chosen.is_empty()) else {
                continue;
            };
            let now = SystemClock.now();
            let again = redrive(&job, stream, chosen, checkpoint.clone(), &mut store, normalizers, now);
            done.push(again.await?);
        }
        Ok(done)
    };
    let done = work.await;
    store.close().await?;
    done
}

/// Refused records of pipelines as rows, without their bodies.
pub fn batch(all: &[(String, StoredReject)]) -> Result<RecordBatch> {
    type Read = fn(&(String, StoredReject)) -> Option<String>;
    let columns: [(&str, Read); 8] = [
        ("pipeline", |(pipeline, _)| Some(pipeline.clone())),
        ("id", |(_, s)| Some(s.id.clone())),
        ("stream", |(_, s)| Some(s.reject.stream.clone())),
        ("key", |(_, s)| s.reject.key.clone()),
        ("rule", |(_, s)| Some(s.reject.rule.clone())),
        ("pointer", |(_, s)| Some(s.reject.pointer.clone())),
        ("message", |(_, s)| Some(s.reject.message.clone())),
        ("asked_at", |(_, s)| Some(s.reject.asked_at.to_string())),
    ];
    let schema =
        Schema::new(columns.iter().map(|(n, _)| Field::new(*n, DataType::Utf8, true)).collect::<Vec<_>>());
    let arrays =
        columns.iter().map(|(_, read)| Arc::new(all.iter().map(read).collect::<StringArray>()) as ArrayRef);
    RecordBatch::try_new(Arc::new(schema), arrays.collect())
        .map_err(|e| Error::new(Kind::Bug, "cannot lay out rejects").because(e))
}

//! `tidegate state`: how far streams are read; reset, export, import.
use super::project::Project;
use crate::{
    checkpoint::Checkpoint,
    error::{Error, Kind, Result},
    load::{Destination, Opened},
    pipeline::Pipeline,
    time::{Clock, SystemClock},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Checkpoints of one connection, as exported.
#[derive(Debug, Serialize, Deserialize)]
pub struct Exported {
    /// Pipeline's name.
    pub pipeline: String,
    /// Tenant.
    pub tenant: String,
    /// Connection.
    pub connection: String,
    /// Per stream.
    pub checkpoints: BTreeMap<String, Checkpoint>,
}

/// What is stored; nothing when it was never synced.
pub async fn stored(project: &Project, pipeline: &Pipeline) -> Result<Opened> {
    let mut store = project.store(pipeline).await?;
    Ok(store.peek(&pipeline.owner).await?.unwrap_or_default())
}

/// One stream's checkpoint. Fails `Invalid` when there is none.
pub async fn show(project: &Project, pipeline: &Pipeline, stream: &str) -> Result<Checkpoint> {
    let opened = stored(project, pipeline).await?;
    opened.checkpoints.get(stream).cloned().ok_or_else(|| missing(pipeline, stream, &opened))
}

fn missing(pipeline: &Pipeline, stream: &str, opened: &Opened) -> Error {
    let known: Vec<&str> = opened.checkpoints.keys().map(String::as_str).collect();
    let error =
        Error::new(Kind::Invalid, format!("stream `{stream}` of `{}` has no checkpoint", pipeline.name));
    if known.is_empty() {
        return error.hint(format!("it was never synced: tidegate sync {}", pipeline.name));
    }
    error.hint(format!("there are checkpoints of: {}", known.join(", ")))
}

/// Forgets how far these streams are read (all: none given). Returns the streams that were reset. When it is all of
/// them, the next sync makes all rows anew, so what they were made with is forgotten too.
pub async fn reset(project: &Project, pipeline: &Pipeline, streams: &[String]) -> Result<Vec<String>> {
    let mut store = project.store(pipeline).await?;
    let opened = store.open(&pipeline.owner, &project.entities(pipeline)?).await?;
    let result = async {
        if let Some(unknown) = streams.iter().find(|s| !opened.checkpoints.contains_key(*s)) {
            return Err(missing(pipeline, unknown, &opened));
        }
        let chosen: Vec<String> =
            if streams.is_empty() { opened.checkpoints.keys().cloned().collect() } else { streams.to_vec() };
        for stream in &chosen {
            store.set_checkpoint(stream, None).await?;
        }
        if streams.is_empty() {
            let run = serde_json::json!({ "status": "reset", "finished": SystemClock.now() });
            store.record_run(&run).await?;
        }
        Ok(chosen)
    };
    let result = result.await;
    store.close().await?;
    result
}

/// All checkpoints, to carry them elsewhere.
pub async fn export(project: &Project, pipeline: &Pipeline) -> Result<Exported> {
    let opened = stored(project, pipeline).await?;
    Ok(Exported {
        pipeline: pipeline.name.clone(),
        tenant: pipeline.owner.tenant.to_string(),
        connection: pipeline.owner.connection.to_string(),
        checkpoints: opened.checkpoints,
    })
}

/// Replaces checkpoints by exported ones. Fails `Invalid` for another connection's, an unknown stream or format.
pub async fn import(project: &Project, pipeline: &Pipeline, text: &str) -> Result<Vec<String>> {
    let exported: Exported = serde_json::from_str(text).map_err(|e| {
        Error::new(Kind::Invalid, "this is not an exported state")
            .because(e)
            .hint("tidegate state export writes one")
    })?;
    let owner = (pipeline.owner.tenant.as_str(), pipeline.owner.connection.as_str());
    if (exported.tenant.as_str(), exported.connection.as_str()) != owner {
        return Err(Error::new(Kind::Invalid, "this is the state of another connection")
            .with("exported", format!("{}/{}", exported.tenant, exported.connection))
            .with("pipeline", &pipeline.owner));
    }
    let connector = project.connector(pipeline)?;
    for (stream, checkpoint) in &exported.checkpoints {
        if connector.streams.iter().all(|s| &s.name != stream) {
            return Err(Error::new(
                Kind::Invalid,
                format!("connector `{}` has no stream `{stream}`", connector.name),
            ));
        }
        if checkpoint.format > crate::checkpoint::FORMAT {
            return Err(Error::new(Kind::Invalid, "this state was written by a newer tidegate")
                .with("format", checkpoint.format)
                .hint("upgrade tidegate"));
        }
    }
    let mut store = project.store(pipeline).await?;
    store.open(&pipeline.owner, &project.entities(pipeline)?).await?;
    let result = async {
        for (stream, checkpoint) in &exported.checkpoints {
            // What a sweep saw stays where it was seen, so an imported one has to begin anew.
            let checkpoint = Checkpoint { asides: Vec::new(), ..checkpoint.clone() };
            store.set_checkpoint(stream, Some(checkpoint)).await?;
        }
        Ok(exported.checkpoints.keys().cloned().collect())
    };
    let result = result.await;
    store.close().await?;
    result
}

//! `tidegate state`: how far streams are read; reset, set, export. Every change is one act with its journal entry.
//!
//! Import is in `import`, the journal and the way back in `journal`.
mod import;
pub mod journal;

pub use import::{Imported, import};

use super::project::Project;
use crate::{
    checkpoint::{Checkpoint, Phase},
    error::{Error, Kind, Result},
    load::{Change, Destination, Opened, Verb},
    manifest::Cursor,
    pipeline::Pipeline,
    schedule,
    time::{Clock, SystemClock, Timestamp},
    yaml::nearest,
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
    match nearest(stream, known.iter().copied()) {
        Some(right) => error.hint(format!("did you mean `{right}`?")),
        None => error.hint(format!("there are checkpoints of: {}", known.join(", "))),
    }
}

/// One act on an opened connection. When it leaves no checkpoint, the next sync makes all rows anew, so what they were
/// made with is forgotten too, and kept in the journal. The entry's number.
async fn change<D: Destination>(
    store: &mut D,
    pipeline: &Pipeline,
    opened: &Opened,
    mut change: Change,
) -> Result<i64> {
    let stays = |stream: &String| change.to.get(stream).is_none_or(Option::is_some);
    let emptied = !opened.checkpoints.keys().any(stays) && change.to.values().all(Option::is_none);
    if emptied {
        let last = store.runs(&pipeline.owner, 1).await?;
        let made = last.first().and_then(|run| run.get("rows_made_with")?.as_str());
        change.made_with = made.map(str::to_owned);
    }
    let at = change.at;
    let entry = store.change_state(change).await?;
    if emptied {
        store.record_run(&serde_json::json!({ "status": "reset", "finished": at })).await?;
    }
    Ok(entry)
}

/// Forgets how far these streams are read (all: none given). Returns the streams that were reset, and the entry of the
/// journal when there were any.
pub async fn reset(
    project: &Project,
    pipeline: &Pipeline,
    streams: &[String],
) -> Result<(Vec<String>, Option<i64>)> {
    let mut store = project.store(pipeline).await?;
    let opened = store.open(&pipeline.owner, &project.entities(pipeline)?).await?;
    let result = async {
        if let Some(unknown) = streams.iter().find(|s| !opened.checkpoints.contains_key(*s)) {
            return Err(missing(pipeline, unknown, &opened));
        }
        let chosen: Vec<String> =
            if streams.is_empty() { opened.checkpoints.keys().cloned().collect() } else { streams.to_vec() };
        if chosen.is_empty() {
            return Ok((chosen, None));
        }
        let to = chosen.iter().map(|stream| (stream.clone(), None)).collect();
        let asked = Change { at: SystemClock.now(), verb: Verb::Reset, undoes: None, made_with: None, to };
        let entry = change(&mut store, pipeline, &opened, asked).await?;
        Ok((chosen, Some(entry)))
    };
    let result = result.await;
    store.close().await?;
    result
}

/// A watermark that was moved.
#[derive(Debug, Serialize)]
pub struct Set {
    /// Stream.
    pub stream: String,
    /// Where it stood, RFC 3339.
    pub from: String,
    /// Where it stands.
    pub to: String,
    /// Whether changes between the two are never read.
    pub skipped: bool,
    /// Entry of the journal.
    pub entry: i64,
}

/// A date in the connection's zone, or a time with its zone.
pub fn moment(pipeline: &Pipeline, text: &str) -> Result<Timestamp> {
    schedule::moment(pipeline.time_zone, text).ok_or_else(|| {
        Error::new(Kind::Invalid, format!("`{text}` is not a time"))
            .hint("for example --watermark 2026-01-01, or --watermark 2026-01-01T00:00:00Z")
    })
}

/// Moves the watermark of one stream: back, so that what changed since then is read again; with `skip` also forward,
/// so that it is not read at all. A window that is open begins anew. The walk over events of deletes goes back with it, and never forward.
/// Fails `Invalid` for a stream without a watermark, a time in the future, and a time ahead without `skip`.
pub async fn set(
    project: &Project,
    pipeline: &Pipeline,
    stream: &str,
    to: Timestamp,
    skip: bool,
) -> Result<Set> {
    let now = SystemClock.now();
    let connector = project.connector(pipeline)?;
    let mut store = project.store(pipeline).await?;
    let opened = store.open(&pipeline.owner, &project.entities(pipeline)?).await?;
    let result = async {
        let Some(before) = opened.checkpoints.get(stream) else {
            return Err(missing(pipeline, stream, &opened));
        };
        let scans =
            connector.streams.iter().any(|s| s.name == stream && matches!(s.cursor, Cursor::Snapshot { .. }));
        let from = movable(pipeline, stream, before, scans)?;
        allowed(pipeline, stream, (from, to, now), skip)?;
        let deletes = before.deletes.clone().map(|phase| match phase {
            Phase::Windows { watermark, .. } if to < watermark => {
                Phase::Windows { watermark: to, open: None }
            }
            other => other,
        });
        let phase = Phase::Windows { watermark: to, open: None };
        let after = Checkpoint { phase, deletes, ..before.clone() };
        let to_all = [(stream.to_owned(), Some(after))].into();
        let asked = Change { at: now, verb: Verb::Set, undoes: None, made_with: None, to: to_all };
        let entry = change(&mut store, pipeline, &opened, asked).await?;
        let stream = stream.to_owned();
        Ok(Set { stream, from: from.to_string(), to: to.to_string(), skipped: to > from, entry })
    };
    let result = result.await;
    store.close().await?;
    result
}

/// The watermark of a stream that has one.
fn movable(pipeline: &Pipeline, stream: &str, stored: &Checkpoint, scans: bool) -> Result<Timestamp> {
    let name = &pipeline.name;
    match &stored.phase {
        Phase::Windows { watermark, .. } if !scans => Ok(*watermark),
        Phase::FirstLoad { .. } if !scans => Err(Error::new(
            Kind::Invalid,
            format!("`{stream}` is in its first load, and has no watermark yet"),
        )
        .hint(format!("tidegate sync {name}, or tidegate state reset {name} {stream}"))),
        _ => {
            Err(Error::new(Kind::Invalid, format!("`{stream}` has no watermark: every sync reads it whole"))
                .hint(format!("tidegate sync {name} --stream {stream}")))
        }
    }
}

fn allowed(
    pipeline: &Pipeline,
    stream: &str,
    (from, to, now): (Timestamp, Timestamp, Timestamp),
    skip: bool,
) -> Result<()> {
    let wrong = |what: &str| {
        Error::new(Kind::Invalid, what).with("stream", stream).with("watermark", from).with("asked", to)
    };
    if to > now {
        return Err(wrong("a watermark cannot lie in the future: nothing up to it would be read"));
    }
    if to < Timestamp(0) {
        return Err(wrong("this is before 1970")
            .hint(format!("to read everything: tidegate state reset {} {stream}", pipeline.name)));
    }
    if to == from {
        return Err(wrong("the watermark stands there already"));
    }
    if to > from && !skip {
        let again = format!("tidegate state set {} --stream {stream} --watermark {to} --skip", pipeline.name);
        return Err(wrong("this is ahead of what was read: changes between the two would never be read")
            .hint(format!("{again}   if that is meant")));
    }
    Ok(())
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

//! What operators did to checkpoints, and the way back. Putting something back is a change like any other, so it is in
//! the journal too and can be taken back itself.
use super::{Opened, change};
use crate::{
    app::{project::Project, status::phase},
    checkpoint::Checkpoint,
    error::{Error, Kind, Result},
    load::{Change, Destination, Entry, Moved, Verb},
    pipeline::Pipeline,
    time::{Clock, SystemClock},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// An entry, for people and programs.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// Number.
    pub entry: i64,
    /// When, RFC 3339.
    pub at: String,
    /// `reset`, `import`, `set` or `undo`.
    pub verb: Verb,
    /// The entry that an undo put back.
    pub undoes: Option<i64>,
    /// Checkpoints before and after, per stream.
    pub streams: BTreeMap<String, Moved>,
}

/// Newest first.
pub async fn journal(project: &Project, pipeline: &Pipeline) -> Result<Vec<Shown>> {
    let mut store = project.store(pipeline).await?;
    let shown = |e: Entry| Shown {
        entry: e.no,
        at: e.at.to_string(),
        verb: e.verb,
        undoes: e.undoes,
        streams: e.streams,
    };
    Ok(store.journal(&pipeline.owner).await?.into_iter().rev().map(shown).collect())
}

/// Where a stream stands, in words.
pub fn stand(checkpoint: Option<&Checkpoint>) -> String {
    match checkpoint.and_then(Checkpoint::watermark) {
        None => phase(checkpoint),
        Some(through) => format!("{}, through {through}", phase(checkpoint)),
    }
}

/// What an undo did.
#[derive(Debug, Serialize)]
pub struct Undone {
    /// The entry whose change was taken back.
    pub undoes: i64,
    /// Entry of the journal for the undo itself.
    pub entry: i64,
    /// Where each stream stands now, in words.
    pub streams: BTreeMap<String, String>,
}

/// What an undo would do, in one line per stream, without a lock. Fails as `undo` does.
pub async fn preview(
    project: &Project,
    pipeline: &Pipeline,
    entry: Option<i64>,
    force: bool,
) -> Result<(i64, Vec<String>)> {
    let mut store = project.store(pipeline).await?;
    let opened = store.peek(&pipeline.owner).await?.unwrap_or_default();
    let entry = find(pipeline, store.journal(&pipeline.owner).await?, entry)?;
    still(pipeline, &entry, &opened, force)?;
    let line = |(stream, moved): (&String, &Moved)| {
        format!("{stream}: {} -> {}", stand(opened.checkpoints.get(stream)), stand(moved.before.as_ref()))
    };
    Ok((entry.no, entry.streams.iter().map(line).collect()))
}

/// Puts back what was before an entry (the last: none given). Fails `Invalid` when there is no such entry, or when one
/// of its streams has moved on since and `force` does not say that this is meant.
pub async fn undo(project: &Project, pipeline: &Pipeline, entry: Option<i64>, force: bool) -> Result<Undone> {
    let mut store = project.store(pipeline).await?;
    let opened = store.open(&pipeline.owner, &project.entities(pipeline)?).await?;
    let result = async {
        let entry = find(pipeline, store.journal(&pipeline.owner).await?, entry)?;
        still(pipeline, &entry, &opened, force)?;
        // What an unfinished sweep saw may be gone, also where the stream looks as the entry left it: it begins anew.
        let kept = |before: &Option<Checkpoint>| {
            let mut before = before.clone()?;
            before.asides.clear();
            Some(before)
        };
        let to = entry.streams.iter().map(|(s, moved)| (s.clone(), kept(&moved.before)));
        let to: BTreeMap<String, Option<Checkpoint>> = to.collect();
        let streams = to.iter().map(|(stream, to)| (stream.clone(), stand(to.as_ref()))).collect();
        let now = SystemClock.now();
        // First, so that a death in between leaves rows that count as older than they may be, never as newer.
        if let Some(made) = &entry.made_with {
            let run = serde_json::json!({ "status": "undone", "finished": now, "rows_made_with": made });
            store.record_run(&run).await?;
        }
        let asked = Change { at: now, verb: Verb::Undo, undoes: Some(entry.no), made_with: None, to };
        let number = change(&mut store, pipeline, &opened, asked).await?;
        Ok(Undone { undoes: entry.no, entry: number, streams })
    };
    let result = result.await;
    store.close().await?;
    result
}

fn find(pipeline: &Pipeline, mut all: Vec<Entry>, asked: Option<i64>) -> Result<Entry> {
    let name = &pipeline.name;
    let (Some(first), Some(last)) = (all.first().map(|e| e.no), all.last().map(|e| e.no)) else {
        return Err(Error::new(Kind::Invalid, format!("no operator has changed the state of `{name}`"))
            .hint(format!("tidegate state list {name}")));
    };
    let wanted = asked.unwrap_or(last);
    let place = all.iter().position(|e| e.no == wanted).ok_or_else(|| {
        Error::new(Kind::Invalid, format!("the journal of `{name}` has no entry {wanted}"))
            .with("there are", format!("{first} to {last}"))
            .hint(format!("tidegate state journal {name}"))
    })?;
    Ok(all.swap_remove(place))
}

/// Fails `Invalid` when a stream is no longer where the entry left it, unless `force`.
fn still(pipeline: &Pipeline, entry: &Entry, opened: &Opened, force: bool) -> Result<()> {
    let now = |stream: &String| opened.checkpoints.get(stream);
    let moved = entry.streams.iter().filter(|(stream, moved)| now(stream) != moved.after.as_ref());
    let moved: Vec<(&String, &Moved)> = moved.collect();
    let (Some((stream, first)), false) = (moved.first(), force) else { return Ok(()) };
    let names: Vec<&str> = moved.iter().map(|(stream, _)| stream.as_str()).collect();
    let through = |checkpoint: Option<&Checkpoint>| checkpoint.and_then(Checkpoint::watermark);
    let happens = match (through(first.before.as_ref()), through(now(stream))) {
        (None, _) => "the next sync reads from the beginning; no row is lost".to_owned(),
        (Some(before), Some(now)) if before > now => {
            format!("changes between {now} and {before} that were not read since are not read then")
        }
        (Some(before), _) => format!("changes since {before} are read again; no row is lost"),
    };
    let verb = format!("tidegate state undo {} --entry {} --force", pipeline.name, entry.no);
    Err(Error::new(Kind::Invalid, format!("a sync or another change has moved on since entry {}", entry.no))
        .with("streams", names.join(", "))
        .with("stored", stand(now(stream)))
        .with("would be", stand(first.before.as_ref()))
        .hint(format!("{verb}   puts it back all the same: {happens}")))
}

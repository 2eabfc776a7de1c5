//! What can each stream of a connector promise, in words: how changes and deletes are found, what is asked for, what
//! the provider never says. One source for `tidegate connectors show` and the README.
//!
//! Told from the connector alone: nothing of a pipeline (a `start`, a request limit of its own) is known here.
use crate::{
    error::Result,
    manifest::{Connector, Cursor, Paging, Stream},
    model,
};
use serde::Serialize;
use std::collections::BTreeSet;

/// One stream.
#[derive(Debug, Serialize)]
pub struct Promise {
    /// Name.
    pub stream: String,
    /// How changes are found.
    pub changes: String,
    /// What is sent to find them.
    pub filter: String,
    /// The order in which records are asked for.
    pub sort: String,
    /// How deletes are seen.
    pub deletes: String,
    /// What becomes of records without a modification time.
    pub null_cursors: String,
    /// How far a sync is behind the provider.
    pub freshness: String,
    /// What a sweep costs and proves.
    pub sweep: String,
    /// How pages follow each other.
    pub pages: String,
    /// Whether single records can be read: `backfill --ids`.
    pub single: bool,
    /// Unified tables it feeds.
    pub tables: Vec<String>,
}

/// Columns of a unified table that the provider does not give: NULL in every row.
#[derive(Debug, Serialize)]
pub struct NotGiven {
    /// The table.
    pub table: String,
    /// Always NULL in it.
    pub columns: Vec<String>,
    /// Those of them that the view `v_<table>` computes from other streams.
    pub in_view: Vec<String>,
}

/// Names of the cells that follow a stream's name, as `cells` gives them.
pub const CELLS: [&str; 7] =
    ["changes", "filter", "sort", "deletes", "without modification time", "freshness", "sweep"];

impl Promise {
    /// What the stream can and cannot promise.
    pub fn of(stream: &Stream) -> Self {
        Self {
            stream: stream.name.clone(),
            changes: changes(stream),
            filter: filter(&stream.cursor),
            sort: sort(&stream.cursor),
            deletes: deletes(stream),
            null_cursors: null_cursors(stream),
            freshness: freshness(&stream.cursor),
            sweep: sweep(stream),
            pages: match &stream.paging {
                Paging::Token { size, .. } => format!("{} a page, next by token", size.value),
                Paging::PageNumber { size, .. } => format!("{} a page, numbered", size.value),
            },
            single: stream.get.is_some(),
            tables: stream.feeds.iter().map(|f| f.entity.name.clone()).collect(),
        }
    }

    /// In the order of `CELLS`.
    pub fn cells(&self) -> [&str; 7] {
        [
            &self.changes,
            &self.filter,
            &self.sort,
            &self.deletes,
            &self.null_cursors,
            &self.freshness,
            &self.sweep,
        ]
    }
}

/// Streams that promise the same, together, in the order of the first of them.
pub fn groups(promises: &[Promise]) -> Vec<(Vec<&str>, [&str; 7])> {
    let mut groups: Vec<(Vec<&str>, [&str; 7])> = Vec::new();
    for promise in promises {
        match groups.iter_mut().find(|(_, cells)| *cells == promise.cells()) {
            Some((names, _)) => names.push(&promise.stream),
            None => groups.push((vec![&promise.stream], promise.cells())),
        }
    }
    groups
}

/// Tables with columns that no mapping of the connector fills. Fails `Bug` when an embedded model is malformed.
pub fn not_given(connector: &Connector) -> Result<Vec<NotGiven>> {
    let feeds = || connector.streams.iter().flat_map(|s| &s.feeds);
    let mut tables: Vec<NotGiven> = Vec::new();
    for feed in feeds() {
        let table = &feed.entity.name;
        if tables.iter().any(|t| t.table == *table) {
            continue;
        }
        let filled: BTreeSet<&str> = feeds()
            .filter(|f| f.entity.name == *table)
            .flat_map(|f| f.fills.iter().map(String::as_str))
            .collect();
        let columns = feed.entity.columns.iter().map(|c| c.name.clone());
        let columns: Vec<String> = columns.filter(|c| !filled.contains(c.as_str())).collect();
        let view = model::all()?.into_iter().find(|m| m.name == format!("v_{table}"));
        let computed = |c: &&String| view.as_ref().is_some_and(|v| v.computes(c));
        let in_view = columns.iter().filter(computed).cloned().collect();
        tables.push(NotGiven { table: table.clone(), columns, in_view });
    }
    tables.retain(|t| !t.columns.is_empty());
    Ok(tables)
}

/// `updated_at[between]` -> `updated_at`.
fn field(parameter: &str) -> &str {
    parameter.split('[').next().unwrap_or(parameter)
}

/// Records that never change: their own time is all that there is to filter on.
fn is_ledger(stream: &Stream) -> bool {
    stream.updated.is_none() && stream.version.is_none()
}

/// A log is cut by the field that its windows follow.
fn is_log(stream: &Stream) -> bool {
    matches!(&stream.cursor, Cursor::Window { send, slices: Some(slices), .. } if slices.send == *send)
}

fn changes(stream: &Stream) -> String {
    match &stream.cursor {
        Cursor::Window { send, .. } if is_ledger(stream) => {
            format!("window on `{}`; records never change", field(send))
        }
        Cursor::Window { send, .. } => format!("window on `{}`", field(send)),
        Cursor::Snapshot { .. } => "complete scan in every sync; what did not change is not written".into(),
    }
}

fn filter(cursor: &Cursor) -> String {
    match cursor {
        Cursor::Snapshot { .. } => "none".into(),
        Cursor::Window { send, slices: None, .. } => format!("`{send}`; first load none"),
        Cursor::Window { send, slices: Some(slices), .. } if slices.send == *send => {
            format!("`{send}`; first load none, or in slices of it")
        }
        Cursor::Window { send, slices: Some(slices), .. } => {
            format!("`{send}`; first load none, or slices of `{}`", slices.send)
        }
    }
}

fn sort(cursor: &Cursor) -> String {
    match cursor {
        Cursor::Window { sort: Some((_, field)), .. } => format!("`{field}`"),
        Cursor::Snapshot { order: Some(field), .. } => format!("none; `{field}` is checked"),
        Cursor::Window { sort: None, .. } | Cursor::Snapshot { order: None, .. } => "none".into(),
    }
}

fn deletes(stream: &Stream) -> String {
    let asked = stream.query.iter().any(|(name, _)| name.contains("deleted"));
    let told = stream.deletes.as_ref().map(|d| format!("events `{}`", d.told.any_of.join("`, `")));
    let mark = stream
        .deleted
        .as_ref()
        .map(|mark| if asked { format!("`{mark}`") } else { format!("`{mark}`, where the list shows it") });
    let proven = match (&stream.cursor, &stream.paging) {
        (Cursor::Snapshot { order: None, .. }, Paging::Token { .. }) => None,
        (Cursor::Snapshot { .. }, _) => Some("missing from a proven scan".to_owned()),
        (Cursor::Window { .. }, _) => None,
    };
    let all: Vec<String> = [told, mark, proven].into_iter().flatten().collect();
    match all.as_slice() {
        [] if sweep_proves(stream) => "not told; a sweep finds them".into(),
        [] => "not told".into(),
        all => all.join("; or "),
    }
}

/// Whether a row that a sweep did not see is gone: it walks in the order of a field that never changes, no log.
fn sweep_proves(stream: &Stream) -> bool {
    matches!(&stream.cursor, Cursor::Window { sort: Some(_), .. }) && !is_log(stream)
}

fn null_cursors(stream: &Stream) -> String {
    match &stream.cursor {
        Cursor::Window { .. } if is_ledger(stream) => "every record has its time".into(),
        Cursor::Window { .. } => "arrive with the first load, and with a sweep".into(),
        Cursor::Snapshot { .. } => "are read as all others".into(),
    }
}

fn freshness(cursor: &Cursor) -> String {
    match cursor {
        Cursor::Window { lag, overlap, .. } => {
            format!("{} behind; {} read again each time", time(lag.as_secs()), time(overlap.as_secs()))
        }
        Cursor::Snapshot { order: Some(_), lag } => {
            format!(
                "as of the scan; a row first seen in the {} before it is not found deleted",
                time(lag.as_secs())
            )
        }
        Cursor::Snapshot { order: None, .. } => "as of the scan".into(),
    }
}

fn sweep(stream: &Stream) -> String {
    let (Paging::Token { size, .. } | Paging::PageNumber { size, .. }) = &stream.paging;
    let whole = if stream.version.is_none() { ", always in full" } else { "" };
    let cost = format!("1 request for {} records{whole}", size.value);
    match &stream.cursor {
        Cursor::Snapshot { .. } => "not needed".into(),
        Cursor::Window { .. } if sweep_proves(stream) => format!("{cost}; proves deletes"),
        Cursor::Window { .. } => format!("{cost}; proves no deletes"),
    }
}

fn time(seconds: u64) -> String {
    if seconds.is_multiple_of(60) { format!("{} min", seconds / 60) } else { format!("{seconds} s") }
}

//! What a verification answers: plain data, written as JSON or drawn by `cli`.
use crate::audit::Gap;
use serde::Serialize;

/// One pipeline against something, or alone.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Pipeline.
    pub pipeline: String,
    /// With what it was compared: a pipeline's name, `source`, or nothing.
    pub against: Option<String>,
    /// False when a row differs, is missing or is too much.
    pub equal: bool,
    /// Per unified table, sorted.
    pub tables: Vec<Table>,
    /// Numbers that series of documents lack.
    pub gaps: Vec<Gap>,
    /// Requests that a fresh read of the source took.
    pub requests: u64,
    /// Commands worth running next.
    pub next: Vec<String>,
}

/// One table. `here` is the pipeline's, `there` what it was compared with.
#[derive(Debug, Serialize)]
pub struct Table {
    /// Name.
    pub table: String,
    /// False when a row differs, is missing or is too much.
    pub equal: bool,
    /// The pipeline's rows.
    pub here: Side,
    /// The other rows.
    pub there: Option<Side>,
    /// Rows that are only there.
    pub missing: u64,
    /// Rows that are only here.
    pub extra: u64,
    /// Rows that differ.
    pub changed: u64,
    /// Documents that changed at the source after they were last synced, or may be older than the pipeline's `start`:
    /// left out with their children.
    pub not_synced_yet: u64,
    /// False: so much differs that not all of it was looked into, and the three counts are lower bounds.
    pub all_looked_into: bool,
    /// By month and currency.
    pub groups: Vec<Group>,
    /// The first rows that differ, by id.
    pub differences: Vec<Difference>,
}

/// One side of a table.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct Side {
    /// Living rows.
    pub rows: u64,
    /// Deleted rows.
    pub deleted: u64,
    /// Of all canonical rows; 64 hexadecimal digits.
    pub digest: String,
}

/// One month and currency of a table.
#[derive(Debug, Serialize)]
pub struct Group {
    /// `2026-01`, `none` for rows without date, `whole` for tables without dates.
    pub month: String,
    /// Currency; empty for none.
    pub currency: String,
    /// Rows here that differ, are missing or are too much.
    pub differing: u64,
    /// The pipeline's rows.
    pub here: Sums,
    /// The other rows.
    pub there: Option<Sums>,
}

/// Counts and sums of a group.
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
pub struct Sums {
    /// Living rows.
    pub rows: u64,
    /// Deleted rows.
    pub deleted: u64,
    /// Of the living rows, by money column; decimal text.
    pub sums: Vec<(String, String)>,
}

/// How a row differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It is only there.
    Missing,
    /// It is only here.
    Extra,
    /// It is on both sides, with other values.
    Changed,
}

/// One row that differs.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// Row.
    pub id: String,
    /// How.
    pub what: What,
    /// Month of its document.
    pub month: String,
    /// Currency; empty for none.
    pub currency: String,
    /// Id of the document it belongs to, in child tables.
    pub document: Option<String>,
    /// What differs: column, value here, value there.
    pub columns: Vec<Cell>,
}

/// One value that differs; None for NULL.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct Cell {
    /// Column, or `version`.
    pub column: String,
    /// Here.
    pub here: Option<String>,
    /// There.
    pub there: Option<String>,
}

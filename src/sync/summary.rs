//! What a sync was: the one JSON document that a run leaves behind.
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Every stream is through.
    Completed,
    /// Some streams failed, others committed.
    Partial,
    /// Nothing could be done.
    Failed,
    /// Stopped by a signal after a clean checkpoint.
    Interrupted,
}

impl Status {
    /// The word for a person.
    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// One run of one pipeline. Times are microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Pipeline's name.
    pub pipeline: String,
    /// Tenant.
    pub tenant: String,
    /// Connection.
    pub connection: String,
    /// What it was, when it was no sync: `sweep`, `backfill`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errand: Option<String>,
    /// Present when someone keeps track of runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// How it ended.
    pub status: Status,
    /// In the order of the connector.
    pub streams: Vec<StreamSummary>,
    /// Persons whose data the provider had cleared, and of whom nothing older is kept since this run.
    #[serde(default, skip_serializing_if = "nobody")]
    pub erased: u64,
    /// What stopped the run as a whole, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Commands worth running next.
    #[serde(default)]
    pub next: Vec<String>,
}

/// One stream of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSummary {
    /// Name.
    pub stream: String,
    /// Requests sent, with repeats.
    pub requests: u64,
    /// Records received.
    pub read: u64,
    /// Main rows new or changed.
    pub changed: u64,
    /// Main rows that were stored already.
    pub unchanged: u64,
    /// Records refused.
    pub rejected: u64,
    /// Main rows found deleted.
    pub deleted: u64,
    /// Bytes of bodies received.
    pub bytes: u64,
    /// From its first request to its last commit.
    pub millis: u64,
    /// Everything modified up to here is durable.
    pub data_through: Option<Timestamp>,
    /// Rows written, child tables included.
    pub rows_written: u64,
    /// What stopped it, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Records without a modification time, of those read; None when the filter would have hidden them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_cursor: Option<u64>,
    /// Changed rows that an earlier read should have shown.
    #[serde(default)]
    pub late: u64,
    /// By how many seconds they were late at least: the longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_max_secs: Option<u64>,
    /// The same of 99 in a hundred, rounded up to a power of two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_p99_secs: Option<u64>,
    /// Why a scan or sweep that came to its end proves no deletes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unproven: Option<String>,
    /// Ids that were asked for and that the provider does not know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<String>,
    /// The account does not have it: what it has instead. Nothing was read, and nothing is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_offered: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn nobody(count: &u64) -> bool {
    *count == 0
}

impl Summary {
    /// Records refused, over all streams.
    pub fn rejected(&self) -> u64 {
        self.streams.iter().map(|s| s.rejected).sum()
    }
}

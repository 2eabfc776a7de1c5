//! What a running sync tells whoever watches. Plain data: watching changes nothing.
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Progress {
    /// A stream's first request is about to be sent.
    StreamStarted {
        /// Stream.
        stream: String,
    },
    /// A page arrived.
    Page {
        /// Stream.
        stream: String,
        /// Records of this page.
        records: u64,
        /// Bytes of its body.
        bytes: u64,
        /// Requests it took, with repeats.
        requests: u64,
    },
    /// Nothing will be sent for a while.
    Waiting {
        /// Until then.
        until: Timestamp,
        /// A few words for a person: `rate limit`, `provider asked us to wait`.
        why: String,
    },
    /// A commit is durable.
    Committed {
        /// Stream.
        stream: String,
        /// Rows new or changed.
        changed: u64,
        /// Rows that were stored already.
        unchanged: u64,
        /// Records refused.
        rejected: u64,
    },
    /// A stream is through.
    StreamDone {
        /// Stream.
        stream: String,
    },
    /// A stream stopped; others go on.
    StreamFailed {
        /// Stream.
        stream: String,
        /// One line.
        error: String,
    },
}

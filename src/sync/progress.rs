//! What a running sync tells whoever watches. Plain data: watching changes nothing.
use crate::{extract::Facts, time::Timestamp};
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
        /// A few words for a person.
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
    /// The account does not have a stream, and nobody asked for it by name.
    StreamNotOffered {
        /// Stream.
        stream: String,
        /// What the account has instead.
        why: String,
    },
    /// A stream stopped; others go on.
    StreamFailed {
        /// Stream.
        stream: String,
        /// One line.
        error: String,
    },
}

/// Why nothing is sent: what happened since the wait before.
#[derive(Default)]
pub(super) struct Reason {
    until: Option<Timestamp>,
    retries: u64,
    throttles: u64,
    words: &'static str,
}

impl Reason {
    /// The words for a wait until then.
    pub(super) fn of(&mut self, until: Timestamp, facts: &Facts) -> &'static str {
        if self.until.replace(until) == Some(until) {
            return self.words;
        }
        self.words = if facts.throttles > self.throttles {
            "the provider asked us to slow down"
        } else if facts.retries > self.retries {
            "a request failed and is tried again"
        } else {
            "the request budget is used up for now"
        };
        (self.retries, self.throttles) = (facts.retries, facts.throttles);
        self.words
    }
}

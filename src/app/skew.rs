//! How far is our clock from the provider's? Told by the `Date` of one answer and the moments around it.
use crate::{extract, time::Timestamp, wire::Response};
use std::time::Duration;

/// A `Date` is cut to whole seconds.
const RESOLUTION: Duration = Duration::from_secs(1);
/// Tokens, schedules and times in rows bear less than this.
const BORNE: Duration = Duration::from_secs(60);

/// Our clock against the provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Skew {
    /// At least so far apart.
    pub(super) by: Duration,
    /// Ours shows the later time.
    pub(super) ahead: bool,
}

impl Skew {
    /// None when the answer has no readable `Date`, or comes out of a cache and so has an old one.
    pub(super) fn of(sent: Timestamp, answered: Timestamp, response: &Response) -> Option<Self> {
        if response.headers.contains_key("age") {
            return None;
        }
        let theirs = extract::date(&response.headers)?;
        let (ahead, behind) = (sent.since(theirs.plus(RESOLUTION)), theirs.since(answered));
        Some(Self { by: ahead.max(behind), ahead: ahead > behind })
    }
    /// Whether it matters to streams of which the least lag is this.
    pub(super) fn matters(self, lag: Option<Duration>) -> bool {
        self.by > lag.map_or(BORNE, |lag| lag.min(BORNE))
    }
}

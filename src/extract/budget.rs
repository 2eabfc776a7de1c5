//! May we send a request now? Sliding log, concurrency, and the pace that throttling halves.
//!
//! All times are steady times (`steady.rs`). Not here: which request to send.
use super::retry;
use crate::manifest;
use std::{collections::VecDeque, time::Duration};

/// Part of the provider's limit we use, in thousandths: the account has other clients too.
const SHARE_MILLI: u64 = 900;
/// The pace never falls below one request a period.
const PACE_MIN_MILLI: u64 = 1_000;
/// A clean period gives back one part in so many of the full pace.
const RECOVERY_PARTS: u64 = 10;
/// Pause after throttling without Retry-After, before the backoff is added.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Requests allowed, in flight and lately answered.
#[derive(Debug)]
pub(super) struct Budget {
    per: Duration,
    full_milli: u64,
    pace_milli: u64,
    concurrency: usize,
    in_flight: usize,
    /// Reply times. The provider counted each request at some time before its reply, so one that was answered less
    /// than a period ago may still be in the provider's trailing window: latency cannot push us over the limit.
    answered: VecDeque<Duration>,
    pause_until: Duration,
    /// Requests sent before this were in flight when the pace was last halved.
    halved_at: Option<Duration>,
    recovered_at: Duration,
    throttled_since: Option<Duration>,
    /// Halvings since the last success.
    storms: u32,
    throttles: u64,
}

/// When the next request may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    Now,
    At(Duration),
    AfterReply,
}

impl Budget {
    pub(super) fn new(budget: &manifest::Budget) -> Self {
        let full_milli = u64::from(budget.requests).saturating_mul(SHARE_MILLI).max(PACE_MIN_MILLI);
        Self {
            per: budget.per,
            full_milli,
            pace_milli: full_milli,
            concurrency: usize::from(budget.concurrency).max(1),
            in_flight: 0,
            answered: VecDeque::new(),
            pause_until: Duration::ZERO,
            halved_at: None,
            recovered_at: Duration::ZERO,
            throttled_since: None,
            storms: 0,
            throttles: 0,
        }
    }
    /// Requests now allowed in any trailing period; at least 1.
    pub(super) fn pace(&self) -> u32 {
        u32::try_from(self.pace_milli / 1_000).unwrap_or(u32::MAX)
    }
    pub(super) fn throttles(&self) -> u64 {
        self.throttles
    }
    /// When the next request may go.
    pub(super) fn leave(&mut self, at: Duration) -> Leave {
        while self.answered.front().is_some_and(|&t| t.saturating_add(self.per) < at) {
            self.answered.pop_front();
        }
        if self.in_flight >= self.concurrency {
            return Leave::AfterReply;
        }
        if at < self.pause_until {
            return Leave::At(self.pause_until);
        }
        let allowed = usize::try_from(self.pace()).unwrap_or(usize::MAX);
        let Some(over) = (self.in_flight + self.answered.len()).checked_sub(allowed) else {
            return Leave::Now;
        };
        match self.answered.get(over) {
            Some(&t) => Leave::At(t.saturating_add(self.per).saturating_add(Duration::from_micros(1))),
            None => Leave::AfterReply,
        }
    }
    pub(super) fn sent(&mut self) {
        self.in_flight += 1;
    }
    /// A reply came, of any kind.
    pub(super) fn returned(&mut self, at: Duration) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.answered.push_back(at);
    }
    /// The reply was what we asked for: the pace recovers, in proportion to the time since it last did.
    pub(super) fn succeeded(&mut self, at: Duration) {
        self.throttled_since = None;
        self.storms = 0;
        let clean = at.saturating_sub(self.recovered_at).min(self.per).as_micros();
        let share = u128::from(self.full_milli / RECOVERY_PARTS) * clean / self.per.as_micros().max(1);
        self.pace_milli =
            self.pace_milli.saturating_add(u64::try_from(share).unwrap_or(u64::MAX)).min(self.full_milli);
        self.recovered_at = at;
    }
    /// The reply asked us to slow down. Replies to requests that were already in flight at the last halving do not
    /// halve again.
    pub(super) fn throttled(
        &mut self,
        at: Duration,
        sent: Duration,
        after: Option<Duration>,
        rng: &mut fastrand::Rng,
    ) {
        self.throttles += 1;
        self.throttled_since.get_or_insert(at);
        let fresh = self.halved_at.is_none_or(|halved| sent >= halved);
        if fresh {
            self.halved_at = Some(at);
            self.recovered_at = at;
            self.storms = self.storms.saturating_add(1);
            self.pace_milli = (self.pace_milli / 2).max(PACE_MIN_MILLI);
        }
        let pause = match after {
            Some(after) => after,
            None if fresh => PAUSE_MIN.saturating_add(retry::backoff(self.storms, rng)),
            None => return,
        };
        self.pause_until = self.pause_until.max(at.saturating_add(pause));
    }
    /// How long there was nothing but throttling.
    pub(super) fn throttled_for(&self, at: Duration) -> Duration {
        self.throttled_since.map_or(Duration::ZERO, |since| at.saturating_sub(since))
    }
}

//! How much time has passed, whatever the clock does? Pacing and waiting use this; bounds use the clock itself.
use crate::time::Timestamp;
use std::time::Duration;

/// Time since the first tick; a clock that steps back does not turn it back.
#[derive(Debug, Default)]
pub(super) struct Steady {
    clock: Option<Timestamp>,
    elapsed: Duration,
}

impl Steady {
    /// Takes the clock's time in and returns the steady time.
    pub(super) fn tick(&mut self, now: Timestamp) -> Duration {
        let passed = self.clock.map_or(Duration::ZERO, |before| now.since(before));
        self.clock = Some(now);
        self.elapsed = self.elapsed.saturating_add(passed);
        self.elapsed
    }
    /// What the clock will show at a steady time, if it does not step; the present for one that has passed.
    pub(super) fn clock_at(&self, at: Duration) -> Timestamp {
        self.clock.unwrap_or_default().plus(at.saturating_sub(self.elapsed))
    }
}

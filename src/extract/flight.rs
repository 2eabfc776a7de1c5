//! What is on its way: whose request it is, when it was sent, and how far its failure reaches.
//!
//! Absent on purpose: what becomes of answers (`machine`).
use super::lane::{Lane, Turn};
use crate::time::Timestamp;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Probe {
    pub(super) url: String,
    pub(super) turn: Turn,
    pub(super) passed: bool,
}

#[derive(Debug)]
pub(super) struct Flight {
    pub(super) whose: Whose,
    pub(super) asked_at: Timestamp,
    pub(super) sent: Duration,
    /// For messages.
    pub(super) place: String,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Whose {
    Probe,
    Walk { lane: usize, walk: usize },
}

/// How far a failure reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Stream,
    Connection,
}

/// The turn of a request.
pub(super) fn turn<'a>(probe: &'a mut Probe, lanes: &'a mut [Lane], whose: Whose) -> Option<&'a mut Turn> {
    match whose {
        Whose::Probe => Some(&mut probe.turn),
        Whose::Walk { lane, walk } => lanes.get_mut(lane)?.turn(walk),
    }
}

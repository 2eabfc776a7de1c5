//! What a verb that reads the provider is given by its face.
use crate::sync::{Normalizers, Stop, Tools, progress::Progress};

/// What a run works with.
pub struct Working<'a, H, C> {
    /// Fetches.
    pub http: &'a H,
    /// Tells the time.
    pub clock: &'a C,
    /// Plans of mappings.
    pub normalizers: &'a Normalizers,
    /// Is told what happens.
    pub report: &'a mut (dyn FnMut(Progress) + Send),
    /// Ends the run early.
    pub stop: Stop,
}

impl<H, C> Working<'_, H, C> {
    /// The same, with the destination that is written.
    pub(super) fn tools<'b, D>(&'b mut self, destination: &'b mut D) -> Tools<'b, H, C, D> {
        let Self { http, clock, normalizers, report, stop } = self;
        Tools { http, clock, destination, normalizers, report: &mut **report, stop: stop.clone() }
    }
}

//! A table without a filter, page after page by token: when has all been read, and what does that prove?
//!
//! The scan ends where a page names no next one. That it left nothing out is for the reader of the records to say, who
//! sees their order; here it is only proven that no page was lost, repeated, or asked for anew. A new run starts at the
//! first page.
use super::{
    Limits, Proof, Scan,
    lane::{Accepted, Reached},
    snapshot::completed,
    walk::Walk,
};
use crate::{
    checkpoint::{Checkpoint, Phase, Progress, Slice},
    decode::Page,
    error::Result,
    manifest::PageSize,
    time::Timestamp,
};
use std::time::Duration;

/// What the connector says of the stream's pages.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) token: String,
    pub(super) size: PageSize,
    /// How far lists may lag behind the truth.
    pub(super) lag: Duration,
}

/// The stream at work.
#[derive(Debug)]
pub(super) struct Chain {
    spec: Spec,
    limits: Limits,
    pub(super) walk: Walk,
    complete: Option<Timestamp>,
    signpost: Timestamp,
    asked_at: Option<Timestamp>,
    restarted: bool,
}

impl Chain {
    pub(super) fn open(
        spec: Spec,
        limits: &Limits,
        anchor: Timestamp,
        stored: Option<&Phase>,
    ) -> Result<Self> {
        let complete = completed(stored)?;
        let anchor = anchor.minus(spec.lag);
        let whole = Slice { from: None, to: None, absent: false, progress: Progress::Start };
        Ok(Self {
            spec,
            limits: limits.clone(),
            walk: Walk::new(whole),
            complete,
            signpost: complete.map_or(anchor, |old| old.max(anchor)),
            asked_at: None,
            restarted: false,
        })
    }
    pub(super) fn query(&mut self, now: Timestamp) -> Vec<(String, String)> {
        let begun = self.walk.begun();
        self.walk.distrust_old(now, self.limits.token_age);
        self.restarted |= begun && !self.walk.begun();
        self.walk.query(&self.spec.size, &self.spec.token)
    }
    /// Takes a page in. `stored` makes the checkpoint of a phase. Fails `Drift` as a walk does.
    pub(super) fn accept(
        &mut self,
        page: &Page,
        now: Timestamp,
        stored: impl Fn(Phase) -> Checkpoint,
    ) -> Result<Accepted> {
        self.walk.advance(page, &self.spec.size, &self.limits, now)?;
        // A row seen for the first time within the lag may be missing from an older copy of the list: it is not buried.
        let asked_at = *self.asked_at.get_or_insert(page.asked_at.minus(self.spec.lag));
        let unchanged = Phase::Snapshot { complete: self.complete };
        if !self.walk.done() {
            return Ok(Accepted { reached: Reached::Phase(unchanged), scan: Some(Scan::Page), end: false });
        }
        let (proof, phase) = if self.restarted {
            let why = "a page token grew too old, so the scan began anew".to_owned();
            (Proof::Broken(why), unchanged.clone())
        } else {
            (Proof::Walked, Phase::Snapshot { complete: Some(self.signpost) })
        };
        let scan = Scan::End { asked_at, proof, otherwise: Box::new(stored(unchanged)) };
        Ok(Accepted { reached: Reached::Phase(phase), scan: Some(scan), end: true })
    }
}

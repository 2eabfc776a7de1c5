//! What is read beside the live windows by walking lists: a whole stream once more, or a period of it.
//!
//! Bounds are fixed when it begins, and nothing here moves a watermark. Not here: single records (`fetch.rs`).
use super::{
    Limits, Options, Proof, Scan,
    lane::{Accepted, Reached},
    walk::Walks,
    window::{By, Spec, cut, slice},
};
use crate::{
    checkpoint::{Aside, Checkpoint, Errand},
    decode::Page,
    error::Result,
    time::Timestamp,
};

/// One errand at work.
#[derive(Debug)]
pub(super) struct Errands {
    spec: Spec,
    limits: Limits,
    aside: Aside,
    by: By,
    /// Older rows are not asked for, so a row that does not come may still be there.
    begins_late: bool,
    pub(super) walks: Walks,
}

impl Errands {
    /// `anchor`: the earlier of the provider's clock and ours, before the first request. `aside`: begun with the
    /// connector file of this run.
    pub(super) fn open(
        spec: Spec,
        options: &Options,
        anchor: Timestamp,
        now: Timestamp,
        mut aside: Aside,
    ) -> Self {
        let by = match (&aside.errand, &spec.slices) {
            (Errand::Period { .. }, None) => By::Modified,
            _ => By::Created,
        };
        if aside.slices.is_empty() {
            aside.started = anchor;
            aside.slices = match aside.errand {
                Errand::Period { from, to } => vec![slice(Some(from), Some(to))],
                Errand::Sweep { .. } | Errand::Ids { .. } => cut(spec.slices.as_ref(), options, anchor),
            };
        }
        let walks = Walks::resume(aside.slices.clone(), true, now, options.limits.token_age);
        let begins_late =
            spec.slices.is_some() && !aside.slices.iter().any(|slice| !slice.absent && slice.from.is_none());
        Self { spec, limits: options.limits.clone(), aside, by, begins_late, walks }
    }
    pub(super) fn query(&mut self, walk: usize, now: Timestamp) -> Vec<(String, String)> {
        self.spec.query(self.by, &mut self.walks, walk, now, self.limits.token_age)
    }
    /// As it is now; a finished errand stays in the checkpoint.
    pub(super) fn reached(&self) -> Reached {
        Reached::Aside(Some(self.aside.clone()))
    }
    /// Takes a page in. `stored` makes the checkpoint of what was reached. Fails `Drift` when the page cannot be.
    pub(super) fn accept(
        &mut self,
        walk: usize,
        page: &Page,
        now: Timestamp,
        stored: impl Fn(Option<Aside>) -> Checkpoint,
    ) -> Result<Accepted> {
        self.walks.get(walk)?.advance(page, &self.spec.size, &self.limits, now)?;
        self.aside.slices = self.walks.slices();
        let end = self.walks.done();
        let sweep = matches!(self.aside.errand, Errand::Sweep { .. });
        let scan = (end && sweep).then(|| Scan::End {
            // A row seen for the first time within the lag may be missing from an older copy of the list.
            asked_at: self.aside.started.minus(self.spec.lag),
            proof: self.proof(),
            otherwise: Box::new(stored(Some(self.aside.clone()))),
        });
        Ok(Accepted { reached: self.reached(), scan, end })
    }
    /// Walked by a field that never changes, a row that is there from beginning to end is on one of the pages.
    fn proof(&self) -> Proof {
        if self.spec.slices.as_ref().is_some_and(|slices| slices.send == self.spec.send) {
            return Proof::Broken("it is a log: what the provider no longer keeps was not deleted".into());
        }
        if self.begins_late {
            return Proof::Broken(
                "the pipeline has, or had, a `start`, so older rows were not asked for".into(),
            );
        }
        if self.spec.sort.is_none() {
            return Proof::Broken(
                "the stream cannot be sorted, so a row may have moved between pages".into(),
            );
        }
        Proof::Walked
    }
}

//! Numbered pages over a live table: when has all been read, and does it prove that what is missing was deleted?
//!
//! Inserts and deletes shift rows between pages while we read. The scan always goes to the end and keeps its rows; it
//! is a proof only when the stated total never moved and the pages add up to it. A new run starts at the first page.
use super::{
    Limits, Proof, Scan,
    lane::{Accepted, Reached, Turn},
    walk::drift,
};
use crate::{
    checkpoint::{Checkpoint, Phase},
    decode::Page,
    error::{Error, Kind, Result},
    manifest::PageSize,
    time::Timestamp,
};

/// What the connector says of a snapshot stream.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) send: String,
    pub(super) first: u32,
    pub(super) size: PageSize,
}

/// A snapshot stream at work.
#[derive(Debug)]
pub(super) struct Scanning {
    spec: Spec,
    limits: Limits,
    pub(super) turn: Turn,
    complete: Option<Timestamp>,
    signpost: Timestamp,
    /// Pages answered.
    pages: u32,
    rows: u64,
    total: Option<u64>,
    broken: Option<String>,
    asked_at: Option<Timestamp>,
    last: Option<u128>,
}

impl Scanning {
    pub(super) fn open(
        spec: Spec,
        limits: &Limits,
        anchor: Timestamp,
        stored: Option<&Phase>,
    ) -> Result<Self> {
        let complete = completed(stored)?;
        Ok(Self {
            spec,
            limits: limits.clone(),
            turn: Turn::default(),
            complete,
            signpost: complete.map_or(anchor, |old| old.max(anchor)),
            pages: 0,
            rows: 0,
            total: None,
            broken: None,
            asked_at: None,
            last: None,
        })
    }
    pub(super) fn query(&self) -> Vec<(String, String)> {
        let page = u64::from(self.spec.first) + u64::from(self.pages);
        vec![
            (self.spec.send.clone(), page.to_string()),
            (self.spec.size.send.clone(), self.spec.size.value.to_string()),
        ]
    }
    /// Takes a page in. `stored` makes the checkpoint of a phase.
    /// Fails `Drift` on too many pages, or a page that repeats the one before.
    pub(super) fn accept(&mut self, page: &Page, stored: impl Fn(Phase) -> Checkpoint) -> Result<Accepted> {
        self.pages += 1;
        if self.pages > self.limits.pages {
            return Err(drift("the scan has more pages than allowed").with("pages", self.limits.pages));
        }
        let hash = records_hash(page);
        if hash.is_some() && hash == self.last {
            return Err(drift("a page holds the same records as the one before").with("page", self.pages));
        }
        self.last = hash;
        let asked_at = *self.asked_at.get_or_insert(page.asked_at);
        let records = u64::try_from(page.records.len()).unwrap_or(u64::MAX);
        self.rows = self.rows.saturating_add(records);
        self.note_total(page.total);
        let short = records < u64::from(self.spec.size.value);
        let total = page.total.unwrap_or(u64::MAX);
        let end = records == 0 || self.rows == total || (short && self.rows > total);
        let unchanged = Phase::Snapshot { complete: self.complete };
        if !end {
            return Ok(Accepted { reached: Reached::Phase(unchanged), scan: Some(Scan::Page), end });
        }
        self.turn = Turn::over();
        let proof = self.proof();
        let phase = match &proof {
            Proof::Total(_) => Phase::Snapshot { complete: Some(self.signpost) },
            Proof::Walked | Proof::Broken(_) => unchanged.clone(),
        };
        let scan = Scan::End { asked_at, proof, otherwise: Box::new(stored(unchanged)) };
        Ok(Accepted { reached: Reached::Phase(phase), scan: Some(scan), end })
    }
    fn note_total(&mut self, stated: Option<u64>) {
        let why = match (stated, self.total) {
            (None, _) => "a page did not state the total".to_owned(),
            (Some(now), Some(before)) if now != before => {
                format!("the total changed from {before} to {now} during the scan")
            }
            (Some(_), _) => String::new(),
        };
        if !why.is_empty() {
            self.broken.get_or_insert(why);
        }
        self.total = stated.or(self.total);
    }
    fn proof(&self) -> Proof {
        match (&self.broken, self.total) {
            (Some(why), _) => Proof::Broken(why.clone()),
            (None, Some(total)) if total == self.rows => Proof::Total(total),
            (None, Some(total)) => {
                Proof::Broken(format!("the pages held {} records, the stated total is {total}", self.rows))
            }
            (None, None) => Proof::Broken("no page stated the total".to_owned()),
        }
    }
}

/// When the last scan that proved complete began. Fails `Invalid` on the checkpoint of a windowed stream.
pub(super) fn completed(stored: Option<&Phase>) -> Result<Option<Timestamp>> {
    match stored {
        None | Some(Phase::FirstLoad { .. }) => Ok(None),
        Some(Phase::Snapshot { complete }) => Ok(*complete),
        Some(Phase::Windows { .. }) => {
            Err(Error::new(Kind::Invalid, "the stored checkpoint is that of a windowed stream")
                .hint("reset the stream's checkpoint, so that it is read anew"))
        }
    }
}

/// Of the records alone: the rest of the body counts pages.
fn records_hash(page: &Page) -> Option<u128> {
    let (first, last) = (page.records.first()?, page.records.last()?);
    page.body.get(first.start..last.end).map(twox_hash::XxHash3_128::oneshot)
}

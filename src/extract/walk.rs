//! One slice, page by page: what the next page is called, and whether an answer may be followed.
//!
//! Not here: bounds (`window.rs`), retries (`retry.rs`).
use super::{
    Limits,
    lane::{Pick, Turn, pick},
};
use crate::{
    checkpoint::{Progress, Slice},
    decode::Page,
    error::{Error, Kind, Result},
    manifest::PageSize,
    time::Timestamp,
};
use std::{collections::HashSet, time::Duration};

/// A walk over one slice by tokens.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) slice: Slice,
    pub(super) turn: Turn,
    /// Hashes of all tokens followed.
    seen: HashSet<u128>,
    pages: u32,
    empty: u32,
    /// The token comes from an earlier run and was not answered yet.
    resumed: bool,
    /// How often the last page was full and named no next page. It is asked for again at half the size, and must
    /// then name one, unless rows left the slice meanwhile. If even one record is a full page without a next one, the
    /// token is not where the connector says, and everything after the first page would be lost.
    doubts: u32,
}

/// The walks of one stream.
#[derive(Debug)]
pub(super) struct Walks(pub(super) Vec<Walk>);

impl Walks {
    /// Continues each slice. `trusted`: stored tokens come from the same connector file.
    pub(super) fn resume(slices: Vec<Slice>, trusted: bool, now: Timestamp, age_max: Duration) -> Self {
        let mut all: Vec<Walk> = slices.into_iter().map(Walk::new).collect();
        for walk in &mut all {
            if trusted {
                walk.distrust_old(now, age_max);
            } else if !walk.done() {
                walk.restart();
            }
        }
        Self(all)
    }
    pub(super) fn done(&self) -> bool {
        self.0.iter().all(Walk::done)
    }
    pub(super) fn slices(&self) -> Vec<Slice> {
        self.0.iter().map(|w| w.slice.clone()).collect()
    }
    /// Walks already begun go first, so that their tokens stay young.
    pub(super) fn pick(&self, at: Duration) -> Pick {
        let begun = self.0.iter().enumerate().filter(|(_, w)| w.begun());
        let fresh = self.0.iter().enumerate().filter(|(_, w)| !w.begun());
        pick(begun.chain(fresh).map(|(i, w)| (i, &w.turn)), at)
    }
    pub(super) fn turn(&mut self, walk: usize) -> Option<&mut Turn> {
        self.0.get_mut(walk).map(|w| &mut w.turn)
    }
    /// True when the refusal was the fault of an old token and the walk starts over.
    pub(super) fn refused(&mut self, walk: usize) -> bool {
        self.0.get_mut(walk).is_some_and(Walk::refused)
    }
    pub(super) fn get(&mut self, walk: usize) -> Result<&mut Walk> {
        self.0.get_mut(walk).ok_or_else(|| Error::new(Kind::Bug, "a page of no walk"))
    }
}

impl Walk {
    /// Continues from the slice's progress.
    pub(super) fn new(slice: Slice) -> Self {
        let turn = if slice.progress == Progress::Done { Turn::over() } else { Turn::default() };
        let resumed = matches!(slice.progress, Progress::Token { .. });
        Self { slice, turn, seen: HashSet::new(), pages: 0, empty: 0, resumed, doubts: 0 }
    }
    pub(super) fn begun(&self) -> bool {
        self.slice.progress != Progress::Start
    }
    pub(super) fn done(&self) -> bool {
        self.slice.progress == Progress::Done
    }
    /// Goes back to the first page.
    pub(super) fn restart(&mut self) {
        self.slice.progress = Progress::Start;
        self.seen.clear();
        self.empty = 0;
        self.resumed = false;
        self.doubts = 0;
    }
    /// Goes back to the first page when the token was received too long ago, or in what is now the future.
    pub(super) fn distrust_old(&mut self, now: Timestamp, age_max: Duration) {
        if let Progress::Token { seen, .. } = self.slice.progress
            && now.since(seen).max(seen.since(now)) > age_max
        {
            self.restart();
        }
    }
    /// Goes back to the first page when what was refused is a token of an earlier run. False: it was not.
    pub(super) fn refused(&mut self) -> bool {
        if !self.resumed {
            return false;
        }
        self.restart();
        true
    }
    /// Page size and token of the next request.
    pub(super) fn query(&self, size: &PageSize, token: &str) -> Vec<(String, String)> {
        let mut query = vec![(size.send.clone(), self.size(size).to_string())];
        if let Progress::Token { token: value, .. } = &self.slice.progress {
            query.push((token.to_owned(), value.clone()));
        }
        query
    }
    fn size(&self, size: &PageSize) -> u32 {
        size.value.checked_shr(self.doubts).unwrap_or(0).max(1)
    }
    /// Takes a page in. A short page does not end the walk, only a missing token does.
    /// Fails `Drift` on a repeated token, too many pages, too many empty pages, a full page without a next one.
    pub(super) fn advance(
        &mut self,
        page: &Page,
        size: &PageSize,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<()> {
        self.pages += 1;
        self.resumed = false;
        if self.pages > limits.pages {
            return Err(drift("the slice has more pages than allowed")
                .with("pages", limits.pages)
                .hint("use shorter slices, or look for a provider that repeats its pages"));
        }
        let asked = self.size(size);
        let full = u32::try_from(page.records.len()).unwrap_or(u32::MAX) >= asked;
        let Some(token) = &page.next else {
            if !full || size.value == 1 {
                self.slice.progress = Progress::Done;
                self.turn = Turn::over();
                return Ok(());
            }
            self.doubts += 1;
            if asked == 1 {
                return Err(drift("full pages name no next page, however small they are")
                    .with("records", page.records.len())
                    .with("page_size", size.value));
            }
            return Ok(());
        };
        self.doubts = 0;
        self.empty = if page.records.is_empty() { self.empty + 1 } else { 0 };
        if self.empty > limits.empty_pages {
            return Err(
                drift("too many empty pages in a row that still name a next one").with("pages", self.empty)
            );
        }
        if let Progress::Token { token, .. } = &self.slice.progress {
            self.seen.insert(hash(token));
        }
        if !self.seen.insert(hash(token)) {
            return Err(drift("the provider named the same next page twice").with("pages", self.pages));
        }
        self.slice.progress = Progress::Token { token: token.clone(), seen: now };
        Ok(())
    }
}

fn hash(token: &str) -> u128 {
    twox_hash::XxHash3_128::oneshot(token.as_bytes())
}

pub(super) fn drift(what: &str) -> Error {
    Error::new(Kind::Drift, what)
        .hint("the provider may have changed its paging; compare the connector's `page`")
}

//! Single records by id: one request each, as many at a time as the budget allows.
use super::{
    Emitted,
    lane::{Lane, Pick, Turn, pick},
    request::Account,
    retry::Outcome,
};
use crate::{
    decode::Envelope,
    error::{Error, Kind, Result},
    manifest::Stream,
};
use std::time::Duration;

/// Records that are asked for one by one.
#[derive(Debug)]
pub(super) struct Fetching {
    record: String,
    all: Vec<One>,
}

#[derive(Debug)]
struct One {
    id: String,
    url: String,
    turn: Turn,
    done: bool,
}

/// What to store when the answer says that there is no such record. None: it says something else, or no single record
/// was asked for.
pub(super) fn absent(lanes: &mut [Lane], lane: usize, walk: usize, judged: &Outcome) -> Option<Emitted> {
    let (Outcome::Final { known: false, fault } | Outcome::Unavailable { fault, .. }) = judged else {
        return None;
    };
    lanes.get_mut(lane).filter(|_| fault.status() == Some("404"))?.absent(walk)
}

impl Fetching {
    /// Fails `Invalid` when the connector does not say how single records are asked for, or an id cannot be.
    pub(super) fn new(account: &Account, stream: &Stream, ids: &[String]) -> Result<Self> {
        let get = stream.get.as_ref().ok_or_else(|| {
            Error::new(Kind::Invalid, "single records of this stream cannot be asked for")
                .with("stream", &stream.name)
                .hint("give a period with --from and --to, or run `tidegate sweep`")
        })?;
        let one = |id: &String| {
            let url = account.url_of(&get.path, id)?;
            Ok(One { id: id.clone(), url, turn: Turn::default(), done: false })
        };
        Ok(Self { record: get.record.clone(), all: ids.iter().map(one).collect::<Result<_>>()? })
    }
    /// Where the record is in an answer.
    pub(super) fn envelope(&self) -> Envelope {
        Envelope { records: self.record.clone(), next: None, total: None }
    }
    pub(super) fn pick(&self, at: Duration) -> Pick {
        pick(self.all.iter().enumerate().filter(|(_, one)| !one.done).map(|(i, one)| (i, &one.turn)), at)
    }
    pub(super) fn turn(&mut self, at: usize) -> Option<&mut Turn> {
        self.all.get_mut(at).map(|one| &mut one.turn)
    }
    pub(super) fn url(&self, at: usize) -> String {
        self.all.get(at).map_or_else(String::new, |one| one.url.clone())
    }
    /// The record came, or there is none; its id.
    pub(super) fn answered(&mut self, at: usize) -> Option<String> {
        let one = self.all.get_mut(at)?;
        one.done = true;
        Some(one.id.clone())
    }
    /// Ids that were not answered yet.
    pub(super) fn left(&self) -> Vec<String> {
        self.all.iter().filter(|one| !one.done).map(|one| one.id.clone()).collect()
    }
    pub(super) fn ended(&self) -> bool {
        self.all.iter().all(|one| one.done)
    }
}

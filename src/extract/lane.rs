//! One stream in one run: its plan, and which of its requests may go next.
use super::{
    AsideStart, Emitted, Options, Scan, StreamStart,
    aside::Errands,
    chain::{self, Chain},
    fetch::Fetching,
    request::Account,
    retry::Strikes,
    snapshot::{self, Scanning},
    window::{self, Windows},
};
use crate::{
    checkpoint::{Aside, Checkpoint, Errand, FORMAT, Phase},
    decode::{Envelope, Page},
    error::{Error, Kind, Result},
    manifest::{Connector, Cursor, Paging, Stream, TimeUnit},
    time::Timestamp,
};
use std::{sync::Arc, time::Duration};

/// When a walk may ask again, and how often it failed since its last answer.
#[derive(Debug, Default)]
pub(super) struct Turn {
    when: When,
    pub(super) strikes: Strikes,
}

#[derive(Debug)]
enum When {
    From(Duration),
    AfterReply,
    Never,
}

impl Default for When {
    fn default() -> Self {
        Self::From(Duration::ZERO)
    }
}

impl Turn {
    pub(super) fn over() -> Self {
        Self { when: When::Never, ..Self::default() }
    }
    pub(super) fn sent(&mut self) {
        self.when = When::AfterReply;
    }
    /// May ask again from `at` on; failures stay counted.
    pub(super) fn again(&mut self, at: Duration) {
        self.when = When::From(at);
    }
    /// Answered: the next request starts with a clean slate.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }
}

/// Which request may go next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pick {
    Ready(usize),
    At(Duration),
    AfterReply,
}

/// The first that is ready, else the earliest that will be.
pub(super) fn pick<'a>(turns: impl Iterator<Item = (usize, &'a Turn)>, at: Duration) -> Pick {
    let mut earliest = Pick::AfterReply;
    for (i, turn) in turns {
        match (&turn.when, earliest) {
            (When::From(from), _) if *from <= at => return Pick::Ready(i),
            (When::From(from), Pick::At(known)) => earliest = Pick::At(known.min(*from)),
            (When::From(from), _) => earliest = Pick::At(*from),
            (When::AfterReply | When::Never, _) => {}
        }
    }
    earliest
}

/// What a page did to its stream.
pub(super) struct Accepted {
    pub(super) reached: Reached,
    pub(super) scan: Option<Scan>,
    pub(super) end: bool,
}

/// What moved in the checkpoint; the rest of it stays.
pub(super) enum Reached {
    Phase(Phase),
    /// None: every id was asked for.
    Aside(Option<Aside>),
}

/// One stream in one run.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) stream: Arc<Stream>,
    pub(super) url: String,
    pub(super) envelope: Envelope,
    pub(super) ended: bool,
    /// It walks over events that tell of the stream's deletes, not over its rows.
    pub(super) tells: bool,
    pub(super) requests: u64,
    /// Number of the machine's request that was this lane's last; the lane that waited longest goes first.
    pub(super) served: u64,
    /// Up to where it was read before this run. What is least fresh goes first, so that runs with few requests reach
    /// every stream in turn.
    pub(super) fresh: Option<Timestamp>,
    hash: String,
    stored: Option<Checkpoint>,
    /// What to read beside the live windows, instead of them.
    aside: Option<Aside>,
    spec: Spec,
    work: Option<Work>,
}

#[derive(Clone, Debug)]
enum Spec {
    Window(window::Spec),
    Snapshot(snapshot::Spec),
    Chain(chain::Spec),
}

#[derive(Debug)]
enum Work {
    Window(Windows),
    Snapshot(Scanning),
    Chain(Chain),
    Aside(Errands),
    Fetch(Fetching),
}

impl Lane {
    /// Fails `Invalid` on paging that does not go with the cursor.
    pub(super) fn new(connector: &Connector, url: String, start: StreamStart) -> Result<Self> {
        let StreamStart { stream, checkpoint } = start;
        let spec = spec(&stream)?;
        let (next, total) = match &stream.paging {
            Paging::Token { read, .. } => (Some(read.clone()), None),
            Paging::PageNumber { total, .. } => (None, Some(total.clone())),
        };
        Ok(Self {
            envelope: Envelope { records: stream.records.clone(), next, total },
            stream,
            url,
            ended: false,
            tells: false,
            requests: 0,
            served: 0,
            fresh: checkpoint.as_ref().and_then(Checkpoint::watermark),
            hash: connector.hash.clone(),
            stored: checkpoint,
            aside: None,
            spec,
            work: None,
        })
    }
    /// A lane beside the live windows. Fails `Invalid` when single records are asked for and the connector does not say
    /// how.
    pub(super) fn aside(connector: &Connector, account: &Account, start: AsideStart) -> Result<Self> {
        let AsideStart { stream, mut stored, aside } = start;
        stored.asides.retain(|other| !other.errand.same_kind(&aside.errand));
        let url = account.url(&stream.path)?;
        let live = StreamStart { stream: Arc::clone(&stream), checkpoint: Some(stored) };
        let mut lane = Self::new(connector, url, live)?;
        if let Errand::Ids { left, .. } = &aside.errand {
            let fetching = Fetching::new(account, &stream, left)?;
            lane.envelope = fetching.envelope();
            lane.work = Some(Work::Fetch(fetching));
        }
        lane.aside = Some(aside);
        Ok(lane)
    }
    /// Plans the run, once the anchor is known. Some: this is to be stored before anything is asked.
    /// Fails `Invalid` when the stored checkpoint does not fit the stream.
    pub(super) fn open(
        &mut self,
        options: &Options,
        anchor: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Emitted>> {
        if self.stored.as_ref().is_some_and(|c| c.format > FORMAT) {
            return Err(Error::new(Kind::Invalid, "the stored checkpoint was written by a newer release")
                .hint("use that release, or reset the stream's checkpoint"));
        }
        let stored = self.stored.as_ref();
        let trusted = stored.is_some_and(|c| c.connector_hash == self.hash);
        let phase = stored.map(|c| &c.phase);
        let work = match (self.work.take(), self.aside.clone(), self.spec.clone()) {
            (Some(work), ..) => work,
            (None, Some(aside), Spec::Window(spec)) => {
                Work::Aside(Errands::open(spec, options, anchor, now, aside))
            }
            (None, Some(_), Spec::Snapshot(_) | Spec::Chain(_)) => {
                return Err(Error::new(Kind::Invalid, "every sync reads this stream whole")
                    .hint("run `tidegate sync`: there is nothing that it does not show"));
            }
            (None, None, Spec::Window(spec)) => {
                Work::Window(Windows::open(spec, options, anchor, now, phase, trusted)?)
            }
            (None, None, Spec::Snapshot(spec)) => {
                Work::Snapshot(Scanning::open(spec, &options.limits, anchor, phase)?)
            }
            (None, None, Spec::Chain(spec)) => {
                Work::Chain(Chain::open(spec, &options.limits, anchor, phase)?)
            }
        };
        let (reached, end) = match &work {
            Work::Window(windows) if windows.ended() => (Some(Reached::Phase(windows.phase())), true),
            Work::Fetch(fetching) if fetching.ended() => (Some(Reached::Aside(None)), true),
            // That it has begun is stored, so that a run that is cut short knows which streams are left.
            Work::Aside(errands) => (Some(errands.reached()), false),
            Work::Window(_) | Work::Snapshot(_) | Work::Chain(_) | Work::Fetch(_) => (None, false),
        };
        self.work = Some(work);
        self.ended = end;
        Ok(reached.map(|reached| self.emitted(None, Accepted { reached, scan: None, end })))
    }
    /// Where a windowed lane stands, once it is planned.
    pub(super) fn phase(&self) -> Option<Phase> {
        match &self.work {
            Some(Work::Window(windows)) => Some(windows.phase()),
            _ => None,
        }
    }
    pub(super) fn pick(&self, at: Duration) -> Pick {
        match &self.work {
            Some(Work::Window(windows)) => windows.pick(at),
            Some(Work::Snapshot(scan)) => pick(std::iter::once((0, &scan.turn)), at),
            Some(Work::Chain(chain)) => pick(std::iter::once((0, &chain.walk.turn)), at),
            Some(Work::Aside(errands)) => errands.walks.pick(at),
            Some(Work::Fetch(fetching)) => fetching.pick(at),
            None => Pick::AfterReply,
        }
    }
    pub(super) fn turn(&mut self, walk: usize) -> Option<&mut Turn> {
        match &mut self.work {
            Some(Work::Window(windows)) => windows.turn(walk),
            Some(Work::Snapshot(scan)) => Some(&mut scan.turn),
            Some(Work::Chain(chain)) => Some(&mut chain.walk.turn),
            Some(Work::Aside(errands)) => errands.walks.turn(walk),
            Some(Work::Fetch(fetching)) => fetching.turn(walk),
            None => None,
        }
    }
    /// True when the refusal was the fault of an old token and the walk starts over.
    pub(super) fn refused(&mut self, walk: usize) -> bool {
        match &mut self.work {
            Some(Work::Window(windows)) => windows.refused(walk),
            Some(Work::Aside(errands)) => errands.walks.refused(walk),
            Some(Work::Snapshot(_) | Work::Chain(_) | Work::Fetch(_)) | None => false,
        }
    }
    /// What to store when the provider says that there is no such record. None: nothing of the kind was asked.
    pub(super) fn absent(&mut self, walk: usize) -> Option<Emitted> {
        let Some(Work::Fetch(fetching)) = &mut self.work else { return None };
        let id = fetching.answered(walk)?;
        let accepted = self.fetched();
        self.ended = accepted.end;
        Some(Emitted { absent: Some(id), ..self.emitted(None, accepted) })
    }
    fn fetched(&self) -> Accepted {
        let left = match &self.work {
            Some(Work::Fetch(fetching)) => fetching.left(),
            _ => Vec::new(),
        };
        let end = left.is_empty();
        let rest = |aside: &Aside| {
            let mut rest = aside.clone();
            if let Errand::Ids { left: of, .. } = &mut rest.errand {
                *of = left;
            }
            rest
        };
        let reached = Reached::Aside(self.aside.as_ref().filter(|_| !end).map(rest));
        Accepted { reached, scan: None, end }
    }
    /// Where a request goes.
    pub(super) fn place(&self, walk: usize) -> String {
        match &self.work {
            Some(Work::Fetch(fetching)) => fetching.url(walk),
            _ => self.url.clone(),
        }
    }
    /// Everything but the URL.
    pub(super) fn query(&mut self, walk: usize, now: Timestamp) -> Vec<(String, String)> {
        let mut query = self.stream.query.clone();
        match &mut self.work {
            Some(Work::Window(windows)) => query.extend(windows.query(walk, now)),
            Some(Work::Snapshot(scan)) => query.extend(scan.query()),
            Some(Work::Chain(chain)) => query.extend(chain.query(now)),
            Some(Work::Aside(errands)) => query.extend(errands.query(walk, now)),
            Some(Work::Fetch(_)) => query.clear(),
            None => {}
        }
        query
    }
    /// Takes a page in and says what to store. Fails `Drift` when the page cannot be.
    pub(super) fn accept(&mut self, walk: usize, page: Page, now: Timestamp) -> Result<Emitted> {
        if let Some(turn) = self.turn(walk) {
            turn.answered();
        }
        let (hash, stored) = (&self.hash, self.stored.as_ref());
        let accepted = match &mut self.work {
            Some(Work::Window(windows)) => windows.accept(walk, &page, now)?,
            Some(Work::Snapshot(scan)) => {
                scan.accept(&page, |phase| checkpoint(hash, stored, Reached::Phase(phase)))?
            }
            Some(Work::Chain(chain)) => {
                chain.accept(&page, now, |phase| checkpoint(hash, stored, Reached::Phase(phase)))?
            }
            Some(Work::Aside(errands)) => {
                errands.accept(walk, &page, now, |aside| checkpoint(hash, stored, Reached::Aside(aside)))?
            }
            Some(Work::Fetch(fetching)) => {
                fetching.answered(walk);
                self.fetched()
            }
            None => return Err(Error::new(Kind::Bug, "a page came before the plan")),
        };
        self.ended = accepted.end;
        Ok(self.emitted(Some(page), accepted))
    }
    fn emitted(&self, page: Option<Page>, accepted: Accepted) -> Emitted {
        let Accepted { reached, scan, end } = accepted;
        let checkpoint = checkpoint(&self.hash, self.stored.as_ref(), reached);
        Emitted { stream: self.stream.name.clone(), page, checkpoint, scan, absent: None, end }
    }
}

/// The stored checkpoint, with what was reached in its place.
fn checkpoint(hash: &str, stored: Option<&Checkpoint>, reached: Reached) -> Checkpoint {
    match (reached, stored) {
        (Reached::Phase(phase), _) => {
            let asides = stored.map(|c| c.asides.clone()).unwrap_or_default();
            Checkpoint { asides, ..Checkpoint::new(hash, phase) }
        }
        (Reached::Aside(aside), Some(stored)) => {
            let mut next = stored.clone();
            next.asides.extend(aside);
            next
        }
        // A lane beside the live windows always begins at a stored checkpoint.
        (Reached::Aside(_), None) => Checkpoint::new(hash, Phase::Snapshot { complete: None }),
    }
}

fn spec(stream: &Stream) -> Result<Spec> {
    Ok(match (&stream.cursor, &stream.paging) {
        (
            Cursor::Window { send, unit: TimeUnit::EpochS, overlap, lag, sort, slices },
            Paging::Token { send: token, size, .. },
        ) => Spec::Window(window::Spec {
            send: send.clone(),
            overlap: *overlap,
            lag: *lag,
            sort: sort.clone(),
            slices: slices.clone(),
            token: token.clone(),
            size: size.clone(),
        }),
        (Cursor::Snapshot { .. }, Paging::PageNumber { send, first, size, .. }) => {
            Spec::Snapshot(snapshot::Spec { send: send.clone(), first: *first, size: size.clone() })
        }
        (Cursor::Snapshot { lag, .. }, Paging::Token { send: token, size, .. }) => {
            Spec::Chain(chain::Spec { token: token.clone(), size: size.clone(), lag: *lag })
        }
        (Cursor::Window { .. }, Paging::PageNumber { .. }) => {
            return Err(
                Error::new(Kind::Invalid, "a window needs pages by token").with("stream", &stream.name)
            );
        }
    })
}

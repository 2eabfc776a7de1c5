//! One stream in one run: its plan, and which of its requests may go next.
use super::{
    Emitted, Options, Scan, StreamStart,
    retry::Strikes,
    snapshot::{self, Scanning},
    window::{self, Windows},
};
use crate::{
    checkpoint::{Checkpoint, FORMAT, Phase},
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
    pub(super) phase: Phase,
    pub(super) scan: Option<Scan>,
    pub(super) end: bool,
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
    hash: String,
    stored: Option<Checkpoint>,
    spec: Spec,
    work: Option<Work>,
}

#[derive(Clone, Debug)]
enum Spec {
    Window(window::Spec),
    Snapshot(snapshot::Spec),
}

#[derive(Debug)]
enum Work {
    Window(Windows),
    Snapshot(Scanning),
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
            hash: connector.hash.clone(),
            stored: checkpoint,
            spec,
            work: None,
        })
    }
    /// Plans the run, once the anchor is known. Some: there is nothing to ask, only this to store.
    /// Fails `Invalid` when the stored checkpoint does not fit the stream.
    pub(super) fn open(
        &mut self,
        options: &Options,
        anchor: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Emitted>> {
        let stored = self.stored.take();
        if stored.as_ref().is_some_and(|c| c.format > FORMAT) {
            return Err(Error::new(Kind::Invalid, "the stored checkpoint was written by a newer release")
                .hint("use that release, or reset the stream's checkpoint"));
        }
        let trusted = stored.as_ref().is_some_and(|c| c.connector_hash == self.hash);
        let phase = stored.as_ref().map(|c| &c.phase);
        let work = match self.spec.clone() {
            Spec::Window(spec) => Work::Window(Windows::open(spec, options, anchor, now, phase, trusted)?),
            Spec::Snapshot(spec) => Work::Snapshot(Scanning::open(spec, &options.limits, anchor, phase)?),
        };
        let idle = match &work {
            Work::Window(windows) if windows.ended() => Some(windows.phase()),
            Work::Window(_) | Work::Snapshot(_) => None,
        };
        self.work = Some(work);
        self.ended = idle.is_some();
        Ok(idle.map(|phase| self.emitted(None, Accepted { phase, scan: None, end: true })))
    }
    /// Where a windowed lane stands, once it is planned.
    pub(super) fn phase(&self) -> Option<Phase> {
        match &self.work {
            Some(Work::Window(windows)) => Some(windows.phase()),
            Some(Work::Snapshot(_)) | None => None,
        }
    }
    pub(super) fn pick(&self, at: Duration) -> Pick {
        match &self.work {
            Some(Work::Window(windows)) => windows.pick(at),
            Some(Work::Snapshot(scan)) => pick(std::iter::once((0, &scan.turn)), at),
            None => Pick::AfterReply,
        }
    }
    pub(super) fn turn(&mut self, walk: usize) -> Option<&mut Turn> {
        match &mut self.work {
            Some(Work::Window(windows)) => windows.turn(walk),
            Some(Work::Snapshot(scan)) => Some(&mut scan.turn),
            None => None,
        }
    }
    /// True when the refusal was the fault of an old token and the walk starts over.
    pub(super) fn refused(&mut self, walk: usize) -> bool {
        match &mut self.work {
            Some(Work::Window(windows)) => windows.refused(walk),
            Some(Work::Snapshot(_)) | None => false,
        }
    }
    /// Everything but the URL.
    pub(super) fn query(&mut self, walk: usize, now: Timestamp) -> Vec<(String, String)> {
        let mut query = self.stream.query.clone();
        match &mut self.work {
            Some(Work::Window(windows)) => query.extend(windows.query(walk, now)),
            Some(Work::Snapshot(scan)) => query.extend(scan.query()),
            None => {}
        }
        query
    }
    /// Takes a page in and says what to store. Fails `Drift` when the page cannot be.
    pub(super) fn accept(&mut self, walk: usize, page: Page, now: Timestamp) -> Result<Emitted> {
        if let Some(turn) = self.turn(walk) {
            turn.answered();
        }
        let hash = &self.hash;
        let accepted = match &mut self.work {
            Some(Work::Window(windows)) => windows.accept(walk, &page, now)?,
            Some(Work::Snapshot(scan)) => scan.accept(&page, |phase| checkpoint(hash, phase))?,
            None => return Err(Error::new(Kind::Bug, "a page came before the plan")),
        };
        self.ended = accepted.end;
        Ok(self.emitted(Some(page), accepted))
    }
    fn emitted(&self, page: Option<Page>, accepted: Accepted) -> Emitted {
        let Accepted { phase, scan, end } = accepted;
        let checkpoint = checkpoint(&self.hash, phase);
        Emitted { stream: self.stream.name.clone(), page, checkpoint, scan, end }
    }
}

fn checkpoint(hash: &str, phase: Phase) -> Checkpoint {
    Checkpoint { format: FORMAT, connector_hash: hash.to_owned(), phase, deletes: None }
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
        (Cursor::Snapshot, Paging::PageNumber { send, first, size, .. }) => {
            Spec::Snapshot(snapshot::Spec { send: send.clone(), first: *first, size: size.clone() })
        }
        (Cursor::Window { .. }, Paging::PageNumber { .. }) | (Cursor::Snapshot, Paging::Token { .. }) => {
            return Err(Error::new(
                Kind::Invalid,
                "a window needs pages by token, a snapshot numbered pages",
            )
            .with("stream", &stream.name));
        }
    })
}

//! What to ask the provider next, and what an answer means for the checkpoint.
//!
//! One [`Machine`] per connection owns its streams, slices, pages, retries and rate budget. Absent on purpose: async,
//! clocks, sockets, randomness (jitter comes from a seed), destinations, and the meaning of records.
mod aside;
mod budget;
mod chain;
mod fault;
mod fetch;
mod flight;
mod lane;
mod machine;
mod mates;
mod offer;
mod request;
mod retry;
mod snapshot;
mod steady;
mod walk;
mod window;

use crate::{
    checkpoint::{Aside, Checkpoint},
    decode::Page,
    error::Error,
    manifest::{Connector, Stream},
    secret::Secret,
    time::Timestamp,
    wire::Request,
};
pub use machine::Machine;
pub use retry::date;
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

/// Pages of one slice or scan in one run.
pub const PAGES_MAX: u32 = 200_000;
/// Consecutive pages without a record that still name a next page.
pub const EMPTY_PAGES_MAX: u32 = 100;
/// Slices of a first load.
pub const SLICES_MAX: usize = 1_000;
/// Without a start date the newest so many slice lengths are cut; what is older is one slice.
pub const SLICES_WITHOUT_START: u32 = 24;
/// Consecutive failures of one request, the first included.
pub const TRIES_MAX: u32 = 8;
/// Consecutive answers to one request that are not a page. Not 3: where one body in ten is cut on its way, three in a row
/// come once in a thousand requests, and a first load has thousands; five come once in a hundred thousand. What is truly
/// wrong costs two requests more.
pub const BAD_PAGES_MAX: u32 = 5;
/// Longest time of nothing but throttling; more than one wait that a provider may ask for.
pub const PROGRESS_MAX: Duration = Duration::from_secs(2 * 60 * 60);
/// An older page token is not sent.
pub const TOKEN_AGE_MAX: Duration = Duration::from_secs(60 * 60);
/// A longer Retry-After is not believed.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// Everything a machine is told once.
pub struct Setup {
    /// Proven connector.
    pub connector: Arc<Connector>,
    /// By input name.
    pub inputs: BTreeMap<String, InputValue>,
    /// Instead of the connector's own base URL; no places, no query.
    pub base_url: Option<String>,
    /// Of the jitter.
    pub seed: u64,
    /// How much to read, and the limits.
    pub options: Options,
}

/// What the operator gave for an input.
#[derive(Clone, Debug)]
pub enum InputValue {
    /// May appear in URLs and messages.
    Text(String),
    /// Only ever sent in a header.
    Secret(Secret),
}

/// How much to read, and the limits.
#[derive(Clone, Debug)]
pub struct Options {
    /// The first load of a stream that can be sliced begins here; other streams are read whole.
    pub start: Option<Timestamp>,
    /// Requests of the whole run, probe and retries included; then `Kind::Budget`.
    pub requests_max: Option<u64>,
    /// Cut first loads, so that several walks of a stream run at a time.
    pub slices: bool,
    /// The operator named the streams: one that the account does not offer fails, instead of being passed over.
    pub named: bool,
    /// Of everything that repeats.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self { start: None, requests_max: None, slices: true, named: false, limits: Limits::default() }
    }
}

/// Limits of everything that repeats; the defaults are the constants of this module.
#[derive(Clone, Debug)]
pub struct Limits {
    /// [`PAGES_MAX`].
    pub pages: u32,
    /// [`EMPTY_PAGES_MAX`].
    pub empty_pages: u32,
    /// [`SLICES_MAX`].
    pub slices: usize,
    /// [`TRIES_MAX`].
    pub tries: u32,
    /// [`BAD_PAGES_MAX`].
    pub bad_pages: u32,
    /// [`PROGRESS_MAX`].
    pub progress: Duration,
    /// [`TOKEN_AGE_MAX`].
    pub token_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pages: PAGES_MAX,
            empty_pages: EMPTY_PAGES_MAX,
            slices: SLICES_MAX,
            tries: TRIES_MAX,
            bad_pages: BAD_PAGES_MAX,
            progress: PROGRESS_MAX,
            token_age: TOKEN_AGE_MAX,
        }
    }
}

/// A stream to read, and where it stands.
pub struct StreamStart {
    /// One of the connector's.
    pub stream: Arc<Stream>,
    /// As the destination stores it; None: never read.
    pub checkpoint: Option<Checkpoint>,
}

/// A stream to read beside its live windows, and how far that is.
pub struct AsideStart {
    /// One of the connector's.
    pub stream: Arc<Stream>,
    /// As the destination stores it: its phase stays as it is, and so does what else is read aside.
    pub stored: Checkpoint,
    /// What to read. Without slices it is planned when the machine starts.
    pub aside: Aside,
}

/// Names one request until its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What the driver does next.
#[derive(Debug)]
pub enum Step {
    /// Send it and hand the answer to `reply`; ask for the next step meanwhile.
    Send {
        /// To be given back with the answer.
        ticket: Ticket,
        /// Whose page it is; None: the probe.
        stream: Option<String>,
        /// What to send.
        request: Request,
    },
    /// Nothing to do before then, unless a reply comes first.
    WaitUntil(Timestamp),
    /// Make it durable. Comes before any new request: not asking for the next step is how a slow destination sets
    /// the pace.
    Emit(Box<Emitted>),
    /// The stream is over for this run; what it emitted before still counts.
    Failed {
        /// Which.
        stream: String,
        /// Why.
        error: Error,
    },
    /// The account does not have this stream, and nobody asked for it by name. Nothing is wrong.
    NotOffered {
        /// Which.
        stream: String,
        /// What the account has instead.
        why: String,
    },
    /// Only replies can move it.
    Idle,
    /// Nothing is left, nothing is in flight.
    Done,
}

/// Something to make durable.
#[derive(Debug)]
pub struct Emitted {
    /// Whose.
    pub stream: String,
    /// None: only the checkpoint moves.
    pub page: Option<Page>,
    /// To store once this and all earlier emitted pages of the stream are durable.
    pub checkpoint: Checkpoint,
    /// Set on every page of a snapshot stream, and on the last one of a sweep.
    pub scan: Option<Scan>,
    /// The provider says that there is no record of this id.
    pub absent: Option<String>,
    /// Last emission of the stream in this run.
    pub end: bool,
}

/// Where a page stands in the scan of a snapshot stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scan {
    /// More pages follow.
    Page,
    /// The last page; every page before it was answered and emitted.
    End {
        /// When the scan's first request was sent, less the lag of the list.
        asked_at: Timestamp,
        /// Whether the scan can prove deletes.
        proof: Proof,
        /// To store in place of `Emitted::checkpoint` when the distinct keys do not add up to the total.
        otherwise: Box<Checkpoint>,
    },
}

/// Whether a scan can prove deletes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The same on every page. The scan is complete when exactly so many distinct keys were seen.
    Total(u64),
    /// Every page was named by the one before, and the last names none. A sweep asked for an order that does not
    /// change; of a scan the records must show that they came in the order of a field that never changes.
    Walked,
    /// The table moved under the scan: rows count, missing rows mean nothing. One sentence says what moved.
    Broken(String),
}

/// What a run cost so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Requests sent, probe and retries included.
    pub requests: u64,
    /// Requests sent per stream, retries included.
    pub streams: BTreeMap<String, u64>,
    /// Requests that had to be repeated, throttled ones not counted.
    pub retries: u64,
    /// Answers that asked us to slow down.
    pub throttles: u64,
    /// Requests now allowed in the connector's period.
    pub pace: u32,
    /// Requests without a reply.
    pub in_flight: usize,
}

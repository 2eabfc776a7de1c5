//! What the process returns. Schedulers and scripts act on it, so a code never changes its meaning.
use crate::{
    error::Kind,
    sync::summary::{Status, Summary},
};

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All done.
    Ok = 0,
    /// A mistake of ours.
    Internal = 1,
    /// Arguments, a pipeline or a connector are wrong.
    Usage = 2,
    /// Credentials are missing, wrong, expired or too weak.
    Credentials = 3,
    /// Not everything was synced; what is committed stays.
    Partial = 4,
    /// What must hold, or be the same, is not: a proof found it.
    Unproven = 5,
    /// Records were refused, and `--strict` was given.
    Rejects = 6,
    /// The request budget is used up.
    Budget = 7,
    /// The destination refused or failed.
    Destination = 8,
    /// Another process works on the connection.
    Locked = 9,
    /// Ctrl-C.
    Interrupted = 130,
    /// SIGTERM.
    Terminated = 143,
}

/// Code and meaning, for help and README.
pub const TABLE: [(u8, &str); 12] = [
    (0, "done"),
    (1, "a mistake of tidegate"),
    (2, "arguments, a pipeline or a connector are wrong"),
    (3, "credentials are missing, wrong, expired or too weak"),
    (4, "streams failed; what others committed stays"),
    (5, "something does not hold (prove), or two sides differ (verify)"),
    (6, "records were refused (with --strict)"),
    (7, "the request budget is used up; repeating continues"),
    (8, "the destination refused or failed"),
    (9, "another process works on this connection"),
    (130, "stopped by Ctrl-C after a clean checkpoint"),
    (143, "stopped by SIGTERM after a clean checkpoint"),
];

impl Exit {
    /// The code.
    pub fn code(self) -> u8 {
        self as u8
    }
    /// For an error that ends the process.
    pub fn of_kind(kind: Kind) -> Self {
        match kind {
            Kind::Bug => Self::Internal,
            Kind::Invalid => Self::Usage,
            Kind::Denied => Self::Credentials,
            Kind::Transient | Kind::Drift | Kind::Guard => Self::Partial,
            Kind::Throttled { .. } | Kind::Budget => Self::Budget,
            Kind::Destination => Self::Destination,
            Kind::Stale | Kind::Locked => Self::Locked,
            Kind::Interrupted => Self::Interrupted,
        }
    }
    /// For a run that ended. A failed one is `of_kind` of its error, when that is known.
    pub fn of_run(summary: &Summary, strict: bool, error: Option<Kind>) -> Self {
        match summary.status {
            Status::Completed if strict && summary.rejected() > 0 => Self::Rejects,
            Status::Completed => Self::Ok,
            Status::Partial if error == Some(Kind::Budget) => Self::Budget,
            Status::Partial => Self::Partial,
            Status::Failed => error.map_or(Self::Partial, Self::of_kind),
            Status::Interrupted => Self::Interrupted,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

//! What went wrong, and who acts. One error type for the whole crate.
//!
//! Absent on purpose: no retry loop lives here (see `extract`), and no error carries a body or a secret.
use std::{fmt, time::Duration};

/// A decision, not a description: what the caller may do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Worth trying again later: network, 5xx, a lost database connection.
    Transient,
    /// The provider asks us to slow down; `after` is its own wish when it sent one.
    Throttled {
        /// How long the provider wants us to wait.
        after: Option<Duration>,
    },
    /// Credentials are missing, wrong, expired or too weak.
    Denied,
    /// The operator's input is wrong: arguments, pipeline, connector, mapping.
    Invalid,
    /// The provider broke its contract: not JSON, a repeated token, a page that cannot be.
    Drift,
    /// Another writer owns the connection now; nothing of ours was written.
    Stale,
    /// Another live process holds the connection's lock.
    Locked,
    /// The destination refused or failed: disk full, no rights, server gone.
    Destination,
    /// A safety guard stopped the act: too many deletes, too many rejects.
    Guard,
    /// The request budget of this run is used up; running again continues.
    Budget,
    /// Stopped by a signal after a clean checkpoint.
    Interrupted,
    /// Ours: this cannot happen.
    Bug,
}

/// What we were doing, with what, because of what, and what to do next.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    what: String,
    context: Vec<(&'static str, String)>,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A new error; `what` is one sentence without a full stop.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, what: what.into(), context: Vec::new(), hint: None, source: None }))
    }
    /// Adds one fact: which file, stream, field, url.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }
    /// The next thing the reader should do, as a sentence or a command.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }
    /// The error underneath.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }
    /// What the caller may do next.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }
    /// The sentence, without context, cause or hint.
    pub fn what(&self) -> &str {
        &self.0.what
    }
    /// What to do next, when known.
    pub fn next(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
    /// The errors underneath, nearest first, one line each.
    pub fn causes(&self) -> Vec<String> {
        let first = self.0.source.as_deref().map(|e| e as &dyn std::error::Error);
        std::iter::successors(first, |e| e.source()).map(ToString::to_string).collect()
    }
    /// The facts, in the order in which they were added.
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.0.context
    }
    /// As `Display`, without a fact that the reader knows from elsewhere.
    pub fn line_without(&self, known: &str) -> String {
        let facts: Vec<String> =
            self.0.context.iter().filter(|(k, _)| *k != known).map(|(k, v)| format!("{k} {v}")).collect();
        let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
        let causes: String = self.causes().iter().map(|c| format!(": {c}")).collect();
        format!("{}{facts}{causes}", self.0.what)
    }
}

/// `what (key value, key value): cause: cause`, one line.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line_without(""))
    }
}

impl std::error::Error for Error {}

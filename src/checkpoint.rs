//! How far it is safe to say that a stream has been read. Plain data with a stored form; pure.
use crate::{
    error::{Error, Kind, Result},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// The stored form this release writes; older ones still load.
pub const FORMAT: u32 = 1;

/// One per (tenant, connection, stream), stored by the destination in the same act as the rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Stored form.
    pub format: u32,
    /// Hash of the connector file that wrote it; page tokens of another hash are not reused.
    pub connector_hash: String,
    /// Where the stream stands.
    pub phase: Phase,
    /// Where the walk over the events that tell of its deletes stands; None for a stream without such a walk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletes: Option<Phase>,
    /// What is read beside the live windows: at most one of each kind. A finished one stays until the next begins, so
    /// that a run over many streams goes on with those that are left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asides: Vec<Aside>,
}

/// Something read beside the live windows: it commits rows, and the watermark stays where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// What it is for.
    pub errand: Errand,
    /// Hash of the connector file that its tokens come from.
    pub connector_hash: String,
    /// Before its first request.
    pub started: Timestamp,
    /// At most 1,000; empty for ids.
    pub slices: Vec<Slice>,
}

impl Aside {
    /// All of it is durable.
    pub fn finished(&self) -> bool {
        !self.slices.is_empty() && self.slices.iter().all(|s| s.progress == Progress::Done)
    }
}

/// What is read beside the live windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Errand {
    /// Everything, without a modification filter: finds rows that the filter hides, and proves deletes.
    Sweep {
        /// Only records whose id or version is not stored are normalized; the others are counted.
        ids_only: bool,
    },
    /// The documents of a time, both ends closed.
    Period {
        /// First moment.
        from: Timestamp,
        /// Last moment.
        to: Timestamp,
    },
    /// Single records.
    Ids {
        /// All of them.
        asked: Vec<String>,
        /// Those that were not asked for yet.
        left: Vec<String>,
    },
}

impl Errand {
    /// The word for a person and for a run's summary.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sweep { .. } => "sweep",
            Self::Period { .. } | Self::Ids { .. } => "backfill",
        }
    }
    /// Whether only one of the two can be kept in a checkpoint.
    pub fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
    /// Whether progress of `other` is progress of this.
    fn goes_on_from(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ids { asked, .. }, Self::Ids { asked: before, .. }) => asked == before,
            _ => self == other,
        }
    }
}

/// Where a stream stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Phase {
    /// Everything is read once, without a modification filter, so that rows without a cursor value arrive too.
    FirstLoad {
        /// Fixed before the first data request; becomes the watermark.
        signpost: Timestamp,
        /// At most 1,000.
        slices: Vec<Slice>,
    },
    /// Closed windows `[watermark - overlap, now - lag]`.
    Windows {
        /// Everything modified up to here is durable.
        watermark: Timestamp,
        /// The window being read, if any.
        open: Option<Slice>,
    },
    /// Complete scans of a stream with nothing to filter on.
    Snapshot {
        /// Signpost of the last complete scan.
        complete: Option<Timestamp>,
    },
}

/// A bounded part of a stream and how far it has been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// Closed lower bound; None: no bound is sent.
    pub from: Option<Timestamp>,
    /// Closed upper bound; None: no bound is sent.
    pub to: Option<Timestamp>,
    /// True for the slice of rows that lack the slicing field.
    #[serde(default)]
    pub absent: bool,
    /// How far.
    pub progress: Progress,
}

/// How far a slice has been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "at")]
pub enum Progress {
    /// Nothing yet.
    Start,
    /// The next page is asked for with this token, received at `seen`.
    Token {
        /// Opaque, as the provider sent it.
        token: String,
        /// When it was received; an old one is not trusted.
        seen: Timestamp,
    },
    /// All pages are durable.
    Done,
}

impl Phase {
    /// Everything modified up to here is durable; None while the first load runs.
    fn watermark(&self) -> Option<Timestamp> {
        match self {
            Self::FirstLoad { .. } => None,
            Self::Windows { watermark, .. } => Some(*watermark),
            Self::Snapshot { complete } => *complete,
        }
    }
}

/// Fails `Bug` when a watermark would go back or vanish.
fn forward(old: Option<Timestamp>, new: Option<Timestamp>) -> Result<()> {
    if old.is_none() || old <= new {
        return Ok(());
    }
    Err(Error::new(Kind::Bug, "a watermark must not go back")
        .with("stored", old.map_or_else(String::new, |t| t.to_string()))
        .with("new", new.map_or_else(|| "none".into(), |t| t.to_string())))
}

impl Checkpoint {
    /// A checkpoint of this release, with nothing read beside it.
    pub fn new(connector_hash: &str, phase: Phase) -> Self {
        Self {
            format: FORMAT,
            connector_hash: connector_hash.to_owned(),
            phase,
            asides: Vec::new(),
            deletes: None,
        }
    }
    /// The unfinished sweep, if any: the keys it saw are kept as long as it is here.
    pub fn sweep(&self) -> Option<&Aside> {
        self.asides.iter().find(|a| matches!(a.errand, Errand::Sweep { .. }) && !a.finished())
    }
    /// Progress of just this errand. Ids go on with those that are left of the same list.
    pub fn aside(&self, errand: &Errand) -> Option<&Aside> {
        self.asides.iter().find(|a| errand.goes_on_from(&a.errand))
    }
    /// Everything modified up to here is durable; None while the first load runs.
    pub fn watermark(&self) -> Option<Timestamp> {
        self.phase.watermark()
    }
    /// The checkpoint of the walk over deletes, as if it were a stream's own.
    pub fn of_deletes(&self) -> Option<Self> {
        let phase = self.deletes.clone()?;
        Some(Self { phase, deletes: None, ..self.clone() })
    }
    /// Asserted on every write and every read back: a watermark never goes back, a first load never follows windows.
    /// A walk over deletes that the connector no longer declares may end; declared again, it begins anew.
    pub fn may_follow(&self, before: Option<&Self>) -> Result<()> {
        forward(before.and_then(Self::watermark), self.watermark())?;
        match &self.deletes {
            Some(new) => forward(before.and_then(|b| b.deletes.as_ref()?.watermark()), new.watermark()),
            None => Ok(()),
        }
    }
}

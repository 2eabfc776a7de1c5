//! Which bounds does a windowed stream read next? First load in slices, then closed windows.
//!
//! Every bound is fixed before the first data request of its slice, and no bound exceeds the signpost. Neighbouring
//! slices share their border second: what is read twice merges, what is read by nobody is lost.
use super::{
    Limits, Options,
    lane::{Accepted, Pick, Reached, Turn},
    walk::{Walk, Walks},
};
use crate::{
    checkpoint::{Phase, Progress, Slice},
    decode::Page,
    error::{Error, Kind, Result},
    manifest::{PageSize, Slices},
    time::Timestamp,
};
use std::time::Duration;

/// Upper end of a range that is open above: the last ten-digit second, in 2286.
const FAR_SECS: i64 = 9_999_999_999;

/// What the connector says of a windowed stream.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) send: String,
    pub(super) overlap: Duration,
    pub(super) lag: Duration,
    pub(super) sort: Option<(String, String)>,
    pub(super) slices: Option<Slices>,
    pub(super) token: String,
    pub(super) size: PageSize,
}

/// Which field bounds a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The field that first loads are sliced by, and nothing where there are no bounds.
    Created,
    /// The modification time.
    Modified,
}

impl Spec {
    /// Everything of a request but its fixed parameters.
    pub(super) fn query(
        &self,
        by: By,
        walks: &mut Walks,
        walk: usize,
        now: Timestamp,
        token_age: Duration,
    ) -> Vec<(String, String)> {
        let mut query: Vec<_> = self.sort.clone().into_iter().collect();
        if let Ok(walk) = walks.get(walk) {
            walk.distrust_old(now, token_age);
            query.extend(self.filter(by, &walk.slice));
            query.extend(walk.query(&self.size, &self.token));
        }
        query
    }
    /// The filter of a slice.
    fn filter(&self, by: By, slice: &Slice) -> Option<(String, String)> {
        let send = match (by, &self.slices) {
            (By::Modified, _) => &self.send,
            (By::Created, Some(slices)) if slice.absent => return slices.absent.clone(),
            (By::Created, Some(slices)) if slice.from.or(slice.to).is_some() => &slices.send,
            (By::Created, _) => return None,
        };
        let from = slice.from.map_or(0, Timestamp::secs);
        let to = slice.to.map_or(FAR_SECS, Timestamp::secs);
        Some((send.clone(), format!("[{from},{to}]")))
    }
}

/// A windowed stream at work.
#[derive(Debug)]
pub(super) struct Windows {
    spec: Spec,
    limits: Limits,
    /// This run's signpost: whole seconds, never later than our clock minus the lag.
    to: Timestamp,
    stage: Stage,
    walks: Walks,
}

#[derive(Debug)]
enum Stage {
    First { signpost: Timestamp },
    Window { watermark: Timestamp },
}

impl Windows {
    /// Plans a run. `anchor` is the earlier of the provider's clock and ours; `trusted`: the stored tokens come from
    /// the same connector file.
    pub(super) fn open(
        spec: Spec,
        options: &Options,
        anchor: Timestamp,
        now: Timestamp,
        stored: Option<&Phase>,
        trusted: bool,
    ) -> Result<Self> {
        let to = Timestamp::from_secs(anchor.minus(spec.lag).secs().max(0));
        let (stage, slices) = match stored {
            Some(Phase::Windows { watermark, open }) => {
                let slice = open
                    .clone()
                    .filter(|slice| slice.progress != Progress::Done)
                    .unwrap_or_else(|| window(*watermark, spec.overlap, to));
                (Stage::Window { watermark: *watermark }, vec![slice])
            }
            Some(Phase::FirstLoad { signpost, slices }) if fits(&spec, slices) => {
                (Stage::First { signpost: *signpost }, slices.clone())
            }
            None | Some(Phase::FirstLoad { .. } | Phase::Snapshot { complete: None }) => {
                (Stage::First { signpost: to }, cut(spec.slices.as_ref(), options, to))
            }
            Some(Phase::Snapshot { complete: Some(_) }) => {
                return Err(Error::new(Kind::Invalid, "the stored checkpoint is that of a snapshot stream")
                    .hint("reset the stream's checkpoint, so that it is read anew"));
            }
        };
        let walks = Walks::resume(slices, trusted, now, options.limits.token_age);
        let mut windows = Self { spec, limits: options.limits.clone(), to, stage, walks };
        windows.settle();
        Ok(windows)
    }
    pub(super) fn ended(&self) -> bool {
        self.walks.0.is_empty()
    }
    pub(super) fn phase(&self) -> Phase {
        match self.stage {
            Stage::First { signpost } => Phase::FirstLoad { signpost, slices: self.walks.slices() },
            Stage::Window { watermark } => {
                Phase::Windows { watermark, open: self.walks.0.first().map(|w| w.slice.clone()) }
            }
        }
    }
    pub(super) fn pick(&self, at: Duration) -> Pick {
        self.walks.pick(at)
    }
    pub(super) fn turn(&mut self, walk: usize) -> Option<&mut Turn> {
        self.walks.turn(walk)
    }
    pub(super) fn refused(&mut self, walk: usize) -> bool {
        self.walks.refused(walk)
    }
    pub(super) fn query(&mut self, walk: usize, now: Timestamp) -> Vec<(String, String)> {
        let by = match self.stage {
            Stage::First { .. } => By::Created,
            Stage::Window { .. } => By::Modified,
        };
        self.spec.query(by, &mut self.walks, walk, now, self.limits.token_age)
    }
    pub(super) fn accept(&mut self, walk: usize, page: &Page, now: Timestamp) -> Result<Accepted> {
        self.walks.get(walk)?.advance(page, &self.spec.size, &self.limits, now)?;
        self.settle();
        Ok(Accepted { reached: Reached::Phase(self.phase()), scan: None, end: self.ended() })
    }
    /// When all walks are done: the watermark moves to what they promised, and if that is before this run's
    /// signpost, one more window follows.
    fn settle(&mut self) {
        if !self.walks.done() {
            return;
        }
        let reached = match self.stage {
            Stage::First { signpost } => signpost,
            Stage::Window { watermark } => {
                self.walks.0.first().and_then(|w| w.slice.to).unwrap_or(watermark).max(watermark)
            }
        };
        self.stage = Stage::Window { watermark: reached };
        self.walks.0.clear();
        if self.to > reached {
            self.walks.0.push(Walk::new(window(reached, self.spec.overlap, self.to)));
        }
    }
}

/// `[watermark - overlap, max(to, watermark)]`, both closed.
fn window(watermark: Timestamp, overlap: Duration, to: Timestamp) -> Slice {
    let from = watermark.minus(overlap).max(Timestamp(0));
    slice(Some(from), Some(to.max(watermark)))
}

pub(super) fn slice(from: Option<Timestamp>, to: Option<Timestamp>) -> Slice {
    Slice { from, to, absent: false, progress: Progress::Start }
}

/// Whether stored slices can still be asked for.
fn fits(spec: &Spec, slices: &[Slice]) -> bool {
    let absent = spec.slices.as_ref().is_some_and(|s| s.absent.is_some());
    slices.iter().all(|s| match (s.absent, s.from.or(s.to)) {
        (true, _) => absent,
        (false, Some(_)) => spec.slices.is_some(),
        (false, None) => true,
    })
}

/// The slices of a first load: together they hold every row, except those before `options.start`.
pub(super) fn cut(slices: Option<&Slices>, options: &Options, signpost: Timestamp) -> Vec<Slice> {
    let Some(spec) = slices.filter(|_| options.slices || options.start.is_some()) else {
        return vec![slice(None, None)];
    };
    let length = i64::try_from(spec.length.as_secs()).unwrap_or(i64::MAX).max(1);
    let start = options.start.map_or_else(
        || {
            signpost
                .secs()
                .saturating_sub(length.saturating_mul(i64::from(super::SLICES_WITHOUT_START)))
                .max(0)
        },
        Timestamp::secs,
    );
    let older = options.start.is_none() && start > 0;
    let others = usize::from(older) + usize::from(spec.absent.is_some());
    let room = i64::try_from(options.limits.slices.saturating_sub(others)).unwrap_or(i64::MAX).max(1);
    let room = if options.slices { room } else { 1 };
    let span = signpost.secs().saturating_sub(start).max(1);
    let length = length.max(ceil(span, room));
    let borders: Vec<_> =
        (1..ceil(span, length)).map(|i| Timestamp::from_secs(start.saturating_add(i * length))).collect();
    let start = Timestamp::from_secs(start);
    let lower = std::iter::once(start).chain(borders.iter().copied());
    let upper = borders.iter().copied().map(Some).chain([None]);
    let mut all: Vec<_> = older.then(|| slice(None, Some(start))).into_iter().collect();
    all.extend(lower.zip(upper).map(|(from, to)| slice(Some(from), to)));
    all.extend(spec.absent.is_some().then(|| Slice { absent: true, ..slice(None, None) }));
    all
}

fn ceil(a: i64, b: i64) -> i64 {
    a / b + i64::from(a % b != 0)
}

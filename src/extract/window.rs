//! Which bounds does a windowed stream read next? First load in slices, then closed windows.
//!
//! Every bound is fixed before the first data request of its slice, and no bound exceeds the signpost. Neighbouring
//! slices share their border second: what is read twice merges, what is read by nobody is lost.
use super::{
    Limits, Options,
    lane::{Accepted, Pick, Turn, pick},
    walk::Walk,
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

/// A windowed stream at work.
#[derive(Debug)]
pub(super) struct Windows {
    spec: Spec,
    limits: Limits,
    /// This run's signpost: whole seconds, never later than our clock minus the lag.
    to: Timestamp,
    stage: Stage,
    walks: Vec<Walk>,
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
        let mut walks: Vec<Walk> = slices.into_iter().map(Walk::new).collect();
        for walk in &mut walks {
            if trusted {
                walk.distrust_old(now, options.limits.token_age);
            } else if !walk.done() {
                walk.restart();
            }
        }
        let mut windows = Self { spec, limits: options.limits.clone(), to, stage, walks };
        windows.settle();
        Ok(windows)
    }
    pub(super) fn ended(&self) -> bool {
        self.walks.is_empty()
    }
    pub(super) fn phase(&self) -> Phase {
        match self.stage {
            Stage::First { signpost } => {
                Phase::FirstLoad { signpost, slices: self.walks.iter().map(|w| w.slice.clone()).collect() }
            }
            Stage::Window { watermark } => {
                Phase::Windows { watermark, open: self.walks.first().map(|w| w.slice.clone()) }
            }
        }
    }
    /// Walks already begun go first, so that their tokens stay young.
    pub(super) fn pick(&self, at: Duration) -> Pick {
        let begun = self.walks.iter().enumerate().filter(|(_, w)| w.begun());
        let fresh = self.walks.iter().enumerate().filter(|(_, w)| !w.begun());
        pick(begun.chain(fresh).map(|(i, w)| (i, &w.turn)), at)
    }
    pub(super) fn turn(&mut self, walk: usize) -> Option<&mut Turn> {
        self.walks.get_mut(walk).map(|w| &mut w.turn)
    }
    /// True when the refusal was the fault of an old token and the walk starts over.
    pub(super) fn refused(&mut self, walk: usize) -> bool {
        self.walks.get_mut(walk).is_some_and(Walk::refused)
    }
    pub(super) fn query(&mut self, walk: usize, now: Timestamp) -> Vec<(String, String)> {
        let mut query: Vec<_> = self.spec.sort.clone().into_iter().collect();
        if let Some(walk) = self.walks.get_mut(walk) {
            walk.distrust_old(now, self.limits.token_age);
            query.extend(filter(&self.spec, &self.stage, &walk.slice));
            query.extend(walk.query(&self.spec.size, &self.spec.token));
        }
        query
    }
    pub(super) fn accept(&mut self, walk: usize, page: &Page, now: Timestamp) -> Result<Accepted> {
        let found = self.walks.get_mut(walk).ok_or_else(|| Error::new(Kind::Bug, "a page of no walk"))?;
        found.advance(page, &self.spec.size, &self.limits, now)?;
        self.settle();
        Ok(Accepted { phase: self.phase(), scan: None, end: self.ended() })
    }
    /// When all walks are done: the watermark moves to what they promised, and if that is before this run's
    /// signpost, one more window follows.
    fn settle(&mut self) {
        if !self.walks.iter().all(Walk::done) {
            return;
        }
        let reached = match self.stage {
            Stage::First { signpost } => signpost,
            Stage::Window { watermark } => {
                self.walks.first().and_then(|w| w.slice.to).unwrap_or(watermark).max(watermark)
            }
        };
        self.stage = Stage::Window { watermark: reached };
        self.walks.clear();
        if self.to > reached {
            self.walks.push(Walk::new(window(reached, self.spec.overlap, self.to)));
        }
    }
}

/// `[watermark - overlap, max(to, watermark)]`, both closed.
fn window(watermark: Timestamp, overlap: Duration, to: Timestamp) -> Slice {
    let from = watermark.minus(overlap).max(Timestamp(0));
    slice(Some(from), Some(to.max(watermark)))
}

fn slice(from: Option<Timestamp>, to: Option<Timestamp>) -> Slice {
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
fn cut(slices: Option<&Slices>, options: &Options, signpost: Timestamp) -> Vec<Slice> {
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

/// The filter of a slice: none for the serial first load, the slicing field else, the modification time in windows.
fn filter(spec: &Spec, stage: &Stage, slice: &Slice) -> Option<(String, String)> {
    let send = match (stage, &spec.slices) {
        (Stage::Window { .. }, _) => &spec.send,
        (Stage::First { .. }, Some(slices)) if slice.absent => return slices.absent.clone(),
        (Stage::First { .. }, Some(slices)) if slice.from.or(slice.to).is_some() => &slices.send,
        (Stage::First { .. }, _) => return None,
    };
    let from = slice.from.map_or(0, Timestamp::secs);
    let to = slice.to.map_or(FAR_SECS, Timestamp::secs);
    Some((send.clone(), format!("[{from},{to}]")))
}

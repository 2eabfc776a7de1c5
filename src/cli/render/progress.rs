//! What a person sees while a sync runs: bars in place on a terminal, a line now and then elsewhere.
use super::{Look, Out, figures};
use crate::{sync::progress::Progress, time::Timestamp};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};
use tracing_subscriber::fmt::MakeWriter;

/// Between two lines of one stream, where nothing can be drawn in place.
const QUIET: Duration = Duration::from_secs(10);

/// Shows events. Hand it every one, in order.
pub enum View {
    /// `--no-progress`.
    Silent,
    /// A pipe, a file, a log.
    Lines(Lines),
    /// A terminal.
    Live(Live),
}

impl View {
    /// The one that fits where stderr goes.
    pub fn new(out: &Out) -> Self {
        match (out.progress, &out.live) {
            (false, _) => Self::Silent,
            (true, None) => Self::Lines(Lines::new(out.notes)),
            (true, Some(bars)) => Self::Live(Live::new(out.notes, bars.clone())),
        }
    }
    /// Shows one event.
    pub fn show(&mut self, now: Timestamp, event: &Progress) {
        match self {
            Self::Silent => {}
            Self::Lines(lines) => {
                if let Some(line) = lines.line(now, event) {
                    let _ = writeln!(io::stderr().lock(), "{line}");
                }
            }
            Self::Live(live) => live.show(now, event),
        }
    }
    /// Removes what was drawn in place.
    pub fn finish(&mut self) {
        if let Self::Live(live) = self {
            live.clear();
        }
    }
}

/// What a stream did so far.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    records: u64,
    bytes: u64,
    requests: u64,
    rejected: u64,
    said: Option<Timestamp>,
}

impl Tally {
    fn add(&mut self, event: &Progress) {
        match event {
            Progress::Page { records, bytes, requests, .. } => {
                self.records += records;
                self.bytes += bytes;
                self.requests += requests;
            }
            Progress::Committed { rejected, .. } => self.rejected += rejected,
            _ => {}
        }
    }
    fn text(&self, look: &Look) -> String {
        let rejected = match self.rejected {
            0 => String::new(),
            n => format!(", {} rejected", look.count(n)),
        };
        let plural = if self.requests == 1 { "" } else { "s" };
        format!(
            "{} records, {}, {} request{plural}{rejected}",
            look.count(self.records),
            figures::bytes(self.bytes),
            look.count(self.requests)
        )
    }
}

/// At most a line per stream and ten seconds, and one when it ends.
pub struct Lines {
    look: Look,
    streams: BTreeMap<String, Tally>,
    /// Why the last stream failed that did.
    failed: String,
}

impl Lines {
    /// Nothing said yet.
    pub fn new(look: Look) -> Self {
        Self { look, streams: BTreeMap::new(), failed: String::new() }
    }
    /// The line to write for this event, if it is worth one.
    pub fn line(&mut self, now: Timestamp, event: &Progress) -> Option<String> {
        let (stream, ended) = match event {
            Progress::Waiting { until, why } => return waiting(now, *until, why),
            Progress::StreamStarted { stream } => {
                self.streams.insert(stream.clone(), Tally { said: Some(now), ..Tally::default() });
                return None;
            }
            // The summary names all that failed for one reason.
            Progress::StreamFailed { error, .. } if *error == self.failed => return None,
            Progress::StreamFailed { stream, error } => {
                self.failed.clone_from(error);
                return Some(format!("{stream}: failed: {error}"));
            }
            // The summary says it once for all of them.
            Progress::StreamNotOffered { .. } => return None,
            Progress::StreamDone { stream } => (stream, true),
            Progress::Page { stream, .. } | Progress::Committed { stream, .. } => (stream, false),
        };
        let tally = self.streams.entry(stream.clone()).or_default();
        tally.add(event);
        if ended {
            return Some(format!("{stream}: done, {}", tally.text(&self.look)));
        }
        if tally.said.is_some_and(|said| now.since(said) < QUIET) {
            return None;
        }
        tally.said = Some(now);
        Some(format!("{stream}: {}", tally.text(&self.look)))
    }
}

/// Short waits are not worth a line.
fn waiting(now: Timestamp, until: Timestamp, why: &str) -> Option<String> {
    let wait = until.since(now);
    (wait >= QUIET).then(|| format!("waiting {}: {why}", figures::length(wait)))
}

/// One bar per stream.
pub struct Live {
    look: Look,
    bars: MultiProgress,
    streams: BTreeMap<String, (ProgressBar, Tally)>,
    notice: ProgressBar,
}

impl Live {
    fn new(look: Look, bars: MultiProgress) -> Self {
        let notice = bars.add(ProgressBar::new_spinner());
        notice.set_style(style("{wide_msg}"));
        Self { look, bars, streams: BTreeMap::new(), notice }
    }
    /// The drawing place outlives this view, so every bar leaves it.
    fn clear(&self) {
        for bar in self.streams.values().map(|(bar, _)| bar).chain([&self.notice]) {
            bar.finish_and_clear();
            self.bars.remove(bar);
        }
    }
    fn show(&mut self, now: Timestamp, event: &Progress) {
        match event {
            Progress::Waiting { until, why } => {
                self.notice.set_message(waiting(now, *until, why).unwrap_or_default());
            }
            Progress::StreamStarted { stream } => {
                self.bar(stream);
            }
            Progress::Page { stream, .. } | Progress::Committed { stream, .. } => {
                let look = self.look;
                let (bar, tally) = self.bar(stream);
                tally.add(event);
                bar.set_message(tally.text(&look));
                self.notice.set_message("");
            }
            Progress::StreamDone { stream } => {
                let look = self.look;
                let (bar, tally) = self.bar(stream);
                bar.set_style(style("{prefix} {wide_msg}"));
                bar.set_prefix(format!("{} {stream:<16}", look.green("✓")));
                bar.finish_with_message(tally.text(&look));
            }
            Progress::StreamNotOffered { stream, .. } => {
                if let Some((bar, _)) = self.streams.remove(stream) {
                    bar.finish_and_clear();
                    self.bars.remove(&bar);
                }
            }
            Progress::StreamFailed { stream, error } => {
                let look = self.look;
                let (bar, _) = self.bar(stream);
                bar.set_style(style("{prefix} {wide_msg}"));
                bar.set_prefix(format!("{} {stream:<16}", look.red("✗")));
                bar.finish_with_message(error.clone());
            }
        }
    }
    fn bar(&mut self, stream: &str) -> &mut (ProgressBar, Tally) {
        self.streams.entry(stream.to_owned()).or_insert_with(|| {
            let bar = self.bars.insert_before(&self.notice, ProgressBar::new_spinner());
            bar.set_style(style("{spinner} {prefix} {wide_msg}"));
            bar.set_prefix(format!("{stream:<16}"));
            bar.enable_steady_tick(Duration::from_millis(120));
            (bar, Tally::default())
        })
    }
}

/// A template that cannot be read falls back to the plainest one.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// Writes log lines to stderr, above the bars if there are any.
#[derive(Clone)]
pub struct LogWriter(Option<MultiProgress>);

impl LogWriter {
    /// None: nothing is drawn in place.
    pub(super) fn new(bars: Option<MultiProgress>) -> Self {
        Self(bars)
    }
}

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.0 {
            Some(bars) => bars.suspend(|| io::stderr().lock().write(bytes)),
            None => io::stderr().lock().write(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl MakeWriter<'_> for LogWriter {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        self.clone()
    }
}

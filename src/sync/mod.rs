//! One connection's sync: the only module that knows the order ask, fetch, decode, normalize, commit, publish.
//!
//! Absent on purpose: retries, paging, windows (`extract`), SQL (`normalize`), durability (`load`), sockets and
//! clocks, which are parameters.
mod batch;
mod erase;
mod job;
mod normalizers;
pub mod progress;
mod rebuild;
mod record;
mod redact;
mod redrive;
mod repair;
mod settle;
mod sift;
pub mod summary;
mod superseded;
mod upkeep;

pub use job::{Job, Outcome, Stop, Tools, made_with, never};
pub use normalizers::Normalizers;
pub use rebuild::{Rebuilt, rebuild};
pub use redrive::{Redriven, redrive};
pub use repair::repair;

use crate::{
    checkpoint::{Checkpoint, Errand},
    decode::Page,
    error::{Error, Kind, Result},
    extract::{Emitted, Machine, Setup, Step, StreamStart, Ticket},
    load::{Destination, Late, Opened},
    time::{Clock, Timestamp},
    wire::{Http, Response},
};
use batch::Batcher;
use futures::{StreamExt, stream::FuturesUnordered};
use progress::Progress;
use std::{collections::BTreeMap, pin::pin, sync::Arc, time::Duration};
use summary::{Status, StreamSummary, Summary};
use superseded::Quarantined;

/// Bodies of one stream from which a commit is made, bytes.
pub const COMMIT_BYTES: usize = 8 << 20;
/// Bodies that wait, of all streams together, bytes: from it on the stream with most of them is committed. A process
/// that dies has to ask for so much again, for the page that came last, and for those in flight. A complete scan, and a
/// walk whose page token is too old by then, begin anew.
pub const WAITING_BYTES_MAX: usize = 2 * COMMIT_BYTES;
/// A commit is made at least this often while pages arrive.
pub const COMMIT_EVERY: Duration = Duration::from_secs(30);

/// Runs one sync from the stored checkpoints to the end. What was committed stays committed, whatever the outcome.
pub async fn sync<'a, H: Http, C: Clock, D: Destination>(job: &'a Job, tools: Tools<'a, H, C, D>) -> Outcome {
    run(job, None, tools).await
}

async fn run<'a, H: Http, C: Clock, D: Destination>(
    job: &'a Job,
    errand: Option<&'a Errand>,
    tools: Tools<'a, H, C, D>,
) -> Outcome {
    let started = tools.clock.now();
    let mut run = Run {
        job,
        errand,
        tools,
        batchers: BTreeMap::new(),
        quarantined: Quarantined::default(),
        streams: job
            .streams
            .iter()
            .map(|s| StreamSummary { stream: s.name.clone(), ..Default::default() })
            .collect(),
        first_page: BTreeMap::new(),
        late: BTreeMap::new(),
        told_requests: BTreeMap::new(),
        failure: None,
        interrupted: false,
        opened: false,
        erased: 0,
    };
    let fatal = run.all().await.err();
    let failed = run.streams.iter().filter(|s| s.error.is_some()).count();
    let status = match &fatal {
        Some(_) => Status::Failed,
        None if run.interrupted => Status::Interrupted,
        None if failed == 0 => Status::Completed,
        None if failed == run.streams.iter().filter(|s| s.not_offered.is_none()).count() => Status::Failed,
        None => Status::Partial,
    };
    let owner = &job.facts.owner;
    let mut summary = Summary {
        pipeline: job.pipeline.clone(),
        tenant: owner.tenant.to_string(),
        connection: owner.connection.to_string(),
        errand: errand.map(|e| e.name().to_owned()),
        run_id: None,
        started,
        finished: run.tools.clock.now(),
        status,
        streams: std::mem::take(&mut run.streams),
        erased: run.erased,
        error: fatal.as_ref().map(ToString::to_string),
        next: Vec::new(),
    };
    let recorded = run.record(&summary).await.err();
    let closed = run.tools.destination.close().await.err();
    let fatal = fatal.or(recorded).or(closed);
    if let Some(error) = fatal.as_ref().filter(|_| summary.error.is_none()) {
        summary.status = Status::Failed;
        summary.error = Some(error.to_string());
    }
    Outcome { summary, error: fatal.or(run.failure) }
}

struct Run<'a, H, C, D> {
    job: &'a Job,
    /// None: the live windows.
    errand: Option<&'a Errand>,
    tools: Tools<'a, H, C, D>,
    batchers: BTreeMap<String, Batcher>,
    quarantined: Quarantined,
    streams: Vec<StreamSummary>,
    first_page: BTreeMap<String, Timestamp>,
    /// How late rows became visible, per stream.
    late: BTreeMap<String, Late>,
    /// Requests per stream that progress has spoken of.
    told_requests: BTreeMap<String, u64>,
    failure: Option<Error>,
    interrupted: bool,
    opened: bool,
    /// Persons whose erasure was done.
    erased: u64,
}

impl<H: Http, C: Clock, D: Destination> Run<'_, H, C, D> {
    /// Fails for what stops every stream: the destination, the connection's lock, credentials.
    async fn all(&mut self) -> Result<()> {
        let opened = self.tools.destination.open(&self.job.facts.owner, &self.job.entities).await?;
        self.opened = true;
        self.quarantined = Quarantined::read(self.tools.destination, self.job).await?;
        for summary in &mut self.streams {
            summary.data_through = opened.checkpoints.get(&summary.stream).and_then(Checkpoint::watermark);
        }
        let setup = Setup {
            connector: Arc::clone(&self.job.connector),
            inputs: self.job.inputs.clone(),
            base_url: self.job.base_url.clone(),
            seed: self.job.seed,
            options: self.job.options.clone(),
        };
        let mut machine = match self.errand {
            None => Machine::new(setup, self.live(&opened)?)?,
            Some(errand) => Machine::aside(setup, self.asides(errand, &opened).await?)?,
        };
        for summary in &self.streams {
            if let Some(batcher) = self.batchers.get_mut(&summary.stream) {
                batcher.stood(summary.data_through);
            }
        }
        let walked = self.walk(&mut machine).await;
        self.count_requests(&machine);
        let flushed = match walked {
            Err(e) if matches!(e.kind(), Kind::Destination | Kind::Stale | Kind::Bug) => return Err(e),
            other => self.flush_all().await.and(other),
        };
        self.settle().await?;
        flushed
    }

    fn live(&mut self, opened: &Opened) -> Result<Vec<StreamStart>> {
        let mut starts = Vec::new();
        for stream in &self.job.streams {
            self.batchers.insert(stream.name.clone(), Batcher::new(Arc::clone(stream), None)?);
            let checkpoint = opened.checkpoints.get(&stream.name).cloned();
            starts.push(StreamStart { stream: Arc::clone(stream), checkpoint });
        }
        Ok(starts)
    }

    /// Moves the machine until it is done.
    async fn walk(&mut self, machine: &mut Machine) -> Result<()> {
        let http = self.tools.http;
        let mut flights = FuturesUnordered::new();
        let mut reason = progress::Reason::default();
        loop {
            if !self.interrupted && *self.tools.stop.borrow() {
                self.interrupted = true;
                machine.stop();
            }
            match machine.step(self.tools.clock.now()) {
                Step::Send { ticket, stream, request } => {
                    if let Some(stream) = stream {
                        self.started(&stream);
                    }
                    flights.push(async move { (ticket, http.send(request).await) });
                }
                Step::Emit(emitted) => self.take(*emitted, machine).await?,
                Step::Failed { stream, error } => self.failed(&stream, error),
                Step::NotOffered { stream, why } => self.passed_over(&stream, &why),
                Step::WaitUntil(until) => {
                    if flights.is_empty() {
                        let why = reason.of(until, &machine.budget()).to_owned();
                        (self.tools.report)(Progress::Waiting { until, why });
                    }
                    if let Some(reply) = self.next_reply(&mut flights, Some(until)).await {
                        machine.reply(reply.0, self.tools.clock.now(), reply.1);
                    }
                }
                Step::Idle => match self.next_reply(&mut flights, None).await {
                    Some((ticket, answer)) => machine.reply(ticket, self.tools.clock.now(), answer),
                    None if self.interrupted || *self.tools.stop.borrow() => {}
                    None => {
                        return Err(Error::new(
                            Kind::Bug,
                            "the extraction machine waits for an answer nobody owes it",
                        ));
                    }
                },
                Step::Done => return Ok(()),
            }
        }
    }

    /// The next answer; None when `until` comes first, when a stop comes first, or when nothing is in flight.
    async fn next_reply<F>(
        &mut self,
        flights: &mut FuturesUnordered<F>,
        until: Option<Timestamp>,
    ) -> Option<(Ticket, Result<Response>)>
    where
        F: Future<Output = (Ticket, Result<Response>)>,
    {
        let clock = self.tools.clock;
        let wait = async {
            match until {
                Some(t) => clock.sleep_until(t).await,
                None => std::future::pending().await,
            }
        };
        let wait = pin!(wait);
        if flights.is_empty() && until.is_none() {
            return None;
        }
        tokio::select! {
            biased;
            Some(reply) = flights.next(), if !flights.is_empty() => Some(reply),
            Ok(()) = self.tools.stop.changed(), if !self.interrupted => None,
            () = wait => None,
        }
    }

    fn started(&mut self, stream: &str) {
        if !self.first_page.contains_key(stream) {
            self.first_page.insert(stream.to_owned(), self.tools.clock.now());
            (self.tools.report)(Progress::StreamStarted { stream: stream.to_owned() });
        }
    }

    fn failed(&mut self, stream: &str, error: Error) {
        let line = error.line_without("stream");
        (self.tools.report)(Progress::StreamFailed { stream: stream.to_owned(), error: line.clone() });
        if let Some(summary) = self.streams.iter_mut().find(|s| s.stream == stream) {
            summary.error = Some(line);
        }
        if self.failure.is_none() {
            self.failure = Some(error);
        }
    }

    fn passed_over(&mut self, stream: &str, why: &str) {
        (self.tools.report)(Progress::StreamNotOffered { stream: stream.to_owned(), why: why.to_owned() });
        if let Some(summary) = self.streams.iter_mut().find(|s| s.stream == stream) {
            summary.not_offered = Some(why.to_owned());
        }
    }

    /// Buffers a page; commits when the buffer is full, old, or the stream is through.
    async fn take(&mut self, emitted: Emitted, machine: &Machine) -> Result<()> {
        let now = self.tools.clock.now();
        let name = emitted.stream.clone();
        let end = emitted.end;
        let page_facts = emitted.page.as_ref().map(|p: &Page| (p.records.len() as u64, p.body.len() as u64));
        let Some(batcher) = self.batchers.get_mut(&name) else {
            return Err(Error::new(Kind::Bug, "a page of a stream nobody asked for").with("stream", name));
        };
        if let (Some(id), Some(summary)) =
            (&emitted.absent, self.streams.iter_mut().find(|s| s.stream == name))
        {
            summary.absent.push(id.clone());
        }
        batcher.push(emitted, now)?;
        let due = end || batcher.bytes() >= COMMIT_BYTES || batcher.waited(now) >= COMMIT_EVERY;
        if let Some((records, bytes)) = page_facts {
            let sent = machine.budget().streams.get(&name).copied().unwrap_or(0);
            let told = self.told_requests.insert(name.clone(), sent).unwrap_or(0);
            let requests = sent.saturating_sub(told);
            (self.tools.report)(Progress::Page { stream: name.clone(), records, bytes, requests });
            if let Some(summary) = self.streams.iter_mut().find(|s| s.stream == name) {
                summary.read += records;
                summary.bytes += bytes;
            }
        }
        if due {
            self.flush(&name).await?;
        } else {
            self.relieve().await?;
        }
        if end && self.streams.iter().any(|s| s.stream == name && s.error.is_none()) {
            (self.tools.report)(Progress::StreamDone { stream: name });
        }
        Ok(())
    }

    /// Keeps memory bounded whatever the number of streams.
    async fn relieve(&mut self) -> Result<()> {
        if self.batchers.values().map(Batcher::bytes).sum::<usize>() < WAITING_BYTES_MAX {
            return Ok(());
        }
        let fullest = self.batchers.iter().max_by_key(|(_, b)| b.bytes()).map(|(name, _)| name.clone());
        match fullest {
            Some(name) => self.flush(&name).await,
            None => Ok(()),
        }
    }

    async fn flush_all(&mut self) -> Result<()> {
        let names: Vec<String> = self.batchers.keys().cloned().collect();
        for name in names {
            self.flush(&name).await?;
        }
        Ok(())
    }

    /// Commits what is buffered of a stream. A guard fails the stream, everything else the run.
    async fn flush(&mut self, name: &str) -> Result<()> {
        let Some(batcher) = self.batchers.get_mut(name) else { return Ok(()) };
        let commit = match batcher.commit(self.job, self.tools.normalizers).await {
            Ok(Some(mut commit)) => {
                self.quarantined.supersede(&mut commit);
                commit
            }
            Ok(None) => return Ok(()),
            Err(e) if e.kind() == Kind::Guard => {
                self.failed(name, e);
                return Ok(());
            }
            Err(e) => return Err(e.with("stream", name)),
        };
        let (same, unproven, no_cursor) = (batcher.same(), batcher.unproven(), batcher.no_cursor());
        let rejected = commit.rejects.len() as u64;
        let through = commit.checkpoint.watermark();
        let done = match self.tools.destination.commit(commit).await {
            Ok(done) => done,
            Err(e) if e.kind() == Kind::Guard => {
                batcher.give_up();
                self.failed(name, e);
                return Ok(());
            }
            Err(e) => return Err(e.with("stream", name)),
        };
        let now = self.tools.clock.now();
        if let Some(summary) = self.streams.iter_mut().find(|s| s.stream == name) {
            summary.changed += done.changed;
            summary.unchanged += done.unchanged + same;
            let late = self.late.entry(name.to_owned()).or_default();
            late.merge(&done.late);
            summary.late = late.rows;
            summary.late_max_secs = (late.rows > 0).then_some(late.max_secs);
            summary.late_p99_secs = (late.rows > 0).then(|| late.p99_secs());
            summary.no_cursor = no_cursor;
            summary.unproven = unproven.or(summary.unproven.take());
            summary.deleted += done.deleted;
            summary.rejected += rejected;
            summary.rows_written += done.changed + done.deleted + done.child_changes;
            summary.data_through = through.or(summary.data_through);
            let began = self.first_page.get(name).copied().unwrap_or(now);
            summary.millis = u64::try_from(now.since(began).as_millis()).unwrap_or(u64::MAX);
        }
        (self.tools.report)(Progress::Committed {
            stream: name.to_owned(),
            changed: done.changed,
            unchanged: done.unchanged + same,
            rejected,
        });
        Ok(())
    }

    fn count_requests(&mut self, machine: &Machine) {
        let facts = machine.budget();
        for summary in &mut self.streams {
            summary.requests = facts.streams.get(&summary.stream).copied().unwrap_or(0);
        }
    }
}

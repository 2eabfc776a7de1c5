//! The order of a run: probe, then every stream at once within the budget, until nothing is left.
//!
//! Pure: `step` says what to do, `reply` takes an answer in.
use super::{
    AsideStart, Facts, Options, Setup, Step, StreamStart, Ticket,
    budget::{Budget, Leave},
    fault::Fault,
    fetch,
    flight::{Flight, Probe, Reach, Whose, turn},
    lane::{Lane, Pick, Turn, pick},
    mates, offer,
    request::{self, Account},
    retry::{self, Outcome, Verdict},
    steady::Steady,
};
use crate::{
    decode,
    error::{Error, Kind, Result},
    manifest::Connector,
    time::Timestamp,
    wire::Response,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

/// One connection's run. See [`Step`] for what the driver does.
#[derive(Debug)]
pub struct Machine {
    connector: Arc<Connector>,
    account: Account,
    options: Options,
    rng: fastrand::Rng,
    steady: Steady,
    budget: Budget,
    probe: Probe,
    lanes: Vec<Lane>,
    flights: BTreeMap<Ticket, Flight>,
    out: VecDeque<Step>,
    sent: u64,
    retries: u64,
    stopped: bool,
}

impl Machine {
    /// A run over `streams`; without streams there is nothing to do. Fails `Invalid` when an input is missing or
    /// unfit, a template names something unknown, or a stream's paging does not go with its cursor.
    pub fn new(setup: Setup, streams: Vec<StreamStart>) -> Result<Self> {
        Self::with(setup, |connector, account| mates::lanes(connector, account, streams))
    }

    /// A run beside the live windows of these streams. Fails as `new` does, and `Invalid` for a stream that cannot be
    /// read in this way.
    pub fn aside(setup: Setup, streams: Vec<AsideStart>) -> Result<Self> {
        Self::with(setup, |connector, account| {
            streams.into_iter().map(|start| Lane::aside(connector, account, start)).collect()
        })
    }

    fn with(setup: Setup, lanes: impl FnOnce(&Connector, &Account) -> Result<Vec<Lane>>) -> Result<Self> {
        let Setup { connector, inputs, base_url, seed, options } = setup;
        let account = Account::new(&connector, &inputs, base_url.as_deref())?;
        let probe = Probe { url: account.url(&connector.probe.path)?, turn: Turn::default(), passed: false };
        let lanes = lanes(&connector, &account)?;
        Ok(Self {
            budget: Budget::new(&connector.budget),
            connector,
            account,
            options,
            rng: fastrand::Rng::with_seed(seed),
            steady: Steady::default(),
            probe,
            lanes,
            flights: BTreeMap::new(),
            out: VecDeque::new(),
            sent: 0,
            retries: 0,
            stopped: false,
        })
    }

    /// What to do next. After `WaitUntil` and `Idle` call it again when the time or a reply has come.
    pub fn step(&mut self, now: Timestamp) -> Step {
        let at = self.steady.tick(now);
        if let Some(step) = self.out.pop_front() {
            return step;
        }
        if self.stopped || self.lanes.iter().all(|lane| lane.ended) {
            return if self.flights.is_empty() { Step::Done } else { Step::Idle };
        }
        if self.options.requests_max.is_some_and(|max| self.sent >= max) {
            return self.starved("the request budget of this run is used up", Kind::Budget);
        }
        let (whose, ready) = self.choose(at);
        match ready {
            Pick::Ready(_) => match self.budget.leave(at) {
                Leave::Now => self.send(whose, now, at),
                Leave::At(t) => Step::WaitUntil(self.steady.clock_at(t)),
                Leave::AfterReply => Step::Idle,
            },
            Pick::At(t) => Step::WaitUntil(self.steady.clock_at(t)),
            Pick::AfterReply => self.starved("nothing to send and nothing to wait for", Kind::Bug),
        }
    }

    /// Takes an answer in; `Err` when no whole response arrived. A ticket already answered is ignored.
    pub fn reply(&mut self, ticket: Ticket, now: Timestamp, answer: Result<Response>) {
        let at = self.steady.tick(now);
        let Some(flight) = self.flights.remove(&ticket) else { return };
        self.budget.returned(at);
        if let Whose::Walk { lane, .. } = flight.whose
            && self.lanes.get(lane).is_none_or(|lane| lane.ended)
        {
            return;
        }
        let judged = retry::judge(answer, &self.connector.errors, &self.account, &flight.place, now);
        if let Whose::Walk { lane, walk } = flight.whose
            && let Some(emitted) = fetch::absent(&mut self.lanes, lane, walk, &judged)
        {
            self.budget.succeeded(at);
            return self.out.push_back(Step::Emit(Box::new(emitted)));
        }
        match judged {
            Outcome::Answer(response) => self.answered(&flight, response, now, at),
            Outcome::Throttled { after, fault } => self.throttled(&flight, after, &fault, at),
            Outcome::Transient { after, fault } => {
                let Self { probe, lanes, options, rng, .. } = self;
                let verdict = turn(probe, lanes, flight.whose)
                    .map(|turn| turn.strikes.transient(after, fault, &options.limits, rng));
                self.follow(flight.whose, verdict, Reach::Stream, at);
            }
            Outcome::Denied { everyone, fault } => {
                let verdict = turn(&mut self.probe, &mut self.lanes, flight.whose)
                    .map(|turn| turn.strikes.denied(fault));
                let reach = if everyone { Reach::Connection } else { Reach::Stream };
                self.follow(flight.whose, verdict, reach, at);
            }
            Outcome::Unavailable { why, fault } => match flight.whose {
                // A walk over events that is refused would lose deletes: that is a failure.
                Whose::Walk { lane, .. }
                    if !self.options.named && self.lanes.get(lane).is_some_and(|l| !l.tells) =>
                {
                    self.pass_over(lane, why);
                }
                _ => self.follow(flight.whose, Some(Verdict::GiveUp(fault)), Reach::Stream, at),
            },
            Outcome::Final { fault, .. } => {
                let restarted = match flight.whose {
                    Whose::Probe => false,
                    Whose::Walk { lane, walk } => {
                        self.lanes.get_mut(lane).is_some_and(|lane| lane.refused(walk))
                    }
                };
                let verdict = if restarted { Verdict::Again(Duration::ZERO) } else { Verdict::GiveUp(fault) };
                self.follow(flight.whose, Some(verdict), Reach::Stream, at);
            }
        }
    }

    /// No new requests. What is in flight may still be replied to and is emitted; then `Done`. Every checkpoint
    /// emitted so far is good to continue from.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// What the run cost so far.
    pub fn budget(&self) -> Facts {
        Facts {
            requests: self.sent,
            streams: self.lanes.iter().fold(BTreeMap::new(), |mut all, lane| {
                *all.entry(lane.stream.name.clone()).or_default() += lane.requests;
                all
            }),
            retries: self.retries,
            throttles: self.budget.throttles(),
            pace: self.budget.pace(),
            in_flight: self.flights.len(),
        }
    }

    /// The lane that waited longest among those that may go (least fresh first), else the earliest time one may.
    fn choose(&self, at: Duration) -> (Whose, Pick) {
        if !self.probe.passed {
            return (Whose::Probe, pick(std::iter::once((0, &self.probe.turn)), at));
        }
        let open = self.lanes.iter().enumerate().filter(|(_, lane)| !lane.ended);
        let picks: Vec<_> = open.map(|(i, lane)| (i, (lane.served, lane.fresh), lane.pick(at))).collect();
        let ready = picks.iter().filter_map(|&(i, served, pick)| match pick {
            Pick::Ready(walk) => Some((served, i, walk)),
            Pick::At(_) | Pick::AfterReply => None,
        });
        if let Some((_, lane, walk)) = ready.min() {
            return (Whose::Walk { lane, walk }, Pick::Ready(walk));
        }
        let times = picks.iter().filter_map(|(_, _, pick)| match pick {
            Pick::At(t) => Some(*t),
            Pick::Ready(_) | Pick::AfterReply => None,
        });
        (Whose::Probe, times.min().map_or(Pick::AfterReply, Pick::At))
    }

    fn send(&mut self, whose: Whose, now: Timestamp, at: Duration) -> Step {
        self.sent += 1;
        let ticket = Ticket(self.sent);
        let (stream, url, query) = match whose {
            Whose::Probe => (None, self.probe.url.clone(), self.connector.probe.query.clone()),
            Whose::Walk { lane, walk } => match self.lanes.get_mut(lane) {
                Some(lane) => {
                    lane.requests += 1;
                    lane.served = self.sent;
                    (Some(lane.stream.name.clone()), lane.place(walk), lane.query(walk, now))
                }
                None => return Step::Idle,
            },
        };
        if let Some(turn) = turn(&mut self.probe, &mut self.lanes, whose) {
            turn.sent();
        }
        self.budget.sent();
        let request = self.account.request(&url, query);
        let place = request::place(&request);
        self.flights.insert(ticket, Flight { whose, asked_at: now, sent: at, place });
        Step::Send { ticket, stream, request }
    }

    fn answered(&mut self, flight: &Flight, response: Response, now: Timestamp, at: Duration) {
        let Whose::Walk { lane, walk } = flight.whose else {
            let told = serde_json::from_slice(&response.body);
            if let Err(error) = &told
                && self.lanes.iter().any(|lane| lane.stream.requires.is_some())
            {
                let fault = Fault::garbled("the probe's answer is not JSON", &flight.place, error);
                let verdict = self.probe.turn.strikes.bad_page(fault, &self.options.limits, &mut self.rng);
                return self.follow(flight.whose, Some(verdict), Reach::Connection, at);
            }
            self.budget.succeeded(at);
            return self.begin(flight.asked_at, &response, told.ok().as_ref(), now);
        };
        let Some(found) = self.lanes.get_mut(lane) else { return };
        match decode::page(response.body, &found.envelope, flight.asked_at) {
            Ok(page) => {
                self.budget.succeeded(at);
                match found.accept(walk, page, now) {
                    Ok(emitted) => self.emit(lane, emitted),
                    Err(error) => self.fail(lane, error.with("url", &flight.place)),
                }
            }
            Err(error) => {
                let reason = self.account.redact(&error.to_string());
                let fault = Fault::garbled("the answer is not a page of records", &flight.place, &reason);
                let Self { options, rng, .. } = self;
                let verdict = found.turn(walk).map(|turn| turn.strikes.bad_page(fault, &options.limits, rng));
                self.follow(flight.whose, verdict, Reach::Stream, at);
            }
        }
    }

    /// The probe passed: fixes the anchor, from which every stream's signpost follows, and plans every stream.
    fn begin(&mut self, asked_at: Timestamp, response: &Response, told: Option<&Value>, now: Timestamp) {
        self.probe.passed = true;
        self.probe.turn = Turn::over();
        let anchor = retry::date(&response.headers).unwrap_or(now).min(now).min(asked_at);
        self.offer(told);
        let Self { lanes, options, .. } = self;
        let open = |(i, lane): (usize, &mut Lane)| (i, lane.open(options, anchor, now));
        let opened: Vec<_> = lanes.iter_mut().enumerate().filter(|(_, l)| !l.ended).map(open).collect();
        let mut idle = Vec::new();
        for (lane, opened) in opened {
            match opened {
                Ok(emitted) => idle.extend(emitted.map(|e| (lane, e))),
                Err(error) => self.fail(lane, error),
            }
        }
        idle.into_iter().for_each(|(lane, emitted)| self.emit(lane, emitted));
    }

    /// Passes over the streams that the account does not have, by what the probe answered.
    fn offer(&mut self, answer: Option<&Value>) {
        for lane in 0..self.lanes.len() {
            let Some(found) = self.lanes.get(lane).filter(|l| !l.ended && !l.tells) else { continue };
            match offer::refusal(found.stream.requires.as_ref(), answer) {
                Ok(None) => {}
                Ok(Some(why)) if self.options.named => self.fail(lane, offer::refused(&why)),
                Ok(Some(why)) => self.pass_over(lane, why),
                Err(error) => self.fail(lane, error),
            }
        }
    }

    fn emit(&mut self, lane: usize, emitted: super::Emitted) {
        match mates::joined(&self.lanes, lane, emitted) {
            Ok(emitted) => self.out.push_back(Step::Emit(Box::new(emitted))),
            Err(error) => self.fail(lane, error),
        }
    }

    /// Throttling costs no tries: the request goes again at a slower pace, until nothing has moved for too long.
    fn throttled(&mut self, flight: &Flight, after: Option<Duration>, fault: &Fault, at: Duration) {
        self.budget.throttled(at, flight.sent, after, &mut self.rng);
        let stuck = self.budget.throttled_for(at);
        if stuck > self.options.limits.progress {
            let fault = fault.clone().with("nothing_else_for", format!("{} min", stuck.as_secs() / 60));
            return self.fail_all(&fault);
        }
        if let Some(turn) = turn(&mut self.probe, &mut self.lanes, flight.whose) {
            turn.again(at);
        }
    }

    /// A failure of the probe is everybody's.
    fn follow(&mut self, whose: Whose, verdict: Option<Verdict>, reach: Reach, at: Duration) {
        match (verdict, whose) {
            (None, _) => {}
            (Some(Verdict::Again(pause)), _) => {
                self.retries += 1;
                if let Some(turn) = turn(&mut self.probe, &mut self.lanes, whose) {
                    turn.again(at.saturating_add(pause));
                }
            }
            (Some(Verdict::GiveUp(fault)), Whose::Walk { lane, .. }) if reach == Reach::Stream => {
                self.fail(lane, fault.error());
            }
            (Some(Verdict::GiveUp(fault)), _) => self.fail_all(&fault),
        }
    }

    fn fail(&mut self, lane: usize, error: Error) {
        if let Some(stream) = self.close(lane) {
            self.out.push_back(Step::Failed { error: error.with("stream", &stream), stream });
        }
    }

    fn pass_over(&mut self, lane: usize, why: String) {
        if let Some(stream) = self.close(lane) {
            self.out.push_back(Step::NotOffered { stream, why });
        }
    }

    /// Ends a stream with both of its walks; None when this one was over.
    fn close(&mut self, lane: usize) -> Option<String> {
        let mate = mates::mate(&self.lanes, lane);
        let found = self.lanes.get_mut(lane).filter(|lane| !lane.ended)?;
        found.ended = true;
        let stream = found.stream.name.clone();
        if let Some(mate) = mate.and_then(|mate| self.lanes.get_mut(mate)) {
            mate.ended = true;
        }
        Some(stream)
    }

    fn fail_all(&mut self, fault: &Fault) {
        for lane in 0..self.lanes.len() {
            self.fail(lane, fault.error());
        }
    }

    /// No request can go any more: what is in flight may still move us, else the streams end here.
    fn starved(&mut self, what: &str, kind: Kind) -> Step {
        if !self.flights.is_empty() {
            return Step::Idle;
        }
        let fault = Fault::new(kind, what)
            .with("requests", self.sent)
            .hint("run again: it continues where this run stopped");
        self.fail_all(&fault);
        self.out.pop_front().unwrap_or(Step::Done)
    }
}

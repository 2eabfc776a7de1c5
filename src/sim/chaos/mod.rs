//! What goes wrong on the way? Seeded faults before and after an answer. What is wrong inside an answer is the
//! imitation's own affair (`chargebee`), switched on by the same knobs.
mod knob;

use super::{
    answer::{html, http_date, json, with},
    chargebee::{denied, error, throttled},
    json::Object,
};
use crate::{time::Timestamp, wire::Response};
pub use knob::Knob;
use std::{collections::VecDeque, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);
/// List requests before the single faults strike.
const HTML_AT: u64 = 3;
const UNAUTHORIZED_AT: u64 = 2;

/// How a 429 tells when to come back.
#[derive(Clone, Copy, Debug)]
enum After {
    Seconds,
    Nothing,
    Date,
}

/// Which imitation is answering, for the shape of error bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Front {
    Chargebee,
    Billsby,
}

/// The faults that are on, and where they stand.
#[derive(Debug)]
pub(super) struct Chaos {
    rng: fastrand::Rng,
    knobs: Vec<Knob>,
    /// Answers left in the storm.
    storm: Option<(u32, After)>,
    /// Requests that were let through in the last minute.
    admitted: VecDeque<Timestamp>,
    lists: u64,
    /// Requests refused by the rate limit.
    pub(super) over_limit: u64,
}

impl Chaos {
    pub(super) fn new(seed: u64, knobs: &[Knob]) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed ^ 0xC4A0_5EED),
            knobs: knobs.to_vec(),
            storm: None,
            admitted: VecDeque::new(),
            lists: 0,
            over_limit: 0,
        }
    }
    /// Keeps only the knobs of that name.
    pub(super) fn quiet(&mut self, keep: &[Knob]) {
        self.knobs.retain(|knob| keep.iter().any(|k| k.name() == knob.name()));
        self.storm = None;
    }
    pub(super) fn is_on(&self, knob: Knob) -> bool {
        self.knobs.contains(&knob)
    }
    pub(super) fn knobs(&self) -> &[Knob] {
        &self.knobs
    }
    fn one_in(&mut self, n: u32) -> bool {
        self.rng.u32(0..n) == 0
    }
    /// How many random changes come before this request.
    pub(super) fn moves(&mut self) -> usize {
        if self.is_on(Knob::Moving) { self.rng.usize(0..4) } else { 0 }
    }

    /// An answer instead of the right one, if something is wrong.
    pub(super) fn before(&mut self, now: Timestamp, front: Front, is_list: bool) -> Option<Response> {
        if let Some(response) = self.limit(now, front) {
            return Some(response);
        }
        self.lists += u64::from(is_list);
        if is_list && self.lists == UNAUTHORIZED_AT && self.is_on(Knob::UnauthorizedOnce) {
            return Some(match front {
                Front::Chargebee => denied(),
                Front::Billsby => plain(front, 401, "Invalid API key"),
            });
        }
        if is_list && self.lists == HTML_AT && self.is_on(Knob::Html200) {
            return Some(html(200, "Please wait"));
        }
        self.throttle(now, front).or_else(|| self.break_down(front))
    }

    fn limit(&mut self, now: Timestamp, front: Front) -> Option<Response> {
        let limit = self.knobs.iter().find_map(|k| match k {
            Knob::RateLimit(n) => usize::try_from(*n).ok(),
            _ => None,
        })?;
        while self.admitted.front().is_some_and(|t| now.since(*t) >= MINUTE) {
            self.admitted.pop_front();
        }
        if self.admitted.len() < limit {
            self.admitted.push_back(now);
            return None;
        }
        self.over_limit += 1;
        let free = self.admitted.front().map_or(now, |t| t.plus(MINUTE));
        Some(too_many(front, Some((free.since(now).as_secs() + 1).to_string())))
    }

    fn throttle(&mut self, now: Timestamp, front: Front) -> Option<Response> {
        if self.storm.is_none() {
            let kinds = [
                (Knob::Throttle, After::Seconds),
                (Knob::ThrottleBare, After::Nothing),
                (Knob::ThrottleDate, After::Date),
            ];
            for (knob, after) in kinds {
                if self.is_on(knob) && self.one_in(10) {
                    self.storm = Some((self.rng.u32(2..6), after));
                }
            }
        }
        let (left, after) = self.storm?;
        self.storm = (left > 1).then_some((left - 1, after));
        let seconds = self.rng.u64(1..6);
        let value = match after {
            After::Seconds => Some(seconds.to_string()),
            After::Nothing => None,
            After::Date => Some(http_date(now.plus(Duration::from_secs(seconds)))),
        };
        Some(too_many(front, value))
    }

    fn break_down(&mut self, front: Front) -> Option<Response> {
        if !self.is_on(Knob::ServerErrors) || !self.one_in(8) {
            return None;
        }
        Some(match (self.rng.u32(0..3), front) {
            (0, Front::Chargebee) => {
                error(500, "internal_error", Some("operation_failed"), "Sorry, something went wrong.", None)
            }
            (1, Front::Chargebee) => {
                error(503, "db_connection_failure", Some("invalid_request"), "Please try again.", None)
            }
            (0, Front::Billsby) => plain(front, 500, "Internal server error"),
            (1, Front::Billsby) => plain(front, 503, "Service unavailable"),
            _ => html(502, "502 Bad Gateway"),
        })
    }

    /// Damages an answer on its way out.
    pub(super) fn after(&mut self, now: Timestamp, mut response: Response) -> Response {
        if self.is_on(Knob::CutBody) && self.one_in(10) {
            response.body.truncate(response.body.len() / 2);
        }
        let date = if self.is_on(Knob::ClockStep) { self.step(now) } else { now };
        with(response, "date", http_date(date))
    }

    fn step(&mut self, now: Timestamp) -> Timestamp {
        let by = |seconds: u64| Duration::from_secs(seconds);
        match self.rng.u32(0..6) {
            0 => now.plus(by(3_600)),
            1 => now.minus(by(600)),
            2 => now.plus(by(40 * 86_400)),
            3 => now.minus(by(7_200)),
            _ => now,
        }
    }
}

fn plain(front: Front, status: u16, message: &str) -> Response {
    match front {
        Front::Chargebee => error(status, "internal_error", None, message, None),
        Front::Billsby => {
            let mut body = Object::new();
            body.put("message", message);
            json(status, body.end())
        }
    }
}

fn too_many(front: Front, after: Option<String>) -> Response {
    match (front, after) {
        (Front::Chargebee, after) => throttled(after),
        (Front::Billsby, None) => plain(front, 429, "Too many requests"),
        (Front::Billsby, Some(after)) => with(plain(front, 429, "Too many requests"), "retry-after", after),
    }
}

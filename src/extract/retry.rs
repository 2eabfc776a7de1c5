//! What kind of answer is this, and does it deserve another try?
//!
//! The connector's error table decides the class; this file decides what a class costs. Not here: the pace.
use super::{Limits, RETRY_AFTER_MAX, fault, fault::Fault, request::Account};
use crate::{
    error::{Error, Kind, Result},
    manifest::{ErrorClass, ErrorRule},
    time::Timestamp,
    wire::Response,
};
use chrono::DateTime;
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// One refusal of credentials is asked once more, after this.
const DENIED_PAUSE: Duration = Duration::from_secs(1);

/// What an answer is.
#[derive(Debug)]
pub(super) enum Outcome {
    Answer(Response),
    Throttled {
        after: Option<Duration>,
        fault: Fault,
    },
    Transient {
        after: Option<Duration>,
        fault: Fault,
    },
    /// `everyone`: the credentials themselves were refused, not one resource.
    Denied {
        everyone: bool,
        fault: Fault,
    },
    /// The account does not have this; `why` says what it has instead.
    Unavailable {
        why: String,
        fault: Fault,
    },
    /// `known`: the connector names this error, so it is not that a single record is missing.
    Final {
        known: bool,
        fault: Fault,
    },
}

/// Consecutive failures of one request.
#[derive(Debug, Default)]
pub(super) struct Strikes {
    tries: u32,
    bad_pages: u32,
    denied: bool,
}

/// What to do with a request that failed.
#[derive(Debug)]
pub(super) enum Verdict {
    Again(Duration),
    GiveUp(Fault),
}

impl Strikes {
    /// No answer, or a temporary failure: backoff, or longer when the provider says so.
    pub(super) fn transient(
        &mut self,
        after: Option<Duration>,
        fault: Fault,
        limits: &Limits,
        rng: &mut fastrand::Rng,
    ) -> Verdict {
        self.tries += 1;
        if self.tries >= limits.tries {
            return Verdict::GiveUp(fault.with("tries", self.tries));
        }
        Verdict::Again(backoff(self.tries, rng).max(after.unwrap_or_default()))
    }
    /// An answer that is not a page; the last one decides.
    pub(super) fn bad_page(&mut self, fault: Fault, limits: &Limits, rng: &mut fastrand::Rng) -> Verdict {
        self.bad_pages += 1;
        if self.bad_pages >= limits.bad_pages {
            return Verdict::GiveUp(fault.with("tries", self.bad_pages));
        }
        Verdict::Again(backoff(self.bad_pages, rng))
    }
    /// A gateway may refuse one request of a scan by mistake, so the first refusal is confirmed.
    pub(super) fn denied(&mut self, fault: Fault) -> Verdict {
        if std::mem::replace(&mut self.denied, true) {
            return Verdict::GiveUp(fault);
        }
        Verdict::Again(DENIED_PAUSE)
    }
}

/// Full jitter: anything from zero to 1 s, 2 s, 4 s .. 60 s. `tries` counts from 1.
pub(super) fn backoff(tries: u32, rng: &mut fastrand::Rng) -> Duration {
    let factor = 1u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    let ceiling = BACKOFF_FIRST.saturating_mul(factor).min(BACKOFF_MAX);
    Duration::from_millis(rng.u64(0..=u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX)))
}

/// Classifies what came back; `place` is the request's URL for messages.
pub(super) fn judge(
    answer: Result<Response>,
    rules: &[ErrorRule],
    account: &Account,
    place: &str,
    now: Timestamp,
) -> Outcome {
    let response = match answer {
        Ok(response) => response,
        Err(error) => return unanswered(&error),
    };
    let rule = rules.iter().find(|rule| applies(rule, &response));
    let class = match rule {
        Some(rule) => rule.class,
        None if (200..=299).contains(&response.status) => return Outcome::Answer(response),
        None => ErrorClass::Permanent,
    };
    let after = retry_after(&response.headers, now);
    let (kind, what, advice) = match class {
        ErrorClass::Denied => {
            (Kind::Denied, "the provider refused the credentials", "renew this connection's credentials")
        }
        ErrorClass::Throttled => (
            Kind::Throttled { after },
            "the provider asks us to slow down",
            "run again later, or lower `budget.requests` if other programs use this account",
        ),
        ErrorClass::Transient => {
            (Kind::Transient, "the provider failed to answer", "run again later; progress is kept")
        }
        ErrorClass::Unavailable => (
            Kind::Invalid,
            "this account does not offer the stream",
            "leave it out of `source.streams` in the pipeline file",
        ),
        ErrorClass::Permanent => (
            Kind::Invalid,
            "the provider refused the request",
            "check the connection's inputs and `base_url`; if they are right, the connector is out of date",
        ),
    };
    let mut fault = Fault::new(kind, what).with("status", response.status).with("url", place);
    if let Some(text) = fault::message(&response.body) {
        fault = fault.with("message", format!("\"{}\"", account.redact(&text)));
    }
    let fault = fault.hint(rule.and_then(|r| r.hint.as_deref()).unwrap_or(advice));
    match class {
        ErrorClass::Denied => Outcome::Denied { everyone: response.status == 401, fault },
        ErrorClass::Throttled => Outcome::Throttled { after, fault },
        ErrorClass::Transient => Outcome::Transient { after, fault },
        ErrorClass::Unavailable => {
            let why = rule.and_then(|r| r.hint.clone()).unwrap_or_else(|| what.to_owned());
            Outcome::Unavailable { why, fault }
        }
        ErrorClass::Permanent => Outcome::Final { known: rule.is_some(), fault },
    }
}

fn unanswered(error: &Error) -> Outcome {
    let fault = Fault::of(error);
    match error.kind() {
        Kind::Transient => Outcome::Transient { after: None, fault },
        Kind::Throttled { after } => Outcome::Throttled { after, fault },
        Kind::Denied
        | Kind::Invalid
        | Kind::Drift
        | Kind::Stale
        | Kind::Locked
        | Kind::Destination
        | Kind::Guard
        | Kind::Budget
        | Kind::Interrupted
        | Kind::Bug => Outcome::Final { known: false, fault },
    }
}

fn applies(rule: &ErrorRule, response: &Response) -> bool {
    let status = if rule.status.is_empty() {
        !(200..=299).contains(&response.status)
    } else {
        rule.status.contains(&response.status)
    };
    status
        && rule.body.as_ref().is_none_or(|(pointer, texts)| {
            serde_json::from_slice::<Value>(&response.body)
                .ok()
                .and_then(|body| body.pointer(pointer).map(as_text))
                .is_some_and(|found| texts.contains(&found))
        })
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Seconds, or an HTTP date; None when absent or unreadable. A date is measured from the answer's own `Date` and from
/// our clock, and the shorter wait counts: whichever clock is off, a wait is never much too long, and one that is too
/// short is answered by the backoff.
pub(super) fn retry_after(headers: &BTreeMap<String, String>, now: Timestamp) -> Option<Duration> {
    let text = headers.get("retry-after")?.trim();
    let wait = match text.parse() {
        Ok(secs) => Duration::from_secs(secs),
        Err(_) => {
            let until = http_date(text)?;
            date(headers).map_or_else(|| until.since(now), |sent| until.since(sent).min(until.since(now)))
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// The answer's `Date`, when it has a readable one.
pub fn date(headers: &BTreeMap<String, String>) -> Option<Timestamp> {
    http_date(headers.get("date")?)
}

fn http_date(text: &str) -> Option<Timestamp> {
    DateTime::parse_from_rfc2822(text.trim()).ok().map(|t| Timestamp::from_secs(t.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_its_ceiling_up_to_a_minute_and_uses_the_whole_range() {
        let mut rng = fastrand::Rng::with_seed(1);
        for (tries, ceiling) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (40, 60)] {
            let waits: Vec<_> = (0..500).map(|_| backoff(tries, &mut rng)).collect();
            let ceiling = Duration::from_secs(ceiling);
            assert!(waits.iter().all(|w| *w <= ceiling), "try {tries}");
            assert!(waits.iter().any(|w| *w > ceiling.mul_f64(0.9)), "try {tries}");
            assert!(waits.iter().any(|w| *w < ceiling.mul_f64(0.1)), "try {tries}");
        }
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date_and_never_believed_beyond_an_hour() {
        let now = Timestamp::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
        let cases = [
            (vec![("retry-after", "7")], Some(7)),
            (vec![("retry-after", " 7 ")], Some(7)),
            (vec![("retry-after", "0")], Some(0)),
            (vec![("retry-after", "86400")], Some(3_600)),
            (vec![("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], Some(30)),
            (vec![("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")], Some(0)),
            (
                vec![
                    ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"),
                    ("date", "Sun, 06 Nov 1994 08:50:00 GMT"),
                ],
                Some(7),
            ),
            (vec![("retry-after", "soon")], None),
            (vec![("retry-after", "-3")], None),
            (vec![], None),
        ];
        for (headers, secs) in cases {
            let map = headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            assert_eq!(retry_after(&map, now), secs.map(Duration::from_secs), "{headers:?}");
        }
    }
}

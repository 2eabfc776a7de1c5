//! The extraction machine against a fake provider in virtual time.
mod crash;
mod failures;
mod pacing;
mod snapshots;
mod windows;

use bytes::Bytes;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tidegate::{
    checkpoint::{Checkpoint, Phase, Progress, Slice},
    decode::Struct,
    error::{Error, Kind, Result},
    extract::{Emitted, InputValue, Machine, Options, Setup, Step, StreamStart},
    manifest::{
        Auth, Budget, Connector, Cursor, ErrorClass, ErrorRule, Input, InputKind, MinorUnits, PageSize,
        Paging, Probe, Slices, Stream, Template, TimeUnit,
    },
    secret::Secret,
    time::Timestamp,
    wire::{Request, Response},
};

/// 2026-01-01T00:00:00Z.
pub(crate) const T0: i64 = 1_767_225_600;
const DAY: u64 = 86_400;

pub(crate) fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn size(value: u32) -> PageSize {
    PageSize { send: "limit".into(), value }
}

fn stream(name: &str, paging: Paging, cursor: Cursor) -> Arc<Stream> {
    Arc::new(Stream {
        name: name.into(),
        path: Template(format!("/{name}")),
        records: "/list/*/row".into(),
        query: vec![("include_deleted".into(), "true".into())],
        get: None,
        key: "id".into(),
        version: None,
        updated: None,
        deleted: None,
        cut: None,
        deletes: None,
        clearing: None,
        personal: None,
        requires: None,
        paging,
        cursor,
        record: Struct::default(),
        feeds: vec![],
    })
}

/// Overlap 5 s, lag 3 s, pages of 3.
pub(crate) fn windowed(name: &str, sliced: bool) -> Arc<Stream> {
    windowed_with(name, sliced, 5, 3, 3)
}

pub(crate) fn windowed_with(name: &str, sliced: bool, overlap: u64, lag: u64, page: u32) -> Arc<Stream> {
    let slices = Slices {
        send: "date[between]".into(),
        absent: Some(("date[is_present]".into(), "false".into())),
        length: Duration::from_secs(30 * DAY),
    };
    stream(
        name,
        Paging::Token { send: "offset".into(), read: "/next_offset".into(), size: size(page) },
        Cursor::Window {
            send: "updated_at[between]".into(),
            unit: TimeUnit::EpochS,
            overlap: Duration::from_secs(overlap),
            lag: Duration::from_secs(lag),
            sort: Some(("sort_by[asc]".into(), "date".into())),
            slices: sliced.then_some(slices),
        },
    )
}

pub(crate) fn scanned(name: &str) -> Arc<Stream> {
    stream(
        name,
        Paging::PageNumber { send: "page".into(), first: 1, total: "/rowCount".into(), size: size(3) },
        Cursor::Snapshot { order: None, lag: Duration::ZERO },
    )
}

fn rule(status: &[u16], class: ErrorClass) -> ErrorRule {
    ErrorRule { status: status.to_vec(), body: None, class, hint: None }
}

pub(crate) fn connector() -> Connector {
    let input = |name: &str, kind| Input { name: name.into(), kind, meaning: format!("the {name}") };
    Connector {
        policies: tidegate::entity::Policies::default(),
        rights: None,
        name: "fake".into(),
        title: String::new(),
        hash: "h1".into(),
        mapping_hash: "m1".into(),
        inputs: vec![input("site", InputKind::HostLabel), input("api_key", InputKind::Secret)],
        base_url: Template("https://{site}.fake.test/api".into()),
        auth: Auth::Basic { user: "api_key".into(), password: String::new() },
        headers: vec![("accept".into(), "application/json".into())],
        budget: Budget {
            scope: Template("{site}".into()),
            requests: 1_000,
            per: Duration::from_secs(60),
            concurrency: 4,
        },
        errors: vec![
            ErrorRule {
                status: vec![400],
                body: Some(("/api_error_code".into(), vec!["configuration_incompatible".into()])),
                class: ErrorClass::Unavailable,
                hint: None,
            },
            rule(&[401, 403], ErrorClass::Denied),
            rule(&[429], ErrorClass::Throttled),
            rule(&[500, 502, 503, 504], ErrorClass::Transient),
        ],
        minor_units: MinorUnits { default: 2, exceptions: BTreeMap::new() },
        probe: Probe { path: Template("/probe".into()), query: vec![("limit".into(), "1".into())] },
        streams: vec![],
    }
}

pub(crate) const SECRET: &str = "planted-secret-key";

pub(crate) fn setup(connector: Connector, options: Options) -> Setup {
    let inputs = [
        ("site".to_owned(), InputValue::Text("acme".into())),
        ("api_key".to_owned(), InputValue::Secret(Secret::new(SECRET))),
    ];
    Setup { connector: Arc::new(connector), inputs: inputs.into(), base_url: None, seed: 7, options }
}

pub(crate) fn machine(streams: Vec<(Arc<Stream>, Option<Checkpoint>)>, options: Options) -> Machine {
    let starts = streams.into_iter().map(|(stream, checkpoint)| StreamStart { stream, checkpoint });
    Machine::new(setup(connector(), options), starts.collect()).unwrap()
}

pub(crate) fn stored(phase: Phase) -> Option<Checkpoint> {
    Some(Checkpoint::new("h1", phase))
}

pub(crate) fn watermark(secs: i64) -> Option<Checkpoint> {
    stored(Phase::Windows { watermark: at(secs), open: None })
}

/// A row of the provider. The slicing field `date` may be missing, so may the modification time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) date: Option<i64>,
    pub(crate) updated: Option<i64>,
    /// When lists begin to show this state.
    pub(crate) visible: i64,
    pub(crate) v: u64,
}

pub(crate) fn row(date: i64, updated: i64) -> Row {
    Row { date: Some(date), updated: Some(updated), visible: 0, v: 1 }
}

type Intercept = Box<dyn FnMut(u64, Timestamp, &Request) -> Option<Result<Response>>>;

/// Token lists in an immutable order, numbered pages in id order, and whatever `intercept` says instead.
pub(crate) struct Fake {
    pub(crate) rows: BTreeMap<u32, Row>,
    /// Provider's clock minus ours, seconds.
    pub(crate) skew: i64,
    pub(crate) date_header: bool,
    /// Called first, with the number of the request (the probe is 0).
    pub(crate) intercept: Intercept,
    served: u64,
}

pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Result<Response> {
    let headers = headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Ok(Response { status, headers, body: body.into() })
}

pub(crate) fn broken() -> Result<Response> {
    Err(Error::new(Kind::Transient, "the connection was refused").with("url", "acme:443/").hint("look"))
}

pub(crate) fn param<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.query.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
}

fn between(request: &Request, name: &str) -> Option<(i64, i64)> {
    let (from, to) = param(request, name)?.strip_prefix('[')?.strip_suffix(']')?.split_once(',')?;
    Some((from.parse().unwrap(), to.parse().unwrap()))
}

impl Fake {
    pub(crate) fn new(rows: impl IntoIterator<Item = Row>) -> Self {
        Self {
            rows: (1..).zip(rows).collect(),
            skew: 0,
            date_header: true,
            intercept: Box::new(|_, _, _| None),
            served: 0,
        }
    }
    fn handle(&mut self, now: Timestamp, request: &Request) -> Result<Response> {
        let number = self.served;
        self.served += 1;
        if let Some(answer) = (self.intercept)(number, now, request) {
            return answer;
        }
        let body = if request.url.ends_with("/probe") {
            json!({"list": []})
        } else if param(request, "page").is_some() {
            self.numbered(request)
        } else {
            self.listed(now, request)
        };
        let date = at(now.secs() + self.skew).utc().unwrap().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let headers = [("date", date.as_str())];
        answer(200, if self.date_header { &headers } else { &[] }, body.to_string())
    }
    fn listed(&self, now: Timestamp, request: &Request) -> serde_json::Value {
        let within = |value: Option<i64>, name| {
            between(request, name).is_none_or(|(a, b)| value.is_some_and(|v| a <= v && v <= b))
        };
        let found = self.rows.iter().filter(|(_, r)| {
            r.visible <= now.secs() + self.skew
                && within(r.updated, "updated_at[between]")
                && within(r.date, "date[between]")
                && (param(request, "date[is_present]") != Some("false") || r.date.is_none())
        });
        let mut found: Vec<_> = found.map(|(id, r)| ((r.date.unwrap_or(0), *id), r)).collect();
        found.sort_by_key(|(place, _)| *place);
        if let Some(token) = param(request, "offset") {
            let (date, id) = token.split_once('/').unwrap();
            let last = (date.parse().unwrap(), id.parse().unwrap());
            found.retain(|(place, _)| *place > last);
        }
        let limit: usize = param(request, "limit").unwrap().parse().unwrap();
        let more = found.len() > limit;
        found.truncate(limit);
        let list: Vec<_> = found.iter().map(|((_, id), r)| json!({"row": {"id": id, "v": r.v}})).collect();
        match found.last() {
            Some(((date, id), _)) if more => json!({"list": list, "next_offset": format!("{date}/{id}")}),
            _ => json!({"list": list}),
        }
    }
    fn numbered(&self, request: &Request) -> serde_json::Value {
        let page: usize = param(request, "page").unwrap().parse().unwrap();
        let limit: usize = param(request, "limit").unwrap().parse().unwrap();
        let rows = self.rows.iter().skip((page - 1) * limit).take(limit);
        let list: Vec<_> = rows.map(|(id, r)| json!({"row": {"id": id, "v": r.v}})).collect();
        json!({"list": list, "rowCount": self.rows.len(), "currentPage": page})
    }
}

/// A request as the provider saw it.
pub(crate) struct Seen {
    pub(crate) sent: Timestamp,
    pub(crate) arrived: Timestamp,
    pub(crate) request: Request,
}

/// Virtual time, the wire between, and what came of it.
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) fake: Fake,
    /// Way there and way back, of each request in turn.
    pub(crate) latency: Box<dyn FnMut() -> (Duration, Duration)>,
    pub(crate) seen: Vec<Seen>,
    pub(crate) emitted: Vec<Emitted>,
    pub(crate) failed: Vec<(String, Error)>,
    /// Streams that are not offered, and what is there instead.
    pub(crate) passed: Vec<(String, String)>,
}

enum Event {
    Arrive(Timestamp, Request),
    Reply(Result<Response>),
}

impl World {
    pub(crate) fn new(fake: Fake) -> Self {
        Self {
            now: at(T0),
            fake,
            latency: Box::new(|| (Duration::from_millis(20), Duration::from_millis(30))),
            seen: vec![],
            emitted: vec![],
            failed: vec![],
            passed: vec![],
        }
    }
    /// Runs to the end.
    pub(crate) fn run(&mut self, machine: &mut Machine) {
        self.run_until(machine, |_, _| true);
    }
    /// Runs until the end, or until `go_on` refuses an emission (which is then not counted).
    pub(crate) fn run_until(
        &mut self,
        machine: &mut Machine,
        mut go_on: impl FnMut(&mut Machine, &Emitted) -> bool,
    ) {
        let mut events: BTreeMap<(Timestamp, u64), (tidegate::extract::Ticket, Event)> = BTreeMap::new();
        let mut order = 0;
        for _ in 0..200_000 {
            let wake = match machine.step(self.now) {
                Step::Send { ticket, request, .. } => {
                    let there = (self.latency)().0;
                    order += 1;
                    events.insert((self.now.plus(there), order), (ticket, Event::Arrive(self.now, request)));
                    continue;
                }
                Step::Emit(emitted) => {
                    if !go_on(machine, &emitted) {
                        return;
                    }
                    self.emitted.push(*emitted);
                    continue;
                }
                Step::Failed { stream, error } => {
                    self.failed.push((stream, error));
                    continue;
                }
                Step::NotOffered { stream, why } => {
                    self.passed.push((stream, why));
                    continue;
                }
                Step::WaitUntil(t) => {
                    assert!(t > self.now, "waiting for a time that has come");
                    Some(t)
                }
                Step::Idle => None,
                Step::Done => {
                    assert!(events.is_empty(), "done with requests in flight");
                    return;
                }
            };
            let next = events.keys().next().copied();
            match (next, wake) {
                (Some((t, _)), Some(wake)) if wake < t => self.now = wake,
                (Some(key), _) => {
                    let (ticket, event) = events.remove(&key).unwrap();
                    self.now = self.now.max(key.0);
                    match event {
                        Event::Arrive(sent, request) => {
                            let answer = self.fake.handle(self.now, &request);
                            self.seen.push(Seen { sent, arrived: self.now, request });
                            order += 1;
                            let back = self.now.plus((self.latency)().1);
                            events.insert((back, order), (ticket, Event::Reply(answer)));
                        }
                        Event::Reply(answer) => machine.reply(ticket, self.now, answer),
                    }
                }
                (None, Some(wake)) => self.now = wake,
                (None, None) => panic!("idle with nothing in flight"),
            }
        }
        panic!("the run does not end");
    }
    /// The value of a parameter in each data request, in order.
    pub(crate) fn sent(&self, name: &str) -> Vec<Option<String>> {
        let data = self.seen.iter().filter(|s| !s.request.url.ends_with("/probe"));
        data.map(|s| param(&s.request, name).map(str::to_owned)).collect()
    }
    pub(crate) fn ids(&self) -> BTreeSet<u64> {
        self.emitted.iter().flat_map(records).map(|(id, _)| id).collect()
    }
    pub(crate) fn last(&self) -> &Emitted {
        self.emitted.last().unwrap()
    }
    pub(crate) fn failure(&self) -> (&str, Kind) {
        assert_eq!(self.failed.len(), 1, "{:?}", self.failed);
        (&self.failed[0].0, self.failed[0].1.kind())
    }
}

/// Id and version of each record of an emission.
pub(crate) fn records(emitted: &Emitted) -> Vec<(u64, u64)> {
    let Some(page) = &emitted.page else { return vec![] };
    let value = |range: &std::ops::Range<usize>| -> serde_json::Value {
        serde_json::from_slice(&page.body[range.clone()]).unwrap()
    };
    page.records.iter().map(value).map(|r| (r["id"].as_u64().unwrap(), r["v"].as_u64().unwrap())).collect()
}

pub(crate) fn slices(checkpoint: &Checkpoint) -> &[Slice] {
    match &checkpoint.phase {
        Phase::FirstLoad { slices, .. } => slices,
        other => panic!("not a first load: {other:?}"),
    }
}

pub(crate) fn token(text: &str, seen: i64) -> Progress {
    Progress::Token { token: text.into(), seen: at(seen) }
}

//! Two walks of one stream, and streams that are not there.
use crate::extract::{Fake, World, answer, at, machine, param, records, row, windowed};
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc};
use tidegate::{
    checkpoint::{Checkpoint, Phase},
    decode::Told,
    error::{Error, Kind},
    extract::{Machine, Options},
    manifest::{Deletes, Requires, Stream, Template},
    wire::Request,
};

const T0: i64 = crate::extract::T0;
/// Ids from here on are events.
const EVENTS: u64 = 100;

/// Stream `a`, whose deletes the list `/log` tells.
fn told() -> Arc<Stream> {
    let own = windowed("a", false).as_ref().clone();
    let walk = Stream { path: Template("/log".into()), query: vec![], ..own.clone() };
    let told =
        Told { field: "event_type".into(), any_of: vec!["gone".into()], record: vec!["content".into()] };
    Arc::new(Stream { deletes: Some(Deletes { told, walk: Arc::new(walk) }), ..own })
}

/// All events are old: a window that follows a first load does not show them any more.
fn log(request: &Request, tokens: fn(usize) -> String) -> serde_json::Value {
    if param(request, "updated_at[between]").is_some() {
        return json!({ "list": [] });
    }
    let from: usize = param(request, "offset").map_or(0, |o| o.parse().unwrap_or(2));
    let list: Vec<_> =
        (from..from + 2).map(|n| json!({ "row": { "id": EVENTS + n as u64, "v": 1 } })).collect();
    if from < 4 { json!({ "list": list, "next_offset": tokens(from + 2) }) } else { json!({ "list": list }) }
}

fn world(tokens: fn(usize) -> String) -> World {
    let mut fake = Fake::new((0..8).map(|i| row(T0 - 5_000 + i, T0 - 5_000 + i)));
    fake.intercept = Box::new(move |_, _, request| {
        request.url.ends_with("/log").then(|| answer(200, &[], log(request, tokens).to_string()))
    });
    World::new(fake)
}

fn all() -> BTreeSet<u64> {
    (1..=8).chain(EVENTS..EVENTS + 6).collect()
}

fn run(world: &mut World, stored: Option<Checkpoint>) {
    world.run(&mut machine(vec![(told(), stored)], Options::default()));
}

fn watermarks(checkpoint: &Checkpoint) -> [Option<i64>; 2] {
    let deletes = checkpoint.of_deletes().unwrap();
    [checkpoint.watermark(), deletes.watermark()].map(|t| t.map(|t| t.secs()))
}

#[test]
fn both_walks_of_a_stream_are_in_every_checkpoint_and_it_ends_when_both_have() {
    let mut world = world(|n| n.to_string());
    run(&mut world, None);
    assert_eq!(world.ids(), all());
    assert!(world.failed.is_empty());
    let ends = world.emitted.iter().filter(|e| e.end).count();
    assert!(ends == 1 && world.last().end);
    assert!(world.emitted.iter().all(|e| e.stream == "a" && e.checkpoint.deletes.is_some()));
    let [rows, deletes] = watermarks(&world.last().checkpoint);
    assert!(rows.is_some() && rows == deletes);
    let mut before = None;
    for emitted in &world.emitted {
        emitted.checkpoint.may_follow(before.as_ref()).unwrap();
        before = Some(emitted.checkpoint.clone());
    }
    let requests = world.sent("limit").len();
    let mut machine = machine(vec![(told(), None)], Options::default());
    let mut again = self::world(|n| n.to_string());
    again.run(&mut machine);
    assert_eq!(machine.budget().streams["a"], requests as u64, "requests of both walks count");
}

#[test]
fn a_run_that_dies_after_any_page_of_either_walk_loses_nothing() {
    let mut whole = world(|n| n.to_string());
    run(&mut whole, None);
    for kept in 0..whole.emitted.len() {
        let mut first = world(|n| n.to_string());
        let mut left = kept;
        first.run_until(&mut machine(vec![(told(), None)], Options::default()), |_, _| {
            left = left.wrapping_sub(1);
            left != usize::MAX
        });
        let stored = first.emitted.last().map(|e| e.checkpoint.clone());
        let mut second = world(|n| n.to_string());
        second.now = first.now;
        run(&mut second, stored);
        let found: BTreeSet<u64> = first.ids().union(&second.ids()).copied().collect();
        assert_eq!(found, all(), "died after {kept} emissions");
    }
}

#[test]
fn the_walk_over_deletes_goes_on_from_its_own_watermark() {
    let phase = Phase::Windows { watermark: at(T0 - 900), open: None };
    let deletes = Phase::Windows { watermark: at(T0 - 90_000), open: None };
    let stored = Checkpoint { deletes: Some(deletes), ..Checkpoint::new("h1", phase) };
    let mut world = world(|n| n.to_string());
    run(&mut world, Some(stored));
    let sent = |path: &str| {
        let seen = world.seen.iter().find(|s| s.request.url.ends_with(path)).unwrap();
        param(&seen.request, "updated_at[between]").unwrap().to_owned()
    };
    assert!(sent("/a").starts_with(&format!("[{},", T0 - 905)), "{}", sent("/a"));
    assert!(sent("/log").starts_with(&format!("[{},", T0 - 90_005)), "{}", sent("/log"));
}

#[test]
fn a_connector_that_learns_of_deletes_reads_all_of_them_once() {
    let phase = Phase::Windows { watermark: at(T0 - 900), open: None };
    let stored = Checkpoint::new("h0", phase);
    let mut world = world(|n| n.to_string());
    run(&mut world, Some(stored));
    let log = world.seen.iter().find(|s| s.request.url.ends_with("/log")).unwrap();
    assert_eq!(param(&log.request, "updated_at[between]"), None, "a first load has no filter");
    assert!(world.ids().is_superset(&(EVENTS..EVENTS + 6).collect()));
}

#[test]
fn a_repeated_offset_stops_the_stream_before_it_goes_round_in_circles() {
    let mut world = world(|_| "2".into());
    run(&mut world, None);
    assert_eq!(world.failure(), ("a", Kind::Drift));
    assert!(world.emitted.iter().all(|e| !e.end));
    let [_, deletes] = watermarks(&world.last().checkpoint);
    assert_eq!(deletes, None, "deletes that were not read must be asked for again");
    assert!(world.seen.len() < 12, "{} requests", world.seen.len());
}

#[test]
fn a_refused_walk_over_deletes_fails_its_stream_whatever_class_the_answer_has() {
    let mut world = world(|n| n.to_string());
    world.fake.intercept = Box::new(|_, _, request| {
        let body = r#"{"api_error_code":"configuration_incompatible"}"#;
        request.url.ends_with("/log").then(|| answer(400, &[], body))
    });
    run(&mut world, None);
    assert_eq!(world.failure(), ("a", Kind::Invalid));
    assert!(world.passed.is_empty() && world.emitted.iter().all(|e| !e.end));
}

/// Stream `a` for accounts of kind `two`, beside `b` for all.
fn offered(named: bool, probe: &'static str) -> World {
    let requires = Requires {
        pointer: "/kinds/0/name".into(),
        any_of: vec!["two".into()],
        otherwise: "The account is of another kind".into(),
    };
    let a = Stream { requires: Some(requires), ..told().as_ref().clone() };
    let streams = vec![(Arc::new(a), None), (windowed("b", false), None)];
    let mut world = world(|n| n.to_string());
    world.fake.intercept = Box::new(move |_, _, request| {
        if request.url.ends_with("/probe") {
            return Some(answer(200, &[], probe));
        }
        request.url.ends_with("/log").then(|| answer(200, &[], log(request, |n| n.to_string()).to_string()))
    });
    let mut machine: Machine = machine(streams, Options { named, ..Options::default() });
    world.run(&mut machine);
    world
}

#[test]
fn a_stream_that_the_probe_rules_out_is_passed_over_without_a_request() {
    let world = offered(false, r#"{"kinds":[{"name":"one"}]}"#);
    assert_eq!(world.passed, [("a".to_owned(), "The account is of another kind".to_owned())]);
    assert!(world.failed.is_empty());
    assert!(world.emitted.iter().all(|e| e.stream == "b"));
    let data = world.seen.iter().filter(|s| !s.request.url.ends_with("/probe"));
    assert!(data.into_iter().all(|s| s.request.url.ends_with("/b")));
    let world = offered(false, r#"{"kinds":[{"name":"two"}]}"#);
    assert!(world.passed.is_empty() && world.failed.is_empty());
    assert!(world.emitted.iter().any(|e| e.stream == "a" && !records(e).is_empty()));
}

#[test]
fn a_stream_that_was_named_and_is_not_there_is_an_error_that_says_so() {
    let world = offered(true, r#"{"kinds":[{"name":"one"}]}"#);
    assert_eq!(world.failure(), ("a", Kind::Invalid));
    let error = &world.failed[0].1;
    assert!(error.to_string().contains("The account is of another kind"), "{error}");
    assert!(error.next().unwrap().contains("source.streams"));
    assert!(world.emitted.iter().any(|e| e.stream == "b" && e.end), "the other stream is read");
}

#[test]
fn a_probe_that_does_not_say_what_the_account_has_is_drift_and_not_a_guess() {
    for body in ["{}", r#"{"kinds":[]}"#, r#"{"kinds":[{"name":2}]}"#, "[]"] {
        let body: &'static str = body;
        let world = offered(false, body);
        assert_eq!(world.failure(), ("a", Kind::Drift), "{body}");
        assert!(world.failed[0].1.to_string().contains("/kinds/0/name"));
    }
}

#[test]
fn a_probe_that_is_answered_with_a_page_for_people_is_asked_again_before_it_is_drift() {
    let world = offered(false, "<html>");
    assert!(!world.failed.is_empty());
    let told =
        |e: &Error| e.kind() == Kind::Drift && e.to_string().contains("the probe's answer is not JSON");
    assert!(world.failed.iter().all(|(_, e)| told(e)), "{:?}", world.failed);
    let probes = world.seen.iter().filter(|s| s.request.url.ends_with("/probe")).count();
    assert!(probes > 2, "asked {probes} times");
}

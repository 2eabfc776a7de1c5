//! Processes that die, stop, meet each other, or run out of disk.
use super::{
    site::{Served, reply},
    stage::{Stage, done},
    tables,
};
use serde_json::json;
use std::collections::BTreeSet;
use tidegate::wire::{Request, Response};

/// Streams that have a checkpoint.
fn committed(stage: &Stage) -> BTreeSet<String> {
    let state = stage.run(&["state", "export", "acme"]).expect(0).json();
    state["checkpoints"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn kill_9_again_and_again_ends_where_an_undisturbed_sync_ends() {
    let site = Served::company(120);
    let undisturbed = Stage::simulated(&site.chargebee());
    undisturbed.run(&["sync"]).expect(0);
    let requests = site.asked().len();
    assert!(requests > 10, "{requests} requests are too few to die at");

    let stage = Stage::simulated(&site.chargebee());
    let mut kills = 0;
    // Streams without a filter are read whole each time; ledgers have their creation as filter.
    let scanned = ["unbilled_charges", "gifts"];
    let filtered = |a: &super::site::Asked| a.has("updated_at[between]") || a.has("created_at[between]");
    for number in (2..).step_by(8) {
        let before = committed(&stage);
        let gate = site.gate(number);
        let mut sync = stage.start(&["sync"]);
        let reached = gate.reached_before(|| sync.ended());
        let again: Vec<_> = site.asked();
        let again = again.iter().filter(|a| before.contains(&a.name) && !scanned.contains(&a.name.as_str()));
        let again = again.filter(|a| !filtered(a));
        assert_eq!(again.count(), 0, "a stream that was committed is read from the beginning again");
        if !reached {
            assert_eq!(sync.wait().code, Some(0));
            break;
        }
        sync.kill();
        kills += 1;
    }
    // Each run is killed eight requests later than the one before, as long as there is so much left to ask.
    assert!(kills >= 4, "only {kills} kills");
    let (found, wanted) = (tables::all(&stage), tables::all(&undisturbed));
    assert!(tables::count(&wanted) > 1000);
    assert_eq!(found, wanted);
}

/// Pages of more than four megabytes: two of them fill `COMMIT_BYTES`.
fn big_page(request: &Request) -> Response {
    const PAGES: usize = 6;
    let changes = request.query.iter().any(|(n, _)| n == "updated_at[between]");
    if changes || !request.url.ends_with("/customers") {
        return reply(200, r#"{"list":[]}"#);
    }
    let page = request.query.iter().find(|(n, _)| n == "offset").map_or(1, |(_, v)| v.parse().unwrap());
    let note = "x".repeat(400_000);
    let record = |n: usize| {
        json!({"customer": {"id": format!("c{page}-{n}"), "created_at": 1_700_000_000, "updated_at": 1_700_000_000,
            "resource_version": 1_700_000_000_000_u64, "deleted": false, "note": note}})
    };
    let mut body = json!({ "list": (0..11).map(record).collect::<Vec<_>>() });
    if page < PAGES {
        body["next_offset"] = (page + 1).to_string().into();
    }
    reply(200, body.to_string())
}

#[test]
fn after_a_kill_only_pages_of_the_open_commit_are_fetched_again() {
    let site = Served::company(1);
    let stage = Stage::simulated(&site.chargebee());
    stage.edit("  connection:", "  streams: [customers]\n  connection:");
    let (tell, reached) = std::sync::mpsc::channel();
    let (open, opened) = std::sync::mpsc::channel::<()>();
    site.hook(move |count, request| {
        // 1 is the probe; 2 and 3, 4 and 5 are the pages of two commits; 6 waits.
        if count == 7 {
            tell.send(()).unwrap();
            opened.recv().unwrap_or_default();
        }
        Some(big_page(request))
    });
    let mut sync = stage.start(&["sync"]);
    reached.recv().unwrap();
    sync.kill();
    drop(open);
    site.hook(|_, request| Some(big_page(request)));
    stage.run(&["sync"]).expect(0);
    let pages: Vec<_> = site.asked().into_iter().filter(|a| a.name == "customers").collect();
    let offsets: Vec<_> = pages.iter().flat_map(|a| a.query.iter()).filter(|(n, _)| n == "offset").collect();
    assert_eq!(offsets.iter().map(|(_, v)| v.as_str()).collect::<Vec<_>>(), ["5", "6"]);
    assert_eq!(tables::select(&stage, "select count(*) as n from customers")[0]["n"], 66);
}

/// Starts a sync and stops it by a signal at its fourth request.
fn stopped_by(signal: &str) -> (Stage, Served, super::stage::Done) {
    let site = Served::company(30);
    let stage = Stage::simulated(&site.chargebee());
    let gate = site.gate(4);
    let mut sync = stage.start(&["sync", "-o", "json"]);
    gate.reached();
    sync.signal(signal);
    let mut rest = sync.said("stopping after a clean checkpoint");
    drop(gate);
    let mut done = sync.wait();
    std::io::Read::read_to_string(&mut rest, &mut done.err).unwrap();
    (stage, site, done)
}

#[test]
fn a_signal_stops_after_a_clean_checkpoint_and_the_exit_code_names_it() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let (stage, site, done) = stopped_by(signal);
        let summary = done.expect(code).json();
        assert_eq!(summary["status"], "interrupted");
        assert_eq!(summary["next"], json!(["tidegate sync acme"]));
        stage.run(&["sync"]).expect(0);
        let undisturbed = Stage::simulated(&site.chargebee());
        undisturbed.run(&["sync"]).expect(0);
        assert_eq!(tables::all(&stage), tables::all(&undisturbed));
    }
}

#[test]
fn a_second_process_on_one_connection_changes_nothing_and_a_dead_ones_lock_is_taken_over() {
    let site = Served::company(10);
    let stage = Stage::simulated(&site.chargebee());
    stage.run(&["sync"]).expect(0);
    let gate = site.gate(2);
    let mut first = stage.start(&["sync"]);
    gate.reached();
    let before: Vec<_> = stage.files().iter().map(|f| (f.clone(), std::fs::read(f).unwrap())).collect();
    for arguments in [&["sync", "acme", "-o", "json"][..], &["rebuild", "acme", "-o", "json"]] {
        let error = stage.run(arguments).expect(9).error();
        assert_eq!(error["kind"], "locked");
        assert!(error["what"].as_str().unwrap().contains("another process"), "{error}");
    }
    let after: Vec<_> = stage.files().iter().map(|f| (f.clone(), std::fs::read(f).unwrap())).collect();
    assert_eq!(after, before);
    first.kill();
    drop(gate);
    site.hook(|_, _| None);
    stage.run(&["sync"]).expect(0);
    stage.run(&["sync"]).expect(0);
}

#[test]
fn a_full_disk_and_a_path_that_cannot_be_are_exit_8_and_what_was_there_stays_readable() {
    let site = Served::company(20);
    let stage = Stage::simulated(&site.chargebee());
    stage.run(&["sync", "--stream", "customers"]).expect(0);
    let before = tables::all(&stage);
    let mut full = std::process::Command::new("sh");
    let limited = "trap '' XFSZ; ulimit -f 8; exec \"$0\" sync -o json";
    full.args(["-c", limited, env!("CARGO_BIN_EXE_tidegate")]).current_dir(stage.path("."));
    full.env_clear().stdin(std::process::Stdio::null());
    let error = done(full).expect(8).error();
    assert_eq!(error["kind"], "destination", "{error}");
    assert!(error["next"].is_string(), "{error}");
    assert_eq!(tables::all(&stage)["customers"], before["customers"]);
    stage.run(&["sync"]).expect(0);

    stage.write("file", "");
    stage.edit("lake: ./lake", "lake: ./file/lake");
    let error = stage.run(&["sync", "-o", "json"]).expect(8).error();
    assert!(error["context"]["path"].as_str().unwrap().contains("file"), "{error}");
}

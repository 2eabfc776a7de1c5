//! What a newcomer meets: the demo's folder, a pipeline that was never synced, counts that add up, words that are wrong.
use super::{
    site::{Served, reply},
    stage::Stage,
};
use std::fs;

#[test]
fn a_demo_writes_into_its_own_folder_only() {
    let stage = Stage::new("http://127.0.0.1:9/api/v2");
    let before = |name: &str| fs::read(stage.path(name)).unwrap();
    let (env, pipeline) = (before(".env"), before("pipelines/acme.yaml"));
    let refused = stage.run(&["demo", "--dir", "."]).expect(2);
    assert!(refused.err.contains("no demo made it") && refused.err.contains("--dir another-folder"));
    assert_eq!((before(".env"), before("pipelines/acme.yaml")), (env, pipeline));
    assert!(!stage.path("lake").exists());

    for _ in 0..2 {
        let shown = stage.run(&["demo", "--dir", "shown", "--no-progress"]).expect(0);
        assert!(shown.out.contains("The simulated site ended with the demo"), "{}", shown.out);
    }
    fs::remove_file(stage.path("shown/.tidegate-demo")).unwrap();
    stage.run(&["demo", "--dir", "shown"]).expect(2);
}

#[test]
fn every_verb_says_alike_that_nothing_was_synced_yet() {
    let stage = Stage::new("http://127.0.0.1:9/api/v2");
    for words in [
        &["report", "mrr"][..],
        &["prove"],
        &["verify", "acme"],
        &["verify", "acme", "--source", "--yes"],
        &["export", "acme", "--out", "frozen"],
        &["query", "select 1"],
        &["rebuild", "acme"],
    ] {
        let said = stage.run(words).expect(2);
        assert!(said.err.contains("nothing of `acme` was synced yet"), "{words:?}: {}", said.err);
        assert!(said.err.contains("tidegate sync acme"), "{words:?}: {}", said.err);
        assert_eq!(said.out, "", "{words:?}");
    }
}

#[test]
fn what_was_read_of_a_stream_is_changed_unchanged_or_rejected() {
    let site = Served::company(40);
    let stage = Stage::simulated(&site.chargebee());
    for _ in 0..2 {
        let summary = stage.run(&["sync", "-o", "json"]).expect(0).json();
        let streams = summary["streams"].as_array().unwrap();
        let count = |stream: &serde_json::Value, what: &str| stream[what].as_u64().unwrap();
        for one in streams {
            let sum = ["changed", "unchanged", "rejected"].map(|what| count(one, what)).iter().sum::<u64>();
            assert_eq!(count(one, "read"), sum, "{one}");
        }
        assert!(streams.iter().any(|s| count(s, "read") > 0), "{summary}");
    }
}

#[test]
fn a_row_that_left_its_list_sooner_than_a_scan_speaks_for_is_not_a_difference_to_the_source() {
    let site = Served::company(40);
    let stage = Stage::simulated(&site.chargebee());
    stage.run(&["sync"]).expect(0);
    let rows = || stage.run(&["query", "select id from unbilled_charges", "-o", "json"]).expect(0).json();
    assert!(rows().as_array().unwrap().len() > 3);
    site.hook(|_, request| request.url.ends_with("/unbilled_charges").then(|| reply(200, r#"{"list":[]}"#)));
    stage.run(&["sync"]).expect(0);
    let source = ["verify", "acme", "--source", "--yes", "-o", "json"];
    let report = stage.run(&source).expect(0).json();
    let tables = report["tables"].as_array().unwrap();
    let table = tables.iter().find(|t| t["table"] == "unbilled_charges").unwrap();
    assert!(table["not_synced_yet"].as_u64().unwrap() > 3, "{table}");
    assert_eq!(table["equal"], true);

    site.hook(|_, request| request.url.ends_with("/gifts").then(|| reply(200, r#"{"list":[]}"#)));
    let report = stage.run(&source).expect(0).json();
    assert_eq!(report["equal"], true);
}

#[test]
fn check_says_when_nobody_will_tell_of_cleared_data() {
    let stage = Stage::new("http://127.0.0.1:9/api/v2");
    let told = |stage: &Stage| {
        let found = stage.run(&["check", "-o", "json"]).json();
        found.as_array().unwrap().iter().filter(|f| f["what"] == "erasures").count()
    };
    assert_eq!(told(&stage), 0);
    stage.edit("destination:", "  streams: [invoices, transactions]\ndestination:");
    assert_eq!(told(&stage), 1);
}

#[test]
fn a_wrong_word_is_answered_with_right_ones() {
    let stage = Stage::new("http://127.0.0.1:9/api/v2");
    let refused = |words: &[&str], expected: &str| {
        let said = stage.run(words).expect(2).err;
        assert!(said.contains(expected), "{words:?}: {said}");
    };
    refused(&["report", "aging", "--as-of", "30.06.2026"], "YYYY-MM-DD");
    refused(&["backfill", "acme", "--stream", "invoices", "--from", "yesterday"], "YYYY-MM-DD");
    let set = ["state", "set", "acme", "--stream", "invoices", "--watermark", "yesterday"];
    refused(&set, "`yesterday` is not a time");
    refused(&["state", "reset", "acme", "invoices"], "stream `invoices` of `acme` has no checkpoint");
    refused(&["simulate", "--chaos", "foo"], "known here: no_updated_at");
    refused(&["export", "acme", "--out", "x", "--format", "table"], "parquet");
    refused(&["schema", "--out", "x.xlsx"], ".json, .csv or .parquet");
    let init = ["init", "--connector", "chargebee", "--name", "other", "--destination", "lake:./lake"];
    refused(&init, "tidegate init --connector chargebee --name other --set site=...");
}

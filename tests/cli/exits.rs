//! Every exit code, by what a user would do to get it. 8, 9, 130 and 143 are in `kills`.
use super::{
    site::{Served, company, reply},
    stage::Stage,
    tables,
};
use tidegate::{cli::exit, sim::chaos::Knob};

#[test]
fn done_is_0_and_the_summary_is_all_there_is_on_stdout() {
    let site = Served::company(10);
    let stage = Stage::simulated(&site.chargebee());
    let first = stage.run(&["sync", "-o", "json"]).expect(0);
    let summary = first.json();
    assert_eq!(summary["status"], "completed");
    // A coupon that was deleted and made again is read twice: the event, and the row that replaced it.
    let once = |s: &&serde_json::Value| s["stream"] != "coupons";
    let mut streams = summary["streams"].as_array().unwrap().iter().filter(once);
    assert!(streams.all(|s| s["changed"] == s["read"]), "{summary}");
    assert!(first.err.contains("invoices: done, "), "{}", first.err);

    let again = stage.run(&["sync", "-o", "json", "--no-progress"]).expect(0);
    assert_eq!(again.err, "");
    let streams = again.json()["streams"].as_array().unwrap().clone();
    assert!(streams.iter().all(|s| s["changed"] == 0), "{streams:?}");
}

#[test]
fn a_wrong_argument_file_or_name_is_2() {
    let stage = Stage::new("http://127.0.0.1:9/api/v2");
    stage.run(&["synch"]).expect(2);
    stage.run(&["sync", "acmee"]).expect(2);
    stage.run(&["sync", "--stream", "invoice"]).expect(2);
    stage.run(&["query", "select * from invoice"]).expect(2);
    stage.run(&["-C", "nowhere", "status"]).expect(2);
    stage.edit("connector: chargebee", "connector: chargebe");
    stage.run(&["sync"]).expect(2);
}

#[test]
fn refused_credentials_are_3_and_missing_ones_2() {
    let site = Served::company(3);
    let stage = Stage::new(&site.chargebee());
    let error = stage.run(&["sync", "-o", "json"]).expect(3).error();
    assert_eq!(error["context"]["status"], "401");
    stage.run(&["check"]).expect(3);
    stage.write(".env", "");
    let error = stage.run(&["sync", "-o", "json"]).expect(2).error();
    assert_eq!(error["what"], "environment variable ACME_KEY is not set");
}

#[test]
fn one_stream_that_fails_is_4_and_the_others_are_there() {
    let site = Served::company(10);
    let stage = Stage::simulated(&site.chargebee());
    site.hook(|_, request| {
        request.url.ends_with("/credit_notes").then(|| reply(400, r#"{"message":"not for you"}"#))
    });
    let done = stage.run(&["sync", "-o", "json"]).expect(4);
    assert_eq!(done.json()["status"], "partial");
    assert!(done.error()["context"]["url"].as_str().unwrap().contains("/credit_notes?"));
    assert!(!tables::select(&stage, "select id from invoices").is_empty());

    site.hook(|_, _| None);
    stage.run(&["sync"]).expect(0);
}

#[test]
fn refused_records_are_6_under_strict_only() {
    let site = Served::new(company(40, &[Knob::WrongTypes(100)]));
    let stage = Stage::simulated(&site.chargebee());
    stage.edit("limits: { ", "limits: { reject_share: 1.0, ");
    let summary = stage.run(&["sync", "--strict", "-o", "json"]).expect(6).json();
    assert_eq!(summary["status"], "completed");
    assert_eq!(summary["next"][0], "tidegate quarantine list acme");
    let relaxed = Stage::simulated(&site.chargebee());
    relaxed.edit("limits: { ", "limits: { reject_share: 1.0, ");
    relaxed.run(&["sync"]).expect(0);
}

#[test]
fn a_used_up_request_budget_is_7_and_repeating_goes_on() {
    let site = Served::company(120);
    let stage = Stage::simulated(&site.chargebee());
    let mut codes = Vec::new();
    while codes.last() != Some(&0) {
        assert!(codes.len() < 20, "{codes:?}");
        let done = stage.run(&["sync", "--max-requests", "28"]);
        codes.push(done.code.unwrap());
        if codes.last() == Some(&7) {
            assert!(done.out.contains("next: tidegate sync acme"), "{}", done.out);
        }
    }
    codes.pop();
    assert!(!codes.is_empty() && codes.iter().all(|c| *c == 7), "{codes:?}");
    let undisturbed = Stage::simulated(&site.chargebee());
    undisturbed.run(&["sync"]).expect(0);
    assert_eq!(tables::all(&stage), tables::all(&undisturbed));
}

#[test]
fn help_and_the_readme_tell_every_code() {
    let stage = Stage::new("http://127.0.0.1:9");
    let help = stage.run(&["--help"]).expect(0).out;
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let section = readme.split("## Exit codes\n\n").nth(1).unwrap().split("\n\n").next().unwrap();
    // `0 done · 130, 143 stopped`
    let codes = |part: &str| -> Vec<u8> {
        let words = part.split_whitespace().map(|word| word.trim_end_matches(',').parse());
        words.map_while(Result::ok).collect()
    };
    let told: Vec<u8> = section.split('·').flat_map(codes).collect();
    assert_eq!(told, exit::TABLE.map(|(code, _)| code), "README.md");
    for (code, meaning) in exit::TABLE {
        assert!(help.contains(&format!("{code:>3}  {meaning}")), "{code} in --help");
    }
}

//! `sweep` and `backfill` as they are typed, and what `status` says of them.
use super::{
    site::{Served, reply},
    stage::Stage,
    verify::changing,
};
use tidegate::sim::world::model::Row;

#[test]
fn a_sweep_brings_in_what_a_sync_is_never_shown_and_verify_agrees_afterwards() {
    let (site, sim) = changing(30);
    let stage = Stage::simulated(&site.chargebee());
    let row = |nth| Row::Invoice(sim.lock().unwrap().world().invoices().at(nth).unwrap());
    let (late, gone) = (row(3), row(5));
    sim.lock().unwrap().hide(late, true);
    stage.run(&["sync"]).expect(0);
    sim.lock().unwrap().hide(late, false);
    sim.lock().unwrap().hide(gone, true);
    stage.run(&["verify", "acme", "--source", "--yes"]).expect(5);
    let done = stage.run(&["sweep", "acme", "-o", "json"]).expect(0);
    assert!(done.err.contains("invoices: done, "), "progress is shown: {}", done.err);
    let summary = done.json();
    assert_eq!((&summary["errand"], &summary["status"]), (&"sweep".into(), &"completed".into()));
    let sum = |what: &str| {
        summary["streams"].as_array().unwrap().iter().map(|s| s[what].as_u64().unwrap()).sum::<u64>()
    };
    // Within the list's lag a row that does not come may be missing from an older copy: it is not taken for deleted.
    assert_eq!((sum("changed"), sum("deleted")), (1, 0));
    let status = stage.run(&["status", "-o", "json"]).expect(0).json();
    let invoices =
        status[0]["streams"].as_array().unwrap().iter().find(|s| s["stream"] == "invoices").unwrap();
    assert!(invoices["measured"]["swept"].is_i64(), "{invoices}");
    assert_eq!(invoices["measured"]["no_cursor_share"], 0.0);
    assert_eq!(status[0]["runs"][0]["errand"], "sweep");
    let text = stage.run(&["status"]).expect(0).out;
    assert!(text.contains("swept") && text.contains("sweep completed"), "{text}");
}

#[test]
fn a_sweep_within_a_budget_is_7_until_it_is_through() {
    let site = Served::company(60);
    let stage = Stage::simulated(&site.chargebee());
    stage.run(&["sync"]).expect(0);
    let before = stage.run(&["state", "list", "-o", "json"]).expect(0).out;
    let first = stage.run(&["sweep", "acme", "--max-requests", "8"]).expect(7);
    assert!(first.out.contains("next: tidegate sweep acme --mode ids   goes on"), "{}", first.out);
    let status = stage.run(&["status"]).expect(0).out;
    assert!(status.contains("in the middle of a sweep"), "{status}");
    let mut codes = vec![7];
    while codes.last() != Some(&0) {
        assert!(codes.len() < 20, "{codes:?}");
        codes.push(stage.run(&["sweep", "acme", "--max-requests", "8"]).code.unwrap());
    }
    assert!(codes.iter().rev().skip(1).all(|c| *c == 7), "{codes:?}");
    assert_ne!(stage.run(&["state", "list", "-o", "json"]).expect(0).out, before, "what was swept is noted");
    stage.run(&["sync"]).expect(0);
}

#[test]
fn an_imported_state_begins_its_sweep_anew() {
    // What the first part of a sweep saw is not in the file, and rows it saw would be taken for deleted.
    let site = Served::company(60);
    let stage = Stage::simulated(&site.chargebee());
    stage.run(&["sync"]).expect(0);
    stage.run(&["sweep", "acme", "--max-requests", "8"]).expect(7);
    let living = "select (select count(*) from invoices where deleted_at is null) as invoices, \
                  (select count(*) from customers where deleted_at is null) as customers";
    let before = stage.run(&["query", living, "-o", "json"]).expect(0).out;
    let state = stage.run(&["state", "export", "acme"]).expect(0).out;
    assert!(state.contains("asides"), "a sweep is under way: {state}");
    stage.write("state.json", &state);
    stage.run(&["state", "import", "acme", "state.json", "--yes"]).expect(0);
    let status = stage.run(&["status"]).expect(0).out;
    assert!(!status.contains("in the middle of a sweep"), "{status}");
    let swept = || {
        let summary = stage.run(&["sweep", "acme", "-o", "json"]).expect(0).json();
        let streams = summary["streams"].as_array().unwrap();
        let sum = |what: &str| streams.iter().map(|s| s[what].as_u64().unwrap()).sum::<u64>();
        (sum("read"), sum("changed"), sum("deleted"))
    };
    let (read, changed, deleted) = swept();
    assert_eq!((changed, deleted), (0, 0));
    assert_eq!(
        swept(),
        (read, 0, 0),
        "the one after the import read as much as any other from its beginning"
    );
    assert_eq!(stage.run(&["query", living, "-o", "json"]).expect(0).out, before);
}

#[test]
fn a_sweep_in_which_one_stream_fails_is_4_and_the_next_one_reads_only_that_stream() {
    // Pain 19: one bad stream kills all, or failure is called success.
    let site = Served::company(20);
    let stage = Stage::simulated(&site.chargebee());
    stage.run(&["sync"]).expect(0);
    site.hook(|_, request| {
        request.url.ends_with("/credit_notes").then(|| reply(400, r#"{"message":"not for you"}"#))
    });
    let done = stage.run(&["sweep", "acme", "-o", "json"]).expect(4).json();
    assert_eq!(done["status"], "partial");
    site.hook(|_, _| None);
    let done = stage.run(&["sweep", "acme", "-o", "json"]).expect(0).json();
    let streams: Vec<&str> =
        done["streams"].as_array().unwrap().iter().map(|s| s["stream"].as_str().unwrap()).collect();
    assert_eq!(streams, ["credit_notes"]);
    assert!(site.asked().iter().all(|a| ["configurations", "credit_notes"].contains(&a.name.as_str())));
}

#[test]
fn a_backfill_tells_its_price_and_wants_a_yes() {
    let (site, sim) = changing(30);
    let stage = Stage::simulated(&site.chargebee());
    let rows: Vec<Row> = {
        let sim = sim.lock().unwrap();
        (0..3).map(|nth| Row::Invoice(sim.world().invoices().at(nth).unwrap())).collect()
    };
    rows.iter().for_each(|row| sim.lock().unwrap().hide(*row, true));
    stage.run(&["sync"]).expect(0);
    rows.iter().for_each(|row| sim.lock().unwrap().hide(*row, false));
    let id = sim.lock().unwrap().world().id(rows[0]).to_owned();

    let by_id = ["backfill", "acme", "--stream", "invoices", "--ids", &id, "-o", "json"];
    let unconfirmed = stage.run(&by_id).expect(2);
    assert!(unconfirmed.err.contains("about 2 requests"), "{}", unconfirmed.err);
    assert!(unconfirmed.err.contains("add --yes"), "{}", unconfirmed.err);
    let yes: Vec<&str> = by_id.iter().copied().chain(["--yes"]).collect();
    let summary = stage.run(&yes).expect(0).json();
    assert_eq!((&summary["errand"], &summary["streams"][0]["changed"]), (&"backfill".into(), &1.into()));
    let absent = ["backfill", "acme", "--stream", "invoices", "--ids", "INV-none", "--yes"];
    assert!(stage.run(&absent).expect(0).out.contains("the provider has no INV-none"));
    site.hook(|_, request| {
        let gone = r#"{"api_error_code":"site_not_found","message":"no such site"}"#;
        request.url.contains("/invoices/").then(|| reply(404, gone))
    });
    let refused = stage.run(&absent).expect(2);
    assert!(
        !refused.out.contains("the provider has no"),
        "a site that is gone is no absent record: {}",
        refused.out
    );
    site.hook(|_, _| None);

    let period = ["backfill", "acme", "--stream", "invoices", "--from", "2020-01-01", "--to", "2100-12-31"];
    let priced = stage.run(&period).expect(2);
    assert!(priced.err.contains("about "), "{}", priced.err);
    let yes: Vec<&str> = period.iter().copied().chain(["--yes", "-o", "json"]).collect();
    assert_eq!(stage.run(&yes).expect(0).json()["streams"][0]["changed"], 2);
    let verified = stage.run(&["verify", "acme", "--source", "--yes", "--stream", "invoices"]).expect(0);
    assert!(verified.out.contains("the same"), "{}", verified.out);
}

#[test]
fn wrong_uses_are_answered_with_what_to_type() {
    let site = Served::company(3);
    let stage = Stage::simulated(&site.chargebee());
    let early = stage.run(&["sweep", "acme", "-o", "json"]).expect(2).error();
    assert_eq!(early["what"], "the first load of this stream is not finished");
    stage.run(&["sync"]).expect(0);
    let told = |arguments: &[&str]| stage.run(arguments).expect(2).err;
    assert!(told(&["backfill", "acme", "--stream", "invoices"]).contains("--from"));
    assert!(told(&["backfill", "acme", "--ids", "x"]).contains("--stream"));
    let backwards =
        ["backfill", "acme", "--stream", "invoices", "--from", "2026-02-01", "--to", "2026-01-01"];
    assert!(told(&backwards).contains("--from 2026-01-01 --to 2026-02-01"));
    assert!(
        told(&["backfill", "acme", "--stream", "a", "--stream", "b", "--ids", "x"]).contains("one stream")
    );
    assert!(told(&["sweep", "acme", "--stream", "invoice"]).contains("invoices"));
    assert!(told(&["sweep", "acme", "--mode", "all"]).contains("full"));
    let billsby = Stage::new(&site.billsby());
    billsby.edit("connector: chargebee", "connector: billsby");
    billsby.edit("site: acme-test", "company: acme");
    let whole = billsby.run(&["sweep", "acme"]).expect(2).err;
    assert!(whole.contains("tidegate sync acme"), "{whole}");
}

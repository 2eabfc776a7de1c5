//! What an operator decides and is told: column policies, clocks, rights, the start of the first load.
use super::{
    site::{Fixed, Served, reply},
    stage::Stage,
    tables::select,
    verify::changing,
};
use serde_json::{Value, json};
use tidegate::{
    entity::pseudonym,
    id::TenantId,
    time::{Clock, SystemClock},
};

const EMAIL: &str = "ada@engines.example";

fn customer(id: &str) -> Value {
    let now = SystemClock.now().secs() - 3_600;
    json!({"id": id, "first_name": "Ada", "email": EMAIL, "created_at": now, "updated_at": now,
        "resource_version": 1, "deleted": false, "object": "customer"})
}

/// One customer that fits, one that does not.
fn site() -> Served {
    let mut broken = customer("c2");
    broken["auto_collection"] = json!([EMAIL]);
    Served::new(Fixed(vec![("customer", vec![customer("c1"), broken])]))
}

fn finding(stage: &Stage, what: &str) -> Value {
    let all = stage.run(&["check", "-o", "json"]).expect(0).json();
    let found = all.as_array().unwrap().iter().find(|f| f["what"] == what).cloned();
    found.unwrap_or_else(|| panic!("check says nothing of {what}: {all}"))
}

#[test]
fn a_hidden_value_is_in_no_table_quarantine_or_body() {
    let site = site();
    let stage = Stage::new(&site.chargebee());
    stage.edit("limits:", "raw: drop\ncolumns: { email: hash, first_name: drop }\nlimits:");
    stage.run(&["sync"]).expect(0);
    let email = pseudonym(&TenantId::parse("acme").unwrap(), EMAIL.as_bytes());
    assert_eq!(
        select(&stage, "select id, email, first_name from customers"),
        [json!({"id": "c1", "email": email, "first_name": null})]
    );
    let listed = stage.run(&["quarantine", "list", "acme", "-o", "json"]).expect(0).out;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let reject = &listed[0];
    assert_eq!((&reject["key"], &reject["rule"]), (&json!("c2"), &json!("wrong_type")));
    let next = "tidegate backfill acme --stream customers --ids c2";
    assert!(reject["message"].as_str().unwrap().ends_with(next), "{reject}");
    let shown = stage.run(&["quarantine", "show", "acme", reject["id"].as_str().unwrap()]).expect(0);
    assert!(!shown.out.contains(EMAIL) && shown.out.contains("body_not_kept"), "{}", shown.out);
    let again = stage.run(&["quarantine", "redrive", "acme", "-o", "json"]);
    assert!(again.out.contains("\"rejected\": 1") || again.out.contains("\"rejected\":1"), "{again:?}");
    assert!(stage.files().iter().all(|f| !f.to_str().unwrap().contains("/raw/")), "no body is stored");
}

#[test]
fn without_policies_the_quarantined_body_is_kept() {
    let site = site();
    let stage = Stage::new(&site.chargebee());
    stage.run(&["sync"]).expect(0);
    let listed = stage.run(&["quarantine", "list", "acme", "-o", "json"]).expect(0).json();
    let shown = stage.run(&["quarantine", "show", "acme", listed[0]["id"].as_str().unwrap()]).expect(0);
    assert!(shown.out.contains(EMAIL), "{}", shown.out);
}

#[test]
fn after_a_policy_changed_status_says_how_rows_are_made_anew_until_they_are() {
    let site = Served::company(12);
    let stage = Stage::simulated(&site.chargebee());
    let current = || stage.run(&["status", "-o", "json"]).expect(0).json()[0]["current"].clone();
    stage.run(&["sync"]).expect(0);
    assert_eq!(current(), true);
    stage.edit("limits:", "raw: drop\ncolumns: { email: drop }\nlimits:");
    assert_eq!(current(), false);
    let told = stage.run(&["status"]).expect(0).err;
    assert!(told.contains("tidegate state reset acme --all, then tidegate sync acme"), "{told}");
    let rebuild = stage.run(&["rebuild", "acme"]).expect(2);
    assert!(rebuild.err.contains("tidegate state reset acme --all"), "{}", rebuild.err);
    let columns = finding(&stage, "columns");
    assert_eq!(columns["ok"], true);
    assert!(columns["found"].as_str().unwrap().starts_with("drop customers.email"), "{columns}");
    assert!(columns["next"].as_str().unwrap().contains("history"), "{columns}");
    stage.run(&["sync"]).expect(0);
    let filled = "select count(*) as n from customers where email is not null";
    assert_ne!(select(&stage, filled), [json!({"n": 0})], "unchanged rows are as they were");
    assert_eq!(current(), false);
    stage.run(&["state", "reset", "acme", "--all", "--yes"]).expect(0);
    stage.run(&["sync"]).expect(0);
    assert_eq!(select(&stage, filled), [json!({"n": 0})]);
    assert_eq!(current(), true);
    let next = finding(&stage, "columns");
    assert!(next["next"].is_null(), "{next}");
}

#[test]
fn check_says_how_far_the_clocks_are_apart_and_which_rights_are_needed() {
    let site = Served::company(3);
    let stage = Stage::simulated(&site.chargebee());
    assert!(finding(&stage, "clock")["next"].is_null());
    let rights = finding(&stage, "rights");
    let found = rights["found"].as_str().unwrap();
    assert!(found.contains("read-only") && found.contains("cannot be seen"), "{rights}");
    for (secs, words) in [(-600_i64, "ahead"), (600, "behind")] {
        site.hook(move |_, request| {
            let date = SystemClock.now().utc().unwrap() + chrono::TimeDelta::seconds(secs);
            let probe = request.url.ends_with("/configurations");
            let facts = json!({ "configurations": [{ "product_catalog_version": "v2" }] });
            probe.then(|| {
                let mut answer = reply(200, facts.to_string());
                answer.headers.insert("date".into(), date.to_rfc2822().replace("+0000", "GMT"));
                answer
            })
        });
        let clock = finding(&stage, "clock");
        assert_eq!(clock["ok"], true);
        let found = clock["found"].as_str().unwrap();
        assert!(found.contains(words) && (found.contains("10 min") || found.contains("9 min")), "{clock}");
        assert!(clock["next"].as_str().unwrap().contains("NTP"), "{clock}");
    }
}

/// The day 120 days ago, as written in a pipeline file.
fn start() -> String {
    let day = SystemClock.now().utc().unwrap() - chrono::TimeDelta::days(120);
    day.format("%Y-%m-%d").to_string()
}

#[test]
fn a_first_load_begins_at_the_start_and_nothing_before_it_is_found_missing() {
    let (site, sim) = changing(30);
    let stage = Stage::simulated(&site.chargebee());
    stage.run(&["sync"]).expect(0);
    let count = |sql: &str| select(&stage, sql)[0]["n"].as_u64().unwrap();
    let (old, new) = (
        format!("select count(*) as n from invoices where issue_date < date '{}'", start()),
        format!("select count(*) as n from invoices where issue_date > date '{}'", start()),
    );
    let (all_old, all_new) = (count(&old), count(&new));
    let unbilled = count("select count(*) as n from unbilled_charges");
    assert!(all_old > 10 && all_new > 10, "{all_old} {all_new}");

    std::fs::remove_dir_all(stage.path("lake")).unwrap();
    stage.edit("destination:", &format!("  start: {}\ndestination:", start()));
    let plan = stage.run(&["plan", "-o", "json"]).expect(0).json();
    let what = |stream: &str| {
        let streams = plan[0]["streams"].as_array().unwrap().clone();
        streams.iter().find(|s| s["stream"] == stream).unwrap()["what"].as_str().unwrap().to_owned()
    };
    assert!(what("invoices").starts_with("first load from 20"), "{}", what("invoices"));
    assert_eq!(what("unbilled_charges"), "scan of everything, `start` cannot cut it");
    stage.run(&["sync"]).expect(0);
    assert_eq!((count(&old), count(&new)), (0, all_new));
    assert_eq!(count("select count(*) as n from unbilled_charges"), unbilled, "read whole");

    // An older invoice that is read all the same is neither deleted nor too much.
    stage.run(&["backfill", "acme", "--stream", "invoices", "--ids", &first(&sim), "--yes"]).expect(0);
    assert_eq!(count(&old), 1);
    stage.run(&["sweep", "acme", "--stream", "invoices"]).expect(0);
    assert_eq!(
        count(&format!("{old} and deleted_at is null")),
        1,
        "what a sweep does not ask for is not gone"
    );
    let verified = stage.run(&["verify", "acme", "--source", "--yes", "-o", "json"]).expect(0).json();
    assert_eq!(verified[0]["equal"].as_bool().or(verified["equal"].as_bool()), Some(true));
    let proven = stage.run(&["prove", "-o", "json"]).expect(0).json();
    assert_eq!(proven[0]["not_judged"], json!(["S3", "C1", "C4"]));
    stage.edit(&format!("  start: {}\n", start()), "");
    stage.run(&["prove"]).expect(5);
}

fn first(sim: &std::sync::Mutex<tidegate::sim::Sim>) -> String {
    use tidegate::sim::world::model::Row;
    let sim = sim.lock().unwrap();
    sim.world().id(Row::Invoice(sim.world().invoices().at(0).unwrap())).to_owned()
}

//! Overlays from the command line: checked before any request, named by plan, due for a rebuild, not compared.
use super::{site::Served, stage::Stage, tables::select};
use serde_json::json;

const FILE: &str = "pipelines/overlays/acme_invoices.sql";

fn overlaid(site: &Served, sql: &str) -> Stage {
    let stage = Stage::simulated(&site.chargebee());
    stage.edit("limits:", "overlays: { invoices: overlays/acme_invoices.sql }\nlimits:");
    stage.write(FILE, sql);
    stage
}

#[test]
fn an_overlay_is_checked_planned_synced_and_rebuilt_when_its_file_changes() {
    let site = Served::company(12);
    let stage = overlaid(&site, "select * replace (upper(status_raw) as status_raw) from mapped\n");
    let check = stage.run(&["check", "-o", "json"]).expect(0).json();
    let finding = check.as_array().unwrap().iter().find(|f| f["what"] == "overlay of invoices").unwrap();
    assert!(finding["found"].as_str().unwrap().starts_with(FILE), "{finding}");
    let plan = stage.run(&["plan", "-o", "json"]).expect(0).json();
    assert_eq!(plan[0]["overlays"], json!([{ "table": "invoices", "file": FILE }]));
    let plan = stage.run(&["plan"]).expect(0).out;
    assert!(plan.contains(&format!("invoices has columns of its own: {FILE}")), "{plan}");

    stage.run(&["sync"]).expect(0);
    let count = |filter: &str| {
        let sql = format!("select count(*) as n from invoices where {filter}");
        select(&stage, &sql)[0]["n"].as_u64().unwrap()
    };
    let (all, upper) = (count("true"), count("status_raw = upper(status_raw)"));
    assert!(all > 10 && all == upper, "{all} {upper}");
    let current = || stage.run(&["status", "-o", "json"]).expect(0).json()[0]["current"].clone();
    assert_eq!(current(), true);

    stage.write(FILE, "select * replace (lower(status_raw) as status_raw) from mapped\n");
    assert_eq!(current(), false);
    let told = stage.run(&["status"]).expect(0).err;
    assert!(told.contains("tidegate rebuild acme"), "{told}");
    let diff = stage.run(&["rebuild", "acme", "--diff", "-o", "json"]).expect(0).json();
    let diffs = diff.as_array().unwrap().iter().flat_map(|s| s["diffs"].as_array().unwrap().clone());
    for diff in diffs {
        let changed = if diff["entity"] == "invoices" { all } else { 0 };
        assert_eq!(diff["changed"], changed, "{diff}");
    }
    assert_eq!(count("status_raw = upper(status_raw)"), all, "--diff changes nothing");
    stage.run(&["rebuild", "acme"]).expect(0);
    assert_eq!(count("status_raw = lower(status_raw)"), all);
    assert_eq!(current(), true);
}

#[test]
fn a_wrong_overlay_stops_check_and_sync_before_any_request() {
    let site = Served::company(3);
    site.hook(|_, _| None);
    let stage = overlaid(&site, "select *\n  replace (upper(status) as statuss)\nfrom mapped\n");
    for verb in ["check", "sync", "plan"] {
        let done = stage.run(&[verb]).expect(2);
        let told = done.out + &done.err;
        assert!(
            told.contains(&format!("{FILE}:2")) && told.contains("did you mean `status`"),
            "{verb}: {told}"
        );
    }
    std::fs::remove_file(stage.path(FILE)).unwrap();
    let told = stage.run(&["sync"]).expect(2).err;
    assert!(told.contains(FILE) && told.contains("pipelines/acme.yaml:"), "{told}");
    assert_eq!(site.asked(), []);
}

#[test]
fn pipelines_with_different_overlays_are_not_compared() {
    let site = Served::company(3);
    let stage = Stage::simulated(&site.chargebee());
    let twin = stage.read("pipelines/acme.yaml").replace("pipeline: acme", "pipeline: twin");
    stage.write("pipelines/twin.yaml", &twin.replace("./lake", "./other"));
    stage.run(&["sync"]).expect(0);
    stage.edit("limits:", "overlays: { invoices: overlays/acme_invoices.sql }\nlimits:");
    stage.write(FILE, "select * replace (upper(status_raw) as status_raw) from mapped");
    let told = stage.run(&["verify", "acme", "--against", "twin"]).expect(2).err;
    assert!(told.contains("`invoices`") && told.contains(FILE) && told.contains("none"), "{told}");
    stage.edit("overlays: { invoices: overlays/acme_invoices.sql }\n", "");
    stage.run(&["verify", "acme", "--against", "twin"]).expect(0);
}

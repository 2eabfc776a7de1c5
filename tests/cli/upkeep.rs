//! `compact` as it is typed, and what `status` and `check` say of housekeeping.
use super::{
    stage::Stage,
    tables,
    verify::{changing, edit},
};
use serde_json::{Value, json};
use tidegate::sim::world::model::Row;

fn status(stage: &Stage) -> Value {
    stage.run(&["status", "-o", "json"]).expect(0).json()[0].clone()
}

#[test]
fn a_compaction_says_what_it_did_and_changes_no_answer() {
    let (site, sim) = changing(30);
    let stage = Stage::simulated(&site.chargebee());
    let new = stage.run(&["compact"]).expect(0);
    assert!(new.err.contains("nothing was synced yet: tidegate sync acme"), "{}", new.err);
    assert!(!stage.path("lake").exists(), "nothing is made");
    stage.run(&["sync"]).expect(0);
    for nth in 0..3 {
        edit(&sim, nth);
        let id = {
            let sim = sim.lock().unwrap();
            sim.world().id(Row::Invoice(sim.world().invoices().at(nth).unwrap())).to_owned()
        };
        stage.run(&["backfill", "acme", "--stream", "invoices", "--ids", &id, "--yes"]).expect(0);
    }
    let before = tables::all(&stage);
    let waiting = status(&stage);
    assert!(waiting["spare_files"].as_u64().unwrap() >= 6, "{waiting}");
    assert!(waiting["compaction"].is_null(), "so few are no matter");
    let done = stage.run(&["compact", "acme", "-o", "json"]).expect(0).json();
    let layer = |name: &str| {
        let layers = done[0]["layers"].as_array().unwrap().clone();
        layers.into_iter().find(|l| l["layer"] == name).unwrap()
    };
    for name in ["history", "raw"] {
        let files = |key: &str| layer(name)[key].as_u64().unwrap();
        assert!(files("files_before") >= files("files_after") + 3, "{done}");
        assert!(files("bytes_before") > files("bytes_after"), "{done}");
    }
    assert_eq!(tables::all(&stage), before);
    assert_eq!(status(&stage)["spare_files"], 0);
    let counted = "select count(*) as n from history_invoices where commit_no > 1";
    assert_eq!(tables::select(&stage, counted)[0]["n"], before["history_invoices"].len());
    stage.run(&["verify", "acme"]).expect(0);
    for stream in stage.run(&["rebuild", "acme", "--diff", "-o", "json"]).expect(0).json().as_array().unwrap()
    {
        for diff in stream["diffs"].as_array().unwrap() {
            assert_eq!(
                (&diff["added"], &diff["removed"], &diff["changed"]),
                (&json!(0), &json!(0), &json!(0))
            );
        }
    }
    let again = stage.run(&["compact"]).expect(0);
    assert!(again.out.contains("history") && again.out.contains("files before"), "{}", again.out);
    stage.run(&["sync"]).expect(0);
    assert!(stage.run(&["compact", "acmee"]).expect(2).err.contains("did you mean `acme`?"));
}

#[test]
fn check_says_how_long_bodies_are_kept_and_a_rebuild_is_still_possible() {
    let (site, _sim) = changing(5);
    let stage = Stage::simulated(&site.chargebee());
    stage.edit("limits:", "raw: { keep: 90d }\nlimits:");
    stage.run(&["sync"]).expect(0);
    let found = stage.run(&["check", "-o", "json"]).expect(0).json();
    let found = found.as_array().unwrap().iter().find(|f| f["what"] == "raw").unwrap().clone();
    assert!(found["found"].as_str().unwrap().contains("90 days"), "{found}");
    assert_eq!(found["ok"], true);
    stage.run(&["rebuild", "acme", "--stream", "customers"]).expect(0);
    let streams = status(&stage)["streams"].clone();
    assert!(streams.as_array().unwrap().iter().all(|s| s["bodies_from"].is_null()), "none is old");
    stage.edit("keep: 90d", "keep: 90");
    let wrong = stage.run(&["sync"]).expect(2).err;
    assert!(wrong.contains("pipelines/acme.yaml:11") && wrong.contains("raw: { keep: 90d }"), "{wrong}");
}

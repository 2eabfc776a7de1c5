//! What operators do to how far streams are read: checked before, kept in the journal, taken back.
use super::{site::Served, stage::Stage, tables::select};
use serde_json::{Value, json};

fn synced(site: &Served) -> Stage {
    let stage = Stage::simulated(&site.chargebee());
    stage.run(&["sync"]).expect(0);
    stage
}

fn exported(stage: &Stage) -> Value {
    stage.run(&["state", "export", "acme"]).expect(0).json()
}

fn journal(stage: &Stage) -> Value {
    stage.run(&["state", "journal", "acme", "-o", "json"]).expect(0).json()
}

/// Days before the stored watermark of invoices, as `--watermark` takes it.
fn before(state: &Value, days: i64) -> String {
    let micros = state["checkpoints"]["invoices"]["phase"]["watermark"].as_i64().unwrap();
    tidegate::time::Timestamp(micros - days * 86_400_000_000).to_string()
}

#[test]
fn every_change_is_in_the_journal_and_can_be_taken_back_and_brought_back() {
    let site = Served::company(8);
    let stage = synced(&site);
    let told = stage.run(&["state", "journal", "acme"]).expect(0).err;
    assert!(told.contains("no operator has changed"), "{told}");
    let told = stage.run(&["state", "undo", "acme", "--yes"]).expect(2).err;
    assert!(told.contains("no operator has changed"), "{told}");

    let first = exported(&stage);
    let told = stage.run(&["state", "reset", "acme", "invoices", "--yes"]).expect(0).err;
    assert!(told.contains("tidegate state undo acme --entry 1"), "{told}");
    assert!(exported(&stage)["checkpoints"].get("invoices").is_none());
    let told = stage.run(&["state", "undo", "acme"]).expect(2).err;
    assert!(told.contains("--yes"), "{told}");
    stage.run(&["state", "undo", "acme", "--yes"]).expect(0);
    assert_eq!(exported(&stage), first, "byte for byte what it was");
    stage.run(&["state", "undo", "acme", "--yes"]).expect(0);
    assert!(exported(&stage)["checkpoints"].get("invoices").is_none(), "undoing the undo brings it back");
    stage.run(&["state", "undo", "acme", "--entry", "1", "--yes"]).expect(0);
    assert_eq!(exported(&stage), first);

    let all = journal(&stage);
    let verbs: Vec<_> =
        all.as_array().unwrap().iter().map(|e| (&e["entry"], &e["verb"], &e["undoes"])).collect();
    assert_eq!(
        verbs,
        [
            (&json!(4), &json!("undo"), &json!(1)),
            (&json!(3), &json!("undo"), &json!(2)),
            (&json!(2), &json!("undo"), &json!(1)),
            (&json!(1), &json!("reset"), &Value::Null)
        ]
    );
    assert_eq!(all[3]["streams"]["invoices"]["before"], first["checkpoints"]["invoices"]);
    assert_eq!(all[3]["streams"]["invoices"]["after"], Value::Null);
    let shown = stage.run(&["state", "journal", "acme"]).expect(0).out;
    assert!(
        shown.contains("undo of 2")
            && shown.contains("never synced")
            && shown.contains("up to date, through"),
        "{shown}"
    );
    let told = stage.run(&["state", "undo", "acme", "--entry", "9", "--yes"]).expect(2).err;
    assert!(told.contains("no entry 9") && told.contains("1 to 4"), "{told}");
}

#[test]
fn a_stream_that_has_moved_on_is_put_back_only_by_force_and_is_told_what_happens() {
    let site = Served::company(8);
    let stage = synced(&site);
    let first = exported(&stage);
    let rows = "select count(*) as n, count(distinct id) as d from invoices";
    let (held, before) = (select(&stage, rows), before(&first, 30));
    stage.run(&["state", "set", "acme", "--stream", "invoices", "--watermark", &before, "--yes"]).expect(0);
    stage.run(&["sync"]).expect(0);
    let moved = exported(&stage);
    let told = stage.run(&["state", "undo", "acme", "--yes"]).expect(2).err;
    for part in ["moved on since entry 1", "invoices", "--entry 1 --force", "through"] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(exported(&stage), moved, "nothing was changed");
    stage.run(&["state", "undo", "acme", "--force", "--yes"]).expect(0);
    assert_eq!(exported(&stage)["checkpoints"]["invoices"], first["checkpoints"]["invoices"]);
    stage.run(&["sync"]).expect(0);
    assert_eq!(select(&stage, rows), held, "no row is lost or doubled");
    assert_eq!(journal(&stage)[0]["undoes"], 1);
}

#[test]
fn a_watermark_goes_back_freely_and_forward_only_where_skipping_is_meant() {
    let site = Served::company(8);
    let stage = synced(&site);
    let first = exported(&stage);
    let set = |to: &str, more: &[&str]| {
        let arguments = ["state", "set", "acme", "--stream", "invoices", "--watermark", to, "--yes"];
        stage.run(&[&arguments[..], more].concat())
    };
    let back = before(&first, 40);
    let done = set(&back, &["-o", "json"]).expect(0).json();
    assert_eq!((&done["to"], &done["skipped"], &done["entry"]), (&json!(back), &json!(false), &json!(1)));
    let phase = exported(&stage)["checkpoints"]["invoices"]["phase"].clone();
    assert_eq!(phase["open"], Value::Null);
    site.hook(|_, _| None);
    stage.run(&["sync", "acme", "--stream", "invoices"]).expect(0);
    let asked = site.asked();
    let window = asked.iter().find_map(|a| a.query.iter().find(|(n, _)| n == "updated_at[between]"));
    let from: i64 = window.unwrap().1.trim_matches(['[', ']']).split(',').next().unwrap().parse().unwrap();
    let back_secs = phase["watermark"].as_i64().unwrap() / 1_000_000;
    assert!(from <= back_secs && from > back_secs - 86_400, "{from} {back_secs}");

    let there = exported(&stage);
    let ahead = before(&there, 0);
    set(&before(&there, 1), &[]).expect(0);
    let told = set(&ahead, &[]).expect(2).err;
    assert!(told.contains("never be read") && told.contains("--skip"), "{told}");
    let done = set(&ahead, &["--skip", "-o", "json"]).expect(0).json();
    assert_eq!(done["skipped"], true);
    for (to, expected) in [
        ("2999-01-01", "in the future"),
        (ahead.as_str(), "stands there already"),
        ("yesterday", "`yesterday` is not a time"),
        ("1969-12-01", "before 1970"),
    ] {
        let told = set(to, &["--skip"]).expect(2).err;
        assert!(told.contains(expected), "{told}");
    }
    let wrong = |stream: &str| {
        let done =
            stage.run(&["state", "set", "acme", "--stream", stream, "--watermark", "2020-01-01", "--yes"]);
        done.expect(2).err
    };
    assert!(wrong("invoicse").contains("did you mean `invoices`"), "{}", wrong("invoicse"));
    assert!(wrong("unbilled_charges").contains("reads it whole"), "{}", wrong("unbilled_charges"));
    assert_eq!(journal(&stage).as_array().unwrap().len(), 3, "what was refused is no change");
}

#[test]
fn an_imported_state_is_checked_key_by_key_before_anything_is_changed() {
    let site = Served::company(4);
    let stage = synced(&site);
    let first = exported(&stage);
    let import = |state: &str| {
        stage.write("state.json", state);
        stage.run(&["state", "import", "acme", "state.json", "--yes"])
    };
    let edited = |edit: &dyn Fn(&mut Value)| {
        let mut state = first.clone();
        edit(&mut state["checkpoints"]);
        state.to_string()
    };
    let future = 99_999_999_999_999_999_i64;
    let cases: [(String, &str, &str); 12] = [
        (
            edited(&|c| c["invoices"]["phase"]["watermark"] = json!(future)),
            "checkpoints.invoices.phase.watermark",
            "in the future",
        ),
        (
            edited(&|c| c["invoices"]["phase"] = json!({"kind": "snapshot", "complete": 5})),
            "checkpoints.invoices.phase.kind",
            "does not fit",
        ),
        (
            edited(&|c| {
                c["unbilled_charges"]["phase"] = json!({"kind": "windows", "watermark": 5, "open": null})
            }),
            "checkpoints.unbilled_charges.phase.kind",
            "does not fit",
        ),
        (
            edited(&|c| c["invoices"]["phase"]["watermrk"] = json!(5)),
            "checkpoints.invoices.phase.watermrk",
            "not known",
        ),
        (edited(&|c| c["invoices"]["note"] = json!("x")), "checkpoints.invoices.note", "not known"),
        (
            edited(&|c| c["invoices"]["phase"]["kind"] = json!("windowz")),
            "checkpoints.invoices.phase",
            "windowz",
        ),
        (edited(&|c| c["invoices"]["format"] = json!(7)), "checkpoints.invoices.format", "newer tidegate"),
        (
            edited(&|c| c["invoicse"] = c["invoices"].clone()),
            "checkpoints.invoicse",
            "did you mean `invoices`",
        ),
        (edited(&|c| *c = json!({})), "checkpoints", "no checkpoint"),
        (first.to_string().replacen("\"format\":1", "\"format\":1,\"format\":1", 1), ".format", "twice"),
        ("{".to_owned(), "state.json", "not an exported state"),
        ("[]".to_owned(), "state.json", "not an exported state"),
    ];
    for (state, key, expected) in cases {
        let told = import(&state).expect(2).err;
        assert!(told.contains(key) && told.contains(expected), "`{key}`, `{expected}`: {told}");
    }
    assert_eq!(exported(&stage), first);
    assert_eq!(journal(&stage), json!([]));

    let other = edited(&|c| {
        c["invoices"]["connector_hash"] = json!("another");
        c.as_object_mut().unwrap().remove("customers");
    });
    stage.write("state.json", &other);
    let done = stage.run(&["state", "import", "acme", "state.json", "--yes", "-o", "json"]).expect(0).json();
    assert_eq!(done["kept"], json!(["customers"]));
    let notes = done["notes"].to_string();
    assert!(
        notes.contains("checkpoints.invoices.connector_hash") && done["notes"].as_array().unwrap().len() == 1,
        "{notes}"
    );
    stage.run(&["state", "undo", "acme", "--yes"]).expect(0);
    assert_eq!(exported(&stage), first);
}

#[test]
fn after_a_reset_of_everything_is_undone_status_says_again_that_rows_are_old() {
    let site = Served::company(4);
    let stage = synced(&site);
    let current = || stage.run(&["status", "-o", "json"]).expect(0).json()[0]["current"].clone();
    stage.edit("limits:", "overlays: { invoices: o.sql }\nlimits:");
    stage.write("pipelines/o.sql", "select * replace (upper(status_raw) as status_raw) from mapped");
    assert_eq!(current(), false);
    stage.run(&["state", "reset", "acme", "--all", "--yes"]).expect(0);
    assert_eq!(current(), true, "the next sync makes all rows anew");
    stage.run(&["state", "undo", "acme", "--yes"]).expect(0);
    assert_eq!(current(), false);
    stage.run(&["sync"]).expect(0);
    assert_eq!(current(), false, "unchanged rows are as they were");
    stage.run(&["rebuild", "acme"]).expect(0);
    assert_eq!(current(), true);
}

#[test]
fn an_undone_reset_revives_no_sweep_for_what_it_saw_may_be_gone() {
    let site = Served::company(60);
    let stage = synced(&site);
    stage.run(&["sweep", "acme", "--stream", "invoices", "--max-requests", "2"]).expect(7);
    let asides = |state: &Value| state["checkpoints"]["invoices"]["asides"].as_array().map_or(0, Vec::len);
    assert_eq!(asides(&exported(&stage)), 1);
    stage.run(&["state", "reset", "acme", "invoices", "--yes"]).expect(0);
    stage.run(&["sync"]).expect(0);
    stage.run(&["state", "reset", "acme", "invoices", "--yes"]).expect(0);
    stage.run(&["state", "undo", "acme", "--entry", "1", "--yes"]).expect(0);
    let back = exported(&stage);
    assert!(back["checkpoints"]["invoices"].is_object() && asides(&back) == 0, "{back}");
}

//! What each command writes: data on stdout, the rest on stderr, JSON under `-o json`, nothing coloured in a pipe.
use super::{
    site::{Served, company},
    stage::Stage,
};
use std::{collections::BTreeSet, fs};
use tidegate::sim::chaos::Knob;

fn synced() -> (Stage, Served) {
    let site = Served::new(company(40, &[Knob::WrongTypes(60)]));
    let stage = Stage::simulated(&site.chargebee());
    stage.edit("limits: { ", "limits: { reject_share: 1.0, ");
    stage.edit("limits:", "schedule: { cron: \"0 2 * * *\" }\nlimits:");
    stage.run(&["sync"]).expect(0);
    (stage, site)
}

/// A company without a fault.
fn clean() -> (Stage, Served) {
    let site = Served::company(10);
    let stage = Stage::simulated(&site.chargebee());
    stage.run(&["sync"]).expect(0);
    (stage, site)
}

#[test]
fn every_command_writes_one_json_document_under_o_json() {
    let (stage, _site) = synced();
    let listed = stage.run(&["quarantine", "list", "-o", "json"]).expect(0).json();
    let id = listed[0]["id"].as_str().unwrap().to_owned();
    fs::write(stage.path("state.json"), stage.run(&["state", "export", "acme"]).expect(0).out).unwrap();
    let commands: &[&[&str]] = &[
        &["check"],
        &["plan"],
        &["status"],
        &["query", "select id from invoices limit 2"],
        &["query", "select id from invoices where id = 'none'"],
        &["export", "acme", "--out", "frozen", "--entity", "invoices"],
        &["schema"],
        &["schema", "invoices"],
        &["quarantine", "list"],
        &["quarantine", "show", "acme", &id],
        &["quarantine", "redrive", "acme", &id],
        &["compact"],
        &["rebuild", "acme", "--diff"],
        &["rebuild", "acme", "--stream", "customers"],
        &["state", "list"],
        &["state", "show", "acme", "invoices"],
        &["state", "export", "acme", "--out", "again.json"],
        &["state", "import", "acme", "state.json", "--yes"],
        &["state", "reset", "acme", "customers", "--yes"],
        &["connectors", "list"],
        &["connectors", "show", "chargebee"],
        &["connectors", "lint"],
        &[
            "init",
            "--connector",
            "billsby",
            "--name",
            "other",
            "--set",
            "company=acme",
            "--destination",
            "lake:./o",
        ],
    ];
    let (clean, _other) = clean();
    let invoice = clean.run(&["query", "select id from invoices limit 1", "-o", "json"]).expect(0).json();
    let invoice = invoice[0]["id"].as_str().unwrap().to_owned();
    let of_clean: &[&[&str]] = &[
        &["sync"],
        &["sweep", "acme", "--stream", "invoices"],
        &["backfill", "acme", "--stream", "invoices", "--ids", &invoice, "--yes"],
        &["verify", "acme"],
        &["prove"],
        &["report", "mrr"],
        &["report", "movements"],
        &["report", "aging"],
        &["report", "cash"],
        &["report", "reconcile"],
    ];
    let mut verbs = BTreeSet::new();
    let all = commands.iter().map(|c| (&stage, c)).chain(of_clean.iter().map(|c| (&clean, c)));
    for (stage, command) in all {
        let with: Vec<&str> = command.iter().copied().chain(["-o", "json", "--no-progress"]).collect();
        let done = stage.run(&with).expect(0);
        assert!(done.json().is_object() || done.json().is_array(), "{command:?}: {}", done.out);
        let price = command[0] == "backfill" && done.err.starts_with("about 2 requests");
        assert!(done.err.is_empty() || price, "{command:?}: {}", done.err);
        verbs.insert(command[0].to_owned());
    }
    // `demo` and `simulate` have tests of their own, `completions` writes a script, and `run`, which writes the summary
    // of `sync` on one line, waits for its minute.
    verbs.extend(["demo", "simulate", "completions", "run"].map(str::to_owned));
    let known = tidegate::cli::args::command();
    let known: BTreeSet<String> = known.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    assert_eq!(verbs, known);
}

#[test]
fn text_in_a_pipe_has_no_styles_and_errors_are_never_on_stdout() {
    let (stage, _site) = synced();
    for command in [&["status"][..], &["check"], &["plan"], &["query", "select * from invoiced_by_month"]] {
        let done = stage.run(command).expect(0);
        assert!(!done.out.is_empty() && !done.out.contains('\u{1b}') && !done.err.contains('\u{1b}'));
    }
    for command in
        [&["query", "select * from invoice"][..], &["status", "acmee"], &["state", "show", "acme", "x"]]
    {
        let done = stage.run(command).expect(2);
        assert_eq!(done.out, "", "{command:?}");
        assert!(done.err.starts_with("error: ") && done.err.contains("next: "), "{command:?}: {}", done.err);
    }
}

#[test]
fn rows_are_the_same_in_every_format_and_file() {
    let (stage, _site) = synced();
    let sql = "select id, total from invoices order by id";
    let json = stage.run(&["query", sql, "-o", "json"]).expect(0).json();
    let csv = stage.run(&["query", sql, "--format", "csv"]).expect(0).out;
    stage.run(&["query", sql, "--out", "rows.csv"]).expect(0);
    stage.run(&["query", sql, "--out", "rows.parquet"]).expect(0);
    assert_eq!(stage.read("rows.csv"), csv);
    let rows = json.as_array().unwrap();
    assert!(rows.len() > 30);
    let line =
        |r: &serde_json::Value| format!("{},{}", r["id"].as_str().unwrap(), r["total"].as_str().unwrap());
    assert_eq!(csv.lines().skip(1).collect::<Vec<_>>(), rows.iter().map(line).collect::<Vec<_>>());
    stage.run(&["export", "acme", "--format", "json", "--out", "frozen"]).expect(0);
    let frozen: serde_json::Value = serde_json::from_str(&stage.read("frozen/invoices.json")).unwrap();
    assert_eq!(
        frozen.as_array().unwrap().iter().map(line).collect::<Vec<_>>(),
        rows.iter().map(line).collect::<Vec<_>>()
    );
    let refused = stage.run(&["query", sql, "--format", "parquet"]).expect(2);
    assert!(refused.err.contains("--out"));
}

#[test]
fn quarantined_records_that_still_do_not_fit_stay_in_quarantine() {
    let (stage, _site) = synced();
    let count = |stage: &Stage| {
        stage.run(&["quarantine", "list", "-o", "json"]).expect(0).json().as_array().unwrap().len()
    };
    let before = count(&stage);
    assert!(before > 0);
    let shown = stage.run(&["quarantine", "list"]).expect(0);
    assert!(shown.err.contains("tidegate quarantine show acme "), "{}", shown.err);
    let redriven = stage.run(&["quarantine", "redrive", "acme"]).expect(0);
    assert!(redriven.out.contains("still refused"), "{}", redriven.out);
    assert_eq!(count(&stage), before);
}

#[test]
fn quarantined_records_are_accepted_once_the_connector_reads_them() {
    let site = Served::company(20);
    let stage = Stage::simulated(&site.chargebee());
    stage.edit("limits: { ", "limits: { reject_share: 1.0, ");
    let built_in = concat!(env!("CARGO_MANIFEST_DIR"), "/connectors/chargebee");
    for entry in fs::read_dir(built_in).unwrap().map(Result::unwrap) {
        let text = fs::read_to_string(entry.path()).unwrap();
        let mistaken = text.replacen("      id: text\n", "      id: text\n      object: int\n", 1);
        stage.write(&format!("connectors/chargebee/{}", entry.file_name().to_string_lossy()), &mistaken);
    }
    stage.run(&["sync", "acme", "--stream", "customers"]).expect(0);
    let refused = stage.run(&["quarantine", "list", "-o", "json"]).expect(0).json();
    let refused = refused.as_array().unwrap().len();
    assert!(refused >= 20, "{refused} records were refused");
    fs::remove_dir_all(stage.path("connectors")).unwrap();
    let redriven = stage.run(&["quarantine", "redrive", "acme", "-o", "json"]).expect(0).json();
    assert_eq!(redriven[0]["accepted"], refused, "{redriven}");
    let left = stage.run(&["quarantine", "list", "-o", "json"]).expect(0).json();
    assert_eq!(left.as_array().unwrap().len(), 0, "{left}");
    let rows = stage.run(&["query", "select count(*) as n from customers", "-o", "json"]).expect(0).json();
    assert_eq!(rows[0]["n"].as_u64(), Some(refused as u64), "{rows}");
}

#[test]
fn commands_to_type_next_name_the_project_folder() {
    let site = Served::company(3);
    let stage = Stage::simulated(&site.chargebee());
    let folder = stage.path("").display().to_string();
    let said = stage.run(&["-C", &folder, "sync", "acme"]).expect(0);
    assert!(said.out.contains(&format!("next: tidegate -C {folder} status acme")), "{}", said.out);
    let said = stage.run(&["-C", &folder, "sync", "acne"]).expect(2);
    assert!(!said.err.contains("tidegate sync"), "{}", said.err);
}

#[test]
fn billsby_is_synced_as_well() {
    let site = Served::company(20);
    let stage = Stage::simulated(&site.billsby());
    stage.write(".env", &format!("ACME_KEY={}\n", tidegate::sim::billsby::API_KEY));
    stage.edit("connector: chargebee", "connector: billsby");
    stage.edit("site: acme-test", "company: acme");
    let summary = stage.run(&["sync", "-o", "json"]).expect(0).json();
    assert_eq!(summary["streams"][0]["changed"], 20);
    let again = stage.run(&["sync", "-o", "json"]).expect(0).json();
    assert_eq!((&again["streams"][0]["changed"], &again["streams"][0]["unchanged"]), (&0.into(), &20.into()));
}

#[test]
fn run_syncs_on_schedule_until_it_is_told_to_stop() {
    let site = Served::company(3);
    let stage = Stage::simulated(&site.chargebee());
    let none = stage.run(&["run"]).expect(2);
    assert!(none.err.contains("schedule: { cron"), "{}", none.err);
    stage.edit("limits:", "schedule: { cron: \"0 2 * * *\" }\nlimits:");
    let mut run = stage.start(&["run", "--log-format", "json"]);
    let lines = run.said("\"pipeline\":\"acme\"");
    run.signal("TERM");
    drop(lines);
    run.wait().expect(143);
}

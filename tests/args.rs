//! The command line: help of every command, what is understood, and what a wrong word is told.
use clap::Command as Clap;
use std::time::Duration;
use tidegate::{
    app::init::Target,
    cli::{
        args::{Command, Connectors, Format, Output, Quarantine, Rows, State, command, parse},
        exit::{Exit, TABLE},
    },
    error::Kind,
};

fn typed(line: &str) -> Command {
    parse(line.split_whitespace()).unwrap_or_else(|e| panic!("{e}")).command
}

/// What is printed to someone who typed it wrong, without styles.
fn told(line: &str) -> String {
    let error = parse(line.split_whitespace()).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    error.render().to_string()
}

/// Every command with the words that lead to it.
fn all(command: &Clap, path: &str, found: &mut Vec<(String, Clap)>) {
    for sub in command.get_subcommands() {
        let path = format!("{path} {}", sub.get_name());
        all(sub, &path, found);
        found.push((path, sub.clone()));
    }
}

#[test]
fn the_definition_is_sound() {
    command().debug_assert();
}

#[test]
fn every_command_has_help_with_an_example_of_itself() {
    let mut found = Vec::new();
    let mut root = command();
    root.build();
    all(&root, "tidegate", &mut found);
    assert!(found.len() >= 16, "{}", found.len());
    for (path, mut sub) in found {
        let help = sub.render_long_help().to_string();
        assert!(help.contains("Usage:"), "{path}: {help}");
        assert!(sub.get_about().is_some_and(|a| a.to_string().len() > 10), "{path} says nothing of itself");
        if sub.get_subcommands().next().is_none() {
            assert!(help.contains(&format!("  {path}")), "{path} shows no example of itself:\n{help}");
        }
        // The width of the terminal breaks lines; one broken here would be broken twice.
        let after = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
        for paragraph in after.split("\n\n") {
            let prose = paragraph.lines().filter(|l| !l.starts_with("  ") && *l != "Examples:").count();
            assert!(prose <= 1, "{path} breaks its own lines:\n{paragraph}");
        }
        for argument in sub.get_arguments() {
            assert!(argument.get_help().is_some(), "{path} {} is not explained", argument.get_id());
        }
    }
}

#[test]
fn every_example_in_the_help_is_understood() {
    let mut found = Vec::new();
    let mut root = command();
    root.build();
    all(&root, "tidegate", &mut found);
    let mut seen = 0;
    for (_, mut sub) in found {
        let help = sub.render_long_help().to_string().replace("\\\n", " ");
        for line in help.lines().filter(|l| l.starts_with("  tidegate ")) {
            let line = line.split(" > ").next().unwrap();
            let parts: Vec<&str> = line.split('"').collect();
            let mut words: Vec<&str> = Vec::new();
            for (i, part) in parts.iter().enumerate() {
                if i % 2 == 1 { words.push(part) } else { words.extend(part.split_whitespace()) }
            }
            parse(&words).unwrap_or_else(|e| panic!("{line}\n{e}"));
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn the_first_page_names_every_command_once_and_every_exit_code() {
    let mut command = command();
    let short = command.render_help().to_string();
    for sub in command.get_subcommands() {
        let line = format!("\n  {:<12} {}", sub.get_name(), sub.get_about().unwrap());
        assert_eq!(short.matches(&line).count(), 1, "{line}\n{short}");
    }
    let long = command.render_long_help().to_string();
    for (code, meaning) in TABLE {
        assert!(long.contains(&format!("{code:>3}  {meaning}")), "{code}");
    }
    insta::assert_snapshot!(short, @r#"
Billing data into your warehouse: no row lost, no cent wrong, and proof of both

Usage: tidegate [OPTIONS] <COMMAND>

Start:
  demo         See it work: a simulated billing site, two syncs, answers in SQL
  init         Write a new pipeline file
  check        Prove that files, credentials and destination are right, without reading data
  plan         Show what the next sync would do: requests, minutes, bytes

Sync:
  sync         Bring new and changed records into the destination, once
  run          Sync every pipeline on its schedule, until stopped
  status       Show how fresh each stream is, and what the last runs did

Proof and repair:
  verify       Prove that everything is there: counts, sums, digests, gaps
  prove        Check that the stored rows agree with each other, and keep what does not
  sweep        Find rows that were deleted, or that a sync is never shown
  backfill     Read a period or single records again

Data:
  query        Ask the synced tables in SQL
  report       Show revenue, receivables, expected cash, or what does not add up
  export       Copy tables, consistent with each other, into files
  schema       List the unified tables, or the columns of one
  quarantine   Look at records that were refused, and try them again
  rebuild      Make tables again from the stored bodies, after a mapping changed

More:
  compact      Bring many small files into few, and let old bodies go
  state        Look at, reset or carry over how far streams are read
  connectors   List, show and check connectors
  simulate     Serve a simulated billing site on loopback
  completions  Print a completion script for your shell

Everywhere:
  -C <DIR>                Project folder: where pipelines/, connectors/ and .env are [default: .]
  -o, --output <HOW>      How results and errors are written: text or json [default: text]
      --log-format <HOW>  How log lines are written (stderr): text or json [default: text]
  -v...                   Log more: -v what happens, -vv every request, -vvv everything
      --no-progress       Do not show progress
  -h, --help              Print help (see more with '--help')
  -V, --version           Print version

Examples:
  tidegate demo                 a simulated site, two syncs, answers in SQL
  tidegate init                 write pipelines/<name>.yaml
  tidegate check && tidegate sync
  tidegate query "select status, currency, sum(total) from invoices group by 1, 2"
"#);
}

#[test]
fn a_wrong_word_is_answered_with_the_nearest() {
    assert!(told("tidegate sycn").contains("'sync'"), "{}", told("tidegate sycn"));
    assert!(told("tidegate compcat acme").contains("'compact'"));
    assert!(told("tidegate compact --all").contains("Usage: tidegate compact"));
    assert!(told("tidegate sync --strikt").contains("'--strict'"));
    assert!(told("tidegate plan --streem x").contains("'--stream'"));
    assert!(told("tidegate query x --format parket").contains("'parquet'"));
    assert!(told("tidegate state reste acme").contains("'reset'"));
    assert!(told("tidegate status -o jsn").contains("'json'"));
    assert!(told("tidegate").contains("Usage"));
    assert!(told("tidegate state reset acme").contains("STREAM"));
    assert!(told("tidegate init --set site").contains("expected INPUT=VALUE"));
    assert!(told("tidegate simulate --size huge").contains("expected small, medium, large or customers=N"));
    assert!(told("tidegate simulate --advance 30").contains("for example 10m"));
    let url = told("tidegate init --destination postgres://me:s3cr3t@db/x");
    assert!(url.contains("postgres:DATABASE_URL"), "{url}");
}

#[test]
fn global_flags_stand_before_or_after_the_command() {
    for line in [
        "tidegate -C proj -o json -vv --no-progress sync acme",
        "tidegate sync acme -C proj -o json -vv --no-progress",
    ] {
        let cli = parse(line.split_whitespace()).unwrap();
        assert_eq!(cli.global.dir.to_str(), Some("proj"));
        assert_eq!((cli.global.output, cli.global.verbose, cli.global.no_progress), (Output::Json, 2, true));
    }
}

#[test]
fn arguments_arrive_as_typed() {
    let Command::Sync(sync) = typed("tidegate sync acme beta --stream invoices --strict --max-requests 50")
    else {
        panic!()
    };
    assert_eq!((sync.pipelines, sync.streams), (vec!["acme".into(), "beta".into()], vec!["invoices".into()]));
    assert_eq!((sync.strict, sync.max_requests), (true, Some(50)));
    let Command::Simulate(simulate) = typed(
        "tidegate simulate --port 0 --size customers=500 --chaos throttle,cut_body --advance 30d --behind 2d",
    ) else {
        panic!()
    };
    assert_eq!(
        (simulate.port, simulate.size, simulate.advance),
        (0, tidegate::sim::world::Size { customers: 500 }, Some(Duration::from_secs(2_592_000)))
    );
    assert_eq!(simulate.chaos, ["throttle", "cut_body"]);
    assert_eq!(simulate.behind, Some(Duration::from_secs(172_800)));
    let Command::Init(init) =
        typed("tidegate init --name a --set site=x=y --destination postgres:DATABASE_URL")
    else {
        panic!()
    };
    assert_eq!((init.settings[0].input.as_str(), init.settings[0].value.as_str()), ("site", "x=y"));
    assert_eq!(init.destination, Some(Target::Postgres("DATABASE_URL".into())));
    assert!(matches!(
        typed("tidegate state reset acme --all --yes"),
        Command::State(State::Reset { all: true, yes: true, .. })
    ));
    assert!(
        matches!(typed("tidegate quarantine redrive acme 12-0"), Command::Quarantine(Quarantine::Redrive { ids, .. }) if ids == ["12-0"])
    );
    assert!(matches!(typed("tidegate connectors list"), Command::Connectors(Connectors::List)));
}

#[test]
fn rows_are_written_as_asked_else_by_the_files_name_else_by_o() {
    let format = |format, out: Option<&str>, output| Rows { format, out: out.map(Into::into) }.format(output);
    assert_eq!(format(None, None, Output::Text).unwrap(), Format::Table);
    assert_eq!(format(None, None, Output::Json).unwrap(), Format::Json);
    assert_eq!(format(None, Some("a.csv"), Output::Json).unwrap(), Format::Csv);
    assert_eq!(format(None, Some("a.parquet"), Output::Text).unwrap(), Format::Parquet);
    assert_eq!(format(Some(Format::Json), Some("a.csv"), Output::Text).unwrap(), Format::Json);
    assert_eq!(format(Some(Format::Parquet), None, Output::Text).unwrap_err().kind(), Kind::Invalid);
}

#[test]
fn exit_codes_are_those_of_the_table() {
    let kinds = [
        (Kind::Bug, 1),
        (Kind::Invalid, 2),
        (Kind::Denied, 3),
        (Kind::Transient, 4),
        (Kind::Drift, 4),
        (Kind::Guard, 4),
        (Kind::Budget, 7),
        (Kind::Throttled { after: None }, 7),
        (Kind::Destination, 8),
        (Kind::Locked, 9),
        (Kind::Stale, 9),
        (Kind::Interrupted, 130),
    ];
    for (kind, code) in kinds {
        assert_eq!(Exit::of_kind(kind).code(), code, "{kind:?}");
        assert!(TABLE.iter().any(|(known, _)| *known == code));
    }
}

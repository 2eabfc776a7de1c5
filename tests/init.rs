//! `init`: what it writes, what it refuses, what it asks.
use crate::pipeline::inputs;
use std::{fs, path::Path};
use tidegate::{
    app::init::{Order, Target, init},
    cli::{
        args::{Command, Init, parse},
        ask::{Dialog, order},
    },
    error::{Error, Kind, Result},
    pipeline::Draft,
};

const STREAMS: [&str; 2] = ["customers", "invoices"];

fn wish() -> Order {
    Order {
        name: "acme-eu".into(),
        tenant: "acme".into(),
        connector: "chargebee".into(),
        settings: vec![("site".into(), "acme-test".into())],
        target: Target::Lake("./lake".into()),
        time_zone: None,
        force: false,
    }
}

fn read(root: &Path, file: &str) -> String {
    fs::read_to_string(root.join(file)).unwrap()
}

#[test]
fn it_writes_a_file_that_passes_every_check_and_says_what_next() {
    let root = tempfile::tempdir().unwrap();
    let written = init(root.path(), &wish(), &inputs(), &STREAMS).unwrap();
    let files: Vec<_> = written.files.iter().map(|f| f.to_str().unwrap()).collect();
    assert_eq!(files, ["pipelines/acme-eu.yaml", ".env.example", ".gitignore"]);
    assert_eq!(
        written.next,
        [
            "set time_zone in pipelines/acme-eu.yaml to the zone of your site (it is UTC now)",
            "export ACME_EU_API_KEY=...   (or copy .env.example to .env)",
            "tidegate check acme-eu",
            "tidegate plan acme-eu",
            "tidegate sync acme-eu",
        ]
    );
    assert_eq!(read(root.path(), ".env.example"), "# chargebee: A read-only API key\nACME_EU_API_KEY=\n");
    assert_eq!(read(root.path(), ".gitignore"), ".env\n/.tidegate/\n/lake/\n");
    let text = read(root.path(), "pipelines/acme-eu.yaml");
    Draft::read("pipelines/acme-eu.yaml", &text).unwrap().prove(&inputs(), &STREAMS).unwrap();
    insta::assert_snapshot!(text, @r#"
# Who syncs what, to where, when. `tidegate check acme-eu` proves it.
pipeline: acme-eu   # also this file's name
tenant: acme   # on every row

source:
  connector: chargebee
  connection:
    # The site's name, as in https://<site>.chargebee.com
    site: acme-test
    # A read-only API key
    api_key: { env: ACME_EU_API_KEY }
    # Time zone of the provider's site: document dates are read in it
    time_zone: UTC
    # Instead of the provider's own address, e.g. what `tidegate simulate` prints:
    # base_url: http://127.0.0.1:8080/api/v2
  # Only some of the streams; without this line all of them:
  # streams: [customers, invoices]
  # Read nothing older:
  # start: 2023-01-01

destination: { lake: ./lake }
# destination: { postgres: { env: DATABASE_URL } }

# When `tidegate run` syncs: minute hour day month weekday (0 and 7 are Sunday), in time_zone
schedule: { cron: "0 2 * * *", jitter: 10m }

# drop: do not keep records as received (then nothing can be rebuilt)
raw: keep
# A sync stops above these shares of rows found deleted, and of records refused
limits: { delete_share: 0.2, reject_share: 0.1 }
"#);
}

#[test]
fn what_is_commented_out_is_right_too() {
    let root = tempfile::tempdir().unwrap();
    init(root.path(), &wish(), &inputs(), &STREAMS).unwrap();
    let text = read(root.path(), "pipelines/acme-eu.yaml");
    for line in ["# base_url: ", "# streams: ", "# start: "] {
        assert!(text.contains(line), "{line}");
        let text = text.replace(line, line.trim_start_matches("# "));
        Draft::read("pipelines/acme-eu.yaml", &text).unwrap().prove(&inputs(), &STREAMS).unwrap();
    }
    let other = text.replacen("destination: {", "# x {", 1).replace("# destination:", "destination:");
    Draft::read("pipelines/acme-eu.yaml", &other).unwrap().prove(&inputs(), &STREAMS).unwrap();
}

#[test]
fn a_second_pipeline_adds_its_lines_and_replaces_nothing() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join(".gitignore"), "target\n.env").unwrap();
    init(root.path(), &wish(), &inputs(), &STREAMS).unwrap();
    let second = Order { name: "beta".into(), target: Target::Postgres("DATABASE_URL".into()), ..wish() };
    let written = init(root.path(), &second, &inputs(), &STREAMS).unwrap();
    assert_eq!(written.files.len(), 2, "{:?}", written.files);
    assert_eq!(read(root.path(), ".gitignore"), "target\n.env\n/.tidegate/\n/lake/\n");
    let example = read(root.path(), ".env.example");
    assert!(
        example.contains("ACME_EU_API_KEY=\n")
            && example.contains("BETA_API_KEY=\n")
            && example.contains("DATABASE_URL=")
    );
    assert!(read(root.path(), "pipelines/beta.yaml").contains("{ postgres: { env: DATABASE_URL } }"));
}

#[test]
fn a_file_that_is_there_is_replaced_only_when_forced() {
    let root = tempfile::tempdir().unwrap();
    init(root.path(), &wish(), &inputs(), &STREAMS).unwrap();
    let file = root.path().join("pipelines/acme-eu.yaml");
    fs::write(&file, "mine, and longer than what comes\n".repeat(200)).unwrap();
    let error = init(root.path(), &wish(), &inputs(), &STREAMS).unwrap_err();
    assert_eq!(error.to_string(), "pipelines/acme-eu.yaml is there already");
    assert!(fs::read_to_string(&file).unwrap().starts_with("mine"));
    init(root.path(), &Order { force: true, ..wish() }, &inputs(), &STREAMS).unwrap();
    Draft::read("pipelines/acme-eu.yaml", &fs::read_to_string(&file).unwrap()).unwrap();
}

#[test]
fn a_wrong_order_writes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let wrong: [(Order, &str); 6] = [
        (Order { name: "Acme".into(), ..wish() }, "not a valid connection name"),
        (Order { settings: vec![], ..wish() }, "input `site` is missing"),
        (Order { settings: vec![("sight".into(), "x".into())], ..wish() }, "has no input `sight`"),
        (
            Order { settings: vec![("site".into(), "a.b".into())], ..wish() },
            "not the first part of a host name",
        ),
        (Order { time_zone: Some("Berlin".into()), ..wish() }, "unknown time zone"),
        (
            Order {
                settings: vec![("site".into(), "x".into()), ("api_key".into(), "live_s3cr3t".into())],
                ..wish()
            },
            "`--set api_key` does not name a variable",
        ),
    ];
    for (order, expected) in wrong {
        let error = init(root.path(), &order, &inputs(), &STREAMS).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!format!("{error:?}").contains("s3cr3t"));
    }
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn odd_values_are_read_back_as_they_were_given() {
    for folder in ["./la ke", "no", "1e3", "a: b # c", "\"q\"", "~", "{x}", ".inf"] {
        let root = tempfile::tempdir().unwrap();
        init(root.path(), &Order { target: Target::Lake(folder.into()), ..wish() }, &inputs(), &STREAMS)
            .unwrap();
        let text = read(root.path(), "pipelines/acme-eu.yaml");
        let pipeline =
            Draft::read("pipelines/acme-eu.yaml", &text).unwrap().prove(&inputs(), &STREAMS).unwrap();
        assert_eq!(pipeline.destination, tidegate::pipeline::DestinationSpec::Lake { path: folder.into() });
    }
}

fn typed(line: &str) -> Init {
    match parse(line.split_whitespace()).unwrap().command {
        Command::Init(init) => init,
        other => panic!("{other:?}"),
    }
}

/// What the answers make of the order, and what was asked.
fn asked(line: &str, answers: &str) -> (Result<Order>, String) {
    let mut questions = Vec::new();
    let mut answers = answers.as_bytes();
    let dialog = Dialog { answers: &mut answers, questions: &mut questions };
    let order = order(&typed(line), &["billsby", "chargebee"], |_| Ok(inputs()), Some(dialog));
    (order, String::from_utf8(questions).unwrap())
}

#[test]
fn nothing_is_asked_when_the_flags_are_given() {
    let line =
        "tidegate init --connector chargebee --name acme --set site=acme-test --destination lake:./lake";
    let (order, questions) = asked(line, "");
    assert_eq!(questions, "");
    let order = order.unwrap();
    assert_eq!((order.name.as_str(), order.tenant.as_str(), order.time_zone), ("acme", "acme", None));
}

#[test]
fn on_a_terminal_what_is_missing_is_asked() {
    let (order, questions) = asked("tidegate init", "chargebee\nacme\n\nacme-test\nEurope/Berlin\n\n");
    assert_eq!(
        questions,
        "Connector (billsby, chargebee) [billsby]: Name of the pipeline [chargebee]: \
         site (The site's name, as in https://<site>.chargebee.com): site (The site's name, as in https://<site>.chargebee.com): \
         Time zone of the provider's site [UTC]: Destination: lake:FOLDER or postgres:VARIABLE [lake:./lake]: "
    );
    let order = order.unwrap();
    assert_eq!(order.settings, [("site".to_owned(), "acme-test".to_owned())]);
    assert_eq!(
        (order.time_zone.as_deref(), order.target),
        (Some("Europe/Berlin"), Target::Lake("./lake".into()))
    );
    let (order, _) = asked("tidegate init", "chargebee\n");
    assert_eq!(order.unwrap_err().what(), "no answer");
}

#[test]
fn without_a_terminal_what_is_missing_is_named() {
    let missing =
        |line: &str| -> Error { order(&typed(line), &["chargebee"], |_| Ok(inputs()), None).unwrap_err() };
    let error = missing("tidegate init");
    assert_eq!((error.kind(), error.what()), (Kind::Invalid, "--connector is missing"));
    assert!(error.next().is_some_and(|n| n.starts_with("tidegate init --connector chargebee")));
    let error = missing("tidegate init --connector chargebee --name a");
    assert_eq!(error.what(), "--set site=... is missing");
    let next = error.next().unwrap();
    assert_eq!(next, "tidegate init --connector chargebee --name a --set site=... --destination lake:./lake");
}

#[test]
fn another_address_than_the_providers_is_taken_as_base_url() {
    let root = tempfile::tempdir().unwrap();
    let address = ("base_url".to_owned(), "http://127.0.0.1:8080/api/v2".to_owned());
    let order = Order { settings: wish().settings.into_iter().chain([address]).collect(), ..wish() };
    init(root.path(), &order, &inputs(), &STREAMS).unwrap();
    let text = read(root.path(), "pipelines/acme-eu.yaml");
    let pipeline = Draft::read("pipelines/acme-eu.yaml", &text).unwrap().prove(&inputs(), &STREAMS).unwrap();
    assert_eq!(pipeline.base_url.as_deref(), Some("http://127.0.0.1:8080/api/v2"));
}

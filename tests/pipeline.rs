//! Pipeline files: what a right one means, and what each typical mistake is told.
use std::path::{Path, PathBuf};
use tidegate::{
    config::{Environment, InputSource},
    error::{Kind, Result},
    manifest::{Input, InputKind},
    pipeline::{DestinationSpec, Draft, Pipeline, no_such_pipeline},
    time::Timestamp,
};

const RIGHT: &str = r#"pipeline: acme
tenant: acme-gmbh
source:
  connector: chargebee
  connection:
    site: acme-test
    api_key: { env: ACME_KEY }
    time_zone: Europe/Berlin
    base_url: http://127.0.0.1:8080/api/v2/
  streams: [customers, invoices]
  start: 2023-01-01
destination: { lake: ./lake }
schedule: { cron: "0 2 * * *", time_zone: Europe/Berlin, jitter: 10m }
raw: keep
limits: { delete_share: 0.2, reject_share: 0.1 }
"#;

pub(crate) fn inputs() -> Vec<Input> {
    let input = |name: &str, kind, meaning: &str| Input { name: name.into(), kind, meaning: meaning.into() };
    vec![
        input("site", InputKind::HostLabel, "The site's name, as in https://<site>.chargebee.com"),
        input("api_key", InputKind::Secret, "A read-only API key"),
    ]
}

fn read(text: &str) -> Result<Pipeline> {
    Draft::read("pipelines/acme.yaml", text)?.prove(&inputs(), &["customers", "invoices", "transactions"])
}

/// `RIGHT` with one change is refused with these words.
#[track_caller]
fn refused(from: &str, to: &str, expected: &str) {
    assert!(RIGHT.contains(from), "`{from}` is not in the file");
    let error = read(&RIGHT.replacen(from, to, 1)).map(|p| p.name).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    let told = format!("{error}\nnext: {}", error.next().unwrap_or("-"));
    assert_eq!(told, expected);
}

#[test]
fn a_right_file_means_what_it_says() {
    let pipeline = read(RIGHT).unwrap();
    assert_eq!(pipeline.name, "acme");
    assert_eq!(pipeline.owner.to_string(), "acme-gmbh/acme");
    assert_eq!(pipeline.connector, "chargebee");
    assert_eq!(pipeline.inputs["site"], InputSource::Text("acme-test".into()));
    let InputSource::Env { name, place } = &pipeline.inputs["api_key"] else { panic!("not a variable") };
    assert_eq!((name.as_str(), place.to_string().as_str()), ("ACME_KEY", "pipelines/acme.yaml:7"));
    assert_eq!(pipeline.inputs.len(), 2);
    assert_eq!(pipeline.time_zone, chrono_tz::Europe::Berlin);
    assert_eq!(pipeline.base_url.as_deref(), Some("http://127.0.0.1:8080/api/v2"));
    assert_eq!(pipeline.streams, Some(vec!["customers".into(), "invoices".into()]));
    assert_eq!(pipeline.start, Some(Timestamp::from_secs(1_672_527_600)), "midnight in Berlin");
    assert_eq!(pipeline.destination, DestinationSpec::Lake { path: PathBuf::from("./lake") });
    assert_eq!(pipeline.schedule.unwrap().text(), "0 2 * * *");
    assert!(pipeline.raw_keep);
    assert_eq!((pipeline.limits.delete_share, pipeline.limits.reject_share), (0.2, 0.1));
}

#[test]
fn bodies_of_superseded_states_may_be_kept_for_a_time() {
    let read = |raw: &str| read(&RIGHT.replace("raw: keep", raw)).map(|p| (p.raw_keep, p.raw_for));
    let days = |n: u64| Some(std::time::Duration::from_secs(n * 86_400));
    assert_eq!(read("raw: keep").unwrap(), (true, None));
    assert_eq!(read("raw: drop").unwrap(), (false, None));
    assert_eq!(read("raw: { keep: 90d }").unwrap(), (true, days(90)));
    assert_eq!(read("raw: { keep: \"1d\" }").unwrap(), (true, days(1)));
    for wrong in ["36501d", "90h", "-1d", "d", "9 d", "99999999999999999999d"] {
        let error = read(&format!("raw: {{ keep: {wrong} }}")).unwrap_err().to_string();
        assert!(error.contains("is not a number of days"), "{error}");
    }
    for wrong in ["raw: {}", "raw: { keep: 1d, drop: 2d }", "raw: [keep]", "raw: true"] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_may_be_left_out_has_its_default() {
    let short = "pipeline: acme\ntenant: t\nsource:\n  connector: chargebee\n  connection: { site: s, api_key: { file: /run/key }, time_zone: UTC }\ndestination: { postgres: { env: DATABASE_URL } }\n";
    let pipeline = read(short).unwrap();
    assert!(pipeline.streams.is_none() && pipeline.start.is_none() && pipeline.schedule.is_none());
    assert!(pipeline.raw_keep && pipeline.base_url.is_none());
    assert_eq!((pipeline.limits.delete_share, pipeline.limits.reject_share), (0.2, 0.1));
    assert!(
        matches!(&pipeline.inputs["api_key"], InputSource::File { path, .. } if path == &PathBuf::from("/run/key"))
    );
    let DestinationSpec::Postgres { url: InputSource::Env { name, .. } } = &pipeline.destination else {
        panic!()
    };
    assert_eq!(name, "DATABASE_URL");
}

#[test]
fn a_misspelt_key_names_the_nearest_right_one() {
    refused(
        "tenant:",
        "tennant:",
        "unknown key `tennant` (at pipelines/acme.yaml:2, expected one of pipeline, tenant, source, destination, schedule, raw, limits, custom, columns, overlays)\n\
         next: did you mean `tenant`?",
    );
    refused(
        "cron:",
        "corn:",
        "unknown key `corn` (at pipelines/acme.yaml:13, expected one of cron, time_zone, jitter)\n\
         next: did you mean `cron`?",
    );
    refused(
        "    site:",
        "    sit:",
        "unknown key `sit` (at pipelines/acme.yaml:6, expected one of site, api_key, time_zone, base_url)\n\
         next: did you mean `site`?",
    );
    refused(
        "{ lake:",
        "{ lakes:",
        "unknown key `lakes` (at pipelines/acme.yaml:12, expected one of lake, postgres)\n\
         next: did you mean `lake`?",
    );
}

#[test]
fn a_missing_key_is_named_with_its_meaning() {
    refused(
        "tenant: acme-gmbh\n",
        "",
        "key `tenant` is missing (in pipelines/acme.yaml, expected up to line 14)\n\
         next: add tenant: acme (whose data it is; on every row)",
    );
    refused(
        "    site: acme-test\n",
        "",
        "key `site` is missing under `connection` (at pipelines/acme.yaml:6, meaning The site's name, as in https://<site>.chargebee.com)\n\
         next: write site: ...",
    );
    refused(
        "    time_zone: Europe/Berlin\n",
        "",
        "key `time_zone` is missing under `connection` (at pipelines/acme.yaml:6, meaning the time zone of the provider's site; document dates are read in it)\n\
         next: time_zone: Europe/Berlin",
    );
    refused(
        "{ cron: \"0 2 * * *\", ",
        "{ ",
        "key `cron` is missing (in pipelines/acme.yaml, expected up to line 13)\n\
         next: add cron: \"0 2 * * *\" for 02:00 every day",
    );
}

#[test]
fn a_key_given_twice_is_refused() {
    refused(
        "raw: keep\n",
        "raw: keep\nraw: drop\n",
        "key `raw` is given twice (at pipelines/acme.yaml:15)\n\
         next: keep one of the two",
    );
}

#[test]
fn a_literal_secret_is_refused_and_not_repeated() {
    refused(
        "{ env: ACME_KEY }",
        "live_s3cr3t",
        "`api_key` is a secret and must not be written here (at pipelines/acme.yaml:7)\n\
         next: write api_key: { env: API_KEY }, then set that variable or put it into .env",
    );
    refused(
        "{ env: ACME_KEY }",
        "{ env: live_s3cr3t }",
        "`env` does not hold the name of a variable (at pipelines/acme.yaml:7, expected upper-case letters, digits and `_`)\n\
         next: write the variable's name, for example { env: ACME_KEY }, never the secret itself",
    );
    refused(
        "{ env: ACME_KEY }",
        "[live_s3cr3t]",
        "expected text, { env: NAME } or { file: PATH }, found a list (at pipelines/acme.yaml:7)\n\
         next: -",
    );
    refused(
        "{ env: ACME_KEY }",
        "{ evn: live_s3cr3t }",
        "unknown key `evn` (at pipelines/acme.yaml:7, expected one of env, file)\n\
         next: did you mean `env`?",
    );
    refused(
        "{ lake: ./lake }",
        "{ postgres: postgres://me:s3cr3t@db/x }",
        "the database URL holds a password and must not be written here (at pipelines/acme.yaml:12)\n\
         next: destination: { postgres: { env: DATABASE_URL } }",
    );
}

#[test]
fn no_message_repeats_a_value_of_the_connection() {
    for value in [
        "S3CR3T",
        "[S3CR3T]",
        "{ env: s3cr3t }",
        "{ s3cr3t: X }",
        "{ env: A, file: S3CR3T }",
        "\"S3CR3T",
        "12345e",
    ] {
        for key in ["api_key: { env: ACME_KEY }", "connection:\n    site: acme-test\n"] {
            let name = key.split(':').next().unwrap();
            let error = read(&RIGHT.replacen(key, &format!("{name}: {value}\n"), 1)).map(|p| p.name);
            if value == "{ s3cr3t: X }" {
                continue;
            }
            let error = error.unwrap_err();
            assert!(!format!("{error} {error:?}").to_lowercase().contains("s3cr3t"), "{error:?}");
        }
    }
}

#[test]
fn a_wrong_value_says_what_was_expected() {
    refused(
        "connector: chargebee",
        "connector: [chargebee]",
        "expected text (at pipelines/acme.yaml:4)\n\
         next: -",
    );
    refused(
        "site: acme-test",
        "site: https://acme-test.chargebee.com",
        "`https://acme-test.chargebee.com` is not the first part of a host name (at pipelines/acme.yaml:6, key site, expected letters, digits and `-`, without dots or slashes)\n\
         next: for https://acme-test.example.com write site: acme-test",
    );
    refused(
        "site: acme-test",
        "site: 42",
        "expected text, { env: NAME } or { file: PATH }, found a number (at pipelines/acme.yaml:6)\n\
         next: put the value in quotes",
    );
    refused(
        "time_zone: Europe/Berlin\n",
        "time_zone: Europe/Berln\n",
        "unknown time zone `Europe/Berln` (at pipelines/acme.yaml:8, expected a name of the IANA list, like Europe/Berlin)\n\
         next: did you mean `Europe/Berlin`?",
    );
    refused(
        "raw: keep",
        "raw: kepe",
        "unknown value `kepe` (at pipelines/acme.yaml:14, expected one of keep, drop, key raw)\n\
         next: did you mean `keep`?",
    );
    refused(
        "raw: keep",
        "raw: 90d",
        "unknown value `90d` (at pipelines/acme.yaml:14, expected one of keep, drop, key raw)\n\
         next: raw: { keep: 90d }",
    );
    refused(
        "raw: keep",
        "raw: { kep: 90d }",
        "unknown key `kep` (at pipelines/acme.yaml:14, expected one of keep)\n\
         next: did you mean `keep`?",
    );
    for (wrong, right) in [("90", "raw: { keep: 90d }"), ("0d", "raw: { keep: 90d }, or raw: keep for ever")]
    {
        refused(
            "raw: keep",
            &format!("raw: {{ keep: {wrong} }}"),
            &format!(
                "`keep` is not a number of days: `{wrong}` (at pipelines/acme.yaml:14, key raw, expected 1d to 36500d)\n\
                 next: {right}"
            ),
        );
    }
    refused(
        "start: 2023-01-01",
        "start: 01.01.2023",
        "`start` is not a date: `01.01.2023` (at pipelines/acme.yaml:11)\n\
         next: for example start: 2023-01-01, or 2023-01-01T00:00:00Z",
    );
    refused(
        "[customers, invoices]",
        "[customers, invoces]",
        "unknown stream `invoces` (at pipelines/acme.yaml:10, expected one of customers, invoices, transactions)\n\
         next: did you mean `invoices`?",
    );
    refused(
        "delete_share: 0.2",
        "delete_share: 20",
        "`delete_share` is 20 (at pipelines/acme.yaml:15, expected a share from 0.0 to 1.0)\n\
         next: for 20 percent write delete_share: 0.2",
    );
    refused(
        "delete_share: 0.2",
        "delete_share: a fifth",
        "expected a number (at pipelines/acme.yaml:15)\n\
         next: -",
    );
    refused(
        "tenant: acme-gmbh",
        "tenant: Acme GmbH",
        "`Acme GmbH` is not a valid tenant name (at pipelines/acme.yaml:2)\n\
         next: start with a lower-case letter, then lower-case letters, digits, `_` or `-`; at most 63 characters",
    );
    refused(
        "pipeline: acme",
        "pipeline: amce",
        "the pipeline is called `amce` but its file `acme.yaml` (at pipelines/acme.yaml:1)\n\
         next: write `pipeline: acme`, or rename the file: the name is the connection's id",
    );
    refused(
        "jitter: 10m",
        "jitter: 10 minutes",
        "`10 minutes` is not a duration (at pipelines/acme.yaml:13)\n\
         next: a whole number and s, m, h or d, for example 10m",
    );
    refused(
        "0 2 * * *",
        "0 0 2 * * *",
        "`0 0 2 * * *` is not a crontab line (fields 6, expected 5, at pipelines/acme.yaml:13)\n\
         next: minute hour day-of-month month day-of-week, for example \"0 2 * * *\" for 02:00 every day",
    );
    refused(
        "0 2 * * *",
        "0 25 * * *",
        "`0 25 * * *` is not a crontab line (hour 25, expected 0 to 23, at pipelines/acme.yaml:13)\n\
         next: minute hour day-of-month month day-of-week, for example \"0 2 * * *\" for 02:00 every day",
    );
    refused(
        "{ lake: ./lake }",
        "{ lake: s3://bucket/lake }",
        "`s3://bucket/lake` is not a folder on this machine (at pipelines/acme.yaml:12)\n\
         next: destination: { lake: ./lake }",
    );
    refused(
        "{ lake: ./lake }",
        "{ lake: ./lake, postgres: { env: DATABASE_URL } }",
        "a pipeline has one destination, not two (at pipelines/acme.yaml:12)\n\
         next: -",
    );
    refused(
        "{ lake: ./lake }",
        "{}",
        "`destination` is empty (at pipelines/acme.yaml:12)\n\
         next: destination: { lake: ./lake }, or { postgres: { env: DATABASE_URL } }",
    );
    refused(
        "http://127.0.0.1:8080/api/v2/",
        "http://proxy.example.com/api",
        "`base_url` would send the key without encryption (at pipelines/acme.yaml:9)\n\
         next: use https://; http:// is only for this machine and for hosts without a dot",
    );
}

#[test]
fn a_key_travels_without_encryption_only_on_this_machine() {
    for near in
        ["http://127.0.0.1:8080", "http://localhost:8080/api", "http://[::1]:80", "http://simulator:8080"]
    {
        assert!(read(&RIGHT.replace("http://127.0.0.1:8080/api/v2/", near)).is_ok(), "{near}");
    }
    for far in [
        "http://127.evil.com",
        "http://127.0.0.1@evil.com",
        "http://[2001:db8::1]/",
        "ftp://x",
        "x",
        "http://",
    ] {
        assert!(read(&RIGHT.replace("http://127.0.0.1:8080/api/v2/", far)).is_err(), "{far}");
    }
}

#[test]
fn a_host_label_from_the_environment_cannot_lead_elsewhere() {
    let pipeline = read(&RIGHT.replace("site: acme-test", "site: { env: SITE }")).unwrap();
    let with = |site: &str| {
        let vars = [("SITE", site), ("ACME_KEY", "s3cr3t")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        pipeline.resolve(&Environment::of(Path::new("/nowhere"), vars).unwrap(), &inputs())
    };
    let values = with("acme-test").unwrap();
    assert_eq!((values["site"].expose(), values["api_key"].expose()), ("acme-test", "s3cr3t"));
    for site in ["evil.com/", "a.b", "-a", "a@b", "a:80"] {
        assert!(with(site).is_err(), "{site}");
    }
}

#[test]
fn broken_yaml_names_its_line() {
    refused(
        "  connection:\n",
        "  connection:\n\t",
        "tabs disallowed within this context (block indentation) (at pipelines/acme.yaml:6)\n\
         next: -",
    );
    refused(
        "[customers, invoices]",
        "[customers, invoices",
        "illegal placement of ':' indicator (at pipelines/acme.yaml:11)\n\
         next: -",
    );
    refused(
        "destination:",
        " destination:",
        "while parsing a block mapping, did not find expected key (at pipelines/acme.yaml:12)\n\
         next: -",
    );
}

#[test]
fn an_unknown_connector_names_the_nearest() {
    let draft = Draft::read("pipelines/acme.yaml", &RIGHT.replace("chargebee", "chargebe")).unwrap();
    assert_eq!(draft.connector(), "chargebe");
    let error = draft.no_such_connector(&["billsby", "chargebee"]);
    assert_eq!(
        error.to_string(),
        "unknown connector `chargebe` (at pipelines/acme.yaml:4, expected one of billsby, chargebee)"
    );
    assert_eq!(error.next(), Some("did you mean `chargebee`?"));
}

#[test]
fn an_alias_or_a_merge_key_hides_no_wrong_key() {
    let error = read(&RIGHT.replace("raw: keep", "<<: { rwa: keep }")).map(|p| p.name).unwrap_err();
    assert_eq!(error.next(), Some("did you mean `raw`?"));
}

#[test]
fn an_unknown_pipeline_names_the_nearest_or_what_there_is() {
    let told = |asked, known: &[&str]| {
        let error = no_such_pipeline(asked, known);
        format!("{error}; {}", error.next().unwrap())
    };
    assert_eq!(told("amce", &["acme", "beta"]), "there is no pipelines/amce.yaml; did you mean `acme`?");
    assert_eq!(
        told("zeta-corp", &["acme", "delta"]),
        "there is no pipelines/zeta-corp.yaml (there are acme, delta); tidegate init --name zeta-corp"
    );
    assert_eq!(
        told("acme", &[]),
        "there is no pipeline in this folder; tidegate init, or -C DIR for a project elsewhere"
    );
}

/// Keys that the parser knows beside a key that it does not know.
fn keys(from: &str, to: &str) -> Vec<String> {
    assert!(RIGHT.contains(from), "`{from}` is not in the file");
    let error = read(&RIGHT.replacen(from, to, 1)).map(|p| p.name).unwrap_err().to_string();
    assert!(error.contains("unknown key `qqqq`"), "{error}");
    let known = error.split("expected one of ").nth(1).unwrap().trim_end_matches(')');
    known.split(", ").map(str::to_owned).collect()
}

#[test]
fn every_key_that_the_parser_knows_stands_in_the_readme() {
    let sections = [
        ("", keys("tenant:", "qqqq:")),
        ("source.", keys("  connector:", "  qqqq: 1\n  connector:")),
        ("source.connection.", keys("    site:", "    qqqq: x\n    site:")),
        ("destination.", keys("{ lake:", "{ qqqq: 1, lake:")),
        ("schedule.", keys("{ cron:", "{ qqqq: 1, cron:")),
        ("limits.", keys("{ delete_share", "{ qqqq: 1, delete_share")),
    ];
    let inputs = inputs();
    let own =
        |section: &str, key: &str| section != "source.connection." || inputs.iter().all(|i| i.name != key);
    let known: Vec<String> = sections
        .iter()
        .flat_map(|(section, keys)| {
            keys.iter().filter(|k| own(section, k)).map(move |k| format!("{section}{k}"))
        })
        .collect();
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/README.md")).unwrap();
    let told: Vec<&str> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(key, _)| key))
        .collect();
    for key in &known {
        // A mapping is told by its keys.
        let below = told.iter().any(|t| t.starts_with(&format!("{key}.")));
        assert!(told.contains(&key.as_str()) || below, "pipelines/README.md lacks `{key}`");
    }
    let table = readme.split("# Models").next().unwrap().lines().filter(|l| l.starts_with("| `")).count();
    for key in &told[..table] {
        assert!(
            known.iter().any(|k| k == key),
            "pipelines/README.md tells of `{key}`, which no file may hold"
        );
    }
    assert!(known.len() > 20, "{known:?}");
}

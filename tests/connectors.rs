//! The connector language: what is inside the binary loads, and every typical mistake gets the message that helps.
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};
use tidegate::{
    decode::Type,
    entity::{self, ColumnType, OnBad},
    error::{Error, Kind, Result},
    manifest::{self, Auth, Catalog, Connector, Cursor, ErrorClass, FUNCTIONS, InputKind, Paging, Stream},
    yaml::File,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("connectors")
}

fn embedded() -> &'static Catalog {
    static CATALOG: LazyLock<Catalog> = LazyLock::new(|| manifest::catalog(None).unwrap());
    &CATALOG
}

fn stream(connector: &str, stream: &str) -> Stream {
    let catalog = embedded();
    let found = catalog.connectors[connector].streams.iter().find(|s| s.name == stream).unwrap();
    found.as_ref().clone()
}

fn file(folder: &str, name: &str) -> File {
    let text = fs::read_to_string(root().join(folder).join(name)).unwrap();
    File { path: format!("connectors/{folder}/{name}"), text }
}

fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

/// A connector from disk with one text of one file replaced.
fn with(connector: &str, name: &str, from: &str, to: &str) -> Result<Connector> {
    let mut yaml = file(connector, "connector.yaml");
    let sql = names(connector).into_iter().filter(|n| n.ends_with(".sql"));
    let mut sql: Vec<File> = sql.map(|n| file(connector, &n)).collect();
    let changed = [&mut yaml].into_iter().chain(&mut sql).find(|f| f.name() == name).unwrap();
    assert!(changed.text.contains(from), "{name} does not hold `{from}`");
    changed.text = changed.text.replacen(from, to, 1);
    manifest::load(connector, &yaml, &sql, &embedded().entities)
}

/// What the reader sees: the sentence with its facts, then the hint.
fn said(error: &Error) -> String {
    assert_eq!(error.kind(), Kind::Invalid);
    match error.next() {
        Some(hint) => format!("{error}\n{hint}"),
        None => error.to_string(),
    }
}

/// One mistake in one file of a connector, and what the message must hold.
fn check(connector: &str, name: &str, from: &str, to: &str, expected: &[&str]) {
    let error = with(connector, name, from, to).expect_err(to);
    let said = said(&error);
    for part in expected {
        assert!(said.contains(part), "`{to}` says:\n{said}\nwithout `{part}`");
    }
}

const CHARGEBEE: &str = "connectors/chargebee/connector.yaml:";

fn chargebee(from: &str, to: &str, expected: &[&str]) {
    let text = file("chargebee", "connector.yaml").text;
    let line = text.split(from).next().unwrap().matches('\n').count() + 1;
    let place = format!("{CHARGEBEE}{line}");
    check("chargebee", "connector.yaml", from, to, &[expected, &[place.as_str()]].concat());
}

fn billsby(from: &str, to: &str, expected: &[&str]) {
    check("billsby", "connector.yaml", from, to, expected);
}

fn mapping(from: &str, to: &str, expected: &[&str]) {
    let text = file("billsby", "customers.sql").text;
    let line = text.split(from).next().unwrap().matches('\n').count() + 1;
    let place = format!("connectors/billsby/customers.sql:{line}");
    check("billsby", "customers.sql", from, to, &[expected, &[place.as_str()]].concat());
}

const CHARGEBEE_STREAMS: [&str; 22] = [
    "customers",
    "subscriptions",
    "invoices",
    "credit_notes",
    "transactions",
    "payment_sources",
    "orders",
    "quotes",
    "usages",
    "virtual_bank_accounts",
    "hosted_pages",
    "promotional_credits",
    "comments",
    "unbilled_charges",
    "gifts",
    "item_families",
    "items",
    "item_prices",
    "coupons",
    "plans",
    "addons",
    "events",
];

const TABLES: [&str; 34] = [
    "addons",
    "comments",
    "coupons",
    "credit_allocations",
    "credit_note_line_items",
    "credit_notes",
    "customers",
    "events",
    "gifts",
    "hosted_pages",
    "invoice_discounts",
    "invoice_line_items",
    "invoice_taxes",
    "invoices",
    "item_families",
    "items",
    "order_line_items",
    "orders",
    "payment_allocations",
    "payment_methods",
    "payments",
    "plans",
    "prices",
    "promotional_credits",
    "quote_line_items",
    "quotes",
    "refunds",
    "subscription_discounts",
    "subscription_events",
    "subscription_items",
    "subscriptions",
    "unbilled_charges",
    "usages",
    "virtual_bank_accounts",
];

#[test]
fn every_unified_table_is_there_and_fed_by_some_stream() {
    assert_eq!(embedded().entities.keys().collect::<Vec<_>>(), TABLES);
    let streams = embedded().connectors.values().flat_map(|c| &c.streams);
    let fed: BTreeSet<&str> = streams.flat_map(|s| s.feeds.iter().map(|f| f.entity.name.as_str())).collect();
    assert_eq!(fed.into_iter().collect::<Vec<_>>(), TABLES);
}

#[test]
fn both_connectors_load() {
    let catalog = embedded();
    assert_eq!(catalog.connectors.keys().collect::<Vec<_>>(), ["billsby", "chargebee"]);
    let chargebee = &catalog.connectors["chargebee"];
    assert_eq!(chargebee.base_url.0, "https://{site}.chargebee.com/api/v2");
    assert_eq!(chargebee.inputs.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["site", "api_key"]);
    assert_eq!(chargebee.inputs[0].kind, InputKind::HostLabel);
    assert!(
        matches!(&chargebee.auth, Auth::Basic { user, password } if user == "api_key" && password.is_empty())
    );
    assert_eq!(chargebee.headers, [("chargebee-response-schema-type".to_owned(), "items".to_owned())]);
    assert_eq!((chargebee.budget.requests, chargebee.budget.per), (150, Duration::from_secs(60)));
    assert_eq!((chargebee.minor_units.default, chargebee.minor_units.exceptions["JPY"]), (2, 0));
    assert!(!chargebee.minor_units.exceptions.contains_key("KWD"));
    let streams: Vec<&str> = chargebee.streams.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(streams, CHARGEBEE_STREAMS);
    let billsby = &catalog.connectors["billsby"];
    assert!(matches!(&billsby.auth, Auth::Header { name, value } if name == "apikey" && value == "api_key"));
}

#[test]
fn chargebee_windows_overlap_five_minutes_and_never_sort_by_a_field_that_changes() {
    for name in ["customers", "subscriptions", "invoices", "credit_notes", "transactions"] {
        let stream = stream("chargebee", name);
        let Cursor::Window { send, overlap, lag, sort, slices, .. } = &stream.cursor else { panic!() };
        assert_eq!(send, "updated_at[between]");
        assert!(*overlap >= Duration::from_secs(300) && *lag >= Duration::from_secs(120));
        let (parameter, by) = sort.as_ref().unwrap();
        assert_eq!(parameter, "sort_by[asc]");
        assert!(["created_at", "date"].contains(&by.as_str()));
        let slices = slices.as_ref().unwrap();
        assert_eq!(slices.send, format!("{by}[between]"));
        assert_eq!(slices.length, Duration::from_secs(30 * 86_400));
        assert!(stream.query.contains(&("include_deleted".to_owned(), "true".to_owned())));
        assert_eq!(stream.version.as_deref(), Some("resource_version"));
        assert_eq!(stream.deleted, Some("deleted".into()));
    }
}

#[test]
fn billsby_customers_are_complete_scans_of_numbered_pages() {
    let customers = stream("billsby", "customers");
    assert!(matches!(customers.cursor, Cursor::Snapshot { order: None, lag: Duration::ZERO }));
    let Paging::PageNumber { send, first, total, size } = customers.paging else { panic!() };
    assert_eq!((send.as_str(), first, total.as_str()), ("page", 1, "/rowCount"));
    assert_eq!((size.send.as_str(), size.value), ("pageSize", 100));
}

#[test]
fn error_tables_answer_what_happens_next() {
    let class = |connector: &str, status: u16, code: &str| {
        let catalog = embedded();
        let fits = |rule: &&manifest::ErrorRule| {
            let status = rule.status.is_empty() || rule.status.contains(&status);
            status && rule.body.as_ref().is_none_or(|(_, any)| any.iter().any(|t| t == code))
        };
        catalog.connectors[connector].errors.iter().find(fits).map(|r| r.class)
    };
    assert_eq!(class("chargebee", 401, "api_authentication_failed"), Some(ErrorClass::Denied));
    assert_eq!(class("chargebee", 400, "configuration_incompatible"), Some(ErrorClass::Unavailable));
    assert_eq!(class("chargebee", 400, "param_wrong_value"), None);
    assert_eq!(class("chargebee", 429, "lock_timeout"), Some(ErrorClass::Throttled));
    assert_eq!(class("chargebee", 503, "db_connection_failure"), Some(ErrorClass::Transient));
    assert_eq!(class("billsby", 429, ""), Some(ErrorClass::Throttled));
}

#[test]
fn field_types_become_decoder_types() {
    let record = |yaml: &str| {
        let from = "      bool_field: x\n";
        let text = file("billsby", "connector.yaml").text;
        let yaml = text.replacen(
            "      createdOn: datetime_utc\n",
            &format!("      createdOn: datetime_utc\n{yaml}"),
            1,
        );
        assert_ne!(yaml, text, "{from}");
        let yaml = File { path: "connectors/billsby/connector.yaml".into(), text: yaml };
        let sql = [file("billsby", "customers.sql")];
        let connector = manifest::load("billsby", &yaml, &sql, &embedded().entities).unwrap();
        connector.streams[0].record.clone()
    };
    let added = record(
        "      a: \"decimal(12,4)\"\n      b: text_decimal(38, 12)\n      c: datetime\n      d: [epoch_ms]\n      e: { f: rate, rest: { g: \"x_*\" } }\n      rest: { custom: \"cf_*\" }\n",
    );
    let ty = |name: &str| added.fields.iter().find(|f| f.name == name).unwrap().ty.clone();
    assert_eq!(ty("createdOn"), Type::DateTime { naive_utc: true });
    assert_eq!(ty("a"), Type::Decimal { precision: 12, scale: 4, from_text: false });
    assert_eq!(ty("b"), Type::Decimal { precision: 38, scale: 12, from_text: true });
    assert_eq!(ty("c"), Type::DateTime { naive_utc: false });
    assert_eq!(ty("d"), Type::List(Box::new(Type::EpochMs)));
    let Type::Struct(e) = ty("e") else { panic!() };
    assert_eq!((e.fields[0].ty.clone(), e.rest), (Type::Rate, vec![("g".to_owned(), vec!["x_".to_owned()])]));
    assert_eq!(added.rest, [("custom".to_owned(), vec!["cf_".to_owned()])]);
    assert_eq!(added.fields[0].name, "customerUniqueId");
}

#[test]
fn unified_columns_reject_bad_keys_money_currencies_and_dates_and_null_the_rest() {
    let entities = &embedded().entities;
    for entity in entities.values() {
        assert_eq!(entity.columns[0].name, "id");
        for column in &entity.columns {
            let strict = column.name == "id"
                || column.name.ends_with("_id")
                || column.name == "currency"
                || (column.name == "unit_amount"
                    && ["prices", "plans", "addons"].contains(&entity.name.as_str()))
                || matches!(column.ty, ColumnType::Money | ColumnType::Date);
            assert_eq!(column.on_bad == OnBad::Reject, strict, "{}.{}", entity.name, column.name);
            assert!(!column.meaning.is_empty());
        }
    }
    let months: Vec<_> = entities.values().filter_map(|e| e.month.clone()).collect();
    assert_eq!(
        months,
        ["date", "occurred_date", "issue_date", "order_date", "paid_date", "date", "date", "usage_date"]
    );
    assert!(entities["customers"].column("email").unwrap().pii);
}

#[test]
fn an_allocation_has_the_document_that_reports_it_as_parent() {
    let parent = |name: &str| {
        let stream = stream("chargebee", name);
        let feed = stream.feeds.iter().find(|f| f.entity.name == "payment_allocations").unwrap();
        let parent = feed.entity.parent.clone().unwrap();
        (feed.file.clone(), parent.entity, parent.column)
    };
    let text = |a: &str, b: &str, c: &str| (format!("connectors/chargebee/{a}"), b.to_owned(), c.to_owned());
    assert_eq!(parent("invoices"), text("payment_allocations.invoices.sql", "invoices", "owner_invoice_id"));
    assert_eq!(
        parent("credit_notes"),
        text("payment_allocations.credit_notes.sql", "credit_notes", "owner_credit_note_id")
    );
}

#[test]
fn everything_in_the_folder_is_in_the_binary() {
    let catalog = embedded();
    for connector in catalog.connectors.values() {
        let sql = names(&connector.name).into_iter().filter(|n| n.ends_with(".sql"));
        let mut used: BTreeSet<String> = BTreeSet::new();
        for stream in &connector.streams {
            for feed in &stream.feeds {
                let name = feed.file.rsplit('/').next().unwrap();
                assert_eq!(feed.sql, file(&connector.name, name).text);
                used.insert(name.to_owned());
            }
        }
        assert_eq!(used, sql.collect());
    }
    let unified: BTreeSet<String> = catalog.entities.keys().map(|e| format!("{e}.yaml")).collect();
    assert_eq!(unified, names("unified"));
    let folders = ["README.md", "connector.schema.json", "unified"].map(str::to_owned);
    let known = catalog.connectors.keys().cloned().chain(folders).collect();
    assert_eq!(names("."), known);
}

#[test]
fn the_readme_names_every_function_key_and_type() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for function in FUNCTIONS {
        assert!(
            readme.contains(&format!("`{function}`")) || readme.contains(&format!("`{function}(")),
            "{function}"
        );
    }
    // Words inside backticks and code blocks: a word of a sentence documents no key.
    let (blocks, texts): (Vec<_>, Vec<_>) = readme.split("```").enumerate().partition(|(n, _)| n % 2 == 1);
    let spans = texts.iter().flat_map(|(_, text)| text.split('`').skip(1).step_by(2));
    let code = blocks.iter().map(|(_, text)| *text).chain(spans);
    let words: BTreeSet<&str> =
        code.flat_map(|c| c.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')).collect();
    assert!(!words.contains("because") && words.contains("any_of"));
    let schema = manifest::json_schema().unwrap();
    let keys =
        |part: &Value| part["properties"].as_object().into_iter().flat_map(|p| p.keys()).cloned().collect();
    let mut known: Vec<(String, Vec<String>)> = vec![("the file".to_owned(), keys(&schema))];
    known.extend(schema["$defs"].as_object().unwrap().iter().map(|(name, part)| (name.clone(), keys(part))));
    let missing: Vec<String> = known
        .iter()
        .flat_map(|(name, keys)| keys.iter().map(move |key| (name, key)))
        .filter(|(_, key)| !words.contains(key.as_str()))
        .map(|(name, key)| format!("{name}.{key}"))
        .collect();
    assert!(known.iter().map(|(_, keys)| keys.len()).sum::<usize>() > 40, "{known:?}");
    assert!(missing.is_empty(), "connectors/README.md lacks {missing:?}");
}

#[test]
fn a_project_folder_wins_over_the_binary() {
    let project = tempfile::tempdir().unwrap();
    let connectors = project.path().join("connectors");
    fs::create_dir_all(connectors.join("acme")).unwrap();
    fs::create_dir_all(connectors.join("unified")).unwrap();
    let yaml = file("billsby", "connector.yaml").text.replace("connector: billsby", "connector: acme");
    fs::write(connectors.join("acme/connector.yaml"), yaml).unwrap();
    fs::write(connectors.join("acme/customers.sql"), file("billsby", "customers.sql").text).unwrap();
    let mut customers = file("unified", "customers.yaml").text;
    customers.push_str("  - { name: shoe_size, type: int, meaning: Ours }\n");
    fs::write(connectors.join("unified/customers.yaml"), customers).unwrap();
    let catalog = manifest::catalog(Some(project.path())).unwrap();
    assert_eq!(catalog.connectors.keys().collect::<Vec<_>>(), ["acme", "billsby", "chargebee"]);
    let shoe = |c: &str| catalog.connectors[c].streams[0].feeds[0].entity.column("shoe_size").is_some();
    assert!(shoe("acme") && shoe("billsby") && shoe("chargebee"));
    let (new, old) = (&catalog.connectors["chargebee"], &embedded().connectors["chargebee"]);
    assert_eq!(new.hash, old.hash);
    assert_ne!(new.mapping_hash, old.mapping_hash);

    fs::write(connectors.join("acme/customers.sql"), "select _row, id frm customers").unwrap();
    let error = manifest::catalog(Some(project.path())).unwrap_err();
    let place = connectors.join("acme/customers.sql");
    assert!(said(&error).contains(&format!("{}:1", place.display())), "{error}");
}

#[test]
fn an_unknown_connector_is_told_the_nearest_one() {
    let error = embedded().connector("chargebe").unwrap_err();
    assert_eq!(
        said(&error),
        "no connector is called `chargebe`\ndid you mean `chargebee`? Known here: billsby, chargebee"
    );
}

#[test]
fn wrong_words_and_keys_are_told_the_nearest_right_one() {
    chargebee(
        "records: /list/*/customer",
        "record_path: /list/*/customer",
        &["unknown key `record_path`", "did you mean `records`?"],
    );
    chargebee("kind: window", "kind: windw", &["unknown word `windw`", "did you mean `window`?"]);
    chargebee("class: transient", "class: transent", &["did you mean `transient`?"]);
    chargebee("site: { kind: host_label", "site: { kind: hostlabel", &["did you mean `host_label`?"]);
    chargebee(
        "net_term_days: int",
        "net_term_days: itn",
        &["unknown field type `itn`", "did you mean `int`?"],
    );
    chargebee(
        "feeds: [customers]",
        "feeds: [costumers]",
        &["no unified entity is called `costumers`", "did you mean `customers`?"],
    );
    chargebee(
        "version: resource_version",
        "version: resource_verson",
        &["is not a field of `record`", "did you mean `resource_version`?"],
    );
    chargebee(
        "{ kind: basic, user: api_key",
        "{ kind: basic, user: apikey",
        &["no input is called `apikey`", "did you mean `api_key`?"],
    );
    chargebee("https://{site}.", "https://{sites}.", &["no input is called `sites`", "did you mean `site`?"]);
    chargebee("scope: \"{site}\"", "scope: \"{siet}\"", &["did you mean `site`?"]);
}

#[test]
fn wrong_values_are_quoted_with_their_line() {
    chargebee("requests: 150", "requests: -3", &["requests: -3"]);
    chargebee("requests: 150", "requests: many", &["requests: many"]);
    chargebee("requests: 150", "requests: 0", &["`requests` must be greater than 0"]);
    chargebee("concurrency: 10", "concurrency: 0", &["`concurrency` must be greater than 0"]);
    chargebee("per: 60s", "per: 60", &["`per: 60` is not a duration", "90s"]);
    chargebee("overlap: 5m", "overlap: -5m", &["`overlap: -5m` is not a duration"]);
    chargebee("value: 100", "value: 0", &["page size must be greater than 0"]);
    chargebee("length: 30d", "length: 0d", &["`length` must be greater than 0"]);
    chargebee("status: [429]", "status: [200]", &["status 200 is not an error"]);
    chargebee("path: /customers", "path: customers", &["must begin with `/`"]);
    chargebee("path: /configurations", "path: /configurations?a=1", &["parameters go into `query`"]);
    chargebee("/list/*/customer", "/list/customer", &["exactly one of them `*`", "`/list/*/invoice`"]);
    chargebee("read: /next_offset", "read: next_offset", &["is not a JSON pointer"]);
    chargebee("text_decimal(38,12)", "text_decimal(38,40)", &["0 <= scale <= precision"]);
    billsby("JPY: 0", "YEN1: 0", &["`YEN1` is not an ISO 4217 code"]);
    billsby("default: 2", "default: 12", &["more than 8 decimal places"]);
}

#[test]
fn missing_and_doubled_keys_are_named() {
    let missing = |from: &str, to: &str, expected: &str| {
        check("chargebee", "connector.yaml", from, to, &[expected, CHARGEBEE]);
    };
    missing("    key: id\n", "", "the key `key` is missing from the mapping that ends here");
    missing("      overlap: 5m\n", "", "the key `overlap` is missing in this `cursor`");
    missing("      lag: 2m\n", "", "the key `lag` is missing in this `cursor`");
    missing("    key: id\n", "    key: id\n    key: id\n", "the key `key` stands here twice");
}

#[test]
fn key_fields_must_have_a_fitting_type() {
    chargebee("key: id", "key: net_term_days", &["must be declared as text or int_or_text"]);
    chargebee("version: resource_version", "version: email", &["must be declared as int"]);
    chargebee("updated: updated_at", "updated: email", &["must be declared as a time"]);
    chargebee("deleted: deleted", "deleted: email", &["must be declared as bool"]);
}

#[test]
fn combinations_that_lose_rows_are_refused() {
    billsby(
        "cursor: { kind: snapshot }",
        "cursor: { kind: window, send: from, unit: epoch_s, overlap: 5m, lag: 2m }",
        &["page numbers with a window cursor lose rows", "`cursor: { kind: snapshot }`"],
    );
    chargebee(
        "sort: { \"sort_by[asc]\": created_at }",
        "sort: { \"sort_by[asc]\": updated_at }",
        &["`updated_at` changes while pages are read", "sort by a field that never changes"],
    );
    billsby(
        "kind: snapshot",
        "kind: snapshot, overlap: 5m",
        &["`overlap` does not belong to cursor kind snapshot"],
    );
    billsby(
        "total: /rowCount",
        "total: /rowCount, read: /x",
        &["`read` does not belong to page kind number"],
    );
    chargebee("send: limit, value: 100", "send: offset, value: 100", &["parameter `offset` is sent twice"]);
    chargebee(
        "  - { status: [401], class: denied",
        "  - { class: denied",
        &["the rules after it are never asked"],
    );
}

#[test]
fn secrets_stay_out_of_addresses_and_hosts_are_safe() {
    billsby("scope: \"{company}\"", "scope: \"{api_key}\"", &["`{api_key}` is a secret", "use it in `auth`"]);
    billsby("value: api_key }", "value: company }", &["its kind must be secret"]);
    billsby("https://public.", "https://{company}.", &["its kind must be host_label"]);
    billsby("https://public.", "http://public.", &["base_url must be `https://host/path`"]);
    billsby("{company}\nauth", "{company\nauth", &["must enclose the name of an input"]);
}

#[test]
fn feeds_must_fit_together() {
    chargebee(
        "feeds: [subscriptions, subscription_items, subscription_discounts]",
        "feeds: [subscriptions, subscription_items, subscription_discounts, refunds]",
        &["`refunds` is a child of `credit_notes`, not of `subscriptions`"],
    );
    chargebee(
        "feeds: [customers]",
        "feeds: [refunds]",
        &["the first feed must be a main entity", "child of `credit_notes`"],
    );
    chargebee("feeds: [customers]", "feeds: [customers, payments]", &["`payments` has no parent"]);
    chargebee(
        "parent: owner_credit_note_id",
        "parent: owner_credit_note",
        &["did you mean `owner_credit_note_id`?"],
    );
    check(
        "chargebee",
        "payment_allocations.credit_notes.sql",
        "credit_note_id as owner_credit_note_id",
        "credit_note_id as payment_id",
        &["must give the key column `owner_credit_note_id`", "payment_allocations.credit_notes.sql:"],
    );
}

#[test]
fn two_streams_never_own_the_same_rows() {
    let mut yaml = file("chargebee", "connector.yaml");
    let names = names("chargebee").into_iter().filter(|n| n.ends_with(".sql"));
    let mut sql: Vec<File> = names.map(|n| file("chargebee", &n)).collect();
    yaml.text = yaml.text.replace("owner_credit_note_id", "owner_invoice_id");
    for file in &mut sql {
        file.text = file.text.replace("owner_credit_note_id", "owner_invoice_id");
    }
    let error = manifest::load("chargebee", &yaml, &sql, &embedded().entities).unwrap_err();
    assert!(
        said(&error).contains("streams `invoices` and `credit_notes` both feed `payment_allocations`"),
        "{error}"
    );
}

#[test]
fn every_feed_has_a_mapping_and_every_mapping_a_feed() {
    let yaml = file("billsby", "connector.yaml");
    let entities = &embedded().entities;
    let error = manifest::load("billsby", &yaml, &[], entities).unwrap_err();
    assert!(
        said(&error).contains("stream `customers` feeds `customers`, but there is no customers.sql"),
        "{error}"
    );
    let right = file("billsby", "customers.sql");
    let stray = File { path: "connectors/billsby/custmers.sql".into(), ..right.clone() };
    let error = manifest::load("billsby", &yaml, &[right, stray], entities).unwrap_err();
    assert_eq!(
        said(&error),
        "no stream feeds this mapping (file connectors/billsby/custmers.sql)\ndid you mean `customers.sql`? Known here: customers.sql"
    );
}

#[test]
fn mappings_are_held_to_exact_and_repeatable_sql() {
    mapping("lower(status)", "lowr(status)", &["function `lowr` is not allowed", "did you mean `lower`?"]);
    mapping("lower(status)", "now()", &["function `now` is not allowed"]);
    mapping("lower(status)", "current_timestamp", &["function `current_timestamp` is not allowed"]);
    mapping("lower(status)", "random()", &["function `random` is not allowed"]);
    mapping("lower(status)", "lower(status) over ()", &["only a plain function"]);
    mapping("lower(status)", "try_cast(status as varchar)", &["try_cast hides bad values"]);
    mapping("lower(status)", "cast(status as timestamp)", &["a cast to TIMESTAMP may round, wrap or shift"]);
    mapping("lower(status)", "status::double", &["a cast to DOUBLE may round"]);
    mapping("lower(status)", "cast(status as decimal(10,2))", &["cast only to varchar"]);
    mapping("lower(status)", "total + 1", &["`+` may wrap or round silently", "add(a, b)"]);
    mapping("lower(status)", "(select max(status) from customers)", &["a SELECT is only allowed in `from`"]);
    mapping("lower(status)", "timestamp '2020-01-01'", &["times are not computed"]);
    mapping("lower(status) as status", "lower(status as status", &["this is not SQL"]);
    mapping("email,", "*,", &["every column must be a plain field or have a name"]);
    mapping("email,", "email as emial,", &["`customers` has no column `emial`", "did you mean `email`?"]);
    mapping("email,", "email as tenant_id,", &["`tenant_id` is added to every table by itself"]);
    mapping("email,", "email as id,", &["column `id` is given twice"]);
    mapping("_row,", "id as key,", &["the first column must be `_row`, not `key`"]);
    mapping("from customers", "from invoices", &["a mapping of stream `customers` cannot read `invoices`"]);
}

#[test]
fn mappings_see_one_record_at_a_time() {
    let refuse = |tail: &str, expected: &str| {
        let to = format!("from customers{tail}");
        check(
            "billsby",
            "customers.sql",
            "from customers",
            &to,
            &[expected, "connectors/billsby/customers.sql:"],
        );
    };
    refuse(" limit 3", "lose rows");
    refuse(" offset 3", "lose rows");
    refuse(" order by email", "not allowed");
    refuse(" group by email", "`group by`");
    refuse(" join customers c on true", "joins are not allowed");
    refuse(", customers c", "joins are not allowed");
    refuse(" tablesample (10)", "a mapping of stream `customers` cannot read");
    refuse("; select 1", "exactly one SELECT");
    refuse(" union select _row, id from customers", "only SELECT and `union all`");
    refuse(" union all select _row, id from customers", "the same columns in the same order");
    check("billsby", "customers.sql", "select\n", "delete from customers; select\n", &["exactly one SELECT"]);
}

#[test]
fn unified_tables_are_held_to_their_rules() {
    let refuse = |name: &str, from: &str, to: &str, expected: &[&str]| {
        let mut files: Vec<File> = names("unified").iter().map(|n| file("unified", n)).collect();
        let changed = files.iter_mut().find(|f| f.name() == name).unwrap();
        assert!(changed.text.contains(from));
        changed.text = changed.text.replacen(from, to, 1);
        let said = said(&entity::load(&files).expect_err(to));
        for part in expected {
            assert!(said.contains(part), "`{to}` says:\n{said}\nwithout `{part}`");
        }
    };
    let at = "connectors/unified/refunds.yaml:";
    refuse("refunds.yaml", "type: money", "type: mony", &["did you mean `money`?", at]);
    refuse("refunds.yaml", "meaning: Money", "meanin: Money", &["did you mean `meaning`?", at]);
    refuse(
        "refunds.yaml",
        "entity: credit_notes",
        "entity: credit_note",
        &["did you mean `credit_notes`?", at],
    );
    refuse(
        "refunds.yaml",
        "column: credit_note_id",
        "column: note_id",
        &["is not a text column of `refunds`", at],
    );
    refuse("refunds.yaml", "{ name: amount", "{ name: payment_id", &["`payment_id` is declared twice", at]);
    refuse("refunds.yaml", "{ name: amount", "{ name: deleted_at", &["added to every table by itself", at]);
    refuse("refunds.yaml", "{ name: amount", "{ name: Amount", &["not snake_case", at]);
    refuse("refunds.yaml", "{ name: id,", "{ name: key,", &["the first column must be `id`", at]);
    refuse("refunds.yaml", "columns:", "month: refunded_at\ncolumns:", &["has the month of its parent", at]);
    refuse("payments.yaml", "month: paid_date", "month: paid_dat", &["did you mean `paid_date`?"]);
    refuse("payments.yaml", "entity: payments", "entity: payment", &["must stand in `payment.yaml`"]);
}

#[test]
fn on_bad_can_be_said_both_ways() {
    let text = "entity: things\nmeaning: Things\ncolumns:\n  - { name: id, type: text, meaning: Key }\n  \
                - { name: a, type: money, meaning: A, on_bad: null }\n  - { name: b, type: text, meaning: B, on_bad: reject }\n";
    let files = [File { path: "things.yaml".into(), text: text.into() }];
    let entities = entity::load(&files).unwrap();
    let on_bad: Vec<OnBad> = entities["things"].columns.iter().map(|c| c.on_bad).collect();
    assert_eq!(on_bad, [OnBad::Reject, OnBad::Null, OnBad::Reject]);
}

/// As much of JSON Schema as connector.schema.json uses.
fn fits(schema: &Value, part: &Value, value: &Value) -> bool {
    if let Some(to) = part["$ref"].as_str() {
        return fits(schema, schema.pointer(&to[1..]).unwrap(), value);
    }
    if let Some(any) = part["anyOf"].as_array() {
        return any.iter().any(|p| fits(schema, p, value));
    }
    if let Some(words) = part["enum"].as_array() {
        return words.contains(value);
    }
    match part["type"].as_str().unwrap() {
        "string" => value.is_string(),
        "integer" => value.is_i64() && part["minimum"].as_i64().is_none_or(|m| value.as_i64() >= Some(m)),
        "array" => value.as_array().is_some_and(|a| a.iter().all(|v| fits(schema, &part["items"], v))),
        "object" => value.as_object().is_some_and(|map| {
            let required = part["required"].as_array().into_iter().flatten();
            required.into_iter().all(|key| map.contains_key(key.as_str().unwrap()))
                && map.iter().all(|(key, v)| match &part["properties"][key.as_str()] {
                    Value::Null => {
                        part["additionalProperties"].is_object()
                            && fits(schema, &part["additionalProperties"], v)
                    }
                    own => fits(schema, own, v),
                })
        }),
        other => panic!("{other}"),
    }
}

#[test]
fn both_connectors_fit_the_json_schema_and_a_wrong_one_does_not() {
    let schema = manifest::json_schema().unwrap();
    for name in ["billsby", "chargebee"] {
        let mut value: Value = file(name, "connector.yaml").read().unwrap();
        assert!(fits(&schema, &schema, &value), "{name}");
        value["streams"]["customers"]["page"]["kind"] = "cursor".into();
        assert!(!fits(&schema, &schema, &value), "{name}");
    }
    let mut value: Value = file("billsby", "connector.yaml").read().unwrap();
    value["budgett"] = 1.into();
    assert!(!fits(&schema, &schema, &value));
}

#[test]
fn what_is_personal_is_held_to_the_record_the_tables_and_the_other_streams() {
    let personal = "    personal:\n      of: [customer_id]\n      paths: [masked_card_number]\n";
    let cases = [
        ("paths: [masked_card_number]", "paths: [masked_card_numbr]", "did you mean `masked_card_number`"),
        ("paths: [masked_card_number]", "paths: [amount/x]", "`amount/x` is not a path of `record`"),
        ("paths: [masked_card_number]", "paths: [c*]", "`customer_id` cannot be personal"),
        ("beyond: [iin,", "beyond: [status,", "`status` is declared by `record`"),
        ("beyond: [iin,", "beyond: [a//b,", "`a//b` is not a path such as"),
        ("field: pii_cleared", "field: pii_clear", "`field: pii_clear` is not a text field of `record`"),
        ("via: subscriptions }]", "via: subscriptons }]", "did you mean `subscriptions`"),
        ("{ entity_type: customer }", "{ entity_typ: customer }", "`when` must be one `column: value`"),
        ("payment_sources, quotes] }", "payment_sources, quote] }", "did you mean `quotes`"),
        (
            "{ column: customer_id, at: content/customer/id }",
            "{ column: customer_id }",
            "`customer_id` is not a path",
        ),
        ("{ column: giver_customer_id,", "{ column: giver_id,", "no column `giver_id`"),
        (personal, "    erasure: { field: status, value: x }\n", "only one stream of a connector tells"),
    ];
    for (from, to, expected) in cases {
        let to = if from == personal { format!("{to}{personal}") } else { to.to_owned() };
        check("chargebee", "connector.yaml", from, &to, &[expected, CHARGEBEE]);
    }
    let text = file("chargebee", "connector.yaml").text;
    let from =
        text.find("    personal:\n      of: [{ column: customer_id, at: content/customer/id }]").unwrap();
    let whole = text[from..].split("    record:").next().unwrap();
    let left_out = "stream `hosted_pages` feeds `hosted_pages.url`, which is personal data";
    check("chargebee", "connector.yaml", whole, "", &[left_out, CHARGEBEE, "personal: { of:"]);
}

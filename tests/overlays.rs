//! Overlays: a pipeline's own columns of a table, one SELECT over what the mapping answers.
use crate::{
    postgres_server::Database,
    simulation::harness::{Bench, Effects, SimClock, Site, owner},
};
use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};
use tidegate::{
    app::project::Project,
    error::{Error, Kind},
    load::{
        Destination,
        lake::Lake,
        memory::{Memory, Store},
        postgres::Postgres,
    },
    manifest::{self, Connector, Overlay, Stream},
    sim::{
        Sim, truth,
        world::{Size, World},
    },
    sync::{self, Job, Normalizers, summary::Status},
    time::Timestamp,
    yaml::File,
};

const START: Timestamp = Timestamp::from_secs(1_750_000_000);

/// A main table, a child, and a table that two streams feed; one column overridden by its own value, one filled.
const OVERLAYS: [(&str, &str); 3] = [
    (
        "invoices",
        "-- Ours.\nselect * replace (upper(status_raw) as status_raw, concat('memo of ', id) as memo)\nfrom mapped",
    ),
    (
        "invoice_line_items",
        "select * except (tax_rate_id, net_amount), mapped.line_kind as tax_rate_id, add(net_amount, net_amount) as net_amount from mapped",
    ),
    (
        "payment_allocations",
        "select * replace (concat(kind, '!') as kind, local_date(applied_at, _zone) as applied_date) from mapped",
    ),
];

fn laid(connector: &Connector, overlays: &[(&str, &str)]) -> Result<Connector, Error> {
    let file = |(table, sql): &(&str, &str)| {
        let path = format!("pipelines/overlays/{table}.sql");
        ((*table).to_owned(), File { path, text: (*sql).to_owned() })
    };
    connector.clone().overlaid(&overlays.iter().map(file).collect::<Vec<_>>())
}

/// Invoices and credit notes; with overlays, or without.
fn job(bench: &Bench, overlaid: bool) -> Job {
    let mut job = bench.job(Site::Chargebee);
    if overlaid {
        job.connector = Arc::new(laid(&job.connector, &OVERLAYS).unwrap());
        job.streams = job.connector.streams.clone();
    }
    job.streams.retain(|s| ["invoices", "credit_notes"].contains(&s.name.as_str()));
    job
}

/// What the overlays above must make of the plain rows.
fn expected(mut tables: truth::Tables) -> truth::Tables {
    let each =
        |tables: &mut truth::Tables, table: &str, change: &dyn Fn(&str, &mut BTreeMap<String, String>)| {
            tables.get_mut(table).unwrap().iter_mut().for_each(|(id, row)| change(id, row));
        };
    each(&mut tables, "invoices", &|id, row| {
        let status = row["status_raw"].to_uppercase();
        row.insert("status_raw".into(), status);
        row.insert("memo".into(), format!("memo of {id}"));
    });
    each(&mut tables, "invoice_line_items", &|_, row| {
        let kind = row["line_kind"].clone();
        row.insert("tax_rate_id".into(), kind);
        if let Some(net) = row.get("net_amount").cloned() {
            row.insert("net_amount".into(), doubled(&net));
        }
    });
    each(&mut tables, "payment_allocations", &|_, row| {
        let kind = format!("{}!", row["kind"]);
        row.insert("kind".into(), kind);
    });
    tables
}

/// `table id column: found / wanted`, few of them.
fn differences(found: &truth::Tables, wanted: &truth::Tables) -> Vec<String> {
    assert!(found.keys().eq(wanted.keys()));
    let none = BTreeMap::new();
    let mut all = Vec::new();
    for ((table, found), wanted) in found.iter().zip(wanted.values()) {
        for id in found.keys().chain(wanted.keys()).collect::<std::collections::BTreeSet<_>>() {
            let (a, b) = (found.get(id).unwrap_or(&none), wanted.get(id).unwrap_or(&none));
            let columns = a.keys().chain(b.keys()).collect::<std::collections::BTreeSet<_>>();
            let differs = columns.into_iter().filter(|c| a.get(*c) != b.get(*c));
            all.extend(differs.map(|c| format!("{table} {id} {c}: {:?} / {:?}", a.get(c), b.get(c))));
        }
    }
    all.truncate(10);
    all
}

/// Twice a decimal text, digit by digit, as canonical rows write it.
fn doubled(text: &str) -> String {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let twice = format!("{whole}{fraction}").parse::<i128>().unwrap() * 2;
    let digits = format!("{:0>width$}", twice.abs(), width = fraction.len() + 1);
    let (whole, rest) = digits.split_at(digits.len() - fraction.len());
    let sign = if twice < 0 { "-" } else { "" };
    let rest = rest.trim_end_matches('0');
    if rest.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}

struct Stage {
    bench: Bench,
    sim: Arc<Mutex<Sim>>,
    clock: SimClock,
}

impl Stage {
    fn new() -> Self {
        let sim = Arc::new(Mutex::new(Sim::of(World::new(1, Size { customers: 30 }, START), 1, &[])));
        Self { bench: Bench::new(), sim, clock: SimClock::at(START) }
    }
    async fn sync<D: Destination>(&self, job: &Job, store: D) {
        let effects = Effects::new(None);
        let outcome = self.bench.attempt(job, &self.sim, &self.clock, store, &effects).await.unwrap();
        assert_eq!(outcome.summary.status, Status::Completed, "{:?}", outcome.error);
        self.clock.pass(Duration::from_secs(3_600));
    }
    async fn rows<D: Destination>(&self, job: &Job, mut store: D) -> truth::Tables {
        store.open(&owner(), &job.entities).await.unwrap();
        let rows = self.bench.current(job, &mut store).await;
        store.close().await.unwrap();
        rows
    }
    /// Laid over later: unchanged rows stay, a rebuild shows what changes and makes it.
    async fn rebuilds<D: Destination>(&self, store: impl AsyncFn() -> D) {
        let (plain, overlaid) = (job(&self.bench, false), job(&self.bench, true));
        self.sync(&plain, store().await).await;
        let wanted = expected(self.rows(&plain, store().await).await);
        self.sync(&overlaid, store().await).await;
        let before = self.rows(&overlaid, store().await).await;
        assert_ne!(before["invoices"], wanted["invoices"], "an unchanged row is not written again");
        let mut open = store().await;
        open.open(&owner(), &overlaid.entities).await.unwrap();
        for stream in &overlaid.streams {
            let shown =
                sync::rebuild(&overlaid, stream, &mut open, &self.bench.normalizers, false).await.unwrap();
            let invoices = shown.diffs.iter().find(|d| d.entity == "invoices");
            assert!(
                invoices.is_none_or(|d| d.changed > 10 && d.same + d.added + d.removed == 0),
                "{shown:?}"
            );
            sync::rebuild(&overlaid, stream, &mut open, &self.bench.normalizers, true).await.unwrap();
        }
        open.close().await.unwrap();
        assert_eq!(differences(&self.rows(&overlaid, store().await).await, &wanted), [""; 0]);
    }
}

#[tokio::test]
async fn an_overlay_changes_the_columns_it_names_and_nothing_else() {
    let stage = Stage::new();
    let (plain, overlaid) = (job(&stage.bench, false), job(&stage.bench, true));
    assert_ne!(plain.connector.mapping_hash, overlaid.connector.mapping_hash, "a rebuild is due");
    assert_eq!(plain.connector.hash, overlaid.connector.hash, "page tokens stay good");
    let (a, b) = (Arc::new(Mutex::new(Store::default())), Arc::new(Mutex::new(Store::default())));
    stage.sync(&plain, Memory::new(Arc::clone(&a))).await;
    stage.sync(&overlaid, Memory::new(Arc::clone(&b))).await;
    let (plain, found) =
        (stage.rows(&plain, Memory::new(a)).await, stage.rows(&overlaid, Memory::new(b)).await);
    let kinds: std::collections::BTreeSet<&str> =
        plain["payment_allocations"].values().map(|row| row["kind"].as_str()).collect();
    assert!(kinds.contains("payment") && kinds.contains("credit_note"), "both streams: {kinds:?}");
    assert_eq!(differences(&found, &expected(plain)), [""; 0]);
}

#[tokio::test]
async fn rows_stored_before_an_overlay_are_made_anew_by_a_rebuild_of_a_lake() {
    let folder = tempfile::tempdir().unwrap();
    Stage::new().rebuilds(async || Lake::new(folder.path().to_owned())).await;
}

#[tokio::test]
async fn rows_stored_before_an_overlay_are_made_anew_by_a_rebuild_of_postgres() {
    let database = Database::new().await;
    Stage::new().rebuilds(async || Postgres::connect(&database.secret()).await.unwrap()).await;
}

fn chargebee() -> Arc<Connector> {
    Arc::clone(&manifest::catalog(None).unwrap().connectors["chargebee"])
}

#[track_caller]
fn refused(table: &str, sql: &str, expected: &[&str]) {
    let error = laid(&chargebee(), &[(table, sql)]).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    let told = format!("{error} next: {}", error.next().unwrap_or_default());
    let file = format!("pipelines/overlays/{table}.sql");
    for part in expected.iter().chain([&file.as_str()]) {
        assert!(told.contains(part), "`{sql}`: no `{part}` in {told}");
    }
}

#[test]
fn an_overlay_keeps_rows_keys_and_columns() {
    refused("invoices", "select *\nfrom mapped\nwhere is_draft", &["once", ".sql:1", "case when"]);
    refused("invoices", "select distinct * from mapped", &["once"]);
    refused("invoices", "select * from mapped limit 3", &["lose rows"]);
    refused("invoices", "select * from mapped union all select * from mapped", &["without `union`"]);
    refused("invoices", "select * from mapped, mapped", &["joins are not allowed"]);
    refused("invoices", "select * from mapped join mapped m on true", &["joins are not allowed"]);
    refused(
        "invoices",
        "select * from invoices",
        &["an overlay of `invoices` cannot read `invoices`", "from mapped"],
    );
    refused("invoices", "select * from (select * from mapped)", &["cannot read"]);
    refused("invoices", "select * from mapped m", &["cannot read"]);
    refused("invoices", "select * replace (unnest(memo) as memo) from mapped", &["more rows"]);
    refused("invoices", "select * replace ('x' as id) from mapped", &["`id` says which row it is"]);
    refused("invoices", "select * except (id), memo as id from mapped", &["`id` says which row it is"]);
    refused("invoices", "select * except (_row) from mapped", &["`_row` says which row it is"]);
    for (table, column) in
        [("invoices", "customer_id"), ("comments", "entity_type"), ("usages", "subscription_id")]
    {
        let sql = format!("select * replace ('x' as {column}) from mapped");
        refused(table, &sql, &[&format!("`{column}` says whose data a record holds")]);
    }
    refused(
        "invoice_line_items",
        "select * replace (name as invoice_id) from mapped",
        &["`invoice_id` says which row"],
    );
    refused(
        "payment_allocations",
        "select * replace ('x' as owner_credit_note_id) from mapped",
        &["says which row"],
    );
    refused("invoices", "select id, memo from mapped", &["must select `_row`"]);
    refused(
        "invoices",
        "select _row, id, memo from mapped",
        &["leaves out column `number`", "null as number"],
    );
    refused("invoices", "select * except (memo) from mapped", &["leaves out column `memo`", "null as memo"]);
}

#[test]
fn an_overlay_names_known_columns_and_says_nothing_inexact() {
    refused(
        "invoices",
        "select *,\n memo as memmo\n from mapped",
        &["no column `memmo`", "did you mean `memo`", ".sql:2"],
    );
    refused(
        "invoices",
        "select * replace (\nupper(statusraw) as status_raw) from mapped",
        &["`mapped` has no column `statusraw`", "did you mean `status_raw`", ".sql:2"],
    );
    refused(
        "invoices",
        "select *, upper(memo) as memo from mapped",
        &["`memo` is given twice", "* except (memo)"],
    );
    refused(
        "invoices",
        "select * replace (1 as version) from mapped",
        &["`version` is added to every table"],
    );
    refused("invoices", "select * replace (other.memo as memo) from mapped", &["no column `other.memo`"]);
    refused("invoices", "select *, upper(memo) from mapped", &["have a name"]);
    refused("invoices", "select * rename (memo as po_number) from mapped", &["except (..)"]);
    refused("invoices", "select * replace (total * 1.19 as total) from mapped", &["`*` may wrap or round"]);
    refused("invoices", "select * replace (try_cast(memo as int) as attempts) from mapped", &["try_cast"]);
    refused(
        "invoices",
        "select * replace (cast(total as double) as total) from mapped",
        &["a cast to DOUBLE"],
    );
    refused(
        "invoices",
        "select * replace (random() as memo) from mapped",
        &["function `random` is not allowed"],
    );
    refused(
        "invoices",
        "select * replace (now() as issued_at) from mapped",
        &["function `now` is not allowed"],
    );
    refused("invoices", "select * replace ((select 1) as attempts) from mapped", &["overlays/invoices.sql"]);
    refused("invoices", "selec * from mapped", &["this is not SQL"]);
    refused("invoices", "select * from mapped; select 1", &["an overlay is exactly one SELECT"]);
}

async fn planned(overlays: &[(&str, &str)], stream: &str) -> Result<(), Error> {
    let connector = laid(&chargebee(), overlays)?;
    let stream: &Arc<Stream> = connector.streams.iter().find(|s| s.name == stream).unwrap();
    Normalizers::default().get(&connector, stream).await.map(|_| ())
}

#[tokio::test]
async fn an_overlay_whose_types_do_not_fit_is_told_with_line_column_and_types() {
    let sql = "select *\n  replace (memo as total)\nfrom mapped";
    let told = planned(&[("invoices", sql)], "invoices").await.unwrap_err().to_string();
    for part in ["column `total` holds money, the overlay answers Utf8", "overlays/invoices.sql", "line 2"] {
        assert!(told.contains(part), "{told}");
    }
    let sql = "select * replace (add(memo, total) as total) from mapped";
    let error = planned(&[("invoices", sql)], "invoices").await.unwrap_err();
    let told = format!("{error} {:?}", error.causes());
    assert!(told.contains("overlays/invoices.sql") && told.contains("add"), "{told}");
}

#[tokio::test]
async fn one_overlay_fits_every_mapping_of_its_table() {
    let sql = "select * replace (coalesce(payment_id, 'none') as payment_id) from mapped";
    planned(&[("payment_allocations", sql)], "invoices").await.unwrap();
    planned(&[("payment_allocations", sql)], "credit_notes").await.unwrap();
    let sql = "select _row, id, payment_id, invoice_id, kind, amount, applied_at, applied_date, null as reversed_at, \
               owner_invoice_id, owner_credit_note_id from mapped";
    planned(&[("payment_allocations", sql)], "credit_notes").await.unwrap();
}

/// What lint lets nobody write, held when it runs: the law of conservation.
#[tokio::test]
async fn an_overlay_that_lost_rows_or_keys_all_the_same_ends_the_sync_and_stores_nothing() {
    for sql in [
        "select * from mapped where id <> (select min(id) from mapped)",
        "select * from mapped union all select * from mapped",
        "select * replace (concat(id, '-') as id) from mapped",
    ] {
        let stage = Stage::new();
        let mut job = job(&stage.bench, false);
        let overlay =
            Overlay { file: "pipelines/overlays/o.sql".into(), sql: sql.into(), ..Overlay::default() };
        let mut connector = job.connector.as_ref().clone();
        connector.mapping_hash = sql.into();
        let lay = |stream: &Arc<Stream>| {
            let mut stream = stream.as_ref().clone();
            for feed in stream.feeds.iter_mut().filter(|f| f.entity.name == "invoice_line_items") {
                feed.overlay = Some(Arc::new(overlay.clone()));
            }
            Arc::new(stream)
        };
        connector.streams = connector.streams.iter().map(lay).collect();
        job.streams = connector.streams.iter().filter(|s| s.name == "invoices").cloned().collect();
        job.connector = Arc::new(connector);
        let memory = Arc::new(Mutex::new(Store::default()));
        let effects = Effects::new(None);
        let store = Memory::new(Arc::clone(&memory));
        let outcome = stage.bench.attempt(&job, &stage.sim, &stage.clock, store, &effects).await.unwrap();
        let told = format!("{:?} {:?}", outcome.error, outcome.summary);
        assert!(
            told.contains("every row of `mapped` once") && told.contains("overlays/o.sql"),
            "{sql}: {told}"
        );
        let rows = stage.rows(&job, Memory::new(memory)).await;
        assert!(rows.values().all(BTreeMap::is_empty), "{sql}");
    }
}

fn project(overlays: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("pipelines/overlays")).unwrap();
    let text = format!(
        "pipeline: a\ntenant: a\nsource:\n  connector: chargebee\n  connection:\n    site: a\n    \
         api_key: {{ env: KEY }}\n    time_zone: UTC\ndestination: {{ lake: ./lake }}\n{overlays}"
    );
    fs::write(folder.path().join("pipelines/a.yaml"), text).unwrap();
    fs::write(folder.path().join(".env"), "KEY=k\n").unwrap();
    files.iter().for_each(|(name, sql)| fs::write(folder.path().join("pipelines").join(name), sql).unwrap());
    folder
}

#[test]
fn an_overlay_that_cannot_be_found_is_told_with_its_place_and_path() {
    let cases = [
        ("overlays: { invoces: overlays/x.sql }", "feeds no table `invoces`", "did you mean `invoices`"),
        ("overlays: { plan: overlays/x.sql }", "feeds no table `plan`", "did you mean `plans`"),
        ("overlays: { invoices: overlays/y.sql }", "pipelines/overlays/y.sql", "paths are below pipelines/"),
        (
            "overlays: { invoices: ../x.sql }",
            "`../x.sql` is not a .sql file below pipelines/",
            "overlays/acme_invoices.sql",
        ),
        (
            "overlays: { invoices: /etc/x.sql }",
            "is not a .sql file below pipelines/",
            "overlays/acme_invoices.sql",
        ),
        ("overlays: { invoices: overlays/../../x.sql }", "is not a .sql file below pipelines/", ""),
        ("overlays: { invoices: x.txt }", "is not a .sql file below pipelines/", ""),
        ("overlays: { invoices: [x.sql] }", "expected", ""),
        ("overlay: { invoices: x.sql }", "unknown key `overlay`", "overlays"),
    ];
    for (overlays, expected, hint) in cases {
        let folder = project(overlays, &[("overlays/x.sql", "select * from mapped")]);
        let project = Project::open(folder.path()).unwrap();
        let error = project.pipeline("a").and_then(|p| project.connector(&p).map(|_| ())).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        let told = error.to_string();
        assert!(told.contains(expected) && told.contains("pipelines/a.yaml:10"), "{told}");
        assert!(error.next().unwrap_or_default().contains(hint), "{:?}", error.next());
    }
}

#[test]
fn promoted_fields_and_policies_come_after_the_overlay() {
    let custom = "custom: { customers: { cf_region: text } }\n";
    let sql = "select * replace (concat(memo, '') as memo) from mapped";
    let folder = project(&format!("{custom}overlays: {{ invoices: o.sql }}\n"), &[("o.sql", sql)]);
    let project_ = Project::open(folder.path()).unwrap();
    let connector = project_.connector(&project_.pipeline("a").unwrap()).unwrap();
    assert_eq!(connector.overlays().keys().collect::<Vec<_>>(), [&"invoices"]);
    let feeds = connector.streams.iter().flat_map(|s| &s.feeds);
    assert!(feeds.clone().any(|f| f.entity.column("cf_region").is_some_and(|c| c.promoted)));
    let sql = "select * replace ('x' as cf_region) from mapped";
    let folder = project(&format!("{custom}overlays: {{ customers: o.sql }}\n"), &[("o.sql", sql)]);
    let project_ = Project::open(folder.path()).unwrap();
    let error = project_.connector(&project_.pipeline("a").unwrap()).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("`customers` has no column `cf_region`"), "{error}");
}

#[tokio::test]
async fn the_example_of_the_readme_fits_invoices() {
    let readme = fs::read_to_string("pipelines/README.md").unwrap();
    let (_, after) = readme.split_once("# Overlays").unwrap();
    let example = after.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(example.contains("from mapped"), "{example}");
    planned(&[("invoices", example)], "invoices").await.unwrap();
}

#[test]
fn a_column_made_of_personal_data_is_personal_and_one_made_of_others_is_not() {
    let sql = "select * replace (concat(country, email) as country, upper(state) as state) from mapped";
    let folder = project("overlays: { customers: o.sql }\n", &[("o.sql", sql)]);
    let project = Project::open(folder.path()).unwrap();
    let connector = project.connector(&project.pipeline("a").unwrap()).unwrap();
    let feeds = connector.streams.iter().flat_map(|s| &s.feeds);
    let entity = feeds.into_iter().find(|f| f.entity.name == "customers").unwrap().entity.clone();
    let pii = |name: &str| entity.column(name).unwrap().pii;
    assert_eq!((pii("country"), pii("state"), pii("email")), (true, false, true));
}

#[test]
fn fields_promoted_from_an_overlay_do_not_show_what_a_policy_hides() {
    let sql = "select * replace (json_object('cf_x', email) as custom_fields) from mapped";
    let open = |columns: &str| {
        let own = "custom: { customers: { cf_x: text } }\noverlays: { customers: o.sql }\n";
        let folder = project(&format!("raw: drop\ncolumns: {{ {columns} }}\n{own}"), &[("o.sql", sql)]);
        let project = Project::open(folder.path()).unwrap();
        project.pipeline("a").and_then(|p| project.connector(&p)).map(|_| ())
    };
    let error = open("email: hash, customers.custom_fields: drop").unwrap_err();
    assert!(error.to_string().contains("would hold what the policy of `customers.email` hides"), "{error}");
    open("customers.custom_fields: drop").unwrap();
}

#[test]
fn an_overlay_cannot_store_elsewhere_what_a_policy_hides() {
    let open = |columns: &str, sql: &str| {
        let folder = project(&format!("{columns}overlays: {{ customers: o.sql }}\n"), &[("o.sql", sql)]);
        let project = Project::open(folder.path()).unwrap();
        project.pipeline("a").and_then(|p| project.connector(&p)).map(|_| ())
    };
    let hidden = "raw: drop\ncolumns: { email: hash, phone: drop, first_name: drop }\n";
    for sql in [
        "select *\n replace (lower(email) as external_ref) from mapped",
        "select * except (country),\n concat(country, mapped.phone) as country from mapped",
        "select *\n replace (email as company) from mapped",
    ] {
        open("", sql).unwrap();
        let error = open(hidden, sql).unwrap_err();
        let told = error.to_string();
        assert!(
            told.contains("would hold what the policy of `customers.") && told.contains("o.sql:2"),
            "{told}"
        );
    }
    open(
        hidden,
        "select * replace (lower(email) as email, email as first_name, city as country) from mapped",
    )
    .unwrap();
}

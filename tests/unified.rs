//! The unified tables of Chargebee to the last column: what is promised, what is filled, what stays NULL.
use crate::simulation::{
    harness::{Bench, Effects, SimClock, Site, owner, set_catalog, set_size},
    rows,
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};
use tidegate::{
    app::{
        connectors,
        promises::{self, CELLS},
    },
    checkpoint::Errand,
    decode::{Decoder, Keys, Page},
    load::{
        Destination,
        memory::{Memory, Store},
    },
    manifest::{self, Cursor},
    normalize::{Facts, Normalizer},
    sim::{
        Sim, truth,
        world::{Size, World},
    },
    sync::{Job, summary::Status},
    time::Timestamp,
};

const START: Timestamp = Timestamp::from_secs(1_750_000_000);

/// Pages as large as the provider allows: the world is big.
fn job(bench: &Bench, site: Site) -> Job {
    let mut job = bench.job(site);
    for stream in &mut job.streams {
        let mut large = stream.as_ref().clone();
        set_size(&mut large.paging, 100);
        *stream = Arc::new(large);
    }
    job
}

/// table -> columns that hold something in some row, deleted ones included.
async fn filled(site: Site, into: &mut BTreeMap<String, BTreeSet<String>>) {
    let bench = Bench::new();
    let mut sim = Sim::of(World::new(11, Size { customers: 120 }, START), 11, &[]);
    set_catalog(&mut sim, site);
    let (sim, clock) = (Arc::new(Mutex::new(sim)), SimClock::at(START));
    let (store, job) = (Arc::new(Mutex::new(Store::default())), job(&bench, site));
    // Some things are only there for a while: a pause, a retry that is due.
    for moment in 0..4_u64 {
        let now = START.plus(Duration::from_secs(moment * 9 * 86_400));
        sim.lock().unwrap().advance(now);
        clock.0.fetch_max(now.0 + 3_600_000_000, std::sync::atomic::Ordering::SeqCst);
        let destination = Memory::new(Arc::clone(&store));
        let outcome = bench.attempt(&job, &sim, &clock, destination, &Effects::new(None)).await.unwrap();
        assert_eq!(outcome.summary.status, Status::Completed, "{:?}", outcome.error);
        let mut destination = Memory::new(Arc::clone(&store));
        destination.open(&owner(), &job.entities).await.unwrap();
        for (table, rows) in bench.current(&job, &mut destination).await {
            let columns = rows.into_values().flat_map(|row| row.into_keys());
            into.entry(table).or_default().extend(columns);
        }
        destination.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_column_is_null_in_every_row_exactly_when_it_is_shown_as_not_given() {
    let mut found = BTreeMap::new();
    filled(Site::Chargebee, &mut found).await;
    filled(Site::ChargebeeCatalog1, &mut found).await;
    let catalog = manifest::catalog(None).unwrap();
    let shown = connectors::show(&catalog, "chargebee").unwrap();
    let told: BTreeMap<&str, &Vec<String>> =
        shown.not_given.iter().map(|n| (n.table.as_str(), &n.columns)).collect();
    let mut wrong = Vec::new();
    for (table, filled) in &found {
        for column in catalog.entities[table].columns.iter().map(|c| &c.name) {
            let listed = told.get(table.as_str()).is_some_and(|columns| columns.contains(column));
            if listed == filled.contains(column) {
                wrong.push(format!("{table}.{column} is {}", if listed { "filled" } else { "NULL" }));
            }
        }
    }
    assert!(wrong.is_empty(), "{} columns are not as they are told:\n{}", wrong.len(), wrong.join("\n"));
    assert!(told.len() > 8 && found.len() > 30, "{} {}", told.len(), found.len());
}

#[tokio::test]
async fn a_sweep_proves_deletes_of_exactly_the_streams_of_which_it_is_said() {
    let bench = Bench::new();
    let mut proven = BTreeMap::new();
    for site in [Site::Chargebee, Site::ChargebeeCatalog1] {
        let mut sim = Sim::of(World::new(3, Size { customers: 12 }, START), 3, &[]);
        set_catalog(&mut sim, site);
        let (sim, clock) = (Arc::new(Mutex::new(sim)), SimClock::at(START));
        let (store, mut job) = (Arc::new(Mutex::new(Store::default())), job(&bench, site));
        let memory = || Memory::new(Arc::clone(&store));
        let done = bench.attempt(&job, &sim, &clock, memory(), &Effects::new(None)).await.unwrap();
        assert_eq!(done.summary.status, Status::Completed, "{:?}", done.error);
        clock.pass(Duration::from_secs(3_600));
        let offered =
            |name: &str| done.summary.streams.iter().any(|s| s.stream == name && s.not_offered.is_none());
        job.streams.retain(|s| matches!(s.cursor, Cursor::Window { .. }) && offered(&s.name));
        let errand = Errand::Sweep { ids_only: false };
        let swept = bench.repair(&job, &errand, &sim, &clock, memory(), &Effects::new(None)).await.unwrap();
        assert_eq!(swept.summary.status, Status::Completed, "{:?}", swept.error);
        proven.extend(swept.summary.streams.iter().map(|s| (s.stream.clone(), s.unproven.is_none())));
    }
    let shown = connectors::show(&bench.catalog, "chargebee").unwrap();
    let said = shown.streams.iter().filter(|s| s.sweep != "not needed");
    let said: BTreeMap<String, bool> =
        said.map(|s| (s.stream.clone(), s.sweep.contains("proves deletes"))).collect();
    assert_eq!(said, proven);
    assert!(proven.len() > 18 && proven.values().any(|p| !p), "{proven:?}");
}

/// The README's page, as the connector tells it.
fn page() -> String {
    let catalog = manifest::catalog(None).unwrap();
    let shown = connectors::show(&catalog, "chargebee").unwrap();
    let mut page = format!("| streams | {} |\n|{}\n", CELLS.join(" | "), "---|".repeat(CELLS.len() + 1));
    for (streams, cells) in promises::groups(&shown.streams) {
        let _ = writeln!(page, "| {} | {} |", streams.join(", "), cells.join(" | "));
    }
    page.push_str(
        "\n| table | columns that Chargebee does not give: NULL | of these in `v_<table>` |\n|---|---|---|\n",
    );
    for missing in &shown.not_given {
        let _ = writeln!(
            page,
            "| {} | {} | {} |",
            missing.table,
            missing.columns.join(", "),
            missing.in_view.join(", ")
        );
    }
    page
}

#[test]
fn the_readme_says_of_every_stream_what_the_connector_says_to_the_last_cell() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let begin = "<!-- tidegate connectors show chargebee -->\n";
    let (before, rest) = readme.split_once(begin).expect("the README has the page's begin");
    let (found, after) = rest.split_once("<!-- end -->").expect("the README has the page's end");
    if std::env::var_os("TIDEGATE_WRITE_README").is_some() {
        std::fs::write("README.md", format!("{before}{begin}{}<!-- end -->{after}", page())).unwrap();
    }
    assert_eq!(
        found,
        page(),
        "TIDEGATE_WRITE_README=1 cargo test --test main the_readme_says writes it anew"
    );
}

/// The children of one record of a stream.
async fn children(stream: &str, table: &str, body: &str) -> truth::Rows {
    let bench = Bench::new();
    let connector = &bench.catalog.connectors["chargebee"];
    let stream = connector.streams.iter().find(|s| s.name == stream).unwrap();
    let keys = Keys {
        key: stream.key.clone(),
        version: stream.version.clone(),
        updated: stream.updated.clone(),
        deleted: stream.deleted.clone(),
    };
    let mut decoder = Decoder::new(&stream.name, &stream.record, &keys).unwrap();
    let body = Bytes::copy_from_slice(body.as_bytes());
    let records = std::iter::once(0..body.len()).collect();
    decoder.push(&Page { body, records, next: None, total: None, asked_at: START });
    let (records, rejects) = decoder.finish().unwrap();
    assert!(rejects.is_empty(), "{rejects:?}");
    let normalizer = Normalizer::new(connector, stream, &records.batch.schema()).await.unwrap();
    let facts = Facts { owner: owner(), time_zone: chrono_tz::UTC };
    let done = normalizer.run(&facts, &records).await.unwrap();
    assert!(done.rejects.is_empty(), "{:?}", done.rejects);
    let rows = done.rows.unwrap();
    let (_, batch) = rows.children.iter().find(|(entity, _)| entity.name == table).unwrap();
    rows::canonical(std::slice::from_ref(batch))
}

/// `id: column=value ..`, sorted, of these columns.
fn told(rows: &truth::Rows, columns: &[&str]) -> Vec<String> {
    let cells = |row: &truth::Columns| -> Vec<String> {
        columns.iter().filter_map(|c| row.get(*c).map(|v| format!("{c}={v}"))).collect()
    };
    rows.iter().map(|(id, row)| format!("{id}: {}", cells(row).join(" "))).collect()
}

const OLD_PARTS: &str = r#""plan_id":"x","plan_quantity":2,"plan_unit_price":1050,"plan_amount":2100,
    "remaining_billing_cycles":7,
    "addons":[{"id":"x","quantity":3,"unit_price":100,"amount":300,"remaining_billing_cycles":4}],
    "event_based_addons":[{"id":"x","quantity":1,"unit_price":500,"on_event":"subscription_creation"},
                          {"id":"x","quantity":1,"unit_price":500,"on_event":"subscription_cancellation"}]"#;

#[tokio::test]
async fn plan_addons_and_events_of_catalog_1_are_items_even_under_one_id() {
    let body = format!(r#"{{"id":"s","currency_code":"USD",{OLD_PARTS}}}"#);
    let rows = children("subscriptions", "subscription_items", &body).await;
    let columns = [
        "item_id",
        "price_id",
        "item_kind",
        "quantity",
        "unit_amount",
        "amount",
        "remaining_cycles",
        "is_recurring",
    ];
    assert_eq!(
        told(&rows, &columns),
        [
            "s:addon:x: item_id=x item_kind=addon quantity=3 unit_amount=1 amount=3 remaining_cycles=4 is_recurring=true",
            "s:plan:x: item_id=x item_kind=plan quantity=2 unit_amount=10.5 amount=21 remaining_cycles=7 is_recurring=true",
            "s:subscription_cancellation:x: item_id=x item_kind=charge quantity=1 unit_amount=5 is_recurring=false",
            "s:subscription_creation:x: item_id=x item_kind=charge quantity=1 unit_amount=5 is_recurring=false",
        ]
    );
}

#[tokio::test]
async fn a_subscription_that_shows_both_shapes_is_counted_once() {
    let items =
        r#""subscription_items":[{"item_price_id":"x-USD","item_type":"plan","quantity":2,"amount":2100}]"#;
    let body = format!(r#"{{"id":"s","currency_code":"USD",{items},{OLD_PARTS}}}"#);
    let rows = children("subscriptions", "subscription_items", &body).await;
    assert_eq!(told(&rows, &["price_id", "item_id", "amount"]), ["s:x-USD: price_id=x-USD amount=21"]);
}

#[tokio::test]
async fn a_tax_has_the_rate_and_jurisdiction_of_its_lines_when_they_agree() {
    let tax = |line: &str, name: &str, rate: &str| {
        format!(
            r#"{{"line_item_id":"{line}","tax_name":"{name}","tax_rate":{rate},"tax_juris_name":"{name} land"}}"#
        )
    };
    let taxes =
        [tax("a", "VAT", "19"), tax("b", "VAT", "19.0"), tax("b", "City", "1.5"), tax("c", "City", "2")];
    let body = format!(
        r#"{{"id":"i","currency_code":"EUR","status":"paid","date":1700000000,
            "line_items":[{{"id":"a","amount":1}},{{"id":"b","amount":1}},{{"id":"c","amount":1}},{{"id":"d","amount":1}}],
            "taxes":[{{"name":"VAT","amount":38}},{{"name":"City","amount":4}},{{"name":"None","amount":0}}],
            "line_item_taxes":[{}]}}"#,
        taxes.join(",")
    );
    let lines = children("invoices", "invoice_line_items", &body).await;
    assert_eq!(told(&lines, &["tax_rate_id"]), ["a: tax_rate_id=VAT", "b: ", "c: tax_rate_id=City", "d: "]);
    let taxes = children("invoices", "invoice_taxes", &body).await;
    assert_eq!(
        told(&taxes, &["name", "rate", "jurisdiction"]),
        [
            "i:tax:0: name=VAT rate=19 jurisdiction=VAT land",
            "i:tax:1: name=City jurisdiction=City land",
            "i:tax:2: name=None",
        ]
    );
}

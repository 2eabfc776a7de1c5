//! `verify`: two destinations agree, and each planted fault is found, named, and nothing else is.
use super::{
    site::{Served, company},
    stage::Stage,
};
use crate::postgres_server::Database;
use serde_json::Value;
use sqlx::{Executor, PgConnection};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tidegate::{
    sim::{Sim, world::model::Row},
    time::Timestamp,
    wire::{Handler, Request, Response},
};

/// Pipelines `acme` into a lake and `acme_pg` into Postgres, of one site, both synced.
fn twins(site: &Served, database: &Database) -> Stage {
    let stage = Stage::simulated(&site.chargebee());
    let env = stage.read(".env");
    stage.write(".env", &format!("{env}DATABASE_URL={}\n", database.url()));
    let twin = stage.read("pipelines/acme.yaml").replace("pipeline: acme", "pipeline: acme_pg");
    stage.write(
        "pipelines/acme_pg.yaml",
        &twin.replace("{ lake: ./lake }", "{ postgres: { env: DATABASE_URL } }"),
    );
    stage.run(&["sync"]).expect(0);
    stage
}

async fn run(conn: &mut PgConnection, sql: &str) -> u64 {
    conn.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.unwrap().rows_affected()
}

async fn one(conn: &mut PgConnection, sql: &str) -> String {
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(conn).await.unwrap()
}

/// Tables that differ, each with its differing rows as `what id columns`.
fn told(report: &Value) -> BTreeMap<String, Vec<String>> {
    let tables = report["tables"].as_array().unwrap();
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let row = |d: &Value| {
        let columns: Vec<String> = d["columns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| format!(" {}={}/{}", c["column"].as_str().unwrap(), c["here"], c["there"]))
            .collect();
        format!("{} {}{}", text(&d["what"]), text(&d["id"]), columns.concat().replace('"', ""))
    };
    let differs = tables.iter().filter(|t| t["equal"] == false);
    differs
        .map(|t| (text(&t["table"]), t["differences"].as_array().unwrap().iter().map(row).collect()))
        .collect()
}

fn compared(stage: &Stage, code: i32) -> Value {
    stage.run(&["verify", "acme_pg", "--against", "acme", "-o", "json"]).expect(code).json()
}

fn count(report: &Value, table: &str, what: &str) -> u64 {
    report["tables"].as_array().unwrap().iter().find(|t| t["table"] == table).unwrap()[what].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_and_postgres_agree_and_each_planted_fault_is_localized_and_nothing_else_is_reported() {
    let (site, database) = (Served::company(60), Database::new().await);
    let stage = twins(&site, &database);
    let whole = compared(&stage, 0);
    assert_eq!(whole["equal"], true);
    assert_eq!(told(&whole), BTreeMap::new());
    for table in whole["tables"].as_array().unwrap() {
        assert_eq!(table["here"], table["there"], "{}", table["table"]);
    }
    assert!(count(&whole, "invoices", "missing") == 0 && whole["tables"][0]["groups"].is_array());

    let conn = &mut database.session().await;
    // Pain 20: no proof that everything arrived. A cent, an allocation, a document, a page, a double.
    let line = one(conn, "select id from billing.invoice_line_items order by id offset 7 limit 1").await;
    let cent = |by: &str| {
        format!("update billing.invoice_line_items set amount = amount {by} 0.01 where id = '{line}'")
    };
    assert_eq!(run(conn, &cent("+")).await, 1);
    let report = compared(&stage, 5);
    let found = told(&report);
    assert_eq!(found.len(), 1, "{found:?}");
    let [said] = &found["invoice_line_items"][..] else { panic!("{found:?}") };
    assert!(said.starts_with(&format!("changed {line} amount=")), "{said}");
    let table = report["tables"].as_array().unwrap().iter().find(|t| t["equal"] == false).unwrap();
    let groups: Vec<&Value> =
        table["groups"].as_array().unwrap().iter().filter(|g| g["differing"] != 0).collect();
    assert_eq!(groups.len(), 1, "one month and currency");
    assert!(table["differences"][0]["document"].is_string());
    let text = stage.run(&["verify", "acme_pg", "--against", "acme"]).expect(5).out;
    assert!(text.contains("not the same") && text.contains(&format!("{line} of ")), "{text}");
    run(conn, &cent("-")).await;

    let keep = "create table kept as select * from billing.payment_allocations where id = \
                (select id from billing.payment_allocations where kind = 'payment' order by id limit 1)";
    run(conn, keep).await;
    let lost = one(conn, "select id from kept").await;
    run(conn, "delete from billing.payment_allocations where id in (select id from kept)").await;
    let found = told(&compared(&stage, 5));
    assert_eq!(found, [("payment_allocations".to_owned(), vec![format!("missing {lost}")])].into());
    run(conn, "insert into billing.payment_allocations select * from kept; drop table kept").await;

    run(conn, "create table kept as select * from billing.invoices order by id offset 11 limit 1").await;
    let lost = one(conn, "select id from kept").await;
    run(conn, "delete from billing.invoices where id in (select id from kept)").await;
    let report = compared(&stage, 5);
    assert_eq!(told(&report), [("invoices".to_owned(), vec![format!("missing {lost}")])].into());
    assert_eq!(report["gaps"][0]["from"], lost.as_str(), "the hole in the numbers says it too");
    let alone = stage.run(&["verify", "acme_pg"]).expect(0).out;
    assert!(
        alone.contains(&format!("next: tidegate backfill acme_pg --stream invoices --ids {lost}")),
        "{alone}"
    );
    run(conn, "insert into billing.invoices select * from kept; drop table kept").await;

    run(conn, "create table kept as select * from billing.invoices order by issue_date, id limit 30").await;
    run(conn, "delete from billing.invoices where id in (select id from kept)").await;
    let report = compared(&stage, 5);
    assert_eq!(told(&report).into_keys().collect::<Vec<_>>(), ["invoices"]);
    assert_eq!((count(&report, "invoices", "missing"), count(&report, "invoices", "changed")), (30, 0));
    assert_eq!(told(&report)["invoices"].len(), 20, "the first ids");
    run(conn, "insert into billing.invoices select * from kept; drop table kept").await;

    run(
        conn,
        "create table kept as select * from billing.payments order by id limit 1; \
         update kept set id = id || '-again'; insert into billing.payments select * from kept",
    )
    .await;
    let double = one(conn, "select id from kept").await;
    let found = told(&compared(&stage, 5));
    assert_eq!(found, [("payments".to_owned(), vec![format!("extra {double}")])].into());
    run(conn, "delete from billing.payments where id in (select id from kept)").await;

    assert_eq!(compared(&stage, 0)["equal"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn destinations_that_were_synced_at_different_times_agree_on_children_of_changed_documents() {
    let (site, sim) = changing(30);
    let database = Database::new().await;
    let stage = twins(&site, &database);
    edit(&sim, 3);
    // Of the site's present nothing is in a window yet; a first load reads it.
    stage.run(&["state", "reset", "acme", "--all", "--yes"]).expect(0);
    stage.run(&["sync", "acme"]).expect(0);
    let mut found = told(&compared(&stage, 5));
    // That the document was changed is an event of its own.
    found.remove("events");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found["invoices"][0].contains("po_number="), "{found:?}");

    let third = stage.read("pipelines/acme.yaml").replace("pipeline: acme", "pipeline: third");
    stage.write("pipelines/third.yaml", &third);
    stage.run(&["sync", "third"]).expect(0);
    let report = stage.run(&["verify", "third", "--against", "acme", "-o", "json"]).expect(0).json();
    assert_eq!(report["equal"], true, "the lines of `acme` have their document's older version");
}

/// A site whose world the test can change.
pub(super) struct Behind(pub(super) Arc<Mutex<Sim>>);

impl Handler for Behind {
    fn handle(&mut self, now: Timestamp, request: &Request) -> Response {
        self.0.lock().unwrap().handle(now, request)
    }
}

pub(super) fn changing(customers: usize) -> (Served, Arc<Mutex<Sim>>) {
    let sim = Arc::new(Mutex::new(company(customers, &[])));
    (Served::new(Behind(Arc::clone(&sim))), sim)
}

pub(super) fn edit(sim: &Mutex<Sim>, nth: usize) {
    let mut sim = sim.lock().unwrap();
    let at = sim.world().invoices().at(nth).unwrap();
    sim.world_mut().edit_invoice(at, |invoice| invoice.po_number = Some("PO-9".into()));
}

#[test]
fn a_fresh_read_finds_what_never_arrived_and_leaves_out_what_changed_since_the_sync() {
    let (site, sim) = changing(40);
    let stage = Stage::simulated(&site.chargebee());
    let rows: Vec<Row> = {
        let mut sim = sim.lock().unwrap();
        let world = sim.world();
        let lost: Vec<Row> = (10..13).map(|n| Row::Invoice(world.invoices().at(n).unwrap())).collect();
        lost.iter().for_each(|row| sim.hide(*row, true));
        lost
    };
    stage.run(&["sync"]).expect(0);
    let before = stage.run(&["state", "export", "acme"]).expect(0).out;
    stage.run(&["verify", "acme", "--source"]).expect(2);
    let equal = stage.run(&["verify", "acme", "--source", "--yes", "-o", "json"]).expect(0).json();
    assert!(equal["requests"].as_u64().unwrap() > 5);
    edit(&sim, 30);
    let ids: Vec<String> = {
        let mut sim = sim.lock().unwrap();
        rows.iter().for_each(|row| sim.hide(*row, false));
        rows.iter().map(|row| sim.world().id(*row).to_owned()).collect()
    };
    let done =
        stage.run(&["verify", "acme", "--source", "--yes", "--stream", "invoices", "-o", "json"]).expect(5);
    assert!(done.err.contains("about "), "{}", done.err);
    let report = done.json();
    let missing: Vec<String> = ids.iter().map(|id| format!("missing {id}")).collect();
    let found = told(&report);
    assert_eq!(found["invoices"], missing);
    assert_eq!(count(&report, "invoices", "not_synced_yet"), 1);
    let others = found.iter().filter(|(table, _)| *table != "invoices").flat_map(|(_, rows)| rows);
    assert!(others.into_iter().all(|row| row.starts_with("missing ")), "only their children: {found:?}");
    assert_eq!(report["next"][0], "tidegate sweep acme --mode full");
    assert_eq!(
        stage.run(&["state", "export", "acme"]).expect(0).out,
        before,
        "the stored state is untouched"
    );
    assert!(!stage.path(".tidegate/verify/acme").exists(), "nothing is left behind");
}

#[test]
fn a_fresh_read_that_runs_out_of_requests_goes_on_where_it_stopped() {
    let site = Served::company(120);
    let stage = Stage::simulated(&site.chargebee());
    stage.run(&["sync"]).expect(0);
    let mut codes = Vec::new();
    while codes.last() != Some(&0) {
        assert!(codes.len() < 20, "{codes:?}");
        let asked = ["verify", "acme", "--source", "--yes", "--max-requests", "28"];
        codes.push(stage.run(&asked).code.unwrap());
    }
    assert!(codes.len() > 1 && codes.iter().rev().skip(1).all(|c| *c == 7), "{codes:?}");
}

#[test]
fn what_cannot_be_compared_is_refused_with_the_reason() {
    let site = Served::company(3);
    let stage = Stage::simulated(&site.chargebee());
    let never = stage.run(&["verify", "acme", "-o", "json"]).expect(2).error();
    assert_eq!(never["what"], "nothing of `acme` was synced yet");
    stage.run(&["sync"]).expect(0);
    stage.run(&["verify", "acme", "--against", "acme"]).expect(2);
    stage.run(&["verify", "acme", "--against", "acmee"]).expect(2);
    stage.run(&["verify", "acme", "--source", "--against", "acme"]).expect(2);
    stage.run(&["verify", "acme", "--max-requests", "3"]).expect(2);
    let other = stage.read("pipelines/acme.yaml").replace("pipeline: acme", "pipeline: other");
    stage.write("pipelines/other.yaml", &other.replace("Europe/Berlin", "UTC"));
    let zone = stage.run(&["verify", "acme", "--against", "other", "-o", "json"]).expect(2).error();
    assert_eq!(zone["context"]["differs_in"], "time_zone");
    let held = stage.run(&["verify", "acme"]).expect(0).out;
    assert!(held.contains("acme as it is stored") && held.contains("customers"), "{held}");
}

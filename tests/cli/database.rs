//! Postgres as the destination of the real binary.
use super::{
    site::Served,
    stage::{Running, Stage},
    tables,
};
use crate::postgres_server::Database;
use sqlx::{Executor, PgConnection};

fn stage(site: &Served, database: &Database) -> Stage {
    let stage = Stage::simulated(&site.chargebee());
    let env = stage.read(".env");
    stage.write(".env", &format!("{env}DATABASE_URL={}\n", database.url()));
    stage.edit("{ lake: ./lake }", "{ postgres: { env: DATABASE_URL } }");
    stage
}

async fn run(conn: &mut PgConnection, sql: &str) {
    conn.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.unwrap();
}

async fn text(conn: &mut PgConnection, sql: &str) -> String {
    let sql = sqlx::AssertSqlSafe(format!("select coalesce(string_agg(v::text, ' '), '') from ({sql}) q(v)"));
    sqlx::query_scalar(sql).fetch_one(conn).await.unwrap()
}

/// Rows of all tables and models, without what differs from run to run, as JSON in a fixed order.
fn answers(stage: &Stage) -> Vec<(String, Vec<String>)> {
    let catalog = tidegate::manifest::catalog(None).unwrap();
    let of_catalog_1 = ["plans", "addons"];
    let entities = catalog.entities.into_keys().filter(|name| !of_catalog_1.contains(&name.as_str()));
    let models = tidegate::model::all().unwrap().into_iter().map(|m| m.name);
    let names: Vec<String> = entities.chain(models).collect();
    let questions: Vec<String> = names.iter().map(|name| format!("select * from {name}")).collect();
    names.into_iter().zip(tables::answers(stage, &questions)).collect()
}

/// Panics with the first rows that only one side has.
fn assert_same(found: &[(String, Vec<String>)], wanted: &[(String, Vec<String>)]) {
    for ((name, found), (_, wanted)) in found.iter().zip(wanted) {
        let only = |a: &[String], b: &[String]| a.iter().find(|row| !b.contains(row)).cloned();
        let (mine, other) = (only(found, wanted), only(wanted, found));
        assert!(found == wanted, "{name}\nonly in Postgres: {mine:#?}\nonly in the lake: {other:#?}");
    }
    let filled = wanted.iter().filter(|(_, rows)| !rows.is_empty()).count();
    assert!(filled > 40, "only {filled} of {} have rows", wanted.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_do_no_harm_and_models_answer_as_in_a_lake() {
    let (site, database) = (Served::company(60), Database::new().await);
    let stage = stage(&site, &database);
    for number in [3, 6] {
        let gate = site.gate(number);
        let mut sync: Running = stage.start(&["sync"]);
        assert!(gate.reached_before(|| sync.ended()), "it ended before request {number}");
        sync.kill();
    }
    site.hook(|_, _| None);
    stage.run(&["sync"]).expect(0);
    let again = stage.run(&["sync", "-o", "json"]).expect(0).json();
    let changed = again["streams"].as_array().unwrap().iter().map(|s| s["changed"].as_u64().unwrap());
    assert_eq!(changed.sum::<u64>(), 0);
    let lake = Stage::simulated(&site.chargebee());
    lake.run(&["sync"]).expect(0);
    let found = tokio::task::spawn_blocking(move || (answers(&stage), answers(&lake))).await.unwrap();
    assert_same(&found.0, &found.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_is_missing_or_of_another_release_is_made_again() {
    let (site, database) = (Served::company(5), Database::new().await);
    let stage = stage(&site, &database);
    stage.run(&["sync"]).expect(0);
    let mut conn = database.session().await;
    let made = "select count(*) from pg_views where schemaname = 'billing'";
    let names = text(&mut conn, made).await;
    run(&mut conn, "drop view billing.ar_open").await;
    stage.run(&["sync"]).expect(0);
    assert_eq!(text(&mut conn, made).await, names);

    // Another release: another text, and columns that cannot be replaced in place.
    run(
        &mut conn,
        "drop view billing.ar_open; create view billing.ar_open as select 1 as one; \
        update tidegate.views set script_hash = 0",
    )
    .await;
    stage.run(&["sync"]).expect(0);
    assert_eq!(text(&mut conn, "select count(*) from billing.ar_open where customer_id is null").await, "0");

    run(
        &mut conn,
        "drop view billing.ar_open; create view billing.ar_open as select 1 as one; \
        create view public.mine as select one from billing.ar_open; \
        update tidegate.views set script_hash = 0",
    )
    .await;
    let done = stage.run(&["sync"]).expect(8);
    assert!(done.err.contains("a view reads it") && done.err.contains("mine"), "{}", done.err);
    assert_eq!(text(&mut conn, "select one from public.mine").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_there_is_8_and_its_password_is_not_printed() {
    let (site, database) = (Served::company(3), Database::new().await);
    let stage = stage(&site, &database);
    stage.write(".env", "ACME_KEY=x\nDATABASE_URL=postgres://someone:planted-password@127.0.0.1:9/nothing\n");
    for command in [&["sync", "-vvv"][..], &["check"], &["status", "-o", "json"]] {
        let done = stage.run(command);
        let code = if command[0] == "check" { 3 } else { 8 };
        let done = done.expect(code);
        assert!(!done.err.contains("planted-password") && !done.out.contains("planted-password"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prove_keeps_and_resolves_what_it_finds_in_a_database_too() {
    let (site, database) = (Served::company(20), Database::new().await);
    let stage = stage(&site, &database);
    stage.run(&["sync"]).expect(0);
    stage.run(&["prove"]).expect(0);
    assert!(stage.run(&["report", "movements"]).expect(0).out.contains("closing"));
    assert!(stage.run(&["report", "mrr", "--currency", "USD"]).expect(0).out.contains("USD"));
    let mut conn = database.session().await;
    let line = "(select l.id from billing.invoice_line_items l join billing.invoices i on i.id = l.invoice_id \
                where i.status = 'paid' and i.deleted_at is null order by l.id limit 1)";
    run(
        &mut conn,
        &format!("update billing.invoice_line_items set amount = amount + 0.01 where id = {line}"),
    )
    .await;
    let told = stage.run(&["prove", "-o", "json"]).expect(5).json();
    let rules: Vec<&str> =
        told[0]["findings"].as_array().unwrap().iter().map(|f| f["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["D2", "H1"], "{told}");
    run(
        &mut conn,
        &format!("update billing.invoice_line_items set amount = amount - 0.01 where id = {line}"),
    )
    .await;
    stage.run(&["prove"]).expect(0);
    let kept = "select rule || coalesce(delta::text, '') from billing.quality_issues \
                where resolved_at >= first_seen order by rule";
    assert_eq!(text(&mut conn, kept).await.replace('-', ""), "D20.01000000 H1");
}

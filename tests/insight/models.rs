//! Every model of this company is what its definition says, on both engines.
use super::{
    company::{Company, Files, ZONE, database, off, sized, world},
    forecast::{CASH_COLUMNS, CURVE_COLUMNS, Forecast, SCHEDULE_COLUMNS},
    ledger::{AGING_COLUMNS, aging, decimal, open_on, utc},
};
use crate::models::{lake::assert_same, needs};
use chrono::Days;
use std::{collections::BTreeSet, time::Duration};
use tidegate::{
    model,
    sim::world::{
        World,
        model::{InvoiceStatus, TransactionStatus},
    },
    time::Timestamp,
};

const SEEDS: u64 = 2;

fn as_of(name: &str, day: chrono::NaiveDate) -> String {
    let models = model::all().unwrap();
    models.into_iter().find(|m| m.name == name).unwrap().as_of(day)
}

#[tokio::test]
async fn receivables_and_cash_are_what_their_definitions_say_on_both_engines() {
    let (mut open, mut cash) = (0, 0);
    for seed in 0..SEEDS {
        let world = world(seed);
        let company = [Company::of("acme", &world, ZONE)];
        let (lake, pg) = (Files::write(&company).await, database(&company).await);
        let last = utc(world.now().secs());
        let forecast = Forecast::of(&world);
        let mut questions = vec![
            (format!("select {CURVE_COLUMNS} from collection_curve"), forecast.curve()),
            (format!("select {SCHEDULE_COLUMNS} from scheduled_billing"), forecast.schedule()),
            (format!("select {CASH_COLUMNS} from cash_forecast"), forecast.cash()),
        ];
        for back in [0, 1, 17, 40, 63, 99] {
            let day = last.checked_sub_days(Days::new(back)).unwrap();
            let sql = as_of("ar_aging", day);
            questions.push((format!("select {AGING_COLUMNS} from ({sql}) q"), aging(&world, day)));
            open += aging(&world, day).len();
        }
        for rule in ["reconcile_invoices", "reconcile_payments", "reconcile_credit_notes"] {
            questions.push((format!("select * from {rule}"), Vec::new()));
        }
        for (sql, expected) in questions {
            assert_same(&format!("lake, seed {seed}: {sql}"), &lake.rows(&sql).await, &expected);
            assert_same(&format!("Postgres, seed {seed}: {sql}"), &pg.rows(&sql).await, &expected);
        }
        cash += forecast.cash().len();
        assert!(forecast.currencies().len() > 1);
    }
    assert!(open > 30 && cash > 50, "too little to compare: {open} open, {cash} weeks");
}

#[tokio::test]
async fn aging_on_the_last_day_is_what_is_open_today() {
    let companies: Vec<Company> =
        (10..40).map(|seed| Company::of(&format!("t{seed}"), &world(seed), ZONE)).collect();
    let lake = Files::write(&companies).await;
    let columns =
        "tenant_id, customer_id, invoice_id, number, due_date, balance, days_overdue, bucket, as_of";
    let today = lake.rows(&format!("select {columns} from ar_open")).await;
    assert!(today.len() > 100, "{}", today.len());
    assert_same("ar_aging", &lake.rows(&format!("select {columns} from ar_aging")).await, &today);
}

/// The world of today says of a day in the past what the world of that day said.
#[tokio::test]
async fn aging_of_a_past_day_is_what_was_open_on_that_day() {
    let mut compared = 0;
    for seed in 20..24 {
        let past = |days: u64| Timestamp::from_secs(1_705_363_199).plus(Duration::from_secs(days * 86_400));
        let grown = |days: u64| {
            let size = tidegate::sim::world::Size { customers: 30 };
            let mut world = World::new(seed, size, Timestamp::from_secs(1_705_320_000));
            world.advance(past(days));
            world
        };
        let (then, now) = (grown(20), grown(75));
        let bounced = |p: &tidegate::sim::world::model::LinkedPayment| {
            now.transactions()[p.transaction].status == TransactionStatus::LateFailure
        };
        let other: BTreeSet<&str> = now
            .invoices()
            .rows()
            .filter(|i| i.stamp.deleted || i.payments.iter().any(bounced))
            .map(|i| i.id.as_str())
            .collect();
        let drafts =
            then.invoices().rows().filter(|i| i.status == InvoiceStatus::Pending).map(|i| i.id.as_str());
        let other: BTreeSet<&str> = other.into_iter().chain(drafts).collect();
        let day = utc(then.now().secs());
        let expected: Vec<String> = then
            .invoices()
            .rows()
            .filter(|i| i.amount_due > 0 && !i.stamp.deleted && !other.contains(i.id.as_str()))
            .map(|i| format!("{}|{}", i.id, decimal(super::ledger::money(i.amount_due, i.currency))))
            .collect();
        let lake = Files::write(&[Company::of("acme", &now, chrono_tz::UTC)]).await;
        let sql = format!("select invoice_id, balance from ({}) q", as_of("ar_aging", day));
        let mut found = lake.rows(&sql).await;
        found.retain(|row| !other.contains(row.split('|').next().unwrap()));
        assert_same(&format!("seed {seed}, {day}"), &found, &expected);
        assert_ne!(open_on(&now, day, chrono_tz::UTC), open_on(&now, utc(now.now().secs()), chrono_tz::UTC));
        compared += expected.len();
    }
    assert!(compared > 20, "{compared}");
}

/// One rule each of payments and credit notes, broken in the data of a tenant of its own.
#[tokio::test]
async fn what_does_not_add_up_in_payments_and_credit_notes_is_named() {
    type Break = fn(&mut Company) -> String;
    let cases: [(&str, &str, Break); 9] = [
        ("reconcile_payments", "C1", |c| {
            off(c.row("payments", |r| r["kind"] == "payment" && r["status"] == "paid"), "unapplied_amount")
        }),
        ("reconcile_payments", "C1", |c| {
            let at = c.table("payment_allocations").iter().position(|r| r["kind"] == "payment").unwrap();
            c.table("payment_allocations").remove(at)["payment_id"].clone()
        }),
        ("reconcile_payments", "C1_failed", |c| {
            let failed = c.row("payments", |r| r["status"] == "failed")["id"].clone();
            let mut again = c.table("payment_allocations")[0].clone();
            again.insert("id".into(), "planted".into());
            again.insert("kind".into(), "payment".into());
            again.insert("payment_id".into(), failed.clone());
            c.table("payment_allocations").push(again);
            failed
        }),
        ("reconcile_payments", "C3_refunds", |c| {
            off(c.row("payments", |r| r["kind"] == "payment" && r["status"] == "paid"), "refund_amount")
        }),
        ("reconcile_credit_notes", "C2", |c| {
            off(
                c.row("credit_notes", |r| r["status_raw"] != "voided" && !r.contains_key("_deleted")),
                "amount_available",
            )
        }),
        ("reconcile_credit_notes", "C2_void", |c| {
            off(
                c.row("credit_notes", |r| r["status_raw"] == "voided" && !r.contains_key("_deleted")),
                "amount_available",
            )
        }),
        ("reconcile_credit_notes", "C2_allocated", |c| {
            let row = c.row("credit_allocations", |r| !r.contains_key("_deleted"));
            off(row, "amount");
            row["credit_note_id"].clone()
        }),
        ("reconcile_credit_notes", "C3_refunded", |c| {
            let row = c.row("refunds", |r| r["status"] == "refunded" && !r.contains_key("_deleted"));
            off(row, "amount");
            row["credit_note_id"].clone()
        }),
        ("reconcile_credit_notes", "D2", |c| {
            let row = c.row("credit_note_line_items", |r| !r.contains_key("_deleted"));
            off(row, "amount");
            row["credit_note_id"].clone()
        }),
    ];
    let (clean, mut companies, mut expected) = (sized(3, 120), Vec::new(), Vec::new());
    for (n, (model, rule, plant)) in cases.into_iter().enumerate() {
        let mut company = Company::of(&format!("t{n}"), &clean, ZONE);
        let id = plant(&mut company);
        expected.push(format!("{model}|t{n}|{rule}|{id}"));
        companies.push(company);
    }
    let sql = "select 'reconcile_payments' as model, tenant_id, rule, payment_id as id from reconcile_payments \
               union all select 'reconcile_credit_notes', tenant_id, rule, credit_note_id from reconcile_credit_notes";
    expected.sort();
    assert_same("lake", &Files::write(&companies).await.rows(sql).await, &expected);
    assert_same("Postgres", &database(&companies).await.rows(sql).await, &expected);
}

/// Rules of the models, each broken once in the SQL: (model, text, what it becomes, the model in which it shows).
const BROKEN: [(&str, &str, &str, &str); 19] = [
    ("ar_events", "and not coalesce(i.is_draft, false)", "", "ar_aging"),
    ("ar_events", "where i.deleted_at is null", "where true", "ar_aging"),
    ("ar_events", "where d.is_void", "where false", "ar_aging"),
    ("ar_events", "coalesce(n.kind, 'none') <> 'adjustment'", "true", "ar_aging"),
    ("ar_events", "cast(d.voided_at as date)", "d.as_of", "ar_aging"),
    ("ar_aging", "where e.event_date <= a.as_of", "", "ar_aging"),
    ("ar_aging", "days_overdue <= 30", "days_overdue <= 20", "ar_aging"),
    ("collection_curve", "else 2 * s.amount end", "else s.amount end", "collection_curve"),
    ("collection_curve", "when p.kind = 'write_off' then 9999", "when false then 9999", "collection_curve"),
    ("collection_curve", "50 * every", "5 * every", "collection_curve"),
    ("collection_curve", "where kind <> 'issue'", "where kind = 'payment'", "collection_curve"),
    (
        "scheduled_billing",
        "f.next_start <= f.period_end + 7",
        "f.next_start <= f.period_end + 60",
        "scheduled_billing",
    ),
    ("scheduled_billing", "where f.period_end <= a.as_of - 7", "", "scheduled_billing"),
    ("scheduled_billing", "case when r.till >= d.bill_date", "case when true", "scheduled_billing"),
    ("scheduled_billing", "coalesce(kind, '') <> 'promotional_credits'", "true", "scheduled_billing"),
    (
        "scheduled_billing",
        "when c.status = 'trialing' then c.start_rate",
        "when false then c.start_rate",
        "scheduled_billing",
    ),
    ("scheduled_billing", "l.net + l.tax as", "l.net as", "scheduled_billing"),
    ("scheduled_billing", "50 * n.rate", "5 * n.rate", "scheduled_billing"),
    ("cash_forecast", "7 * (c.nth - 1)", "7 * c.nth", "cash_forecast"),
];

#[tokio::test]
async fn every_rule_of_receivables_and_cash_broken_in_the_sql_is_seen() {
    let (world, mut untested) = (sized(6, 250), Vec::new());
    let mut lake = Files::write(&[Company::of("acme", &world, ZONE)]).await;
    let day = utc(world.now().secs()).checked_sub_days(Days::new(30)).unwrap();
    let forecast = Forecast::of(&world);
    let wanted = |shown: &str| match shown {
        "ar_aging" => (AGING_COLUMNS, aging(&world, day)),
        "collection_curve" => (CURVE_COLUMNS, forecast.curve()),
        "scheduled_billing" => (SCHEDULE_COLUMNS, forecast.schedule()),
        "cash_forecast" => (CASH_COLUMNS, forecast.cash()),
        other => panic!("no reference for {other}"),
    };
    let question = |models: &[model::Model], shown: &str, columns: &str| match models
        .iter()
        .find(|m| m.name == shown)
        .unwrap()
    {
        aging if shown == "ar_aging" => format!("select {columns} from ({}) q", aging.as_of(day)),
        other => format!("select {columns} from {}", other.name),
    };
    // As they are, the models say what the reference says: so a difference below is that of the broken rule.
    let whole = model::all().unwrap();
    for shown in BROKEN.iter().map(|(.., shown)| *shown).collect::<BTreeSet<_>>() {
        let (columns, rows) = wanted(shown);
        assert!(!rows.is_empty(), "{shown}");
        assert_same(shown, &lake.rows(&question(&whole, shown, columns)).await, &rows);
    }
    for (broken, text, replacement, shown) in BROKEN {
        let mut models = model::all().unwrap();
        let needed = needs(&models, shown);
        models.retain(|m| needed.contains(&m.name));
        let model = models.iter_mut().find(|m| m.name == broken).unwrap();
        assert!(model.sql.contains(text), "{broken} has no `{text}`");
        model.sql = model.sql.replace(text, replacement);
        let (columns, rows) = wanted(shown);
        let sql = question(&models, shown, columns);
        lake.reopen(&models).await;
        if lake.rows(&sql).await == rows {
            untested.push((broken, text));
        }
    }
    assert!(untested.is_empty(), "without these the rows are the same, so nothing tests them: {untested:#?}");
}

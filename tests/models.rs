//! Models say on both engines what a plain Rust reading of their definitions says.
//!
//! Worlds of `data` are made for the corners of MRR; the simulated company is in `insight`.
pub(crate) mod data;
pub(crate) mod lake;
pub(crate) mod pg;
pub(crate) mod reference;

use data::{Fault, World};
use std::collections::{BTreeMap, BTreeSet};
use tidegate::model;

const SEEDS: u64 = 6;

/// Every model of every world, on both engines, against the reference.
#[tokio::test]
async fn every_model_is_what_its_definition_says_on_both_engines() {
    let (mut mrr, mut refunded) = (0, 0);
    for seed in 0..SEEDS {
        let world = World::generate(seed);
        let lake = lake::Lake::write(std::slice::from_ref(&world)).await;
        let pg = pg::Database::load(&world).await;
        let models = [
            ("mrr_monthly", reference::MRR_COLUMNS, reference::mrr(&world)),
            ("mrr_movements", reference::MOVEMENT_COLUMNS, reference::movements(&world)),
            ("v_invoices", reference::INVOICE_COLUMNS, reference::invoices(&world)),
            ("ar_open", reference::OPEN_COLUMNS, reference::open(&world)),
            ("invoiced_by_month", reference::MONTH_COLUMNS, reference::months(&world)),
            ("reconcile_invoices", reference::RECONCILE_COLUMNS, Vec::new()),
        ];
        assert_eq!(reference::reconcile(&world), Vec::<String>::new(), "a generated world adds up");
        for (model, columns, expected) in models {
            let sql = format!("select {columns} from {model}");
            lake::assert_same(
                &format!("{model} on the lake, seed {seed}"),
                &lake.rows(&sql).await,
                &expected,
            );
            lake::assert_same(&format!("{model} on Postgres, seed {seed}"), &pg.rows(&sql).await, &expected);
            mrr += if model == "mrr_monthly" { expected.len() } else { 0 };
            refunded += expected.iter().filter(|r| r.contains("|refunded|")).count();
        }
    }
    assert!(mrr > 1000 && refunded > 10, "too little to compare: {mrr} months, {refunded} refunded");
}

/// One fault per copy of a world; each copy is a tenant of its own.
#[tokio::test]
async fn each_planted_fault_is_found_and_nothing_else_is_reported() {
    let (mut worlds, mut expected) = (Vec::new(), Vec::new());
    for (n, (fault, rules)) in Fault::ALL.into_iter().enumerate() {
        let mut world = World { copy: format!("-{n}"), ..World::generate(7) };
        let (tenant, invoice) = world.plant(fault);
        expected.extend(rules.iter().map(|rule| format!("{tenant}|{invoice}|{rule}")));
        worlds.push(world);
    }
    expected.sort();
    let lake = lake::Lake::write(&worlds).await;
    let rows = lake.rows("select tenant_id, invoice_id, rule from reconcile_invoices").await;
    lake::assert_same("planted faults", &rows, &expected);
}

#[tokio::test]
async fn faults_are_reported_with_the_same_amounts_on_both_engines() {
    let mut world = World::generate(8);
    for (fault, _) in Fault::ALL {
        world.plant(fault);
    }
    let expected = reference::reconcile(&world);
    assert!(expected.len() >= Fault::ALL.len());
    let sql = format!("select {} from reconcile_invoices", reference::RECONCILE_COLUMNS);
    lake::assert_same(
        "on the lake",
        &lake::Lake::write(std::slice::from_ref(&world)).await.rows(&sql).await,
        &expected,
    );
    lake::assert_same("on Postgres", &pg::Database::load(&world).await.rows(&sql).await, &expected);
}

/// Rules of the models, each broken once in the SQL: (model, text, what it becomes).
const BROKEN: [(&str, &str, &str); 36] = [
    ("mrr_segments", "and coalesce(f.line_kind, 'recurring') = 'recurring'", ""),
    ("mrr_segments", "coalesce(p.catalog_unit, s.interval_unit)", "s.interval_unit"),
    ("price_facts", "when i.metered then 'usage'", ""),
    ("price_facts", "when coalesce(p.kind, i.kind_raw) = 'charge' then 'one_off'", ""),
    ("mrr_segments", "n.reason = 'subscription_change' and ", ""),
    ("mrr_segments", "and n.voided_at is null", ""),
    ("mrr_segments", "between 1 and 60", "between 1 and 11"),
    ("mrr_segments", "or (d.end_day < d.start_day and d.ends_last_day)", ""),
    ("mrr_segments", "or (d.end_day > d.start_day and d.starts_last_day)", ""),
    ("mrr_segments", "when r.ended + 1 < r.period_end then r.ended", ""),
    ("mrr_segments", "when r.ended <= r.period_end + 1 then r.period_end", ""),
    ("mrr_segments", "r.period_end + 7", "r.period_end + 9"),
    (
        "mrr_segments",
        "least(r.period_end + 7, coalesce(r.next_start, r.period_end + 7),",
        "least(r.period_end + 7,",
    ),
    ("mrr_segments", "and r.subscription_status in ('active', 'non_renewing', 'past_due')", ""),
    ("mrr_segments", "r.period_end = r.run_end and", ""),
    ("mrr_segments", "when not coalesce(f.is_proration, true) then 'whole'", "when false then 'whole'"),
    ("mrr_segments", "then 52", "then 48"),
    ("mrr_segments", "then 364", "then 365"),
    ("mrr_segments", "coalesce(p.price_months, ", "coalesce(cast(null as bigint), "),
    ("mrr_segments", "and not coalesce(i.is_void, false)", ""),
    ("mrr_segments", "and not coalesce(i.is_draft, false)", ""),
    ("mrr_segments", "where c.charged_on <= a.as_of", ""),
    ("mrr_months", "least(m.last_day, a.as_of)", "m.last_day"),
    ("mrr_segments", "l.line_kind = 'recurring' and", ""),
    ("v_invoices", "all_refunds >= amount_paid", "all_refunds > amount_paid"),
    ("v_invoices", "and r.status in ('success', 'refunded')", ""),
    ("v_invoices", "coalesce(r.invoice_id, n.invoice_id)", "r.invoice_id"),
    ("ar_open", "and i.deleted_at is null", ""),
    ("ar_open", "days_overdue <= 60", "days_overdue <= 59"),
    ("ar_open", "cast(coalesce(i.net_terms_days, 0) as int)", "0"),
    ("mrr_movements", "where day <= as_of", ""),
    ("mrr_movements", "and mrr_peak = 0 ", ""),
    ("mrr_movements", "and mrr_peak > 0 ", ""),
    ("mrr_movements", "when mrr > 0 and mrr < mrr_before", "when mrr < mrr_before"),
    ("mrr_movements", "case when r.total < 0 then cast(0 as decimal(38, 8)) else r.total end", "r.total"),
    ("mrr_movements", "when mrr_before > 0 and mrr > mrr_before", "when mrr > mrr_before"),
];

/// A model and all models below it.
pub(crate) fn needs(models: &[model::Model], name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::from([name.to_owned()]);
    for model in models.iter().rev() {
        if found.contains(&model.name) {
            found.extend(model.needs.iter().cloned());
        }
    }
    found
}

#[tokio::test]
async fn every_rule_broken_in_the_sql_is_seen() {
    let world = World::sized(20, 150);
    let mut lake = lake::Lake::write(std::slice::from_ref(&world)).await;
    let expected = BTreeMap::from([
        ("mrr_monthly", (reference::MRR_COLUMNS, reference::mrr(&world))),
        ("mrr_movements", (reference::MOVEMENT_COLUMNS, reference::movements(&world))),
        ("v_invoices", (reference::INVOICE_COLUMNS, reference::invoices(&world))),
        ("ar_open", (reference::OPEN_COLUMNS, reference::open(&world))),
    ]);
    for (model, (columns, rows)) in &expected {
        lake::assert_same(model, &lake.rows(&format!("select {columns} from {model}")).await, rows);
    }
    let mut untested = Vec::new();
    for (broken, text, replacement) in BROKEN {
        let mut models = model::all().unwrap();
        // What MRR is made of shows in its months.
        let shown = if ["mrr_segments", "mrr_months", "price_facts"].contains(&broken) {
            "mrr_monthly"
        } else {
            broken
        };
        let needed = needs(&models, shown);
        models.retain(|m| needed.contains(&m.name));
        let model = models.iter_mut().find(|m| m.name == broken).unwrap();
        assert!(model.sql.contains(text), "{broken} has no `{text}`");
        model.sql = model.sql.replace(text, replacement);
        lake.reopen(&models).await;
        let (columns, rows) = &expected[shown];
        if lake.rows(&format!("select {columns} from {shown}")).await == *rows {
            untested.push((broken, text));
        }
    }
    assert!(untested.is_empty(), "without these the rows are the same, so nothing tests them: {untested:#?}");
}

#[tokio::test]
async fn movements_by_hand() {
    let world = data::subscription("month", 1, "active")
        .line("2024-01-05", "2024-02-05", 1000)
        .line("2024-02-05", "2024-03-05", 1500)
        .line("2024-03-05", "2024-04-05", 1200)
        .line("2024-06-10", "2024-07-10", 1200)
        .until("2024-08-20");
    let rows = lake::Lake::write(std::slice::from_ref(&world))
        .await
        .rows("select month_start, round(opening, 0), round(new_mrr, 0), round(reactivation, 0), \
               round(expansion, 0), round(contraction, 0), round(churn, 0), round(closing, 0) from mrr_movements")
        .await;
    let expected = [
        "2024-01-01|0|10|0|0|0|0|10",
        "2024-02-01|10|0|0|5|0|0|15",
        "2024-03-01|15|0|0|0|-3|0|12",
        "2024-04-01|12|0|0|0|0|-12|0",
        "2024-06-01|0|0|12|0|0|0|12",
        "2024-07-01|12|0|0|0|0|-12|0",
    ];
    let short: Vec<String> = rows
        .iter()
        .map(|r| r.split('|').map(|c| c.split('.').next().unwrap()).collect::<Vec<_>>().join("|"))
        .collect();
    assert_eq!(short, expected);
}

/// The numbers of the metric's definition, by hand.
#[tokio::test]
async fn mrr_examples_by_hand() {
    let cases: [(&str, World, &[&str]); 12] = [
        (
            "the catalog knows the interval of a price that was only ever billed in part",
            data::subscription("year", 1, "active")
                .told("plan", false, ("month", 1))
                .prorated("2024-04-16", "2024-05-01", 500)
                .until("2024-04-30"),
            &["2024-04-01 10"],
        ),
        (
            "a line of a metered item is usage",
            data::subscription("month", 1, "active")
                .line("2024-01-05", "2024-02-05", 1000)
                .price("calls")
                .told("addon", true, ("month", 1))
                .line("2024-01-05", "2024-02-05", 700)
                .until("2024-01-31"),
            &["2024-01-01 10"],
        ),
        (
            "what is charged once is no recurring revenue, also with a service period",
            data::subscription("month", 1, "active")
                .line("2024-01-05", "2024-02-05", 1000)
                .price("training")
                .told("charge", false, ("month", 1))
                .line("2024-01-05", "2024-02-05", 700)
                .until("2024-01-31"),
            &["2024-01-01 10"],
        ),
        (
            "a year of 120 is 10 a month",
            data::subscription("year", 1, "active")
                .line("2024-01-15", "2025-01-15", 12000)
                .until("2024-03-10"),
            &["2024-01-01 10", "2024-02-01 10", "2024-03-01 10"],
        ),
        (
            "31 January to 29 February is one month",
            data::subscription("month", 1, "active")
                .line("2024-01-31", "2024-02-29", 1000)
                .line("2024-02-29", "2024-03-31", 1000)
                .until("2024-03-20"),
            &["2024-01-01 10", "2024-02-01 10", "2024-03-01 10"],
        ),
        (
            "from 10 to 20 in mid-month: +10 whole, -5 and +10 half make 20",
            data::subscription("month", 1, "active")
                .line("2024-04-01", "2024-05-01", 1000)
                .prorated("2024-04-16", "2024-05-01", -500)
                .prorated("2024-04-16", "2024-05-01", 1000)
                .until("2024-05-01"),
            &["2024-04-01 20", "2024-05-01 20"],
        ),
        (
            "a week is 12/52 of a month",
            data::subscription("week", 1, "active")
                .line("2024-01-29", "2024-02-05", 1200)
                .until("2024-02-02"),
            &["2024-01-01 52", "2024-02-01 52"],
        ),
        (
            "a late renewal is bridged for 7 days, no longer",
            data::subscription("month", 1, "active")
                .line("2024-01-25", "2024-02-25", 1000)
                .until("2024-03-31"),
            &["2024-01-01 10", "2024-02-01 10"],
        ),
        (
            "a paused subscription is not bridged",
            data::subscription("month", 1, "paused")
                .line("2024-01-25", "2024-02-25", 1000)
                .until("2024-03-31"),
            &["2024-01-01 10"],
        ),
        (
            "a cancelled subscription stops in mid-term",
            data::subscription("year", 1, "cancelled")
                .ended("2024-03-10")
                .line("2024-01-15", "2025-01-15", 12000)
                .until("2024-06-10"),
            &["2024-01-01 10", "2024-02-01 10"],
        ),
        (
            "an end in UTC on the eve of the local end of the term keeps the month's last day",
            data::subscription("month", 1, "cancelled")
                .ended("2024-01-31")
                .line("2024-01-01", "2024-02-01", 1000)
                .until("2024-06-10"),
            &["2024-01-01 10"],
        ),
        (
            "going from monthly to yearly leaves the monthly past alone",
            data::subscription("year", 1, "active")
                .line("2024-01-01", "2024-02-01", 1000)
                .price("yearly")
                .line("2024-02-01", "2025-02-01", 9600)
                .until("2024-02-10"),
            &["2024-01-01 10", "2024-02-01 8"],
        ),
    ];
    for (name, world, expected) in cases {
        let rows = lake::Lake::write(std::slice::from_ref(&world))
            .await
            .rows("select month_start, mrr from mrr_monthly")
            .await;
        let short: Vec<String> = rows
            .iter()
            .map(|r| r.replace('|', " ").trim_end_matches('0').trim_end_matches('.').to_owned())
            .collect();
        let short: Vec<&str> = short.iter().map(String::as_str).collect();
        assert_eq!(short, expected, "{name}");
    }
}

#[tokio::test]
async fn every_model_returns_the_columns_its_header_documents() {
    let lake = lake::Lake::write(&[World::generate(1)]).await;
    for model in model::all().unwrap() {
        let batches = lake.engine.query(&format!("select * from {}", model.name)).await.unwrap();
        let schema = batches[0].schema();
        let actual: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let documented: Vec<&str> = model.columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(actual, documented, "{}", model.name);
        for field in schema.fields() {
            let money = matches!(field.data_type(), arrow::datatypes::DataType::Decimal128(p, s) if ![(28, 8), (24, 12), (38, 12), (18, 8)].contains(&(*p, *s)));
            assert!(!money, "{}.{} is {}", model.name, field.name(), field.data_type());
        }
    }
}

#[test]
fn models_stand_in_dependency_order_and_in_the_readme() {
    let readme = std::fs::read_to_string("pipelines/README.md").unwrap();
    let entities: Vec<String> = data::entities().iter().map(|e| e.name.clone()).collect();
    let mut known: Vec<String> = entities;
    for model in model::all().unwrap() {
        for need in &model.needs {
            assert!(known.contains(need), "{} needs {need}, which is not above it", model.name);
        }
        assert!(
            readme.contains(&format!("## {}", model.name)),
            "{} is not in pipelines/README.md",
            model.name
        );
        for (column, _) in &model.columns {
            let documented = model.name.starts_with("v_") || readme.contains(&format!("`{column}`"));
            assert!(documented, "{}.{column} is not in pipelines/README.md", model.name);
        }
        known.push(model.name);
    }
    let files = std::fs::read_dir("pipelines/models").unwrap().count();
    assert_eq!(files, model::all().unwrap().len(), "every file of pipelines/models is embedded");
}

#[test]
fn a_destination_without_invoices_gets_no_invoice_models() {
    assert!(model::fitting(&["customers"]).unwrap().is_empty());
    let names: Vec<String> = model::fitting(&["invoices", "refunds", "credit_notes", "customers"])
        .unwrap()
        .into_iter()
        .map(|m| m.name)
        .collect();
    assert_eq!(names, ["v_invoices", "invoiced_by_month"]);
}

#[tokio::test]
async fn postgres_views_can_be_made_twice() {
    let pg = pg::Database::load(&World::generate(2)).await;
    pg.run(&model::postgres_script(&model::all().unwrap())).await;
    let comment = pg.rows("select obj_description('billing.ar_open'::regclass)").await;
    assert!(comment[0].starts_with("Accounts receivable"), "{comment:?}");
}

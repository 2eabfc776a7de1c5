//! Each planted fault is found, named by rule and id, and nothing else is reported; a clean company has none.
use super::{
    company::{Company, Files, ZONE, database, exact, off, world},
    ledger::decimal,
};
use crate::models::lake::assert_same;
use std::{collections::BTreeSet, sync::Arc};
use tidegate::{
    app::{
        prove::{HISTORY_RULE, Question, RULES, findings, questions},
        query::Reader,
    },
    entity::Entity,
    id::{ConnectionId, Owner, TenantId},
    sim::truth::Columns,
};

fn fed() -> Vec<Arc<Entity>> {
    let catalog = tidegate::manifest::catalog(None).unwrap();
    let streams = &catalog.connectors["chargebee"].streams;
    streams.iter().flat_map(|s| s.feeds.iter().map(|f| Arc::clone(&f.entity))).collect()
}

fn lives(row: &Columns) -> bool {
    !row.contains_key("_deleted")
}

/// A paid, plain invoice in a currency with cents, with a line, a tax and one payment that no refund touched.
fn plain_invoice(c: &Company) -> String {
    let noted: BTreeSet<&String> = c.tables["credit_notes"].iter().map(|n| &n["invoice_id"]).collect();
    let row = c.tables["invoices"].iter().find(|i| {
        let paid =
            c.tables["payment_allocations"].iter().filter(|a| a.get("owner_invoice_id") == i.get("id"));
        let taxed = i["total_tax_amount"] != "0" && i["total_discount"] == "0";
        lives(i)
            && i["status"] == "paid"
            && i["currency"] != "JPY"
            && taxed
            && !noted.contains(&i["id"])
            && i["credits_applied"] == "0"
            && paid.count() == 1
    });
    row.expect("a plain invoice")["id"].clone()
}

fn of_invoice<'a>(c: &'a mut Company, table: &str, invoice: &str) -> &'a mut Columns {
    c.row(table, |r| r.get("invoice_id").is_some_and(|i| i == invoice))
}

/// What is planted, and what must be said of it: (rule, table, id).
type Plant = fn(&mut Company) -> Vec<(&'static str, &'static str, String)>;

const FAULTS: [(&str, Plant); 15] = [
    ("a line off by a cent", |c| {
        let invoice = plain_invoice(c);
        off(of_invoice(c, "invoice_line_items", &invoice), "amount");
        vec![("D2", "invoices", invoice)]
    }),
    ("a tax row off by a cent", |c| {
        let invoice = plain_invoice(c);
        off(of_invoice(c, "invoice_taxes", &invoice), "amount");
        vec![("D3_tax", "invoices", invoice)]
    }),
    ("an allocation missing", |c| {
        let invoice = plain_invoice(c);
        let of = |r: &Columns| r["kind"] == "payment" && r["invoice_id"] == invoice;
        let at = c.table("payment_allocations").iter().position(of).unwrap();
        let payment = c.table("payment_allocations").remove(at)["payment_id"].clone();
        vec![("A2", "invoices", invoice.clone()), ("C1", "payments", payment), ("D6", "invoices", invoice)]
    }),
    ("an invoice dropped while its lines remain", |c| {
        let invoice = plain_invoice(c);
        c.keep_history();
        c.table("invoices").retain(|i| i["id"] != invoice);
        vec![("H1", "invoices", invoice.clone()), ("S3", "invoices", invoice)]
    }),
    ("a document doubled under another id", |c| {
        let open = |i: &Columns| {
            lives(i) && i["balance"] == i["total"] && i["total"] != "0" && i["is_draft"] == "false"
        };
        let mut copy = c.row("invoices", open).clone();
        let id = copy["id"].clone();
        let again = format!("{id}-again");
        copy.insert("id".into(), again.clone());
        c.table("invoices").push(copy);
        for table in ["invoice_line_items", "invoice_taxes", "invoice_discounts"] {
            let of = |r: &&Columns| r["invoice_id"] == id;
            let mut rows: Vec<Columns> = c.table(table).iter().filter(of).cloned().collect();
            for row in &mut rows {
                row.insert("invoice_id".into(), again.clone());
                row.insert("id".into(), format!("{}-again", row["id"]));
            }
            c.table(table).extend(rows);
        }
        vec![("D11", "invoices", again)]
    }),
    ("a document doubled under its own id", |c| {
        let row =
            c.row("invoices", |i| lives(i) && i["is_draft"] == "false" && i["is_void"] == "false").clone();
        c.keep_history();
        c.table("invoices").push(row.clone());
        vec![("K1", "invoices", row["id"].clone())]
    }),
    ("a balance off by a cent", |c| {
        let invoice = plain_invoice(c);
        off(c.row("invoices", |i| i["id"] == invoice), "balance");
        vec![("A2", "invoices", invoice.clone()), ("D5", "invoices", invoice)]
    }),
    ("a payment off by a cent", |c| {
        let payment = off(c.row("payments", |p| p["kind"] == "payment" && p["status"] == "paid"), "amount");
        vec![("C1", "payments", payment)]
    }),
    ("a credit note off by a cent", |c| {
        let note = off(
            c.row("credit_notes", |n| {
                lives(n) && n["kind"] == "refundable" && n["status_raw"] != "voided" && n["currency"] != "JPY"
            }),
            "total",
        );
        vec![("C2", "credit_notes", note.clone()), ("D4_total", "credit_notes", note)]
    }),
    ("a refund missing", |c| {
        let of = |r: &Columns| lives(r) && r["status"] == "refunded";
        let at = c.table("refunds").iter().position(of).unwrap();
        let row = c.table("refunds").remove(at);
        let refund = c.row("payments", |p| p["id"] == row["payment_id"]);
        // Without its credit note, the refund seems to come from the unapplied part.
        let payment = refund["refund_of"].clone();
        vec![("C1", "payments", payment), ("C3_refunded", "credit_notes", row["credit_note_id"].clone())]
    }),
    ("a line in another currency", |c| {
        let invoice = plain_invoice(c);
        let line = of_invoice(c, "invoice_line_items", &invoice);
        line.insert("currency".into(), "GBP".into());
        vec![("D12", "invoice_line_items", line["id"].clone())]
    }),
    ("a refund larger than what was paid", |c| {
        let noted: BTreeSet<String> = c.tables["refunds"].iter().map(|r| r["payment_id"].clone()).collect();
        let refund = c
            .row("payments", |p| {
                lives(p) && p["kind"] == "refund" && p["status"] == "refunded" && noted.contains(&p["id"])
            })
            .clone();
        let paid = c.row("payments", |p| p["id"] == refund["refund_of"]).clone();
        let more = |row: &mut Columns, column: &str| {
            let amount = exact(&row[column], 8) + exact(&paid["amount"], 8);
            row.insert(column.into(), decimal(amount));
        };
        more(c.row("payments", |p| p["id"] == refund["id"]), "amount");
        more(c.row("payments", |p| p["id"] == paid["id"]), "refund_amount");
        vec![("C3", "payments", paid["id"].clone())]
    }),
    ("promotional credit off by a cent", |c| {
        let of = |r: &Columns| lives(r) && r.contains_key("currency") && r.contains_key("credit_promotional");
        vec![("C4", "customers", off(c.row("customers", of), "credit_promotional"))]
    }),
    ("a movement of promotional credit missing", |c| {
        let moved = |r: &Columns| r.get("amount").is_some_and(|amount| amount != "0");
        let at = c.table("promotional_credits").iter().position(moved).unwrap();
        let customer = c.table("promotional_credits").remove(at)["customer_id"].clone();
        vec![("C4", "customers", customer)]
    }),
    ("a row that its history does not know", |c| {
        c.keep_history();
        let customer = c.row("customers", lives);
        customer.insert("email".into(), "other@example.com".into());
        vec![("H1", "customers", customer["id"].clone())]
    }),
];

fn owner(tenant: &str) -> Owner {
    Owner { tenant: TenantId::parse(tenant).unwrap(), connection: ConnectionId::parse("main").unwrap() }
}

/// A question over every tenant at once.
fn over_all(question: &str) -> String {
    format!("select distinct tenant_id, rule, entity, id from (\n{question}) p")
}

#[tokio::test]
async fn a_clean_company_has_no_violation_over_many_seeds() {
    let companies: Vec<Company> =
        (100..130).map(|seed| Company::of(&format!("t{seed}"), &world(seed), ZONE)).collect();
    let rows: usize = companies.iter().flat_map(|c| c.tables.values()).map(Vec::len).sum();
    assert!(rows > 10_000, "{rows}");
    let lake = Files::write(&companies).await;
    for question in questions(&fed(), &|table| format!("history_{table}")).asked {
        assert_same(&question.sql, &lake.rows(&over_all(&question.sql)).await, &[]);
    }
}

#[tokio::test]
async fn each_planted_fault_is_named_by_rule_and_id_and_nothing_else_is_reported() {
    let clean = world(5);
    let (mut companies, mut expected) = (Vec::new(), Vec::new());
    for (n, (_, plant)) in FAULTS.iter().enumerate() {
        let mut company = Company::of(&format!("t{n}"), &clean, ZONE);
        for (rule, table, id) in plant(&mut company) {
            assert!(
                RULES.iter().chain([&HISTORY_RULE]).any(|(name, _)| *name == rule),
                "{rule} is explained"
            );
            expected.push(format!("t{n}|{rule}|{table}|{id}"));
        }
        companies.push(company);
    }
    expected.sort();
    let doubled = FAULTS.iter().position(|(what, _)| *what == "a document doubled under its own id").unwrap();
    // What follows from a row that stands twice is left out by `findings`, which asks one tenant at a time.
    let follows = |row: &String| row.starts_with(&format!("t{doubled}|")) && !row.contains("|K1|");
    let lake = Files::write(&companies).await;
    let mut found = Vec::new();
    for question in questions(&fed(), &|table| format!("history_{table}")).asked {
        let rows = lake.rows(&over_all(&question.sql)).await;
        let named = |row: &String| question.rules.iter().any(|rule| row.contains(&format!("|{rule}|")));
        assert!(rows.iter().all(named), "{:?} of {}: {rows:?}", question.rules, question.sql);
        found.extend(rows);
    }
    found.retain(|row| !follows(row));
    found.sort();
    found.dedup();
    assert_same("on the lake", &found, &expected);

    let pg = database(&companies).await;
    let mut found = Vec::new();
    for question in questions(&fed(), &|table| format!("history.{table}")).asked {
        found.extend(pg.rows(&over_all(&question.sql)).await);
    }
    found.retain(|row| !follows(row));
    found.sort();
    found.dedup();
    assert_same("on Postgres", &found, &expected);

    let reader = Reader::Lake { engine: Box::new(lake.engine), guards: Vec::new() };
    let few: Vec<Question> = questions(&fed(), &|table| format!("history_{table}"))
        .asked
        .into_iter()
        .filter(|q| q.rules == ["K1"] && q.sql.contains("from invoices\n") || q.rules == ["A2"])
        .collect();
    assert_eq!(few.len(), 2);
    let issues = findings(&reader, &few, &owner(&format!("t{doubled}"))).await.unwrap().found;
    assert_eq!(issues.len(), 1, "{issues:?}");
    assert_eq!((issues[0].rule.as_str(), issues[0].actual.as_deref()), ("K1", Some("2")));
}

/// A question of these tables that asks this rule.
fn asks(fed: &[Arc<Entity>], rule: &str) -> String {
    let all = questions(fed, &|table| format!("history_{table}")).asked;
    all.into_iter().find(|q| q.rules.contains(&rule)).unwrap_or_else(|| panic!("nobody asks {rule}")).sql
}

#[test]
fn every_rule_is_explained_and_asked_and_one_whose_tables_are_missing_is_left_out() {
    let history = |table: &str| format!("history_{table}");
    let catalog: Vec<Arc<Entity>> =
        tidegate::manifest::catalog(None).unwrap().entities.into_values().collect();
    let whole = questions(&catalog, &history);
    let asked: BTreeSet<&str> = whole.asked.iter().flat_map(|q| q.rules).copied().collect();
    let explained: BTreeSet<&str> = RULES.iter().chain([&HISTORY_RULE]).map(|(rule, _)| *rule).collect();
    assert_eq!(asked, explained);
    assert!(whole.left_out.is_empty(), "{:?}", whole.left_out);
    let notes: Vec<Arc<Entity>> =
        catalog.iter().filter(|e| e.name.starts_with("credit_note")).cloned().collect();
    let narrow = questions(&notes, &history);
    assert!(narrow.asked.iter().any(|q| q.rules.contains(&"D2")), "of credit notes");
    assert!(["D2", "S3", "C1"].iter().all(|rule| narrow.left_out.contains(rule)), "{:?}", narrow.left_out);
    assert!(["K1", "H1", "C2"].iter().all(|rule| !narrow.left_out.contains(rule)), "{:?}", narrow.left_out);
}

#[tokio::test]
async fn movements_that_do_not_lead_to_the_month_are_named() {
    let world = world(7);
    let mut lake = Files::write(&[Company::of("acme", &world, ZONE)]).await;
    let question = over_all(&asks(&fed(), "M1"));
    assert_same("clean", &lake.rows(&question).await, &[]);
    for (text, replacement, rule) in [
        ("cast(expansion as decimal(28, 8))", "cast(expansion + 1 as decimal(28, 8))", "M1"),
        ("where day <= as_of", "where day < as_of - 20", "M2"),
    ] {
        let mut models = tidegate::model::all().unwrap();
        let model = models.iter_mut().find(|m| m.name == "mrr_movements").unwrap();
        assert!(model.sql.contains(text), "no `{text}`");
        model.sql = model.sql.replace(text, replacement);
        lake.reopen(&models).await;
        let found = lake.rows(&question).await;
        assert!(found.iter().any(|row| row.contains(&format!("|{rule}|customers|"))), "{text}: {found:?}");
    }
}

#[tokio::test]
async fn promotional_credit_is_what_its_movements_say() {
    let world = world(8);
    let mut lake = Files::write(&[Company::of("acme", &world, ZONE)]).await;
    let mut fed = fed();
    let named = |name: &str| Entity { name: name.into(), ..fed[0].as_ref().clone() };
    let ledger = Arc::new(named("promotional_credits"));
    fed.push(ledger);
    // One movement a customer, told by a view, whether the table is there or not.
    let question = over_all(&asks(&fed, "C4").replace("promotional_credits", "credit_movements"));
    for (amount, wrong) in
        [("credit_promotional", false), ("credit_promotional + 0.01", true), ("null", false)]
    {
        let sql = format!(
            "select tenant_id, connection_id, id as customer_id, currency, cast({amount} as decimal(28, 8)) as amount, \
             cast(null as timestamp) as deleted_at from customers"
        );
        let mut models = tidegate::model::all().unwrap();
        models.push(tidegate::model::Model { name: "credit_movements".into(), sql, ..models[0].clone() });
        lake.reopen(&models).await;
        let found = lake.rows(&question).await;
        let living = world.customers().rows().filter(|c| !c.stamp.deleted).count();
        assert_eq!(found.len(), if wrong { living } else { 0 }, "{amount}: {found:?}");
    }
}

//! What the catalog adds to lines and to what subscriptions are made of, and MRR with it, in both catalogs and without.
use super::{
    company::{Company, Files, ZONE, database, sized, world},
    ledger::{local, money, utc},
};
use crate::models::{
    data,
    lake::assert_same,
    needs,
    reference::{self, MOVEMENT_COLUMNS, MRR_COLUMNS},
};
use tidegate::{
    model,
    sim::{
        truth::Provider,
        world::{
            World,
            catalog::{Item, ItemKind},
            model::{Entity, InvoiceStatus, Line, PriceType, SubscriptionStatus, extra_of},
            ware::{Details, Pricing, Ware},
        },
    },
};

const ONE: Provider = Provider::ChargebeeCatalog1;
const TWO: Provider = Provider::Chargebee;

fn or_null(value: Option<impl ToString>) -> String {
    value.map_or("-".to_owned(), |v| v.to_string())
}

/// The thing for sale of that id.
fn ware<'a>(world: &'a World, id: &str) -> Option<&'a Ware> {
    world.wares().rows().find(|w| w.id == id)
}

/// (item id, item name, item kind, interval unit, interval count, pricing model) of a price.
fn facts(world: &World, site: Provider, price: Option<&str>) -> [String; 6] {
    let Some(found) = price.and_then(|id| ware(world, id)) else {
        return [const { String::new() }; 6].map(|_| "-".into());
    };
    let Details::Price { item, kind, period, pricing, .. } = &found.details else {
        panic!("{} is no price", found.id)
    };
    let model = match pricing {
        Pricing::Flat(_) => "flat_fee",
        Pricing::PerUnit(_) => "per_unit",
        Pricing::Tiers(model, _) => model,
    };
    let (count, unit) = period.map(|p| p.count_and_unit()).unzip();
    let (id, name, kind) = match site {
        ONE => (&found.id, &found.name, if *kind == ItemKind::Plan { "plan" } else { "addon" }),
        _ => (item, &ware(world, item).unwrap().name, kind.word()),
    };
    [id.clone(), name.clone(), kind.into(), or_null(unit), or_null(count), model.into()]
}

/// The id under which the catalog knows what a line bills.
fn billed<'a>(site: Provider, line: &'a Line, lines: &'a [Line]) -> Option<&'a str> {
    let own = line.price_id.as_deref();
    let fee = matches!(line.entity, Entity::Price(Item::Setup));
    if site == ONE && fee { Line::plan(lines).or(own) } else { own }
}

fn line_kind(site: Provider, line: &Line, lines: &[Line]) -> &'static str {
    match line.entity {
        Entity::Price(Item::ApiCalls) if site == TWO => "usage",
        Entity::Price(Item::Setup) if site == ONE && Line::plan(lines).is_some() => "setup",
        Entity::Price(Item::Setup) | Entity::Adhoc => "one_off",
        Entity::Price(_) => "recurring",
    }
}

fn lines_of(world: &World, site: Provider, lines: &[Line]) -> Vec<String> {
    let row = |line: &Line| {
        let [item, name, kind, unit, count, pricing] = facts(world, site, billed(site, line, lines));
        let ours = line_kind(site, line, lines);
        format!("{}|{item}|{name}|{kind}|{ours}|{unit}|{count}|{pricing}", line.id)
    };
    lines.iter().map(row).collect()
}

/// Rows of `v_subscription_items`, read off the world.
fn parts(world: &World, site: Provider) -> Vec<String> {
    let mut rows = Vec::new();
    for row in world.subscriptions().rows() {
        let own = row.items.iter().map(|i| (i.price_id.clone(), i.item.kind().word(), true));
        let extra = extra_of(&row.id, row.currency).map(|(price, _)| (price, "subscription_creation", false));
        for (price, word, counts) in own.chain(extra) {
            let id = if site == ONE {
                format!("{}:{word}:{price}", row.id)
            } else {
                format!("{}:{price}", row.id)
            };
            let [item, name, _, unit, count, pricing] = facts(world, site, Some(&price));
            rows.push(format!("{id}|{item}|{name}|{unit}|{count}|{pricing}|{counts}"));
        }
    }
    rows
}

/// The world as the reference of MRR reads it. `recurring` says what of the lines that have a period is.
fn plain(world: &World, recurring: impl Fn(&Line) -> bool) -> data::World {
    let mut plain = data::World { as_of: utc(world.now().secs()), ..data::World::default() };
    for row in world.subscriptions().rows() {
        let (count, unit) = row.period.count_and_unit();
        let leaving = row.status == SubscriptionStatus::NonRenewing;
        plain.subscriptions.push(data::Subscription {
            owner: 0,
            id: row.id.clone(),
            status: if row.status == SubscriptionStatus::InTrial { "trialing" } else { row.status.word() },
            unit,
            count,
            cancel_at: row.term.filter(|_| leaving).map(|t| utc(t.1)),
            ended: row.cancelled_at.map(utc),
            deleted: row.stamp.deleted,
        });
    }
    let line = |line: &Line, parent: &str, of: Option<String>, price_type, currency, deleted, note| {
        let included = if price_type == PriceType::Inclusive { line.tax } else { 0 };
        data::Line {
            id: line.id.clone(),
            parent: parent.to_owned(),
            note,
            subscription: of,
            price: line.price_id.clone(),
            kind: if recurring(line) { "recurring" } else { "one_off" },
            start: local(line.from, ZONE),
            end: local(line.to, ZONE),
            net: money(line.amount - line.discount - line.item_discount - included, currency),
            proration: line.prorated.then_some(true),
            deleted,
            ..data::Line::default()
        }
    };
    let subscription = |at: Option<_>| at.map(|at| world.subscriptions()[at].id.clone());
    for row in world.invoices().rows() {
        plain.invoices.push(data::Invoice {
            id: row.id.clone(),
            customer: world.customers()[row.customer].id.clone(),
            subscription: subscription(row.subscription),
            currency: row.currency.code(),
            void: row.status == InvoiceStatus::Voided,
            draft: Some(row.status == InvoiceStatus::Pending),
            deleted: row.stamp.deleted,
            issue: local(row.date, ZONE),
            ..data::Invoice::default()
        });
        let of = subscription(row.subscription);
        let own = |l| line(l, &row.id, of.clone(), row.price_type, row.currency, row.stamp.deleted, false);
        plain.lines.extend(row.lines.iter().map(own));
    }
    for row in world.notes().rows().filter(|n| !n.stamp.deleted) {
        plain.notes.push(data::Note {
            owner: 0,
            id: row.id.clone(),
            invoice: world.invoices()[row.invoice].id.clone(),
            reason: row.reason.word(),
            date: local(row.date, ZONE),
            void: row.voided_at.is_some(),
        });
        let of = subscription(row.subscription);
        plain.lines.extend(
            row.lines.iter().map(|l| line(l, &row.id, of.clone(), row.price_type, row.currency, false, true)),
        );
    }
    plain
}

/// A line that recurs by its own record: it bills a plan or an addon for a period.
fn by_itself(line: &Line) -> bool {
    matches!(line.entity, Entity::Price(item) if item.kind() != ItemKind::Charge)
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

const LINES: &str =
    "id, item_id, item_name, item_kind, line_kind, interval_unit, interval_count, pricing_model";
const PARTS: &str = "id, item_id, item_name, interval_unit, interval_count, pricing_model, included_in_mrr";

#[tokio::test]
async fn views_of_lines_and_items_say_what_either_catalog_says_on_both_engines() {
    let mut kinds = std::collections::BTreeSet::new();
    for site in [ONE, TWO] {
        let world = world(4);
        let invoices = world.invoices().rows().flat_map(|i| lines_of(&world, site, &i.lines));
        let notes = world.notes().rows().flat_map(|n| lines_of(&world, site, &n.lines));
        let questions = [
            (format!("select {LINES} from v_invoice_line_items"), sorted(invoices.collect())),
            (format!("select {LINES} from v_credit_note_line_items"), sorted(notes.collect())),
            (format!("select {PARTS} from v_subscription_items"), sorted(parts(&world, site))),
        ];
        let company = [Company::at("acme", &world, ZONE, site)];
        let (lake, pg) = (Files::write(&company).await, database(&company).await);
        for (sql, expected) in questions {
            assert!(expected.len() > 5, "{sql}: {}", expected.len());
            let truths = |rows: Vec<String>| -> Vec<String> {
                rows.into_iter().map(|r| r.replace("|t|", "|true|").replace("|f|", "|false|")).collect()
            };
            assert_same(&format!("{site:?} on the lake: {sql}"), &lake.rows(&sql).await, &expected);
            assert_same(&format!("{site:?} on Postgres: {sql}"), &truths(pg.rows(&sql).await), &expected);
            if sql.contains("line_kind") {
                kinds.extend(expected.iter().map(|r| r.split('|').nth(4).unwrap().to_owned()));
            }
        }
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["one_off", "recurring", "setup", "usage"]);
}

#[tokio::test]
async fn mrr_and_movements_equal_their_reference_in_either_catalog_and_without_one() {
    let mut rows = 0;
    for seed in [0, 9] {
        let world = sized(seed, 60);
        let metered = |l: &Line| l.entity == Entity::Price(Item::ApiCalls);
        let mut nowhere = Company::of("acme", &world, ZONE);
        for table in ["items", "prices"] {
            nowhere.table(table).clear();
        }
        let cases = [
            ("catalog 1.0", Company::at("acme", &world, ZONE, ONE), plain(&world, by_itself)),
            (
                "catalog 2.0",
                Company::of("acme", &world, ZONE),
                plain(&world, |l| by_itself(l) && !metered(l)),
            ),
            ("without a catalog", nowhere, plain(&world, by_itself)),
        ];
        for (what, company, plain) in cases {
            let questions = [
                (format!("select {MRR_COLUMNS} from mrr_monthly"), reference::mrr(&plain)),
                (format!("select {MOVEMENT_COLUMNS} from mrr_movements"), reference::movements(&plain)),
            ];
            let company = [company];
            let (lake, pg) = (Files::write(&company).await, database(&company).await);
            for (sql, expected) in questions {
                assert_same(
                    &format!("{what} on the lake, seed {seed}: {sql}"),
                    &lake.rows(&sql).await,
                    &expected,
                );
                assert_same(
                    &format!("{what} on Postgres, seed {seed}: {sql}"),
                    &pg.rows(&sql).await,
                    &expected,
                );
                rows += expected.len();
            }
        }
    }
    assert!(rows > 1_000, "too little to compare: {rows}");
}

/// Tables that a pipeline does not read are there and empty.
#[tokio::test]
async fn a_view_of_lines_answers_without_any_catalog_by_what_subscriptions_say() {
    let world = world(4);
    let mut company = Company::of("acme", &world, ZONE);
    for table in ["items", "prices", "item_families"] {
        company.table(table).clear();
    }
    let lake = Files::write(&[company]).await;
    let lines: usize = world.invoices().rows().map(|i| i.lines.len()).sum();
    let found = lake.rows("select id, item_name, item_kind, line_kind from v_invoice_line_items").await;
    assert_eq!(found.len(), lines, "each line once");
    let of = |kind: &str| found.iter().filter(|r| r.contains(kind)).count();
    assert!(of("|-|plan|recurring") > 20 && of("|-|addon|recurring") > 5 && of("usage") == 0, "{found:?}");
    let charges = lake.rows("select distinct item_kind, included_in_mrr from v_subscription_items").await;
    assert_eq!(charges, ["addon|true", "charge|false", "plan|true"]);
}

/// An addon of catalog 1.0 that is charged once may have a service period; only the catalog knows.
#[tokio::test]
async fn an_addon_that_is_charged_once_leaves_mrr_whatever_period_its_line_has() {
    let world = sized(2, 60);
    let mut company = Company::at("acme", &world, ZONE, ONE);
    let once: Vec<String> = company
        .table("addons")
        .iter_mut()
        .filter(|row| row["id"].starts_with("seats-"))
        .map(|row| {
            row.insert("is_recurring".into(), "false".into());
            row["id"].clone()
        })
        .collect();
    assert!(once.len() > 5);
    let lasting = |l: &Line| by_itself(l) && !l.price_id.as_ref().is_some_and(|id| once.contains(id));
    let expected = reference::mrr(&plain(&world, lasting));
    assert_ne!(expected, reference::mrr(&plain(&world, by_itself)));
    let mut lake = Files::write(&[company]).await;
    let sql = format!("select {MRR_COLUMNS} from mrr_monthly");
    assert_same("mrr_monthly", &lake.rows(&sql).await, &expected);
    let kinds = "select distinct line_kind from v_invoice_line_items where item_id like 'seats-%'";
    assert_eq!(lake.rows(kinds).await, ["one_off"]);
    let mut models = model::all().unwrap();
    let needed = needs(&models, "mrr_monthly");
    models.retain(|m| needed.contains(&m.name));
    let facts = models.iter_mut().find(|m| m.name == "price_facts").unwrap();
    facts.sql = facts.sql.replace("when not is_recurring then 'one_off'", "");
    lake.reopen(&models).await;
    assert_ne!(lake.rows(&sql).await, expected, "the rule is not seen");
}

#[tokio::test]
async fn an_id_of_both_a_plan_and_an_addon_says_nothing_of_either() {
    let mut company = Company::at("acme", &sized(2, 20), ZONE, ONE);
    let plan = company.table("plans")[0]["id"].clone();
    let mut twin = company.table("addons")[0].clone();
    twin.insert("id".into(), plan.clone());
    company.table("addons").push(twin);
    let mut lake = Files::write(&[company]).await;
    let sql = "select price_id, item_kind, line_kind, interval_unit, interval_count, pricing_model from price_facts \
               where is_ambiguous";
    let expected = [format!("{plan}|-|-|-|-|-")];
    assert_eq!(lake.rows(sql).await, expected);
    let mut models = model::all().unwrap();
    let facts = models.iter_mut().find(|m| m.name == "price_facts").unwrap();
    facts.sql = facts.sql.replace("when not is_ambiguous then line_kind", "when true then line_kind");
    lake.reopen(&models).await;
    assert_ne!(lake.rows(sql).await, expected, "the rule is not seen");
}

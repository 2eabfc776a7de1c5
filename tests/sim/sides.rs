use super::{START, ask, days, get, sim, sorted};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tidegate::{
    sim::{
        Sim,
        truth::{self, Tables},
        world::{Size, World, side::Body},
    },
    time::Timestamp,
};

/// Resource, its sort keys, whether `updated_at` is a filter, whether `include_deleted` is a parameter.
const LISTS: [(&str, &str, &[&str], bool, bool); 10] = [
    ("payment_sources", "payment_source", &["created_at", "updated_at"], true, true),
    ("orders", "order", &["created_at", "updated_at"], true, true),
    ("quotes", "quote", &["date"], true, true),
    ("usages", "usage", &["usage_date", "updated_at"], true, false),
    ("virtual_bank_accounts", "virtual_bank_account", &[], true, false),
    ("hosted_pages", "hosted_page", &[], true, false),
    ("promotional_credits", "promotional_credit", &[], false, false),
    ("comments", "comment", &["created_at"], false, false),
    ("unbilled_charges", "unbilled_charge", &[], false, true),
    ("gifts", "gift", &[], false, false),
];

fn tables(world: &World) -> Tables {
    truth::expected(world, truth::Provider::Chargebee, &truth::Facts { time_zone: chrono_tz::UTC })
}

fn records(sim: &mut Sim, now: Timestamp, stream: &str, query: &[(&str, &str)]) -> Vec<Value> {
    let singular = LISTS.iter().find(|l| l.0 == stream).unwrap().1;
    let (mut all, mut token): (Vec<Value>, Option<String>) = (Vec::new(), None);
    loop {
        let mut query = query.to_vec();
        query.extend(token.iter().map(|t| ("offset", t.as_str())));
        let page = get(sim, now, &format!("/api/v2/{stream}"), &query);
        all.extend(page["list"].as_array().unwrap().iter().map(|e| e[singular].clone()));
        match page["next_offset"].as_str() {
            Some(next) => token = Some(next.to_owned()),
            None => return all,
        }
    }
}

fn ids(records: &[Value]) -> Vec<String> {
    sorted(records.iter().map(|r| r["id"].as_str().unwrap().to_owned()).collect())
}

#[test]
fn every_smaller_list_shows_each_row_once_and_says_what_it_is() {
    let mut sim = sim(1, 120, &[]);
    sim.advance(START.plus(days(40)));
    let now = START.plus(days(40));
    for (stream, singular, ..) in LISTS {
        let all = records(&mut sim, now, stream, &[("limit", "7"), ("include_deleted", "true")]);
        let rows =
            sim.world().sides().rows().filter(|r| r.body.resource().plural() == stream && !r.stamp.gone);
        let wanted = sorted(rows.map(|r| r.id.clone()).collect());
        assert!(wanted.len() > 3, "{stream} has only {} rows", wanted.len());
        assert_eq!(ids(&all), wanted, "{stream}");
        assert!(all.iter().all(|r| r["object"] == singular), "{stream}");
        let nulls = all.iter().flat_map(|r| r.as_object().unwrap().values()).any(Value::is_null);
        assert!(!nulls, "{stream}");
    }
}

#[test]
fn sorts_that_a_list_does_not_allow_are_refused_and_unknown_filters_ignored() {
    let mut sim = sim(2, 60, &[]);
    for (stream, _, sorts, updated, _) in LISTS {
        for field in ["created_at", "updated_at", "date", "usage_date", "id"] {
            let path = format!("/api/v2/{stream}");
            let status = ask(&mut sim, START, &path, &[("sort_by[asc]", field)]).status;
            assert_eq!(status, if sorts.contains(&field) { 200 } else { 400 }, "{stream} by {field}");
        }
        let all = records(&mut sim, START, stream, &[("limit", "100")]);
        let late = records(&mut sim, START, stream, &[("limit", "100"), ("updated_at[after]", "1900000000")]);
        assert_eq!(late.is_empty(), updated || all.is_empty(), "{stream}");
    }
}

#[test]
fn deleted_rows_need_the_parameter_where_there_is_one_and_billed_charges_show_nowhere() {
    let mut sim = sim(3, 300, &[]);
    let now = START.plus(days(60));
    sim.advance(now);
    let mut deleted = BTreeSet::new();
    for (stream, _, _, _, parameter) in LISTS {
        let all = records(&mut sim, now, stream, &[("limit", "100"), ("include_deleted", "True")]);
        let plain = records(&mut sim, now, stream, &[("limit", "100")]);
        let flagged = all.iter().filter(|r| r["deleted"] == true).count();
        assert_eq!(all.len() - plain.len(), if parameter { flagged } else { 0 }, "{stream}");
        deleted.extend((flagged > 0).then_some(stream));
    }
    let expected = ["orders", "payment_sources", "quotes", "unbilled_charges", "virtual_bank_accounts"];
    assert_eq!(deleted, expected.into_iter().collect());
    let gone = sim.world().sides().rows().filter(|r| r.stamp.gone).map(|r| r.id.clone()).collect::<Vec<_>>();
    assert!(!gone.is_empty());
    let shown = records(&mut sim, now, "unbilled_charges", &[("limit", "100"), ("include_deleted", "true")]);
    assert!(ids(&shown).iter().all(|id| !gone.contains(id)));
}

#[test]
fn the_ledger_of_promotional_credit_ends_at_the_customers_balance() {
    for seed in 0..10 {
        let mut world = World::new(seed, Size { customers: 80 }, START);
        world.advance(START.plus(days(60)));
        let mut sums: BTreeMap<_, (i64, i64)> = BTreeMap::new();
        for row in world.sides().rows() {
            if let Body::Movement(movement) = &row.body {
                let entry = sums.entry(row.customer).or_default();
                entry.0 += movement.amount;
                assert_eq!(entry.0, movement.closing, "seed {seed} {row:?}");
                entry.1 += i64::from(movement.amount < 0);
            }
        }
        for (at, customer) in world.customers().iter() {
            let sum = sums.get(&at).map_or(0, |s| s.0);
            assert_eq!(sum, customer.promotional_credits, "seed {seed} {}", customer.id);
        }
        assert!(sums.values().any(|s| s.1 > 0), "seed {seed}: nothing was ever used");
    }
}

#[test]
fn unbilled_charges_add_up_to_what_customers_show_and_end_on_an_invoice() {
    let mut world = World::new(4, Size { customers: 150 }, START);
    world.advance(START.plus(days(90)));
    let tables = tables(&world);
    // Major units at eight places, exact.
    let exact = |text: &str| {
        let (whole, places) = text.split_once('.').unwrap_or((text, ""));
        format!("{whole}{places:0<8}").parse::<i128>().unwrap()
    };
    for customer in tables["customers"].values() {
        let open = tables["unbilled_charges"].values().filter(|c| {
            c["customer_id"] == customer["id"] && c["is_void"] == "false" && !c.contains_key("_deleted")
        });
        assert_eq!(open.map(|c| exact(&c["amount"])).sum::<i128>(), exact(&customer["unbilled_amount"]));
    }
    let billed = world.sides().rows().filter(|r| r.stamp.gone).count();
    let later = world.invoices().rows().flat_map(|i| {
        let setup = i.lines.iter().filter(|l| l.name == "Setup fee").count();
        std::iter::once(setup.saturating_sub(usize::from(i.first)))
    });
    assert!(billed > 5 && later.sum::<usize>() >= billed / 2, "{billed}");
}

#[test]
fn the_world_knows_every_state_of_the_smaller_resources() {
    let mut world = World::new(5, Size { customers: 800 }, START);
    world.advance(START.plus(days(60)));
    let tables = tables(&world);
    let seen = |table: &str, column: &str| -> BTreeSet<String> {
        tables[table].values().filter_map(|r| r.get(column).cloned()).collect()
    };
    let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(seen("payment_methods", "status"), words(&["deleted", "valid", "expiring", "expired"]));
    assert_eq!(seen("payment_methods", "kind"), words(&["card", "direct_debit", "paypal_express_checkout"]));
    assert_eq!(
        seen("orders", "status_raw"),
        words(&["new", "processing", "shipped", "delivered", "cancelled"])
    );
    assert_eq!(seen("quotes", "status_raw"), words(&["open", "accepted", "declined", "expired", "invoiced"]));
    assert_eq!(
        seen("hosted_pages", "status_raw"),
        words(&["requested", "cancelled", "succeeded", "acknowledged"])
    );
    assert_eq!(
        seen("gifts", "status_raw"),
        words(&["scheduled", "unclaimed", "claimed", "expired", "cancelled"])
    );
    assert_eq!(seen("promotional_credits", "kind"), words(&["increment", "decrement"]));
    assert_eq!(seen("comments", "kind"), words(&["user", "system"]));
    assert_eq!(seen("unbilled_charges", "is_void"), words(&["true", "false"]));
    assert_eq!(seen("virtual_bank_accounts", "scheme"), words(&["sepa_credit", "ach_credit"]));
    assert!(seen("usages", "note").contains("corrected"));
}

#[test]
fn a_bare_world_makes_nothing_by_itself() {
    let mut bare = World::bare(1, START);
    bare.touch_random(START, 50);
    assert!(!bare.customers().is_empty() && bare.sides().is_empty());
}

#[test]
fn a_long_document_is_cut_in_lists_and_whole_when_asked_for_line_by_line() {
    let mut sim = sim(1, 40, &[tidegate::sim::chaos::Knob::CutLines(1)]);
    let page = get(&mut sim, START, "/api/v2/invoices", &[("limit", "100")]);
    let cut = page["list"].as_array().unwrap().iter().map(|e| &e["invoice"]);
    let cut: Vec<&Value> = cut.filter(|i| i.get("line_items_next_offset").is_some()).collect();
    assert!(!cut.is_empty());
    for invoice in cut {
        let id = invoice["id"].as_str().unwrap();
        let (mut next, mut lines) = (invoice["line_items_next_offset"].as_str().map(str::to_owned), 1);
        while let Some(offset) = next {
            let path = format!("/api/v2/invoices/{id}");
            let query = [("line_items_limit", "1"), ("line_items_offset", offset.as_str())];
            let more = get(&mut sim, START, &path, &query)["invoice"].clone();
            lines += more["line_items"].as_array().unwrap().len();
            next = more["line_items_next_offset"].as_str().map(str::to_owned);
        }
        let world = sim.world().invoices().rows().find(|i| i.id == id).unwrap();
        assert_eq!(lines, world.lines.len());
        assert!(sim.rejected_ids().contains(&("invoices".to_owned(), id.to_owned())));
    }
    sim.quiet(START);
    assert!(sim.rejected_ids().is_empty());
}

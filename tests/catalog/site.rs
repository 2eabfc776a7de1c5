//! The simulated site: its catalogs and its log behave as Chargebee's do.
use serde_json::Value;
use std::collections::BTreeSet;
use tidegate::{
    secret::Secret,
    sim::{
        Sim,
        chargebee::ProductCatalog,
        world::{
            Size,
            ware::{Ware, WareKind},
        },
    },
    time::Timestamp,
    wire::{Handler, Request},
};

const START: Timestamp = Timestamp::from_secs(1_760_000_000);
const TWO: [(&str, &str, &[&str]); 4] = [
    ("item_families", "item_family", &[]),
    ("items", "item", &["id", "name", "updated_at"]),
    ("item_prices", "item_price", &["id", "name", "updated_at"]),
    ("coupons", "coupon", &["created_at"]),
];
const ONE: [(&str, &str, &[&str]); 3] =
    [("plans", "plan", &[]), ("addons", "addon", &[]), ("coupons", "coupon", &["created_at"])];

fn site(catalog: ProductCatalog) -> Sim {
    let mut sim = Sim::new(3, Size { customers: 20 }, START, &[]);
    sim.set_catalog(catalog);
    sim
}

fn ask(sim: &mut Sim, path: &str, query: &[(&str, &str)]) -> (u16, Value, Vec<u8>) {
    let query = query.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let headers = vec![("authorization".to_owned(), Secret::new("Basic c2ltX3Rlc3Rfa2V5Og=="))];
    let url = format!("https://acme-test.chargebee.com/api/v2/{path}");
    let response = sim.handle(START, &Request { url, query, headers });
    (response.status, serde_json::from_slice(&response.body).unwrap(), response.body.to_vec())
}

/// All pages of a list.
fn walk(sim: &mut Sim, list: &str, singular: &str, query: &[(&str, &str)]) -> Vec<Value> {
    let (mut records, mut token): (Vec<Value>, Option<String>) = (Vec::new(), None);
    for _ in 0..10_000 {
        let mut query = query.to_vec();
        query.extend(token.as_deref().map(|t| ("offset", t)));
        let (status, page, _) = ask(sim, list, &query);
        assert_eq!(status, 200, "{list} {query:?}: {page}");
        records.extend(page["list"].as_array().unwrap().iter().map(|e| e[singular].clone()));
        match page.get("next_offset") {
            Some(next) => token = Some(next.as_str().unwrap().to_owned()),
            None => return records,
        }
    }
    panic!("no end of {list}");
}

fn ids(records: &[Value]) -> Vec<String> {
    records.iter().map(|r| r["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_list_shows_every_record_once_in_every_order_that_it_allows() {
    for (catalog, lists) in [(ProductCatalog::V2, &TWO[..]), (ProductCatalog::V1, &ONE[..])] {
        let mut sim = site(catalog);
        for (list, singular, sorts) in lists {
            let all = walk(&mut sim, list, singular, &[("limit", "100")]);
            let distinct: BTreeSet<String> = ids(&all).into_iter().collect();
            assert!(all.len() > 1 && distinct.len() == all.len(), "{list}: {}", all.len());
            assert!(all.iter().all(|r| r["object"] == *singular && r["status"] != "deleted"), "{list}");
            for by in *sorts {
                for limit in ["1", "3", "100"] {
                    let up = walk(&mut sim, list, singular, &[("limit", limit), ("sort_by[asc]", by)]);
                    assert_eq!(ids(&up).into_iter().collect::<BTreeSet<_>>(), distinct, "{list} by {by}");
                    assert!(up.is_sorted_by_key(|r| r[*by].as_str().map(str::to_owned)), "{list} by {by}");
                    assert!(up.is_sorted_by_key(|r| r[*by].as_i64()), "{list} by {by}");
                    let down = walk(&mut sim, list, singular, &[("limit", limit), ("sort_by[desc]", by)]);
                    assert_eq!(ids(&down).into_iter().rev().collect::<Vec<_>>(), ids(&up), "{list} by {by}");
                }
            }
            let mut times: Vec<i64> = all.iter().map(|r| r["updated_at"].as_i64().unwrap()).collect();
            times.sort_unstable();
            let (low, high) = (times[times.len() / 3], times[times.len() / 2]);
            let window = format!("[{low},{high}]");
            let found = walk(&mut sim, list, singular, &[("updated_at[between]", &window), ("limit", "2")]);
            let expected: Vec<_> =
                all.iter().filter(|r| (low..=high).contains(&r["updated_at"].as_i64().unwrap())).collect();
            assert_eq!(found.len(), expected.len(), "{list}");
        }
    }
}

#[test]
fn a_sort_key_that_a_list_does_not_allow_is_refused_and_unknown_parameters_are_ignored() {
    let mut sim = site(ProductCatalog::V2);
    for (list, key) in
        [("items", "created_at"), ("coupons", "updated_at"), ("item_families", "id"), ("events", "id")]
    {
        let (status, body, _) = ask(&mut sim, list, &[("sort_by[asc]", key)]);
        assert_eq!((status, body["api_error_code"].as_str()), (400, Some("param_wrong_value")), "{list}");
        assert_eq!(body["param"], "sort_by[asc]");
    }
    let (status, body, _) = ask(&mut sim, "items", &[("limit", "101")]);
    assert_eq!((status, body["param"].as_str()), (400, Some("limit")));
    let plain = ids(&walk(&mut sim, "items", "item", &[("limit", "100")]));
    let ignored = [
        ("limit", "100"),
        ("status", "deleted"),
        ("no_such", "1"),
        ("include_deleted", "true"),
        ("x[is]", "y"),
    ];
    assert_eq!(ids(&walk(&mut sim, "items", "item", &ignored)), plain);
    let one = walk(&mut sim, "items", "item", &[("id[is]", "pro")]);
    assert_eq!(ids(&one), ["pro"]);
}

#[test]
fn deleted_things_leave_the_lists_and_only_the_log_still_knows_them() {
    let mut sim = site(ProductCatalog::V2);
    let deleted: Vec<String> =
        sim.world().wares().rows().filter(|w| w.stamp.deleted).map(|w| w.id.clone()).collect();
    assert!(deleted.len() > 3, "{deleted:?}");
    let mut told = BTreeSet::new();
    for (list, singular, _) in TWO {
        let shown = ids(&walk(&mut sim, list, singular, &[("limit", "100"), ("include_deleted", "true")]));
        assert!(shown.iter().all(|id| !deleted.contains(id)), "{list}");
        let filter = format!("[\"{singular}_deleted\"]");
        let python = format!("['{singular}_deleted']");
        let events = walk(&mut sim, "events", "event", &[("limit", "2"), ("event_type[in]", &filter)]);
        assert_eq!(events, walk(&mut sim, "events", "event", &[("event_type[in]", &python)]));
        for event in &events {
            let gone = &event["content"][singular];
            assert_eq!((gone["status"].as_str(), gone["deleted"].as_bool()), (Some("deleted"), Some(true)));
            assert_eq!(event["event_type"], format!("{singular}_deleted"));
            assert_eq!(gone["updated_at"], event["occurred_at"]);
            told.insert(gone["id"].as_str().unwrap().to_owned());
        }
    }
    assert!(deleted.iter().all(|id| told.contains(id)), "{deleted:?} {told:?}");
    let item = |w: &&Ware| w.stamp.deleted && w.kind() == WareKind::Item;
    let gone = sim.world().wares().rows().find(item).unwrap().id.clone();
    let (status, body, _) = ask(&mut sim, &format!("items/{gone}"), &[]);
    assert_eq!((status, body["api_error_code"].as_str()), (404, Some("resource_not_found")));
    assert_eq!(ask(&mut sim, "items/pro", &[]).1["item"]["id"], "pro");
}

#[test]
fn what_the_log_said_once_never_changes() {
    let mut sim = site(ProductCatalog::V2);
    let before = walk(&mut sim, "events", "event", &[("limit", "100")]);
    assert!(before.len() > 200);
    assert!(before.is_sorted_by_key(|e| e["occurred_at"].as_i64().unwrap()));
    let last = before.last().unwrap()["occurred_at"].as_i64().unwrap();
    sim.advance(START.plus(std::time::Duration::from_secs(90 * 86_400)));
    sim.world_mut().touch_random(START, 40);
    let until = format!("[0,{last}]");
    let again = walk(&mut sim, "events", "event", &[("limit", "100"), ("occurred_at[between]", &until)]);
    assert_eq!(again, before);
    let first = before[0]["id"].as_str().unwrap();
    assert_eq!(ask(&mut sim, &format!("events/{first}"), &[]).1["event"], before[0]);
    let down = walk(&mut sim, "events", "event", &[("limit", "33"), ("sort_by[desc]", "occurred_at")]);
    let up = walk(&mut sim, "events", "event", &[("limit", "100")]);
    assert_eq!(ids(&down).into_iter().rev().collect::<Vec<_>>(), ids(&up));
    let subscription = up.iter().find(|e| e["event_type"] == "subscription_renewed").unwrap();
    assert!(subscription["content"]["subscription"]["mrr"].is_i64());
    assert!(subscription["content"]["customer"]["id"].is_string());
}

#[test]
fn a_site_has_one_catalog_and_refuses_the_other() {
    for (catalog, word, own, other) in [
        (ProductCatalog::V1, "v1", "plans", ["items", "item_prices", "item_families"].as_slice()),
        (ProductCatalog::V2, "v2", "items", ["plans", "addons"].as_slice()),
    ] {
        let mut sim = site(catalog);
        let (_, body, _) = ask(&mut sim, "configurations", &[]);
        assert_eq!(body["configurations"][0]["product_catalog_version"], word);
        assert_eq!(ask(&mut sim, own, &[]).0, 200);
        for list in other {
            let (status, body, _) = ask(&mut sim, list, &[]);
            let code = body["api_error_code"].as_str();
            assert_eq!((status, code), (400, Some("configuration_incompatible")), "{list}");
        }
    }
}

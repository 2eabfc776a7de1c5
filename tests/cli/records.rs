//! Records as the provider writes them, through the whole binary.
use super::{
    site::{Fixed, Served},
    stage::Stage,
    tables::select,
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tidegate::{
    time::{Clock, SystemClock, Timestamp},
    wire::{Handler, Request, Response},
};

/// A site whose records the test exchanges between two syncs.
#[derive(Clone)]
struct Exchanged(Arc<Mutex<Fixed>>);

impl Handler for Exchanged {
    fn handle(&mut self, now: Timestamp, request: &Request) -> Response {
        self.0.lock().unwrap().handle(now, request)
    }
}

fn synced(records: Vec<(&'static str, Vec<Value>)>) -> (Stage, Exchanged, Served) {
    let shelf = Exchanged(Arc::new(Mutex::new(Fixed(records))));
    let site = Served::new(shelf.clone());
    let stage = Stage::new(&site.chargebee());
    stage.run(&["sync", "--strict"]).expect(0);
    (stage, shelf, site)
}

fn customer(version: u64) -> Value {
    let now = SystemClock.now().secs() - 3_600;
    json!({"id": "c1", "first_name": "Ada", "company": "Engines", "created_at": now, "updated_at": now,
        "resource_version": version, "deleted": false, "object": "customer"})
}

#[test]
fn a_field_that_the_api_omits_because_it_became_null_is_null_with_us() {
    let (stage, shelf, _site) = synced(vec![("customer", vec![customer(1)])]);
    let company = "select company, first_name from customers";
    assert_eq!(select(&stage, company), [json!({"company": "Engines", "first_name": "Ada"})]);
    let mut without = customer(2);
    without.as_object_mut().unwrap().remove("company");
    shelf.0.lock().unwrap().0 = vec![("customer", vec![without])];
    stage.run(&["sync", "--strict"]).expect(0);
    assert_eq!(select(&stage, company), [json!({"company": null, "first_name": "Ada"})]);
}

#[test]
fn a_field_nobody_declared_survives_in_the_raw_bodies() {
    let mut odd = customer(1);
    odd["cf_never_heard_of"] = json!({"deep": [1, "\u{1f980}"]});
    let (stage, ..) = synced(vec![("customer", vec![odd.clone()])]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let body = runtime.block_on(async {
        use tidegate::load::{Destination, lake::Lake};
        let project = tidegate::app::project::Project::open(&stage.path(".")).unwrap();
        let owner = project.pipeline("acme").unwrap().owner;
        let mut lake = Lake::new(stage.path("lake"));
        let entities: Vec<_> = project.catalog.entities.values().cloned().collect();
        lake.open(&owner, &entities).await.unwrap();
        lake.raw_after("customers", 0).await.unwrap().unwrap().1.remove(0).body
    });
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), odd);
}

#[test]
fn an_integer_above_2_to_53_and_a_price_of_8_decimals_arrive_unchanged() {
    let now = SystemClock.now().secs() - 3_600;
    let line = json!({"id": "l1", "date_from": now, "date_to": now + 86_400, "entity_type": "plan_item_price",
        "entity_id": "p", "quantity_in_decimal": "3.00000001", "unit_amount_in_decimal": "0.12345678",
        "amount": 9_007_199_254_740_993_u64, "quantity": 3, "unit_amount": 12});
    let invoice = json!({"id": "i1", "customer_id": "c1", "status": "paid", "date": now, "currency_code": "EUR",
        "total": 9_007_199_254_740_993_u64, "updated_at": now, "resource_version": 9_007_199_254_740_995_u64,
        "deleted": false, "line_items": [line]});
    let (stage, ..) = synced(vec![("invoice", vec![invoice])]);
    assert_eq!(
        select(&stage, "select total, version from invoices"),
        [json!({"total": "90071992547409.93000000", "version": 9_007_199_254_740_995_u64})]
    );
    let lines = select(
        &stage,
        "select cast(unit_amount as text) as price, cast(quantity as text) as quantity \
        from invoice_line_items",
    );
    assert_eq!(lines.len(), 1);
    let starts = |name: &str, with: &str| lines[0][name].as_str().unwrap().trim_end_matches('0') == with;
    assert!(starts("price", "0.12345678") && starts("quantity", "3.00000001"), "{lines:?}");
}

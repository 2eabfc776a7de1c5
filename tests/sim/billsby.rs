use super::{START, ask, days, get, request, sim};
use serde_json::Value;
use std::collections::BTreeSet;
use tidegate::{
    secret::Secret,
    sim::{
        Sim,
        truth::{Facts, Provider, expected},
    },
    wire::Handler,
};

const CUSTOMERS: &str = "/api/v1/rest/core/acme/customers";

fn pages(sim: &mut Sim, size: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    for page in 1.. {
        let page = page.to_string();
        let body = get(sim, START, CUSTOMERS, &[("page", &page), ("pageSize", size)]);
        let results = body["results"].as_array().unwrap();
        if results.is_empty() {
            return rows;
        }
        rows.extend(results.iter().cloned());
    }
    rows
}

#[test]
fn all_pages_hold_every_living_customer_once() {
    let mut sim = sim(1, 600, &[]);
    let living = sim.world().customers().rows().filter(|c| !c.stamp.deleted).count();
    assert!(living < sim.world().customers().len());
    let rows = pages(&mut sim, "7");
    let ids: BTreeSet<&str> = rows.iter().map(|r| r["customerUniqueId"].as_str().unwrap()).collect();
    assert_eq!((rows.len(), ids.len()), (living, living));
    assert!(
        ids.iter()
            .all(|id| id.len() == 10 && id.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()))
    );
    let body = get(&mut sim, START, CUSTOMERS, &[("page", "2"), ("pageSize", "500")]);
    assert_eq!(body["pageSize"], 100, "more than 100 is cut to 100");
    assert_eq!(body["currentPage"], 2);
    assert_eq!(body["pageCount"], living.div_ceil(100));
    assert_eq!(body["rowCount"], living);
    assert_eq!(rows, pages(&mut sim, "100"));
}

#[test]
fn page_and_page_size_are_mandatory() {
    let mut sim = sim(1, 5, &[]);
    for query in [&[][..], &[("page", "1")], &[("pageSize", "5")], &[("page", "0"), ("pageSize", "5")]] {
        assert_eq!(ask(&mut sim, START, CUSTOMERS, query).status, 400, "{query:?}");
    }
}

#[test]
fn a_deleted_customer_vanishes_and_shifts_the_pages() {
    let mut sim = sim(1, 60, &[]);
    let before = pages(&mut sim, "10");
    let mut now = START;
    for day in 1..400 {
        now = START.plus(days(day));
        sim.world_mut().touch_random(now, 3);
        if pages(&mut sim, "100").iter().take(10).ne(before.iter().take(10)) {
            break;
        }
    }
    let gone = sim.world().customers().rows().filter(|c| c.stamp.deleted).count();
    sim.world_mut().touch_random(now, 300);
    let more = sim.world().customers().rows().filter(|c| c.stamp.deleted).count();
    assert!(more > gone);
    assert_eq!(pages(&mut sim, "100").len(), sim.world().customers().len() - more);
}

#[test]
fn keys_and_companies_are_checked() {
    let mut sim = sim(1, 5, &[]);
    let mut wrong = request(CUSTOMERS, &[("page", "1"), ("pageSize", "5")]);
    wrong.headers = vec![("apikey".to_owned(), Secret::new("other"))];
    assert_eq!(sim.handle(START, &wrong).status, 401);
    let other = "/api/v1/rest/core/other/customers";
    assert_eq!(ask(&mut sim, START, other, &[("page", "1"), ("pageSize", "5")]).status, 404);
    let products =
        get(&mut sim, START, "/api/v1/rest/core/acme/products", &[("page", "1"), ("pageSize", "1")]);
    assert_eq!(products["rowCount"], 2);
}

#[test]
fn one_customer_has_the_fields_of_the_list_and_more() {
    let mut sim = sim(1, 5, &[]);
    let row = pages(&mut sim, "1").remove(0);
    let id = row["customerUniqueId"].as_str().unwrap();
    let one = get(&mut sim, START, &format!("{CUSTOMERS}/{id}"), &[]);
    assert_eq!(one["email"], row["email"]);
    assert_eq!(one["createdOn"], row["createdOn"]);
    assert!(one["totalAmountPaid"].is_string() && row.get("totalAmountPaid").is_none());
}

#[test]
fn the_truth_of_a_customer_is_what_its_row_says() {
    let mut sim = sim(3, 80, &[]);
    let tables = expected(sim.world(), Provider::Billsby, &Facts { time_zone: chrono_tz::UTC });
    let rows = pages(&mut sim, "100");
    let mut forms = BTreeSet::new();
    for row in &rows {
        let truth = &tables["customers"][row["customerUniqueId"].as_str().unwrap()];
        let written = row["createdOn"].as_str().unwrap();
        let utc = if written.ends_with('Z') || written.contains('+') {
            written.to_owned()
        } else {
            format!("{written}Z")
        };
        let same = |a: &str, b: &str| {
            let parse = |t: &str| chrono::DateTime::parse_from_rfc3339(t).unwrap().timestamp_micros();
            parse(a) == parse(b)
        };
        assert!(same(&utc, &truth["created_at"]), "{written} {}", truth["created_at"]);
        forms.insert(written.len());
        assert_eq!(truth["email"], row["email"].as_str().unwrap());
        assert_eq!(truth["status"], row["status"].as_str().unwrap().to_lowercase());
        let dial = row["phoneNumberDialCode"].as_str().unwrap_or_default();
        let phone = row["phoneNumber"].as_str().map(|p| format!("{dial}{p}"));
        assert_eq!(truth.get("phone"), phone.as_ref());
        assert_eq!(truth["version"], "0");
    }
    assert_eq!(forms.len(), 3, "three ways to write a time");
    let gone = tables["customers"].values().filter(|r| r.contains_key("_deleted")).count();
    assert_eq!(tables["customers"].len() - gone, rows.len());
}

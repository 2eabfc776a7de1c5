//! What would Billsby (API v1, core) answer? Customers and products, page by page, in order of insertion.
//!
//! There is no change filter and no ordering, and deleted customers vanish, so pages shift under a reader.
use super::{
    answer::{header, json, segments},
    json::{Object, text},
    world::{
        World,
        catalog::{Item, ItemKind},
        model::{Customer, SubscriptionStatus},
        table::At,
    },
};
use crate::{
    time::Timestamp,
    wire::{Request, Response},
};
use chrono::SecondsFormat;

/// The company that the API key belongs to.
pub const COMPANY: &str = "acme";
/// The key that lets a client in.
pub const API_KEY: &str = "sim_billsby_key";
const PAGE_SIZE_MAX: usize = 100;

/// `customerUniqueId`: ten upper-case letters and digits.
pub(super) fn unique_id(at: At<Customer>) -> String {
    const DIGITS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    // An odd multiplier permutes the numbers below 2^50, which is less than 36^10.
    let mut n = (at.number() as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) & ((1 << 50) - 1);
    let mut id = String::new();
    for _ in 0..10 {
        id.push(DIGITS.get((n % 36) as usize).map_or('A', |b| char::from(*b)));
        n /= 36;
    }
    id
}

/// With microseconds or milliseconds, as the three written forms of `createdOn` have them.
pub(super) fn created_at(at: At<Customer>, row: &Customer) -> Timestamp {
    let n = at.number() as i64;
    let micros = match n % 3 {
        0 => (n * 7 + 320) % 1_000 * 1_000,
        1 => (n * 7_919 + 95_789) % 1_000_000,
        _ => 0,
    };
    Timestamp(Timestamp::from_secs(row.created_at).0 + micros)
}

/// True unless every subscription of the customer has ended.
pub(super) fn is_active(world: &World, row: &Customer) -> bool {
    let ended = |s: &At<_>| world.subscriptions()[*s].status == SubscriptionStatus::Cancelled;
    row.subscriptions.is_empty() || !row.subscriptions.iter().all(ended)
}

/// Answers one request.
pub(super) fn handle(world: &World, request: &Request) -> Response {
    if header(request, "apikey") != Some(API_KEY) {
        return problem(401, "Invalid API key");
    }
    let path = segments(&request.url);
    match path.as_slice() {
        ["api", "v1", "rest", "core", company, ..] if *company != COMPANY => {
            problem(404, "Company not found")
        }
        ["api", "v1", "rest", "core", _, "customers"] => customers(world, &request.query),
        ["api", "v1", "rest", "core", _, "products"] => products(&request.query),
        ["api", "v1", "rest", "core", _, "customers", id] => {
            let found =
                world.customers().iter().find(|(at, row)| !row.stamp.deleted && unique_id(*at) == *id);
            found.map_or_else(
                || problem(404, "Customer not found"),
                |(at, row)| json(200, customer(world, at, row, true)),
            )
        }
        _ => problem(404, "Not found"),
    }
}

fn problem(status: u16, message: &str) -> Response {
    json(status, text(&serde_json::json!({ "message": message })))
}

/// (page from 1, page size); both are mandatory.
fn page(query: &[(String, String)]) -> Option<(usize, usize)> {
    let number = |name: &str| {
        let value = query.iter().find(|(n, _)| n == name).map(|(_, v)| v)?;
        value.parse::<usize>().ok().filter(|n| *n > 0)
    };
    Some((number("page")?, number("pageSize")?.min(PAGE_SIZE_MAX)))
}

fn paged<T>(query: &[(String, String)], rows: &[T], write: impl Fn(&T) -> String) -> Response {
    let Some((number, size)) = page(query) else {
        return problem(400, "page and pageSize are required and must be positive integers");
    };
    let results = rows.iter().skip((number - 1).saturating_mul(size)).take(size).map(write);
    let mut body = Object::new();
    body.put("currentPage", number).put("pageCount", rows.len().div_ceil(size)).put("pageSize", size);
    body.put("rowCount", rows.len()).list("results", results);
    json(200, body.end())
}

fn customers(world: &World, query: &[(String, String)]) -> Response {
    let rows: Vec<(At<Customer>, &Customer)> =
        world.customers().iter().filter(|(_, row)| !row.stamp.deleted).collect();
    paged(query, &rows, |(at, row)| customer(world, *at, row, false))
}

fn customer(world: &World, at: At<Customer>, row: &Customer, detail: bool) -> String {
    let mut o = Object::new();
    o.put("customerUniqueId", unique_id(at))
        .put("firstName", &row.first_name)
        .put("lastName", &row.last_name);
    o.put("email", &row.email).put("createdOn", written(at, created_at(at, row)));
    o.put("status", if is_active(world, row) { "Active" } else { "Inactive" });
    o.put("phoneNumber", &row.phone).put("phoneNumberDialCode", row.phone.as_ref().map(|_| row.country.dial));
    let country = if detail { "phoneNumberDialCountry" } else { "phoneNumberDialCodeCountry" };
    o.put(country, row.country.iso2);
    let mut address = Object::new();
    address.put("addressLine1", &row.line1).put("addressLine2", None::<&str>).put("city", &row.city);
    address.put("state", row.country.state.map(|s| s.0)).put("country", row.country.text);
    address.put("postCode", &row.postcode);
    o.raw("billingAddress", &address.end());
    if detail {
        o.put("additionalEmail", row.contacts.first()).put("isMarketingConsentGiven", true);
        o.put("cardStatus", if row.auto_collection { "Valid" } else { "Missing" })
            .put("companyCurrency", "USD");
        o.put("totalAmountPaid", "440").put("averageAmountPerMonth", "20");
    }
    o.end()
}

/// One of the three forms that Billsby writes.
fn written(at: At<Customer>, time: Timestamp) -> String {
    let Some(time) = time.utc() else {
        return String::new();
    };
    match at.number() % 3 {
        0 => time.to_rfc3339_opts(SecondsFormat::Millis, true),
        1 => time.format("%Y-%m-%dT%H:%M:%S%.6f").to_string(),
        _ => time.format("%Y-%m-%dT%H:%M:%S+00:00").to_string(),
    }
}

fn products(query: &[(String, String)]) -> Response {
    let plans: Vec<(usize, Item)> =
        Item::ALL.into_iter().filter(|i| i.kind() == ItemKind::Plan).enumerate().collect();
    paged(query, &plans, |(i, item)| {
        let mut o = Object::new();
        o.put("productId", i + 1)
            .put("name", item.title())
            .put("displayName", item.title())
            .put("visibility", 0);
        o.put("billingCurrency", "USD").put("typeOfProduct", 2).put("hasPlans", true).put("numberOfPlans", 1);
        o.end()
    })
}

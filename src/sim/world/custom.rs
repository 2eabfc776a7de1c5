//! What did the merchant add to a row? Told from the row's id, so that rows need not carry it.
use super::catalog::{Item, Period};
use crate::sim::money::{Currency, Dec};

/// Custom fields of a row other than a customer, sorted by name: (name, JSON value). Told from its id, so that rows
/// need not carry them.
pub fn custom_of(id: &str) -> Vec<(&'static str, String)> {
    match id.bytes().last().unwrap_or_default() % 9 {
        0 => vec![("cf_cost_center", format!("\"K \u{2116} {}\"", id.len())), ("cf_rank", "7".into())],
        3 => vec![("cf_reviewed", "true".into()), ("cf_weight", "1.50".into())],
        6 => vec![("cf_cost_center", "12".into()), ("cs_terms", "{\"at\":1700000000,\"ok\":true}".into())],
        _ => Vec::new(),
    }
}

/// Free data of a subscription: canonical JSON text. Told from its id.
pub fn meta_of(id: &str) -> Option<String> {
    let some = id.bytes().last().unwrap_or_default().is_multiple_of(4);
    some.then(|| format!("{{\"deal\":\"D-{id}\",\"share\":0.10,\"tags\":[\"a\",null]}}"))
}

/// A fee that a subscription pays when it is created, beside its items: price id and unit price. Told from its id.
pub fn extra_of(id: &str, currency: Currency) -> Option<(String, Dec)> {
    let some = id.bytes().last().unwrap_or_default() % 5 == 2;
    let price = Item::Setup.unit_price(Period::Monthly, currency);
    some.then(|| (Item::Setup.price_id(Period::Monthly, currency), price))
}

/// Whether a row has something that one in so many rows has. Told from its id.
pub fn rare(id: &str, one_in: u32) -> bool {
    let sum = id.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    (sum.wrapping_mul(0x9E37_79B1) >> 16).is_multiple_of(one_in)
}

/// The merchant's legal entity behind a row. Told from its id.
pub fn entity_of(id: &str) -> Option<&'static str> {
    rare(id, 4).then_some("be_north")
}

/// A subscription's own days from issue to due date; else its customer's count. Told from its id.
pub fn net_terms_of(id: &str) -> Option<i64> {
    rare(id, 6).then_some(45)
}

/// Whether a thing for sale is told of at length: the dearer plan, campaigns, extras. Told from its id.
pub fn is_told_at_length(id: &str) -> bool {
    ["pro-", "PROMO-", "extras"].iter().any(|start| id.starts_with(start))
}

//! What must the unified tables hold? Computed from the world's rows in plain Rust, never through a wire format or SQL.
//!
//! A value is canonical text; an absent column is NULL. Decimals are plain without trailing zeros, timestamps
//! `2024-01-31T10:00:00Z`, dates `2024-01-31`, JSON sorted and without spaces. Beside an entity's own columns every
//! row has `version`, and `_deleted` = `true` when it is deleted.
//!
//! Decisions where the schema leaves a choice: `line_no` counts from 0; sums over absent lists are 0; a line names its
//! price, or its plan or addon as `item_id` where there are no prices; `is_proration` is `true` when the provider says so, else NULL; notes spent
//! on invoices have no `payment_id`; a refund's `payment_id` is the refund transaction. Absent: whatever needs
//! another stream or a row's past.
mod billsby;
mod catalog;
mod customers;
mod documents;
mod events;
mod payments;
mod sides;
mod subscriptions;

use super::{
    chargebee::ProductCatalog,
    money::{Currency, Dec},
    world::{
        World,
        model::{Row, Stamp},
    },
};
use crate::time::Timestamp;
use chrono::{DateTime, SecondsFormat};
use std::{collections::BTreeMap, fmt::Display};

/// Column name to canonical text.
pub type Columns = BTreeMap<String, String>;
/// Row id to columns.
pub type Rows = BTreeMap<String, Columns>;
/// Entity name to rows.
pub type Tables = BTreeMap<String, Rows>;

/// Which imitation the rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// All streams of a site with catalog 2.0.
    Chargebee,
    /// All streams of a site with catalog 1.0.
    ChargebeeCatalog1,
    /// Customers.
    Billsby,
}

/// What a connection knows beside the records.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Civil dates are in this zone.
    pub time_zone: chrono_tz::Tz,
}

/// Every row that must be there once everything is read. A customer that Billsby no longer shows has `_deleted`;
/// it is absent altogether when it was never read while it lived.
pub fn expected(world: &World, provider: Provider, facts: &Facts) -> Tables {
    let one = provider == Provider::ChargebeeCatalog1;
    let catalog = if one { ProductCatalog::V1 } else { ProductCatalog::V2 };
    let mut tables = Truth { world, zone: facts.time_zone, catalog, tables: Tables::new() };
    match provider {
        Provider::Chargebee | Provider::ChargebeeCatalog1 => {
            tables.catalog(catalog);
            tables.events(catalog);
            tables.customers();
            tables.subscriptions();
            tables.invoices();
            tables.notes();
            tables.payments();
            tables.sides();
        }
        Provider::Billsby => tables.billsby(),
    }
    tables.tables
}

/// Sums over the living rows of one entity and currency, in major units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Rows.
    pub count: u64,
    /// Invoices and notes: `total`. Payments: `amount`. Else 0.
    pub total: Dec,
    /// Invoices only.
    pub amount_paid: Dec,
    /// Invoices only.
    pub amount_due: Dec,
}

/// Totals per (entity, currency code), for a quick check from end to end. Living rows only.
pub fn facts(world: &World) -> BTreeMap<(&'static str, &'static str), Totals> {
    let mut facts = BTreeMap::new();
    let mut add = |entity: &'static str, currency: Currency, stamp: Stamp, [total, paid, due]: [i64; 3]| {
        let zero = Dec::minor(0, currency);
        let empty = Totals { count: 0, total: zero, amount_paid: zero, amount_due: zero };
        let entry = facts.entry((entity, currency.code())).or_insert(empty);
        if !stamp.deleted {
            entry.count += 1;
            entry.total.mantissa += i128::from(total);
            entry.amount_paid.mantissa += i128::from(paid);
            entry.amount_due.mantissa += i128::from(due);
        }
    };
    for row in world.customers.rows() {
        add("customers", row.currency, row.stamp, [0; 3]);
    }
    for row in world.subscriptions.rows() {
        add("subscriptions", row.currency, row.stamp, [0; 3]);
    }
    for row in world.invoices.rows() {
        add("invoices", row.currency, row.stamp, [row.total, row.amount_paid, row.amount_due]);
    }
    for row in world.notes.rows() {
        add("credit_notes", row.currency, row.stamp, [row.total, 0, 0]);
    }
    for row in world.transactions.rows() {
        add("payments", row.currency, row.stamp, [row.amount, 0, 0]);
    }
    facts
}

struct Truth<'a> {
    world: &'a World,
    zone: chrono_tz::Tz,
    /// Of the site; without meaning for other providers.
    catalog: ProductCatalog,
    tables: Tables,
}

impl Truth<'_> {
    fn add(&mut self, entity: &str, cells: Cells) {
        let id = cells.0.get("id").cloned().unwrap_or_default();
        self.tables.entry(entity.to_owned()).or_default().insert(id, cells.0);
    }
    /// Civil date of a second, in the connection's zone.
    fn date(&self, seconds: i64) -> String {
        DateTime::from_timestamp(seconds, 0)
            .map(|t| t.with_timezone(&self.zone).format("%Y-%m-%d").to_string())
            .unwrap_or_default()
    }
    fn id(&self, row: Row) -> String {
        self.world.id(row).to_owned()
    }
}

/// The columns of a row under construction.
struct Cells(Columns);

/// What there is of a text that may be blank.
fn filled(text: &String) -> Option<&String> {
    Some(text).filter(|text| !text.is_empty())
}

impl Cells {
    /// A row with its id and the version and deletion of `stamp`, which is the parent's for a child.
    fn new(id: impl Into<String>, stamp: Stamp) -> Self {
        let mut cells = Self(Columns::new());
        cells.put("id", id.into());
        cells.put("version", if stamp.stamped { stamp.version } else { 0 });
        cells.opt("_deleted", (stamp.deleted || stamp.gone).then_some("true"));
        cells
    }
    fn put(&mut self, column: &str, value: impl Display) {
        self.0.insert(column.to_owned(), value.to_string());
    }
    fn opt(&mut self, column: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.put(column, value);
        }
    }
    fn money(&mut self, column: &str, amount: i64, currency: Currency) {
        self.put(column, Dec::minor(amount, currency));
    }
    fn time(&mut self, column: &str, seconds: Option<i64>) {
        self.opt(column, seconds.map(|s| instant(Timestamp::from_secs(s))));
    }
}

/// An object of (name, JSON value) pairs, sorted by name; None without any.
fn json_object(pairs: &[(&'static str, String)]) -> Option<String> {
    let mut members: Vec<String> =
        pairs.iter().map(|(key, value)| format!("{}:{value}", json_text(key))).collect();
    members.sort();
    (!members.is_empty()).then(|| format!("{{{}}}", members.join(",")))
}

/// `2024-01-31T10:00:00Z`; microseconds only when there are some.
fn instant(at: Timestamp) -> String {
    let whole = at.0.rem_euclid(1_000_000) == 0;
    let digits = if whole { SecondsFormat::Secs } else { SecondsFormat::Micros };
    at.utc().map(|t| t.to_rfc3339_opts(digits, true)).unwrap_or_default()
}

fn json_text(text: &str) -> String {
    crate::sim::json::text(&text)
}

fn json_texts(texts: impl Iterator<Item = impl AsRef<str>>) -> String {
    let items: Vec<String> = texts.map(|t| json_text(t.as_ref())).collect();
    format!("[{}]", items.join(","))
}

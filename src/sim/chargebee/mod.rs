//! What would Chargebee (API v2) answer? Lists, single rows, errors, the log, either catalog. Read only.
//!
//! Faithful in paths, envelopes, paging, filters and error bodies. Absent: writes.
mod documents;
mod length;
pub(in crate::sim) mod log;
mod pages;
mod parts;
mod pen;
mod query;
mod shelf;
mod sides;
mod wares;
mod wish;

use super::{
    answer::{header, json, segments, with},
    json::{Object, text},
    world::{Resource, World, model::Row},
};
use crate::wire::{Request, Response};
use pen::Pen;
use query::List;
use shelf::{Entry, Key, Shelf};
use std::collections::{BTreeMap, BTreeSet};
use wares::{Counter, Range};

/// The key that lets a client in.
pub const API_KEY: &str = "sim_test_key";
/// The site's name.
pub const SITE: &str = "acme-test";

/// Which catalog the site has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProductCatalog {
    /// Plans and addons.
    V1,
    /// Item families, items and item prices.
    #[default]
    V2,
}

impl ProductCatalog {
    /// As the site says it of itself: version, and the schema that goes with it.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::V1 => ("v1", "plans_addons"),
            Self::V2 => ("v2", "items"),
        }
    }
}

/// True for a name that stands for a list.
pub(super) fn is_list(name: &str) -> bool {
    name == "events" || Range::named(name).is_some() || Resource::ALL.iter().any(|r| r.plural() == name)
}

/// How lists deviate from the world.
#[derive(Clone, Debug, Default)]
pub(super) struct Quirks {
    /// Undocumented fields everywhere.
    pub(super) additions: bool,
    /// Records of a page that come again on the next one.
    pub(super) repeat: usize,
    /// Seconds until lists show a change.
    pub(super) lag: i64,
    /// Rows in a thousand with a wrong type in a declared field.
    pub(super) broken_permille: u32,
    /// Lines of a document that are shown; 0: all.
    pub(super) cut: usize,
    /// Decides which.
    pub(super) seed: u64,
}

impl Quirks {
    /// True for a row that is shown with a wrong type. Always the same rows, in lists and alone. Never one of a ledger:
    /// what is wrong there stays wrong, since nothing of it is ever shown again.
    pub(super) fn is_broken(&self, row: Row) -> bool {
        if matches!(row.resource(), Resource::PromotionalCredits | Resource::Comments) {
            return false;
        }
        let place = (row.number() as u64) << 6 | row.resource() as u64;
        let mut rng = fastrand::Rng::with_seed(self.seed ^ place.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        rng.u32(0..1_000) < self.broken_permille
    }
    /// True for a document that is shown without some of its lines.
    pub(super) fn is_cut(&self, world: &World, row: Row) -> bool {
        let lines = match row {
            Row::Invoice(at) => world.invoices()[at].lines.len(),
            Row::CreditNote(at) => world.notes()[at].lines.len(),
            _ => 0,
        };
        self.cut > 0 && lines > self.cut
    }
    fn lines(&self) -> (usize, usize) {
        (0, if self.cut == 0 { usize::MAX } else { self.cut })
    }
}

/// The provider's front.
#[derive(Debug, Default)]
pub(super) struct Chargebee {
    shelves: BTreeMap<Resource, Shelf>,
    /// Events that lists show already.
    seen: usize,
    catalog: ProductCatalog,
    counter: Counter,
    /// Of the log, what lists show already.
    told: usize,
    quirks: Quirks,
}

impl Chargebee {
    pub(super) fn new(quirks: Quirks) -> Self {
        Self { quirks, ..Self::default() }
    }
    pub(super) fn set_catalog(&mut self, catalog: ProductCatalog) {
        self.catalog = catalog;
        self.forget_bodies();
    }
    /// From now on lists deviate in this way only; bodies are written anew.
    pub(super) fn set_quirks(&mut self, quirks: Quirks) {
        self.quirks = quirks;
        self.forget_bodies();
    }
    fn forget_bodies(&mut self) {
        for shelf in self.shelves.values_mut() {
            for number in shelf.numbers() {
                if let Some(entry) = shelf.entry_mut(number) {
                    entry.element = None;
                }
            }
        }
    }
    pub(super) fn quirks(&self) -> &Quirks {
        &self.quirks
    }

    fn shelf(&mut self, resource: Resource) -> &mut Shelf {
        self.shelves.entry(resource).or_default()
    }

    /// Lists see what happened up to `now` (seconds), less the lag. With a lag a row's body is written when it
    /// becomes visible, so that a later change stays hidden.
    pub(super) fn refresh(&mut self, world: &World, now: i64) {
        let fresh = world.events().iter().skip(self.seen);
        let lag = self.quirks.lag;
        let visible: Vec<Row> = fresh.take_while(|e| lag == 0 || e.at + lag <= now).map(|e| e.row).collect();
        self.seen += visible.len();
        let rows: BTreeSet<Row> = visible.into_iter().collect();
        for row in &rows {
            self.shelf(row.resource()).show(world, *row);
        }
        let fresh = world.log().iter().skip(self.told);
        for happening in fresh.take_while(|h| lag == 0 || h.at + lag <= now) {
            self.counter.show(world, &happening.subject);
            self.told += 1;
        }
        if lag > 0 {
            rows.iter().for_each(|row| {
                self.element(world, *row);
            });
        }
    }

    /// A row as one member of a list: `{"customer":{..},"card":{..}}`.
    fn element(&mut self, world: &World, row: Row) -> &str {
        let quirks = &self.quirks;
        let pen = Pen { world, additions: quirks.additions, lines: quirks.lines(), catalog: self.catalog };
        let broken = quirks.is_broken(row);
        match self.shelf(row.resource()).entry_mut(row.number()) {
            Some(Entry { element, .. }) => element.get_or_insert_with(|| wrap(pen, row, broken)),
            None => "{}",
        }
    }

    /// Answers one request.
    pub(super) fn handle(&mut self, world: &World, now: i64, request: &Request) -> Response {
        let expected = format!("Basic {}", base64(format!("{API_KEY}:").as_bytes()));
        if header(request, "authorization") != Some(expected.as_str()) {
            return denied();
        }
        let path = segments(&request.url);
        let resource = |name: &str| Resource::ALL.into_iter().find(|r| r.plural() == name);
        match path.as_slice() {
            ["api", "v2", "configurations"] => configurations(self.catalog),
            ["api", "v2", name] | ["api", "v2", name, _]
                if Range::named(name).is_some_and(|range| !range.is_in(self.catalog)) =>
            {
                let message = "This operation is not enabled for the product catalog of this site.";
                error(400, "configuration_incompatible", None, message, None)
            }
            ["api", "v2", name] if is_list(name) => {
                self.refresh(world, now);
                match resource(name) {
                    Some(resource) => self.list(world, resource, &request.query),
                    None => self.catalog_list(world, name, &request.query),
                }
            }
            ["api", "v2", name, id] => self.one(world, name, id, &request.query),
            _ => error(
                404,
                "resource_not_found",
                Some("invalid_request"),
                "Sorry, we couldn't find that.",
                None,
            ),
        }
    }

    /// The row leaves lists and cannot be retrieved, without a trace, or comes back as it is.
    pub(super) fn hide(&mut self, row: Row, hidden: bool) {
        self.shelf(row.resource()).hide(row.number(), hidden);
    }

    /// A single row; of a document also the lines that a list leaves out.
    fn retrieve(&self, world: &World, row: Row, query: &[(String, String)]) -> Response {
        let lines = match query::lines(query, self.quirks.lines()) {
            Ok(lines) => lines,
            Err(wrong) => {
                let kind = Some("invalid_request");
                return error(400, "param_wrong_value", kind, &wrong.message, Some(&wrong.param));
            }
        };
        let pen = Pen { world, additions: self.quirks.additions, lines, catalog: self.catalog };
        json(200, wrap(pen, row, self.quirks.is_broken(row)))
    }

    fn list(&mut self, world: &World, resource: Resource, query: &[(String, String)]) -> Response {
        let list = match List::parse(resource, query) {
            Ok(list) => list,
            Err(wrong) => {
                let kind = Some("invalid_request");
                return error(400, "param_wrong_value", kind, &wrong.message, Some(&wrong.param));
            }
        };
        let repeat = if list.start.is_some() { self.quirks.repeat.min(list.limit / 4) } else { 0 };
        let shelf = self.shelf(resource);
        let mut keys = before_page(shelf, &list, repeat);
        let room = list.limit - keys.len();
        let mut next = shelf.page(list.filter, list.order, list.ascending, list.start, room + 1);
        let more = next.len() > room;
        next.truncate(room);
        keys.extend(next);
        let mut body = String::with_capacity(keys.len() * 3_000);
        body.push_str("{\"list\":[");
        for (i, (_, number)) in keys.iter().enumerate() {
            if i > 0 {
                body.push(',');
            }
            let row = self.shelf(resource).entry_mut(*number).map(|entry| entry.row);
            body.push_str(row.map_or("{}", |row| self.element(world, row)));
        }
        body.push(']');
        if let Some((seconds, number)) = keys.last().filter(|_| more) {
            let token = text(&[(seconds * 1_000).to_string(), number.to_string()]);
            body.push_str(",\"next_offset\":");
            body.push_str(&text(&token));
        }
        body.push('}');
        json(200, body)
    }
}

/// The last `repeat` records up to and including the one that a page starts after, in the list's order.
fn before_page(shelf: &mut Shelf, list: &List, repeat: usize) -> Vec<Key> {
    let Some(start) = list.start.filter(|_| repeat > 0) else {
        return Vec::new();
    };
    // Walking back from just behind `start` finds `start` itself first.
    let behind = if list.ascending { (start.0, start.1 + 1) } else { (start.0, start.1.saturating_sub(1)) };
    let mut keys = shelf.page(list.filter, list.order, !list.ascending, Some(behind), repeat);
    keys.reverse();
    keys
}

fn wrap(pen: Pen<'_>, row: Row, broken: bool) -> String {
    let body = pen.row(row);
    let mut element = Object::new();
    let body = if broken { break_type(row.resource(), &body) } else { body };
    element.raw(row.resource().singular(), &body);
    match row {
        Row::Customer(at) => {
            if let Some(card) = pen.card(at) {
                element.raw("card", &card);
            }
        }
        Row::Subscription(at) => {
            let customer = pen.world.subscriptions()[at].customer;
            element.raw("customer", &pen.row(Row::Customer(customer)));
            if let Some(card) = pen.card(customer) {
                element.raw("card", &card);
            }
        }
        Row::Invoice(_) | Row::CreditNote(_) | Row::Transaction(_) => {}
        Row::Side(_, at) => pen.companion(at, &mut element),
    }
    element.end()
}

/// The record with a wrong type in a field that every connector declares.
fn break_type(resource: Resource, body: &str) -> String {
    let (field, value) = match resource {
        Resource::Customers => ("created_at", serde_json::json!("yesterday")),
        Resource::Subscriptions => ("created_at", serde_json::json!({ "seconds": 1 })),
        Resource::Invoices => ("total", serde_json::json!(12.5)),
        Resource::CreditNotes => ("total", serde_json::json!([100])),
        Resource::Transactions => ("amount", serde_json::json!("a lot")),
        Resource::PaymentSources | Resource::VirtualBankAccounts | Resource::HostedPages => {
            ("created_at", serde_json::json!("long ago"))
        }
        Resource::Orders | Resource::Quotes => ("total", serde_json::json!("12.50")),
        Resource::Usages => ("quantity", serde_json::json!("many")),
        Resource::UnbilledCharges | Resource::PromotionalCredits => ("amount", serde_json::json!([1])),
        Resource::Comments => ("created_at", serde_json::json!(false)),
        Resource::Gifts => ("status", serde_json::json!(7)),
    };
    let mut record: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(body).unwrap_or_default();
    record.insert(field.to_owned(), value);
    text(&record)
}

fn configurations(catalog: ProductCatalog) -> Response {
    let (version, schema) = catalog.words();
    json(
        200,
        text(&serde_json::json!({ "configurations": [{
            "domain": SITE,
            "product_catalog_version": version,
            "chargebee_response_schema_type": schema,
            "object": "configuration"
        }] })),
    )
}

/// An error body as Chargebee writes it. `kind` is its `type`.
pub(super) fn error(
    status: u16,
    code: &str,
    kind: Option<&str>,
    message: &str,
    param: Option<&str>,
) -> Response {
    let mut body = Object::new();
    body.put("message", message).opt("type", kind).put("api_error_code", code).opt("param", param);
    body.put("error_code", code).put("error_msg", message).put("http_status_code", status);
    json(status, body.end())
}

/// 401.
pub(super) fn denied() -> Response {
    error(401, "api_authentication_failed", None, "Sorry, authentication failed. Invalid API Key", None)
}

/// 429; `after` is the `Retry-After` header.
pub(super) fn throttled(after: Option<String>) -> Response {
    let message = "Sorry, you have exceeded the API request limit. Please try later";
    let response = error(429, "api_request_limit_exceeded", Some("operation_failed"), message, None);
    match after {
        Some(after) => with(response, "retry-after", after),
        None => response,
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |n: u32| DIGITS.get((n & 63) as usize).map_or('=', |b| char::from(*b));
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        out.push(digit(word >> 18));
        out.push(digit(word >> 12));
        out.push(if chunk.len() > 1 { digit(word >> 6) } else { '=' });
        out.push(if chunk.len() > 2 { digit(word) } else { '=' });
    }
    out
}

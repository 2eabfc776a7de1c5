//! The billing world, its truth, and the providers imitated over it.
mod billsby;
mod chaos;
mod chargebee;
mod server;
mod sides;
mod truth;
mod world;

use serde_json::Value;
use tidegate::{
    secret::Secret,
    sim::{Sim, chaos::Knob, world::Size},
    time::Timestamp,
    wire::{Handler, Request, Response},
};

const START: Timestamp = Timestamp::from_secs(1_760_000_000);
const STREAMS: [(&str, &str, &str); 5] = [
    ("customers", "customer", "created_at"),
    ("subscriptions", "subscription", "created_at"),
    ("invoices", "invoice", "date"),
    ("credit_notes", "credit_note", "date"),
    ("transactions", "transaction", "date"),
];

fn sim(seed: u64, customers: usize, knobs: &[Knob]) -> Sim {
    Sim::new(seed, Size { customers }, START, knobs)
}

fn request(path: &str, query: &[(&str, &str)]) -> Request {
    let query = query.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let headers = vec![
        // "sim_test_key:" in base64
        ("authorization".to_owned(), Secret::new("Basic c2ltX3Rlc3Rfa2V5Og==")),
        ("apikey".to_owned(), Secret::new("sim_billsby_key")),
    ];
    Request { url: format!("https://acme-test.chargebee.com{path}"), query, headers }
}

fn ask(sim: &mut Sim, now: Timestamp, path: &str, query: &[(&str, &str)]) -> Response {
    sim.handle(now, &request(path, query))
}

fn get(sim: &mut Sim, now: Timestamp, path: &str, query: &[(&str, &str)]) -> Value {
    let response = ask(sim, now, path, query);
    assert_eq!(response.status, 200, "{path} {query:?}: {}", String::from_utf8_lossy(&response.body));
    serde_json::from_slice(&response.body).unwrap()
}

/// All pages of a list, record by record; `query` may set a limit.
fn walk(sim: &mut Sim, now: Timestamp, stream: &str, query: &[(&str, &str)]) -> Vec<Value> {
    let singular = STREAMS.iter().find(|s| s.0 == stream).unwrap().1;
    let (mut records, mut token): (Vec<Value>, Option<String>) = (Vec::new(), None);
    for _ in 0..100_000 {
        let mut query = query.to_vec();
        if let Some(token) = &token {
            query.push(("offset", token));
        }
        let page = get(sim, now, &format!("/api/v2/{stream}"), &query);
        records.extend(page["list"].as_array().unwrap().iter().map(|e| e[singular].clone()));
        match page.get("next_offset") {
            Some(next) => token = Some(next.as_str().unwrap().to_owned()),
            None => return records,
        }
    }
    panic!("no end of {stream}");
}

fn ids(records: &[Value]) -> Vec<String> {
    records.iter().map(|r| r["id"].as_str().unwrap().to_owned()).collect()
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort();
    list
}

fn days(n: u64) -> std::time::Duration {
    std::time::Duration::from_secs(n * 86_400)
}

//! What a process that dies has to ask for again: never more than the bound that README names.
use super::harness::{Bench, Crash, Effects, Mortal, SimClock, Site, owner};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tidegate::{
    error::Result,
    load::{
        Destination,
        memory::{Memory, Store},
    },
    sync::{self, COMMIT_BYTES, Job, Tools, WAITING_BYTES_MAX, summary::Status},
    time::Timestamp,
    wire::{Http, Request, Response},
};

const START: Timestamp = Timestamp::from_secs(1_750_000_000);
const STREAMS: [(&str, &str); 3] =
    [("customers", "customer"), ("subscriptions", "subscription"), ("orders", "order")];
const PAGES: usize = 12;
const RECORDS: usize = 4;
const RECORD_BYTES: usize = 250_000;

/// Lists of a dozen pages of a megabyte each, and how often each page was asked for.
struct Lists {
    clock: SimClock,
    served: Mutex<BTreeMap<(String, usize), (usize, usize)>>,
}

impl Http for Lists {
    async fn send(&self, request: Request) -> Result<Response> {
        self.clock.pass(Duration::from_millis(40));
        let list = request.url.rsplit('/').next().unwrap().to_owned();
        let Some((_, record)) = STREAMS.iter().find(|(name, _)| *name == list) else {
            return Ok(answer(r#"{"configurations":[{"product_catalog_version":"v2"}]}"#.to_owned()));
        };
        if request.query.iter().any(|(n, _)| n == "updated_at[between]") {
            return Ok(answer(r#"{"list":[]}"#.to_owned()));
        }
        let page = request.query.iter().find(|(n, _)| n == "offset").map_or(1, |(_, v)| v.parse().unwrap());
        let body = body(record, page);
        let mut served = self.served.lock().unwrap();
        let (times, bytes) = served.entry((list, page)).or_default();
        (*times, *bytes) = (*times + 1, body.len());
        Ok(answer(body))
    }
}

fn answer(body: String) -> Response {
    let headers = [("content-type".to_owned(), "application/json".to_owned())].into();
    Response { status: 200, headers, body: body.into() }
}

fn body(record: &str, page: usize) -> String {
    let filler = "x".repeat(RECORD_BYTES);
    let one = |n: usize| {
        format!(
            r#"{{"{record}":{{"id":"{page}-{n}","created_at":1700000000,"updated_at":1700000000,"resource_version":1,"deleted":false,"filler":"{filler}"}}}}"#
        )
    };
    // A full last page would be asked for again, in smaller parts.
    let records = if page < PAGES { RECORDS } else { RECORDS - 1 };
    let list: Vec<String> = (0..records).map(one).collect();
    let next = if page < PAGES { format!(r#","next_offset":"{}""#, page + 1) } else { String::new() };
    format!(r#"{{"list":[{}]{next}}}"#, list.join(","))
}

/// One process: to its end, or until it dies.
async fn process(
    bench: &Bench,
    job: &Job,
    http: &Lists,
    store: &Arc<Mutex<Store>>,
    effects: &Arc<Effects>,
) -> bool {
    let mut mortal = Mortal { inner: Memory::new(Arc::clone(store)), effects: Arc::clone(effects) };
    let mut report = |_| {};
    let tools = Tools {
        http,
        clock: &http.clock,
        destination: &mut mortal,
        normalizers: &bench.normalizers,
        report: &mut report,
        stop: sync::never(),
    };
    tokio::select! {
        biased;
        () = effects.died() => false,
        outcome = sync::sync(job, tools) => {
            assert_eq!(outcome.summary.status, Status::Completed, "{:?}", outcome.error);
            true
        }
    }
}

/// Bytes that were asked for more than once, after a death just before the destination's act of this number.
async fn again(bench: &Bench, job: &Job, effect: u64) -> usize {
    let http = Lists { clock: SimClock::at(START), served: Mutex::default() };
    let store: Arc<Mutex<Store>> = Arc::default();
    let fatal = Effects::new(Some(Crash { effect, after: false }));
    assert!(!process(bench, job, &http, &store, &fatal).await, "nobody died at {effect}");
    assert!(process(bench, job, &http, &store, &Effects::new(None)).await);
    let mut opened = Memory::new(store);
    opened.open(&owner(), &job.entities).await.unwrap();
    let rows = bench.current(job, &mut opened).await;
    for (table, _) in STREAMS {
        assert_eq!(rows[table].len(), PAGES * RECORDS - 1, "{table}, death at {effect}");
    }
    let served = http.served.into_inner().unwrap();
    served.values().map(|(times, bytes)| (times - 1) * bytes).sum()
}

#[tokio::test]
async fn after_a_crash_at_most_16_mb_and_the_pages_in_flight_are_fetched_again() {
    let bench = Bench::new();
    let mut job = bench.job(Site::Chargebee);
    job.streams.retain(|s| STREAMS.iter().any(|(name, _)| *name == s.name));
    assert_eq!(job.streams.len(), STREAMS.len());
    let page = body("subscription", PAGES - 1).len();
    // The page that fills the buffers, and one in flight of each stream.
    let bound = WAITING_BYTES_MAX + page * (1 + STREAMS.len());
    assert!(bound + COMMIT_BYTES < PAGES * page * STREAMS.len(), "else there is nothing to bound");
    let mut worst = 0;
    // Effect 0 opens the connection; the first commit is the one with most bytes waiting.
    for effect in [1, 2, 4] {
        let bytes = again(&bench, &job, effect).await;
        assert!(bytes <= bound, "death at {effect}: {bytes} bytes were fetched again, at most {bound}");
        worst = worst.max(bytes);
    }
    assert!(worst > COMMIT_BYTES, "one commit's pages are not the bound: {worst}");
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    assert_eq!(WAITING_BYTES_MAX, 16 << 20);
    assert!(readme.contains("at most 16 MB of pages"), "README.md names the bound");
}

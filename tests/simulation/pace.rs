//! A provider that allows less than its manual says.
use super::harness::{Bench, Effects, SimClock, Site, assert_same, expected, owner, without_child_versions};
use std::sync::{Arc, Mutex};
use tidegate::{
    load::{
        Destination,
        memory::{Memory, Store},
    },
    manifest::{Connector, Paging, Stream},
    sim::{Sim, chaos::Knob, world::Size},
    sync::summary::Status,
    time::{Clock, Timestamp},
};

const START: Timestamp = Timestamp::from_secs(1_750_000_000);

/// So that a small company takes many requests.
fn small_pages(stream: &Arc<Stream>) -> Arc<Stream> {
    let mut stream = stream.as_ref().clone();
    let (Paging::Token { size, .. } | Paging::PageNumber { size, .. }) = &mut stream.paging;
    size.value = 1;
    Arc::new(stream)
}

#[tokio::test]
async fn a_limit_of_70_requests_a_minute_is_found_and_the_sync_is_finished() {
    let bench = Bench::new();
    let mut job = bench.job(Site::Chargebee);
    let streams: Vec<Arc<Stream>> = job.streams.iter().map(small_pages).collect();
    job.connector = Arc::new(Connector { streams: streams.clone(), ..job.connector.as_ref().clone() });
    job.streams = streams;
    let sim = Arc::new(Mutex::new(Sim::new(5, Size { customers: 60 }, START, &[Knob::RateLimit(70)])));
    let clock = SimClock::at(START);
    let store = Arc::new(Mutex::new(Store::default()));
    let memory = Memory::new(Arc::clone(&store));
    let outcome = bench.attempt(&job, &sim, &clock, memory, &Effects::new(None)).await.expect("it lives");
    assert_eq!(outcome.summary.status, Status::Completed, "{:?}", outcome.error);

    let requests: u64 = outcome.summary.streams.iter().map(|s| s.requests).sum();
    let minutes = clock.now().since(START).as_secs() / 60;
    let refused = sim.lock().unwrap().over_limit();
    assert!(requests > 280, "{requests} requests do not meet the limit");
    assert!(refused > 0 && refused * 5 < requests, "{refused} of {requests} requests were refused");
    assert!(minutes <= 3 * requests / 70, "{minutes} minutes for {requests} requests");

    let mut opened = Memory::new(store);
    opened.open(&owner(), &job.entities).await.unwrap();
    let current = without_child_versions(bench.current(&job, &mut opened).await, &job);
    let mut truth = without_child_versions(expected(&sim, Site::Chargebee), &job);
    super::crash::forget_unseen(Site::Chargebee, &mut truth, &current);
    assert_same(&current, &truth, "current rows");
}

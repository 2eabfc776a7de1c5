//! What Chargebee's smaller resources can and cannot promise, as the connector says it and as it comes out.
use crate::simulation::harness::{Bench, Crash, Effects, SimClock, Site, expected, owner, set_size};
use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};
use tidegate::{
    checkpoint::Phase,
    load::{
        Destination,
        memory::{Memory, Store},
    },
    manifest::{Cursor, ErrorClass, Paging, Stream, catalog},
    sim::{
        Sim,
        chaos::Knob,
        truth::{Rows, Tables},
        world::{Size, World},
    },
    sync::{COMMIT_EVERY, Job, summary::Status},
    time::{Clock, Timestamp},
};

const START: Timestamp = Timestamp::from_secs(1_750_000_000);
const HOUR: Duration = Duration::from_secs(3_600);

/// Filter of changes (none: read whole), field sorted by, `include_deleted`, field of deletes, field of versions.
type Promise = (&'static str, Option<&'static str>, Option<&'static str>, bool, bool, bool);

const PROMISES: [Promise; 10] = [
    ("payment_sources", Some("updated_at"), Some("created_at"), true, true, true),
    ("orders", Some("updated_at"), Some("created_at"), true, true, true),
    ("quotes", Some("updated_at"), Some("date"), true, true, true),
    ("usages", Some("updated_at"), Some("usage_date"), false, false, true),
    ("virtual_bank_accounts", Some("updated_at"), None, false, true, true),
    ("hosted_pages", Some("updated_at"), None, false, false, true),
    ("promotional_credits", Some("created_at"), None, false, false, false),
    ("comments", Some("created_at"), Some("created_at"), false, false, false),
    ("unbilled_charges", None, None, true, true, false),
    ("gifts", None, None, false, false, true),
];

#[test]
fn every_stream_sends_only_the_filters_and_sorts_that_its_list_takes() {
    let chargebee = catalog(None).unwrap().connectors["chargebee"].clone();
    for (name, filter, sort, include_deleted, deleted, version) in PROMISES {
        let stream = chargebee.streams.iter().find(|s| s.name == name).unwrap();
        assert!(matches!(&stream.paging, Paging::Token { size, .. } if size.value == 100), "{name}");
        assert_eq!(stream.query.iter().any(|(n, v)| n == "include_deleted" && v == "true"), include_deleted);
        assert_eq!(stream.deleted.is_some(), deleted, "{name}");
        assert_eq!(stream.version.as_deref(), version.then_some("resource_version"), "{name}");
        match (&stream.cursor, filter) {
            (Cursor::Window { send, overlap, lag, sort: by, slices, .. }, Some(filter)) => {
                assert_eq!(*send, format!("{filter}[between]"), "{name}");
                assert!(*overlap >= Duration::from_secs(300) && *lag >= Duration::from_secs(120), "{name}");
                assert_eq!(by.as_ref().map(|(_, field)| field.as_str()), sort, "{name}");
                // Slices only by a field that every row has, so that rows without a cursor value come too.
                let by = slices.as_ref().map(|s| (s.send.as_str(), s.absent.is_none()));
                let field = if name == "virtual_bank_accounts" { Some("created_at") } else { sort };
                let sliced = !["hosted_pages", "promotional_credits", "comments"].contains(&name);
                let wanted = field.filter(|_| sliced).map(|f| format!("{f}[between]"));
                assert_eq!(by, wanted.as_deref().map(|send| (send, true)), "{name}");
            }
            (Cursor::Snapshot { order, lag }, None) => {
                assert_eq!(*lag, Duration::from_secs(300), "{name}");
                let ordered = name == "unbilled_charges";
                assert_eq!(order.as_deref(), ordered.then_some("created_at"), "{name}");
            }
            (other, _) => panic!("{name}: {other:?}"),
        }
    }
}

/// A site whose streams are read into memory.
struct Place {
    bench: Bench,
    job: Job,
    sim: Arc<Mutex<Sim>>,
    clock: SimClock,
    store: Arc<Mutex<Store>>,
}

impl Place {
    fn new(seed: u64, customers: usize, knobs: &[Knob], streams: &[&str]) -> Self {
        let bench = Bench::new();
        let mut job = bench.job(Site::Chargebee);
        job.streams.retain(|s| streams.contains(&s.name.as_str()));
        assert_eq!(job.streams.len(), streams.len());
        let world = World::new(seed, Size { customers }, START);
        let sim = Arc::new(Mutex::new(Sim::of(world, seed, knobs)));
        Self { bench, job, sim, clock: SimClock::at(START), store: Arc::default() }
    }
    fn destination(&self) -> Memory {
        Memory::new(Arc::clone(&self.store))
    }
    /// Runs a sync; returns the effects it had. None: it died.
    async fn sync(&self, crash: Option<Crash>) -> Option<u64> {
        self.run(Effects::new(crash)).await
    }
    /// The same where answers take so long that a commit is made in the middle of a window.
    async fn slow_sync(&self, crash: Option<Crash>) -> Option<u64> {
        self.run(Effects::slow(crash, COMMIT_EVERY)).await
    }
    async fn run(&self, effects: Arc<Effects>) -> Option<u64> {
        let outcome =
            self.bench.attempt(&self.job, &self.sim, &self.clock, self.destination(), &effects).await?;
        assert_eq!(outcome.summary.status, Status::Completed, "{:?}", outcome.error);
        Some(effects.count.load(Ordering::SeqCst))
    }
    /// Lets a month happen.
    fn month(&self) {
        let later = self.clock.now().plus(HOUR * 24 * 30);
        self.sim.lock().unwrap().advance(later);
        self.clock.pass(HOUR * 24 * 30 + HOUR);
    }
    async fn rows(&self, table: &str) -> Rows {
        let mut opened = self.destination();
        opened.open(&owner(), &self.job.entities).await.unwrap();
        let mut tables = self.bench.current(&self.job, &mut opened).await;
        opened.close().await.unwrap();
        tables.remove(table).unwrap()
    }
    fn truth(&self) -> Tables {
        expected(&self.sim, Site::Chargebee)
    }
    async fn agrees(&self, table: &str) {
        let (found, mut wanted) = (self.rows(table).await, self.truth().remove(table).unwrap());
        // What came and went between two scans was never seen.
        wanted.retain(|id, row| found.contains_key(id) || !row.contains_key("_deleted"));
        assert!(!wanted.is_empty());
        for (id, row) in &wanted {
            let found = found.get(id).unwrap_or_else(|| panic!("{table} {id} is missing"));
            assert_eq!(found.get("_deleted"), row.get("_deleted"), "{table} {id}");
            assert!(row.contains_key("_deleted") || found == row, "{table} {id}: {found:?}, wanted {row:?}");
        }
        assert_eq!(found.len(), wanted.len());
    }
    async fn phase(&self, stream: &str) -> Phase {
        let stored = self.destination().peek(&owner()).await.unwrap().unwrap();
        stored.checkpoints[stream].phase.clone()
    }
}

fn stream<'a>(job: &'a mut Job, name: &str) -> &'a mut Arc<Stream> {
    job.streams.iter_mut().find(|s| s.name == name).unwrap()
}

#[tokio::test]
async fn pitfall_3_rows_without_a_modification_time_arrive_with_the_first_load() {
    let streams = ["payment_sources", "orders", "quotes", "usages", "virtual_bank_accounts", "hosted_pages"];
    let tables = ["payment_methods", "orders", "quotes", "usages", "virtual_bank_accounts", "hosted_pages"];
    let place = Place::new(3, 150, &[Knob::NoUpdatedAt(60)], &streams);
    place.sync(None).await.unwrap();
    for table in tables {
        let unstamped = place.truth()[table].values().filter(|r| r["version"] == "0").count();
        assert!(unstamped > 0, "{table} has no such row");
        place.agrees(table).await;
    }
}

/// At most so many; each is a first load and two months.
const DEATHS: usize = 24;

#[tokio::test]
async fn pitfall_6_a_crash_on_any_page_of_an_unsorted_stream_loses_nothing_that_comes_later() {
    let streams = ["hosted_pages", "virtual_bank_accounts", "promotional_credits"];
    let started = async || {
        let mut place = Place::new(6, 50, &[], &streams);
        for name in streams {
            let mut small = stream(&mut place.job, name).as_ref().clone();
            set_size(&mut small.paging, 1);
            *stream(&mut place.job, name) = Arc::new(small);
        }
        place.sync(None).await.unwrap();
        place
    };
    let effects = {
        let place = started().await;
        place.month();
        place.slow_sync(None).await.unwrap()
    };
    assert!(effects > 6);
    let mut inside = 0;
    for effect in (0..effects).step_by(effects as usize / DEATHS + 1) {
        let place = started().await;
        place.month();
        let before = place.phase("hosted_pages").await;
        assert!(place.slow_sync(Some(Crash { effect, after: true })).await.is_none());
        if let (Phase::Windows { watermark: old, .. }, Phase::Windows { watermark, open: Some(_) }) =
            (&before, &place.phase("hosted_pages").await)
        {
            assert_eq!(watermark, old, "a watermark moves at the end of its window, never inside");
            inside += 1;
        }
        place.sync(None).await.unwrap();
        for table in streams {
            place.agrees(table).await;
        }
    }
    assert!(inside > 1, "no process died inside a window");
}

#[tokio::test]
async fn pitfall_8_a_row_whose_modification_time_is_absent_or_null_is_kept() {
    let place = Place::new(8, 40, &[Knob::NoUpdatedAt(100)], &["payment_sources", "gifts", "usages"]);
    place.sync(None).await.unwrap();
    let rows = place.rows("payment_methods").await;
    assert!(rows.values().any(|r| !r.contains_key("updated_at")));
    place.agrees("payment_methods").await;
    place.agrees("usages").await;
}

#[tokio::test]
async fn pitfall_10_custom_fields_and_consents_are_kept_and_new_ones_need_no_release() {
    let streams = ["customers", "subscriptions", "invoices", "quotes"];
    let place = Place::new(10, 60, &[Knob::SchemaAdditions], &streams);
    place.sync(None).await.unwrap();
    let customers = place.rows("customers").await;
    let custom =
        |text: &str| customers.values().filter_map(|r| r.get("custom_fields")).any(|f| f.contains(text));
    assert!(custom(r#""cf_segment":"#) && custom(r#""cs_newsletter":"opted_in""#));
    assert!(customers.values().all(|r| r.get("custom_fields").is_none_or(|f| !f.contains("sim_added"))));
    for table in
        ["customers", "subscriptions", "invoices", "invoice_line_items", "quotes", "quote_line_items"]
    {
        let truth = &place.truth()[table];
        let rows = place.rows(table).await;
        assert!(truth.values().any(|r| r.contains_key("custom_fields")), "{table}");
        for (id, row) in truth {
            assert_eq!(rows[id].get("custom_fields"), row.get("custom_fields"), "{table} {id}");
            assert_eq!(rows[id].get("metadata"), row.get("metadata"), "{table} {id}");
        }
    }
}

#[tokio::test]
async fn pitfall_11_rates_and_quantities_keep_every_digit() {
    let place = Place::new(11, 200, &[], &["usages", "quotes", "invoices"]);
    place.sync(None).await.unwrap();
    let usages = place.rows("usages").await;
    assert!(usages.values().any(|r| r["quantity"].split_once('.').is_some_and(|(_, d)| d.len() == 3)));
    place.agrees("usages").await;
    let lines = place.rows("invoice_line_items").await;
    assert!(lines.values().any(|r| r.get("tax_rate").is_some_and(|rate| rate == "8.875")));
    let quoted = place.rows("quote_line_items").await;
    assert!(quoted.values().any(|r| r["unit_amount"] == "0.00012345"));
}

#[tokio::test]
async fn pitfall_13_streams_without_a_filter_are_read_whole_each_time_and_write_only_what_changed() {
    let place = Place::new(13, 120, &[], &["unbilled_charges", "gifts"]);
    place.sync(None).await.unwrap();
    place.clock.pass(HOUR);
    let effects = Effects::new(None);
    let calm = place.bench.attempt(&place.job, &place.sim, &place.clock, place.destination(), &effects).await;
    let summary = calm.unwrap().summary;
    for stream in &summary.streams {
        assert!(stream.read > 1 && stream.changed == 0 && stream.rows_written == 0, "{stream:?}");
    }
    for _ in 0..3 {
        place.month();
        place.sync(None).await.unwrap();
        place.agrees("unbilled_charges").await;
        place.agrees("gifts").await;
    }
    let charges = place.rows("unbilled_charges").await;
    let gone = charges.values().filter(|r| r.contains_key("_deleted") && r["is_void"] == "false");
    assert!(gone.count() > 0, "billed charges are gone");
}

#[tokio::test]
async fn a_scan_whose_records_come_in_no_order_proves_no_deletes() {
    let mut place = Place::new(5, 60, &[], &["unbilled_charges"]);
    place.sync(None).await.unwrap();
    // The period of a charge is not its creation: squashed seconds put them out of order.
    place.sim.lock().unwrap().world_mut().squash_seconds();
    place.month();
    let mut other = stream(&mut place.job, "unbilled_charges").as_ref().clone();
    other.cursor = Cursor::Snapshot { order: Some("updated_at".into()), lag: Duration::from_secs(300) };
    *stream(&mut place.job, "unbilled_charges") = Arc::new(other);
    let before = place.phase("unbilled_charges").await;
    place.sync(None).await.unwrap();
    let truth = place.truth().remove("unbilled_charges").unwrap();
    let rows = place.rows("unbilled_charges").await;
    let alive =
        rows.iter().filter(|(id, r)| !r.contains_key("_deleted") && truth[*id].contains_key("_deleted"));
    assert!(alive.count() > 0, "nothing was billed in that month");
    assert_eq!(place.phase("unbilled_charges").await, before, "and the checkpoint says so");
}

#[tokio::test]
async fn gifts_that_a_list_does_not_show_are_not_taken_for_deleted() {
    let place = Place::new(5, 60, &[], &["gifts"]);
    place.sync(None).await.unwrap();
    let rows = place.rows("gifts").await;
    let gift = place
        .sim
        .lock()
        .unwrap()
        .world()
        .find(tidegate::sim::world::Resource::Gifts, rows.keys().next().unwrap());
    place.sim.lock().unwrap().world_mut().hide(gift.unwrap());
    place.clock.pass(HOUR);
    let effects = Effects::new(None);
    let outcome = place.bench.attempt(&place.job, &place.sim, &place.clock, place.destination(), &effects);
    let summary = outcome.await.unwrap().summary;
    assert_eq!(summary.streams[0].read, rows.len() as u64 - 1, "the list shows one less");
    assert_eq!((summary.status, summary.streams[0].deleted), (Status::Completed, 0));
    assert_eq!(place.rows("gifts").await, rows);
}

#[tokio::test]
async fn a_document_cut_short_is_set_aside_with_a_reason_and_never_kept_without_its_lines() {
    let place = Place::new(7, 30, &[Knob::CutLines(1)], &["invoices", "credit_notes"]);
    place.sync(None).await.unwrap();
    let cut = place.sim.lock().unwrap().rejected_ids();
    assert!(!cut.is_empty());
    let rejects = place.destination().rejects(&owner()).await.unwrap();
    assert_eq!(rejects.len(), cut.len());
    assert!(rejects.iter().all(|r| r.reject.rule == "cut_short"), "{:?}", rejects[0].reject);
    assert!(rejects[0].reject.message.contains("line_items_next_offset"));
    let invoices = place.rows("invoices").await;
    assert!(cut.iter().all(|(_, id)| !invoices.contains_key(id)));
    place.sim.lock().unwrap().quiet(place.clock.now());
    place.clock.pass(HOUR);
    place.sync(None).await.unwrap();
    place.agrees("invoices").await;
}

#[tokio::test]
async fn a_scan_whose_last_page_is_full_or_whose_pages_repeat_records_still_proves_what_is_gone() {
    for knobs in [&[][..], &[Knob::DuplicatePage]] {
        for seed in 20..24 {
            let place = Place::new(seed, 40, knobs, &["unbilled_charges"]);
            for _ in 0..4 {
                place.sync(None).await.unwrap();
                place.agrees("unbilled_charges").await;
                place.month();
            }
        }
    }
}

#[test]
fn a_list_that_a_plan_does_not_include_is_told_apart_from_a_site_that_is_not_there() {
    let chargebee = catalog(None).unwrap().connectors["chargebee"].clone();
    let class = |status: u16, code: &str| {
        let says =
            |body: &(String, Vec<String>)| body.0 == "/api_error_code" && body.1.contains(&code.into());
        let rule = chargebee
            .errors
            .iter()
            .find(|rule| rule.status.contains(&status) && rule.body.as_ref().is_none_or(says));
        rule.map(|rule| rule.class)
    };
    assert_eq!(class(404, "site_not_found"), Some(ErrorClass::Permanent));
    assert_eq!(class(404, "resource_not_found"), Some(ErrorClass::Unavailable));
    assert_eq!(class(400, "configuration_incompatible"), Some(ErrorClass::Unavailable));
    assert_eq!(class(404, ""), None, "a page that is not Chargebee's is no answer of it");
}

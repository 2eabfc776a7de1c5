//! Sweeps and backfills: rows that a sync is never shown arrive, deletes that nobody tells are found, and the live
//! watermark stays where it is, wherever the process dies.
use super::{
    crash::forget_unseen,
    deaths::{deaths, seeds},
    harness::{Bench, Crash, Effects, SimClock, Site, assert_same, expected, owner, without_child_versions},
};
use crate::postgres_server::Database;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};
use tidegate::{
    checkpoint::{Aside, Checkpoint, Errand, Phase},
    error::Kind,
    load::{
        Destination,
        lake::Lake,
        memory::{Memory, Store},
        postgres::Postgres,
    },
    manifest::{Connector, Paging, Stream},
    sim::{
        Sim,
        chaos::Knob,
        truth::Tables,
        world::{Resource, Size, World, model::Row},
    },
    sync::{Job, Outcome, summary::Status},
    time::{Clock, Timestamp},
};

const START: Timestamp = Timestamp::from_secs(1_750_000_000);
const HOUR: Duration = Duration::from_secs(3_600);
const IDS: Errand = Errand::Sweep { ids_only: true };
const FULL: Errand = Errand::Sweep { ids_only: false };

/// A company, and a place for its rows that outlives processes.
struct Story {
    bench: Bench,
    job: Job,
    sim: Arc<Mutex<Sim>>,
    clock: SimClock,
    store: Arc<Mutex<Store>>,
}

impl Story {
    fn new(seed: u64, customers: usize, knobs: &[Knob]) -> Self {
        let world = World::new(seed, Size { customers }, START);
        let bench = Bench::new();
        let job = bench.job(Site::Chargebee);
        let sim = Arc::new(Mutex::new(Sim::of(world, seed, knobs)));
        Self { bench, job, sim, clock: SimClock::at(START), store: Arc::default() }
    }
    fn memory(&self) -> Memory {
        Memory::new(Arc::clone(&self.store))
    }
    async fn sync(&self, destination: impl Destination) {
        let calm = Effects::new(None);
        let done = self.bench.attempt(&self.job, &self.sim, &self.clock, destination, &calm).await.unwrap();
        assert_eq!(done.summary.status, Status::Completed, "{:?}", done.error);
    }
    async fn repair(&self, errand: &Errand, destination: impl Destination) -> Outcome {
        let calm = Effects::new(None);
        let mut job = self.job.clone();
        core(&mut job);
        self.bench.repair(&job, errand, &self.sim, &self.clock, destination, &calm).await.unwrap()
    }
    fn row(&self, resource: Resource, nth: usize) -> Row {
        let sim = self.sim.lock().unwrap();
        let world = sim.world();
        match resource {
            Resource::Customers => Row::Customer(world.customers().at(nth).unwrap()),
            Resource::Subscriptions => Row::Subscription(world.subscriptions().at(nth).unwrap()),
            Resource::Invoices => Row::Invoice(world.invoices().at(nth).unwrap()),
            Resource::CreditNotes => Row::CreditNote(world.notes().at(nth).unwrap()),
            Resource::Transactions => Row::Transaction(world.transactions().at(nth).unwrap()),
            _ => panic!("a small resource"),
        }
    }
    fn hide(&self, row: Row, hidden: bool) -> String {
        let mut sim = self.sim.lock().unwrap();
        sim.hide(row, hidden);
        sim.world().id(row).to_owned()
    }
    /// Rows of the destination and what the world says, both without versions of children.
    async fn compare<D: Destination>(&self, mut destination: D, gone: &Gone, what: &str) {
        destination.open(&owner(), &self.job.entities).await.unwrap();
        let current = self.bench.current(&self.job, &mut destination).await;
        let newest = self.bench.newest_of_history(&self.job, &mut destination).await;
        destination.close().await.unwrap();
        assert_same(&newest, &current, &format!("{what}: newest of history against current"));
        let mut truth = expected(&self.sim, Site::Chargebee);
        forget_unseen(Site::Chargebee, &mut truth, &current);
        bury(&mut truth, gone);
        let (found, truth) =
            (without_child_versions(current, &self.job), without_child_versions(truth, &self.job));
        assert_same(&found, &truth, &format!("{what}: current against the world"));
    }
}

const CORE: [&str; 5] = ["customers", "subscriptions", "invoices", "credit_notes", "transactions"];

/// Only the core documents: every one of their lists is sorted, so that a sweep proves deletes.
fn core(job: &mut Job) {
    job.streams.retain(|s| CORE.contains(&s.name.as_str()));
}

/// Invoices or payment sources that left the provider without a word.
type Gone = BTreeSet<String>;

/// Marks them, and the children of invoices, deleted in the truth.
fn bury(truth: &mut Tables, gone: &Gone) {
    for (_, columns) in
        truth.get_mut("payment_methods").unwrap().iter_mut().filter(|(id, _)| gone.contains(*id))
    {
        columns.insert("_deleted".into(), "true".into());
    }
    let children = ["invoice_line_items", "invoice_discounts", "invoice_taxes", "payment_allocations"];
    for (table, column) in std::iter::once(("invoices", "id")).chain(
        children.map(|t| (t, if t == "payment_allocations" { "owner_invoice_id" } else { "invoice_id" })),
    ) {
        for (id, columns) in truth.get_mut(table).unwrap() {
            let owner = if column == "id" { Some(id) } else { columns.get(column) };
            if owner.is_some_and(|owner| gone.contains(owner)) {
                columns.insert("_deleted".into(), "true".into());
            }
        }
    }
}

async fn checkpoints(mut destination: impl Destination) -> BTreeMap<String, Checkpoint> {
    destination.peek(&owner()).await.unwrap().unwrap_or_default().checkpoints
}

fn live(all: &BTreeMap<String, Checkpoint>) -> Vec<(String, String)> {
    all.iter().map(|(name, c)| (name.clone(), format!("{} {:?}", c.connector_hash, c.phase))).collect()
}

#[tokio::test]
async fn a_row_that_the_filter_never_showed_arrives_with_a_sweep_in_either_mode() {
    // Pain 1: rows without a cursor value never arrive.
    for errand in [IDS, FULL] {
        let story = Story::new(3, 10, &[Knob::NoUpdatedAt(60)]);
        let late = [story.row(Resource::Transactions, 2), story.row(Resource::Invoices, 1)];
        late.iter().for_each(|row| drop(story.hide(*row, true)));
        story.sync(story.memory()).await;
        late.iter().for_each(|row| drop(story.hide(*row, false)));
        story.clock.pass(HOUR);
        story.sync(story.memory()).await;
        let before = checkpoints(story.memory()).await;
        let done = story.repair(&errand, story.memory()).await;
        assert_eq!(done.summary.status, Status::Completed, "{:?}", done.error);
        assert_eq!(done.summary.errand.as_deref(), Some("sweep"));
        let changed: u64 = done.summary.streams.iter().map(|s| s.changed).sum();
        assert_eq!(changed, 2, "{errand:?}: {:?}", done.summary.streams);
        let counted = |s: &tidegate::sync::summary::StreamSummary| s.read == s.changed + s.unchanged;
        assert!(done.summary.streams.iter().all(counted), "{:?}", done.summary.streams);
        story.compare(story.memory(), &Gone::new(), &format!("{errand:?}")).await;
        let after = checkpoints(story.memory()).await;
        assert_eq!(live(&after), live(&before));
        assert!(after.values().all(|c| c.sweep().is_none() && c.asides.iter().all(|a| a.finished())));
    }
}

#[tokio::test]
async fn a_delete_that_nobody_tells_becomes_deleted_at_and_is_undone_when_the_row_returns() {
    // Pain 4: deletes are invisible.
    for errand in [IDS, FULL] {
        let story = Story::new(5, 10, &[]);
        story.sync(story.memory()).await;
        story.clock.pass(HOUR);
        let row = story.row(Resource::Invoices, 4);
        let gone: Gone = [story.hide(row, true)].into();
        story.sync(story.memory()).await;
        let done = story.repair(&errand, story.memory()).await;
        assert_eq!(done.summary.status, Status::Completed, "{:?}", done.error);
        let deleted: u64 = done.summary.streams.iter().map(|s| s.deleted).sum();
        assert_eq!(deleted, 1);
        assert!(done.summary.streams.iter().all(|s| s.unproven.is_none()));
        story.compare(story.memory(), &gone, &format!("{errand:?}")).await;
        story.hide(row, false);
        story.clock.pass(HOUR);
        story.repair(&errand, story.memory()).await;
        story.compare(story.memory(), &Gone::new(), &format!("{errand:?}, returned")).await;
    }
}

#[tokio::test]
async fn a_sweep_that_misses_too_many_rows_deletes_none_of_them() {
    // Pain 5: deletes inferred destructively.
    let mut story = Story::new(5, 30, &[]);
    story.sync(story.memory()).await;
    story.clock.pass(HOUR);
    let count = story.sim.lock().unwrap().world().invoices().len();
    assert!(count > 40);
    (0..count * 3 / 4).for_each(|nth| drop(story.hide(story.row(Resource::Invoices, nth), true)));
    story.job.delete_share_max = 0.5;
    let done = story.repair(&IDS, story.memory()).await;
    assert_eq!(done.error.map(|e| e.kind()), Some(Kind::Guard));
    assert_eq!(done.summary.status, Status::Partial);
    story.compare(story.memory(), &Gone::new(), "guarded").await;
}

#[tokio::test]
async fn a_walk_that_may_have_missed_rows_proves_no_delete() {
    let mut story = Story::new(5, 10, &[]);
    story.sync(story.memory()).await;
    story.clock.pass(HOUR);
    let gone = story.hide(story.row(Resource::Invoices, 4), true);
    story.job.options.start = Some(START.minus(HOUR * 24 * 400));
    let done = story.repair(&IDS, story.memory()).await;
    let invoices = done.summary.streams.iter().find(|s| s.stream == "invoices").unwrap();
    assert!(invoices.unproven.as_ref().is_some_and(|why| why.contains("start")), "{invoices:?}");
    assert_eq!(invoices.deleted, 0, "{gone}");
    story.compare(story.memory(), &Gone::new(), "not proven").await;
}

/// Pages of one record, so that a sweep of a small company takes many requests.
fn singly(job: &mut Job) {
    let small = |stream: &Arc<Stream>| {
        let mut stream = stream.as_ref().clone();
        let (Paging::Token { size, .. } | Paging::PageNumber { size, .. }) = &mut stream.paging;
        size.value = 1;
        Arc::new(stream)
    };
    job.streams = job.streams.iter().map(small).collect();
    job.connector = Arc::new(Connector { streams: job.streams.clone(), ..job.connector.as_ref().clone() });
}

#[tokio::test]
async fn a_sweep_within_a_budget_goes_on_where_it_stopped_and_still_proves_its_deletes() {
    // Pain 12: a scan in many parts must neither lose pages nor read in circles.
    let mut story = Story::new(7, 12, &[]);
    singly(&mut story.job);
    let early = story.row(Resource::Invoices, 0);
    story.hide(early, true);
    story.sync(story.memory()).await;
    story.clock.pass(HOUR);
    let gone: Gone = [story.hide(story.row(Resource::Invoices, 2), true)].into();
    story.job.options.requests_max = Some(25);
    let done = story.repair(&IDS, story.memory()).await;
    assert_eq!(done.error.map(|e| e.kind()), Some(Kind::Budget));
    let requests = done.summary.streams.iter().map(|s| s.requests).sum();
    // A sync in between keeps the sweep's progress, and brings a row where the sweep has already been.
    story.hide(early, false);
    {
        let mut sim = story.sim.lock().unwrap();
        sim.advance(story.clock.now());
        let Row::Invoice(at) = early else { unreachable!() };
        sim.world_mut().edit_invoice(at, |invoice| invoice.po_number = Some("new".into()));
    }
    story.job.options.requests_max = None;
    story.clock.pass(HOUR / 6);
    story.sync(story.memory()).await;
    assert!(checkpoints(story.memory()).await.values().any(|c| c.sweep().is_some()));
    story.job.options.requests_max = Some(25);
    finish(story, &gone, requests).await;
}

#[tokio::test]
async fn a_sweep_begun_with_another_connector_file_begins_anew() {
    let mut story = Story::new(7, 12, &[]);
    singly(&mut story.job);
    story.sync(story.memory()).await;
    story.clock.pass(HOUR);
    story.job.options.requests_max = Some(25);
    let done = story.repair(&IDS, story.memory()).await;
    assert_eq!(done.error.map(|e| e.kind()), Some(Kind::Budget));
    story.job.connector =
        Arc::new(Connector { hash: "another file".into(), ..story.job.connector.as_ref().clone() });
    story.job.options.requests_max = None;
    let done = story.repair(&IDS, story.memory()).await;
    assert_eq!(done.summary.status, Status::Completed, "{:?}", done.error);
    let read: u64 = done.summary.streams.iter().map(|s| s.read).sum();
    assert!(read >= count(&story), "{read} records of {} were read under the new file", count(&story));
}

#[tokio::test]
async fn a_sweep_that_began_late_proves_no_delete_when_the_start_is_gone_in_the_middle() {
    let mut story = Story::new(5, 10, &[]);
    singly(&mut story.job);
    story.sync(story.memory()).await;
    story.clock.pass(HOUR);
    story.hide(story.row(Resource::Invoices, 4), true);
    story.job.options.start = Some(START.minus(HOUR * 24 * 400));
    story.job.options.requests_max = Some(25);
    let done = story.repair(&IDS, story.memory()).await;
    assert_eq!(done.error.map(|e| e.kind()), Some(Kind::Budget));
    story.job.options.start = None;
    story.job.options.requests_max = None;
    let done = story.repair(&IDS, story.memory()).await;
    let invoices = done.summary.streams.iter().find(|s| s.stream == "invoices").unwrap();
    assert!(invoices.unproven.as_ref().is_some_and(|why| why.contains("start")), "{invoices:?}");
    story.compare(story.memory(), &Gone::new(), "not proven").await;
}

/// Records of all lists.
fn count(story: &Story) -> u64 {
    let sim = story.sim.lock().unwrap();
    let world = sim.world();
    let documents = world.invoices().len() + world.notes().len() + world.transactions().len();
    (world.customers().len() + world.subscriptions().len() + documents) as u64
}

/// The rest of a sweep in many small runs.
async fn finish(story: Story, gone: &Gone, mut requests: u64) {
    let before = live(&checkpoints(story.memory()).await);
    for _ in 0..200 {
        let done = story.repair(&IDS, story.memory()).await;
        requests += done.summary.streams.iter().map(|s| s.requests).sum::<u64>();
        assert_eq!(live(&checkpoints(story.memory()).await), before, "the live state moved");
        if done.error.is_none() {
            let records = count(&story);
            assert!(requests <= records + 5, "{requests} requests for {records} records");
            return story.compare(story.memory(), gone, "in small runs").await;
        }
        assert_eq!(done.error.map(|e| e.kind()), Some(Kind::Budget));
    }
    panic!("it never ended");
}

#[tokio::test]
async fn a_period_is_read_again_and_nothing_else_and_the_watermark_stays() {
    // Pain 7 and 2: a late row of a period arrives without a full reload.
    let story = Story::new(9, 12, &[]);
    let rows: Vec<Row> = (0..6).map(|nth| story.row(Resource::Invoices, nth)).collect();
    rows.iter().for_each(|row| drop(story.hide(*row, true)));
    story.sync(story.memory()).await;
    rows.iter().for_each(|row| drop(story.hide(*row, false)));
    story.clock.pass(HOUR);
    let date = |row: Row| {
        let sim = story.sim.lock().unwrap();
        match row {
            Row::Invoice(at) => Timestamp::from_secs(sim.world().invoices()[at].date),
            _ => unreachable!(),
        }
    };
    let mut dates: Vec<Timestamp> = rows.iter().map(|row| date(*row)).collect();
    dates.sort();
    let before = checkpoints(story.memory()).await;
    let errand = Errand::Period { from: dates[2], to: dates[4] };
    let done = story.repair(&errand, story.memory()).await;
    assert_eq!(done.summary.errand.as_deref(), Some("backfill"));
    assert_eq!(done.summary.status, Status::Completed, "{:?}", done.error);
    let invoices = done.summary.streams.iter().find(|s| s.stream == "invoices").unwrap();
    let inside = dates.iter().filter(|d| (dates[2]..=dates[4]).contains(d)).count() as u64;
    assert_eq!(invoices.changed, inside);
    assert!(done.summary.streams.iter().all(|s| s.deleted == 0));
    assert_eq!(live(&checkpoints(story.memory()).await), live(&before));
}

#[tokio::test]
async fn ids_are_retrieved_one_by_one_and_those_the_provider_does_not_have_are_told() {
    let mut story = Story::new(9, 12, &[]);
    story.job.streams.retain(|s| s.name == "invoices");
    let rows: Vec<Row> = [3, 5].map(|nth| story.row(Resource::Invoices, nth)).into();
    let ids: Vec<String> = rows.iter().map(|row| story.hide(*row, true)).collect();
    story.sync(story.memory()).await;
    story.hide(rows[0], false);
    story.clock.pass(HOUR);
    let before = checkpoints(story.memory()).await;
    let done = story.repair(&Errand::Ids { asked: ids.clone(), left: ids.clone() }, story.memory()).await;
    assert_eq!(done.summary.status, Status::Completed, "{:?}", done.error);
    let invoices = &done.summary.streams[0];
    assert_eq!((invoices.requests, invoices.changed, &invoices.absent), (2, 1, &vec![ids[1].clone()]));
    assert_eq!(checkpoints(story.memory()).await, before);
}

#[test]
fn ids_go_on_only_from_the_same_list() {
    let ids = |asked: &[&str], left: &[&str]| {
        let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        Errand::Ids { asked: owned(asked), left: owned(left) }
    };
    let begun = Aside {
        errand: ids(&["a", "b", "c"], &["c"]),
        connector_hash: "h".into(),
        started: START,
        slices: Vec::new(),
    };
    let live = Checkpoint::new("h", Phase::Snapshot { complete: None });
    let stored = Checkpoint { asides: vec![begun.clone()], ..live };
    assert_eq!(stored.aside(&ids(&["a", "b", "c"], &["a", "b", "c"])), Some(&begun));
    assert_eq!(stored.aside(&ids(&["c", "d"], &["c", "d"])), None, "d was never asked for");
    assert_eq!(stored.aside(&ids(&["a", "c"], &["a", "c"])), None, "a is wanted again");
}

#[tokio::test]
async fn a_stream_that_was_never_read_is_not_repaired() {
    let story = Story::new(9, 3, &[]);
    let done = story.repair(&IDS, story.memory()).await;
    let error = done.error.unwrap();
    assert_eq!((error.kind(), error.next()), (Kind::Invalid, Some("tidegate sync main")));
}

/// Which streams a repair is about, and the one that has a row which comes late and one which goes.
#[derive(Clone, Copy)]
struct Shelf {
    streams: &'static [&'static str],
    /// Stream, its table, and the resource of its rows.
    faulty: (&'static str, &'static str, Resource),
}

const DOCUMENTS: Shelf = Shelf { streams: &CORE, faulty: ("invoices", "invoices", Resource::Invoices) };
/// The catalog with its deletes from the log, the log itself, streams without sort, without version, without deletes.
const OTHERS: Shelf = Shelf {
    streams: &["items", "coupons", "events", "payment_sources", "usages", "hosted_pages", "comments"],
    faulty: ("payment_sources", "payment_methods", Resource::PaymentSources),
};

/// One sync, faults at the provider, a repair that may die, the repair again, and a last sync.
async fn mortal<D: Destination>(
    (shelf, errand): (Shelf, &Errand),
    seed: u64,
    crash: Option<Crash>,
    destination: impl AsyncFn() -> D,
) -> u64 {
    let (stream, table, resource) = shelf.faulty;
    let living = |story: &Story| -> Vec<String> {
        let rows = expected(&story.sim, Site::Chargebee).remove(table).unwrap();
        rows.into_iter().filter(|(_, row)| !row.contains_key("_deleted")).map(|(id, _)| id).collect()
    };
    // Small, but with three such rows.
    let mut stories = (4..30).map(|customers| Story::new(seed, customers, &[Knob::NoUpdatedAt(30)]));
    let story = stories.find(|story| living(story).len() >= 3).unwrap();
    let sweep = matches!(errand, Errand::Sweep { .. });
    let mut job = story.bench.job(Site::Chargebee);
    let single = matches!(errand, Errand::Ids { .. });
    job.streams.retain(|s| shelf.streams.contains(&s.name.as_str()) && (!single || s.name == stream));
    let living = living(&story);
    let nth = |nth: usize| story.sim.lock().unwrap().world().find(resource, &living[nth]).unwrap();
    let (late, leaves) = (nth(1), nth(2));
    story.hide(late, true);
    story.sync(destination().await).await;
    let id = story.hide(late, false);
    let gone: Gone = if sweep { [story.hide(leaves, true)].into() } else { Gone::new() };
    story.clock.pass(HOUR);
    let errand = match errand {
        Errand::Ids { .. } => &Errand::Ids { asked: vec![id.clone()], left: vec![id] },
        other => other,
    };
    let before = live(&checkpoints(destination().await).await);
    let effects = Effects::new(crash);
    let (sim, clock) = (&story.sim, &story.clock);
    let first = story.bench.repair(&job, errand, sim, clock, destination().await, &effects).await;
    assert_eq!(first.is_none(), crash.is_some());
    assert_eq!(live(&checkpoints(destination().await).await), before, "{crash:?} moved the live state");
    let calm = Effects::new(None);
    let done = story.bench.repair(&job, errand, sim, clock, destination().await, &calm).await.unwrap();
    assert_eq!(done.summary.status, Status::Completed, "{crash:?}: {:?}", done.error);
    let after = checkpoints(destination().await).await;
    assert_eq!(live(&after), before, "{crash:?} moved the live state");
    assert!(after.values().all(|c| c.asides.iter().all(|a| a.finished())), "{crash:?} left progress behind");
    story.clock.pass(HOUR);
    story.sync(destination().await).await;
    let what = format!("{errand:?}, seed {seed}, {crash:?}");
    story.compare(destination().await, &gone, &what).await;
    effects.count.load(std::sync::atomic::Ordering::SeqCst)
}

/// At most so many deaths for each errand.
async fn survive<D: Destination, F: AsyncFn() -> D>(shelf: Shelf, fresh: impl AsyncFn() -> F, most: u64) {
    let period = Errand::Period { from: START.minus(HOUR * 24 * 400), to: START };
    for seed in seeds(1) {
        for errand in [IDS, FULL, period.clone(), Errand::Ids { asked: Vec::new(), left: Vec::new() }] {
            let effects = mortal((shelf, &errand), seed, None, fresh().await).await;
            assert!(effects > 3, "{errand:?}: only {effects} effects were counted");
            for crash in deaths(seed, effects, most) {
                mortal((shelf, &errand), seed, Some(crash), fresh().await).await;
            }
        }
    }
}

async fn memory() -> impl AsyncFn() -> Memory {
    let store = Arc::new(Mutex::new(Store::default()));
    async move || Memory::new(Arc::clone(&store))
}

async fn lake() -> impl AsyncFn() -> Lake {
    let folder = tempfile::tempdir().unwrap();
    async move || Lake::new(folder.path().to_owned())
}

async fn postgres() -> impl AsyncFn() -> Postgres {
    let database = Database::new().await;
    async move || Postgres::connect(&database.secret()).await.unwrap()
}

#[tokio::test]
async fn repairs_of_memory_survive_death_at_every_effect() {
    survive(DOCUMENTS, memory, 40).await;
}

#[tokio::test]
async fn repairs_of_the_lake_survive_death_at_every_effect() {
    survive(DOCUMENTS, lake, 12).await;
}

#[tokio::test]
async fn repairs_of_postgres_survive_death_at_every_effect() {
    survive(DOCUMENTS, postgres, 8).await;
}

#[tokio::test]
async fn repairs_of_smaller_streams_survive_death_at_every_effect() {
    survive(OTHERS, memory, 30).await;
    survive(OTHERS, lake, 4).await;
}

/// A sweep of one stream, after one of its rows left without a word.
async fn swept(stream: &str, table: &str, resource: Resource) -> (Outcome, usize) {
    let story = Story::new(6, 30, &[]);
    story.sync(story.memory()).await;
    let table = |story: &Story| expected(&story.sim, Site::Chargebee).remove(table).unwrap();
    let id = table(&story).keys().nth(1).unwrap().clone();
    let row = story.sim.lock().unwrap().world().find(resource, &id).unwrap();
    story.hide(row, true);
    story.clock.pass(HOUR);
    let mut job = story.job.clone();
    job.streams.retain(|s| s.name == stream);
    let calm = Effects::new(None);
    let done = story.bench.repair(&job, &IDS, &story.sim, &story.clock, story.memory(), &calm).await.unwrap();
    assert_eq!(done.summary.status, Status::Completed, "{:?}", done.error);
    story.compare(story.memory(), &Gone::new(), stream).await;
    (done, table(&story).len())
}

#[tokio::test]
async fn a_sweep_of_a_stream_without_a_sort_counts_rows_and_proves_no_delete() {
    let (done, rows) = swept("hosted_pages", "hosted_pages", Resource::HostedPages).await;
    let pages = &done.summary.streams[0];
    assert_eq!((pages.read, pages.deleted), (rows as u64 - 1, 0));
    assert!(pages.unproven.as_ref().is_some_and(|why| why.contains("cannot be sorted")), "{pages:?}");
}

#[tokio::test]
async fn a_sweep_of_a_log_proves_no_delete() {
    let mut story = Story::new(6, 6, &[]);
    story.job.streams.retain(|s| s.name == "events");
    story.sync(story.memory()).await;
    story.clock.pass(HOUR);
    // The provider has forgotten all events but these.
    let mut few = story.job.streams[0].as_ref().clone();
    few.query.push(("event_type[in]".into(), r#"["item_deleted","coupon_deleted"]"#.into()));
    let mut job = story.job.clone();
    job.streams = vec![Arc::new(few)];
    let calm = Effects::new(None);
    let done = story.bench.repair(&job, &IDS, &story.sim, &story.clock, story.memory(), &calm).await.unwrap();
    let stored = {
        let mut opened = story.memory();
        opened.open(&owner(), &story.job.entities).await.unwrap();
        story.bench.current(&story.job, &mut opened).await.remove("events").unwrap()
    };
    let log = &done.summary.streams[0];
    assert!(log.read > 0 && log.read < stored.len() as u64, "{} of {}", log.read, stored.len());
    assert_eq!(log.deleted, 0);
    assert!(stored.values().all(|row| !row.contains_key("_deleted")));
    assert!(log.unproven.as_ref().is_some_and(|why| why.contains("it is a log")), "{log:?}");
}

#[tokio::test]
async fn a_stream_without_versions_is_swept_in_full_even_when_only_ids_are_asked_for() {
    let mut story = Story::new(5, 6, &[]);
    story.job.streams.retain(|s| s.name == "invoices");
    let mut plain = story.job.streams[0].as_ref().clone();
    plain.version = None;
    story.job.streams = vec![Arc::new(plain)];
    story.sync(story.memory()).await;
    story.clock.pass(HOUR);
    let Row::Invoice(at) = story.row(Resource::Invoices, 2) else { unreachable!() };
    story.sim.lock().unwrap().world_mut().edit_invoice(at, |invoice| invoice.po_number = Some("new".into()));
    let done = story.repair(&IDS, story.memory()).await;
    let invoices = &done.summary.streams[0];
    let rows = story.sim.lock().unwrap().world().invoices().len() as u64;
    assert_eq!((invoices.changed, invoices.unchanged), (1, invoices.read - 1), "{invoices:?}");
    assert!(invoices.read >= rows, "of {rows}: {invoices:?}");
}

#[tokio::test]
async fn a_sweep_that_began_more_than_a_week_ago_begins_anew() {
    for (days, anew) in [(6, false), (8, true)] {
        let mut story = Story::new(7, 12, &[]);
        singly(&mut story.job);
        story.sync(story.memory()).await;
        story.clock.pass(HOUR);
        story.job.options.requests_max = Some(25);
        let done = story.repair(&IDS, story.memory()).await;
        assert_eq!(done.error.map(|e| e.kind()), Some(Kind::Budget));
        let first: u64 = done.summary.streams.iter().map(|s| s.read).sum();
        story.clock.pass(HOUR * 24 * days);
        story.job.options.requests_max = None;
        let done = story.repair(&IDS, story.memory()).await;
        assert_eq!(done.summary.status, Status::Completed, "{:?}", done.error);
        let read: u64 = done.summary.streams.iter().map(|s| s.read).sum();
        assert!(first > 10);
        assert_eq!(read >= count(&story), anew, "after {days} days: {read} of {}", count(&story));
    }
}

#[tokio::test]
async fn a_sweep_while_rows_come_and_change_and_pages_repeat_ends_at_the_truth() {
    for seed in 1..=3 {
        let knobs = [Knob::Moving, Knob::DuplicatePage, Knob::ServerErrors, Knob::Throttle];
        let story = Story::new(seed, 8, &knobs);
        story.sync(story.memory()).await;
        story.clock.pass(HOUR);
        let done = story.repair(&IDS, story.memory()).await;
        assert_eq!(done.summary.status, Status::Completed, "{:?}", done.error);
        story.sim.lock().unwrap().quiet(story.clock.now());
        story.clock.pass(HOUR);
        story.sync(story.memory()).await;
        story.compare(story.memory(), &Gone::new(), &format!("seed {seed}")).await;
    }
}

#[tokio::test]
async fn the_rate_of_rows_without_cursor_value_is_measured_where_they_are_seen() {
    // Pain 1, before it hurts.
    let story = Story::new(3, 10, &[Knob::NoUpdatedAt(60)]);
    let stream =
        |done: &Outcome| done.summary.streams.iter().find(|s| s.stream == "transactions").unwrap().clone();
    let calm = Effects::new(None);
    let first =
        story.bench.attempt(&story.job, &story.sim, &story.clock, story.memory(), &calm).await.unwrap();
    let (all, bare) = {
        let sim = story.sim.lock().unwrap();
        let world = sim.world();
        let bare = world.transactions().iter().filter(|(at, _)| !world.stamp(Row::Transaction(*at)).stamped);
        (world.transactions().len() as u64, bare.count() as u64)
    };
    assert!(bare > 0 && bare < all);
    assert_eq!((stream(&first).read, stream(&first).no_cursor), (all, Some(bare)));
    story.clock.pass(HOUR);
    let calm = Effects::new(None);
    let next =
        story.bench.attempt(&story.job, &story.sim, &story.clock, story.memory(), &calm).await.unwrap();
    assert_eq!(stream(&next).no_cursor, None, "a window hides them");
    for errand in [IDS, FULL] {
        assert_eq!(stream(&story.repair(&errand, story.memory()).await).no_cursor, Some(bare), "{errand:?}");
    }
}

async fn visible_late<D: Destination>(destination: impl AsyncFn() -> D) {
    let story = Story::new(4, 6, &[Knob::LateVisible(200)]);
    let sync = async || {
        let calm = Effects::new(None);
        let destination = destination().await;
        let done = story.bench.attempt(&story.job, &story.sim, &story.clock, destination, &calm).await;
        let streams = done.unwrap().summary.streams;
        streams.into_iter().find(|s| s.stream == "invoices").unwrap()
    };
    let none = |s: &tidegate::sync::summary::StreamSummary| (s.late, s.late_max_secs, s.late_p99_secs);
    assert_eq!(none(&sync().await), (0, None, None));
    story.clock.pass(HOUR);
    let edit = |nth| {
        let mut sim = story.sim.lock().unwrap();
        sim.advance(story.clock.now());
        let at = sim.world().invoices().at(nth).unwrap();
        sim.world_mut().edit_invoice(at, |invoice| invoice.po_number = Some("edited".into()));
    };
    edit(0);
    // After the end of the next window: that one comes in time.
    story.clock.pass(Duration::from_secs(40));
    edit(1);
    story.clock.pass(Duration::from_secs(110));
    assert_eq!(none(&sync().await), (0, None, None), "it is hidden, and nobody knows");
    story.clock.pass(Duration::from_secs(100));
    let late = sync().await;
    let secs = late.late_max_secs.unwrap();
    assert_eq!((late.changed, late.late), (2, 1));
    assert!((149..=150).contains(&secs), "asked for 150 s after the change and not there: {secs}");
    assert_eq!(late.late_p99_secs, Some(secs));
}

#[tokio::test]
async fn how_late_rows_become_visible_is_measured_by_what_the_read_before_lacked() {
    let store = Arc::new(Mutex::new(Store::default()));
    visible_late(async || Memory::new(Arc::clone(&store))).await;
    let folder = tempfile::tempdir().unwrap();
    visible_late(async || Lake::new(folder.path().to_owned())).await;
    let database = Database::new().await;
    visible_late(async || Postgres::connect(&database.secret()).await.unwrap()).await;
}

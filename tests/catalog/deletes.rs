//! Deletes that only the log tells: found, kept under the total order, taken back by a newer state, never lost.
use crate::simulation::{
    deaths::{deaths, seeds},
    harness::{Bench, Crash, Effects, SimClock, Site, assert_same, expected, owner, set_catalog, set_size},
    rows,
};
use arrow::array::AsArray;
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tidegate::{
    checkpoint::Checkpoint,
    decode::{Decoder, Keys, Page, Records, Reject},
    load::{
        Destination, Layer,
        memory::{Memory, Store},
    },
    manifest::Stream,
    normalize::{Facts, Normalizer},
    sim::{
        Sim, truth,
        world::{Size, World, log::Subject, model::What},
    },
    sync::{Job, Outcome, rebuild, summary::Status},
    time::{Clock, Timestamp},
    wire::Handler,
};

const START: Timestamp = Timestamp::from_secs(1_750_000_000);
const DAY: Duration = Duration::from_secs(86_400);
const LISTS: [&str; 4] = ["item_families", "items", "item_prices", "coupons"];
const TABLES: [&str; 4] = ["item_families", "items", "prices", "coupons"];

/// A simulated site and a destination in memory.
pub(super) struct Shop {
    bench: Bench,
    site: Site,
    sim: Arc<Mutex<Sim>>,
    clock: SimClock,
    store: Arc<Mutex<Store>>,
}

impl Shop {
    pub(super) fn new(site: Site, seed: u64) -> Self {
        let mut sim = Sim::of(World::new(seed, Size { customers: 4 }, START), seed, &[]);
        set_catalog(&mut sim, site);
        Self {
            bench: Bench::new(),
            site,
            sim: Arc::new(Mutex::new(sim)),
            clock: SimClock::at(START),
            store: Arc::default(),
        }
    }
    fn destination(&self) -> Memory {
        Memory::new(Arc::clone(&self.store))
    }
    /// A job over these streams, named by the operator; all of them, when none is.
    fn job(&self, streams: &[&str]) -> Job {
        let mut job = self.bench.job(self.site);
        job.options.named = !streams.is_empty();
        job.streams.retain(|s| streams.is_empty() || streams.contains(&s.name.as_str()));
        job
    }
    pub(super) async fn sync(&self, streams: &[&str]) -> Outcome {
        let effects = Effects::new(None);
        let job = self.job(streams);
        self.bench.attempt(&job, &self.sim, &self.clock, self.destination(), &effects).await.unwrap()
    }
    async fn synced(&self, streams: &[&str]) {
        let outcome = self.sync(streams).await;
        assert_eq!(outcome.summary.status, Status::Completed, "{:?}", outcome.error);
    }
    fn pass(&self, days: u32) {
        self.clock.pass(DAY * days);
        self.sim.lock().unwrap().advance(self.clock.now());
        self.clock.pass(Duration::from_secs(3_600));
    }
    async fn opened(&self) -> Memory {
        let mut opened = self.destination();
        opened.open(&owner(), &self.job(&[]).entities).await.unwrap();
        opened
    }
    pub(super) async fn checkpoints(&self) -> BTreeMap<String, Checkpoint> {
        self.destination().peek(&owner()).await.unwrap().unwrap_or_default().checkpoints
    }
    pub(super) async fn table(&self, entity: &str) -> truth::Rows {
        self.layer(entity, Layer::Current).await
    }
    async fn layer(&self, entity: &str, layer: Layer) -> truth::Rows {
        let entity = Arc::clone(&self.bench.catalog.entities[entity]);
        let batches = self.opened().await.read(&entity, layer).await.unwrap();
        match layer {
            Layer::Current => rows::canonical(&batches),
            Layer::History => rows::newest(&batches),
        }
    }
    fn truth(&self, entity: &str) -> truth::Rows {
        expected(&self.sim, self.site).remove(entity).unwrap_or_default()
    }
    async fn compare(&self, entities: &[&str], what: &str) {
        let (mut found, mut wanted, mut newest) =
            (truth::Tables::new(), truth::Tables::new(), truth::Tables::new());
        for entity in entities {
            found.insert((*entity).into(), self.table(entity).await);
            newest.insert((*entity).into(), self.layer(entity, Layer::History).await);
            wanted.insert((*entity).into(), self.truth(entity));
        }
        assert_same(&found, &wanted, &format!("{what}: current against the world"));
        assert_same(&newest, &found, &format!("{what}: newest of history against current"));
    }
}

fn gone(rows: &truth::Rows) -> usize {
    rows.values().filter(|c| c.contains_key("_deleted")).count()
}

#[tokio::test]
async fn deletes_of_the_catalog_come_from_events_whether_or_not_the_log_is_read() {
    for (site, lists, tables) in [
        (Site::Chargebee, &LISTS[..], &TABLES[..]),
        (Site::ChargebeeCatalog1, &["plans", "addons", "coupons"], &["plans", "addons", "coupons"]),
    ] {
        let shop = Shop::new(site, 5);
        shop.synced(lists).await;
        shop.compare(tables, "first load").await;
        let mut before = 0;
        for entity in tables {
            before += gone(&shop.table(entity).await);
        }
        assert!(before > 3, "things deleted before the first load are known too");
        shop.pass(80);
        shop.synced(lists).await;
        shop.compare(tables, "80 days later").await;
        let mut after = 0;
        for entity in tables {
            after += gone(&shop.table(entity).await);
        }
        assert!(after > before, "{before} {after}");
        assert!(shop.table("events").await.is_empty(), "the log was not asked for");
    }
}

#[tokio::test]
async fn a_coupon_made_again_under_its_id_comes_back() {
    let shop = Shop::new(Site::Chargebee, 5);
    let revived = |shop: &Shop| -> Vec<String> {
        let sim = shop.sim.lock().unwrap();
        let world = sim.world();
        let was_deleted = |id: &str| {
            world
                .log()
                .iter()
                .any(|h| h.what == What::Deleted && matches!(&h.subject, Subject::Ware(w, _) if w.id == id))
        };
        let alive = world.wares().rows().filter(|w| !w.stamp.deleted && was_deleted(&w.id));
        alive.map(|w| w.id.clone()).collect()
    };
    let mut seen_deleted = std::collections::BTreeSet::new();
    let mut back = 0;
    for _ in 0..12 {
        shop.synced(&["coupons"]).await;
        shop.compare(&["coupons"], "every nine days").await;
        let table = shop.table("coupons").await;
        back += revived(&shop).iter().filter(|id| seen_deleted.contains(*id)).count();
        seen_deleted
            .extend(table.iter().filter(|(_, c)| c.contains_key("_deleted")).map(|(id, _)| id.clone()));
        shop.pass(9);
    }
    assert!(back > 0, "no coupon that was stored as deleted came back");
}

/// About a third of all deaths; `make sim` comes to the others.
const DEATHS: u64 = 90;

#[tokio::test]
async fn a_crash_at_any_effect_loses_no_delete() {
    let lists = ["items", "item_prices", "coupons"];
    let story = async |seed: u64, crash: Option<Crash>| {
        let shop = Shop::new(Site::Chargebee, seed);
        let effects = Effects::new(crash);
        let mut died = 0;
        for _ in 0..3 {
            let job = shop.job(&lists);
            let ended = shop.bench.attempt(&job, &shop.sim, &shop.clock, shop.destination(), &effects).await;
            died += u32::from(ended.is_none());
            shop.pass(30);
        }
        assert_eq!(died, u32::from(crash.is_some()), "seed {seed}, {crash:?}: deaths");
        shop.synced(&lists).await;
        shop.compare(&["items", "prices", "coupons"], &format!("seed {seed}, {crash:?}")).await;
        let mut gone = 0;
        for table in ["items", "prices", "coupons"] {
            gone += self::gone(&shop.table(table).await);
        }
        assert!(gone > 0, "seed {seed}: nothing was deleted");
        effects.count.load(std::sync::atomic::Ordering::SeqCst)
    };
    for seed in seeds(1) {
        let effects = story(seed, None).await;
        assert!(effects > 40, "only {effects} effects");
        for crash in deaths(seed, effects, DEATHS) {
            story(seed, Some(crash)).await;
        }
    }
}

/// A run whose requests are used up commits what it has of both walks.
#[tokio::test]
async fn no_delete_is_lost_wherever_the_request_budget_ends() {
    let lists = ["items", "item_prices", "coupons"];
    let mut stopped = 0;
    for budget in 2..40 {
        let shop = Shop::new(Site::Chargebee, 5);
        let mut job = shop.job(&lists);
        job.options.requests_max = Some(budget);
        let effects = Effects::new(None);
        let outcome =
            shop.bench.attempt(&job, &shop.sim, &shop.clock, shop.destination(), &effects).await.unwrap();
        stopped += u32::from(outcome.error.is_some());
        shop.clock.pass(Duration::from_secs(3_600));
        shop.synced(&lists).await;
        shop.compare(&["items", "prices", "coupons"], &format!("stopped after {budget} requests")).await;
    }
    assert!(stopped > 10, "only {stopped} runs were stopped");
}

#[tokio::test]
async fn a_rebuild_from_stored_events_comes_to_the_same_rows() {
    let shop = Shop::new(Site::Chargebee, 5);
    shop.synced(&[]).await;
    shop.pass(80);
    shop.synced(&[]).await;
    let job = shop.job(&[]);
    let mut opened = shop.opened().await;
    for name in LISTS {
        let stream = job.streams.iter().find(|s| s.name == name).unwrap();
        let rebuilt = rebuild(&job, stream, &mut opened, &shop.bench.normalizers, true).await.unwrap();
        let [diff] = rebuilt.diffs.as_slice() else { panic!("{name}: {:?}", rebuilt.diffs) };
        assert_eq!((diff.added, diff.removed, diff.changed), (0, 0, 0), "{name}");
        assert!(diff.same > 0 && rebuilt.rejected == 0, "{name}");
    }
    drop(opened);
    shop.compare(&TABLES, "rebuilt").await;
}

#[tokio::test]
async fn no_bookmark_moves_before_the_last_page_of_any_list_of_the_catalog() {
    use tidegate::extract::{Machine, Setup, Step, StreamStart};
    let shop = Shop::new(Site::Chargebee, 5);
    let mut names = LISTS.to_vec();
    names.push("events");
    shop.synced(&names).await;
    for _ in 0..6 {
        shop.pass(9);
    }
    let stored = shop.checkpoints().await;
    let mut job = shop.job(&names);
    for stream in &mut job.streams {
        let mut small = stream.as_ref().clone();
        set_size(&mut small.paging, 1);
        if let Some(deletes) = &mut small.deletes {
            let mut walk = deletes.walk.as_ref().clone();
            set_size(&mut walk.paging, 1);
            deletes.walk = Arc::new(walk);
        }
        *stream = Arc::new(small);
    }
    let start =
        |s: &Arc<Stream>| StreamStart { stream: Arc::clone(s), checkpoint: stored.get(&s.name).cloned() };
    let setup = Setup {
        connector: Arc::clone(&job.connector),
        inputs: job.inputs.clone(),
        base_url: None,
        seed: 1,
        options: job.options.clone(),
    };
    let mut machine = Machine::new(setup, job.streams.iter().map(start).collect()).unwrap();
    let marks = |c: &Checkpoint| [c.watermark(), c.of_deletes().and_then(|c| c.watermark())];
    let (mut pages, mut moved) = (0, 0);
    loop {
        match machine.step(shop.clock.now()) {
            Step::Send { ticket, request, .. } => {
                let answer = shop.sim.lock().unwrap().handle(shop.clock.now(), &request);
                machine.reply(ticket, shop.clock.now(), Ok(answer));
            }
            Step::Emit(emitted) => {
                let before = marks(&stored[&emitted.stream]);
                let now = marks(&emitted.checkpoint);
                let more = emitted.page.as_ref().is_some_and(|p| p.next.is_some());
                pages += u32::from(more);
                let ahead = now.iter().zip(&before).filter(|(now, before)| now > before).count();
                if emitted.end {
                    moved += ahead;
                }
                if more && emitted.checkpoint.deletes.is_none() {
                    assert_eq!(now, before, "{} moved before its last page", emitted.stream);
                }
                assert!(!more || ahead < 2, "{} moved both marks before its last page", emitted.stream);
            }
            Step::WaitUntil(t) => shop.clock.sleep_until(t).await,
            Step::Done => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(pages > 20, "only {pages} pages had a next one");
    assert_eq!(moved, names.len() * 2 - 1, "at the end every mark moves; the log has one");
}

fn stream(name: &str) -> (Bench, Arc<Stream>) {
    let bench = Bench::new();
    let streams = &bench.catalog.connectors["chargebee"].streams;
    let stream = Arc::clone(streams.iter().find(|s| s.name == name).unwrap());
    (bench, stream)
}

/// Bodies, each with the second at which it was asked for.
fn decoded(stream: &Stream, bodies: &[(&str, i64)]) -> (Records, Vec<Reject>) {
    let keys = Keys {
        key: stream.key.clone(),
        version: stream.version.clone(),
        updated: stream.updated.clone(),
        deleted: stream.deleted.clone(),
    };
    let told = stream.deletes.as_ref().map(|d| d.told.clone());
    let mut decoder = Decoder::new(&stream.name, &stream.record, &keys).unwrap().with_told(told);
    for (body, asked) in bodies {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let records = std::iter::once(0..body.len()).collect();
        decoder.push(&Page {
            body,
            records,
            next: None,
            total: None,
            asked_at: Timestamp::from_secs(*asked),
        });
    }
    decoder.finish().unwrap()
}

const ACTIVE: &str = r#"{"id":"x","name":"X","status":"active","type":"plan","resource_version":10}"#;
const GONE: &str = r#"{"id":"ev_1","occurred_at":9,"event_type":"item_deleted","content":{"item":
    {"id":"x","name":"X","status":"active","type":"plan","resource_version":20,"updated_at":9}}}"#;
const AGAIN: &str = r#"{"id":"x","name":"X","status":"active","type":"plan","resource_version":30}"#;

#[tokio::test]
async fn a_list_that_lags_behind_cannot_bring_back_what_an_event_deleted() {
    let (bench, stream) = stream("items");
    let connector = &bench.catalog.connectors["chargebee"];
    let (probe, _) = decoded(&stream, &[]);
    let normalizer = Normalizer::new(connector, &stream, &probe.batch.schema()).await.unwrap();
    let facts = Facts { owner: owner(), time_zone: chrono_tz::UTC };
    let orders: [(&[(&str, i64)], bool); 5] = [
        (&[(ACTIVE, 100), (GONE, 200)], true),
        (&[(GONE, 100), (ACTIVE, 200)], true),
        (&[(ACTIVE, 200), (GONE, 100)], true),
        (&[(GONE, 100), (AGAIN, 200), (ACTIVE, 300)], false),
        (&[(AGAIN, 100), (GONE, 200)], false),
    ];
    for (bodies, deleted) in orders {
        let (records, rejects) = decoded(&stream, bodies);
        assert!(rejects.is_empty(), "{rejects:?}");
        let rows = normalizer.run(&facts, &records).await.unwrap().rows.unwrap();
        assert_eq!(rows.main.num_rows(), 1);
        assert_eq!(rows.main["deleted_at"].as_ref().is_valid(0), deleted, "{bodies:?}");
        assert_eq!(rows.main["id"].as_string::<i32>().value(0), "x");
        let event = std::str::from_utf8(&rows.bodies[0]).unwrap().contains("item_deleted");
        assert_eq!(event, deleted, "the body of a deleted row is the event");
    }
}

#[test]
fn an_event_is_a_delete_by_its_type_alone_and_other_events_say_nothing() {
    let (_, stream) = stream("items");
    let other = GONE.replace("item_deleted", "item_updated");
    let (records, rejects) = decoded(&stream, &[(GONE, 1), (&other, 2), (ACTIVE, 3)]);
    assert!(rejects.is_empty());
    assert_eq!((records.key, records.deleted), (vec!["x".to_owned(), "x".to_owned()], vec![true, false]));
    assert_eq!(records.version, [20, 10]);
    let said = ACTIVE.replace("active", "deleted");
    assert_eq!(decoded(&stream, &[(&said, 1)]).0.deleted, [true], "a list that shows it says so by status");
}

#[test]
fn a_delete_that_cannot_be_ordered_or_read_is_kept_as_a_reject_with_its_bytes() {
    let (_, stream) = stream("items");
    let cases = [
        (GONE.replace("\"resource_version\":20,", ""), "missing_version", "", Some("x")),
        (GONE.replace("\"item\":", "\"plan\":"), "not_an_object", "/content/item", None),
        (GONE.replace("\"id\":\"x\",", ""), "missing_key", "/id", None),
    ];
    for (body, rule, pointer, key) in cases {
        let (records, rejects) = decoded(&stream, &[(&body, 1)]);
        assert!(records.key.is_empty(), "{rule}");
        let [reject] = rejects.as_slice() else { panic!("{rule}: {rejects:?}") };
        assert_eq!(
            (reject.rule.as_str(), reject.pointer.as_str(), reject.key.as_deref()),
            (rule, pointer, key)
        );
        assert_eq!(reject.body, body.as_bytes());
    }
}

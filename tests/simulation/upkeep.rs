//! Bodies of superseded states kept for five days only, through syncs of weeks: what goes, and what rebuilds do then.
use super::{
    crash::forget_unseen,
    harness::{
        Bench, Crash, Effects, SimClock, Site, assert_same, fed, owner, set_catalog, without_child_versions,
    },
};
use arrow::{
    array::RecordBatch,
    util::display::{ArrayFormatter, FormatOptions},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};
use tidegate::{
    load::{
        Destination, Layer, RawRecord,
        lake::Lake,
        memory::{Memory, Store},
    },
    sim::{
        Sim, truth,
        world::{Size, World},
    },
    sync::{self, Job, summary::Status},
    time::{Clock, Timestamp},
};

const START: Timestamp = Timestamp::from_secs(1_750_000_000);
const DAY: Duration = Duration::from_secs(86_400);
const KEEP: Duration = Duration::from_secs(5 * 86_400);

/// Every history row as text, with where it stands: table, its record's id, commit.
type History = BTreeSet<(String, String, i64, String)>;

async fn history<D: Destination>(job: &Job, d: &mut D) -> History {
    let parents: BTreeMap<&str, Vec<&str>> = job
        .streams
        .iter()
        .flat_map(|s| &s.feeds)
        .filter_map(|f| Some((f.entity.name.as_str(), f.entity.parent.as_ref()?.column.as_str())))
        .fold(BTreeMap::new(), |mut all, (name, column)| {
            all.entry(name).or_insert_with(Vec::new).push(column);
            all
        });
    let mut all = History::new();
    for entity in fed(job) {
        let columns = parents.get(entity.name.as_str()).cloned().unwrap_or_else(|| vec!["id"]);
        for batch in d.read(&entity, Layer::History).await.unwrap() {
            let text = |column: &RecordBatch, name: &str, row: usize| {
                let options = FormatOptions::default();
                let array = column.column_by_name(name).unwrap();
                ArrayFormatter::try_new(array, &options).unwrap().value(row).to_string()
            };
            let schema = batch.schema();
            for row in 0..batch.num_rows() {
                let of = columns.iter().map(|c| text(&batch, c, row)).find(|id| !id.is_empty()).unwrap();
                let commit: i64 = text(&batch, "commit_no", row).parse().unwrap();
                let cells = schema.fields().iter().map(|f| text(&batch, f.name(), row));
                all.insert((entity.name.clone(), of, commit, cells.collect::<Vec<_>>().join("|")));
            }
        }
    }
    all
}

/// Stored bodies by stream.
async fn bodies<D: Destination>(job: &Job, d: &mut D) -> Vec<(String, RawRecord)> {
    let mut all = Vec::new();
    for stream in &job.streams {
        let mut after = 0;
        while let Some((number, records)) = d.raw_after(&stream.name, after).await.unwrap() {
            after = number;
            all.extend(records.into_iter().map(|r| (stream.name.clone(), r)));
        }
    }
    all
}

/// Old bodies are gone unless they are the newest of their record.
fn only_newest_are_old(bodies: &[(String, RawRecord)], before: Timestamp) {
    let mut newest: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for (stream, record) in bodies.iter().filter(|(_, r)| !r.deleted) {
        let slot = newest.entry((stream, &record.key)).or_default();
        *slot = record.commit_no.max(*slot);
    }
    for (stream, record) in bodies {
        let newest = newest[&(stream.as_str(), record.key.as_str())];
        assert!(record.read_at >= before || record.commit_no >= newest, "{stream} {record:?}");
    }
}

/// Syncs with three days of changes between them. Returns the number of effects.
async fn story<D: Destination>(
    bench: &Bench,
    site: Site,
    crash: Option<Crash>,
    destination: impl AsyncFn() -> D,
) -> u64 {
    let mut job = bench.job(site);
    job.raw_for = Some(KEEP);
    let mut world = World::new(3, Size { customers: 5 }, START);
    world.forget_stamps(30);
    let mut sim = Sim::of(world, 3, &[]);
    set_catalog(&mut sim, site);
    let (sim, clock) = (Arc::new(Mutex::new(sim)), SimClock::at(START));
    let effects = Effects::new(crash);
    for round in 0..6 {
        let calm = Effects::new(None);
        let effects = if round < 5 { &effects } else { &calm };
        if let Some(outcome) = bench.attempt(&job, &sim, &clock, destination().await, effects).await {
            assert_eq!(outcome.summary.status, Status::Completed, "{:?}", outcome.error);
        } else if round == 4 {
            // The last one that may die is tried again within the day.
            bench.attempt(&job, &sim, &clock, destination().await, &calm).await.unwrap();
        }
        if round == 5 {
            break;
        }
        clock.pass(DAY * 3);
        let mut sim = sim.lock().unwrap();
        sim.advance(clock.now());
        let now = sim.time(clock.now());
        sim.world_mut().touch_random(now, 8);
        // By then the lists show it.
        clock.pass(Duration::from_secs(3_600));
    }
    let mut d = destination().await;
    let upkeep = d.upkeep(&owner()).await.unwrap();
    clock.pass(DAY / 2);
    bench.attempt(&job, &sim, &clock, destination().await, &Effects::new(None)).await.unwrap();
    assert_eq!(d.upkeep(&owner()).await.unwrap(), upkeep, "at most once a day");
    let before = upkeep.retained_before.unwrap();
    assert!(before >= clock.now().minus(KEEP + DAY * 3), "the last sync did it: {before}");
    assert!(!upkeep.bodies_from.is_empty());
    d.open(&owner(), &job.entities).await.unwrap();
    d.compact(Some(before)).await.unwrap();
    let kept = bodies(&job, &mut d).await;
    only_newest_are_old(&kept, before);

    let old = history(&job, &mut d).await;
    rebuild(bench, &job, &mut d).await;
    assert_eq!(history(&job, &mut d).await, old, "the same mappings make the same history");
    let mut moved = job.clone();
    moved.facts.time_zone = chrono_tz::Pacific::Auckland;
    rebuild(bench, &moved, &mut d).await;
    let new = history(&job, &mut d).await;
    let streams: BTreeMap<&str, &str> = job
        .streams
        .iter()
        .flat_map(|s| s.feeds.iter().map(|f| (f.entity.name.as_str(), s.name.as_str())))
        .collect();
    let shared = ["payment_allocations"];
    let stored: BTreeSet<(&str, &str, i64)> =
        kept.iter().map(|(s, r)| (s.as_str(), r.key.as_str(), r.commit_no)).collect();
    let gone: Vec<_> = old
        .iter()
        .filter(|(table, of, commit, _)| {
            !shared.contains(&table.as_str()) && !stored.contains(&(streams[table.as_str()], of, *commit))
        })
        .collect();
    assert!(gone.len() > 3, "{} history rows have no bodies", gone.len());
    for row in gone {
        assert!(new.contains(row), "it was written again: {row:?}");
    }
    if site == Site::Chargebee {
        assert_ne!(new, old, "civil dates are others in another zone");
    }
    let current = bench.current(&job, &mut d).await;
    let provider = match site {
        Site::Chargebee => truth::Provider::Chargebee,
        Site::ChargebeeCatalog1 => truth::Provider::ChargebeeCatalog1,
        Site::Billsby => truth::Provider::Billsby,
    };
    let facts = truth::Facts { time_zone: moved.facts.time_zone };
    let mut truth = truth::expected(sim.lock().unwrap().world(), provider, &facts);
    forget_unseen(site, &mut truth, &current);
    let bare = without_child_versions(current.clone(), &job);
    assert_same(&bare, &without_child_versions(truth, &job), "rebuilt from what is kept");
    let newest = bench.newest_of_history(&job, &mut d).await;
    assert_same(&newest, &current, "newest of history against current");
    d.close().await.unwrap();
    effects.count.load(std::sync::atomic::Ordering::SeqCst)
}

async fn rebuild<D: Destination>(bench: &Bench, job: &Job, d: &mut D) {
    let read: BTreeSet<String> = bodies(job, d).await.into_iter().map(|(stream, _)| stream).collect();
    for stream in job.streams.iter().filter(|s| read.contains(&s.name)) {
        sync::rebuild(job, stream, d, &bench.normalizers, true).await.unwrap();
        d.publish(&stream.name).await.unwrap();
    }
}

async fn memory() -> impl AsyncFn() -> Memory {
    let store = Arc::new(Mutex::new(Store::default()));
    async move || Memory::new(Arc::clone(&store))
}

#[tokio::test]
async fn old_bodies_of_chargebee_go_and_rebuilds_keep_their_history() {
    story(&Bench::new(), Site::Chargebee, None, memory().await).await;
}

#[tokio::test]
async fn old_bodies_in_a_lake_go_and_rebuilds_keep_their_history() {
    let folder = tempfile::tempdir().unwrap();
    story(&Bench::new(), Site::Chargebee, None, async || Lake::new(folder.path().to_owned())).await;
}

#[tokio::test]
async fn old_bodies_go_though_a_sync_dies_at_any_effect() {
    let bench = Bench::new();
    let effects = story(&bench, Site::Billsby, None, memory().await).await;
    for effect in (0..effects).step_by(3) {
        for after in [false, true] {
            story(&bench, Site::Billsby, Some(Crash { effect, after }), memory().await).await;
        }
    }
}

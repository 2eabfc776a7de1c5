//! The crash sweep: for every seed and every effect k, the process dies before or after k and starts again.
use super::{
    deaths::{deaths, seeds},
    harness::{
        Bench, Crash, Effects, SimClock, Site, assert_same, expected, owner, set_catalog,
        without_child_versions,
    },
};
use crate::postgres_server::Database;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tidegate::{
    load::{
        Destination,
        lake::Lake,
        memory::{Memory, Store},
        postgres::Postgres,
    },
    sim::{
        Sim,
        world::{Size, World},
    },
    sync::summary::Status,
    time::Timestamp,
};

const START: Timestamp = Timestamp::from_secs(1_750_000_000);
const DAY: Duration = Duration::from_secs(86_400);

/// A company of a few customers whose `moving` site changes while it is read.
fn world(site: Site, seed: u64) -> Arc<Mutex<Sim>> {
    let mut world = World::new(seed, Size { customers: 5 }, START);
    world.forget_stamps(30);
    let mut sim = Sim::of(world, seed, &[]);
    set_catalog(&mut sim, site);
    Arc::new(Mutex::new(sim))
}

/// Three syncs with changes between them, one of which may die; then quiet, and a last sync.
/// Returns the number of effects of the syncs that could have died.
async fn story<D: Destination>(
    bench: &Bench,
    site: Site,
    seed: u64,
    crash: Option<Crash>,
    destination: impl AsyncFn() -> D,
) -> u64 {
    let job = bench.job(site);
    let (sim, clock) = (world(site, seed), SimClock::at(START));
    let effects = Effects::new(crash);
    let mut watermarks = std::collections::BTreeMap::new();
    let mut died = 0;
    for round in 0..3_u32 {
        let outcome = bench.attempt(&job, &sim, &clock, destination().await, &effects).await;
        match &outcome {
            Some(outcome) => assert_eq!(outcome.summary.status, Status::Completed, "{:?}", outcome.error),
            None => died += 1,
        }
        let stored = destination().await.peek(&owner()).await.unwrap().unwrap_or_default();
        for (stream, checkpoint) in &stored.checkpoints {
            let before = watermarks.insert(stream.clone(), checkpoint.watermark());
            assert!(before.flatten() <= checkpoint.watermark(), "the watermark of {stream} went back");
        }
        clock.pass(Duration::from_secs(600));
        let mut sim = sim.lock().unwrap();
        let now = sim.time(tidegate::time::Clock::now(&clock));
        sim.world_mut().touch_random(now, 3);
        if round == 1 {
            sim.advance(START.plus(DAY * 20));
            clock.0.fetch_max(START.plus(DAY * 20).0, std::sync::atomic::Ordering::SeqCst);
        }
    }
    assert_eq!(died, u32::from(crash.is_some()), "seed {seed}, crash {crash:?}: deaths");
    clock.pass(Duration::from_secs(3_600));
    let calm = Effects::new(None);
    let outcome = bench.attempt(&job, &sim, &clock, destination().await, &calm).await.unwrap();
    assert_eq!(outcome.summary.status, Status::Completed, "{:?}", outcome.error);
    let mut opened = destination().await;
    opened.open(&owner(), &job.entities).await.unwrap();
    let current = bench.current(&job, &mut opened).await;
    let mut truth = expected(&sim, site);
    forget_unseen(site, &mut truth, &current);
    let (bare, truth) = (without_child_versions(current.clone(), &job), without_child_versions(truth, &job));
    assert_same(&bare, &truth, &format!("seed {seed}, crash {crash:?}: current against the world"));
    let newest = bench.newest_of_history(&job, &mut opened).await;
    assert_same(
        &newest,
        &current,
        &format!("seed {seed}, crash {crash:?}: newest of history against current"),
    );
    opened.close().await.unwrap();
    effects.count.load(std::sync::atomic::Ordering::SeqCst)
}

/// What came and went between two scans was never seen; that it was deleted cannot be known. What was seen is kept as it
/// was seen last.
pub(crate) fn forget_unseen(
    site: Site,
    truth: &mut tidegate::sim::truth::Tables,
    found: &tidegate::sim::truth::Tables,
) {
    let scanned = |entity: &str| site == Site::Billsby || entity == "unbilled_charges";
    for (entity, rows) in truth.iter_mut().filter(|(entity, _)| scanned(entity)) {
        let seen = &found[entity.as_str()];
        rows.retain(|id, columns| seen.contains_key(id) || !columns.contains_key("_deleted"));
        for (id, columns) in rows.iter_mut().filter(|(_, c)| c.contains_key("_deleted")) {
            *columns = seen[id].clone();
            assert!(columns.contains_key("_deleted"), "{entity} {id} is gone but lives on here");
        }
    }
}

/// A story of which every death is affordable.
const ALL: u64 = u64::MAX;

/// At most so many deaths for each seed. A death costs four syncs: about 0.1 s in memory, 1 s in a lake, 2 s in Postgres,
/// and each of these tests has a minute. `make sim` has more seeds, and each begins at another death.
async fn sweep<D: Destination, F: AsyncFn() -> D>(
    site: Site,
    usual: u64,
    fresh: impl AsyncFn() -> F,
    most: u64,
) {
    let bench = Bench::new();
    for seed in seeds(usual) {
        let effects = story(&bench, site, seed, None, fresh().await).await;
        assert!(effects > 8, "only {effects} effects were counted");
        for crash in deaths(seed, effects, most) {
            story(&bench, site, seed, Some(crash), fresh().await).await;
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
async fn chargebee_into_memory_survives_death_at_every_effect() {
    sweep(Site::Chargebee, 2, memory, 200).await;
}

#[tokio::test]
async fn chargebee_with_catalog_1_into_memory_survives_death_at_every_effect() {
    sweep(Site::ChargebeeCatalog1, 1, memory, 100).await;
}

#[tokio::test]
async fn billsby_into_memory_survives_death_at_every_effect() {
    sweep(Site::Billsby, 3, memory, ALL).await;
}

#[tokio::test]
async fn chargebee_into_the_lake_survives_death_at_every_effect() {
    sweep(Site::Chargebee, 1, lake, 40).await;
}

#[tokio::test]
async fn billsby_into_the_lake_survives_death_at_every_effect() {
    sweep(Site::Billsby, 1, lake, 40).await;
}

#[tokio::test]
async fn chargebee_into_postgres_survives_death_at_every_effect() {
    sweep(Site::Chargebee, 1, postgres, 24).await;
}

#[tokio::test]
async fn billsby_into_postgres_survives_death_at_every_effect() {
    sweep(Site::Billsby, 1, postgres, 20).await;
}

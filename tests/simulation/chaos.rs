//! Each trouble alone and all together: after quiet, everything is there and right.
use super::{
    crash::forget_unseen,
    deaths::seeds,
    harness::{
        Bench, Effects, SimClock, Site, assert_same, expected, owner, set_catalog, without_child_versions,
    },
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};
use tidegate::{
    error::Kind,
    load::{
        Destination,
        memory::{Memory, Store},
    },
    sim::{
        Sim,
        chaos::Knob,
        world::{Size, World},
    },
    sync::summary::Status,
    time::{Clock, Timestamp},
};

const START: Timestamp = Timestamp::from_secs(1_750_000_000);
const DAY: Duration = Duration::from_secs(86_400);

struct Story {
    bench: Bench,
    site: Site,
    sim: Arc<Mutex<Sim>>,
    clock: SimClock,
    store: Arc<Mutex<Store>>,
}

impl Story {
    fn new(site: Site, seed: u64, knobs: &[Knob]) -> Self {
        let world = World::new(seed, Size { customers: 12 }, START);
        let mut sim = Sim::of(world, seed, knobs);
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
    /// A sync that may give up on a stream, within its bounds, while several troubles act at once.
    async fn try_sync(&self) {
        let job = self.bench.job(self.site);
        let effects = Effects::new(None);
        let outcome =
            self.bench.attempt(&job, &self.sim, &self.clock, self.destination(), &effects).await.unwrap();
        let kinds = [Kind::Drift, Kind::Transient, Kind::Denied, Kind::Throttled { after: None }];
        assert!(outcome.error.as_ref().is_none_or(|e| kinds.contains(&e.kind())), "{:?}", outcome.error);
    }
    async fn sync(&self, what: &str) {
        let job = self.bench.job(self.site);
        let effects = Effects::new(None);
        let outcome =
            self.bench.attempt(&job, &self.sim, &self.clock, self.destination(), &effects).await.unwrap();
        let said = outcome.error.map(|e| e.to_string());
        assert_eq!(
            outcome.summary.status,
            Status::Completed,
            "{what}: {said:?} {:?}",
            outcome.summary.streams
        );
    }
    /// A month passes for the site and for us.
    fn month(&self) {
        let mut sim = self.sim.lock().unwrap();
        let later = sim.time(self.clock.now()).plus(DAY * 30);
        sim.advance(later);
        self.clock.pass(DAY * 30);
        let now = sim.time(self.clock.now());
        sim.world_mut().touch_random(now, 5);
    }
    async fn settle(&self, what: &str) {
        self.sim.lock().unwrap().quiet(self.clock.now());
        self.clock.pass(Duration::from_secs(3_600));
        self.sync(what).await;
        self.compare(what).await;
    }
    async fn compare(&self, what: &str) {
        let job = self.bench.job(self.site);
        let mut opened = self.destination();
        opened.open(&owner(), &job.entities).await.unwrap();
        let current = self.bench.current(&job, &mut opened).await;
        let mut truth = expected(&self.sim, self.site);
        forget_unseen(self.site, &mut truth, &current);
        let newest = self.bench.newest_of_history(&job, &mut opened).await;
        assert_same(&newest, &current, &format!("{what}: newest of history against current"));
        let (current, truth) = (without_child_versions(current, &job), without_child_versions(truth, &job));
        assert_same(&current, &truth, &format!("{what}: current against the world"));
    }
}

async fn troubled(site: Site, seed: u64, knobs: &[Knob]) {
    let what = format!("{site:?}, seed {seed}, {knobs:?}");
    println!("{what}");
    let story = Story::new(site, seed, knobs);
    for _ in 0..2 {
        match knobs {
            [_] => story.sync(&what).await,
            _ => story.try_sync().await,
        }
        story.month();
    }
    story.settle(&what).await;
}

#[tokio::test]
async fn simulation_ends_right_under_each_trouble_alone() {
    for seed in seeds(1) {
        for (knob, _) in Knob::ALL {
            troubled(Site::Chargebee, seed, &[*knob]).await;
        }
    }
}

#[tokio::test]
async fn simulation_ends_right_under_all_troubles_together() {
    let all: Vec<Knob> = Knob::ALL.iter().map(|(knob, _)| *knob).collect();
    for seed in seeds(4) {
        troubled(Site::Chargebee, seed, &all).await;
    }
}

#[tokio::test]
async fn simulation_of_a_snapshot_stream_ends_right_while_its_pages_shift() {
    for seed in seeds(6) {
        troubled(Site::Billsby, seed, &[Knob::Moving, Knob::ServerErrors, Knob::Throttle]).await;
    }
}

#[tokio::test]
async fn simulation_rejects_exactly_the_records_that_do_not_fit() {
    for seed in seeds(3) {
        let story = Story::new(Site::Chargebee, seed, &[Knob::WrongTypes(150)]);
        story.sync("wrong types").await;
        let stored = story.destination().rejects(&owner()).await.unwrap();
        let found: BTreeSet<(String, String)> = stored
            .iter()
            .map(|s| (s.reject.stream.clone(), s.reject.key.clone().unwrap_or_default()))
            .collect();
        let wrong = story.sim.lock().unwrap().rejected_ids();
        assert!(!wrong.is_empty(), "seed {seed} breaks no record");
        assert_eq!(found, wrong, "seed {seed}");
        assert!(stored.iter().all(|s| !s.reject.body.is_empty() && !s.reject.message.is_empty()));
        story.settle("wrong types, repaired").await;
        let open = story.destination().rejects(&owner()).await.unwrap();
        assert!(
            open.is_empty(),
            "seed {seed}: a record that fits now is still held back: {:?}",
            open.first()
        );
    }
}

#[tokio::test]
async fn simulation_stays_below_a_rate_limit_and_finishes_below_a_lower_one() {
    for (limit, may_exceed) in [(150, false), (20, true)] {
        let story = Story::new(Site::Chargebee, 3, &[Knob::RateLimit(limit)]);
        story.sync("rate limit").await;
        let over = story.sim.lock().unwrap().over_limit();
        assert!(may_exceed || over == 0, "{over} requests beyond {limit} a minute");
        story.settle("rate limit").await;
    }
}

//! Every emission of every run is a place to die, just before or just after it became durable, while the provider
//! changes under the scan. Afterwards a few quiet runs must leave the destination equal to the provider.
use super::*;
use std::collections::HashMap;
use std::{cell::RefCell, rc::Rc};
use tidegate::extract::{Proof, Scan};

const OVERLAP: u64 = 0;
const LAG: u64 = 4;
/// Lists show a change so many seconds late at most.
const LATE: i64 = 3;

/// What a destination keeps: rows by key with their version, and the checkpoint, in one act.
#[derive(Default)]
struct Kept {
    rows: BTreeMap<u64, u64>,
    checkpoint: Option<Checkpoint>,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    seed: u64,
    sliced: bool,
    scan: bool,
    /// The numbered emission of all runs dies; false: before, true: after it became durable.
    death: Option<(usize, bool)>,
}

struct Life {
    world: World,
    kept: Kept,
    /// Rows as the provider has them, with what lists do not show yet.
    truth: Rc<RefCell<Truth>>,
    emissions: usize,
}

struct Truth {
    rng: fastrand::Rng,
    rows: BTreeMap<u32, Row>,
    hidden: HashMap<u32, Row>,
    changes: u64,
    deletes: bool,
    quiet: bool,
}

impl Truth {
    fn churn(&mut self, now: i64) {
        if self.quiet {
            return;
        }
        for _ in 0..self.rng.u32(0..3) {
            self.changes += 1;
            let id = self.rng.u32(1..30);
            if self.deletes && self.rng.u32(0..4) == 0 {
                self.rows.remove(&id);
                continue;
            }
            let date = match self.rows.get(&id) {
                Some(old) => old.date,
                None => Some(now - self.rng.i64(0..90 * 86_400)),
            };
            let visible = now + self.rng.i64(0..=LATE);
            let new = Row { date, updated: Some(now), visible, v: self.changes };
            if let Some(old) = self.rows.insert(id, new)
                && old.visible <= now
            {
                self.hidden.insert(id, old);
            }
        }
    }
    /// As lists show it: the old state until the new one is visible.
    fn shown(&self, now: i64) -> BTreeMap<u32, Row> {
        let shown = |(id, row): (&u32, &Row)| {
            if row.visible <= now {
                Some((*id, row.clone()))
            } else {
                Some((*id, self.hidden.get(id)?.clone()))
            }
        };
        self.rows.iter().filter_map(shown).collect()
    }
}

impl Life {
    fn new(case: Case) -> Self {
        let mut rng = fastrand::Rng::with_seed(case.seed);
        let rows = (1..=18).map(|id| {
            let date = (rng.u32(0..4) > 0 || case.scan).then(|| T0 - rng.i64(0..90 * 86_400));
            let updated = (rng.u32(0..3) > 0).then(|| T0 - rng.i64(10..5_000));
            (id, Row { date, updated, visible: 0, v: 0 })
        });
        let rows = rows.collect();
        let skew = [0, -40, 40][usize::try_from(case.seed % 3).unwrap()];
        let truth = Truth { rng, rows, hidden: HashMap::new(), changes: 0, deletes: case.scan, quiet: false };
        let truth = Rc::new(RefCell::new(truth));
        let mut world = World::new(Fake { skew, ..Fake::new([]) });
        let shared = Rc::clone(&truth);
        world.fake.intercept = Box::new(move |_, now, request| {
            let mut truth = shared.borrow_mut();
            truth.churn(now.secs() + skew);
            let mut fake = Fake { skew, ..Fake::new([]) };
            fake.rows = truth.shown(now.secs() + skew);
            fake.rows.values_mut().for_each(|r| r.visible = 0);
            Some(fake.handle(now, request))
        });
        let mut latency = fastrand::Rng::with_seed(case.seed + 1);
        world.latency = Box::new(move || {
            (Duration::from_millis(latency.u64(0..900)), Duration::from_millis(latency.u64(0..900)))
        });
        Self { world, kept: Kept::default(), truth, emissions: 0 }
    }
    fn run(&mut self, case: Case) {
        let stream = match case.scan {
            true => scanned("rows"),
            false => windowed_with("rows", case.sliced, OVERLAP, LAG, 5),
        };
        let options = Options { start: case.sliced.then(|| at(T0 - 200 * 86_400)), ..Options::default() };
        let mut machine = machine(vec![(stream, self.kept.checkpoint.clone())], options);
        let Self { world, kept, emissions, .. } = self;
        let mut keys = BTreeSet::new();
        world.run_until(&mut machine, |_, emitted| {
            let number = *emissions;
            *emissions += 1;
            if case.death == Some((number, false)) {
                return false;
            }
            commit(kept, &mut keys, emitted);
            case.death != Some((number, true))
        });
        world.emitted.clear();
        assert!(world.failed.is_empty(), "{case:?}: {:?}", world.failed);
    }
    fn truth(&self) -> BTreeMap<u64, u64> {
        self.truth.borrow().rows.iter().map(|(id, row)| (u64::from(*id), row.v)).collect()
    }
}

fn commit(kept: &mut Kept, keys: &mut BTreeSet<u64>, emitted: &Emitted) {
    for (id, v) in records(emitted) {
        keys.insert(id);
        let row = kept.rows.entry(id).or_insert(v);
        *row = v.max(*row);
    }
    let mut checkpoint = emitted.checkpoint.clone();
    if let Some(Scan::End { proof, otherwise, .. }) = &emitted.scan {
        if matches!(proof, Proof::Total(n) if *n == keys.len() as u64) {
            kept.rows.retain(|id, _| keys.contains(id));
        } else {
            checkpoint = (**otherwise).clone();
        }
    }
    checkpoint.may_follow(kept.checkpoint.as_ref()).unwrap();
    kept.checkpoint = Some(checkpoint);
}

/// Emissions of the runs, and whether the destination ended equal to the provider.
fn live(case: Case) -> (usize, bool) {
    let mut life = Life::new(case);
    for run in 0..3 {
        life.run(case);
        // Sometimes at once, sometimes after a token grew old.
        let pause = if (case.seed + run).is_multiple_of(4) { 4_000 } else { 2 };
        life.world.now = life.world.now.plus(Duration::from_secs(pause));
        let provider = life.world.now.secs() + life.world.fake.skew;
        life.truth.borrow_mut().churn(provider);
    }
    let emissions = life.emissions;
    life.truth.borrow_mut().quiet = true;
    life.world.now = life.world.now.plus(Duration::from_secs(100));
    life.run(Case { death: None, ..case });
    (emissions, life.kept.rows == life.truth())
}

fn sweep(sliced: bool, scan: bool) {
    let mut lives = 0;
    for seed in 0..12 {
        let case = Case { seed, sliced, scan, death: None };
        let (emissions, equal) = live(case);
        assert!(equal, "{case:?}");
        for death in (0..emissions).flat_map(|k| [(k, false), (k, true)]) {
            let case = Case { death: Some(death), ..case };
            assert!(live(case).1, "{case:?}");
            lives += 1;
        }
    }
    assert!(lives > 150, "only {lives} deaths");
}

#[test]
fn no_row_is_lost_wherever_a_serial_first_load_or_a_window_dies() {
    sweep(false, false);
}

#[test]
fn no_row_is_lost_wherever_a_sliced_first_load_or_a_window_dies() {
    sweep(true, false);
}

#[test]
fn a_quiet_scan_makes_the_destination_equal_wherever_scans_before_it_died() {
    sweep(false, true);
}

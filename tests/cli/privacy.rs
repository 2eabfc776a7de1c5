//! A customer's data is cleared while the site is synced by the real binary.
use super::{site::Served, stage::Stage, tables};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tidegate::{
    sim::{
        Sim, Site,
        world::{Size, World},
    },
    time::{Clock, SystemClock, Timestamp},
    wire::{Handler, Request, Response},
};

const DAY: Duration = Duration::from_secs(86_400);

/// A site that the test changes while it is served.
struct Shared(Arc<Mutex<Sim>>);

impl Handler for Shared {
    fn handle(&mut self, now: Timestamp, request: &Request) -> Response {
        self.0.lock().unwrap().handle(now, request)
    }
}

fn company() -> Arc<Mutex<Sim>> {
    let now = SystemClock.now();
    let world = World::new(3, Size { customers: 25 }, now.minus(DAY * 30));
    let mut sim = Sim::of(world, 3, &[]);
    sim.set_clock(now);
    Arc::new(Mutex::new(sim))
}

fn shows(tables: &BTreeMap<String, Vec<String>>, text: &str) -> usize {
    tables.values().flatten().filter(|row| row.contains(text)).count()
}

#[test]
fn a_sync_erases_what_was_cleared_and_status_and_proof_say_so() {
    let sim = company();
    let served = Served::new(Shared(Arc::clone(&sim)));
    let stage = Stage::simulated(&served.chargebee());
    stage.run(&["sync"]).expect(0);
    let status = stage.run(&["status", "-o", "json"]).expect(0).json();
    assert_eq!(status[0]["erasures"]["done"], 0, "{status}");
    let unfinished = ["verify", "acme", "--source", "--yes", "--max-requests", "12"];
    stage.run(&unfinished).expect(7);
    assert!(stage.path(".tidegate/verify/acme").exists());
    let (id, email) = {
        let mut sim = sim.lock().unwrap();
        let (_, customer) = sim.world().customers().iter().find(|(_, c)| !c.stamp.deleted).unwrap();
        let (id, email) = (customer.id.clone(), customer.email.clone());
        let now = SystemClock.now();
        let done = sim.control(now, "clear", &[("customer".into(), id.clone())]);
        assert_eq!(done.status, 200);
        assert_eq!(sim.control(now, "clear", &[("customer".into(), "nobody".into())]).status, 400);
        let next = sim.time(now).plus(DAY);
        sim.advance(next);
        sim.set_clock(SystemClock.now());
        (id, email)
    };
    let before = tables::all(&stage);
    assert!(shows(&before, &email) > 0, "{id}: {email}");
    let summary = stage.run(&["sync", "-o", "json"]).expect(0).out;
    assert!(summary.replace(' ', "").contains("\"erased\":1"), "{summary}");
    assert!(!stage.path(".tidegate/verify/acme").exists(), "a fresh read holds what was cleared");
    let after = tables::all(&stage);
    assert_eq!(shows(&after, &email), 0, "{id}: {email}");
    assert!(tables::count(&after) >= tables::count(&before), "no row is lost");
    let status = stage.run(&["status", "-o", "json"]).expect(0).json();
    let told = &status[0]["erasures"];
    assert_eq!((&told["done"], &told["pending"]), (&1.into(), &0.into()), "{status}");
    assert!(told["rows"].as_u64().unwrap() > 0 && told["bodies"].as_u64().unwrap() > 0, "{status}");
    assert!(stage.run(&["status"]).expect(0).err.contains("erased what was read of 1 person"));
    stage.run(&["prove"]).expect(0);
}

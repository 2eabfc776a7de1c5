use super::*;
use proptest::prelude::*;

fn budgeted(requests: u32, per: u64, concurrency: u16, streams: usize) -> Machine {
    let budget = Budget { scope: Template("x".into()), requests, per: Duration::from_secs(per), concurrency };
    let connector = Connector { budget, ..connector() };
    let starts =
        (0..streams).map(|i| StreamStart { stream: windowed(&format!("s{i}"), true), checkpoint: None });
    Machine::new(setup(connector, Options::default()), starts.collect()).unwrap()
}

/// Most of `times` within any closed window of `per`.
fn most(mut times: Vec<Timestamp>, per: u64) -> usize {
    times.sort_unstable();
    let window =
        |t: &Timestamp| times.iter().filter(|u| **u >= *t && u.since(*t) <= Duration::from_secs(per)).count();
    times.iter().map(window).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_trailing_window_ever_holds_more_requests_than_nine_tenths_of_the_limit(
        requests in 1u32..60,
        per in 1u64..90,
        concurrency in 1u16..12,
        slowest_ms in 1u64..20_000,
        seed in any::<u64>(),
    ) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut world = World::new(Fake::new((0..60).map(|i| row(T0 - i * 40_000, T0 - 900))));
        world.latency = Box::new(move || {
            (Duration::from_millis(rng.u64(0..slowest_ms)), Duration::from_millis(rng.u64(0..slowest_ms)))
        });
        let mut machine = budgeted(requests, per, concurrency, 2);
        world.run(&mut machine);
        prop_assert!(world.failed.is_empty());
        let allowed = usize::try_from((requests * 9 / 10).max(1)).unwrap();
        prop_assert!(most(world.seen.iter().map(|s| s.sent).collect(), per) <= allowed, "as sent");
        prop_assert!(most(world.seen.iter().map(|s| s.arrived).collect(), per) <= allowed, "as arrived");
        prop_assert_eq!(world.ids().len(), 60);
    }
}

#[test]
fn the_whole_allowance_is_used_when_there_is_enough_to_ask() {
    let mut world = World::new(Fake::new((0..600).map(|i| row(T0 - i * 40_000, T0 - 900))));
    world.run(&mut budgeted(50, 60, 10, 1));
    assert_eq!(most(world.seen.iter().map(|s| s.sent).collect(), 60), 45);
    assert!(world.seen.len() > 200);
}

#[test]
fn never_more_requests_are_in_flight_than_the_connector_allows() {
    for concurrency in [1, 3, 8] {
        let mut world = World::new(Fake::new((0..100).map(|i| row(T0 - i * 40_000, T0 - 900))));
        let mut machine = budgeted(1_000, 1, concurrency, 3);
        let mut most = 0;
        world.run_until(&mut machine, |m, _| {
            // One reply was just taken in.
            most = most.max(m.budget().in_flight + 1);
            true
        });
        assert_eq!(most, usize::from(concurrency));
    }
}

#[test]
fn streams_take_turns() {
    let mut world = World::new(Fake::new((0..30).map(|i| row(i, T0 - 900))));
    world.run(&mut budgeted(1_000, 60, 1, 3));
    let names: Vec<_> = world.emitted[..9].iter().map(|e| e.stream.as_str()).collect();
    assert_eq!(names, ["s0", "s1", "s2", "s0", "s1", "s2", "s0", "s1", "s2"]);
}

/// Answers 429 whenever more than `limit` requests arrived in the trailing minute, refused ones included.
fn strict(fake: &mut Fake, limit: usize, headers: &'static [(&'static str, &'static str)]) {
    let mut log: Vec<Timestamp> = vec![];
    fake.intercept = Box::new(move |_, now, _| {
        log.retain(|t| now.since(*t) <= Duration::from_secs(60));
        log.push(now);
        (log.len() > limit).then(|| answer(429, headers, "{}"))
    });
}

#[test]
fn a_429_storm_at_half_of_what_the_connector_promises_is_only_slow() {
    for headers in [&[][..], &[("retry-after", "5")][..]] {
        let mut world = World::new(Fake::new((0..600).map(|i| row(i, T0 - 900))));
        strict(&mut world.fake, 70, headers);
        let mut machine = budgeted(150, 60, 20, 4);
        world.run(&mut machine);
        assert!(world.failed.is_empty(), "{:?}", world.failed);
        assert_eq!(world.ids().len(), 600);
        assert!(world.emitted.iter().filter(|e| e.end).count() == 4);
        let facts = machine.budget();
        assert!(facts.throttles > 0 && facts.retries == 0);
        let minutes = world.now.since(at(T0)).as_secs() / 60;
        assert!(minutes < 60, "800 requests took {minutes} minutes");
    }
}

/// One 429 with these headers as the answer to the second request; when the third was sent.
fn resumed_after(headers: &'static [(&'static str, &'static str)]) -> (Duration, u32, u32) {
    let mut world = World::new(Fake::new([row(1, T0 - 900)]));
    world.latency = Box::new(|| (Duration::ZERO, Duration::ZERO));
    world.fake.intercept = Box::new(move |n, _, _| (n == 1).then(|| answer(429, headers, "")));
    let mut machine = budgeted(100, 60, 4, 1);
    let before = machine.budget().pace;
    let mut slowest = before;
    for _ in 0..1_000 {
        let facts = machine.budget();
        slowest = slowest.min(facts.pace);
        if facts.requests >= 3 {
            break;
        }
        match machine.step(world.now) {
            Step::Send { ticket, request, .. } => {
                let reply = world.fake.handle(world.now, &request);
                machine.reply(ticket, world.now, reply);
            }
            Step::WaitUntil(t) => world.now = t,
            other => panic!("{other:?}"),
        }
    }
    (world.now.since(at(T0)), before, slowest)
}

#[test]
fn throttling_halves_the_pace_and_waits_as_long_as_the_provider_says() {
    // T0 is Thu, 01 Jan 2026 00:00:00 GMT.
    assert_eq!(resumed_after(&[("retry-after", "17")]), (Duration::from_secs(17), 90, 45));
    let date = resumed_after(&[("retry-after", "Thu, 01 Jan 2026 00:02:00 GMT")]);
    assert_eq!(date.0, Duration::from_secs(120));
    let far = resumed_after(&[("retry-after", "999999")]);
    assert_eq!(far.0, Duration::from_secs(3_600));
    let none = resumed_after(&[]);
    assert!(none.0 >= Duration::from_secs(1) && none.0 <= Duration::from_secs(2), "{none:?}");
    assert_eq!(none.2, 45);
}

#[test]
fn refusals_of_requests_that_were_in_flight_together_halve_the_pace_once() {
    let mut world = World::new(Fake::new([]));
    world.fake.intercept = Box::new(|n, _, _| (1..=4).contains(&n).then(|| answer(429, &[], "")));
    let mut machine = budgeted(100, 60, 4, 4);
    let mut paces = vec![];
    world.run_until(&mut machine, |m, _| {
        paces.push((m.budget().throttles, m.budget().pace));
        true
    });
    assert!(paces[0].0 == 4 && (45..=46).contains(&paces[0].1), "{:?}", paces[0]);
}

#[test]
fn the_pace_recovers_to_the_full_allowance_little_by_little() {
    let mut world = World::new(Fake::new((0..1_500).map(|i| row(i, T0 - 900))));
    world.fake.intercept = Box::new(|n, _, _| (n == 5).then(|| answer(429, &[], "")));
    let mut machine = budgeted(100, 60, 1, 1);
    let mut paces = vec![];
    world.run_until(&mut machine, |m, _| {
        paces.push(m.budget().pace);
        true
    });
    assert_eq!((paces[0], *paces.iter().min().unwrap(), *paces.last().unwrap()), (90, 45, 90));
    let jump = paces.windows(2).map(|w| w[1].saturating_sub(w[0])).max().unwrap();
    assert!(jump <= 9, "{jump} at once");
}

#[test]
fn nothing_but_throttling_for_two_hours_ends_every_stream_as_throttled() {
    let mut world = World::new(Fake::new([]));
    world.fake.intercept =
        Box::new(|n, _, _| (n > 0).then(|| answer(429, &[], r#"{"message":"slow down"}"#)));
    let mut machine = budgeted(100, 60, 4, 2);
    world.run(&mut machine);
    assert_eq!(world.failed.len(), 2);
    assert!(
        world.failed.iter().all(|(_, e)| matches!(e.kind(), Kind::Throttled { .. }) && e.next().is_some())
    );
    let waited = world.now.since(at(T0));
    assert!(waited > Duration::from_secs(7_200) && waited < Duration::from_secs(7_800), "{waited:?}");
}

#[test]
fn a_clock_that_steps_back_neither_stalls_the_run_nor_breaks_the_allowance() {
    let mut machine = budgeted(10, 60, 1, 1);
    let mut fake = Fake::new((0..100).map(|i| row(i, T0 - 900)));
    let (mut now, mut steady, mut sends) = (at(T0), 0u64, vec![]);
    for _ in 0..10_000 {
        match machine.step(now) {
            Step::Send { ticket, request, .. } => {
                sends.push(at(i64::try_from(steady).unwrap()));
                let reply = fake.handle(now, &request);
                machine.reply(ticket, now, reply);
                if sends.len() == 5 {
                    now = now.minus(Duration::from_secs(86_400));
                }
            }
            Step::WaitUntil(t) => {
                steady += t.since(now).as_secs() + 1;
                now = t.plus(Duration::from_secs(1));
            }
            Step::Emit(_) => {}
            Step::Done => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(sends.len() > 30 && matches!(machine.step(now), Step::Done));
    assert!(steady < 3_600, "{steady} s");
    assert_eq!(most(sends, 60), 9);
}

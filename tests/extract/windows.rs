use super::*;

/// Runs a windowed stream from a checkpoint at `now`, and returns the filters sent and the watermark reached.
fn window(checkpoint: Option<Checkpoint>, now: i64, skew: i64) -> (Vec<Option<String>>, Option<Timestamp>) {
    let mut world = World::new(Fake { skew, ..Fake::new([]) });
    world.now = at(now);
    world.run(&mut machine(vec![(windowed("invoices", false), checkpoint)], Options::default()));
    assert!(world.failed.is_empty() && world.last().end);
    (world.sent("updated_at[between]"), world.last().checkpoint.watermark())
}

fn bounds(from: i64, to: i64) -> Vec<Option<String>> {
    vec![Some(format!("[{},{}]", T0 + from, T0 + to))]
}

#[test]
fn a_window_begins_one_overlap_before_the_watermark_and_ends_one_lag_before_the_earlier_clock() {
    let cases = [
        ("clocks agree", 1000, 2000, 0, (995, 1997)),
        ("provider ahead: ours counts", 1000, 2000, 500, (995, 1997)),
        ("provider behind: theirs counts", 1000, 2000, -500, (995, 1497)),
        ("provider behind the watermark: the same window again", 1000, 2000, -5000, (995, 1000)),
        ("provider far ahead", 1000, 2000, 400_000_000, (995, 1997)),
        ("our clock stepped back", 1000, 500, 0, (995, 1000)),
        ("rerun in the same second", 1000, 1003, 0, (995, 1000)),
        ("a second later", 1000, 1004, 0, (995, 1001)),
    ];
    for (name, mark, now, skew, (from, to)) in cases {
        let (sent, reached) = window(watermark(T0 + mark), T0 + now, skew);
        assert_eq!(sent, bounds(from, to), "{name}");
        assert_eq!(reached, Some(at(T0 + to)), "{name}");
    }
}

#[test]
fn without_a_date_header_our_own_clock_is_the_anchor() {
    let mut world = World::new(Fake { date_header: false, skew: -500, ..Fake::new([]) });
    world.run(&mut machine(vec![(windowed("invoices", false), watermark(T0 - 100))], Options::default()));
    assert_eq!(world.sent("updated_at[between]"), bounds(-105, -3));
}

#[test]
fn both_bounds_of_a_window_are_closed() {
    let mut world = World::new(Fake::new([
        row(1, T0 - 106),
        row(2, T0 - 105),
        row(3, T0 - 50),
        row(4, T0 - 3),
        row(5, T0 - 2),
    ]));
    world.run(&mut machine(vec![(windowed("invoices", false), watermark(T0 - 100))], Options::default()));
    assert_eq!(world.ids(), BTreeSet::from([2, 3, 4]));
}

#[test]
fn the_signpost_does_not_move_while_the_run_lasts() {
    let mut world = World::new(Fake::new((0..20).map(|i| row(i, T0 - 50))));
    world.latency = Box::new(|| (Duration::from_secs(600), Duration::from_secs(600)));
    let mut options = Options::default();
    options.limits.token_age = Duration::from_secs(36_000);
    world.run(&mut machine(vec![(windowed("invoices", false), watermark(T0 - 100))], options));
    assert_eq!(world.last().checkpoint.watermark(), Some(at(T0 - 3)));
    assert!(world.now > at(T0 + 3600));
    assert!(world.sent("updated_at[between]").iter().all(|b| *b == bounds(-105, -3)[0]));
}

#[test]
fn an_overlap_before_1970_is_cut_to_the_epoch() {
    let (sent, _) = window(watermark(2), T0, 0);
    assert_eq!(sent, vec![Some(format!("[0,{}]", T0 - 3))]);
}

#[test]
fn a_serial_first_load_sends_no_filter_and_reads_rows_without_a_modification_time() {
    let untouched = Row { updated: None, ..row(5, 0) };
    let mut world = World::new(Fake::new((0..7).map(|i| row(i, T0 - 9)).chain([untouched])));
    world.run(&mut machine(vec![(windowed("invoices", false), None)], Options::default()));
    assert_eq!(world.ids(), (1..=8).collect());
    assert!(
        world.sent("updated_at[between]").iter().chain(&world.sent("date[between]")).all(Option::is_none)
    );
    let sort = world.sent("sort_by[asc]");
    assert!(sort.len() == 3 && sort.iter().all(|s| s.as_deref() == Some("date")));
    assert!(world.sent("include_deleted").iter().all(|s| s.as_deref() == Some("true")));
    assert_eq!(world.last().checkpoint.phase, Phase::Windows { watermark: at(T0 - 3), open: None });
    assert!(world.last().end && world.emitted.iter().filter(|e| e.end).count() == 1);
}

fn since(days: i64) -> Options {
    Options { start: Some(at(T0 - days * 86_400)), ..Options::default() }
}

#[test]
fn slices_share_their_borders_are_open_above_and_include_the_rows_without_a_date() {
    let mut world = World::new(Fake::new([]));
    world.run(&mut machine(vec![(windowed("invoices", true), None)], since(70)));
    let (start, month) = (T0 - 70 * 86_400, 30 * 86_400);
    let expected: Vec<_> =
        [(start, start + month), (start + month, start + 2 * month), (start + 2 * month, 9_999_999_999)]
            .into_iter()
            .map(|(a, b)| Some(format!("[{a},{b}]")))
            .chain([None])
            .collect();
    let mut sent = world.sent("date[between]");
    sent.sort_by_key(|s| s.clone().unwrap_or("~".into()));
    assert_eq!(sent, expected);
    let absent: Vec<_> = world.sent("date[is_present]").into_iter().flatten().collect();
    assert_eq!(absent, ["false"]);
    assert!(world.sent("updated_at[between]").iter().all(Option::is_none));
}

#[test]
fn a_sliced_first_load_reads_every_row_several_slices_at_a_time() {
    let dated = (0..200).map(|i| row(T0 - i * 86_400, T0 - 9));
    let undated = (0..7).map(|_| Row { date: None, updated: None, visible: 0, v: 1 });
    let future = [row(T0 + 900 * 86_400, T0 - 9), row(1, T0 - 9), row(0, T0 - 9)];
    let mut world = World::new(Fake::new(dated.chain(undated).chain(future)));
    let mut most = 0;
    let mut machine = machine(vec![(windowed("invoices", true), None)], Options::default());
    world.run_until(&mut machine, |m, _| {
        most = most.max(m.budget().in_flight);
        true
    });
    assert_eq!(world.ids(), (1..=210).collect());
    assert_eq!(world.last().checkpoint.watermark(), Some(at(T0 - 3)));
    assert!(most >= 2, "{most} in flight");
    assert!(world.emitted.iter().rev().skip(1).all(|e| e.checkpoint.watermark().is_none()));
}

#[test]
fn slices_grow_longer_so_that_there_are_never_more_than_allowed() {
    for (days, max, expected) in
        [(30_000, 1_000, 1_000), (60, 1_000, 3), (3_000, 10, 10), (1, 1_000, 2), (-5, 1_000, 2)]
    {
        let mut world = World::new(Fake::new([]));
        let mut options = since(days);
        options.limits.slices = max;
        world.run_until(&mut machine(vec![(windowed("invoices", true), None)], options), |_, e| {
            let slices = slices(&e.checkpoint);
            assert_eq!(slices.len(), expected, "{days} days");
            let ranges: Vec<_> = slices.iter().filter(|s| !s.absent).collect();
            assert_eq!(ranges[0].from, Some(at(T0 - days * 86_400)));
            assert!(ranges.windows(2).all(|w| w[0].to == w[1].from && w[0].to.is_some()));
            assert_eq!(ranges.last().unwrap().to, None);
            false
        });
    }
}

#[test]
fn without_slices_a_start_still_bounds_a_first_load() {
    let mut world = World::new(Fake::new([row(T0 - 10 * 86_400, 1), row(T0 - 3 * 86_400, 1), row(T0, 1)]));
    let options = Options { slices: false, ..since(5) };
    world.run(&mut machine(vec![(windowed("invoices", true), None)], options));
    assert_eq!(world.ids(), BTreeSet::from([2, 3]));
}

#[test]
fn a_first_load_continues_from_every_checkpoint_it_emitted() {
    let rows: Vec<_> = (0..40).map(|i| row(T0 - i * 3 * 86_400, T0 - 9)).collect();
    let run = |checkpoint: Option<Checkpoint>| {
        let mut world = World::new(Fake::new(rows.clone()));
        world.run(&mut machine(vec![(windowed("invoices", true), checkpoint)], since(130)));
        world
    };
    let whole = run(None);
    assert_eq!(whole.ids(), (1..=40).collect());
    for (i, emitted) in whole.emitted.iter().enumerate().filter(|(_, e)| !e.end) {
        let before: BTreeSet<_> = whole.emitted[..=i].iter().flat_map(records).map(|(id, _)| id).collect();
        let rest = run(Some(emitted.checkpoint.clone()));
        assert_eq!(before.union(&rest.ids()).count(), 40, "after emission {i}");
        assert_eq!(rest.last().checkpoint.watermark(), Some(at(T0 - 3)));
        assert!(rest.emitted.len() < whole.emitted.len(), "emission {i}: nothing was kept");
    }
}

#[test]
fn an_old_token_a_token_from_the_future_or_of_another_connector_restarts_its_slice() {
    let run = |progress: Progress, hash: &str| {
        let slices = vec![Slice { from: None, to: None, absent: false, progress }];
        let phase = Phase::FirstLoad { signpost: at(T0 - 100), slices };
        let mut world = World::new(Fake::new((0..8).map(|i| row(i, T0 - 9))));
        let checkpoint = Checkpoint { connector_hash: hash.into(), ..stored(phase).unwrap() };
        world.run_until(
            &mut machine(vec![(windowed("invoices", false), Some(checkpoint))], Options::default()),
            |_, _| false,
        );
        world.sent("offset")[0].clone()
    };
    assert_eq!(run(token("4/5", T0 - 3_000), "h1").as_deref(), Some("4/5"));
    assert_eq!(run(token("4/5", T0 - 3_700), "h1"), None);
    assert_eq!(run(token("4/5", T0 + 3_700), "h1"), None);
    assert_eq!(run(token("4/5", T0 - 60), "h0"), None);
}

#[test]
fn a_resumed_first_load_keeps_its_signpost_and_one_window_closes_the_gap() {
    let slices = vec![Slice { from: None, to: None, absent: false, progress: token("2/3", T0 - 60) }];
    let checkpoint = stored(Phase::FirstLoad { signpost: at(T0 - 500), slices });
    let mut world = World::new(Fake::new((0..6).map(|i| row(i, T0 - 400))));
    world.run(&mut machine(vec![(windowed("invoices", false), checkpoint)], Options::default()));
    let windows: Vec<_> = world.sent("updated_at[between]").into_iter().flatten().collect();
    let first = windows.first().unwrap();
    assert_eq!(*first, format!("[{},{}]", T0 - 505, T0 - 3));
    assert_eq!(world.emitted.iter().filter(|e| e.end).count(), 1);
    assert_eq!(world.last().checkpoint.watermark(), Some(at(T0 - 3)));
    assert!(world.emitted.iter().any(|e| e.checkpoint.watermark() == Some(at(T0 - 500))));
}

#[test]
fn a_window_that_died_inside_goes_on_with_the_same_bounds_and_then_catches_up() {
    let open = Slice {
        from: Some(at(T0 - 905)),
        to: Some(at(T0 - 300)),
        absent: false,
        progress: token("1/2", T0 - 60),
    };
    let checkpoint = stored(Phase::Windows { watermark: at(T0 - 900), open: Some(open) });
    let mut world = World::new(Fake::new((0..5).map(|i| row(i, T0 - 400))));
    world.run(&mut machine(vec![(windowed("invoices", false), checkpoint)], Options::default()));
    let sent: Vec<_> =
        world.sent("updated_at[between]").into_iter().flatten().zip(world.sent("offset")).collect();
    assert_eq!(sent[0], (format!("[{},{}]", T0 - 905, T0 - 300), Some("1/2".into())));
    assert_eq!(sent.last().unwrap().0, format!("[{},{}]", T0 - 305, T0 - 3));
    assert_eq!(world.last().checkpoint.watermark(), Some(at(T0 - 3)));
}

#[test]
fn a_first_load_whose_slices_are_all_done_moves_on_without_asking_for_them() {
    let slices = vec![Slice { from: None, to: None, absent: false, progress: Progress::Done }];
    let checkpoint = stored(Phase::FirstLoad { signpost: at(T0 + 50), slices });
    let mut world = World::new(Fake::new([]));
    world.run(&mut machine(vec![(windowed("invoices", false), checkpoint)], Options::default()));
    assert_eq!(world.seen.len(), 1);
    assert!(world.last().page.is_none() && world.last().end);
    assert_eq!(world.last().checkpoint.watermark(), Some(at(T0 + 50)));
}

#[test]
fn slices_that_the_connector_no_longer_offers_are_planned_anew() {
    let cut = Slice { from: Some(at(5)), to: None, absent: false, progress: Progress::Done };
    let checkpoint = stored(Phase::FirstLoad { signpost: at(T0 - 500), slices: vec![cut] });
    let mut world = World::new(Fake::new([row(1, 1)]));
    world.run(&mut machine(vec![(windowed("invoices", false), checkpoint)], Options::default()));
    assert_eq!(world.ids(), BTreeSet::from([1]));
    assert_eq!(world.last().checkpoint.watermark(), Some(at(T0 - 3)));
}

#[test]
fn every_checkpoint_of_a_run_may_follow_the_one_before() {
    let rows: Vec<_> = (0..40).map(|i| row(T0 - i * 3 * 86_400, T0 - 900 + i)).collect();
    for start in [None, watermark(T0 - 1_000), watermark(T0 + 1_000)] {
        let mut world = World::new(Fake::new(rows.clone()));
        world.run(&mut machine(vec![(windowed("invoices", true), start.clone())], Options::default()));
        let mut before = start;
        for emitted in world.emitted {
            emitted.checkpoint.may_follow(before.as_ref()).unwrap();
            before = Some(emitted.checkpoint);
        }
    }
}

#[test]
fn the_probe_goes_first_and_alone() {
    let mut machine = machine(vec![(windowed("a", true), None), (scanned("b"), None)], Options::default());
    let Step::Send { stream: None, request, .. } = machine.step(at(T0)) else { panic!("no probe") };
    assert_eq!(request.url, "https://acme.fake.test/api/probe");
    assert_eq!(request.query, [("limit".to_owned(), "1".to_owned())]);
    assert!(matches!(machine.step(at(T0)), Step::Idle));
}

#[test]
fn stop_sends_nothing_more_takes_what_is_in_flight_and_ends() {
    let rows: Vec<_> = (0..100).map(|i| row(T0 - i * 86_400, T0 - 900)).collect();
    let mut world = World::new(Fake::new(rows.clone()));
    let mut first = machine(vec![(windowed("invoices", true), None)], since(100));
    let mut after_stop = None;
    world.run_until(&mut first, |m, _| {
        if m.budget().requests >= 12 && after_stop.is_none() {
            m.stop();
            after_stop = Some(m.budget());
        }
        true
    });
    let after_stop = after_stop.unwrap();
    assert!(after_stop.in_flight > 0);
    assert_eq!(first.budget().requests, after_stop.requests);
    assert!(world.failed.is_empty() && !world.last().end);
    let kept = world.last().checkpoint.clone();
    let mut ids = world.ids();
    let mut world = World::new(Fake::new(rows));
    world.run(&mut machine(vec![(windowed("invoices", true), Some(kept))], since(100)));
    ids.extend(world.ids());
    assert_eq!(ids, (1..=100).collect());
}

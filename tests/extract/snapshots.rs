use super::*;
use tidegate::extract::{Proof, Scan};

fn rows(n: i64) -> Vec<Row> {
    (0..n).map(|i| row(i, i)).collect()
}

/// Runs a scan; `change` may alter the table before the numbered request (1 is the first page).
fn scan(n: i64, mut change: impl FnMut(u64, &mut BTreeMap<u32, Row>) + 'static) -> World {
    let mut world = World::new(Fake::new(rows(n)));
    let mut table = world.fake.rows.clone();
    world.fake.intercept = Box::new(move |number, now, request| {
        if number == 0 {
            return None;
        }
        change(number, &mut table);
        Some(Fake { rows: table.clone(), ..Fake::new([]) }.handle(now, request))
    });
    world.run(&mut machine(vec![(scanned("customers"), None)], Options::default()));
    world
}

fn proof(world: &World) -> Proof {
    let Some(Scan::End { proof, otherwise, asked_at }) = &world.last().scan else { panic!("no end") };
    assert_eq!(otherwise.watermark(), None);
    assert_eq!(*asked_at, world.seen[1].sent);
    assert!(world.last().end);
    let (end, pages) = world.emitted.split_last().unwrap();
    assert!(pages.iter().all(|e| e.scan == Some(Scan::Page) && e.checkpoint.watermark().is_none()));
    assert_eq!(end.checkpoint.watermark().is_some(), matches!(proof, Proof::Total(_) | Proof::Walked));
    proof.clone()
}

#[test]
fn a_quiet_scan_is_proven_by_its_total_whatever_the_size_of_the_last_page() {
    for (n, pages) in [(0, 1), (1, 1), (2, 1), (3, 1), (4, 2), (6, 2), (7, 3)] {
        let world = scan(n, |_, _| {});
        assert_eq!(proof(&world), Proof::Total(n.unsigned_abs()), "{n} rows");
        assert_eq!(world.emitted.len(), pages, "{n} rows");
        assert_eq!(world.last().checkpoint.watermark(), Some(at(T0)));
        let numbers: Vec<_> = world.sent("page").into_iter().flatten().collect();
        assert_eq!(numbers, (1..=pages).map(|p| p.to_string()).collect::<Vec<_>>());
    }
}

#[test]
fn a_row_deleted_under_the_scan_breaks_the_proof_but_the_rest_is_read() {
    let world = scan(9, |n, rows| {
        if n == 2 {
            rows.remove(&1);
        }
    });
    assert_eq!(proof(&world), Proof::Broken("the total changed from 9 to 8 during the scan".into()));
    assert!(world.ids().contains(&9));
}

#[test]
fn a_row_inserted_under_the_scan_breaks_the_proof_and_is_read() {
    let world = scan(6, |n, rows| {
        if n == 2 {
            rows.insert(99, row(1, 1));
        }
    });
    assert!(matches!(proof(&world), Proof::Broken(_)));
    assert!(world.ids().contains(&99));
}

#[test]
fn an_insert_and_a_delete_that_cancel_out_leave_the_total_stable_so_the_keys_must_decide() {
    let world = scan(9, |n, rows| {
        if n == 2 {
            rows.remove(&9);
            rows.insert(0, row(1, 1));
        }
    });
    // The shift shows row 3 twice and row 0 never.
    assert_eq!(proof(&world), Proof::Total(9));
    assert_eq!(world.ids().len(), 8);
    let seen: usize = world.emitted.iter().map(|e| records(e).len()).sum();
    assert_eq!(seen, 9);
}

fn page(ids: &[u32], total: Option<u64>) -> Option<Result<Response>> {
    let list: Vec<_> = ids.iter().map(|id| json!({"row": {"id": id, "v": 1}})).collect();
    Some(answer(200, &[], json!({"list": list, "rowCount": total}).to_string()))
}

fn scripted(pages: Vec<(Vec<u32>, Option<u64>)>) -> World {
    let mut world = World::new(Fake::new([]));
    world.fake.intercept = Box::new(move |n, _, _| {
        let (ids, total) = pages.get(usize::try_from(n).unwrap().checked_sub(1)?)?;
        page(ids, *total)
    });
    world.run(&mut machine(vec![(scanned("customers"), None)], Options::default()));
    world
}

#[test]
fn pages_that_do_not_add_up_to_the_total_prove_nothing() {
    let cases = [
        ("ends early", vec![(vec![1, 2, 3], Some(9)), (vec![], Some(9))], 2),
        ("short page, then nothing", vec![(vec![1, 2], Some(9)), (vec![], Some(9))], 2),
        ("full page beyond the total", vec![(vec![1, 2, 3], Some(2)), (vec![4], Some(2))], 2),
        ("beyond the total without end", vec![(vec![1, 2, 3], Some(2)), (vec![], Some(2))], 2),
        ("short page beyond the total", vec![(vec![1, 2], Some(1))], 1),
        ("no total", vec![(vec![1, 2], None), (vec![], None)], 2),
        ("a total once missing", vec![(vec![1, 2, 3], Some(4)), (vec![4], None), (vec![], Some(4))], 3),
    ];
    for (name, pages, expected) in cases {
        let world = scripted(pages);
        assert!(matches!(proof(&world), Proof::Broken(_)), "{name}");
        assert_eq!(world.emitted.len(), expected, "{name}");
    }
}

#[test]
fn a_short_page_in_the_middle_does_not_end_the_scan() {
    let world = scripted(vec![(vec![1, 2], Some(4)), (vec![3, 4], Some(4))]);
    assert_eq!(proof(&world), Proof::Total(4));
}

#[test]
fn a_provider_that_ignores_the_page_number_is_drift() {
    let world = scripted(vec![(vec![1, 2, 3], Some(9)), (vec![1, 2, 3], Some(9))]);
    assert_eq!(world.failure(), ("customers", Kind::Drift));
}

#[test]
fn a_new_run_scans_from_the_first_page_and_never_turns_the_last_scan_back() {
    let mut world = World::new(Fake::new(rows(4)));
    let before = stored(Phase::Snapshot { complete: Some(at(T0 + 77)) });
    world.run(&mut machine(vec![(scanned("customers"), before)], Options::default()));
    assert_eq!(world.sent("page")[0].as_deref(), Some("1"));
    assert!(world.emitted.iter().all(|e| e.checkpoint.watermark() == Some(at(T0 + 77))));
}

#[test]
fn a_checkpoint_of_the_other_kind_ends_the_stream_with_a_reason() {
    for (stream, phase) in [
        (windowed("a", false), Phase::Snapshot { complete: Some(at(5)) }),
        (scanned("a"), Phase::Windows { watermark: at(5), open: None }),
    ] {
        let mut world = World::new(Fake::new(rows(4)));
        world.run(&mut machine(vec![(stream, stored(phase))], Options::default()));
        assert_eq!(world.failure(), ("a", Kind::Invalid));
        assert!(world.emitted.is_empty());
    }
}

/// Pages by token over a table without a filter.
fn chained(name: &str) -> Arc<Stream> {
    let paging = Paging::Token { send: "offset".into(), read: "/next_offset".into(), size: size(3) };
    stream(name, paging, Cursor::Snapshot { order: None, lag: Duration::ZERO })
}

fn walked(rows: i64, change: impl FnMut(u64, &mut BTreeMap<u32, Row>) + 'static) -> World {
    let mut change = change;
    let mut world = World::new(Fake::new((0..rows).map(|i| row(i, i))));
    let mut table = world.fake.rows.clone();
    world.fake.intercept = Box::new(move |number, now, request| {
        if number == 0 {
            return None;
        }
        change(number, &mut table);
        Some(Fake { rows: table.clone(), ..Fake::new([]) }.handle(now, request))
    });
    world.run(&mut machine(vec![(chained("gifts"), None)], Options::default()));
    world
}

#[test]
fn a_scan_by_token_ends_where_no_page_follows_and_says_that_it_was_walked_whole() {
    for n in [0, 1, 3, 4, 7] {
        let world = walked(n, |_, _| {});
        assert_eq!(proof(&world), Proof::Walked, "{n} rows");
        assert_eq!(world.ids().len() as i64, n);
        assert_eq!(world.last().checkpoint.watermark(), Some(at(T0)));
        assert!(world.sent("offset")[0].is_none() && world.sent("page").iter().all(Option::is_none));
    }
}

#[test]
fn a_scan_by_token_begins_anew_in_every_run_and_never_turns_the_last_one_back() {
    let mut world = World::new(Fake::new((0..7).map(|i| row(i, i))));
    let before = stored(Phase::Snapshot { complete: Some(at(T0 + 77)) });
    world.run(&mut machine(vec![(chained("gifts"), before)], Options::default()));
    assert!(world.sent("offset")[0].is_none());
    assert!(world.emitted.iter().all(|e| e.checkpoint.watermark() == Some(at(T0 + 77))));
}

#[test]
fn a_scan_by_token_that_began_anew_because_its_token_grew_old_proves_nothing() {
    let mut options = Options::default();
    options.limits.token_age = Duration::from_secs(30);
    let mut world = World::new(Fake::new((0..7).map(|i| row(i, i))));
    world.fake.intercept = Box::new(|number, _, _| {
        // The second page is answered only after the token of the first grew old.
        (number == 2).then(|| answer(429, &[("retry-after", "60")], "{}"))
    });
    world.run(&mut machine(vec![(chained("gifts"), None)], options));
    assert!(matches!(proof(&world), Proof::Broken(_)));
    assert_eq!(world.ids().len(), 7, "all of it was read all the same");
}

#[test]
fn a_scan_by_token_that_names_a_page_twice_is_drift() {
    let mut world = World::new(Fake::new([]));
    world.fake.intercept = Box::new(|number, _, _| {
        let body = json!({"list": [{"row": {"id": number, "v": 1}}], "next_offset": "same"});
        (number > 0).then(|| answer(200, &[], body.to_string()))
    });
    world.run(&mut machine(vec![(chained("gifts"), None)], Options::default()));
    assert_eq!(world.failure(), ("gifts", Kind::Drift));
}

#[test]
fn a_scan_by_token_speaks_for_the_time_before_the_lists_lag() {
    let lag = Duration::from_secs(300);
    let mut lagging = chained("gifts").as_ref().clone();
    lagging.cursor = Cursor::Snapshot { order: None, lag };
    let mut world = World::new(Fake::new(rows(4)));
    world.run(&mut machine(vec![(Arc::new(lagging), None)], Options::default()));
    let Some(Scan::End { asked_at, .. }) = &world.last().scan else { panic!("no end") };
    assert_eq!(*asked_at, world.seen[1].sent.minus(lag));
    assert_eq!(world.last().checkpoint.watermark(), Some(at(T0 - 300)));
}

//! What housekeeping may change: nothing that can be read, but bodies of superseded states that are old enough.
use super::{
    build::*,
    check::{Shown, by_id, current, everything, history, laws},
    contract::{Harness, again, any_commit, opened},
};
use std::{collections::BTreeMap, sync::Arc};
use tidegate::{
    decode::Issue,
    load::{Commit, CompleteScan, Destination, RawRecord, Scanned, StoredIssue, key_hash},
    time::Timestamp,
};

/// Stored bodies by stream and commit, in the order of commits.
pub(crate) type Bodies = Vec<(String, i64, Vec<RawRecord>)>;

pub(crate) async fn bodies<D: Destination>(d: &mut D) -> Bodies {
    let mut all = Vec::new();
    for stream in ["bills", "people"] {
        let mut after = 0;
        while let Some((number, mut records)) = d.raw_after(stream, after).await.unwrap() {
            assert!(number > after && !records.is_empty());
            records.sort_by_key(|r| (r.key.clone(), r.deleted));
            all.push((stream.to_owned(), number, records));
            after = number;
        }
    }
    all
}

/// `key@commit` of each stored body, with `-` before a tombstone's.
async fn keys<D: Destination>(d: &mut D) -> Vec<String> {
    let all = bodies(d).await.into_iter().flat_map(|(_, _, records)| records);
    all.map(|r| format!("{}{}@{}", if r.deleted { "-" } else { "" }, r.key, r.commit_no)).collect()
}

type Tables = Vec<(String, BTreeMap<String, Shown>, Vec<Shown>)>;

/// Everything that can be read.
async fn readable<D: Destination>(d: &mut D) -> (Tables, Bodies, Vec<String>, Vec<StoredIssue>) {
    let rejects = d.rejects(&acme()).await.unwrap();
    let rejects = rejects.iter().map(|r| format!("{} {} {:?}", r.id, r.commit_no, r.reject)).collect();
    (everything(d).await, bodies(d).await, rejects, d.issues(&acme()).await.unwrap())
}

pub(crate) async fn a_compaction_changes_nothing_that_can_be_read<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    let mut rng = fastrand::Rng::with_seed(11);
    for now in 10..30 {
        let mut made = any_commit(&mut rng, now);
        if now % 3 == 0 {
            let names = ["x", "y", "z", "u", "v", "w", "t"];
            let bad = |n: usize| reject(names[(now as usize / 3 + n) % 7], "{}");
            made.rejects = vec![bad(0), bad(1)];
            made.issues = vec![Issue {
                entity: "bills".into(),
                id: format!("i{}", now % 6),
                rule: "out_of_range".into(),
                column: "note".into(),
                message: "found too much".into(),
            }];
        }
        d.commit(made).await.unwrap();
        if now % 5 == 0 {
            d.publish("bills").await.unwrap();
        }
        if now == 20 {
            d.compact(None).await.unwrap();
        }
    }
    d.commit(Commit { resolves: vec!["3-1".into()], ..empty("bills", 1) }).await.unwrap();
    let before = readable(&mut d).await;
    assert!(before.1.len() > 10 && before.2.len() > 3 && !before.3.is_empty(), "{before:?}");
    let done = d.compact(None).await.unwrap();
    assert_eq!(done.bodies_removed, 0);
    assert_eq!(readable(&mut d).await, before);
    let (mut d, _) = again(h, d).await;
    assert_eq!(readable(&mut d).await, before);
    laws(&mut d).await;
    for layer in d.compact(None).await.unwrap().layers {
        assert_eq!(layer.files_before, layer.files_after, "{layer:?}");
    }
    assert_eq!(d.upkeep(&acme()).await.unwrap().spare_files, 0);

    let open: Vec<String> = d.rejects(&acme()).await.unwrap().into_iter().map(|r| r.id).collect();
    d.commit(Commit { resolves: open[..2].to_vec(), ..commit(&[bill("a", 9, 90, None, 9, &[("q", 1)])]) })
        .await
        .unwrap();
    let left: Vec<String> = d.rejects(&acme()).await.unwrap().into_iter().map(|r| r.id).collect();
    assert_eq!(left, open[2..]);
    d.publish("bills").await.unwrap();
    assert_eq!(current(&mut d, &bills()).await["a"]["version"], "9");
    laws(&mut d).await;
}

/// a changes twice; b stays; c is found deleted; d is found deleted and comes back.
async fn superseded<D: Destination>(d: &mut D) {
    let one = |id: &str, version: i64| bill(id, version, version * 10, Some(JANUARY), version.into(), &[]);
    d.commit(commit(&["a", "b", "c", "d"].map(|id| one(id, 1)))).await.unwrap();
    d.commit(commit(&[one("a", 2)])).await.unwrap();
    d.commit(commit(&[one("a", 3)])).await.unwrap();
    d.commit(Commit { scan: Some(scan(&["a", "b"], 25, 1.0)), ..empty("bills", 1) }).await.unwrap();
    d.commit(commit(&[one("d", 4)])).await.unwrap();
    d.commit(Commit { rows: Some(people_rows(&acme(), &[("p", 1, "P", &[])])), ..empty("people", 1) })
        .await
        .unwrap();
}

pub(crate) async fn superseded_bodies_go_when_they_are_old_and_the_newest_stays<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    superseded(&mut d).await;
    let tables = everything(&mut d).await;
    let all = ["a@1", "b@1", "c@1", "d@1", "a@2", "a@3", "-c@4", "-d@4", "d@5", "p@6"];
    assert_eq!(keys(&mut d).await, all);
    assert_eq!(d.retain(Timestamp(10)).await.unwrap().removed, 0, "read at 10 is not before 10");
    assert_eq!(keys(&mut d).await, all);
    let upkeep = d.upkeep(&acme()).await.unwrap();
    assert_eq!((upkeep.retained_before, upkeep.bodies_from.len()), (Some(Timestamp(10)), 0));

    assert_eq!(d.retain(Timestamp(11)).await.unwrap().removed, 2);
    assert_eq!(keys(&mut d).await, ["b@1", "c@1", "a@2", "a@3", "-c@4", "-d@4", "d@5", "p@6"]);
    let (mut d, _) = again(h, d).await;
    assert_eq!(d.retain(Timestamp(1_000)).await.unwrap().removed, 2);
    // c lives no more, and its tombstone says so: both are needed to make its row.
    let newest = ["b@1", "c@1", "a@3", "-c@4", "d@5", "p@6"];
    assert_eq!(keys(&mut d).await, newest);
    d.close().await.unwrap();
    let upkeep = h.reopen().await.upkeep(&acme()).await.unwrap();
    assert_eq!(upkeep.retained_before, Some(Timestamp(1_000)));
    assert_eq!(upkeep.bodies_from, [("bills".to_owned(), Timestamp(1_000))].into());
    let mut d = opened(h).await;
    assert_eq!(d.compact(Some(Timestamp(2_000))).await.unwrap().bodies_removed, 0);
    assert_eq!(keys(&mut d).await, newest);
    assert_eq!(everything(&mut d).await, tables, "rows and history are not touched");
    let raw = d.raw_after("bills", 1).await.unwrap().unwrap();
    assert_eq!((raw.0, raw.1[0].body.clone()), (3, body(&bill("a", 3, 30, Some(JANUARY), 3, &[]).row)));
}

pub(crate) async fn a_compaction_lets_the_same_bodies_go<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    superseded(&mut d).await;
    assert_eq!(d.compact(Some(Timestamp(11))).await.unwrap().bodies_removed, 2);
    let left = ["b@1", "c@1", "a@2", "a@3", "-c@4", "-d@4", "d@5", "p@6"];
    assert_eq!(keys(&mut d).await, left);
    let (mut d, _) = again(h, d).await;
    assert_eq!(keys(&mut d).await, left);
    let other = owner("zeta", "main");
    assert_eq!(d.upkeep(&other).await.unwrap(), tidegate::load::Upkeep::default());
    laws(&mut d).await;
}

/// The rows that another mapping makes of the bodies that are left.
fn remapped(record: &RawRecord) -> Bill {
    let at = record.read_at.0;
    match record.key.as_str() {
        "a" => bill("a", record.version, at, Some(JANUARY), 30, &[("a1", 5), ("a4", 4)]),
        id => bill(id, record.version, at, Some(FEBRUARY), 10, &[(&format!("{id}1"), 7)]),
    }
}

/// As `sync::rebuild` does it.
async fn rebuild<D: Destination>(d: &mut D, apply: bool) {
    d.rebuild_begin("bills").await.unwrap();
    let mut after = 0;
    while let Some((number, records)) = d.raw_after("bills", after).await.unwrap() {
        after = number;
        let gone = || records.iter().filter(|r| r.deleted);
        let found = Scanned::Gone(Arc::new(gone().map(|r| key_hash(&r.key)).collect()));
        let asked_at = gone().map(|r| r.read_at).max();
        let made: Vec<Bill> = records.iter().filter(|r| !r.deleted).map(remapped).collect();
        let scan = asked_at.map(|asked_at| CompleteScan { found, asked_at, delete_share_max: 1.0 });
        let rows = (!made.is_empty()).then(|| bill_rows(&acme(), &made));
        d.commit(Commit { rows, scan, as_of: Some(number), ..empty("bills", 0) }).await.unwrap();
    }
    d.rebuild_end(apply).await.unwrap();
}

/// History rows of these ids and commits.
fn of(rows: &[Shown], wanted: &[(&str, i64)]) -> Vec<Shown> {
    let is =
        |row: &&Shown| wanted.iter().any(|(id, no)| row["id"] == *id && row["commit_no"] == no.to_string());
    rows.iter().filter(is).cloned().collect()
}

pub(crate) async fn a_rebuild_takes_over_the_history_that_has_no_bodies<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    let b = bill("b", 1, 10, Some(JANUARY), 1, &[("b1", 1)]);
    let a = |version: i64, day, lines: &[(&str, i128)]| bill("a", version, version * 10, Some(day), 1, lines);
    d.commit(commit(&[a(1, JANUARY, &[("a1", 1), ("a2", 2)]), b])).await.unwrap();
    d.publish("bills").await.unwrap();
    // a has no body older than this when it is made again, and still it lives.
    d.commit(Commit { scan: Some(scan(&["a"], 15, 1.0)), ..empty("bills", 1) }).await.unwrap();
    d.commit(commit(&[a(2, FEBRUARY, &[("a1", 1)])])).await.unwrap();
    d.commit(commit(&[a(3, FEBRUARY, &[("a1", 5), ("a3", 3)])])).await.unwrap();
    d.publish("bills").await.unwrap();
    let rest = [bill("e", 1, 36, Some(JANUARY), 1, &[("e1", 1)])];
    d.commit(commit(&rest)).await.unwrap();
    let unkept = bill("f", 1, 37, None, 1, &[("f1", 1)]);
    d.commit(Commit { keep_raw: false, ..commit(&[unkept]) }).await.unwrap();
    d.compact(Some(Timestamp(25))).await.unwrap();
    assert_eq!(keys(&mut d).await, ["b@1", "-b@2", "a@4", "e@5"]);

    let (mut d, _) = again(h, d).await;
    let before = everything(&mut d).await;
    let (old_bills, old_lines) = (history(&mut d, &bills()).await, history(&mut d, &lines()).await);
    rebuild(&mut d, false).await;
    assert_eq!(everything(&mut d).await, before);
    rebuild(&mut d, true).await;
    for last in [false, true] {
        let (new_bills, new_lines) = (history(&mut d, &bills()).await, history(&mut d, &lines()).await);
        let states = |rows: &[Shown]| -> Vec<String> {
            rows.iter().map(|r| format!("{}@{} {}", r["id"], r["commit_no"], r["op"])).collect()
        };
        let gone = [("a", 1), ("a", 3), ("f", 6)];
        assert_eq!(of(&new_bills, &gone), of(&old_bills, &gone), "as they were");
        assert_eq!(of(&new_bills, &gone).len(), 3);
        let gone = [("a1", 1), ("a2", 1), ("a1", 3), ("a2", 3), ("f1", 6)];
        assert_eq!(of(&new_lines, &gone), of(&old_lines, &gone), "as they were");
        assert_eq!(of(&new_lines, &gone).len(), 5);
        assert_eq!(
            states(&new_bills),
            ["a@1", "b@1", "b@2", "a@3", "a@4", "e@5", "f@6"].map(|s| format!("{s} upsert"))
        );
        assert_eq!(
            states(&new_lines),
            [
                "a1@1 upsert",
                "a2@1 upsert",
                "b1@1 upsert",
                "b1@2 upsert",
                "a1@3 upsert",
                "a2@3 remove",
                "a1@4 upsert",
                "a4@4 upsert",
                "e1@5 upsert",
                "f1@6 upsert",
            ]
        );
        let rows = current(&mut d, &bills()).await;
        assert_eq!(rows.keys().collect::<Vec<_>>(), ["a", "b", "e", "f"]);
        assert_eq!((rows["a"]["day"].as_str(), rows["a"]["total"].as_str()), ("2024-01-01", "0.00000030"));
        assert!(rows["b"].contains_key("deleted_at") && rows["b"]["total"] == "0.00000010", "{rows:?}");
        assert!(!rows["a"].contains_key("deleted_at") && rows["e"]["total"] == "0.00000010");
        assert_eq!(rows["f"]["total"], "0.00000001");
        assert_eq!(by_id(new_lines.iter().filter(|r| r["commit_no"] == "6").cloned().collect()).len(), 1);
        laws(&mut d).await;
        if !last {
            d.publish("bills").await.unwrap();
            d = again(h, d).await.0;
            d.compact(None).await.unwrap();
        }
    }
    // What comes later is compared with what was made and what was taken over.
    d.commit(commit(&[bill("f", 2, 50, Some(JANUARY), 2, &[]), a(1, JANUARY, &[])])).await.unwrap();
    d.publish("bills").await.unwrap();
    assert_eq!(current(&mut d, &bills()).await["f"]["version"], "2");
    assert_eq!(current(&mut d, &bills()).await["a"]["version"], "3");
    laws(&mut d).await;
}

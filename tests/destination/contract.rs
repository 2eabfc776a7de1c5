//! What every destination must do. Each case is a function over a `Harness`; `every_case!` makes them tests.
pub(crate) use super::journal::{
    an_operators_change_is_kept_with_what_was_before, the_journal_keeps_the_last_changes_and_their_numbers,
};
use super::{
    build::*,
    check::{Shown, current, everything, history, ids, laws},
    upkeep::bodies,
};
use arrow::array::Array;
use bytes::Bytes;
use std::{
    future::Future,
    sync::{Arc, Mutex},
};
use tidegate::{
    checkpoint::{Aside, Checkpoint, Errand, Progress, Slice},
    decode::Issue,
    error::Kind,
    id::{Owner, TenantId},
    load::{
        Cleared, Commit, Committed, Destination, Diff, Erased, Erasure, Layer, Opened, StoredIssue,
        memory::Memory,
    },
    time::Timestamp,
};

/// One empty place to store things, and handles on it.
pub(crate) trait Harness {
    type D: Destination;
    /// False where whoever opens takes over.
    const LOCKS: bool = true;
    /// A new handle on the same place, not opened.
    fn reopen(&self) -> impl Future<Output = Self::D>;
    /// Voids the lock of a live holder of `acme()`, as an operator would.
    fn evict(&self) -> impl Future<Output = ()>;
}

pub(crate) async fn opened<H: Harness>(h: &H) -> H::D {
    let mut d = h.reopen().await;
    d.open(&acme(), &entities()).await.unwrap();
    d
}

/// Closes and opens again, as the next process would.
pub(crate) async fn again<H: Harness>(h: &H, mut d: H::D) -> (H::D, Opened) {
    d.close().await.unwrap();
    let mut d = h.reopen().await;
    let opened = d.open(&acme(), &entities()).await.unwrap();
    (d, opened)
}

fn did(done: Committed) -> (u64, u64, u64, u64) {
    (done.changed, done.unchanged, done.deleted, done.child_changes)
}

async fn kind(outcome: impl Future<Output = tidegate::error::Result<Committed>>) -> Kind {
    outcome.await.unwrap_err().kind()
}

pub(crate) async fn the_same_commit_again_changes_nothing<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    let bills = [bill("a", 1, 10, Some(JANUARY), 5, &[("a1", 2), ("a2", 3)]), bill("b", 1, 10, None, 7, &[])];
    assert_eq!(did(d.commit(commit(&bills)).await.unwrap()), (2, 0, 0, 2));
    let before = everything(&mut d).await;
    let done = d.commit(commit(&bills)).await.unwrap();
    assert_eq!((done.commit_no, did(done)), (2, (0, 2, 0, 0)));
    assert_eq!(everything(&mut d).await, before);
    d.publish("bills").await.unwrap();
    let (mut d, opened) = again(h, d).await;
    assert_eq!(opened.commit_no, 2);
    assert_eq!(did(d.commit(commit(&bills)).await.unwrap()), (0, 2, 0, 0));
    assert_eq!(everything(&mut d).await, before);
    assert!(d.raw_after("bills", 1).await.unwrap().is_none());
    laws(&mut d).await;
}

pub(crate) async fn an_older_state_after_a_newer_one_changes_nothing<H: Harness>(h: &H) {
    for publish in [false, true] {
        let mut d = opened(h).await;
        let id = if publish { "b" } else { "a" };
        d.commit(commit(&[bill(id, 2, 10, Some(JANUARY), 2, &[("x", 2)])])).await.unwrap();
        if publish {
            d.publish("bills").await.unwrap();
        }
        let before = everything(&mut d).await;
        let older = bill(id, 1, 90, Some(FEBRUARY), 1, &[("y", 1)]);
        assert_eq!(did(d.commit(commit(&[older])).await.unwrap()), (0, 1, 0, 0));
        assert_eq!(everything(&mut d).await, before);
        laws(&mut d).await;
        d.close().await.unwrap();
    }
}

pub(crate) async fn of_equal_versions_the_later_observation_wins<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    d.commit(commit(&[bill("a", 0, 10, Some(JANUARY), 1, &[])])).await.unwrap();
    d.commit(commit(&[bill("a", 0, 20, Some(JANUARY), 2, &[])])).await.unwrap();
    let slow = d.commit(commit(&[bill("a", 0, 15, Some(JANUARY), 3, &[])])).await.unwrap();
    assert_eq!(did(slow), (0, 1, 0, 0));
    assert_eq!(current(&mut d, &bills()).await["a"]["total"], "0.00000002");
    assert_eq!(history(&mut d, &bills()).await.len(), 2);
    laws(&mut d).await;
}

pub(crate) async fn a_stale_writer_changes_nothing<H: Harness>(h: &H) {
    let mut old = opened(h).await;
    old.commit(commit(&[bill("a", 1, 10, Some(JANUARY), 1, &[])])).await.unwrap();
    h.evict().await;
    let mut new = opened(h).await;
    let before = everything(&mut new).await;
    assert_eq!(kind(old.commit(commit(&[bill("a", 2, 20, Some(JANUARY), 2, &[])]))).await, Kind::Stale);
    assert_eq!(everything(&mut new).await, before);
    assert_eq!(new.peek(&acme()).await.unwrap().unwrap().commit_no, 1);
    assert_eq!(new.commit(commit(&[bill("a", 2, 20, None, 2, &[])])).await.unwrap().changed, 1);
    assert_eq!(kind(old.commit(empty("bills", 9))).await, Kind::Stale);
    assert_eq!(new.peek(&acme()).await.unwrap().unwrap().checkpoints["bills"], checkpoint(1));
    laws(&mut new).await;
}

pub(crate) async fn a_second_live_opener_is_locked_out<H: Harness>(h: &H) {
    let mut first = opened(h).await;
    if H::LOCKS {
        let mut second = h.reopen().await;
        let error = second.open(&acme(), &entities()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Locked);
        assert!(error.to_string().contains("acme/main"), "{error}");
        assert!(second.open(&owner("acme", "other"), &entities()).await.is_ok());
    }
    first.close().await.unwrap();
    assert_eq!(h.reopen().await.open(&acme(), &entities()).await.unwrap().epoch, 2);
}

fn extremes() -> Vec<Row> {
    let dec = |digits: u32| Cell::Decimal(10_i128.pow(digits) - 1);
    let low = |digits: u32| Cell::Decimal(1 - 10_i128.pow(digits));
    let text = |t: &str| Cell::Text(t.into());
    let day = 86_400_000_000_i64;
    let last = 2_932_896; // 9999-12-31
    vec![
        row("", i64::MIN, 0, &[]),
        row("nulls", 0, 0, &[]),
        row(
            "most",
            i64::MAX,
            i64::from(last) * day,
            &[
                ("day", Cell::Date(last)),
                ("total", dec(28)),
                ("quantity", dec(38)),
                ("rate", dec(24)),
                ("count", Cell::Int(i64::MAX)),
                ("paid", Cell::Bool(true)),
                ("sent_at", Cell::Time(i64::from(last) * day + day - 1)),
                ("extra", text("{\"a\":1.50,\"b\":[]}")),
                ("note", Cell::Text("long ".repeat(200_000))),
            ],
        ),
        row(
            "🦀 \"quoted\", \\ and\nlines\t\u{301}",
            i64::MIN,
            1,
            &[
                ("day", Cell::Date(0)),
                ("total", low(28)),
                ("quantity", low(38)),
                ("rate", low(24)),
                ("count", Cell::Int(i64::MIN)),
                ("paid", Cell::Bool(false)),
                ("sent_at", Cell::Time(0)),
                ("extra", text("null")),
                ("note", text("")),
            ],
        ),
    ]
}

pub(crate) async fn nulls_and_extremes_come_back_exactly<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    let mut rows = extremes();
    let main = batch(&acme(), &bills(), &rows);
    let bodies: Vec<Bytes> = rows.iter().map(body).collect();
    let none = batch(&acme(), &lines(), &[]);
    let sent = tidegate::load::Rows { entity: bills(), main, children: vec![(lines(), none)], bodies };
    d.commit(Commit { rows: Some(sent), ..empty("bills", 1) }).await.unwrap();
    rows.sort_by_key(|r| format!("{:?}", r.values["id"]));
    for published in [false, true] {
        if published {
            d.publish("bills").await.unwrap();
        }
        let found = d.read(&bills(), Layer::Current).await.unwrap();
        let found: Vec<_> = found.iter().flat_map(|b| (0..b.num_rows()).map(|i| b.slice(i, 1))).collect();
        assert_eq!(found.len(), rows.len());
        for row in &rows {
            let want = batch(&acme(), &bills(), std::slice::from_ref(row));
            let same = |b: &arrow::array::RecordBatch| {
                b.columns().iter().zip(want.columns()).all(|(a, b)| a.data_type() == b.data_type() && a == b)
            };
            assert!(found.iter().any(same), "lost or changed: {:?}", row.values["id"]);
        }
    }
    let (number, raw) = d.raw_after("bills", 0).await.unwrap().unwrap();
    assert_eq!((number, raw.len()), (1, 4));
    laws(&mut d).await;
}

pub(crate) async fn a_commit_with_only_a_checkpoint_is_stored<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    let done = d.commit(empty("bills", 5)).await.unwrap();
    assert_eq!((done.commit_no, did(done)), (1, (0, 0, 0, 0)));
    let none: &[Bill] = &[];
    d.commit(Commit { checkpoint: checkpoint(6), ..commit(none) }).await.unwrap();
    d.publish("bills").await.unwrap();
    let (mut d, opened) = again(h, d).await;
    assert_eq!((opened.epoch, opened.commit_no), (2, 2));
    assert_eq!(opened.checkpoints["bills"], checkpoint(6));
    assert!(ids(&mut d, &bills()).await.is_empty());
    assert!(d.raw_after("bills", 0).await.unwrap().is_none());
}

pub(crate) async fn a_list_that_becomes_empty_removes_its_children<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    d.commit(commit(&[
        bill("a", 1, 10, Some(JANUARY), 1, &[("a1", 1), ("a2", 2)]),
        bill("b", 1, 10, Some(JANUARY), 1, &[("b1", 1)]),
    ]))
    .await
    .unwrap();
    d.publish("bills").await.unwrap();
    let done = d.commit(commit(&[bill("a", 2, 20, Some(JANUARY), 1, &[])])).await.unwrap();
    assert_eq!(did(done), (1, 0, 0, 2));
    assert_eq!(ids(&mut d, &lines()).await, ["b1"]);
    let history = history(&mut d, &lines()).await;
    let removed: Vec<_> = history.iter().filter(|r| r["op"] == "remove").collect();
    assert_eq!(
        removed.iter().map(|r| (r["id"].as_str(), r["commit_no"].as_str())).collect::<Vec<_>>(),
        [("a1", "2"), ("a2", "2")]
    );
    assert!(removed.iter().all(|r| r["bill_id"] == "a"));
    d.publish("bills").await.unwrap();
    assert_eq!(ids(&mut d, &lines()).await, ["b1"]);
    laws(&mut d).await;
    let done = d.commit(commit(&[bill("a", 3, 30, Some(JANUARY), 1, &[("a2", 2)])])).await.unwrap();
    assert_eq!(did(done), (1, 0, 0, 1));
    assert_eq!(ids(&mut d, &lines()).await, ["a2", "b1"]);
    laws(&mut d).await;
}

pub(crate) async fn an_unchanged_child_adds_no_history<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    for (version, total) in [(1, 1), (2, 2), (3, 3)] {
        let both = [("kept", 1), ("moved", total)];
        d.commit(commit(&[bill("a", version, version * 10, Some(JANUARY), total, &both)])).await.unwrap();
        if version == 2 {
            d.publish("bills").await.unwrap();
        }
    }
    let history = history(&mut d, &lines()).await;
    assert_eq!(history.iter().filter(|r| r["id"] == "kept").count(), 1);
    assert_eq!(history.iter().filter(|r| r["id"] == "moved").count(), 3);
    assert_eq!(current(&mut d, &lines()).await["kept"]["version"], "1");
    laws(&mut d).await;
}

pub(crate) async fn a_row_that_changes_month_is_moved<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    let at =
        |id: &str, version: i64, day| bill(id, version, version, Some(day), 1, &[(&format!("{id}1"), 1)]);
    d.commit(commit(&[at("a", 1, JANUARY), at("b", 1, FEBRUARY), at("c", 1, JANUARY)])).await.unwrap();
    d.publish("bills").await.unwrap();
    // They swap places; then one goes back before it was ever published, and comes again.
    d.commit(commit(&[at("a", 2, FEBRUARY), at("b", 2, JANUARY)])).await.unwrap();
    d.commit(commit(&[at("a", 3, JANUARY)])).await.unwrap();
    d.commit(commit(&[at("a", 4, FEBRUARY)])).await.unwrap();
    let before = everything(&mut d).await;
    d.publish("bills").await.unwrap();
    assert_eq!(everything(&mut d).await, before);
    assert_eq!(ids(&mut d, &lines()).await, ["a1", "b1", "c1"]);
    let (mut d, _) = again(h, d).await;
    assert_eq!(everything(&mut d).await, before);
    d.commit(commit(&[at("c", 2, FEBRUARY)])).await.unwrap();
    d.publish("bills").await.unwrap();
    assert_eq!(ids(&mut d, &bills()).await, ["a", "b", "c"]);
    laws(&mut d).await;
}

pub(crate) async fn a_row_without_date_is_kept_and_may_get_one<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    d.commit(commit(&[bill("a", 1, 1, None, 1, &[("a1", 1)])])).await.unwrap();
    d.publish("bills").await.unwrap();
    assert!(!current(&mut d, &bills()).await["a"].contains_key("day"));
    d.commit(commit(&[bill("a", 2, 2, Some(FEBRUARY), 1, &[("a1", 1)])])).await.unwrap();
    d.publish("bills").await.unwrap();
    assert_eq!(current(&mut d, &bills()).await["a"]["day"], "2024-02-01");
    assert_eq!(ids(&mut d, &lines()).await, ["a1"]);
    laws(&mut d).await;
}

fn three(observed_at: i64) -> [Bill; 3] {
    ["a", "b", "c"].map(|id| bill(id, 0, observed_at, Some(JANUARY), 1, &[(&format!("{id}1"), 1)]))
}

pub(crate) async fn a_complete_scan_tombstones_what_is_missing<H: Harness>(h: &H) {
    for publish in [false, true] {
        let o = if publish { owner("acme", "other") } else { acme() };
        let mut d = h.reopen().await;
        d.open(&o, &entities()).await.unwrap();
        let late = bill("late", 0, 60, Some(FEBRUARY), 1, &[]);
        let rows = bill_rows(&o, &[three(10).to_vec(), vec![late]].concat());
        d.commit(Commit { rows: Some(rows), ..empty("bills", 1) }).await.unwrap();
        if publish {
            d.publish("bills").await.unwrap();
        }
        let scanned = || Commit { scan: Some(scan(&["a"], 50, 0.5)), ..empty("bills", 1) };
        let done = d.commit(scanned()).await.unwrap();
        assert_eq!(did(done), (0, 0, 2, 2));
        let bills = current(&mut d, &bills()).await;
        let at = "1970-01-01T00:00:00.000050";
        for (id, deleted) in [("a", None), ("b", Some(at)), ("c", Some(at)), ("late", None)] {
            assert_eq!(bills[id].get("deleted_at").map(String::as_str), deleted, "{id}");
        }
        assert_eq!((bills["b"]["observed_at"].as_str(), bills["b"]["version"].as_str()), (at, "0"));
        let lines = current(&mut d, &lines()).await;
        assert_eq!((lines["a1"].get("deleted_at"), lines["b1"]["deleted_at"].as_str()), (None, at));
        let (_, raw) = d.raw_after("bills", 1).await.unwrap().unwrap();
        let mut keys: Vec<_> =
            raw.iter().map(|r| (r.key.as_str(), r.deleted, r.body.len(), r.read_at)).collect();
        keys.sort();
        assert_eq!(keys, [("b", true, 0, Timestamp(50)), ("c", true, 0, Timestamp(50))]);
        assert_eq!(did(d.commit(scanned()).await.unwrap()), (0, 0, 0, 0));
        laws(&mut d).await;
        d.close().await.unwrap();
    }
}

pub(crate) async fn a_scan_that_misses_too_much_deletes_nothing<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    let many: Vec<Bill> = (0..20).map(|i| bill(&format!("b{i:02}"), 0, 10, Some(JANUARY), 1, &[])).collect();
    d.commit(commit(&many)).await.unwrap();
    let before = everything(&mut d).await;
    let seen: Vec<String> = (0..9).map(|i| format!("b{i:02}")).collect();
    let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
    let scanned = |share| Commit { scan: Some(scan(&seen, 50, share)), ..empty("bills", 9) };
    assert_eq!(kind(d.commit(scanned(0.5))).await, Kind::Guard);
    assert_eq!(everything(&mut d).await, before);
    let stored = d.peek(&acme()).await.unwrap().unwrap();
    assert_eq!((stored.commit_no, &stored.checkpoints["bills"]), (1, &checkpoint(1)));
    assert_eq!(d.commit(scanned(0.6)).await.unwrap().deleted, 11);
    let few = Commit { scan: Some(scan(&[], 60, 0.0)), ..empty("bills", 9) };
    assert_eq!(d.commit(few).await.unwrap().deleted, 9);
    laws(&mut d).await;
}

pub(crate) async fn a_tombstoned_row_that_comes_back_is_restored_with_its_children<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    d.commit(commit(&three(10))).await.unwrap();
    d.commit(Commit { scan: Some(scan(&["a"], 50, 1.0)), ..empty("bills", 1) }).await.unwrap();
    d.publish("bills").await.unwrap();
    // A page that was asked for before the scan cannot bring it back.
    assert_eq!(did(d.commit(commit(&three(40))).await.unwrap()), (0, 3, 0, 0));
    assert_eq!(did(d.commit(commit(&three(70)[1..2])).await.unwrap()), (1, 0, 0, 1));
    let (bills, lines) = (current(&mut d, &bills()).await, current(&mut d, &lines()).await);
    assert!(!bills["b"].contains_key("deleted_at") && !lines["b1"].contains_key("deleted_at"));
    assert!(bills["c"].contains_key("deleted_at") && lines["c1"].contains_key("deleted_at"));
    laws(&mut d).await;
}

pub(crate) async fn a_watermark_that_goes_back_is_refused<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    d.commit(empty("bills", 5)).await.unwrap();
    let back = Commit { checkpoint: checkpoint(4), ..commit(&three(1)) };
    assert_eq!(kind(d.commit(back)).await, Kind::Bug);
    assert!(ids(&mut d, &bills()).await.is_empty());
    assert_eq!(d.peek(&acme()).await.unwrap().unwrap().checkpoints["bills"], checkpoint(5));
    d.change_state(change("bills", Some(checkpoint(2)))).await.unwrap();
    d.commit(empty("people", 3)).await.unwrap();
    d.change_state(change("people", None)).await.unwrap();
    let (mut d, opened) = again(h, d).await;
    assert_eq!((opened.checkpoints.len(), &opened.checkpoints["bills"]), (1, &checkpoint(2)));
    d.commit(empty("bills", 4)).await.unwrap();
}

pub(crate) async fn rejects_are_kept_until_resolved<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    let issue = Issue {
        entity: "bills".into(),
        id: "a".into(),
        rule: "out_of_range".into(),
        column: "note".into(),
        message: "found too much".into(),
    };
    let bad = vec![reject("x", "{\"id\":\"x\"}"), reject("y", "{\"id\":\"y\"}")];
    let first = Commit { rejects: bad, issues: vec![issue], ..empty("bills", 1) };
    d.commit(first).await.unwrap();
    d.commit(Commit { rejects: vec![reject("z", "{}")], ..empty("bills", 1) }).await.unwrap();
    let (mut d, _) = again(h, d).await;
    let open = d.rejects(&acme()).await.unwrap();
    let of = |open: &[tidegate::load::StoredReject]| open.iter().map(|r| r.id.clone()).collect::<Vec<_>>();
    assert_eq!(of(&open), ["1-0", "1-1", "2-0"]);
    assert_eq!(open[1].reject, reject("y", "{\"id\":\"y\"}"));
    d.commit(Commit { resolves: vec!["1-1".into(), "2-0".into()], ..commit(&three(1)) }).await.unwrap();
    assert_eq!(of(&d.rejects(&acme()).await.unwrap()), ["1-0"]);
    d.close().await.unwrap();
    assert_eq!(of(&h.reopen().await.rejects(&acme()).await.unwrap()), ["1-0"]);
}

/// A rule that an invented row violates.
fn violated(actual: &str, first_seen: i64) -> StoredIssue {
    StoredIssue {
        rule: "D2".into(),
        severity: "hard".into(),
        entity: "bills".into(),
        id: "a".into(),
        column: String::new(),
        currency: Some("EUR".into()),
        expected: Some("10.01".into()),
        actual: Some(actual.into()),
        delta: Some("-0.01000000".into()),
        message: "a\0b".into(),
        first_seen: Some(Timestamp(first_seen)),
        resolved_at: None,
    }
}

pub(crate) async fn an_issue_is_open_until_it_is_settled_and_is_never_deleted<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    let value = || Issue {
        entity: "bills".into(),
        id: "a".into(),
        rule: "out_of_range".into(),
        column: "note".into(),
        message: "found too much".into(),
    };
    for _ in 0..2 {
        d.commit(Commit { issues: vec![value()], ..commit(&three(1)) }).await.unwrap();
    }
    let (mut d, _) = again(h, d).await;
    let stored = d.issues(&acme()).await.unwrap();
    assert_eq!(stored.len(), 1, "read twice, kept once: {stored:?}");
    assert!(stored[0].is_value() && stored[0].first_seen.is_some(), "{stored:?}");

    d.settle_issues(vec![violated("10", 5)]).await.unwrap();
    d.settle_issues(vec![violated("9", 8)]).await.unwrap();
    let (mut d, _) = again(h, d).await;
    let stored = d.issues(&acme()).await.unwrap();
    assert_eq!(stored.len(), 2, "{stored:?}");
    assert_eq!((stored[1].first_seen, stored[1].actual.as_deref()), (Some(Timestamp(5)), Some("9")));
    assert_eq!(stored[1].delta.as_deref(), Some("-0.01000000"));

    let resolved = StoredIssue { resolved_at: Some(Timestamp(9)), ..violated("9", 5) };
    d.settle_issues(vec![resolved.clone()]).await.unwrap();
    d.settle_issues(vec![resolved]).await.unwrap();
    d.settle_issues(vec![violated("8", 12)]).await.unwrap();
    d.close().await.unwrap();
    let stored = h.reopen().await.issues(&acme()).await.unwrap();
    let of = |i: &StoredIssue| (i.rule.clone(), i.first_seen.map(|t| t.0), i.resolved_at.map(|t| t.0));
    assert_eq!(
        stored.iter().skip(1).map(of).collect::<Vec<_>>(),
        [("D2".into(), Some(5), Some(9)), ("D2".into(), Some(12), None)]
    );
    let nobody =
        h.reopen().await.issues(&Owner { tenant: TenantId::parse("nobody").unwrap(), ..acme() }).await;
    assert!(nobody.unwrap().is_empty());
}

pub(crate) async fn a_reject_that_is_read_again_is_stored_once<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    let bad = || Commit { rejects: vec![reject("x", "{}"), reject("x", "{}")], ..empty("bills", 1) };
    d.commit(bad()).await.unwrap();
    let (mut d, _) = again(h, d).await;
    d.commit(bad()).await.unwrap();
    assert_eq!(d.rejects(&acme()).await.unwrap().len(), 1);
    // A redrive that fails again leaves one in quarantine.
    d.commit(Commit { resolves: vec!["1-0".into()], ..bad() }).await.unwrap();
    let open = d.rejects(&acme()).await.unwrap();
    assert_eq!(open.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), ["3-0"]);
}

/// A checkpoint in the middle of a sweep that began at `started`, or at its end.
/// Everything stored that is text, of both layers, bodies, quarantine and issues.
async fn told<D: Destination>(d: &mut D) -> String {
    let mut said = format!("{:?}", everything(d).await);
    let (mut after, stream) = (0, "bills");
    while let Some((number, records)) = d.raw_after(stream, after).await.unwrap() {
        records.iter().for_each(|r| said.push_str(std::str::from_utf8(&r.body).unwrap()));
        after = number;
    }
    for stored in d.rejects(&acme()).await.unwrap() {
        said.push_str(&format!("{} {}", stored.reject.message, String::from_utf8_lossy(&stored.reject.body)));
    }
    said + &format!("{:?}", d.issues(&acme()).await.unwrap())
}

pub(crate) async fn an_erasure_takes_what_is_personal_of_everything_read_before<H: Harness>(h: &H) {
    for publish in [false, true] {
        let (a, b) = if publish { ("a", "b") } else { ("c", "d") };
        let mut d = opened(h).await;
        let cleared = |at| vec![Cleared { person: a.into(), told_at: Timestamp(at) }];
        d.commit(noted(a, 1, 10, JANUARY, "first")).await.unwrap();
        d.commit(noted(b, 1, 20, JANUARY, "other")).await.unwrap();
        if publish {
            d.publish("bills").await.unwrap();
        }
        d.commit(Commit { cleared: cleared(50), ..noted(a, 2, 49, FEBRUARY, "second") }).await.unwrap();
        d.commit(Commit { cleared: cleared(60), ..noted(a, 3, 50, FEBRUARY, "then") }).await.unwrap();
        let (rows, before) = (history(&mut d, &bills()).await, told(&mut d).await);
        let pending = d.erasures(&acme()).await.unwrap();
        let of_a = |all: &[Erasure]| all.iter().filter(|e| e.person == a).cloned().collect::<Vec<_>>();
        assert_eq!(of_a(&pending).len(), 1, "told again later, noted once");
        assert_eq!((of_a(&pending)[0].told_at, of_a(&pending)[0].done_at), (Timestamp(50), None));
        let erased = d.erase(&erasure(&[(a, 50)])).await.unwrap();
        assert_eq!((erased.rows, erased.bodies, erased.rejects, erased.issues), (6, 2, 2, 1), "{publish}");
        let after = told(&mut d).await;
        for gone in ["first", "second"] {
            assert!(before.contains(&format!("{a} {gone}")), "{gone} was never there");
            assert!(!after.contains(&format!("{a} {gone}")), "{gone} is still there: {after}");
        }
        assert!(after.contains(&format!("{a} then")), "what was read then stays");
        assert_eq!(
            after.matches(&format!("{b} other")).count(),
            before.matches(&format!("{b} other")).count()
        );
        let now = history(&mut d, &bills()).await;
        assert_eq!(now.len(), rows.len(), "no row of history is lost");
        for column in ["total", "version", "observed_at", "row_hash"] {
            let all = |rows: &[Shown]| rows.iter().map(|r| r.get(column).cloned()).collect::<Vec<_>>();
            assert_eq!(all(&now), all(&rows), "{column}");
        }
        let noted_as_done = of_a(&d.erasures(&acme()).await.unwrap());
        assert_eq!((noted_as_done[0].done_at, noted_as_done[0].erased), (Some(Timestamp(99)), erased));
        let known = d.raw_after("bills", 0).await.unwrap().unwrap().1;
        if !publish {
            assert_eq!(known[0].body, Bytes::from(format!("{{\"id\":\"{a}\", \"total\":7}}")));
            assert!(known[0].received.is_some());
        }
        assert_eq!(d.erase(&erasure(&[(a, 50)])).await.unwrap(), Erased::default(), "nothing is left");
        let late = d.commit(noted(a, 2, 49, FEBRUARY, "second")).await.unwrap();
        assert_eq!(did(late), (0, 1, 0, 0), "an older state that comes again brings nothing back");
        d.publish("bills").await.unwrap();
        laws(&mut d).await;
        let labels = history(&mut d, &tags("bills")).await;
        let labels = labels.iter().filter(|t| t["id"].starts_with(a)).filter_map(|t| t.get("label"));
        assert!(labels.into_iter().all(|label| label == "then"), "children too");
        let (mut d, _) = again(h, d).await;
        assert!(!told(&mut d).await.contains(&format!("{a} first")));
        d.close().await.unwrap();
    }
}

/// A bill that was `from`'s and is `to`'s since: what `to` has of it is not `from`'s to be erased.
pub(crate) async fn an_erasure_leaves_what_was_handed_on<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    let note = |version: i64, at: i64, owner: &str| {
        let said = format!("owned by {owner}");
        let mut commit = noted("handed", version, at, JANUARY, &said);
        let rows = commit.rows.as_mut().unwrap();
        let place = rows.main.schema().index_of("owner").unwrap();
        let mut columns = rows.main.columns().to_vec();
        columns[place] = Arc::new(arrow::array::StringArray::from(vec![owner]));
        rows.main = arrow::array::RecordBatch::try_new(rows.main.schema(), columns).unwrap();
        commit
    };
    d.commit(note(1, 10, "x")).await.unwrap();
    d.commit(note(2, 20, "y")).await.unwrap();
    d.commit(note(3, 30, "y")).await.unwrap();
    d.publish("bills").await.unwrap();
    let mut order = erasure(&[("x", 50)]);
    let whose = &mut order.parts[0].whose[0];
    (whose.column, whose.at) = ("owner".into(), "owner".into());
    let erased = d.erase(&order).await.unwrap();
    assert_eq!((erased.bodies, erased.rows > 0), (1, true), "the state that was x's");
    let told = told(&mut d).await;
    assert!(!told.contains("handed owned by x"), "{told}");
    assert!(told.contains("handed owned by y"), "{told}");
    let now = &current(&mut d, &bills()).await["handed"];
    assert_eq!(now["note"].as_str(), "handed owned by y");
    laws(&mut d).await;
    d.close().await.unwrap();
}

fn sweeping(started: i64, ended: bool) -> Checkpoint {
    let progress = if ended { Progress::Done } else { Progress::Start };
    let slice = Slice { from: None, to: None, absent: false, progress };
    let mut all = checkpoint(1);
    all.asides.push(Aside {
        errand: Errand::Sweep { ids_only: true },
        connector_hash: "invented".into(),
        started: Timestamp(started),
        slices: vec![slice],
    });
    all
}

pub(crate) async fn what_a_sweep_saw_is_kept_until_it_ends_or_another_begins<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    let saw = |started, seen: &[u128]| Commit {
        checkpoint: sweeping(started, false),
        seen: seen.to_vec(),
        ..empty("bills", 1)
    };
    d.commit(saw(5, &[1, u128::MAX])).await.unwrap();
    d.commit(saw(5, &[])).await.unwrap();
    d.commit(Commit { checkpoint: sweeping(5, false), seen: vec![7], ..commit(&three(1)) }).await.unwrap();
    d.commit(Commit { checkpoint: sweeping(9, false), seen: vec![3], ..empty("people", 1) }).await.unwrap();
    let (mut d, opened) = again(h, d).await;
    assert_eq!(opened.checkpoints["bills"], sweeping(5, false));
    let sorted = |mut keys: Vec<u128>| {
        keys.sort_unstable();
        keys
    };
    assert_eq!(sorted(d.seen("bills").await.unwrap()), [1, 7, u128::MAX]);
    assert_eq!(d.seen("people").await.unwrap(), [3]);
    d.commit(saw(6, &[4])).await.unwrap();
    assert_eq!(d.seen("bills").await.unwrap(), [4], "another sweep");
    d.commit(Commit { checkpoint: sweeping(6, true), seen: vec![8], ..empty("bills", 1) }).await.unwrap();
    assert_eq!(d.seen("bills").await.unwrap(), [0; 0], "it ended");
    assert_eq!(d.seen("people").await.unwrap(), [3], "another stream's");
    d.change_state(change("people", None)).await.unwrap();
    d.commit(Commit { checkpoint: sweeping(20, false), ..empty("people", 1) }).await.unwrap();
    assert_eq!(d.seen("people").await.unwrap(), [0; 0], "after a reset");
    laws(&mut d).await;
}

pub(crate) async fn bodies_come_back_by_commit<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    d.commit(commit(&three(1))).await.unwrap();
    d.commit(Commit { rows: Some(people_rows(&acme(), &[("p", 1, "P", &[])])), ..empty("people", 1) })
        .await
        .unwrap();
    d.commit(Commit { keep_raw: false, ..commit(&[bill("d", 1, 1, None, 1, &[])]) }).await.unwrap();
    let changed = bill("b", 3, 9, Some(JANUARY), 2, &[]);
    d.commit(commit(&[three(8)[0].clone(), changed.clone()])).await.unwrap();
    let (number, raw) = d.raw_after("bills", 0).await.unwrap().unwrap();
    assert_eq!((number, raw.iter().map(|r| r.key.as_str()).collect::<Vec<_>>()), (1, vec!["a", "b", "c"]));
    let (number, raw) = d.raw_after("bills", 1).await.unwrap().unwrap();
    assert_eq!((number, raw.len()), (4, 1));
    assert_eq!((raw[0].version, raw[0].read_at, raw[0].commit_no), (3, Timestamp(9), 4));
    assert_eq!(raw[0].body, body(&changed.row));
    assert!(d.raw_after("bills", 4).await.unwrap().is_none());
}

pub(crate) async fn a_child_that_moves_to_another_parent_is_there_once<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    let first = [bill("a", 1, 1, Some(JANUARY), 1, &[("x", 1)]), bill("b", 1, 1, Some(FEBRUARY), 1, &[])];
    d.commit(commit(&first)).await.unwrap();
    d.publish("bills").await.unwrap();
    let second = [bill("a", 2, 2, Some(JANUARY), 1, &[]), bill("b", 2, 2, Some(FEBRUARY), 1, &[("x", 1)])];
    d.commit(commit(&second)).await.unwrap();
    d.publish("bills").await.unwrap();
    let lines = current(&mut d, &lines()).await;
    assert_eq!((lines.len(), lines["x"]["bill_id"].as_str()), (1, "b"));
    laws(&mut d).await;
}

pub(crate) async fn a_child_table_of_two_streams_keeps_their_sets_apart<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    // A bill and a person with the same id.
    let bill = |version, labels: &[&str]| {
        let mut rows = bill_rows(&acme(), &[bill("x", version, version, Some(JANUARY), version.into(), &[])]);
        rows.children.push(tag_rows(&acme(), "bills", "x", labels));
        Commit { rows: Some(rows), ..empty("bills", 1) }
    };
    let person = |at, name, labels: &[&str]| {
        let mut rows = people_rows(&acme(), &[("x", at, name, &[])]);
        rows.children.push(tag_rows(&acme(), "people", "x", labels));
        Commit { rows: Some(rows), ..empty("people", 1) }
    };
    d.commit(bill(1, &["a", "b"])).await.unwrap();
    d.commit(person(1, "P", &["c", "d"])).await.unwrap();
    let tags = tags("bills");
    for publish in [false, true] {
        if publish {
            d.publish("bills").await.unwrap();
            d = again(h, d).await.0;
        }
        let n = if publish { 3 } else { 2 };
        d.commit(bill(n, if publish { &["b"] } else { &["a", "b"] })).await.unwrap();
        d.commit(person(n, if publish { "Q" } else { "R" }, if publish { &["d"] } else { &["c", "d"] }))
            .await
            .unwrap();
    }
    assert_eq!(ids(&mut d, &tags).await, ["x:bills:b", "x:people:d"]);
    let rebuilt = Commit { as_of: Some(1), ..bill(9, &["b", "e"]) };
    d.rebuild_begin("bills").await.unwrap();
    d.commit(rebuilt).await.unwrap();
    let diffs = d.rebuild_end(true).await.unwrap();
    let of_tags = diffs.iter().find(|diff| diff.entity == "tags").unwrap();
    assert_eq!((of_tags.added, of_tags.removed, of_tags.changed, of_tags.same), (1, 0, 0, 1));
    assert_eq!(ids(&mut d, &tags).await, ["x:bills:b", "x:bills:e", "x:people:d"]);
    let (mut d, _) = again(h, d).await;
    let gone = Commit { scan: Some(scan(&[], 50, 1.0)), ..empty("people", 1) };
    let done = d.commit(gone).await.unwrap();
    assert_eq!((done.deleted, done.child_changes), (1, 1));
    d.publish("people").await.unwrap();
    let tags = current(&mut d, &tags).await;
    let buried: Vec<&str> =
        tags.values().filter(|t| t.contains_key("deleted_at")).map(|t| t["id"].as_str()).collect();
    assert_eq!(buried, ["x:people:d"]);
    laws(&mut d).await;
}

pub(crate) async fn a_rebuild_compares_and_swaps<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    let line: &[(&str, i128)] = &[("l1", 1)];
    let old = [
        bill("same", 1, 1, Some(JANUARY), 1, &[]),
        bill("gone", 1, 1, Some(JANUARY), 1, &[]),
        bill("other", 1, 1, Some(JANUARY), 1, line),
    ];
    d.commit(commit(&old)).await.unwrap();
    d.publish("bills").await.unwrap();
    d.commit(Commit { rows: Some(people_rows(&acme(), &[("p", 1, "P", &["p1"])])), ..empty("people", 1) })
        .await
        .unwrap();
    let new = [
        bill("same", 1, 1, Some(JANUARY), 1, &[]),
        bill("new", 1, 1, None, 1, &[]),
        bill("other", 1, 1, Some(FEBRUARY), 2, line),
    ];
    let diff = |entity: &str, (added, removed, changed, same)| Diff {
        entity: entity.into(),
        added,
        removed,
        changed,
        same,
    };
    let want = [diff("bill_lines", (0, 0, 0, 1)), diff("bills", (1, 1, 1, 1))];
    for apply in [false, true] {
        let before = everything(&mut d).await;
        let stored = d.peek(&acme()).await.unwrap().unwrap();
        d.rebuild_begin("bills").await.unwrap();
        let aside = |bills: &[Bill]| Commit { as_of: Some(1), checkpoint: checkpoint(0), ..commit(bills) };
        assert_eq!(d.commit(aside(&new[..2])).await.unwrap().changed, 2);
        assert_eq!(d.commit(aside(&new[2..])).await.unwrap().changed, 1);
        assert_eq!(everything(&mut d).await, before);
        let mut diffs = d.rebuild_end(apply).await.unwrap();
        diffs.sort_by(|a, b| a.entity.cmp(&b.entity));
        assert_eq!(diffs, want);
        assert_eq!(d.peek(&acme()).await.unwrap().unwrap().checkpoints, stored.checkpoints);
        if !apply {
            assert_eq!(everything(&mut d).await, before);
        }
    }
    assert_eq!(ids(&mut d, &bills()).await, ["new", "other", "same"]);
    assert_eq!(current(&mut d, &bills()).await["other"]["day"], "2024-02-01");
    assert_eq!(history(&mut d, &bills()).await.len(), 3);
    assert_eq!(ids(&mut d, &emails()).await, ["p1"]);
    let (mut d, _) = again(h, d).await;
    assert_eq!(ids(&mut d, &bills()).await, ["new", "other", "same"]);
    let after = d.commit(commit(&[bill("other", 2, 2, Some(JANUARY), 2, &[])])).await.unwrap();
    assert_eq!(did(after), (1, 0, 0, 1));
    d.publish("bills").await.unwrap();
    laws(&mut d).await;
}

pub(crate) async fn tenants_never_mix<H: Harness>(h: &H) {
    let owners = [acme(), owner("acme", "other"), owner("zeta", "main")];
    let mut handles = Vec::new();
    for (n, owner) in owners.iter().enumerate() {
        let mut d = h.reopen().await;
        d.open(owner, &entities()).await.unwrap();
        let rows = bill_rows(owner, &[bill("a", 1, 1, Some(JANUARY), n as i128 + 1, &[("l", 1)])]);
        d.commit(Commit { rows: Some(rows), rejects: vec![reject("x", "{}")], ..empty("bills", 1) })
            .await
            .unwrap();
        handles.push(d);
    }
    for (n, d) in handles.iter_mut().enumerate() {
        let wrong =
            Commit { rows: Some(bill_rows(&owner("nobody", "main"), &three(1))), ..empty("bills", 1) };
        assert_eq!(kind(d.commit(wrong)).await, Kind::Bug);
        d.commit(Commit { scan: Some(scan(&[], n as i64, 1.0)), ..empty("bills", 1) }).await.unwrap();
        d.publish("bills").await.unwrap();
    }
    for (n, d) in handles.iter_mut().enumerate() {
        let bills = current(d, &bills()).await;
        assert_eq!(bills["a"]["total"], format!("0.0000000{}", n + 1));
        assert_eq!(bills["a"]["tenant_id"], owners[n].tenant.as_str());
        // Only the scan of the last owner began after its row was seen.
        assert_eq!(bills["a"].contains_key("deleted_at"), n == 2);
        assert_eq!(d.rejects(&owners[n]).await.unwrap().len(), 1);
        laws(d).await;
    }
}

pub(crate) async fn runs_are_kept_newest_first<H: Harness>(h: &H) {
    let mut d = opened(h).await;
    for n in 0..3 {
        d.record_run(&serde_json::json!({ "n": n, "text": "two\nlines" })).await.unwrap();
    }
    d.close().await.unwrap();
    let mut other = h.reopen().await;
    let runs = other.runs(&acme(), 2).await.unwrap();
    assert_eq!(runs.iter().map(|r| r["n"].as_i64().unwrap()).collect::<Vec<_>>(), [2, 1]);
    assert!(other.runs(&owner("zeta", "main"), 9).await.unwrap().is_empty());
    assert!(other.peek(&owner("zeta", "main")).await.unwrap().is_none());
}

/// A random but valid commit of either stream.
pub(crate) fn any_commit(rng: &mut fastrand::Rng, now: i64) -> Commit {
    let ids = ["a", "b", "c", "d", "e", "f"];
    let mut made = if rng.u8(..3) > 0 {
        let mut bills = Vec::new();
        for id in ids.iter().filter(|_| rng.bool()).collect::<Vec<_>>() {
            let day = [None, Some(JANUARY), Some(FEBRUARY), Some(FEBRUARY + 40)][rng.usize(..4)];
            let lines: Vec<String> = (0..4).filter(|_| rng.bool()).map(|n| format!("{id}{n}")).collect();
            let lines: Vec<(&str, i128)> =
                lines.iter().map(|l| (l.as_str(), i128::from(rng.u8(..3)))).collect();
            bills.push(bill(id, rng.i64(0..3), now - rng.i64(0..6), day, i128::from(rng.u8(..3)), &lines));
        }
        commit(&bills)
    } else {
        let emails: Vec<&str> = ["x", "y", "z"].into_iter().filter(|_| rng.bool()).collect();
        let people =
            [(ids[rng.usize(..2)], now - rng.i64(0..4), ["P", "Q"][rng.usize(..2)], emails.as_slice())];
        Commit { rows: Some(people_rows(&acme(), &people)), ..empty("people", 1) }
    };
    if rng.u8(..4) == 0 {
        let seen: Vec<&str> = ids.into_iter().filter(|_| rng.bool()).collect();
        made.scan = Some(scan(&seen, now - rng.i64(0..6), 1.0));
        made.rows = made.rows.filter(|_| rng.bool());
    }
    made
}

pub(crate) async fn a_random_series_equals_plain_maps<H: Harness>(h: &H, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut d = opened(h).await;
    let mut model = Memory::new(Arc::new(Mutex::default()));
    model.open(&acme(), &entities()).await.unwrap();
    for now in 10..30 {
        let commit = any_commit(&mut rng, now);
        let want = model.commit(commit.clone()).await.unwrap();
        let done = d.commit(commit.clone()).await.unwrap();
        assert_eq!(did(done), did(want), "seed {seed}, step {now}: {commit:?}");
        if rng.u8(..3) == 0 {
            d.publish(["bills", "people"][rng.usize(..2)]).await.unwrap();
        }
        if rng.u8(..6) == 0 {
            d = again(h, d).await.0;
        }
        if rng.u8(..6) == 0 {
            let before = rng.bool().then(|| Timestamp(now - rng.i64(0..6)));
            let done = (d.compact(before).await.unwrap(), model.compact(before).await.unwrap());
            assert_eq!(done.0.bodies_removed, done.1.bodies_removed, "seed {seed}, step {now}");
        }
        if rng.u8(..3) == 0 {
            assert_eq!(everything(&mut d).await, everything(&mut model).await, "seed {seed}, step {now}");
        }
    }
    assert_eq!(everything(&mut d).await, everything(&mut model).await, "seed {seed}");
    assert_eq!(bodies(&mut d).await, bodies(&mut model).await, "seed {seed}");
    laws(&mut d).await;
    d.close().await.unwrap();
}

/// Every case as a test, on a new harness each: `every_case!(make_harness())`.
macro_rules! every_case {
    ($harness:expr) => {
        $crate::destination::contract::every_case!($harness;
            the_same_commit_again_changes_nothing,
            an_older_state_after_a_newer_one_changes_nothing,
            of_equal_versions_the_later_observation_wins,
            a_stale_writer_changes_nothing,
            a_second_live_opener_is_locked_out,
            nulls_and_extremes_come_back_exactly,
            a_commit_with_only_a_checkpoint_is_stored,
            a_list_that_becomes_empty_removes_its_children,
            an_unchanged_child_adds_no_history,
            a_row_that_changes_month_is_moved,
            a_row_without_date_is_kept_and_may_get_one,
            a_complete_scan_tombstones_what_is_missing,
            a_scan_that_misses_too_much_deletes_nothing,
            a_tombstoned_row_that_comes_back_is_restored_with_its_children,
            a_watermark_that_goes_back_is_refused,
            an_operators_change_is_kept_with_what_was_before,
            the_journal_keeps_the_last_changes_and_their_numbers,
            rejects_are_kept_until_resolved,
            a_reject_that_is_read_again_is_stored_once,
            what_a_sweep_saw_is_kept_until_it_ends_or_another_begins,
            an_issue_is_open_until_it_is_settled_and_is_never_deleted,
            bodies_come_back_by_commit,
            a_child_that_moves_to_another_parent_is_there_once,
            a_child_table_of_two_streams_keeps_their_sets_apart,
            a_rebuild_compares_and_swaps,
            tenants_never_mix,
            runs_are_kept_newest_first,
            an_erasure_takes_what_is_personal_of_everything_read_before,
            an_erasure_leaves_what_was_handed_on,
        );
        $crate::destination::contract::every_case!($harness; upkeep:
            a_compaction_changes_nothing_that_can_be_read,
            superseded_bodies_go_when_they_are_old_and_the_newest_stays,
            a_compaction_lets_the_same_bodies_go,
            a_rebuild_takes_over_the_history_that_has_no_bodies,
        );
        #[tokio::test]
        async fn a_random_series_equals_plain_maps() {
            for seed in 0..4 {
                $crate::destination::contract::a_random_series_equals_plain_maps(&$harness, seed).await;
            }
        }
    };
    ($harness:expr; $($case:ident),* $(,)?) => {
        $crate::destination::contract::every_case!($harness; contract: $($case),*);
    };
    ($harness:expr; $module:ident: $($case:ident),* $(,)?) => {
        $(#[tokio::test]
        async fn $case() {
            $crate::destination::$module::$case(&$harness).await;
        })*
    };
}
pub(crate) use every_case;

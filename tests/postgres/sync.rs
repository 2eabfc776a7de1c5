//! Commits, replays, fences, deletes: the documented semantics, seen from SQL.
use super::{
    HOLDERS, connect, dump, kind, one, opened,
    rows::{self, Row, bills, commit, empty, line, owner, scan},
    terminate,
};
use crate::postgres_server::Database;
use bytes::Bytes;
use sqlx::Executor;
use tidegate::{
    checkpoint::Checkpoint,
    decode::{Issue, Reject},
    error::Kind,
    load::{Change, Commit, Destination, Layer, Verb, postgres::Postgres},
    secret::Secret,
    time::Timestamp,
};

fn change(stream: &str, to: Option<Checkpoint>) -> Change {
    let to = [(stream.to_owned(), to)].into();
    Change { at: Timestamp(7), verb: Verb::Set, undoes: None, made_with: None, to }
}

#[tokio::test]
async fn a_commit_stores_rows_history_bodies_and_checkpoint() {
    let (db, who) = (Database::new().await, owner("acme"));
    let (mut pg, first) = opened(&db, &who).await;
    assert_eq!((first.epoch, first.commit_no, first.checkpoints.len()), (1, 0, 0));
    let bills = [Row::new("b1", 1, 10, 7), Row::new("b2", 1, 10, 8)];
    let done = pg.commit(commit(&who, 5, &bills, &[line("l1", "b1", 3), line("l2", "b2", 4)])).await.unwrap();
    assert_eq!((done.commit_no, done.changed, done.unchanged, done.child_changes), (1, 2, 0, 2));
    assert!(done.bytes > 500);
    let mut sql = db.session().await;
    assert_eq!(one(&mut sql, "select id from billing.bills order by id").await, "b1 b2");
    assert_eq!(
        one(&mut sql, "select id || op || commit_no from history.bill_lines order by id").await,
        "l1upsert1 l2upsert1"
    );
    let (number, raw) = pg.raw_after("bills", 0).await.unwrap().unwrap();
    assert_eq!((number, raw.len()), (1, 2));
    assert_eq!(raw[0].body, Bytes::from_static(b"{\"id\":\"b1\",\"h\":7}"));
    assert_eq!((raw[0].version, raw[0].read_at, raw[0].deleted), (1, Timestamp(10), false));
    assert!(pg.raw_after("bills", 1).await.unwrap().is_none());
    let peeked = connect(&db).await.peek(&who).await.unwrap().unwrap();
    assert_eq!((peeked.epoch, peeked.commit_no), (1, 1));
    assert_eq!(peeked.checkpoints["bills"], rows::checkpoint(5));
}

#[tokio::test]
async fn a_replayed_commit_changes_nothing() {
    let (db, who) = (Database::new().await, owner("acme"));
    let (mut pg, _) = opened(&db, &who).await;
    let same = commit(&who, 5, &[Row::new("b1", 1, 10, 7)], &[line("l1", "b1", 3)]);
    pg.commit(same.clone()).await.unwrap();
    let mut sql = db.session().await;
    let mut before = dump(&mut sql).await;
    let done = pg.commit(same).await.unwrap();
    assert_eq!((done.changed, done.unchanged, done.child_changes, done.bytes), (0, 1, 0, 0));
    let mut after = dump(&mut sql).await;
    for numbered in ["tidegate.connections", "tidegate.checkpoints"] {
        assert!(before.remove(numbered).unwrap() != after.remove(numbered).unwrap());
    }
    assert_eq!(before, after);
}

/// Commits each state of one bill in turn and says which hash stands.
async fn last_of(states: &[(i64, i64, i64)]) -> String {
    let (db, who) = (Database::new().await, owner("acme"));
    let (mut pg, _) = opened(&db, &who).await;
    for (version, at, hash) in states {
        pg.commit(commit(&who, 5, &[Row::new("b1", *version, *at, *hash)], &[])).await.unwrap();
    }
    let mut sql = db.session().await;
    let history = one(&mut sql, "select row_hash from history.bills order by commit_no").await;
    format!("{} of {history}", one(&mut sql, "select row_hash from billing.bills").await)
}

#[tokio::test]
async fn the_greater_state_wins_in_any_order() {
    assert_eq!(last_of(&[(2, 10, 7), (1, 99, 8)]).await, "7 of 7");
    assert_eq!(last_of(&[(1, 99, 8), (2, 10, 7)]).await, "7 of 8 7");
    assert_eq!(last_of(&[(1, 10, 7), (1, 11, 6)]).await, "6 of 7 6");
    assert_eq!(last_of(&[(1, 11, 6), (1, 10, 7)]).await, "6 of 6");
    assert_eq!(last_of(&[(1, 10, -5), (1, 10, 5)]).await, "5 of -5 5");
    assert_eq!(last_of(&[(1, 10, 5), (1, 10, -5)]).await, "5 of 5");
    assert_eq!(last_of(&[(1, 10, 5), (9, 99, 5)]).await, "5 of 5");
}

#[tokio::test]
async fn a_second_live_writer_is_told_who_holds_the_lock() {
    let (db, who) = (Database::new().await, owner("acme"));
    let (mut first, _) = opened(&db, &who).await;
    let mut sql = db.session().await;
    let pid = one(&mut sql, HOLDERS).await;
    let mut second = connect(&db).await;
    let error = second.open(&who, &[bills()]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Locked);
    assert!(error.to_string().contains(&format!("backend {pid}, application tidegate")), "{error}");
    assert!(error.next().unwrap().contains(&format!("pg_terminate_backend({pid})")));
    second.open(&owner("other"), &[bills()]).await.unwrap();
    first.close().await.unwrap();
    assert_eq!(second.open(&who, &[bills()]).await.unwrap().epoch, 2);
}

#[tokio::test]
async fn a_dead_writer_leaves_no_lock() {
    let (db, who) = (Database::new().await, owner("acme"));
    let (first, _) = opened(&db, &who).await;
    drop(first);
    let (_, second) = opened(&db, &who).await;
    assert_eq!(second.epoch, 2);
}

#[tokio::test]
async fn a_writer_that_was_taken_over_changes_nothing() {
    let (db, who) = (Database::new().await, owner("acme"));
    let (mut old, _) = opened(&db, &who).await;
    old.commit(commit(&who, 5, &[Row::new("b1", 1, 10, 7)], &[])).await.unwrap();
    terminate(&db).await;
    let (mut new, taken) = opened(&db, &who).await;
    assert_eq!((taken.epoch, taken.commit_no), (2, 1));
    let mut sql = db.session().await;
    let before = dump(&mut sql).await;
    for _ in 0..2 {
        assert_eq!(kind(old.commit(commit(&who, 6, &[Row::new("b1", 2, 11, 8)], &[])).await), Kind::Stale);
        assert_eq!(kind(old.change_state(change("bills", None)).await), Kind::Stale);
        assert_eq!(kind(old.record_run(&serde_json::json!({})).await), Kind::Stale);
    }
    assert_eq!(before, dump(&mut sql).await);
    new.commit(commit(&who, 6, &[Row::new("b1", 2, 11, 9)], &[])).await.unwrap();
}

#[tokio::test]
async fn a_fence_that_moved_stops_a_commit_whose_session_lives() {
    let (db, who) = (Database::new().await, owner("acme"));
    let (mut pg, _) = opened(&db, &who).await;
    let mut sql = db.session().await;
    sql.execute("update tidegate.connections set epoch = epoch + 1").await.unwrap();
    let before = dump(&mut sql).await;
    assert_eq!(kind(pg.commit(commit(&who, 6, &[Row::new("b1", 2, 11, 8)], &[])).await), Kind::Stale);
    assert_eq!(before, dump(&mut sql).await);
}

#[tokio::test]
async fn a_terminated_session_is_taken_up_again() {
    let (db, who) = (Database::new().await, owner("acme"));
    let (mut pg, _) = opened(&db, &who).await;
    terminate(&db).await;
    let done = pg.commit(commit(&who, 5, &[Row::new("b1", 1, 10, 7)], &[])).await.unwrap();
    assert_eq!((done.commit_no, done.changed), (1, 1));
    let mut other = connect(&db).await;
    assert_eq!(kind(other.open(&who, &[bills()]).await), Kind::Locked);
}

#[tokio::test]
async fn child_sets_follow_their_parent() {
    let (db, who) = (Database::new().await, owner("acme"));
    let (mut pg, _) = opened(&db, &who).await;
    let mut sql = db.session().await;
    let state =
        "select id || ':' || bill_id || ':' || trunc(amount * 100000000) from billing.bill_lines order by id";
    let history = "select commit_no || op || id from history.bill_lines order by commit_no, op, id";
    let bill = |id: &str, n: i64| Row::new(id, n, 10, 100 + n);
    let three = [line("l1", "b1", 1), line("l2", "b1", 2), line("l3", "b2", 3)];
    pg.commit(commit(&who, 5, &[bill("b1", 1), bill("b2", 1)], &three)).await.unwrap();
    assert_eq!(one(&mut sql, state).await, "l1:b1:1 l2:b1:2 l3:b2:3");

    // One stays as it is, one changes, one moves in from another parent, whose own set is not part of this commit.
    let next = [line("l1", "b1", 1), line("l2", "b1", 9), line("l3", "b1", 3)];
    let done = pg.commit(commit(&who, 5, &[bill("b1", 2)], &next)).await.unwrap();
    assert_eq!(done.child_changes, 2);
    assert_eq!(one(&mut sql, state).await, "l1:b1:1 l2:b1:9 l3:b1:3");

    // An older parent brings nothing of its set.
    let old = pg.commit(commit(&who, 5, &[bill("b1", 1)], &[line("l9", "b1", 9)])).await.unwrap();
    assert_eq!((old.child_changes, old.unchanged), (0, 1));

    // The other parent's set no longer holds what moved away, and the first one's list becomes empty.
    let done = pg.commit(commit(&who, 5, &[bill("b1", 3), bill("b2", 2)], &[])).await.unwrap();
    assert_eq!(done.child_changes, 3);
    assert_eq!(one(&mut sql, state).await, "");
    assert_eq!(
        one(&mut sql, history).await,
        "1upsertl1 1upsertl2 1upsertl3 2upsertl2 2upsertl3 4removel1 4removel2 4removel3"
    );
}

#[tokio::test]
async fn a_complete_scan_marks_what_is_missing_and_a_return_restores_it() {
    let (db, who) = (Database::new().await, owner("acme"));
    let (mut pg, _) = opened(&db, &who).await;
    let bills = [Row::new("b1", 1, 10, 7), Row::new("b2", 1, 10, 8), Row::new("b3", 1, 50, 9)];
    let lines = [line("l1", "b1", 1), line("l2", "b2", 2)];
    pg.commit(commit(&who, 5, &bills, &lines)).await.unwrap();
    let mut other = connect(&db).await;
    let else_ = owner("other");
    other.open(&else_, &super::entities()).await.unwrap();
    other.commit(commit(&else_, 5, &[Row::new("b2", 1, 10, 8)], &[])).await.unwrap();

    // b2 is missing; b3 too, but it was seen later than this scan was asked.
    let gone = Commit { scan: Some(scan(&["b1"], 40, 0.0)), ..empty(6) };
    let done = pg.commit(gone.clone()).await.unwrap();
    assert_eq!((done.deleted, done.child_changes), (1, 1));
    let mut sql = db.session().await;
    let dead = "select tenant_id || id || extract(epoch from deleted_at) * 1000000 from billing.bills where deleted_at is not null";
    assert_eq!(one(&mut sql, dead).await, "acmeb240.000000");
    assert_eq!(one(&mut sql, "select id from billing.bill_lines where deleted_at is not null").await, "l2");
    assert_eq!(
        one(&mut sql, "select row_hash from history.bills where id = 'b2' and commit_no = 2").await,
        { (8_i64 ^ tidegate::load::TOMBSTONE_XOR).to_string() }
    );
    let (_, raw) = pg.raw_after("bills", 1).await.unwrap().unwrap();
    assert_eq!(
        (raw[0].key.as_str(), raw[0].deleted, raw[0].body.len(), raw[0].read_at),
        ("b2", true, 0, Timestamp(40))
    );
    assert_eq!(pg.commit(gone).await.unwrap().deleted, 0);

    // The same body comes back, by a later request: row and child live again.
    let done = pg.commit(commit(&who, 6, &[Row::new("b2", 1, 60, 8)], &[line("l2", "b2", 2)])).await.unwrap();
    assert_eq!((done.changed, done.child_changes), (1, 1));
    assert_eq!(one(&mut sql, dead).await, "");
    assert_eq!(
        one(&mut sql, "select count(*) from billing.bill_lines where deleted_at is not null").await,
        "0"
    );
}

#[tokio::test]
async fn the_guard_stops_a_scan_that_would_delete_too_much() {
    let (db, who) = (Database::new().await, owner("acme"));
    let (mut pg, _) = opened(&db, &who).await;
    let many: Vec<Row> = (0..20).map(|n| Row::new(&format!("b{n}"), 1, 10, n)).collect();
    pg.commit(commit(&who, 5, &many, &[])).await.unwrap();
    let mut sql = db.session().await;
    let before = dump(&mut sql).await;
    let ids: Vec<String> = (0..9).map(|n| format!("b{n}")).collect();
    let seen: Vec<&str> = ids.iter().map(String::as_str).collect();
    let eleven = |share: f64| Commit {
        scan: Some(scan(&seen, 40, share)),
        ..commit(&who, 6, &[Row::new("b0", 2, 20, 99)], &[])
    };
    let error = pg.commit(eleven(0.5)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Guard);
    assert!(error.to_string().contains("stored 20, missing 11"), "{error}");
    assert_eq!(before, dump(&mut sql).await);
    assert_eq!(pg.commit(eleven(0.6)).await.unwrap().deleted, 11);
}

#[tokio::test]
async fn a_watermark_never_goes_back() {
    let (db, who) = (Database::new().await, owner("acme"));
    let (mut pg, _) = opened(&db, &who).await;
    pg.commit(empty(5)).await.unwrap();
    let back = commit(&who, 4, &[Row::new("b1", 1, 10, 7)], &[]);
    assert_eq!(kind(pg.commit(back.clone()).await), Kind::Bug);
    assert!(pg.read(&bills(), Layer::Current).await.unwrap().is_empty());
    pg.change_state(change("bills", Some(rows::checkpoint(2)))).await.unwrap();
    pg.commit(back).await.unwrap();
    pg.change_state(change("bills", None)).await.unwrap();
    assert!(pg.peek(&who).await.unwrap().unwrap().checkpoints.is_empty());
}

#[tokio::test]
async fn rejects_keep_their_bytes_until_they_are_redriven() {
    let (db, who) = (Database::new().await, owner("acme"));
    let (mut pg, _) = opened(&db, &who).await;
    let reject = |key: Option<&str>, body: &'static [u8]| Reject {
        stream: "bills".into(),
        key: key.map(Into::into),
        rule: "wrong_type".into(),
        pointer: "/total".into(),
        message: "found text, expected a number".into(),
        asked_at: Timestamp(77),
        body: Bytes::from_static(body),
    };
    let two = vec![reject(None, b"{\"total\": \"\xff\0"), reject(Some("b2"), b"{}")];
    let issue = Issue {
        entity: "bills".into(),
        id: "b3".into(),
        rule: "wrong_type".into(),
        column: "note".into(),
        message: "a\0b".into(),
    };
    pg.commit(Commit { rejects: two.clone(), issues: vec![issue], ..empty(5) }).await.unwrap();
    let stored = pg.rejects(&who).await.unwrap();
    assert_eq!(stored.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["1-0", "1-1"]);
    assert_eq!(stored.iter().map(|s| s.reject.clone()).collect::<Vec<_>>(), two);
    let mut sql = db.session().await;
    assert_eq!(
        one(&mut sql, "select id || column_name || message from tidegate.quality_issues").await,
        "b3notea\\u0000b"
    );
    pg.commit(Commit { resolves: vec!["1-0".into()], ..empty(5) }).await.unwrap();
    let left = pg.rejects(&who).await.unwrap();
    assert_eq!(left.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["1-1"]);
    assert!(pg.rejects(&owner("other")).await.unwrap().is_empty());
}

#[tokio::test]
async fn runs_are_kept_newest_first() {
    let (db, who) = (Database::new().await, owner("acme"));
    let (mut pg, _) = opened(&db, &who).await;
    for n in 1..=3 {
        pg.record_run(&serde_json::json!({ "z": n, "a": "b" })).await.unwrap();
    }
    let runs: Vec<String> = pg.runs(&who, 2).await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(runs, [r#"{"z":3,"a":"b"}"#, r#"{"z":2,"a":"b"}"#]);
}

#[tokio::test]
async fn rows_of_another_tenant_are_refused() {
    let (db, who) = (Database::new().await, owner("acme"));
    let (mut pg, _) = opened(&db, &who).await;
    let foreign = commit(&owner("other"), 5, &[Row::new("b1", 1, 10, 7)], &[]);
    assert_eq!(kind(pg.commit(foreign).await), Kind::Bug);
    let mut sql = db.session().await;
    assert_eq!(one(&mut sql, "select count(*) from billing.bills").await, "0");
}

#[tokio::test]
async fn equal_ids_of_two_tenants_stay_apart() {
    let db = Database::new().await;
    let (acme, other) = (owner("acme"), owner("other"));
    let (mut one_, _) = opened(&db, &acme).await;
    let (mut two, _) = opened(&db, &other).await;
    one_.commit(commit(&acme, 5, &[Row::new("b1", 1, 10, 7)], &[line("l1", "b1", 1)])).await.unwrap();
    two.commit(commit(&other, 5, &[Row::new("b1", 1, 10, 8)], &[line("l1", "b1", 2)])).await.unwrap();
    one_.commit(commit(&acme, 5, &[Row::new("b1", 2, 11, 9)], &[])).await.unwrap();
    let mut sql = db.session().await;
    assert_eq!(
        one(&mut sql, "select tenant_id || row_hash from billing.bills order by 1").await,
        "acme9 other8"
    );
    assert_eq!(one(&mut sql, "select tenant_id || id from billing.bill_lines").await, "otherl1");
    let read = one_.read(&bills(), Layer::History).await.unwrap();
    assert_eq!(read.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 2);
}

#[tokio::test]
async fn errors_name_the_database_and_never_the_password() {
    for url in [
        "postgres://u:hunter2@127.0.0.1:1/d",
        "postgres://u:hunter2@127.0.0.1:notaport/d",
        "mysql://u:hunter2@h/d",
    ] {
        let error = Postgres::connect(&Secret::new(url)).await.err().unwrap();
        let all = format!("{error} {error:?} {}", error.next().unwrap());
        assert!(!all.contains("hunter2"), "{all}");
    }
    let error = Postgres::connect(&Secret::new("postgres://u:hunter2@127.0.0.1:1/d")).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Destination);
    assert!(error.to_string().contains("127.0.0.1:1/d"), "{error}");
    assert_eq!(kind(Postgres::connect(&Secret::new("mysql://u@h/d")).await), Kind::Invalid);
}

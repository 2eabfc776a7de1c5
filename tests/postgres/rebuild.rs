//! Built aside, compared, swapped in.
use super::{
    connect, dump, entities, kind, one, opened,
    rows::{Cell, Row, commit, empty, line, owner, scan},
    terminate,
};
use crate::postgres_server::Database;
use sqlx::Executor;
use tidegate::{
    error::Kind,
    id::Owner,
    load::{Commit, Destination, Diff, postgres::Postgres},
};

fn noted(id: &str, hash: i64, note: &str) -> Row {
    Row::new(id, 1, 10, hash).with("note", Cell::Text(note.into()))
}

/// Three bills in two commits, the last deleted by a scan; and another tenant's.
async fn prepared(db: &Database, who: &Owner) -> Postgres {
    let other = owner("other");
    let (mut pg, _) = opened(db, &other).await;
    pg.commit(commit(&other, 5, &[noted("b1", 1, "other")], &[line("l1", "b1", 9)])).await.unwrap();
    pg.close().await.unwrap();
    let (mut pg, _) = opened(db, who).await;
    let two = [noted("b1", 1, "a"), noted("b2", 2, "b")];
    pg.commit(commit(who, 5, &two, &[line("l1", "b1", 1), line("l2", "b2", 2)])).await.unwrap();
    pg.commit(commit(who, 5, &[noted("b3", 3, "c")], &[])).await.unwrap();
    pg
}

/// What a rebuild of these commits makes: b1 as it was, b2 with another note, b3 gone, b4 new.
async fn build(pg: &mut Postgres, who: &Owner) {
    pg.rebuild_begin("bills").await.unwrap();
    let rows = [noted("b1", 1, "a"), noted("b2", 22, "bb"), noted("b4", 4, "d")];
    let new = commit(who, 0, &rows, &[line("l1", "b1", 1), line("l4", "b4", 4)]);
    let done = pg.commit(Commit { as_of: Some(1), ..new }).await.unwrap();
    assert_eq!((done.commit_no, done.changed, done.child_changes), (1, 3, 2));
    let gone = Commit { as_of: Some(2), scan: Some(scan(&["b1", "b2"], 30, 1.0)), ..empty(0) };
    assert_eq!(pg.commit(gone).await.unwrap().deleted, 1);
}

fn diffs() -> Vec<Diff> {
    let diff = |entity: &str, added, removed, changed, same| Diff {
        entity: entity.into(),
        added,
        removed,
        changed,
        same,
    };
    vec![diff("bills", 1, 1, 1, 1), diff("bill_lines", 1, 1, 0, 1)]
}

#[tokio::test]
async fn a_rebuild_that_is_not_applied_changes_nothing() {
    let (db, who) = (Database::new().await, owner("acme"));
    let mut pg = prepared(&db, &who).await;
    let mut sql = db.session().await;
    let before = dump(&mut sql).await;
    build(&mut pg, &who).await;
    assert_eq!(pg.rebuild_end(false).await.unwrap(), diffs());
    assert_eq!(before, dump(&mut sql).await);
    pg.commit(commit(&who, 6, &[noted("b9", 9, "")], &[])).await.unwrap();
    assert_eq!(one(&mut sql, "select count(*) from billing.bills where id = 'b9'").await, "1");
}

#[tokio::test]
async fn an_applied_rebuild_replaces_rows_and_history_of_its_stream_and_connection_only() {
    let (db, who) = (Database::new().await, owner("acme"));
    let mut pg = prepared(&db, &who).await;
    // Another stream feeds lines of parents that are no bills.
    let mut sql = db.session().await;
    sql.execute(
        "insert into billing.bill_lines (tenant_id, connection_id, provider, id, bill_id, version, observed_at, row_hash) \
         values ('acme', 'main', 'test', 'n1', 'note1', 0, now(), 1)",
    )
    .await
    .unwrap();
    let before = dump(&mut sql).await;
    build(&mut pg, &who).await;
    assert_eq!(before, dump(&mut sql).await);
    assert_eq!(pg.rebuild_end(true).await.unwrap(), diffs());
    let current =
        "select tenant_id || id || coalesce(note, '') || (deleted_at is null) from billing.bills order by 1";
    assert_eq!(one(&mut sql, current).await, "acmeb1atrue acmeb2bbtrue acmeb4dfalse otherb1othertrue");
    let children = "select tenant_id || id || (deleted_at is null) from billing.bill_lines order by 1";
    assert_eq!(one(&mut sql, children).await, "acmel1true acmel4false acmen1true otherl1true");
    let history = "select tenant_id || id || commit_no from history.bills order by tenant_id, commit_no, id";
    assert_eq!(one(&mut sql, history).await, "acmeb11 acmeb21 acmeb41 acmeb42 otherb11");
    let after = dump(&mut sql).await;
    for kept in ["raw.records", "tidegate.checkpoints", "tidegate.rejects"] {
        assert_eq!(before[kept], after[kept], "{kept}");
    }
    let done = pg.commit(commit(&who, 6, &[noted("b1", 1, "a")], &[])).await.unwrap();
    assert_eq!((done.commit_no, done.unchanged), (4, 1));
}

#[tokio::test]
async fn a_rebuild_whose_session_died_says_so_and_leaves_what_was_there() {
    let (db, who) = (Database::new().await, owner("acme"));
    let mut pg = prepared(&db, &who).await;
    let mut sql = db.session().await;
    let before = dump(&mut sql).await;
    build(&mut pg, &who).await;
    terminate(&db).await;
    assert_eq!(
        kind(pg.commit(Commit { as_of: Some(3), ..commit(&who, 0, &[noted("b5", 5, "")], &[]) }).await),
        Kind::Transient
    );
    assert_eq!(kind(pg.rebuild_end(true).await), Kind::Transient);
    assert_eq!(before, dump(&mut sql).await);
    build(&mut pg, &who).await;
    assert_eq!(pg.rebuild_end(true).await.unwrap(), diffs());
}

#[tokio::test]
async fn a_takeover_during_a_rebuild_stops_its_swap() {
    let (db, who) = (Database::new().await, owner("acme"));
    let mut pg = prepared(&db, &who).await;
    build(&mut pg, &who).await;
    let mut sql = db.session().await;
    sql.execute("update tidegate.connections set epoch = epoch + 1 where tenant_id = 'acme'").await.unwrap();
    let before = dump(&mut sql).await;
    assert_eq!(kind(pg.rebuild_end(true).await), Kind::Stale);
    assert_eq!(before, dump(&mut sql).await);
}

#[tokio::test]
async fn a_stream_without_rows_can_be_rebuilt_too() {
    let (db, who) = (Database::new().await, owner("acme"));
    let mut pg = connect(&db).await;
    pg.open(&who, &entities()).await.unwrap();
    pg.rebuild_begin("bills").await.unwrap();
    assert_eq!(pg.rebuild_end(true).await.unwrap(), []);
}

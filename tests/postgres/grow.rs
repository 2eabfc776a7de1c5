//! Migrations, and tables that follow their entities.
use super::{
    connect, entities, kind, one, opened,
    rows::{Row, bills, commit, line, owner},
};
use crate::postgres_server::Database;
use sqlx::Executor;
use std::sync::Arc;
use tidegate::{
    entity::{Column, ColumnType, Entity, OnBad, Parent},
    error::Kind,
    load::{Destination, Layer},
};

#[tokio::test]
async fn tables_are_made_once_however_many_processes_start() {
    let db = Database::new().await;
    let (all, names) = (entities(), ["a", "b", "c", "d"].map(owner));
    let open = async |n: usize| {
        let mut pg = connect(&db).await;
        let opened = pg.open(&names[n], &all).await.unwrap();
        pg.close().await.unwrap();
        opened.epoch
    };
    let first = tokio::join!(open(0), open(1), open(2), open(3));
    assert_eq!(first, (1, 1, 1, 1));
    assert_eq!(open(0).await, 2);
    let mut sql = db.session().await;
    let migrations = std::fs::read_dir("migrations").unwrap().count().to_string();
    assert_eq!(one(&mut sql, "select count(*) from tidegate.migrations").await, migrations);
    let keyless = "select c.oid::regclass from pg_class c join pg_namespace n on n.oid = c.relnamespace \
        where n.nspname in ('billing', 'history', 'raw', 'tidegate') and c.relkind = 'r' and not exists \
        (select 1 from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' \
        where i.indrelid = c.oid and a.attnum = any(i.indkey))";
    assert_eq!(one(&mut sql, keyless).await, "tidegate.migrations tidegate.views");
    let comment = "select col_description('billing.bills'::regclass, 5)";
    assert_eq!(one(&mut sql, comment).await, "The row's note");
    let collation = "select distinct collation_name from information_schema.columns \
        where table_schema = 'billing' and data_type = 'text'";
    assert_eq!(one(&mut sql, collation).await, "C");
}

#[tokio::test]
async fn looking_at_an_empty_database_changes_nothing() {
    let (db, who) = (Database::new().await, owner("acme"));
    let mut pg = connect(&db).await;
    assert!(pg.peek(&who).await.unwrap().is_none());
    assert!(pg.rejects(&who).await.unwrap().is_empty());
    assert!(pg.runs(&who, 9).await.unwrap().is_empty());
    let mut sql = db.session().await;
    assert_eq!(one(&mut sql, "select nspname from pg_namespace where nspname = 'tidegate'").await, "");
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let (db, who) = (Database::new().await, owner("acme"));
    opened(&db, &who).await.0.close().await.unwrap();
    let mut sql = db.session().await;
    sql.execute("insert into tidegate.migrations values (9999, 'later', now(), true, '', 0)").await.unwrap();
    let mut pg = connect(&db).await;
    let error = pg.open(&who, &entities()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("newer tidegate (migration 9999)"), "{error}");
    assert_eq!(kind(pg.peek(&who).await), Kind::Invalid);
}

fn with(column: &str, ty: ColumnType) -> Arc<Entity> {
    let mut entity = bills().as_ref().clone();
    entity.columns.retain(|c| c.name != column);
    entity.columns.insert(
        2,
        Column {
            name: column.into(),
            ty,
            pii: false,
            on_bad: OnBad::Null,
            meaning: "New".into(),
            promoted: false,
        },
    );
    Arc::new(entity)
}

#[tokio::test]
async fn a_new_column_is_added_and_reads_as_null() {
    let (db, who) = (Database::new().await, owner("acme"));
    let (mut pg, _) = opened(&db, &who).await;
    pg.commit(commit(&who, 5, &[Row::new("b1", 1, 10, 7)], &[])).await.unwrap();
    pg.close().await.unwrap();
    let grown = with("po_number", ColumnType::Text);
    pg.open(&who, std::slice::from_ref(&grown)).await.unwrap();
    for layer in [Layer::Current, Layer::History] {
        let read = pg.read(&grown, layer).await.unwrap();
        assert_eq!(read[0].column_by_name("po_number").unwrap().null_count(), 1);
    }
    let mut sql = db.session().await;
    let comment = "select d.description from pg_description d join pg_attribute a on a.attrelid = d.objoid \
        and a.attnum = d.objsubid where a.attname = 'po_number'";
    assert_eq!(one(&mut sql, comment).await, "New New");
    pg.close().await.unwrap();
    pg.open(&who, &entities()).await.unwrap();
    pg.commit(commit(&who, 5, &[Row::new("b2", 1, 10, 7)], &[])).await.unwrap();
}

#[tokio::test]
async fn a_changed_type_is_refused_and_names_the_way_out() {
    let (db, who) = (Database::new().await, owner("acme"));
    opened(&db, &who).await.0.close().await.unwrap();
    let mut pg = connect(&db).await;
    let error = pg.open(&who, &[with("note", ColumnType::Int)]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("column billing.bills.note, there text, wanted bigint"), "{error}");
    assert!(error.next().unwrap().contains("tidegate rebuild"));
    pg.open(&who, &entities()).await.unwrap();
}

#[tokio::test]
async fn a_name_that_postgres_would_cut_is_refused() {
    let (db, who) = (Database::new().await, owner("acme"));
    let mut pg = connect(&db).await;
    let error = pg.open(&who, &[with(&"n".repeat(64), ColumnType::Text)]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("63 bytes"), "{error}");
    pg.open(&who, &[with(&"n".repeat(63), ColumnType::Text)]).await.unwrap();
}

#[tokio::test]
async fn a_stream_that_hangs_children_on_another_column_finds_them_by_an_index() {
    let (db, who) = (Database::new().await, owner("acme"));
    let (mut pg, _) = opened(&db, &who).await;
    let mut sql = db.session().await;
    let leading = "select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid \
        and a.attnum = i.indkey[0] where i.indrelid = 'billing.bill_lines'::regclass order by 1";
    assert_eq!(one(&mut sql, leading).await, "bill_id tenant_id");
    let mut other = commit(&who, 5, &[Row::new("b1", 1, 10, 7)], &[line("l1", "b1", 1)]);
    other.stream = "notes".into();
    let child = &mut other.rows.as_mut().unwrap().children[0].0;
    let parent = Some(Parent { entity: "bills".into(), column: "provider".into() });
    *child = Arc::new(Entity { parent, ..child.as_ref().clone() });
    pg.commit(other).await.unwrap();
    assert_eq!(one(&mut sql, leading).await, "bill_id provider tenant_id");
}

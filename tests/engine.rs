//! The SQL engine reads exactly what is listed, writes nothing, and says what is wrong with a query.
use arrow::{
    array::{ArrayRef, RecordBatch, new_null_array},
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
};
use datafusion::common::ScalarValue;
use parquet::arrow::ArrowWriter;
use std::{fs, path::Path, path::PathBuf, sync::Arc};
use tidegate::{
    engine::{Engine, Table},
    error::{Error, Kind},
};

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("tenant_id", DataType::Utf8, false),
        Field::new("id", DataType::Utf8, false),
        Field::new("total", DataType::Decimal128(28, 8), true),
        Field::new("quantity", DataType::Decimal128(38, 12), true),
        Field::new("issue_date", DataType::Date32, true),
        Field::new("observed_at", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("is_void", DataType::Boolean, true),
        Field::new("version", DataType::Int64, true),
    ]))
}

/// A file with `rows` rows and the first `columns` columns of the schema.
fn file(path: &Path, rows: usize, columns: usize) -> PathBuf {
    let schema = Arc::new(schema().project(&(0..columns).collect::<Vec<_>>()).unwrap());
    let text = |v: &str| ScalarValue::Utf8(Some(v.to_owned())).to_array_of_size(rows).unwrap();
    let cells = schema.fields().iter().map(|f| -> ArrayRef {
        match f.name().as_str() {
            "tenant_id" => text("acme"),
            "id" => text("one"),
            "total" => ScalarValue::Decimal128(Some(10_000_000), 28, 8).to_array_of_size(rows).unwrap(),
            _ => new_null_array(f.data_type(), rows),
        }
    });
    let batch = RecordBatch::try_new(Arc::clone(&schema), cells.collect()).unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path.to_owned()
}

async fn engine(files: Vec<PathBuf>) -> Engine {
    let table = |name: &str, files| Table { name: name.to_owned(), schema: schema(), files };
    let views = [("v_invoices", "select * from invoices where not coalesce(is_void, false)")];
    Engine::lake(vec![table("invoices", files), table("payments", vec![])], &views).await.unwrap()
}

async fn error(engine: &Engine, sql: &str) -> Error {
    match engine.query(sql).await {
        Ok(_) => panic!("{sql} is accepted"),
        Err(e) => e,
    }
}

#[tokio::test]
async fn results_have_exactly_the_table_s_columns_and_types() {
    let root = tempfile::tempdir().unwrap();
    let files = vec![
        file(&root.path().join("month=2024-01/part-0.parquet"), 2, 8),
        file(&root.path().join("month=none/part-0.parquet"), 1, 8),
    ];
    let engine = engine(files).await;
    for table in ["invoices", "payments", "v_invoices"] {
        let batches = engine.query(&format!("select * from {table}")).await.unwrap();
        let types = |s: &Schema| {
            s.fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect::<Vec<_>>()
        };
        for batch in &batches {
            assert_eq!(types(&batch.schema()), types(&schema()), "{table}");
        }
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, if table == "payments" { 0 } else { 3 }, "{table}");
    }
    assert_eq!(engine.names(), ["invoices", "payments", "v_invoices"]);
}

#[tokio::test]
async fn a_file_that_lacks_a_new_column_reads_it_as_null() {
    let root = tempfile::tempdir().unwrap();
    let old = file(&root.path().join("old.parquet"), 2, 3);
    let new = file(&root.path().join("new.parquet"), 3, 8);
    let batches = engine(vec![old, new]).await.query("select version from invoices").await.unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 5);
}

#[tokio::test]
async fn folder_names_are_never_patterns() {
    let root = tempfile::tempdir().unwrap();
    let odd = root.path().join("a[b]*? %41 é=1");
    let files = vec![file(&odd.join("tenant=acme/part-0.parquet"), 4, 8)];
    file(&root.path().join("ab/tenant=acme/part-0.parquet"), 9, 8);
    let batches = engine(files).await.query("select count(*) as n from invoices").await.unwrap();
    assert_eq!(batches[0].column(0).as_ref(), ScalarValue::Int64(Some(4)).to_array().unwrap().as_ref());
}

#[tokio::test]
async fn decimals_written_in_a_query_stay_decimals() {
    let batches = engine(vec![]).await.query("select 0.1 + 0.2 = 0.3 as exact").await.unwrap();
    assert_eq!(batches[0].column(0).as_ref(), ScalarValue::Boolean(Some(true)).to_array().unwrap().as_ref());
}

#[tokio::test]
async fn nothing_but_reading_is_allowed() {
    let root = tempfile::tempdir().unwrap();
    let engine = engine(vec![file(&root.path().join("part-0.parquet"), 1, 8)]).await;
    let out = root.path().join("out.parquet");
    let copy = format!("copy (select * from invoices) to '{}'", out.display());
    let writes = [
        copy.as_str(),
        "insert into invoices select * from invoices",
        "update invoices set total = 0",
        "delete from invoices",
        "create table t as select 1",
        "create view v as select 1",
        "create external table t stored as parquet location '/etc'",
        "drop table invoices",
        "set datafusion.execution.batch_size = 1",
        "explain analyze insert into invoices select * from invoices",
        "select 1; select 2",
    ];
    for sql in writes {
        assert_eq!(error(&engine, sql).await.kind(), Kind::Invalid, "{sql}");
    }
    assert!(!out.exists());
    assert!(engine.query("select * from '/etc/passwd'").await.is_err());
    assert!(engine.query("explain select * from invoices").await.is_ok());
    assert!(engine.query("show tables").await.is_ok());
}

#[tokio::test]
async fn wrong_names_get_the_nearest_right_one() {
    let engine = engine(vec![]).await;
    let cases = [
        ("select * from invoces", "no table `invoces`", "did you mean `invoices`?"),
        ("select * from zzz", "no table `zzz`", "known tables: invoices, payments, v_invoices"),
        ("select totl from invoices", "no column `totl`", "did you mean `total`?"),
        ("select i.isue_date from invoices i", "no column `isue_date`", "did you mean `issue_date`?"),
        ("select Total from INVOICES where verson = 1", "no column `verson`", "did you mean `version`?"),
        (
            "select id from invoices, payments",
            "column `id` exists in two tables",
            "write the table before it: table.id",
        ),
        (
            "selec 1",
            "query is not valid SQL",
            "write one SELECT, for example: select * from invoices limit 10",
        ),
    ];
    for (sql, what, hint) in cases {
        let e = error(&engine, sql).await;
        assert_eq!((e.kind(), e.what(), e.next().unwrap_or("")), (Kind::Invalid, what, hint), "{sql}: {e}");
    }
}

#[tokio::test]
async fn a_file_that_vanished_is_the_lake_s_fault_not_the_query_s() {
    let root = tempfile::tempdir().unwrap();
    let path = file(&root.path().join("part-0.parquet"), 1, 8);
    let engine = engine(vec![path.clone()]).await;
    fs::remove_file(path).unwrap();
    for sql in [
        "select * from invoices",
        "select * from v_invoices",
        "select (select max(id) from invoices) from payments",
    ] {
        let e = error(&engine, sql).await;
        assert_eq!((e.kind(), e.what()), (Kind::Destination, "lake cannot be read"), "{e}");
    }
}

#[tokio::test]
async fn a_large_result_comes_in_pieces() {
    let root = tempfile::tempdir().unwrap();
    let engine = engine(vec![file(&root.path().join("part-0.parquet"), 50_000, 8)]).await;
    let mut rows = engine.stream("select * from invoices").await.unwrap();
    assert_eq!(rows.schema().fields().len(), 8);
    let (mut batches, mut seen) = (0, 0);
    while let Some(batch) = rows.next().await.unwrap() {
        batches += 1;
        seen += batch.num_rows();
    }
    assert!(batches > 1 && seen == 50_000, "{batches} batches, {seen} rows");
}

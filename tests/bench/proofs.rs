//! What does proof cost? A sweep that finds everything unchanged, and `verify` of two destinations beside the speed of
//! reading them.
use super::{
    child::{self, Project},
    floors::{cost, runtime},
    report::{Figure, Report},
};
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sqlx::Connection;
use std::{
    fs::{self, File},
    path::Path,
};

/// Layers of a lake that are not current rows.
const KEPT: [&str; 5] = ["history", "raw", "rejects", "issues", "_tidegate"];

/// Both destinations hold the site; nothing changes meanwhile.
pub(crate) fn all(project: &Project, database: &str, runs: usize, report: &mut Report) {
    project.sync();
    project.read(&["sync", "mirror"]);
    let times = |act: &mut dyn FnMut() -> Figure| (0..runs).map(|_| act()).collect();
    report.add("lake: sweep of ids", times(&mut || project.read(&["sweep", "bench"])));
    report.add("lake: sweep in full", times(&mut || project.read(&["sweep", "bench", "--mode", "full"])));
    report.add("postgres: sweep of ids", times(&mut || project.read(&["sweep", "mirror"])));
    report.add("floor: read the lake's rows", times(&mut || cost_of(|| rows_below(&project.lake()))));
    report.add("floor: COPY billing out", times(&mut || copied(database)));
    report.add("lake: verify alone", times(&mut || verified(project, &["verify", "bench"])));
    report.add("postgres: verify alone", times(&mut || verified(project, &["verify", "mirror"])));
    let against = ["verify", "bench", "--against", "mirror"];
    report.add("verify lake against postgres", times(&mut || verified(project, &against)));
}

fn cost_of(act: impl FnOnce() -> u64) -> Figure {
    let (figure, records) = cost(act);
    Figure { records, ..figure }
}

fn verified(project: &Project, words: &[&str]) -> Figure {
    let (figure, said) = project.run(words);
    assert_eq!(said.pointer("/equal"), Some(&true.into()));
    let tables = said.pointer("/tables").and_then(|t| t.as_array()).expect("tables");
    let of = |table: &serde_json::Value, side| table.pointer(side).and_then(serde_json::Value::as_u64);
    let rows = |side| -> u64 { tables.iter().filter_map(|t| of(t, side)).sum() };
    Figure { records: rows("/here/rows") + rows("/there/rows"), ..figure }
}

/// Reads every current file of a lake, all columns; rows.
fn rows_below(lake: &Path) -> u64 {
    let entries = fs::read_dir(lake).expect("a lake").map(|e| e.expect("an entry").path());
    let current = entries.filter(|path| {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        !KEPT.contains(&name)
    });
    current.map(|path| files_below(&path)).sum()
}

fn files_below(path: &Path) -> u64 {
    if path.is_dir() {
        let entries = fs::read_dir(path).expect("a folder");
        return entries.map(|e| files_below(&e.expect("an entry").path())).sum();
    }
    let file = File::open(path).expect("a file");
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
    builder.build().expect("a reader").map(|batch| batch.expect("rows").num_rows() as u64).sum()
}

/// Every table of `billing` through binary COPY, dropped as it comes.
fn copied(database: &str) -> Figure {
    let runtime = runtime();
    let before = child::postgres_cpu(database);
    let (figure, (records, bytes)) = cost(|| runtime.block_on(copy_out(database)));
    Figure { records, bytes, server_cpu: Some(child::postgres_cpu(database) - before), ..figure }
}

async fn copy_out(database: &str) -> (u64, u64) {
    let mut session = sqlx::PgConnection::connect(database).await.expect("a session");
    let tables: Vec<String> =
        sqlx::query_scalar("select tablename::text from pg_tables where schemaname = 'billing'")
            .fetch_all(&mut session)
            .await
            .expect("tables");
    let (mut rows, mut bytes) = (0, 0);
    for table in tables {
        let sql = format!("select count(*) from billing.{table}");
        let count: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut session).await.expect("a count");
        rows += count.cast_unsigned();
        let copy = format!("copy billing.{table} to stdout (format binary)");
        let mut out = session.copy_out_raw(&copy).await.expect("COPY");
        while let Some(chunk) = out.try_next().await.expect("rows") {
            bytes += chunk.len() as u64;
        }
    }
    (rows, bytes)
}

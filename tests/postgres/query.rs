//! Any SELECT as Arrow.
use super::{
    connect, kind, opened,
    rows::{Row, commit, owner},
};
use crate::postgres_server::Database;
use arrow::util::pretty::pretty_format_batches;
use tidegate::{error::Kind, load::Destination};

async fn answer(sql: &str) -> String {
    let db = Database::new().await;
    let batches = connect(&db).await.query(sql).await.unwrap();
    let types: Vec<String> = batches[0].schema().fields().iter().map(|f| f.data_type().to_string()).collect();
    let mut lines: Vec<String> = vec![types.join(" | ")];
    for line in
        pretty_format_batches(&batches).unwrap().to_string().lines().filter(|l| l.starts_with('|')).skip(1)
    {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        lines.push(cells.join(" | "));
    }
    lines.join("\n")
}

#[tokio::test]
async fn every_common_type_has_an_arrow_counterpart() {
    assert_eq!(
        answer("select 1::int2, 2::int4, 3::int8, true, 1.5::float8, 'a', 'b'::varchar(3), 'c'::name, null")
            .await,
        "Int64 | Int64 | Int64 | Boolean | Float64 | Utf8 | Utf8 | Utf8 | Utf8\n\
         1 | 2 | 3 | true | 1.5 | a | b | c | "
    );
    assert_eq!(
        answer(
            "select timestamp '2024-02-29 12:00:00.5', timestamptz '2024-02-29 12:00+02', date '1969-12-31', \
             '{\"b\": 1,  \"a\":2}'::json, '{\"b\": 1,  \"a\":2}'::jsonb"
        )
        .await,
        "Timestamp(µs) | Timestamp(µs, \"+00:00\") | Date32 | Utf8 | Utf8\n\
         2024-02-29T12:00:00.500 | 2024-02-29T10:00:00Z | 1969-12-31 | {\"b\": 1,  \"a\":2} | {\"a\": 2, \"b\": 1}"
    );
}

#[tokio::test]
async fn a_numeric_column_takes_the_largest_scale_it_holds() {
    assert_eq!(
        answer("select v from (values (1.5), (-0.0001), (12345678901234567890), (0), (null), (0.10)) t(v)")
            .await,
        "Decimal128(38, 4)\n1.5000\n-0.0001\n12345678901234567890.0000\n0.0000\n\n0.1000"
    );
    assert_eq!(answer("select round(2 / 3::numeric, 3) as v").await, "Decimal128(38, 3)\n0.667");
}

#[tokio::test]
async fn a_numeric_that_fits_no_decimal_becomes_text() {
    assert_eq!(
        answer(
            "select v::numeric from (values ('NaN'), ('1e40'), ('-12.0050'), ('0.00001'), ('Infinity')) t(v)"
        )
        .await,
        format!("Utf8\nNaN\n1{}\n-12.0050\n0.00001\nInfinity", "0".repeat(40))
    );
}

#[tokio::test]
async fn an_empty_answer_still_has_its_columns() {
    assert_eq!(answer("select 1 as a, 'x' as b where false").await, "Int64 | Utf8");
}

#[tokio::test]
async fn billing_is_the_default_schema() {
    let (db, who) = (Database::new().await, owner("acme"));
    let (mut pg, _) = opened(&db, &who).await;
    pg.commit(commit(&who, 5, &[Row::new("b1", 1, 10, 7)], &[])).await.unwrap();
    let read = pg.query("select id from bills").await.unwrap();
    assert_eq!(read[0].num_rows(), 1);
}

#[tokio::test]
async fn a_query_cannot_write_and_says_what_is_wrong() {
    let (db, who) = (Database::new().await, owner("acme"));
    let (mut pg, _) = opened(&db, &who).await;
    pg.commit(commit(&who, 5, &[Row::new("b1", 1, 10, 7)], &[])).await.unwrap();
    for sql in [
        "delete from bills",
        "drop table bills",
        "with gone as (delete from bills returning id) select * from gone",
        "select 1; drop table bills",
        "selec 1",
        "select * from nowhere",
        "select interval '1 day'",
        "select array[1]",
        "select timestamp 'infinity'",
    ] {
        let result = pg.query(sql).await;
        let error = result.unwrap_err();
        assert!([Kind::Invalid, Kind::Destination].contains(&error.kind()), "{sql}: {error}");
        assert!(error.next().is_some(), "{sql}");
    }
    assert_eq!(kind(pg.query("delete from bills").await), Kind::Invalid);
    assert_eq!(pg.query("select * from bills").await.unwrap()[0].num_rows(), 1);
}

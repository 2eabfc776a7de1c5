//! Values cross exactly in both directions. Postgres' own text is the oracle.
use super::{
    opened,
    rows::{Cell, Row, bills, commit, owner},
};
use crate::postgres_server::Database;
use arrow::{array::RecordBatch, compute::concat_batches};
use proptest::{prelude::*, test_runner::TestRunner};
use tidegate::load::{Destination, Layer};

/// `unscaled / 10^scale` as plain digits.
fn plain(unscaled: i128, scale: usize) -> String {
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    format!("{}{whole}.{part}", if unscaled < 0 { "-" } else { "" })
}

fn expected(cell: &Cell, column: &str) -> String {
    match (cell, column) {
        (Cell::Decimal(d), "total") => plain(*d, 8),
        (Cell::Decimal(d), _) => plain(*d, 12),
        (Cell::Text(t), _) => t.clone(),
        (Cell::Int(n), "at") => {
            let time = chrono::DateTime::from_timestamp_micros(*n).unwrap().format("%Y-%m-%d %H:%M:%S%.6f");
            time.to_string().trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        (Cell::Int(n), "day") => {
            (chrono::NaiveDate::from_ymd_opt(1970, 1, 1).unwrap() + chrono::Duration::days(*n)).to_string()
        }
        (Cell::Int(n), _) => n.to_string(),
        (Cell::Bool(b), _) => b.to_string(),
    }
}

/// 1970 to 9999, in microseconds.
const LAST_US: i64 = 253_402_300_799_999_999;

fn decimal(digits: u32) -> impl Strategy<Value = i128> {
    (0..=digits, any::<i128>(), any::<bool>(), 0..digits / 2).prop_map(|(digits, n, negative, zeros)| {
        let n = (n.unsigned_abs() % 10_u128.pow(digits)) as i128;
        let unit = 10_i128.pow(zeros);
        let n = n - n % unit; // trailing zeros are where a base-10000 writer slips
        if negative { -n } else { n }
    })
}

fn cells() -> impl Strategy<Value = Row> {
    let texts = (
        prop::option::of("[^\u{0}]{0,40}"),
        prop::option::of(prop::sample::select(vec![
            "{\"b\":1,  \"a\":[1.50]}",
            "null",
            "[]",
            "\"\\u00e9\"",
            "1e400",
        ])),
        prop::option::of(any::<i64>()),
        prop::option::of(any::<bool>()),
    );
    let numbers = (
        prop::option::of(decimal(28)),
        prop::option::of(decimal(38)),
        prop::option::of(decimal(24)),
        prop::option::of(0..=LAST_US),
        prop::option::of(0..=LAST_US / 86_400_000_000),
    );
    (texts, numbers).prop_map(|((note, extra, count, paid), (total, quantity, rate, at, day))| {
        let mut row = Row::default();
        let mut put = |name: &'static str, cell: Option<Cell>| cell.map(|c| row.cells.insert(name, c));
        put("note", note.map(Cell::Text));
        put("extra", extra.map(|e| Cell::Text(e.into())));
        put("count", count.map(Cell::Int));
        put("paid", paid.map(Cell::Bool));
        put("total", total.map(Cell::Decimal));
        put("quantity", quantity.map(Cell::Decimal));
        put("rate", rate.map(Cell::Decimal));
        put("at", at.map(Cell::Int));
        put("day", day.map(Cell::Int));
        row
    })
}

/// Writes rows, compares each cell with Postgres' text, reads the batch back.
async fn round_trip(mut rows: Vec<Row>) {
    let (db, who) = (Database::new().await, owner("acme"));
    let (mut pg, _) = opened(&db, &who).await;
    for (n, row) in rows.iter_mut().enumerate() {
        *row = Row { id: format!("b{n:04}"), version: 1, observed_at: 1, row_hash: 1, ..row.clone() };
    }
    let sent = commit(&who, 5, &rows, &[]);
    pg.commit(sent.clone()).await.unwrap();
    let mut sql = db.session().await;
    for column in bills().columns.iter().skip(1) {
        let name = &column.name;
        let found: Vec<Option<String>> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "select \"{name}\"::text from billing.bills order by id"
        )))
        .fetch_all(&mut sql)
        .await
        .unwrap();
        let wanted: Vec<Option<String>> =
            rows.iter().map(|r| r.cells.get(name.as_str()).map(|c| expected(c, name))).collect();
        assert_eq!(found, wanted, "{name}");
    }
    let read = pg.read(&bills(), Layer::Current).await.unwrap();
    let read: RecordBatch = concat_batches(&bills().schema(), &read).unwrap();
    assert_eq!(read, sent.rows.unwrap().main);
    let history = pg.read(&bills(), Layer::History).await.unwrap();
    assert_eq!(history[0].schema(), bills().history_schema());
}

#[test]
fn every_value_comes_back_as_it_was_and_reads_as_it_is() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 4,
        max_shrink_iters: 32,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let rows = prop::collection::vec(cells(), 200);
    runner
        .run(&rows, |rows| {
            runtime.block_on(round_trip(rows));
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn nulls_and_extremes_come_back() {
    let full = |int: i64, decimals: [i128; 3], at: i64, text: &str| {
        Row::default()
            .with("note", Cell::Text(text.into()))
            .with("count", Cell::Int(int))
            .with("paid", Cell::Bool(int > 0))
            .with("total", Cell::Decimal(decimals[0]))
            .with("quantity", Cell::Decimal(decimals[1]))
            .with("rate", Cell::Decimal(decimals[2]))
            .with("at", Cell::Int(at))
            .with("day", Cell::Int(at / 86_400_000_000))
    };
    let most = |digits: u32| 10_i128.pow(digits) - 1;
    round_trip(vec![
        Row::default(),
        full(i64::MAX, [most(28), most(38), most(24)], LAST_US, "\u{1F600} \u{10FFFF} tab\t nl\n \\ \" '"),
        full(i64::MIN, [-most(28), -most(38), -most(24)], 0, ""),
        full(0, [0, 0, 0], 1, &"x".repeat(1 << 20)),
        full(1, [1, 1, 1], 1, "null"),
        full(-1, [100_000_000, 10_i128.pow(12), 10_i128.pow(16)], 1, "\u{7f}"),
    ])
    .await;
}

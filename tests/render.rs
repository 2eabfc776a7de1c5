//! How results look at several widths, in a pipe, and as JSON, CSV and Parquet.
use arrow::{
    array::{
        ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, ListArray, RecordBatch,
        StringArray, StructArray, TimestampMicrosecondArray,
    },
    datatypes::{DataType, Field, Int64Type, Schema, SchemaRef},
};
use insta::assert_snapshot;
use std::{sync::Arc, time::Duration};
use tidegate::{
    cli::{
        args::Format,
        render::{Look, errors, figures, progress::Lines, rows, summary, table::Table},
    },
    error::{Error, Kind},
    sync::{
        progress::Progress,
        summary::{Status, StreamSummary, Summary},
    },
    time::Timestamp,
};

const NOW: Timestamp = Timestamp::from_secs(1_769_824_800);

/// A terminal without colour. Groups are shown with `'` to be seen.
fn terminal(width: u16) -> Look {
    Look { width: Some(width), colour: false, grouped: true }
}

fn seen(text: String) -> String {
    text.replace('\u{202f}', "'")
}

fn run() -> Summary {
    let stream = |name: &str, requests, read, changed, rejected, bytes, millis| StreamSummary {
        stream: name.into(),
        requests,
        read,
        changed,
        unchanged: read - changed - rejected,
        rejected,
        bytes,
        millis,
        data_through: Some(NOW),
        rows_written: changed * 3,
        ..StreamSummary::default()
    };
    Summary {
        pipeline: "acme".into(),
        tenant: "acme".into(),
        connection: "acme".into(),
        errand: None,
        run_id: None,
        started: NOW,
        finished: NOW.plus(Duration::from_millis(75_300)),
        status: Status::Completed,
        streams: vec![
            stream("customers", 201, 20_000, 20_000, 0, 31_400_000, 8_250),
            stream("subscriptions", 1, 12, 3, 0, 9_120, 310),
            stream("invoices", 1_204, 120_345, 1_250, 2, 1_554_000_000, 75_000),
        ],
        erased: 0,
        error: None,
        next: vec!["tidegate quarantine list acme".into()],
    }
}

fn partial() -> Summary {
    let mut run = run();
    run.status = Status::Partial;
    run.streams.truncate(2);
    run.streams[1].data_through = None;
    run.streams[1].deleted = 7;
    run.streams[1].error = Some("the provider does not offer it (status 403)".into());
    run
}

#[test]
fn a_summary_at_120_columns_shows_everything() {
    assert_snapshot!(seen(summary::text(&run(), &terminal(120))), @r#"
acme completed in 1m 15s: 1'406 requests, 1.5 GB

stream         requests     read  changed  unchanged  rejected    bytes    time  data through
─────────────────────────────────────────────────────────────────────────────────────────────────
customers           201   20'000   20'000          0         0  31.4 MB   8.2 s  2026-01-31 02:00
subscriptions         1       12        3          9         0   9.1 kB  310 ms  2026-01-31 02:00
invoices          1'204  120'345    1'250    119'093         2   1.5 GB  1m 15s  2026-01-31 02:00

next: tidegate quarantine list acme
"#);
}

#[test]
fn a_summary_at_80_columns_leaves_out_what_its_title_says() {
    let text = seen(summary::text(&run(), &terminal(80)));
    assert!(text.lines().all(|l| l.chars().count() <= 80));
    assert_snapshot!(text, @r#"
acme completed in 1m 15s: 1'406 requests, 1.5 GB

stream            read  changed  unchanged  rejected    time  data through
──────────────────────────────────────────────────────────────────────────────
customers       20'000   20'000          0         0   8.2 s  2026-01-31 02:00
subscriptions       12        3          9         0  310 ms  2026-01-31 02:00
invoices       120'345    1'250    119'093         2  1m 15s  2026-01-31 02:00

next: tidegate quarantine list acme
"#);
}

#[test]
fn a_summary_at_40_columns_becomes_blocks() {
    let text = seen(summary::text(&run(), &terminal(40)));
    assert!(text.lines().skip(1).all(|l| l.chars().count() <= 40));
    assert_snapshot!(text, @r#"
acme completed in 1m 15s: 1'406 requests, 1.5 GB

customers
  requests      201
  read          20'000
  changed       20'000
  unchanged     0
  rejected      0
  bytes         31.4 MB
  time          8.2 s
  data through  2026-01-31 02:00
subscriptions
  requests      1
  read          12
  changed       3
  unchanged     9
  rejected      0
  bytes         9.1 kB
  time          310 ms
  data through  2026-01-31 02:00
invoices
  requests      1'204
  read          120'345
  changed       1'250
  unchanged     119'093
  rejected      2
  bytes         1.5 GB
  time          1m 15s
  data through  2026-01-31 02:00

next: tidegate quarantine list acme
"#);
}

#[test]
fn a_summary_in_a_pipe_has_no_styles_groups_or_limits() {
    assert_snapshot!(summary::text(&partial(), &Look::plain()), @r#"
acme partial in 1m 15s: 202 requests, 31.4 MB

stream         requests   read  changed  unchanged  rejected  deleted    bytes    time  data through
────────────────────────────────────────────────────────────────────────────────────────────────────────
customers           201  20000    20000          0         0        0  31.4 MB   8.2 s  2026-01-31 02:00
subscriptions         1     12        3          9         0        7   9.1 kB  310 ms  -

failed: subscriptions: the provider does not offer it (status 403)
next: tidegate quarantine list acme
"#);
    let narrow = seen(summary::text(&partial(), &terminal(80)));
    assert!(narrow.contains("deleted") && !narrow.contains("unchanged"), "{narrow}");
}

#[test]
fn colour_changes_no_width_and_can_be_taken_away() {
    let coloured = summary::text(&partial(), &Look { colour: true, ..terminal(120) });
    assert!(coloured.contains("\u{1b}[1m") && coloured.contains("\u{1b}[33mpartial\u{1b}[0m"));
    let mut bare = String::new();
    let mut parts = coloured.split('\u{1b}');
    bare.push_str(parts.next().unwrap());
    for part in parts {
        bare.push_str(part.split_once('m').unwrap().1);
    }
    let trimmed: String = bare.lines().map(|l| format!("{}\n", l.trim_end())).collect();
    assert_eq!(trimmed, summary::text(&partial(), &terminal(120)));
}

#[test]
fn a_summary_survives_its_stored_form() {
    let text = serde_json::to_string(&partial()).unwrap();
    assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), partial());
    assert!(text.contains(r#""status":"partial""#));
}

fn text_table() -> Table {
    let mut table = Table::new().text("id").text("rule").text("message").number("count");
    table.row(vec![
        "12-0".into(),
        "wrong_type".into(),
        "total: found the text \"abc\", expected an integer number of minor units".into(),
        "3".into(),
    ]);
    table.row(vec!["12-1".into(), "duplicate_key".into(), String::new(), "1".into()]);
    table
}

#[test]
fn long_text_wraps_before_a_table_gives_up() {
    assert_snapshot!(text_table().draw(&terminal(120)), @r#"
id    rule           message                                                                 count
──────────────────────────────────────────────────────────────────────────────────────────────────
12-0  wrong_type     total: found the text "abc", expected an integer number of minor units      3
12-1  duplicate_key                                                                              1
"#);
    assert_snapshot!(text_table().draw(&terminal(60)), @r#"
id    rule           message                        count
─────────────────────────────────────────────────────────
12-0  wrong_type     total: found the text "abc",       3
                     expected an integer number of
                     minor units
12-1  duplicate_key                                     1
"#);
    assert_snapshot!(text_table().draw(&terminal(40)), @r#"
12-0
  rule     wrong_type
  message  total: found the text "abc",
           expected an integer number of
           minor units
  count    3
12-1
  rule     duplicate_key
  count    1
"#);
}

#[test]
fn no_table_is_wider_than_the_terminal() {
    for width in 40..130 {
        for table in [text_table().draw(&terminal(width)), seen(summary::text(&run(), &terminal(width)))] {
            let widest = table.lines().skip(1).map(|l| l.chars().count()).max().unwrap();
            assert!(widest <= usize::from(width), "{width}:\n{table}");
        }
    }
}

fn sample() -> (SchemaRef, RecordBatch) {
    let line = Field::new("amount", DataType::Int64, true);
    let lines = StructArray::from(vec![(
        Arc::new(line),
        Arc::new(Int64Array::from(vec![Some(9), None])) as ArrayRef,
    )]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(StringArray::from(vec!["inv,1", "say \"hi\"\n"]))),
        ("note", Arc::new(StringArray::from(vec![Some(""), None]))),
        ("paid", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("version", Arc::new(Int64Array::from(vec![Some(9_007_199_254_740_993), None]))),
        (
            "total",
            Arc::new(
                Decimal128Array::from(vec![Some(1_234_567_890_123_450_000_000), Some(-1)])
                    .with_precision_and_scale(28, 8)
                    .unwrap(),
            ),
        ),
        ("day", Arc::new(Date32Array::from(vec![Some(20_000), None]))),
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from(vec![
                Some(1_769_824_800_000_000),
                Some(1_769_824_800_000_001),
            ])),
        ),
        (
            "tags",
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(vec![
                Some(vec![Some(1), None]),
                None,
            ])),
        ),
        ("line", Arc::new(lines)),
    ];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    (batch.schema(), batch)
}

fn written(format: Format) -> String {
    let (schema, batch) = sample();
    let mut out = Vec::new();
    assert_eq!(rows::write(&mut out, &schema, &[batch.clone(), batch.slice(0, 0)], format).unwrap(), 2);
    String::from_utf8(out).unwrap()
}

#[test]
fn csv_keeps_every_digit_and_tells_null_from_empty() {
    assert_eq!(
        written(Format::Csv),
        "id,note,paid,version,total,day,at,tags,line\r\n\
         \"inv,1\",\"\",true,9007199254740993,12345678901234.50000000,2024-10-04,2026-01-31T02:00:00Z,\"[1,null]\",\"{\"\"amount\"\":9}\"\r\n\
         \"say \"\"hi\"\"\n\",,,,-0.00000001,,2026-01-31T02:00:00.000001Z,,\"{\"\"amount\"\":null}\"\r\n"
    );
}

#[test]
fn json_keeps_every_digit_and_is_json() {
    let text = written(Format::Json);
    assert_eq!(
        text,
        "[\n{\"id\":\"inv,1\",\"note\":\"\",\"paid\":true,\"version\":9007199254740993,\"total\":\"12345678901234.50000000\",\
         \"day\":\"2024-10-04\",\"at\":\"2026-01-31T02:00:00Z\",\"tags\":[1,null],\"line\":{\"amount\":9}},\n\
         {\"id\":\"say \\\"hi\\\"\\n\",\"note\":null,\"paid\":null,\"version\":null,\"total\":\"-0.00000001\",\
         \"day\":null,\"at\":\"2026-01-31T02:00:00.000001Z\",\"tags\":null,\"line\":{\"amount\":null}}\n]\n"
    );
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&text).unwrap().len(), 2);
    let mut none = Vec::new();
    rows::write(&mut none, &sample().0, &[], Format::Json).unwrap();
    assert_eq!(none, b"[]\n");
}

#[test]
fn rows_as_a_table_group_figures_and_drop_idle_zeros() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("status", Arc::new(StringArray::from(vec!["paid", "open"]))),
        (
            "total",
            Arc::new(
                Decimal128Array::from(vec![123_456_780_000_000, 12_345_678])
                    .with_precision_and_scale(28, 8)
                    .unwrap(),
            ),
        ),
        ("count", Arc::new(Int64Array::from(vec![1_234_567, -999]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let text = rows::table(&batch.schema(), std::slice::from_ref(&batch), &terminal(80)).unwrap();
    assert_snapshot!(seen(text), @r#"
status         total      count
───────────────────────────────
paid    1'234'567.80  1'234'567
open      0.12345678       -999
"#);
    let piped = rows::table(&batch.schema(), std::slice::from_ref(&batch), &Look::plain()).unwrap();
    assert!(piped.contains("1234567.80  1234567\n"), "{piped}");
    let empty = Arc::new(Schema::empty());
    assert_eq!(rows::table(&empty, &[], &terminal(80)).unwrap(), "no rows\n");
}

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (schema, batch) = sample();
    for (name, format) in [("a.csv", Format::Csv), ("a.json", Format::Json), ("a.parquet", Format::Parquet)] {
        assert_eq!(
            rows::to_file(&folder.path().join(name), &schema, std::slice::from_ref(&batch), format).unwrap(),
            2
        );
    }
    let file = std::fs::File::open(folder.path().join("a.parquet")).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap();
    let back: Vec<RecordBatch> = reader.map(|b| b.unwrap()).collect();
    assert_eq!(back.as_slice(), std::slice::from_ref(&batch));
    assert_eq!(std::fs::read_to_string(folder.path().join("a.csv")).unwrap(), written(Format::Csv));

    let other = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, false)]));
    let error =
        rows::to_file(&folder.path().join("b.parquet"), &other, &[batch], Format::Parquet).unwrap_err();
    assert_eq!(error.kind(), Kind::Destination);
    assert_eq!(
        rows::to_file(&folder.path().join("no/b.csv"), &schema, &[], Format::Csv).unwrap_err().kind(),
        Kind::Destination
    );
    let mut left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["a.csv", "a.json", "a.parquet"]);
}

fn failure() -> Error {
    let io = std::io::Error::other("connection refused");
    Error::new(Kind::Destination, "cannot reach the database")
        .with("pipeline", "acme")
        .with("host", "127.0.0.1:5432")
        .because(io)
        .hint("start Postgres, then: tidegate check acme")
}

#[test]
fn an_error_says_what_why_and_what_next() {
    assert_snapshot!(errors::text(&failure(), &terminal(80)), @r"
    error: cannot reach the database (pipeline acme, host 127.0.0.1:5432)
      cause: connection refused
      next: start Postgres, then: tidegate check acme
    ");
    assert_eq!(errors::text(&Error::new(Kind::Bug, "odd"), &Look::plain()), "error: odd");
    assert_eq!(
        errors::json(&failure()).to_string(),
        r#"{"error":{"kind":"destination","what":"cannot reach the database","context":{"pipeline":"acme","host":"127.0.0.1:5432"},"causes":["connection refused"],"next":"start Postgres, then: tidegate check acme","exit":8}}"#
    );
}

#[test]
fn figures_are_short_and_exact_enough() {
    let counts = [0, 999, 1000, 1_234_567].map(|n| seen(figures::grouped(n)));
    assert_eq!(counts, ["0", "999", "1'000", "1'234'567"]);
    assert_eq!(seen(figures::group("-1234567.12345")), "-1'234'567.12345");
    let bytes = [0, 999, 1000, 99_949, 100_000, 999_999, 1_000_000, 240_000_000, 1_554_000_000, u64::MAX]
        .map(figures::bytes);
    assert_eq!(
        bytes,
        [
            "0 B",
            "999 B",
            "1.0 kB",
            "99.9 kB",
            "100 kB",
            "999 kB",
            "1.0 MB",
            "240 MB",
            "1.5 GB",
            "18446744 TB"
        ]
    );
    let times = [0, 999, 1000, 59_999, 60_000, 3_599_999, 7_380_000, 100_000_000]
        .map(|ms| figures::length(Duration::from_millis(ms)));
    assert_eq!(times, ["0 ms", "999 ms", "1.0 s", "59.9 s", "1m 00s", "59m 59s", "2h 03m", "1d 03h"]);
    let later = |secs| NOW.plus(Duration::from_secs(secs));
    assert_eq!(figures::relative(NOW, later(185)), "3m 05s ago");
    assert_eq!(figures::relative(later(7_380), NOW), "in 2h 03m");
    assert_eq!(figures::relative(NOW, NOW.plus(Duration::from_millis(400))), "now");
}

#[test]
fn without_a_terminal_progress_is_a_line_now_and_then() {
    let mut lines = Lines::new(Look::plain());
    let stream = || "invoices".to_owned();
    let page = || Progress::Page { stream: stream(), records: 100, bytes: 300_000, requests: 1 };
    let at = |secs| NOW.plus(Duration::from_secs(secs));
    assert_eq!(lines.line(at(0), &Progress::StreamStarted { stream: stream() }), None);
    assert_eq!(lines.line(at(1), &page()), None);
    assert_eq!(lines.line(at(10), &page()).unwrap(), "invoices: 200 records, 600 kB, 2 requests");
    assert_eq!(lines.line(at(19), &page()), None);
    let short = Progress::Waiting { until: at(22), why: "rate limit".into() };
    assert_eq!(lines.line(at(19), &short), None);
    let long = Progress::Waiting { until: at(79), why: "rate limit".into() };
    assert_eq!(lines.line(at(19), &long).unwrap(), "waiting 1m 00s: rate limit");
    let commit = Progress::Committed { stream: stream(), changed: 298, unchanged: 0, rejected: 2 };
    assert_eq!(lines.line(at(20), &commit).unwrap(), "invoices: 300 records, 900 kB, 3 requests, 2 rejected");
    let done = Progress::StreamDone { stream: stream() };
    assert_eq!(
        lines.line(at(20), &done).unwrap(),
        "invoices: done, 300 records, 900 kB, 3 requests, 2 rejected"
    );
    let failed = Progress::StreamFailed { stream: "x".into(), error: "refused".into() };
    assert_eq!(lines.line(at(20), &failed).unwrap(), "x: failed: refused");
    assert_eq!(serde_json::to_string(&done).unwrap(), r#"{"event":"stream_done","stream":"invoices"}"#);
}

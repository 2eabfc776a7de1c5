//! Someone else reads the lake: DuckDB, pyarrow and Polars by glob, or the bare parquet crate where they are absent.
//!
//! Nothing of tidegate's own reading code is used here, so it can vouch for what tidegate wrote.
use arrow::{
    array::{Array as _, AsArray as _, RecordBatch},
    datatypes::{DataType, Decimal128Type, Field, Int64Type, Schema},
    util::display::{ArrayFormatter, FormatOptions},
};
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

/// Independent readers, by the name of their Python package.
pub(crate) const READERS: [&str; 3] = ["duckdb", "pyarrow", "polars"];

/// Rows and exact sums of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Values of the grouping columns as text; None is NULL.
    pub(crate) key: Vec<Option<String>>,
    /// Number of rows.
    pub(crate) rows: u64,
    /// One per summed column, plain decimal with 8 digits; NULL counts as 0.
    pub(crate) sums: Vec<String>,
}

/// Groups and sums `<root>/<entity>/**/*.parquet` as every available independent reader sees it, and checks that all
/// of them agree. Sorted by key. Without Python it says so on stderr and the parquet crate reads.
pub(crate) fn independent_sums(root: &Path, entity: &str, group_by: &[&str], sums: &[&str]) -> Vec<Group> {
    let Some(python) = python() else {
        eprintln!(
            "NOTE: no independent reader: set TIDEGATE_PYTHON or make {} with duckdb, pyarrow and polars; \
             the parquet crate reads instead",
            default_python().display()
        );
        return parquet_sums(root, entity, group_by, sums);
    };
    let read = |reader: &str| python_sums(&python, reader, root, entity, group_by, sums);
    let first = read(READERS[0]);
    for reader in &READERS[1..] {
        assert_eq!(read(reader), first, "{reader} reads {entity} differently from {}", READERS[0]);
    }
    first
}

fn default_python() -> PathBuf {
    PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/tidegate/py/bin/python")
}

fn python() -> Option<PathBuf> {
    let chosen = std::env::var_os("TIDEGATE_PYTHON").map(PathBuf::from);
    chosen.or_else(|| Some(default_python()).filter(|p| p.exists()))
}

fn python_sums(
    python: &Path,
    reader: &str,
    root: &Path,
    entity: &str,
    group_by: &[&str],
    sums: &[&str],
) -> Vec<Group> {
    let out = Command::new(python)
        .args(["-c", include_str!("reader/sums.py"), reader])
        .arg(root.join(entity))
        .args([group_by.join(","), sums.join(",")])
        .output()
        .expect("Python starts");
    assert!(out.status.success(), "{reader} cannot read {entity}: {}", String::from_utf8_lossy(&out.stderr));
    let rows: Vec<Vec<Option<String>>> = serde_json::from_slice(&out.stdout).unwrap();
    let group = |mut row: Vec<Option<String>>| {
        let sums = row.split_off(group_by.len() + 1).into_iter().map(|s| s.unwrap()).collect();
        let rows = row.pop().flatten().unwrap().parse().unwrap();
        Group { key: row, rows, sums }
    };
    sorted(rows.into_iter().map(group).collect())
}

fn parquet_sums(root: &Path, entity: &str, group_by: &[&str], sums: &[&str]) -> Vec<Group> {
    let mut groups: BTreeMap<Vec<Option<String>>, (u64, Vec<i128>)> = BTreeMap::new();
    for file in files(&root.join(entity)) {
        let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(file).unwrap()).unwrap();
        for batch in reader.build().unwrap() {
            add(&mut groups, &batch.unwrap(), group_by, sums);
        }
    }
    let group = |(key, (rows, sums)): (Vec<Option<String>>, (u64, Vec<i128>))| Group {
        key,
        rows,
        sums: sums.into_iter().map(decimal).collect(),
    };
    sorted(groups.into_iter().map(group).collect())
}

fn add(
    groups: &mut BTreeMap<Vec<Option<String>>, (u64, Vec<i128>)>,
    batch: &RecordBatch,
    group_by: &[&str],
    sums: &[&str],
) {
    let column = |name: &str| batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
    let options = FormatOptions::default();
    let text = |name: &str, row: usize| {
        let values = column(name);
        (!values.is_null(row))
            .then(|| ArrayFormatter::try_new(values, &options).unwrap().value(row).to_string())
    };
    let units = |name: &str, row: usize| {
        let values = column(name);
        match values.data_type() {
            _ if values.is_null(row) => 0,
            DataType::Decimal128(_, 8) => values.as_primitive::<Decimal128Type>().value(row),
            DataType::Int64 => i128::from(values.as_primitive::<Int64Type>().value(row)) * 100_000_000,
            other => panic!("{name} is {other}"),
        }
    };
    for row in 0..batch.num_rows() {
        let key = group_by.iter().map(|name| text(name, row)).collect();
        let group = groups.entry(key).or_insert((0, vec![0; sums.len()]));
        group.0 += 1;
        for (at, name) in sums.iter().enumerate() {
            group.1[at] += units(name, row);
        }
    }
}

fn decimal(v: i128) -> String {
    let sign = if v < 0 { "-" } else { "" };
    format!("{sign}{}.{:08}", v.abs() / 100_000_000, v.abs() % 100_000_000)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "parquet") {
            found.push(path);
        }
    }
    found
}

fn sorted(mut groups: Vec<Group>) -> Vec<Group> {
    groups.sort_by(|a, b| a.key.cmp(&b.key));
    groups
}

/// Two month files of one owner and one without date, in the lake's layout.
fn sample(root: &Path) {
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, false),
        Field::new("currency", DataType::Utf8, true),
        Field::new("total", DataType::Decimal128(28, 8), true),
        Field::new("attempts", DataType::Int64, true),
    ]));
    let months: [(&str, &[Option<i128>]); 3] = [
        ("2024-01", &[Some(1), Some(9_999_999_999_999_999_999_999_999)]),
        ("2024-02", &[Some(-250_000_000), None]),
        ("none", &[Some(3)]),
    ];
    for (month, totals) in months {
        let folder = root.join(format!("invoices/tenant=acme/connection=main/month={month}"));
        fs::create_dir_all(&folder).unwrap();
        let ids = (0..totals.len()).map(|n| Some(format!("{month}-{n}")));
        let currencies =
            (0..totals.len()).map(|n| if month == "none" { None } else { Some(["USD", "EUR"][n]) });
        let totals = arrow::array::Decimal128Array::from(totals.to_vec());
        let attempts = arrow::array::Int64Array::from(vec![2; totals.len()]);
        let batch = RecordBatch::try_new(
            Arc::clone(&schema),
            vec![
                Arc::new(ids.collect::<arrow::array::StringArray>()),
                Arc::new(currencies.collect::<arrow::array::StringArray>()),
                Arc::new(totals.with_precision_and_scale(28, 8).unwrap()),
                Arc::new(attempts),
            ],
        )
        .unwrap();
        let file = fs::File::create(folder.join("part-0.parquet")).unwrap();
        let mut writer = ArrowWriter::try_new(file, Arc::clone(&schema), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
}

#[test]
fn other_readers_see_every_row_and_the_exact_sums() {
    let root = tempfile::tempdir().unwrap();
    sample(root.path());
    let group = |key: Option<&str>, rows: u64, total: &str, attempts: &str| Group {
        key: vec![key.map(str::to_owned)],
        rows,
        sums: vec![total.to_owned(), attempts.to_owned()],
    };
    let expected = vec![
        group(None, 1, "0.00000003", "2.00000000"),
        group(Some("EUR"), 2, "99999999999999999.99999999", "4.00000000"),
        group(Some("USD"), 2, "-2.49999999", "4.00000000"),
    ];
    let columns = ["total", "attempts"];
    assert_eq!(independent_sums(root.path(), "invoices", &["currency"], &columns), expected);
    assert_eq!(parquet_sums(root.path(), "invoices", &["currency"], &columns), expected);
}

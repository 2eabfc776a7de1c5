//! Arrow rows as the truth writes them: canonical text, absent for NULL.
use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    datatypes::{DataType, Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType},
};
use chrono::{DateTime, SecondsFormat, TimeDelta};
use std::collections::BTreeMap;
use tidegate::{
    entity::{PREFIX, SUFFIX},
    sim::truth::{Columns, Rows},
};

fn cell(array: &ArrayRef, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().value(row);
            (DateTime::UNIX_EPOCH.date_naive() + TimeDelta::days(i64::from(days))).to_string()
        }
        DataType::Timestamp(..) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            let places = if micros % 1_000_000 == 0 { SecondsFormat::Secs } else { SecondsFormat::Micros };
            DateTime::from_timestamp_micros(micros).unwrap().to_rfc3339_opts(places, true)
        }
        DataType::Decimal128(_, scale) => {
            let value = array.as_primitive::<Decimal128Type>().value(row);
            let digits = format!("{:0>width$}", value.unsigned_abs(), width = *scale as usize + 1);
            let (whole, fraction) = digits.split_at(digits.len() - *scale as usize);
            let fraction = fraction.trim_end_matches('0');
            let sign = if value < 0 { "-" } else { "" };
            if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
        }
        other => panic!("no canonical text for {other}"),
    })
}

fn columns(batch: &RecordBatch, row: usize) -> Columns {
    let mut out = Columns::new();
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        let name = field.name().as_str();
        let ours = PREFIX.contains(&name)
            || SUFFIX.iter().any(|(n, ..)| *n == name)
            || ["op", "commit_no"].contains(&name);
        if !ours && let Some(text) = cell(array, row) {
            out.insert(name.to_owned(), text);
        }
    }
    out.insert("version".into(), cell(&batch["version"], row).unwrap());
    if batch["deleted_at"].is_valid(row) {
        out.insert("_deleted".into(), "true".into());
    }
    out
}

/// Own columns, `version` and `_deleted` of current rows, by id. A doubled id panics.
pub(crate) fn canonical(batches: &[RecordBatch]) -> Rows {
    let mut rows = Rows::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let id = cell(&batch["id"], row).unwrap();
            assert!(rows.insert(id.clone(), columns(batch, row)).is_none(), "row {id} is there twice");
        }
    }
    rows
}

/// The same of the newest history row per id; a removed row is not there.
pub(crate) fn newest(batches: &[RecordBatch]) -> Rows {
    let mut newest: BTreeMap<String, (i64, Option<Columns>)> = BTreeMap::new();
    for batch in batches {
        let commits = batch["commit_no"].as_primitive::<Int64Type>();
        let ops = batch["op"].as_string::<i32>();
        for row in 0..batch.num_rows() {
            let id = cell(&batch["id"], row).unwrap();
            let state = (ops.value(row) == "upsert").then(|| columns(batch, row));
            let commit = commits.value(row);
            let slot = newest.entry(id.clone()).or_insert((i64::MIN, None));
            assert!(commit != slot.0, "row {id} has two states in commit {commit}");
            if commit > slot.0 {
                *slot = (commit, state);
            }
        }
    }
    newest.into_iter().filter_map(|(id, (_, state))| Some((id, state?))).collect()
}

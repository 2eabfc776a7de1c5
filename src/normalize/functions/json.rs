//! JSON columns: canonical text (sorted keys, no spaces, numbers as in the source).
use super::{Context, argument, misuse, refuse, texts};
use crate::normalize::exact;
use arrow::{
    array::{Array, ArrayRef, AsArray, StringArray},
    compute::cast,
    datatypes::{DataType, Decimal128Type},
};
use datafusion::common::Result;
use serde_json::value::RawValue;
use std::{collections::BTreeMap, sync::Arc};
use twox_hash::XxHash3_128;

pub(super) fn text_type(arguments: &[DataType]) -> Result<DataType> {
    if arguments.is_empty() { misuse("takes at least one argument") } else { Ok(DataType::Utf8) }
}

/// The part of a JSON text at a pointer, as JSON text. Canonical in, canonical out.
fn at<'a>(json: &'a str, pointer: &str) -> Option<&'a RawValue> {
    let mut here: &RawValue = serde_json::from_str(json).ok()?;
    for step in pointer.split('/').skip(1) {
        here = match step.parse::<usize>() {
            Ok(place) if here.get().starts_with('[') => {
                serde_json::from_str::<Vec<&RawValue>>(here.get()).ok()?.get(place).copied()?
            }
            _ => serde_json::from_str::<BTreeMap<String, &RawValue>>(here.get()).ok()?.get(step).copied()?,
        };
    }
    Some(here)
}

fn pointed(arguments: &[ArrayRef], read: fn(&RawValue) -> Option<String>) -> Result<ArrayRef> {
    let (documents, pointers) = (texts(arguments, 0)?, texts(arguments, 1)?);
    let values = documents.iter().zip(pointers.iter()).map(|(d, p)| at(d?, p?).and_then(read));
    Ok(Arc::new(values.collect::<StringArray>()))
}

/// JSON text at a pointer.
pub(super) fn pick(_: &Context, arguments: &[ArrayRef]) -> Result<ArrayRef> {
    pointed(arguments, |value| Some(value.get().to_owned()).filter(|t| t != "null"))
}

/// The text of a JSON string at a pointer; other values as their JSON text.
pub(super) fn text(_: &Context, arguments: &[ArrayRef]) -> Result<ArrayRef> {
    pointed(arguments, |value| match value.get() {
        "null" => None,
        json if json.starts_with('"') => serde_json::from_str(json).ok(),
        json => Some(json.to_owned()),
    })
}

/// One cell as JSON text.
fn cell(array: &ArrayRef, row: usize) -> Result<String> {
    if array.is_null(row) {
        return Ok("null".into());
    }
    let quoted = |t: &str| serde_json::Value::from(t).to_string();
    Ok(match array.data_type() {
        DataType::Utf8 => quoted(array.as_string::<i32>().value(row)),
        DataType::Decimal128(_, scale) => {
            exact::text(array.as_primitive::<Decimal128Type>().value(row), *scale)
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            let mut members = BTreeMap::new();
            for (field, column) in fields.iter().zip(columns.columns()) {
                if column.is_valid(row) {
                    members.insert(field.name().as_str(), cell(column, row)?);
                }
            }
            joined(&members)
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            let items = (0..items.len()).map(|i| cell(&items, i)).collect::<Result<Vec<_>>>()?;
            format!("[{}]", items.join(","))
        }
        DataType::Int64 | DataType::Boolean => {
            cast(&array.slice(row, 1), &DataType::Utf8)?.as_string::<i32>().value(0).to_owned()
        }
        DataType::Timestamp(..) | DataType::Date32 => {
            quoted(cast(&array.slice(row, 1), &DataType::Utf8)?.as_string::<i32>().value(0))
        }
        other => return refuse(format!("{other} has no JSON form here")),
    })
}

fn joined(members: &BTreeMap<&str, String>) -> String {
    let pairs: Vec<String> =
        members.iter().map(|(k, v)| format!("{}:{v}", serde_json::Value::from(*k))).collect();
    format!("{{{}}}", pairs.join(","))
}

/// A list as JSON text; NULL for an absent list.
pub(super) fn list_json(_: &Context, arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let list = argument(arguments, 0)?;
    let rows = (0..list.len()).map(|i| if list.is_null(i) { Ok(None) } else { cell(list, i).map(Some) });
    Ok(Arc::new(rows.collect::<Result<StringArray>>()?))
}

/// An object of key and value pairs; NULL values are left out, and all NULL is NULL.
pub(super) fn object(context: &Context, arguments: &[ArrayRef]) -> Result<ArrayRef> {
    if !arguments.len().is_multiple_of(2) {
        return misuse("takes keys and values in pairs");
    }
    let keys = (0..arguments.len()).step_by(2).map(|i| texts(arguments, i)).collect::<Result<Vec<_>>>()?;
    let mut out = Vec::with_capacity(context.rows);
    for row in 0..context.rows {
        let mut members = BTreeMap::new();
        for (key, value) in keys.iter().zip(arguments.iter().skip(1).step_by(2)) {
            if value.is_valid(row) {
                members.insert(key.value(row), cell(value, row)?);
            }
        }
        out.push((!members.is_empty()).then(|| joined(&members)));
    }
    Ok(Arc::new(StringArray::from(out)))
}

/// Stable id of several texts: 32 hex digits. NULL counts as a value of its own.
pub(super) fn hash_id(context: &Context, arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let columns = (0..arguments.len()).map(|i| texts(arguments, i)).collect::<Result<Vec<_>>>()?;
    let row_id = |row: usize| {
        let mut bytes = Vec::new();
        for column in &columns {
            let text = column.is_valid(row).then(|| column.value(row));
            bytes.extend(text.map_or(u64::MAX, |t| t.len() as u64).to_le_bytes());
            bytes.extend(text.unwrap_or_default().bytes());
        }
        Some(format!("{:032x}", XxHash3_128::oneshot(&bytes)))
    };
    Ok(Arc::new((0..context.rows).map(row_id).collect::<StringArray>()))
}

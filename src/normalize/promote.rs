//! One field out of a row's `custom_fields` as a column of its own, value by value.
//!
//! A merchant may change the type of a field at any time, so a value that does not fit is NULL and listed; the JSON
//! column keeps it as it came. Nothing is converted that would have to be guessed: `"7"` is a text, not a number.
use super::{
    cast::Misfit,
    exact::{self, OUT_OF_RANGE, Rule},
};
use crate::entity::ColumnType;
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use chrono::{DateTime, NaiveDate};
use serde_json::value::RawValue;
use std::{collections::BTreeMap, sync::Arc};

/// Longest part of a value that a message repeats.
const FOUND_CHARS: usize = 40;
const WRONG_TYPE: Rule = "wrong_type";
const BAD_TIME: Rule = "bad_time";

/// The member `name` of each JSON object of `fields`.
pub(super) fn column(
    fields: &StringArray,
    name: &str,
    ty: ColumnType,
    misfits: &mut Vec<Misfit>,
) -> ArrayRef {
    let mut values = Values { fields, name, misfits };
    match ty {
        ColumnType::Text => Arc::new(values.read(text).into_iter().collect::<StringArray>()),
        ColumnType::Json => Arc::new(values.read(|v| Ok(v.to_owned())).into_iter().collect::<StringArray>()),
        ColumnType::Bool => Arc::new(BooleanArray::from(values.read(boolean))),
        ColumnType::Int => Arc::new(Int64Array::from(values.read(int))),
        ColumnType::Money | ColumnType::Quantity | ColumnType::Rate => {
            let (precision, scale) = match ty {
                ColumnType::Money => (28, 8),
                ColumnType::Quantity => (38, 12),
                _ => (24, 12),
            };
            let numbers = values.read(|v| exact::parse(v.trim_matches('"'), scale, precision));
            let array: Decimal128Array = numbers.into_iter().collect();
            Arc::new(array.with_data_type(ty.arrow()))
        }
        ColumnType::Timestamp => Arc::new(TimestampMicrosecondArray::from(values.read(time))),
        ColumnType::Date => Arc::new(Date32Array::from(values.read(date))),
    }
}

struct Values<'a> {
    fields: &'a StringArray,
    name: &'a str,
    misfits: &'a mut Vec<Misfit>,
}

impl Values<'_> {
    /// `of` reads the JSON text of one value.
    fn read<T>(&mut self, of: impl Fn(&str) -> Result<T, Rule>) -> Vec<Option<T>> {
        let Self { fields, name, misfits } = self;
        let mut one = |(row, fields): (usize, Option<&str>)| {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(fields?).ok()?;
            let value = members.get(*name)?.get();
            if value == "null" {
                return None;
            }
            let found = || value.chars().take(FOUND_CHARS).collect();
            of(value).map_err(|rule| misfits.push(Misfit { row, rule, found: found() })).ok()
        };
        fields.iter().enumerate().map(&mut one).collect()
    }
}

fn text(json: &str) -> Result<String, Rule> {
    let text: String = serde_json::from_str(json).map_err(|_| WRONG_TYPE)?;
    if text.contains('\0') { Err("nul_character") } else { Ok(text) }
}

fn boolean(json: &str) -> Result<bool, Rule> {
    serde_json::from_str(json).map_err(|_| WRONG_TYPE)
}

fn int(json: &str) -> Result<i64, Rule> {
    let whole = exact::parse(json, 0, 38).map_err(|rule| match rule {
        exact::BAD_NUMBER_TEXT => WRONG_TYPE,
        other => other,
    })?;
    i64::try_from(whole).map_err(|_| OUT_OF_RANGE)
}

/// Seconds since 1970, or a time with its zone.
fn time(json: &str) -> Result<i64, Rule> {
    if !json.starts_with('"') {
        return int(json)?.checked_mul(1_000_000).ok_or(OUT_OF_RANGE);
    }
    let time = DateTime::parse_from_rfc3339(json.trim_matches('"')).map_err(|_| BAD_TIME)?;
    Ok(time.timestamp_micros())
}

fn date(json: &str) -> Result<i32, Rule> {
    let day: NaiveDate = text(json)?.parse().map_err(|_| BAD_TIME)?;
    let days = day.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).map_err(|_| OUT_OF_RANGE)
}

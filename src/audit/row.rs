//! One row as bytes that every destination agrees on, and a digest of many rows that does not depend on their order.
//!
//! A canonical row is a living row's own columns and the provider's version. Left out, because two honest readers differ
//! in them: deleted rows, which a destination that was loaded later never had, when a state was observed, commit
//! numbers, and the version of a child row, which is that of its parent when the child last changed.
use crate::{
    entity::{ColumnType, Entity},
    error::{Error, Kind, Result},
};
use arrow::{
    array::{
        Array, AsArray, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
        TimestampMicrosecondArray,
    },
    datatypes::{DataType, Date32Type, Decimal128Type, Int64Type, TimeUnit, TimestampMicrosecondType},
};
use chrono::{DateTime, SecondsFormat};
use ring::digest::{Context, SHA256};
use std::fmt::Write as _;

/// Decimal places of a money column.
const MONEY_PLACES: usize = 8;

/// SHA-256 of canonical rows, added up modulo 2^256: the same rows in any order give the same digest, and a row that is
/// there twice does not cancel out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest([u64; 4]);

impl Digest {
    /// Adds one row.
    pub fn add(&mut self, row: &Row) {
        self.merge(&Self::of(row));
    }
    fn of(row: &Row) -> Self {
        let (words, _) = row.0.as_chunks::<8>();
        let mut all = [0; 4];
        all.iter_mut().zip(words).for_each(|(to, from)| *to = u64::from_le_bytes(*from));
        Self(all)
    }
    /// Adds the rows of another digest.
    pub fn merge(&mut self, other: &Self) {
        let mut carry = false;
        for (to, from) in self.0.iter_mut().zip(other.0) {
            let (sum, over) = to.overflowing_add(from);
            let (sum, more) = sum.overflowing_add(u64::from(carry));
            *to = sum;
            carry = over || more;
        }
    }
    /// 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        let mut text = String::new();
        for word in self.0.iter().rev() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{word:016x}");
        }
        text
    }
}

/// SHA-256 of one canonical row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row([u8; 32]);

enum Values<'a> {
    Text(&'a StringArray),
    Int(&'a Int64Array),
    Bool(&'a BooleanArray),
    Date(&'a Date32Array),
    Time(&'a TimestampMicrosecondArray),
    Decimal(&'a Decimal128Array),
}

struct Cells<'a> {
    /// Stands for the column's name in the bytes.
    tag: [u8; 8],
    name: &'a str,
    pii: bool,
    values: Values<'a>,
}

/// A batch of an entity's current rows, read as canonical rows.
pub struct Rows<'a> {
    cells: Vec<Cells<'a>>,
    deleted: &'a dyn Array,
    count: usize,
}

fn unfit(column: &str) -> Error {
    Error::new(Kind::Bug, "a batch lacks a column or holds another type").with("column", column)
}

fn values<'a>(batch: &'a RecordBatch, name: &str) -> Result<Values<'a>> {
    let column = batch.column_by_name(name).ok_or_else(|| unfit(name))?;
    let found = match column.data_type() {
        DataType::Utf8 => column.as_string_opt().map(Values::Text),
        DataType::Int64 => column.as_primitive_opt::<Int64Type>().map(Values::Int),
        DataType::Boolean => column.as_boolean_opt().map(Values::Bool),
        DataType::Date32 => column.as_primitive_opt::<Date32Type>().map(Values::Date),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            column.as_primitive_opt::<TimestampMicrosecondType>().map(Values::Time)
        }
        DataType::Decimal128(..) => column.as_primitive_opt::<Decimal128Type>().map(Values::Decimal),
        _ => None,
    };
    found.ok_or_else(|| unfit(name))
}

impl<'a> Rows<'a> {
    /// Fails `Bug` when the batch does not have the entity's schema.
    pub fn of(entity: &'a Entity, batch: &'a RecordBatch) -> Result<Self> {
        let own = entity.columns.iter().map(|c| (c.name.as_str(), c.pii));
        let version = entity.parent.is_none().then_some(("version", false));
        let cells = own.chain(version).map(|(name, pii)| {
            let tag = twox_hash::XxHash3_128::oneshot(name.as_bytes()).to_le_bytes();
            let (tag, _) = tag.split_first_chunk::<8>().ok_or_else(|| unfit(name))?;
            Ok(Cells { tag: *tag, name, pii, values: values(batch, name)? })
        });
        let deleted = batch.column_by_name("deleted_at").ok_or_else(|| unfit("deleted_at"))?;
        Ok(Self { cells: cells.collect::<Result<_>>()?, deleted: deleted.as_ref(), count: batch.num_rows() })
    }
    /// How many.
    pub fn len(&self) -> usize {
        self.count
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
    /// The digest of one row; None when it is deleted. `room` is reused from row to row. NULL columns leave no trace, so
    /// a column that one side does not have yet changes nothing.
    pub fn row(&self, row: usize, room: &mut Vec<u8>) -> Option<Row> {
        if self.deleted.is_valid(row) {
            return None;
        }
        room.clear();
        for cell in &self.cells {
            cell.write(row, room);
        }
        let mut context = Context::new(&SHA256);
        context.update(room);
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        Some(Row(bytes))
    }
    /// Names and values of one row as text: None for NULL, and for personal data a digest in place of the value.
    pub fn texts(&self, row: usize) -> Vec<(String, Option<String>)> {
        let own = self.cells.iter().map(|cell| {
            let text = cell.text(row).map(|text| if cell.pii { hidden(&text) } else { text });
            (cell.name.to_owned(), text)
        });
        own.collect()
    }
}

/// Tells two values apart without showing them.
fn hidden(text: &str) -> String {
    format!("(personal data, hash {:08x})", twox_hash::XxHash3_128::oneshot(text.as_bytes()) as u32)
}

impl Cells<'_> {
    fn write(&self, row: usize, to: &mut Vec<u8>) {
        let mut put = |value: &[u8]| {
            to.extend_from_slice(&self.tag);
            to.extend_from_slice(&(value.len() as u64).to_le_bytes());
            to.extend_from_slice(value);
        };
        match &self.values {
            Values::Text(a) if a.is_valid(row) => put(a.value(row).as_bytes()),
            Values::Int(a) if a.is_valid(row) => put(&a.value(row).to_le_bytes()),
            Values::Bool(a) if a.is_valid(row) => put(&[u8::from(a.value(row))]),
            Values::Date(a) if a.is_valid(row) => put(&a.value(row).to_le_bytes()),
            Values::Time(a) if a.is_valid(row) => put(&a.value(row).to_le_bytes()),
            Values::Decimal(a) if a.is_valid(row) => put(&a.value(row).to_le_bytes()),
            _ => {}
        }
    }
    fn text(&self, row: usize) -> Option<String> {
        Some(match &self.values {
            Values::Text(a) if a.is_valid(row) => a.value(row).to_owned(),
            Values::Int(a) if a.is_valid(row) => a.value(row).to_string(),
            Values::Bool(a) if a.is_valid(row) => a.value(row).to_string(),
            Values::Date(a) if a.is_valid(row) => {
                let date = Date32Type::to_naive_date_opt(a.value(row));
                date.map_or_else(|| a.value(row).to_string(), |d| d.to_string())
            }
            Values::Time(a) if a.is_valid(row) => {
                let at = DateTime::from_timestamp_micros(a.value(row));
                at.map_or_else(
                    || a.value(row).to_string(),
                    |t| t.to_rfc3339_opts(SecondsFormat::AutoSi, true),
                )
            }
            Values::Decimal(a) if a.is_valid(row) => {
                decimal(a.value(row), usize::try_from(a.scale()).unwrap_or(0))
            }
            _ => return None,
        })
    }
}

/// An amount of a money column: at least two places, no further zeros.
pub fn money_text(unscaled: i128) -> String {
    decimal(unscaled, MONEY_PLACES)
}

fn decimal(unscaled: i128, places: usize) -> String {
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(places));
    let fraction = fraction.trim_end_matches('0');
    let sign = if unscaled < 0 { "-" } else { "" };
    format!("{sign}{whole}.{fraction:0<2}")
}

/// The money columns of an entity, in order.
pub(super) fn money(entity: &Entity) -> impl Iterator<Item = &str> {
    entity.columns.iter().filter(|c| c.ty == ColumnType::Money).map(|c| c.name.as_str())
}

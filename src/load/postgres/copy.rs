//! How do Arrow rows become Postgres' binary COPY format? Exact, one pass, no text in between.
//!
//! Absent on purpose: floats (money is never one) and every Arrow type that no unified column has.
use super::fault::Fault;
use crate::error::{Error, Kind, Result};
use arrow::{
    array::{
        Array, AsArray, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
        TimestampMicrosecondArray,
    },
    datatypes::{DataType, Date32Type, Decimal128Type, Int64Type, TimeUnit, TimestampMicrosecondType},
};
use bytes::Bytes;
use sqlx::PgConnection;

/// Microseconds from 1970-01-01 to 2000-01-01, where Postgres starts to count.
pub(super) const EPOCH_US: i64 = 946_684_800_000_000;
/// Days from 1970-01-01 to 2000-01-01.
pub(super) const EPOCH_DAYS: i32 = 10_957;

/// What every binary COPY begins with: signature, no flags, no extension.
pub(super) const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const CHUNK_BYTES: usize = 256 << 10;

/// The values of one column, row by row.
pub(super) enum Values<'a> {
    /// text or json.
    Text(&'a StringArray),
    /// bigint.
    Int(&'a Int64Array),
    /// boolean.
    Bool(&'a BooleanArray),
    /// timestamp.
    Time(&'a TimestampMicrosecondArray),
    /// date.
    Date(&'a Date32Array),
    /// numeric, with the array's scale.
    Decimal(&'a Decimal128Array, u32),
    /// text, json or bytea, never NULL.
    Bytes(&'a [Bytes]),
    /// bigint, never NULL.
    Longs(&'a [i64]),
    /// The same binary value in every row; None is NULL.
    Same(Option<Vec<u8>>),
}

impl<'a> Values<'a> {
    fn of(name: &str, array: &'a dyn Array) -> Result<Self> {
        match array.data_type() {
            DataType::Utf8 => Ok(Self::Text(array.as_string())),
            DataType::Int64 => Ok(Self::Int(array.as_primitive::<Int64Type>())),
            DataType::Boolean => Ok(Self::Bool(array.as_boolean())),
            DataType::Timestamp(TimeUnit::Microsecond, None) => {
                Ok(Self::Time(array.as_primitive::<TimestampMicrosecondType>()))
            }
            DataType::Date32 => Ok(Self::Date(array.as_primitive::<Date32Type>())),
            DataType::Decimal128(_, scale) if (0..=38).contains(scale) => {
                Ok(Self::Decimal(array.as_primitive::<Decimal128Type>(), u32::from(scale.unsigned_abs())))
            }
            other => Err(Error::new(Kind::Bug, "a column has a type that no unified column has")
                .with("column", name)
                .with("type", other)),
        }
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Text(a) => a.is_null(row),
            Self::Int(a) => a.is_null(row),
            Self::Bool(a) => a.is_null(row),
            Self::Time(a) => a.is_null(row),
            Self::Date(a) => a.is_null(row),
            Self::Decimal(a, _) => a.is_null(row),
            Self::Bytes(_) | Self::Longs(_) => false,
            Self::Same(value) => value.is_none(),
        }
    }

    fn put(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        if self.is_null(row) {
            out.extend_from_slice(&(-1_i32).to_be_bytes());
            return Ok(());
        }
        match self {
            Self::Text(a) => put_bytes(a.value(row).as_bytes(), out),
            Self::Int(a) => put_bytes(&a.value(row).to_be_bytes(), out),
            Self::Bool(a) => put_bytes(&[u8::from(a.value(row))], out),
            Self::Time(a) => put_bytes(&time(a.value(row))?, out),
            Self::Date(a) => {
                let days = a.value(row).checked_sub(EPOCH_DAYS).ok_or_else(|| too_far("date"))?;
                put_bytes(&days.to_be_bytes(), out)
            }
            Self::Decimal(a, scale) => {
                put_numeric(a.value(row), *scale, out);
                Ok(())
            }
            Self::Bytes(all) => put_bytes(all.get(row).ok_or_else(missing)?, out),
            Self::Longs(all) => put_bytes(&all.get(row).ok_or_else(missing)?.to_be_bytes(), out),
            Self::Same(value) => put_bytes(value.as_deref().unwrap_or_default(), out),
        }
    }
}

/// A time as Postgres sends and receives it. Fails `Bug` outside Postgres' range.
pub(super) fn time(us: i64) -> Result<[u8; 8]> {
    Ok(us.checked_sub(EPOCH_US).ok_or_else(|| too_far("time"))?.to_be_bytes())
}

fn too_far(what: &str) -> Error {
    Error::new(Kind::Bug, format!("a {what} lies outside the range of Postgres"))
}

fn missing() -> Error {
    Error::new(Kind::Bug, "a row has no value in a column that must have one")
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let len = i32::try_from(bytes.len())
        .map_err(|e| Error::new(Kind::Invalid, "a value is larger than 2 GB").because(e))?;
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// Base-10000 digits, the last first.
struct Digits {
    digits: [u16; 24],
    len: usize,
}

impl Digits {
    fn push(&mut self, digit: u16) {
        if let Some(slot) = self.digits.get_mut(self.len) {
            *slot = digit;
            self.len += 1;
        }
    }
    fn push_all(&mut self, mut value: u128, groups: Option<u32>) {
        let mut left = groups;
        while left != Some(0) && (left.is_some() || value > 0) {
            // Money fits 64 bits nearly always, and there division is ten times faster.
            let digit = match u64::try_from(value) {
                Ok(small) => {
                    value = u128::from(small / 10_000);
                    small % 10_000
                }
                Err(_) => {
                    let digit = value % 10_000;
                    value /= 10_000;
                    u64::try_from(digit).unwrap_or(0)
                }
            };
            self.push(u16::try_from(digit).unwrap_or(0));
            left = left.map(|n| n - 1);
        }
    }
}

fn put_numeric(value: i128, scale: u32, out: &mut Vec<u8>) {
    let magnitude = value.unsigned_abs();
    let unit = 10_u128.pow(scale);
    let (whole, part) = match (u64::try_from(magnitude), u64::try_from(unit)) {
        (Ok(m), Ok(u)) => (u128::from(m / u), u128::from(m % u)),
        _ => (magnitude / unit, magnitude % unit),
    };
    let groups = scale.div_ceil(4);
    let mut digits = Digits { digits: [0; 24], len: 0 };
    push_part(&mut digits, part, scale);
    digits.push_all(whole, None);
    let used = digits.digits.get(..digits.len).unwrap_or_default();
    let trailing = used.iter().take_while(|d| **d == 0).count();
    let kept = used.get(trailing..).unwrap_or_default();
    let leading = kept.iter().rev().take_while(|d| **d == 0).count();
    let kept = kept.get(..kept.len() - leading).unwrap_or_default();
    let weight = i32::try_from(trailing + kept.len()).unwrap_or(0) - i32::try_from(groups).unwrap_or(0) - 1;
    let weight = if kept.is_empty() { 0 } else { i16::try_from(weight).unwrap_or(0) };
    let sign: u16 = if value < 0 { 0x4000 } else { 0 };
    let count = u16::try_from(kept.len()).unwrap_or(0);
    out.extend_from_slice(&(8 + 2 * i32::from(count)).to_be_bytes());
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&u16::try_from(scale).unwrap_or(0).to_be_bytes());
    for digit in kept.iter().rev() {
        out.extend_from_slice(&digit.to_be_bytes());
    }
}

/// The digits after the point, filled up to whole groups of four; the fill would not fit 128 bits, so the last group
/// is cut off first.
fn push_part(digits: &mut Digits, part: u128, scale: u32) {
    let rest = scale % 4;
    if rest == 0 {
        digits.push_all(part, Some(scale / 4));
        return;
    }
    let cut = 10_u128.pow(rest);
    let last = (part % cut) * 10_u128.pow(4 - rest);
    digits.push(u16::try_from(last).unwrap_or(0));
    digits.push_all(part / cut, Some(scale / 4));
}

/// Rows to be copied: columns side by side.
pub(super) struct Encoder<'a> {
    columns: Vec<Values<'a>>,
}

impl<'a> Encoder<'a> {
    /// Columns given one by one.
    pub(super) fn new(columns: Vec<Values<'a>>) -> Self {
        Self { columns }
    }
    /// All columns of a batch. Fails `Bug` for a type that no unified column has.
    pub(super) fn of(batch: &'a RecordBatch) -> Result<Self> {
        let schema = batch.schema_ref();
        let columns = schema
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, array)| Values::of(field.name(), array.as_ref()))
            .collect::<Result<_>>()?;
        Ok(Self { columns })
    }
    /// One more column, with the same binary value in every row.
    pub(super) fn and(mut self, value: &[u8]) -> Self {
        self.columns.push(Values::Same(Some(value.to_vec())));
        self
    }
    fn row(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        let count = i16::try_from(self.columns.len())
            .map_err(|e| Error::new(Kind::Invalid, "a table has too many columns").because(e))?;
        out.extend_from_slice(&count.to_be_bytes());
        self.columns.iter().try_for_each(|column| column.put(row, out))
    }
}

/// Sends the chosen rows through `statement` (`copy .. from stdin (format binary)`). Returns the bytes sent.
pub(super) async fn copy_in(
    conn: &mut PgConnection,
    statement: &str,
    rows: &Encoder<'_>,
    chosen: &[usize],
) -> Result<u64, Fault> {
    let mut copy = conn.copy_in_raw(statement).await?;
    let mut buffer = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
    buffer.extend_from_slice(SIGNATURE);
    let mut sent = 0;
    for row in chosen {
        if let Err(e) = rows.row(*row, &mut buffer) {
            copy.abort("a value could not be encoded").await?;
            return Err(e.into());
        }
        if buffer.len() >= CHUNK_BYTES {
            sent += buffer.len() as u64;
            copy.send(buffer.as_slice()).await?;
            buffer.clear();
        }
    }
    buffer.extend_from_slice(&(-1_i16).to_be_bytes());
    sent += buffer.len() as u64;
    copy.send(buffer.as_slice()).await?;
    copy.finish().await?;
    Ok(sent)
}

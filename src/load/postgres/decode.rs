//! How do Postgres' binary values become Arrow? The way back of `copy`, exact or refused.
//!
//! Absent on purpose: rounding. A value that does not fit its column is an error.
use super::copy::{EPOCH_DAYS, EPOCH_US};
use crate::error::{Error, Kind, Result};
use arrow::{
    array::{
        ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder,
        StringBuilder, TimestampMicrosecondBuilder,
    },
    datatypes::{DataType, TimeUnit},
};
use std::sync::Arc;

/// Grows one Arrow column out of binary values.
pub(super) enum Column {
    /// text and its kin, json.
    Text(StringBuilder),
    /// jsonb: text after a version byte.
    Jsonb(StringBuilder),
    /// smallint, integer, bigint.
    Int(Int64Builder),
    /// boolean.
    Bool(BooleanBuilder),
    /// timestamp, timestamptz.
    Time(TimestampMicrosecondBuilder),
    /// date.
    Date(Date32Builder),
    /// numeric of a known scale.
    Decimal(Decimal128Builder, i8),
    /// real, double precision.
    Float(Float64Builder),
    /// numeric whose scale is chosen when all values are known.
    Numbers(Vec<Option<Vec<u8>>>),
}

impl Column {
    /// For a column of a unified table.
    pub(super) fn of(ty: &DataType) -> Result<Self> {
        match ty {
            DataType::Utf8 => Ok(Self::Text(StringBuilder::new())),
            DataType::Int64 => Ok(Self::Int(Int64Builder::new())),
            DataType::Boolean => Ok(Self::Bool(BooleanBuilder::new())),
            DataType::Timestamp(TimeUnit::Microsecond, None) => {
                Ok(Self::Time(TimestampMicrosecondBuilder::new()))
            }
            DataType::Date32 => Ok(Self::Date(Date32Builder::new())),
            DataType::Decimal128(precision, scale) => {
                let builder = Decimal128Builder::new()
                    .with_precision_and_scale(*precision, *scale)
                    .map_err(|e| Error::new(Kind::Bug, "a decimal type cannot be").because(e))?;
                Ok(Self::Decimal(builder, *scale))
            }
            other => {
                Err(Error::new(Kind::Bug, "a column has a type that no unified column has")
                    .with("type", other))
            }
        }
    }

    /// For a column of any query; None when its type has no counterpart.
    pub(super) fn of_postgres(type_name: &str) -> Option<Self> {
        Some(match type_name {
            "TEXT" | "VARCHAR" | "NAME" | "CHAR" | "JSON" | "UNKNOWN" => Self::Text(StringBuilder::new()),
            "JSONB" => Self::Jsonb(StringBuilder::new()),
            "INT2" | "INT4" | "INT8" => Self::Int(Int64Builder::new()),
            "BOOL" => Self::Bool(BooleanBuilder::new()),
            "TIMESTAMP" => Self::Time(TimestampMicrosecondBuilder::new()),
            "TIMESTAMPTZ" => Self::Time(TimestampMicrosecondBuilder::new().with_timezone("+00:00")),
            "DATE" => Self::Date(Date32Builder::new()),
            "FLOAT4" | "FLOAT8" => Self::Float(Float64Builder::new()),
            "NUMERIC" => Self::Numbers(Vec::new()),
            _ => return None,
        })
    }

    /// Adds one value; None is NULL. Fails `Destination` when it does not fit.
    pub(super) fn push(&mut self, value: Option<&[u8]>) -> Result<()> {
        match self {
            Self::Text(b) => b.append_option(value.map(text).transpose()?),
            Self::Jsonb(b) => {
                b.append_option(value.map(|v| text(v.get(1..).unwrap_or_default())).transpose()?)
            }
            Self::Int(b) => b.append_option(value.map(int).transpose()?),
            Self::Bool(b) => b.append_option(value.map(|v| v == [1])),
            Self::Time(b) => b.append_option(value.map(time).transpose()?),
            Self::Date(b) => b.append_option(value.map(date).transpose()?),
            Self::Decimal(b, scale) => {
                let scale = *scale;
                b.append_option(
                    value.map(|v| unscaled(v, scale).ok_or_else(|| unfit("numeric"))).transpose()?,
                );
            }
            Self::Float(b) => b.append_option(value.map(float).transpose()?),
            Self::Numbers(all) => all.push(value.map(<[u8]>::to_vec)),
        }
        Ok(())
    }

    /// The finished column; the builder starts anew. Numbers of no known scale become DECIMAL(38, largest scale seen),
    /// or text when one of them does not fit.
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match self {
            Self::Text(b) | Self::Jsonb(b) => Arc::new(b.finish()),
            Self::Int(b) => Arc::new(b.finish()),
            Self::Bool(b) => Arc::new(b.finish()),
            Self::Time(b) => Arc::new(b.finish()),
            Self::Date(b) => Arc::new(b.finish()),
            Self::Decimal(b, _) => Arc::new(b.finish()),
            Self::Float(b) => Arc::new(b.finish()),
            Self::Numbers(all) => numbers(&std::mem::take(all))?,
        })
    }
}

fn unfit(ty: &str) -> Error {
    Error::new(Kind::Destination, format!("a {ty} value does not fit its column"))
        .hint("cast the column to text to see the value")
}

fn text(v: &[u8]) -> Result<&str> {
    std::str::from_utf8(v).map_err(|e| unfit("text").because(e))
}

fn int(v: &[u8]) -> Result<i64> {
    if let Ok(b) = <[u8; 8]>::try_from(v) {
        return Ok(i64::from_be_bytes(b));
    }
    if let Ok(b) = <[u8; 4]>::try_from(v) {
        return Ok(i64::from(i32::from_be_bytes(b)));
    }
    <[u8; 2]>::try_from(v).map(|b| i64::from(i16::from_be_bytes(b))).map_err(|_| unfit("integer"))
}

fn float(v: &[u8]) -> Result<f64> {
    if let Ok(b) = <[u8; 8]>::try_from(v) {
        return Ok(f64::from_be_bytes(b));
    }
    <[u8; 4]>::try_from(v).map(|b| f64::from(f32::from_be_bytes(b))).map_err(|_| unfit("real"))
}

/// Microseconds since 1970; infinity does not fit.
fn time(v: &[u8]) -> Result<i64> {
    let us = int(v)?;
    if us == i64::MAX || us == i64::MIN {
        return Err(unfit("timestamp"));
    }
    us.checked_add(EPOCH_US).ok_or_else(|| unfit("timestamp"))
}

fn date(v: &[u8]) -> Result<i32> {
    let days = i32::try_from(int(v)?).map_err(|_| unfit("date"))?;
    if days == i32::MAX || days == i32::MIN {
        return Err(unfit("date"));
    }
    days.checked_add(EPOCH_DAYS).ok_or_else(|| unfit("date"))
}

/// The parts of a binary numeric.
struct Numeric<'a> {
    weight: i32,
    sign: u16,
    scale: u16,
    digits: &'a [[u8; 2]],
}

const NEGATIVE: u16 = 0x4000;

impl<'a> Numeric<'a> {
    fn parse(v: &'a [u8]) -> Option<Self> {
        let (words, _) = v.as_chunks::<2>();
        let (head, digits) = words.split_first_chunk::<4>()?;
        let [_, weight, sign, scale] = head.map(u16::from_be_bytes);
        Some(Self { weight: i32::from(weight.cast_signed()), sign, scale, digits })
    }
    fn is_finite(&self) -> bool {
        self.sign == 0 || self.sign == NEGATIVE
    }
    fn digit(&self, at: i32) -> u16 {
        usize::try_from(at).ok().and_then(|at| self.digits.get(at)).map_or(0, |d| u16::from_be_bytes(*d))
    }
}

/// The exact value times 10^scale; None when it is not whole, not finite, or needs more than 38 digits.
pub(super) fn unscaled(v: &[u8], scale: i8) -> Option<i128> {
    let n = Numeric::parse(v)?;
    if !n.is_finite() {
        return None;
    }
    let mut sum: i128 = 0;
    for digit in n.digits {
        sum = sum.checked_mul(10_000)?.checked_add(i128::from(u16::from_be_bytes(*digit)))?;
    }
    let places = i32::try_from(n.digits.len()).ok()?;
    let exponent = 4 * (n.weight - places + 1) + i32::from(scale);
    let power = 10_i128.checked_pow(exponent.unsigned_abs());
    let sum = match power {
        _ if sum == 0 => 0,
        Some(p) if exponent >= 0 => sum.checked_mul(p)?,
        Some(p) if sum % p == 0 => sum / p,
        _ => return None,
    };
    if sum >= 10_i128.pow(38) {
        return None;
    }
    Some(if n.sign == NEGATIVE { -sum } else { sum })
}

/// As Postgres prints it: all digits after the point that the value carries.
pub(super) fn numeric_text(v: &[u8]) -> Option<String> {
    let n = Numeric::parse(v)?;
    match n.sign {
        0xC000 => return Some("NaN".into()),
        0xD000 => return Some("Infinity".into()),
        0xF000 => return Some("-Infinity".into()),
        _ => {}
    }
    let mut out = String::from(if n.sign == NEGATIVE { "-" } else { "" });
    let mut whole = String::new();
    for at in 0..=n.weight {
        whole.push_str(&format!("{:04}", n.digit(at)));
    }
    let trimmed = whole.trim_start_matches('0');
    out.push_str(if trimmed.is_empty() { "0" } else { trimmed });
    if n.scale > 0 {
        let skipped = (-1 - n.weight).max(0);
        let mut part = "0000".repeat(usize::try_from(skipped).ok()?);
        let mut at = (n.weight + 1).max(0);
        while part.len() < usize::from(n.scale) {
            part.push_str(&format!("{:04}", n.digit(at)));
            at += 1;
        }
        part.truncate(usize::from(n.scale));
        out.push('.');
        out.push_str(&part);
    }
    Some(out)
}

fn numbers(all: &[Option<Vec<u8>>]) -> Result<ArrayRef> {
    let scales = all.iter().flatten().filter_map(|v| Numeric::parse(v)).map(|n| n.scale);
    let scale = i8::try_from(scales.max().unwrap_or(0)).unwrap_or(i8::MAX);
    if scale <= 38 {
        let values: Option<Vec<Option<i128>>> = all
            .iter()
            .map(|v| match v {
                None => Some(None),
                Some(v) => unscaled(v, scale).map(Some),
            })
            .collect();
        if let Some(values) = values {
            let mut builder = Decimal128Builder::new()
                .with_precision_and_scale(38, scale)
                .map_err(|e| Error::new(Kind::Bug, "a decimal type cannot be").because(e))?;
            values.into_iter().for_each(|v| builder.append_option(v));
            return Ok(Arc::new(builder.finish()));
        }
    }
    let mut builder = StringBuilder::new();
    for value in all {
        builder.append_option(
            value.as_deref().map(|v| numeric_text(v).ok_or_else(|| unfit("numeric"))).transpose()?,
        );
    }
    Ok(Arc::new(builder.finish()))
}

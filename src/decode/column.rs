//! Columns under construction: one tree per declared shape, in Arrow's own layout, which can forget its last rows.
//!
//! A refused record leaves half-filled columns behind; `truncate` to the rows before it removes every trace.
//! Knows nothing of JSON (see `read`).
use super::{Type, number, object::Object};
use crate::error::{Error, Kind, Result};
use arrow::{
    array::{
        ArrayRef, ArrowPrimitiveType, BooleanArray, BooleanBufferBuilder, ListArray, NullBufferBuilder,
        PrimitiveArray, StringArray, StructArray,
    },
    buffer::{Buffer, OffsetBuffer, ScalarBuffer},
    datatypes::{
        ArrowNativeType, DataType, Date32Type, Decimal128Type, Field, FieldRef, Int64Type, TimeUnit,
        TimestampMicrosecondType,
    },
};
use std::{mem, sync::Arc};

/// How a time stands on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wire {
    Seconds,
    Millis,
    Text { naive_utc: bool },
}

pub(super) enum Column {
    Text(Texts),
    Json(Texts),
    Int { from_text: bool, cells: Cells<i64> },
    Bool(Flags),
    Decimal { precision: u8, scale: i8, from_text: bool, cells: Cells<i128> },
    Rate(Cells<i128>),
    Time { wire: Wire, cells: Cells<i64> },
    Date(Cells<i32>),
    List(Box<Items>),
    Struct(Box<Group>),
}

/// Fixed-width values; a NULL holds zero.
pub(super) struct Cells<T> {
    values: Vec<T>,
    valid: NullBufferBuilder,
}

/// UTF-8 bytes one after the other, and where each text ends.
pub(super) struct Texts {
    pub(super) bytes: Vec<u8>,
    ends: Ends,
    valid: NullBufferBuilder,
}

pub(super) struct Flags {
    values: BooleanBufferBuilder,
    valid: NullBufferBuilder,
}

pub(super) struct Items {
    pub(super) item: Column,
    ends: Ends,
    valid: NullBufferBuilder,
}

pub(super) struct Group {
    pub(super) object: Object,
    valid: NullBufferBuilder,
}

impl Column {
    pub(super) fn new(ty: &Type) -> Result<Self> {
        Ok(match ty {
            Type::Text => Self::Text(Texts::new()),
            Type::Json => Self::Json(Texts::new()),
            Type::Int => Self::Int { from_text: false, cells: Cells::new() },
            Type::IntOrText => Self::Int { from_text: true, cells: Cells::new() },
            Type::Bool => Self::Bool(Flags { values: BooleanBufferBuilder::new(0), valid: validity() }),
            Type::Decimal { precision, scale, from_text } => Self::Decimal {
                precision: *precision,
                scale: *scale,
                from_text: *from_text,
                cells: Cells::new(),
            },
            Type::Rate => Self::Rate(Cells::new()),
            Type::EpochS => Self::Time { wire: Wire::Seconds, cells: Cells::new() },
            Type::EpochMs => Self::Time { wire: Wire::Millis, cells: Cells::new() },
            Type::DateTime { naive_utc } => {
                Self::Time { wire: Wire::Text { naive_utc: *naive_utc }, cells: Cells::new() }
            }
            Type::Date => Self::Date(Cells::new()),
            Type::List(item) => {
                Self::List(Box::new(Items { item: Self::new(item)?, ends: Ends::new(), valid: validity() }))
            }
            Type::Struct(shape) => {
                Self::Struct(Box::new(Group { object: Object::new(shape)?, valid: validity() }))
            }
        })
    }

    /// The Arrow type of a declared one.
    pub(super) fn arrow(ty: &Type) -> DataType {
        match ty {
            Type::Text | Type::Json => DataType::Utf8,
            Type::Int | Type::IntOrText => DataType::Int64,
            Type::Bool => DataType::Boolean,
            Type::Decimal { precision, scale, .. } => DataType::Decimal128(*precision, *scale),
            Type::Rate => DataType::Decimal128(number::RATE.0, number::RATE.1),
            Type::EpochS | Type::EpochMs | Type::DateTime { .. } => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            Type::Date => DataType::Date32,
            Type::List(item) => DataType::List(list_item(Self::arrow(item))),
            Type::Struct(shape) => DataType::Struct(Object::fields(shape)),
        }
    }

    pub(super) fn push_null(&mut self) {
        match self {
            Self::Text(texts) | Self::Json(texts) => texts.end(false),
            Self::Int { cells, .. } | Self::Time { cells, .. } => cells.push_null(),
            Self::Decimal { cells, .. } | Self::Rate(cells) => cells.push_null(),
            Self::Date(cells) => cells.push_null(),
            Self::Bool(flags) => flags.push(None),
            Self::List(items) => items.end(false),
            Self::Struct(group) => {
                group.object.push_null();
                group.end(false);
            }
        }
    }

    /// Forgets every row from `len` on, whole or half written.
    pub(super) fn truncate(&mut self, len: usize) {
        match self {
            Self::Text(texts) | Self::Json(texts) => texts.truncate(len),
            Self::Int { cells, .. } | Self::Time { cells, .. } => cells.truncate(len),
            Self::Decimal { cells, .. } | Self::Rate(cells) => cells.truncate(len),
            Self::Date(cells) => cells.truncate(len),
            Self::Bool(flags) => {
                flags.values.truncate(len);
                flags.valid.truncate(len);
            }
            Self::List(items) => {
                let inner = items.ends.truncate(len);
                items.item.truncate(inner);
                items.valid.truncate(len);
            }
            Self::Struct(group) => {
                group.object.truncate(len);
                group.valid.truncate(len);
            }
        }
    }

    /// The array, and an empty column again.
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match self {
            Self::Text(texts) | Self::Json(texts) => texts.finish()?,
            Self::Int { cells, .. } => Arc::new(cells.finish::<Int64Type>()?),
            Self::Time { cells, .. } => Arc::new(cells.finish::<TimestampMicrosecondType>()?),
            Self::Decimal { precision, scale, cells, .. } => Arc::new(
                cells
                    .finish::<Decimal128Type>()?
                    .with_precision_and_scale(*precision, *scale)
                    .map_err(broken)?,
            ),
            Self::Rate(cells) => Arc::new(
                cells
                    .finish::<Decimal128Type>()?
                    .with_precision_and_scale(number::RATE.0, number::RATE.1)
                    .map_err(broken)?,
            ),
            Self::Date(cells) => Arc::new(cells.finish::<Date32Type>()?),
            Self::Bool(flags) => Arc::new(BooleanArray::new(flags.values.finish(), flags.valid.finish())),
            Self::List(items) => {
                let values = items.item.finish()?;
                let field = list_item(values.data_type().clone());
                let list = ListArray::try_new(field, items.ends.finish(), values, items.valid.finish());
                Arc::new(list.map_err(broken)?)
            }
            Self::Struct(group) => {
                let (len, nulls) = (group.valid.len(), group.valid.finish());
                let (fields, arrays) = group.object.finish()?;
                Arc::new(StructArray::try_new_with_length(fields, arrays, nulls, len).map_err(broken)?)
            }
        })
    }

    /// A key column's value in `row`: text as it is, an integer in digits. None: NULL.
    pub(super) fn key(&self, row: usize) -> Option<String> {
        match self {
            Self::Text(texts) => texts.get(row).map(|b| String::from_utf8_lossy(b).into_owned()),
            _ => self.int(row).map(|n| n.to_string()),
        }
    }
    /// An integer's or time's value in `row`.
    pub(super) fn int(&self, row: usize) -> Option<i64> {
        match self {
            Self::Int { cells, .. } | Self::Time { cells, .. } if cells.valid.is_valid(row) => {
                cells.values.get(row).copied()
            }
            _ => None,
        }
    }
    /// True and not NULL.
    pub(super) fn is_true(&self, row: usize) -> bool {
        match self {
            Self::Bool(flags) => flags.valid.is_valid(row) && flags.values.get_bit(row),
            _ => false,
        }
    }
}

fn validity() -> NullBufferBuilder {
    NullBufferBuilder::new(0)
}

fn list_item(ty: DataType) -> FieldRef {
    Arc::new(Field::new_list_field(ty, true))
}

pub(super) fn broken(e: arrow::error::ArrowError) -> Error {
    Error::new(Kind::Bug, "decoded columns do not form an array").because(e)
}

/// An empty vector that grows no more than the last one did.
fn renew<T>(values: &mut Vec<T>) -> Vec<T> {
    let len = values.len();
    mem::replace(values, Vec::with_capacity(len))
}

impl<T: ArrowNativeType> Cells<T> {
    fn new() -> Self {
        Self { values: Vec::new(), valid: validity() }
    }
    pub(super) fn push(&mut self, value: T) {
        self.values.push(value);
        self.valid.append_non_null();
    }
    fn push_null(&mut self) {
        self.values.push(T::default());
        self.valid.append_null();
    }
    fn truncate(&mut self, len: usize) {
        self.values.truncate(len);
        self.valid.truncate(len);
    }
    fn finish<A: ArrowPrimitiveType<Native = T>>(&mut self) -> Result<PrimitiveArray<A>> {
        let values = ScalarBuffer::from(renew(&mut self.values));
        PrimitiveArray::try_new(values, self.valid.finish()).map_err(broken)
    }
}

impl Flags {
    pub(super) fn push(&mut self, value: Option<bool>) {
        self.values.append(value.unwrap_or(false));
        self.valid.append(value.is_some());
    }
}

impl Texts {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), ends: Ends::new(), valid: validity() }
    }
    /// What was appended to `bytes` since the last end is one row's text (or, with nothing appended, NULL).
    pub(super) fn end(&mut self, valid: bool) {
        self.ends.push(self.bytes.len());
        self.valid.append(valid);
    }
    pub(super) fn truncate(&mut self, len: usize) {
        let bytes = self.ends.truncate(len);
        self.bytes.truncate(bytes);
        self.valid.truncate(len);
    }
    fn get(&self, row: usize) -> Option<&[u8]> {
        if !self.valid.is_valid(row) {
            return None;
        }
        self.bytes.get(self.ends.at(row)..self.ends.at(row + 1))
    }
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        let bytes = Buffer::from_vec(renew(&mut self.bytes));
        let array = StringArray::try_new(self.ends.finish(), bytes, self.valid.finish());
        Ok(Arc::new(array.map_err(broken)?))
    }
}

impl Items {
    /// The items appended since the last end are one row's list (or, with none appended, NULL).
    pub(super) fn end(&mut self, valid: bool) {
        self.ends.push(self.item.len());
        self.valid.append(valid);
    }
}

impl Group {
    pub(super) fn end(&mut self, valid: bool) {
        self.valid.append(valid);
    }
}

/// Arrow offsets: row i reaches from entry i to entry i + 1. The first is 0.
struct Ends(Vec<i32>);

impl Ends {
    fn new() -> Self {
        Self(vec![0])
    }
    /// The decoder takes less than 2 GiB between two finishes, so that every length fits.
    fn push(&mut self, len: usize) {
        self.0.push(i32::try_from(len).unwrap_or(i32::MAX));
    }
    fn at(&self, i: usize) -> usize {
        self.0.get(i).and_then(|n| usize::try_from(*n).ok()).unwrap_or(0)
    }
    /// Where the first `len` rows end.
    fn truncate(&mut self, len: usize) -> usize {
        self.0.truncate(len + 1);
        self.at(len)
    }
    fn finish(&mut self) -> OffsetBuffer<i32> {
        let ends = renew(&mut self.0);
        self.0.push(0);
        OffsetBuffer::new(ScalarBuffer::from(ends))
    }
}

impl Column {
    /// Rows, NULLs included.
    fn len(&self) -> usize {
        match self {
            Self::Text(texts) | Self::Json(texts) => texts.valid.len(),
            Self::Int { cells, .. } | Self::Time { cells, .. } => cells.values.len(),
            Self::Decimal { cells, .. } | Self::Rate(cells) => cells.values.len(),
            Self::Date(cells) => cells.values.len(),
            Self::Bool(flags) => flags.values.len(),
            Self::List(items) => items.valid.len(),
            Self::Struct(group) => group.valid.len(),
        }
    }
}

//! The checked cast from what a mapping answers to what a unified column holds, value by value.
//!
//! Never through the engine's casts, which round and truncate.
use super::exact::{self, Rule};
use crate::entity::ColumnType;
use arrow::{
    array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array, StringArray, new_null_array},
    compute::cast,
    datatypes::{DataType, Decimal128Type, Int64Type},
};
use std::sync::Arc;

/// One value that does not fit.
pub(super) struct Misfit {
    /// Position in the batch.
    pub(super) row: usize,
    /// Why.
    pub(super) rule: Rule,
    /// What was found.
    pub(super) found: String,
}

/// Whether a column of that Arrow type may feed a column of that unified type at all.
pub(super) fn allowed(from: &DataType, to: ColumnType) -> bool {
    use DataType as D;
    match to {
        ColumnType::Text | ColumnType::Json => matches!(from, D::Utf8 | D::Utf8View | D::LargeUtf8 | D::Null),
        ColumnType::Int => matches!(from, D::Int64 | D::Int32 | D::Decimal128(..) | D::Null),
        ColumnType::Bool => matches!(from, D::Boolean | D::Null),
        ColumnType::Money | ColumnType::Quantity | ColumnType::Rate => {
            matches!(from, D::Decimal128(..) | D::Int64 | D::Int32 | D::Null)
        }
        ColumnType::Timestamp => {
            matches!(from, D::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None) | D::Null)
        }
        ColumnType::Date => matches!(from, D::Date32 | D::Null),
    }
}

/// The column as the unified type; values that do not fit are NULL in it and listed.
/// Only for pairs that `allowed` accepts; others answer all NULL.
pub(super) fn column(from: &ArrayRef, to: ColumnType, misfits: &mut Vec<Misfit>) -> ArrayRef {
    let target = to.arrow();
    if from.data_type() == &DataType::Null {
        return new_null_array(&target, from.len());
    }
    match &target {
        DataType::Utf8 => text(from, misfits),
        DataType::Int64 => int(from, misfits),
        DataType::Decimal128(precision, scale) => decimal(from, *precision, *scale, misfits),
        _ => Arc::clone(from),
    }
}

fn text(from: &ArrayRef, misfits: &mut Vec<Misfit>) -> ArrayRef {
    let Ok(utf8) = cast(from, &DataType::Utf8) else { return new_null_array(&DataType::Utf8, from.len()) };
    let values = utf8.as_string::<i32>();
    if !values.value_data().contains(&0) {
        return utf8;
    }
    let keep = values.iter().enumerate().map(|(row, value)| match value {
        Some(t) if t.contains('\0') => {
            misfits.push(Misfit { row, rule: "nul_character", found: "a text with U+0000".into() });
            None
        }
        other => other,
    });
    Arc::new(keep.collect::<StringArray>())
}

fn int(from: &ArrayRef, misfits: &mut Vec<Misfit>) -> ArrayRef {
    let DataType::Decimal128(_, scale) = from.data_type() else {
        return cast(from, &DataType::Int64).unwrap_or_else(|_| new_null_array(&DataType::Int64, from.len()));
    };
    let values = from.as_primitive::<Decimal128Type>();
    let out = values.iter().enumerate().map(|(row, value)| {
        let value = value?;
        let fitted = exact::rescale(value, *scale, 0, 38)
            .and_then(|v| i64::try_from(v).map_err(|_| exact::OUT_OF_RANGE));
        fitted.map_err(|rule| misfits.push(Misfit { row, rule, found: exact::text(value, *scale) })).ok()
    });
    Arc::new(out.collect::<Int64Array>())
}

fn decimal(from: &ArrayRef, precision: u8, scale: i8, misfits: &mut Vec<Misfit>) -> ArrayRef {
    let widened = match from.data_type() {
        DataType::Decimal128(p, s) if (*p, *s) == (precision, scale) => return Arc::clone(from),
        DataType::Decimal128(..) => Arc::clone(from),
        _ => {
            let Ok(ints) = cast(from, &DataType::Int64) else {
                return new_null_array(from.data_type(), from.len());
            };
            let wide: Decimal128Array =
                ints.as_primitive::<Int64Type>().iter().map(|v| v.map(i128::from)).collect();
            Arc::new(wide.with_data_type(DataType::Decimal128(38, 0)))
        }
    };
    let own = match widened.data_type() {
        DataType::Decimal128(_, s) => *s,
        _ => 0,
    };
    let out = widened.as_primitive::<Decimal128Type>().iter().enumerate().map(|(row, value)| {
        let value = value?;
        let fitted = exact::rescale(value, own, scale, precision);
        fitted.map_err(|rule| misfits.push(Misfit { row, rule, found: exact::text(value, own) })).ok()
    });
    let array: Decimal128Array = out.collect();
    Arc::new(array.with_data_type(DataType::Decimal128(precision, scale)))
}

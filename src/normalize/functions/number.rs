//! Amounts, quantities and rates.
use super::{Context, argument, is_text, misuse, refuse, texts};
use crate::normalize::exact;
use arrow::{
    array::{Array, ArrayRef, AsArray, Decimal128Array},
    compute::cast,
    datatypes::{DataType, Decimal128Type, Int64Type},
};
use datafusion::common::Result;
use std::sync::Arc;

const MONEY: (u8, i8) = (28, 8);
const QUANTITY: (u8, i8) = (38, 12);
const RATE: (u8, i8) = (24, 12);

fn decimal_type((precision, scale): (u8, i8)) -> DataType {
    DataType::Decimal128(precision, scale)
}

fn is_int(ty: &DataType) -> bool {
    matches!(ty, DataType::Int64 | DataType::Int32 | DataType::Null)
}

fn one_number(arguments: &[DataType], to: (u8, i8)) -> Result<DataType> {
    match arguments {
        [ty] if is_int(ty) || is_text(ty) || matches!(ty, DataType::Decimal128(..)) => Ok(decimal_type(to)),
        [ty] => misuse(format!("takes an integer, a decimal or a text, not {ty}")),
        _ => misuse("takes one argument"),
    }
}

pub(super) fn money_type(arguments: &[DataType]) -> Result<DataType> {
    one_number(arguments, MONEY)
}
pub(super) fn quantity_type(arguments: &[DataType]) -> Result<DataType> {
    one_number(arguments, QUANTITY)
}
pub(super) fn rate_type(arguments: &[DataType]) -> Result<DataType> {
    one_number(arguments, RATE)
}
pub(super) fn minor_type(arguments: &[DataType]) -> Result<DataType> {
    match arguments {
        [DataType::Decimal128(..), currency] if is_text(currency) => Ok(decimal_type(MONEY)),
        [amount, currency] if is_int(amount) && is_text(currency) => Ok(decimal_type(MONEY)),
        _ => misuse(format!("takes (integer or decimal, text), not {arguments:?}")),
    }
}
pub(super) fn sum_type(arguments: &[DataType]) -> Result<DataType> {
    let scale = |ty: &DataType| match ty {
        DataType::Decimal128(_, s) => Some(*s),
        DataType::Int64 | DataType::Int32 | DataType::Null => Some(0),
        _ => None,
    };
    match arguments {
        [a, b] => match (scale(a), scale(b)) {
            (Some(a), Some(b)) => Ok(DataType::Decimal128(38, a.max(b))),
            _ => misuse(format!("takes two numbers, not {a} and {b}")),
        },
        _ => misuse("takes two arguments"),
    }
}

/// Minor units (an integer, or a sum of them) and their currency as major units. An amount needs a currency.
pub(super) fn minor(context: &Context, arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (amounts, scale) = widened(argument(arguments, 0)?)?;
    let currencies = texts(arguments, 1)?;
    let places_of = |currency: &str| context.minor.exceptions.get(currency).unwrap_or(&context.minor.default);
    let mut last: Option<(&str, u8)> = None;
    let mut out = Vec::with_capacity(context.rows);
    for (amount, currency) in amounts.as_primitive::<Decimal128Type>().iter().zip(currencies.iter()) {
        out.push(match (amount, currency) {
            (None, _) => None,
            (Some(amount), None) => {
                return refuse(format!("the amount {} has no currency", exact::text(amount, scale)));
            }
            (Some(amount), Some(currency)) => {
                let places = match last {
                    Some((known, places)) if known == currency => places,
                    _ => *places_of(currency),
                };
                last = Some((currency, places));
                let from = i8::try_from(places).unwrap_or(i8::MAX).saturating_add(scale);
                match exact::rescale(amount, from, MONEY.1, MONEY.0) {
                    Ok(value) => Some(value),
                    Err(rule) => {
                        return refuse(format!(
                            "{} minor units of {currency}: {rule}",
                            exact::text(amount, scale)
                        ));
                    }
                }
            }
        });
    }
    decimals(out, MONEY)
}

fn decimals(values: Vec<Option<i128>>, (precision, scale): (u8, i8)) -> Result<ArrayRef> {
    Ok(Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, scale)?))
}

/// A number in any of its forms as (value, digits after the point).
fn widened(array: &ArrayRef) -> Result<(ArrayRef, i8)> {
    match array.data_type() {
        DataType::Decimal128(_, scale) => Ok((Arc::clone(array), *scale)),
        _ => {
            let ints = cast(array, &DataType::Int64)?;
            let wide = ints.as_primitive::<Int64Type>().iter().map(|v| v.map(i128::from)).collect();
            Ok((decimals(wide, (38, 0))?, 0))
        }
    }
}

fn convert(
    arguments: &[ArrayRef],
    to: (u8, i8),
    fit: fn(i128, i8, i8, u8) -> Result<i128, &'static str>,
) -> Result<ArrayRef> {
    let array = argument(arguments, 0)?;
    if array.data_type() != &DataType::Null && is_text(array.data_type()) {
        let mut out = Vec::with_capacity(array.len());
        for text in texts(arguments, 0)?.iter() {
            let wide = text.map(|t| exact::parse(t, QUANTITY.1.max(to.1), 38)).transpose();
            let fitted = wide.and_then(|v| v.map(|v| fit(v, QUANTITY.1.max(to.1), to.1, to.0)).transpose());
            match fitted {
                Ok(value) => out.push(value),
                Err(rule) => return refuse(format!("`{}`: {rule}", text.unwrap_or_default())),
            }
        }
        return decimals(out, to);
    }
    let (wide, scale) = widened(array)?;
    let mut out = Vec::with_capacity(array.len());
    for value in wide.as_primitive::<Decimal128Type>().iter() {
        match value.map(|v| fit(v, scale, to.1, to.0)).transpose() {
            Ok(value) => out.push(value),
            Err(rule) => return refuse(format!("{}: {rule}", exact::text(value.unwrap_or_default(), scale))),
        }
    }
    decimals(out, to)
}

pub(super) fn money(_: &Context, arguments: &[ArrayRef]) -> Result<ArrayRef> {
    convert(arguments, MONEY, exact::rescale)
}
pub(super) fn quantity(_: &Context, arguments: &[ArrayRef]) -> Result<ArrayRef> {
    convert(arguments, QUANTITY, exact::rescale)
}
/// Rates round half to even at 12 places: the only rounding there is.
pub(super) fn rate(_: &Context, arguments: &[ArrayRef]) -> Result<ArrayRef> {
    convert(arguments, RATE, exact::round_half_even)
}

fn combine(
    context: &Context,
    arguments: &[ArrayRef],
    with: fn(i128, i128) -> Option<i128>,
) -> Result<ArrayRef> {
    let DataType::Decimal128(precision, scale) = context.returns else { return misuse("answers a decimal") };
    let (left, left_scale) = widened(argument(arguments, 0)?)?;
    let (right, right_scale) = widened(argument(arguments, 1)?)?;
    let mut out = Vec::with_capacity(context.rows);
    for (a, b) in
        left.as_primitive::<Decimal128Type>().iter().zip(right.as_primitive::<Decimal128Type>().iter())
    {
        let (Some(a), Some(b)) = (a, b) else {
            out.push(None);
            continue;
        };
        let fitted = exact::rescale(a, left_scale, scale, precision)
            .and_then(|a| exact::rescale(b, right_scale, scale, precision).map(|b| (a, b)))
            .and_then(|(a, b)| with(a, b).ok_or(exact::OUT_OF_RANGE))
            .and_then(|v| exact::within(v, precision));
        match fitted {
            Ok(value) => out.push(Some(value)),
            Err(rule) => return refuse(format!("sum of {a} and {b}: {rule}")),
        }
    }
    decimals(out, (precision, scale))
}

pub(super) fn add(context: &Context, arguments: &[ArrayRef]) -> Result<ArrayRef> {
    combine(context, arguments, i128::checked_add)
}
pub(super) fn sub(context: &Context, arguments: &[ArrayRef]) -> Result<ArrayRef> {
    combine(context, arguments, i128::checked_sub)
}

//! Lists of objects inside a record.
use super::{Context, argument, element_field, misuse, refuse, texts};
use crate::normalize::exact;
use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, StringArray, StructArray, UInt32Array,
    },
    compute::{cast, take},
    datatypes::{DataType, Decimal128Type, Field, Fields, Int64Type},
};
use datafusion::common::Result;
use std::{cmp::Ordering, sync::Arc};

fn element(ty: &DataType) -> Result<&DataType> {
    match ty {
        DataType::List(field) => Ok(field.data_type()),
        other => misuse(format!("takes a list, not {other}")),
    }
}

/// The list argument; a literal NULL has no elements to look at.
fn list(arguments: &[ArrayRef]) -> Result<&ListArray> {
    match argument(arguments, 0)?.as_list_opt::<i32>() {
        Some(list) => Ok(list),
        None => misuse("takes a list"),
    }
}

pub(super) fn len_type(arguments: &[DataType]) -> Result<DataType> {
    arguments.first().map_or_else(|| misuse("takes a list"), element).map(|_| DataType::Int64)
}

/// Number of elements; 0 for an absent list.
pub(super) fn len(_: &Context, arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let list = list(arguments)?;
    Ok(Arc::new((0..list.len()).map(|i| Some(span(list, i).len() as i64)).collect::<Int64Array>()))
}

pub(super) fn indexed_type(arguments: &[DataType]) -> Result<DataType> {
    let [list] = arguments else { return misuse("takes one list") };
    Ok(DataType::List(element_field(indexed_element(element(list)?.clone()))))
}

fn indexed_element(ty: DataType) -> DataType {
    DataType::Struct(Fields::from(vec![Field::new("n", DataType::Int64, true), Field::new("e", ty, true)]))
}

/// Each element beside its place in the list, counted from 0.
pub(super) fn indexed(_: &Context, arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let list = list(arguments)?;
    let values = list.values();
    let mut places = vec![0_i64; values.len()];
    for i in 0..list.len() {
        for (n, slot) in places.get_mut(span(list, i)).into_iter().flatten().enumerate() {
            *slot = n as i64;
        }
    }
    let DataType::Struct(fields) = indexed_element(values.data_type().clone()) else {
        return misuse("an element is a struct");
    };
    let columns = vec![Arc::new(Int64Array::from(places)) as ArrayRef, Arc::clone(values)];
    let elements = StructArray::try_new(fields, columns, None)?;
    let field = element_field(elements.data_type().clone());
    Ok(Arc::new(ListArray::try_new(
        field,
        list.offsets().clone(),
        Arc::new(elements),
        list.nulls().cloned(),
    )?))
}

/// Positions of list `i`'s elements; empty for a NULL list.
fn span(list: &ListArray, i: usize) -> std::ops::Range<usize> {
    if list.is_null(i) {
        return 0..0;
    }
    let at = |k: usize| list.value_offsets().get(k).and_then(|o| usize::try_from(*o).ok()).unwrap_or(0);
    at(i)..at(i + 1)
}

/// The field named by argument `i` of the list's elements, for all lists end to end.
fn field(arguments: &[ArrayRef], i: usize) -> Result<ArrayRef> {
    let name = texts(arguments, i)?;
    let name = if name.is_empty() { "" } else { name.value(0) };
    let values = list(arguments)?.values();
    match values.as_struct_opt().and_then(|s| s.column_by_name(name)) {
        Some(column) => Ok(Arc::clone(column)),
        None => misuse(format!("the list's elements have no field `{name}`")),
    }
}

/// A literal's value is not known while planning, so the type is that of the widest numeric field.
pub(super) fn sum_type(arguments: &[DataType]) -> Result<DataType> {
    match arguments {
        [list, _] | [list, _, _, _] => element(list).map(|_| DataType::Decimal128(38, 8)),
        _ => misuse("takes (list, field name) or (list, field name, field name, text)"),
    }
}

/// Exact sum of a numeric field, of all elements or of those whose other field is a text; NULLs are skipped, an empty
/// list sums to 0, an absent one to NULL.
pub(super) fn sum(_: &Context, arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (list, column) = (list(arguments)?, field(arguments, 1)?);
    let scale = if let DataType::Decimal128(_, s) = column.data_type() { *s } else { 0 };
    let numbers = if scale == 0 { cast(&column, &DataType::Decimal128(38, 0))? } else { column };
    let numbers = numbers.as_primitive::<Decimal128Type>();
    let filter = if arguments.len() == 4 {
        Some((cast(&field(arguments, 2)?, &DataType::Utf8)?, texts(arguments, 3)?))
    } else {
        None
    };
    let mut out = Vec::with_capacity(list.len());
    for i in 0..list.len() {
        let chosen = |j: &usize| match &filter {
            None => true,
            Some((by, wanted)) => {
                let by = by.as_string::<i32>();
                by.is_valid(*j) && wanted.is_valid(i) && by.value(*j) == wanted.value(i)
            }
        };
        let mut total = list.is_valid(i).then_some(0_i128);
        for value in span(list, i).filter(|j| numbers.is_valid(*j)).filter(chosen).map(|j| numbers.value(j)) {
            let fitted = exact::rescale(value, scale, 8, 38);
            match fitted.and_then(|v| total.unwrap_or(0).checked_add(v).ok_or(exact::OUT_OF_RANGE)) {
                Ok(sum) => total = Some(sum),
                Err(rule) => return refuse(format!("sum over a list: {rule}")),
            }
        }
        out.push(total);
    }
    Ok(Arc::new(arrow::array::Decimal128Array::from(out).with_precision_and_scale(38, 8)?))
}

/// The text fields are the only ones whose lists mappings need.
pub(super) fn field_type(arguments: &[DataType]) -> Result<DataType> {
    let [list, _] = arguments else { return misuse("takes (list, field name)") };
    element(list).map(|_| DataType::List(element_field(DataType::Utf8)))
}

/// That field of each element, in order, NULLs kept, as text.
pub(super) fn values(_: &Context, arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (list, column) = (list(arguments)?, cast(&field(arguments, 1)?, &DataType::Utf8)?);
    let item = element_field(DataType::Utf8);
    Ok(Arc::new(ListArray::try_new(item, list.offsets().clone(), column, list.nulls().cloned())?))
}

/// Timestamps, the only fields whose extremes mappings need.
pub(super) fn extreme_type(arguments: &[DataType]) -> Result<DataType> {
    let [list, _] = arguments else { return misuse("takes (list, field name)") };
    element(list).map(|_| DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None))
}

fn extreme(arguments: &[ArrayRef], wanted: Ordering) -> Result<ArrayRef> {
    let (list, column) = (list(arguments)?, field(arguments, 1)?);
    if !matches!(column.data_type(), DataType::Timestamp(..)) {
        return misuse(format!("takes a field that is a time, not {}", column.data_type()));
    }
    let ticks = cast(&column, &DataType::Int64)?;
    let ticks = ticks.as_primitive::<Int64Type>();
    let best = |i| {
        let candidates = span(list, i).filter(|j| ticks.is_valid(*j));
        let pick =
            candidates.reduce(|a, b| if ticks.value(b).cmp(&ticks.value(a)) == wanted { b } else { a });
        pick.and_then(|j| u32::try_from(j).ok())
    };
    Ok(take(&column, &(0..list.len()).map(best).collect::<UInt32Array>(), None)?)
}

pub(super) fn min(_: &Context, arguments: &[ArrayRef]) -> Result<ArrayRef> {
    extreme(arguments, Ordering::Less)
}
pub(super) fn max(_: &Context, arguments: &[ArrayRef]) -> Result<ArrayRef> {
    extreme(arguments, Ordering::Greater)
}

pub(super) fn any_type(arguments: &[DataType]) -> Result<DataType> {
    let [list, _, _] = arguments else { return misuse("takes (list, field name, text)") };
    element(list).map(|_| DataType::Boolean)
}

/// Whether some element's field is that text.
pub(super) fn any(_: &Context, arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (list, column) = (list(arguments)?, cast(&field(arguments, 1)?, &DataType::Utf8)?);
    let (values, wanted) = (column.as_string::<i32>(), texts(arguments, 2)?);
    let hit = |i: usize| {
        wanted
            .is_valid(i)
            .then(|| span(list, i).any(|j| values.is_valid(j) && values.value(j) == wanted.value(i)))
    };
    Ok(Arc::new((0..list.len()).map(hit).collect::<BooleanArray>()))
}

pub(super) fn only_type(arguments: &[DataType]) -> Result<DataType> {
    let [list, _, _, _] = arguments else { return misuse("takes (list, field name, field name, text)") };
    element(list).map(|_| DataType::Utf8)
}

/// What a field says, as text, in all elements whose other field is that text; NULL when they disagree or say nothing.
pub(super) fn only(_: &Context, arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (list, column) = (list(arguments)?, cast(&field(arguments, 1)?, &DataType::Utf8)?);
    let by = cast(&field(arguments, 2)?, &DataType::Utf8)?;
    let (said, by, wanted) = (column.as_string::<i32>(), by.as_string::<i32>(), texts(arguments, 3)?);
    let one = |i: usize| {
        let meant = span(list, i)
            .filter(|j| by.is_valid(*j) && wanted.is_valid(i) && by.value(*j) == wanted.value(i));
        let mut values = meant.filter(|j| said.is_valid(*j)).map(|j| said.value(j));
        let first = values.next()?;
        values.all(|value| value == first).then_some(first)
    };
    Ok(Arc::new((0..list.len()).map(one).collect::<StringArray>()))
}

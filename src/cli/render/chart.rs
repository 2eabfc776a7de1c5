//! Bars beside figures. What a bar stands for is decided by the caller; each currency has a scale of its own.
use super::Look;
use crate::error::{Error, Kind, Result};
use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, StringArray},
    compute::cast,
    datatypes::{DataType, Decimal128Type, Field, Schema},
};
use std::{collections::BTreeMap, sync::Arc};

/// Name of the column that holds the bars: none. It leaves first when there is not enough room.
pub const COLUMN: &str = " ";
/// Characters of the longest bar.
const WIDTH: i128 = 24;
/// From one eighth to seven.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// The rows with amounts at two digits for the eye, and a bar for the column `of`, scaled to the greatest value of the
/// row's currency. A terminal gets blocks, everything else `#`.
pub fn with_bars(batches: &[RecordBatch], of: Option<&str>, look: &Look) -> Result<Vec<RecordBatch>> {
    let failed = |e: arrow::error::ArrowError| Error::new(Kind::Bug, "a chart cannot be drawn").because(e);
    let mut greatest: BTreeMap<String, i128> = BTreeMap::new();
    let mut short = Vec::new();
    for batch in batches {
        let columns = batch.columns().iter().map(|column| match column.data_type() {
            DataType::Decimal128(_, scale) if *scale > 2 => cast(column, &DataType::Decimal128(30, 2)),
            _ => Ok(Arc::clone(column)),
        });
        short.push((batch.schema(), columns.collect::<Result<Vec<_>, _>>().map_err(failed)?));
    }
    for (schema, columns) in &short {
        for (currency, value) in values(schema, columns, of).into_iter().flatten() {
            let known = greatest.entry(currency).or_default();
            *known = value.max(*known);
        }
    }
    let mut drawn = Vec::new();
    for (schema, mut columns) in short {
        let mut fields: Vec<Field> = schema.fields().iter().map(|f| f.as_ref().clone()).collect();
        if let Some(values) = values(&schema, &columns, of) {
            let bar = |(currency, value): (String, i128)| {
                bar(value, greatest.get(&currency).copied().unwrap_or(0), look.colour)
            };
            columns.push(Arc::new(values.into_iter().map(bar).map(Some).collect::<StringArray>()));
            fields.push(Field::new(COLUMN, DataType::Utf8, true));
        }
        let fields = fields.into_iter().zip(&columns).map(|(f, c)| f.with_data_type(c.data_type().clone()));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        drawn.push(RecordBatch::try_new(schema, columns).map_err(failed)?);
    }
    Ok(drawn)
}

/// (currency, value) of each row.
fn values(schema: &Schema, columns: &[ArrayRef], of: Option<&str>) -> Option<Vec<(String, i128)>> {
    let column = |name: &str| columns.get(schema.index_of(name).ok()?);
    let figures = column(of?)?.as_primitive_opt::<Decimal128Type>()?;
    let currencies = column("currency")?.as_string_opt::<i32>()?;
    let one = |row: usize| {
        let currency = if currencies.is_valid(row) { currencies.value(row) } else { "" };
        (currency.to_owned(), if figures.is_valid(row) { figures.value(row) } else { 0 })
    };
    Some((0..figures.len()).map(one).collect())
}

/// A bar of `value` where `greatest` is the longest.
pub fn bar(value: i128, greatest: i128, blocks: bool) -> String {
    if value <= 0 || greatest <= 0 {
        return String::new();
    }
    let eighths = usize::try_from(value.saturating_mul(WIDTH * 8) / greatest).unwrap_or(0);
    if !blocks {
        return "#".repeat((eighths / 8).max(1));
    }
    let rest = (eighths % 8).checked_sub(1).and_then(|n| EIGHTHS.get(n));
    let full = "█".repeat(eighths / 8);
    match rest {
        Some(rest) => format!("{full}{rest}"),
        None if full.is_empty() => EIGHTHS.first().map(char::to_string).unwrap_or_default(),
        None => full,
    }
}

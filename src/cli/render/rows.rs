//! Arrow rows as table, JSON, CSV or Parquet. Decimals keep every digit.
//!
//! JSON: decimals are text, because most readers make a float of a JSON number; integers are numbers; times are
//! RFC 3339. CSV: RFC 4180; NULL is empty, an empty text is `""`.
use super::{Look, figures, table::Table};
use crate::{
    cli::args::Format,
    error::{Error, Kind, Result},
};
use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{DataType, SchemaRef},
    error::ArrowError,
    util::display::{ArrayFormatter, FormatOptions},
};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};
use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

const OPTIONS: FormatOptions<'static> = FormatOptions::new()
    .with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.fZ"))
    .with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.f%:z"));

/// Why rows could not be written.
#[derive(Debug)]
pub enum Failed {
    /// The writer failed.
    Io(io::Error),
    /// Anything else.
    Other(Error),
}

impl From<io::Error> for Failed {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

impl From<ArrowError> for Failed {
    fn from(e: ArrowError) -> Self {
        Self::Other(unshowable(e))
    }
}

fn unshowable(e: ArrowError) -> Error {
    Error::new(Kind::Bug, "a value cannot be shown").because(e)
}

/// A table for a person; figures to the right and grouped, at least two digits after a decimal point.
pub fn table(schema: &SchemaRef, batches: &[RecordBatch], look: &Look) -> Result<String> {
    let mut table = schema.fields().iter().fold(Table::new(), |table, field| {
        if field.name() == super::chart::COLUMN {
            table.text(field.name()).leaves(1)
        } else if field.data_type().is_numeric() {
            table.number(field.name())
        } else {
            table.text(field.name())
        }
    });
    for batch in batches {
        let cells = Cells::of(batch).map_err(unshowable)?;
        for row in 0..batch.num_rows() {
            let mut shown = Vec::with_capacity(batch.num_columns());
            for (column, cell) in batch.columns().iter().zip(&cells.0) {
                let text = cell.text(column, row).map_err(unshowable)?.unwrap_or_default();
                shown.push(for_people(column.data_type(), text, look));
            }
            table.row(shown);
        }
    }
    if table.is_empty() {
        return Ok("no rows\n".into());
    }
    Ok(table.draw(look))
}

fn for_people(ty: &DataType, text: String, look: &Look) -> String {
    let text = match ty {
        DataType::Decimal128(..) | DataType::Decimal256(..) => short(&text).to_owned(),
        _ => text,
    };
    if look.grouped && ty.is_numeric() && !text.contains('e') { figures::group(&text) } else { text }
}

/// Without zeros at the end, but for two.
fn short(decimal: &str) -> &str {
    let Some(point) = decimal.find('.') else { return decimal };
    let kept = decimal.trim_end_matches('0').len().max(point + 3).min(decimal.len());
    decimal.get(..kept).unwrap_or(decimal)
}

/// Writes rows as JSON or CSV (a table is drawn by `table`, Parquet needs a file). Returns how many.
pub fn write(
    out: &mut dyn Write,
    schema: &SchemaRef,
    batches: &[RecordBatch],
    format: Format,
) -> Result<u64, Failed> {
    match format {
        Format::Json => json(out, batches),
        Format::Csv => csv(out, schema, batches),
        Format::Table => {
            out.write_all(table(schema, batches, &Look::plain()).map_err(Failed::Other)?.as_bytes())?;
            Ok(count(batches))
        }
        Format::Parquet => Err(Failed::Other(
            Error::new(Kind::Invalid, "Parquet needs a file").hint("add --out rows.parquet"),
        )),
    }
}

/// Writes rows to a file that appears whole or not at all. Returns how many.
/// Fails `Destination` when the file cannot be written.
pub fn to_file(file: &Path, schema: &SchemaRef, batches: &[RecordBatch], format: Format) -> Result<u64> {
    let failed = |e: io::Error| {
        Error::new(Kind::Destination, "cannot write the file").with("file", file.display()).because(e)
    };
    let aside = aside(file);
    let handle = fs::File::create(&aside).map_err(failed)?;
    let done = match format {
        Format::Parquet => parquet(handle, schema, batches).map_err(|e| {
            Error::new(Kind::Destination, "cannot write Parquet").with("file", file.display()).because(e)
        }),
        Format::Table | Format::Json | Format::Csv => {
            let mut out = io::BufWriter::new(handle);
            match write(&mut out, schema, batches, format) {
                Ok(count) => out.flush().map(|()| count).map_err(failed),
                Err(Failed::Io(e)) => Err(failed(e)),
                Err(Failed::Other(e)) => Err(e),
            }
        }
    };
    match done {
        Ok(count) => fs::rename(&aside, file).map(|()| count).map_err(failed),
        Err(e) => {
            let _ = fs::remove_file(&aside);
            Err(e)
        }
    }
}

fn aside(file: &Path) -> PathBuf {
    let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    file.with_file_name(format!(".{name}.tmp"))
}

fn count(batches: &[RecordBatch]) -> u64 {
    batches.iter().map(|b| b.num_rows() as u64).sum()
}

fn parquet(file: fs::File, schema: &SchemaRef, batches: &[RecordBatch]) -> parquet::errors::Result<u64> {
    let zstd = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(zstd))?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.close()?;
    Ok(count(batches))
}

fn json(out: &mut dyn Write, batches: &[RecordBatch]) -> Result<u64, Failed> {
    out.write_all(b"[")?;
    let mut first = true;
    for batch in batches {
        let cells = Cells::of(batch)?;
        let schema = batch.schema();
        for row in 0..batch.num_rows() {
            out.write_all(if first { b"\n{" } else { b",\n{" })?;
            first = false;
            for (i, ((field, column), cell)) in
                schema.fields().iter().zip(batch.columns()).zip(&cells.0).enumerate()
            {
                let comma = if i > 0 { "," } else { "" };
                write!(out, "{comma}{}:{}", quoted(field.name()), cell.json(column, row)?)?;
            }
            out.write_all(b"}")?;
        }
    }
    out.write_all(if first { b"]\n" } else { b"\n]\n" })?;
    Ok(count(batches))
}

fn csv(out: &mut dyn Write, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<u64, Failed> {
    let header: Vec<String> = schema.fields().iter().map(|f| csv_field(Some(f.name().clone()))).collect();
    write!(out, "{}\r\n", header.join(","))?;
    for batch in batches {
        let cells = Cells::of(batch)?;
        for row in 0..batch.num_rows() {
            for (i, (column, cell)) in batch.columns().iter().zip(&cells.0).enumerate() {
                let comma = if i > 0 { "," } else { "" };
                write!(out, "{comma}{}", csv_field(cell.text(column, row)?))?;
            }
            out.write_all(b"\r\n")?;
        }
    }
    Ok(count(batches))
}

fn csv_field(text: Option<String>) -> String {
    match text {
        None => String::new(),
        Some(text) if text.is_empty() || text.contains([',', '"', '\r', '\n']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Some(text) => text,
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// How each column of a batch is written.
struct Cells<'a>(Vec<Cell<'a>>);

enum Cell<'a> {
    Plain(ArrayFormatter<'a>),
    Nested,
}

impl<'a> Cells<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, ArrowError> {
        batch.columns().iter().map(|column| Cell::of(column.as_ref())).collect::<Result<_, _>>().map(Self)
    }
}

impl<'a> Cell<'a> {
    fn of(column: &'a dyn Array) -> Result<Self, ArrowError> {
        match column.data_type() {
            DataType::List(_) | DataType::Struct(_) => Ok(Self::Nested),
            _ => ArrayFormatter::try_new(column, &OPTIONS).map(Self::Plain),
        }
    }
    /// None for NULL.
    fn text(&self, column: &dyn Array, row: usize) -> Result<Option<String>, ArrowError> {
        match self {
            _ if column.is_null(row) => Ok(None),
            Self::Plain(formatter) => formatter.value(row).try_to_string().map(Some),
            Self::Nested => nested(column, row).map(Some),
        }
    }
    fn json(&self, column: &dyn Array, row: usize) -> Result<String, ArrowError> {
        let Some(text) = self.text(column, row)? else { return Ok("null".into()) };
        Ok(match column.data_type() {
            DataType::List(_) | DataType::Struct(_) | DataType::Boolean => text,
            ty if ty.is_integer() => text,
            DataType::Float32 | DataType::Float64 if !text.contains(['N', 'i']) => text,
            DataType::Null => "null".into(),
            _ => quoted(&text),
        })
    }
}

/// A list or struct as JSON.
fn nested(column: &dyn Array, row: usize) -> Result<String, ArrowError> {
    if let Some(list) = column.as_list_opt::<i32>() {
        let items = list.value(row);
        let cell = Cell::of(items.as_ref())?;
        let texts: Vec<String> =
            (0..items.len()).map(|i| cell.json(items.as_ref(), i)).collect::<Result<_, _>>()?;
        return Ok(format!("[{}]", texts.join(",")));
    }
    let Some(object) = column.as_struct_opt() else { return Ok("null".into()) };
    let mut texts = Vec::new();
    for (field, member) in object.fields().iter().zip(object.columns()) {
        texts.push(format!(
            "{}:{}",
            quoted(field.name()),
            Cell::of(member.as_ref())?.json(member.as_ref(), row)?
        ));
    }
    Ok(format!("{{{}}}", texts.join(",")))
}

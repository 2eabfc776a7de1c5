//! Row files: Parquet in and out, in small batches. What the rows mean is decided elsewhere.
use super::files::{Draft, Files, Finished, failed};
use crate::{
    error::{Error, Kind, Result},
    load::fold,
};
use arrow::{
    array::{RecordBatch, new_null_array},
    datatypes::{DataType, Field, SchemaRef},
};
use parquet::{
    arrow::{
        ArrowWriter, ProjectionMask,
        arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection},
    },
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::{EnabledStatistics, WriterProperties},
    schema::types::ColumnPath,
};
use std::{
    io::{self, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Rows read or written at once.
pub(super) const BATCH: usize = 1024;
const PAGE_ROWS: usize = BATCH;
const GROUP_ROWS: usize = 32_768;
/// Rows of a group whose rows may be a megabyte each.
const WIDE_GROUP_ROWS: usize = 2048;

fn broken(act: &str, path: &Path, e: ParquetError) -> Error {
    match e {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(reason) => failed(act, path, *reason),
            Err(other) => failed(act, path, io::Error::other(other)),
        },
        other => failed(act, path, io::Error::other(other)),
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A row file being written.
pub(super) struct Writer {
    path: PathBuf,
    inner: ArrowWriter<Draft>,
}

/// A dictionary of such values costs more than it saves.
fn hardly_repeats(field: &Field) -> bool {
    matches!(field.name().as_str(), "id" | "row_hash" | "version")
        || (matches!(field.data_type(), DataType::Timestamp(..)) && field.name() != "observed_at")
}

impl Writer {
    /// `wide`: a column of large values that never repeat.
    pub(super) fn create(files: &Files, path: &Path, schema: SchemaRef, wide: Option<&str>) -> Result<Self> {
        Self::tagged(files, path, "", schema, wide)
    }
    /// One of several drafts of the same path.
    pub(super) fn tagged(
        files: &Files,
        path: &Path,
        tag: &str,
        schema: SchemaRef,
        wide: Option<&str>,
    ) -> Result<Self> {
        // A zstd context costs more than packing the short pages of narrow columns does; bodies are worth it.
        let level = ZstdLevel::try_new(1).map_err(|e| broken("write", path, e))?;
        let packing = if wide.is_some() { Compression::ZSTD(level) } else { Compression::SNAPPY };
        let mut properties = WriterProperties::builder()
            .set_compression(packing)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_max_row_group_row_count(Some(if wide.is_some() { WIDE_GROUP_ROWS } else { GROUP_ROWS }));
        for field in schema.fields().iter().filter(|f| Some(f.name().as_str()) == wide || hardly_repeats(f)) {
            properties =
                properties.set_column_dictionary_enabled(ColumnPath::from(field.name().as_str()), false);
        }
        let draft = files.create(path, tag)?;
        let inner = ArrowWriter::try_new(draft, schema, Some(properties.build()))
            .map_err(|e| broken("write", path, e))?;
        Ok(Self { path: path.to_owned(), inner })
    }
    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        self.inner.write(rows).map_err(|e| broken("write", &self.path, e))
    }
    /// Bytes of whole row groups so far: the file becomes at least that large.
    pub(super) fn bytes(&self) -> u64 {
        u64::try_from(self.inner.bytes_written()).unwrap_or(u64::MAX)
    }
    pub(super) fn finish(self) -> Result<Finished> {
        self.inner.into_inner().map_err(|e| broken("write", &self.path, e))?.finish()
    }
}

/// Which part of a file to read.
#[derive(Clone, Debug, Default)]
pub(super) struct Part<'a> {
    /// All when empty.
    pub(super) columns: &'a [&'a str],
    /// Rows, ascending; None: all.
    pub(super) rows: Option<Vec<Range<usize>>>,
    /// What batches must look like: columns of older files that are missing become NULL.
    pub(super) schema: Option<SchemaRef>,
}

/// Batches of at most `BATCH` rows, in file order.
pub(super) struct Batches {
    path: PathBuf,
    inner: ParquetRecordBatchReader,
    schema: Option<SchemaRef>,
}

pub(super) fn read(files: &Files, path: &Path, part: Part<'_>) -> Result<Batches> {
    let opened = ParquetRecordBatchReaderBuilder::try_new(files.open(path)?);
    let mut builder = opened.map_err(|e| broken("read", path, e))?.with_batch_size(BATCH);
    if !part.columns.is_empty() {
        let mask = ProjectionMask::columns(builder.parquet_schema(), part.columns.iter().copied());
        builder = builder.with_projection(mask);
    }
    if let Some(rows) = part.rows {
        let total = usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        builder = builder.with_row_selection(RowSelection::from_consecutive_ranges(rows.into_iter(), total));
    }
    let inner = builder.build().map_err(|e| broken("read", path, e))?;
    Ok(Batches { path: path.to_owned(), inner, schema: part.schema })
}

/// Columns of a file.
pub(super) fn schema(files: &Files, path: &Path) -> Result<SchemaRef> {
    let opened = ParquetRecordBatchReaderBuilder::try_new(files.open(path)?);
    opened.map(|file| Arc::clone(file.schema())).map_err(|e| broken("read", path, e))
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;
    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.inner.next()? {
            Err(e) => return Some(Err(failed("read", &self.path, io::Error::other(e)))),
            Ok(batch) => batch,
        };
        Some(match &self.schema {
            None => Ok(batch),
            Some(schema) => conform(batch, schema).map_err(|e| e.with("path", self.path.display())),
        })
    }
}

/// The columns that a file has.
pub(super) fn columns(files: &Files, path: &Path) -> Result<SchemaRef> {
    let opened = ParquetRecordBatchReaderBuilder::try_new(files.open(path)?);
    Ok(Arc::clone(opened.map_err(|e| broken("read", path, e))?.schema()))
}

/// A row file read once, from front to back, a stretch of rows at a time.
pub(super) struct Stretches {
    batches: Batches,
    rest: Option<RecordBatch>,
}

impl Stretches {
    pub(super) fn open(files: &Files, path: &Path, rows: Range<usize>, schema: SchemaRef) -> Result<Self> {
        let part = Part { rows: Some(vec![rows]), schema: Some(schema), ..Part::default() };
        let batches = read(files, path, part)?;
        Ok(Self { batches, rest: None })
    }
    /// The next rows, at most `left` of them, which becomes less; None when nothing is left.
    pub(super) fn next(&mut self, left: &mut usize) -> Result<Option<RecordBatch>> {
        if *left == 0 {
            return Ok(None);
        }
        let Some(batch) = self.rest.take().map(Ok).or_else(|| self.batches.next()).transpose()? else {
            return Err(Error::new(Kind::Bug, "a history file has fewer rows than its sections")
                .with("path", self.batches.path.display()));
        };
        let taken = batch.num_rows().min(*left);
        *left -= taken;
        if taken < batch.num_rows() {
            self.rest = Some(batch.slice(taken, batch.num_rows() - taken));
        }
        Ok(Some(batch.slice(0, taken)))
    }
}

/// Fails `Invalid` when a column changed its type since the file was written.
fn conform(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if batch.schema().fields() == schema.fields() {
        return Ok(batch);
    }
    let mut columns = Vec::new();
    for field in schema.fields() {
        columns.push(match batch.column_by_name(field.name()) {
            Some(found) if found.data_type() == field.data_type() => Arc::clone(found),
            None if field.is_nullable() => new_null_array(field.data_type(), batch.num_rows()),
            _ => {
                return Err(Error::new(Kind::Invalid, "a stored table does not fit its entity any more")
                    .with("column", field.name())
                    .hint("give the column another name, or read into a new lake"));
            }
        });
    }
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(fold::arrow)
}

//! Bodies and rejects as immutable files: one of each per commit, until they are merged.
use super::{
    files::{Files, Finished},
    layout::{Layout, commit_file},
    rows::{self, Part, Writer},
    state::{KeptFile, RejectFile},
};
use crate::{
    decode::Reject,
    error::{Error, Kind, Result},
    load::{RawRecord, StoredReject, erase, fold},
    time::Timestamp,
};
use arrow::{
    array::{
        Array, ArrayRef, BinaryArray, BooleanArray, Int64Array, RecordBatch, StringArray,
        TimestampMicrosecondArray,
    },
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
};
use bytes::Bytes;
use std::{path::PathBuf, sync::Arc};

const TIME: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);
/// Bodies put into one batch: bounds the copies in memory.
const CHUNK: usize = 512;

fn schema(fields: &[(&str, DataType, bool)]) -> SchemaRef {
    Arc::new(Schema::new(
        fields.iter().map(|(n, ty, null)| Field::new(*n, ty.clone(), *null)).collect::<Vec<_>>(),
    ))
}

fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(fold::arrow)
}

fn times(at: impl Iterator<Item = Timestamp>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(at.map(|t| t.0)))
}

fn texts<'a>(of: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(of))
}

/// Puts a finished file in its place, durably.
pub(super) fn keep(files: &Files, finished: &Finished, commit_no: i64, rows: usize) -> Result<KeptFile> {
    files.place(finished)?;
    if let Some(folder) = finished.path.parent() {
        files.sync_folder(folder)?;
    }
    let name = finished.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let rows = u64::try_from(rows).unwrap_or(u64::MAX);
    Ok(KeptFile { name, commit_no, rows, bytes: finished.bytes, start: 0 })
}

/// Columns of stored bodies.
pub(super) fn record_schema() -> SchemaRef {
    schema(&[
        ("key", DataType::Utf8, false),
        ("version", DataType::Int64, false),
        ("read_at", TIME, false),
        ("body_hash", DataType::Int64, false),
        ("deleted", DataType::Boolean, false),
        ("body", DataType::Utf8, false),
    ])
}

pub(super) fn write(
    files: &Files,
    layout: &Layout,
    stream: &str,
    records: &[RawRecord],
) -> Result<Option<KeptFile>> {
    let Some(first) = records.first() else { return Ok(None) };
    let schema = record_schema();
    let path = layout.raw(stream, &commit_file(first.commit_no));
    let mut writer = Writer::create(files, &path, Arc::clone(&schema), Some("body"))?;
    for chunk in records.chunks(CHUNK) {
        let mut bodies = Vec::with_capacity(chunk.len());
        for record in chunk {
            bodies.push(std::str::from_utf8(&record.body).map_err(|e| {
                Error::new(Kind::Bug, "an accepted body is not UTF-8").with("key", &record.key).because(e)
            })?);
        }
        writer.write(&batch(
            &schema,
            vec![
                texts(chunk.iter().map(|r| r.key.as_str())),
                Arc::new(Int64Array::from_iter_values(chunk.iter().map(|r| r.version))),
                times(chunk.iter().map(|r| r.read_at)),
                Arc::new(Int64Array::from_iter_values(
                    chunk.iter().map(|r| erase::body_hash(&r.body).cast_signed()),
                )),
                Arc::new(BooleanArray::from_iter(chunk.iter().map(|r| Some(r.deleted)))),
                texts(bodies.into_iter()),
            ],
        )?)?;
    }
    keep(files, &writer.finish()?, first.commit_no, records.len()).map(Some)
}

pub(super) fn read(files: &Files, layout: &Layout, stream: &str, file: &KeptFile) -> Result<Vec<RawRecord>> {
    let mut found = Vec::new();
    let part = Part { rows: Some(vec![file.range()]), ..Part::default() };
    for batch in rows::read(files, &layout.raw(stream, &file.name), part)? {
        let batch = batch?;
        let keys: &StringArray = fold::column(&batch, "key")?;
        let hashes: &Int64Array = fold::column(&batch, "body_hash")?;
        let versions: &Int64Array = fold::column(&batch, "version")?;
        let read_at: &TimestampMicrosecondArray = fold::column(&batch, "read_at")?;
        let deleted: &BooleanArray = fold::column(&batch, "deleted")?;
        let bodies: &StringArray = fold::column(&batch, "body")?;
        found.extend((0..batch.num_rows()).map(|row| RawRecord {
            key: keys.value(row).to_owned(),
            version: versions.value(row),
            read_at: Timestamp(read_at.value(row)),
            deleted: deleted.value(row),
            body: Bytes::copy_from_slice(bodies.value(row).as_bytes()),
            received: erase::received(hashes.value(row), bodies.value(row).as_bytes()),
            commit_no: file.commit_no,
        }));
    }
    Ok(found)
}

pub(super) fn rejects_path(layout: &Layout, name: &str) -> PathBuf {
    layout.kept("rejects", None).join(name)
}

/// Columns of quarantined records.
pub(super) fn reject_schema() -> SchemaRef {
    schema(&[
        ("stream", DataType::Utf8, false),
        ("key", DataType::Utf8, true),
        ("rule", DataType::Utf8, false),
        ("pointer", DataType::Utf8, false),
        ("message", DataType::Utf8, false),
        ("asked_at", TIME, false),
        ("body", DataType::Binary, false),
    ])
}

pub(super) fn write_rejects(
    files: &Files,
    layout: &Layout,
    number: i64,
    rejects: &[&Reject],
) -> Result<Option<RejectFile>> {
    if rejects.is_empty() {
        return Ok(None);
    }
    let schema = reject_schema();
    let path = rejects_path(layout, &commit_file(number));
    let mut writer = Writer::create(files, &path, Arc::clone(&schema), Some("body"))?;
    for chunk in rejects.chunks(CHUNK) {
        writer.write(&batch(
            &schema,
            vec![
                texts(chunk.iter().map(|r| r.stream.as_str())),
                Arc::new(StringArray::from_iter(chunk.iter().map(|r| r.key.as_deref()))),
                texts(chunk.iter().map(|r| r.rule.as_str())),
                texts(chunk.iter().map(|r| r.pointer.as_str())),
                texts(chunk.iter().map(|r| r.message.as_str())),
                times(chunk.iter().map(|r| r.asked_at)),
                Arc::new(BinaryArray::from_iter_values(chunk.iter().map(|r| &r.body))),
            ],
        )?)?;
    }
    let file = keep(files, &writer.finish()?, number, rejects.len())?;
    Ok(Some(RejectFile { file, resolved: std::collections::BTreeSet::new() }))
}

/// Those of one batch.
pub(super) fn rejects_of(batch: &RecordBatch) -> Result<Vec<Reject>> {
    let text = |name| fold::column::<StringArray>(batch, name);
    let (streams, keys, rules) = (text("stream")?, text("key")?, text("rule")?);
    let (pointers, messages) = (text("pointer")?, text("message")?);
    let asked_at: &TimestampMicrosecondArray = fold::column(batch, "asked_at")?;
    let bodies: &BinaryArray = fold::column(batch, "body")?;
    let reject = |row: usize| Reject {
        stream: streams.value(row).to_owned(),
        key: keys.is_valid(row).then(|| keys.value(row).to_owned()),
        rule: rules.value(row).to_owned(),
        pointer: pointers.value(row).to_owned(),
        message: messages.value(row).to_owned(),
        asked_at: Timestamp(asked_at.value(row)),
        body: Bytes::copy_from_slice(bodies.value(row)),
    };
    Ok((0..batch.num_rows()).map(reject).collect())
}

/// Those of one file that were not redriven.
pub(super) fn read_rejects(files: &Files, layout: &Layout, file: &RejectFile) -> Result<Vec<StoredReject>> {
    let number = file.file.commit_no;
    let mut found = Vec::new();
    let mut ordinal = 0_u64;
    let part = Part { rows: Some(vec![file.file.range()]), ..Part::default() };
    for batch in rows::read(files, &rejects_path(layout, &file.file.name), part)? {
        for reject in rejects_of(&batch?)? {
            if !file.resolved.contains(&ordinal) {
                found.push(StoredReject { id: format!("{number}-{ordinal}"), commit_no: number, reject });
            }
            ordinal += 1;
        }
    }
    Ok(found)
}

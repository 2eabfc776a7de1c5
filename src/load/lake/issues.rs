//! Issues as immutable files: one per commit that met some, and one in place of all whenever they are settled.
use super::{
    connection::Connection,
    files::Files,
    layout::{Layout, commit_file},
    raw,
    rows::{self, Part, Writer},
    state::{KeptFile, State},
};
use crate::{
    error::Result,
    id::Owner,
    load::{StoredIssue, fold, issue},
    time::Timestamp,
};
use arrow::{
    array::{Array, ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray},
    compute::cast,
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
};
use std::{path::PathBuf, sync::Arc};

const DELTA: DataType = DataType::Decimal128(28, 8);
const TIME: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// Columns of the table `quality_issues`.
pub(super) fn schema() -> SchemaRef {
    let text = ["tenant_id", "connection_id", "rule", "severity", "entity", "id", "column_name"]
        .into_iter()
        .chain(["currency", "expected", "actual"])
        .map(|name| Field::new(name, DataType::Utf8, true));
    let rest = [
        Field::new("delta", DELTA, true),
        Field::new("message", DataType::Utf8, true),
        Field::new("first_seen", TIME, true),
        Field::new("resolved_at", TIME, true),
    ];
    Arc::new(Schema::new(text.chain(rest).collect::<Vec<_>>()))
}

fn texts<'a>(of: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(of.collect::<StringArray>())
}

fn times(of: impl Iterator<Item = Option<Timestamp>>) -> ArrayRef {
    Arc::new(of.map(|t| t.map(|t| t.0)).collect::<TimestampMicrosecondArray>())
}

fn path(layout: &Layout, name: &str) -> PathBuf {
    layout.kept("issues", None).join(name)
}

/// Writes issues as one file; None when there are none.
pub(super) fn write(
    (files, layout, owner): (&Files, &Layout, &Owner),
    name: &str,
    number: i64,
    issues: &[StoredIssue],
) -> Result<Option<KeptFile>> {
    if issues.is_empty() {
        return Ok(None);
    }
    let all = || issues.iter();
    let delta = cast(&texts(all().map(|i| i.delta.as_deref())), &DELTA).map_err(fold::arrow)?;
    let columns = vec![
        texts(all().map(|_| Some(owner.tenant.as_str()))),
        texts(all().map(|_| Some(owner.connection.as_str()))),
        texts(all().map(|i| Some(i.rule.as_str()))),
        texts(all().map(|i| Some(i.severity.as_str()))),
        texts(all().map(|i| Some(i.entity.as_str()))),
        texts(all().map(|i| Some(i.id.as_str()))),
        texts(all().map(|i| Some(i.column.as_str()))),
        texts(all().map(|i| i.currency.as_deref())),
        texts(all().map(|i| i.expected.as_deref())),
        texts(all().map(|i| i.actual.as_deref())),
        delta,
        texts(all().map(|i| Some(i.message.as_str()))),
        times(all().map(|i| i.first_seen)),
        times(all().map(|i| i.resolved_at)),
    ];
    let batch = RecordBatch::try_new(schema(), columns).map_err(fold::arrow)?;
    let mut writer = Writer::create(files, &path(layout, name), schema(), None)?;
    writer.write(&batch)?;
    raw::keep(files, &writer.finish()?, number, issues.len()).map(Some)
}

/// Oldest first; an open one that several commits met stands once.
pub(super) fn read(files: &Files, layout: &Layout, state: &State) -> Result<Vec<StoredIssue>> {
    let mut all = Vec::new();
    for file in &state.issues {
        let part = Part { rows: Some(vec![file.range()]), schema: Some(schema()), ..Part::default() };
        for batch in rows::read(files, &path(layout, &file.name), part)? {
            issue::gather(&mut all, of_batch(&batch?)?);
        }
    }
    Ok(all)
}

fn of_batch(batch: &RecordBatch) -> Result<Vec<StoredIssue>> {
    let text = |name| fold::column::<StringArray>(batch, name);
    let time = |name| fold::column::<TimestampMicrosecondArray>(batch, name);
    let (rule, severity, entity, id) = (text("rule")?, text("severity")?, text("entity")?, text("id")?);
    let (column, currency, message) = (text("column_name")?, text("currency")?, text("message")?);
    let (expected, actual) = (text("expected")?, text("actual")?);
    let (first, resolved) = (time("first_seen")?, time("resolved_at")?);
    let index = batch.schema().index_of("delta").map_err(fold::arrow)?;
    let delta = cast(batch.column(index), &DataType::Utf8).map_err(fold::arrow)?;
    let delta = delta.as_any().downcast_ref::<StringArray>();
    let some = |of: &StringArray, row: usize| of.is_valid(row).then(|| of.value(row).to_owned());
    let at = |of: &TimestampMicrosecondArray, row: usize| of.is_valid(row).then(|| Timestamp(of.value(row)));
    let issue = |row: usize| StoredIssue {
        rule: some(rule, row).unwrap_or_default(),
        severity: some(severity, row).unwrap_or_else(|| "soft".into()),
        entity: some(entity, row).unwrap_or_default(),
        id: some(id, row).unwrap_or_default(),
        column: some(column, row).unwrap_or_default(),
        currency: some(currency, row),
        expected: some(expected, row),
        actual: some(actual, row),
        delta: delta.and_then(|d| some(d, row)),
        message: some(message, row).unwrap_or_default(),
        first_seen: at(first, row),
        resolved_at: at(resolved, row),
    };
    Ok((0..batch.num_rows()).map(issue).collect())
}

impl Connection {
    /// Brings the store up to date: all issues in one new file, named by the state that replaces the old one.
    pub(super) fn settle(&mut self, issues: Vec<StoredIssue>) -> Result<()> {
        self.held.check()?;
        let mut all = read(&self.files, &self.layout, &self.held.state)?;
        let before = all.clone();
        issue::put(&mut all, issues);
        if all == before {
            return Ok(());
        }
        let mut next = self.held.state.clone();
        let name = format!("s{:012}-{}", next.epoch, commit_file(next.commit_no));
        let place = (&self.files, &self.layout, &self.owner);
        next.issues = write(place, &name, next.commit_no, &all)?.into_iter().collect();
        self.held.replace(next).map(|_| ())
    }
}

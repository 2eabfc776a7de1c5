//! A lake written by the test itself: real Parquet files in the layout of `src/load/lake`.
use super::data::{Row, World, entities};
use arrow::{
    array::{ArrayRef, RecordBatch},
    datatypes::SchemaRef,
    util::display::{ArrayFormatter, FormatOptions},
};
use datafusion::common::ScalarValue;
use parquet::arrow::ArrowWriter;
use std::{collections::BTreeMap, fs, path::Path, path::PathBuf, sync::Arc};
use tidegate::{
    engine::{Engine, Table},
    entity::Entity,
    model,
};

pub(crate) struct Lake {
    dir: tempfile::TempDir,
    pub(crate) engine: Engine,
}

impl Lake {
    pub(crate) async fn write(worlds: &[World]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut rows: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
        for (entity, more) in worlds.iter().flat_map(World::rows) {
            rows.entry(entity).or_default().extend(more);
        }
        for entity in entities() {
            let mut files: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
            for row in rows.get(entity.name.as_str()).into_iter().flatten() {
                files.entry(folder(&entity, row)).or_default().push(row);
            }
            for (folder, rows) in files {
                let folder = dir.path().join(&entity.name).join(folder);
                fs::create_dir_all(&folder).unwrap();
                let file = fs::File::create(folder.join("part-0.parquet")).unwrap();
                let batch = batch(&entity.schema(), &rows);
                let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
                writer.write(&batch).unwrap();
                writer.close().unwrap();
            }
        }
        let engine = open(dir.path(), &model::all().unwrap()).await;
        Self { dir, engine }
    }

    /// The same files under other models.
    pub(crate) async fn reopen(&mut self, models: &[model::Model]) {
        self.engine = open(self.dir.path(), models).await;
    }

    /// Rows of a query as sorted text.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        let batches = self.engine.query(sql).await.unwrap_or_else(|e| panic!("{e}"));
        lines(&batches)
    }
}

async fn open(root: &Path, models: &[model::Model]) -> Engine {
    let entities = entities();
    let tables = entities.iter().map(|e| Table {
        name: e.name.clone(),
        schema: e.schema(),
        files: parquet_files(&root.join(&e.name)),
    });
    let views: Vec<(&str, &str)> = models.iter().map(model::Model::view).collect();
    Engine::lake(tables.collect(), &views).await.unwrap()
}

fn folder(entity: &Entity, row: &Row) -> String {
    let part = |column: &str| row[column].to_string();
    let owner = format!("tenant={}/connection={}", part("tenant_id"), part("connection_id"));
    match &entity.month {
        None => owner,
        Some(column) => match row.get(column.as_str()) {
            None => format!("{owner}/month=none"),
            Some(date) => format!("{owner}/month={}", &date.to_string()[..7]),
        },
    }
}

pub(crate) fn parquet_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(parquet_files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Rows with NULL where a row lacks a column.
pub(crate) fn batch(schema: &SchemaRef, rows: &[&Row]) -> RecordBatch {
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        let null = ScalarValue::try_from(field.data_type()).unwrap();
        let cells = rows.iter().map(|row| row.get(field.name().as_str()).cloned().unwrap_or(null.clone()));
        ScalarValue::iter_to_array(cells).unwrap()
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect()).unwrap()
}

/// One line per row, sorted: `a|b|c`, NULL as `-`.
pub(crate) fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("-").with_timestamp_format(Some("%Y-%m-%d %H:%M:%S"));
    let mut lines = Vec::new();
    for batch in batches {
        let cells: Vec<ArrayFormatter> =
            batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            lines.push(cells.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join("|"));
        }
    }
    lines.sort();
    lines
}

/// Shows the first differences instead of two long lists.
pub(crate) fn assert_same(what: &str, actual: &[String], expected: &[String]) {
    let missing: Vec<&String> = expected.iter().filter(|r| !actual.contains(r)).take(8).collect();
    let extra: Vec<&String> = actual.iter().filter(|r| !expected.contains(r)).take(8).collect();
    assert!(
        actual == expected,
        "{what}: {} rows, expected {}\nmissing: {missing:#?}\nunexpected: {extra:#?}",
        actual.len(),
        expected.len()
    );
}

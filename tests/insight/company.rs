//! The simulated company as unified tables on both engines, without a sync in between. Cells are text, so that a test
//! can change any of them.
use super::ledger::{UNIT, decimal};
use crate::models::{
    lake::lines,
    pg::{Database, literal},
};
use arrow::{
    array::{ArrayRef, RecordBatch},
    datatypes::SchemaRef,
};
use chrono::{DateTime, NaiveDate};
use datafusion::common::ScalarValue;
use parquet::arrow::ArrowWriter;
use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, sync::Arc, time::Duration};
use tidegate::{
    engine::{Engine, Table},
    entity::{ColumnType, Entity, PREFIX, SUFFIX},
    model,
    sim::{
        truth::{self, Columns, Facts, Provider},
        world::{Size, World},
    },
    time::Timestamp,
};

pub(crate) type Tables = BTreeMap<String, Vec<Columns>>;

pub(crate) const ZONE: chrono_tz::Tz = chrono_tz::Europe::Berlin;
/// Noon of a day in winter.
const START: i64 = 1_705_320_000;

/// A company with ten months of billing, late in the evening: in Berlin it is tomorrow.
pub(crate) fn world(seed: u64) -> World {
    sized(seed, 40)
}

pub(crate) fn sized(seed: u64, customers: usize) -> World {
    let mut world = World::new(seed, Size { customers }, Timestamp::from_secs(START));
    world.advance(Timestamp::from_secs(START).plus(Duration::from_secs(65 * 86_400 + 42_000)));
    world
}

pub(crate) fn entities() -> Vec<Arc<Entity>> {
    tidegate::manifest::catalog(None).unwrap().entities.into_values().collect()
}

/// One tenant's tables, and their history when it is another.
#[derive(Clone)]
pub(crate) struct Company {
    pub(crate) tenant: String,
    pub(crate) tables: Tables,
    pub(crate) history: Option<Tables>,
    now: Timestamp,
}

impl Company {
    pub(crate) fn of(tenant: &str, world: &World, time_zone: chrono_tz::Tz) -> Self {
        Self::at(tenant, world, time_zone, Provider::Chargebee)
    }
    pub(crate) fn at(tenant: &str, world: &World, time_zone: chrono_tz::Tz, provider: Provider) -> Self {
        let expected = truth::expected(world, provider, &Facts { time_zone });
        let tables = expected.into_iter().map(|(name, rows)| (name, rows.into_values().collect()));
        Self { tenant: tenant.into(), tables: tables.collect(), history: None, now: world.now() }
    }
    pub(crate) fn table(&mut self, name: &str) -> &mut Vec<Columns> {
        self.tables.entry(name.into()).or_default()
    }
    /// The first row that fits.
    pub(crate) fn row(&mut self, name: &str, fits: impl Fn(&Columns) -> bool) -> &mut Columns {
        self.table(name).iter_mut().find(|r| fits(r)).unwrap_or_else(|| panic!("no row of {name} fits"))
    }
    /// From now on changes are not in the history.
    pub(crate) fn keep_history(&mut self) {
        self.history = Some(self.tables.clone());
    }

    fn cells(&self, entity: &Entity, row: &Columns, schema: &SchemaRef) -> Vec<ScalarValue> {
        let text = |v: &str| ScalarValue::Utf8(Some(v.into()));
        let now = || ScalarValue::TimestampMicrosecond(Some(self.now.0), None);
        let hash = twox_hash::XxHash3_128::oneshot(format!("{row:?}").as_bytes()) as i64;
        let cell = |field: &Arc<arrow::datatypes::Field>| match field.name().as_str() {
            "tenant_id" => text(&self.tenant),
            "connection_id" => text("main"),
            "provider" => text("chargebee"),
            "version" => ScalarValue::Int64(Some(row["version"].parse().unwrap())),
            "row_hash" => ScalarValue::Int64(Some(hash)),
            "observed_at" => now(),
            "deleted_at" if row.contains_key("_deleted") => now(),
            "op" => text("upsert"),
            "commit_no" => ScalarValue::Int64(Some(1)),
            name => match (row.get(name), entity.column(name)) {
                (Some(cell), Some(column)) => value(column.ty, cell),
                _ => ScalarValue::try_from(field.data_type()).unwrap(),
            },
        };
        schema.fields().iter().map(cell).collect()
    }
}

/// A decimal as a whole number of units of `scale` places, exact.
pub(crate) fn exact(text: &str, scale: usize) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    assert!(fraction.len() <= scale, "{text} has more than {scale} places");
    format!("{whole}{fraction:0<scale$}").parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Makes an amount one cent more; the row's id.
pub(crate) fn off(row: &mut Columns, column: &str) -> String {
    let amount = decimal(exact(&row[column], 8) + UNIT / 100);
    row.insert(column.into(), amount);
    row["id"].clone()
}

fn value(ty: ColumnType, text: &str) -> ScalarValue {
    let decimal = |scale: usize| Some(exact(text, scale));
    match ty {
        ColumnType::Text | ColumnType::Json => ScalarValue::Utf8(Some(text.into())),
        ColumnType::Int => ScalarValue::Int64(Some(text.parse().unwrap())),
        ColumnType::Bool => ScalarValue::Boolean(Some(text == "true")),
        ColumnType::Money => ScalarValue::Decimal128(decimal(8), 28, 8),
        ColumnType::Quantity => ScalarValue::Decimal128(decimal(12), 38, 12),
        ColumnType::Rate => ScalarValue::Decimal128(decimal(12), 24, 12),
        ColumnType::Timestamp => {
            let at = DateTime::parse_from_rfc3339(text).unwrap();
            ScalarValue::TimestampMicrosecond(Some(at.timestamp_micros()), None)
        }
        ColumnType::Date => {
            let day: NaiveDate = text.parse().unwrap();
            ScalarValue::Date32(Some(day.signed_duration_since(NaiveDate::default()).num_days() as i32))
        }
    }
}

/// The rows of some companies as Parquet files, and an engine over them.
pub(crate) struct Files {
    _dir: tempfile::TempDir,
    tables: Vec<Table>,
    pub(crate) engine: Engine,
}

impl Files {
    pub(crate) async fn write(companies: &[Company]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut tables = Vec::new();
        for entity in entities() {
            let layers = [
                (entity.name.clone(), entity.schema(), false),
                (format!("history_{}", entity.name), entity.history_schema(), true),
            ];
            for (name, schema, history) in layers {
                let mut rows: Vec<Vec<ScalarValue>> = Vec::new();
                for company in companies {
                    let tables = company.history.as_ref().filter(|_| history).unwrap_or(&company.tables);
                    let own = tables.get(&entity.name).into_iter().flatten();
                    rows.extend(own.map(|row| company.cells(&entity, row, &schema)));
                }
                let files =
                    if rows.is_empty() { vec![] } else { vec![file(dir.path(), &name, &schema, &rows)] };
                tables.push(Table { name, schema, files });
            }
        }
        let engine = engine(&tables, &model::all().unwrap()).await;
        Self { engine, tables, _dir: dir }
    }
    /// The same files under other models.
    pub(crate) async fn reopen(&mut self, models: &[model::Model]) {
        self.engine = engine(&self.tables, models).await;
    }
    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        lines(&self.engine.query(sql).await.unwrap_or_else(|e| panic!("{e}\n{sql}")))
    }
}

async fn engine(tables: &[Table], models: &[model::Model]) -> Engine {
    let views: Vec<(&str, &str)> = models.iter().map(model::Model::view).collect();
    Engine::lake(tables.to_vec(), &views).await.unwrap()
}

fn file(dir: &Path, name: &str, schema: &SchemaRef, rows: &[Vec<ScalarValue>]) -> std::path::PathBuf {
    let columns = (0..schema.fields().len())
        .map(|i| -> ArrayRef { ScalarValue::iter_to_array(rows.iter().map(|r| r[i].clone())).unwrap() });
    let batch = RecordBatch::try_new(Arc::clone(schema), columns.collect()).unwrap();
    let path = dir.join(format!("{name}.parquet"));
    let mut writer = ArrowWriter::try_new(fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path
}

/// The same rows in a fresh database.
pub(crate) async fn database(companies: &[Company]) -> Database {
    let mut script = String::from("create schema billing;\ncreate schema history;\n");
    for entity in entities() {
        let prefix = PREFIX.iter().map(|n| ((*n).to_owned(), ColumnType::Text));
        let own = entity.columns.iter().map(|c| (c.name.clone(), c.ty));
        let suffix = SUFFIX.iter().map(|(n, ty, ..)| ((*n).to_owned(), *ty));
        let columns: Vec<(String, ColumnType)> = prefix.chain(own).chain(suffix).collect();
        let ddl: Vec<String> = columns.iter().map(|(n, ty)| format!("{n} {}", ty.postgres())).collect();
        let ddl = ddl.join(", ");
        for (table, schema, history) in
            [("billing", entity.schema(), false), ("history", entity.history_schema(), true)]
        {
            let more = if history { ", op text, commit_no bigint" } else { "" };
            let name = format!("{table}.{}", entity.name);
            let _ = writeln!(script, "create table {name} ({ddl}{more});");
            for company in companies {
                let tables = company.history.as_ref().filter(|_| history).unwrap_or(&company.tables);
                let own = tables.get(&entity.name).into_iter().flatten();
                let rows = own.map(|row| {
                    let cells = company.cells(&entity, row, &schema);
                    format!("({})", cells.iter().map(literal).collect::<Vec<_>>().join(", "))
                });
                for chunk in rows.collect::<Vec<_>>().chunks(500) {
                    let _ = writeln!(script, "insert into {name} values {};", chunk.join(",\n"));
                }
            }
        }
    }
    Database::with(&script).await
}

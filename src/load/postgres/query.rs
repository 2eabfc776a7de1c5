//! What do the tables hold? Stored layers and any SELECT, as Arrow.
//!
//! `query` runs in a session of its own that cannot write. Absent on purpose: a guess for types without an Arrow
//! counterpart; the message says to cast.
use super::{Postgres, copy_out, decode::Column, fault::Fault, generated::Table};
use crate::{
    entity::Entity,
    error::{Error, Kind, Result},
    id::Owner,
    load::{Layer, See},
};
use arrow::{
    array::RecordBatch,
    datatypes::{Field, Schema, SchemaRef},
};
use futures::TryStreamExt;
use sqlx::{
    AssertSqlSafe, Column as _, Connection, Executor, PgConnection, Row, SqlSafeStr, Statement, TypeInfo,
    postgres::PgRow,
};
use std::sync::Arc;

/// A larger answer of `query` is refused: it would not fit a terminal, and memory is bounded.
const ANSWER_BYTES_MAX: usize = 256 << 20;

impl Postgres {
    pub(super) async fn read_layer(&mut self, entity: &Entity, layer: Layer) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        self.show(entity, |table, owner| table.select(layer, owner), layer, &mut |batch| {
            batches.push(batch);
            Ok(())
        })
        .await?;
        Ok(batches)
    }

    pub(super) async fn each_row(&mut self, entity: &Entity, see: See<'_>) -> Result<()> {
        self.show(entity, |table, owner| table.select_unsorted(owner), Layer::Current, see).await
    }

    async fn show(
        &mut self,
        entity: &Entity,
        sql: impl FnOnce(&Table<'_>, &Owner) -> String,
        layer: Layer,
        see: See<'_>,
    ) -> Result<()> {
        let (conn, open) = self.opened().await?;
        let sql = sql(&Table::of(entity), &open.owner);
        let schema = match layer {
            Layer::Current => entity.schema(),
            Layer::History => entity.history_schema(),
        };
        let shown = copy_out::shown(conn, &sql, &schema, see).await;
        shown.map_err(|f| self.failed(f, "reading rows"))
    }

    /// Runs one SELECT that can change nothing, with `billing` as default schema. At least one batch, so that the
    /// schema of an empty answer is known too. Integers become Int64, numerics Decimal128(38, largest scale) or, when
    /// one does not fit, text; json and jsonb become text. Fails `Invalid` for a statement that the server refuses, a
    /// type without an Arrow counterpart, or an answer over 256 MB.
    pub async fn query(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        let options = self
            .options
            .clone()
            .application_name("tidegate query")
            .options([("default_transaction_read_only", "on"), ("search_path", "billing,public")]);
        let mut conn = self.dial(&options).await?;
        let answer = select(&mut conn, sql).await.map_err(|f| refused(f, &self.place))?;
        drop(conn.close().await);
        Ok(vec![answer])
    }
}

fn refused(fault: Fault, place: &str) -> Error {
    match fault {
        Fault::Sql(sqlx::Error::Database(e))
            if e.code().is_some_and(|c| c.starts_with("42") || c.starts_with("22")) =>
        {
            Error::new(Kind::Invalid, format!("Postgres refused the query: {}", e.message()))
                .hint("tables are in schema billing, changes in history; `tidegate schema` lists the columns")
        }
        Fault::Sql(sqlx::Error::Database(e)) if e.code().as_deref() == Some("25006") => {
            Error::new(Kind::Invalid, "a query may only read")
                .because(sqlx::Error::Database(e))
                .hint("write a SELECT")
        }
        other => other.into_error("running the query", place),
    }
}

/// Adds one row; returns its size in bytes.
fn push(columns: &mut [Column], row: &PgRow) -> Result<usize, Fault> {
    let mut size = 0;
    for (n, column) in columns.iter_mut().enumerate() {
        let value = row.try_get_raw(n)?;
        let bytes = if sqlx::ValueRef::is_null(&value) {
            None
        } else {
            Some(value.as_bytes().map_err(sqlx::Error::Decode)?)
        };
        size += bytes.map_or(0, <[u8]>::len);
        column.push(bytes)?;
    }
    Ok(size)
}

async fn select(conn: &mut PgConnection, sql: &str) -> Result<RecordBatch, Fault> {
    let statement = conn.prepare(AssertSqlSafe(sql).into_sql_str()).await?;
    let mut names = Vec::new();
    let mut columns = Vec::new();
    for column in statement.columns() {
        names.push(column.name().to_owned());
        columns.push(Column::of_postgres(column.type_info().name()).ok_or_else(|| {
            Error::new(Kind::Invalid, "a column of the answer has a type that cannot be shown")
                .with("column", column.name())
                .with("type", column.type_info().name())
                .hint(format!("cast it: `{}::text`", column.name()))
        })?);
    }
    let mut size = 0;
    let mut count = 0;
    {
        let mut rows = statement.query().fetch(&mut *conn);
        while let Some(row) = rows.try_next().await? {
            size += push(&mut columns, &row)?;
            count += 1;
            if size > ANSWER_BYTES_MAX {
                return Err(Error::new(Kind::Invalid, "the answer is larger than 256 MB")
                    .with("rows_so_far", count)
                    .hint("add a `where` or `limit`, or use `tidegate export`")
                    .into());
            }
        }
    }
    let arrays = columns.iter_mut().map(Column::finish).collect::<Result<Vec<_>>>()?;
    let fields = names.iter().zip(&arrays).map(|(n, a)| Field::new(n, a.data_type().clone(), true));
    let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(count));
    Ok(RecordBatch::try_new_with_options(schema, arrays, &options)
        .map_err(|e| Error::new(Kind::Bug, "the answer's columns differ in length").because(e))?)
}

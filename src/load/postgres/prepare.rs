//! Do the tables fit this release? Applies migrations and makes or grows the unified tables.
//!
//! Absent on purpose: changing a column's type, dropping anything.
use super::{
    fault::Fault,
    generated::{Table, Wanted, wanted},
};
use crate::{
    entity::Entity,
    error::{Error, Kind, Result},
    load::Layer,
};
use arrow::array::RecordBatch;
use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection,
    migrate::{MigrateError, Migrator},
};
use std::{collections::BTreeMap, sync::Arc};

const MIGRATIONS: &str = "tidegate.migrations";
/// Held while tables or views are made or grown.
pub(super) const DDL_LOCK: i64 = 0x7469_6465_6761_7465;
const NAME_BYTES_MAX: usize = 63;

fn migrator() -> Migrator {
    let mut all = sqlx::migrate!("./migrations");
    all.dangerous_set_table_name(MIGRATIONS);
    all.create_schema("tidegate");
    all
}

fn newer(version: i64) -> Error {
    Error::new(Kind::Invalid, "this database was prepared by a newer tidegate")
        .with("migration", version)
        .hint("install the newer tidegate on this machine, see `tidegate --version`")
}

/// How far the state tables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prepared {
    /// There are none.
    Not,
    /// `migrate` has something to do.
    Older,
    /// All migrations of this release are applied.
    Whole,
}

/// Looks without changing anything. Fails `Invalid` when the database is newer.
pub(super) async fn prepared(conn: &mut PgConnection) -> Result<Prepared, Fault> {
    let there: bool = sqlx::query_scalar("select to_regclass($1) is not null")
        .bind(MIGRATIONS)
        .fetch_one(&mut *conn)
        .await?;
    if !there {
        return Ok(Prepared::Not);
    }
    let applied: Vec<i64> =
        sqlx::query_scalar("select version from tidegate.migrations where success order by version")
            .fetch_all(conn)
            .await?;
    let known: Vec<i64> = migrator().iter().map(|m| m.version).collect();
    match applied.iter().find(|v| !known.contains(v)) {
        Some(version) => Err(newer(*version).into()),
        None if applied.is_empty() => Ok(Prepared::Not),
        None if applied == known => Ok(Prepared::Whole),
        None => Ok(Prepared::Older),
    }
}

/// Applies what is missing, under the migrator's own lock.
pub(super) async fn migrate(conn: &mut PgConnection) -> Result<(), Fault> {
    if prepared(conn).await? == Prepared::Whole {
        return Ok(());
    }
    migrator().run_direct(None, conn, false).await.map_err(|e| match e {
        MigrateError::VersionMissing(version) => newer(version).into(),
        MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => Fault::Sql(e),
        other => Fault::Ours(
            Error::new(Kind::Destination, "the database could not be prepared")
                .because(other)
                .hint("restore the table tidegate.migrations from a backup, or use an empty database"),
        ),
    })
}

/// Columns there are: (schema, table, column) -> type.
type Found = BTreeMap<(String, String, String), String>;

async fn found(conn: &mut PgConnection) -> Result<Found, Fault> {
    let rows: Vec<(String, String, String, String)> = sqlx::query_as(
        "select n.nspname::text, c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod) \
         from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace \
         where n.nspname in ('billing', 'history') and c.relkind in ('r', 'p') and a.attnum > 0 \
         and not a.attisdropped",
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(schema, table, column, ty)| ((schema, table, column), ty)).collect())
}

/// Makes the tables of `entities` and adds columns they lack. Fails `Invalid` for a name over 63 bytes and for a column
/// whose type differs.
pub(super) async fn tables(conn: &mut PgConnection, entities: &[Arc<Entity>]) -> Result<(), Fault> {
    for entity in entities {
        names_fit(entity)?;
    }
    if missing(entities, &found(conn).await?)?.is_empty() {
        return Ok(());
    }
    let mut tx = conn.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(DDL_LOCK).execute(&mut *tx).await?;
    let sql = missing(entities, &found(&mut tx).await?)?;
    tx.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    tx.commit().await?;
    Ok(())
}

/// Makes the indexes that find the children of a parent where a stream hangs them on another column than the entity
/// names: without one, every lookup of a parent would read the whole table.
pub(super) async fn parent_indexes(
    conn: &mut PgConnection,
    children: &[(Arc<Entity>, RecordBatch)],
) -> Result<(), Fault> {
    for (child, _) in children {
        let Some((name, sql)) = Table::of(child).parent_index() else { continue };
        let there: bool =
            sqlx::query_scalar("select to_regclass($1) is not null").bind(name).fetch_one(&mut *conn).await?;
        if !there {
            let mut tx = conn.begin().await?;
            sqlx::query("select pg_advisory_xact_lock($1)").bind(DDL_LOCK).execute(&mut *tx).await?;
            tx.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
            tx.commit().await?;
        }
    }
    Ok(())
}

fn names_fit(entity: &Entity) -> Result<()> {
    let names = std::iter::once(&entity.name).chain(entity.columns.iter().map(|c| &c.name));
    match names.into_iter().find(|n| n.len() > NAME_BYTES_MAX) {
        None => Ok(()),
        Some(name) => {
            Err(Error::new(Kind::Invalid, "a name is longer than the 63 bytes that Postgres allows")
                .with("entity", &entity.name)
                .with("name", name)
                .hint(format!("shorten it in connectors/unified/{}.yaml", entity.name)))
        }
    }
}

/// The statements that bring the tables to what `entities` say.
fn missing(entities: &[Arc<Entity>], found: &Found) -> Result<String> {
    let mut sql = String::new();
    for entity in entities {
        for (schema, layer) in [("billing", Layer::Current), ("history", Layer::History)] {
            let key = |column: &str| (schema.to_owned(), entity.name.clone(), column.to_owned());
            let table = Table::of(entity);
            if !found.contains_key(&key("id")) {
                sql.push_str(&table.create(layer));
                continue;
            }
            for column in wanted(entity, layer) {
                match found.get(&key(&column.name)) {
                    Some(ty) if *ty == column.ty => {}
                    Some(ty) => return Err(retyped(schema, entity, &column, ty)),
                    None if column.nullable => sql.push_str(&table.grow(layer, &column)),
                    None => return Err(retyped(schema, entity, &column, "missing")),
                }
            }
        }
    }
    Ok(sql)
}

fn retyped(schema: &str, entity: &Entity, column: &Wanted, there: &str) -> Error {
    Error::new(Kind::Invalid, "a column of the database has another type than its entity says")
        .with("column", format!("{schema}.{}.{}", entity.name, column.name))
        .with("there", there)
        .with("wanted", &column.ty)
        .hint(format!(
            "rename or drop the old column (`alter table {schema}.{} rename column {} to ..`) and fill the new one \
             with `tidegate rebuild`",
            entity.name, column.name
        ))
}

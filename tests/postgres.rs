//! The Postgres destination against a real server.
mod cuts;
mod grow;
mod query;
mod rebuild;
mod rows;
mod sync;
mod values;

use crate::postgres_server::Database;
use sqlx::PgConnection;
use std::{collections::BTreeMap, sync::Arc};
use tidegate::{
    entity::Entity,
    error::{Kind, Result},
    id::Owner,
    load::{Destination, Opened, postgres::Postgres},
};

/// Both test entities.
fn entities() -> Vec<Arc<Entity>> {
    vec![rows::bills(), rows::lines()]
}

async fn connect(database: &Database) -> Postgres {
    Postgres::connect(&database.secret()).await.unwrap()
}

async fn opened(database: &Database, owner: &Owner) -> (Postgres, Opened) {
    let mut postgres = connect(database).await;
    let opened = postgres.open(owner, &entities()).await.unwrap();
    (postgres, opened)
}

fn kind<T>(result: Result<T>) -> Kind {
    match result {
        Ok(_) => panic!("this must fail"),
        Err(e) => e.kind(),
    }
}

/// Everything stored, table by table, as sorted JSON rows; without bookkeeping times and epochs.
async fn dump(conn: &mut PgConnection) -> BTreeMap<String, Vec<String>> {
    dump_of(conn, "").await
}

/// The same of one tenant, its name taken out; of all when empty.
async fn dump_of(conn: &mut PgConnection, tenant: &str) -> BTreeMap<String, Vec<String>> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', schemaname, tablename) from pg_tables \
         where schemaname in ('billing', 'history', 'raw', 'tidegate') and tablename not in ('migrations', 'views')",
    )
    .fetch_all(&mut *conn)
    .await
    .unwrap();
    let bookkeeping = "'opened_at' - 'committed_at' - 'resolved_at' - 'recorded_at' - 'epoch'";
    let whole = if tenant.is_empty() { "to_jsonb(t)" } else { "to_jsonb(t) - 'tenant_id'" };
    let mut all = BTreeMap::new();
    for table in tables {
        let sql = format!(
            "select ({whole} - {bookkeeping})::text from {table} t where $1 in ('', tenant_id) order by 1"
        );
        let rows =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(tenant).fetch_all(&mut *conn).await.unwrap();
        all.insert(table, rows);
    }
    all
}

/// One text value, for short assertions.
async fn one(conn: &mut PgConnection, sql: &str) -> String {
    let rows: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "select coalesce(string_agg(v::text, ' '), '') from ({sql}) q(v)"
    )))
    .fetch_all(conn)
    .await
    .unwrap();
    rows.into_iter().next().unwrap()
}

/// The sessions of this database that hold a connection's lock.
const HOLDERS: &str = "select pid from pg_locks where locktype = 'advisory' \
    and database = (select oid from pg_database where datname = current_database())";

/// Ends them, and waits until they are gone.
async fn terminate(db: &Database) {
    let mut sql = db.session().await;
    one(&mut sql, &format!("select pg_terminate_backend(pid, 5000) from ({HOLDERS}) h")).await;
}

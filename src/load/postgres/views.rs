//! Do the derived views say what this release says? Makes and renews them in one transaction.
//!
//! Knows names and a script; what the views mean is decided elsewhere. Absent on purpose: cascades, so a view that
//! somebody built on ours is never dropped.
use super::{Postgres, fault::Fault, prepare::DDL_LOCK, session::hash64};
use crate::error::Result;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// A view cannot be replaced in place because its columns changed.
const COLUMNS_CHANGED: &str = "42P16";

impl Postgres {
    /// Runs `script`, which makes or renews the views `names` of schema `billing`, unless they stand as it says.
    /// `names` are in order: a view reads earlier ones. The tables must be there. True when something was made.
    /// Fails `Destination` when a view's columns changed while somebody else's view reads it.
    pub async fn renew_views(&self, names: &[&str], script: &str) -> Result<bool> {
        let mut conn = self.dial(&self.options).await?;
        let renewed = renew(&mut conn, names, script).await;
        drop(conn.close().await);
        renewed.map_err(|f| f.into_error("making its views", &self.place))
    }
}

async fn renew(conn: &mut PgConnection, names: &[&str], script: &str) -> Result<bool, Fault> {
    let wanted = hash64(script.as_bytes());
    if stand(conn, names, wanted).await? {
        return Ok(false);
    }
    let mut tx = conn.begin().await?;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(DDL_LOCK).execute(&mut *tx).await?;
    if stand(&mut tx, names, wanted).await? {
        return Ok(false);
    }
    let mut attempt = tx.begin().await?;
    match attempt.execute(sqlx::raw_sql(AssertSqlSafe(script))).await {
        Ok(_) => attempt.commit().await?,
        Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some(COLUMNS_CHANGED) => {
            attempt.rollback().await?;
            for name in names.iter().rev() {
                tx.execute(sqlx::raw_sql(AssertSqlSafe(format!("drop view if exists billing.{name}"))))
                    .await?;
            }
            tx.execute(sqlx::raw_sql(AssertSqlSafe(script))).await?;
        }
        Err(e) => return Err(e.into()),
    }
    sqlx::query(
        "insert into tidegate.views (name, script_hash) select unnest($1::text[]), $2 \
         on conflict (name) do update set script_hash = excluded.script_hash, made_at = now()",
    )
    .bind(names)
    .bind(wanted)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(true)
}

/// Whether every view is there, made by a script of this hash.
async fn stand(conn: &mut PgConnection, names: &[&str], wanted: i64) -> Result<bool, Fault> {
    let standing: i64 = sqlx::query_scalar(
        "select count(*) from tidegate.views \
         where name = any($1) and script_hash = $2 and to_regclass('billing.' || quote_ident(name)) is not null",
    )
    .bind(names)
    .bind(wanted)
    .fetch_one(conn)
    .await?;
    Ok(usize::try_from(standing) == Ok(names.len()))
}

//! Do the derived views say what this release says? Makes and renews them in one transaction.
//!
//! Knows names and a script; what the views mean is decided elsewhere. Absent on purpose: cascades, so a view that
//! somebody built on ours is never dropped.
use super::{Postgres, fault::Fault, prepare::DDL_LOCK, session::hash64};
use crate::error::{Error, Kind, Result};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, postgres::PgDatabaseError};

/// A view cannot be replaced in place because its columns changed.
const COLUMNS_CHANGED: &str = "42P16";
/// A view cannot be dropped because another reads it.
const OTHERS_DEPEND: &str = "2BP01";

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
                let drop = sqlx::raw_sql(AssertSqlSafe(format!("drop view if exists billing.{name}")));
                tx.execute(drop).await.map_err(|e| held(e, name))?;
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

/// Names whoever reads the view, which only the detail of Postgres' message tells.
fn held(e: sqlx::Error, name: &str) -> Fault {
    let detail = e
        .as_database_error()
        .and_then(|e| e.try_downcast_ref::<PgDatabaseError>())
        .filter(|e| e.code() == OTHERS_DEPEND)
        .and_then(|e| e.detail().map(str::to_owned));
    match detail {
        None => e.into(),
        Some(detail) => Error::new(
            Kind::Destination,
            format!("the columns of billing.{name} change, and a view reads it"),
        )
        .with("detail", detail.lines().collect::<Vec<_>>().join("; "))
        .hint("rows are committed; drop that view, run `tidegate sync` again, then make it anew")
        .into(),
    }
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

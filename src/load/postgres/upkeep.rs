//! Which bodies are old and superseded, and what is left for the server to clean up?
//!
//! Old bodies are deleted in batches, each a transaction under the epoch, so that a sync in between never waits long.
//! There are no small files to merge: `compact` vacuums and analyzes the tables that the connection feeds, at once and
//! not when autovacuum comes by. Absent on purpose: `vacuum full`, which locks readers out.
use super::{
    Open, Postgres,
    fault::Fault,
    generated::quoted,
    state::{self, naive, stamp},
};
use crate::{
    error::Result,
    id::Owner,
    load::{Compacted, LayerSize, Retained, Upkeep},
    time::Timestamp,
};
use chrono::NaiveDateTime;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::collections::BTreeSet;

/// Bodies deleted in one transaction.
const BATCH: i64 = 5_000;

/// By layer, the tables that the connection feeds, quoted.
fn tables(open: &Open) -> Vec<(&'static str, Vec<String>)> {
    let child = |name: &String| name.split_once('.').map_or(name.as_str(), |(table, _)| table).to_owned();
    let fed = open.feeds.values().flat_map(|f| f.children.iter().map(child).chain([f.main.clone()]));
    let fed: BTreeSet<String> = fed.collect();
    let of = |schema: &str| fed.iter().map(|name| format!("{schema}.{}", quoted(name))).collect();
    vec![
        ("billing", of("billing")),
        ("history", of("history")),
        ("raw", vec!["raw.records".into()]),
        ("rejects", vec!["tidegate.rejects".into()]),
        ("issues", vec!["tidegate.quality_issues".into()]),
    ]
}

async fn bytes(conn: &mut PgConnection, tables: &[String]) -> Result<u64, Fault> {
    let sum: i64 = sqlx::query_scalar(
        "select coalesce(sum(pg_total_relation_size(name::regclass)), 0)::bigint from unnest($1::text[]) as t(name)",
    )
    .bind(tables)
    .fetch_one(conn)
    .await?;
    Ok(u64::try_from(sum).unwrap_or(0))
}

/// Lists what goes in a table of the session, then deletes it batch by batch; how many.
async fn let_go(conn: &mut PgConnection, open: &Open, before: NaiveDateTime) -> Result<u64, Fault> {
    let owner = &open.owner;
    sqlx::query(
        "create temp table superseded as select stream, commit_no, key, deleted from (\
         select stream, commit_no, key, deleted, read_at, \
         max(commit_no) filter (where not deleted) over (partition by stream, key) as newest \
         from raw.records where tenant_id = $1 and connection_id = $2) r \
         where read_at < $3 and commit_no < newest",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.connection.as_str())
    .bind(before)
    .execute(&mut *conn)
    .await?;
    let mut removed = 0;
    loop {
        let mut tx = conn.begin().await?;
        state::hold_epoch(&mut tx, owner, open.epoch).await?;
        sqlx::query(
            "update tidegate.streams set bodies_from = greatest(bodies_from, $3) \
             where tenant_id = $1 and connection_id = $2 and stream in (select stream from superseded)",
        )
        .bind(owner.tenant.as_str())
        .bind(owner.connection.as_str())
        .bind(before)
        .execute(&mut *tx)
        .await?;
        let gone = sqlx::query(
            "with due as (delete from superseded where ctid in (select ctid from superseded limit $3) \
             returning stream, commit_no, key, deleted) delete from raw.records r using due s \
             where r.tenant_id = $1 and r.connection_id = $2 and r.stream = s.stream \
             and r.commit_no = s.commit_no and r.key = s.key and r.deleted = s.deleted",
        )
        .bind(owner.tenant.as_str())
        .bind(owner.connection.as_str())
        .bind(BATCH)
        .execute(&mut *tx)
        .await?
        .rows_affected();
        if gone == 0 {
            sqlx::query(
                "update tidegate.connections set retained_before = $3 where tenant_id = $1 and connection_id = $2",
            )
            .bind(owner.tenant.as_str())
            .bind(owner.connection.as_str())
            .bind(before)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        removed += gone;
        if gone == 0 {
            return Ok(removed);
        }
    }
}

async fn retain(conn: &mut PgConnection, open: &Open, before: Timestamp) -> Result<u64, Fault> {
    let before = naive(before)?;
    conn.execute("drop table if exists pg_temp.superseded").await?;
    let removed = let_go(conn, open, before).await?;
    conn.execute("drop table pg_temp.superseded").await?;
    Ok(removed)
}

async fn vacuum(conn: &mut PgConnection, open: &Open) -> Result<Vec<LayerSize>, Fault> {
    let tables = tables(open);
    let mut layers = Vec::new();
    for (layer, names) in &tables {
        let files = names.len() as u64;
        layers.push(LayerSize {
            layer: (*layer).to_owned(),
            files_before: files,
            files_after: files,
            bytes_before: bytes(conn, names).await?,
            bytes_after: 0,
        });
    }
    let names: Vec<&str> = tables.iter().flat_map(|(_, names)| names).map(String::as_str).collect();
    let sql = format!("vacuum (analyze) {}", names.join(", "));
    conn.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    for (size, (_, names)) in layers.iter_mut().zip(&tables) {
        size.bytes_after = bytes(conn, names).await?;
    }
    Ok(layers)
}

impl Postgres {
    pub(super) async fn retain_bodies(&mut self, before: Timestamp) -> Result<Retained> {
        let (conn, open) = self.opened().await?;
        let removed = retain(conn, open, before).await;
        let removed = removed.map_err(|f| self.failed(f, "removing old bodies"))?;
        Ok(Retained { removed, waiting: 0 })
    }

    pub(super) async fn compact_tables(&mut self, before: Option<Timestamp>) -> Result<Compacted> {
        let bodies_removed = match before {
            Some(before) => self.retain_bodies(before).await?.removed,
            None => 0,
        };
        let (conn, open) = self.opened().await?;
        let layers = vacuum(conn, open).await;
        let layers = layers.map_err(|f| self.failed(f, "vacuuming its tables"))?;
        Ok(Compacted { bodies_removed, layers })
    }

    pub(super) async fn upkeep_of(&mut self, owner: &Owner) -> Result<Upkeep> {
        let Some(conn) = self.prepared().await? else { return Ok(Upkeep::default()) };
        let act = async {
            // Tables of an older release lack the columns; the next sync adds them.
            let there: bool = sqlx::query_scalar(
                "select exists (select from information_schema.columns where table_schema = 'tidegate' \
                 and table_name = 'streams' and column_name = 'bodies_from')",
            )
            .fetch_one(&mut *conn)
            .await?;
            if !there {
                return Ok(Upkeep::default());
            }
            let last: Option<Option<NaiveDateTime>> = sqlx::query_scalar(
                "select retained_before from tidegate.connections where tenant_id = $1 and connection_id = $2",
            )
            .bind(owner.tenant.as_str())
            .bind(owner.connection.as_str())
            .fetch_optional(&mut *conn)
            .await?;
            let from: Vec<(String, NaiveDateTime)> = sqlx::query_as(
                "select stream, bodies_from from tidegate.streams \
                 where tenant_id = $1 and connection_id = $2 and bodies_from is not null",
            )
            .bind(owner.tenant.as_str())
            .bind(owner.connection.as_str())
            .fetch_all(conn)
            .await?;
            Ok(Upkeep {
                spare_files: 0,
                retained_before: last.flatten().map(stamp),
                bodies_from: from.into_iter().map(|(stream, at)| (stream, stamp(at))).collect(),
            })
        };
        let found: Result<Upkeep, Fault> = act.await;
        found.map_err(|f| self.failed(f, "reading its state"))
    }
}

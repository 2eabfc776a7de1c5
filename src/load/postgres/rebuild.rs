//! How is a stream built anew without touching what is there? In the session's own temporary tables, swapped in by one
//! transaction.
//!
//! A process that dies leaves nothing behind: temporary tables end with their session. Only rows of this connection and
//! stream are exchanged, for tables are shared by tenants.
use super::{Open, Postgres, fault::Fault, generated::Table, not_open, state};
use crate::{
    entity::Entity,
    error::{Error, Kind, Result},
    id::Owner,
    load::{Commit, Diff, Layer},
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::sync::Arc;

/// What is built aside.
pub(super) struct Rebuild {
    pub(super) stream: String,
    /// The session that held the tables is gone.
    pub(super) lost: bool,
    /// Main entity first; the place is the number of its tables.
    entities: Vec<Arc<Entity>>,
    /// Places of entities with history rows whose bodies are gone.
    bodiless: Vec<usize>,
}

/// The session's table of what is still to be taken over.
fn carried(n: usize) -> String {
    format!("pg_temp.aside_carried_{n}")
}

impl Rebuild {
    /// The tables aside of an entity. Fails `Bug` for one that was not prepared.
    pub(super) fn table<'e>(&self, entity: &'e Entity) -> Result<Table<'e>> {
        let place = self.entities.iter().position(|e| e.name == entity.name);
        place.map(|n| Table::aside(entity, n)).ok_or_else(|| {
            Error::new(Kind::Bug, "an entity was not prepared for the rebuild").with("entity", &entity.name)
        })
    }

    /// Makes tables for entities that the commit feeds and that have none yet. Fails `Transient` when the tables were
    /// lost.
    pub(super) async fn prepare(
        &mut self,
        conn: &mut PgConnection,
        owner: &Owner,
        commit: &Commit,
    ) -> Result<(), Fault> {
        if self.lost {
            return Err(lost(&self.stream).into());
        }
        let Some(rows) = &commit.rows else { return Ok(()) };
        self.add(conn, owner, &rows.entity).await?;
        for (child, _) in &rows.children {
            self.add(conn, owner, child).await?;
        }
        Ok(())
    }

    async fn add(
        &mut self,
        conn: &mut PgConnection,
        owner: &Owner,
        entity: &Arc<Entity>,
    ) -> Result<(), Fault> {
        if self.entities.iter().any(|e| e.name == entity.name) {
            return Ok(());
        }
        let place = self.entities.len();
        let sql = Table::aside(entity, place).create_like(&Table::of(entity));
        conn.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
        self.entities.push(entity.clone());
        let found = sqlx::query(AssertSqlSafe(Table::of(entity).bodiless(&carried(place))))
            .bind(owner.tenant.as_str())
            .bind(owner.connection.as_str())
            .bind(&self.stream)
            .execute(conn)
            .await?;
        if found.rows_affected() > 0 {
            self.bodiless.push(place);
        }
        Ok(())
    }

    /// Takes rows over that cannot be made again, of commits up to this one.
    pub(super) async fn carry(&self, conn: &mut PgConnection, through: i64) -> Result<(), Fault> {
        for place in &self.bodiless {
            let Some(entity) = self.entities.get(*place) else { continue };
            for sql in Table::aside(entity, *place).carry(&carried(*place)) {
                sqlx::query(AssertSqlSafe(sql)).bind(through).execute(&mut *conn).await?;
            }
        }
        Ok(())
    }
}

fn lost(stream: &str) -> Error {
    Error::new(
        Kind::Transient,
        "the connection was lost, and with it what was built aside; nothing was changed",
    )
    .with("stream", stream)
    .hint("run `tidegate rebuild` again")
}

impl Postgres {
    pub(super) async fn begin_rebuild(&mut self, stream: &str) -> Result<()> {
        let (conn, open) = self.opened().await?;
        let stream_name = stream.to_owned();
        let mut rebuild =
            Rebuild { stream: stream_name, lost: false, entities: Vec::new(), bodiless: Vec::new() };
        if open.rebuild.is_some() {
            return Err(Error::new(Kind::Bug, "a rebuild is already running").with("stream", stream));
        }
        let begun = async {
            if let Some(feeds) = open.feeds.get(stream) {
                rebuild.add(conn, &open.owner, open.entity(&feeds.main)?).await?;
                for child in &feeds.children {
                    rebuild.add(conn, &open.owner, &open.child(feeds, child)?).await?;
                }
            }
            Ok(())
        };
        let begun = begun.await;
        if let Err(fault) = begun {
            // Tables made so far end with the session; the next call takes a new one.
            self.conn = None;
            return Err(self.failed(fault, "beginning a rebuild"));
        }
        open.rebuild = Some(rebuild);
        Ok(())
    }

    pub(super) async fn end_rebuild(&mut self, apply: bool) -> Result<Vec<Diff>> {
        let (conn, open) = self.opened().await?;
        let rebuild = open.rebuild.take().ok_or_else(not_open)?;
        if rebuild.lost {
            return Err(lost(&rebuild.stream));
        }
        open.sure = false;
        let ended = end(conn, open, &rebuild, apply).await;
        match ended {
            Ok((diffs, commit_no)) => {
                open.commit_no = commit_no;
                open.sure = true;
                Ok(diffs)
            }
            Err(fault) => {
                self.conn = None;
                Err(self.failed(fault, "ending a rebuild"))
            }
        }
    }
}

/// Compares, swaps when asked to, drops the tables; all in one transaction.
async fn end(
    conn: &mut PgConnection,
    open: &Open,
    rebuild: &Rebuild,
    apply: bool,
) -> Result<(Vec<Diff>, i64), Fault> {
    let mut commit_no = open.commit_no;
    let mut diffs = Vec::new();
    let mut tx = conn.begin().await?;
    if apply {
        commit_no = state::next_commit(&mut tx, &open.owner, open.epoch, open.commit_no).await?;
    }
    rebuild.carry(&mut tx, i64::MAX).await?;
    if let Some(main) = rebuild.entities.first() {
        let main = (Table::of(main), rebuild.table(main)?);
        for entity in &rebuild.entities {
            let (old, new) = (Table::of(entity), rebuild.table(entity)?);
            diffs.push(diff(&mut tx, &open.owner, &entity.name, old.diff(&new, &main)).await?);
        }
        if apply {
            // Children first: which of them are ours is asked of the main entity's rows.
            for entity in rebuild.entities.iter().rev() {
                let (old, new) = (Table::of(entity), rebuild.table(entity)?);
                for layer in [Layer::Current, Layer::History] {
                    sqlx::query(AssertSqlSafe(old.clear(layer, &main)))
                        .bind(open.owner.tenant.as_str())
                        .bind(open.owner.connection.as_str())
                        .execute(&mut *tx)
                        .await?;
                    sqlx::query(AssertSqlSafe(old.fill(layer, &new))).execute(&mut *tx).await?;
                }
            }
        }
        for (place, entity) in rebuild.entities.iter().enumerate() {
            let sql = format!("{}drop table if exists {};\n", rebuild.table(entity)?.drop(), carried(place));
            tx.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
        }
    }
    tx.commit().await?;
    Ok((diffs, commit_no))
}

async fn diff(conn: &mut PgConnection, owner: &Owner, entity: &str, sql: String) -> Result<Diff, Fault> {
    let counts: (i64, i64, i64, i64) = sqlx::query_as(AssertSqlSafe(sql))
        .bind(owner.tenant.as_str())
        .bind(owner.connection.as_str())
        .fetch_one(conn)
        .await?;
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    Ok(Diff {
        entity: entity.to_owned(),
        added: count(counts.0),
        removed: count(counts.1),
        changed: count(counts.2),
        same: count(counts.3),
    })
}

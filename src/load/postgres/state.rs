//! What is remembered beside the rows? Fence, checkpoints, feeds, raw bodies, runs.
//!
//! Nothing here knows an entity's columns. Quarantined records are in `quarantine`.
use super::{
    Feeds, Postgres,
    fault::Fault,
    not_open,
    prepare::{self, Prepared},
    session,
};
use crate::{
    checkpoint::{Checkpoint, FORMAT},
    error::{Error, Kind, Result},
    id::Owner,
    load::{Opened, RawRecord, erase},
    time::Timestamp,
};
use bytes::Bytes;
use chrono::NaiveDateTime;
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// A time for a `timestamp` parameter. Fails `Bug` outside chrono's range.
pub(super) fn naive(t: Timestamp) -> Result<NaiveDateTime> {
    t.utc()
        .map(|t| t.naive_utc())
        .ok_or_else(|| Error::new(Kind::Bug, "a time lies outside the range of the calendar").with("time", t))
}

/// The way back of `naive`.
pub(super) fn stamp(t: NaiveDateTime) -> Timestamp {
    Timestamp(t.and_utc().timestamp_micros())
}

/// (epoch, commit_no); None when the connection was never opened.
pub(super) async fn fence(conn: &mut PgConnection, owner: &Owner) -> Result<Option<(i64, i64)>, Fault> {
    Ok(sqlx::query_as(
        "select epoch, commit_no from tidegate.connections where tenant_id = $1 and connection_id = $2",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.connection.as_str())
    .fetch_optional(conn)
    .await?)
}

/// Returns (epoch, commit_no).
pub(super) async fn raise_epoch(conn: &mut PgConnection, owner: &Owner) -> Result<(i64, i64), Fault> {
    Ok(sqlx::query_as(
        "insert into tidegate.connections as c (tenant_id, connection_id, epoch, commit_no) values ($1, $2, 1, 0) \
         on conflict (tenant_id, connection_id) do update set epoch = c.epoch + 1, opened_at = now() \
         returning epoch, commit_no",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.connection.as_str())
    .fetch_one(conn)
    .await?)
}

/// Takes the next number, or fails `Stale`: the compare-and-set that fences every commit. Locks the row, so nobody else
/// can act for the connection until the transaction ends.
pub(super) async fn next_commit(
    conn: &mut PgConnection,
    owner: &Owner,
    epoch: i64,
    commit_no: i64,
) -> Result<i64, Fault> {
    let next: Option<i64> = sqlx::query_scalar(
        "update tidegate.connections set commit_no = commit_no + 1, committed_at = now() \
         where tenant_id = $1 and connection_id = $2 and epoch = $3 and commit_no = $4 returning commit_no",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.connection.as_str())
    .bind(epoch)
    .bind(commit_no)
    .fetch_optional(conn)
    .await?;
    next.ok_or_else(|| session::stale(owner).into())
}

/// Fails `Stale` unless the epoch is still ours; locks the row until the transaction ends.
pub(super) async fn hold_epoch(conn: &mut PgConnection, owner: &Owner, epoch: i64) -> Result<(), Fault> {
    let ours: Option<bool> = sqlx::query_scalar(
        "select epoch = $3 from tidegate.connections where tenant_id = $1 and connection_id = $2 for update",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.connection.as_str())
    .bind(epoch)
    .fetch_optional(conn)
    .await?;
    if ours == Some(true) { Ok(()) } else { Err(session::stale(owner).into()) }
}

fn parse(stream: &str, text: &str) -> Result<Checkpoint> {
    let unreadable = |what: &str| {
        Error::new(Kind::Invalid, what)
            .with("stream", stream)
            .hint("install the newer tidegate, or start over with `tidegate reset`")
    };
    let checkpoint: Checkpoint = serde_json::from_str(text)
        .map_err(|e| unreadable("a stored checkpoint cannot be read").because(e))?;
    if checkpoint.format > FORMAT {
        return Err(unreadable("a stored checkpoint was written by a newer tidegate"));
    }
    Ok(checkpoint)
}

/// All of the connection, by stream.
pub(super) async fn checkpoints(
    conn: &mut PgConnection,
    owner: &Owner,
) -> Result<BTreeMap<String, Checkpoint>, Fault> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select stream, checkpoint::text from tidegate.checkpoints where tenant_id = $1 and connection_id = $2",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.connection.as_str())
    .fetch_all(conn)
    .await?;
    let parsed = rows.into_iter().map(|(stream, text)| {
        let checkpoint = parse(&stream, &text)?;
        Ok((stream, checkpoint))
    });
    Ok(parsed.collect::<Result<_>>()?)
}

/// The stream's checkpoint as the running transaction sees it.
pub(super) async fn checkpoint(
    conn: &mut PgConnection,
    owner: &Owner,
    stream: &str,
) -> Result<Option<Checkpoint>, Fault> {
    let text: Option<String> = sqlx::query_scalar(
        "select checkpoint::text from tidegate.checkpoints \
         where tenant_id = $1 and connection_id = $2 and stream = $3",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.connection.as_str())
    .bind(stream)
    .fetch_optional(conn)
    .await?;
    Ok(text.map(|t| parse(stream, &t)).transpose()?)
}

/// Replaces the stream's checkpoint, or removes it.
pub(super) async fn put_checkpoint(
    conn: &mut PgConnection,
    owner: &Owner,
    stream: &str,
    to: Option<&Checkpoint>,
    commit_no: i64,
) -> Result<(), Fault> {
    let Some(to) = to else {
        sqlx::query(
            "delete from tidegate.checkpoints where tenant_id = $1 and connection_id = $2 and stream = $3",
        )
        .bind(owner.tenant.as_str())
        .bind(owner.connection.as_str())
        .bind(stream)
        .execute(conn)
        .await?;
        return Ok(());
    };
    let text = serde_json::to_string(to)
        .map_err(|e| Error::new(Kind::Bug, "a checkpoint cannot be written").because(e))?;
    sqlx::query(
        "insert into tidegate.checkpoints (tenant_id, connection_id, stream, checkpoint, commit_no) \
         values ($1, $2, $3, $4::jsonb, $5) on conflict (tenant_id, connection_id, stream) \
         do update set checkpoint = excluded.checkpoint, commit_no = excluded.commit_no",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.connection.as_str())
    .bind(stream)
    .bind(text)
    .bind(commit_no)
    .execute(conn)
    .await?;
    Ok(())
}

/// Which unified tables the streams of the connection have fed so far.
pub(super) async fn feeds(conn: &mut PgConnection, owner: &Owner) -> Result<BTreeMap<String, Feeds>, Fault> {
    let rows: Vec<(String, String, Vec<String>)> = sqlx::query_as(
        "select stream, entity, children from tidegate.streams where tenant_id = $1 and connection_id = $2",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.connection.as_str())
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(stream, main, children)| (stream, Feeds { main, children })).collect())
}

/// Remembers what a stream feeds.
pub(super) async fn put_feeds(
    conn: &mut PgConnection,
    owner: &Owner,
    stream: &str,
    feeds: &Feeds,
) -> Result<(), Fault> {
    sqlx::query(
        "insert into tidegate.streams (tenant_id, connection_id, stream, entity, children) \
         values ($1, $2, $3, $4, $5) on conflict (tenant_id, connection_id, stream) \
         do update set entity = excluded.entity, children = excluded.children",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.connection.as_str())
    .bind(stream)
    .bind(&feeds.main)
    .bind(&feeds.children)
    .execute(conn)
    .await?;
    Ok(())
}

type RawRow = (i64, String, i64, NaiveDateTime, Option<i64>, bool, Option<String>);

impl Postgres {
    /// A session on prepared tables; None when there are none yet.
    pub(super) async fn prepared(&mut self) -> Result<Option<&mut PgConnection>> {
        let conn = self.link().await?;
        match prepare::prepared(conn).await {
            Ok(Prepared::Whole | Prepared::Older) => Ok(self.conn.as_mut()),
            Ok(Prepared::Not) => Ok(None),
            Err(fault) => Err(self.failed(fault, "reading its state")),
        }
    }

    pub(super) async fn peek_owner(&mut self, owner: &Owner) -> Result<Option<Opened>> {
        let Some(conn) = self.prepared().await? else { return Ok(None) };
        let stored = async {
            let Some((epoch, commit_no)) = fence(conn, owner).await? else { return Ok(None) };
            Ok(Some(Opened { epoch, commit_no, checkpoints: checkpoints(conn, owner).await? }))
        };
        let stored = stored.await;
        stored.map_err(|f| self.failed(f, "reading its state"))
    }

    pub(super) async fn raw_after_commit(
        &mut self,
        stream: &str,
        after: i64,
    ) -> Result<Option<(i64, Vec<RawRecord>)>> {
        let (conn, open) = self.opened().await?;
        let rows: Result<Vec<RawRow>, _> = sqlx::query_as(
            "select commit_no, key, version, read_at, body_hash, deleted, body::text from raw.records \
             where tenant_id = $1 and connection_id = $2 and stream = $3 and commit_no = (\
             select min(commit_no) from raw.records \
             where tenant_id = $1 and connection_id = $2 and stream = $3 and commit_no > $4) \
             order by deleted, read_at, version, key",
        )
        .bind(open.owner.tenant.as_str())
        .bind(open.owner.connection.as_str())
        .bind(stream)
        .bind(after)
        .fetch_all(conn)
        .await;
        let rows = rows.map_err(|e| self.failed(e.into(), "reading raw records"))?;
        let Some((number, ..)) = rows.first() else { return Ok(None) };
        let number = *number;
        let records = rows.into_iter().map(|(commit_no, key, version, at, hash, deleted, body)| {
            let body = Bytes::from(body.unwrap_or_default());
            let received = hash.and_then(|hash| erase::received(hash, &body));
            RawRecord { key, version, read_at: stamp(at), deleted, body, received, commit_no }
        });
        Ok(Some((number, records.collect())))
    }

    pub(super) async fn keep_run(&mut self, summary: &serde_json::Value) -> Result<()> {
        if self.open.is_none() {
            return Err(not_open());
        }
        let (conn, open) = self.opened().await?;
        let done = sqlx::query(
            "insert into tidegate.runs (tenant_id, connection_id, summary) \
             select tenant_id, connection_id, $4::json from tidegate.connections \
             where tenant_id = $1 and connection_id = $2 and epoch = $3",
        )
        .bind(open.owner.tenant.as_str())
        .bind(open.owner.connection.as_str())
        .bind(open.epoch)
        .bind(summary.to_string())
        .execute(conn)
        .await;
        let stale = session::stale(&open.owner);
        match done {
            Ok(done) if done.rows_affected() == 1 => Ok(()),
            Ok(_) => Err(stale),
            Err(e) => Err(self.failed(e.into(), "keeping the run's summary")),
        }
    }

    pub(super) async fn last_runs(&mut self, owner: &Owner, limit: usize) -> Result<Vec<serde_json::Value>> {
        let Some(conn) = self.prepared().await? else { return Ok(Vec::new()) };
        let rows: Result<Vec<String>, _> = sqlx::query_scalar(
            "select summary::text from tidegate.runs where tenant_id = $1 and connection_id = $2 \
             order by run_no desc limit $3",
        )
        .bind(owner.tenant.as_str())
        .bind(owner.connection.as_str())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(conn)
        .await;
        let rows = rows.map_err(|e| self.failed(e.into(), "reading past runs"))?;
        rows.iter()
            .map(|text| {
                serde_json::from_str(text)
                    .map_err(|e| Error::new(Kind::Bug, "a stored run is not JSON").because(e))
            })
            .collect()
    }
}

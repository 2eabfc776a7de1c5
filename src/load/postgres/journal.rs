//! What operators did to checkpoints: rows of `tidegate.state_journal`, written with the checkpoints they changed.
use super::{
    Postgres,
    fault::Fault,
    state::{self, naive, stamp},
};
use crate::{
    error::{Error, Kind, Result},
    id::Owner,
    load::journal::{Change, Entry, JOURNAL_MAX, Verb},
};
use chrono::NaiveDateTime;
use sqlx::{Connection, PgConnection};

type Row = (i64, NaiveDateTime, String, Option<i64>, Option<String>, String);

async fn put(conn: &mut PgConnection, owner: &Owner, entry: &Entry) -> Result<(), Fault> {
    let streams = serde_json::to_string(&entry.streams)
        .map_err(|e| Error::new(Kind::Bug, "a journal entry cannot be written").because(e))?;
    sqlx::query(
        "insert into tidegate.state_journal (tenant_id, connection_id, entry_no, changed_at, verb, undoes, made_with, \
         streams) values ($1, $2, $3, $4, $5, $6, $7, $8::jsonb)",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.connection.as_str())
    .bind(entry.no)
    .bind(naive(entry.at)?)
    .bind(entry.verb.name())
    .bind(entry.undoes)
    .bind(&entry.made_with)
    .bind(streams)
    .execute(&mut *conn)
    .await?;
    let kept = i64::try_from(JOURNAL_MAX).unwrap_or(i64::MAX);
    sqlx::query(
        "delete from tidegate.state_journal where tenant_id = $1 and connection_id = $2 and entry_no <= $3",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.connection.as_str())
    .bind(entry.no.saturating_sub(kept))
    .execute(conn)
    .await?;
    Ok(())
}

async fn next_no(conn: &mut PgConnection, owner: &Owner) -> Result<i64, Fault> {
    Ok(sqlx::query_scalar(
        "select coalesce(max(entry_no), 0) + 1 from tidegate.state_journal where tenant_id = $1 and connection_id = $2",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.connection.as_str())
    .fetch_one(conn)
    .await?)
}

impl Postgres {
    /// One transaction. The entry's number.
    pub(super) async fn change_checkpoints(&mut self, change: Change) -> Result<i64> {
        let (conn, open) = self.opened().await?;
        let act = async {
            let mut tx = conn.begin().await?;
            state::hold_epoch(&mut tx, &open.owner, open.epoch).await?;
            let stored = state::checkpoints(&mut tx, &open.owner).await?;
            let entry = change.entry(next_no(&mut tx, &open.owner).await?, &stored);
            for (stream, to) in &change.to {
                state::put_checkpoint(&mut tx, &open.owner, stream, to.as_ref(), open.commit_no).await?;
            }
            put(&mut tx, &open.owner, &entry).await?;
            tx.commit().await?;
            Ok(entry.no)
        };
        let result: Result<i64, Fault> = act.await;
        result.map_err(|f| self.failed(f, "changing checkpoints"))
    }

    /// Oldest first; empty in a database that an older release prepared.
    pub(super) async fn entries(&mut self, owner: &Owner) -> Result<Vec<Entry>> {
        let Some(conn) = self.prepared().await? else { return Ok(Vec::new()) };
        let read = async {
            let there: bool = sqlx::query_scalar("select to_regclass('tidegate.state_journal') is not null")
                .fetch_one(&mut *conn)
                .await?;
            if !there {
                return Ok(Vec::new());
            }
            let rows: Vec<Row> = sqlx::query_as(
                "select entry_no, changed_at, verb, undoes, made_with, streams::text from tidegate.state_journal \
                 where tenant_id = $1 and connection_id = $2 order by entry_no",
            )
            .bind(owner.tenant.as_str())
            .bind(owner.connection.as_str())
            .fetch_all(conn)
            .await?;
            Ok(rows.into_iter().map(entry).collect::<Result<Vec<Entry>>>()?)
        };
        let read: Result<Vec<Entry>, Fault> = read.await;
        read.map_err(|f| self.failed(f, "reading the journal of the state"))
    }
}

fn entry((no, at, verb, undoes, made_with, streams): Row) -> Result<Entry> {
    let unreadable = || {
        Error::new(Kind::Invalid, "an entry of the journal cannot be read")
            .with("entry", no)
            .hint("install the newer tidegate that wrote it")
    };
    let verb = Verb::of_name(&verb).ok_or_else(unreadable)?;
    let streams = serde_json::from_str(&streams).map_err(|e| unreadable().because(e))?;
    Ok(Entry { no, at: stamp(at), verb, undoes, made_with, streams })
}

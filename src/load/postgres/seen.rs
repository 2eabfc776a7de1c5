//! Keys that an unfinished sweep saw: one row per commit, in the transaction of the commit.
use super::{Postgres, fault::Fault};
use crate::{
    checkpoint::Checkpoint,
    error::{Error, Kind, Result},
    id::Owner,
    load::Commit,
};
use sqlx::PgConnection;

/// Adds the commit's keys to what the stream's sweep saw, or lets go of all when that sweep does not go on.
pub(super) async fn keep(
    conn: &mut PgConnection,
    owner: &Owner,
    commit: &Commit,
    stored: Option<&Checkpoint>,
    commit_no: i64,
) -> Result<(), Fault> {
    if !commit.goes_on_sweeping(stored) {
        sqlx::query("delete from tidegate.seen where tenant_id = $1 and connection_id = $2 and stream = $3")
            .bind(owner.tenant.as_str())
            .bind(owner.connection.as_str())
            .bind(&commit.stream)
            .execute(&mut *conn)
            .await?;
    }
    if commit.checkpoint.sweep().is_none() || commit.seen.is_empty() {
        return Ok(());
    }
    let bytes: Vec<u8> = commit.seen.iter().flat_map(|key| key.to_le_bytes()).collect();
    sqlx::query(
        "insert into tidegate.seen (tenant_id, connection_id, stream, commit_no, keys) values ($1, $2, $3, $4, $5)",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.connection.as_str())
    .bind(&commit.stream)
    .bind(commit_no)
    .bind(bytes)
    .execute(conn)
    .await?;
    Ok(())
}

impl Postgres {
    pub(super) async fn seen_keys(&mut self, stream: &str) -> Result<Vec<u128>> {
        let (conn, open) = self.opened().await?;
        let rows: Result<Vec<Vec<u8>>, _> = sqlx::query_scalar(
            "select keys from tidegate.seen where tenant_id = $1 and connection_id = $2 and stream = $3 \
             order by commit_no",
        )
        .bind(open.owner.tenant.as_str())
        .bind(open.owner.connection.as_str())
        .bind(stream)
        .fetch_all(conn)
        .await;
        let rows = rows.map_err(|e| self.failed(e.into(), "reading what a sweep saw"))?;
        let mut keys = Vec::new();
        for bytes in &rows {
            let (words, rest) = bytes.as_chunks::<16>();
            if !rest.is_empty() {
                return Err(Error::new(Kind::Destination, "what a sweep saw cannot be read")
                    .with("stream", stream)
                    .hint("reset the stream's checkpoint, so that the sweep begins anew"));
            }
            keys.extend(words.iter().map(|word| u128::from_le_bytes(*word)));
        }
        Ok(keys)
    }
}

//! What did a complete scan not see? Living rows without a seen key are marked deleted, and their children with them.
//!
//! Keys are hashed here, not in the server: the seen set is 16 bytes a key and never travels.
use super::{
    copy::{Encoder, Values, copy_in},
    fault::Fault,
    generated::Table,
    rows::{RAW_COPY, State, Target, expect_all, find_children},
    state::{naive, stamp},
};
use crate::{
    entity::Entity,
    error::{Error, Kind},
    id::Owner,
    load::{Commit, Committed, CompleteScan, GUARD_ROWS, TOMBSTONE_XOR, key_hash},
    time::Timestamp,
};
use arrow::array::{AsArray, StringArray};
use chrono::NaiveDateTime;
use futures::TryStreamExt;
use sqlx::{AssertSqlSafe, PgConnection};
use std::{collections::HashSet, sync::Arc};

/// A living row that the scan did not see.
struct Missing {
    id: String,
    tid: String,
    version: i64,
}

/// Marks what is missing; rows of the same commit were just returned by the provider, so none of them is.
/// Fails `Guard` when that is too large a share.
pub(super) async fn bury(
    conn: &mut PgConnection,
    target: &Target<'_>,
    commit: &Commit,
    scan: &CompleteScan,
    main: &Entity,
    children: &[Arc<Entity>],
    done: &mut Committed,
) -> Result<(), Fault> {
    let table = target.table(main)?;
    let (living, missing) = missing(conn, target.owner, &table, scan, &incoming(commit)).await?;
    guard(target.owner, &commit.stream, scan, living, missing.len() as u64)?;
    if missing.is_empty() {
        return Ok(());
    }
    let tids: Vec<&str> = missing.iter().map(|m| m.tid.as_str()).collect();
    mark(conn, target, &table, &tids, scan.asked_at).await?;
    done.deleted += missing.len() as u64;
    let ids: Vec<&str> = missing.iter().map(|m| m.id.as_str()).collect();
    for child in children {
        let table = target.table(child)?;
        let stored = find_children(conn, target.owner, &table, &ids).await?;
        let tids: Vec<&str> = stored.iter().filter(|c| c.lives).map(|c| c.tid.as_str()).collect();
        if !tids.is_empty() {
            mark(conn, target, &table, &tids, scan.asked_at).await?;
            done.child_changes += tids.len() as u64;
        }
    }
    if target.keep_raw {
        done.bytes += raw(conn, target, &commit.stream, scan, &missing).await?;
    }
    Ok(())
}

/// Keys of the commit's main rows.
fn incoming(commit: &Commit) -> HashSet<u128> {
    let ids =
        commit.rows.as_ref().and_then(|r| r.main.column_by_name("id")).and_then(|c| c.as_string_opt::<i32>());
    ids.into_iter().flat_map(|ids| ids.iter().flatten().map(key_hash)).collect()
}

/// The number of living rows, and those that are missing. A state greater than the tombstone's stays.
async fn missing(
    conn: &mut PgConnection,
    owner: &Owner,
    table: &Table<'_>,
    scan: &CompleteScan,
    incoming: &HashSet<u128>,
) -> Result<(u64, Vec<Missing>), Fault> {
    let mut rows =
        sqlx::query_as::<_, (String, String, i64, NaiveDateTime, i64)>(AssertSqlSafe(table.living()))
            .bind(owner.tenant.as_str())
            .bind(owner.connection.as_str())
            .fetch(conn);
    let mut living = 0;
    let mut missing = Vec::new();
    while let Some((id, tid, version, at, hash)) = rows.try_next().await? {
        living += 1;
        let stored: State = (version, stamp(at).0, hash);
        let tombstone: State = (version, scan.asked_at.0, hash ^ TOMBSTONE_XOR);
        let key = key_hash(&id);
        if scan.misses(key) && !incoming.contains(&key) && tombstone > stored {
            missing.push(Missing { id, tid, version });
        }
    }
    Ok((living, missing))
}

#[expect(clippy::cast_precision_loss, reason = "a share of rows; 2^53 rows do not fit a table")]
fn guard(owner: &Owner, stream: &str, scan: &CompleteScan, living: u64, missing: u64) -> Result<(), Error> {
    if missing <= GUARD_ROWS || missing as f64 <= scan.delete_share_max * living as f64 {
        return Ok(());
    }
    Err(Error::new(Kind::Guard, "a complete scan lacks too many of the stored rows; nothing was deleted")
        .with("connection", owner)
        .with("stream", stream)
        .with("stored", living)
        .with("missing", missing)
        .with("allowed_share", scan.delete_share_max)
        .hint("check the provider's account; if the rows are really gone, raise the allowed share and sync again"))
}

async fn mark(
    conn: &mut PgConnection,
    target: &Target<'_>,
    table: &Table<'_>,
    tids: &[&str],
    asked_at: Timestamp,
) -> Result<(), Fault> {
    let marked = sqlx::query(AssertSqlSafe(table.bury()))
        .bind(tids)
        .bind(naive(asked_at)?)
        .bind(TOMBSTONE_XOR)
        .bind(target.commit_no)
        .execute(conn)
        .await?;
    expect_all(target.owner, marked.rows_affected(), tids.len())
}

async fn raw(
    conn: &mut PgConnection,
    target: &Target<'_>,
    stream: &str,
    scan: &CompleteScan,
    missing: &[Missing],
) -> Result<u64, Fault> {
    let same = |bytes: &[u8]| Values::Same(Some(bytes.to_vec()));
    let ids: StringArray = missing.iter().map(|m| Some(m.id.as_str())).collect();
    let versions: Vec<i64> = missing.iter().map(|m| m.version).collect();
    let encoder = Encoder::new(vec![
        same(target.owner.tenant.as_str().as_bytes()),
        same(target.owner.connection.as_str().as_bytes()),
        same(stream.as_bytes()),
        Values::Text(&ids),
        Values::Longs(&versions),
        same(&super::copy::time(scan.asked_at.0)?),
        Values::Same(None),
        same(&[1]),
        Values::Same(None),
        same(&target.commit_no.to_be_bytes()),
    ]);
    let all: Vec<usize> = (0..missing.len()).collect();
    copy_in(conn, RAW_COPY, &encoder, &all).await
}

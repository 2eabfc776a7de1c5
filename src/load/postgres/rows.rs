//! Which rows changed, and what is written for them? The total order of states, decided here on stored states that are
//! looked up inside the transaction.
//!
//! Unchanged rows cost one index lookup and are never sent. Changed ones are deleted by `ctid` and copied in, which is
//! what an update does inside Postgres anyway. Absent on purpose: staging tables and server-side merges.
use super::{
    copy::{Encoder, Values, copy_in},
    fault::Fault,
    generated::Table,
    rebuild::Rebuild,
    session::hash64,
    state::stamp,
};
use crate::{
    entity::Entity,
    error::{Error, Kind, Result},
    id::Owner,
    load::{Committed, Due, Late, Layer, Rows, fold::UPSERT},
};
use arrow::{
    array::{AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    datatypes::{Int64Type, TimestampMicrosecondType},
};
use chrono::NaiveDateTime;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::{HashMap, HashSet};

/// Where rows go, and under which number.
pub(super) struct Target<'a> {
    pub(super) owner: &'a Owner,
    pub(super) commit_no: i64,
    /// Set while rebuilding.
    pub(super) aside: Option<&'a Rebuild>,
    pub(super) keep_raw: bool,
    /// What was asked for before.
    pub(super) due: Option<Due>,
}

impl Target<'_> {
    /// The tables of an entity. Fails `Bug` when a rebuild does not have it.
    pub(super) fn table<'e>(&self, entity: &'e Entity) -> Result<Table<'e>> {
        match self.aside {
            None => Ok(Table::of(entity)),
            Some(rebuild) => rebuild.table(entity),
        }
    }
}

/// Version, observed_at, row_hash: greater wins.
pub(super) type State = (i64, i64, i64);

/// What the database holds of one incoming row.
struct Stored {
    tid: String,
    state: State,
}

/// The columns of a batch that decide.
struct Deciding<'a> {
    id: &'a StringArray,
    version: &'a Int64Array,
    observed_at: &'a TimestampMicrosecondArray,
    row_hash: &'a Int64Array,
}

fn absent(entity: &Entity, column: &str) -> Error {
    Error::new(Kind::Bug, "a batch lacks a column or has it with another type")
        .with("entity", &entity.name)
        .with("column", column)
}

fn text<'a>(entity: &Entity, batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>()).ok_or_else(|| absent(entity, name))
}

impl<'a> Deciding<'a> {
    fn of(entity: &Entity, batch: &'a RecordBatch, owner: &Owner) -> Result<Self> {
        if batch.schema_ref().as_ref() != entity.schema().as_ref() {
            return Err(Error::new(Kind::Bug, "a batch does not have the schema of its entity")
                .with("entity", &entity.name));
        }
        let owned = text(entity, batch, "tenant_id")?.iter().all(|t| t == Some(owner.tenant.as_str()))
            && text(entity, batch, "connection_id")?.iter().all(|c| c == Some(owner.connection.as_str()));
        if !owned {
            return Err(Error::new(Kind::Bug, "a batch holds rows of another tenant or connection")
                .with("entity", &entity.name)
                .with("connection", owner));
        }
        let int = |name: &str| {
            batch
                .column_by_name(name)
                .and_then(|c| c.as_primitive_opt::<Int64Type>())
                .ok_or_else(|| absent(entity, name))
        };
        Ok(Self {
            id: text(entity, batch, "id")?,
            version: int("version")?,
            observed_at: batch
                .column_by_name("observed_at")
                .and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>())
                .ok_or_else(|| absent(entity, "observed_at"))?,
            row_hash: int("row_hash")?,
        })
    }
    fn state(&self, row: usize) -> State {
        (self.version.value(row), self.observed_at.value(row), self.row_hash.value(row))
    }
}

/// Writes what changed: current rows, history, raw bodies, child sets.
pub(super) async fn merge(
    conn: &mut PgConnection,
    target: &Target<'_>,
    stream: &str,
    rows: &Rows,
    done: &mut Committed,
) -> Result<(), Fault> {
    let incoming = Deciding::of(&rows.entity, &rows.main, target.owner)?;
    if rows.bodies.len() != rows.main.num_rows() {
        return Err(Error::new(Kind::Bug, "a batch does not have one body per row")
            .with("entity", &rows.entity.name)
            .into());
    }
    let table = target.table(&rows.entity)?;
    let ids: Vec<&str> = incoming.id.iter().flatten().collect();
    let mut stored = find(conn, target.owner, &table, &ids).await?;
    let mut changed = Vec::new();
    let mut replaced = Vec::new();
    let mut known = Vec::new();
    for (row, id) in ids.iter().enumerate() {
        match stored.remove(&row) {
            None => changed.push(row),
            Some(old) if incoming.state(row) > old.state && incoming.state(row).2 != old.state.2 => {
                changed.push(row);
                replaced.push(old.tid);
                known.push(*id);
            }
            Some(_) => done.unchanged += 1,
        }
    }
    done.changed += changed.len() as u64;
    done.late.merge(&Late::of(rows, &changed, target.due));
    if changed.is_empty() {
        return Ok(());
    }
    // Neighbours in the index arrive one after the other: a third less work for the server.
    changed.sort_unstable_by_key(|row| ids.get(*row));
    let change = Change { batch: &rows.main, chosen: &changed, replaced: &replaced };
    done.bytes += put(conn, &table, target, &change).await?;
    if target.keep_raw {
        done.bytes += raw(conn, target, stream, rows, &incoming, &changed).await?;
    }
    let parents = Parents { changed: changed.iter().filter_map(|r| ids.get(*r).copied()).collect(), known };
    for (entity, batch) in &rows.children {
        children(conn, target, entity, batch, &parents, done).await?;
    }
    Ok(())
}

/// Parents whose child sets are replaced.
struct Parents<'a> {
    changed: HashSet<&'a str>,
    /// Those of them that were stored before: only these can have stored children.
    known: Vec<&'a str>,
}

/// Stored states by place in `ids`.
async fn find(
    conn: &mut PgConnection,
    owner: &Owner,
    table: &Table<'_>,
    ids: &[&str],
) -> Result<HashMap<usize, Stored>, Fault> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(i64, String, i64, NaiveDateTime, i64)> = sqlx::query_as(AssertSqlSafe(table.find()))
        .bind(owner.tenant.as_str())
        .bind(owner.connection.as_str())
        .bind(ids)
        .fetch_all(conn)
        .await?;
    let place = |n: i64| usize::try_from(n - 1).unwrap_or(usize::MAX);
    Ok(rows
        .into_iter()
        .map(|(n, tid, version, at, hash)| (place(n), Stored { tid, state: (version, stamp(at).0, hash) }))
        .collect())
}

/// Deletes by ctid. Fails `Stale` when the rows moved, which only someone outside of us can have done.
pub(super) async fn by_tid(
    conn: &mut PgConnection,
    owner: &Owner,
    sql: String,
    tids: &[String],
) -> Result<(), Fault> {
    let done = sqlx::query(AssertSqlSafe(sql)).bind(tids).execute(conn).await?;
    expect_all(owner, done.rows_affected(), tids.len())
}

/// Fails `Stale` unless every row was still where it was found.
pub(super) fn expect_all(owner: &Owner, hit: u64, wanted: usize) -> Result<(), Fault> {
    if hit == wanted as u64 {
        return Ok(());
    }
    Err(Error::new(Kind::Stale, "rows of this connection were changed by another program during the commit")
        .with("connection", owner)
        .hint("only tidegate may write to billing and history; run `tidegate sync` again")
        .into())
}

/// Rows of a batch to be written.
struct Change<'a> {
    batch: &'a RecordBatch,
    chosen: &'a [usize],
    /// Where the stored rows are that these replace.
    replaced: &'a [String],
}

/// Replaces rows in the current table and appends them to history. Returns the bytes sent.
async fn put(
    conn: &mut PgConnection,
    table: &Table<'_>,
    target: &Target<'_>,
    change: &Change<'_>,
) -> Result<u64, Fault> {
    if !change.replaced.is_empty() {
        by_tid(conn, target.owner, table.delete(), change.replaced).await?;
    }
    let rows = Encoder::of(change.batch)?;
    let sent = copy_in(conn, &table.copy(Layer::Current), &rows, change.chosen).await?;
    // Cheaper for the server than finding and reading again what it was just sent.
    let rows = rows.and(UPSERT.as_bytes()).and(&target.commit_no.to_be_bytes());
    Ok(sent + copy_in(conn, &table.copy(Layer::History), &rows, change.chosen).await?)
}

pub(super) const RAW_COPY: &str = "copy raw.records (tenant_id, connection_id, stream, key, version, read_at, \
                                   body_hash, deleted, body, commit_no) from stdin (format binary)";

async fn raw(
    conn: &mut PgConnection,
    target: &Target<'_>,
    stream: &str,
    rows: &Rows,
    incoming: &Deciding<'_>,
    changed: &[usize],
) -> Result<u64, Fault> {
    let same = |bytes: &[u8]| Values::Same(Some(bytes.to_vec()));
    let hashes: Vec<i64> = rows.bodies.iter().map(|b| hash64(b)).collect();
    let encoder = Encoder::new(vec![
        same(target.owner.tenant.as_str().as_bytes()),
        same(target.owner.connection.as_str().as_bytes()),
        same(stream.as_bytes()),
        Values::Text(incoming.id),
        Values::Int(incoming.version),
        Values::Time(incoming.observed_at),
        Values::Longs(&hashes),
        same(&[0]),
        Values::Bytes(&rows.bodies),
        same(&target.commit_no.to_be_bytes()),
    ]);
    copy_in(conn, RAW_COPY, &encoder, changed).await
}

/// Replaces the child sets of changed parents: what is new or differs is written, what is gone is removed.
async fn children(
    conn: &mut PgConnection,
    target: &Target<'_>,
    entity: &Entity,
    batch: &RecordBatch,
    parents: &Parents<'_>,
    done: &mut Committed,
) -> Result<(), Fault> {
    let incoming = Deciding::of(entity, batch, target.owner)?;
    let parent = entity.parent.as_ref().ok_or_else(|| absent(entity, "parent"))?;
    let parent = text(entity, batch, &parent.column)?;
    let wanted = winners(&incoming, parent, &parents.changed);
    let table = target.table(entity)?;
    let mut stored: HashMap<String, (String, i64)> = HashMap::new();
    if !parents.known.is_empty() {
        for child in find_children(conn, target.owner, &table, &parents.known).await? {
            stored.insert(child.id, (child.tid, child.row_hash));
        }
    }
    let new: Vec<&str> = wanted.keys().copied().filter(|id| !stored.contains_key(*id)).collect();
    for (place, old) in find(conn, target.owner, &table, &new).await? {
        if let Some(id) = new.get(place) {
            stored.insert((*id).to_owned(), (old.tid, old.state.2));
        }
    }
    let removed: Vec<String> =
        stored.iter().filter(|(id, _)| !wanted.contains_key(id.as_str())).map(|(_, s)| s.0.clone()).collect();
    let mut chosen = Vec::new();
    let mut replaced = Vec::new();
    for (id, row) in wanted {
        match stored.remove(id) {
            Some((_, hash)) if hash == incoming.row_hash.value(row) => {}
            Some((tid, _)) => {
                replaced.push(tid);
                chosen.push(row);
            }
            None => chosen.push(row),
        }
    }
    chosen.sort_unstable_by_key(|row| incoming.id.value(*row));
    done.child_changes += (removed.len() + chosen.len()) as u64;
    if !removed.is_empty() {
        let gone = sqlx::query(AssertSqlSafe(table.remove()))
            .bind(&removed)
            .bind(target.commit_no)
            .execute(&mut *conn)
            .await?;
        expect_all(target.owner, gone.rows_affected(), removed.len())?;
    }
    if !chosen.is_empty() {
        let change = Change { batch, chosen: &chosen, replaced: &replaced };
        done.bytes += put(conn, &table, target, &change).await?;
    }
    Ok(())
}

/// Children of changed parents by id; of two with one id the greater state.
fn winners<'a>(
    incoming: &Deciding<'a>,
    parent: &StringArray,
    changed: &HashSet<&str>,
) -> HashMap<&'a str, usize> {
    let mut wanted: HashMap<&str, usize> = HashMap::new();
    for (row, (id, parent)) in incoming.id.iter().zip(parent).enumerate() {
        let (Some(id), Some(_)) = (id, parent.filter(|p| changed.contains(p))) else { continue };
        let best = wanted.entry(id).or_insert(row);
        if incoming.state(row) > incoming.state(*best) {
            *best = row;
        }
    }
    wanted
}

/// A stored child.
#[derive(sqlx::FromRow)]
pub(super) struct StoredChild {
    pub(super) id: String,
    pub(super) tid: String,
    pub(super) row_hash: i64,
    /// Not deleted.
    pub(super) lives: bool,
}

/// All stored children of these parents.
pub(super) async fn find_children(
    conn: &mut PgConnection,
    owner: &Owner,
    table: &Table<'_>,
    parents: &[&str],
) -> Result<Vec<StoredChild>, Fault> {
    let Some(sql) = table.find_children() else { return Ok(Vec::new()) };
    Ok(sqlx::query_as(AssertSqlSafe(sql))
        .bind(owner.tenant.as_str())
        .bind(owner.connection.as_str())
        .bind(parents)
        .fetch_all(conn)
        .await?)
}

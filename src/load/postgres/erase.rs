//! Erasure in tables: one transaction under the epoch.
//!
//! Values that were overwritten stay in dead rows until the server's vacuum takes them. Absent on purpose: running it.
use super::{
    Open, Postgres,
    fault::Fault,
    generated::Table,
    state::{self, naive, stamp},
};
use crate::{
    decode::Reject,
    entity::Entity,
    error::Result,
    id::Owner,
    load::{
        Cleared, Erased, Erasure, Layer, RawRecord, StoredIssue,
        erase::{Claim, Claims, Order, Part, Tally, claim, is_personal},
    },
    time::Timestamp,
};
use bytes::Bytes;
use chrono::NaiveDateTime;
use sqlx::{AssertSqlSafe, Connection, FromRow, PgConnection, Row, postgres::PgRow};
use std::collections::{BTreeMap, BTreeSet};

/// Bodies or quarantined records looked at in one go.
const AT_ONCE: i64 = 500;

/// Notes persons whose data was cleared, unless they are known.
pub(super) async fn learn(
    conn: &mut PgConnection,
    owner: &Owner,
    stream: &str,
    cleared: &[Cleared],
    commit_no: i64,
) -> Result<(), Fault> {
    let told: Vec<NaiveDateTime> = cleared.iter().map(|c| naive(c.told_at)).collect::<Result<_>>()?;
    sqlx::query(
        "insert into tidegate.erasures (tenant_id, connection_id, stream, person, told_at, commit_no) \
         select $1, $2, $3, person, told_at, $4 from unnest($5::text[], $6::timestamp[]) as t(person, told_at) \
         on conflict do nothing",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.connection.as_str())
    .bind(stream)
    .bind(commit_no)
    .bind(cleared.iter().map(|c| c.person.as_str()).collect::<Vec<_>>())
    .bind(told)
    .execute(conn)
    .await?;
    Ok(())
}

type Noted = (String, String, NaiveDateTime, Option<NaiveDateTime>, i64, i64, i64, i64);

fn count(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

impl Postgres {
    pub(super) async fn told_erasures(&mut self, owner: &Owner) -> Result<Vec<Erasure>> {
        let Some(conn) = self.prepared().await? else { return Ok(Vec::new()) };
        // A database of an older release, looked at before its first sync by this one, has no such table.
        let there: Result<bool, _> =
            sqlx::query_scalar("select to_regclass('tidegate.erasures') is not null")
                .fetch_one(&mut *conn)
                .await;
        let there = match there {
            Ok(there) => there,
            Err(e) => return Err(self.failed(e.into(), "reading erasures")),
        };
        if !there {
            return Ok(Vec::new());
        }
        let rows: Result<Vec<Noted>, _> = sqlx::query_as(
            "select stream, person, told_at, done_at, rows, bodies, rejects, issues from tidegate.erasures \
             where tenant_id = $1 and connection_id = $2 order by commit_no, told_at, person",
        )
        .bind(owner.tenant.as_str())
        .bind(owner.connection.as_str())
        .fetch_all(conn)
        .await;
        let rows = rows.map_err(|e| self.failed(e.into(), "reading erasures"))?;
        let erasure = |(stream, person, told, done, rows, bodies, rejects, issues): Noted| Erasure {
            stream,
            person,
            told_at: stamp(told),
            done_at: done.map(stamp),
            erased: Erased {
                rows: count(rows),
                bodies: count(bodies),
                rejects: count(rejects),
                issues: count(issues),
            },
        };
        Ok(rows.into_iter().map(erasure).collect())
    }

    pub(super) async fn erase_persons(&mut self, order: &Order) -> Result<Erased> {
        let (conn, open) = self.opened().await?;
        let act = async {
            let mut tx = conn.begin().await?;
            state::hold_epoch(&mut tx, &open.owner, open.epoch).await?;
            let tally = act(&mut tx, open, order).await?;
            tx.commit().await?;
            Ok(tally.total())
        };
        let result = act.await;
        result.map_err(|f| self.failed(f, "erasing personal data"))
    }
}

async fn act(conn: &mut PgConnection, open: &Open, order: &Order) -> Result<Tally, Fault> {
    let owner = &open.owner;
    let mut tally = Tally::new(order);
    for part in order.parts.iter().filter(|part| part.asks()) {
        let claims = claims(conn, open, part).await?;
        if !claims.is_empty() {
            for entity in part.entities.iter().filter(|e| open.entities.contains_key(&e.name)) {
                blank(conn, owner, entity, &claims, &mut tally).await?;
            }
            bodies(conn, owner, part, &claims, &mut tally).await?;
            issues(conn, owner, part, &claims, &mut tally).await?;
        }
        rejects(conn, owner, part, &claims, &mut tally).await?;
    }
    note(conn, owner, order, &tally).await?;
    Ok(tally)
}

/// Keys of the persons' records, in any of their states.
async fn claims(conn: &mut PgConnection, open: &Open, part: &Part) -> Result<Claims, Fault> {
    let (mut found, mut last) = (Claims::new(), BTreeMap::new());
    let Some(main) = part.main().filter(|main| open.entities.contains_key(&main.name)) else {
        return Ok(found);
    };
    let mut asked = BTreeSet::new();
    for whose in part.whose.iter().filter(|w| !w.of.is_empty() && asked.insert((&w.column, &w.when))) {
        let sql =
            Table::of(main).records_of(&whose.column, whose.when.as_ref().map(|(column, _)| column.as_str()));
        let rows: Vec<(String, String, NaiveDateTime)> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(open.owner.tenant.as_str())
            .bind(open.owner.connection.as_str())
            .bind(whose.of.keys().map(String::as_str).collect::<Vec<_>>())
            .bind(whose.when.as_ref().map_or("", |(_, is)| is.as_str()))
            .fetch_all(&mut *conn)
            .await?;
        for (id, person, at) in rows {
            if let Some(one) = whose.of.get(&person) {
                claim(&mut found, &id, *one);
                let newest = last.entry(id).or_insert(at);
                *newest = at.max(*newest);
            }
        }
    }
    let columns: BTreeSet<&str> = asked.iter().map(|(column, _)| column.as_str()).collect();
    if !found.is_empty() {
        let (keys, times): (Vec<&str>, Vec<NaiveDateTime>) =
            last.iter().map(|(k, at)| (k.as_str(), *at)).unzip();
        let rows: Vec<(String, NaiveDateTime)> =
            sqlx::query_as(AssertSqlSafe(Table::of(main).handed_on(&columns)))
                .bind(open.owner.tenant.as_str())
                .bind(open.owner.connection.as_str())
                .bind(keys)
                .bind(times)
                .fetch_all(&mut *conn)
                .await?;
        for (id, from) in rows {
            if let Some(claim) = found.get_mut(&id) {
                claim.told_at = claim.told_at.min(stamp(from).0);
            }
        }
    }
    Ok(found)
}

/// Claims as three parameters: keys, when, whose.
fn arrays(claims: &Claims) -> Result<(Vec<&str>, Vec<NaiveDateTime>, Vec<i64>)> {
    let mut told = Vec::with_capacity(claims.len());
    for claim in claims.values() {
        told.push(naive(Timestamp(claim.told_at))?);
    }
    let persons = claims.values().map(|c| i64::try_from(c.person).unwrap_or(i64::MAX));
    Ok((claims.keys().map(String::as_str).collect(), told, persons.collect()))
}

async fn blank(
    conn: &mut PgConnection,
    owner: &Owner,
    entity: &Entity,
    claims: &Claims,
    tally: &mut Tally,
) -> Result<(), Fault> {
    for (layer, schema) in [(Layer::History, "history"), (Layer::Current, "billing")] {
        let stored: Vec<String> = sqlx::query_scalar(
            "select column_name::text from information_schema.columns where table_schema = $1 and table_name = $2 \
             and is_generated = 'NEVER' and is_nullable = 'YES'",
        )
        .bind(schema)
        .bind(&entity.name)
        .fetch_all(&mut *conn)
        .await?;
        let personal: Vec<&str> =
            stored.iter().map(String::as_str).filter(|column| is_personal(entity, column)).collect();
        if personal.is_empty() {
            continue;
        }
        let (keys, told, persons) = arrays(claims)?;
        let hit: Vec<(i64, i64)> = sqlx::query_as(AssertSqlSafe(Table::of(entity).blank(layer, &personal)))
            .bind(owner.tenant.as_str())
            .bind(owner.connection.as_str())
            .bind(keys)
            .bind(told)
            .bind(persons)
            .fetch_all(&mut *conn)
            .await?;
        // Current rows are the newest of history, which was counted.
        for (person, rows) in hit.iter().filter(|_| layer == Layer::History) {
            add(tally, usize::try_from(*person).ok(), |one| one.rows += count(*rows));
        }
    }
    Ok(())
}

fn add(tally: &mut Tally, person: Option<usize>, with: impl Fn(&mut Erased)) {
    person.and_then(|n| tally.of(n)).into_iter().for_each(with);
}

async fn bodies(
    conn: &mut PgConnection,
    owner: &Owner,
    part: &Part,
    claims: &Claims,
    tally: &mut Tally,
) -> Result<(), Fault> {
    let keys: Vec<&str> = claims.keys().map(String::as_str).collect();
    let mut after = (0_i64, String::new());
    loop {
        let rows: Vec<(i64, String, NaiveDateTime, String)> = sqlx::query_as(
            "select commit_no, key, read_at, body::text from raw.records where tenant_id = $1 and connection_id = $2 \
             and stream = $3 and key = any($4) and not deleted and body is not null and (commit_no, key) > ($5, $6) \
             order by commit_no, key limit $7",
        )
        .bind(owner.tenant.as_str())
        .bind(owner.connection.as_str())
        .bind(&part.stream)
        .bind(&keys)
        .bind(after.0)
        .bind(&after.1)
        .bind(AT_ONCE)
        .fetch_all(&mut *conn)
        .await?;
        let Some((commit_no, key, ..)) = rows.last() else { return Ok(()) };
        after = (*commit_no, key.clone());
        let mut cut: (Vec<i64>, Vec<String>, Vec<String>) = Default::default();
        for (commit_no, key, at, body) in rows {
            let record = RawRecord {
                key,
                version: 0,
                read_at: stamp(at),
                deleted: false,
                body: body.into(),
                received: None,
                commit_no,
            };
            let Some((body, claim)) = part.body(&record, claims) else { continue };
            add(tally, Some(claim.person), |one| one.bodies += 1);
            cut.0.push(commit_no);
            cut.1.push(record.key);
            cut.2.push(String::from_utf8_lossy(&body).into_owned());
        }
        sqlx::query(
            "update raw.records r set body = u.body::json from unnest($4::bigint[], $5::text[], $6::text[]) \
             as u(commit_no, key, body) where r.tenant_id = $1 and r.connection_id = $2 and r.stream = $3 \
             and r.commit_no = u.commit_no and r.key = u.key and not r.deleted",
        )
        .bind(owner.tenant.as_str())
        .bind(owner.connection.as_str())
        .bind(&part.stream)
        .bind(cut.0)
        .bind(cut.1)
        .bind(cut.2)
        .execute(&mut *conn)
        .await?;
    }
}

type RejectRow = (i64, i64, Option<String>, String, String, String, NaiveDateTime, Vec<u8>);

async fn rejects(
    conn: &mut PgConnection,
    owner: &Owner,
    part: &Part,
    claims: &Claims,
    tally: &mut Tally,
) -> Result<(), Fault> {
    let mut after = (0_i64, -1_i64);
    loop {
        let rows: Vec<RejectRow> = sqlx::query_as(
            "select commit_no, ordinal, key, rule, pointer, message, asked_at, body from tidegate.rejects \
             where tenant_id = $1 and connection_id = $2 and stream = $3 and (commit_no, ordinal) > ($4, $5) \
             order by commit_no, ordinal limit $6",
        )
        .bind(owner.tenant.as_str())
        .bind(owner.connection.as_str())
        .bind(&part.stream)
        .bind(after.0)
        .bind(after.1)
        .bind(AT_ONCE)
        .fetch_all(&mut *conn)
        .await?;
        let Some((commit_no, ordinal, ..)) = rows.last() else { return Ok(()) };
        after = (*commit_no, *ordinal);
        for (commit_no, ordinal, key, rule, pointer, message, at, body) in rows {
            let (stream, asked_at, body) = (part.stream.clone(), stamp(at), Bytes::from(body));
            let reject = Reject { stream, key, rule, pointer, message, asked_at, body };
            let Some((erased, claim)) = part.reject(&reject, claims) else { continue };
            add(tally, Some(claim.person), |one| one.rejects += 1);
            sqlx::query(
                "update tidegate.rejects set message = $5, body = $6 \
                 where tenant_id = $1 and connection_id = $2 and commit_no = $3 and ordinal = $4",
            )
            .bind(owner.tenant.as_str())
            .bind(owner.connection.as_str())
            .bind(commit_no)
            .bind(ordinal)
            .bind(&erased.message)
            .bind(erased.body.as_ref())
            .execute(&mut *conn)
            .await?;
        }
    }
}

async fn issues(
    conn: &mut PgConnection,
    owner: &Owner,
    part: &Part,
    claims: &Claims,
    tally: &mut Tally,
) -> Result<(), Fault> {
    let rows: Vec<PgRow> = sqlx::query(
        "select commit_no, ordinal, rule, severity, entity, id, column_name, currency, expected, actual, \
         delta::text as delta, message, first_seen, resolved_at from tidegate.quality_issues \
         where tenant_id = $1 and connection_id = $2 and entity = $3 and id = any($4) and column_name <> ''",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.connection.as_str())
    .bind(part.main().map_or("", |main| main.name.as_str()))
    .bind(claims.keys().map(String::as_str).collect::<Vec<_>>())
    .fetch_all(&mut *conn)
    .await?;
    for row in &rows {
        let Some((erased, Claim { person, .. })) = part.issue(&StoredIssue::from_row(row)?, claims) else {
            continue;
        };
        add(tally, Some(person), |one| one.issues += 1);
        sqlx::query(
            "update tidegate.quality_issues set expected = null, actual = null, message = $5 \
             where tenant_id = $1 and connection_id = $2 and commit_no = $3 and ordinal = $4",
        )
        .bind(owner.tenant.as_str())
        .bind(owner.connection.as_str())
        .bind(row.try_get::<i64, _>("commit_no")?)
        .bind(row.try_get::<i64, _>("ordinal")?)
        .bind(&erased.message)
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

async fn note(conn: &mut PgConnection, owner: &Owner, order: &Order, tally: &Tally) -> Result<(), Fault> {
    let counts = |of: fn(&Erased) -> u64| -> Vec<i64> {
        tally.0.iter().map(|one| i64::try_from(of(one)).unwrap_or(i64::MAX)).collect()
    };
    sqlx::query(
        "update tidegate.erasures e set done_at = $3, rows = e.rows + u.rows, bodies = e.bodies + u.bodies, \
         rejects = e.rejects + u.rejects, issues = e.issues + u.issues \
         from unnest($4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[]) \
         as u(stream, person, rows, bodies, rejects, issues) \
         where e.tenant_id = $1 and e.connection_id = $2 and e.stream = u.stream and e.person = u.person",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.connection.as_str())
    .bind(naive(order.done_at)?)
    .bind(order.persons.iter().map(|(stream, _)| stream.as_str()).collect::<Vec<_>>())
    .bind(order.persons.iter().map(|(_, person)| person.as_str()).collect::<Vec<_>>())
    .bind(counts(|one| one.rows))
    .bind(counts(|one| one.bodies))
    .bind(counts(|one| one.rejects))
    .bind(counts(|one| one.issues))
    .execute(conn)
    .await?;
    Ok(())
}

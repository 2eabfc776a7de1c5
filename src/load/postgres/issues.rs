//! What is known to be wrong? The rows of `tidegate.quality_issues`: open until resolved, never deleted.
use super::{
    Postgres,
    fault::Fault,
    quarantine::visible,
    state::{self, naive, stamp},
};
use crate::{error::Result, id::Owner, load::StoredIssue, time::Timestamp};
use chrono::NaiveDateTime;
use sqlx::{Connection, FromRow, PgConnection, Row, postgres::PgRow};

/// Updates open issues of the same key, then adds those that are new and open.
pub(super) async fn put(
    conn: &mut PgConnection,
    owner: &Owner,
    stream: &str,
    issues: &[StoredIssue],
    commit_no: i64,
) -> Result<(), Fault> {
    let texts = |of: fn(&StoredIssue) -> &str| issues.iter().map(|i| visible(of(i))).collect::<Vec<_>>();
    let some = |of: fn(&StoredIssue) -> Option<&String>| {
        issues.iter().map(|i| of(i).map(|t| visible(t))).collect::<Vec<_>>()
    };
    let times = |of: fn(&StoredIssue) -> Option<Timestamp>| -> Result<Vec<Option<NaiveDateTime>>> {
        issues.iter().map(|i| of(i).map(naive).transpose()).collect()
    };
    for sql in [UPDATE, INSERT] {
        sqlx::query(sql)
            .bind(owner.tenant.as_str())
            .bind(owner.connection.as_str())
            .bind(texts(|i| &i.entity))
            .bind(texts(|i| &i.id))
            .bind(texts(|i| &i.rule))
            .bind(texts(|i| &i.column))
            .bind(texts(|i| &i.severity))
            .bind(some(|i| i.currency.as_ref()))
            .bind(some(|i| i.expected.as_ref()))
            .bind(some(|i| i.actual.as_ref()))
            .bind(some(|i| i.delta.as_ref()))
            .bind(texts(|i| &i.message))
            .bind(times(|i| i.first_seen)?)
            .bind(times(|i| i.resolved_at)?)
            .bind(commit_no)
            .bind(stream)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

const UPDATE: &str = "with given as (select * from unnest($3::text[], $4::text[], $5::text[], $6::text[], \
    $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::timestamp[], $14::timestamp[]) \
    as g(entity, id, rule, column_name, severity, currency, expected, actual, delta, message, first_seen, resolved_at) \
    where $15::bigint is not null and $16::text is not null) \
    update tidegate.quality_issues q set severity = g.severity, currency = g.currency, expected = g.expected, \
    actual = g.actual, delta = g.delta::numeric, message = g.message, resolved_at = g.resolved_at from given g \
    where q.tenant_id = $1 and q.connection_id = $2 and q.resolved_at is null and q.entity = g.entity and q.id = g.id \
    and q.rule = g.rule and q.column_name = g.column_name";

const INSERT: &str = "insert into tidegate.quality_issues (tenant_id, connection_id, commit_no, ordinal, stream, \
    entity, id, rule, column_name, severity, currency, expected, actual, delta, message, first_seen) \
    select $1, $2, $15, (select coalesce(max(ordinal), -1) from tidegate.quality_issues \
    where tenant_id = $1 and connection_id = $2 and commit_no = $15) + row_number() over (order by n), $16, \
    entity, id, rule, column_name, severity, currency, expected, actual, delta::numeric, message, first_seen \
    from (select distinct on (entity, id, rule, column_name) * from unnest($3::text[], $4::text[], $5::text[], \
    $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::timestamp[], \
    $14::timestamp[]) with ordinality as g(entity, id, rule, column_name, severity, currency, expected, actual, delta, \
    message, first_seen, resolved_at, n) order by entity, id, rule, column_name, n) g \
    where g.resolved_at is null and not exists (select from tidegate.quality_issues o where o.tenant_id = $1 \
    and o.connection_id = $2 and o.resolved_at is null and o.entity = g.entity and o.id = g.id and o.rule = g.rule \
    and o.column_name = g.column_name)";

impl FromRow<'_, PgRow> for StoredIssue {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let time = |name| row.try_get::<Option<NaiveDateTime>, _>(name).map(|t| t.map(stamp));
        Ok(Self {
            rule: row.try_get("rule")?,
            severity: row.try_get("severity")?,
            entity: row.try_get("entity")?,
            id: row.try_get("id")?,
            column: row.try_get("column_name")?,
            currency: row.try_get("currency")?,
            expected: row.try_get("expected")?,
            actual: row.try_get("actual")?,
            delta: row.try_get("delta")?,
            message: row.try_get("message")?,
            first_seen: time("first_seen")?,
            resolved_at: time("resolved_at")?,
        })
    }
}

impl Postgres {
    pub(super) async fn all_issues(&mut self, owner: &Owner) -> Result<Vec<StoredIssue>> {
        let Some(conn) = self.prepared().await? else { return Ok(Vec::new()) };
        let rows: Result<Vec<StoredIssue>, _> = sqlx::query_as(
            "select rule, severity, entity, id, column_name, currency, expected, actual, delta::text as delta, message, \
             first_seen, resolved_at from tidegate.quality_issues where tenant_id = $1 and connection_id = $2 \
             order by commit_no, ordinal",
        )
        .bind(owner.tenant.as_str())
        .bind(owner.connection.as_str())
        .fetch_all(conn)
        .await;
        rows.map_err(|e| self.failed(e.into(), "reading quality issues"))
    }

    pub(super) async fn settle(&mut self, issues: &[StoredIssue]) -> Result<()> {
        let (conn, open) = self.opened().await?;
        let act = async {
            let mut tx = conn.begin().await?;
            state::hold_epoch(&mut tx, &open.owner, open.epoch).await?;
            put(&mut tx, &open.owner, "", issues, open.commit_no).await?;
            tx.commit().await?;
            Ok(())
        };
        let result = act.await;
        result.map_err(|f| self.failed(f, "keeping quality issues"))
    }
}

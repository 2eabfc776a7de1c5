//! What was refused? Stored with bytes and reason, so that nothing disappears silently.
use super::{
    Postgres,
    fault::Fault,
    state::{naive, stamp},
};
use crate::{decode::Reject, error::Result, id::Owner, load::StoredReject};
use bytes::Bytes;
use chrono::NaiveDateTime;
use sqlx::PgConnection;

/// Text columns cannot hold U+0000; the bytes of the record are kept as they are.
pub(super) fn visible(text: &str) -> String {
    text.replace('\0', "\\u0000")
}

/// Quarantines records; `StoredReject::id` is `<commit_no>-<ordinal>`.
pub(super) async fn put_rejects(
    conn: &mut PgConnection,
    owner: &Owner,
    rejects: &[Reject],
    commit_no: i64,
) -> Result<(), Fault> {
    let texts = |of: fn(&Reject) -> &str| rejects.iter().map(|r| visible(of(r))).collect::<Vec<_>>();
    let asked: Vec<NaiveDateTime> = rejects.iter().map(|r| naive(r.asked_at)).collect::<Result<_>>()?;
    sqlx::query(
        "insert into tidegate.rejects (tenant_id, connection_id, commit_no, ordinal, stream, key, rule, pointer, \
         message, asked_at, body) select $1, $2, $3, n - 1, stream, key, rule, pointer, message, asked_at, body \
         from (select distinct on (stream, key, rule, pointer, body) * \
         from unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::timestamp[], $10::bytea[]) \
         with ordinality as r(stream, key, rule, pointer, message, asked_at, body, n) \
         order by stream, key, rule, pointer, body, n) r \
         where not exists (select from tidegate.rejects o where o.tenant_id = $1 and o.connection_id = $2 \
         and o.resolved_at is null and o.stream = r.stream and o.key is not distinct from r.key \
         and o.rule = r.rule and o.pointer = r.pointer and o.body = r.body)",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.connection.as_str())
    .bind(commit_no)
    .bind(texts(|r| &r.stream))
    .bind(rejects.iter().map(|r| r.key.as_deref().map(visible)).collect::<Vec<_>>())
    .bind(texts(|r| &r.rule))
    .bind(texts(|r| &r.pointer))
    .bind(texts(|r| &r.message))
    .bind(asked)
    .bind(rejects.iter().map(|r| r.body.as_ref()).collect::<Vec<&[u8]>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Marks quarantined records as redriven by this commit.
pub(super) async fn resolve(
    conn: &mut PgConnection,
    owner: &Owner,
    ids: &[String],
    commit_no: i64,
) -> Result<(), Fault> {
    sqlx::query(
        "update tidegate.rejects set resolved_at = now(), resolved_by = $4 \
         where tenant_id = $1 and connection_id = $2 and commit_no::text || '-' || ordinal::text = any($3) \
         and resolved_at is null",
    )
    .bind(owner.tenant.as_str())
    .bind(owner.connection.as_str())
    .bind(ids)
    .bind(commit_no)
    .execute(conn)
    .await?;
    Ok(())
}

type RejectRow = (i64, i64, String, Option<String>, String, String, String, NaiveDateTime, Vec<u8>);

impl Postgres {
    pub(super) async fn open_rejects(&mut self, owner: &Owner) -> Result<Vec<StoredReject>> {
        let Some(conn) = self.prepared().await? else { return Ok(Vec::new()) };
        let rows: Result<Vec<RejectRow>, _> = sqlx::query_as(
            "select commit_no, ordinal, stream, key, rule, pointer, message, asked_at, body from tidegate.rejects \
             where tenant_id = $1 and connection_id = $2 and resolved_at is null order by commit_no, ordinal",
        )
        .bind(owner.tenant.as_str())
        .bind(owner.connection.as_str())
        .fetch_all(conn)
        .await;
        let rows = rows.map_err(|e| self.failed(e.into(), "reading quarantined records"))?;
        let stored =
            rows.into_iter().map(|(commit_no, ordinal, stream, key, rule, pointer, message, at, body)| {
                let asked_at = stamp(at);
                let body = Bytes::from(body);
                let reject = Reject { stream, key, rule, pointer, message, asked_at, body };
                StoredReject { id: format!("{commit_no}-{ordinal}"), commit_no, reject }
            });
        Ok(stored.collect())
    }
}

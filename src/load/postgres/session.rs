//! Who may write for a connection? One session holds its advisory lock; `epoch` fences off all earlier ones.
//!
//! The lock is bound to the session, so a dead process frees it. Absent on purpose: leases and timers.
use super::{Open, Postgres, fault::Fault, not_open, prepare, state};
use crate::{
    entity::Entity,
    error::{Error, Kind, Result},
    id::Owner,
    load::Opened,
    secret::Secret,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use std::{sync::Arc, time::Duration};

/// How long a backend whose process has just died may take to notice.
const DYING_MS: u32 = 1_000;
const CONNECT_WAIT: Duration = Duration::from_secs(10);

impl Postgres {
    /// Connects to `postgres://user:password@host:port/database`. Changes nothing there; tables are prepared by `open`.
    /// Fails `Invalid` for text that is no such URL, `Denied` for wrong credentials, `Destination` when no server
    /// answers.
    pub async fn connect(url: &Secret) -> Result<Self> {
        let text = url.expose();
        let invalid = || {
            Error::new(Kind::Invalid, "the database URL cannot be read")
                .hint("write it as postgres://user:password@host:5432/database")
        };
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(invalid());
        }
        // The cause is left out: it may quote the URL, and the URL holds a password.
        let options: PgConnectOptions = text.parse().map_err(|_| invalid())?;
        let place = format!(
            "{}:{}/{}",
            options.get_host(),
            options.get_port(),
            options.get_database().unwrap_or_else(|| options.get_username())
        );
        let options = options.application_name("tidegate").disable_statement_logging().options([
            ("jit", "off"),
            ("lock_timeout", "30s"),
            ("idle_in_transaction_session_timeout", "15min"),
            ("tcp_keepalives_idle", "60"),
            ("client_min_messages", "warning"),
        ]);
        let mut new = Self { options, place, conn: None, open: None };
        new.conn = Some(new.dial(&new.options).await?);
        Ok(new)
    }

    /// A new session.
    pub(super) async fn dial(&self, options: &PgConnectOptions) -> Result<PgConnection> {
        let gone = |e: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(Kind::Destination, "no Postgres server answers")
                .with("database", &self.place)
                .because(e)
                .hint("start the server or correct the database URL, then run `tidegate sync` again")
        };
        match tokio::time::timeout(CONNECT_WAIT, PgConnection::connect_with(options)).await {
            Ok(Ok(conn)) => Ok(conn),
            Ok(Err(e @ sqlx::Error::Database(_))) => Err(Fault::Sql(e).into_error("connecting", &self.place)),
            Ok(Err(e)) => Err(gone(e.into())),
            Err(late) => Err(gone(late.into())),
        }
    }

    /// The session, made anew when it was lost. Fails `Stale` when another writer took the opened connection over
    /// meanwhile.
    pub(super) async fn link(&mut self) -> Result<&mut PgConnection> {
        let mut fresh = false;
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => {
                fresh = true;
                self.dial(&self.options).await?
            }
        };
        if let Some(open) = &mut self.open {
            if fresh {
                relock(&mut conn, open)
                    .await
                    .map_err(|f| f.into_error("taking its lock again", &self.place))?;
            }
            if fresh || !open.sure {
                let stored = state::fence(&mut conn, &open.owner)
                    .await
                    .map_err(|f| f.into_error("reading its state", &self.place))?;
                open.commit_no = match stored {
                    Some((epoch, commit_no)) if epoch == open.epoch => commit_no,
                    _ => return Err(stale(&open.owner)),
                };
                open.sure = true;
            }
        }
        Ok(self.conn.insert(conn))
    }

    /// The session and the opened connection.
    pub(super) async fn opened(&mut self) -> Result<(&mut PgConnection, &mut Open)> {
        self.link().await?;
        match (&mut self.conn, &mut self.open) {
            (Some(conn), Some(open)) => Ok((conn, open)),
            _ => Err(not_open()),
        }
    }

    /// Turns a fault into an error and lets go of a session that it broke.
    pub(super) fn failed(&mut self, fault: Fault, doing: &str) -> Error {
        if fault.class() == super::fault::Class::Lost {
            self.conn = None;
        }
        fault.into_error(doing, &self.place)
    }

    pub(super) async fn open_owner(&mut self, owner: &Owner, entities: &[Arc<Entity>]) -> Result<Opened> {
        if self.open.is_some() {
            self.close_session().await?;
        }
        let conn = self.link().await?;
        let result = open_on(conn, owner, entities).await;
        match result {
            Ok((open, opened)) => {
                self.open = Some(open);
                Ok(opened)
            }
            Err(fault) => {
                // The lock, if it was taken, ends with the session.
                self.conn = None;
                Err(self.failed(fault, "opening the connection"))
            }
        }
    }

    pub(super) async fn close_session(&mut self) -> Result<()> {
        let open = self.open.take();
        let Some(mut conn) = self.conn.take() else {
            return Ok(()); // the lock ended with the session
        };
        if let Some(open) = open {
            sqlx::query("select pg_advisory_unlock($1)")
                .bind(lock_key(&open.owner))
                .execute(&mut conn)
                .await
                .map_err(|e| Fault::Sql(e).into_error("giving its lock back", &self.place))?;
        }
        conn.close().await.map_err(|e| Fault::Sql(e).into_error("closing its session", &self.place))
    }
}

async fn open_on(
    conn: &mut PgConnection,
    owner: &Owner,
    entities: &[Arc<Entity>],
) -> Result<(Open, Opened), Fault> {
    lock(conn, owner).await?;
    prepare::migrate(conn).await?;
    prepare::tables(conn, entities).await?;
    let (epoch, commit_no) = state::raise_epoch(conn, owner).await?;
    let checkpoints = state::checkpoints(conn, owner).await?;
    let feeds = state::feeds(conn, owner).await?;
    let open = Open {
        owner: owner.clone(),
        epoch,
        commit_no,
        sure: true,
        entities: entities.iter().map(|e| (e.name.clone(), e.clone())).collect(),
        feeds,
        rebuild: None,
    };
    Ok((open, Opened { epoch, commit_no, checkpoints }))
}

/// The lower half of xxh3-128.
pub(super) fn hash64(bytes: &[u8]) -> i64 {
    let [_, _, _, _, _, _, _, _, low @ ..] = twox_hash::XxHash3_128::oneshot(bytes).to_be_bytes();
    i64::from_be_bytes(low)
}

/// Names are validated, so `/` cannot be part of one.
fn lock_key(owner: &Owner) -> i64 {
    hash64(format!("tidegate {owner}").as_bytes())
}

async fn lock(conn: &mut PgConnection, owner: &Owner) -> Result<(), Fault> {
    let key = lock_key(owner);
    let mut tx = conn.begin().await?;
    tx.execute(sqlx::raw_sql(AssertSqlSafe(format!("set local lock_timeout = '{DYING_MS}ms'")))).await?;
    match sqlx::query("select pg_advisory_lock($1)").bind(key).execute(&mut *tx).await {
        Ok(_) => Ok(tx.commit().await?),
        Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("55P03") => {
            tx.rollback().await?;
            Err(locked(conn, owner, key).await?.into())
        }
        Err(e) => Err(e.into()),
    }
}

/// After the session was lost, its backend may live on for a moment, even finish a commit: waiting for its lock is
/// waiting for its end.
async fn relock(conn: &mut PgConnection, open: &mut Open) -> Result<(), Fault> {
    open.sure = false;
    if let Some(rebuild) = &mut open.rebuild {
        rebuild.lost = true;
    }
    if state::fence(conn, &open.owner).await?.is_none_or(|(epoch, _)| epoch != open.epoch) {
        return Err(stale(&open.owner).into());
    }
    sqlx::query("select pg_advisory_lock($1)").bind(lock_key(&open.owner)).execute(conn).await?;
    Ok(())
}

async fn locked(conn: &mut PgConnection, owner: &Owner, key: i64) -> Result<Error, Fault> {
    let holder: Option<(i32, String, Option<String>, Option<String>)> = sqlx::query_as(
        "select a.pid, a.application_name, host(a.client_addr), \
         to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') \
         from pg_locks l join pg_stat_activity a on a.pid = l.pid \
         where l.locktype = 'advisory' and l.granted and l.objsubid = 1 \
         and l.database = (select oid from pg_database where datname = current_database()) \
         and ((l.classid::bigint << 32) | l.objid::bigint) = $1",
    )
    .bind(key)
    .fetch_optional(conn)
    .await?;
    let mut error =
        Error::new(Kind::Locked, "another process is syncing this connection").with("connection", owner);
    if let Some((pid, application, address, since)) = holder {
        error = error
            .with("backend", pid)
            .with("application", application)
            .with("from", address.unwrap_or_else(|| "this machine".into()))
            .with("since", since.unwrap_or_else(|| "unknown".into()))
            .hint(format!("wait for it, or end it with `select pg_terminate_backend({pid})`"));
    } else {
        error = error.hint("it has just finished: run the command again");
    }
    Ok(error)
}

/// Another writer took over.
pub(super) fn stale(owner: &Owner) -> Error {
    Error::new(Kind::Stale, "another process took this connection over; nothing of ours was written")
        .with("connection", owner)
        .hint("let the other process finish, or run `tidegate sync` again")
}

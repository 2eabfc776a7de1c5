//! What went wrong on the way to the server, and whether trying again can help.
//!
//! Absent on purpose: nothing here ever holds the connection's URL or password.
use crate::error::{Error, Kind};

/// Either our own decision or what the driver reported.
#[derive(Debug)]
pub(super) enum Fault {
    /// Decided here: it is final.
    Ours(Error),
    /// Reported by the driver or the server.
    Sql(sqlx::Error),
}

impl From<Error> for Fault {
    fn from(e: Error) -> Self {
        Self::Ours(e)
    }
}

impl From<sqlx::Error> for Fault {
    fn from(e: sqlx::Error) -> Self {
        Self::Sql(e)
    }
}

/// What a fault allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The transaction lost a race; the same one may be tried again on this connection.
    Again,
    /// The connection is gone.
    Lost,
    /// Trying again changes nothing.
    Final,
}

impl Fault {
    /// Decides by SQLSTATE, else by the driver's kind of error.
    pub(super) fn class(&self) -> Class {
        match self {
            Self::Ours(_) => Class::Final,
            Self::Sql(sqlx::Error::Database(e)) => match e.code().as_deref() {
                Some("40001" | "40P01") => Class::Again,
                Some("57P01" | "57P02" | "57P03" | "57P05" | "25P03") => Class::Lost,
                Some(code) if code.starts_with("08") => Class::Lost,
                Some(_) | None => Class::Final,
            },
            Self::Sql(sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_)) => Class::Lost,
            Self::Sql(_) => Class::Final,
        }
    }

    /// As the crate's error. `doing` continues "Postgres failed while "; `place` is host, port and database.
    pub(super) fn into_error(self, doing: &str, place: &str) -> Error {
        let class = self.class();
        let e = match self {
            Self::Ours(e) => return e,
            Self::Sql(e) => e,
        };
        let code = e.as_database_error().and_then(|e| e.code()).map(|c| c.into_owned()).unwrap_or_default();
        let (kind, hint) = advice(&code, class);
        Error::new(kind, format!("Postgres failed while {doing}"))
            .with("database", place)
            .because(e)
            .hint(hint)
    }
}

fn advice(code: &str, class: Class) -> (Kind, &'static str) {
    match (code, class) {
        ("28000" | "28P01", _) => {
            (Kind::Denied, "check user and password of the database URL with `psql \"$DATABASE_URL\"`")
        }
        ("42501", _) => (
            Kind::Destination,
            "this user lacks rights; as owner of the database run `grant create on database <name> to <user>`",
        ),
        ("3D000", _) => (Kind::Destination, "the database does not exist; create it with `createdb <name>`"),
        ("53100", _) => {
            (Kind::Destination, "the server's disk is full; nothing was changed; free space and sync again")
        }
        ("53300", _) => {
            (Kind::Transient, "the server has no free connection; raise max_connections or sync later")
        }
        ("55P03", _) => (
            Kind::Transient,
            "another session holds a lock on these tables; `select * from pg_stat_activity` shows it; then sync again",
        ),
        (_, Class::Again | Class::Lost) => {
            (Kind::Transient, "nothing is half written; run `tidegate sync` again")
        }
        (_, Class::Final) => {
            (Kind::Destination, "the server's message above names the cause; then sync again")
        }
    }
}

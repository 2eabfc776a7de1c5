//! The contract, on a real server.
use super::contract::{Harness, every_case};
use crate::postgres_server::Database;
use sqlx::Executor;
use tidegate::load::postgres::Postgres;

struct Server(Database);

impl Server {
    async fn new() -> Self {
        Self(Database::new().await)
    }
}

impl Harness for Server {
    type D = Postgres;
    async fn reopen(&self) -> Postgres {
        Postgres::connect(&self.0.secret()).await.unwrap()
    }
    async fn evict(&self) {
        let sql = "select pg_terminate_backend(pid, 5000) from pg_locks where locktype = 'advisory' and database = \
                   (select oid from pg_database where datname = current_database())";
        self.0.session().await.execute(sql).await.unwrap();
    }
}

every_case!(Server::new().await);

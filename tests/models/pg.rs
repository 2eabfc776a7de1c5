//! A throwaway Postgres holding a world's rows and the models.
use super::{
    data::{World, entities},
    lake::lines,
};
use arrow::{array::StringArray, record_batch::RecordBatch};
use datafusion::common::ScalarValue;
use sqlx::{
    AssertSqlSafe, Column as _, Connection as _, Executor as _, PgConnection, Row as _, SqlSafeStr as _,
};
use std::{
    fmt::Write as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, OnceLock},
};
use tidegate::{entity::ColumnType, entity::PREFIX, entity::SUFFIX, model};
use tokio::sync::Mutex;

/// One database on the test server, dropped with the server.
pub(crate) struct Database {
    connection: Mutex<PgConnection>,
}

impl Database {
    /// A fresh database with the world's rows in `billing.<entity>` and every model as a view.
    pub(crate) async fn load(world: &World) -> Self {
        Self::with(&tables(world)).await
    }

    /// A fresh database after this script, with every model as a view.
    pub(crate) async fn with(script: &str) -> Self {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("models_{}_{n}", std::process::id());
        let server = server_url();
        let mut admin =
            PgConnection::connect(&server.replace("{db}", "postgres")).await.expect("server answers");
        admin.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
        let connection = PgConnection::connect(&server.replace("{db}", &name)).await.unwrap();
        let database = Self { connection: Mutex::new(connection) };
        database.run(script).await;
        database.run(&model::postgres_script(&model::all().unwrap())).await;
        database.run("set search_path = billing").await;
        database
    }

    /// Runs a script in one transaction.
    pub(crate) async fn run(&self, script: &str) {
        let mut connection = self.connection.lock().await;
        sqlx::raw_sql(AssertSqlSafe(script))
            .execute(&mut *connection)
            .await
            .unwrap_or_else(|e| panic!("{e}"));
    }

    /// Rows of a query in the form of `lake::lines`.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<String> {
        let mut connection = self.connection.lock().await;
        let all = format!("select * from ({sql}) q");
        let names = {
            let described = connection.describe(AssertSqlSafe(all.clone()).into_sql_str()).await.unwrap();
            described.columns.iter().map(|c| c.name().to_string()).collect::<Vec<_>>()
        };
        let texts: Vec<String> = names.iter().map(|n| format!("cast(q.\"{n}\" as text)")).collect();
        let sql = format!("select {} from ({sql}) q", texts.join(", "));
        let rows = sqlx::query(AssertSqlSafe(sql))
            .fetch_all(&mut *connection)
            .await
            .unwrap_or_else(|e| panic!("{e}"));
        let columns = (0..names.len()).map(|at| {
            let cells = rows.iter().map(|r| r.get::<Option<String>, _>(at)).collect::<Vec<_>>();
            (format!("c{at}"), Arc::new(StringArray::from(cells)) as arrow::array::ArrayRef)
        });
        if rows.is_empty() {
            return Vec::new();
        }
        lines(&[RecordBatch::try_from_iter(columns).unwrap()])
    }
}

pub(crate) fn literal(value: &ScalarValue) -> String {
    match value {
        v if v.is_null() => "null".to_owned(),
        ScalarValue::Utf8(Some(v)) => format!("'{}'", v.replace('\'', "''")),
        ScalarValue::TimestampMicrosecond(Some(v), _) => {
            format!("'{}'", chrono::DateTime::from_timestamp_micros(*v).unwrap().naive_utc())
        }
        ScalarValue::Date32(Some(_)) => format!("'{value}'"),
        ScalarValue::Decimal128(Some(v), _, scale) => format!("{v}e-{scale}::numeric"),
        other => other.to_string(),
    }
}

fn tables(world: &World) -> String {
    let rows = world.rows();
    let mut script = String::from("create schema billing;\n");
    for entity in entities() {
        let prefix = PREFIX.iter().map(|n| ((*n).to_owned(), ColumnType::Text));
        let own = entity.columns.iter().map(|c| (c.name.clone(), c.ty));
        let suffix = SUFFIX.iter().map(|(n, ty, ..)| ((*n).to_owned(), *ty));
        let columns: Vec<(String, ColumnType)> = prefix.chain(own).chain(suffix).collect();
        let ddl: Vec<String> = columns.iter().map(|(n, ty)| format!("{n} {}", ty.postgres())).collect();
        let _ = writeln!(script, "create table billing.{} ({});", entity.name, ddl.join(", "));
        for row in rows.get(entity.name.as_str()).into_iter().flatten() {
            let null = ScalarValue::Null;
            let cells: Vec<String> =
                columns.iter().map(|(n, _)| literal(row.get(n.as_str()).unwrap_or(&null))).collect();
            let _ = writeln!(script, "insert into billing.{} values ({});", entity.name, cells.join(", "));
        }
    }
    script
}

/// A connection string with `{db}` for the database's name.
fn server_url() -> &'static str {
    static SERVER: OnceLock<(String, Option<Child>)> = OnceLock::new();
    &SERVER.get_or_init(start).0
}

fn start() -> (String, Option<Child>) {
    if let Some(url) = std::env::var_os("DATABASE_URL") {
        let url = url.into_string().expect("DATABASE_URL is UTF-8");
        let (server, _) = url.rsplit_once('/').expect("DATABASE_URL ends in /database");
        return (format!("{server}/{{db}}"), None);
    }
    let bin = binaries().expect("no Postgres found: apt-get install postgresql, or set DATABASE_URL");
    let dir = tempfile::Builder::new().prefix("tidegate-pg-").tempdir().unwrap().keep();
    // The shell outlives us only until our end of its input closes; then it stops the server and removes the files.
    let script = format!(
        "cd {dir}; {bin}/initdb -D data -U postgres -A trust -E UTF8 --locale=C --no-sync >log 2>&1 || exit 1
         {bin}/postgres -D data -k {dir} -c listen_addresses= -c fsync=off >>log 2>&1 &
         until {bin}/pg_isready -q -h {dir} -U postgres; do kill -0 $! || exit 1; done
         echo ready; cat >/dev/null; kill -INT $!; wait $!; rm -rf {dir}",
        dir = dir.display(),
        bin = bin.display()
    );
    let mut command = Command::new("sh");
    if nix_root() {
        let owned = Command::new("chown").arg("postgres").arg(&dir).status().is_ok_and(|s| s.success());
        assert!(owned, "Postgres refuses to run as root and there is no user `postgres`");
        command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh"]);
    }
    let mut child =
        command.arg("-c").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let out = child.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
    assert_eq!(line.trim(), "ready", "{}", std::fs::read_to_string(dir.join("log")).unwrap_or_default());
    let url = format!("postgres:///{{db}}?host={}&user=postgres", dir.display());
    (url, Some(child))
}

fn binaries() -> Option<PathBuf> {
    let known = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = known.map(|e| e.path().join("bin")).collect();
    folders.extend(std::env::split_paths(&path));
    folders.into_iter().find(|f| ["initdb", "postgres", "pg_isready"].iter().all(|b| f.join(b).exists()))
}

fn nix_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0
}

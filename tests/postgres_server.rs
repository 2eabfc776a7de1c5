//! A throwaway Postgres for tests: `DATABASE_URL` when set, else a server of our own on a free loopback port.
//!
//! Our own server is guarded by a shell that waits on a pipe to this process: when the process ends, however it ends,
//! the shell stops the server and removes its folder.
use sqlx::{Connection, Executor, PgConnection};
use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};
use tidegate::secret::Secret;

/// Runs as the user of the test, or as an ordinary user when that is root, which Postgres refuses.
const GUARD: &str = r#"
trap '' INT TERM HUP
bin=$1; port=$2; dir=$(mktemp -d "${TMPDIR:-/tmp}/tidegate-pg.XXXXXX") || exit 1
if [ "$(id -u)" = 0 ]; then
  user=postgres; id -u postgres >/dev/null 2>&1 || user=nobody
  chown "$user" "$dir"
  if command -v setpriv >/dev/null 2>&1; then
    as() { setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups env HOME="$dir" "$@"; }
  else
    as() { line=$(printf "'%s' " "$@"); su -s /bin/sh "$user" -c "cd '$dir' && $line"; }
  fi
else
  as() { "$@"; }
fi
cd "$dir"
as "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$dir/log" 2>&1 &&
as "$bin/pg_ctl" -D "$dir/data" -w -t 60 -l "$dir/server.log" -o "-c listen_addresses=127.0.0.1 -c port=$port \
  -c unix_socket_directories= -c fsync=off -c full_page_writes=off -c max_connections=100" start >>"$dir/log" 2>&1
if [ $? = 0 ]; then echo ready; cat >/dev/null; else cat "$dir/log" "$dir/server.log" 2>/dev/null; fi
as "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1
cd /; rm -rf "$dir"
"#;

struct Server {
    /// Ends in `/`; a database name follows.
    url: String,
    /// Databases are dropped at the end, for the server outlives us.
    lasting: bool,
    _guard: Option<Child>,
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).and_then(|value| value.into_string().ok())
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| match variable("DATABASE_URL") {
        Some(url) => {
            let base = url.split('?').next().unwrap();
            let cut = base
                .rfind('/')
                .filter(|at| *at > "postgresql://".len())
                .expect("DATABASE_URL names a database");
            Server { url: base[..=cut].to_owned(), lasting: true, _guard: None }
        }
        None => start(),
    })
}

fn binaries() -> PathBuf {
    let on_path = variable("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    let mut debian: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|e| e.path().join("bin")).collect())
        .unwrap_or_default();
    debian.sort();
    places.extend(debian.into_iter().rev());
    places
        .into_iter()
        .find(|dir| ["initdb", "pg_ctl", "postgres"].iter().all(|name| dir.join(name).exists()))
        .expect("these tests need a Postgres server: run `apt-get install postgresql`, or set DATABASE_URL")
}

#[expect(
    clippy::zombie_processes,
    reason = "the guard must outlive us to clean up; it ends when its pipe does"
)]
fn start() -> Server {
    let bin = binaries();
    let mut said = String::new();
    // Between choosing a free port and using it another process may take it.
    for _ in 0..3 {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "tidegate-pg", bin.to_str().unwrap(), &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(guard.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        if line.trim() == "ready" {
            let url = format!("postgres://postgres@127.0.0.1:{port}/");
            return Server { url, lasting: false, _guard: Some(guard) };
        }
        said = std::iter::once(line).chain(out.lines().map_while(Result::ok)).collect::<Vec<_>>().join("\n");
    }
    panic!(
        "the throwaway Postgres of these tests did not start; set DATABASE_URL to use another one:\n{said}"
    )
}

/// An empty database of one test.
pub(crate) struct Database {
    name: String,
}

impl Database {
    /// Makes one.
    pub(crate) async fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let new = Self { name: format!("tidegate_test_{}_{n}", std::process::id()) };
        admin(&format!("create database {}", new.name)).await;
        new
    }
    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("{}{}", server().url, self.name)
    }
    /// The same for `Postgres::connect`.
    pub(crate) fn secret(&self) -> Secret {
        Secret::new(self.url())
    }
    /// A session of the test's own.
    pub(crate) async fn session(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }
}

async fn admin(sql: &str) {
    let mut conn = PgConnection::connect(&format!("{}postgres", server().url)).await.unwrap();
    conn.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.unwrap();
    conn.close().await.unwrap();
}

impl Drop for Database {
    fn drop(&mut self) {
        if !server().lasting {
            return;
        }
        let sql = format!("drop database if exists {} with (force)", self.name);
        let dropped = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(admin(&sql));
        });
        drop(dropped.join());
    }
}

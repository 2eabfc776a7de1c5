//! What does one command cost? Its CPU time is read from /proc after it ended and before it is reaped.
use super::{report::Figure, serve};
use sqlx::Connection;
use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tidegate::{
    sim::chargebee,
    sync::summary::{Status, Summary},
};

/// Of the kernel's counters; the same on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// user + sys of a process without the children it reaped, and its state letter; None when it is gone.
fn stat(pid: u32) -> Option<(String, Vec<f64>)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    let (state, rest) = rest.split_once(' ')?;
    Some((state.to_owned(), rest.split_whitespace().filter_map(|n| n.parse().ok()).collect()))
}

fn peak_kb(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").trim().parse().ok()
}

/// Runs to the end; CPU seconds, peak RSS, wall seconds, standard output.
fn measure(mut command: Command, out: &Path) -> (Figure, String) {
    let began = Instant::now();
    let mut child = command.stdout(File::create(out).expect("a file")).spawn().expect("the binary starts");
    let pid = child.id();
    let mut figure = Figure::default();
    while let Some((state, numbers)) = stat(pid) {
        figure.cpu = numbers.iter().skip(10).take(2).sum::<f64>() / TICKS_PER_SECOND;
        if state == "Z" {
            break;
        }
        figure.rss_kb = peak_kb(pid).unwrap_or(0).max(figure.rss_kb);
        std::thread::sleep(Duration::from_millis(1));
    }
    figure.wall = began.elapsed().as_secs_f64();
    let status = child.wait().expect("an end");
    let said = fs::read_to_string(out).expect("its output");
    assert!(status.success(), "{command:?} ended with {status}: {said}");
    (figure, said)
}

/// `tidegate --help`.
pub(crate) fn help(binary: &Path) -> Figure {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(binary);
    command.arg("--help");
    measure(command, &folder.path().join("out")).0
}

/// A served site.
pub(crate) struct Site {
    /// `127.0.0.1:port`.
    pub(crate) address: String,
    server: Child,
}

impl Site {
    pub(crate) fn start(size: &str, gzip: bool) -> Self {
        let binary = std::env::current_exe().expect("this binary");
        let mut server = Command::new(binary)
            .args(serve::arguments(size, gzip))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server");
        let mut address = String::new();
        let said = server.stdout.take().expect("its output");
        BufReader::new(said).read_line(&mut address).expect("an address");
        Self { address: address.trim().to_owned(), server }
    }
    /// `http://...` of the Chargebee front.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/api/v2", self.address)
    }
    /// Makes the world go on: `touch` changes and adds 2 % anywhere, `day` lives a day.
    pub(crate) fn tell(&self, what: &str) {
        use std::io::{Read, Write};
        let mut socket = std::net::TcpStream::connect(&self.address).expect("the server");
        let request = format!(
            "POST /_sim/{what} HTTP/1.1\r\nhost: sim\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).expect("the server reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.server.stdin.take());
        let _ = self.server.wait();
    }
}

/// The core documents.
pub(crate) const CORE: [&str; 5] = ["customers", "subscriptions", "invoices", "credit_notes", "transactions"];

/// A project folder with pipeline `bench`, and with `mirror` where it has a lake and a database.
pub(crate) struct Project {
    binary: PathBuf,
    folder: tempfile::TempDir,
    database: Option<String>,
}

impl Project {
    /// Into the database, or into a lake in the folder. `every`: all streams, not only the core documents.
    pub(crate) fn new(site: &Site, binary: &Path, database: Option<String>, every: bool) -> Self {
        let project = Self { binary: binary.to_owned(), folder: folder(), database };
        project.pipeline("bench", site, project.database.is_some(), every);
        project
    }
    /// `bench` into a lake in the folder, and `mirror`, the same account, into the database.
    pub(crate) fn mirrored(site: &Site, binary: &Path, database: String, every: bool) -> Self {
        let project = Self { binary: binary.to_owned(), folder: folder(), database: Some(database) };
        project.pipeline("bench", site, false, every);
        project.pipeline("mirror", site, true, every);
        project
    }
    fn pipeline(&self, name: &str, site: &Site, postgres: bool, every: bool) {
        let destination = if postgres { "{ postgres: { env: BENCH_DATABASE } }" } else { "{ lake: ./lake }" };
        let streams = if every { String::new() } else { format!("  streams: [{}]\n", CORE.join(", ")) };
        let text = format!(
            "pipeline: {name}\ntenant: bench\nsource:\n  connector: chargebee\n  connection: {{ site: {}, api_key: {{ \
             env: BENCH_KEY }}, time_zone: Europe/Berlin, base_url: \"{}\" }}\n{streams}destination: {destination}\n\
             limits: {{ requests_per_minute: 6000000 }}\n",
            chargebee::SITE,
            site.base_url()
        );
        fs::write(self.folder.path().join("pipelines").join(format!("{name}.yaml")), text).expect("a file");
    }
    /// The lake's folder.
    pub(crate) fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }
    /// A command with JSON output, measured.
    pub(crate) fn run(&self, words: &[&str]) -> (Figure, serde_json::Value) {
        let mut command = Command::new(&self.binary);
        command.arg("-C").arg(self.folder.path()).args(words).args(["-o", "json", "--no-progress"]);
        command.env("BENCH_KEY", chargebee::API_KEY);
        if let Some(url) = &self.database {
            command.env("BENCH_DATABASE", url);
        }
        let before = self.database.as_deref().map(postgres_cpu);
        let (mut figure, said) = measure(command, &self.folder.path().join("out"));
        let after = self.database.as_deref().map(postgres_cpu);
        figure.server_cpu = before.zip(after).map(|(before, after)| after - before);
        (figure, serde_json::from_str(&said).expect("JSON"))
    }
    /// `tidegate sync`, or `tidegate sweep`, measured.
    pub(crate) fn read(&self, words: &[&str]) -> Figure {
        let (mut figure, said) = self.run(words);
        let summary: Summary = serde_json::from_value(said).expect("a summary");
        assert_eq!(summary.status, Status::Completed, "{:?}", summary.streams);
        figure.requests = summary.streams.iter().map(|s| s.requests).sum();
        figure.records = summary.streams.iter().map(|s| s.read).sum();
        figure.bytes = summary.streams.iter().map(|s| s.bytes).sum();
        figure
    }
    /// `tidegate sync bench`, measured.
    pub(crate) fn sync(&self) -> Figure {
        self.read(&["sync", "bench"])
    }
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("pipelines")).expect("a folder");
    folder
}

/// CPU seconds of the server that holds this database, ended backends included.
pub(crate) fn postgres_cpu(url: &str) -> f64 {
    let postmaster = super::floors::runtime().block_on(async {
        let mut session = sqlx::PgConnection::connect(url).await.expect("a session");
        let backend: i32 = sqlx::query_scalar("select pg_backend_pid()")
            .fetch_one(&mut session)
            .await
            .expect("a process id");
        let backend = u32::try_from(backend).expect("a process id");
        // Read while the session lives: its process ends with it.
        stat(backend).and_then(|(_, n)| n.first().copied()).expect("the server runs on this machine")
    });
    let parent = |numbers: &[f64]| numbers.first().copied();
    let mut ticks = 0.0;
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let Some((_, numbers)) = stat(pid) else { continue };
        // Own times; of the postmaster also those of children it reaped.
        if f64::from(pid) == postmaster {
            ticks += numbers.iter().skip(10).take(4).sum::<f64>();
        } else if parent(&numbers) == Some(postmaster) {
            ticks += numbers.iter().skip(10).take(2).sum::<f64>();
        }
    }
    ticks / TICKS_PER_SECOND
}

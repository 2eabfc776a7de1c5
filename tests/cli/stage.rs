//! A project folder and the real binary in it.
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Child, ChildStderr, Command, Stdio},
};

/// Only ever in `.env`; a test looks for it everywhere else.
pub(crate) const KEY: &str = "planted_key_5f2c9a71";

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Done {
    /// None: killed.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
    /// The one error of `-o json`.
    #[track_caller]
    pub(crate) fn error(&self) -> serde_json::Value {
        let line = self.err.lines().find(|l| l.starts_with("{\"error\"")).expect("an error on stderr");
        serde_json::from_str::<serde_json::Value>(line).unwrap()["error"].clone()
    }
}

/// A project folder of one pipeline.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
}

impl Stage {
    /// Pipeline `acme` of a Chargebee site at this URL, into `./lake`.
    pub(crate) fn new(base_url: &str) -> Self {
        let stage = Self { folder: tempfile::tempdir().unwrap() };
        stage.write(".env", &format!("ACME_KEY={KEY}\n"));
        stage.write("pipelines/acme.yaml", &pipeline(base_url));
        stage
    }
    /// The same with the simulators' key, so that they answer.
    pub(crate) fn simulated(base_url: &str) -> Self {
        let stage = Self::new(base_url);
        stage.write(".env", &format!("ACME_KEY={}\n", tidegate::sim::chargebee::API_KEY));
        stage
    }
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }
    /// Changes the pipeline file; what is replaced must be there.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = self.read("pipelines/acme.yaml");
        assert!(text.contains(from), "no `{from}` in {text}");
        self.write("pipelines/acme.yaml", &text.replacen(from, to, 1));
    }
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.args(arguments).current_dir(self.folder.path());
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        done(self.command(arguments))
    }
    /// A sync that goes on while the test does something else.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running(self.command(arguments).spawn().unwrap())
    }
    /// Every file below the folder.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.folder.path().to_owned()];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
                if entry.is_dir() { folders.push(entry) } else { found.push(entry) }
            }
        }
        found.sort();
        found
    }
}

/// Runs a command to its end.
pub(crate) fn done(mut command: Command) -> Done {
    let done = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Done { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) }
}

fn pipeline(base_url: &str) -> String {
    format!(
        "pipeline: acme\ntenant: acme\nsource:\n  connector: chargebee\n  connection:\n    site: acme-test\n    \
         api_key: {{ env: ACME_KEY }}\n    time_zone: Europe/Berlin\n    base_url: {base_url}\n\
         destination: {{ lake: ./lake }}\nlimits: {{ requests_per_minute: 590 }}\n"
    )
}

/// A process of ours; killed when dropped.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
    /// Reads stderr up to a line that holds `text`.
    pub(crate) fn said(&mut self, text: &str) -> BufReader<ChildStderr> {
        let mut lines = BufReader::new(self.0.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0, "it never said `{text}`");
        }
        lines
    }
    /// Its end.
    pub(crate) fn wait(&mut self) -> Done {
        let (mut out, mut err) = (String::new(), String::new());
        self.0.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        if let Some(mut stderr) = self.0.stderr.take() {
            stderr.read_to_string(&mut err).unwrap();
        }
        Done { code: self.0.wait().unwrap().code(), out, err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().map(|_| ()).unwrap_or_default();
    }
}

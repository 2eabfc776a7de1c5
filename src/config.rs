//! What the machine gives us: environment variables, the project's `.env`, secrets in files.
//!
//! The only module that reads the environment. Absent on purpose: no value ever appears in an error, only the name
//! under which it was looked for and the place that asked.
use crate::{
    error::{Error, Kind, Result},
    secret::Secret,
};
use std::{
    collections::BTreeMap,
    fmt, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// A line of a file that a person wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// As the person would name it, e.g. `pipelines/acme.yaml`.
    pub file: String,
    /// From 1; 0 when unknown.
    pub line: u64,
}

/// `file:line`, which editors and terminals open.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputSource {
    /// Written in the file itself; never a secret.
    Text(String),
    /// An environment variable.
    Env {
        /// Upper case.
        name: String,
        /// Who asks for it.
        place: Place,
    },
    /// The whole content of a file, without the line break at its end.
    File {
        /// As written; a relative one is below the project folder.
        path: PathBuf,
        /// Who asks for it.
        place: Place,
    },
}

/// The environment of one project: real variables, and behind them those of its `.env`.
/// No `Debug`, because it holds secrets.
#[derive(Clone, Default)]
pub struct Environment {
    root: PathBuf,
    vars: BTreeMap<String, String>,
}

impl Environment {
    /// Reads the process environment and `<root>/.env`, if there is one. A variable of the process wins.
    /// Fails `Invalid` when `.env` has a line that is not `NAME=value`.
    pub fn load(root: &Path) -> Result<Self> {
        let real =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Self::of(root, real.collect())
    }
    /// As `load`, with these variables instead of the process environment.
    pub fn of(root: &Path, real: BTreeMap<String, String>) -> Result<Self> {
        let file = root.join(".env");
        let mut vars = match fs::read_to_string(&file) {
            Ok(text) => dotenv(&text)?,
            Err(e) if e.kind() == ErrorKind::NotFound => BTreeMap::new(),
            Err(e) => {
                return Err(Error::new(Kind::Invalid, "cannot read .env")
                    .with("file", file.display())
                    .because(e));
            }
        };
        vars.extend(real);
        Ok(Self { root: root.to_owned(), vars })
    }
    /// The variable's value; None when it is not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str)
    }
    /// The text behind `source`. Fails `Invalid` when it is missing or empty, naming it and who asked.
    pub fn text(&self, source: &InputSource) -> Result<String> {
        match source {
            InputSource::Text(text) => Ok(text.clone()),
            InputSource::Env { name, place } => match self.get(name) {
                Some("") => Err(Error::new(Kind::Invalid, format!("environment variable {name} is empty"))
                    .with("needed by", place)
                    .hint(format!("export {name}=..."))),
                Some(value) => Ok(value.to_owned()),
                None => Err(Error::new(Kind::Invalid, format!("environment variable {name} is not set"))
                    .with("needed by", place)
                    .hint(format!("export {name}=...   (or write {name}=... into .env)"))),
            },
            InputSource::File { path, place } => {
                let file = self.root.join(path);
                let told = |what: &str| {
                    Error::new(Kind::Invalid, what).with("file", file.display()).with("needed by", place)
                };
                let text = fs::read_to_string(&file)
                    .map_err(|e| told("cannot read the file of a secret").because(e))?;
                match text.trim_end_matches(['\n', '\r']) {
                    "" => Err(told("the file of a secret is empty")),
                    text => Ok(text.to_owned()),
                }
            }
        }
    }
    /// As `text`, as a secret.
    pub fn secret(&self, source: &InputSource) -> Result<Secret> {
        self.text(source).map(Secret::new)
    }
}

/// `NAME=value` lines; `#` comments, an `export ` before and quotes around are allowed.
fn dotenv(text: &str) -> Result<BTreeMap<String, String>> {
    let mut vars = BTreeMap::new();
    for (line, row) in (1..).zip(text.lines().map(str::trim)) {
        if row.is_empty() || row.starts_with('#') {
            continue;
        }
        let row = row.strip_prefix("export ").unwrap_or(row);
        match row.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
            Some((name, value)) if is_variable(name) => {
                vars.insert(name.to_owned(), unquoted(value).to_owned());
            }
            _ => {
                return Err(Error::new(Kind::Invalid, "expected `NAME=value`")
                    .with("at", Place { file: ".env".into(), line })
                    .hint("one variable a line; comments begin with `#`"));
            }
        }
    }
    Ok(vars)
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn unquoted(value: &str) -> &str {
    let inside = |q: char| value.strip_prefix(q)?.strip_suffix(q);
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

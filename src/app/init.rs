//! `init`: writes a pipeline file that is right, and says what to do next.
//!
//! Absent on purpose: no question is asked here, and nothing is written unless the file would pass every check.
use crate::{
    error::{Error, Kind, Result},
    id::ConnectionId,
    manifest::{Input, InputKind},
    pipeline::Draft,
};
use std::{
    fmt::Write as _,
    fs,
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
    str::FromStr,
};

/// What to write.
#[derive(Clone, Debug)]
pub struct Order {
    /// Pipeline's name.
    pub name: String,
    /// Tenant on every row.
    pub tenant: String,
    /// Connector's name.
    pub connector: String,
    /// Inputs and their values; of a secret the variable that holds it. A secret without a value gets a variable.
    /// `base_url` is an input of every connector.
    pub settings: Vec<(String, String)>,
    /// Where rows go.
    pub target: Target,
    /// Zone of the provider's site; None: UTC, and the reader is told to look.
    pub time_zone: Option<String>,
    /// Replace a file that is there.
    pub force: bool,
}

/// Where rows go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Parquet files below this folder.
    Lake(String),
    /// The variable that holds the database's URL.
    Postgres(String),
}

impl FromStr for Target {
    type Err = String;
    /// `lake:FOLDER` or `postgres:VARIABLE`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("lake", path)) if !path.is_empty() => Ok(Self::Lake(path.to_owned())),
            Some(("postgres", name)) if is_variable(name) => Ok(Self::Postgres(name.to_owned())),
            Some(("postgres" | "postgresql", _)) => {
                Err("put the URL into a variable and write postgres:DATABASE_URL".into())
            }
            _ => Err("expected lake:FOLDER or postgres:VARIABLE, for example lake:./lake".into()),
        }
    }
}

/// What was written, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Below the project folder.
    pub files: Vec<PathBuf>,
    /// Sentences or commands, in order.
    pub next: Vec<String>,
}

/// Writes `pipelines/<name>.yaml`, and the missing lines of `.env.example` and `.gitignore`.
/// Fails `Invalid` when the order is wrong or the file is there, `Destination` when a file cannot be written.
pub fn init(root: &Path, order: &Order, inputs: &[Input], streams: &[&str]) -> Result<Written> {
    ConnectionId::parse(&order.name)?;
    let variables = variables(order, inputs)?;
    let text = page(order, inputs, streams)?;
    let file = PathBuf::from(format!("pipelines/{}.yaml", order.name));
    Draft::read(&file.to_string_lossy(), &text)?.prove(inputs, streams)?;

    let mut ignored = vec![".env".to_owned(), "/.tidegate/".to_owned()];
    if let Target::Lake(path) = &order.target {
        let inside = path.trim_start_matches("./").trim_end_matches('/');
        if !inside.is_empty() && !Path::new(inside).is_absolute() && !inside.starts_with("..") {
            ignored.push(format!("/{inside}/"));
        }
    }
    write_new(root, &file, &text, order.force)?;
    let lines = variables
        .iter()
        .map(|(name, meaning)| (format!("{name}="), format!("# {meaning}\n{name}=")))
        .collect();
    let mut files = vec![file];
    files.extend(add_lines(root, ".env.example", lines)?);
    files.extend(add_lines(root, ".gitignore", ignored.into_iter().map(|l| (l.clone(), l)).collect())?);
    Ok(Written { files, next: next(order, &variables) })
}

fn next(order: &Order, variables: &[(String, String)]) -> Vec<String> {
    let mut next = Vec::new();
    if order.time_zone.is_none() {
        next.push(format!(
            "set time_zone in pipelines/{}.yaml to the zone of your site (it is UTC now)",
            order.name
        ));
    }
    next.extend(
        variables.iter().map(|(name, _)| format!("export {name}=...   (or copy .env.example to .env)")),
    );
    next.extend(["check", "plan", "sync"].map(|verb| format!("tidegate {verb} {}", order.name)));
    next
}

/// The variable that holds a secret input: the one given, else `<NAME>_<INPUT>`.
fn variable(order: &Order, input: &Input) -> String {
    let given = order.settings.iter().find(|(name, _)| *name == input.name).map(|(_, value)| value.clone());
    given.unwrap_or_else(|| format!("{}_{}", order.name, input.name).to_uppercase().replace('-', "_"))
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// Every variable the pipeline needs, and what it holds. A secret given instead of a name is not repeated.
fn variables(order: &Order, inputs: &[Input]) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for input in inputs.iter().filter(|i| i.kind == InputKind::Secret) {
        let name = variable(order, input);
        if !is_variable(&name) {
            return Err(Error::new(
                Kind::Invalid,
                format!("`--set {}` does not name a variable", input.name),
            )
            .with("expected", "upper-case letters, digits and `_`")
            .hint(format!("--set {}=ACME_KEY, and the secret itself into that variable", input.name)));
        }
        found.push((name, format!("{}: {}", order.connector, input.meaning)));
    }
    if let Target::Postgres(name) = &order.target {
        found.push((name.clone(), "postgres://user:password@host:5432/database".into()));
    }
    Ok(found)
}

/// Takes the place of the provider's own address.
const BASE_URL: &str = "base_url";

/// The commented file.
fn page(order: &Order, inputs: &[Input], streams: &[&str]) -> Result<String> {
    let known: Vec<&str> = inputs.iter().map(|i| i.name.as_str()).chain([BASE_URL]).collect();
    if let Some((name, _)) = order.settings.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        return Err(Error::new(
            Kind::Invalid,
            format!("connector {} has no input `{name}`", order.connector),
        )
        .with("expected", known.join(", ")));
    }
    let mut connection = String::new();
    for input in inputs {
        let value = match (input.kind, order.settings.iter().find(|(name, _)| *name == input.name)) {
            (InputKind::Secret, _) => format!("{{ env: {} }}", variable(order, input)),
            (InputKind::HostLabel | InputKind::Text, Some((_, value))) => scalar(value),
            (InputKind::HostLabel | InputKind::Text, None) => {
                return Err(Error::new(Kind::Invalid, format!("input `{}` is missing", input.name))
                    .with("meaning", &input.meaning)
                    .hint(format!("--set {}=...", input.name)));
            }
        };
        let _ = write!(connection, "    # {}\n    {}: {value}\n", input.meaning, input.name);
    }
    let base_url = match order.settings.iter().find(|(name, _)| name == BASE_URL) {
        Some((_, url)) => format!("base_url: {url}"),
        None => "# base_url: http://127.0.0.1:8080/api/v2".into(),
    };
    let destination = match &order.target {
        Target::Lake(path) => {
            format!("{{ lake: {} }}\n# destination: {{ postgres: {{ env: DATABASE_URL }} }}", scalar(path))
        }
        Target::Postgres(name) => {
            format!("{{ postgres: {{ env: {name} }} }}\n# destination: {{ lake: ./lake }}")
        }
    };
    Ok(format!(
        r#"# Who syncs what, to where, when. `tidegate check {name}` proves it.
pipeline: {name}   # also this file's name
tenant: {tenant}   # on every row

source:
  connector: {connector}
  connection:
{connection}    # Time zone of the provider's site: document dates are read in it
    time_zone: {zone}
    # Instead of the provider's own address, e.g. what `tidegate simulate` prints:
    {base_url}
  # Only some of the streams; without this line all of them:
  # streams: [{streams}]
  # Read nothing older:
  # start: 2023-01-01

destination: {destination}

# When `tidegate run` syncs: minute hour day month weekday (0 and 7 are Sunday), in time_zone
schedule: {{ cron: "0 2 * * *", jitter: 10m }}

# drop: do not keep records as received (then nothing can be rebuilt)
raw: keep
# A sync stops above these shares of rows found deleted, and of records refused
limits: {{ delete_share: 0.2, reject_share: 0.1 }}
"#,
        name = order.name,
        tenant = order.tenant,
        connector = scalar(&order.connector),
        zone = scalar(order.time_zone.as_deref().unwrap_or("UTC")),
        streams = streams.join(", "),
    ))
}

/// A YAML scalar that is read back as this text.
fn scalar(text: &str) -> String {
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '.' || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._/-".contains(c))
        && !text.starts_with(".n")
        && !text.starts_with(".i")
        && !words.contains(&text.to_lowercase().as_str());
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

fn write_new(root: &Path, file: &Path, text: &str, force: bool) -> Result<()> {
    let path = root.join(file);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| unwritable(folder, e))?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true);
    let opened = if force {
        options.create(true).truncate(true).open(&path)
    } else {
        options.create_new(true).open(&path)
    };
    match opened.and_then(|mut f| f.write_all(text.as_bytes())) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            Err(Error::new(Kind::Invalid, format!("{} is there already", file.display()))
                .hint("another --name, or --force to replace it"))
        }
        Err(e) => Err(unwritable(&path, e)),
    }
}

/// Adds to a file those lines (what to look for, what to write) that it lacks.
fn add_lines(root: &Path, file: &str, lines: Vec<(String, String)>) -> Result<Option<PathBuf>> {
    let path = root.join(file);
    let mut text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
        Err(e) => return Err(unwritable(&path, e)),
    };
    let missing = |look_for: &str| !text.lines().any(|line| line.trim_start().starts_with(look_for));
    let new: Vec<String> =
        lines.into_iter().filter(|(look_for, _)| missing(look_for)).map(|(_, line)| line).collect();
    if new.is_empty() {
        return Ok(None);
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for line in new {
        text.push_str(&line);
        text.push('\n');
    }
    fs::write(&path, text).map_err(|e| unwritable(&path, e))?;
    Ok(Some(PathBuf::from(file)))
}

fn unwritable(path: &Path, e: io::Error) -> Error {
    Error::new(Kind::Destination, "cannot write the file").with("file", path.display()).because(e)
}

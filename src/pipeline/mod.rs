//! Who syncs what, to where, when: `pipelines/<name>.yaml`, proven. Nothing downstream checks it again.
//!
//! Absent on purpose: no value of a secret. A secret is named here (`config::InputSource`) and looked up where it is
//! used.
mod bodies;
mod overlays;
mod personal;
mod prove;
mod raw;
mod told;

use crate::{
    config::{Environment, InputSource, Place},
    entity::{ColumnType, Policy},
    error::{Error, Kind, Result},
    id::Owner,
    manifest::{Input, InputKind},
    schedule::Schedule,
    secret::Secret,
    time::Timestamp,
};
use chrono_tz::Tz;
use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

/// One asked-for sync. Immutable.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// The file's name without `.yaml`; also the connection's id.
    pub name: String,
    /// Whose data.
    pub owner: Owner,
    /// Name of the connector.
    pub connector: String,
    /// Exactly the connector's inputs.
    pub inputs: BTreeMap<String, InputSource>,
    /// The zone of the provider's site: document dates are civil dates in it.
    pub time_zone: Tz,
    /// Instead of the connector's own; no `/` at its end.
    pub base_url: Option<String>,
    /// Streams to read, in the order of the file; None: all.
    pub streams: Option<Vec<String>>,
    /// Nothing older is read.
    pub start: Option<Timestamp>,
    /// Where rows go.
    pub destination: DestinationSpec,
    /// When `tidegate run` syncs; None: only by hand.
    pub schedule: Option<Schedule>,
    /// Keep the bodies as received.
    pub raw_keep: bool,
    /// Bodies of superseded states go when they were read longer ago; None: never.
    pub raw_for: Option<Duration>,
    /// What stops a sync.
    pub limits: Limits,
    /// Custom fields that are columns of their own.
    pub custom: Vec<Promotion>,
    /// What is stored of columns with personal data, in the order of the file.
    pub columns: Vec<ColumnPolicy>,
    /// Tables of which it has columns of its own.
    pub overlays: Vec<OverlayFile>,
}

/// A file of SQL with a pipeline's own columns of a table.
#[derive(Clone, Debug)]
pub struct OverlayFile {
    /// Unified table; whether the connector feeds it is not checked here.
    pub table: String,
    /// Below the project folder: `pipelines/overlays/acme_invoices.sql`.
    pub file: String,
    /// Where it is asked for.
    pub place: Place,
}

/// What is stored of a column with personal data.
#[derive(Clone, Debug)]
pub struct ColumnPolicy {
    /// None: every table that has such a column.
    pub table: Option<String>,
    /// Its name; whether there is such a column is not checked here.
    pub column: String,
    /// What becomes of its values.
    pub policy: Policy,
    /// Where it is asked for.
    pub place: Place,
}

/// As written: `email` or `customers.email`.
impl fmt::Display for ColumnPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.table {
            Some(table) => write!(f, "{table}.{}", self.column),
            None => f.write_str(&self.column),
        }
    }
}

/// A custom field that is a column of its own.
#[derive(Clone, Debug)]
pub struct Promotion {
    /// Unified table; whether it has custom fields is not checked here.
    pub entity: String,
    /// Key of the field and name of the column.
    pub column: String,
    /// What it holds.
    pub ty: ColumnType,
    /// Where it is asked for.
    pub place: Place,
}

impl Pipeline {
    /// The inputs' values, as secrets whatever their kind. Fails `Invalid` when one is missing, or when a host label
    /// from the environment could lead to another host.
    pub fn resolve(&self, env: &Environment, inputs: &[Input]) -> Result<BTreeMap<String, Secret>> {
        let mut values = BTreeMap::new();
        for (name, source) in &self.inputs {
            let value = env.text(source)?;
            let label = inputs.iter().any(|i| i.name == *name && i.kind == InputKind::HostLabel);
            if label && !is_host_label(&value) {
                return Err(Error::new(
                    Kind::Invalid,
                    format!("`{name}` is not the first part of a host name"),
                )
                .with("pipeline", &self.name)
                .with("expected", "letters, digits and `-`, without dots or slashes"));
            }
            values.insert(name.clone(), Secret::new(value));
        }
        Ok(values)
    }
}

fn is_host_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// Where rows go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestinationSpec {
    /// Parquet files below a folder; a relative path is below the project folder.
    Lake {
        /// As written.
        path: PathBuf,
    },
    /// A Postgres database.
    Postgres {
        /// Connection URL; a secret.
        url: InputSource,
    },
}

/// Shares from 0.0 to 1.0 above which a sync stops, and its pace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Of living rows, that one complete scan may delete.
    pub delete_share: f64,
    /// Of a stream's records, that may be refused.
    pub reject_share: f64,
    /// Instead of the connector's request budget, for accounts with another plan.
    pub requests_per_minute: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { delete_share: 0.2, reject_share: 0.1, requests_per_minute: None }
    }
}

/// A pipeline file that is well-formed, not yet checked against its connector.
pub struct Draft {
    file: String,
    raw: raw::Raw,
}

impl Draft {
    /// `file` is how errors name it. Fails `Invalid` with file, line and the nearest right word.
    pub fn read(file: &str, text: &str) -> Result<Self> {
        let raw = serde_saphyr::from_str(text).map_err(|e| told::broken(file, &e))?;
        Ok(Self { file: file.to_owned(), raw })
    }
    /// Name of the connector it asks for.
    pub fn connector(&self) -> &str {
        &self.raw.source.connector.value
    }
    /// The error to give when there is no such connector; `known` are those there are.
    pub fn no_such_connector(&self, known: &[&str]) -> Error {
        let asked = &self.raw.source.connector;
        told::unknown("connector", &asked.value, known, &told::place(&self.file, asked.referenced))
    }
    /// Checks everything against what the connector takes and offers.
    /// Fails `Invalid` with file, line, what was expected and the nearest right word.
    pub fn prove(self, inputs: &[Input], streams: &[&str]) -> Result<Pipeline> {
        prove::prove(&self.file, self.raw, inputs, streams)
    }
}

/// The error to give when there is no pipeline of that name; `known` are those there are.
pub fn no_such_pipeline(asked: &str, known: &[&str]) -> Error {
    match (told::nearest(asked, known), known) {
        (Some(right), _) => Error::new(Kind::Invalid, format!("there is no pipelines/{asked}.yaml"))
            .hint(format!("did you mean `{right}`?")),
        (None, []) => Error::new(Kind::Invalid, "there is no pipeline in this folder")
            .hint("tidegate init, or -C DIR for a project elsewhere"),
        (None, _) => Error::new(Kind::Invalid, format!("there is no pipelines/{asked}.yaml"))
            .with("there are", known.join(", "))
            .hint(format!("tidegate init --name {asked}")),
    }
}

/// The name a pipeline must have in a file of that name. Fails `Invalid` when it is not a `.yaml` file.
pub fn name_of(file: &str) -> Result<&str> {
    let base = file.rsplit('/').next().unwrap_or(file);
    base.strip_suffix(".yaml").ok_or_else(|| {
        Error::new(Kind::Invalid, format!("`{file}` is not a pipeline file"))
            .hint("pipelines are pipelines/<name>.yaml")
    })
}

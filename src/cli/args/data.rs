//! Arguments of what shows rows: `query`, `export`, `schema`, `quarantine`.
use super::Output;
use crate::error::{Error, Kind, Result};
use clap::{Args, Subcommand, ValueEnum, ValueHint};
use std::path::{Path, PathBuf};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// One array of objects; decimals are text, so that no reader rounds them
    Json,
    /// RFC 4180, with a header
    Csv,
    /// Apache Parquet; needs --out
    Parquet,
}

/// How files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FileFormat {
    /// One array of objects; decimals are text, so that no reader rounds them
    Json,
    /// RFC 4180, with a header
    Csv,
    /// Apache Parquet
    Parquet,
}

impl FileFormat {
    /// The ending of such a file's name.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

impl From<FileFormat> for Format {
    fn from(format: FileFormat) -> Self {
        match format {
            FileFormat::Json => Self::Json,
            FileFormat::Csv => Self::Csv,
            FileFormat::Parquet => Self::Parquet,
        }
    }
}

/// How rows are written, and where to.
#[derive(Args, Clone, Debug, Default)]
pub struct Rows {
    /// How rows are written [default: by the name of --out, else table]
    #[arg(long, value_enum, value_name = "HOW", help_heading = "Rows")]
    pub format: Option<Format>,
    /// Write rows to this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Rows")]
    pub out: Option<PathBuf>,
}

impl Rows {
    /// The format that counts: `--format`, else the file's ending, else `-o json`, else a table.
    /// Fails `Invalid` for Parquet without a file, and for a file whose name says nothing.
    pub fn format(&self, output: Output) -> Result<Format> {
        let ending = self.out.as_deref().and_then(Path::extension).and_then(|e| e.to_str());
        let by_name = ending.and_then(|e| Format::from_str(e, true).ok());
        if let (Some(ending), None, None) = (ending, by_name, self.format) {
            return Err(Error::new(Kind::Invalid, format!("nothing is known of files named `.{ending}`"))
                .hint("name it .json, .csv or .parquet, or add --format"));
        }
        let otherwise = if output == Output::Json { Format::Json } else { Format::Table };
        let format = self.format.or(by_name).unwrap_or(otherwise);
        if format == Format::Parquet && self.out.is_none() {
            return Err(Error::new(Kind::Invalid, "Parquet cannot be written to a terminal or pipe")
                .hint("add --out rows.parquet"));
        }
        Ok(format)
    }
}

/// Ask in SQL.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  tidegate query \"select status, currency, sum(total) from invoices group by 1, 2\"
  tidegate query --file mrr.sql --format csv --out mrr.csv
  tidegate query \"select * from mrr_monthly order by month_start\" -o json

Tables: `tidegate schema`. It sees one consistent state, also while a sync runs.")]
pub struct Query {
    /// One SELECT
    #[arg(required_unless_present = "file")]
    pub sql: Option<String>,
    /// Read the SELECT from a file
    #[arg(long, short, value_name = "FILE", conflicts_with = "sql", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Whose tables, when pipelines have several destinations
    #[arg(long, short, value_name = "NAME")]
    pub pipeline: Option<String>,
    /// How rows are written.
    #[command(flatten)]
    pub rows: Rows,
}

/// Copy tables into files.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  tidegate export acme --out ./frozen
  tidegate export acme --entity invoices --entity customers --format csv --out ./frozen")]
pub struct Export {
    /// Which pipeline's destination
    pub pipeline: String,
    /// Folder to write to
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// Only these tables; repeat it
    #[arg(long = "entity", value_name = "NAME")]
    pub entities: Vec<String>,
    /// How files are written
    #[arg(long, value_enum, value_name = "HOW", default_value = "parquet")]
    pub format: FileFormat,
}

/// The data dictionary.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  tidegate schema
  tidegate schema invoices
  tidegate schema customers --pipeline acme
  tidegate schema invoices --format csv --out invoices-columns.csv

With a pipeline: also the fields that were promoted at its destination, and which columns its overlays give.")]
pub struct SchemaArgs {
    /// Which table [default: a list of all]
    pub entity: Option<String>,
    /// Whose tables [default: those that every pipeline has]
    #[arg(long, short, value_name = "NAME")]
    pub pipeline: Option<String>,
    /// How rows are written.
    #[command(flatten)]
    pub rows: Rows,
}

/// Records that were refused.
#[derive(Clone, Debug, Subcommand)]
pub enum Quarantine {
    /// One line per record: where, what and why
    #[command(after_help = "Examples:
  tidegate quarantine list
  tidegate quarantine list acme --stream invoices --format csv")]
    List {
        /// Which pipelines [default: all]
        #[arg(value_name = "PIPELINE")]
        pipelines: Vec<String>,
        /// Only these streams; repeat it
        #[arg(long = "stream", value_name = "NAME")]
        streams: Vec<String>,
        /// How rows are written.
        #[command(flatten)]
        rows: Rows,
    },
    /// One record in full, with its bytes as received
    #[command(after_help = "Examples:\n  tidegate quarantine show acme 12-0")]
    Show {
        /// Which pipeline
        pipeline: String,
        /// As listed
        id: String,
    },
    /// Try refused records again, with the mappings of today
    #[command(after_help = "Examples:
  tidegate quarantine redrive acme
  tidegate quarantine redrive acme 12-0 12-3")]
    Redrive {
        /// Which pipeline
        pipeline: String,
        /// Which records [default: all]
        #[arg(value_name = "ID")]
        ids: Vec<String>,
    },
}

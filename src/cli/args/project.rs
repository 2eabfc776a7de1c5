//! Arguments of a project's daily verbs: `check`, `plan`, `sync`, `run`, `status`, `compact`, `rebuild`,
//! `state`, `connectors`.
use clap::{Args, Subcommand, ValueHint};
use std::path::PathBuf;

/// Pipelines by name.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  tidegate check
  tidegate check acme")]
pub struct Names {
    /// Which pipelines [default: all]
    #[arg(value_name = "PIPELINE")]
    pub pipelines: Vec<String>,
}

/// Show what the next sync would do.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  tidegate plan acme
  tidegate plan acme -o json

It asks the provider a few small questions and writes nothing.")]
pub struct Plan {
    /// Which pipelines [default: all]
    #[arg(value_name = "PIPELINE")]
    pub pipelines: Vec<String>,
    /// Only these streams; repeat it
    #[arg(long = "stream", value_name = "NAME")]
    pub streams: Vec<String>,
}

/// Bring new and changed records in, once.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  tidegate sync
  tidegate sync acme --stream invoices
  tidegate sync acme --strict -o json > run.json

Safe to stop and to repeat at any time: what is committed stays, what is not is read again.")]
pub struct Sync {
    /// Which pipelines [default: all]
    #[arg(value_name = "PIPELINE")]
    pub pipelines: Vec<String>,
    /// Only these streams; repeat it
    #[arg(long = "stream", value_name = "NAME")]
    pub streams: Vec<String>,
    /// Exit with 6 when a record was refused
    #[arg(long)]
    pub strict: bool,
    /// Send at most so many requests, then exit with 7; repeating continues
    #[arg(long, value_name = "N")]
    pub max_requests: Option<u64>,
}

/// Sync on schedule.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  tidegate run
  tidegate run acme --log-format json

One process for all pipelines that have a `schedule`. Ctrl-C stops after a clean checkpoint.")]
pub struct Run {
    /// Which pipelines [default: all that have a schedule]
    #[arg(value_name = "PIPELINE")]
    pub pipelines: Vec<String>,
}

/// Show freshness and last runs.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  tidegate status
  tidegate status acme --runs 10
  tidegate status -o json")]
pub struct Status {
    /// Which pipelines [default: all]
    #[arg(value_name = "PIPELINE")]
    pub pipelines: Vec<String>,
    /// How many of the last runs to show
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub runs: usize,
}

/// Bring many small files into few.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  tidegate compact
  tidegate compact acme
  tidegate compact acme -o json

A lake gets a few files with every sync: their rows are merged into files of about 128 MB. What queries, exports and \
rebuilds see stays the same. A program that reads files of `history` or `raw` by itself may miss one meanwhile, and \
reads again. In Postgres the tables are vacuumed and analyzed instead. With `raw: { keep: 90d }` in the pipeline file, \
bodies that are old enough go too. `tidegate status` says when it is worth its while.")]
pub struct Compact {
    /// Which pipelines [default: all]
    #[arg(value_name = "PIPELINE")]
    pub pipelines: Vec<String>,
}

/// Make tables again.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  tidegate rebuild acme --diff
  tidegate rebuild acme --stream invoices

The new tables are built aside and swapped in whole. Nothing is asked of the provider.")]
pub struct Rebuild {
    /// Which pipeline
    pub pipeline: String,
    /// Only these streams; repeat it
    #[arg(long = "stream", value_name = "NAME")]
    pub streams: Vec<String>,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub diff: bool,
}

/// How far streams are read.
#[derive(Clone, Debug, Subcommand)]
pub enum State {
    /// One line per stream
    #[command(after_help = "Examples:\n  tidegate state list\n  tidegate state list acme -o json")]
    List(Names),
    /// A stream's checkpoint, in full
    #[command(after_help = "Examples:\n  tidegate state show acme invoices")]
    Show {
        /// Which pipeline
        pipeline: String,
        /// Which stream
        stream: String,
    },
    /// Forget how far streams are read: the next sync reads them from the beginning
    #[command(after_help = "Examples:
  tidegate state reset acme invoices
  tidegate state reset acme --all --yes

No row is lost or doubled by it; it costs the requests of a first load.")]
    Reset {
        /// Which pipeline
        pipeline: String,
        /// Which streams
        #[arg(value_name = "STREAM", required_unless_present = "all")]
        streams: Vec<String>,
        /// Every stream
        #[arg(long, conflicts_with = "streams")]
        all: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Move a watermark back, so that changes since then are read again
    #[command(after_help = "Examples:
  tidegate state set acme --stream invoices --watermark 2026-01-01
  tidegate state set acme --stream invoices --watermark 2026-01-01T00:00:00Z --yes

No row is lost or doubled by it. With --skip it may also go forward: changes between the two are never read.")]
    Set {
        /// Which pipeline
        pipeline: String,
        /// Which stream
        #[arg(long, value_name = "NAME")]
        stream: String,
        /// A date in the connection's time zone, or a time with its zone
        #[arg(long, value_name = "TIME")]
        watermark: String,
        /// Let it go forward: what changed in between is never read
        #[arg(long)]
        skip: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Write all checkpoints of a pipeline as JSON
    #[command(after_help = "Examples:\n  tidegate state export acme --out acme-state.json")]
    Export {
        /// Which pipeline
        pipeline: String,
        /// File [default: stdout]
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        out: Option<PathBuf>,
    },
    /// Replace the checkpoints of a pipeline by those of a file
    #[command(after_help = "Examples:\n  tidegate state import acme acme-state.json --yes")]
    Import {
        /// Which pipeline
        pipeline: String,
        /// What `state export` wrote
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// What reset, set, import and undo changed, and what was before
    #[command(after_help = "Examples:
  tidegate state journal acme
  tidegate state journal acme -o json

The last 200 changes are kept.")]
    Journal {
        /// Which pipeline
        pipeline: String,
    },
    /// Put back what was before a change of the journal
    #[command(after_help = "Examples:
  tidegate state undo acme
  tidegate state undo acme --entry 3 --yes

An undo is a change too: undoing it brings back what it took away.")]
    Undo {
        /// Which pipeline
        pipeline: String,
        /// Which change, as `state journal` lists it [default: the last]
        #[arg(long, value_name = "N")]
        entry: Option<i64>,
        /// Also when a sync has moved the stream on since
        #[arg(long)]
        force: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Connectors.
#[derive(Clone, Debug, Subcommand)]
pub enum Connectors {
    /// What can be read
    #[command(after_help = "Examples:\n  tidegate connectors list")]
    List,
    /// Inputs, streams and tables of one connector
    #[command(after_help = "Examples:\n  tidegate connectors show chargebee")]
    Show {
        /// Which connector
        name: String,
    },
    /// Check connector files as a sync would
    #[command(after_help = "Examples:
  tidegate connectors lint
  tidegate connectors lint connectors/chargebee")]
    Lint {
        /// Folders of connectors [default: all, built in and in the project]
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        paths: Vec<PathBuf>,
    },
    /// Print the JSON Schema of connector.yaml, for editors
    #[command(after_help = "Examples:\n  tidegate connectors schema > connector.schema.json")]
    Schema,
}

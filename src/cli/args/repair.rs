//! Arguments of what proves and repairs: `verify`, `sweep`, `backfill`.
use chrono::NaiveDate;
use clap::{Args, ValueEnum};

/// Prove that everything is there.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  tidegate verify acme
  tidegate verify acme --against acme_pg
  tidegate verify acme --source --stream invoices --yes
  tidegate verify acme --against acme_pg --ids 100 -o json

Alone it counts, sums and digests what is stored, and names numbers that series of invoices and credit notes lack. \
--against compares with what another pipeline of the same provider account holds. --source reads the provider again, \
aside, and compares: what changed there since the last sync is left out. Exit code 5: they differ.")]
pub struct Verify {
    /// Which pipeline
    pub pipeline: String,
    /// Compare with what this pipeline holds
    #[arg(long, value_name = "PIPELINE", conflicts_with = "source")]
    pub against: Option<String>,
    /// Compare with a fresh read of the provider
    #[arg(long)]
    pub source: bool,
    /// Only tables of these streams; repeat it
    #[arg(long = "stream", value_name = "NAME")]
    pub streams: Vec<String>,
    /// Show at most so many differing rows of each table
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub ids: usize,
    /// Send at most so many requests, then exit with 7; repeating continues
    #[arg(long, value_name = "N", requires = "source")]
    pub max_requests: Option<u64>,
    /// Do not ask before the provider is read
    #[arg(long, requires = "source")]
    pub yes: bool,
}

/// How a sweep compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Ids and versions; what is stored already is only counted
    #[default]
    Ids,
    /// Every record in full: finds changes too that the provider gave no new version
    Full,
}

/// Find deletes and hidden rows.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  tidegate sweep acme
  tidegate sweep acme --stream transactions --mode full
  tidegate sweep acme --max-requests 500

It walks each stream whole, without the filter by which a sync finds changes: rows that the filter hides arrive, and \
rows that the provider has no more are marked deleted, if the walk was complete. Where a sync goes on stays as it is. \
Safe to stop: running it again goes on.")]
pub struct Sweep {
    /// Which pipeline
    pub pipeline: String,
    /// Only these streams; repeat it
    #[arg(long = "stream", value_name = "NAME")]
    pub streams: Vec<String>,
    /// How records are compared; streams without versions are always swept in full
    #[arg(long, value_enum, value_name = "MODE", default_value_t)]
    pub mode: Mode,
    /// Send at most so many requests, then exit with 7; repeating continues
    #[arg(long, value_name = "N")]
    pub max_requests: Option<u64>,
}

/// Read a period or single records again.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  tidegate backfill acme --stream invoices --from 2026-01-01 --to 2026-01-31
  tidegate backfill acme --stream invoices --ids INV-17,INV-18 --yes

A period is taken by the date of the document, or by the modification time of streams that cannot be asked for that. \
Newer states win, as in a sync. Where a sync goes on stays as it is. Safe to stop: running it again goes on.")]
pub struct Backfill {
    /// Which pipeline
    pub pipeline: String,
    /// Which streams; repeat it
    #[arg(long = "stream", value_name = "NAME", required = true)]
    pub streams: Vec<String>,
    /// First day, in the time zone of the connection
    #[arg(long, value_name = "DATE", value_parser = super::day, required_unless_present = "ids", requires = "to")]
    pub from: Option<NaiveDate>,
    /// Last day
    #[arg(long, value_name = "DATE", value_parser = super::day, requires = "from")]
    pub to: Option<NaiveDate>,
    /// These records, separated by commas; of one stream
    #[arg(long, value_name = "ID", value_delimiter = ',', conflicts_with_all = ["from", "to"])]
    pub ids: Vec<String>,
    /// Send at most so many requests, then exit with 7; repeating continues
    #[arg(long, value_name = "N")]
    pub max_requests: Option<u64>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

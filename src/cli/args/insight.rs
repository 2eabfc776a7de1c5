//! Arguments of what is read off the data: `report`, `prove`.
use super::data::Rows;
use chrono::NaiveDate;
use clap::{Args, Subcommand};

/// Which report, of what, and how.
#[derive(Clone, Debug, Subcommand)]
pub enum Report {
    /// Monthly recurring revenue per month and currency
    #[command(after_help = "Examples:
  tidegate report mrr
  tidegate report mrr acme --months 24 --currency EUR")]
    Mrr {
        /// What to report on.
        #[command(flatten)]
        of: Of,
        /// How many of the last months
        #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=600))]
        months: u32,
    },
    /// Why it changed: new, expansion, contraction, churn, reactivation
    #[command(after_help = "Examples:
  tidegate report movements
  tidegate report movements acme --format csv --out movements.csv")]
    Movements {
        /// What to report on.
        #[command(flatten)]
        of: Of,
        /// How many of the last months
        #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=600))]
        months: u32,
    },
    /// What customers owe, by days overdue, today or on any day before
    #[command(after_help = "Examples:
  tidegate report aging
  tidegate report aging acme --as-of 2026-06-30 -o json")]
    Aging {
        /// What to report on.
        #[command(flatten)]
        of: Of,
        /// At the end of this day [default: the last day that the data speaks of]
        #[arg(long, value_name = "DATE", value_parser = super::day)]
        as_of: Option<NaiveDate>,
    },
    /// Cash to be expected in the next 13 weeks
    #[command(after_help = "Examples:
  tidegate report cash
  tidegate report cash acme --currency USD")]
    Cash {
        /// What to report on.
        #[command(flatten)]
        of: Of,
    },
    /// Invoices, payments and credit notes that do not add up
    #[command(after_help = "Examples:
  tidegate report reconcile
  tidegate report reconcile acme -o json

`tidegate prove` checks these rules and more, and keeps what it finds.")]
    Reconcile {
        /// What to report on.
        #[command(flatten)]
        of: Of,
    },
}

/// What to report on.
#[derive(Args, Clone, Debug)]
pub struct Of {
    /// Which pipeline [default: the only one]
    pub pipeline: Option<String>,
    /// Only this currency, e.g. EUR; currencies are never added up
    #[arg(long, value_name = "CODE")]
    pub currency: Option<String>,
    /// How rows are written.
    #[command(flatten)]
    pub rows: Rows,
}

/// Check that the stored rows agree with each other.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  tidegate prove
  tidegate prove acme --ids 50
  tidegate prove acme -o json

Exits with 5 when something does not hold. What it finds is kept in the table quality_issues; what holds again is marked \
resolved. A record that changed while a sync read its streams may show until the next sync.")]
pub struct Prove {
    /// Which pipelines [default: all]
    #[arg(value_name = "PIPELINE")]
    pub pipelines: Vec<String>,
    /// How many rows to show of each rule
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub ids: usize,
}

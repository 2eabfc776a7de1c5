//! Arguments of what proves and repairs: `verify`.
use clap::Args;

/// Prove that everything is there.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  tidegate verify acme
  tidegate verify acme --against acme_pg
  tidegate verify acme --source --stream invoices --yes
  tidegate verify acme --against acme_pg --ids 100 -o json

Alone it counts, sums and digests what is stored, and names numbers that series of invoices and credit notes lack.
--against compares with what another pipeline of the same provider account holds. --source reads the provider again,
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

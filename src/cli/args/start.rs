//! Arguments of what a newcomer types first: `demo`, `init`, `simulate`.
use crate::{
    app::init::Target,
    sim::{chargebee::ProductCatalog, world::Size},
};
use clap::{Args, ValueHint};
use std::{path::PathBuf, str::FromStr, time::Duration};

/// See it work.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  tidegate demo
  tidegate demo --seed 7 --dir demo-7

Nothing leaves this machine. Run it again whenever you like: it begins anew.")]
pub struct Demo {
    /// Where the demo keeps its files, below the folder of -C
    #[arg(long = "dir", value_name = "DIR", default_value = "demo", value_hint = ValueHint::DirPath)]
    pub folder: PathBuf,
    /// Another seed makes another company
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

/// Write a new pipeline file.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  tidegate init
  tidegate init --connector chargebee --name acme --set site=acme-test --destination lake:./lake
  tidegate init --connector chargebee --name acme --set site=acme-test \\
      --time-zone Europe/Berlin --destination postgres:DATABASE_URL

On a terminal, what is not given is asked. `tidegate connectors list` shows what can be read.")]
pub struct Init {
    /// Name of the pipeline; its file is pipelines/<NAME>.yaml
    #[arg(long)]
    pub name: Option<String>,
    /// What to read from
    #[arg(long, value_name = "NAME")]
    pub connector: Option<String>,
    /// An input of the connector, or base_url; repeat it. A secret takes the name of an environment variable
    #[arg(long = "set", value_name = "INPUT=VALUE")]
    pub settings: Vec<Setting>,
    /// Where to write: lake:FOLDER, or postgres:VARIABLE (the variable holds the URL)
    #[arg(long, value_name = "WHERE")]
    pub destination: Option<Target>,
    /// Tenant on every row [default: the name]
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// Time zone of the provider's site, e.g. Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    pub time_zone: Option<String>,
    /// Replace a file that is there
    #[arg(long)]
    pub force: bool,
}

/// Serve a simulated billing site.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  tidegate simulate
  tidegate simulate --port 8081 --size customers=500 --advance 30d
  tidegate simulate --chaos all
  tidegate simulate --catalog v1
  tidegate simulate --behind 30d

It prints the base_url and the key to put into a pipeline file. Equal seeds serve equal records.")]
pub struct Simulate {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Another seed makes another company
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// small, medium, large, or customers=N
    #[arg(long, default_value = "small", value_parser = size)]
    pub size: Size,
    /// What goes wrong, separated by commas; `all` for everything
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub chaos: Vec<String>,
    /// Product catalog of the Chargebee site: v1 has plans and addons, v2 items and item prices
    #[arg(long, value_name = "v1|v2", default_value = "v2", value_parser = catalog)]
    pub catalog: ProductCatalog,
    /// Let this much time of billing pass before serving, e.g. 30d
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub advance: Option<Duration>,
    /// Serve the site as it was so long ago; /_sim/advance brings it on, e.g. 30d
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub behind: Option<Duration>,
}

/// `INPUT=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The connector's input.
    pub input: String,
    /// Its value, or for a secret the variable that holds it.
    pub value: String,
}

impl FromStr for Setting {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((input, value)) if !input.is_empty() => {
                Ok(Self { input: input.to_owned(), value: value.to_owned() })
            }
            _ => Err("expected INPUT=VALUE, for example site=acme-test".into()),
        }
    }
}

fn size(text: &str) -> Result<Size, String> {
    Size::parse(text).map_err(|_| "expected small, medium, large or customers=N".into())
}

fn catalog(text: &str) -> Result<ProductCatalog, String> {
    match text {
        "v1" => Ok(ProductCatalog::V1),
        "v2" => Ok(ProductCatalog::V2),
        _ => Err("expected v1 or v2".into()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    crate::schedule::duration(text).map_err(|e| match e.next() {
        Some(hint) => format!("{}: {hint}", e.what()),
        None => e.what().to_owned(),
    })
}

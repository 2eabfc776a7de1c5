//! What can be typed. Defines and parses; decides nothing.
mod data;
mod insight;
mod project;
mod repair;
mod start;

pub use data::{Export, FileFormat, Format, Quarantine, Query, Rows, SchemaArgs};
pub use insight::{Of, Prove, Report};
pub use project::{Compact, Connectors, Names, Plan, Rebuild, Run, State, Status, Sync};
pub use repair::{Backfill, Mode, Sweep, Verify};
pub use start::{Demo, Init, Setting, Simulate};

use crate::telemetry;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint};
use std::{ffi::OsString, path::PathBuf};

/// Billing data into your warehouse: no row lost, no cent wrong, and proof of both
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, max_term_width = 100, subcommand_required = true)]
#[command(disable_help_subcommand = true)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Project folder: where pipelines/, connectors/ and .env are
    #[arg(short = 'C', value_name = "DIR", default_value = ".", global = true, value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// How results and errors are written: text or json
    #[arg(
        short,
        long,
        value_enum,
        value_name = "HOW",
        default_value_t,
        global = true,
        hide_possible_values = true
    )]
    pub output: Output,
    /// How log lines are written (stderr): text or json
    #[arg(long, value_enum, value_name = "HOW", default_value_t, global = true, hide_possible_values = true)]
    pub log_format: LogFormat,
    /// Log more: -v what happens, -vv every request, -vvv everything
    #[arg(short, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Do not show progress
    #[arg(long, global = true)]
    pub no_progress: bool,
}

/// How results and errors are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    #[default]
    Text,
    /// One JSON document
    Json,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

impl From<LogFormat> for telemetry::Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

/// Every command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// See it work: a simulated billing site, two syncs, answers in SQL
    Demo(Demo),
    /// Write a new pipeline file
    Init(Init),
    /// Prove that files, credentials and destination are right, without reading data
    Check(Names),
    /// Show what the next sync would do: requests, minutes, bytes
    Plan(Plan),
    /// Bring new and changed records into the destination, once
    Sync(Sync),
    /// Sync every pipeline on its schedule, until stopped
    Run(Run),
    /// Show how fresh each stream is, and what the last runs did
    Status(Status),
    /// Prove that everything is there: counts, sums, digests, gaps
    Verify(Verify),
    /// Find rows that were deleted, or that a sync is never shown
    Sweep(Sweep),
    /// Read a period or single records again
    Backfill(Backfill),
    /// Ask the synced tables in SQL
    Query(Query),
    /// Show revenue, receivables, expected cash, or what does not add up
    #[command(subcommand)]
    Report(Report),
    /// Check that the stored rows agree with each other, and keep what does not
    Prove(Prove),
    /// Copy tables, consistent with each other, into files
    Export(Export),
    /// List the unified tables, or the columns of one
    Schema(SchemaArgs),
    /// Look at records that were refused, and try them again
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// Make tables again from the stored bodies, after a mapping changed
    Rebuild(Rebuild),
    /// Bring many small files into few, and let old bodies go
    Compact(Compact),
    /// Look at, reset or carry over how far streams are read
    #[command(subcommand)]
    State(State),
    /// List, show and check connectors
    #[command(subcommand)]
    Connectors(Connectors),
    /// Serve a simulated billing site on loopback
    Simulate(Simulate),
    /// Print a completion script for your shell
    #[command(after_help = COMPLETIONS)]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

const COMPLETIONS: &str = "Examples:
  tidegate completions bash > /etc/bash_completion.d/tidegate
  tidegate completions zsh > ~/.zfunc/_tidegate
  tidegate completions fish > ~/.config/fish/completions/tidegate.fish";

/// A civil date.
fn day(text: &str) -> Result<chrono::NaiveDate, String> {
    text.parse().map_err(|_| "expected a day as YYYY-MM-DD, for example 2026-06-30".into())
}

/// The whole command line, with grouped help.
pub fn command() -> clap::Command {
    super::help::grouped(Cli::command())
}

/// Reads the arguments, the program's name first. The error knows its text and its exit code (0 for help).
pub fn parse<I, T>(arguments: I) -> Result<Cli, clap::Error>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let matches = command().try_get_matches_from(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|e| e.format(&mut command()))
}

//! The command line: what can be typed, how results look, what the process returns.
//!
//! Absent on purpose: no verb's behaviour; those are `app`.
mod verbs;

pub mod args;
pub mod ask;
pub mod exit;
pub mod help;
pub mod render;

use crate::{config::Environment, telemetry};
use args::Cli;
use exit::Exit;
use render::Out;
use std::{ffi::OsString, process::ExitCode};

/// Planning a query recurses over models of models, deeper than the usual 2 MB in an unoptimized build.
const STACK_BYTES: usize = 16 << 20;

/// Runs the program: parses, acts, prints, answers the exit code.
pub fn start(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match args::parse(arguments) {
        Ok(cli) => cli,
        Err(told) => {
            let _ = told.print();
            return u8::try_from(told.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    let (env, wrong) = match Environment::load(&cli.global.dir) {
        Ok(env) => (env, None),
        Err(error) => (Environment::default(), Some(error)),
    };
    let out = Out::detect(&env, &cli.global);
    let ended = match wrong {
        Some(error) => Err(error),
        None => run(cli, &out),
    };
    ended
        .unwrap_or_else(|error| {
            out.error(&error);
            Exit::of_kind(error.kind())
        })
        .into()
}

fn run(cli: Cli, out: &Out) -> crate::error::Result<Exit> {
    // A process that runs for months tells what it does without being asked.
    let least = u8::from(matches!(cli.command, args::Command::Run(_)));
    let filter = telemetry::directives(cli.global.verbose.max(least));
    telemetry::init(cli.global.log_format.into(), filter, out.notes.colour, out.log_writer())?;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.enable_all().thread_stack_size(STACK_BYTES).build().map_err(|e| {
        crate::error::Error::new(crate::error::Kind::Bug, "cannot start the runtime").because(e)
    })?;
    runtime.block_on(verbs::run(cli, out))
}

//! Log events, to stderr. stdout is for data.
//!
//! Absent on purpose: nothing here knows a stream or a secret; spans carry ids, and who logs decides what.
use crate::error::{Error, Kind, Result};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// How a log event is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged at which `-v`: 0 warnings, 1 what happens, 2 each request, 3 everything, of our libraries too.
pub fn directives(verbosity: u8) -> &'static str {
    match verbosity {
        0 => "warn",
        1 => "warn,tidegate=info",
        2 => "info,tidegate=debug",
        _ => "debug,tidegate=trace",
    }
}

/// Starts logging for the rest of the process. `filter` is `directives(..)` or the operator's own.
/// Fails `Invalid` when the filter cannot be read, `Bug` when logging was started before.
pub fn init<W>(format: Format, filter: &str, colour: bool, writer: W) -> Result<()>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter).map_err(|e| {
        Error::new(Kind::Invalid, "cannot read the log filter")
            .with("TIDEGATE_LOG", filter)
            .hint("for example TIDEGATE_LOG=warn,tidegate=debug")
            .because(e)
    })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let started = match format {
        Format::Text => lines.with_ansi(colour).with_target(false).try_init(),
        Format::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|e| Error::new(Kind::Bug, "logging was started twice").because(e))
}

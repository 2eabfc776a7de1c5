//! How things look: data on stdout, the rest on stderr.
//!
//! What is drawn is text; only `Out` writes. Absent on purpose: nothing here computes a result.
pub mod chart;
pub mod errors;
pub mod figures;
pub mod progress;
pub mod rows;
pub mod summary;
pub mod table;
pub mod verify;

use super::args::{self, Format, Global, Output, Rows};
use crate::{
    config::Environment,
    error::{Error, Kind, Result},
};
use arrow::{array::RecordBatch, datatypes::SchemaRef};
use indicatif::MultiProgress;
use progress::LogWriter;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};

/// How one of the two streams may look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Characters a line; None: as many as there are.
    pub width: Option<u16>,
    /// ANSI styles.
    pub colour: bool,
    /// Counts in groups of three.
    pub grouped: bool,
}

impl Look {
    /// For pipes and files: nothing that a program would have to remove.
    pub const fn plain() -> Self {
        Self { width: None, colour: false, grouped: false }
    }
    /// A count.
    pub fn count(&self, number: u64) -> String {
        if self.grouped { figures::grouped(number) } else { number.to_string() }
    }
    /// Text that stands out.
    pub fn bold(&self, text: &str) -> String {
        self.styled("1", text)
    }
    /// Text in red.
    pub fn red(&self, text: &str) -> String {
        self.styled("1;31", text)
    }
    /// Text in green.
    pub fn green(&self, text: &str) -> String {
        self.styled("32", text)
    }
    /// Text in yellow.
    pub fn yellow(&self, text: &str) -> String {
        self.styled("33", text)
    }
    fn styled(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Where results go.
#[derive(Clone, Debug)]
pub struct Out {
    /// stdout.
    pub data: Look,
    /// stderr.
    pub notes: Look,
    /// `-o`.
    pub output: Output,
    /// Where progress is drawn in place, for the whole process; None: it is not.
    pub live: Option<MultiProgress>,
    /// Progress is shown at all.
    pub progress: bool,
    /// `-C`, when it was given: commands that we name need it too.
    pub folder: Option<String>,
}

impl Out {
    /// Looks at the two streams, `NO_COLOR`, `TERM` and `COLUMNS`.
    pub fn detect(env: &Environment, global: &Global) -> Self {
        let dumb = env.get("TERM") == Some("dumb");
        let coloured = !dumb && env.get("NO_COLOR").is_none_or(str::is_empty);
        let asked = env.get("COLUMNS").and_then(|c| c.parse().ok()).filter(|c| *c > 0);
        let look = |terminal: bool, width: Option<u16>| Look {
            width: asked.or(width),
            colour: terminal && coloured,
            grouped: terminal,
        };
        let data = look(io::stdout().is_terminal(), comfy_table::Table::new().width());
        let notes = look(io::stderr().is_terminal(), comfy_table::Table::new().use_stderr().width());
        Self {
            data,
            notes,
            output: global.output,
            live: (io::stderr().is_terminal() && !dumb).then(MultiProgress::new),
            progress: !global.no_progress,
            folder: Some(&global.dir)
                .filter(|dir| dir.as_os_str() != ".")
                .map(|dir| dir.display().to_string()),
        }
    }
    /// The text, with commands as they must be typed from where the user stands.
    pub fn typed(&self, text: &str) -> String {
        let Some(folder) = &self.folder else { return text.to_owned() };
        let folder = if folder.contains(' ') { format!("'{folder}'") } else { folder.clone() };
        let verbs = args::command();
        verbs.get_subcommands().fold(text.to_owned(), |text, verb| {
            let name = verb.get_name();
            text.replace(&format!("tidegate {name}"), &format!("tidegate -C {folder} {name}"))
        })
    }
    /// Text to stdout, with its own line breaks. A reader who went away (`| head`) is no error.
    pub fn data(&self, text: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
    }
    /// A line to stderr, above whatever is drawn there.
    pub fn note(&self, text: &str) {
        self.line(&self.typed(text));
    }
    fn line(&self, text: &str) {
        let _ = self.log_writer().write_all(format!("{text}\n").as_bytes());
    }
    /// Where log lines go, so that they do not cut through what is drawn in place.
    pub fn log_writer(&self) -> LogWriter {
        LogWriter::new(self.live.clone())
    }
    /// A JSON document and a line break to stdout.
    pub fn json<T: Serialize>(&self, value: &T) -> Result<()> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|e| Error::new(Kind::Bug, "a result cannot be written as JSON").because(e))?;
        self.data(&format!("{text}\n"))
    }
    /// The same on one line, for one of many documents.
    pub fn json_line<T: Serialize>(&self, value: &T) -> Result<()> {
        let text = serde_json::to_string(value)
            .map_err(|e| Error::new(Kind::Bug, "a result cannot be written as JSON").because(e))?;
        self.data(&format!("{text}\n"))
    }
    /// A table to stdout.
    pub fn table(&self, table: &table::Table) -> Result<()> {
        self.data(&table.draw(&self.data))
    }
    /// Rows to stdout or to the file asked for.
    pub fn rows(&self, schema: &SchemaRef, batches: &[RecordBatch], how: &Rows) -> Result<()> {
        let format = how.format(self.output)?;
        if let Some(file) = &how.out {
            let count = rows::to_file(file, schema, batches, format)?;
            self.note(&format!("{} rows written to {}", self.notes.count(count), file.display()));
            return Ok(());
        }
        match format {
            Format::Table => self.data(&rows::table(schema, batches, &self.data)?),
            Format::Json | Format::Csv | Format::Parquet => {
                let mut out = io::BufWriter::new(io::stdout().lock());
                match rows::write(&mut out, schema, batches, format) {
                    Ok(_) => written(out.flush()),
                    Err(rows::Failed::Io(e)) => written(Err(e)),
                    Err(rows::Failed::Other(e)) => Err(e),
                }
            }
        }
    }
    /// An error to stderr, as `-o` says.
    pub fn error(&self, error: &Error) {
        match self.output {
            Output::Text => self.note(&errors::text(error, &self.notes)),
            Output::Json => self.line(&errors::json(error).to_string()),
        }
    }
}

fn written(result: io::Result<()>) -> Result<()> {
    match result {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::new(Kind::Destination, "cannot write to stdout").because(e))
        }
        _ => Ok(()),
    }
}

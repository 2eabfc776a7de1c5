//! What to tell someone whose file is wrong: where, what was expected, and the nearest right word.
//!
//! Absent on purpose: no value of the file is repeated unless its key cannot hold a secret.
use crate::{
    config::Place,
    error::{Error, Kind},
};
use serde_saphyr::Location;

pub(super) fn place(file: &str, location: Location) -> Place {
    Place { file: file.to_owned(), line: location.line() }
}

/// `what` `word` is none of `known`.
pub(super) fn unknown(what: &str, word: &str, known: &[&str], place: &Place) -> Error {
    let error = Error::new(Kind::Invalid, format!("unknown {what} `{word}`")).with("at", place);
    let error = if known.is_empty() { error } else { error.with("expected one of", known.join(", ")) };
    match nearest(word, known) {
        Some(right) => error.hint(format!("did you mean `{right}`?")),
        None => error,
    }
}

/// The word of `known` that was probably meant.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_lowercase();
    let distance = |k: &str| strsim::damerau_levenshtein(&word, &k.to_lowercase());
    let close = |k: &str| {
        distance(k) <= 1 + word.len() / 4 || (word.len() > 2 && (k.starts_with(&word) || word.starts_with(k)))
    };
    known.iter().copied().filter(|k| close(k)).min_by_key(|k| distance(k))
}

/// How a key that must be there is written.
const EXAMPLES: [(&str, &str); 7] = [
    ("pipeline", "pipeline: acme (the file's name)"),
    ("tenant", "tenant: acme (whose data it is; on every row)"),
    ("source", "source: { connector: ..., connection: { ... } }"),
    ("connector", "connector: chargebee (`tidegate connectors list`)"),
    ("connection", "connection: { time_zone: ..., ... } (`tidegate connectors show`)"),
    ("destination", "destination: { lake: ./lake }, or { postgres: { env: DATABASE_URL } }"),
    ("cron", "cron: \"0 2 * * *\" for 02:00 every day"),
];

/// What the YAML reader says, in our words.
pub(super) fn broken(file: &str, error: &serde_saphyr::Error) -> Error {
    use serde_saphyr::Error as Yaml;
    let plain = error.without_snippet();
    let place = match plain.location() {
        Some(location) => place(file, location),
        None => Place { file: file.to_owned(), line: 0 },
    };
    let what = match plain {
        Yaml::SerdeUnknownField { field, expected, .. } => return unknown("key", field, expected, &place),
        // The reader notices at the end of the mapping, which is the wrong line to look at.
        Yaml::SerdeMissingField { field, .. } => {
            let error = Error::new(Kind::Invalid, format!("key `{field}` is missing"))
                .with("in", file)
                .with("expected up to line", place.line);
            return match EXAMPLES.iter().find(|(key, _)| key == field) {
                Some((_, example)) => error.hint(format!("add {example}")),
                None => error,
            };
        }
        Yaml::DuplicateMappingKey { key: Some(key), .. } => {
            return Error::new(Kind::Invalid, format!("key `{key}` is given twice"))
                .with("at", place)
                .hint("keep one of the two");
        }
        Yaml::SerdeInvalidType { expected, unexpected, .. } => {
            let found = unexpected.split(['`', '"']).next().unwrap_or_default().trim();
            let error = Error::new(Kind::Invalid, format!("expected {expected}, found {}", ours(found)))
                .with("at", place);
            let scalar = ["integer", "floating point", "boolean"].iter().any(|kind| found.starts_with(kind));
            return if scalar { error.hint("put the value in quotes") } else { error };
        }
        Yaml::Unexpected { expected, .. } => format!("expected {}", ours(expected)),
        Yaml::InvalidScalar { ty, .. } => format!("expected {}", ours(ty)),
        other => other.to_string(),
    };
    let first = what.lines().next().unwrap_or("not valid YAML");
    let first = first.split(" at line ").next().unwrap_or(first);
    Error::new(Kind::Invalid, first).with("at", place)
}

/// The reader's word for a kind of value, in ours.
fn ours(kind: &str) -> &str {
    match kind {
        "string" | "string scalar" => "text",
        "map" | "mapping start" => "`key: value` lines",
        "sequence" | "sequence start" => "a list",
        "u32" | "u64" | "usize" => "a whole number",
        "integer" | "f64" | "floating point" => "a number",
        other => other,
    }
}

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
pub(super) fn unknown(what: &str, word: &str, known: &[&str]) -> Error {
    let error = Error::new(Kind::Invalid, format!("unknown {what} `{word}`"));
    let error = if known.is_empty() { error } else { error.with("expected", known.join(", ")) };
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

/// What the YAML reader says, in our words.
pub(super) fn broken(file: &str, error: &serde_saphyr::Error) -> Error {
    use serde_saphyr::Error as Yaml;
    let plain = error.without_snippet();
    let said = match plain {
        Yaml::SerdeUnknownField { field, expected, .. } => unknown("key", field, expected),
        Yaml::SerdeMissingField { field, .. } => {
            Error::new(Kind::Invalid, format!("key `{field}` is missing"))
        }
        Yaml::DuplicateMappingKey { key: Some(key), .. } => {
            Error::new(Kind::Invalid, format!("key `{key}` is given twice")).hint("keep one of the two")
        }
        Yaml::SerdeInvalidType { expected, unexpected, .. } => {
            let kind = unexpected.split(['`', '"']).next().unwrap_or_default().trim();
            Error::new(Kind::Invalid, format!("expected {expected}, found {kind}"))
        }
        Yaml::Message { msg, .. } => {
            Error::new(Kind::Invalid, msg.lines().next().unwrap_or("not valid YAML").to_owned())
        }
        other => {
            let text = other.to_string();
            let first = text.lines().next().unwrap_or("not valid YAML");
            Error::new(Kind::Invalid, first.strip_prefix("error: ").unwrap_or(first).to_owned())
        }
    };
    match plain.location() {
        Some(location) => said.with("at", place(file, location)),
        None => said.with("at", file),
    }
}

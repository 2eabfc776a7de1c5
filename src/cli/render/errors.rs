//! An error as a person, or a program, reads it.
use super::{super::exit::Exit, Look};
use crate::error::{Error, Kind};
use serde_json::{Map, Value, json};

/// `error: what (facts)`, a `cause:` line for each error underneath, `next:` what to do.
pub fn text(error: &Error, look: &Look) -> String {
    let facts: Vec<String> = error.context().iter().map(|(key, value)| format!("{key} {value}")).collect();
    let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
    let mut text = format!("{} {}{facts}", look.red("error:"), error.what());
    for cause in error.causes() {
        text.push_str(&format!("\n  cause: {cause}"));
    }
    if let Some(next) = error.next() {
        text.push_str(&format!("\n  {} {next}", look.green("next:")));
    }
    text
}

/// `{"error": {"kind", "what", "context", "causes", "next", "exit"}}`.
pub fn json(error: &Error) -> Value {
    let facts: Map<String, Value> =
        error.context().iter().map(|(key, value)| ((*key).to_owned(), Value::from(value.as_str()))).collect();
    json!({"error": {
        "kind": kind(error.kind()),
        "what": error.what(),
        "context": facts,
        "causes": error.causes(),
        "next": error.next(),
        "exit": Exit::of_kind(error.kind()).code(),
    }})
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Transient => "transient",
        Kind::Throttled { .. } => "throttled",
        Kind::Denied => "denied",
        Kind::Invalid => "invalid",
        Kind::Drift => "drift",
        Kind::Stale => "stale",
        Kind::Locked => "locked",
        Kind::Destination => "destination",
        Kind::Guard => "guard",
        Kind::Budget => "budget",
        Kind::Interrupted => "interrupted",
        Kind::Bug => "bug",
    }
}

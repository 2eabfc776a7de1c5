//! Does the account offer this stream? The probe's answer knows.
use crate::{
    error::{Error, Kind, Result},
    manifest::Requires,
};
use serde_json::Value;

/// None: it does; else what the account has instead. Fails `Drift` when the answer does not say.
pub(super) fn refusal(requires: Option<&Requires>, answer: Option<&Value>) -> Result<Option<String>> {
    let Some(requires) = requires else { return Ok(None) };
    let found = answer.and_then(|a| a.pointer(&requires.pointer)).and_then(Value::as_str);
    match found {
        Some(text) if requires.any_of.iter().any(|word| word == text) => Ok(None),
        Some(_) => Ok(Some(requires.otherwise.clone())),
        None => Err(Error::new(
            Kind::Drift,
            "the probe's answer does not say whether the account offers this stream",
        )
        .with("pointer", &requires.pointer)
        .hint("open the connector's `probe` path in a browser and compare it with the stream's `requires`")),
    }
}

/// A stream that was asked for by name and is not offered.
pub(super) fn refused(why: &str) -> Error {
    Error::new(Kind::Invalid, "this account does not offer the stream")
        .with("reason", why)
        .hint("leave it out of `source.streams` in the pipeline file")
}

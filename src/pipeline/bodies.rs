//! `raw:` of a pipeline file: whether bodies are kept, and how long those of superseded states are.
use super::{raw, told};
use crate::error::{Error, Kind, Result};
use serde_saphyr::Spanned;
use std::time::Duration;

const WORDS: [&str; 2] = ["keep", "drop"];
/// A hundred years: more is a slip.
const DAYS_MAX: u64 = 36_500;

/// Whether bodies are kept, and how long those of superseded states are (None: as long as the others).
pub(super) type Kept = (bool, Option<Duration>);

/// Fails `Invalid` for an unknown word, and for a time that is no number of days.
pub(super) fn bodies(file: &str, written: Option<&Spanned<raw::Bodies>>) -> Result<Kept> {
    let Some(written) = written else { return Ok((true, None)) };
    let place = told::place(file, written.referenced);
    match &written.value {
        raw::Bodies::Word(word) if word == "keep" => Ok((true, None)),
        raw::Bodies::Word(word) if word == "drop" => Ok((false, None)),
        raw::Bodies::Word(word) => {
            let error = told::unknown("value", word, &WORDS, &place).with("key", "raw");
            Err(if days(word).is_some() { error.hint(format!("raw: {{ keep: {word} }}")) } else { error })
        }
        raw::Bodies::Keep(time) => match days(&time.value) {
            Some(days) => Ok((true, Some(Duration::from_secs(days * 86_400)))),
            None => {
                let what = format!("`keep` is not a number of days: `{}`", time.value);
                Err(Error::new(Kind::Invalid, what)
                    .with("at", told::place(file, time.referenced))
                    .with("key", "raw")
                    .with("expected", format!("1d to {DAYS_MAX}d"))
                    .hint(match time.value.parse::<u64>() {
                        Ok(number @ 1..=DAYS_MAX) => format!("raw: {{ keep: {number}d }}"),
                        _ => "raw: { keep: 90d }, or raw: keep for ever".to_owned(),
                    }))
            }
        },
    }
}

/// Of `90d`.
fn days(text: &str) -> Option<u64> {
    let digits = text.strip_suffix('d').filter(|d| d.chars().all(|c| c.is_ascii_digit()))?;
    digits.parse().ok().filter(|days| (1..=DAYS_MAX).contains(days))
}

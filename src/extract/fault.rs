//! What went wrong, as a recipe: one answer may end several streams, and an `Error` cannot be copied.
use crate::error::{Error, Kind};
use serde_json::Value;

/// Characters of the provider's own message that go into an error.
const MESSAGE_CHARS_MAX: usize = 200;
/// Where providers put the sentence that explains a refusal, best first.
const MESSAGE_POINTERS: [&str; 9] = [
    "/message",
    "/error_msg",
    "/error/message",
    "/errors/0/message",
    "/error_description",
    "/detail",
    "/title",
    "/errors/0",
    "/error",
];

/// An error not yet made.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    what: String,
    context: Vec<(&'static str, String)>,
    hint: Option<String>,
}

impl Fault {
    pub(super) fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), context: Vec::new(), hint: None }
    }
    /// Says the same as the error; its causes become one fact.
    pub(super) fn of(error: &Error) -> Self {
        let hint = error.next().map(str::to_owned);
        let fault = Self { hint, context: error.context().to_vec(), ..Self::new(error.kind(), error.what()) };
        let whole = error.to_string();
        match whole.strip_prefix(&format!("{}: ", fault.error())) {
            Some(causes) => fault.with("cause", causes),
            None => fault,
        }
    }
    /// Half an answer, or a page for people in its place.
    pub(super) fn garbled(what: &str, url: &str, reason: impl ToString) -> Self {
        Self::new(Kind::Drift, what).with("url", url).with("reason", reason).hint(
            "open the URL in a browser: a maintenance or login page passes by itself; else compare it with what the \
             connector reads there",
        )
    }
    pub(super) fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.context.push((key, value.to_string()));
        self
    }
    /// The status of the answer, when there was one.
    pub(super) fn status(&self) -> Option<&str> {
        self.context.iter().find(|(key, _)| *key == "status").map(|(_, value)| value.as_str())
    }
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    pub(super) fn error(&self) -> Error {
        let mut error = Error::new(self.kind, self.what.clone());
        for (key, value) in &self.context {
            error = error.with(key, value);
        }
        match &self.hint {
            Some(hint) => error.hint(hint.clone()),
            None => error,
        }
    }
}

/// The provider's explanation in an error body: one line, cut; None when there is none we recognize.
pub(super) fn message(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let text = MESSAGE_POINTERS.iter().find_map(|p| value.pointer(p)?.as_str().filter(|s| !s.is_empty()))?;
    Some(text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MESSAGE_CHARS_MAX).collect())
}

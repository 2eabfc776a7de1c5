//! How is a JSON object written? Straight to text, keys in call order, absent values left out.
use serde::Serialize;

/// A JSON object under construction.
#[derive(Debug)]
pub(crate) struct Object(String);

impl Object {
    /// `{`
    pub(crate) fn new() -> Self {
        Self(String::from("{"))
    }
    fn key(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(key);
        self.0.push_str("\":");
    }
    /// One member. The key needs no escapes.
    pub(crate) fn put(&mut self, key: &str, value: impl Serialize) -> &mut Self {
        self.key(key);
        self.0.push_str(&text(&value));
        self
    }
    /// One member, or none.
    pub(crate) fn opt(&mut self, key: &str, value: Option<impl Serialize>) -> &mut Self {
        if let Some(value) = value {
            self.put(key, value);
        }
        self
    }
    /// One member whose value is JSON text already.
    pub(crate) fn raw(&mut self, key: &str, json: &str) -> &mut Self {
        self.key(key);
        self.0.push_str(json);
        self
    }
    /// One member that is an array of JSON texts.
    pub(crate) fn list(&mut self, key: &str, items: impl IntoIterator<Item = String>) -> &mut Self {
        self.key(key);
        self.0.push_str(&array(items));
        self
    }
    /// The same, left out when empty.
    pub(crate) fn some(&mut self, key: &str, items: impl IntoIterator<Item = String>) -> &mut Self {
        let items: Vec<String> = items.into_iter().collect();
        if !items.is_empty() {
            self.list(key, items);
        }
        self
    }
    /// `}`
    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// JSON text of a value; `null` when it has none.
pub(crate) fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// `[a,b]` of JSON texts.
pub(crate) fn array(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().collect();
    format!("[{}]", items.join(","))
}

//! The pipeline file as written: shape and places, no meaning.
use crate::yaml::Pairs;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, Visitor},
};
use serde_saphyr::Spanned;
use std::fmt;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) pipeline: Spanned<String>,
    pub(super) tenant: Spanned<String>,
    pub(super) source: Source,
    pub(super) destination: Spanned<Destination>,
    pub(super) schedule: Option<Schedule>,
    pub(super) raw: Option<Spanned<Bodies>>,
    pub(super) limits: Option<Limits>,
    #[serde(default)]
    pub(super) custom: Pairs<Pairs<Spanned<String>>>,
    #[serde(default)]
    pub(super) columns: Pairs<Spanned<String>>,
    #[serde(default)]
    pub(super) overlays: Pairs<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub(super) connector: Spanned<String>,
    pub(super) connection: Spanned<Connection>,
    pub(super) streams: Option<Vec<Spanned<String>>>,
    pub(super) start: Option<Spanned<String>>,
}

/// Keys and values in the order of the file; which keys there are is the connector's matter.
pub(super) struct Connection(pub(super) Vec<(String, Spanned<Value>)>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Destination {
    pub(super) lake: Option<Spanned<Value>>,
    pub(super) postgres: Option<Spanned<Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Schedule {
    pub(super) cron: Spanned<String>,
    pub(super) time_zone: Option<Spanned<String>>,
    pub(super) jitter: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) delete_share: Option<Spanned<f64>>,
    pub(super) reject_share: Option<Spanned<f64>>,
    pub(super) requests_per_minute: Option<Spanned<u32>>,
}

/// A word, or how long bodies of superseded states are kept.
pub(super) enum Bodies {
    Word(String),
    Keep(Spanned<String>),
}

struct BodiesVisitor;

impl<'de> Visitor<'de> for BodiesVisitor {
    type Value = Bodies;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keep, drop or { keep: 90d }")
    }
    fn visit_str<E>(self, text: &str) -> Result<Bodies, E> {
        Ok(Bodies::Word(text.to_owned()))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Bodies, A::Error> {
        let keep = match map.next_key::<String>()?.as_deref() {
            Some("keep") => map.next_value()?,
            Some(other) => return Err(A::Error::unknown_field(other, &["keep"])),
            None => return Err(A::Error::custom("expected keep, drop or { keep: 90d }")),
        };
        match map.next_key::<String>()? {
            None => Ok(Bodies::Keep(keep)),
            Some(other) => Err(A::Error::unknown_field(&other, &["keep"])),
        }
    }
}

impl<'de> Deserialize<'de> for Bodies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BodiesVisitor)
    }
}

/// Text, or where it is to be found.
pub(super) enum Value {
    Text(String),
    Env(String),
    File(String),
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, { env: NAME } or { file: PATH }")
    }
    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let value = match map.next_key::<String>()?.as_deref() {
            Some("env") => Value::Env(map.next_value()?),
            Some("file") => Value::File(map.next_value()?),
            Some(other) => return Err(A::Error::unknown_field(other, &["env", "file"])),
            None => return Err(A::Error::custom("expected text, { env: NAME } or { file: PATH }")),
        };
        match map.next_entry::<IgnoredAny, IgnoredAny>()? {
            None => Ok(value),
            Some(_) => Err(A::Error::custom("expected one of { env: NAME } and { file: PATH }, not both")),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ConnectionVisitor;

impl<'de> Visitor<'de> for ConnectionVisitor {
    type Value = Connection;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connector's inputs, as `name: value` lines")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Connection, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Connection(entries))
    }
}

impl<'de> Deserialize<'de> for Connection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ConnectionVisitor)
    }
}

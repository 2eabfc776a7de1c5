//! Reads YAML files strictly: every error names file and line, quotes the text, and offers the nearest right word.
//!
//! Knows nothing of what the files mean. Absent on purpose: no templating, no includes, no defaults.
use crate::error::{Error, Kind, Result};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, IntoDeserializer, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_saphyr::Spanned;
use std::{fmt, marker::PhantomData};

/// A text file and the path that messages show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// As shown to the reader, e.g. `connectors/chargebee/connector.yaml`.
    pub path: String,
    /// The whole content.
    pub text: String,
}

impl File {
    /// Parses the whole file. Fails `Invalid` with file, line and, for a wrong word, the nearest right one.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        serde_saphyr::from_str(&self.text).map_err(|e| self.explain(e.without_snippet()))
    }
    /// An `Invalid` error about one line of this file; line 0 stands for the whole file.
    pub fn error(&self, line: u64, what: impl Into<String>) -> Error {
        let place = if line == 0 { self.path.clone() } else { format!("{}:{line}", self.path) };
        Error::new(Kind::Invalid, what).with("file", place)
    }
    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
    fn explain(&self, error: &serde_saphyr::Error) -> Error {
        use serde_saphyr::Error as E;
        let line = error.location().map_or(0, |l| l.line());
        let quoted = usize::try_from(line).ok().and_then(|l| self.text.lines().nth(l.checked_sub(1)?));
        let base = |what: String| match quoted {
            Some(text) => self.error(line, what).with("text", format!("`{}`", text.trim())),
            None => self.error(line, what),
        };
        match error {
            E::SerdeUnknownField { field, expected, .. } => {
                base(format!("unknown key `{field}`")).hint(suggest(field, expected.iter().copied()))
            }
            E::SerdeUnknownVariant { variant, expected, .. } => {
                base(format!("unknown word `{variant}`")).hint(suggest(variant, expected.iter().copied()))
            }
            E::SerdeMissingField { field, .. } => {
                base(format!("the key `{field}` is missing from the mapping that ends here"))
            }
            E::DuplicateMappingKey { key, .. } => {
                base(format!("the key `{}` stands here twice", key.as_deref().unwrap_or("?")))
            }
            other => base(plain(&other.to_string())),
        }
    }
}

/// The parser's own sentence, on one line and without its own "line x column y", which `File::error` adds.
fn plain(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let cut = line.find(" at line ").and_then(|at| line.get(..at)).unwrap_or(line);
    cut.trim_start_matches("error: ").trim_end_matches(':').to_owned()
}

/// A mapping in the order of the file; duplicate keys are refused.
#[derive(Clone, Debug)]
pub struct Pairs<V>(pub Vec<(Spanned<String>, V)>);

impl<V> Default for Pairs<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ordered<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Ordered<V> {
            type Value = Pairs<V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping `name: value`")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<V>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Ordered(PhantomData))
    }
}

/// A short form (one word) or the long form (a mapping).
#[derive(Clone, Debug)]
pub enum WordOr<W, M> {
    /// `key: word`
    Word(W),
    /// `key: { .. }`
    Map(M),
}

impl<'de, W: Deserialize<'de>, M: Deserialize<'de>> Deserialize<'de> for WordOr<W, M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<W, M>(PhantomData<(W, M)>);
        impl<'de, W: Deserialize<'de>, M: Deserialize<'de>> Visitor<'de> for Either<W, M> {
            type Value = WordOr<W, M>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word or a mapping")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Self::Value, E> {
                W::deserialize(word.into_deserializer()).map(WordOr::Word)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                M::deserialize(MapAccessDeserializer::new(map)).map(WordOr::Map)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

/// The line on which a value stands; 0 when unknown.
pub fn line<T>(value: &Spanned<T>) -> u64 {
    value.referenced.line()
}

/// The known word that was most likely meant; None when none is near.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let score = |candidate: &str| match strsim::damerau_levenshtein(&lower, candidate) {
        0 | 1 => 1.0,
        _ => strsim::jaro_winkler(&lower, candidate),
    };
    let scored = known.into_iter().map(|candidate| (score(candidate), candidate));
    scored.filter(|(s, _)| *s >= 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, candidate)| candidate)
}

/// A hint for a wrong word: the nearest right one, and all that are known.
pub fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let all = known.join(", ");
    match nearest(word, known) {
        Some(near) => format!("did you mean `{near}`? Known here: {all}"),
        None => format!("known here: {all}"),
    }
}

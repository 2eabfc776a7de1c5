//! connector.yaml as it is written: serde only, nothing is checked against anything else.
//!
//! Unknown keys and unknown words are refused here; what the words mean together is decided in `prove`.
use super::{ErrorClass, InputKind, TimeUnit};
use crate::yaml::{Pairs, WordOr};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_saphyr::Spanned;
use std::{collections::BTreeMap, fmt};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Connector {
    pub(super) connector: Spanned<String>,
    pub(super) title: String,
    pub(super) inputs: Pairs<WordOr<InputKind, Input>>,
    pub(super) base_url: Spanned<String>,
    pub(super) auth: Spanned<Auth>,
    #[serde(default)]
    pub(super) headers: Pairs<String>,
    pub(super) budget: Budget,
    #[serde(default)]
    pub(super) errors: Vec<Spanned<ErrorRule>>,
    pub(super) minor_units: Spanned<MinorUnits>,
    pub(super) probe: Probe,
    pub(super) rights: Option<String>,
    pub(super) streams: Pairs<Stream>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    pub(super) kind: InputKind,
    #[serde(default)]
    pub(super) meaning: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AuthKind {
    Basic,
    Header,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Auth {
    pub(super) kind: AuthKind,
    pub(super) user: Option<Spanned<String>>,
    pub(super) password: Option<Spanned<String>>,
    pub(super) name: Option<Spanned<String>>,
    pub(super) value: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Budget {
    pub(super) scope: Spanned<String>,
    pub(super) requests: Spanned<u32>,
    pub(super) per: Spanned<String>,
    pub(super) concurrency: Spanned<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ErrorRule {
    #[serde(default)]
    pub(super) status: Vec<Spanned<u16>>,
    pub(super) body: Option<ErrorBody>,
    pub(super) class: ErrorClass,
    pub(super) hint: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ErrorBody {
    pub(super) pointer: Spanned<String>,
    pub(super) any_of: Spanned<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MinorUnits {
    pub(super) default: u8,
    #[serde(default)]
    pub(super) exceptions: BTreeMap<String, u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Probe {
    pub(super) path: Spanned<String>,
    #[serde(default)]
    pub(super) query: Pairs<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stream {
    pub(super) list: List,
    pub(super) get: Option<Get>,
    pub(super) key: Spanned<String>,
    pub(super) version: Option<Spanned<String>>,
    pub(super) updated: Option<Spanned<String>>,
    pub(super) deleted: Option<Spanned<WordOr<String, Mark>>>,
    pub(super) cut: Option<Spanned<String>>,
    pub(super) deletes: Option<Spanned<Deletes>>,
    pub(super) requires: Option<Spanned<Requires>>,
    pub(super) page: Spanned<Page>,
    pub(super) cursor: Spanned<Cursor>,
    pub(super) erasure: Option<Spanned<Erasure>>,
    pub(super) personal: Option<Spanned<Personal>>,
    pub(super) record: Spanned<Type>,
    pub(super) feeds: Spanned<Vec<Spanned<WordOr<String, Feed>>>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mark {
    pub(super) field: Spanned<String>,
    pub(super) is: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deletes {
    pub(super) from: Spanned<String>,
    pub(super) field: Spanned<String>,
    pub(super) any_of: Spanned<Vec<String>>,
    pub(super) send: Spanned<String>,
    pub(super) record: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Erasure {
    pub(super) field: Spanned<String>,
    pub(super) value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Personal {
    pub(super) of: Spanned<Vec<Spanned<WordOr<String, Whose>>>>,
    #[serde(default)]
    pub(super) paths: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) beyond: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) like: super::erasure::Places,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    pub(super) column: Spanned<String>,
    pub(super) at: Option<Spanned<String>>,
    pub(super) when: Option<Spanned<Pairs<String>>>,
    pub(super) via: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Requires {
    pub(super) pointer: Spanned<String>,
    pub(super) any_of: Spanned<Vec<String>>,
    pub(super) otherwise: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    pub(super) path: Spanned<String>,
    pub(super) records: Spanned<String>,
    #[serde(default)]
    pub(super) query: Pairs<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Get {
    pub(super) path: Spanned<String>,
    pub(super) record: Spanned<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PageKind {
    Token,
    Number,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    pub(super) kind: PageKind,
    pub(super) send: Spanned<String>,
    pub(super) read: Option<Spanned<String>>,
    pub(super) first: Option<Spanned<u32>>,
    pub(super) total: Option<Spanned<String>>,
    pub(super) size: PageSize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageSize {
    pub(super) send: Spanned<String>,
    pub(super) value: Spanned<u32>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CursorKind {
    Window,
    Snapshot,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cursor {
    pub(super) kind: CursorKind,
    pub(super) send: Option<Spanned<String>>,
    pub(super) unit: Option<Spanned<TimeUnit>>,
    pub(super) overlap: Option<Spanned<String>>,
    pub(super) lag: Option<Spanned<String>>,
    pub(super) sort: Option<Spanned<Pairs<String>>>,
    pub(super) slices: Option<Spanned<Slices>>,
    pub(super) order: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Slices {
    pub(super) send: Spanned<String>,
    pub(super) length: Spanned<String>,
    pub(super) absent: Option<Spanned<Pairs<String>>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Feed {
    pub(super) entity: Spanned<String>,
    pub(super) parent: Spanned<String>,
}

/// A field's type: a word, a list of one type, or an object.
pub(super) enum Type {
    Word(String),
    List(Vec<Spanned<Type>>),
    Object(Pairs<Spanned<Type>>),
}

impl<'de> Deserialize<'de> for Type {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Type;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field type: a word, [type] or { field: type }")
            }
            fn visit_str<E>(self, word: &str) -> Result<Type, E> {
                Ok(Type::Word(word.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Type, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Type::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Type, A::Error> {
                Pairs::deserialize(MapAccessDeserializer::new(map)).map(Type::Object)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::File;
    use serde::de::DeserializeOwned;
    use std::collections::BTreeSet;

    /// The keys that serde accepts, as its refusal of another one lists them.
    fn keys<T: DeserializeOwned>() -> BTreeSet<String> {
        let file = File { path: "x".into(), text: "no_such_key: 1\n".into() };
        let Err(error) = file.read::<T>() else { panic!("an unknown key was accepted") };
        let (_, known) = error.next().unwrap().split_once("nown here: ").unwrap();
        known.split(", ").map(str::to_owned).collect()
    }

    #[test]
    fn the_json_schema_has_exactly_the_keys_that_are_accepted() {
        let schema = crate::manifest::json_schema().unwrap();
        let accepted = [
            ("connector", keys::<Connector>()),
            ("input", keys::<Input>()),
            ("auth", keys::<Auth>()),
            ("budget", keys::<Budget>()),
            ("error_rule", keys::<ErrorRule>()),
            ("error_body", keys::<ErrorBody>()),
            ("minor_units", keys::<MinorUnits>()),
            ("probe", keys::<Probe>()),
            ("stream", keys::<Stream>()),
            ("mark", keys::<Mark>()),
            ("deletes", keys::<Deletes>()),
            ("requires", keys::<Requires>()),
            ("erasure", keys::<Erasure>()),
            ("personal", keys::<Personal>()),
            ("whose", keys::<Whose>()),
            ("list", keys::<List>()),
            ("get", keys::<Get>()),
            ("page", keys::<Page>()),
            ("page_size", keys::<PageSize>()),
            ("cursor", keys::<Cursor>()),
            ("slices", keys::<Slices>()),
            ("feed", keys::<Feed>()),
        ];
        for (name, keys) in accepted {
            let properties = schema["$defs"][name]["properties"].as_object().unwrap();
            assert_eq!(properties.keys().cloned().collect::<BTreeSet<_>>(), keys, "{name}");
        }
    }
}

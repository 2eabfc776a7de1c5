//! Every pattern of connector.schema.json accepts what tidegate accepts, and nothing else: each example goes through both.
use arrow::{array::StringArray, compute::regexp_is_match_scalar};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tidegate::{manifest, yaml::File};

/// A connector with one place for each pattern, and what stands there else.
const YAML: &str = r#"
connector: made
title: Made
inputs: { site: host_label, ide: text, key: secret, @input@: text }
base_url: @base_url@
auth: { kind: header, name: @auth@, value: key }
headers: { @header@: x }
budget: { scope: all, requests: 1, per: @per@, concurrency: 1 }
errors: [{ body: { pointer: @error@, any_of: [x] }, class: permanent }]
minor_units: { default: 2, exceptions: { @currency@: 0 } }
probe: { path: @probe@ }
streams:
  log:
    list: { path: /log, records: "/list/*/event" }
    key: id
    page: { kind: token, send: offset, read: @read@, size: { send: limit, value: 10 } }
    cursor: { kind: window, send: at, unit: epoch_s, overlap: @overlap@, lag: @lag@ }
    record: { id: text, event_type: text, at: epoch_s }
    feeds: [events]
  numbered:
    list: { path: @list@, records: @records@ }
    key: id
    page: { kind: number, send: page, first: 1, total: @total@, size: { send: limit, value: 10 } }
    cursor: { kind: snapshot }
    record: { id: text, amount: @type@, rest: { custom: @rest@, more: [@several@] } }
    feeds: [comments]
  @stream@:
    list: { path: /things, records: "/list/*/thing" }
    get: { path: @get@, record: @single@ }
    key: id
    deletes: { from: log, field: event_type, any_of: [gone], send: "event_type[in]", record: @deleted@ }
    requires: { pointer: @requires@, any_of: [x], otherwise: Another catalog }
    page: { kind: token, send: offset, read: /next, size: { send: limit, value: 10 } }
    cursor:
      { kind: window, send: updated, unit: epoch_s, overlap: 5m, lag: 2m, slices: { send: created, length: @length@ } }
    record: { id: text }
    feeds: [gifts]
"#;

struct Case {
    /// Where the pattern stands in the schema.
    pattern: &'static str,
    /// The name of its place in the connector.
    place: &'static str,
    accept: &'static [&'static str],
    refuse: &'static [&'static str],
}

const POINTERS: (&[&str], &[&str]) = (
    &["/next", "/a/b", "/*a", "/a*b/c", "/a b", "/0"],
    &["", "/", "next", "/a/", "//a", "/*", "/a/*/b", "/a//b", "a/b"],
);
const ZERO_TOO: (&[&str], &[&str]) = (
    &["0s", "5m", "90s", "2h", "30d", "999999999s"],
    &["", "5", "m", "5 m", "+5m", "-5m", "05m", "00s", "5M", "5w", "1.5h", "1000000000s", " 5m", "5m ", "٥m"],
);
const POSITIVE: (&[&str], &[&str]) =
    (&["1s", "60s", "30d", "999999999d"], &["0s", "0d", "", "+1s", "01s", "1000000000d", "1", "1y"]);
const PATHS: (&[&str], &[&str]) = (
    &["/", "/things", "/a/b.json", "/{site}/things", "/a{site}b/", "/ü"],
    &["", "things", "/a?b", "/a#b", "/a b", "/{site", "/site}", "/{}", "/{{site}}", "/{Site}", "https://x"],
);
const SNAKE: (&[&str], &[&str]) =
    (&["a", "things", "a1_b", "z_"], &["", "Things", "1a", "_a", "a-b", "a b", "ä", "a.b"]);
const HEADERS: (&[&str], &[&str]) = (&["ApiKey", "x-api-key", "X_1", "9"], &["", "a b", "a:b", "ä", "a\tb"]);

const CASES: [Case; 23] = [
    Case {
        pattern: "/$defs/connector/properties/inputs/propertyNames",
        place: "input",
        accept: SNAKE.0,
        refuse: SNAKE.1,
    },
    Case {
        pattern: "/$defs/connector/properties/streams/propertyNames",
        place: "stream",
        accept: SNAKE.0,
        refuse: SNAKE.1,
    },
    Case {
        pattern: "/$defs/connector/properties/headers/propertyNames",
        place: "header",
        accept: HEADERS.0,
        refuse: HEADERS.1,
    },
    Case { pattern: "/$defs/auth/properties/name", place: "auth", accept: HEADERS.0, refuse: HEADERS.1 },
    Case {
        pattern: "/$defs/connector/properties/base_url",
        place: "base_url",
        accept: &[
            "https://a",
            "https://{site}",
            "https://{site}.example.com/api/v2",
            "https://a.example:8080/x",
            "https://a/{ide}",
            "https://a//b",
            "https://a/b{ide}",
        ],
        refuse: &[
            "http://a",
            "https://",
            "https:///a",
            "https://a/",
            "https://a/b/",
            "https://a?b",
            "https://a#b",
            "https://u@a",
            "https://a b",
            "https://{site",
            "https://site}",
            "https://{}",
            "a",
            "https://a/{Ide}",
        ],
    },
    Case { pattern: "/$defs/budget/properties/per", place: "per", accept: POSITIVE.0, refuse: POSITIVE.1 },
    Case {
        pattern: "/$defs/slices/properties/length",
        place: "length",
        accept: POSITIVE.0,
        refuse: POSITIVE.1,
    },
    Case {
        pattern: "/$defs/cursor/properties/overlap",
        place: "overlap",
        accept: ZERO_TOO.0,
        refuse: ZERO_TOO.1,
    },
    Case { pattern: "/$defs/cursor/properties/lag", place: "lag", accept: ZERO_TOO.0, refuse: ZERO_TOO.1 },
    Case {
        pattern: "/$defs/error_body/properties/pointer",
        place: "error",
        accept: POINTERS.0,
        refuse: POINTERS.1,
    },
    Case {
        pattern: "/$defs/requires/properties/pointer",
        place: "requires",
        accept: POINTERS.0,
        refuse: POINTERS.1,
    },
    Case {
        pattern: "/$defs/deletes/properties/record",
        place: "deleted",
        accept: POINTERS.0,
        refuse: POINTERS.1,
    },
    Case { pattern: "/$defs/get/properties/record", place: "single", accept: POINTERS.0, refuse: POINTERS.1 },
    Case { pattern: "/$defs/page/properties/read", place: "read", accept: POINTERS.0, refuse: POINTERS.1 },
    Case { pattern: "/$defs/page/properties/total", place: "total", accept: POINTERS.0, refuse: POINTERS.1 },
    Case {
        pattern: "/$defs/minor_units/properties/exceptions/propertyNames",
        place: "currency",
        accept: &["JPY", "XAF"],
        refuse: &["", "jpy", "JP", "JPYX", "J1Y", "ÄÖÜ", "JP "],
    },
    Case { pattern: "/$defs/probe/properties/path", place: "probe", accept: PATHS.0, refuse: PATHS.1 },
    Case { pattern: "/$defs/list/properties/path", place: "list", accept: PATHS.0, refuse: PATHS.1 },
    Case {
        pattern: "/$defs/get/properties/path",
        place: "get",
        accept: &["/things/{id}", "/{id}", "/{site}/{id}/x", "/{id}{ide}", "/{ide}{id}", "/{input}{id}"],
        refuse: &[
            "/things",
            "/{id}/{id}",
            "things/{id}",
            "{id}",
            "/{id}?x",
            "/{ id}",
            "/{site}",
            "/{id",
            "/{ID}",
            "/{id} ",
        ],
    },
    Case {
        pattern: "/$defs/list/properties/records",
        place: "records",
        accept: &["/*", "/results/*", "/list/*/thing", "/a/b/*/c/d"],
        refuse: &["", "/", "*", "/a", "/*/*", "/a*", "/a/*b", "/a/*/", "//*", "/*/a/*", "list/*"],
    },
    Case {
        pattern: "/$defs/object/properties/rest/additionalProperties/anyOf/0",
        place: "rest",
        accept: &["cf_*", "x*", "a b*"],
        refuse: &["", "*", "cf_", "cf_**", "*cf", "c*f*"],
    },
    Case {
        pattern: "/$defs/object/properties/rest/additionalProperties/anyOf/1/items",
        place: "several",
        accept: &["zz_*", "x*"],
        refuse: &["", "*", "zz_", "zz_**", "*zz"],
    },
    Case {
        pattern: "/$defs/type/anyOf/1",
        place: "type",
        accept: &["decimal(1,0)", "decimal(38,38)", "text_decimal(38, 12)", "decimal(20,9)"],
        refuse: &[
            "decimal",
            "decimal()",
            "decimal(3)",
            "decimal(0,0)",
            "decimal(39,1)",
            "decimal(3,-1)",
            "decimal(+3,1)",
            "decimal(03,1)",
            "decimal(3,01)",
            "decimal( 3,1)",
            "decimal(3,  1)",
            "decimal(3 ,1)",
            "decimal(3,1) ",
            "numeric(3,1)",
            "decimal(3,1",
            "text_decimal(40,40)",
            "decimal(3,1,1)",
        ],
    },
];

/// What stands in a place that a case does not fill.
const ELSE: [(&str, &str); 23] = [
    ("input", "input"),
    ("stream", "things"),
    ("header", "x-version"),
    ("auth", "x-key"),
    ("base_url", "https://{site}.example.com/api"),
    ("per", "60s"),
    ("length", "30d"),
    ("overlap", "5m"),
    ("lag", "2m"),
    ("error", "/code"),
    ("requires", "/catalog"),
    ("deleted", "/content/thing"),
    ("single", "/thing"),
    ("read", "/next"),
    ("total", "/count"),
    ("currency", "JPY"),
    ("probe", "/probe"),
    ("list", "/numbered"),
    ("get", "/things/{id}"),
    ("records", "/results/*"),
    ("rest", "cf_*"),
    ("several", "zz_*"),
    ("type", "decimal(12,4)"),
];

/// The same connector with another text in one place, as tidegate reads it.
fn read(place: &str, text: &str) -> Result<(), String> {
    let mut yaml = YAML.to_owned();
    let mut stream = "things";
    for (name, usual) in ELSE {
        let text = if name == place { text } else { usual };
        if name == "stream" {
            stream = text;
        }
        // Where both stand for the same keys, neither is wrong alone.
        let text = if name == "several" && place == "rest" { "never_*" } else { text };
        yaml = yaml.replace(&format!("@{name}@"), &serde_json::to_string(text).unwrap());
    }
    let sql = |entity: &str, stream: &str| File {
        path: format!("connectors/made/{entity}.sql"),
        text: format!("select _row, id from \"{stream}\""),
    };
    let mut files = vec![sql("events", "log"), sql("comments", "numbered"), sql("gifts", stream)];
    files.iter_mut().for_each(|f| f.text = f.text.replace('"', ""));
    let yaml = File { path: "connectors/made/connector.yaml".into(), text: yaml };
    let entities = manifest::catalog(None).unwrap().entities;
    manifest::load("made", &yaml, &files, &entities).map(|_| ()).map_err(|e| e.to_string())
}

fn matches(pattern: &str, text: &str) -> bool {
    let texts = StringArray::from(vec![text]);
    regexp_is_match_scalar(&texts, pattern, None).unwrap().value(0)
}

/// Pointers to everything that has a pattern.
fn patterns(value: &Value, at: &str, found: &mut BTreeMap<String, String>) {
    let Some(members) = value.as_object() else {
        let all = value.as_array().into_iter().flatten().enumerate();
        return all.for_each(|(i, v)| patterns(v, &format!("{at}/{i}"), found));
    };
    if let Some(pattern) = members.get("pattern").and_then(Value::as_str) {
        found.insert(at.to_owned(), pattern.to_owned());
    }
    members.iter().for_each(|(name, v)| patterns(v, &format!("{at}/{name}"), found));
}

#[test]
fn each_pattern_of_the_json_schema_accepts_exactly_what_tidegate_accepts() {
    let mut found = BTreeMap::new();
    patterns(&manifest::json_schema().unwrap(), "", &mut found);
    let tried: BTreeSet<&str> = CASES.iter().map(|c| c.pattern).collect();
    assert_eq!(found.keys().map(String::as_str).collect::<BTreeSet<_>>(), tried, "each has examples");
    for Case { pattern, place, accept, refuse } in CASES {
        let regex = &found[pattern];
        for (texts, wanted) in [(accept, true), (refuse, false)] {
            for text in texts {
                let said = read(place, text);
                assert_eq!(said.is_ok(), wanted, "tidegate: {place} `{text}`: {said:?}");
                assert_eq!(matches(regex, text), wanted, "{pattern} `{text}`: {regex}");
            }
        }
    }
}

/// What no pattern says: a relation of two numbers, and which inputs there are.
#[test]
fn what_depends_on_another_value_is_left_to_tidegate() {
    let mut found = BTreeMap::new();
    patterns(&manifest::json_schema().unwrap(), "", &mut found);
    for (pattern, place, text) in [
        ("/$defs/type/anyOf/1", "type", "decimal(3,12)"),
        ("/$defs/list/properties/path", "list", "/{nobody}"),
        ("/$defs/connector/properties/base_url", "base_url", "https://{key}"),
        ("/$defs/connector/properties/headers/propertyNames", "header", "authorization"),
    ] {
        assert!(matches(&found[pattern], text), "{text}");
        assert!(read(place, text).is_err(), "{text}");
    }
}

//! Laws of the decoder over random input, with serde_json, chrono and plain text arithmetic as oracles.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate::{
    decode::{Decoder, Envelope, Field, Keys, Page, Records, Reject, Struct, Type, page},
    time::Timestamp,
};

fn field(name: &str, ty: Type) -> Field {
    Field { name: name.into(), ty }
}

fn money() -> Type {
    Type::Decimal { precision: 28, scale: 8, from_text: false }
}

fn shape() -> Struct {
    let line = vec![
        field("id", Type::Text),
        field("amount", Type::Int),
        field("tags", Type::List(Box::new(Type::Text))),
    ];
    let line = Struct { fields: line, rest: vec![("more".into(), vec!["x_".into()])] };
    Struct {
        fields: vec![
            field("id", Type::Text),
            field("n", Type::Int),
            field("t", Type::Text),
            field("b", Type::Bool),
            field("j", Type::Json),
            field("lines", Type::List(Box::new(Type::Struct(line)))),
        ],
        rest: vec![("custom".into(), vec!["cf_".into(), "cs_".into()])],
    }
}

fn decoder(shape: &Struct) -> Decoder {
    let keys = Keys { key: "id".into(), version: None, updated: None, deleted: None };
    Decoder::new("things", shape, &keys).unwrap()
}

fn envelope(records: &str) -> Envelope {
    Envelope { records: records.into(), next: None, total: None }
}

fn decode(shape: &Struct, records: &[String]) -> (Records, Vec<Reject>) {
    let body = Bytes::from(format!("[{}]", records.join(" , ")));
    let page = page(body, &envelope("/*"), Timestamp(0)).unwrap();
    assert_eq!(page.records.len(), records.len());
    let mut decoder = decoder(shape);
    decoder.push(&page);
    decoder.finish().unwrap()
}

fn batch(ty: Type, value: &str) -> (RecordBatch, Vec<Reject>) {
    let shape = Struct { fields: vec![field("id", Type::Text), field("v", ty)], rest: vec![] };
    let (records, rejects) = decode(&shape, &[format!(r#"{{"id":"1","v":{value}}}"#)]);
    (records.batch, rejects)
}

fn any_text() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![any::<char>(), Just('"'), Just('\\'), Just('\n'), proptest::char::range(' ', '~')],
        0..24,
    )
    .prop_map(|chars| chars.into_iter().filter(|c| *c != '\0').collect())
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((any_text(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A record of `shape()`, sometimes with values that do not fit.
fn any_record() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => any::<i64>().prop_map(|n| json!({"amount": n, "id": "l", "tags": ["a", null], "x_a": n})),
        1 => Just(json!(null)),
        1 => any_json(),
    ];
    let member = prop_oneof![
        6 => any::<i64>().prop_map(|n| ("n", json!(n))),
        3 => any_text().prop_map(|t| ("t", json!(t))),
        3 => any::<bool>().prop_map(|b| ("b", json!(b))),
        3 => any_json().prop_map(|j| ("j", j)),
        6 => proptest::collection::vec(line, 0..4).prop_map(|l| ("lines", json!(l))),
        2 => any_json().prop_map(|j| ("cf_a", j)),
        2 => any_json().prop_map(|j| ("other", j)),
        1 => any_json().prop_map(|j| ("n", j)),
        1 => any_json().prop_map(|j| ("b", j)),
    ];
    (any::<u16>(), proptest::collection::vec(member, 0..6)).prop_map(|(id, members)| {
        let members: Vec<String> = members.iter().map(|(key, value)| format!(r#""{key}":{value}"#)).collect();
        format!("{{{}}}", [vec![format!(r#""id":"{id}""#)], members].concat().join(","))
    })
}

fn mutate(text: &str, edits: &[(u8, prop::sample::Index, u8)]) -> Vec<u8> {
    const NASTY: &[u8] = b"{}[]\",:\\0123-+.eEtfnu /\x00\x1f\xc3\xff";
    let mut bytes = text.as_bytes().to_vec();
    for (how, place, byte) in edits {
        if bytes.is_empty() {
            break;
        }
        let at = place.index(bytes.len());
        let new = if *byte < 200 { NASTY[usize::from(*byte) % NASTY.len()] } else { *byte };
        match how % 4 {
            0 => bytes[at] = new,
            1 => bytes.insert(at, new),
            2 => drop(bytes.remove(at)),
            _ => bytes.truncate(at),
        }
    }
    bytes
}

fn is_json(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok())
}

/// The number `text` without exponent, as (negative, digits before the point, digits behind it), no needless zeros.
fn plain(text: &str) -> (bool, String, String) {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let lower = text.to_lowercase();
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let exponent: i32 = exponent.parse().unwrap();
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let (mut whole, mut fraction) = (whole.to_string(), fraction.to_string());
    for _ in 0..exponent {
        whole.push(if fraction.is_empty() { '0' } else { fraction.remove(0) });
    }
    for _ in exponent..0 {
        fraction.insert(0, whole.pop().unwrap_or('0'));
    }
    (negative, whole.trim_start_matches('0').into(), fraction.trim_end_matches('0').into())
}

proptest! {
    #[test]
    fn any_json_value_survives_its_canonical_text(value in any_json()) {
        let (batch, rejects) = batch(Type::Json, &value.to_string());
        prop_assert_eq!(rejects, []);
        let column = batch.column(1).as_string::<i32>();
        if value.is_null() {
            prop_assert!(column.is_null(0));
        } else {
            let text = column.value(0);
            let mut sorted = value;
            sorted.sort_all_objects();
            prop_assert_eq!(text, sorted.to_string());
        }
    }

    #[test]
    fn any_text_survives_however_it_is_escaped(text in any_text(), escape in proptest::collection::vec(any::<bool>(), 24)) {
        let mut source = String::from('"');
        for (i, c) in text.chars().enumerate() {
            if escape[i % 24] || c == '"' || c == '\\' || c < ' ' {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    source.push_str(&format!("\\u{unit:04X}"));
                }
            } else {
                source.push(c);
            }
        }
        source.push('"');
        let (batch, rejects) = batch(Type::Text, &source);
        prop_assert_eq!(rejects, []);
        prop_assert_eq!(batch.column(1).as_string::<i32>().value(0), text);
    }

    #[test]
    fn a_number_is_exact_or_refused(text in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?") {
        let (negative, whole, fraction) = plain(&text);
        let signed = |digits: String| -> i128 {
            let size: i128 = digits.parse().unwrap();
            if negative { -size } else { size }
        };
        let (found, rejects) = batch(money(), &text);
        if fraction.len() <= 8 && whole.len() <= 20 {
            prop_assert_eq!(&rejects, &[]);
            let value = found.column(1).as_primitive::<Decimal128Type>().value(0);
            prop_assert_eq!(value, signed(format!("0{whole}{fraction:0<8}")));
        } else {
            let rule = if fraction.len() > 8 { "too_many_digits" } else { "out_of_range" };
            prop_assert_eq!(rejects.iter().map(|r| r.rule.as_str()).collect::<Vec<_>>(), [rule]);
        }
        let (found, rejects) = batch(Type::Int, &text);
        let exact = (fraction.is_empty() && whole.len() < 30).then(|| signed(format!("0{whole}")));
        match exact.and_then(|n| i64::try_from(n).ok()) {
            Some(n) => {
                prop_assert_eq!(&rejects, &[]);
                prop_assert_eq!(found.column(1).as_primitive::<Int64Type>().value(0), n);
            }
            None => {
                let rule = if fraction.is_empty() { "out_of_range" } else { "fraction_in_int" };
                prop_assert_eq!(rejects.iter().map(|r| r.rule.as_str()).collect::<Vec<_>>(), [rule]);
            }
        }
    }

    #[test]
    fn a_time_is_what_chrono_says(seconds in -62_135_500_000_i64..253_402_200_000, micros in 0_u32..1_000_000, offset in -86_000_i32..86_000) {
        let zone = chrono::FixedOffset::east_opt(offset / 60 * 60).unwrap();
        let time = chrono::DateTime::from_timestamp(seconds, micros * 1000).unwrap();
        let text = time.with_timezone(&zone).to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
        let (found, rejects) = batch(Type::DateTime { naive_utc: false }, &format!("{text:?}"));
        prop_assert_eq!(rejects, []);
        let value = found.column(1).as_primitive::<TimestampMicrosecondType>().value(0);
        prop_assert_eq!(value, time.timestamp_micros());
    }

    #[test]
    fn a_refused_record_leaves_no_trace(records in proptest::collection::vec(any_record(), 0..12)) {
        let (mixed, rejects) = decode(&shape(), &records);
        prop_assert_eq!(mixed.batch.num_rows() + rejects.len(), records.len());
        let alone: Vec<bool> = records.iter().map(|r| decode(&shape(), std::slice::from_ref(r)).1.is_empty()).collect();
        let good: Vec<String> = records.iter().zip(&alone).filter(|(_, good)| **good).map(|(r, _)| r.clone()).collect();
        let (clean, none) = decode(&shape(), &good);
        prop_assert_eq!(none, []);
        prop_assert_eq!(&mixed.batch, &clean.batch);
        prop_assert_eq!(&mixed.key, &clean.key);
        prop_assert_eq!(&mixed.body, &clean.body);
        prop_assert_eq!(mixed.body_hash, clean.body_hash);
        let refused: Vec<&[u8]> = rejects.iter().map(|r| r.body.as_ref()).collect();
        let bad: Vec<&[u8]> = records.iter().zip(&alone).filter(|(_, good)| !**good).map(|(r, _)| r.as_bytes()).collect();
        prop_assert_eq!(refused, bad);
    }

    #[test]
    fn a_page_is_json_exactly_when_serde_json_says_so(
        value in any_json(),
        edits in proptest::collection::vec(any::<(u8, prop::sample::Index, u8)>(), 0..4),
        pretty in any::<bool>(),
    ) {
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let body = mutate(&text, &edits);
        let found = page(Bytes::from(body.clone()), &envelope(""), Timestamp(0));
        prop_assert_eq!(found.is_ok(), is_json(&body), "{:?}", String::from_utf8_lossy(&body));
        if let Ok(found) = found {
            prop_assert_eq!(&body[found.records[0].clone()], body.trim_ascii());
        }
        let listed = page(Bytes::from(body.clone()), &envelope("/*"), Timestamp(0));
        prop_assert!(listed.is_err() || is_json(&body));
    }

    #[test]
    fn mutated_records_never_panic_and_only_json_is_accepted(
        record in any_record(),
        edits in proptest::collection::vec(any::<(u8, prop::sample::Index, u8)>(), 0..4),
    ) {
        let body = Bytes::from(mutate(&record, &edits));
        let records = std::iter::once(0..body.len()).collect();
        let mut decoder = decoder(&shape());
        decoder.push(&Page { body: body.clone(), records, next: None, total: None, asked_at: Timestamp(0) });
        let (records, rejects) = decoder.finish().unwrap();
        prop_assert_eq!(records.batch.num_rows() + rejects.len(), 1);
        prop_assert!(records.batch.num_rows() == 0 || is_json(&body), "{:?}", body);
        if rejects.iter().any(|r| r.rule == "malformed") {
            prop_assert!(!is_json(&body), "{:?}", body);
        }
    }
}

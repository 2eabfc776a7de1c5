//! What the decoder must do, row by row: each declared type with the inputs on which others lose data.

use arrow::{array::Array, datatypes::DataType, util::display::array_value_to_string};
use bytes::Bytes;
use tidegate::{
    decode::{DEPTH_MAX, Decoder, Envelope, Field, Keys, Page, Records, Reject, Rule, Struct, Type, page},
    error::Kind,
    time::Timestamp,
};

const ASKED: Timestamp = Timestamp(1_700_000_000_000_000);
const MONEY: Type = Type::Decimal { precision: 28, scale: 8, from_text: false };
const MONEY_TEXT: Type = Type::Decimal { precision: 28, scale: 8, from_text: true };

fn object(fields: &[(&str, Type)]) -> Struct {
    let fields = fields.iter().map(|(name, ty)| Field { name: (*name).into(), ty: ty.clone() });
    Struct { fields: fields.collect(), rest: vec![] }
}

fn keys() -> Keys {
    Keys { key: "id".into(), version: None, updated: None, deleted: None }
}

/// A page whose records are `records`, byte for byte, well-formed or not.
fn raw_page(records: &[&str]) -> Page {
    let body = Bytes::from(records.concat());
    let ends = records.iter().scan(0, |at, record| {
        *at += record.len();
        Some(*at)
    });
    let records = ends.zip(records).map(|(end, record)| end - record.len()..end).collect();
    Page { body, records, next: None, total: None, asked_at: ASKED }
}

fn decode(shape: &Struct, records: &[&str]) -> (Records, Vec<Reject>) {
    let mut decoder = Decoder::new("things", shape, &keys()).unwrap();
    decoder.push(&raw_page(records));
    decoder.finish().unwrap()
}

/// The value that one `{"id":"1","v":input}` gives: `Ok(None)` is NULL; a refusal is its rule and pointer.
fn value(ty: &Type, input: &str) -> Result<Option<String>, (String, String)> {
    let record = format!(r#"{{"id":"1","v":{input}}}"#);
    let (records, rejects) = decode(&object(&[("id", Type::Text), ("v", ty.clone())]), &[&record]);
    if let [reject] = rejects.as_slice() {
        assert_eq!(records.batch.num_rows(), 0);
        assert_eq!((reject.stream.as_str(), reject.key.as_deref()), ("things", Some("1")));
        assert_eq!((reject.asked_at, reject.body.as_ref()), (ASKED, record.as_bytes()));
        return Err((reject.rule.clone(), reject.pointer.clone()));
    }
    let column = records.batch.column(1);
    Ok(column.is_valid(0).then(|| array_value_to_string(column, 0).unwrap()))
}

fn accepts(ty: &Type, cases: &[(&str, &str)]) {
    for (input, expected) in cases {
        assert_eq!(value(ty, input), Ok(Some((*expected).to_string())), "{ty:?} {input}");
    }
}

fn refuses(ty: &Type, rule: Rule, inputs: &[&str]) {
    for input in inputs {
        assert_eq!(value(ty, input), Err((rule.name().into(), "/v".into())), "{ty:?} {input}");
    }
}

#[test]
fn an_int_with_a_fraction_is_refused() {
    refuses(&Type::Int, Rule::FractionInInt, &["1.5", "-0.1", "1e-1", "15e-1", "9223372036854775807.5"]);
}

#[test]
fn an_integral_number_is_an_int_however_it_is_written() {
    accepts(
        &Type::Int,
        &[("1.0", "1"), ("1e3", "1000"), ("-0", "0"), ("0.000", "0"), ("120e-1", "12"), ("1.5E+1", "15")],
    );
}

#[test]
fn a_text_is_an_int_only_when_the_shape_says_so() {
    refuses(&Type::Int, Rule::WrongType, &[r#""42""#, "true", "[]", "{}"]);
    accepts(&Type::IntOrText, &[(r#""42""#, "42"), ("42", "42"), (r#""-7""#, "-7"), (r#""\u0034""#, "4")]);
    refuses(
        &Type::IntOrText,
        Rule::BadNumberText,
        &[r#""+1""#, r#""042""#, r#""""#, r#"" 1""#, r#""1 ""#, r#""x""#],
    );
    refuses(&Type::IntOrText, Rule::FractionInInt, &[r#""1.5""#]);
}

#[test]
fn an_int_holds_64_bits_and_nothing_more() {
    accepts(
        &Type::Int,
        &[("9223372036854775807", "9223372036854775807"), ("-9223372036854775808", "-9223372036854775808")],
    );
    let beyond = ["9223372036854775808", "-9223372036854775809", "1e19", "1e400", "99999999999999999999"];
    refuses(&Type::Int, Rule::OutOfRange, &beyond);
}

#[test]
fn a_decimal_is_exact() {
    accepts(
        &MONEY,
        &[
            ("0.1", "0.10000000"),
            ("1e-7", "0.00000010"),
            ("1.5e3", "1500.00000000"),
            ("123456789012345.12345678", "123456789012345.12345678"),
            ("-0.00000001", "-0.00000001"),
            ("0.100000000000", "0.10000000"),
            ("0e99999999999999999999", "0.00000000"),
            ("99999999999999999999.99999999", "99999999999999999999.99999999"),
            ("-99999999999999999999.99999999", "-99999999999999999999.99999999"),
        ],
    );
}

#[test]
fn a_decimal_with_more_digits_than_its_scale_is_refused() {
    let inputs = [
        "0.30000000000000004",
        "0.000000009",
        "1e-20",
        "123456789012345.123456789",
        "1e-99999999999999999999",
    ];
    refuses(&MONEY, Rule::TooManyDigits, &inputs);
}

#[test]
fn a_long_mantissa_with_an_exponent_is_not_wrapped() {
    refuses(&MONEY, Rule::TooManyDigits, &["1234567890123456789012345678901234567890e-30"]);
}

#[test]
fn a_decimal_beyond_its_precision_is_refused() {
    let inputs =
        ["1e30", "100000000000000000000", "1e20", "1e99999999999999999999", "12345678901234567890123456789"];
    refuses(&MONEY, Rule::OutOfRange, &inputs);
    let cents = Type::Decimal { precision: 4, scale: 2, from_text: false };
    accepts(&cents, &[("99.99", "99.99"), ("-99.9900", "-99.99")]);
    refuses(&cents, Rule::OutOfRange, &["100", "-100.00", "999.9"]);
}

#[test]
fn a_decimal_in_a_text_is_exact_and_nothing_but_a_number_is_one() {
    accepts(&MONEY_TEXT, &[(r#""200.49999999""#, "200.49999999"), (r#""-1""#, "-1.00000000")]);
    let inputs =
        [r#""+1""#, r#""1.""#, r#"".5""#, r#""""#, r#"" 1""#, r#""1,5""#, r#""NaN""#, r#""0x1""#, r#""1""#];
    refuses(&MONEY_TEXT, Rule::BadNumberText, &inputs[..8]);
    refuses(&MONEY, Rule::WrongType, &inputs[8..]);
    refuses(&MONEY_TEXT, Rule::WrongType, &["1", "true"]);
    refuses(&MONEY_TEXT, Rule::TooManyDigits, &[r#""0.000000001""#]);
}

#[test]
fn a_rate_rounds_half_even_to_twelve_places() {
    accepts(
        &Type::Rate,
        &[
            ("0.30000000000000004", "0.300000000000"),
            ("0.0000000000005", "0.000000000000"),
            ("0.0000000000015", "0.000000000002"),
            ("0.0000000000025", "0.000000000002"),
            ("0.00000000000250000001", "0.000000000003"),
            ("-0.0000000000015", "-0.000000000002"),
            ("0.00000000000051", "0.000000000001"),
            ("0.00000000000009", "0.000000000000"),
            ("1e-400", "0.000000000000"),
            (r#""1.0123456789012""#, "1.012345678901"),
            ("999999999999.9999999999994", "999999999999.999999999999"),
        ],
    );
    refuses(
        &Type::Rate,
        Rule::OutOfRange,
        &["1e12", "999999999999.9999999999995", "1234567890123.5555555555555"],
    );
    refuses(&Type::Rate, Rule::BadNumberText, &[r#""1%""#]);
}

#[test]
fn a_text_is_a_json_string_and_json_keeps_the_rest() {
    refuses(&Type::Text, Rule::WrongType, &["1", "{}", "[]", "true"]);
    accepts(&Type::Json, &[("1", "1"), (r#"{"b":1,"a":2}"#, r#"{"a":2,"b":1}"#), (r#""x""#, r#""x""#)]);
}

#[test]
fn an_unknown_key_stays_in_the_body_and_in_its_rest_column() {
    let mut shape = object(&[("id", Type::Text)]);
    shape.rest = vec![("custom".into(), vec!["cf_".into()])];
    let full = r#"{"cf_z": [1, {"b":1.50,"a":null}], "other": 1, "id": "1", "cf_a": "\u0041\u0001"}"#;
    let (records, rejects) = decode(&shape, &[full, r#"{"id":"2","other":2}"#, r#"{"cf_n":null,"id":"3"}"#]);
    assert_eq!(rejects, []);
    let column = records.batch.column_by_name("custom").unwrap();
    assert_eq!(
        array_value_to_string(column, 0).unwrap(),
        r#"{"cf_a":"A\u0001","cf_z":[1,{"a":null,"b":1.50}]}"#
    );
    assert!(column.is_null(1));
    assert_eq!(array_value_to_string(column, 2).unwrap(), r#"{"cf_n":null}"#);
    assert_eq!(records.body[0], full.as_bytes());
}

#[test]
fn a_key_twice_is_refused_wherever_it_could_be_read_two_ways() {
    let mut shape = object(&[
        ("id", Type::Text),
        ("lines", Type::List(Box::new(Type::Struct(object(&[("amount", Type::Int)]))))),
        ("meta", Type::Json),
    ]);
    shape.rest = vec![("custom".into(), vec!["cf_".into()])];
    let cases = [
        (r#"{"id":"1","id":"1"}"#, "/id"),
        (r#"{"id":"1","\u0069d":"2"}"#, "/id"),
        (r#"{"id":"1","x":1,"x":2}"#, "/x"),
        (r#"{"id":"1","x/~":1,"x\/~":2}"#, "/x~1~0"),
        (r#"{"id":"1","lines":[{},{"amount":1,"amount":2}]}"#, "/lines/1/amount"),
        (r#"{"id":"1","lines":[{"y":1,"amount":1,"y":2}]}"#, "/lines/0/y"),
        (r#"{"id":"1","meta":{"a":[{"b":1,"c":2,"\u0062":3}]}}"#, "/meta/a/0/b"),
        (r#"{"id":"1","cf_a":{"b":1,"b":2}}"#, "/cf_a/b"),
    ];
    for (record, pointer) in cases {
        let (_, rejects) = decode(&shape, &[record]);
        let found: Vec<_> = rejects.iter().map(|r| (r.rule.as_str(), r.pointer.as_str())).collect();
        assert_eq!(found, [("duplicate_key", pointer)], "{record}");
    }
    let twice_in_different_objects = r#"{"id":"1","lines":[{"amount":1},{"amount":1}],"x":{"id":1}}"#;
    assert_eq!(decode(&shape, &[twice_in_different_objects, twice_in_different_objects]).1, []);
}

#[test]
fn a_record_that_is_not_one_json_object_is_refused() {
    let shape = object(&[("id", Type::Text), ("v", Type::Json)]);
    let malformed = [
        r#"{"id":"1",}"#,
        r#"{"id":"1""#,
        r#"{"id":"1"}}"#,
        r#"{"id":"1","x":[1,]}"#,
        r#"{"id":"1","x":{"a":01}}"#,
        r#"{"id":"1","v":nul}"#,
        r#"{"id":"1","v":+1}"#,
        r#"{"id":"1" "v":1}"#,
        "{\"id\":\"1\n\"}",
        r#"{"id":"\x"}"#,
        r#"{"id":}"#,
        "{,}",
        "",
    ];
    for record in malformed {
        let (_, rejects) = decode(&shape, &[record]);
        assert_eq!(rejects.iter().map(|r| r.rule.as_str()).collect::<Vec<_>>(), ["malformed"], "{record}");
    }
    for record in ["1", "null", "[]", r#""x""#, "true"] {
        let (_, rejects) = decode(&shape, &[record]);
        let found: Vec<_> = rejects.iter().map(|r| (r.rule.as_str(), r.pointer.as_str())).collect();
        assert_eq!(found, [("not_an_object", "")], "{record}");
    }
}

#[test]
fn characters_that_a_database_cannot_hold_are_refused() {
    let nul = [r#""a\u0000b""#];
    let surrogates = [r#""\ud800""#, r#""\udc00""#, r#""\ud800\u0041""#, r#""\udc00\ud800""#, r#""\ud83dx""#];
    for ty in [Type::Text, Type::Json] {
        refuses(&ty, Rule::NulCharacter, &nul);
        refuses(&ty, Rule::BadUnicode, &surrogates);
    }
    accepts(
        &Type::Text,
        &[(r#""\ud83d\ude00 \"\\\/\b\f\n\r\t é""#, "😀 \"\\/\u{8}\u{c}\n\r\t é"), (r#""""#, "")],
    );
    let body = Bytes::from_static(b"{\"id\":\"1\",\"v\":\"\xff\"}");
    let mut decoder = Decoder::new("things", &object(&[("id", Type::Text)]), &keys()).unwrap();
    let records = std::iter::once(0..body.len()).collect();
    decoder.push(&Page { body, records, next: None, total: None, asked_at: ASKED });
    assert_eq!(decoder.finish().unwrap().1[0].rule, "bad_unicode");
}

#[test]
fn a_raw_control_character_is_malformed_wherever_it_stands() {
    for control in 0..0x20_u8 {
        for place in 0..17 {
            let text = format!("{}{}{}", "a".repeat(place), char::from(control), "b".repeat(16 - place));
            assert_eq!(value(&Type::Text, &format!("\"{text}\"")).unwrap_err().0, "malformed", "{text:?}");
        }
    }
    accepts(&Type::Text, &[("\"       \u{7f} é\"", "       \u{7f} é")]);
}

#[test]
fn keys_that_are_data_do_not_pile_up_and_are_still_told_apart() {
    let shape = object(&[("id", Type::Text), ("n", Type::Int)]);
    let wide = |from: usize, extra: &str| {
        let members: String = (from..from + 5000).map(|i| format!(r#""k{i}":0,"#)).collect();
        format!(r#"{{{members}{extra}"n":{from},"id":"a"}}"#)
    };
    let records =
        [wide(0, ""), wide(0, r#""k7":1,"#), wide(2500, ""), wide(2500, r#""k7":1,"#), wide(0, r#""n":1,"#)];
    let (found, rejects) = decode(&shape, &records.each_ref().map(String::as_str));
    assert_eq!(rejects.iter().map(|r| r.pointer.as_str()).collect::<Vec<_>>(), ["/k7", "/n"]);
    let n = found.batch.column(1);
    assert_eq!(
        (0..3).map(|i| array_value_to_string(n, i).unwrap()).collect::<Vec<_>>(),
        ["0", "2500", "2500"]
    );
}

#[test]
fn more_than_two_gibibytes_between_two_finishes_fail_as_a_whole() {
    let body = Bytes::from(vec![0xff; 64 << 20]);
    let mut decoder = Decoder::new("things", &object(&[("id", Type::Text)]), &keys()).unwrap();
    let records = vec![0..body.len(); 32];
    decoder.push(&Page { body, records, next: None, total: None, asked_at: ASKED });
    // Not `unwrap_err`: it would print two gibibytes.
    assert_eq!(decoder.finish().err().map(|e| e.kind()), Some(Kind::Bug));
    decoder.push(&raw_page(&[r#"{"id":"1"}"#]));
    assert_eq!(decoder.finish().unwrap().0.key, ["1"]);
}

#[test]
fn null_and_absent_are_null_and_never_the_old_value() {
    let inner = object(&[("a", Type::Int), ("b", Type::Text)]);
    let shape =
        object(&[("id", Type::Text), ("s", Type::Struct(inner)), ("n", Type::Int), ("j", Type::Json)]);
    let records = [
        r#"{"id":"1","s":{"a":1,"b":"x"},"n":7,"j":{}}"#,
        r#"{"id":"2"}"#,
        r#"{"id":"3","s":null,"n":null,"j":null}"#,
        r#"{"id":"4","s":{}}"#,
    ];
    let (records, rejects) = decode(&shape, &records);
    assert_eq!(rejects, []);
    for name in ["n", "j"] {
        let column = records.batch.column_by_name(name).unwrap();
        assert_eq!(
            (0..4).map(|i| column.is_null(i)).collect::<Vec<_>>(),
            [false, true, true, true],
            "{name}"
        );
    }
    let group = records.batch.column_by_name("s").unwrap();
    assert_eq!((0..4).map(|i| group.is_null(i)).collect::<Vec<_>>(), [false, true, true, false]);
    assert_eq!(array_value_to_string(group, 3).unwrap(), "{a: , b: }");
}

#[test]
fn a_list_tells_null_from_empty() {
    let list = Type::List(Box::new(Type::Int));
    assert_eq!(value(&list, "null"), Ok(None));
    accepts(&list, &[("[]", "[]"), ("[1, 2 ,3]", "[1, 2, 3]"), ("[null,1]", "[, 1]")]);
    refuses(&list, Rule::WrongType, &["{}", "1", r#""[]""#]);
    assert_eq!(value(&list, "[1,2,3.5]"), Err(("fraction_in_int".into(), "/v/2".into())));
    let (records, _) = decode(&object(&[("id", Type::Text), ("v", list)]), &[r#"{"id":"1"}"#]);
    assert!(records.batch.column(1).is_null(0));
}

#[test]
fn a_bool_is_true_or_false() {
    accepts(&Type::Bool, &[("true", "true"), ("false", "false")]);
    refuses(&Type::Bool, Rule::WrongType, &[r#""true""#, "0", "1", "[]"]);
    assert_eq!(value(&Type::Bool, "tru").unwrap_err().0, "malformed");
}

#[test]
fn an_epoch_lies_between_1970_and_9999() {
    accepts(
        &Type::EpochS,
        &[
            ("1700000000", "2023-11-14T22:13:20"),
            ("0", "1970-01-01T00:00:00"),
            ("253402300799", "9999-12-31T23:59:59"),
        ],
    );
    refuses(&Type::EpochS, Rule::OutOfRange, &["-1", "1700000000000", "253402300800", "1e30"]);
    refuses(&Type::EpochS, Rule::FractionInInt, &["1700000000.5"]);
    refuses(&Type::EpochS, Rule::WrongType, &[r#""1700000000""#]);
    accepts(
        &Type::EpochMs,
        &[("1700000000123", "2023-11-14T22:13:20.123"), ("253402300799999", "9999-12-31T23:59:59.999")],
    );
    refuses(&Type::EpochMs, Rule::OutOfRange, &["-1", "253402300800000"]);
}

#[test]
fn a_datetime_is_exact_in_microseconds_and_its_zone_is_never_guessed() {
    let strict = Type::DateTime { naive_utc: false };
    let cases = [
        (r#""2024-02-29T12:30:00Z""#, "2024-02-29T12:30:00"),
        (r#""2016-11-08T16:22:26-05:00""#, "2016-11-08T21:22:26"),
        (r#""2016-11-08 16:22:26.5+0530""#, "2016-11-08T10:52:26.500"),
        (r#""2016-11-08T16:22:26.123456000+01""#, "2016-11-08T15:22:26.123456"),
        (r#""9999-12-31T23:59:59.999999Z""#, "9999-12-31T23:59:59.999999"),
        (r#""0001-01-01T00:00:00Z""#, "0001-01-01T00:00:00"),
    ];
    accepts(&strict, &cases);
    let not_times = [
        r#""2024-02-29T12:30:00""#,
        r#""-0001-01-01T00:00:00Z""#,
        r#""2023-02-29T12:30:00Z""#,
        r#""2024-02-29T24:00:00Z""#,
        r#""2024-02-29T12:30:60Z""#,
        r#""2024-02-29T12:30:00.Z""#,
        r#""2024-02-29T12:30:00+24:00""#,
        r#""2024-02-29T12:30:00Z ""#,
        r#""2024-02-29""#,
        r#""""#,
        r#""2024-02-29T12:3é:00Z""#,
    ];
    refuses(&strict, Rule::BadTime, &not_times);
    refuses(&strict, Rule::TooManyDigits, &[r#""2024-02-29T12:30:00.1234567Z""#]);
    let beyond =
        [r#""9999-12-31T23:59:59-00:01""#, r#""0001-01-01T00:00:00+00:01""#, r#""0000-01-01T00:00:00Z""#];
    refuses(&strict, Rule::OutOfRange, &beyond);
    refuses(&strict, Rule::WrongType, &["1700000000"]);
    accepts(
        &Type::DateTime { naive_utc: true },
        &[(r#""2024-02-29T12:30:00.25""#, "2024-02-29T12:30:00.250")],
    );
}

#[test]
fn a_date_is_a_day_of_the_calendar() {
    accepts(
        &Type::Date,
        &[
            (r#""2024-02-29""#, "2024-02-29"),
            (r#""1969-12-31""#, "1969-12-31"),
            (r#""9999-12-31""#, "9999-12-31"),
        ],
    );
    let inputs = [r#""2023-02-29""#, r#""2024-2-29""#, r#""20240229""#, r#""2024-02-29T00:00:00Z""#, r#""""#];
    refuses(&Type::Date, Rule::BadTime, &inputs);
    refuses(&Type::Date, Rule::WrongType, &["20240229"]);
}

#[test]
fn one_bad_record_among_8192_costs_one_record() {
    let line = Type::Struct(object(&[("id", Type::Text), ("amount", Type::Int)]));
    let shape = object(&[("id", Type::Text), ("total", MONEY), ("line_items", Type::List(Box::new(line)))]);
    let good = |i: i32| {
        format!(r#"{{"id":"in_{i}","total":{i}.25,"line_items":[{{"id":"a","amount":{i}}},{{"id":"b"}}]}}"#)
    };
    let mut records: Vec<String> = (0..8192).map(good).collect();
    records[4711] =
        r#"{"id":"in_4711","total":1,"line_items":[{"id":"a","amount":1},{},{},{"id":"d","amount":1.5}]}"#
            .into();
    let texts: Vec<&str> = records.iter().map(String::as_str).collect();
    let (found, rejects) = decode(&shape, &texts);
    assert_eq!((found.batch.num_rows(), rejects.len()), (8191, 1));
    assert_eq!(
        (rejects[0].rule.as_str(), rejects[0].pointer.as_str()),
        ("fraction_in_int", "/line_items/3/amount")
    );
    assert_eq!(rejects[0].message, "found 1.5, expected an integer of 64 bits");
    assert_eq!(rejects[0].key.as_deref(), Some("in_4711"));
    records.remove(4711);
    let without: Vec<&str> = records.iter().map(String::as_str).collect();
    assert_eq!(found.batch, decode(&shape, &without).0.batch);
    assert_eq!(found.key.len(), 8191);
    assert_eq!((found.key[4711].as_str(), found.body[4711].as_ref()), ("in_4712", records[4711].as_bytes()));
}

#[test]
fn a_decoder_is_as_new_after_finish() {
    let mut decoder =
        Decoder::new("things", &object(&[("id", Type::Text), ("v", Type::Json)]), &keys()).unwrap();
    let page = raw_page(&[r#"{"id":"1","v":[1]}"#, "null"]);
    decoder.push(&page);
    assert_eq!((decoder.len(), decoder.is_empty(), decoder.bytes()), (1, false, page.body.len()));
    let first = decoder.finish().unwrap();
    assert_eq!((decoder.len(), decoder.is_empty(), decoder.bytes()), (0, true, 0));
    let empty = decoder.finish().unwrap();
    assert_eq!((empty.0.batch.num_rows(), empty.0.batch.schema(), empty.1), (0, decoder.schema(), vec![]));
    decoder.push(&page);
    let second = decoder.finish().unwrap();
    assert_eq!((first.0.batch, first.1), (second.0.batch, second.1));
}

#[test]
fn a_record_without_its_key_is_refused() {
    for (ty, record) in [
        (Type::Text, r#"{"v":1}"#),
        (Type::Text, r#"{"id":null}"#),
        (Type::Text, r#"{"id":""}"#),
        (Type::IntOrText, r#"{"id":null}"#),
    ] {
        let (_, rejects) = decode(&object(&[("id", ty)]), &[record]);
        let found: Vec<_> = rejects.iter().map(|r| (r.rule.as_str(), r.pointer.as_str(), &r.key)).collect();
        assert_eq!(found, [("missing_key", "/id", &None)], "{record}");
    }
}

#[test]
fn the_machines_fields_are_read_from_every_record() {
    let shape = object(&[
        ("key", Type::IntOrText),
        ("resource_version", Type::Int),
        ("updated_at", Type::EpochS),
        ("deleted", Type::Bool),
    ]);
    let some = |name: &str| Some(name.to_string());
    let keys = Keys {
        key: "key".into(),
        version: some("resource_version"),
        updated: some("updated_at"),
        deleted: Some("deleted".into()),
    };
    let mut decoder = Decoder::new("things", &shape, &keys).unwrap();
    let full = r#"{"key":"12","resource_version":5,"updated_at":3,"deleted":true}"#;
    decoder.push(&raw_page(&[full, r#"{"key":1e1}"#, r#"{"key":3,"deleted":null}"#, full]));
    let (records, rejects) = decoder.finish().unwrap();
    assert_eq!(rejects, []);
    assert_eq!(records.key, ["12", "10", "3", "12"]);
    assert_eq!(records.version, [5, 0, 0, 5]);
    assert_eq!(records.updated_at[..2], [Some(Timestamp(3_000_000)), None]);
    assert_eq!(records.deleted, [true, false, false, true]);
    assert_eq!(records.asked_at, [ASKED; 4]);
    assert_eq!(records.body_hash[0], records.body_hash[3]);
    assert_ne!(records.body_hash[0], records.body_hash[1]);
}

#[test]
fn a_shape_that_cannot_be_decoded_is_refused_at_once() {
    let invalid = |shape: &Struct, keys: &Keys| {
        let error = Decoder::new("things", shape, keys).err().unwrap();
        assert_eq!(error.kind(), Kind::Invalid);
        error.to_string()
    };
    assert!(invalid(&object(&[]), &keys()).contains("key id"));
    assert!(invalid(&object(&[("id", Type::Json)]), &keys()).contains("wrong type"));
    let version = Keys { version: Some("id".into()), ..keys() };
    assert!(invalid(&object(&[("id", Type::Text)]), &version).contains("version id"));
    assert!(invalid(&object(&[("id", Type::Text), ("id", Type::Int)]), &keys()).contains("column id"));
    let wide = Type::Decimal { precision: 39, scale: 2, from_text: false };
    assert!(invalid(&object(&[("id", Type::Text), ("v", wide)]), &keys()).contains("field v"));
    let deep = (0..DEPTH_MAX).fold(Type::Int, |ty, _| Type::List(Box::new(ty)));
    assert!(invalid(&object(&[("id", Type::Text), ("v", deep)]), &keys()).contains("levels"));
}

#[test]
fn every_column_is_nullable_and_stands_in_declared_order() {
    let mut shape = object(&[("id", Type::Text), ("v", MONEY), ("w", Type::List(Box::new(Type::Rate)))]);
    shape.rest = vec![("custom".into(), vec!["cf_".into()])];
    let schema = Decoder::new("things", &shape, &keys()).unwrap().schema();
    assert_eq!(
        schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(),
        ["id", "v", "w", "custom"]
    );
    assert!(schema.fields().iter().all(|f| f.is_nullable()));
    assert_eq!(schema.field(1).data_type(), &DataType::Decimal128(28, 8));
}

#[test]
fn a_record_may_be_nested_64_levels_and_no_deeper() {
    let nested = |levels: usize| format!(r#"{{"id":"1","v":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
    for ty in [Type::Json, Type::Int] {
        // Under `int` the value belongs to a key that is not declared.
        let name = if ty == Type::Int { "other" } else { "v" };
        let shape = object(&[("id", Type::Text), (name, ty)]);
        assert_eq!(decode(&shape, &[&nested(DEPTH_MAX - 1)]).1, []);
        assert_eq!(decode(&shape, &[&nested(DEPTH_MAX)]).1[0].rule, "malformed");
        assert_eq!(decode(&shape, &[&nested(100_000)]).1[0].rule, "malformed");
    }
}

#[test]
fn a_message_shows_at_most_60_characters_of_the_value() {
    let (_, rejects) = decode(
        &object(&[("id", Type::Text), ("v", Type::Int)]),
        &[&format!(r#"{{"id":"1","v":"{}"}}"#, "é".repeat(500))],
    );
    let found =
        rejects[0].message.strip_prefix("found ").unwrap().strip_suffix(", expected an integer of 64 bits");
    assert_eq!(found.unwrap().chars().count(), 60);
}

#[test]
fn canonical_text_has_sorted_keys_source_numbers_and_no_needless_escapes() {
    accepts(
        &Type::Json,
        &[
            (
                r#"{ "b" : [ 1.0 , 1E+2 , -0 ] , "a" : { } , "\u0061a" : [ ] }"#,
                r#"{"a":{},"aa":[],"b":[1.0,1E+2,-0]}"#,
            ),
            (r#""\u00e9\/\u2028\u007f\u0022\u005c\u000a\u001F""#, "\"é/\u{2028}\u{7f}\\\"\\\\\\n\\u001f\""),
            (r#"{"😀":1,"z":2,"\uffee":3}"#, "{\"z\":2,\"\u{ffee}\":3,\"😀\":1}"),
            ("[true,false,null]", "[true,false,null]"),
        ],
    );
}

#[test]
fn every_rule_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.name()).collect();
    assert_eq!(names.len(), Rule::ALL.len());
    assert!(names.iter().all(|name| name.bytes().all(|b| b == b'_' || b.is_ascii_lowercase())));
}

fn envelope(records: &str) -> Envelope {
    Envelope { records: records.into(), next: Some("/next_offset".into()), total: Some("/meta/total".into()) }
}

/// Records, next token and count of a page.
type Cut = (Vec<String>, Option<String>, Option<u64>);

fn cut(body: &str, records: &str) -> Result<Cut, String> {
    match page(Bytes::from(body.to_string()), &envelope(records), ASKED) {
        Ok(page) => {
            let text = |range: &std::ops::Range<usize>| body[range.clone()].to_string();
            Ok((page.records.iter().map(text).collect(), page.next, page.total))
        }
        Err(error) => {
            assert_eq!(error.kind(), Kind::Drift);
            Err(error.to_string())
        }
    }
}

#[test]
fn a_page_is_cut_into_its_records() {
    let body = r#" {"list": [{"invoice": {"id":"1"} , "customer":{}}, {"invoice":null}],
        "next_offset":"[\"17\",\"3\"]", "meta": {"total": 2}} "#;
    let records = vec![r#"{"id":"1"}"#.to_string(), "null".to_string()];
    assert_eq!(cut(body, "/list/*/invoice"), Ok((records, Some(r#"["17","3"]"#.into()), Some(2))));
    assert_eq!(cut("[1, 2]", "/*").unwrap().0, ["1", "2"]);
    assert_eq!(cut(r#"{"results":[]}"#, "/results/*"), Ok((vec![], None, None)));
    assert_eq!(cut(r#"{"invoice":{"id":1}}"#, "/invoice").unwrap().0, [r#"{"id":1}"#]);
}

#[test]
fn a_token_is_text_whatever_its_json_type() {
    let next =
        |token: &str| cut(&format!(r#"{{"list":[],"next_offset":{token}}}"#), "/list/*").map(|found| found.1);
    assert_eq!(next(r#""a\u0062""#), Ok(Some("ab".into())));
    assert_eq!(next("12345678901234567890"), Ok(Some("12345678901234567890".into())));
    assert_eq!(next("null"), Ok(None));
    assert_eq!(next(r#""""#), Ok(None));
    for bad in ["{}", "[]", "true", r#""\ud800""#] {
        assert!(next(bad).unwrap_err().contains("pointer /next_offset"), "{bad}");
    }
    let total =
        |count: &str| cut(&format!(r#"{{"list":[],"meta":{{"total":{count}}}}}"#), "/list/*").map(|f| f.2);
    assert_eq!((total("7"), total("null")), (Ok(Some(7)), Ok(None)));
    for bad in ["-1", "1.5", r#""7""#, "[]"] {
        assert!(total(bad).unwrap_err().contains("pointer /meta/total"), "{bad}");
    }
}

#[test]
fn a_body_that_is_not_one_json_document_says_what_it_is() {
    let what = |body: &str| cut(body, "/list/*").unwrap_err();
    assert!(what("").contains("empty"));
    assert!(what(" \n").contains("empty"));
    assert!(what("<!doctype html><p>").contains("web page"));
    assert!(what(r#"{"list":[{"id":"1"},{"i"#).contains("cut off in the middle of its JSON (byte 23)"));
    assert!(what(r#"{"list":[],"a":tru"#).contains("cut off"));
    assert!(what(r#"{"list":[],"a":1"#).contains("cut off"));
    assert!(what(r#"{"list":[]} {"list":[]}"#).contains("not JSON (byte 12, expected the end)"));
    assert!(what(r#"{"list":[],}"#).contains("not JSON (byte 11"));
    assert!(what("\u{feff}{\"list\":[]}").contains("not JSON (byte 0"));
    let body = Bytes::from_static(b"{\"list\":[\"\xff\"]}");
    let error = page(body, &envelope("/list/*"), ASKED).unwrap_err();
    assert_eq!(error.to_string(), "the answer is not UTF-8 (byte 10)");
    let gzip = Bytes::from_static(b"\x1f\x8b\x08");
    assert_eq!(page(gzip, &envelope("/list/*"), ASKED).unwrap_err().kind(), Kind::Drift);
}

#[test]
fn a_page_without_its_list_says_where_and_what_was_there_instead() {
    let what = |body: &str| cut(body, "/list/*/invoice").unwrap_err();
    let error = what(r#"{"message":"secret","error_code":"x"}"#);
    assert!(error.contains("lacks its records (found keys message, error_code, pointer /list)"), "{error}");
    assert!(!error.contains("secret"));
    assert!(
        what(r#"{"list":{"invoice":{}}}"#).contains("found an object, expected an array, pointer /list)")
    );
    assert!(what(r#"{"list":null}"#).contains("found null"));
    assert!(what(r#"{"list":[{"invoice":{}},{"customer":{}}]}"#).contains("pointer /list/1/invoice"));
    assert!(what(r#"{"list":[7]}"#).contains("found a number, expected an object, pointer /list/0)"));
    assert!(what("[]").contains("found an array, expected an object, pointer /)"));
    assert!(what(r#"{"list":[],"list":[]}"#).contains("key twice (pointer /list)"));
    assert!(what(r#"{"next_offset":"1","next_offset":"2","list":[]}"#).contains("pointer /next_offset"));
}

#[test]
fn a_page_with_a_record_nested_too_deep_loses_that_record_only() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let body = format!(r#"[{{"id":"1"}},{{"id":"2","x":{deep}}},{{"id":"3"}}]"#);
    let page = page(Bytes::from(body), &envelope("/*"), ASKED).unwrap();
    let mut decoder = Decoder::new("things", &object(&[("id", Type::Text)]), &keys()).unwrap();
    decoder.push(&page);
    let (records, rejects) = decoder.finish().unwrap();
    assert_eq!(records.key, ["1", "3"]);
    assert_eq!((rejects[0].rule.as_str(), rejects[0].pointer.as_str()), ("malformed", "/x"));
    assert_eq!(rejects[0].key.as_deref(), Some("2"));
}

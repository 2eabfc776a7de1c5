//! What normalization promises, on records built by hand.
use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, ListArray, RecordBatch, StringArray, StructArray},
    buffer::OffsetBuffer,
    datatypes::{DataType, Decimal128Type, Field, Fields, Int64Type, Schema, TimestampMicrosecondType},
};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tidegate::{
    decode::{Records, Struct},
    entity::{Column, ColumnType, Entity, OnBad, Parent, Policies, Policy, pseudonym},
    id::{ConnectionId, Owner, TenantId},
    manifest::{
        Auth, Budget, Connector, Cursor, Feed, MinorUnits, PageSize, Paging, Probe, Stream, Template,
    },
    normalize::{Facts, Normalized, Normalizer},
    time::Timestamp,
};

fn column(name: &str, ty: ColumnType, on_bad: OnBad) -> Column {
    Column { name: name.into(), ty, pii: false, on_bad, meaning: String::new(), promoted: false }
}

fn bills() -> Arc<Entity> {
    Arc::new(Entity {
        name: "bills".into(),
        meaning: String::new(),
        parent: None,
        month: Some("issued".into()),
        columns: vec![
            column("id", ColumnType::Text, OnBad::Reject),
            column("issued", ColumnType::Date, OnBad::Reject),
            column("total", ColumnType::Money, OnBad::Reject),
            column("rank", ColumnType::Int, OnBad::Null),
            column("note", ColumnType::Text, OnBad::Null),
        ],
    })
}

fn lines() -> Arc<Entity> {
    Arc::new(Entity {
        name: "bill_lines".into(),
        meaning: String::new(),
        parent: Some(Parent { entity: "bills".into(), column: "bill_id".into() }),
        month: None,
        columns: vec![
            column("id", ColumnType::Text, OnBad::Reject),
            column("bill_id", ColumnType::Text, OnBad::Reject),
            column("amount", ColumnType::Money, OnBad::Reject),
            column("place", ColumnType::Int, OnBad::Null),
        ],
    })
}

const MAIN: &str =
    "select _row, id, local_date(at, _zone) as issued, minor(total, currency) as total from bills";
const LINES: &str = "select _row, id || ':' || l['n'] as id, id as bill_id, minor(l['e']['amount'], currency) as amount, \
                     l['n'] as place from (select _row, id, currency, unnest(indexed(items)) as l from bills)";

fn connector(feeds: Vec<(Arc<Entity>, &str)>) -> (Connector, Arc<Stream>) {
    let feed = |(entity, sql): (Arc<Entity>, &str)| Feed {
        file: format!("{}.sql", entity.name),
        entity,
        sql: sql.into(),
        overlay: None,
        fills: std::collections::BTreeSet::new(),
    };
    let size = PageSize { send: "limit".into(), value: 100 };
    let stream = Arc::new(Stream {
        name: "bills".into(),
        path: Template("/bills".into()),
        records: "/*".into(),
        query: vec![],
        get: None,
        key: "id".into(),
        version: None,
        updated: None,
        deleted: None,
        cut: None,
        deletes: None,
        clearing: None,
        personal: None,
        requires: None,
        paging: Paging::PageNumber { send: "page".into(), first: 1, total: "/n".into(), size },
        cursor: Cursor::Snapshot { order: None, lag: Duration::ZERO },
        record: Struct::default(),
        feeds: feeds.into_iter().map(feed).collect(),
    });
    let connector = Connector {
        policies: Policies::default(),
        rights: None,
        name: "invented".into(),
        title: "Invented".into(),
        hash: "h".into(),
        mapping_hash: "m".into(),
        inputs: vec![],
        base_url: Template("http://127.0.0.1".into()),
        auth: Auth::Header { name: "key".into(), value: "key".into() },
        headers: vec![],
        budget: Budget {
            scope: Template("x".into()),
            requests: 1,
            per: Duration::from_secs(1),
            concurrency: 1,
        },
        errors: vec![],
        minor_units: MinorUnits { default: 2, exceptions: BTreeMap::from([("JPY".into(), 0)]) },
        probe: Probe { path: Template("/".into()), query: vec![] },
        streams: vec![Arc::clone(&stream)],
    };
    (connector, stream)
}

/// id, total in minor units, currency, amounts of the items.
type Bill<'a> = (&'a str, i64, Option<&'a str>, &'a [i64]);

fn records(bills: &[Bill<'_>]) -> Records {
    let item = Fields::from(vec![Field::new("amount", DataType::Int64, true)]);
    let amounts: Int64Array = bills.iter().flat_map(|b| b.3.iter().copied().map(Some)).collect();
    let elements = StructArray::new(item.clone(), vec![Arc::new(amounts)], None);
    let field = Arc::new(Field::new("item", DataType::Struct(item), true));
    let offsets = OffsetBuffer::from_lengths(bills.iter().map(|b| b.3.len()));
    let items = ListArray::new(field, offsets, Arc::new(elements), None);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(bills.iter().map(|b| Some(b.0)).collect::<StringArray>())),
        (
            "at",
            Arc::new(arrow::array::TimestampMicrosecondArray::from(vec![1_700_000_000_000_000; bills.len()])),
        ),
        ("total", Arc::new(bills.iter().map(|b| Some(b.1)).collect::<Int64Array>())),
        ("currency", Arc::new(bills.iter().map(|b| b.2).collect::<StringArray>())),
        ("items", Arc::new(items)),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(n, a)| Field::new(*n, a.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, a)| a).collect();
    let text = |b: &Bill<'_>| format!("{b:?}");
    Records {
        batch: RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap(),
        key: bills.iter().map(|b| b.0.to_owned()).collect(),
        version: vec![0; bills.len()],
        updated_at: vec![None; bills.len()],
        deleted: vec![false; bills.len()],
        asked_at: (0..bills.len()).map(|i| Timestamp(i as i64)).collect(),
        body: bills.iter().map(|b| Bytes::from(text(b))).collect(),
        body_hash: bills.iter().map(|b| twox_hash::XxHash3_128::oneshot(text(b).as_bytes()) as u64).collect(),
    }
}

fn facts() -> Facts {
    let owner =
        Owner { tenant: TenantId::parse("t").unwrap(), connection: ConnectionId::parse("c").unwrap() };
    Facts { owner, time_zone: chrono_tz::Asia::Tokyo }
}

async fn normalizer(main: &str, child: &str) -> tidegate::error::Result<Normalizer> {
    let (connector, stream) = connector(vec![(bills(), main), (lines(), child)]);
    Normalizer::new(&connector, &stream, &records(&[]).batch.schema()).await
}

async fn run(bills: &[Bill<'_>]) -> Normalized {
    normalizer(MAIN, LINES).await.unwrap().run(&facts(), &records(bills)).await.unwrap()
}

fn ints(batch: &RecordBatch, name: &str) -> Vec<i64> {
    batch[name].as_primitive::<Int64Type>().values().to_vec()
}

#[tokio::test]
async fn a_record_becomes_one_row_with_all_its_children() {
    let out = run(&[("a", 1050, Some("EUR"), &[1000, 50]), ("b", 7, Some("JPY"), &[])]).await;
    let rows = out.rows.unwrap();
    let totals: Vec<i128> = rows.main["total"].as_primitive::<Decimal128Type>().values().to_vec();
    assert_eq!(totals, [1_050_000_000, 700_000_000], "10.50 EUR and 7 JPY at eight places");
    assert_eq!(
        rows.main["issued"].as_primitive::<arrow::datatypes::Date32Type>().value(0),
        19_676,
        "Tokyo is a day ahead"
    );
    let child = &rows.children[0].1;
    let ids: Vec<_> = child["id"].as_string::<i32>().iter().flatten().collect();
    assert_eq!(ids, ["a:0", "a:1"]);
    assert_eq!(ints(child, "place"), [0, 1]);
    assert_eq!(rows.main.schema(), bills().schema());
    assert_eq!(child.schema(), lines().schema());
}

/// A plan keeps what it built in its last run; without a reset the second page is joined with the first one's table.
#[tokio::test]
async fn a_join_answers_every_batch_with_its_own_rows() {
    let joined = "select a._row, a.id, local_date(a.at, a._zone) as issued, minor(b.total, b.currency) as total, \
                  (select count(*) from bills) as rank from bills a join bills b on a.id = b.id";
    let normalizer = normalizer(joined, LINES).await.unwrap();
    for page in 0..4_i64 {
        let ids: Vec<String> = (0..50 + page).map(|i| format!("{page}-{i}")).collect();
        let bills: Vec<Bill<'_>> = ids.iter().map(|id| (id.as_str(), page, Some("EUR"), &[][..])).collect();
        let rows = normalizer.run(&facts(), &records(&bills)).await.unwrap().rows.unwrap();
        assert_eq!(rows.main.num_rows(), bills.len());
        assert_eq!(
            rows.main["total"].as_primitive::<Decimal128Type>().value(0),
            i128::from(page) * 1_000_000
        );
        assert!(ints(&rows.main, "rank").iter().all(|n| *n == 50 + page), "a subquery sees this page alone");
    }
}

#[tokio::test]
async fn failing_records_are_bisected_out_and_the_rest_goes_on() {
    let ids: Vec<String> = (0..500).map(|i| format!("{i}")).collect();
    let bad = [3, 77, 78, 499];
    let bills: Vec<Bill<'_>> = ids
        .iter()
        .enumerate()
        .map(|(i, id)| (id.as_str(), 1, (!bad.contains(&i)).then_some("EUR"), &[5][..]))
        .collect();
    let out = run(&bills).await;
    let mut refused: Vec<_> =
        out.rejects.iter().map(|r| r.key.clone().unwrap().parse::<usize>().unwrap()).collect();
    refused.sort_unstable();
    assert_eq!(refused, bad);
    assert!(out.rejects[0].message.contains("the amount 1 has no currency"), "{}", out.rejects[0].message);
    let rows = out.rows.unwrap();
    assert_eq!((rows.main.num_rows(), rows.children[0].1.num_rows()), (496, 496));
    assert!(rows.main["id"].as_string::<i32>().iter().all(|id| !bad.contains(&id.unwrap().parse().unwrap())));
}

#[tokio::test]
async fn a_child_that_does_not_fit_refuses_its_whole_document() {
    let doubled = LINES
        .replace("id || ':' || l['n']", "id || ':' || case when l['e']['amount'] = 9 then 0 else l['n'] end");
    let normalizer = normalizer(MAIN, &doubled).await.unwrap();
    let bills: [Bill<'_>; 2] = [("a", 1, Some("EUR"), &[1, 9]), ("b", 1, Some("EUR"), &[1, 1])];
    let out = normalizer.run(&facts(), &records(&bills)).await.unwrap();
    assert_eq!(out.rejects.len(), 1);
    assert_eq!((out.rejects[0].key.as_deref(), out.rejects[0].rule.as_str()), (Some("a"), "duplicate_child"));
    assert_eq!(out.rows.unwrap().children[0].1.num_rows(), 2);
}

#[tokio::test]
async fn a_lossy_value_is_refused_or_null_as_its_column_says() {
    let main = "select _row, id, local_date(at, _zone) as issued, \
                case when id = 'a' then quantity('1.123456789') else quantity('2') end as total, \
                case when id = 'b' then quantity('0.5') else quantity('3') end as rank from bills";
    let normalizer = normalizer(main, LINES).await.unwrap();
    let bills: [Bill<'_>; 3] =
        [("a", 1, Some("EUR"), &[]), ("b", 1, Some("EUR"), &[]), ("c", 1, Some("EUR"), &[])];
    let out = normalizer.run(&facts(), &records(&bills)).await.unwrap();
    assert_eq!((out.rejects.len(), out.rejects[0].rule.as_str()), (1, "too_many_digits"));
    assert!(out.rejects[0].message.contains("1.123456789"), "{}", out.rejects[0].message);
    assert_eq!(
        (out.issues.len(), out.issues[0].id.as_str(), out.issues[0].column.as_str()),
        (1, "b", "rank")
    );
    let rows = out.rows.unwrap();
    let rank = rows.main["rank"].as_primitive::<Int64Type>();
    assert!(rank.is_null(0), "b's rank");
    assert_eq!(rank.value(1), 3);
}

#[tokio::test]
async fn the_greatest_state_of_a_key_wins_and_brings_its_children() {
    let bills: [Bill<'_>; 3] =
        [("a", 1, Some("EUR"), &[1, 1]), ("a", 2, Some("EUR"), &[2]), ("b", 3, Some("EUR"), &[])];
    let out = run(&bills).await;
    assert_eq!(out.superseded, 1);
    let rows = out.rows.unwrap();
    assert_eq!(rows.main.num_rows(), 2);
    assert_eq!(
        rows.main["observed_at"].as_primitive::<TimestampMicrosecondType>().value(0),
        1,
        "the later answer"
    );
    assert_eq!(rows.children[0].1.num_rows(), 1);
    assert_eq!(rows.bodies.len(), 2);
}

#[tokio::test]
async fn equal_records_hash_equally_and_any_change_shows() {
    let hash = async |bill: Bill<'static>| ints(&run(&[bill]).await.rows.unwrap().main, "row_hash")[0];
    let one = hash(("a", 1, Some("EUR"), &[1])).await;
    assert_eq!(one, hash(("a", 1, Some("EUR"), &[1])).await);
    assert_ne!(one, hash(("a", 2, Some("EUR"), &[1])).await);
    assert_ne!(one, hash(("a", 1, Some("EUR"), &[])).await, "the body is part of the state");
}

#[tokio::test]
async fn a_mapping_that_drops_or_doubles_records_is_an_error() {
    for main in [format!("{MAIN} where id <> 'a'"), format!("{MAIN} union all {MAIN}")] {
        let normalizer = normalizer(&main, LINES).await.unwrap();
        let error = normalizer.run(&facts(), &records(&[("a", 1, Some("EUR"), &[])])).await.unwrap_err();
        assert!(error.to_string().contains("one row per record"), "{error}");
    }
}

#[tokio::test]
async fn wrong_mappings_name_file_column_and_the_nearest_right_word() {
    let check = async |main: &str, expected: &[&str]| {
        let error = normalizer(main, LINES).await.err().expect("must be refused");
        let said = format!("{error} | {}", error.next().unwrap_or_default());
        expected.iter().for_each(|e| assert!(said.contains(e), "`{said}` lacks `{e}`"));
    };
    check("select _row, id, 1 as totl from bills", &["bills.sql", "`totl`", "did you mean `total`"]).await;
    check("select _row, id, currency as total from bills", &["bills.sql", "`total` holds money", "Utf8"])
        .await;
    check("select _row, id, ID as note from bills", &["bills.sql", "No field named"]).await;
    check("select id from bills", &["must select `_row`"]).await;
    check("select _row from bills", &["must select `id`"]).await;
}

#[tokio::test]
async fn a_child_without_its_parent_is_out_of_place() {
    let strange = LINES.replace("id as bill_id", "'other' as bill_id");
    let out = normalizer(MAIN, &strange)
        .await
        .unwrap()
        .run(&facts(), &records(&[("a", 1, Some("EUR"), &[1])]))
        .await;
    assert_eq!(out.unwrap().rejects[0].rule, "foreign_child");
}

/// The same mappings with policies.
async fn hidden(policies: &[(&str, &str, Policy)], bills: &[Bill<'_>], bodies: &[&str]) -> Normalized {
    let main = "select _row, id, local_date(at, _zone) as issued, minor(total, currency) as total, case when currency <> 'JPY' then currency end as note from bills";
    let (connector, stream) = connector(vec![(self::bills(), main), (lines(), LINES)]);
    let mut all = Policies::default();
    policies.iter().for_each(|(table, column, policy)| all.set(table, column, *policy));
    let mut records = records(bills);
    records.body_hash = bodies.iter().map(|b| twox_hash::XxHash3_128::oneshot(b.as_bytes()) as u64).collect();
    let normalizer = Normalizer::new(&connector.hiding(all), &stream, &records.batch.schema()).await.unwrap();
    normalizer.run(&facts(), &records).await.unwrap()
}

#[tokio::test]
async fn a_hash_covers_what_is_stored_and_no_byte_of_what_is_hidden() {
    let drop = [("bills", "note", Policy::Drop)];
    fn one<'a>(currency: &'a str, items: &'a [i64]) -> [Bill<'a>; 1] {
        [("a", 5, Some(currency), items)]
    }
    let hashes = |n: Normalized| {
        let rows = n.rows.unwrap();
        (ints(&rows.main, "row_hash"), ints(&rows.children[0].1, "row_hash"))
    };
    let eur = hashes(hidden(&drop, &one("EUR", &[3, 2]), &["x"]).await);
    let usd = hashes(hidden(&drop, &one("USD", &[3, 2]), &["y"]).await);
    assert_eq!(eur, usd, "only what is hidden differs");
    let line = hashes(hidden(&drop, &one("EUR", &[3, 4]), &["x"]).await);
    assert_ne!(eur.0, line.0, "an equal hash means equal children");
    let fewer = hashes(hidden(&drop, &one("EUR", &[3]), &["x"]).await);
    assert_ne!(eur.0, fewer.0);
    let (kept, body) = (
        hashes(hidden(&[], &one("EUR", &[]), &["x"]).await),
        hashes(hidden(&[], &one("EUR", &[]), &["y"]).await),
    );
    assert_ne!(kept.0, body.0, "without policies the bytes count");
    let hash = [("bills", "note", Policy::Hash)];
    let (eur, usd) = (
        hashes(hidden(&hash, &one("EUR", &[]), &["x"]).await),
        hashes(hidden(&hash, &one("USD", &[]), &["x"]).await),
    );
    assert_ne!(eur.0, usd.0, "another value is another pseudonym");
}

#[tokio::test]
async fn a_hash_of_a_value_is_the_same_in_every_table_of_a_tenant_and_another_in_another_tenant() {
    let tenant = |name| TenantId::parse(name).unwrap();
    let out = hidden(
        &[("bills", "note", Policy::Hash)],
        &[("a", 5, Some("EUR"), &[]), ("b", 5, Some("JPY"), &[])],
        &["", ""],
    );
    let main = out.await.rows.unwrap().main;
    let notes: Vec<Option<&str>> = main["note"].as_string::<i32>().iter().collect();
    assert_eq!(notes, [Some(pseudonym(&tenant("t"), b"EUR").as_str()), None], "nothing stays nothing");
    // SHA-256 of the three parts, each behind its length: reproduced with another implementation.
    assert_eq!(pseudonym(&tenant("t"), b"EUR"), "7615e3687d47f85009b497af6aad73d9");
    assert_ne!(pseudonym(&tenant("t"), b"EUR"), pseudonym(&tenant("u"), b"EUR"));
    assert_ne!(
        pseudonym(&tenant("t"), b"xEUR"),
        pseudonym(&tenant("tx"), b"EUR"),
        "parts do not run together"
    );
}

#[tokio::test]
async fn a_misfit_in_a_hidden_column_repeats_no_value() {
    let main = "select _row, id, 1234.5 as rank from bills";
    let (connector, stream) = connector(vec![(bills(), main), (lines(), LINES)]);
    for (policy, expected) in [(Policy::Keep, 1), (Policy::Hash, 1), (Policy::Drop, 0)] {
        let mut policies = Policies::default();
        policies.set("bills", "rank", policy);
        let records = records(&[("a", 5, Some("EUR"), &[])]);
        let connector = connector.clone().hiding(policies);
        let normalizer = Normalizer::new(&connector, &stream, &records.batch.schema()).await.unwrap();
        let out = normalizer.run(&facts(), &records).await.unwrap();
        assert_eq!(out.issues.len(), expected, "{:?}", out.issues);
        let told = out.issues.iter().any(|i| i.message.contains("1234.5"));
        assert_eq!(told, policy == Policy::Keep, "{:?}", out.issues);
    }
}

//! An invented little schema, and rows of it from plain values.
use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc};
use tidegate::{
    checkpoint::{Checkpoint, Phase},
    decode::{Cut, Reject},
    entity::{Column, ColumnType, Entity, OnBad, Parent},
    id::{ConnectionId, Owner, TenantId},
    load::{
        Change, Commit, CompleteScan, Rows, Scanned, Verb,
        erase::{Claim, Order, Part, Whose},
        key_hash,
    },
    time::Timestamp,
};

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Text(String),
    Int(i64),
    Bool(bool),
    Decimal(i128),
    /// Days since 1970.
    Date(i32),
    /// Microseconds since 1970.
    Time(i64),
}

/// One row of an entity; absent columns are NULL.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) values: BTreeMap<String, Cell>,
    pub(crate) version: i64,
    pub(crate) observed_at: i64,
    pub(crate) row_hash: i64,
    pub(crate) deleted_at: Option<i64>,
}

pub(crate) fn owner(tenant: &str, connection: &str) -> Owner {
    Owner { tenant: TenantId::parse(tenant).unwrap(), connection: ConnectionId::parse(connection).unwrap() }
}

pub(crate) fn acme() -> Owner {
    owner("acme", "main")
}

fn entity(
    name: &str,
    parent: Option<(&str, &str)>,
    month: Option<&str>,
    columns: &[(&str, ColumnType)],
) -> Arc<Entity> {
    let column = |(name, ty): &(&str, ColumnType)| Column {
        name: (*name).into(),
        ty: *ty,
        pii: ["note", "label"].contains(name),
        on_bad: OnBad::Reject,
        meaning: "invented".into(),
        promoted: false,
    };
    Arc::new(Entity {
        name: name.into(),
        meaning: "invented".into(),
        parent: parent.map(|(entity, column)| Parent { entity: entity.into(), column: column.into() }),
        month: month.map(str::to_owned),
        columns: columns.iter().map(column).collect(),
    })
}

/// A main table by month, with every column type.
pub(crate) fn bills() -> Arc<Entity> {
    use ColumnType::*;
    let columns = [
        ("id", Text),
        ("day", Date),
        ("total", Money),
        ("quantity", Quantity),
        ("rate", Rate),
        ("count", Int),
        ("paid", Bool),
        ("sent_at", Timestamp),
        ("extra", Json),
        ("note", Text),
        ("owner", Text),
    ];
    entity("bills", None, Some("day"), &columns)
}

/// Its children.
pub(crate) fn lines() -> Arc<Entity> {
    use ColumnType::*;
    entity(
        "bill_lines",
        Some(("bills", "bill_id")),
        None,
        &[("id", Text), ("bill_id", Text), ("amount", Money)],
    )
}

/// A dimension without months.
pub(crate) fn people() -> Arc<Entity> {
    entity("people", None, None, &[("id", ColumnType::Text), ("name", ColumnType::Text)])
}

/// Children of the dimension.
pub(crate) fn emails() -> Arc<Entity> {
    use ColumnType::*;
    entity(
        "emails",
        Some(("people", "person_id")),
        None,
        &[("id", Text), ("person_id", Text), ("address", Text)],
    )
}

/// Children that come with bills or with people: each stream knows them by a parent column of its own.
pub(crate) fn tags(of: &str) -> Arc<Entity> {
    use ColumnType::*;
    let parent = if of == "bills" { "owner_bill_id" } else { "owner_person_id" };
    entity(
        "tags",
        Some((of, parent)),
        None,
        &[("id", Text), ("owner_bill_id", Text), ("owner_person_id", Text), ("label", Text)],
    )
}

/// Rows of `tags` of one parent.
pub(crate) fn tag_rows(owner: &Owner, of: &str, parent: &str, labels: &[&str]) -> (Arc<Entity>, RecordBatch) {
    let entity = tags(of);
    let column = entity.parent.as_ref().unwrap().column.clone();
    let tag = |label: &&str| {
        let values = [(column.as_str(), Cell::Text(parent.into())), ("label", Cell::Text((*label).into()))];
        row(&format!("{parent}:{of}:{label}"), 0, 1, &values)
    };
    let rows: Vec<Row> = labels.iter().map(tag).collect();
    let batch = batch(owner, &entity, &rows);
    (entity, batch)
}

pub(crate) fn entities() -> Vec<Arc<Entity>> {
    vec![bills(), lines(), people(), emails(), tags("bills")]
}

fn text(of: &Row, column: &str) -> String {
    match of.values.get(column) {
        Some(Cell::Text(text)) => text.clone(),
        other => panic!("{column} holds {other:?}"),
    }
}

fn hash(of: &impl std::fmt::Debug) -> i64 {
    key_hash(&format!("{of:?}")) as i64
}

pub(crate) fn row(id: &str, version: i64, observed_at: i64, values: &[(&str, Cell)]) -> Row {
    let mut all: BTreeMap<String, Cell> = values.iter().map(|(k, v)| ((*k).into(), v.clone())).collect();
    all.insert("id".into(), Cell::Text(id.into()));
    let row_hash = hash(&all);
    Row { values: all, version, observed_at, row_hash, deleted_at: None }
}

/// Rows of one entity as a batch of its schema.
pub(crate) fn batch(owner: &Owner, entity: &Entity, rows: &[Row]) -> RecordBatch {
    let mut columns: Vec<ArrayRef> = Vec::new();
    for name in [owner.tenant.as_str(), owner.connection.as_str(), "invented"] {
        columns.push(Arc::new(StringArray::from(vec![name; rows.len()])));
    }
    for column in &entity.columns {
        columns.push(own(column, rows));
    }
    let times = |of: &dyn Fn(&Row) -> Option<i64>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<TimestampMicrosecondArray>())
    };
    columns.push(Arc::new(rows.iter().map(|r| r.version).collect::<Int64Array>()));
    columns.push(times(&|_| None));
    columns.push(times(&|r| Some(r.observed_at)));
    columns.push(Arc::new(rows.iter().map(|r| r.row_hash).collect::<Int64Array>()));
    columns.push(times(&|r| r.deleted_at));
    RecordBatch::try_new(entity.schema(), columns).unwrap()
}

fn own(column: &Column, rows: &[Row]) -> ArrayRef {
    macro_rules! pick {
        ($array:ty, $cell:ident) => {
            rows.iter()
                .map(|r| match r.values.get(&column.name) {
                    Some(Cell::$cell(v)) => Some(v.clone()),
                    None => None,
                    Some(other) => panic!("{} holds {other:?}", column.name),
                })
                .collect::<$array>()
        };
    }
    let decimal = |p, s| -> ArrayRef {
        Arc::new(pick!(Decimal128Array, Decimal).with_precision_and_scale(p, s).unwrap())
    };
    match column.ty {
        ColumnType::Text | ColumnType::Json => Arc::new(pick!(StringArray, Text)),
        ColumnType::Int => Arc::new(pick!(Int64Array, Int)),
        ColumnType::Bool => Arc::new(pick!(BooleanArray, Bool)),
        ColumnType::Money => decimal(28, 8),
        ColumnType::Quantity => decimal(38, 12),
        ColumnType::Rate => decimal(24, 12),
        ColumnType::Timestamp => Arc::new(pick!(TimestampMicrosecondArray, Time)),
        ColumnType::Date => Arc::new(pick!(Date32Array, Date)),
    }
}

/// Months used by the tests, as days since 1970.
pub(crate) const JANUARY: i32 = 19_723;
pub(crate) const FEBRUARY: i32 = JANUARY + 31;

fn month(day: i32) -> String {
    chrono::DateTime::from_timestamp(i64::from(day) * 86_400, 0).unwrap().format("%Y-%m").to_string()
}

/// A bill and its lines. The hash of the bill covers its lines, as bodies do.
#[derive(Clone, Debug)]
pub(crate) struct Bill {
    pub(crate) row: Row,
    pub(crate) lines: Vec<Row>,
}

pub(crate) fn bill(
    id: &str,
    version: i64,
    observed_at: i64,
    day: Option<i32>,
    total: i128,
    lines: &[(&str, i128)],
) -> Bill {
    let mut values = vec![("total", Cell::Decimal(total))];
    values.extend(day.map(|d| ("day", Cell::Date(d))));
    let mut main = row(id, version, observed_at, &values);
    main.row_hash = hash(&(&main.values, lines));
    let line = |(line, amount): &(&str, i128)| {
        let mut row = row(
            line,
            version,
            observed_at,
            &[("bill_id", Cell::Text(id.into())), ("amount", Cell::Decimal(*amount))],
        );
        row.row_hash = hash(&(&row.values, day.map(month)));
        row
    };
    Bill { row: main, lines: lines.iter().map(line).collect() }
}

pub(crate) fn body(row: &Row) -> Bytes {
    let id = serde_json::Value::from(text(row, "id").replace('\0', ""));
    Bytes::from(format!("{{\"id\":{id},\"hash\":{}}}", row.row_hash))
}

pub(crate) fn bill_rows(owner: &Owner, bills: &[Bill]) -> Rows {
    let main: Vec<Row> = bills.iter().map(|b| b.row.clone()).collect();
    let children: Vec<Row> = bills.iter().flat_map(|b| b.lines.clone()).collect();
    Rows {
        entity: self::bills(),
        main: batch(owner, &self::bills(), &main),
        children: vec![(lines(), batch(owner, &lines(), &children))],
        bodies: main.iter().map(body).collect(),
    }
}

/// (id, observed_at, name, email ids).
pub(crate) fn people_rows(owner: &Owner, people: &[(&str, i64, &str, &[&str])]) -> Rows {
    let mut main = Vec::new();
    let mut children = Vec::new();
    for (id, observed_at, name, emails) in people {
        let mut person = row(id, 0, *observed_at, &[("name", Cell::Text((*name).into()))]);
        person.row_hash = hash(&(&person.values, emails));
        main.push(person);
        children.extend(emails.iter().map(|email| {
            let values = [
                ("person_id", Cell::Text((*id).into())),
                ("address", Cell::Text(format!("{email}@example.com"))),
            ];
            row(email, 0, *observed_at, &values)
        }));
    }
    Rows {
        entity: self::people(),
        main: batch(owner, &self::people(), &main),
        children: vec![(emails(), batch(owner, &emails(), &children))],
        bodies: main.iter().map(body).collect(),
    }
}

pub(crate) fn checkpoint(watermark: i64) -> Checkpoint {
    Checkpoint::new("invented", Phase::Windows { watermark: Timestamp(watermark), open: None })
}

/// A commit with nothing but its checkpoint.
/// An operator's act on one stream.
pub(crate) fn change(stream: &str, to: Option<Checkpoint>) -> Change {
    let to = [(stream.to_owned(), to)].into();
    Change { at: Timestamp(7), verb: Verb::Set, undoes: None, made_with: None, to }
}

pub(crate) fn empty(stream: &str, watermark: i64) -> Commit {
    Commit {
        stream: stream.into(),
        rows: None,
        rejects: Vec::new(),
        issues: Vec::new(),
        scan: None,
        checkpoint: checkpoint(watermark),
        keep_raw: true,
        as_of: None,
        resolves: Vec::new(),
        seen: Vec::new(),
        due: None,
        cleared: Vec::new(),
    }
}

pub(crate) fn commit(bills: &[Bill]) -> Commit {
    Commit { rows: Some(bill_rows(&acme(), bills)), ..empty("bills", 1) }
}

pub(crate) fn scan(seen: &[&str], asked_at: i64, delete_share_max: f64) -> CompleteScan {
    CompleteScan {
        found: Scanned::There(Arc::new(seen.iter().map(|id| key_hash(id)).collect())),
        asked_at: Timestamp(asked_at),
        delete_share_max,
    }
}

pub(crate) fn reject(key: &str, body: &'static str) -> Reject {
    Reject {
        stream: "bills".into(),
        key: Some(key.into()),
        rule: "wrong_type".into(),
        pointer: "/total".into(),
        message: "found text, expected a number".into(),
        asked_at: Timestamp(7),
        body: Bytes::from_static(body.as_bytes()),
    }
}

/// A commit of one bill that holds personal data: a note, a tag, a body, a quarantined state and a value that did not
/// fit.
pub(crate) fn noted(id: &str, version: i64, observed_at: i64, day: i32, said: &str) -> Commit {
    let mut bill = bill(id, version, observed_at, Some(day), 7, &[]);
    bill.row.values.insert("note".into(), Cell::Text(format!("{id} {said}")));
    bill.row.row_hash ^= hash(&said);
    let mut rows = bill_rows(&acme(), std::slice::from_ref(&bill));
    let text = |what: &str| serde_json::Value::from(format!("{id} {said}{what}"));
    rows.bodies = vec![Bytes::from(format!("{{\"id\":\"{id}\", \"note\":{},\"total\":7}}", text("")))];
    let (tags, batch) = tag_rows(&acme(), "bills", id, &[said]);
    let observed = TimestampMicrosecondArray::from_value(observed_at, batch.num_rows());
    let at = batch.schema().index_of("observed_at").unwrap();
    let mut columns = batch.columns().to_vec();
    columns[at] = Arc::new(observed);
    rows.children.push((tags, RecordBatch::try_new(batch.schema(), columns).unwrap()));
    let refused = Reject {
        asked_at: Timestamp(observed_at),
        message: format!("found {}, expected a number", text("!")),
        body: Bytes::from(format!("{{\"id\":\"{id}\",\"total\":\"x\",\"note\":{}}}", text("?"))),
        ..reject(id, "")
    };
    let misfit = tidegate::decode::Issue {
        entity: "bills".into(),
        id: id.into(),
        rule: "out_of_range".into(),
        column: "note".into(),
        message: format!("found {}", text("#")),
    };
    Commit { rows: Some(rows), rejects: vec![refused], issues: vec![misfit], ..empty("bills", 1) }
}

/// The erasure of these bills: (id, told at).
pub(crate) fn erasure(told: &[(&str, i64)]) -> Order {
    let claim = |(person, (id, told_at)): (usize, &(&str, i64))| {
        ((*id).to_owned(), Claim { told_at: *told_at, person })
    };
    let whose = Whose {
        column: "id".into(),
        at: "id".into(),
        when: None,
        of: told.iter().enumerate().map(claim).collect(),
    };
    let part = Part {
        stream: "bills".into(),
        entities: vec![bills(), lines(), tags("bills")],
        whose: vec![whose],
        cut: Arc::new(Cut::of(["note"])),
    };
    Order {
        persons: told.iter().map(|(id, _)| ("bills".to_owned(), (*id).to_owned())).collect(),
        done_at: Timestamp(99),
        parts: vec![part],
    }
}

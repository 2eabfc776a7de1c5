//! Small entities and their rows, made in code.
use arrow::{
    array::{
        ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
        TimestampMicrosecondArray,
    },
    datatypes::DataType,
};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc};
use tidegate::{
    checkpoint::{Checkpoint, Phase},
    entity::{Column, ColumnType, Entity, OnBad, Parent},
    id::{ConnectionId, Owner, TenantId},
    load::{Commit, CompleteScan, Rows, Scanned, key_hash},
    time::Timestamp,
};

pub(crate) fn owner(tenant: &str) -> Owner {
    Owner { tenant: TenantId::parse(tenant).unwrap(), connection: ConnectionId::parse("main").unwrap() }
}

fn column(name: &str, ty: ColumnType) -> Column {
    Column {
        name: name.into(),
        ty,
        pii: false,
        on_bad: OnBad::Null,
        meaning: format!("The row's {name}"),
        promoted: false,
    }
}

fn entity(name: &str, parent: Option<Parent>, columns: Vec<Column>) -> Arc<Entity> {
    Arc::new(Entity {
        name: name.into(),
        meaning: format!("It's about {name}"),
        parent,
        month: None,
        columns,
    })
}

/// A main entity with a column of every type.
pub(crate) fn bills() -> Arc<Entity> {
    entity(
        "bills",
        None,
        vec![
            column("id", ColumnType::Text),
            column("note", ColumnType::Text),
            column("count", ColumnType::Int),
            column("paid", ColumnType::Bool),
            column("total", ColumnType::Money),
            column("quantity", ColumnType::Quantity),
            column("rate", ColumnType::Rate),
            column("at", ColumnType::Timestamp),
            column("day", ColumnType::Date),
            column("extra", ColumnType::Json),
        ],
    )
}

/// Its child entity.
pub(crate) fn lines() -> Arc<Entity> {
    let parent = Parent { entity: "bills".into(), column: "bill_id".into() };
    let columns = vec![
        column("id", ColumnType::Text),
        column("bill_id", ColumnType::Text),
        column("amount", ColumnType::Money),
    ];
    entity("bill_lines", Some(parent), columns)
}

/// A value of an own column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Text(String),
    Int(i64),
    Bool(bool),
    Decimal(i128),
}

/// One row: state and own columns; what is not named is NULL.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) version: i64,
    pub(crate) observed_at: i64,
    pub(crate) row_hash: i64,
    pub(crate) deleted_at: Option<i64>,
    pub(crate) cells: BTreeMap<&'static str, Cell>,
}

impl Row {
    pub(crate) fn new(id: &str, version: i64, observed_at: i64, row_hash: i64) -> Self {
        Self { id: id.into(), version, observed_at, row_hash, ..Self::default() }
    }
    pub(crate) fn with(mut self, name: &'static str, cell: Cell) -> Self {
        self.cells.insert(name, cell);
        self
    }
}

/// A line of a bill; its hash follows from its columns.
pub(crate) fn line(id: &str, bill: &str, amount: i128) -> Row {
    let hash =
        i64::try_from(amount).unwrap() * 31 + id.bytes().chain(bill.bytes()).map(i64::from).sum::<i64>();
    Row::new(id, 0, 1, hash).with("bill_id", Cell::Text(bill.into())).with("amount", Cell::Decimal(amount))
}

fn array(ty: &DataType, name: &str, rows: &[Row], owner: &Owner) -> ArrayRef {
    let int = |row: &Row| match (name, row.cells.get(name)) {
        ("version", _) => Some(row.version),
        ("observed_at", _) => Some(row.observed_at),
        ("row_hash", _) => Some(row.row_hash),
        ("deleted_at", _) => row.deleted_at,
        (_, Some(Cell::Int(n))) => Some(*n),
        _ => None,
    };
    let text = |row: &Row| match (name, row.cells.get(name)) {
        ("tenant_id", _) => Some(owner.tenant.to_string()),
        ("connection_id", _) => Some(owner.connection.to_string()),
        ("provider", _) => Some("test".into()),
        ("id", _) => Some(row.id.clone()),
        (_, Some(Cell::Text(t))) => Some(t.clone()),
        _ => None,
    };
    match ty {
        DataType::Utf8 => Arc::new(rows.iter().map(text).collect::<StringArray>()),
        DataType::Int64 => Arc::new(rows.iter().map(int).collect::<Int64Array>()),
        DataType::Timestamp(..) => Arc::new(rows.iter().map(int).collect::<TimestampMicrosecondArray>()),
        DataType::Date32 => {
            Arc::new(rows.iter().map(|r| int(r).map(|n| i32::try_from(n).unwrap())).collect::<Date32Array>())
        }
        DataType::Boolean => Arc::new(
            rows.iter()
                .map(|r| match r.cells.get(name) {
                    Some(Cell::Bool(b)) => Some(*b),
                    _ => None,
                })
                .collect::<BooleanArray>(),
        ),
        DataType::Decimal128(p, s) => Arc::new(
            rows.iter()
                .map(|r| match r.cells.get(name) {
                    Some(Cell::Decimal(d)) => Some(*d),
                    _ => None,
                })
                .collect::<Decimal128Array>()
                .with_precision_and_scale(*p, *s)
                .unwrap(),
        ),
        other => panic!("no such column type: {other}"),
    }
}

/// The rows as a batch of the entity's schema.
pub(crate) fn batch(entity: &Entity, rows: &[Row], owner: &Owner) -> RecordBatch {
    let schema = entity.schema();
    let columns = schema.fields().iter().map(|f| array(f.data_type(), f.name(), rows, owner)).collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

pub(crate) fn checkpoint(watermark: i64) -> Checkpoint {
    let phase = Phase::Windows { watermark: Timestamp(watermark), open: None };
    Checkpoint::new("abc", phase)
}

/// A commit of the stream `bills` that holds nothing but a checkpoint.
pub(crate) fn empty(watermark: i64) -> Commit {
    Commit {
        stream: "bills".into(),
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

/// Bills and lines; each body is `{"id":..,"h":<row_hash>}`.
pub(crate) fn commit(owner: &Owner, watermark: i64, bill_rows: &[Row], line_rows: &[Row]) -> Commit {
    let bodies = bill_rows
        .iter()
        .map(|r| Bytes::from(format!("{{\"id\":{:?},\"h\":{}}}", r.id, r.row_hash)))
        .collect();
    let rows = Rows {
        entity: bills(),
        main: batch(&bills(), bill_rows, owner),
        children: vec![(lines(), batch(&lines(), line_rows, owner))],
        bodies,
    };
    Commit { rows: Some(rows), ..empty(watermark) }
}

pub(crate) fn scan(seen: &[&str], asked_at: i64, delete_share_max: f64) -> CompleteScan {
    CompleteScan {
        found: Scanned::There(Arc::new(seen.iter().map(|id| key_hash(id)).collect())),
        asked_at: Timestamp(asked_at),
        delete_share_max,
    }
}

//! Unified tables: what a column is called, what it holds, what happens to a bad value.
//!
//! Arrow schema, Postgres DDL and data dictionary all derive from here. Knows nothing of providers.
mod month;
mod policy;
mod raw;
pub use month::Month;
pub use policy::{Policies, Policy, pseudonym};
pub use raw::load;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use std::sync::Arc;

/// What a unified column may hold; the same on every destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// UTF-8 without U+0000.
    Text,
    /// 64-bit signed integer.
    Int,
    /// True or false.
    Bool,
    /// DECIMAL(28,8), major units of the row's currency.
    Money,
    /// DECIMAL(38,12): quantities and unit prices.
    Quantity,
    /// DECIMAL(24,12): exchange and tax rates.
    Rate,
    /// UTC without zone, microseconds.
    Timestamp,
    /// Civil date in the connection's zone.
    Date,
    /// Canonical JSON text: sorted keys, numbers as in the source.
    Json,
}

impl ColumnType {
    /// The Arrow type of the column.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Text | Self::Json => DataType::Utf8,
            Self::Int => DataType::Int64,
            Self::Bool => DataType::Boolean,
            Self::Money => DataType::Decimal128(28, 8),
            Self::Quantity => DataType::Decimal128(38, 12),
            Self::Rate => DataType::Decimal128(24, 12),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Date => DataType::Date32,
        }
    }
    /// The Postgres type of the column. JSON stays text-like (`json`), so that both destinations hold equal bytes.
    pub fn postgres(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Int => "bigint",
            Self::Bool => "boolean",
            Self::Money => "numeric(28,8)",
            Self::Quantity => "numeric(38,12)",
            Self::Rate => "numeric(24,12)",
            Self::Timestamp => "timestamp",
            Self::Date => "date",
            Self::Json => "json",
        }
    }
    /// The word used in `connectors/unified/*.yaml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Int => "int",
            Self::Bool => "bool",
            Self::Money => "money",
            Self::Quantity => "quantity",
            Self::Rate => "rate",
            Self::Timestamp => "timestamp",
            Self::Date => "date",
            Self::Json => "json",
        }
    }
}

/// What a value that does not fit does to its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnBad {
    /// The whole record (document and children) is quarantined.
    Reject,
    /// The column is NULL and a quality issue is recorded.
    Null,
}

/// One column of a unified table.
#[derive(Clone, Debug)]
pub struct Column {
    /// snake_case.
    pub name: String,
    /// What it holds.
    pub ty: ColumnType,
    /// Personal data.
    pub pii: bool,
    /// What a bad value does.
    pub on_bad: OnBad,
    /// One sentence for the data dictionary.
    pub meaning: String,
    /// Its value is the member of that name in the row's `custom_fields`, not an answer of the mapping.
    pub promoted: bool,
}

/// Where a child entity hangs.
#[derive(Clone, Debug)]
pub struct Parent {
    /// The main entity.
    pub entity: String,
    /// The child's column that holds the parent's id.
    pub column: String,
}

/// One unified table.
#[derive(Clone, Debug)]
pub struct Entity {
    /// Table name, plural, snake_case.
    pub name: String,
    /// One sentence for the data dictionary.
    pub meaning: String,
    /// Present for child entities, which are written as a set per parent.
    pub parent: Option<Parent>,
    /// The date column whose month partitions the lake; a child uses its parent's. None: not partitioned.
    pub month: Option<String>,
    /// Own columns; the first is `id`, text.
    pub columns: Vec<Column>,
}

/// Columns before the entity's own, all text, never null.
pub const PREFIX: [&str; 3] = ["tenant_id", "connection_id", "provider"];

/// Columns after the entity's own.
pub const SUFFIX: [(&str, ColumnType, bool, &str); 5] = [
    ("version", ColumnType::Int, false, "Provider's version of the row, else 0"),
    ("source_updated_at", ColumnType::Timestamp, true, "Provider's own modification time"),
    ("observed_at", ColumnType::Timestamp, false, "When the request that first returned this state was sent"),
    ("row_hash", ColumnType::Int, false, "Hash of the state; equal hash means unchanged"),
    ("deleted_at", ColumnType::Timestamp, true, "When the row was found deleted; NULL while it lives"),
];

impl Entity {
    /// Arrow schema of current rows: `PREFIX`, own columns, `SUFFIX`. Own columns other than `id` are nullable.
    pub fn schema(&self) -> SchemaRef {
        let text = |name: &str| Field::new(name, DataType::Utf8, false);
        let own = self.columns.iter().map(|c| Field::new(&c.name, c.ty.arrow(), c.name != "id"));
        let suffix = SUFFIX.iter().map(|(name, ty, null, _)| Field::new(*name, ty.arrow(), *null));
        Arc::new(Schema::new(PREFIX.iter().map(|n| text(n)).chain(own).chain(suffix).collect::<Vec<_>>()))
    }
    /// Arrow schema of history rows: those of `schema`, then `op` (`upsert` or `remove`) and `commit_no`.
    pub fn history_schema(&self) -> SchemaRef {
        let mut fields: Vec<Field> = self.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
        fields.push(Field::new("op", DataType::Utf8, false));
        fields.push(Field::new("commit_no", DataType::Int64, false));
        Arc::new(Schema::new(fields))
    }
    /// The own column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }
}

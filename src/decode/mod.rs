//! Bytes to typed records: declared shape in, Arrow and rejects out. Ours, because exactness is decided here.
//!
//! Knows nothing of HTTP, entities or SQL. What must hold is `tests/decode_exactness.rs`, row by row.
mod column;
mod cut;
mod datetime;
mod decoder;
mod fault;
mod json;
mod names;
mod number;
mod object;
mod page;
mod read;
mod scan;
mod shape;
mod text;
mod told;

pub use cut::{Cut, texts};
pub use decoder::Decoder;
pub use fault::Rule;
pub use page::page;
pub use scan::DEPTH_MAX;
pub use told::Told;

use crate::time::Timestamp;
use arrow::array::RecordBatch;
use bytes::Bytes;
use std::ops::Range;

/// What a declared field holds on the wire, and so its Arrow type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// JSON string -> Utf8.
    Text,
    /// Integral JSON number in i64 -> Int64.
    Int,
    /// The same, or a JSON string holding one -> Int64.
    IntOrText,
    /// true or false -> Boolean.
    Bool,
    /// JSON number, exact -> Decimal128(precision, scale). `from_text`: a JSON string holding one.
    Decimal {
        /// Digits.
        precision: u8,
        /// Digits after the point.
        scale: i8,
        /// The wire holds a JSON string.
        from_text: bool,
    },
    /// JSON number (or string) -> Decimal128(24, 12), rounded half-even, never refused for its digits after the point.
    Rate,
    /// Seconds since 1970, 1970..=9999 -> Timestamp(Microsecond).
    EpochS,
    /// Milliseconds since 1970 -> Timestamp(Microsecond).
    EpochMs,
    /// ISO 8601 text; `naive_utc`: one without a zone is UTC, else it is refused -> Timestamp(Microsecond).
    DateTime {
        /// A time without a zone is UTC.
        naive_utc: bool,
    },
    /// `yyyy-mm-dd` -> Date32.
    Date,
    /// Any JSON value -> Utf8: canonical text (sorted keys, numbers as in the source). JSON null is NULL.
    Json,
    /// JSON array -> List.
    List(Box<Type>),
    /// JSON object -> Struct.
    Struct(Struct),
}

/// A declared object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Struct {
    /// In the order of the file.
    pub fields: Vec<Field>,
    /// Undeclared keys by prefix, into one JSON object column: (column name, prefix). Absent keys: NULL.
    pub rest: Vec<(String, Vec<String>)>,
}

/// One declared key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Wire name, also the column name.
    pub name: String,
    /// What it holds.
    pub ty: Type,
}

/// One answer of the provider, cut into records.
#[derive(Clone, Debug)]
pub struct Page {
    /// The whole body.
    pub body: Bytes,
    /// Each record's bytes in `body`, in order.
    pub records: Vec<Range<usize>>,
    /// The next page's token, as text, if any.
    pub next: Option<String>,
    /// The provider's count of all rows, if the stream declares where it is.
    pub total: Option<u64>,
    /// When the request was sent.
    pub asked_at: Timestamp,
}

/// Where things are in an answer.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// `/list/*/invoice`, `/results/*`, `/*`.
    pub records: String,
    /// Pointer to the next token.
    pub next: Option<String>,
    /// Pointer to the count of all rows.
    pub total: Option<String>,
}

/// Which fields of the shape mean something to the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Text (or IntOrText) field.
    pub key: String,
    /// Int field.
    pub version: Option<String>,
    /// Time field.
    pub updated: Option<String>,
    /// What marks a deleted record.
    pub deleted: Option<Mark>,
}

/// How a record says that it is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A Bool field that is true.
    Flag(String),
    /// A Text field that holds one word.
    Word {
        /// Its name.
        field: String,
        /// The word.
        is: String,
    },
}

impl Mark {
    /// The field that is looked at.
    pub fn field(&self) -> &String {
        match self {
            Self::Flag(field) | Self::Word { field, .. } => field,
        }
    }
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(field) => f.write_str(field),
            Self::Word { field, is } => write!(f, "{field}: {is}"),
        }
    }
}

impl From<&str> for Mark {
    fn from(field: &str) -> Self {
        Self::Flag(field.to_owned())
    }
}

/// Accepted records, column by column, and beside them what the machine needs of each.
#[derive(Clone, Debug)]
pub struct Records {
    /// The declared fields and rest columns; row i is record i.
    pub batch: RecordBatch,
    /// Each record's key.
    pub key: Vec<String>,
    /// Provider's version, else 0.
    pub version: Vec<i64>,
    /// Provider's modification time.
    pub updated_at: Vec<Option<Timestamp>>,
    /// Deleted flag.
    pub deleted: Vec<bool>,
    /// When the request that returned it was sent.
    pub asked_at: Vec<Timestamp>,
    /// The record as received (a slice of its page).
    pub body: Vec<Bytes>,
    /// Low half of the xxh3-128 of the body.
    pub body_hash: Vec<u64>,
}

/// A record that was refused, with everything needed to show and to redrive it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Stream it came from.
    pub stream: String,
    /// The record's key, when it could be read.
    pub key: Option<String>,
    /// Closed vocabulary: the names of `Rule`.
    pub rule: String,
    /// JSON pointer into the record; empty for the whole.
    pub pointer: String,
    /// One sentence: what was found, what was expected.
    pub message: String,
    /// When the request that returned it was sent.
    pub asked_at: Timestamp,
    /// The record as received.
    pub body: Bytes,
}

/// A value that did not fit its column and became NULL (`on_bad: null`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Unified table.
    pub entity: String,
    /// Row.
    pub id: String,
    /// Closed vocabulary, as `Reject::rule`.
    pub rule: String,
    /// Column.
    pub column: String,
    /// One sentence: what was found, what was expected.
    pub message: String,
}

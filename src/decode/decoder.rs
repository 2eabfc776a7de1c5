//! Pages in, one batch and its rejects out. A refused record leaves no trace in the batch and loses nothing: its
//! bytes and its reason are in the reject.
//!
//! Absent on purpose: when to finish is the caller's choice.
use super::{
    Keys, Page, Records, Reject, Struct,
    column::{Column, broken},
    fault::{Fault, Read, Rule},
    number,
    object::Object,
    scan::Scan,
    shape::{Gone, Places, prove},
    told::{Look, Told, members},
};
use crate::{
    error::{Error, Kind, Result},
    time::Timestamp,
};
use arrow::{
    array::RecordBatch,
    datatypes::{Schema, SchemaRef},
};
use bytes::Bytes;
use std::{mem, sync::Arc};

/// Bytes of records between two finishes. No column grows faster than its records, so 32-bit offsets hold.
const BYTES_MAX: usize = i32::MAX as usize;

/// Turns the records of one stream into Arrow columns.
pub struct Decoder {
    stream: String,
    key: String,
    /// How another stream tells of this one's deletes, when one does.
    told: Option<Told>,
    places: Places,
    schema: SchemaRef,
    object: Object,
    rows: Rows,
    rejects: Vec<Reject>,
    bytes: usize,
}

/// `Records` without its batch.
#[derive(Default)]
struct Rows {
    key: Vec<String>,
    version: Vec<i64>,
    updated_at: Vec<Option<Timestamp>>,
    deleted: Vec<bool>,
    asked_at: Vec<Timestamp>,
    body: Vec<Bytes>,
    body_hash: Vec<u64>,
}

impl Decoder {
    /// Fails `Invalid` when a field of `keys` is not declared or has the wrong type, a column is declared twice, or a
    /// decimal cannot be.
    pub fn new(stream: &str, shape: &Struct, keys: &Keys) -> Result<Self> {
        let (places, object) = prove(shape, keys)
            .and_then(|places| Ok((places, Object::new(shape)?)))
            .map_err(|e| e.with("stream", stream))?;
        Ok(Self {
            stream: stream.to_string(),
            key: keys.key.clone(),
            told: None,
            places,
            schema: Arc::new(Schema::new(Object::fields(shape))),
            object,
            rows: Rows::default(),
            rejects: Vec::new(),
            bytes: 0,
        })
    }
    /// The same decoder, which also takes events that tell of deletes: the record inside one is decoded as deleted.
    /// Events that do not concern the stream are passed over.
    #[must_use]
    pub fn with_told(self, told: Option<Told>) -> Self {
        Self { told, ..self }
    }
    /// The declared fields in order, then the rest columns; all nullable.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
    /// Rows accepted since the last finish.
    pub fn len(&self) -> usize {
        self.rows.key.len()
    }
    /// Nothing was accepted since the last finish; there may be rejects.
    pub fn is_empty(&self) -> bool {
        self.rows.key.is_empty()
    }
    /// Bytes of all records pushed since the last finish, accepted or refused. They are kept in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Decodes every record of the page, in order. At most 2 GiB of records between two finishes: past it nothing more
    /// is taken, and `finish` fails.
    pub fn push(&mut self, page: &Page) {
        for range in &page.records {
            let whole = range.start <= range.end && range.end <= page.body.len();
            let body = if whole { page.body.slice(range.clone()) } else { Bytes::new() };
            self.bytes = self.bytes.saturating_add(body.len());
            if self.bytes > BYTES_MAX {
                return;
            }
            self.push_record(body, page.asked_at);
        }
    }
    fn push_record(&mut self, body: Bytes, asked_at: Timestamp) {
        let (told, record) = match self.told.as_ref().map_or(Look::Own, |told| told.look(&body)) {
            Look::Own => (false, body.clone()),
            Look::Other => return,
            Look::Deleted(Some(range)) => (true, body.slice(range)),
            Look::Deleted(None) => {
                let fault = Fault::new(Rule::NotAnObject, 0, "no record", "the deleted record");
                let fault =
                    self.told.iter().flat_map(|t| t.record.iter().rev()).fold(fault, |f, k| f.under_key(k));
                return self.refuse(&fault, None, body, asked_at);
            }
        };
        match self.read(&record, told) {
            Ok(key) => {
                let row = self.rows.key.len();
                let column = |place: Option<usize>| place.and_then(|i| self.object.column(i));
                let deleted = match &self.places.deleted {
                    Some(Gone::Flag(place)) => column(Some(*place)).is_some_and(|c| c.is_true(row)),
                    Some(Gone::Word(place, word)) => {
                        column(Some(*place)).and_then(|c| Column::key(c, row)).is_some_and(|w| w == *word)
                    }
                    None => false,
                };
                let rows = &mut self.rows;
                rows.key.push(key);
                rows.version.push(column(self.places.version).and_then(|c| c.int(row)).unwrap_or(0));
                rows.updated_at.push(column(self.places.updated).and_then(|c| c.int(row)).map(Timestamp));
                rows.deleted.push(told || deleted);
                rows.asked_at.push(asked_at);
                rows.body_hash.push(hash(&record));
                rows.body.push(body);
            }
            Err(fault) => {
                self.object.truncate(self.rows.key.len());
                self.refuse(&fault, readable_key(&record, &self.key), body, asked_at);
            }
        }
    }
    fn refuse(&mut self, fault: &Fault, key: Option<String>, body: Bytes, asked_at: Timestamp) {
        self.rejects.push(Reject {
            stream: self.stream.clone(),
            key,
            rule: fault.rule.name().to_string(),
            pointer: fault.pointer(),
            message: fault.message(),
            asked_at,
            body,
        });
    }
    /// Appends one record to the columns and gives its key; when it fails, they may hold a part of it.
    /// A told delete without the version that orders it could lose against the state that it ends.
    fn read(&mut self, body: &[u8], told: bool) -> Read<String> {
        let row = self.rows.key.len();
        if let Err(e) = str::from_utf8(body) {
            let found = format!("a byte that is not UTF-8 at {}", e.valid_up_to());
            return Err(Fault::new(Rule::BadUnicode, e.valid_up_to(), found, "UTF-8"));
        }
        let mut scan = Scan::record(body);
        if scan.peek() != b'{' {
            return Err(scan.refuse(scan.at(), Rule::NotAnObject, "an object"));
        }
        self.object.read(&mut scan)?;
        scan.end()?;
        if told
            && let Some(place) = self.places.version
            && self.object.column(place).and_then(|c| c.int(row)).is_none()
        {
            return Err(Fault::new(
                Rule::MissingVersion,
                scan.at(),
                "no version",
                "the version of the delete",
            ));
        }
        let key = self.object.column(self.places.key).and_then(|column| Column::key(column, row));
        key.filter(|key| !key.is_empty()).ok_or_else(|| {
            Fault::new(Rule::MissingKey, scan.at(), "no key", "the record's key here").under_key(&self.key)
        })
    }

    /// What was pushed since the last finish; the decoder is empty afterwards, also when this fails.
    pub fn finish(&mut self) -> Result<(Records, Vec<Reject>)> {
        let bytes = mem::take(&mut self.bytes);
        let rows = mem::take(&mut self.rows);
        let rejects = mem::take(&mut self.rejects);
        let (_, columns) = self.object.finish()?;
        if bytes > BYTES_MAX {
            return Err(Error::new(Kind::Bug, "more than 2 GiB of records were decoded into one batch")
                .with("stream", &self.stream));
        }
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(broken)?;
        let Rows { key, version, updated_at, deleted, asked_at, body, body_hash } = rows;
        Ok((Records { batch, key, version, updated_at, deleted, asked_at, body, body_hash }, rejects))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half of the hash is the hash")]
fn hash(body: &[u8]) -> u64 {
    twox_hash::XxHash3_128::oneshot(body) as u64
}

/// The key of a refused record: the text or number under `name`, when that is there once (or twice the same).
fn readable_key(body: &[u8], name: &str) -> Option<String> {
    let mut scan = Scan::record(body);
    let mut keys = Vec::new();
    // Whatever stops the walk, what was read before it counts.
    let _ = members(&mut scan, &mut |scan, field| {
        if field != name.as_bytes() {
            return scan.skip();
        }
        let text = match scan.peek() {
            b'"' => scan.string()?.text().map(|text| text.into_owned()).unwrap_or_default(),
            b'-' | b'0'..=b'9' => {
                let text = scan.number()?;
                number::int(text).map_or_else(|_| text.to_vec(), |n| n.to_string().into_bytes())
            }
            _ => return scan.skip(),
        };
        keys.extend(String::from_utf8(text).ok().filter(|key| !key.is_empty()));
        Ok(())
    });
    let key = keys.pop()?;
    keys.iter().all(|other| *other == key).then_some(key)
}

//! Stand-in until the real decoder is merged: cuts a body into records.
use super::{Envelope, Page};
use crate::{
    error::{Error, Kind, Result},
    time::Timestamp,
};
use bytes::Bytes;
use serde_json::{Value, value::RawValue};
use std::collections::BTreeMap;

/// Cuts a body into records. Fails `Drift` when it is not JSON or the list is not where the envelope says.
pub fn page(body: Bytes, envelope: &Envelope, asked_at: Timestamp) -> Result<Page> {
    let drift = |what: &str| Error::new(Kind::Drift, what.to_owned());
    let value: Value = serde_json::from_slice(&body).map_err(|e| drift("not JSON").because(e))?;
    let text = std::str::from_utf8(&body).map_err(|e| drift("not UTF-8").because(e))?;
    let (before, after) = envelope.records.split_once('*').ok_or_else(|| drift("the list has no `*`"))?;
    let mut raw: &RawValue = serde_json::from_str(text).map_err(|e| drift("not JSON").because(e))?;
    for name in before.split('/').filter(|s| !s.is_empty()) {
        raw = member(raw, name).ok_or_else(|| drift("the list is missing"))?;
    }
    let items: Vec<&RawValue> =
        serde_json::from_str(raw.get()).map_err(|e| drift("the list is not a list").because(e))?;
    let mut records = Vec::new();
    for mut item in items {
        for name in after.split('/').filter(|s| !s.is_empty()) {
            item = member(item, name).ok_or_else(|| drift("a record is missing"))?;
        }
        let start = item.get().as_ptr() as usize - text.as_ptr() as usize;
        records.push(start..start + item.get().len());
    }
    let next = envelope.next.as_ref().and_then(|p| value.pointer(p)).filter(|v| !v.is_null());
    let total = envelope.total.as_ref().and_then(|p| value.pointer(p)).and_then(Value::as_u64);
    let next = next.map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
    Ok(Page { body, records, next, total, asked_at })
}

fn member<'a>(raw: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    serde_json::from_str::<BTreeMap<String, &RawValue>>(raw.get()).ok()?.remove(name)
}

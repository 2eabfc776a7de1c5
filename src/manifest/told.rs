//! How does another stream tell of a stream's deletes? Proven against both streams.
//!
//! What such an event looks like is `decode::Told`; asking for it is the stream's own second walk (`extract`), so
//! nobody has to read the other stream for its own sake.
use super::{Cursor, Deletes, Stream, prove::Prover, raw};
use crate::{
    decode::{Told, Type},
    error::Result,
    yaml::{line, suggest},
};
use serde_saphyr::Spanned;
use std::sync::Arc;

/// Gives every stream that declares `deletes` its second walk.
pub(super) fn resolve(
    prover: &Prover<'_>,
    raw: &[(Spanned<String>, raw::Stream)],
    streams: &mut [Stream],
) -> Result<()> {
    for (i, (_, body)) in raw.iter().enumerate() {
        let (Some(raw), Some(own)) = (&body.deletes, streams.get(i)) else { continue };
        let deletes = deletes(prover, &raw.value, own, streams)?;
        if let Some(own) = streams.get_mut(i) {
            own.deletes = Some(deletes);
        }
    }
    Ok(())
}

fn deletes(p: &Prover<'_>, raw: &raw::Deletes, own: &Stream, streams: &[Stream]) -> Result<Deletes> {
    let known = streams.iter().map(|s| s.name.as_str()).filter(|name| *name != own.name);
    let from = streams.iter().find(|s| s.name == raw.from.value && s.name != own.name).ok_or_else(|| {
        let what = format!("`{}` is no other stream that could tell of deletes", raw.from.value);
        p.file.error(line(&raw.from), what).hint(suggest(&raw.from.value, known))
    })?;
    let Cursor::Window { send, unit, overlap, lag, sort, .. } = &from.cursor else {
        let what = format!("`{}` has no window cursor, so its events cannot be followed", from.name);
        return Err(p.file.error(line(&raw.from), what));
    };
    if matches!(own.cursor, Cursor::Snapshot { .. }) {
        let what = "a snapshot stream needs no `deletes`: its complete scans prove them";
        return Err(p.file.error(line(&raw.from), what));
    }
    let texts = || from.record.fields.iter().filter(|f| f.ty == Type::Text).map(|f| f.name.as_str());
    if !texts().any(|name| name == raw.field.value) {
        let what = format!("`{}` is not a text field of `{}`", raw.field.value, from.name);
        return Err(p.file.error(line(&raw.field), what).hint(suggest(&raw.field.value, texts())));
    }
    if own.record.fields.iter().any(|f| f.name == raw.field.value) {
        let what = format!(
            "`{}` is a field of this stream's records too, so events look like them",
            raw.field.value
        );
        return Err(p.file.error(line(&raw.field), what));
    }
    if raw.any_of.value.is_empty() {
        return Err(p.file.error(line(&raw.any_of), "`any_of` must name at least one text"));
    }
    let taken = from.query.iter().map(|(name, _)| name).chain([send]);
    if taken.into_iter().any(|name| *name == raw.send.value) {
        let what = format!("`{}` sends the parameter `{}` already", from.name, raw.send.value);
        return Err(p.file.error(line(&raw.send), what));
    }
    let record = p.pointer(&raw.record)?.split('/').skip(1).map(str::to_owned).collect();
    let told = Told { field: raw.field.value.clone(), any_of: raw.any_of.value.clone(), record };
    let words: Vec<serde_json::Value> = told.any_of.iter().map(|w| w.as_str().into()).collect();
    let mut query = from.query.clone();
    query.push((raw.send.value.clone(), serde_json::Value::from(words).to_string()));
    let walk = Stream {
        path: from.path.clone(),
        records: from.records.clone(),
        query,
        paging: from.paging.clone(),
        // Deletes are few: a first walk over them in one piece costs fewer requests than slices.
        cursor: Cursor::Window {
            send: send.clone(),
            unit: *unit,
            overlap: *overlap,
            lag: *lag,
            sort: sort.clone(),
            slices: None,
        },
        ..own.clone()
    };
    Ok(Deletes { told, walk: Arc::new(walk) })
}

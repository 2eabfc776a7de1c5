//! What of a stream's records tells of a person, whose they are, and which stream tells that a person's data was
//! cleared. Proven against record, tables and the other streams.
//!
//! Absent on purpose: cutting (`decode::Cut`), and what is done with stored data (`load`).
use super::{Clearing, Personal, Stream, Whose, prove::Prover, raw};
use crate::{
    decode::{Cut, Mark, Struct, Type},
    error::Result,
    yaml::{Pairs, WordOr, line, suggest},
};
use serde_saphyr::Spanned;
use std::sync::Arc;

type Raw = [(Spanned<String>, raw::Stream)];

/// Gives every stream what it declares. In a connector that tells of clearings, a stream that feeds a column of
/// personal data must say what of its records is personal.
pub(super) fn resolve(p: &Prover<'_>, raw: &Raw, streams: &mut [Stream]) -> Result<()> {
    let mut found = Vec::new();
    for ((_, body), stream) in raw.iter().zip(streams.iter()) {
        let clearing = body.erasure.as_ref().map(|e| clearing(p, &e.value, stream)).transpose()?;
        let personal = body.personal.as_ref().map(|raw| Proof { p, stream }.personal(raw)).transpose()?;
        found.push((clearing, personal));
    }
    like(p, raw, &mut found)?;
    let mut telling = raw.iter().filter_map(|(_, body)| body.erasure.as_ref());
    let tells = telling.next().is_some();
    if let Some(second) = telling.next() {
        return Err(p.file.error(line(second), "only one stream of a connector tells of erasures"));
    }
    for (((name, body), stream), (clearing, personal)) in raw.iter().zip(streams).zip(found) {
        let hidden = stream.feeds.iter().find_map(|f| Some((f, f.entity.columns.iter().find(|c| c.pii)?)));
        if let (true, None, Some((feed, column))) = (tells, &personal, hidden) {
            let what = format!(
                "stream `{}` feeds `{}.{}`, which is personal data, and does not say what of its records is personal",
                name.value, feed.entity.name, column.name
            );
            return Err(p
                .file
                .error(line(name), what)
                .hint("add `personal: { of: [customer_id], paths: [..] }`"));
        }
        if let (Some(at), Some(_)) = (&body.personal, &stream.deletes) {
            let what =
                "a stream whose deletes are told by events has no `personal`: their records lie deeper";
            return Err(p.file.error(line(at), what));
        }
        if let (Some(at), None) = (&body.erasure, &personal) {
            return Err(p.file.error(line(at), "a stream that tells of erasures needs `personal`"));
        }
        if let (Some(at), Some((whose, cut))) = (&body.personal, &personal) {
            needed(p, line(at), stream, clearing.as_ref(), whose, cut)?;
        }
        stream.clearing = clearing;
        stream.personal = personal
            .map(|(whose, cut)| Personal { whose, cut: Arc::new(Cut::of(cut.iter().map(String::as_str))) });
    }
    vias(p, raw)
}

/// What tells records, their states and their persons from each other is not cut out.
fn needed(
    p: &Prover<'_>,
    at: u64,
    stream: &Stream,
    clearing: Option<&Clearing>,
    whose: &[Whose],
    cut: &[String],
) -> Result<()> {
    let cut = Cut::of(cut.iter().map(String::as_str));
    let own = [Some(&stream.key), stream.version.as_ref(), stream.updated.as_ref()].into_iter().flatten();
    let marks = stream.deleted.as_ref().map(Mark::field).into_iter().chain(clearing.map(|c| &c.field));
    let persons = whose.iter().flat_map(|w| [Some(&w.at), w.when.as_ref().map(|(field, _)| field)]).flatten();
    match own.chain(marks).chain(persons).find(|path| cut.takes(path)) {
        None => Ok(()),
        Some(path) => {
            let what = format!("`{path}` cannot be personal: the stream needs it to tell records apart");
            Err(p.file.error(at, what).hint("name the members more narrowly"))
        }
    }
}

fn clearing(p: &Prover<'_>, raw: &raw::Erasure, stream: &Stream) -> Result<Clearing> {
    let texts = || stream.record.fields.iter().filter(|f| f.ty == Type::Text).map(|f| f.name.as_str());
    let field = &raw.field.value;
    if !texts().any(|name| name == field) {
        let what = format!("`field: {field}` is not a text field of `record`");
        return Err(p.file.error(line(&raw.field), what).hint(suggest(field, texts())));
    }
    Ok(Clearing { field: field.clone(), value: raw.value.clone() })
}

/// Whose records, and the paths that are cut out of them.
type Found = (Vec<Whose>, Vec<String>);

struct Proof<'a> {
    p: &'a Prover<'a>,
    stream: &'a Stream,
}

impl Proof<'_> {
    fn personal(&self, raw: &Spanned<raw::Personal>) -> Result<Found> {
        let raw = &raw.value;
        if raw.of.value.is_empty() {
            return Err(self
                .p
                .file
                .error(line(&raw.of), "`of` must name the column that says whose a record is"));
        }
        let whose = raw.of.value.iter().map(|of| self.whose(of)).collect::<Result<Vec<_>>>()?;
        let mut paths = Vec::new();
        for path in &raw.paths {
            if let Known::No(nearest) = known(&self.stream.record, &path.value) {
                let what = format!("`{}` is not a path of `record`", path.value);
                let hint = "a member of the body that `record` does not declare stands under `beyond`";
                let hint = if nearest.is_empty() { hint.to_owned() } else { format!("{nearest}; {hint}") };
                return Err(self.p.file.error(line(path), what).hint(hint));
            }
            paths.push(path.value.clone());
        }
        for path in &raw.beyond {
            if matches!(known(&self.stream.record, &path.value), Known::Yes) {
                let what = format!("`{}` is declared by `record`", path.value);
                return Err(self.p.file.error(line(path), what).hint("name it under `paths`"));
            }
            paths.push(path.value.clone());
        }
        let whole = |path: &String| path.split('/').all(|s| !s.is_empty()) && !path.starts_with('*');
        if let Some(path) = raw.paths.iter().chain(&raw.beyond).find(|path| !whole(&path.value)) {
            let what = format!("`{}` is not a path such as `billing_address/line1` or `cf_*`", path.value);
            return Err(self.p.file.error(line(path), what));
        }
        Ok((whose, paths))
    }

    fn whose(&self, raw: &Spanned<WordOr<String, raw::Whose>>) -> Result<Whose> {
        let (column, at, when, via) = match &raw.value {
            WordOr::Word(column) => (column, None, None, None),
            WordOr::Map(long) => {
                (&long.column.value, long.at.as_ref(), long.when.as_ref(), long.via.as_ref())
            }
        };
        let columns = || {
            let main = self.stream.feeds.first();
            main.into_iter().flat_map(|f| f.entity.columns.iter()).map(|c| c.name.as_str())
        };
        let known_column = |name: &str, at: u64| {
            if columns().any(|c| c == name) {
                return Ok(name.to_owned());
            }
            let what = format!("the stream's main table has no column `{name}`");
            Err(self.p.file.error(at, what).hint(suggest(name, columns())))
        };
        let place = at.map_or(column, |at| &at.value);
        if !matches!(known(&self.stream.record, place), Known::Yes) {
            let what = format!("`{place}` is not a path of `record`");
            let hint = "say where the record names whose it is: { column: .., at: some/path }";
            return Err(self.p.file.error(at.map_or(line(raw), line), what).hint(hint));
        }
        let when = when.map(|when| match when.value.0.as_slice() {
            [(name, value)] if self.stream.record.fields.iter().any(|f| f.name == name.value) => {
                Ok((known_column(&name.value, line(when))?, value.clone()))
            }
            _ => {
                let what = "`when` must be one `column: value`, of a column and field of one name";
                Err(self.p.file.error(line(when), what))
            }
        });
        Ok(Whose {
            column: known_column(column, line(raw))?,
            at: place.clone(),
            when: when.transpose()?,
            via: via.map(|v| v.value.clone()),
        })
    }
}

enum Known {
    Yes,
    /// What it may have meant.
    No(String),
}

/// Whether the record declares what the path leads to, or something it leads through.
fn known(record: &Struct, path: &str) -> Known {
    let (first, rest) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
    if let Some(prefix) = first.strip_suffix('*') {
        let declared = record.rest.iter().any(|(_, prefixes)| prefixes.iter().any(|p| p == prefix));
        let begins = record.fields.iter().any(|f| !prefix.is_empty() && f.name.starts_with(prefix));
        return if declared || begins { Known::Yes } else { Known::No(String::new()) };
    }
    let Some(field) = record.fields.iter().find(|f| f.name == first) else {
        return Known::No(suggest(first, record.fields.iter().map(|f| f.name.as_str())));
    };
    let mut ty = &field.ty;
    while let Type::List(item) = ty {
        ty = item;
    }
    match (ty, rest) {
        (_, None) | (Type::Json, _) => Known::Yes,
        (Type::Struct(inner), Some(rest)) => known(inner, rest),
        (_, Some(_)) => Known::No(String::new()),
    }
}

/// Adds, at their places, what is personal in records of other streams.
fn like(p: &Prover<'_>, raw: &Raw, found: &mut [(Option<Clearing>, Option<Found>)]) -> Result<()> {
    let own: Vec<Vec<String>> = found
        .iter()
        .map(|(_, personal)| personal.as_ref().map(|(_, paths)| paths.clone()).unwrap_or_default())
        .collect();
    for (body, (_, personal)) in raw.iter().map(|(_, body)| body).zip(found) {
        let (Some(body), Some((_, paths))) = (&body.personal, personal) else { continue };
        for (place, names) in &body.value.like.0 {
            for name in names {
                let other = raw.iter().position(|(stream, _)| stream.value == name.value);
                let theirs = other.and_then(|n| own.get(n)).filter(|paths| !paths.is_empty());
                let Some(theirs) = theirs else {
                    return Err(unknown(p, raw, name));
                };
                paths.extend(theirs.iter().map(|path| format!("{}/{path}", place.value)));
            }
        }
    }
    Ok(())
}

fn vias(p: &Prover<'_>, raw: &Raw) -> Result<()> {
    let personal = raw.iter().filter_map(|(_, body)| body.personal.as_ref());
    let maps = personal.flat_map(|raw| &raw.value.of.value).filter_map(|of| match &of.value {
        WordOr::Map(long) => long.via.as_ref(),
        WordOr::Word(_) => None,
    });
    for via in maps {
        if !raw.iter().any(|(name, body)| name.value == via.value && body.personal.is_some()) {
            return Err(unknown(p, raw, via));
        }
    }
    Ok(())
}

fn unknown(p: &Prover<'_>, raw: &Raw, name: &Spanned<String>) -> crate::error::Error {
    let names = raw.iter().filter(|(_, body)| body.personal.is_some()).map(|(name, _)| name.value.as_str());
    let what = format!("`{}` is no stream that says what is personal", name.value);
    p.file.error(line(name), what).hint(suggest(&name.value, names))
}

/// Names of places in this stream's records, each with the streams whose records stand there.
pub(super) type Places = Pairs<Vec<Spanned<String>>>;

//! One stream of connector.yaml: paging, cursor, key fields and the unified tables it feeds.
use super::{
    Cursor, Feed, Get, PageSize, Paging, Slices, Stream, Template, TimeUnit, erasure,
    keys::KeyFields,
    lint,
    prove::Prover,
    raw::{self, CursorKind, PageKind},
    record::record,
    told,
};
use crate::{
    decode::Type,
    entity::{ColumnType, Entity, Parent},
    error::Result,
    yaml::{File, Pairs, WordOr, line, suggest},
};
use serde_saphyr::Spanned;
use std::{collections::BTreeMap, sync::Arc};

type Entities = BTreeMap<String, Arc<Entity>>;
type Raw = (Spanned<String>, raw::Stream);

/// All streams of a connector, in the order of the file.
pub(super) fn streams(
    prover: &Prover<'_>,
    connector: &str,
    raw: &Pairs<raw::Stream>,
    sql: &[File],
    entities: &Entities,
) -> Result<Vec<Arc<Stream>>> {
    if raw.0.is_empty() {
        return Err(prover.file.error(0, "`streams` must name at least one stream"));
    }
    let feeder = Feeder { prover, connector, all: &raw.0, sql, entities };
    let mut streams = Vec::new();
    for (name, body) in &raw.0 {
        streams.push(feeder.stream(name, body)?);
    }
    told::resolve(prover, &raw.0, &mut streams)?;
    erasure::resolve(prover, &raw.0, &mut streams)?;
    let streams: Vec<Arc<Stream>> = streams.into_iter().map(Arc::new).collect();
    feeder.owners(&streams)?;
    feeder.unused(&streams)?;
    Ok(streams)
}

struct Feeder<'a> {
    prover: &'a Prover<'a>,
    connector: &'a str,
    all: &'a [Raw],
    sql: &'a [File],
    entities: &'a Entities,
}

fn fed(feed: &Spanned<WordOr<String, raw::Feed>>) -> &str {
    match &feed.value {
        WordOr::Word(entity) => entity,
        WordOr::Map(long) => &long.entity.value,
    }
}

impl Feeder<'_> {
    fn stream(&self, name: &Spanned<String>, raw: &raw::Stream) -> Result<Stream> {
        let p = self.prover;
        let snake = name.value.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !snake || !name.value.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err(p.file.error(line(name), format!("stream `{}` is not snake_case", name.value)));
        }
        let record = record(p.file, &raw.record)?;
        let keys = KeyFields { file: p.file, record: &record };
        let time = |t: &Type| matches!(t, Type::EpochS | Type::EpochMs | Type::DateTime { .. });
        let optional = |key, field: &Option<Spanned<String>>, expected, fits: &dyn Fn(&Type) -> bool| {
            field.as_ref().map(|f| keys.field(key, f, expected, fits)).transpose()
        };
        let key = keys
            .field("key", &raw.key, "text or int_or_text", &|t| matches!(t, Type::Text | Type::IntOrText))?;
        let version = optional("version", &raw.version, "int", &|t| *t == Type::Int)?;
        let updated = optional("updated", &raw.updated, "a time", &time)?;
        let deleted = raw.deleted.as_ref().map(|mark| keys.mark(mark)).transpose()?;
        let cut = optional("cut", &raw.cut, "text, int or json", &|t| {
            matches!(t, Type::Text | Type::Int | Type::Json)
        })?;
        let order = optional("order", &raw.cursor.value.order, "a time", &time)?;
        self.sent_once(raw)?;
        Ok(Stream {
            name: name.value.clone(),
            path: p.path(&raw.list.path)?,
            records: self.records(&raw.list.records)?,
            query: p.query(&raw.list.query),
            get: raw.get.as_ref().map(|get| self.get(get)).transpose()?,
            key,
            version,
            paging: self.paging(&raw.page)?,
            cursor: self.cursor(raw, updated.as_deref(), order)?,
            cut,
            updated,
            deleted,
            deletes: None,
            clearing: None,
            personal: None,
            requires: raw.requires.as_ref().map(|r| p.requires(&r.value)).transpose()?,
            feeds: self.feeds(name, &raw.feeds)?,
            record,
        })
    }

    /// `{id}` is a place that no input fills.
    fn get(&self, raw: &raw::Get) -> Result<Get> {
        let path = &raw.path;
        if path.value.matches("{id}").count() != 1 {
            let what = format!("path `{}` must hold the place `{{id}}` once", path.value);
            return Err(self.prover.file.error(line(path), what).hint("for example `/invoices/{id}`"));
        }
        let inputs = Spanned::new(path.value.replace("{id}", "id"), path.referenced, path.defined);
        self.prover.path(&inputs)?;
        Ok(Get { path: Template(path.value.clone()), record: self.prover.pointer(&raw.record)? })
    }

    fn records(&self, raw: &Spanned<String>) -> Result<String> {
        let segments = raw.value.strip_prefix('/').map(|p| p.split('/').collect::<Vec<_>>());
        let fits = |s: &Vec<&str>| {
            s.iter().all(|s| !s.is_empty() && (*s == "*" || !s.contains('*')))
                && s.iter().filter(|s| **s == "*").count() == 1
        };
        if segments.as_ref().is_none_or(|s| !fits(s)) {
            let what = format!(
                "records path `{}` must be segments after `/`, exactly one of them `*` for every element of a list",
                raw.value
            );
            return Err(self
                .prover
                .file
                .error(line(raw), what)
                .hint("for example `/list/*/invoice` or `/results/*`"));
        }
        Ok(raw.value.clone())
    }

    /// A parameter that two keys send would arrive twice, and the provider picks one.
    fn sent_once(&self, raw: &raw::Stream) -> Result<()> {
        let mut names: Vec<&Spanned<String>> = raw.list.query.0.iter().map(|(name, _)| name).collect();
        names.extend([&raw.page.value.send, &raw.page.value.size.send]);
        let cursor = &raw.cursor.value;
        names.extend(&cursor.send);
        names.extend(cursor.sort.iter().flat_map(|s| s.value.0.iter().map(|(name, _)| name)));
        // A log is sliced by the field that its windows follow: a request sends one of the two.
        let sliced = cursor.slices.iter().map(|s| &s.value.send);
        names.extend(sliced.filter(|s| cursor.send.as_ref().is_none_or(|send| send.value != s.value)));
        for (i, name) in names.iter().enumerate() {
            if names.iter().take(i).any(|other| other.value == name.value) {
                let what = format!("parameter `{}` is sent twice by this stream", name.value);
                return Err(self.prover.file.error(line(name), what));
            }
        }
        Ok(())
    }

    fn paging(&self, raw: &Spanned<raw::Page>) -> Result<Paging> {
        let (p, page) = (self.prover, &raw.value);
        if page.size.value.value == 0 {
            return Err(p.file.error(line(&page.size.value), "page size must be greater than 0"));
        }
        let size = PageSize { send: page.size.send.value.clone(), value: page.size.value.value };
        let send = page.send.value.clone();
        match page.kind {
            PageKind::Token => {
                p.foreign("page kind token", [("first", &page.first)])?;
                p.foreign("page kind token", [("total", &page.total)])?;
                Ok(Paging::Token { send, read: p.pointer(&p.need(raw, "page", "read", &page.read)?)?, size })
            }
            PageKind::Number => {
                p.foreign("page kind number", [("read", &page.read)])?;
                let first = p.need(raw, "page", "first", &page.first)?.value;
                let total = p.pointer(&p.need(raw, "page", "total", &page.total)?)?;
                Ok(Paging::PageNumber { send, first, total, size })
            }
        }
    }

    fn cursor(&self, raw: &raw::Stream, updated: Option<&str>, order: Option<String>) -> Result<Cursor> {
        let (p, c) = (self.prover, &raw.cursor.value);
        match c.kind {
            CursorKind::Snapshot => {
                let texts = [("send", &c.send), ("overlap", &c.overlap)];
                p.foreign("cursor kind snapshot", texts)?;
                p.foreign("cursor kind snapshot", [("unit", &c.unit)])?;
                p.foreign("cursor kind snapshot", [("sort", &c.sort)])?;
                p.foreign("cursor kind snapshot", [("slices", &c.slices)])?;
                if matches!(raw.page.value.kind, PageKind::Number) {
                    let texts = [("order", &c.order), ("lag", &c.lag)];
                    p.foreign("a snapshot of numbered pages", texts)?;
                }
                if let (Some(field), Some(at)) = (&order, &c.order)
                    && updated == Some(field.as_str())
                {
                    let what = format!("`{field}` changes, so an order by it proves nothing");
                    return Err(p.file.error(line(at), what).hint("name a field that never changes"));
                }
                let lag = c.lag.as_ref().map(|lag| p.duration("lag", lag)).transpose()?;
                Ok(Cursor::Snapshot { order, lag: lag.unwrap_or_default() })
            }
            CursorKind::Window => {
                p.foreign("cursor kind window", [("order", &c.order)])?;
                if matches!(raw.page.value.kind, PageKind::Number) {
                    let what = "page numbers with a window cursor lose rows: rows that change while the window is \
                                read move to other pages";
                    return Err(p.file.error(line(&raw.page), what).hint(
                        "use `page: { kind: token, .. }`, or `cursor: { kind: snapshot }`, which proves that a scan was complete",
                    ));
                }
                self.window(&raw.cursor, updated)
            }
        }
    }

    fn window(&self, raw: &Spanned<raw::Cursor>, updated: Option<&str>) -> Result<Cursor> {
        let (p, c) = (self.prover, &raw.value);
        let sort = c.sort.as_ref().map(|s| self.one_pair("sort", s)).transpose()?;
        if let (Some((_, by)), Some(at)) = (&sort, &c.sort)
            && updated == Some(by.as_str())
        {
            let what = format!("`{by}` changes while pages are read, so sorting by it skips rows");
            return Err(p.file.error(line(at), what).hint("sort by a field that never changes"));
        }
        let slices = match &c.slices {
            None => None,
            Some(slices) => {
                let s = &slices.value;
                let absent = s.absent.as_ref().map(|a| self.one_pair("absent", a)).transpose()?;
                let length = p.positive("length", &s.length)?;
                Some(Slices { send: s.send.value.clone(), absent, length })
            }
        };
        let unit: Spanned<TimeUnit> = p.need(raw, "cursor", "unit", &c.unit)?;
        Ok(Cursor::Window {
            send: p.need(raw, "cursor", "send", &c.send)?.value,
            unit: unit.value,
            overlap: p.duration("overlap", &p.need(raw, "cursor", "overlap", &c.overlap)?)?,
            lag: p.duration("lag", &p.need(raw, "cursor", "lag", &c.lag)?)?,
            sort,
            slices,
        })
    }

    fn one_pair(&self, key: &str, raw: &Spanned<Pairs<String>>) -> Result<(String, String)> {
        match raw.value.0.as_slice() {
            [(name, value)] => Ok((name.value.clone(), value.clone())),
            _ => {
                let what = format!("`{key}` must be exactly one `parameter: value`");
                Err(self.prover.file.error(line(raw), what))
            }
        }
    }

    fn feeds(
        &self,
        stream: &Spanned<String>,
        raw: &Spanned<Vec<Spanned<WordOr<String, raw::Feed>>>>,
    ) -> Result<Vec<Feed>> {
        let file = self.prover.file;
        let mut feeds: Vec<Feed> = Vec::new();
        for entry in &raw.value {
            let name = fed(entry);
            let entity = self.entities.get(name).ok_or_else(|| {
                let known = self.entities.keys().map(String::as_str);
                file.error(line(entry), format!("no unified entity is called `{name}`"))
                    .hint(suggest(name, known))
            })?;
            if feeds.iter().any(|f| f.entity.name == name) {
                return Err(
                    file.error(line(entry), format!("stream `{}` feeds `{name}` twice", stream.value))
                );
            }
            let entity = match feeds.first() {
                None => main(file, entry, entity)?,
                Some(first) => child(file, entry, entity, &first.entity.name)?,
            };
            let sql = self.mapping(stream, entry)?;
            let fills = lint::lint(sql, &stream.value, &entity)?;
            let (file, sql) = (sql.path.clone(), sql.text.clone());
            feeds.push(Feed { entity, file, sql, fills, overlay: None });
        }
        if feeds.is_empty() {
            return Err(file.error(line(raw), format!("stream `{}` feeds nothing", stream.value)));
        }
        Ok(feeds)
    }

    /// `<entity>.sql`, or `<entity>.<stream>.sql` when several streams feed the entity.
    fn mapping(&self, stream: &Spanned<String>, entry: &Spanned<WordOr<String, raw::Feed>>) -> Result<&File> {
        let entity = fed(entry);
        let feeders = self.all.iter().filter(|(_, s)| s.feeds.value.iter().any(|f| fed(f) == entity)).count();
        let name =
            if feeders > 1 { format!("{entity}.{}.sql", stream.value) } else { format!("{entity}.sql") };
        self.sql.iter().find(|f| f.name() == name).ok_or_else(|| {
            let what = format!("stream `{}` feeds `{entity}`, but there is no {name}", stream.value);
            self.prover.file.error(line(entry), what).hint(format!(
                "write connectors/{}/{name}: one SELECT from `{}`",
                self.connector, stream.value
            ))
        })
    }

    /// A row has one owner: two streams may feed one child entity only through different parent columns.
    fn owners(&self, streams: &[Arc<Stream>]) -> Result<()> {
        let mut seen: Vec<(&str, &Entity)> = Vec::new();
        for (stream, (at, _)) in streams.iter().zip(self.all) {
            for feed in &stream.feeds {
                let column = |e: &Entity| e.parent.as_ref().map(|p| p.column.clone());
                let own = column(&feed.entity);
                let same = |e: &Entity| e.name == feed.entity.name && (own.is_none() || column(e) == own);
                if let Some((other, _)) = seen.iter().find(|(_, e)| same(e)) {
                    let what =
                        format!("streams `{other}` and `{}` both feed `{}`", stream.name, feed.entity.name);
                    return Err(self.prover.file.error(line(at), what).hint(
                        "one stream owns an entity; a child entity may have a second owner with `{ entity: .., parent: <another column> }`",
                    ));
                }
                seen.push((&stream.name, &feed.entity));
            }
        }
        Ok(())
    }

    fn unused(&self, streams: &[Arc<Stream>]) -> Result<()> {
        let used: Vec<&str> = streams.iter().flat_map(|s| s.feeds.iter().map(|f| f.file.as_str())).collect();
        match self.sql.iter().find(|f| !used.contains(&f.path.as_str())) {
            None => Ok(()),
            Some(file) => {
                let names = used.iter().map(|path| path.rsplit('/').next().unwrap_or_default());
                let hint = suggest(file.name(), names);
                Err(file.error(0, "no stream feeds this mapping").hint(hint))
            }
        }
    }
}

fn main(
    file: &File,
    entry: &Spanned<WordOr<String, raw::Feed>>,
    entity: &Arc<Entity>,
) -> Result<Arc<Entity>> {
    if let Some(parent) = &entity.parent {
        let what = format!(
            "the first feed must be a main entity, but `{}` is a child of `{}`",
            entity.name, parent.entity
        );
        return Err(file.error(line(entry), what));
    }
    if matches!(entry.value, WordOr::Map(_)) {
        let what = format!("`{}` is a main entity: it has no `parent` to choose", entity.name);
        return Err(file.error(line(entry), what));
    }
    Ok(Arc::clone(entity))
}

/// The entity as a child of `main`: as it is, or with another parent column.
fn child(
    file: &File,
    entry: &Spanned<WordOr<String, raw::Feed>>,
    entity: &Arc<Entity>,
    main: &str,
) -> Result<Arc<Entity>> {
    let name = &entity.name;
    let Some(parent) = &entity.parent else {
        let what = format!("`{name}` has no parent, so it must be the first feed of its own stream");
        return Err(file.error(line(entry), what));
    };
    let WordOr::Map(long) = &entry.value else {
        if parent.entity == main {
            return Ok(Arc::clone(entity));
        }
        let what = format!("`{name}` is a child of `{}`, not of `{main}`", parent.entity);
        return Err(file.error(line(entry), what));
    };
    let column = &long.parent.value;
    if entity.column(column).is_none_or(|c| c.ty != ColumnType::Text) {
        let known = entity.columns.iter().filter(|c| c.ty == ColumnType::Text).map(|c| c.name.as_str());
        let what = format!("`{column}` is not a text column of `{name}`");
        return Err(file.error(line(&long.parent), what).hint(suggest(column, known)));
    }
    let parent = Some(Parent { entity: main.to_owned(), column: column.clone() });
    Ok(Arc::new(Entity { parent, ..entity.as_ref().clone() }))
}

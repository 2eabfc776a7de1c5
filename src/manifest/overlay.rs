//! A connector over whose mappings a pipeline lays SELECTs of its own, and what such a SELECT may say.
//!
//! Whether its types fit is decided when it is planned (`normalize`). Absent on purpose: reading files (`app`).
use super::{
    Connector, Feed, Overlay, Stream, fingerprint,
    lint::{Flow, ROW, Rules, at, check_column, parse},
};
use crate::{
    entity::Entity,
    error::{Error, Result},
    yaml::{File, suggest},
};
use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Expr, Ident, Select, SelectItem, SetExpr, TableFactor, Visit, Visitor,
    WildcardAdditionalOptions, visit_expressions,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::Arc,
};

/// The table an overlay reads.
pub const MAPPED: &str = "mapped";
/// The zone's column of `mapped`, which is no column of the table.
pub const ZONE: &str = "_zone";

impl Connector {
    /// The same connector with these overlays, each over every mapping of its table. Rows made without them are told by
    /// another `mapping_hash`; page tokens stay good. Fails `Invalid` with file and line of what an overlay must not
    /// say. Tables must be as the catalog has them: promoted fields come after.
    pub fn overlaid(self, overlays: &[(String, File)]) -> Result<Self> {
        let laid = |feed: &Feed, persons: &[&str]| match overlays
            .iter()
            .find(|(table, _)| *table == feed.entity.name)
        {
            None => Ok(feed.clone()),
            Some((_, file)) => {
                let (lines, reads) = lint(file, &feed.entity, persons)?;
                let overlay = Overlay { file: file.path.clone(), sql: file.text.clone(), lines, reads };
                Ok(Feed { overlay: Some(Arc::new(overlay)), ..feed.clone() })
            }
        };
        let stream = |stream: &Arc<Stream>| {
            let whose = stream.personal.iter().flat_map(|p| &p.whose);
            let columns =
                whose.flat_map(|w| w.when.iter().map(|(c, _)| c.as_str()).chain([w.column.as_str()]));
            let persons: Vec<&str> = columns.collect();
            let of = |n: usize| if n == 0 { persons.as_slice() } else { &[] };
            let feeds = stream.feeds.iter().enumerate();
            let feeds = feeds.map(|(n, feed)| laid(feed, of(n))).collect::<Result<_>>()?;
            Ok(Arc::new(Stream { feeds, ..stream.as_ref().clone() }))
        };
        let streams = self.streams.iter().map(stream).collect::<Result<Vec<_>>>()?;
        Ok(Self { mapping_hash: fingerprint::overlaid(&self.mapping_hash, &streams), streams, ..self })
    }

    /// The same with every column marked as personal data that an overlay makes of personal data: what the provider
    /// clears goes there too, and a column policy may hide it. Tables must be as they are stored.
    #[must_use]
    pub fn marking(self) -> Self {
        let marked = |feed: &Feed| {
            let Some(overlay) = &feed.overlay else { return feed.clone() };
            let mut entity = feed.entity.as_ref().clone();
            let is_personal =
                |column: &String| feed.entity.column(column).is_some_and(|c| c.pii || c.promoted);
            for column in &mut entity.columns {
                column.pii |= overlay.reads.get(&column.name).is_some_and(|r| r.iter().any(is_personal));
            }
            Feed { entity: Arc::new(entity), ..feed.clone() }
        };
        let streams = self.streams.iter().map(|stream| {
            Arc::new(Stream { feeds: stream.feeds.iter().map(marked).collect(), ..stream.as_ref().clone() })
        });
        Self { streams: streams.collect(), ..self }
    }

    /// Tables with an overlay, by name.
    pub fn overlays(&self) -> BTreeMap<&str, &Overlay> {
        let feeds = self.streams.iter().flat_map(|s| &s.feeds);
        feeds.filter_map(|f| Some((f.entity.name.as_str(), f.overlay.as_deref()?))).collect()
    }
}

type Own = (BTreeMap<String, u64>, BTreeMap<String, BTreeSet<String>>);

/// Fails `Invalid` with file and line of the first thing that an overlay of this table must not say. Answers on which
/// lines it gives columns of its own, and what they are made of. `persons`: the columns that say whose a record is.
fn lint(file: &File, entity: &Entity, persons: &[&str]) -> Result<Own> {
    let query = parse(file, "an overlay")?;
    let SetExpr::Select(select) = query.body.as_ref() else {
        return Err(file.error(at(query.body.as_ref()), "an overlay is one SELECT, without `union`"));
    };
    let checked = query.visit(&mut Names { file, entity });
    let checked = match checked {
        ControlFlow::Continue(()) => query.visit(&mut Rules { file, stream: MAPPED }),
        stopped => stopped,
    };
    if let ControlFlow::Break(error) = checked {
        return Err(*error);
    }
    every_row(file, select)?;
    let mut given = Given { file, entity, persons, columns: BTreeMap::new(), reads: BTreeMap::new() };
    select.projection.iter().try_for_each(|item| given.item(item))?;
    given.whole(at(select.as_ref()))
}

/// Nothing in it changes which rows there are.
fn every_row(file: &File, select: &Select) -> Result<()> {
    let plain = select.distinct.is_none()
        && select.selection.is_none()
        && select.prewhere.is_none()
        && select.connect_by.is_empty()
        && select.exclude.is_none()
        && select.into.is_none();
    if plain {
        return Ok(());
    }
    let what = "an overlay gives every row of `mapped` once: no `where`, no `distinct`";
    let hint = "to change a column of some rows only: case when .. then .. else status end as status";
    Err(file.error(at(select), what).hint(hint))
}

/// Every name in an expression is a column of `mapped`, and nothing else is read.
struct Names<'a> {
    file: &'a File,
    entity: &'a Entity,
}

impl Names<'_> {
    fn known(&self, name: &Ident) -> Flow {
        let columns = self.entity.columns.iter().map(|c| c.name.as_str());
        let columns: Vec<&str> = columns.chain([ROW, ZONE]).collect();
        if columns.contains(&name.value.as_str()) {
            return ControlFlow::Continue(());
        }
        let what = format!("`{MAPPED}` has no column `{}`", name.value);
        self.refuse(name.span.start.line, what, &suggest(&name.value, columns))
    }
    fn refuse(&self, line: u64, what: impl Into<String>, hint: &str) -> Flow {
        ControlFlow::Break(Box::new(self.file.error(line, what).hint(hint)))
    }
}

impl Visitor for Names<'_> {
    type Break = Box<Error>;

    fn pre_visit_select(&mut self, select: &Select) -> Flow {
        if matches!(select.from.as_slice(), [one] if one.joins.is_empty()) {
            return ControlFlow::Continue(());
        }
        let what = format!("an overlay reads only `{MAPPED}`: joins are not allowed");
        self.refuse(at(select), what, "facts of other tables belong into a model")
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> Flow {
        match table {
            TableFactor::Table { name, args: None, sample: None, version: None, alias: None, .. }
                if name.to_string() == MAPPED =>
            {
                ControlFlow::Continue(())
            }
            other => {
                let what = format!("an overlay of `{}` cannot read `{other}`", self.entity.name);
                self.refuse(at(other), what, "select * replace (.. as column) from mapped")
            }
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Flow {
        match expr {
            Expr::Identifier(name) => self.known(name),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, name] if table.value == MAPPED => self.known(name),
                _ => {
                    self.refuse(at(expr), format!("`{MAPPED}` has no column `{expr}`"), "name a column alone")
                }
            },
            Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case("unnest") => self
                .refuse(at(expr), "`unnest` makes more rows than `mapped` has", "an overlay keeps the rows"),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// The columns that a SELECT gives, so far.
struct Given<'a> {
    file: &'a File,
    entity: &'a Entity,
    persons: &'a [&'a str],
    /// The line of an own expression; None: as `mapped` has it.
    columns: BTreeMap<String, Option<u64>>,
    /// What each own expression is made of.
    reads: BTreeMap<String, BTreeSet<String>>,
}

impl Given<'_> {
    fn keys(&self) -> impl Iterator<Item = &str> {
        let parent = self.entity.parent.as_ref().map(|p| p.column.as_str());
        [ROW, "id"].into_iter().chain(parent)
    }

    fn note(&mut self, column: &str, expr: &Expr) {
        let reads = self.reads.entry(column.to_owned()).or_default();
        let _: ControlFlow<()> = visit_expressions(expr, |part| {
            match part {
                Expr::Identifier(name) => reads.insert(name.value.clone()),
                Expr::CompoundIdentifier(parts) => {
                    parts.last().is_some_and(|name| reads.insert(name.value.clone()))
                }
                _ => false,
            };
            ControlFlow::Continue(())
        });
    }

    fn item(&mut self, item: &SelectItem) -> Result<()> {
        let line = at(item);
        match item {
            SelectItem::Wildcard(options) => self.all(line, options),
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => self.add(line, &name.value, false),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
                parts.last().map_or(Ok(()), |name| self.add(line, &name.value, false))
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                let same = matches!(expr, Expr::Identifier(name) if name.value == alias.value);
                if !same {
                    self.note(&alias.value, expr);
                }
                self.add(line, &alias.value, !same)
            }
            _ => {
                let what = "every column must be a plain column or have a name: `.. as column`";
                Err(self.file.error(line, what))
            }
        }
    }

    /// `*`, with what it leaves out and what it replaces.
    fn all(&mut self, line: u64, options: &WildcardAdditionalOptions) -> Result<()> {
        if options.opt_ilike.is_some() || options.opt_rename.is_some() || options.opt_alias.is_some() {
            let what = "`*` goes with `except (..)` and `replace (.. as column)` only";
            return Err(self.file.error(line, what));
        }
        let mut without: Vec<String> = Vec::new();
        if let Some(except) = &options.opt_except {
            without.extend(
                [&except.first_element]
                    .into_iter()
                    .chain(&except.additional_elements)
                    .map(|n| n.value.clone()),
            );
        }
        match &options.opt_exclude {
            Some(ExcludeSelectItem::Single(name)) => without.push(name.to_string()),
            Some(ExcludeSelectItem::Multiple(names)) => without.extend(names.iter().map(ToString::to_string)),
            None => {}
        }
        for name in &without {
            self.may_differ(line, name)?;
        }
        let mut replaced: BTreeMap<&str, u64> = BTreeMap::new();
        for element in options.opt_replace.iter().flat_map(|r| &r.items) {
            let name = &element.column_name;
            self.may_differ(name.span.start.line, &name.value)?;
            if without.contains(&name.value) {
                let what = format!("`{}` is both left out and replaced", name.value);
                return Err(self.file.error(name.span.start.line, what));
            }
            self.note(&name.value, &element.expr);
            replaced.insert(&name.value, name.span.start.line);
        }
        let own: Vec<String> = self.entity.columns.iter().map(|c| c.name.clone()).collect();
        for name in std::iter::once(ROW.to_owned()).chain(own).filter(|name| !without.contains(name)) {
            let replaced = replaced.get(name.as_str()).copied();
            self.put(replaced.unwrap_or(line), &name, replaced.is_some())?;
        }
        Ok(())
    }

    fn add(&mut self, line: u64, name: &str, own: bool) -> Result<()> {
        if own {
            self.may_differ(line, name)?;
        } else if name == ZONE {
            return Ok(());
        }
        self.put(line, name, own)
    }

    /// Fails for a key, and for what is no column.
    fn may_differ(&self, line: u64, name: &str) -> Result<()> {
        if self.keys().any(|key| key == name) {
            let what = format!("`{name}` says which row it is: an overlay leaves it as it is");
            return Err(self.file.error(line, what));
        }
        if self.persons.contains(&name) {
            let what = format!("`{name}` says whose data a record holds: an overlay leaves it as it is");
            let hint =
                "what the provider clears of a person is found by it; put your own value into another column";
            return Err(self.file.error(line, what).hint(hint));
        }
        check_column(self.file, line, name, self.entity)
    }

    fn put(&mut self, line: u64, name: &str, own: bool) -> Result<()> {
        if self.columns.insert(name.to_owned(), own.then_some(line)).is_none() {
            return Ok(());
        }
        let hint = format!("`*` has every column: write * except ({name}), or * replace (.. as {name})");
        Err(self.file.error(line, format!("column `{name}` is given twice")).hint(hint))
    }

    /// Every column of the table is there, the keys as they are.
    fn whole(self, line: u64) -> Result<Own> {
        let missing = |name: &&str| !self.columns.contains_key(*name);
        if let Some(key) = self.keys().find(missing) {
            let what = format!("the overlay must select `{key}`, which says which row it is");
            return Err(self.file.error(line, what).hint("select * replace (.. as column) from mapped"));
        }
        if let Some(name) = self.entity.columns.iter().map(|c| c.name.as_str()).find(missing) {
            let what = format!("the overlay leaves out column `{name}`");
            let hint = format!("begin with `*`; to leave it empty, say so: null as {name}");
            return Err(self.file.error(line, what).hint(hint));
        }
        let lines = self.columns.into_iter().filter_map(|(name, line)| Some((name, line?))).collect();
        Ok((lines, self.reads))
    }
}

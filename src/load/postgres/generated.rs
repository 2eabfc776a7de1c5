//! Which SQL follows from an entity? Every statement whose text depends on an entity is made here and nowhere else.
//!
//! Two rules keep the plans of these statements simple on tables that were never analyzed, which is what the first
//! load meets: keys are looked up one by one (`cross join lateral .. offset 0` is a nested loop over an index by
//! construction), and rows found are changed by their `ctid`, which needs no plan at all. The index on a child's
//! parent starts with the parent's column, so that the two indexes of a table never answer the same question.
use super::session::hash64;
use crate::{
    entity::{Entity, PREFIX, SUFFIX},
    id::Owner,
    load::{Layer, erase::ERASED_XOR},
};
use std::collections::BTreeSet;

/// A name as SQL writes it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// One column as it must be in Postgres.
pub(super) struct Wanted {
    /// Unquoted.
    pub(super) name: String,
    /// As `format_type` prints it.
    pub(super) ty: String,
    /// May be NULL.
    pub(super) nullable: bool,
    meaning: String,
}

impl Wanted {
    fn new(name: &str, ty: &str, nullable: bool, meaning: &str) -> Self {
        let ty = if ty == "timestamp" { "timestamp without time zone" } else { ty };
        Self { name: name.into(), ty: ty.into(), nullable, meaning: meaning.into() }
    }
    fn ddl(&self) -> String {
        let collate = if self.ty == "text" { " collate \"C\"" } else { "" };
        let null = if self.nullable { "" } else { " not null" };
        format!("{} {}{collate}{null}", quoted(&self.name), self.ty)
    }
}

const PREFIX_MEANING: [&str; 3] =
    ["Isolation boundary", "One provider account of the tenant", "Connector that read it"];

/// Columns of one layer, in the order of its Arrow schema.
pub(super) fn wanted(entity: &Entity, layer: Layer) -> Vec<Wanted> {
    let prefix = PREFIX.iter().zip(PREFIX_MEANING).map(|(name, why)| Wanted::new(name, "text", false, why));
    let own =
        entity.columns.iter().map(|c| Wanted::new(&c.name, c.ty.postgres(), c.name != "id", &c.meaning));
    let suffix = SUFFIX.iter().map(|(name, ty, null, why)| Wanted::new(name, ty.postgres(), *null, why));
    let mut all: Vec<Wanted> = prefix.chain(own).chain(suffix).collect();
    if layer == Layer::History {
        all.push(Wanted::new("op", "text", false, "upsert, or remove: left its parent's set"));
        all.push(Wanted::new("commit_no", "bigint", false, "Commit that wrote it; grows per connection"));
    }
    all
}

/// Where rows of an entity are.
#[derive(Clone, Debug)]
pub(super) struct Table<'a> {
    entity: &'a Entity,
    current: String,
    history: String,
}

impl<'a> Table<'a> {
    /// The tables that readers see.
    pub(super) fn of(entity: &'a Entity) -> Self {
        let name = quoted(&entity.name);
        Self { entity, current: format!("billing.{name}"), history: format!("history.{name}") }
    }
    /// The session's own tables of a rebuild; `n` numbers the entities.
    pub(super) fn aside(entity: &'a Entity, n: usize) -> Self {
        Self { entity, current: format!("pg_temp.aside_{n}"), history: format!("pg_temp.aside_history_{n}") }
    }
    fn at(&self, layer: Layer) -> &str {
        match layer {
            Layer::Current => &self.current,
            Layer::History => &self.history,
        }
    }
    fn columns(&self, layer: Layer, before: &str) -> String {
        let names: Vec<String> =
            wanted(self.entity, layer).iter().map(|c| format!("{before}{}", quoted(&c.name))).collect();
        names.join(", ")
    }
    fn parent(&self) -> Option<String> {
        self.entity.parent.as_ref().map(|p| quoted(&p.column))
    }

    /// Makes the table, its indexes and its comments.
    pub(super) fn create(&self, layer: Layer) -> String {
        let table = self.at(layer);
        let columns: Vec<String> = wanted(self.entity, layer).iter().map(Wanted::ddl).collect();
        let columns = columns.join(", ");
        let mut sql = match layer {
            Layer::Current => {
                format!("create table {table} ({columns}, primary key (tenant_id, connection_id, \"id\"));\n")
            }
            Layer::History => format!(
                "create table {table} ({columns});\ncreate index on {table} (tenant_id, connection_id, \"id\");\n"
            ),
        };
        if let (Layer::Current, Some((_, index))) = (layer, self.parent_index()) {
            sql.push_str(&index);
        }
        sql.push_str(&format!("comment on table {table} is {};\n", literal(&self.entity.meaning)));
        for column in wanted(self.entity, layer) {
            sql.push_str(&self.comment(layer, &column));
        }
        sql
    }
    /// Name and statement of the index that finds the children of a parent. None for a main entity.
    pub(super) fn parent_index(&self) -> Option<(String, String)> {
        let column = &self.entity.parent.as_ref()?.column;
        let name = quoted(&format!("{:.40}_by_{:016x}", self.entity.name, hash64(column.as_bytes())));
        let sql = format!(
            "create index if not exists {name} on {} ({}, tenant_id, connection_id);\n",
            self.current,
            quoted(column)
        );
        Some((format!("billing.{name}"), sql))
    }
    fn comment(&self, layer: Layer, column: &Wanted) -> String {
        let name = quoted(&column.name);
        format!("comment on column {}.{name} is {};\n", self.at(layer), literal(&column.meaning))
    }
    /// Adds a column that the table lacks.
    pub(super) fn grow(&self, layer: Layer, column: &Wanted) -> String {
        format!(
            "alter table {} add column {};\n{}",
            self.at(layer),
            column.ddl(),
            self.comment(layer, column)
        )
    }
    /// Makes the session's own empty tables in the shape of `like`.
    pub(super) fn create_like(&self, like: &Table<'_>) -> String {
        format!(
            "create temp table {} (like {} including indexes);\ncreate temp table {} (like {});\n",
            self.current, like.current, self.history, like.history
        )
    }
    /// Drops the session's own tables.
    pub(super) fn drop(&self) -> String {
        format!("drop table if exists {}, {};\n", self.current, self.history)
    }

    /// Binary COPY into one layer, all columns.
    pub(super) fn copy(&self, layer: Layer) -> String {
        format!("copy {} ({}) from stdin (format binary)", self.at(layer), self.columns(layer, ""))
    }
    /// `$1` tenant, `$2` connection, `$3` ids -> (place in `$3` from 1, ctid, version, observed_at, row_hash).
    pub(super) fn find(&self) -> String {
        format!(
            "select k.n, s.tid, s.version, s.observed_at, s.row_hash \
             from unnest($3::text[]) with ordinality as k(id, n) cross join lateral (\
             select t.ctid::text as tid, t.version, t.observed_at, t.row_hash from {} t \
             where t.tenant_id = $1 and t.connection_id = $2 and t.\"id\" = k.id offset 0) s",
            self.current
        )
    }
    /// `$1` tenant, `$2` connection, `$3` parent ids -> (id, ctid, row_hash, lives). None for a main entity.
    pub(super) fn find_children(&self) -> Option<String> {
        let parent = self.parent()?;
        Some(format!(
            "select s.id, s.tid, s.row_hash, s.lives from unnest($3::text[]) as k(id) cross join lateral (\
             select t.\"id\" as id, t.ctid::text as tid, t.row_hash, t.deleted_at is null as lives from {} t \
             where t.{parent} = k.id and t.tenant_id is not distinct from $1 \
             and t.connection_id is not distinct from $2 offset 0) s",
            self.current
        ))
    }
    /// `$1` ctids.
    pub(super) fn delete(&self) -> String {
        format!("delete from {} where ctid = any($1::text[]::tid[])", self.current)
    }
    /// `$1` ctids, `$2` commit: deletes current rows and says so in history.
    pub(super) fn remove(&self) -> String {
        let columns = self.columns(Layer::Current, "");
        format!(
            "with gone as (delete from {} where ctid = any($1::text[]::tid[]) returning {columns}) \
             insert into {} ({columns}, op, commit_no) select {columns}, 'remove', $2 from gone",
            self.current, self.history
        )
    }
    /// `$1` tenant, `$2` connection -> (id, ctid, version, observed_at, row_hash) of what is not deleted.
    pub(super) fn living(&self) -> String {
        format!(
            "select \"id\", ctid::text, version, observed_at, row_hash from {} \
             where tenant_id = $1 and connection_id = $2 and deleted_at is null",
            self.current
        )
    }
    /// `$1` ctids, `$2` when, `$3` what to exclusive-or the hash with, `$4` commit.
    pub(super) fn bury(&self) -> String {
        let columns = self.columns(Layer::Current, "");
        let returned = self.columns(Layer::Current, "t.");
        format!(
            "with gone as (update {} t set deleted_at = $2, observed_at = $2, row_hash = t.row_hash # $3 \
             where t.ctid = any($1::text[]::tid[]) returning {returned}) \
             insert into {} ({columns}, op, commit_no) select {columns}, 'upsert', $4 from gone",
            self.current, self.history
        )
    }
    /// The layer's rows of a connection, sorted. Without parameters, for COPY takes none.
    pub(super) fn select(&self, layer: Layer, owner: &Owner) -> String {
        let order = match layer {
            Layer::Current => "\"id\"",
            Layer::History => "commit_no, \"id\"",
        };
        format!("{} order by {order}", self.select_of(layer, owner))
    }
    /// The same of current rows, as the server finds them: nothing is sorted.
    pub(super) fn select_unsorted(&self, owner: &Owner) -> String {
        self.select_of(Layer::Current, owner)
    }
    fn select_of(&self, layer: Layer, owner: &Owner) -> String {
        format!(
            "select {} from {} where tenant_id = {} and connection_id = {}",
            self.columns(layer, ""),
            self.at(layer),
            literal(owner.tenant.as_str()),
            literal(owner.connection.as_str())
        )
    }

    /// `$1` tenant, `$2` connection, `$3` persons, `$4` what stands in `when` -> (id, person, last observed) of every
    /// record that names one of them in `column`, in any of its states.
    pub(super) fn records_of(&self, column: &str, when: Option<&str>) -> String {
        let column = quoted(column);
        let when =
            when.map_or_else(|| "$4::text is not null".to_owned(), |when| format!("{} = $4", quoted(when)));
        format!(
            "select \"id\", {column}, max(observed_at) from {} \
             where tenant_id = $1 and connection_id = $2 and {column} = any($3) and {when} group by 1, 2",
            self.history
        )
    }
    /// `$1` tenant, `$2` connection, `$3` keys, `$4` when each last named a person -> (id, observed) of the first later
    /// state that names another in one of `columns`.
    pub(super) fn handed_on(&self, columns: &BTreeSet<&str>) -> String {
        let named: Vec<String> = columns.iter().map(|c| format!("h.{} is not null", quoted(c))).collect();
        format!(
            "select h.\"id\", min(h.observed_at) from {} h \
             join unnest($3::text[], $4::timestamp[]) as k(key, last) on h.\"id\" = k.key and h.observed_at > k.last \
             where h.tenant_id = $1 and h.connection_id = $2 and ({}) group by 1",
            self.history,
            named.join(" or ")
        )
    }
    /// `$1` tenant, `$2` connection, `$3` keys of records, `$4` since when nothing older may stay, `$5` whose they are
    /// -> (whose, rows) that lost a value of `personal`.
    pub(super) fn blank(&self, layer: Layer, personal: &[&str]) -> String {
        let key = self.parent().unwrap_or_else(|| quoted("id"));
        let gone: Vec<String> = personal.iter().map(|column| format!("{} = null", quoted(column))).collect();
        let there: Vec<String> =
            personal.iter().map(|column| format!("t.{} is not null", quoted(column))).collect();
        let hash = match self.entity.parent {
            Some(_) => format!(", row_hash = t.row_hash # {ERASED_XOR}::bigint"),
            None => String::new(),
        };
        format!(
            "with hit as (update {} t set {}{hash} from unnest($3::text[], $4::timestamp[], $5::bigint[]) \
             as k(key, told, person) where t.tenant_id = $1 and t.connection_id = $2 and t.{key} = k.key \
             and t.observed_at < k.told and ({}) returning k.person) \
             select person, count(*) from hit group by person",
            self.at(layer),
            gone.join(", "),
            there.join(" or "),
        )
    }

    /// Which rows of the connection (`$1`, `$2`) the stream of `main` owns: all of a main entity, and of a child entity
    /// those whose parent is a row of `main`, for another stream may feed the same child entity.
    fn owned(&self, main: &(Table<'_>, Table<'_>)) -> String {
        let of = "tenant_id = $1 and connection_id = $2";
        match self.parent() {
            None => of.into(),
            Some(parent) => format!(
                "{of} and {parent} in (select \"id\" from {} where {of} union all select \"id\" from {})",
                main.0.current, main.1.current
            ),
        }
    }
    /// `$1` tenant, `$2` connection -> (added, removed, changed, same), `new` against this, by id and own columns.
    pub(super) fn diff(&self, new: &Table<'_>, main: &(Table<'_>, Table<'_>)) -> String {
        let own = |side: &str| {
            let names = self.entity.columns.iter().map(|c| {
                let cast = if c.ty.postgres() == "json" { "::text" } else { "" };
                format!("{side}.{}{cast}", quoted(&c.name))
            });
            names.collect::<Vec<_>>().join(", ")
        };
        format!(
            "select count(*) filter (where o.\"id\" is null), count(*) filter (where n.\"id\" is null), \
             count(*) filter (where o.\"id\" = n.\"id\" and ({old}) is distinct from ({new_own})), \
             count(*) filter (where o.\"id\" = n.\"id\" and ({old}) is not distinct from ({new_own})) \
             from (select * from {current} where {owned}) o full join {aside} n on o.\"id\" = n.\"id\"",
            old = own("o"),
            new_own = own("n"),
            current = self.current,
            owned = self.owned(main),
            aside = new.current,
        )
    }
    /// `$1` tenant, `$2` connection: removes what the stream owns of one layer.
    pub(super) fn clear(&self, layer: Layer, main: &(Table<'_>, Table<'_>)) -> String {
        format!("delete from {} where {}", self.at(layer), self.owned(main))
    }
    /// Moves one layer of `new` in.
    pub(super) fn fill(&self, layer: Layer, new: &Table<'_>) -> String {
        let columns = self.columns(layer, "");
        format!("insert into {} ({columns}) select {columns} from {}", self.at(layer), new.at(layer))
    }

    /// The session's own table, named `carried`, of history rows whose records have no stored body of their commit.
    /// `$1` tenant, `$2` connection, `$3` stream.
    pub(super) fn bodiless(&self, carried: &str) -> String {
        let of = self.parent().unwrap_or_else(|| "\"id\"".into());
        let columns = self.columns(Layer::History, "h.");
        format!(
            "create temp table {carried} as select {columns} from {} h where h.tenant_id = $1 and h.connection_id = $2 \
             and h.{of} is not null and not exists (select from raw.records r where r.tenant_id = $1 \
             and r.connection_id = $2 and r.stream = $3 and r.commit_no = h.commit_no and r.key = h.{of})",
            self.history
        )
    }
    /// Takes those of `carried` up to a commit (`$1`) over: what they replace goes, the newest of each id comes, and all
    /// of them are history.
    pub(super) fn carry(&self, carried: &str) -> [String; 3] {
        let (current, history) = (self.columns(Layer::Current, ""), self.columns(Layer::History, ""));
        let due = format!("from {carried} where commit_no <= $1");
        [
            format!("delete from {} where \"id\" in (select \"id\" {due})", self.current),
            format!(
                "insert into {} ({current}) select {current} from (\
                 select distinct on (\"id\") {history} {due} order by \"id\", commit_no desc) n where op = 'upsert'",
                self.current
            ),
            format!(
                "with due as (delete {due} returning {history}) insert into {} ({history}) select {history} from due",
                self.history
            ),
        ]
    }
}

//! What does a commit change? The total order, child sets and tombstones, for destinations that decide in Rust.
//!
//! Pure: knows rows and what is held of them, not where they are kept. Absent on purpose: files, locks, commit
//! numbers.
use super::{CompleteScan, GUARD_ROWS, Rows, TOMBSTONE_XOR, key_hash};
use crate::{
    entity::Entity,
    error::{Error, Kind, Result},
    id::Owner,
    time::Timestamp,
};
use arrow::{
    array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    datatypes::SchemaRef,
};
use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

/// Hashes what is a hash already: a key of `key_hash`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.0 = self.0.rotate_left(8) ^ u64::from(*b));
    }
    fn write_u64(&mut self, half: u64) {
        self.0 = half;
    }
    #[expect(clippy::cast_possible_truncation, reason = "half of a good hash is one")]
    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

/// Something by key.
pub(super) type KeyMap<V> = HashMap<u128, V, BuildHasherDefault<KeyHasher>>;
/// Keys.
pub(super) type KeySet = HashSet<u128, BuildHasherDefault<KeyHasher>>;

/// `op` of a history row that states what the row is now.
pub(super) const UPSERT: &str = "upsert";
/// `op` of a history row that states that the row left its parent's set.
pub(super) const REMOVE: &str = "remove";

/// Place of a state in the total order; greater wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) version: i64,
    pub(super) observed_at: i64,
    pub(super) row_hash: i64,
}

impl Rank {
    /// True when this state is newer than the held one and differs from it.
    fn replaces(self, held: Option<Self>) -> bool {
        held.is_none_or(|held| self > held && self.row_hash != held.row_hash)
    }
    /// The state of the same row, found missing by a scan that began at `asked_at`.
    fn buried(self, asked_at: Timestamp) -> Self {
        Self { observed_at: asked_at.0, row_hash: self.row_hash ^ TOMBSTONE_XOR, ..self }
    }
}

/// What is held of one current row. `P` is where the destination finds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held<P> {
    pub(super) rank: Rank,
    pub(super) alive: bool,
    /// `owned_by` of its parent; 0 in main tables.
    pub(super) parent: u128,
    pub(super) place: P,
}

/// Held rows by `key_hash` of their id.
pub(super) type HeldRows<P> = KeyMap<Held<P>>;

/// The columns of a batch that decide. The batch may hold more, or only these.
pub(super) struct Keys<'a> {
    id: &'a StringArray,
    /// Parent columns with their part of the owner. A row has at most one that is not NULL.
    owners: Vec<(u128, &'a StringArray)>,
    version: &'a Int64Array,
    observed_at: &'a TimestampMicrosecondArray,
    row_hash: &'a Int64Array,
    deleted_at: &'a TimestampMicrosecondArray,
}

/// A column by name and type. Fails `Bug`: schemas are proven before.
pub(super) fn column<'a, A: Array + 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a A> {
    batch.column_by_name(name).and_then(|c| c.as_any().downcast_ref::<A>()).ok_or_else(|| {
        Error::new(Kind::Bug, "a batch lacks a column or holds another type").with("column", name)
    })
}

impl<'a> Keys<'a> {
    pub(super) fn of(batch: &'a RecordBatch, entity: &Entity) -> Result<Self> {
        Self::with(batch, entity.parent.iter().map(|p| p.column.as_str()))
    }
    /// `parents`: every column that may name a row's parent. A child table may be fed by the records of several main
    /// tables, each with a column of its own.
    pub(super) fn with<'b>(batch: &'a RecordBatch, parents: impl Iterator<Item = &'b str>) -> Result<Self> {
        let owners: Result<_> = parents.map(|name| Ok((key_hash(name), column(batch, name)?))).collect();
        Ok(Self {
            id: column(batch, "id")?,
            owners: owners?,
            version: column(batch, "version")?,
            observed_at: column(batch, "observed_at")?,
            row_hash: column(batch, "row_hash")?,
            deleted_at: column(batch, "deleted_at")?,
        })
    }
    pub(super) fn len(&self) -> usize {
        self.id.len()
    }
    pub(super) fn id(&self, row: usize) -> &'a str {
        self.id.value(row)
    }
    pub(super) fn key(&self, row: usize) -> u128 {
        key_hash(self.id.value(row))
    }
    /// `owned_by` of the row's parent; 0 in main tables.
    pub(super) fn parent(&self, row: usize) -> u128 {
        let owner = self.owners.iter().find(|(_, ids)| ids.is_valid(row));
        owner.map_or(0, |(column, ids)| column ^ key_hash(ids.value(row)))
    }
    pub(super) fn held<P>(&self, row: usize, place: P) -> Held<P> {
        Held { rank: self.rank(row), alive: self.alive(row), parent: self.parent(row), place }
    }
    pub(super) fn rank(&self, row: usize) -> Rank {
        Rank {
            version: self.version.value(row),
            observed_at: self.observed_at.value(row),
            row_hash: self.row_hash.value(row),
        }
    }
    fn alive(&self, row: usize) -> bool {
        self.deleted_at.is_null(row)
    }
    fn all(&self) -> Result<KeySet> {
        let keys: KeySet = (0..self.len()).map(|row| self.key(row)).collect();
        if keys.len() == self.len() {
            return Ok(keys);
        }
        Err(Error::new(Kind::Bug, "a batch holds one id twice"))
    }
}

/// Owner of a parent's child rows: two parents of equal id in different columns are different owners.
pub(super) fn owned_by(column: &str, parent: u128) -> u128 {
    key_hash(column) ^ parent
}

/// `owned_by` of each parent.
pub(super) fn owners(child: &Entity, parents: impl Iterator<Item = u128>) -> KeySet {
    let column = child.parent.as_ref().map_or("", |p| p.column.as_str());
    parents.map(|parent| owned_by(column, parent)).collect()
}

/// Proves what the contract says of incoming rows; everything after relies on it. Fails `Bug`.
pub(super) fn prove(owner: &Owner, rows: &Rows) -> Result<()> {
    let main = prove_batch(owner, &rows.entity, &rows.main)?;
    if rows.bodies.len() != rows.main.num_rows() {
        return Err(
            Error::new(Kind::Bug, "rows and bodies differ in number").with("entity", &rows.entity.name)
        );
    }
    for (child, batch) in &rows.children {
        prove_batch(owner, child, batch)?;
        if child.parent.as_ref().is_none_or(|p| p.entity != rows.entity.name) {
            return Err(Error::new(Kind::Bug, "a child table came with records of another parent")
                .with("child", &child.name)
                .with("main", &rows.entity.name));
        }
        let keys = Keys::of(batch, child)?;
        let owners = owners(child, main.iter().copied());
        if let Some(row) = (0..keys.len()).find(|row| !owners.contains(&keys.parent(*row))) {
            return Err(Error::new(Kind::Bug, "a child row came without its parent")
                .with("child", &child.name)
                .with("id", keys.id(row)));
        }
    }
    Ok(())
}

fn prove_batch(owner: &Owner, entity: &Entity, batch: &RecordBatch) -> Result<KeySet> {
    if batch.schema().fields() != entity.schema().fields() {
        return Err(
            Error::new(Kind::Bug, "a batch does not have its entity's schema").with("entity", &entity.name)
        );
    }
    let whose = [("tenant_id", owner.tenant.as_str()), ("connection_id", owner.connection.as_str())];
    for (name, want) in whose {
        if column::<StringArray>(batch, name)?.iter().any(|found| found != Some(want)) {
            return Err(Error::new(Kind::Bug, "a row belongs to another owner")
                .with("entity", &entity.name)
                .with("column", name));
        }
    }
    Keys::of(batch, entity)?.all().map_err(|e| e.with("entity", &entity.name))
}

/// Rows of a main batch that change what is held.
pub(super) fn changed<P>(incoming: &Keys<'_>, held: &HeldRows<P>) -> Vec<usize> {
    let rank_held = |row| held.get(&incoming.key(row)).map(|h| h.rank);
    (0..incoming.len()).filter(|row| incoming.rank(*row).replaces(rank_held(*row))).collect()
}

/// What a child table becomes when some of its parents changed.
pub(super) struct ChildChanges {
    /// Rows of the incoming batch.
    pub(super) write: Vec<usize>,
    /// Held rows that left their parent's set.
    pub(super) remove: Vec<u128>,
}

/// Compares each changed parent's new set with the held one. `changed`: `owners` of the changed parents. `held` has
/// every held row of those parents and every held row whose id is incoming. An id that merely moved to another parent
/// is written, not removed.
pub(super) fn child_changes<P>(incoming: &Keys<'_>, changed: &KeySet, held: &HeldRows<P>) -> ChildChanges {
    let of_changed: Vec<usize> =
        (0..incoming.len()).filter(|row| changed.contains(&incoming.parent(*row))).collect();
    let stay: KeySet = of_changed.iter().map(|row| incoming.key(*row)).collect();
    let differs = |row: &usize| {
        held.get(&incoming.key(*row)).is_none_or(|h| h.rank.row_hash != incoming.rank(*row).row_hash)
    };
    let left = held.iter().filter(|(key, h)| changed.contains(&h.parent) && !stay.contains(key));
    ChildChanges {
        remove: left.map(|(key, _)| *key).collect(),
        write: of_changed.into_iter().filter(differs).collect(),
    }
}

/// Counts the living and collects the missing rows of a complete scan, one held row after the other.
pub(super) struct Census<'a> {
    scan: &'a CompleteScan,
    incoming: KeyMap<bool>,
    living: u64,
    missing: KeySet,
}

impl<'a> Census<'a> {
    /// `incoming`: the same commit's main rows. They were just returned by the provider, so none is missing.
    pub(super) fn new<P>(
        scan: &'a CompleteScan,
        incoming: Option<&Keys<'_>>,
        held: &HeldRows<P>,
    ) -> Result<Self> {
        let mut all = KeyMap::default();
        if let Some(keys) = incoming {
            let written: HashSet<usize> = changed(keys, held).into_iter().collect();
            for row in 0..keys.len() {
                let before = held.get(&keys.key(row)).is_some_and(|h| h.alive);
                all.insert(keys.key(row), if written.contains(&row) { keys.alive(row) } else { before });
            }
        }
        let living = u64::try_from(all.values().filter(|alive| **alive).count()).unwrap_or(u64::MAX);
        Ok(Self { scan, incoming: all, living, missing: KeySet::default() })
    }
    /// Takes one held main row into account; true when it is missing. A state observed after the scan began stays.
    pub(super) fn count<P>(&mut self, key: u128, held: &Held<P>) -> bool {
        if !held.alive || self.incoming.contains_key(&key) {
            return false;
        }
        self.living = self.living.saturating_add(1);
        let buried = held.rank.buried(self.scan.asked_at);
        let missing = self.scan.misses(key) && buried > held.rank;
        if missing {
            self.missing.insert(key);
        }
        missing
    }
    /// What to delete. Fails `Guard` when that is more than the allowed share.
    #[expect(clippy::cast_precision_loss, reason = "a guard needs no exact share")]
    pub(super) fn missing(self) -> Result<KeySet> {
        let found = u64::try_from(self.missing.len()).unwrap_or(u64::MAX);
        let allowed = self.scan.delete_share_max * self.living as f64;
        if found > GUARD_ROWS && found as f64 > allowed {
            return Err(Error::new(
                Kind::Guard,
                "the scan would delete more rows than allowed; none was deleted",
            )
            .with("missing", found)
            .with("living", self.living)
            .with("delete_share", self.scan.delete_share_max)
            .hint(
                "look at the provider; if the rows are really gone, raise `limits.delete_share` for one run",
            ));
        }
        Ok(self.missing)
    }
}

/// The same rows, found missing by a scan that began at `asked_at`.
pub(super) fn buried(rows: &RecordBatch, asked_at: Timestamp) -> Result<RecordBatch> {
    let at: ArrayRef = Arc::new(TimestampMicrosecondArray::from_value(asked_at.0, rows.num_rows()));
    let hashes: Int64Array = column::<Int64Array>(rows, "row_hash")?.unary(|hash| hash ^ TOMBSTONE_XOR);
    let hashes: ArrayRef = Arc::new(hashes);
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns()).map(|(field, old)| {
        Arc::clone(match field.name().as_str() {
            "observed_at" | "deleted_at" => &at,
            "row_hash" => &hashes,
            _ => old,
        })
    });
    RecordBatch::try_new(rows.schema(), columns.collect()).map_err(arrow)
}

/// Current rows as history rows of one commit. `schema` is the entity's history schema.
pub(super) fn as_history(
    rows: &RecordBatch,
    schema: SchemaRef,
    op: &str,
    commit_no: i64,
) -> Result<RecordBatch> {
    let mut columns = rows.columns().to_vec();
    columns.push(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(op, rows.num_rows()))));
    columns.push(Arc::new(Int64Array::from_value(commit_no, rows.num_rows())));
    RecordBatch::try_new(schema, columns).map_err(arrow)
}

/// An Arrow kernel refused proven input.
pub(super) fn arrow(e: arrow::error::ArrowError) -> Error {
    Error::new(Kind::Bug, "rows could not be put together").because(e)
}

/// Rejects are kept once while they are open: this tells two apart.
pub(super) fn reject_hash(reject: &crate::decode::Reject) -> u128 {
    let parts = [&reject.stream, reject.key.as_ref().unwrap_or(&reject.rule), &reject.rule, &reject.pointer];
    let mut text: Vec<u8> = Vec::new();
    for part in parts {
        text.extend_from_slice(part.as_bytes());
        text.push(0);
    }
    text.extend_from_slice(&reject.body);
    twox_hash::XxHash3_128::oneshot(&text)
}

//! Do two destinations hold the same rows? Digests first, rows only where digests differ.
//!
//! One pass over each table when everything is equal. Where buckets differ, a second pass collects the digests of their
//! rows, and a third reads the rows that are shown. Memory: `audit::tally`, and `ROWS_MAX` row digests a side.
use super::{
    report::{Cell, Difference, Group, Side, Sums, Table, What},
    tables::Fed,
};
use crate::{
    audit::{self, Bucket, Kin, Numbers, Place, Row, Rows, Tally, key64, money_text},
    entity::Entity,
    error::{Error, Kind, Result},
    load::Destination,
    time::Timestamp,
};
use arrow::{
    array::{Array, AsArray, RecordBatch, StringArray},
    datatypes::TimestampMicrosecondType,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Rows of differing buckets that are looked into, per table and side.
pub(super) const ROWS_MAX: u64 = 200_000;
/// Tables whose documents carry numbers of a series.
const NUMBERED: [&str; 2] = ["invoices", "credit_notes"];

/// What one side knows beyond its tallies.
#[derive(Default)]
struct Known {
    kin: Kin,
    /// Main rows, by table, that the other side cannot know: they changed after it was synced, or are from before its
    /// start.
    later: HashMap<String, HashSet<u64>>,
}

/// Tallies of one destination's tables, in the order of `tables`.
pub(super) struct Tallied {
    known: Known,
    tallies: Vec<Tally>,
    /// Numbers of documents, by table.
    pub(super) numbers: Vec<(String, Numbers)>,
}

/// Counts every table. `through`: by table, up to when changes of a source are expected on the other side.
pub(super) async fn tally<D: Destination>(
    destination: &mut D,
    tables: &[Fed],
    through: &BTreeMap<String, Timestamp>,
) -> Result<Tallied> {
    let mut all = Tallied { known: Known::default(), tallies: Vec::new(), numbers: Vec::new() };
    for table in tables {
        let mut tally = Tally::default();
        let mut numbers = Numbers::default();
        let numbered = NUMBERED.contains(&table.entity.name.as_str());
        let through = through.get(&table.entity.name).filter(|_| table.parents.is_empty());
        let Known { kin, later } = &mut all.known;
        let entity = &table.entity;
        destination
            .each(entity, &mut |batch| {
                let places = kin.learn(entity, &table.parents, &batch, table.has_children)?;
                tally.add(entity, &batch, &places, kin)?;
                if numbered {
                    text(&batch, "number")?.iter().flatten().for_each(|number| numbers.add(number));
                }
                if let Some(through) = through {
                    later.entry(entity.name.clone()).or_default().extend(changed_after(&batch, *through)?);
                }
                Ok(())
            })
            .await?;
        all.tallies.push(tally);
        if numbered {
            all.numbers.push((entity.name.clone(), numbers));
        }
    }
    Ok(all)
}

fn text<'a>(batch: &'a RecordBatch, column: &str) -> Result<&'a StringArray> {
    batch
        .column_by_name(column)
        .and_then(|c| c.as_string_opt::<i32>())
        .ok_or_else(|| Error::new(Kind::Bug, "a batch lacks a text column").with("column", column))
}

fn changed_after(batch: &RecordBatch, through: Timestamp) -> Result<Vec<u64>> {
    let ids = text(batch, "id")?;
    let updated = batch
        .column_by_name("source_updated_at")
        .and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>())
        .ok_or_else(|| Error::new(Kind::Bug, "a batch lacks the time of change"))?;
    let later = ids.iter().zip(updated).filter(|(_, at)| at.is_some_and(|at| at > through.0));
    Ok(later.filter_map(|(id, _)| id).map(key64).collect())
}

impl Tallied {
    /// These rows, by main table, are left out with their children.
    pub(super) fn leave_out(&mut self, rows: HashMap<String, HashSet<u64>>) {
        for (table, keys) in rows {
            self.known.later.entry(table).or_default().extend(keys);
        }
    }
    /// What changed after the syncs on either side is left out on both.
    pub(super) fn share_later(&mut self, other: &mut Self) {
        for (table, keys) in std::mem::take(&mut self.known.later) {
            other.known.later.entry(table).or_default().extend(keys);
        }
    }
    /// One side alone.
    pub(super) fn alone(&self, tables: &[Fed]) -> Vec<Table> {
        let pairs = tables.iter().zip(&self.tallies);
        pairs.map(|(table, tally)| self.table(&table.entity, tally, None)).collect()
    }
    fn table(&self, entity: &Entity, here: &Tally, there: Option<&Tally>) -> Table {
        let mut keys: BTreeSet<_> = here.groups.keys().collect();
        keys.extend(there.iter().flat_map(|t| t.groups.keys()));
        let groups = keys.into_iter().map(|key| Group {
            month: key.0.to_string(),
            currency: key.1.clone(),
            differing: 0,
            here: sums(entity, here.groups.get(key)),
            there: there.map(|t| sums(entity, t.groups.get(key))),
        });
        Table {
            table: entity.name.clone(),
            equal: true,
            here: side(here),
            there: there.map(side),
            missing: 0,
            extra: 0,
            changed: 0,
            not_synced_yet: 0,
            all_looked_into: true,
            groups: groups.collect(),
            differences: Vec::new(),
        }
    }
}

fn side(tally: &Tally) -> Side {
    let (rows, deleted) = tally.counts();
    Side { rows, deleted, digest: tally.digest.hex() }
}

fn sums(entity: &Entity, group: Option<&audit::Group>) -> Sums {
    let Some(group) = group else { return Sums::default() };
    let columns = audit::Group::columns(entity);
    Sums {
        rows: group.rows,
        deleted: group.deleted,
        sums: columns.into_iter().zip(group.sums.iter().map(|sum| money_text(*sum))).collect(),
    }
}

/// Compares table by table; shows at most `ids` rows of each.
pub(super) async fn compare<A: Destination, B: Destination>(
    left: (&mut A, &Tallied),
    right: (&mut B, &Tallied),
    tables: &[Fed],
    ids: usize,
) -> Result<Vec<Table>> {
    let (here, there) = (left.1, right.1);
    let mut all = Vec::new();
    for (at, table) in tables.iter().enumerate() {
        let (Some(a), Some(b)) = (here.tallies.get(at), there.tallies.get(at)) else { continue };
        let mut report = here.table(&table.entity, a, Some(b));
        report.not_synced_yet = there.known.later.get(&table.entity.name).map_or(0, |l| l.len() as u64);
        let (wanted, whole) = differing(a, b, ROWS_MAX);
        if !wanted.is_empty() {
            let later = &there.known.later;
            let one = Look { table, wanted: &wanted, later };
            let mut rows = one.rows(left.0, &here.known).await?;
            let found = one.diff(right.0, &there.known, &mut rows).await?;
            report.all_looked_into = whole;
            told(&mut report, &found);
            let shown: BTreeMap<&str, &Found> =
                found.iter().take(ids).map(|(id, found)| (id.as_str(), found)).collect();
            if !shown.is_empty() {
                let ours = cells(left.0, table, &shown).await?;
                let theirs = cells(right.0, table, &shown).await?;
                report.differences = shown
                    .iter()
                    .map(|(id, found)| difference(id, found, ours.get(*id), theirs.get(*id)))
                    .collect();
            }
        }
        all.push(report);
    }
    Ok(all)
}

/// Buckets that differ, up to about so many rows of them, and whether that is all.
fn differing(a: &Tally, b: &Tally, rows_max: u64) -> (BTreeSet<Bucket>, bool) {
    let keys: BTreeSet<&Bucket> = a.buckets.keys().chain(b.buckets.keys()).collect();
    let mut wanted = BTreeSet::new();
    let mut rows = 0_u64;
    for key in keys {
        let (one, other) = (a.buckets.get(key), b.buckets.get(key));
        if one == other {
            continue;
        }
        let count = |side: Option<&(u64, _)>| side.map_or(0, |s| s.0);
        // The months of some keys stay together: a row that moved is one row that changed.
        let same_keys = wanted.last().is_some_and(|last: &Bucket| last.keys == key.keys);
        if rows >= rows_max && !same_keys {
            return (wanted, false);
        }
        rows += count(one).max(count(other));
        wanted.insert(*key);
    }
    (wanted, true)
}

/// One differing row.
struct Found {
    what: What,
    month: String,
    currency: String,
    document: Option<String>,
}

/// One table, some of whose buckets differ.
struct Look<'a> {
    table: &'a Fed,
    wanted: &'a BTreeSet<Bucket>,
    later: &'a HashMap<String, HashSet<u64>>,
}

/// Where a row counts, what it is, and the document it belongs to.
type Held = (Row, Place, Option<String>);

impl Look<'_> {
    /// Shows the rows of differing buckets; changed documents that were not synced yet are left out.
    async fn each<D: Destination>(
        &self,
        destination: &mut D,
        known: &Known,
        mut see: impl FnMut(&str, Held) + Send,
    ) -> Result<()> {
        let Fed { entity, parents, .. } = self.table;
        let mut room = Vec::new();
        destination
            .each(entity, &mut |batch| {
                let places = known.kin.places(entity, parents, &batch)?;
                let rows = Rows::of(entity, &batch)?;
                let ids = text(&batch, "id")?;
                let owners = owners(&batch, parents)?;
                let ours = places.iter().enumerate().filter_map(|(row, place)| Some((row, place.as_ref()?)));
                for (row, place) in ours {
                    let id = ids.value(row);
                    if !self.wanted.contains(&Bucket::of(id, *place)) {
                        continue;
                    }
                    let owner = owners.iter().find(|(_, ids)| ids.is_valid(row));
                    let main =
                        owner.map_or((entity.name.as_str(), id), |(main, ids)| (*main, ids.value(row)));
                    if self.later.get(main.0).is_some_and(|later| later.contains(&key64(main.1))) {
                        continue;
                    }
                    let document = owner.map(|_| main.1.to_owned());
                    if let Some(living) = rows.row(row, &mut room) {
                        see(id, (living, *place, document));
                    }
                }
                Ok(())
            })
            .await
    }
    async fn rows<D: Destination>(
        &self,
        destination: &mut D,
        known: &Known,
    ) -> Result<HashMap<String, (Held, String)>> {
        let mut all = HashMap::new();
        self.each(destination, known, |id, held| {
            let currency = known.kin.currency(held.1).to_owned();
            all.insert(id.to_owned(), (held, currency));
        })
        .await?;
        Ok(all)
    }
    /// What differs, by id. `rows` is used up.
    async fn diff<D: Destination>(
        &self,
        destination: &mut D,
        known: &Known,
        rows: &mut HashMap<String, (Held, String)>,
    ) -> Result<BTreeMap<String, Found>> {
        let mut found = BTreeMap::new();
        self.each(destination, known, |id, (row, place, document)| {
            let what = match rows.remove(id) {
                Some(((same, ..), _)) if same == row => return,
                Some(_) => What::Changed,
                None => What::Missing,
            };
            let currency = known.kin.currency(place).to_owned();
            found.insert(id.to_owned(), Found { what, month: place.month.to_string(), currency, document });
        })
        .await?;
        for (id, ((_, place, document), currency)) in rows.drain() {
            let month = place.month.to_string();
            found.insert(id, Found { what: What::Extra, month, currency, document });
        }
        Ok(found)
    }
}

/// Main tables and ids of the rows' parents.
fn owners<'a>(
    batch: &'a RecordBatch,
    parents: &'a [(String, String)],
) -> Result<Vec<(&'a str, &'a StringArray)>> {
    parents.iter().map(|(column, main)| Ok((main.as_str(), text(batch, column)?))).collect()
}

/// Counts what was found into the report.
fn told(report: &mut Table, found: &BTreeMap<String, Found>) {
    for one in found.values() {
        match one.what {
            What::Missing => report.missing += 1,
            What::Extra => report.extra += 1,
            What::Changed => report.changed += 1,
        }
        let group = report.groups.iter_mut().find(|g| g.month == one.month && g.currency == one.currency);
        if let Some(group) = group {
            group.differing += 1;
        }
    }
    report.equal = found.is_empty() && report.all_looked_into;
}

/// Names and values of rows, by id.
async fn cells<D: Destination>(
    destination: &mut D,
    table: &Fed,
    wanted: &BTreeMap<&str, &Found>,
) -> Result<HashMap<String, Vec<(String, Option<String>)>>> {
    let mut all = HashMap::new();
    destination
        .each(&table.entity, &mut |batch| {
            let rows = Rows::of(&table.entity, &batch)?;
            for (row, id) in text(&batch, "id")?.iter().enumerate() {
                if let Some(id) = id.filter(|id| wanted.contains_key(id)) {
                    all.insert(id.to_owned(), rows.texts(row));
                }
            }
            Ok(())
        })
        .await?;
    Ok(all)
}

type Texts = Vec<(String, Option<String>)>;

fn difference(id: &str, found: &Found, here: Option<&Texts>, there: Option<&Texts>) -> Difference {
    let columns = match (here, there) {
        (Some(here), Some(there)) => {
            let pairs = here.iter().zip(there).filter(|(a, b)| a != b);
            pairs.map(|(a, b)| Cell { column: a.0.clone(), here: a.1.clone(), there: b.1.clone() }).collect()
        }
        _ => Vec::new(),
    };
    Difference {
        id: id.to_owned(),
        what: found.what,
        month: found.month.clone(),
        currency: found.currency.clone(),
        document: found.document.clone(),
        columns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{audit::Digest, entity::Month};

    #[test]
    fn what_is_looked_into_is_bounded_and_months_of_the_same_keys_stay_together() {
        let bucket = |keys, month| Bucket { keys, month: Month::Of(month) };
        let side = |counts: &[(u8, i32, u64)]| {
            let entry =
                |(keys, month, rows): &(u8, i32, u64)| (bucket(*keys, *month), (*rows, Digest::default()));
            let mut tally = Tally::default();
            tally.buckets = counts.iter().map(entry).collect();
            tally
        };
        let full = side(&[(1, 7, 5), (1, 8, 5), (2, 7, 5), (3, 7, 5), (4, 7, 9)]);
        let (wanted, whole) = differing(&full, &side(&[(4, 7, 9)]), 6);
        assert_eq!(wanted, [bucket(1, 7), bucket(1, 8)].into());
        assert!(!whole);
        let (wanted, whole) = differing(&full, &side(&[(4, 7, 9)]), 100);
        assert_eq!((wanted.len(), whole), (4, true), "the equal bucket is not looked into");
        assert_eq!(differing(&full, &full, 0), (BTreeSet::new(), true));
    }
}

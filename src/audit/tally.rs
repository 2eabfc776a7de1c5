//! Counts, sums and digests of one table, by month and currency, and by buckets in which a difference is looked for.
//!
//! Memory: one entry per month and currency, `BUCKETS` per month, and about 40 bytes for each row of a table that
//! has children, for a child has the month, and where it lacks one the currency, of its parent.
use super::row::{Digest, Rows, money};
use crate::{
    entity::{Entity, Month},
    error::{Error, Kind, Result},
};
use arrow::array::{Array, AsArray, Decimal128Array, RecordBatch, StringArray};
use std::collections::{BTreeMap, HashMap};

/// Parts into which the keys of a month are cut.
const BUCKETS: u64 = 256;

/// Where a row counts: its month and its currency's number in `Kin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Month of the document.
    pub month: Month,
    currency: u16,
}

/// Rows of one month whose keys hash alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket {
    /// First, so that all months of some keys are looked into together: a row may have moved.
    pub keys: u8,
    /// Month.
    pub month: Month,
}

/// Half of the hash of an id.
#[expect(clippy::cast_possible_truncation, reason = "half of a good hash is one")]
pub fn key64(id: &str) -> u64 {
    twox_hash::XxHash3_128::oneshot(id.as_bytes()) as u64
}

/// What is known of all tables of one side: where the rows of main tables count, for their children.
#[derive(Debug, Default)]
pub struct Kin {
    /// Index is the number.
    currencies: Vec<String>,
    places: HashMap<String, HashMap<u64, Place>>,
}

impl Kin {
    /// Code of a currency; empty for none.
    pub fn currency(&self, place: Place) -> &str {
        self.currencies.get(usize::from(place.currency)).map_or("", String::as_str)
    }
    /// Fails `Drift` past 65,535 different ones.
    fn number(&mut self, code: &str) -> Result<()> {
        if !self.currencies.iter().any(|c| c == code) {
            self.currencies.push(code.to_owned());
        }
        self.known(code).map(|_| ())
    }
    fn known(&self, code: &str) -> Result<u16> {
        let at = self.currencies.iter().position(|c| c == code).and_then(|at| u16::try_from(at).ok());
        at.ok_or_else(|| {
            Error::new(Kind::Drift, "a table has too many currencies, or changed while it was read")
        })
    }
    /// Where the rows of a batch count, remembered for their children when the table has some. `parents`: a child's
    /// parent columns, with the main table of each.
    pub fn learn(
        &mut self,
        entity: &Entity,
        parents: &[(String, String)],
        batch: &RecordBatch,
        has_children: bool,
    ) -> Result<Vec<Option<Place>>> {
        self.number("")?;
        let mut last = None;
        for code in currencies(batch).into_iter().flat_map(StringArray::iter).flatten() {
            if last.replace(code) != Some(code) {
                self.number(code)?;
            }
        }
        let all = self.places(entity, parents, batch)?;
        if has_children {
            let ids = batch.column_by_name("id").and_then(|c| c.as_string_opt::<i32>());
            let known = self.places.entry(entity.name.clone()).or_default();
            let keys = ids.into_iter().flat_map(StringArray::iter).flatten().map(key64);
            known.extend(keys.zip(all.iter().copied()).filter_map(|(key, place)| Some((key, place?))));
        }
        Ok(all)
    }
    /// The same of a table that was learned before. None for a child of another main table than these: the streams
    /// that are looked at do not write it.
    pub fn places(
        &self,
        entity: &Entity,
        parents: &[(String, String)],
        batch: &RecordBatch,
    ) -> Result<Vec<Option<Place>>> {
        let months = if parents.is_empty() { Month::of_rows(entity, batch) } else { Vec::new() };
        let nowhere = Place { month: Month::Undated, currency: self.known("")? };
        let owner = |(column, main): &(String, String)| {
            Some((batch.column_by_name(column)?.as_string_opt::<i32>()?, self.places.get(main)))
        };
        let owners: Vec<(&StringArray, _)> = parents.iter().filter_map(owner).collect();
        let mut all: Vec<Option<Place>> = (0..batch.num_rows())
            .map(|row| {
                if let Some(month) = months.get(row) {
                    return Some(Place { month: *month, ..nowhere });
                }
                let (ids, of) = owners.iter().find(|(ids, _)| ids.is_valid(row))?;
                let known = of.as_ref().and_then(|of| of.get(&key64(ids.value(row))).copied());
                Some(known.unwrap_or(nowhere))
            })
            .collect();
        if let Some(codes) = currencies(batch) {
            let mut last: (&str, u16) = ("", nowhere.currency);
            for (place, code) in all.iter_mut().zip(codes.iter()) {
                if let (Some(place), Some(code)) = (place, code) {
                    if code != last.0 {
                        last = (code, self.known(code)?);
                    }
                    place.currency = last.1;
                }
            }
        }
        Ok(all)
    }
}

fn currencies(batch: &RecordBatch) -> Option<&StringArray> {
    batch.column_by_name("currency").and_then(|c| c.as_string_opt())
}

/// Rows of one month and currency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Living rows.
    pub rows: u64,
    /// Deleted rows.
    pub deleted: u64,
    /// Of the living rows, per money column in the entity's order; units of 10^-8.
    pub sums: Vec<i128>,
    /// Of all rows.
    pub digest: Digest,
}

/// One table of one side.
#[derive(Debug, Default)]
pub struct Tally {
    /// By month and currency.
    pub groups: BTreeMap<(Month, String), Group>,
    /// Rows and digest of each bucket.
    pub buckets: BTreeMap<Bucket, (u64, Digest)>,
    /// Of all rows.
    pub digest: Digest,
    room: Vec<u8>,
}

impl Tally {
    /// Counts a batch whose rows count at `places`. Fails `Drift` when a sum does not fit 38 digits.
    pub fn add(
        &mut self,
        entity: &Entity,
        batch: &RecordBatch,
        places: &[Option<Place>],
        kin: &Kin,
    ) -> Result<()> {
        let rows = Rows::of(entity, batch)?;
        let ids = batch.column_by_name("id").and_then(|c| c.as_string_opt::<i32>());
        let ids = ids.ok_or_else(|| Error::new(Kind::Bug, "a batch has no ids"))?;
        let amounts: Vec<&Decimal128Array> =
            money(entity).filter_map(|name| batch.column_by_name(name)?.as_primitive_opt()).collect();
        let mut groups: HashMap<Place, Group> = HashMap::new();
        let ours = places.iter().enumerate().filter_map(|(row, place)| Some((row, place.as_ref()?)));
        for (row, place) in ours {
            let Some(hashed) = rows.row(row, &mut self.room) else {
                groups.entry(*place).or_default().deleted += 1;
                continue;
            };
            self.digest.add(&hashed);
            let bucket = self.buckets.entry(Bucket::of(ids.value(row), *place)).or_default();
            bucket.0 += 1;
            bucket.1.add(&hashed);
            let group = groups.entry(*place).or_default();
            group.digest.add(&hashed);
            group.sums.resize(amounts.len(), 0);
            group.rows += 1;
            for (sum, column) in group.sums.iter_mut().zip(&amounts).filter(|(_, c)| c.is_valid(row)) {
                *sum = plus(*sum, column.value(row))?;
            }
        }
        for (place, part) in groups {
            let group = self.groups.entry((place.month, kin.currency(place).to_owned())).or_default();
            group.rows += part.rows;
            group.deleted += part.deleted;
            group.digest.merge(&part.digest);
            group.sums.resize(amounts.len(), 0);
            for (sum, more) in group.sums.iter_mut().zip(part.sums) {
                *sum = plus(*sum, more)?;
            }
        }
        Ok(())
    }
    /// Living and deleted rows.
    pub fn counts(&self) -> (u64, u64) {
        self.groups.values().fold((0, 0), |(rows, deleted), g| (rows + g.rows, deleted + g.deleted))
    }
}

impl Bucket {
    /// The bucket of an id that counts at `place`.
    pub fn of(id: &str, place: Place) -> Self {
        Self { keys: u8::try_from(key64(id) % BUCKETS).unwrap_or(0), month: place.month }
    }
}

fn plus(a: i128, b: i128) -> Result<i128> {
    a.checked_add(b).ok_or_else(|| Error::new(Kind::Drift, "a sum of amounts does not fit"))
}

impl Group {
    /// Names of the sums, in their order.
    pub fn columns(entity: &Entity) -> Vec<String> {
        money(entity).map(str::to_owned).collect()
    }
}

//! What does a person's erasure make of stored rows, bodies, quarantined records and issues? Decided here for every
//! destination.
//!
//! Every state that was read before the provider told of the erasure loses what is personal; what was read then or
//! later stays as it was said. Pure. Absent on purpose: files, statements, and who tells of erasures.
mod order;

pub use order::{Claim, Claims, Cleared, Erased, Erasure, Order, Part, Whose, claim};
pub(super) use order::{Tally, learn};

use super::{RawRecord, Rows, StoredIssue, fold};
use crate::{
    decode::{Issue, Reject, texts},
    entity::{Entity, PREFIX, SUFFIX},
    error::Result,
};
use arrow::{
    array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    compute::nullif,
};
use bytes::Bytes;
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Said in place of a found value that tells of a person.
pub(in crate::load) const NOT_SHOWN: &str = "not shown: the provider cleared the person's data";
/// Kept of a quarantined record that is no JSON, so that nothing can be cut out of it.
const NOTHING: &[u8] = b"{}";
/// A child row that lost a value is another row than the same one read later: that is written as it is said then. An
/// involution, computable in SQL (`#`).
pub(in crate::load) const ERASED_XOR: i64 = 0x5EED_E8A5_0000_0002;

/// By key: when a state was observed, and whether it names a person of the order (else another one).
pub(in crate::load) type Times = BTreeMap<String, Vec<(i64, bool)>>;

/// A record that was handed to another person is that one's from then on.
pub(in crate::load) fn until_handed_on(claims: &mut Claims, times: Times) {
    for (key, states) in times {
        let last = states.iter().filter(|(_, ours)| *ours).map(|(at, _)| *at).max();
        let others = states.iter().filter(|(at, ours)| !ours && last.is_some_and(|last| *at > last));
        if let (Some(from), Some(claim)) = (others.map(|(at, _)| *at).min(), claims.get_mut(&key)) {
            claim.told_at = claim.told_at.min(from);
        }
    }
}

impl Part {
    /// The stream's main table.
    pub(in crate::load) fn main(&self) -> Option<&Arc<Entity>> {
        self.entities.first()
    }
    /// The column of one of its tables that holds the record's key.
    pub(in crate::load) fn key_of(entity: &Entity) -> &str {
        entity.parent.as_ref().map_or("id", |p| p.column.as_str())
    }
    /// Columns that `claims` reads.
    pub(in crate::load) fn columns(&self) -> Vec<&str> {
        let named = self
            .whose
            .iter()
            .flat_map(|w| [Some(w.column.as_str()), w.when.as_ref().map(|(c, _)| c.as_str())]);
        let mut columns: Vec<&str> = ["id"].into_iter().chain(named.flatten()).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }
    /// Whether anybody of the order can have records here.
    pub(in crate::load) fn asks(&self) -> bool {
        self.whose.iter().any(|w| !w.of.is_empty())
    }
    /// Adds the keys of those rows of the main table that are a person's of the order.
    pub fn claims(&self, rows: &RecordBatch, found: &mut Claims) -> Result<()> {
        let ids: &StringArray = fold::column(rows, "id")?;
        self.named(rows, |row, one| {
            if let Some(one) = one {
                claim(found, ids.value(row), *one);
            }
        })
    }
    /// Adds when states of claimed records were observed, and whether they name a person of the order or another one.
    pub(in crate::load) fn times(
        &self,
        rows: &RecordBatch,
        claims: &Claims,
        times: &mut Times,
    ) -> Result<()> {
        let ids: &StringArray = fold::column(rows, "id")?;
        let observed: &TimestampMicrosecondArray = fold::column(rows, "observed_at")?;
        let mut named: HashMap<usize, bool> = HashMap::new();
        self.named(rows, |row, one| *named.entry(row).or_default() |= one.is_some())?;
        for (row, ours) in named.into_iter().filter(|(row, _)| claims.contains_key(ids.value(*row))) {
            times.entry(ids.value(row).to_owned()).or_default().push((observed.value(row), ours));
        }
        Ok(())
    }
    /// Shows each row that names somebody, as often as it does.
    fn named(&self, rows: &RecordBatch, mut show: impl FnMut(usize, Option<&Claim>)) -> Result<()> {
        for whose in self.whose.iter().filter(|w| !w.of.is_empty()) {
            let keys: &StringArray = fold::column(rows, &whose.column)?;
            let when = whose.when.as_ref();
            let when =
                when.map(|(c, is)| Ok::<_, crate::error::Error>((fold::column::<StringArray>(rows, c)?, is)));
            let when = when.transpose()?;
            for row in (0..rows.num_rows()).filter(|row| keys.is_valid(*row)) {
                let fits = when.is_none_or(|(c, is)| c.is_valid(row) && c.value(row) == is);
                if fits {
                    show(row, whose.of.get(keys.value(row)));
                }
            }
        }
        Ok(())
    }
    /// Whose a body is, as far as it says.
    fn claim_of_body(&self, body: &[u8]) -> Option<Claim> {
        let mut found: Option<Claim> = None;
        for whose in self.whose.iter().filter(|w| !w.of.is_empty()) {
            let fits = whose.when.as_ref().is_none_or(|(field, is)| texts(body, field).contains(is));
            for key in texts(body, &whose.at).iter().filter(|_| fits) {
                found = found.max_by_told(whose.of.get(key).copied());
            }
        }
        found
    }
    /// The body of a record without what is personal; None: it stays as it is.
    pub(in crate::load) fn body(&self, record: &RawRecord, claims: &Claims) -> Option<(Bytes, Claim)> {
        let claim =
            claims.get(&record.key).filter(|c| record.read_at.0 < c.told_at && !record.body.is_empty())?;
        match self.cut.apply(&record.body) {
            Some(Cow::Owned(cut)) => Some((cut.into(), *claim)),
            Some(Cow::Borrowed(_)) => None,
            None => Some((Bytes::from_static(NOTHING), *claim)),
        }
    }
    /// The quarantined record without what is personal; None: it stays as it is. What was found wrong is not said any
    /// more, for it may be just that.
    pub(in crate::load) fn reject(&self, reject: &Reject, claims: &Claims) -> Option<(Reject, Claim)> {
        if reject.stream != self.stream {
            return None;
        }
        let by_key = reject.key.as_ref().and_then(|key| claims.get(key)).copied();
        let claim =
            by_key.max_by_told(self.claim_of_body(&reject.body)).filter(|c| reject.asked_at.0 < c.told_at)?;
        let body = match self.cut.apply(&reject.body) {
            Some(Cow::Owned(cut)) => cut.into(),
            Some(Cow::Borrowed(_)) => reject.body.clone(),
            None => Bytes::from_static(NOTHING),
        };
        let erased = Reject { body, message: NOT_SHOWN.to_owned(), ..reject.clone() };
        (erased != *reject).then_some((erased, claim))
    }
    /// The issue without the value that was found, whenever that was; None: it stays as it is. Only main tables have personal columns that
    /// a value may not fit: those of their children are JSON.
    pub(in crate::load) fn issue(
        &self,
        issue: &StoredIssue,
        claims: &Claims,
    ) -> Option<(StoredIssue, Claim)> {
        let main = self.main().filter(|main| main.name == issue.entity)?;
        let claim = claims.get(&issue.id)?;
        if !issue.is_value() || !is_personal(main, &issue.column) {
            return None;
        }
        let erased =
            StoredIssue { expected: None, actual: None, message: NOT_SHOWN.to_owned(), ..issue.clone() };
        (erased != *issue).then_some((erased, *claim))
    }
}

/// Low half of a body's xxh3-128.
#[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
pub(in crate::load) fn body_hash(body: &[u8]) -> u64 {
    twox_hash::XxHash3_128::oneshot(body) as u64
}

/// The hash of a body as it was received, when the stored one is not that any more.
pub(in crate::load) fn received(hash: i64, body: &[u8]) -> Option<u64> {
    let hash = hash.cast_unsigned();
    (!body.is_empty() && hash != body_hash(body)).then_some(hash)
}

trait Later {
    fn max_by_told(self, other: Self) -> Self;
}

impl Later for Option<Claim> {
    fn max_by_told(self, other: Self) -> Self {
        match (self, other) {
            (Some(a), Some(b)) if b.told_at > a.told_at => Some(b),
            (a, b) => a.or(b),
        }
    }
}

/// Whether a stored column of a table holds personal data: one that says so, one that was promoted from the merchant's
/// fields, and one that no pipeline declares any more, which was.
pub(in crate::load) fn is_personal(entity: &Entity, column: &str) -> bool {
    match entity.column(column) {
        Some(own) => own.pii || own.promoted,
        None => {
            !PREFIX.contains(&column)
                && !SUFFIX.iter().any(|(name, ..)| *name == column)
                && !["op", "commit_no"].contains(&column)
        }
    }
}

/// The same rows without personal values, where `claims` have their record and they were observed before; None: all
/// stay as they are.
pub(in crate::load) fn blank(
    rows: &RecordBatch,
    entity: &Entity,
    claims: &Claims,
    tally: &mut Tally,
) -> Result<Option<RecordBatch>> {
    let keys: &StringArray = fold::column(rows, Part::key_of(entity))?;
    let observed: &TimestampMicrosecondArray = fold::column(rows, "observed_at")?;
    let schema = rows.schema();
    let personal: Vec<bool> = schema.fields().iter().map(|f| is_personal(entity, f.name())).collect();
    let values = || rows.columns().iter().zip(&personal).filter(|(_, personal)| **personal).map(|(c, _)| c);
    let mut hit = vec![false; rows.num_rows()];
    let mut any = false;
    for (row, hit) in hit.iter_mut().enumerate().filter(|(row, _)| keys.is_valid(*row)) {
        let claim = claims.get(keys.value(row)).filter(|c| observed.value(row) < c.told_at);
        let Some(claim) = claim.filter(|_| values().any(|c| c.is_valid(row))) else { continue };
        (*hit, any) = (true, true);
        if let Some(one) = tally.of(claim.person) {
            one.rows += 1;
        }
    }
    if !any {
        return Ok(None);
    }
    let mask = BooleanArray::from(hit);
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(rows.num_columns());
    for ((column, personal), field) in rows.columns().iter().zip(personal).zip(schema.fields()) {
        columns.push(if personal {
            nullif(column, &mask).map_err(fold::arrow)?
        } else if entity.parent.is_some() && field.name() == "row_hash" {
            let hashes: &Int64Array = fold::column(rows, "row_hash")?;
            let xor = mask.iter().map(|hit| if hit == Some(true) { ERASED_XOR } else { 0 });
            Arc::new(hashes.values().iter().zip(xor).map(|(hash, xor)| hash ^ xor).collect::<Int64Array>())
        } else {
            Arc::clone(column)
        });
    }
    RecordBatch::try_new(schema, columns).map(Some).map_err(fold::arrow)
}

/// Rows that are about to be stored, of records read before an erasure: without what is personal, like those that were
/// stored before. So are the issues that were found with them.
pub fn bygone(part: &Part, claims: &Claims, rows: &mut Rows, issues: &mut [Issue]) -> Result<()> {
    for issue in issues.iter_mut().filter(|i| i.entity == rows.entity.name && claims.contains_key(&i.id)) {
        if is_personal(&rows.entity, &issue.column) {
            issue.message = NOT_SHOWN.to_owned();
        }
    }
    let mut tally = Tally(Vec::new());
    if let Some(main) = blank(&rows.main, &rows.entity, claims, &mut tally)? {
        rows.main = main;
    }
    for (child, batch) in &mut rows.children {
        if let Some(erased) = blank(batch, child, claims, &mut tally)? {
            *batch = erased;
        }
    }
    let ids: &StringArray = fold::column(&rows.main, "id")?;
    let observed: &TimestampMicrosecondArray = fold::column(&rows.main, "observed_at")?;
    for (row, body) in rows.bodies.iter_mut().enumerate() {
        let older = claims.get(ids.value(row)).is_some_and(|c| observed.value(row) < c.told_at);
        if older {
            match part.cut.apply(body) {
                Some(Cow::Owned(cut)) => *body = cut.into(),
                Some(Cow::Borrowed(_)) => {}
                None => *body = Bytes::from_static(NOTHING),
            }
        }
    }
    Ok(())
}

/// The rows of these records without personal values: they were made of bodies that something was cut out of.
pub fn blank_all(rows: &mut Rows, keys: &[String]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let claims: Claims =
        keys.iter().map(|key| (key.clone(), Claim { told_at: i64::MAX, person: 0 })).collect();
    let mut tally = Tally(Vec::new());
    if let Some(main) = blank(&rows.main, &rows.entity, &claims, &mut tally)? {
        rows.main = main;
    }
    for (child, batch) in &mut rows.children {
        if let Some(erased) = blank(batch, child, &claims, &mut tally)? {
            *batch = erased;
        }
    }
    Ok(())
}

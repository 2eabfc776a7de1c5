//! Which quarantined records does a commit make moot? Those of a key whose record arrives again and fits now.
//!
//! Absent on purpose: trying a record again (`redrive`).
use crate::{
    error::Result,
    id::Owner,
    load::{Commit, Destination, Rows},
    time::Timestamp,
};
use arrow::{array::AsArray, datatypes::TimestampMicrosecondType};
use std::collections::HashMap;

/// A quarantined record: its id, and when it was asked for.
type Record = (String, Timestamp);

/// Quarantined records of a connection, by stream and key. Those without a readable key stay until they are redriven.
#[derive(Debug, Default)]
pub(super) struct Quarantined(HashMap<String, HashMap<String, Vec<Record>>>);

impl Quarantined {
    pub(super) async fn read<D: Destination>(destination: &mut D, owner: &Owner) -> Result<Self> {
        let mut all = Self::default();
        for stored in destination.rejects(owner).await? {
            let reject = stored.reject;
            if let Some(key) = reject.key {
                let of_stream = all.0.entry(reject.stream).or_default();
                of_stream.entry(key).or_default().push((stored.id, reject.asked_at));
            }
        }
        Ok(all)
    }

    /// Lets the commit resolve what its rows supersede: a state that was asked for at the same time or later.
    pub(super) fn supersede(&mut self, commit: &mut Commit) {
        let Some(records) = self.0.get_mut(&commit.stream).filter(|records| !records.is_empty()) else {
            return;
        };
        let Some(rows) = &commit.rows else { return };
        for (id, observed_at) in states(rows) {
            let Some(of_key) = records.get_mut(id) else { continue };
            let moot = of_key.extract_if(.., |(_, asked_at)| *asked_at <= observed_at);
            commit.resolves.extend(moot.map(|(id, _)| id));
        }
    }
}

/// Id and `observed_at` of each main row.
fn states(rows: &Rows) -> impl Iterator<Item = (&str, Timestamp)> {
    let ids = rows.main.column_by_name("id").and_then(|c| c.as_string_opt::<i32>());
    let at = rows.main.column_by_name("observed_at");
    let at = at.and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
    let both = ids.into_iter().flatten().zip(at.into_iter().flatten());
    both.filter_map(|(id, at)| Some((id?, Timestamp(at?))))
}

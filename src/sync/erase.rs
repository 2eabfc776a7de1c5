//! Erasures that a provider told: found in what was read, done before the run ends.
//!
//! What is pending stands in the destination since the commit that stored the telling state, so a death at any moment
//! loses none. Absent on purpose: what becomes of rows and bodies (`load::erase`).
use super::Job;
use crate::{
    decode::{Issue, Records},
    error::Result,
    load::{
        Cleared, Destination, Erasure, Rows,
        erase::{Claim, Claims, Order, Part, Whose, bygone, claim},
    },
    manifest::{self, Stream},
    time::Timestamp,
};
use arrow::array::AsArray;
use std::{collections::BTreeMap, sync::Arc};

/// Persons erased at once. Each round looks through all that is stored, and holds the keys of their records.
const PERSONS_MAX: usize = 1_000;

/// The persons whose data was cleared, as these records say.
pub(super) fn told(stream: &Stream, records: &Records) -> Vec<Cleared> {
    let Some(clearing) = &stream.clearing else { return Vec::new() };
    let column = records.batch.column_by_name(&clearing.field).and_then(|c| c.as_string_opt::<i32>());
    let all = column.into_iter().flatten().zip(records.key.iter().zip(&records.asked_at));
    all.filter(|(says, _)| *says == Some(clearing.value.as_str()))
        .map(|(_, (key, asked_at))| Cleared { person: key.clone(), told_at: *asked_at })
        .collect()
}

/// Does everything that is pending; how many persons that were.
pub(super) async fn pending<D: Destination>(job: &Job, destination: &mut D, now: Timestamp) -> Result<u64> {
    let mut done = 0;
    if job.connector.streams.iter().all(|s| s.clearing.is_none()) {
        return Ok(done);
    }
    let mut told = destination.erasures(&job.facts.owner).await?;
    told.retain(|e| e.done_at.is_none());
    for some in told.chunks(PERSONS_MAX) {
        let persons = some.iter().map(|e| (e.stream.clone(), e.person.clone())).collect();
        let order = Order { persons, done_at: now, parts: parts(job, some, destination).await? };
        let erased = destination.erase(&order).await?;
        tracing::info!(persons = some.len(), ?erased, "erased what was read before the provider cleared it");
        done += some.len() as u64;
    }
    Ok(done)
}

/// What of a stream's records was erased, for records that are made into rows once more: redriven, or rebuilt. They
/// bring nothing back.
pub(super) struct Bygone(Vec<Part>);

impl Bygone {
    pub(super) async fn read<D: Destination>(
        job: &Job,
        stream: &Stream,
        destination: &mut D,
    ) -> Result<Self> {
        if stream.personal.is_none() {
            return Ok(Self(Vec::new()));
        }
        let told = destination.erasures(&job.facts.owner).await?;
        if told.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let mut parts = parts(job, &told, destination).await?;
        parts.retain(|part| part.stream == stream.name);
        Ok(Self(parts))
    }
    /// Takes what is personal out of rows, bodies and issues of records that were read before.
    pub(super) fn leave_out(&self, rows: &mut Rows, issues: &mut [Issue]) -> Result<()> {
        for part in &self.0 {
            let mut claims = Claims::new();
            part.claims(&rows.main, &mut claims)?;
            bygone(part, &claims, rows, issues)?;
        }
        Ok(())
    }
}

/// Per stream with personal data, how its records name these persons.
async fn parts<D: Destination>(job: &Job, told: &[Erasure], destination: &mut D) -> Result<Vec<Part>> {
    let mut persons = Claims::new();
    for (n, one) in told.iter().enumerate() {
        claim(&mut persons, &one.person, Claim { told_at: one.told_at.0, person: n });
    }
    let mut led: BTreeMap<String, Claims> = BTreeMap::new();
    let streams = || job.connector.streams.iter().filter_map(|s| Some((s, s.personal.as_ref()?)));
    let vias = streams().flat_map(|(_, personal)| personal.whose.iter().filter_map(|w| w.via.clone()));
    for via in vias {
        if led.contains_key(&via) {
            continue;
        }
        let mut found = Claims::new();
        if let Some((stream, personal)) = streams().find(|(s, _)| s.name == via) {
            let direct = personal.whose.iter().filter(|w| w.via.is_none());
            let part = part(stream, personal, direct.map(|w| whose(w, &persons)).collect());
            if let Some(main) = part.entities.first() {
                destination.each(main, &mut |rows| part.claims(&rows, &mut found)).await?;
            }
        }
        led.insert(via, found);
    }
    let of = |w: &manifest::Whose| whose(w, w.via.as_ref().and_then(|via| led.get(via)).unwrap_or(&persons));
    Ok(streams().map(|(s, personal)| part(s, personal, personal.whose.iter().map(of).collect())).collect())
}

fn part(stream: &Stream, personal: &manifest::Personal, whose: Vec<Whose>) -> Part {
    Part {
        stream: stream.name.clone(),
        entities: stream.feeds.iter().map(|f| Arc::clone(&f.entity)).collect(),
        whose,
        cut: Arc::clone(&personal.cut),
    }
}

fn whose(named: &manifest::Whose, of: &Claims) -> Whose {
    let manifest::Whose { column, at, when, .. } = named;
    Whose { column: column.clone(), at: at.clone(), when: when.clone(), of: of.clone() }
}

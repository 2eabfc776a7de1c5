//! What is told of erasures and what is to be erased: plain data, and what is kept of both.
//!
//! Absent on purpose: what becomes of rows and bodies.
use crate::{decode::Cut, entity::Entity, time::Timestamp};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, sync::Arc};

/// The provider's word that a person's data was cleared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleared {
    /// Key of the record that said so.
    pub person: String,
    /// When the request that returned it was sent.
    pub told_at: Timestamp,
}

/// A told erasure as a destination keeps it, one per stream and person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// Stream whose record told of it.
    pub stream: String,
    /// Key of that record.
    pub person: String,
    /// Everything read before loses what is personal.
    pub told_at: Timestamp,
    /// None: not done yet.
    pub done_at: Option<Timestamp>,
    /// What was done.
    #[serde(flatten)]
    pub erased: Erased,
}

/// What an erasure changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// Rows of history that lost a value; current rows are the newest of them.
    pub rows: u64,
    /// Stored bodies of which something was cut.
    pub bodies: u64,
    /// Quarantined records, open or resolved.
    pub rejects: u64,
    /// Quality issues.
    pub issues: u64,
}

impl Erased {
    /// Both together.
    pub fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.bodies += other.bodies;
        self.rejects += other.rejects;
        self.issues += other.issues;
    }
}

/// Whose a record is, and since when nothing older of it may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Microseconds.
    pub told_at: i64,
    /// Position in `Order::persons`.
    pub person: usize,
}

/// By key.
pub type Claims = HashMap<String, Claim>;

/// Adds a claim; of two, the one that was told later.
pub fn claim(claims: &mut Claims, key: &str, new: Claim) {
    match claims.get_mut(key) {
        Some(known) if known.told_at >= new.told_at => {}
        Some(known) => *known = new,
        None => {
            claims.insert(key.to_owned(), new);
        }
    }
}

/// What is to be erased, all at once.
#[derive(Clone, Debug)]
pub struct Order {
    /// Stream and key of the told erasures.
    pub persons: Vec<(String, String)>,
    /// Noted with them.
    pub done_at: Timestamp,
    /// Per stream that holds personal data.
    pub parts: Vec<Part>,
}

/// One stream's records.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its name.
    pub stream: String,
    /// Its unified tables, the main one first.
    pub entities: Vec<Arc<Entity>>,
    /// How a record says whose it is; any of them counts.
    pub whose: Vec<Whose>,
    /// What is cut out of bodies.
    pub cut: Arc<Cut>,
}

/// One way of a record to say whose it is.
#[derive(Clone, Debug)]
pub struct Whose {
    /// Column of the main table.
    pub column: String,
    /// Path of the same in the body.
    pub at: String,
    /// Only where this column, a field of the body too, holds this.
    pub when: Option<(String, String)>,
    /// What may stand there.
    pub of: Claims,
}

/// Counts per person, by position.
#[derive(Debug)]
pub(in crate::load) struct Tally(pub(in crate::load) Vec<Erased>);

impl Tally {
    pub(in crate::load) fn new(order: &Order) -> Self {
        Self(vec![Erased::default(); order.persons.len()])
    }
    pub(in crate::load) fn of(&mut self, person: usize) -> Option<&mut Erased> {
        self.0.get_mut(person)
    }
    pub(in crate::load) fn total(&self) -> Erased {
        let mut total = Erased::default();
        self.0.iter().for_each(|one| total.add(*one));
        total
    }
    /// Notes in the erasures of the order what was done; `done_at`: nothing is left to do.
    pub(in crate::load) fn note(&self, order: &Order, erasures: &mut [Erasure], done_at: Option<Timestamp>) {
        let all = order.persons.iter().zip(&self.0);
        for ((stream, person), done) in all {
            let one = erasures.iter_mut().find(|e| e.stream == *stream && e.person == *person);
            if let Some(one) = one {
                one.erased.add(*done);
                one.done_at = done_at.or(one.done_at);
            }
        }
    }
}

/// Adds what a commit was told. A person of whom it is known that the data was cleared is no new work.
pub(in crate::load) fn learn(erasures: &mut Vec<Erasure>, stream: &str, cleared: &[Cleared]) {
    for one in cleared {
        if erasures.iter().any(|e| e.stream == stream && e.person == one.person) {
            continue;
        }
        erasures.push(Erasure {
            stream: stream.to_owned(),
            person: one.person.clone(),
            told_at: one.told_at,
            done_at: None,
            erased: Erased::default(),
        });
    }
}

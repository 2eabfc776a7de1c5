//! What was told about each change when it happened? The list that never changes: later changes of a row do not
//! reach what was said before. Absent: how a provider words it.
use super::{
    World,
    model::{Row, What},
    table::At,
    ware::Ware,
};

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Happening {
    /// Seconds. Never less than that of the one before.
    pub at: i64,
    /// What.
    pub what: What,
    /// To what.
    pub subject: Subject,
}

/// What something happened to, as it was right after it.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A row, with what of it may change later.
    Row {
        row: Row,
        version: i64,
        deleted: bool,
        /// The provider's word for where it stands; empty for rows without a status.
        status: &'static str,
        /// Minor units: MRR of a subscription, what an invoice leaves open, a note's total, a transaction's amount.
        amount: i64,
    },
    /// Something for sale, whole.
    Ware(Box<Ware>, At<Ware>),
}

impl World {
    /// Everything that happened, oldest first.
    pub fn log(&self) -> &[Happening] {
        &self.log
    }

    /// Keeps what is true of the row now. Of the smaller resources nothing is told.
    pub(super) fn tell(&mut self, row: Row, what: What) {
        if matches!(row, Row::Side(..)) {
            return;
        }
        let stamp = self.stamp(row);
        let (status, amount) = match row {
            Row::Subscription(at) => (self.subscriptions[at].status.word(), self.subscriptions[at].mrr),
            Row::Invoice(at) => (self.invoices[at].status.word(), self.invoices[at].amount_due),
            Row::CreditNote(at) => (self.notes[at].status.word(), self.notes[at].total),
            Row::Transaction(at) => (self.transactions[at].status.word(), self.transactions[at].amount),
            _ => ("", 0),
        };
        let (version, deleted) = (stamp.version, stamp.deleted);
        let subject = Subject::Row { row, version, deleted, status, amount };
        self.log.push(Happening { at: self.now, what, subject });
    }
}

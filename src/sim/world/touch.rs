//! What else changes? Edits, deletes, a few random changes at a given time, and two traits of old data that
//! providers have: rows without a version, and many rows in one second.
use super::{
    DAY, World,
    catalog::{FIRST_NAMES, LAST_NAMES},
    model::{Customer, Invoice, InvoiceStatus, Row, What},
    table::{At, Table},
};
use crate::time::Timestamp;

impl World {
    pub(super) fn edit_customer(&mut self, at: At<Customer>) {
        if self.customers[at].stamp.deleted {
            return;
        }
        let first = self.pick(FIRST_NAMES).copied().unwrap_or_default();
        let last = self.pick(LAST_NAMES).copied().unwrap_or_default();
        let phone = self.percent(60).then(|| format!("777{:07}", self.rng.u32(0..9_999_999)));
        let row = &mut self.customers[at];
        row.first_name = first.to_owned();
        row.last_name = last.to_owned();
        row.phone = phone;
        if row.meta.is_empty() {
            row.meta.push(("edited", "[1,2.0,null]".to_owned()));
        } else {
            row.meta.clear();
        }
        self.mark(Row::Customer(at), What::Edited);
    }

    fn delete(&mut self, row: Row) {
        if !self.stamp(row).deleted {
            self.stamp_mut(row).deleted = true;
            self.mark(row, What::Deleted);
        }
    }

    /// Deletes a customer and, with it, subscriptions, invoices and notes. Payments stay.
    pub(super) fn delete_customer(&mut self, at: At<Customer>) {
        let row = &self.customers[at];
        let subscriptions = row.subscriptions.iter().map(|s| Row::Subscription(*s));
        let invoices = row.invoices.iter().map(|i| Row::Invoice(*i));
        let notes = row.notes.iter().map(|n| Row::CreditNote(*n));
        let rows: Vec<Row> = subscriptions.chain(invoices).chain(notes).collect();
        rows.into_iter().for_each(|row| self.delete(row));
        self.delete(Row::Customer(at));
    }

    /// Deletes an invoice that no money or credit hangs on.
    pub(super) fn delete_invoice(&mut self, at: At<Invoice>) {
        let row = &self.invoices[at];
        let settled = row.amount_paid + row.credits_applied + row.amount_adjusted;
        let open =
            matches!(row.status, InvoiceStatus::Posted | InvoiceStatus::PaymentDue | InvoiceStatus::NotPaid);
        if open && settled == 0 && row.withheld.is_empty() && self.in_progress(at) == 0 {
            self.delete(Row::Invoice(at));
            self.refresh_dues(at);
        }
    }

    fn any<T>(&mut self, table: fn(&Self) -> &Table<T>) -> Option<At<T>> {
        let count = table(self).len();
        let n = self.rng.usize(0..count.max(1));
        table(self).at(n)
    }

    /// Changes about `n` random rows at `now`: edits, sign-ups, payments, credits, refunds, pauses, deletes.
    pub fn touch_random(&mut self, now: Timestamp, n: usize) {
        self.now = self.now.max(now.secs());
        for _ in 0..n {
            let dice = self.rng.u32(0..100);
            match dice {
                0..25 => self.each(Self::customers, Self::edit_customer),
                25..35 => self.sign_up(),
                35..55 => self.each_open(Self::pay_somehow),
                55..63 => self.each_open(Self::waive),
                63..75 => self.each(Self::invoices, Self::complain),
                75..85 => self.each(Self::notes, Self::refund),
                85..91 => self.each(Self::subscriptions, Self::schedule_cancel),
                91..94 => self.each(Self::subscriptions, Self::pause),
                94..98 => self.each_open(Self::delete_invoice),
                _ => self.each(Self::customers, Self::delete_customer),
            }
            self.touch_side();
        }
        if n > 0 {
            self.change_catalog();
        }
    }

    fn each<T>(&mut self, table: fn(&Self) -> &Table<T>, act: fn(&mut Self, At<T>)) {
        if let Some(at) = self.any(table) {
            act(self, at);
        }
    }

    /// Acts on a random open invoice, if a few tries find one.
    fn each_open(&mut self, act: fn(&mut Self, At<Invoice>)) {
        for _ in 0..20 {
            if let Some(at) = self.any(Self::invoices).filter(|at| self.is_open(*at)) {
                return act(self, at);
            }
        }
    }

    fn pay_somehow(&mut self, at: At<Invoice>) {
        if self.customers[self.invoices[at].customer].auto_collection {
            self.charge(at);
        } else {
            self.transfer(at);
        }
    }

    /// Every row there is.
    pub(in crate::sim) fn all_rows(&self) -> Vec<Row> {
        let customers = self.customers.iter().map(|(at, _)| Row::Customer(at));
        let subscriptions = self.subscriptions.iter().map(|(at, _)| Row::Subscription(at));
        let invoices = self.invoices.iter().map(|(at, _)| Row::Invoice(at));
        let notes = self.notes.iter().map(|(at, _)| Row::CreditNote(at));
        let transactions = self.transactions.iter().map(|(at, _)| Row::Transaction(at));
        let sides = self.sides.iter().map(|(at, row)| Row::Side(row.body.resource(), at));
        customers.chain(subscriptions).chain(invoices).chain(notes).chain(transactions).chain(sides).collect()
    }

    /// About `percent` of the rows that nothing has touched for a month lose `updated_at` and version, until they
    /// change again.
    pub fn forget_stamps(&mut self, percent: u32) {
        for row in self.all_rows() {
            let old = self.stamp(row).updated_at < self.now - 30 * DAY;
            if old && self.percent(percent) {
                self.stamp_mut(row).stamped = false;
            }
        }
        self.forget_ware_stamps(percent);
    }

    /// About a third of the rows get times at the start of their 30 days: creation, document date, `updated_at`.
    pub fn squash_seconds(&mut self) {
        let floor = |t: i64| t.div_euclid(30 * DAY) * 30 * DAY;
        for row in self.all_rows() {
            if !self.percent(34) {
                continue;
            }
            match row {
                Row::Customer(at) => self.customers[at].created_at = floor(self.customers[at].created_at),
                Row::Subscription(at) => {
                    self.subscriptions[at].created_at = floor(self.subscriptions[at].created_at);
                }
                Row::Invoice(at) => self.invoices[at].date = floor(self.invoices[at].date),
                Row::CreditNote(at) => self.notes[at].date = floor(self.notes[at].date),
                Row::Transaction(at) => self.transactions[at].date = floor(self.transactions[at].date),
                Row::Side(_, at) => self.sides[at].created_at = floor(self.sides[at].created_at),
            }
            let stamp = self.stamp_mut(row);
            stamp.updated_at = floor(stamp.updated_at);
        }
    }

    /// No list shows the row any more, and nothing says so.
    pub fn hide(&mut self, row: Row) {
        self.stamp_mut(row).gone = true;
        self.mark(row, What::Deleted);
    }

    /// Marks a row as changed without changing it.
    pub(in crate::sim) fn bump(&mut self, row: Row, now: Timestamp) {
        self.now = self.now.max(now.secs());
        self.mark(row, What::Edited);
    }
}

//! How does money come in? Card charges, direct debits that settle later, retries, bank transfers, late returns.
use super::{
    Action, DAY, World,
    model::{
        Attempt, Customer, Dunning, Invoice, InvoiceStatus, LinkedInvoice, LinkedPayment, Method, Row, Stamp,
        Transaction, TransactionKind, TransactionStatus, What, Withheld,
    },
    table::At,
};
use crate::sim::money::{Currency, portion};

/// Failed tries after which nobody tries again.
const ATTEMPTS_MAX: usize = 4;
const FAILURES: &[(&str, &str)] = &[
    ("card_declined", "(3001) Your card was declined."),
    ("insufficient_funds", "(3002) Insufficient funds \u{2013} \"try later\"."),
    ("expired_card", "(3005) Card expired."),
];

impl World {
    /// What becomes of a posted invoice: credits first, then a charge or a wait for a transfer.
    pub(super) fn collect(&mut self, at: At<Invoice>) {
        self.spend_credits(at);
        self.settle_status(at);
        let row = &self.invoices[at];
        if row.status == InvoiceStatus::Paid {
            return;
        }
        let due = row.due_date.unwrap_or(self.now);
        if self.customers[row.customer].auto_collection {
            self.plan(self.now + 5, Action::Charge(at));
            return;
        }
        self.plan(due + 60, Action::Due(at));
        match self.rng.u32(0..100) {
            0..8 => self.plan_in(1..10, Action::Waive(at)),
            8..12 => self.plan_in(1..20, Action::Void(at)),
            12..14 => self.plan_in(1..30, Action::DeleteInvoice(at)),
            _ => {}
        }
        if self.percent(92) {
            self.plan_in(3..45, Action::Transfer(at));
        } else {
            self.plan_in(60..90, Action::WriteOff(at));
        }
    }

    /// A draft becomes an invoice.
    pub(super) fn close(&mut self, at: At<Invoice>) {
        let now = self.now;
        let row = &mut self.invoices[at];
        if row.stamp.deleted || row.status != InvoiceStatus::Pending {
            return;
        }
        row.status = InvoiceStatus::Posted;
        row.generated_at = Some(now);
        self.mark(Row::Invoice(at), What::Closed);
        self.collect(at);
    }

    /// True while money may still come in on it.
    pub(super) fn is_open(&self, at: At<Invoice>) -> bool {
        let row = &self.invoices[at];
        let open =
            matches!(row.status, InvoiceStatus::Posted | InvoiceStatus::PaymentDue | InvoiceStatus::NotPaid);
        open && !row.stamp.deleted && row.amount_due > 0
    }

    /// Money on its way that does not count as paid yet.
    pub(in crate::sim) fn in_progress(&self, at: At<Invoice>) -> i64 {
        let payments = self.invoices[at].payments.iter();
        let waiting =
            |p: &&LinkedPayment| self.transactions[p.transaction].status == TransactionStatus::InProgress;
        payments.filter(waiting).map(|p| p.applied).sum()
    }

    pub(super) fn due(&mut self, at: At<Invoice>) {
        if self.is_open(at) && self.invoices[at].status == InvoiceStatus::Posted {
            self.invoices[at].status = InvoiceStatus::PaymentDue;
            self.mark(Row::Invoice(at), What::Due);
            self.refresh_dues(at);
        }
    }

    fn new_transaction(&mut self, customer: At<Customer>, kind: TransactionKind, amount: i64) -> Transaction {
        let n = self.transactions.len() + 1;
        let owner = &self.customers[customer];
        Transaction {
            id: format!("txn_{n:07}"),
            stamp: Stamp::default(),
            customer,
            subscription: None,
            kind,
            status: TransactionStatus::Success,
            method: Method::Card,
            gateway: "stripe",
            gateway_id: Some(format!("ch_{n:09}")),
            reference: None,
            masked_card: Some(format!("************{:04}", 1_000 + n % 9_000)),
            date: self.now,
            settled_at: Some(self.now),
            currency: owner.currency,
            amount,
            unused: 0,
            error: None,
            initiator: Some("merchant"),
            invoices: Vec::new(),
            refunds: Vec::new(),
            refund_of: None,
            note: None,
        }
    }

    /// A card is checked: reserved and given back.
    pub(super) fn authorize(&mut self, customer: At<Customer>) {
        let mut row = self.new_transaction(customer, TransactionKind::Authorization, 100);
        row.status = TransactionStatus::Voided;
        row.initiator = Some("customer");
        self.put_transaction(row);
    }

    fn link(&mut self, invoice: At<Invoice>, row: Transaction, applied: i64) -> At<Transaction> {
        let at = self.now;
        let transaction = self.put_transaction(row);
        let status = self.invoices[invoice].status;
        self.transactions[transaction].invoices.push(LinkedInvoice { invoice, applied, at, status });
        self.invoices[invoice].payments.push(LinkedPayment { transaction, applied, at });
        transaction
    }

    /// Charges card or account for what is due.
    pub(super) fn charge(&mut self, at: At<Invoice>) {
        if !self.is_open(at) || self.in_progress(at) > 0 {
            return;
        }
        let (customer, due) = (self.invoices[at].customer, self.invoices[at].amount_due);
        let mut row = self.new_transaction(customer, TransactionKind::Payment, due);
        row.subscription = self.invoices[at].subscription;
        let debit = row.currency == Currency::Eur && customer.number().is_multiple_of(4);
        if debit {
            row.method = Method::DirectDebit;
            row.gateway = "gocardless";
            row.masked_card = None;
            row.status = TransactionStatus::InProgress;
            row.settled_at = None;
        } else if self.percent(if self.invoices[at].attempts.is_empty() { 13 } else { 60 }) {
            row.status = TransactionStatus::Failure;
            row.error = self.pick(FAILURES).copied();
        }
        let status = row.status;
        let transaction = self.link(at, row, due);
        self.invoices[at].attempts.push(Attempt { transaction, at: self.now });
        match status {
            TransactionStatus::InProgress => {
                self.mark(Row::Invoice(at), What::Dues);
                self.plan(self.now + 3 * DAY, Action::Settle(transaction));
            }
            TransactionStatus::Success => self.received(transaction),
            TransactionStatus::Failure | TransactionStatus::LateFailure | TransactionStatus::Voided => {
                self.failed(at);
            }
        }
        self.note_statuses(transaction);
    }

    /// A changed transaction shows its invoices' statuses as they are now.
    fn note_statuses(&mut self, at: At<Transaction>) {
        for link in &mut self.transactions[at].invoices {
            link.status = self.invoices[link.invoice].status;
        }
    }

    /// An account debit has come through, or not.
    pub(super) fn settle(&mut self, at: At<Transaction>) {
        let row = &self.transactions[at];
        let deleted = row.invoices.iter().any(|l| self.invoices[l.invoice].stamp.deleted);
        if row.stamp.deleted || row.status != TransactionStatus::InProgress || deleted {
            return;
        }
        let success = self.percent(92);
        let now = self.now;
        let row = &mut self.transactions[at];
        row.settled_at = Some(now);
        row.status = if success { TransactionStatus::Success } else { TransactionStatus::Failure };
        row.error = (!success).then_some(("debit_refused", "Account closed"));
        let invoices: Vec<At<Invoice>> = row.invoices.iter().map(|l| l.invoice).collect();
        self.mark(Row::Transaction(at), if success { What::Paid } else { What::Failed });
        if success {
            self.received(at);
            if self.percent(5) {
                self.plan_in(2..8, Action::Return(at));
            }
        } else {
            invoices.into_iter().for_each(|invoice| self.failed(invoice));
        }
        self.note_statuses(at);
    }

    /// A successful payment reaches its invoices.
    fn received(&mut self, at: At<Transaction>) {
        for link in self.transactions[at].invoices.clone() {
            let invoice = &mut self.invoices[link.invoice];
            invoice.amount_paid += link.applied;
            invoice.amount_due -= link.applied;
            self.settle_status(link.invoice);
            self.mark(Row::Invoice(link.invoice), What::Paid);
            if self.percent(6) {
                self.plan_in(2..30, Action::Complain(link.invoice));
            }
        }
    }

    /// Nothing due any more: paid. Tells subscription and customer either way.
    pub(super) fn settle_status(&mut self, at: At<Invoice>) {
        let now = self.now;
        let row = &mut self.invoices[at];
        if row.amount_due == 0 && !matches!(row.status, InvoiceStatus::Voided | InvoiceStatus::Paid) {
            row.status = InvoiceStatus::Paid;
            row.paid_at = Some(now);
            row.next_retry_at = None;
            row.dunning = row.dunning.map(|d| match d {
                Dunning::InProgress => Dunning::Success,
                Dunning::Exhausted | Dunning::Stopped | Dunning::Success => Dunning::Stopped,
            });
        }
        self.refresh_dues(at);
    }

    /// A try failed: retry in three days, or give up.
    fn failed(&mut self, at: At<Invoice>) {
        let now = self.now;
        let row = &mut self.invoices[at];
        let (subscription, tries) = (row.subscription, row.attempts.len());
        if tries < ATTEMPTS_MAX {
            row.status = InvoiceStatus::PaymentDue;
            row.dunning = Some(Dunning::InProgress);
            row.next_retry_at = Some(now + 3 * DAY);
            self.plan(now + 3 * DAY, Action::Charge(at));
        } else {
            row.status = InvoiceStatus::NotPaid;
            row.dunning = Some(Dunning::Exhausted);
            row.next_retry_at = None;
            match self.rng.u32(0..100) {
                0..45 => self.plan_in(1..20, Action::WriteOff(at)),
                45..65 => self.plan_in(1..20, Action::Void(at)),
                _ => {}
            }
            if let Some(subscription) = subscription {
                self.cancel_unpaid(subscription);
            }
        }
        self.mark(Row::Invoice(at), What::Failed);
        self.refresh_dues(at);
    }

    /// A debit that had come through bounces: the invoice is open again.
    pub(super) fn give_back(&mut self, at: At<Transaction>) {
        let links = self.transactions[at].invoices.clone();
        let blocked = links.iter().any(|l| {
            let invoice = &self.invoices[l.invoice];
            invoice.stamp.deleted || !invoice.issued.is_empty()
        });
        if blocked || self.transactions[at].status != TransactionStatus::Success {
            return;
        }
        let row = &mut self.transactions[at];
        row.status = TransactionStatus::LateFailure;
        row.error = Some(("late_return", "Returned by the customer's bank"));
        let (customer, amount) = (row.customer, row.amount);
        self.mark(Row::Transaction(at), What::Returned);
        let mut reversal = self.new_transaction(customer, TransactionKind::Reversal, amount);
        reversal.method = self.transactions[at].method;
        reversal.refund_of = Some(at);
        self.put_transaction(reversal);
        for link in links {
            let invoice = &mut self.invoices[link.invoice];
            invoice.amount_paid -= link.applied;
            invoice.amount_due += link.applied;
            invoice.status = InvoiceStatus::NotPaid;
            invoice.paid_at = None;
            invoice.dunning = Some(Dunning::Exhausted);
            self.mark(Row::Invoice(link.invoice), What::Returned);
            self.refresh_dues(link.invoice);
        }
        self.note_statuses(at);
    }

    /// A bank transfer arrives: whole, in part, with tax withheld, or too much.
    pub(super) fn transfer(&mut self, at: At<Invoice>) {
        if !self.is_open(at) || self.in_progress(at) > 0 {
            return;
        }
        let due = self.invoices[at].amount_due;
        let dice = self.rng.u32(0..100);
        if dice < 4 {
            let amount = portion(due, 1, 10);
            let (id, now) = (format!("tw_{}", self.invoices[at].id), self.now);
            let row = &mut self.invoices[at];
            if amount > 0 && row.withheld.is_empty() {
                row.withheld.push(Withheld { id, amount, at: now });
                row.amount_due -= amount;
                self.mark(Row::Invoice(at), What::Withheld);
            }
        }
        let due = self.invoices[at].amount_due;
        let part = if (4..20).contains(&dice) { portion(due, 2, 5).max(1) } else { due };
        let extra = if dice >= 97 { 150 } else { 0 };
        let customer = self.invoices[at].customer;
        let mut row = self.new_transaction(customer, TransactionKind::Payment, part + extra);
        row.subscription = self.invoices[at].subscription;
        row.method = Method::BankTransfer;
        row.gateway = "not_applicable";
        row.gateway_id = None;
        row.masked_card = None;
        row.reference = Some(format!("wire {}", row.id));
        row.unused = extra;
        let transaction = self.link(at, row, part);
        if extra > 0 {
            self.customers[customer].excess_payments += extra;
            self.mark(Row::Customer(customer), What::Balance);
        }
        self.received(transaction);
        self.note_statuses(transaction);
        if part < due {
            self.plan_in(5..25, Action::Transfer(at));
        }
    }

    /// A subscription knows what is due on its invoices.
    pub(super) fn refresh_dues(&mut self, at: At<Invoice>) {
        let Some(subscription) = self.invoices[at].subscription else {
            return;
        };
        let (mut total, mut count, mut since) = (0, 0, None::<i64>);
        for invoice in &self.subscriptions[subscription].invoices {
            let row = &self.invoices[*invoice];
            let counts = matches!(row.status, InvoiceStatus::PaymentDue | InvoiceStatus::NotPaid);
            if counts && !row.stamp.deleted && row.amount_due > 0 {
                total += row.amount_due;
                count += 1;
                since = Some(since.map_or(row.date, |s| s.min(row.date)));
            }
        }
        let row = &mut self.subscriptions[subscription];
        if (row.total_dues, row.due_count, row.due_since) != (total, count, since) && !row.stamp.deleted {
            (row.total_dues, row.due_count, row.due_since) = (total, count, since);
            self.mark(Row::Subscription(subscription), What::Dues);
        }
    }
}

//! How does money go back? A complaint makes a refundable note, a refund pays it out; some tries fail, some notes are
//! voided.
use super::{
    Action, DAY, World,
    model::{
        CreditNote, Invoice, InvoiceStatus, LinkedRefund, NoteStatus, Reason, Row, Stamp, Transaction,
        TransactionKind, TransactionStatus, What,
    },
    table::At,
};
use crate::sim::money::portion;

impl World {
    /// All or part of a paid invoice is to be given back.
    pub(super) fn complain(&mut self, at: At<Invoice>) {
        let row = &self.invoices[at];
        let whole = self.refundable(at).min(row.amount_paid);
        if row.stamp.deleted || row.status != InvoiceStatus::Paid || whole == 0 {
            return;
        }
        let total = if self.percent(50) { whole } else { portion(whole, 1, 3).max(1) };
        let Some(note) = self.make_refundable(at, Reason::ProductUnsatisfactory, total) else {
            return;
        };
        match self.rng.u32(0..100) {
            0..72 => self.plan_in(1..3, Action::Refund(note)),
            72..82 => self.plan_in(1..5, Action::VoidNote(note)),
            _ => {}
        }
    }

    /// The payment of the note's invoice that can carry the refund.
    fn payment_for(&self, note: At<CreditNote>) -> Option<At<Transaction>> {
        let row = &self.notes[note];
        let payments = self.invoices[row.invoice].payments.iter().map(|p| p.transaction);
        payments.into_iter().find(|p| {
            let payment = &self.transactions[*p];
            let ok = |r: &&At<Transaction>| self.transactions[**r].status == TransactionStatus::Success;
            let back: i64 = payment.refunds.iter().filter(ok).map(|r| self.transactions[*r].amount).sum();
            payment.status == TransactionStatus::Success && payment.amount - back >= row.available
        })
    }

    /// Pays out what is left on a note.
    pub(super) fn refund(&mut self, at: At<CreditNote>) {
        let row = &self.notes[at];
        let amount = row.available;
        let Some(payment) = self.payment_for(at) else {
            return;
        };
        if amount == 0 || row.stamp.deleted || row.status != NoteStatus::RefundDue {
            return;
        }
        let (success, now) = (self.percent(88), self.now);
        let refund = self.refund_row(at, payment, amount, success);
        let refund = self.put_transaction(refund);
        self.transactions[payment].refunds.push(refund);
        let row = &mut self.notes[at];
        row.refunds.push(LinkedRefund { transaction: refund, amount, at: now });
        let customer = row.customer;
        if success {
            row.refunded += amount;
            row.available = 0;
            row.status = NoteStatus::Refunded;
            row.refunded_at = Some(now);
            self.customers[customer].refundable_credits -= amount;
            self.mark(Row::Customer(customer), What::Balance);
            self.tell_invoices(at, What::Refunded);
        } else {
            self.plan(now + DAY, Action::Refund(at));
        }
        self.mark(Row::Transaction(payment), What::Refunded);
        self.mark(Row::CreditNote(at), if success { What::Refunded } else { What::Failed });
    }

    fn refund_row(
        &self,
        at: At<CreditNote>,
        payment: At<Transaction>,
        amount: i64,
        success: bool,
    ) -> Transaction {
        let n = self.transactions.len() + 1;
        let original = &self.transactions[payment];
        Transaction {
            id: format!("txn_{n:07}"),
            stamp: Stamp::default(),
            kind: TransactionKind::Refund,
            status: if success { TransactionStatus::Success } else { TransactionStatus::Failure },
            gateway_id: original.gateway_id.as_ref().map(|_| format!("re_{n:09}")),
            reference: None,
            date: self.now,
            settled_at: Some(self.now),
            amount,
            unused: 0,
            error: (!success).then_some(("refund_refused", "The gateway is busy")),
            invoices: Vec::new(),
            refunds: Vec::new(),
            refund_of: Some(payment),
            note: Some(at),
            ..original.clone()
        }
    }

    /// A note that nothing was spent of is declared void.
    pub(super) fn void_note(&mut self, at: At<CreditNote>) {
        let now = self.now;
        let row = &mut self.notes[at];
        if row.stamp.deleted || row.available != row.total || row.status != NoteStatus::RefundDue {
            return;
        }
        row.status = NoteStatus::Voided;
        row.voided_at = Some(now);
        row.available = 0;
        let (customer, total) = (row.customer, row.total);
        self.customers[customer].refundable_credits -= total;
        self.mark(Row::CreditNote(at), What::Voided);
        self.mark(Row::Customer(customer), What::Balance);
        self.tell_invoices(at, What::Voided);
    }
}

//! Chargebee transactions as payments.
use super::{Cells, Truth};
use crate::sim::world::model::{Row, Transaction, TransactionKind, TransactionStatus};

/// The unified status of a transaction.
pub(super) fn status(row: &Transaction) -> &'static str {
    match (row.status, row.kind) {
        (TransactionStatus::Success, TransactionKind::Payment) => "paid",
        (TransactionStatus::Success, TransactionKind::Refund) => "refunded",
        (TransactionStatus::Success, TransactionKind::Authorization) => "authorized",
        (TransactionStatus::Success, TransactionKind::Reversal) => "failed",
        (TransactionStatus::InProgress, _) => "pending",
        (TransactionStatus::Failure | TransactionStatus::LateFailure, _) => "failed",
        (TransactionStatus::Voided, _) => "cancelled",
    }
}

impl Truth<'_> {
    pub(super) fn payments(&mut self) {
        let rows: Vec<Cells> = self.world.transactions.rows().map(|row| self.payment(row)).collect();
        rows.into_iter().for_each(|cells| self.add("payments", cells));
    }

    fn payment(&self, row: &Transaction) -> Cells {
        let currency = row.currency;
        let mut c = Cells::new(&row.id, row.stamp);
        c.put("customer_id", self.id(Row::Customer(row.customer)));
        c.opt("subscription_id", row.subscription.map(|s| self.id(Row::Subscription(s))));
        let reversal = row.kind == TransactionKind::Reversal;
        c.put("kind", if reversal { "reversal" } else { row.kind.word() });
        c.put("status", status(row));
        c.put("status_raw", row.status.word());
        c.money("amount", row.amount, currency);
        if row.kind == TransactionKind::Payment {
            c.money("unapplied_amount", row.unused, currency);
        }
        let success = |t: &&Transaction| t.status == TransactionStatus::Success;
        let refunds = row.refunds.iter().map(|r| &self.world.transactions[*r]).filter(success);
        c.money("refund_amount", refunds.map(|r| r.amount).sum(), currency);
        c.put("method", row.method.word());
        c.opt("method_detail", row.masked_card.as_ref());
        c.put("gateway", row.gateway);
        c.opt("gateway_ref", row.gateway_id.as_ref().or(row.reference.as_ref()));
        c.opt("failure_code", row.error.map(|e| e.0));
        c.opt("failure_text", row.error.map(|e| e.1));
        c.put("currency", currency.code());
        c.put("exchange_rate", currency.base_rate());
        c.put("paid_date", self.date(row.date));
        c.time("settled_at", row.settled_at);
        if let [link] = row.invoices.as_slice() {
            c.put("invoice_id", self.id(Row::Invoice(link.invoice)));
        }
        let of = row.refund_of.map(|t| self.id(Row::Transaction(t)));
        c.opt(if reversal { "reversal_of" } else { "refund_of" }, of);
        c.opt("initiator", row.initiator);
        c.time("created_at", Some(row.date));
        c.time("updated_at", row.stamp.stamped.then_some(row.stamp.updated_at));
        c
    }
}

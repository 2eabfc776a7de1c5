//! What is taken back without cash? Adjustment and refundable notes, write-offs, voids, credit spent on invoices.
use super::{
    World,
    bill::tax_totals,
    catalog::Item,
    model::{
        Allocation, AppliedCredit, CreditNote, Dunning, Entity, Invoice, InvoiceStatus, Line, LineTax,
        NoteKind, NoteStatus, PriceType, Reason, Row, Stamp, Subscription, What,
    },
    table::At,
};
use crate::sim::money::{Dec, portion, share};

/// Lines of a note over `total`, taken from the invoice's lines in proportion to `weights`, with their taxes.
fn note_lines(invoice: &Invoice, note: &str, total: i64, weights: &[i64]) -> (Vec<Line>, Vec<LineTax>) {
    let (mut lines, mut taxes) = (Vec::new(), Vec::new());
    for (i, (line, gross)) in invoice.lines.iter().zip(share(total, weights)).enumerate() {
        if gross == 0 {
            continue;
        }
        let net = line.amount - line.discount - line.item_discount;
        let whole = net + if invoice.price_type == PriceType::Exclusive { line.tax } else { 0 };
        let tax = portion(line.tax, gross, whole).min(gross);
        let amount = if invoice.price_type == PriceType::Exclusive { gross - tax } else { gross };
        let id = format!("{note}_li_{i}");
        let parts: Vec<&LineTax> = invoice.line_taxes.iter().filter(|t| t.line == line.id).collect();
        let tax_weights: Vec<i64> = parts.iter().map(|t| t.amount).collect();
        let taxable = if invoice.price_type == PriceType::Exclusive { amount } else { amount - tax };
        for (part, amount) in parts.iter().zip(share(tax, &tax_weights)) {
            taxes.push(LineTax { line: id.clone(), taxable, amount, ..(*part).clone() });
        }
        lines.push(Line {
            id,
            quantity: Dec::new(1, 0),
            unit: Dec::minor(amount, invoice.currency),
            amount,
            discount: 0,
            item_discount: 0,
            tax,
            reference: Some(line.id.clone()),
            ..line.clone()
        });
    }
    (lines, taxes)
}

/// The status that what is left to pay leads to.
fn after(invoice: &Invoice) -> InvoiceStatus {
    if invoice.amount_due == 0 { InvoiceStatus::Paid } else { invoice.status }
}

/// What each line adds to the invoice's total.
fn line_totals(invoice: &Invoice) -> Vec<i64> {
    let tax = |l: &Line| if invoice.price_type == PriceType::Exclusive { l.tax } else { 0 };
    invoice.lines.iter().map(|l| l.amount - l.discount - l.item_discount + tax(l)).collect()
}

impl World {
    /// A note over `total` (positive) of an invoice. None when the invoice has no line to take it from.
    fn make_note(
        &mut self,
        at: At<Invoice>,
        kind: NoteKind,
        reason: Reason,
        (total, weights): (i64, &[i64]),
    ) -> Option<At<CreditNote>> {
        let id = format!("CN-{:07}", self.notes.len() + 1);
        let invoice = &self.invoices[at];
        let (mut lines, line_taxes) = note_lines(invoice, &id, total, weights);
        if total <= 0 || lines.is_empty() {
            return None;
        }
        if reason == Reason::SubscriptionChange {
            for line in &mut lines {
                line.prorated = true;
                line.from = self.now;
            }
        }
        let (status, allocated) = match kind {
            NoteKind::Adjustment => (NoteStatus::Adjusted, total),
            NoteKind::Refundable => (NoteStatus::RefundDue, 0),
        };
        let note = CreditNote {
            id,
            stamp: Stamp::default(),
            customer: invoice.customer,
            subscription: invoice.subscription,
            invoice: at,
            kind,
            status,
            reason,
            date: self.now,
            refunded_at: None,
            voided_at: None,
            price_type: invoice.price_type,
            currency: invoice.currency,
            sub_total: lines.iter().map(|l| l.amount).sum(),
            tax: lines.iter().map(|l| l.tax).sum(),
            taxes: tax_totals(&line_taxes),
            lines,
            line_taxes,
            total,
            allocated,
            refunded: 0,
            available: total - allocated,
            allocations: Vec::new(),
            refunds: Vec::new(),
        };
        let (customer, now) = (note.customer, self.now);
        let note = self.put_note(note);
        match kind {
            NoteKind::Adjustment => {
                let invoice = &mut self.invoices[at];
                invoice.adjustments.push(note);
                invoice.amount_adjusted += total;
                invoice.amount_due -= total;
                let status = after(invoice);
                self.notes[note].allocations.push(Allocation { invoice: at, amount: total, at: now, status });
            }
            NoteKind::Refundable => {
                self.invoices[at].issued.push(note);
                self.customers[customer].refundable_credits += total;
                self.mark(Row::Customer(customer), What::Balance);
            }
        }
        self.mark(Row::Invoice(at), What::Credited);
        Some(note)
    }

    /// What may still be taken back from a paid invoice.
    pub(super) fn refundable(&self, at: At<Invoice>) -> i64 {
        let row = &self.invoices[at];
        let open = |n: &&At<CreditNote>| self.notes[**n].status != NoteStatus::Voided;
        let taken: i64 = row.issued.iter().filter(open).map(|n| self.notes[*n].total).sum();
        (row.amount_paid + row.credits_applied - taken).max(0)
    }

    pub(super) fn make_refundable(
        &mut self,
        at: At<Invoice>,
        reason: Reason,
        total: i64,
    ) -> Option<At<CreditNote>> {
        let weights = line_totals(&self.invoices[at]);
        self.make_note(at, NoteKind::Refundable, reason, (total, &weights))
    }

    /// A fifth of what is open is forgiven.
    pub(super) fn waive(&mut self, at: At<Invoice>) {
        if !self.is_open(at) || self.in_progress(at) > 0 {
            return;
        }
        let weights = line_totals(&self.invoices[at]);
        let total = portion(self.invoices[at].amount_due, 1, 5);
        self.make_note(at, NoteKind::Adjustment, Reason::Waiver, (total, &weights));
        self.settle_status(at);
    }

    /// What is open will never come: an adjustment note over it, and the invoice counts as paid.
    pub(super) fn write_off(&mut self, at: At<Invoice>) {
        if !self.is_open(at) || self.in_progress(at) > 0 {
            return;
        }
        let weights = line_totals(&self.invoices[at]);
        let due = self.invoices[at].amount_due;
        if self.make_note(at, NoteKind::Adjustment, Reason::WriteOff, (due, &weights)).is_some() {
            self.invoices[at].written_off = due;
            self.settle_status(at);
            self.mark(Row::Invoice(at), What::WrittenOff);
        }
    }

    /// An invoice that nothing was paid or credited on is declared void.
    pub(super) fn void(&mut self, at: At<Invoice>) {
        let row = &self.invoices[at];
        let settled = row.amount_paid + row.credits_applied + row.amount_adjusted;
        let untouched = settled == 0 && row.withheld.is_empty() && row.issued.is_empty();
        if !self.is_open(at) || !untouched || self.in_progress(at) > 0 {
            return;
        }
        let now = self.now;
        let row = &mut self.invoices[at];
        row.status = InvoiceStatus::Voided;
        row.voided_at = Some(now);
        row.amount_due = 0;
        row.next_retry_at = None;
        row.dunning = row.dunning.map(|_| Dunning::Stopped);
        self.mark(Row::Invoice(at), What::Voided);
        self.refresh_dues(at);
    }

    /// Open notes of the customer pay an invoice as far as they reach.
    pub(super) fn spend_credits(&mut self, at: At<Invoice>) {
        let customer = self.invoices[at].customer;
        for note in self.customers[customer].notes.clone() {
            let amount = self.notes[note].available.min(self.invoices[at].amount_due);
            if amount <= 0 || self.notes[note].stamp.deleted {
                continue;
            }
            let now = self.now;
            let row = &mut self.notes[note];
            row.available -= amount;
            row.allocated += amount;
            if row.available == 0 {
                row.status = NoteStatus::Refunded;
            }
            let invoice = &mut self.invoices[at];
            invoice.credits.push(AppliedCredit { note, amount, at: now });
            invoice.credits_applied += amount;
            invoice.amount_due -= amount;
            let status = after(invoice);
            self.notes[note].allocations.push(Allocation { invoice: at, amount, at: now, status });
            self.customers[customer].refundable_credits -= amount;
            self.mark(Row::CreditNote(note), What::Credited);
            self.tell_invoices(note, What::Credited);
            self.mark(Row::Customer(customer), What::Balance);
        }
    }

    /// Every invoice that shows a note changes with the note's status.
    pub(super) fn tell_invoices(&mut self, note: At<CreditNote>, what: What) {
        let row = &self.notes[note];
        let mut invoices: Vec<At<Invoice>> = row.allocations.iter().map(|a| a.invoice).collect();
        invoices.push(row.invoice);
        invoices.sort_unstable();
        invoices.dedup();
        for invoice in invoices {
            self.mark(Row::Invoice(invoice), what);
        }
    }

    /// The unused rest of a plan's term, as a note on the invoice that billed it.
    pub(super) fn credit_rest_of_term(
        &mut self,
        subscription: At<Subscription>,
        item: Item,
        now: i64,
        (from, to): (i64, i64),
    ) {
        let billed = |l: &Line| l.entity == Entity::Price(item) && l.from == from && l.to == to;
        let invoices = self.subscriptions[subscription].invoices.iter().rev().copied();
        let found = invoices.clone().find(|i| self.invoices[*i].lines.iter().any(billed));
        let Some(at) = found.filter(|at| !self.invoices[*at].stamp.deleted && self.in_progress(*at) == 0)
        else {
            return;
        };
        let invoice = &self.invoices[at];
        let totals = line_totals(invoice).into_iter().zip(&invoice.lines);
        let weights: Vec<i64> = totals.map(|(t, l)| if billed(l) { t } else { 0 }).collect();
        let rest = portion(weights.iter().sum(), to - now, to - from);
        if self.is_open(at) {
            let total = rest.min(invoice.amount_due);
            self.make_note(at, NoteKind::Adjustment, Reason::SubscriptionChange, (total, &weights));
            self.settle_status(at);
        } else if invoice.status == InvoiceStatus::Paid {
            let total = rest.min(self.refundable(at));
            self.make_note(at, NoteKind::Refundable, Reason::SubscriptionChange, (total, &weights));
        }
    }
}

//! Chargebee invoices and credit notes with their lines, discounts, taxes, allocations and refunds.
use super::{Cells, Truth, json_object};
use crate::sim::{
    chargebee::ProductCatalog,
    money::Currency,
    world::{
        catalog::ItemKind,
        model::{
            CreditNote, Entity, Invoice, InvoiceStatus, Line, LineTax, PriceType, Row, Stamp,
            TransactionStatus,
        },
    },
};

/// The document that a line is on.
pub(super) struct Document<'a> {
    pub(super) column: &'static str,
    pub(super) id: &'a str,
    pub(super) stamp: Stamp,
    pub(super) currency: Currency,
    pub(super) price_type: PriceType,
    pub(super) subscription: Option<String>,
    pub(super) taxes: &'a [LineTax],
    /// Its lines carry an exchange rate.
    pub(super) rated: bool,
}

impl Truth<'_> {
    pub(super) fn invoices(&mut self) {
        for row in self.world.invoices.rows() {
            let cells = self.invoice(row);
            self.add("invoices", cells);
            let document = Document {
                column: "invoice_id",
                id: &row.id,
                stamp: row.stamp,
                currency: row.currency,
                price_type: row.price_type,
                subscription: row.subscription.map(|s| self.id(Row::Subscription(s))),
                taxes: &row.line_taxes,
                rated: true,
            };
            self.lines("invoice_line_items", &document, &row.lines);
            self.discounts_and_taxes(row);
            self.paid_by(row);
        }
    }

    fn invoice(&self, row: &Invoice) -> Cells {
        let mut c = Cells::new(&row.id, row.stamp);
        let currency = row.currency;
        c.put("number", &row.id);
        c.put("customer_id", self.id(Row::Customer(row.customer)));
        c.opt("subscription_id", row.subscription.map(|s| self.id(Row::Subscription(s))));
        c.put("is_recurring", row.recurring);
        c.put(
            "status",
            match row.status {
                InvoiceStatus::Pending => "draft",
                InvoiceStatus::Posted | InvoiceStatus::PaymentDue => "pending",
                InvoiceStatus::NotPaid => "failed",
                InvoiceStatus::Paid => "paid",
                InvoiceStatus::Voided => "cancelled",
            },
        );
        c.put("status_raw", row.status.word());
        c.put("doc_class", "invoice");
        c.put("is_void", row.status == InvoiceStatus::Voided);
        c.put("is_draft", row.status == InvoiceStatus::Pending);
        c.put("issue_date", self.date(row.date));
        c.opt("due_date", row.due_date.map(|d| self.date(d)));
        c.time("issued_at", Some(row.date));
        c.time("generated_at", row.generated_at);
        c.opt("paid_on_date", row.paid_at.map(|d| self.date(d)));
        c.time("voided_at", row.voided_at);
        c.opt("period_start", row.lines.iter().map(|l| l.from).min().map(|d| self.date(d)));
        c.opt("period_end", row.lines.iter().map(|l| l.to).max().map(|d| self.date(d)));
        c.put("currency", currency.code());
        c.put("exchange_rate", currency.base_rate());
        c.put("price_type", row.price_type.word());
        c.money("sub_total", row.sub_total, currency);
        c.money("total_discount", row.discounts.iter().map(|d| d.amount).sum(), currency);
        c.money("total_tax_amount", row.tax, currency);
        if row.round_off != 0 {
            c.money("round_off", row.round_off, currency);
        }
        c.money("total", row.total, currency);
        c.money("amount_paid", row.amount_paid, currency);
        c.money("credits_applied", row.credits_applied, currency);
        c.money("adjusted_amount", row.amount_adjusted, currency);
        c.money("written_off_amount", row.written_off, currency);
        c.money("tax_withheld", row.withheld.iter().map(|w| w.amount).sum(), currency);
        c.money("balance", row.amount_due, currency);
        c.put("net_terms_days", row.net_terms);
        c.opt("dunning_status", row.dunning.map(|d| d.word()));
        c.time("next_retry_at", row.next_retry_at);
        c.put("attempts", row.attempts.len());
        c.opt("po_number", row.po_number.as_ref());
        c.opt("memo", row.note.as_ref());
        c.put("first_invoice", row.first);
        c.opt("custom_fields", json_object(&self.world.custom_of(&row.id)));
        c.time("created_at", row.generated_at.or(Some(row.date)));
        c.time("updated_at", row.stamp.stamped.then_some(row.stamp.updated_at));
        c
    }

    pub(super) fn lines(&mut self, entity: &str, document: &Document<'_>, lines: &[Line]) {
        let plan = Line::plan(lines);
        for (n, line) in lines.iter().enumerate() {
            let currency = document.currency;
            let discount = line.discount + line.item_discount;
            let included = if document.price_type == PriceType::Inclusive { line.tax } else { 0 };
            let net = line.amount - discount - included;
            let mut c = Cells::new(&line.id, document.stamp);
            c.put(document.column, document.id);
            c.put("line_no", n);
            c.opt("subscription_id", document.subscription.as_ref());
            c.put("name", &line.name);
            c.put("description", &line.description);
            let (column, id) = self.billed(line, plan);
            c.opt(column, id);
            c.put("line_kind", self.kind(line, plan));
            c.put("period_start", self.date(line.from));
            c.put("period_end", self.date(line.to));
            c.put("quantity", line.quantity);
            c.put("unit_amount", line.unit);
            c.money("amount", line.amount, currency);
            c.money("discount_amount", discount, currency);
            c.money("tax_amount", line.tax, currency);
            c.opt("tax_rate", line.tax_rate);
            let mut taxes = document.taxes.iter().filter(|t| t.line == line.id).map(|t| t.name);
            if let (Some(name), None) = (taxes.next(), taxes.next()) {
                c.put("tax_rate_id", name);
            }
            c.money("net_amount", net, currency);
            c.money("line_total", net + line.tax, currency);
            c.opt("is_proration", line.prorated.then_some(true));
            c.opt("proration_of", line.reference.as_ref());
            c.put("currency", currency.code());
            if document.rated {
                c.put("exchange_rate", currency.base_rate());
            }
            c.opt("custom_fields", json_object(&self.world.custom_of(&line.id)));
            self.add(entity, c);
        }
    }

    fn discounts_and_taxes(&mut self, row: &Invoice) {
        for (n, discount) in row.discounts.iter().enumerate() {
            let mut c = Cells::new(format!("{}:discount:{n}", row.id), row.stamp);
            c.put("invoice_id", &row.id);
            c.opt("line_id", discount.line.as_ref());
            c.put("kind", discount.kind.word());
            c.opt("source_id", discount.coupon);
            c.money("amount", discount.amount, row.currency);
            c.put("name", &discount.description);
            self.add("invoice_discounts", c);
        }
        for (n, tax) in row.taxes.iter().enumerate() {
            let mut c = Cells::new(format!("{}:tax:{n}", row.id), row.stamp);
            c.put("invoice_id", &row.id);
            c.put("kind", "tax");
            c.money("amount", tax.amount, row.currency);
            c.put("name", tax.name);
            c.opt("rate", row.line_taxes.iter().find(|t| t.name == tax.name).map(|t| t.rate));
            c.put("jurisdiction", tax.name);
            self.add("invoice_taxes", c);
        }
    }

    fn paid_by(&mut self, row: &Invoice) {
        for (n, payment) in row.payments.iter().enumerate() {
            let transaction = &self.world.transactions[payment.transaction];
            if transaction.status != TransactionStatus::Success {
                continue;
            }
            let mut c = Cells::new(format!("{}:payment:{n}", row.id), row.stamp);
            c.put("payment_id", &transaction.id);
            c.put("invoice_id", &row.id);
            c.put("kind", "payment");
            c.money("amount", payment.applied, row.currency);
            c.time("applied_at", Some(payment.at));
            c.put("applied_date", self.date(payment.at));
            c.put("owner_invoice_id", &row.id);
            self.add("payment_allocations", c);
        }
        for (n, withheld) in row.withheld.iter().enumerate() {
            let mut c = Cells::new(format!("{}:tax_withheld:{n}", row.id), row.stamp);
            c.put("invoice_id", &row.id);
            c.put("kind", "tax_withheld");
            c.money("amount", withheld.amount, row.currency);
            c.time("applied_at", Some(withheld.at));
            c.put("applied_date", self.date(withheld.at));
            c.put("owner_invoice_id", &row.id);
            self.add("payment_allocations", c);
        }
    }

    pub(super) fn notes(&mut self) {
        for row in self.world.notes.rows() {
            let cells = self.note(row);
            self.add("credit_notes", cells);
            let document = Document {
                column: "credit_note_id",
                id: &row.id,
                stamp: row.stamp,
                currency: row.currency,
                price_type: row.price_type,
                subscription: row.subscription.map(|s| self.id(Row::Subscription(s))),
                taxes: &row.line_taxes,
                rated: true,
            };
            self.lines("credit_note_line_items", &document, &row.lines);
            self.allocations(row);
            self.refunds(row);
        }
    }

    fn note(&self, row: &CreditNote) -> Cells {
        let currency = row.currency;
        let mut c = Cells::new(&row.id, row.stamp);
        c.put("number", &row.id);
        c.put("customer_id", self.id(Row::Customer(row.customer)));
        c.opt("subscription_id", row.subscription.map(|s| self.id(Row::Subscription(s))));
        c.put("invoice_id", self.id(Row::Invoice(row.invoice)));
        c.put("kind", row.kind.word());
        c.put("status_raw", row.status.word());
        c.put("reason", row.reason.word());
        c.put("date", self.date(row.date));
        c.time("voided_at", row.voided_at);
        c.put("currency", currency.code());
        c.money("sub_total", row.sub_total, currency);
        c.money("tax", row.total - row.sub_total, currency);
        c.money("total", row.total, currency);
        c.money("round_off", 0, currency);
        c.money("fractional", 0, currency);
        c.money("amount_allocated", row.allocated, currency);
        c.money("amount_refunded", row.refunded, currency);
        c.money("amount_available", row.available, currency);
        c.opt("custom_fields", json_object(&self.world.custom_of(&row.id)));
        c
    }

    fn allocations(&mut self, row: &CreditNote) {
        for (n, allocation) in row.allocations.iter().enumerate() {
            let invoice = self.id(Row::Invoice(allocation.invoice));
            let mut c = Cells::new(format!("{}:allocation:{n}", row.id), row.stamp);
            c.put("credit_note_id", &row.id);
            c.put("invoice_id", &invoice);
            c.money("amount", allocation.amount, row.currency);
            c.time("applied_at", Some(allocation.at));
            c.put("pre_tax", false);
            self.add("credit_allocations", c);
            let mut c = Cells::new(format!("{}:credit_note:{n}", row.id), row.stamp);
            c.put("invoice_id", &invoice);
            c.put("kind", "credit_note");
            c.money("amount", allocation.amount, row.currency);
            c.time("applied_at", Some(allocation.at));
            c.put("applied_date", self.date(allocation.at));
            c.put("owner_credit_note_id", &row.id);
            self.add("payment_allocations", c);
        }
    }

    fn refunds(&mut self, row: &CreditNote) {
        for (n, refund) in row.refunds.iter().enumerate() {
            let transaction = &self.world.transactions[refund.transaction];
            let mut c = Cells::new(format!("{}:refund:{n}", row.id), row.stamp);
            c.put("payment_id", &transaction.id);
            c.put("credit_note_id", &row.id);
            c.put("invoice_id", self.id(Row::Invoice(row.invoice)));
            c.money("amount", refund.amount, row.currency);
            c.time("refunded_at", Some(refund.at));
            c.put("status", super::payments::status(transaction));
            c.put("reason", row.reason.word());
            self.add("refunds", c);
        }
    }
}

impl Truth<'_> {
    /// Where what a line bills stands, and its id. Without prices the fee at the start is the plan's.
    pub(super) fn billed<'a>(
        &self,
        line: &'a Line,
        plan: Option<&'a str>,
    ) -> (&'static str, Option<&'a str>) {
        let own = line.price_id.as_deref();
        match self.catalog {
            ProductCatalog::V2 => ("price_id", own),
            ProductCatalog::V1 if is_charge(line) => ("item_id", plan.or(own)),
            ProductCatalog::V1 => ("item_id", own),
        }
    }

    fn kind(&self, line: &Line, plan: Option<&str>) -> &'static str {
        match line.entity {
            Entity::Price(item) if item.kind() != ItemKind::Charge => "recurring",
            Entity::Price(_) if self.catalog == ProductCatalog::V1 && plan.is_some() => "setup",
            Entity::Price(_) | Entity::Adhoc => "one_off",
        }
    }
}

fn is_charge(line: &Line) -> bool {
    matches!(line.entity, Entity::Price(item) if item.kind() == ItemKind::Charge)
}

//! What does Chargebee show of an invoice and of a credit note?
use super::{
    ProductCatalog,
    pen::{Pen, custom},
};
use crate::sim::{
    json::Object,
    money::Currency,
    world::{
        catalog::{Item, ItemKind},
        model::{
            CreditNote, Customer, Entity, Invoice, InvoiceStatus, Line, LineTax, Subscription, TaxTotal,
        },
        table::At,
    },
};

/// What lines of a document belong to.
#[derive(Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) customer: At<Customer>,
    pub(super) subscription: Option<At<Subscription>>,
    /// The plan among the document's lines.
    pub(super) plan: Option<&'a str>,
}

impl Pen<'_> {
    pub(super) fn line(self, owner: Owner<'_>, line: &Line, currency: Currency) -> String {
        let mut o = self.object();
        o.put("id", &line.id).put("date_from", line.from).put("date_to", line.to);
        o.put("unit_amount", line.unit.rounded(currency.exponent()))
            .put("quantity", line.quantity.rounded(0));
        o.put("amount", line.amount).put("pricing_model", pricing(line.entity));
        o.put("is_taxed", line.tax_rate.is_some()).put("tax_amount", line.tax);
        if let Some(rate) = line.tax_rate {
            o.raw("tax_rate", &rate.float_text());
        }
        if matches!(line.entity, Entity::Price(item) if item.is_decimal(currency)) {
            o.put("unit_amount_in_decimal", line.unit.to_string());
            o.put("quantity_in_decimal", line.quantity.to_string());
        }
        o.put("discount_amount", line.discount).put("item_level_discount_amount", line.item_discount);
        o.put("description", &line.description).put("entity_description", &line.name);
        let (kind, id) = self.entity(line, owner.plan);
        o.put("entity_type", kind).opt("entity_id", id);
        o.opt("proration_mode", line.prorated.then_some("partial_term"));
        o.opt("reference_line_item_id", line.reference.as_ref());
        o.opt("tax_exempt_reason", line.tax_rate.is_none().then_some("tax_not_configured"));
        o.put("customer_id", &self.world.customers[owner.customer].id);
        o.opt("subscription_id", owner.subscription.map(|s| &self.world.subscriptions[s].id));
        custom(&mut o, self.world, &line.id);
        o.put("object", "line_item");
        o.end()
    }

    /// What a line bills, as `entity_type` and `entity_id`. In catalog 1.0 the fee at the start is the plan's own.
    pub(super) fn entity<'a>(self, line: &'a Line, plan: Option<&'a str>) -> (&'static str, Option<&'a str>) {
        let own = line.price_id.as_deref();
        let Entity::Price(item) = line.entity else { return ("adhoc", own) };
        match (self.catalog, item.kind(), plan) {
            (ProductCatalog::V2, ItemKind::Plan, _) => ("plan_item_price", own),
            (ProductCatalog::V2, ItemKind::Addon, _) => ("addon_item_price", own),
            (ProductCatalog::V2, ItemKind::Charge, _) => ("charge_item_price", own),
            (ProductCatalog::V1, ItemKind::Plan, _) => ("plan", own),
            (ProductCatalog::V1, ItemKind::Charge, Some(plan)) => ("plan_setup", Some(plan)),
            (ProductCatalog::V1, ItemKind::Addon | ItemKind::Charge, _) => ("addon", own),
        }
    }

    /// As many lines as are shown, and where the next one begins.
    fn line_items(self, o: &mut Object, owner: Owner<'_>, lines: &[Line], currency: Currency) {
        let (first, most) = self.lines;
        let shown = lines.iter().skip(first).take(most);
        let next = first.saturating_add(most);
        o.list("line_items", shown.map(|l| self.line(owner, l, currency)));
        o.opt("line_items_next_offset", (next < lines.len()).then(|| next.to_string()));
    }

    pub(super) fn line_taxes(self, taxes: &[LineTax]) -> impl Iterator<Item = String> {
        taxes.iter().map(move |tax| {
            let mut o = self.object();
            o.put("line_item_id", &tax.line)
                .put("tax_name", tax.name)
                .raw("tax_rate", &tax.rate.float_text());
            o.put("tax_juris_type", "country").put("tax_juris_name", tax.name).put("tax_juris_code", "1");
            o.put("date_from", 0).put("is_partial_tax_applied", false).put("is_non_compliance_tax", false);
            o.put("taxable_amount", tax.taxable).put("tax_amount", tax.amount).put("object", "line_item_tax");
            o.end()
        })
    }

    fn taxes(self, taxes: &[TaxTotal]) -> impl Iterator<Item = String> {
        taxes.iter().map(move |tax| {
            let mut o = self.object();
            o.put("name", tax.name)
                .put("amount", tax.amount)
                .put("description", format!("{} total", tax.name));
            o.put("object", "tax");
            o.end()
        })
    }

    pub(super) fn invoice(self, at: At<Invoice>) -> String {
        let row = &self.world.invoices[at];
        let plan = Line::plan(&row.lines);
        let owner = Owner { customer: row.customer, subscription: row.subscription, plan };
        let mut o = self.object();
        o.put("id", &row.id).put("customer_id", &self.world.customers[row.customer].id);
        o.opt("subscription_id", row.subscription.map(|s| &self.world.subscriptions[s].id));
        o.put("recurring", row.recurring)
            .put("status", row.status.word())
            .put("price_type", row.price_type.word());
        o.put("date", row.date).opt("due_date", row.due_date).put("net_term_days", row.net_terms);
        o.opt("generated_at", row.generated_at).opt("po_number", row.po_number.as_ref());
        o.raw("exchange_rate", &row.currency.base_rate().float_text());
        self.amounts(&mut o, at, row);
        o.opt("paid_at", row.paid_at).opt("voided_at", row.voided_at);
        o.opt("dunning_status", row.dunning.map(|d| d.word())).opt("next_retry_at", row.next_retry_at);
        self.stamp(&mut o, row.stamp);
        o.put("channel", "web").put("first_invoice", row.first).put("has_advance_charges", false);
        o.put("term_finalized", row.status != InvoiceStatus::Pending).put("is_gifted", false);
        o.put("currency_code", row.currency.code()).put("base_currency_code", "USD");
        self.line_items(&mut o, owner, &row.lines, row.currency);
        o.some("line_item_taxes", self.line_taxes(&row.line_taxes)).some("taxes", self.taxes(&row.taxes));
        self.discounts(&mut o, row);
        self.links(&mut o, row);
        custom(&mut o, self.world, &row.id);
        if let Some(note) = &row.note {
            let mut text = self.object();
            text.put("note", note).put("entity_type", "invoice").put("entity_id", &row.id);
            o.list("notes", [text.end()]);
        }
        for kind in ["billing_address", "shipping_address"] {
            o.raw(kind, &self.document_address(row.customer, kind));
        }
        let mut site = self.object();
        site.put("timezone", "Europe/Berlin").put("object", "site_details_at_creation");
        o.raw("site_details_at_creation", &site.end()).put("object", "invoice");
        o.end()
    }

    fn amounts(self, o: &mut Object, at: At<Invoice>, row: &Invoice) {
        o.put("sub_total", row.sub_total).put("tax", row.tax).put("total", row.total);
        o.opt("round_off_amount", (row.round_off != 0).then_some(row.round_off));
        o.put("amount_paid", row.amount_paid).put("amount_adjusted", row.amount_adjusted);
        o.put("write_off_amount", row.written_off).put("credits_applied", row.credits_applied);
        o.put("amount_due", row.amount_due)
            .put("amount_to_collect", row.amount_due - self.world.in_progress(at));
        o.put("new_sales_amount", if row.first { row.total } else { 0 });
    }

    fn discounts(self, o: &mut Object, row: &Invoice) {
        o.some(
            "line_item_discounts",
            row.line_discounts.iter().map(|d| {
                let mut part = self.object();
                part.put("line_item_id", &d.line)
                    .put("discount_type", d.kind.word())
                    .opt("coupon_id", d.coupon);
                part.opt("entity_id", d.coupon)
                    .put("discount_amount", d.amount)
                    .put("object", "line_item_discount");
                part.end()
            }),
        );
        o.some(
            "discounts",
            row.discounts.iter().map(|d| {
                let mut discount = self.object();
                discount
                    .put("amount", d.amount)
                    .put("description", &d.description)
                    .opt("line_item_id", d.line.as_ref());
                discount.put("entity_type", d.kind.word()).opt("entity_id", d.coupon);
                discount.opt("discount_type", d.coupon.map(|_| "percentage")).put("object", "discount");
                discount.end()
            }),
        );
    }

    fn links(self, o: &mut Object, row: &Invoice) {
        let world = self.world;
        o.list(
            "linked_payments",
            row.payments.iter().map(|p| {
                let txn = &world.transactions[p.transaction];
                let mut link = self.object();
                link.put("txn_id", &txn.id).put("applied_amount", p.applied).put("applied_at", p.at);
                link.put("txn_status", txn.status.word())
                    .put("txn_date", txn.date)
                    .put("txn_amount", txn.amount);
                link.put("object", "linked_payment");
                link.end()
            }),
        );
        o.list(
            "dunning_attempts",
            row.attempts.iter().enumerate().map(|(i, a)| {
                let txn = &world.transactions[a.transaction];
                let mut attempt = self.object();
                attempt.put("attempt", i).put("transaction_id", &txn.id).put("dunning_type", "auto_collect");
                attempt
                    .put("created_at", a.at)
                    .put("txn_status", txn.status.word())
                    .put("txn_amount", txn.amount);
                attempt.put("object", "dunning_attempt");
                attempt.end()
            }),
        );
        o.list(
            "applied_credits",
            row.credits.iter().map(|c| {
                let mut credit = self.note_link(c.note);
                credit
                    .put("applied_amount", c.amount)
                    .put("applied_at", c.at)
                    .put("tax_application", "post_tax");
                credit.put("object", "applied_credit");
                credit.end()
            }),
        );
        for (key, notes) in
            [("adjustment_credit_notes", &row.adjustments), ("issued_credit_notes", &row.issued)]
        {
            o.list(
                key,
                notes.iter().map(|n| {
                    let mut note = self.note_link(*n);
                    note.put("cn_total", world.notes[*n].total).put("object", key.trim_end_matches('s'));
                    note.end()
                }),
            );
        }
        o.some(
            "linked_taxes_withheld",
            row.withheld.iter().map(|w| {
                let mut tax = self.object();
                tax.put("id", &w.id)
                    .put("amount", w.amount)
                    .put("date", w.at)
                    .put("object", "linked_tax_withheld");
                tax.end()
            }),
        );
        o.list("linked_orders", []);
    }

    fn note_link(self, at: At<CreditNote>) -> Object {
        let note = &self.world.notes[at];
        let mut o = self.object();
        o.put("cn_id", &note.id).put("cn_reason_code", note.reason.word()).put("cn_date", note.date);
        o.put("cn_status", note.status.word());
        o
    }

    pub(super) fn credit_note(self, at: At<CreditNote>) -> String {
        let row = &self.world.notes[at];
        let world = self.world;
        let plan = Line::plan(&row.lines);
        let owner = Owner { customer: row.customer, subscription: row.subscription, plan };
        let mut o = self.object();
        o.put("id", &row.id).put("customer_id", &world.customers[row.customer].id);
        o.opt("subscription_id", row.subscription.map(|s| &world.subscriptions[s].id));
        o.put("reference_invoice_id", &world.invoices[row.invoice].id).put("type", row.kind.word());
        o.put("reason_code", row.reason.word()).put("status", row.status.word()).put("date", row.date);
        o.put("price_type", row.price_type.word())
            .raw("exchange_rate", &row.currency.base_rate().float_text());
        o.put("sub_total", row.sub_total).put("total", row.total).put("amount_allocated", row.allocated);
        o.put("amount_refunded", row.refunded).put("amount_available", row.available);
        o.put("generated_at", row.date).opt("refunded_at", row.refunded_at).opt("voided_at", row.voided_at);
        self.stamp(&mut o, row.stamp);
        o.put("channel", "web").put("currency_code", row.currency.code()).put("base_currency_code", "USD");
        o.put("fractional_correction", 0).put("round_off_amount", 0);
        self.line_items(&mut o, owner, &row.lines, row.currency);
        o.some("line_item_taxes", self.line_taxes(&row.line_taxes)).some("taxes", self.taxes(&row.taxes));
        o.list(
            "allocations",
            row.allocations.iter().map(|a| {
                let invoice = &world.invoices[a.invoice];
                let mut allocation = self.object();
                allocation
                    .put("invoice_id", &invoice.id)
                    .put("allocated_amount", a.amount)
                    .put("allocated_at", a.at);
                allocation.put("invoice_date", invoice.date).put("invoice_status", a.status.word());
                allocation.put("tax_application", "post_tax").put("object", "credit_note_allocation");
                allocation.end()
            }),
        );
        o.list(
            "linked_refunds",
            row.refunds.iter().map(|r| {
                let txn = &world.transactions[r.transaction];
                let mut refund = self.object();
                refund.put("txn_id", &txn.id).put("applied_amount", r.amount).put("applied_at", r.at);
                refund
                    .put("txn_status", txn.status.word())
                    .put("txn_date", txn.date)
                    .put("txn_amount", txn.amount);
                refund.put("refund_reason_code", row.reason.word()).put("object", "linked_refund");
                refund.end()
            }),
        );
        o.raw("billing_address", &self.document_address(row.customer, "billing_address"));
        custom(&mut o, self.world, &row.id);
        o.put("object", "credit_note");
        o.end()
    }
}

fn pricing(entity: Entity) -> &'static str {
    match entity {
        Entity::Price(Item::Seats | Item::ApiCalls) => "per_unit",
        Entity::Price(Item::Basic | Item::Pro | Item::Setup) | Entity::Adhoc => "flat_fee",
    }
}

//! What does Chargebee show of a customer, a subscription, a transaction? (Documents: `documents`.)
//!
//! Optional fields are left out when there is no value; amounts are minor units, times seconds.
use super::ProductCatalog;
use crate::sim::{
    json::{Object, text},
    world::{
        World,
        model::{
            Customer, NoteStatus, Row, Stamp, Subscription, SubscriptionStatus, Transaction, TransactionKind,
            TransactionStatus, entity_of, net_terms_of,
        },
        table::At,
    },
};

/// Writes rows of one world.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pen<'a> {
    pub(super) world: &'a World,
    /// Every object has two fields that no documentation mentions.
    pub(super) additions: bool,
    /// Lines of a document: the first shown, and how many at most.
    pub(super) lines: (usize, usize),
    /// Whose words are used.
    pub(super) catalog: ProductCatalog,
}

/// Custom fields of a row other than a customer.
pub(super) fn custom(o: &mut Object, world: &World, id: &str) {
    for (key, value) in world.custom_of(id) {
        o.raw(key, &value);
    }
}

/// What there is of a text that may be blank.
pub(super) fn filled(text: &String) -> Option<&String> {
    Some(text).filter(|text| !text.is_empty())
}

impl Pen<'_> {
    pub(super) fn row(self, row: Row) -> String {
        match row {
            Row::Customer(at) => self.customer(at),
            Row::Subscription(at) => self.subscription(at),
            Row::Invoice(at) => self.invoice(at),
            Row::CreditNote(at) => self.credit_note(at),
            Row::Transaction(at) => self.transaction(at),
            Row::Side(_, at) => self.side(at),
        }
    }

    pub(super) fn object(self) -> Object {
        let mut object = Object::new();
        if self.additions {
            object
                .put("sim_added_text", "new \u{2728}")
                .raw("sim_added", r#"{"nested":[1,2.50,null,{"deep":"yes"}]}"#);
        }
        object
    }

    pub(super) fn stamp(self, object: &mut Object, stamp: Stamp) {
        if stamp.stamped {
            object.put("updated_at", stamp.updated_at).put("resource_version", stamp.version);
        }
        object.put("deleted", stamp.deleted);
    }

    /// Without the name for a document: it would change with the customer, which a document does not.
    fn address(self, row: &Customer, kind: &str, name: bool) -> String {
        let mut address = self.object();
        address
            .opt("first_name", filled(&row.first_name).filter(|_| name))
            .opt("last_name", filled(&row.last_name).filter(|_| name));
        address
            .opt("company", row.company.as_ref())
            .opt("line1", filled(&row.line1))
            .opt("city", filled(&row.city));
        if let Some((name, code)) = row.country.state {
            address.put("state_code", code).put("state", name);
        }
        address.put("country", row.country.iso2).opt("zip", filled(&row.postcode));
        address.put("validation_status", "not_validated").put("object", kind);
        address.end()
    }

    pub(super) fn document_address(self, at: At<Customer>, kind: &str) -> String {
        self.address(&self.world.customers[at], kind, false)
    }

    fn customer(self, at: At<Customer>) -> String {
        let row = &self.world.customers[at];
        let mut o = self.object();
        o.put("id", &row.id)
            .opt("first_name", filled(&row.first_name))
            .opt("last_name", filled(&row.last_name));
        o.opt("email", filled(&row.email))
            .opt("phone", row.phone.as_ref())
            .opt("company", row.company.as_ref());
        o.opt("vat_number", row.vat_number.as_ref()).opt("business_entity_id", entity_of(&row.id));
        o.put("auto_collection", if row.auto_collection { "on" } else { "off" });
        o.put("net_term_days", row.net_terms)
            .put("allow_direct_debit", false)
            .put("created_at", row.created_at);
        o.opt("taxability", row.exempt.map(|e| if e { "exempt" } else { "taxable" }));
        self.stamp(&mut o, row.stamp);
        o.put("locale", "en-GB")
            .put("pii_cleared", if self.world.is_cleared(at) { "cleared" } else { "active" })
            .put("channel", "web");
        o.put("card_status", row.card_status)
            .raw("billing_address", &self.address(row, "billing_address", true));
        o.some("contacts", self.contacts(row));
        if row.auto_collection {
            let mut method = self.object();
            method
                .put("object", "payment_method")
                .put("type", "card")
                .put("reference_id", format!("tok_{}", row.id));
            method.put("gateway", "stripe").put("gateway_account_id", "gw_sim0001").put("status", "valid");
            o.put("primary_payment_source_id", format!("pm_{}", row.id)).raw("payment_method", &method.end());
        }
        if !row.meta.is_empty() {
            let mut meta = Object::new();
            row.meta.iter().for_each(|(key, value)| {
                meta.raw(key, value);
            });
            o.raw("meta_data", &meta.end());
        }
        o.put("preferred_currency_code", row.currency.code());
        o.put("promotional_credits", row.promotional_credits)
            .put("refundable_credits", row.refundable_credits);
        o.put("excess_payments", row.excess_payments).put("unbilled_charges", self.world.unbilled(at));
        let mut balance = self.object();
        balance
            .put("promotional_credits", row.promotional_credits)
            .put("excess_payments", row.excess_payments);
        balance
            .put("refundable_credits", row.refundable_credits)
            .put("unbilled_charges", self.world.unbilled(at));
        balance.put("currency_code", row.currency.code()).put("balance_currency_code", row.currency.code());
        balance.put("object", "customer_balance");
        o.list("balances", [balance.end()]);
        if let Some(parent) = row.parent {
            let parent = &self.world.customers[parent].id;
            let mut link = self.object();
            link.put("parent_id", parent).put("payment_owner_id", parent).put("invoice_owner_id", &row.id);
            o.raw("relationship", &link.end());
        }
        for (key, value) in &row.custom {
            o.raw(key, value);
        }
        o.put("object", "customer");
        o.end()
    }

    fn contacts(self, row: &Customer) -> impl Iterator<Item = String> {
        row.contacts.iter().enumerate().map(move |(i, email)| {
            let mut contact = self.object();
            contact.put("id", format!("contact_{}_{i}", row.id)).put("email", email);
            contact.put("label", "accounting");
            contact.put("enabled", true).put("send_account_email", false).put("send_billing_email", true);
            contact.put("object", "contact");
            contact.end()
        })
    }

    /// The card that comes along with a customer; None without one.
    pub(super) fn card(self, at: At<Customer>) -> Option<String> {
        let row = &self.world.customers[at];
        row.auto_collection.then(|| {
            let mut card = self.object();
            card.put("status", "valid").put("gateway", "stripe").put("gateway_account_id", "gw_sim0001");
            card.put("iin", "424242").put("last4", format!("{:04}", 1_000 + at.number() % 9_000));
            card.put("card_type", "visa").put("funding_type", "credit").put("expiry_month", 12);
            card.put("expiry_year", 2_031).put("created_at", row.created_at).put("customer_id", &row.id);
            card.put("payment_source_id", format!("pm_{}", row.id)).put("object", "card");
            card.end()
        })
    }

    fn subscription(self, at: At<Subscription>) -> String {
        let row = &self.world.subscriptions[at];
        let customer = &self.world.customers[row.customer];
        let (count, unit) = row.period.count_and_unit();
        let mut o = self.object();
        o.put("id", &row.id).put("billing_period", count).put("billing_period_unit", unit);
        o.put("customer_id", &customer.id).put("status", row.status.word());
        o.opt("start_date", row.start_date).opt("trial_start", row.trial.map(|t| t.0));
        o.opt("trial_end", row.trial.map(|t| t.1));
        o.opt("current_term_start", row.term.map(|t| t.0)).opt("current_term_end", row.term.map(|t| t.1));
        o.opt("next_billing_at", row.next_billing_at).opt("remaining_billing_cycles", row.remaining_cycles);
        o.put("created_at", row.created_at)
            .opt("started_at", row.started_at)
            .opt("activated_at", row.activated_at);
        o.opt("pause_date", row.pause_at)
            .opt("resume_date", row.resume_at)
            .opt("cancelled_at", row.cancelled_at);
        o.opt("cancel_reason", row.cancel_reason).opt("cancel_reason_code", row.cancel_reason_code);
        o.opt("cancel_schedule_created_at", row.cancel_scheduled_at);
        o.put("auto_collection", if customer.auto_collection { "on" } else { "off" });
        o.opt("net_term_days", net_terms_of(&row.id));
        self.stamp(&mut o, row.stamp);
        o.put("has_scheduled_changes", row.status == SubscriptionStatus::NonRenewing);
        o.put("has_scheduled_advance_invoices", false).put("channel", "web");
        o.put("due_invoices_count", row.due_count)
            .opt("due_since", row.due_since)
            .put("total_dues", row.total_dues);
        o.put("mrr", row.mrr).raw("exchange_rate", &row.currency.base_rate().float_text());
        o.put("base_currency_code", "USD").put("currency_code", row.currency.code());
        match self.catalog {
            ProductCatalog::V2 => drop(o.list("subscription_items", self.items(row))),
            ProductCatalog::V1 => self.plan_and_addons(&mut o, row),
        }
        o.some(
            "coupons",
            row.coupons.iter().map(|c| {
                let mut coupon = self.object();
                coupon
                    .put("coupon_id", c.coupon)
                    .opt("apply_till", c.apply_till)
                    .put("applied_count", c.applied);
                coupon.put("object", "coupon");
                coupon.end()
            }),
        );
        o.some("discounts", self.manual_discounts(row));
        if let Some(contract) = &row.contract {
            let mut term = self.object();
            term.put("id", format!("ct_{}", row.id))
                .put("status", "active")
                .put("contract_start", contract.start);
            term.put("contract_end", contract.end).put("billing_cycle", 1).put("action_at_term_end", "renew");
            term.put("total_contract_value", contract.value)
                .put("total_contract_value_before_tax", contract.value);
            term.put("created_at", contract.start)
                .put("subscription_id", &row.id)
                .put("object", "contract_term");
            o.raw("contract_term", &term.end());
        }
        if let Some(meta) = self.world.meta_of(&row.id) {
            o.raw("meta_data", &meta);
        }
        custom(&mut o, self.world, &row.id);
        o.put("decommissioned", false).put("object", "subscription");
        o.end()
    }

    fn manual_discounts(self, row: &Subscription) -> impl Iterator<Item = String> {
        row.discounts.iter().enumerate().map(move |(i, d)| {
            let mut o = self.object();
            o.put("id", &d.id).put("invoice_name", "Goodwill");
            o.put("type", if d.percentage.is_some() { "percentage" } else { "fixed_amount" });
            if let Some(percentage) = d.percentage {
                o.raw("percentage", &percentage.float_text());
            }
            o.opt("amount", d.amount).opt("currency_code", d.amount.map(|_| row.currency.code()));
            o.put("duration_type", d.duration)
                .opt("apply_till", d.apply_till)
                .put("included_in_mrr", d.in_mrr);
            o.put("apply_on", if d.price_id.is_some() { "specific_item_price" } else { "invoice_amount" });
            o.opt("item_price_id", d.price_id.as_ref())
                .put("created_at", d.created_at)
                .put("applied_count", 0);
            o.put("index", i).put("object", "discount");
            o.end()
        })
    }

    fn transaction(self, at: At<Transaction>) -> String {
        let row = &self.world.transactions[at];
        let customer = &self.world.customers[row.customer];
        let mut o = self.object();
        o.put("id", &row.id).put("customer_id", &customer.id);
        o.opt("subscription_id", row.subscription.map(|s| &self.world.subscriptions[s].id));
        o.opt("gateway_account_id", row.gateway_id.as_ref().map(|_| "gw_sim0001"));
        o.put("payment_method", row.method.word()).put("gateway", row.gateway).put("type", row.kind.word());
        o.put("date", row.date).opt("settled_at", row.settled_at);
        o.raw("exchange_rate", &row.currency.base_rate().float_text()).put("amount", row.amount);
        o.opt("id_at_gateway", row.gateway_id.as_ref()).opt("reference_number", row.reference.as_ref());
        o.put("status", row.status.word()).opt("initiator_type", row.initiator).put("three_d_secure", false);
        o.opt("error_code", row.error.map(|e| e.0)).opt("error_text", row.error.map(|e| e.1));
        self.stamp(&mut o, row.stamp);
        if let Some(card) = &row.masked_card {
            o.put("masked_card_number", card).put("payment_method_details", text(&serde_json::json!({
                "card": { "iin": "424242", "masked_number": card, "brand": "visa", "funding_type": "credit" }
            })));
        }
        let payment = row.kind == TransactionKind::Payment;
        o.opt("amount_unused", payment.then_some(row.unused));
        if let Some(other) = row.refund_of {
            let id = &self.world.transactions[other].id;
            let refund = row.kind == TransactionKind::Refund;
            o.opt("refunded_txn_id", refund.then_some(id)).put("reference_transaction_id", id);
        }
        o.put("currency_code", row.currency.code()).put("base_currency_code", "USD");
        if payment {
            o.list("linked_invoices", self.linked_invoices(row))
                .list("linked_refunds", self.linked_refunds(row));
        }
        o.some("linked_credit_notes", self.linked_note(row));
        o.put("object", "transaction");
        o.end()
    }

    fn linked_invoices(self, row: &Transaction) -> impl Iterator<Item = String> {
        row.invoices.iter().map(move |link| {
            let invoice = &self.world.invoices[link.invoice];
            let mut o = self.object();
            o.put("invoice_id", &invoice.id).put("applied_amount", link.applied).put("applied_at", link.at);
            o.put("invoice_date", invoice.date).put("invoice_total", invoice.total);
            o.put("invoice_status", link.status.word()).put("object", "linked_invoice");
            o.end()
        })
    }

    fn linked_refunds(self, row: &Transaction) -> impl Iterator<Item = String> {
        row.refunds.iter().map(move |refund| {
            let refund = &self.world.transactions[*refund];
            let mut o = self.object();
            o.put("txn_id", &refund.id).put("txn_status", refund.status.word()).put("txn_date", refund.date);
            o.put("txn_amount", refund.amount).put("object", "linked_refund");
            o.end()
        })
    }

    fn linked_note(self, row: &Transaction) -> Option<String> {
        row.note.map(|note| {
            let note = &self.world.notes[note];
            let mut o = self.object();
            let success = row.status == TransactionStatus::Success;
            o.put("cn_id", &note.id).put("applied_amount", if success { row.amount } else { 0 });
            o.put("applied_at", row.date).put("cn_reason_code", note.reason.word()).put("cn_date", note.date);
            let status = if success { NoteStatus::Refunded } else { NoteStatus::RefundDue };
            o.put("cn_total", note.total).put("cn_status", status.word());
            o.put("cn_reference_invoice_id", &self.world.invoices[note.invoice].id);
            o.put("object", "linked_credit_note");
            o.end()
        })
    }
}

//! What does Chargebee show of the smaller resources? Payment sources, orders, quotes, usages, virtual accounts, hosted
//! pages, promotional credits, comments, unbilled charges, gifts.
use super::{
    ProductCatalog,
    documents::Owner,
    pen::{Pen, filled},
};
use crate::sim::{
    json::Object,
    money::Dec,
    world::{
        model::{Line, Row, Stamp, Subscription, entity_of, rare},
        side::{
            Body, Comment, Gift, HostedPage, Means, Movement, Order, PaymentSource, Quote, Side,
            UnbilledCharge, Usage, VirtualAccount,
        },
        table::At,
    },
};

const YEAR: i64 = 365 * 86_400;

impl<'a> Pen<'a> {
    pub(super) fn side(self, at: At<Side>) -> String {
        let row = &self.world.sides[at];
        let mut o = self.object();
        o.put("id", &row.id);
        match &row.body {
            Body::PaymentSource(body) => self.payment_source(&mut o, row, body),
            Body::Order(body) => self.order(&mut o, row, body),
            Body::Quote(body) => self.quote(&mut o, row, body),
            Body::Usage(body) => self.usage(&mut o, row, body),
            Body::VirtualAccount(body) => self.virtual_account(&mut o, row, body),
            Body::HostedPage(body) => self.hosted_page(&mut o, row, body),
            Body::Movement(body) => self.movement(&mut o, row, body),
            Body::Comment(body) => self.comment(&mut o, row, body),
            Body::UnbilledCharge(body) => self.unbilled_charge(&mut o, row, body),
            Body::Gift(body) => self.gift(&mut o, row, body),
        }
        o.put("object", row.body.resource().singular());
        o.end()
    }

    /// What stands beside the row in a list.
    pub(super) fn companion(self, at: At<Side>, element: &mut Object) {
        match &self.world.sides[at].body {
            Body::Gift(gift) => {
                element.raw("subscription", &self.row(Row::Subscription(gift.subscription)));
            }
            Body::Quote(quote) => {
                let mut o = self.object();
                o.put("id", format!("qs_{}", self.world.sides[at].id));
                o.put("status", quote.status).put("object", "quoted_subscription");
                element.raw("quoted_subscription", &o.end());
            }
            _ => {}
        }
    }

    fn customer_id(self, row: &Side) -> &'a str {
        &self.world.customers[row.customer].id
    }
    fn subscription_id(self, at: At<Subscription>) -> &'a str {
        &self.world.subscriptions[at].id
    }
    /// Without `deleted`, which these rows do not have.
    fn version(self, o: &mut Object, stamp: Stamp) {
        if stamp.stamped {
            o.put("updated_at", stamp.updated_at).put("resource_version", stamp.version);
        }
    }

    fn payment_source(self, o: &mut Object, row: &Side, body: &PaymentSource) {
        let kind = match &body.means {
            Means::Card { .. } => "card",
            Means::Bank { .. } => "direct_debit",
            Means::Wallet { .. } => "paypal_express_checkout",
        };
        o.put("customer_id", self.customer_id(row)).put("type", kind).put("reference_id", &body.reference);
        o.put("status", body.status).put("gateway", body.gateway).put("gateway_account_id", "gw_sim0001");
        o.opt("business_entity_id", entity_of(&row.id)).put("created_at", row.created_at);
        o.opt("issuing_country", matches!(body.means, Means::Card { .. }).then_some("US"));
        self.stamp(o, row.stamp);
        let mut means = self.object();
        match &body.means {
            Means::Card { last4, month, year } => {
                means
                    .put("iin", "424242")
                    .opt("last4", filled(last4))
                    .put("brand", "visa")
                    .put("funding_type", "credit");
                means.put("expiry_month", month).put("expiry_year", year);
                means
                    .opt("masked_number", filled(last4).map(|l| format!("************{l}")))
                    .put("object", "card");
                o.raw("card", &means.end());
            }
            Means::Bank { bank, last4, mandate } => {
                means.opt("last4", filled(last4)).put("bank_name", bank).put("mandate_id", mandate);
                means.put("account_type", "checking").put("object", "bank_account");
                o.raw("bank_account", &means.end());
            }
            Means::Wallet { email } => {
                means
                    .opt("email", filled(email))
                    .put("agreement_id", &body.reference)
                    .put("object", "paypal");
                o.raw("paypal", &means.end());
            }
        }
    }

    fn order(self, o: &mut Object, row: &Side, body: &Order) {
        let invoice = &self.world.invoices[body.invoice];
        let (sub_total, discount, tax, total) = body.totals();
        let paid = if body.paid { total } else { 0 };
        let plan = Line::plan(body.lines.iter().map(|l| &l.line));
        o.put("document_number", format!("O-{}", row.id)).put("invoice_id", &invoice.id);
        o.opt("subscription_id", invoice.subscription.map(|s| self.subscription_id(s)));
        o.put("customer_id", self.customer_id(row)).put("status", body.status);
        o.put("payment_status", if body.paid { "paid" } else { "not_paid" })
            .put("order_type", "system_generated");
        o.put("price_type", body.price_type.word()).put("order_date", row.created_at);
        o.opt("shipping_date", body.shipping_date).opt("shipped_at", body.shipped_at);
        o.opt("delivered_at", body.delivered_at).opt("cancelled_at", body.cancelled_at);
        o.put("sub_total", sub_total).put("discount", discount).put("tax", tax).put("total", total);
        o.put("amount_paid", paid).put("amount_adjusted", 0).put("currency_code", body.currency.code());
        o.opt("business_entity_id", entity_of(&row.id));
        o.put("created_at", row.created_at).put("is_resent", false);
        self.stamp(o, row.stamp);
        o.list(
            "order_line_items",
            body.lines.iter().map(|l| {
                let (mut line, l, id) = (self.object(), &l.line, &l.id);
                line.put("id", id).put("invoice_id", &invoice.id).put("invoice_line_item_id", &l.id);
                line.put("unit_price", l.unit.rounded(body.currency.exponent()))
                    .put("description", &l.description);
                line.put("amount", l.amount).put("fulfillment_quantity", l.quantity.rounded(0));
                line.put("fulfillment_amount", l.amount).put("tax_amount", l.tax).put("amount_paid", 0);
                line.put("amount_adjusted", 0).put("discount_amount", l.discount);
                line.put("item_level_discount_amount", l.item_discount).put("is_shippable", true);
                line.put("sku", format!("SKU-{id}")).put("status", "queued");
                let (kind, entity) = self.entity(l, plan);
                line.put("entity_type", kind).opt("entity_id", entity);
                line.put("object", "order_line_item");
                line.end()
            }),
        );
    }

    fn quote(self, o: &mut Object, row: &Side, body: &Quote) {
        let plan = Line::plan(&body.lines);
        let owner = Owner { customer: row.customer, subscription: body.subscription, plan };
        o.put("name", format!("Offer {}", row.id)).put("customer_id", self.customer_id(row));
        o.opt("subscription_id", body.subscription.map(|s| self.subscription_id(s)));
        o.opt("invoice_id", body.invoice.map(|i| &self.world.invoices[i].id));
        o.put("status", body.status).put("operation_type", body.operation);
        o.put("price_type", body.price_type.word())
            .put("date", row.created_at)
            .put("valid_till", body.valid_till);
        o.put("sub_total", body.total()).put("total", body.total()).put("amount_due", body.total());
        o.put("credits_applied", 0).put("amount_paid", 0).opt("business_entity_id", entity_of(&row.id));
        o.opt("po_number", rare(&row.id, 3).then(|| format!("PO-{}", row.id)));
        if rare(&row.id, 2) {
            o.put("contract_term_start", row.created_at).put("contract_term_end", row.created_at + YEAR);
        }
        o.some("line_item_taxes", self.line_taxes(&body.line_taxes()).collect::<Vec<_>>());
        o.put("version", body.revision).put("currency_code", body.currency.code());
        self.stamp(o, row.stamp);
        o.list("line_items", body.lines.iter().map(|l| self.line(owner, l, body.currency)));
        for (key, value) in &body.custom {
            o.raw(key, value);
        }
    }

    fn usage(self, o: &mut Object, row: &Side, body: &Usage) {
        o.put("usage_date", row.created_at).put("subscription_id", self.subscription_id(body.subscription));
        o.put("item_price_id", &body.price_id)
            .put("quantity", body.quantity.to_string())
            .put("source", "api");
        o.opt("invoice_id", body.billed.as_ref().map(|(at, _)| &self.world.invoices[*at].id));
        o.opt("line_item_id", body.billed.as_ref().map(|(_, line)| line));
        o.opt("note", body.note.as_ref()).put("created_at", row.created_at);
        self.version(o, row.stamp);
    }

    fn virtual_account(self, o: &mut Object, row: &Side, body: &VirtualAccount) {
        let customer = &self.world.customers[row.customer];
        o.put("customer_id", &customer.id).put("email", format!("{}@pay.example.com", customer.id));
        o.put("scheme", body.scheme).put("bank_name", "TEST BANK").put("account_number", &body.account);
        o.opt("routing_number", body.routing.as_ref()).put("swift_code", "TESTDEFF").put("gateway", "stripe");
        o.put("gateway_account_id", "gw_sim0001").put("reference_id", format!("cus_{}/src_1", row.id));
        o.put("created_at", row.created_at);
        self.stamp(o, row.stamp);
    }

    fn hosted_page(self, o: &mut Object, row: &Side, body: &HostedPage) {
        o.put("type", body.kind).put("url", format!("https://acme-test.chargebee.com/pages/v4/{}", row.id));
        o.put("state", body.state).opt("pass_thru_content", body.pass_thru.as_ref());
        o.opt("business_entity_id", entity_of(&row.id));
        o.put("created_at", row.created_at).put("expires_at", body.expires_at);
        self.version(o, row.stamp);
        let mut content = self.object();
        if body.state != "requested" && body.state != "cancelled" {
            let mut customer = self.object();
            customer.put("id", self.customer_id(row)).put("object", "customer");
            content.raw("customer", &customer.end());
            let subscription = body.subscription.map(|at| ("subscription", self.subscription_id(at)));
            let invoice = body.invoice.map(|at| ("invoice", self.world.invoices[at].id.as_str()));
            for (name, id) in [subscription, invoice].into_iter().flatten() {
                let mut bought = self.object();
                bought.put("id", id).put("object", name);
                content.raw(name, &bought.end());
            }
        }
        o.raw("content", &content.end());
    }

    fn movement(self, o: &mut Object, row: &Side, body: &Movement) {
        o.put("customer_id", self.customer_id(row));
        o.put("type", if body.amount < 0 { "decrement" } else { "increment" })
            .put("amount", body.amount.abs());
        o.put("currency_code", body.currency.code()).put("description", &body.description);
        o.put("credit_type", body.credit_type).opt("reference", body.reference.as_ref());
        o.opt("done_by", rare(&row.id, 3).then_some("ops@example.com"));
        o.put("closing_balance", body.closing).put("created_at", row.created_at);
    }

    fn comment(self, o: &mut Object, row: &Side, body: &Comment) {
        o.put("entity_type", body.about.resource().singular()).put("entity_id", self.world.id(body.about));
        o.opt("added_by", body.author.as_ref()).put("notes", &body.notes).put("created_at", row.created_at);
        o.put("type", if body.author.is_some() { "user" } else { "system" });
    }

    fn unbilled_charge(self, o: &mut Object, row: &Side, body: &UnbilledCharge) {
        o.put("customer_id", self.customer_id(row))
            .put("subscription_id", self.subscription_id(body.subscription));
        o.put("date_from", row.created_at).put("date_to", row.created_at);
        o.put("unit_amount", body.unit.rounded(body.currency.exponent())).put("quantity", 1);
        o.put("amount", body.amount)
            .put("pricing_model", "flat_fee")
            .put("currency_code", body.currency.code());
        o.put("amount_in_decimal", Dec::minor(body.amount, body.currency).to_string())
            .put("discount_amount", 0);
        o.put("description", body.name)
            .put(
                "entity_type",
                if self.catalog == ProductCatalog::V1 { "addon" } else { "charge_item_price" },
            )
            .put("entity_id", &body.price_id);
        o.put("is_voided", body.voided_at.is_some()).opt("voided_at", body.voided_at);
        o.put("is_advance_charge", false).put("created_at", row.created_at);
        o.put("updated_at", row.stamp.updated_at).put("deleted", row.stamp.deleted);
    }

    fn gift(self, o: &mut Object, row: &Side, body: &Gift) {
        o.put("status", body.status).put("auto_claim", false).put("no_expiry", false);
        o.put("scheduled_at", row.created_at).put("claim_expiry_date", body.expires_at);
        self.version(o, row.stamp);
        let (mut gifter, mut receiver) = (self.object(), self.object());
        gifter.put("customer_id", self.customer_id(row)).put("signature", "From me").put("object", "gifter");
        gifter.opt("invoice_id", body.invoice.map(|at| &self.world.invoices[at].id));
        receiver.opt("customer_id", (body.status == "claimed").then(|| self.customer_id(row)));
        receiver
            .put("subscription_id", self.subscription_id(body.subscription))
            .opt("email", filled(&body.email));
        receiver.put("object", "gift_receiver");
        o.raw("gifter", &gifter.end()).raw("gift_receiver", &receiver.end());
        o.list(
            "gift_timelines",
            body.timeline.iter().map(|(status, at)| {
                let mut point = self.object();
                point.put("status", status).put("occurred_at", at).put("object", "gift_timeline");
                point.end()
            }),
        );
    }
}

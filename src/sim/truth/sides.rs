//! The smaller resources: ways to pay, orders, quotes, usages, virtual accounts, hosted pages, promotional credits,
//! comments, unbilled charges, gifts.
use super::{Cells, Truth, documents::Document, filled, json_object, json_text};
use crate::sim::{
    chargebee::ProductCatalog,
    money::Dec,
    world::{
        model::{Line, Row, Stamp, entity_of, rare},
        side::{
            Body, Comment, Gift, HostedPage, Means, Movement, Order, PaymentSource, Quote, Side,
            UnbilledCharge, Usage, VirtualAccount,
        },
    },
};

impl Truth<'_> {
    pub(super) fn sides(&mut self) {
        let world = self.world;
        for row in world.sides.rows() {
            match &row.body {
                Body::PaymentSource(body) => self.payment_method(row, body),
                Body::Order(body) => self.order(row, body),
                Body::Quote(body) => self.quote(row, body),
                Body::Usage(body) => self.usage(row, body),
                Body::VirtualAccount(body) => self.virtual_account(row, body),
                Body::HostedPage(body) => self.hosted_page(row, body),
                Body::Movement(body) => self.movement(row, body),
                Body::Comment(body) => self.comment(row, body),
                Body::UnbilledCharge(body) => self.unbilled_charge(row, body),
                Body::Gift(body) => self.gift(row, body),
            }
        }
    }

    /// Its id, its customer and its times.
    fn side(&self, row: &Side) -> Cells {
        let mut c = Cells::new(&row.id, row.stamp);
        c.put("customer_id", self.id(Row::Customer(row.customer)));
        c.time("created_at", Some(row.created_at));
        c.time("updated_at", row.stamp.stamped.then_some(row.stamp.updated_at));
        c
    }
    /// The same for a row that the provider gives no version.
    fn versionless(&self, row: &Side) -> Cells {
        let stamp = Stamp { stamped: false, ..row.stamp };
        self.side(&Side { stamp, ..row.clone() })
    }
    fn with_status(c: &mut Cells, row: &Side, status: &str) {
        c.put("status", if row.stamp.deleted { "deleted" } else { status });
        c.put("status_raw", status);
    }

    fn payment_method(&mut self, row: &Side, body: &PaymentSource) {
        let mut c = self.side(row);
        Self::with_status(&mut c, row, body.status);
        c.put("gateway", body.gateway);
        c.put("gateway_account_id", "gw_sim0001");
        c.put("gateway_ref", &body.reference);
        c.opt("business_entity_id", entity_of(&row.id));
        c.opt("issuing_country", matches!(body.means, Means::Card { .. }).then_some("US"));
        match &body.means {
            Means::Card { last4, month, year } => {
                c.put("kind", "card");
                c.put("brand", "visa");
                c.put("funding", "credit");
                c.opt("masked_number", filled(last4).map(|l| format!("************{l}")));
                c.opt("last4", filled(last4));
                c.put("expiry_month", month);
                c.put("expiry_year", year);
            }
            Means::Bank { bank, last4, mandate } => {
                c.put("kind", "direct_debit");
                c.opt("last4", filled(last4));
                c.put("bank_name", bank);
                c.put("bank_account_type", "checking");
                c.put("mandate_ref", mandate);
            }
            Means::Wallet { email } => {
                c.put("kind", "paypal_express_checkout");
                c.opt("wallet", filled(email));
            }
        }
        self.add("payment_methods", c);
    }

    fn order(&mut self, row: &Side, body: &Order) {
        let invoice = &self.world.invoices[body.invoice];
        let (sub_total, discount, tax, total) = body.totals();
        let mut c = self.side(row);
        c.put("number", format!("O-{}", row.id));
        c.opt("business_entity_id", entity_of(&row.id));
        c.put("invoice_id", &invoice.id);
        c.opt("subscription_id", invoice.subscription.map(|s| self.id(Row::Subscription(s))));
        Self::with_status(&mut c, row, body.status);
        c.put("payment_status", if body.paid { "paid" } else { "not_paid" });
        c.put("kind", "system_generated");
        c.put("price_type", body.price_type.word());
        c.put("currency", body.currency.code());
        c.money("sub_total", sub_total, body.currency);
        c.money("total_discount", discount, body.currency);
        c.money("total_tax_amount", tax, body.currency);
        c.money("total", total, body.currency);
        c.money("amount_paid", if body.paid { total } else { 0 }, body.currency);
        c.money("adjusted_amount", 0, body.currency);
        c.put("order_date", self.date(row.created_at));
        c.opt("shipping_date", body.shipping_date.map(|d| self.date(d)));
        c.time("shipped_at", body.shipped_at);
        c.time("delivered_at", body.delivered_at);
        c.time("cancelled_at", body.cancelled_at);
        self.add("orders", c);
        let plan = Line::plan(body.lines.iter().map(|l| &l.line));
        for (n, line) in body.lines.iter().enumerate() {
            let (l, currency) = (&line.line, body.currency);
            let mut c = Cells::new(&line.id, row.stamp);
            c.put("order_id", &row.id);
            c.put("line_no", n);
            c.put("invoice_id", &invoice.id);
            c.put("invoice_line_id", &l.id);
            let (column, billed) = self.billed(l, plan);
            c.opt(column, billed);
            c.put("description", &l.description);
            c.put("sku", format!("SKU-{}", line.id));
            c.put("status_raw", "queued");
            c.put("quantity", l.quantity.rounded(0));
            c.put("unit_amount", Dec::minor(l.unit.rounded(currency.exponent()), currency));
            c.money("amount", l.amount, currency);
            c.money("fulfilled_amount", l.amount, currency);
            c.money("discount_amount", l.discount + l.item_discount, currency);
            c.money("tax_amount", l.tax, currency);
            c.money("amount_paid", 0, currency);
            c.money("adjusted_amount", 0, currency);
            c.put("is_shippable", true);
            c.put("currency", currency.code());
            self.add("order_line_items", c);
        }
    }

    fn quote(&mut self, row: &Side, body: &Quote) {
        let mut c = self.side(row);
        c.0.remove("created_at");
        c.put("name", format!("Offer {}", row.id));
        Self::with_status(&mut c, row, body.status);
        c.put("kind", body.operation);
        c.put("revision", body.revision);
        c.put("date", self.date(row.created_at));
        c.time("valid_till", Some(body.valid_till));
        c.put("price_type", body.price_type.word());
        c.put("currency", body.currency.code());
        for column in ["sub_total", "total", "balance"] {
            c.money(column, body.total(), body.currency);
        }
        c.money("credits_applied", 0, body.currency);
        c.money("amount_paid", 0, body.currency);
        c.opt("business_entity_id", entity_of(&row.id));
        c.opt("po_number", rare(&row.id, 3).then(|| format!("PO-{}", row.id)));
        if rare(&row.id, 2) {
            c.put("contract_start", self.date(row.created_at));
            c.put("contract_end", self.date(row.created_at + 365 * 86_400));
        }
        let subscription = body.subscription.map(|at| self.id(Row::Subscription(at)));
        c.opt("subscription_id", subscription.as_ref());
        c.opt("invoice_id", body.invoice.map(|at| self.id(Row::Invoice(at))));
        c.opt("custom_fields", json_object(&body.custom));
        self.add("quotes", c);
        let document = Document {
            column: "quote_id",
            id: &row.id,
            stamp: row.stamp,
            currency: body.currency,
            price_type: body.price_type,
            subscription,
            taxes: &body.line_taxes(),
            rated: false,
        };
        self.lines("quote_line_items", &document, &body.lines);
    }

    fn usage(&mut self, row: &Side, body: &Usage) {
        let mut c = self.side(row);
        c.0.remove("customer_id");
        c.put("subscription_id", self.id(Row::Subscription(body.subscription)));
        c.put("price_id", &body.price_id);
        c.put("usage_date", self.date(row.created_at));
        c.time("used_at", Some(row.created_at));
        c.put("quantity", body.quantity);
        if let Some((invoice, line)) = &body.billed {
            c.put("invoice_id", self.id(Row::Invoice(*invoice)));
            c.put("invoice_line_id", line);
        }
        c.put("source", "api");
        c.opt("note", body.note.as_ref());
        self.add("usages", c);
    }

    fn virtual_account(&mut self, row: &Side, body: &VirtualAccount) {
        let customer = self.id(Row::Customer(row.customer));
        let mut c = self.side(row);
        c.put("email", format!("{customer}@pay.example.com"));
        c.put("scheme", body.scheme);
        c.put("bank_name", "TEST BANK");
        c.put("account_number", &body.account);
        c.opt("routing_number", body.routing.as_ref());
        c.put("swift_code", "TESTDEFF");
        c.put("gateway", "stripe");
        c.put("gateway_account_id", "gw_sim0001");
        c.put("gateway_ref", format!("cus_{}/src_1", row.id));
        self.add("virtual_bank_accounts", c);
    }

    fn hosted_page(&mut self, row: &Side, body: &HostedPage) {
        let mut c = self.side(row);
        if matches!(body.state, "requested" | "cancelled") {
            c.0.remove("customer_id");
        } else {
            c.opt("subscription_id", body.subscription.map(|at| self.id(Row::Subscription(at))));
            c.opt("invoice_id", body.invoice.map(|at| self.id(Row::Invoice(at))));
        }
        c.opt("business_entity_id", entity_of(&row.id));
        c.put("kind", body.kind);
        c.put("status_raw", body.state);
        c.put("url", format!("https://acme-test.chargebee.com/pages/v4/{}", row.id));
        c.opt("pass_through", body.pass_thru.as_ref());
        c.time("expires_at", Some(body.expires_at));
        self.add("hosted_pages", c);
    }

    fn movement(&mut self, row: &Side, body: &Movement) {
        let mut c = self.versionless(row);
        c.put("kind", if body.amount < 0 { "decrement" } else { "increment" });
        c.money("amount", body.amount, body.currency);
        c.money("closing_balance", body.closing, body.currency);
        c.put("currency", body.currency.code());
        c.put("credit_type", body.credit_type);
        c.put("description", &body.description);
        c.opt("reference", body.reference.as_ref());
        c.opt("done_by", rare(&row.id, 3).then_some("ops@example.com"));
        c.put("date", self.date(row.created_at));
        self.add("promotional_credits", c);
    }

    fn comment(&mut self, row: &Side, body: &Comment) {
        let mut c = self.versionless(row);
        c.0.remove("customer_id");
        c.put("entity_type", body.about.resource().singular());
        c.put("entity_id", self.id(body.about));
        c.put("kind", if body.author.is_some() { "user" } else { "system" });
        c.put("notes", &body.notes);
        c.opt("added_by", body.author.as_ref());
        self.add("comments", c);
    }

    fn unbilled_charge(&mut self, row: &Side, body: &UnbilledCharge) {
        let mut c = self.versionless(row);
        c.time("updated_at", Some(row.stamp.updated_at));
        c.put("subscription_id", self.id(Row::Subscription(body.subscription)));
        c.put("description", body.name);
        let column = if self.catalog == ProductCatalog::V1 { "item_id" } else { "price_id" };
        c.put(column, &body.price_id);
        c.put("line_kind", "one_off");
        c.put("period_start", self.date(row.created_at));
        c.put("period_end", self.date(row.created_at));
        c.put("quantity", 1);
        c.put("unit_amount", body.unit);
        c.money("amount", body.amount, body.currency);
        c.money("discount_amount", 0, body.currency);
        c.put("currency", body.currency.code());
        c.put("is_void", body.voided_at.is_some());
        c.time("voided_at", body.voided_at);
        c.put("is_advance", false);
        self.add("unbilled_charges", c);
    }

    fn gift(&mut self, row: &Side, body: &Gift) {
        let mut c = self.side(row);
        for column in ["customer_id", "created_at"] {
            c.0.remove(column);
        }
        let customer = self.id(Row::Customer(row.customer));
        c.put("status_raw", body.status);
        c.put("giver_customer_id", &customer);
        c.opt("receiver_customer_id", (body.status == "claimed").then_some(&customer));
        c.put("subscription_id", self.id(Row::Subscription(body.subscription)));
        c.opt("receiver_email", filled(&body.email));
        c.opt("invoice_id", body.invoice.map(|at| self.id(Row::Invoice(at))));
        c.time("scheduled_at", Some(row.created_at));
        c.put("auto_claim", false);
        c.time("claim_expires_at", Some(body.expires_at));
        let points = body.timeline.iter().map(|(status, at)| {
            let at =
                chrono::DateTime::from_timestamp(*at, 0).map(|t| t.format("%Y-%m-%dT%H:%M:%S").to_string());
            format!("{{\"occurred_at\":\"{}\",\"status\":{}}}", at.unwrap_or_default(), json_text(status))
        });
        c.put("timeline", format!("[{}]", points.collect::<Vec<_>>().join(",")));
        self.add("gifts", c);
    }
}

//! What happens beside the billing core? Whatever changes there may leave a smaller row behind, or move one on.
//!
//! Chance comes from a generator of its own, so that the core is the same with and without these rows.
use super::{
    Action, DAY, World,
    bill::Charge,
    catalog::{Item, Period},
    event::Resource,
    model::{Customer, Entity, Invoice, Line, PriceType, Row, Stamp, Subscription, What},
    side::{
        Body, Comment, Gift, HostedPage, Means, Movement, Order, OrderLine, PaymentSource, Quote, Side,
        UnbilledCharge, Usage, VirtualAccount,
    },
    table::At,
};
use crate::sim::money::{Currency, Dec};

impl World {
    /// What a change of a core row brings along.
    pub(super) fn aside(&mut self, row: Row, what: What) {
        if !self.lively {
            return;
        }
        match (row, what) {
            (Row::Customer(at), What::Created) => self.welcome(at),
            (Row::Customer(at), What::Deleted) => self.farewell(at),
            (Row::Customer(at), What::Balance) => self.move_credit(at),
            (Row::Customer(at), What::Edited) if self.side_percent(30) => {
                self.comment(at, row, "Address checked \u{2014} \"ok\"\nby phone", Some("ops@example.com"));
            }
            (Row::Subscription(at), What::Created) => self.offer(at),
            (Row::Subscription(at), What::Renewed) => self.measure(at),
            (Row::Subscription(at), What::Cancelled) => self.drop_charges(at),
            (Row::Invoice(at), What::Created) if self.side_percent(15) => self.order(at),
            (Row::Invoice(at), What::Paid) => self.each_order(at, |order, _| order.paid = true),
            (Row::Invoice(at), What::Voided) => {
                self.each_order(at, |order, now| {
                    order.status = "cancelled";
                    order.cancelled_at = Some(now);
                });
                self.comment(self.invoices[at].customer, row, "Invoice voided", None);
            }
            (Row::Invoice(at), What::WrittenOff) => {
                self.comment(self.invoices[at].customer, row, "Written off", None);
            }
            _ => {}
        }
    }

    pub(super) fn side_percent(&mut self, share: u32) -> bool {
        self.side_rng.u32(0..100) < share
    }
    pub(super) fn plan_step(&mut self, days: std::ops::Range<i64>, at: At<Side>) {
        let due = self.now + self.side_rng.i64(days.start * DAY..days.end * DAY);
        self.plan(due, Action::Step(at));
    }
    fn add_side(&mut self, customer: At<Customer>, prefix: &str, body: Body) -> At<Side> {
        let id = format!("{prefix}_{:06}", self.sides.len() + 1);
        self.put_side(Side { id, stamp: Stamp::default(), customer, created_at: self.now, body })
    }
    /// Adds a row as it is; its stamp is set by the world's time.
    fn put_side(&mut self, row: Side) -> At<Side> {
        let (customer, resource) = (row.customer, row.body.resource());
        let at = self.sides.push(row);
        self.sides_of.entry(customer).or_default().push(at);
        self.register(Row::Side(resource, at));
        at
    }
    fn sides_of(&self, customer: At<Customer>, resource: Resource) -> Vec<At<Side>> {
        let all = self.sides_of.get(&customer).map_or(&[][..], Vec::as_slice);
        all.iter().copied().filter(|at| self.sides[*at].body.resource() == resource).collect()
    }
    pub(super) fn change(&mut self, at: At<Side>, what: What) {
        let resource = self.sides[at].body.resource();
        self.mark(Row::Side(resource, at), what);
    }
    pub(super) fn delete_side(&mut self, at: At<Side>) {
        if !self.sides[at].stamp.deleted && !self.sides[at].stamp.gone {
            self.sides[at].stamp.deleted = true;
            self.change(at, What::Deleted);
        }
    }

    /// Ways to pay, an account to pay to, the page on which the customer signed up, and credit given.
    fn welcome(&mut self, at: At<Customer>) {
        let row = &self.customers[at];
        let (currency, automatic, n) = (row.currency, row.auto_collection, at.number());
        let (id, email) = (row.id.clone(), row.email.clone());
        let last4 = format!("{:04}", 1_000 + n % 9_000);
        if automatic {
            let debit = currency == Currency::Eur && n.is_multiple_of(4);
            let means = if debit {
                Means::Bank { bank: "Sparkasse K\u{f6}ln", last4, mandate: format!("MD-{n:06}") }
            } else {
                Means::Card { last4, month: 12, year: 2_031 }
            };
            let gateway = if debit { "gocardless" } else { "stripe" };
            let body = PaymentSource { means, status: "valid", gateway, reference: format!("tok_{id}") };
            let source = Side {
                id: format!("pm_{id}"),
                stamp: Stamp::default(),
                customer: at,
                created_at: self.now,
                body: Body::PaymentSource(body),
            };
            let source = self.put_side(source);
            if self.side_percent(40) {
                self.plan_step(20..150, source);
            }
        } else if currency != Currency::Jpy {
            let euro = currency == Currency::Eur;
            let body = VirtualAccount {
                scheme: if euro { "sepa_credit" } else { "ach_credit" },
                account: format!("{:010}", 4_000_000_000_u64 + n as u64),
                routing: (!euro).then(|| "110000000".to_owned()),
            };
            let account = self.add_side(at, "vba", Body::VirtualAccount(body));
            if self.side_percent(25) {
                self.plan_step(30..120, account);
            }
        }
        if self.side_percent(20) {
            let means = Means::Wallet { email };
            let reference = format!("B-{n:06}");
            let body = PaymentSource { means, status: "valid", gateway: "paypal", reference };
            self.add_side(at, "pm", Body::PaymentSource(body));
        }
        let credit = self.customers[at].promotional_credits;
        if credit > 0 {
            self.record_credit(at, credit, credit, "Welcome \u{1f30a}", None);
        }
    }

    /// Ways to pay go with their customer, and so do quotes and charges not billed; the ledger and the comments stay.
    fn farewell(&mut self, at: At<Customer>) {
        for resource in [
            Resource::PaymentSources,
            Resource::VirtualBankAccounts,
            Resource::Quotes,
            Resource::UnbilledCharges,
        ] {
            for side in self.sides_of(at, resource) {
                self.delete_side(side);
            }
        }
    }

    /// What the ledger does not know of the customer's promotional credit yet.
    fn move_credit(&mut self, at: At<Customer>) {
        let closing = self.customers[at].promotional_credits;
        let last = self.sides_of(at, Resource::PromotionalCredits).last().copied();
        let before = last.map_or(0, |side| match &self.sides[side].body {
            Body::Movement(movement) => movement.closing,
            _ => 0,
        });
        if closing != before {
            let reference = format!("INV-{:07}", self.invoices.len() + 1);
            self.record_credit(at, closing - before, closing, "Used on an invoice", Some(reference));
        }
    }
    fn record_credit(
        &mut self,
        at: At<Customer>,
        amount: i64,
        closing: i64,
        why: &str,
        reference: Option<String>,
    ) {
        let currency = self.customers[at].currency;
        let credit_type = if amount > 0 { "loyalty_credits" } else { "general" };
        let description = why.to_owned();
        let body = Movement { amount, closing, currency, credit_type, description, reference };
        self.add_side(at, "pc", Body::Movement(body));
    }

    pub(super) fn comment(&mut self, customer: At<Customer>, about: Row, notes: &str, author: Option<&str>) {
        let body = Comment { about, notes: notes.to_owned(), author: author.map(str::to_owned) };
        self.add_side(customer, "cmt", Body::Comment(body));
    }

    /// The page it was bought on, sometimes the quote before it, sometimes somebody to give it to.
    fn offer(&mut self, at: At<Subscription>) {
        let customer = self.subscriptions[at].customer;
        if self.side_percent(35) {
            let body = HostedPage {
                kind: "checkout_new",
                state: "requested",
                subscription: None,
                invoice: None,
                expires_at: self.now + 5 * DAY,
                pass_thru: self.side_percent(40).then(|| r#"{"campaign":"tide"}"#.to_owned()),
            };
            let page = self.add_side(customer, "hp", Body::HostedPage(body));
            self.plan(self.now + 600, Action::Step(page));
        }
        if self.side_percent(20) {
            self.quote(customer, at);
        }
        if self.side_percent(6) {
            let body = Gift {
                subscription: at,
                invoice: None,
                status: "scheduled",
                email: format!("friend{}@example.com", at.number()),
                expires_at: self.now + 60 * DAY,
                timeline: vec![("scheduled", self.now)],
            };
            let gift = self.add_side(customer, "gift", Body::Gift(body));
            self.plan_step(1..10, gift);
        }
    }

    fn quote(&mut self, customer: At<Customer>, at: At<Subscription>) {
        let n = self.sides.len() + 1;
        let row = &self.subscriptions[at];
        let (currency, now) = (row.currency, self.now);
        let lines = row.items.iter().enumerate().map(|(i, item)| Line {
            id: format!("ql_{n:06}_{i}"),
            entity: Entity::Price(item.item),
            price_id: Some(item.price_id.clone()),
            name: item.item.title().to_owned(),
            description: item.item.title().to_owned(),
            from: now,
            to: now + 30 * DAY,
            quantity: item.quantity,
            unit: item.unit,
            amount: item.amount,
            discount: 0,
            item_discount: 0,
            tax: 0,
            tax_rate: n.is_multiple_of(5).then_some(Dec::new(0, 0)),
            prorated: false,
            reference: None,
        });
        let body = Quote {
            lines: lines.collect(),
            subscription: None,
            invoice: None,
            status: "open",
            operation: "create_subscription_for_customer",
            valid_till: now + 30 * DAY,
            price_type: if currency == Currency::Jpy { PriceType::Inclusive } else { PriceType::Exclusive },
            currency,
            revision: 1,
            custom: if n.is_multiple_of(2) {
                vec![("cf_sales_rep", "\"Zo\u{eb}\"".into())]
            } else {
                Vec::new()
            },
        };
        let quote = self.add_side(customer, "quo", Body::Quote(body));
        self.plan_step(1..20, quote);
    }

    /// Calls made in the last term, and now and then something to bill with the next one.
    fn measure(&mut self, at: At<Subscription>) {
        let row = &self.subscriptions[at];
        let (customer, currency, period) = (row.customer, row.currency, row.period);
        if row.items.iter().any(|i| i.item == Item::ApiCalls) {
            let quantity = Dec::new(
                self.side_rng.i64(1..9_000_000).into(),
                if currency == Currency::Jpy { 0 } else { 3 },
            );
            let price_id = Item::ApiCalls.price_id(period, currency);
            let note = self.side_percent(30).then(|| "meter \u{2116} 7".to_owned());
            let usage = self.add_side(
                customer,
                "usg",
                Body::Usage(Usage { billed: None, subscription: at, price_id, quantity, note }),
            );
            if self.side_percent(30) {
                self.plan_step(1..6, usage);
            }
        }
        if self.side_percent(25) {
            let unit = Item::Setup.unit_price(Period::Monthly, currency);
            let body = UnbilledCharge {
                subscription: at,
                currency,
                price_id: Item::Setup.price_id(Period::Monthly, currency),
                name: Item::Setup.title(),
                unit,
                amount: unit.rounded(currency.exponent()),
                voided_at: None,
            };
            self.add_side(customer, "ubc", Body::UnbilledCharge(body));
            self.mark(Row::Customer(customer), What::Balance);
        }
    }

    fn waiting(&self, at: At<Subscription>) -> Vec<At<Side>> {
        let mut all = self.sides_of(self.subscriptions[at].customer, Resource::UnbilledCharges);
        all.retain(|side| {
            let row = &self.sides[*side];
            let open =
                matches!(&row.body, Body::UnbilledCharge(c) if c.subscription == at && c.voided_at.is_none());
            open && !row.stamp.deleted && !row.stamp.gone
        });
        all
    }
    /// Charges that wait for this subscription's next invoice: they are billed now, and gone.
    pub(super) fn take_waiting(&mut self, at: At<Subscription>) -> Vec<Charge> {
        let (currency, now) = (self.subscriptions[at].currency, self.now);
        let waiting = self.waiting(at);
        for side in &waiting {
            self.sides[*side].stamp.gone = true;
            self.change(*side, What::Closed);
        }
        if !waiting.is_empty() {
            self.mark(Row::Customer(self.subscriptions[at].customer), What::Balance);
        }
        waiting.iter().map(|_| Charge::setup(currency, now)).collect()
    }
    /// A subscription that ends takes its waiting charges along: deleted, or declared void.
    fn drop_charges(&mut self, at: At<Subscription>) {
        let waiting = self.waiting(at);
        for side in &waiting {
            if self.side_percent(50) {
                self.delete_side(*side);
            } else {
                let now = self.now;
                if let Body::UnbilledCharge(charge) = &mut self.sides[*side].body {
                    charge.voided_at = Some(now);
                }
                self.change(*side, What::Voided);
            }
        }
        if !waiting.is_empty() {
            self.mark(Row::Customer(self.subscriptions[at].customer), What::Balance);
        }
    }
    /// What waits for a customer's next invoices, minor units.
    pub(in crate::sim) fn unbilled(&self, customer: At<Customer>) -> i64 {
        let open = self.sides_of(customer, Resource::UnbilledCharges).into_iter().filter_map(|side| {
            let row = &self.sides[side];
            match &row.body {
                Body::UnbilledCharge(c) if c.voided_at.is_none() && !row.stamp.deleted && !row.stamp.gone => {
                    Some(c.amount)
                }
                _ => None,
            }
        });
        open.sum()
    }

    fn order(&mut self, at: At<Invoice>) {
        let n = self.sides.len() + 1;
        let row = &self.invoices[at];
        let line =
            |(i, line): (usize, &Line)| OrderLine { id: format!("oli_{n:06}_{i}"), line: line.clone() };
        let body = Order {
            invoice: at,
            status: "new",
            paid: false,
            price_type: row.price_type,
            currency: row.currency,
            shipping_date: Some(self.now + 7 * DAY),
            shipped_at: None,
            delivered_at: None,
            cancelled_at: None,
            lines: row.lines.iter().enumerate().map(line).collect(),
        };
        let customer = row.customer;
        let order = self.add_side(customer, "ord", Body::Order(body));
        self.plan_step(1..8, order);
    }
    fn each_order(&mut self, at: At<Invoice>, change: fn(&mut Order, i64)) {
        let now = self.now;
        for side in self.sides_of(self.invoices[at].customer, Resource::Orders) {
            let row = &mut self.sides[side];
            match &mut row.body {
                Body::Order(order) if order.invoice == at && !row.stamp.deleted => change(order, now),
                _ => continue,
            }
            self.change(side, What::Edited);
        }
    }
}

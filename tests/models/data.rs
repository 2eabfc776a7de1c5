//! Small billing worlds: plain structs, generated from a seed, rendered as unified rows.
use chrono::{Datelike, Days, Months, NaiveDate};
use datafusion::common::ScalarValue;
use fastrand::Rng;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tidegate::entity::Entity;

/// 1e-8 major units.
pub(crate) type Money = i128;
/// One minor unit of a two-decimal currency.
pub(crate) const CENT: Money = 1_000_000;

pub(crate) const OWNERS: [(&str, &str); 2] = [("acme", "main"), ("beta", "shop")];

#[derive(Clone, Debug)]
pub(crate) struct Customer {
    pub(crate) owner: usize,
    pub(crate) id: String,
    pub(crate) auto: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub(crate) owner: usize,
    pub(crate) id: String,
    pub(crate) status: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) count: i64,
    pub(crate) cancel_at: Option<NaiveDate>,
    pub(crate) ended: Option<NaiveDate>,
    pub(crate) deleted: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Invoice {
    pub(crate) owner: usize,
    pub(crate) id: String,
    pub(crate) customer: String,
    pub(crate) subscription: Option<String>,
    pub(crate) currency: &'static str,
    pub(crate) status: &'static str,
    pub(crate) void: bool,
    pub(crate) draft: Option<bool>,
    pub(crate) deleted: bool,
    pub(crate) issue: NaiveDate,
    pub(crate) due: Option<NaiveDate>,
    pub(crate) terms: Option<i64>,
    pub(crate) inclusive: bool,
    pub(crate) sub_total: Money,
    pub(crate) discount: Option<Money>,
    pub(crate) tax: Money,
    pub(crate) round_off: Option<Money>,
    pub(crate) total: Money,
    pub(crate) paid: Money,
    pub(crate) credits: Money,
    pub(crate) adjusted: Money,
    pub(crate) written_off: Money,
    pub(crate) withheld: Money,
    pub(crate) balance: Money,
    pub(crate) planted: bool,
}

/// Of an invoice, or of a credit note when `note` is set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(crate) owner: usize,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) note: bool,
    pub(crate) subscription: Option<String>,
    pub(crate) price: Option<String>,
    pub(crate) kind: &'static str,
    pub(crate) start: NaiveDate,
    pub(crate) end: NaiveDate,
    pub(crate) amount: Money,
    pub(crate) discount: Option<Money>,
    pub(crate) tax: Money,
    pub(crate) net: Money,
    pub(crate) proration: Option<bool>,
    pub(crate) deleted: bool,
}

/// A tax, discount, allocation or refund row: something with an amount that belongs to an invoice.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) owner: usize,
    pub(crate) id: String,
    pub(crate) invoice: Option<String>,
    pub(crate) note: Option<String>,
    pub(crate) kind: &'static str,
    pub(crate) amount: Money,
    pub(crate) status: &'static str,
    pub(crate) reversed: bool,
    pub(crate) deleted: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) owner: usize,
    pub(crate) id: String,
    pub(crate) invoice: String,
    pub(crate) reason: &'static str,
    pub(crate) date: NaiveDate,
    pub(crate) void: bool,
}

/// What the catalog says of a price.
#[derive(Clone, Debug)]
pub(crate) struct Price {
    pub(crate) owner: usize,
    pub(crate) id: String,
    /// plan, addon or charge.
    pub(crate) kind: &'static str,
    pub(crate) metered: bool,
    /// None: charged once.
    pub(crate) interval: Option<(&'static str, i64)>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    /// Ends the names of the tenants.
    pub(crate) copy: String,
    /// Of hand-made lines from here on.
    pub(crate) price: String,
    pub(crate) as_of: NaiveDate,
    pub(crate) catalog: Vec<Price>,
    pub(crate) customers: Vec<Customer>,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) invoices: Vec<Invoice>,
    pub(crate) lines: Vec<Line>,
    pub(crate) notes: Vec<Note>,
    pub(crate) taxes: Vec<Part>,
    pub(crate) discounts: Vec<Part>,
    pub(crate) allocations: Vec<Part>,
    pub(crate) refunds: Vec<Part>,
}

pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn plus(date: NaiveDate, days: u64) -> NaiveDate {
    date.checked_add_days(Days::new(days)).unwrap()
}

/// Day `anchor` of the month `n` months after that of `from`, or that month's last day.
pub(crate) fn anchored(from: NaiveDate, anchor: u32, n: u32) -> NaiveDate {
    let first = from.with_day(1).unwrap().checked_add_months(Months::new(n)).unwrap();
    (0..4).find_map(|back| first.with_day(anchor - back)).unwrap()
}

impl World {
    /// About 40 customers over two and a half years, of two tenants.
    pub(crate) fn generate(seed: u64) -> Self {
        Self::sized(seed, 40)
    }

    pub(crate) fn sized(seed: u64, customers: usize) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut world = Self { as_of: plus(day("2025-06-01"), rng.u64(0..120)), ..Self::default() };
        for n in 0..customers {
            world.customer(&mut rng, n);
        }
        world.stock();
        // What the rules must see on every seed.
        world.settle_fully_refunded();
        world
    }

    /// The catalog knows some prices, by their first use: one tenant's addons are metered, some prices are charged
    /// once, and of others it says the interval that the subscription no longer has.
    fn stock(&mut self) {
        for (n, subscription) in self.subscriptions.iter().enumerate() {
            let interval = match n % 12 {
                1 => Some(("month", 1)),
                7 => Some(("month", 3)),
                _ => None,
            };
            let kind = if n % 17 == 3 { "charge" } else { "plan" };
            if interval.is_none() && kind == "plan" {
                continue;
            }
            let own = |l: &&Line| {
                l.owner == subscription.owner && l.subscription.as_ref() == Some(&subscription.id)
            };
            let prices = self.lines.iter().filter(own).filter_map(|l| l.price.clone());
            let ids: BTreeSet<String> = prices.filter(|p| p.starts_with(&subscription.id)).collect();
            let price = |id| Price { owner: subscription.owner, id, kind, metered: false, interval };
            self.catalog.extend(ids.into_iter().map(price));
        }
        let addon = Price {
            owner: 1,
            id: "addon".into(),
            kind: "addon",
            metered: true,
            interval: Some(("month", 1)),
        };
        self.catalog.push(addon);
    }

    fn customer(&mut self, rng: &mut Rng, n: usize) {
        let owner = n % 2;
        let id = format!("c{n}");
        self.customers.push(Customer { owner, id: id.clone(), auto: [Some("on"), Some("off"), None][n % 3] });
        let currency = ["USD", "EUR", "JPY"][rng.usize(0..3)];
        let plans =
            [("month", 1), ("month", 1), ("month", 3), ("year", 1), ("week", 1), ("week", 4), ("day", 30)];
        let (unit, count) = plans[n % plans.len()];
        // Some were on another plan before: the subscription only knows today's interval.
        let now = if n % 6 == 1 { ("year", 1) } else { (unit, count) };
        let status = ["active", "active", "non_renewing", "past_due", "cancelled", "cancelled", "paused"]
            [rng.usize(0..7)];
        let start = plus(day("2023-01-01"), rng.u64(0..300));
        // Days 29 to 31, and 1, are the interesting anchors.
        let start = match rng.u32(0..3) {
            0 => start,
            1 => anchored(start, 1, 0),
            _ => anchored(start, 29 + rng.u32(0..3), 0),
        };
        let stop = plus(start, rng.u64(60..900));
        let subscription = format!("s{n}");
        let done = matches!(status, "cancelled" | "non_renewing");
        self.subscriptions.push(Subscription {
            owner,
            id: subscription.clone(),
            status,
            unit: now.0,
            count: now.1,
            cancel_at: (status == "non_renewing").then_some(stop),
            ended: (status == "cancelled" && !n.is_multiple_of(5)).then_some(stop),
            deleted: rng.usize(0..12) == 0,
        });
        let horizon = if done { stop.min(self.as_of) } else { self.as_of };
        let last = self.terms(rng, Terms { owner, id, subscription, currency, unit, count, start, horizon });
        // Most ends fall on the last day of a term, give or take a day by the zone.
        let ended = plus(last, [0, 0, 1, 2][rng.usize(0..4)]).pred_opt().unwrap();
        let subscription = self.subscriptions.last_mut().unwrap();
        subscription.ended = subscription.ended.map(|stop| if n.is_multiple_of(4) { stop } else { ended });
    }

    /// The end of the last term.
    fn terms(&mut self, rng: &mut Rng, t: Terms) -> NaiveDate {
        let scale = if t.currency == "JPY" { 100 } else { 1 };
        let mut price = (t.subscription.clone() + "-a", Money::from(rng.u32(100..90_000)) * CENT * scale);
        let (mut from, mut anchor, mut term) = (t.start, t.start.day(), 0);
        loop {
            let end = match t.unit {
                "month" => anchored(from, anchor, t.count as u32),
                "year" => anchored(from, anchor, 12 * t.count as u32),
                "week" => plus(from, 7 * t.count as u64),
                _ => plus(from, t.count as u64),
            };
            let mut lines = vec![Line::recurring(&t, &price.0, from, end, price.1)];
            if rng.usize(0..4) == 0 {
                lines.push(Line {
                    kind: "one_off",
                    end: from,
                    ..Line::recurring(&t, "setup", from, end, 5 * CENT * 100)
                });
                lines.push(Line {
                    kind: "usage",
                    ..Line::recurring(&t, "use", from, end, 300 * CENT * scale)
                });
            }
            if rng.usize(0..5) == 0 {
                let eighth = if t.currency == "JPY" { 0 } else { 12_345 };
                lines.push(Line::recurring(&t, "addon", from, end, 77 * CENT * scale + eighth));
            }
            let id = format!("{}-{term}", t.subscription);
            let early = end > self.as_of && rng.usize(0..4) == 0;
            let issue = if early { plus(self.as_of, 1) } else { plus(from, rng.u64(0..4)) };
            self.invoice(rng, &t, id.clone(), issue, lines);
            if rng.usize(0..5) == 0 && end.signed_duration_since(from).num_days() > 3 {
                let days = end.signed_duration_since(from).num_days();
                let change = plus(from, rng.u64(1..days as u64 - 1));
                let dearer = (format!("{}-{term}b", t.subscription), price.1 * 2);
                self.change(rng, &t, &id, (change, end), &price, &dearer);
                price = dearer;
            }
            term += 1;
            from = end;
            if anchor != 1 && rng.usize(0..8) == 0 {
                from = plus(from, [2, 6, 7, 8, 45][rng.usize(0..5)]);
                anchor = from.day();
            }
            if from >= t.horizon || (t.unit == "week" && t.count == 1 && term > 30) {
                return end;
            }
        }
    }

    /// Mid-term upgrade: the rest of the old price is credited, by a negative line or a credit note.
    fn change(
        &mut self,
        rng: &mut Rng,
        t: &Terms,
        invoice: &str,
        (at, end): (NaiveDate, NaiveDate),
        old: &(String, Money),
        new: &(String, Money),
    ) {
        let minor = if t.currency == "JPY" { 100 * CENT } else { CENT };
        let part = |full: Money| full * 2 / 5 / minor * minor;
        let flag = [Some(true), Some(true), None, Some(false)][rng.usize(0..4)];
        let added = Line { proration: flag, ..Line::recurring(t, &new.0, at, end, part(new.1)) };
        let credit = Line { proration: flag, ..Line::recurring(t, &old.0, at, end, -part(old.1)) };
        if rng.bool() {
            self.invoice(rng, t, format!("{invoice}-p"), at, vec![added, credit]);
            return;
        }
        self.invoice(rng, t, format!("{invoice}-p"), at, vec![added]);
        let reason = ["subscription_change", "subscription_change", "waiver"][rng.usize(0..3)];
        let id = format!("cn-{invoice}");
        let note = Note {
            owner: t.owner,
            id: id.clone(),
            invoice: invoice.into(),
            reason,
            date: at,
            void: rng.usize(0..6) == 0,
        };
        self.notes.push(note);
        let amount = part(old.1);
        let line = Line { id: format!("{id}-l"), parent: id, note: true, amount, net: amount, ..credit };
        self.lines.push(line);
    }

    fn invoice(&mut self, rng: &mut Rng, t: &Terms, id: String, issue: NaiveDate, lines: Vec<Line>) {
        let minor = if t.currency == "JPY" { 100 * CENT } else { CENT };
        let inclusive = rng.usize(0..4) == 0;
        let tax_percent = [0, 7, 19][rng.usize(0..3)];
        let mut i = Invoice {
            owner: t.owner,
            id: id.clone(),
            customer: t.id.clone(),
            currency: t.currency,
            issue,
            inclusive,
            ..Invoice::default()
        };
        i.subscription = (rng.usize(0..5) != 0).then(|| t.subscription.clone());
        let mut discount = 0;
        for (n, mut line) in lines.into_iter().enumerate() {
            line.id = format!("{id}-l{n}");
            line.parent = id.clone();
            if i.subscription.is_some() && rng.bool() {
                line.subscription = None;
            }
            if line.amount > 0 && rng.usize(0..4) == 0 {
                line.discount = Some(line.amount / 10 / minor * minor);
            }
            let after = line.amount - line.discount.unwrap_or(0);
            line.tax = after * tax_percent / 100 / minor * minor;
            line.net = if inclusive { after - line.tax } else { after };
            i.sub_total += after;
            i.tax += line.tax;
            discount += line.discount.unwrap_or(0);
            self.lines.push(line);
        }
        i.discount = (discount > 0 || rng.bool()).then_some(discount);
        i.round_off = (rng.usize(0..6) == 0).then_some(minor * 3);
        i.total = i.sub_total + if inclusive { 0 } else { i.tax } + i.round_off.unwrap_or(0);
        i.due = (rng.usize(0..5) != 0).then(|| plus(issue, rng.u64(0..60)));
        if rng.usize(0..20) == 0 {
            i.due = self.as_of.checked_sub_days(Days::new([30, 31, 60, 61][rng.usize(0..4)]));
        }
        i.terms = rng.bool().then(|| rng.i64(0..45));
        self.parts(&i, discount);
        self.settle(rng, &mut i, minor);
        self.invoices.push(i);
    }

    fn parts(&mut self, i: &Invoice, discount: Money) {
        let part = |kind, n: usize, amount| Part::of(i, format!("{}:{kind}:{n}", i.id), kind, amount);
        if i.tax != 0 {
            self.taxes.push(part("tax", 0, i.tax / 3));
            self.taxes.push(part("tax", 1, i.tax - i.tax / 3));
            self.taxes.push(Part { deleted: true, ..part("tax", 2, CENT) });
        }
        if discount != 0 {
            self.discounts.push(part("discount", 0, discount));
        }
    }

    fn settle(&mut self, rng: &mut Rng, i: &mut Invoice, minor: Money) {
        let share = |rng: &mut Rng, of: Money| of * Money::from(rng.u32(1..9)) / 10 / minor * minor;
        let mut paid = Vec::new();
        match rng.usize(0..12) {
            _ if i.total <= 0 => {}
            0 => i.void = true,
            1 => i.draft = Some(true),
            2 => i.deleted = true,
            3 | 4 => {}
            5 => paid = vec![share(rng, i.total)],
            6 => {
                i.credits = share(rng, i.total);
                paid = vec![i.total - i.credits];
            }
            7 => {
                i.adjusted = i.total;
                i.written_off = i.total;
            }
            8 => {
                i.withheld = share(rng, i.total);
                paid = vec![i.total - i.withheld];
            }
            _ => {
                let first = share(rng, i.total);
                paid = vec![first, i.total - first];
            }
        }
        let part = |kind, n: usize, amount| Part::of(i, format!("{}:{kind}:{n}", i.id), kind, amount);
        for (n, amount) in paid.iter().enumerate() {
            self.allocations.push(part("payment", n, *amount));
        }
        if i.credits > 0 {
            self.allocations.push(part("credit_note", 0, i.credits));
        }
        if rng.usize(0..8) == 0 {
            self.allocations.push(Part { reversed: true, ..part("payment", 9, i.total) });
        }
        i.paid = paid.iter().sum();
        i.balance = if i.void { 0 } else { i.total - i.paid - i.credits - i.adjusted - i.withheld };
        let open = i.balance > 0;
        i.status = if i.void {
            "cancelled"
        } else if i.draft == Some(true) {
            "draft"
        } else if open {
            "pending"
        } else {
            "paid"
        };
        if i.paid > 0 && rng.usize(0..6) == 0 {
            self.refund(rng, i);
        }
    }

    /// Refunds hang off a credit note; some rows name the invoice too. Failed ones do not count.
    fn refund(&mut self, rng: &mut Rng, i: &Invoice) {
        let note = format!("rn-{}", i.id);
        self.notes.push(Note {
            owner: i.owner,
            id: note.clone(),
            invoice: i.id.clone(),
            reason: "waiver",
            date: i.issue,
            void: false,
        });
        let amount = if rng.bool() { i.paid } else { i.paid / 2 };
        let direct = rng.bool();
        let refund = |n, amount, status| Part {
            status,
            note: Some(note.clone()),
            invoice: direct.then(|| i.id.clone()),
            ..Part::of(i, format!("{note}:refund:{n}"), "refund", amount)
        };
        self.refunds.push(refund(0, amount, "success"));
        self.refunds.push(refund(1, i.paid, "failure"));
    }

    fn settle_fully_refunded(&mut self) {
        let Some(i) = self.invoices.iter().find(|i| i.status == "paid" && i.paid > 0 && !i.deleted).cloned()
        else {
            return;
        };
        self.refunds.retain(|r| {
            r.invoice.as_deref() != Some(&i.id) && r.note.as_deref() != Some(&format!("rn-{}", i.id))
        });
        self.refunds
            .push(Part { status: "refunded", ..Part::of(&i, format!("{}:full", i.id), "refund", i.paid) });
    }
}

/// What all invoices of one subscription share.
pub(crate) struct Terms {
    owner: usize,
    id: String,
    subscription: String,
    currency: &'static str,
    unit: &'static str,
    count: i64,
    start: NaiveDate,
    horizon: NaiveDate,
}

impl Line {
    fn recurring(t: &Terms, price: &str, start: NaiveDate, end: NaiveDate, amount: Money) -> Self {
        Self {
            owner: t.owner,
            subscription: Some(t.subscription.clone()),
            price: Some(price.to_owned()),
            kind: "recurring",
            start,
            end,
            amount,
            net: amount,
            ..Self::default()
        }
    }
}

impl Part {
    fn of(i: &Invoice, id: String, kind: &'static str, amount: Money) -> Self {
        let invoice = Some(i.id.clone());
        Self {
            owner: i.owner,
            id,
            invoice,
            note: None,
            kind,
            amount,
            status: "success",
            reversed: false,
            deleted: false,
        }
    }
}

/// Hand-made worlds: one subscription of customer c of acme, amounts in cents.
pub(crate) fn subscription(unit: &'static str, count: i64, status: &'static str) -> World {
    let mut world = World::default();
    world.customers.push(Customer { owner: 0, id: "c".into(), auto: None });
    world.subscriptions.push(Subscription {
        owner: 0,
        id: "s".into(),
        status,
        unit,
        count,
        cancel_at: None,
        ended: None,
        deleted: false,
    });
    world.price("first")
}

impl World {
    /// Lines from here on are of that price.
    pub(crate) fn price(mut self, price: &str) -> Self {
        self.price = price.to_owned();
        self
    }
    /// What the catalog says of the price of lines from here on.
    pub(crate) fn told(mut self, kind: &'static str, metered: bool, interval: (&'static str, i64)) -> Self {
        let id = self.price.clone();
        self.catalog.push(Price { owner: 0, id, kind, metered, interval: Some(interval) });
        self
    }
    pub(crate) fn ended(mut self, date: &str) -> Self {
        self.subscriptions[0].ended = Some(day(date));
        self
    }
    pub(crate) fn until(mut self, date: &str) -> Self {
        self.as_of = day(date);
        self
    }
    pub(crate) fn line(self, start: &str, end: &str, cents: i128) -> Self {
        self.push(start, end, cents, None)
    }
    pub(crate) fn prorated(self, start: &str, end: &str, cents: i128) -> Self {
        self.push(start, end, cents, Some(true))
    }
    fn push(mut self, start: &str, end: &str, cents: i128, proration: Option<bool>) -> Self {
        let n = self.lines.len();
        let id = format!("i{n}");
        self.invoices.push(Invoice {
            id: id.clone(),
            customer: "c".into(),
            currency: "USD",
            status: "paid",
            issue: day(start),
            ..Invoice::default()
        });
        self.lines.push(Line {
            id: format!("l{n}"),
            parent: id,
            subscription: Some("s".into()),
            price: Some(self.price.clone()),
            kind: "recurring",
            start: day(start),
            end: day(end),
            amount: cents * CENT,
            net: cents * CENT,
            proration,
            ..Line::default()
        });
        self
    }
}

/// One thing wrong in one invoice.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    LineOffByACent,
    LineMissing,
    AllocationMissing,
    AllocationTwice,
    TaxDoubled,
    TaxRowMissing,
    DiscountRowOff,
    NetOffByTheSmallestUnit,
    BalanceOff,
    TotalOff,
    RefundedMoreThanPaid,
    VoidOwes,
    VoidKeepsPayment,
}

impl Fault {
    /// With the rules that must report it.
    pub(crate) const ALL: [(Self, &[&str]); 13] = [
        (Self::LineOffByACent, &["D2"]),
        (Self::LineMissing, &["D2", "D4_net", "D4_tax"]),
        (Self::AllocationMissing, &["D6"]),
        (Self::AllocationTwice, &["D6"]),
        (Self::TaxDoubled, &["D1", "D3_tax", "D4_tax"]),
        (Self::TaxRowMissing, &["D3_tax"]),
        (Self::DiscountRowOff, &["D3_discount"]),
        (Self::NetOffByTheSmallestUnit, &["D4_net"]),
        (Self::BalanceOff, &["D5"]),
        (Self::TotalOff, &["D1", "D5"]),
        (Self::RefundedMoreThanPaid, &["D7"]),
        (Self::VoidOwes, &["D8_balance"]),
        (Self::VoidKeepsPayment, &["D8_allocations"]),
    ];
}

impl World {
    /// Plants one fault in an invoice that has none yet; its tenant and id.
    pub(crate) fn plant(&mut self, fault: Fault) -> (String, String) {
        let void = matches!(fault, Fault::VoidOwes | Fault::VoidKeepsPayment);
        let paid = |w: &Self, i: &Invoice| {
            w.allocations.iter().filter(|a| a.is(i) && a.kind == "payment" && !a.reversed).count()
        };
        let at = (0..self.invoices.len())
            .find(|n| {
                let i = &self.invoices[*n];
                let discounts =
                    !matches!(fault, Fault::DiscountRowOff) || self.discounts.iter().any(|d| d.is(i));
                let reversed = self.allocations.iter().any(|a| a.is(i) && a.reversed);
                let fits = i.void == void && i.draft.is_none() && !i.deleted && !i.planted && !i.inclusive;
                let first = self.lines.iter().find(|l| l.parent == i.id && !l.note);
                let plain = first.is_some_and(|l| l.discount.is_none() && l.tax > 0);
                fits && (void || (plain && paid(self, i) == 2 && discounts && !reversed))
            })
            .unwrap_or_else(|| panic!("no invoice fits {fault:?}"));
        let i = self.invoices[at].clone();
        let line = self.lines.iter().position(|l| l.parent == i.id && !l.note).unwrap();
        let allocation = self.allocations.iter().position(|a| a.is(&i));
        match fault {
            Fault::LineOffByACent => self.lines[line].amount += CENT,
            Fault::LineMissing => self.lines[line].deleted = true,
            Fault::AllocationMissing => drop(self.allocations.remove(allocation.unwrap())),
            Fault::AllocationTwice => {
                let again = self.allocations[allocation.unwrap()].clone();
                self.allocations.push(Part { id: again.id.clone() + "-again", ..again });
            }
            Fault::TaxDoubled => self.invoices[at].tax *= 2,
            Fault::TaxRowMissing => self.taxes.retain(|t| !t.is(&i)),
            Fault::DiscountRowOff => {
                let row = self.discounts.iter().position(|d| d.is(&i)).unwrap();
                self.discounts[row].amount -= 1;
            }
            Fault::NetOffByTheSmallestUnit => self.lines[line].net += 1,
            Fault::BalanceOff => self.invoices[at].balance += CENT,
            Fault::TotalOff => self.invoices[at].total += CENT,
            Fault::RefundedMoreThanPaid => {
                self.refunds.push(Part::of(&i, format!("{}:over", i.id), "refund", i.paid + CENT));
            }
            Fault::VoidOwes => self.invoices[at].balance = CENT,
            Fault::VoidKeepsPayment => {
                self.allocations.push(Part::of(&i, format!("{}:kept", i.id), "payment", CENT));
            }
        }
        self.invoices[at].planted = true;
        (format!("{}{}", OWNERS[i.owner].0, self.copy), i.id)
    }
}

impl Part {
    fn is(&self, i: &Invoice) -> bool {
        self.owner == i.owner && self.invoice.as_deref() == Some(&i.id) && !self.deleted
    }
}

/// A unified row: the columns that are not NULL.
pub(crate) type Row = BTreeMap<&'static str, ScalarValue>;

fn text(v: &str) -> ScalarValue {
    ScalarValue::Utf8(Some(v.to_owned()))
}
fn money(v: Money) -> ScalarValue {
    ScalarValue::Decimal128(Some(v), 28, 8)
}
fn date(v: NaiveDate) -> ScalarValue {
    ScalarValue::Date32(Some(v.signed_duration_since(NaiveDate::default()).num_days() as i32))
}
fn noon(v: NaiveDate) -> ScalarValue {
    let micros = v.and_hms_opt(12, 0, 0).unwrap().and_utc().timestamp_micros();
    ScalarValue::TimestampMicrosecond(Some(micros), None)
}
fn flag(v: bool) -> ScalarValue {
    ScalarValue::Boolean(Some(v))
}

impl World {
    /// Rows of every entity of `entities`.
    pub(crate) fn rows(&self) -> BTreeMap<&'static str, Vec<Row>> {
        let mut rows: BTreeMap<&'static str, Vec<Row>> = BTreeMap::new();
        for p in &self.catalog {
            let mut r = self.row(p.owner, &p.id, false);
            r.extend([("item_id", text(&format!("{}-item", p.id))), ("kind", text(p.kind))]);
            r.extend(p.interval.into_iter().flat_map(|(unit, count)| {
                [("interval_unit", text(unit)), ("interval_count", ScalarValue::Int64(Some(count)))]
            }));
            rows.entry("prices").or_default().push(r);
            let mut r = self.row(p.owner, &format!("{}-item", p.id), false);
            r.extend([("kind_raw", text(p.kind)), ("metered", flag(p.metered))]);
            rows.entry("items").or_default().push(r);
        }
        for c in &self.customers {
            let mut r = self.row(c.owner, &c.id, false);
            r.extend(c.auto.map(|a| ("auto_collection", text(a))));
            rows.entry("customers").or_default().push(r);
        }
        for s in &self.subscriptions {
            let mut r = self.row(s.owner, &s.id, s.deleted);
            r.extend([
                ("status", text(s.status)),
                ("interval_unit", text(s.unit)),
                ("interval_count", ScalarValue::Int64(Some(s.count))),
            ]);
            r.extend(s.cancel_at.map(|d| ("cancel_at", noon(d))));
            r.extend(s.ended.map(|d| ("ended_at", noon(d))));
            rows.entry("subscriptions").or_default().push(r);
        }
        rows.insert("invoices", self.invoices.iter().map(|i| self.invoice_row(i)).collect());
        for l in &self.lines {
            let (entity, parent) = if l.note {
                ("credit_note_line_items", "credit_note_id")
            } else {
                ("invoice_line_items", "invoice_id")
            };
            let mut r = self.line_row(l);
            r.insert(parent, text(&l.parent));
            rows.entry(entity).or_default().push(r);
        }
        for n in &self.notes {
            let mut r = self.row(n.owner, &n.id, false);
            r.extend([("invoice_id", text(&n.invoice)), ("reason", text(n.reason)), ("date", date(n.date))]);
            r.extend(n.void.then(|| ("voided_at", noon(n.date))));
            rows.entry("credit_notes").or_default().push(r);
        }
        let parts = [
            ("invoice_taxes", &self.taxes),
            ("invoice_discounts", &self.discounts),
            ("payment_allocations", &self.allocations),
            ("refunds", &self.refunds),
        ];
        for (entity, parts) in parts {
            rows.insert(entity, parts.iter().map(|p| self.part_row(entity, p)).collect());
        }
        rows
    }

    fn row(&self, owner: usize, id: &str, deleted: bool) -> Row {
        let (tenant, connection) = OWNERS[owner];
        let mut row = Row::from([
            ("tenant_id", text(&format!("{tenant}{}", self.copy))),
            ("connection_id", text(connection)),
            ("provider", text("chargebee")),
            ("id", text(id)),
            ("version", ScalarValue::Int64(Some(1))),
            ("observed_at", noon(self.as_of)),
            ("row_hash", ScalarValue::Int64(Some(1))),
        ]);
        row.extend(deleted.then(|| ("deleted_at", noon(self.as_of))));
        row
    }

    fn invoice_row(&self, i: &Invoice) -> Row {
        let mut r = self.row(i.owner, &i.id, i.deleted);
        r.extend([
            ("customer_id", text(&i.customer)),
            ("number", text(&i.id)),
            ("currency", text(i.currency)),
            ("status", text(i.status)),
            ("is_void", flag(i.void)),
            ("issue_date", date(i.issue)),
            ("price_type", text(if i.inclusive { "tax_inclusive" } else { "tax_exclusive" })),
            ("sub_total", money(i.sub_total)),
            ("total_tax_amount", money(i.tax)),
            ("total", money(i.total)),
            ("amount_paid", money(i.paid)),
            ("credits_applied", money(i.credits)),
            ("adjusted_amount", money(i.adjusted)),
            ("written_off_amount", money(i.written_off)),
            ("tax_withheld", money(i.withheld)),
            ("balance", money(i.balance)),
        ]);
        r.extend(i.subscription.as_deref().map(|s| ("subscription_id", text(s))));
        r.extend(i.draft.map(|d| ("is_draft", flag(d))));
        r.extend(i.due.map(|d| ("due_date", date(d))));
        r.extend(i.terms.map(|t| ("net_terms_days", ScalarValue::Int64(Some(t)))));
        r.extend(i.discount.map(|d| ("total_discount", money(d))));
        r.extend(i.round_off.map(|d| ("round_off", money(d))));
        r
    }

    fn line_row(&self, l: &Line) -> Row {
        let mut r = self.row(l.owner, &l.id, l.deleted);
        r.extend([
            ("line_kind", text(l.kind)),
            ("period_start", date(l.start)),
            ("period_end", date(l.end)),
            ("amount", money(l.amount)),
            ("tax_amount", money(l.tax)),
            ("net_amount", money(l.net)),
        ]);
        r.extend(l.subscription.as_deref().map(|s| ("subscription_id", text(s))));
        r.extend(l.price.as_deref().map(|p| ("price_id", text(p))));
        r.extend(l.discount.map(|d| ("discount_amount", money(d))));
        r.extend(l.proration.map(|p| ("is_proration", flag(p))));
        r
    }

    fn part_row(&self, entity: &str, p: &Part) -> Row {
        let mut r = self.row(p.owner, &p.id, p.deleted);
        r.insert("amount", money(p.amount));
        r.extend(p.invoice.as_deref().map(|i| ("invoice_id", text(i))));
        r.extend(p.note.as_deref().map(|n| ("credit_note_id", text(n))));
        match entity {
            "refunds" => drop(r.insert("status", text(p.status))),
            _ => drop(r.insert("kind", text(p.kind))),
        }
        r.extend(p.reversed.then(|| ("reversed_at", noon(self.as_of))));
        r
    }
}

/// The unified entities.
pub(crate) fn entities() -> Vec<Arc<Entity>> {
    tidegate::manifest::catalog(None).unwrap().entities.into_values().collect()
}

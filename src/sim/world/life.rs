//! How do customers and subscriptions live? Sign-up, trial, renewal, upgrade, pause, end.
use super::{
    Action, DAY, World,
    bill::Charge,
    catalog::{
        COMPANIES, COUNTRIES, DOCUMENT_COUPON, FIRST_NAMES, ITEM_COUPON, Item, ItemKind, LAST_NAMES, Period,
        STREETS,
    },
    model::{
        Contract, Customer, Row, Stamp, Subscription, SubscriptionCoupon, SubscriptionDiscount,
        SubscriptionItem, SubscriptionStatus, What,
    },
    table::At,
};
use crate::sim::money::{Currency, Dec, divide};
use chrono::{DateTime, Months};

/// `months` after `at`, at the same time of day; the last day of a shorter month.
pub(super) fn add_months(at: i64, months: u32) -> i64 {
    DateTime::from_timestamp(at, 0)
        .and_then(|t| t.checked_add_months(Months::new(months)))
        .map_or(at + i64::from(months) * 30 * DAY, |t| t.timestamp())
}

impl World {
    pub(super) fn sign_up(&mut self) {
        let customer = self.new_customer();
        let at = self.put_customer(customer);
        if self.percent(10) {
            self.authorize(at);
        }
        if self.percent(30) {
            self.plan_in(1..120, Action::EditCustomer(at));
        }
        if self.percent(2) {
            self.plan_in(20..200, Action::DeleteCustomer(at));
        }
        if self.percent(95) {
            self.subscribe(at);
        }
    }

    fn new_customer(&mut self) -> Customer {
        let n = self.customers.len();
        let [home, ..] = &COUNTRIES;
        let country = self.pick(&COUNTRIES).unwrap_or(home);
        let first_name = self.pick(FIRST_NAMES).copied().unwrap_or_default().to_owned();
        let last_name = self.pick(LAST_NAMES).copied().unwrap_or_default().to_owned();
        let company = self.percent(60).then(|| self.pick(COMPANIES).map(|c| format!("{c} {n}"))).flatten();
        let auto_collection = self.percent(85);
        let phone = self.percent(70).then(|| format!("555{:07}", self.rng.u32(0..9_999_999)));
        let vat_number = (company.is_some() && self.percent(50)).then(|| format!("VAT{n:07}"));
        let parent = (n > 10 && self.percent(4)).then(|| self.customers.at(n / 2)).flatten();
        let contacts = if self.percent(15) { vec![format!("books{n}@example.com")] } else { Vec::new() };
        let meta = if self.percent(25) {
            vec![
                ("crm_id", format!("\"{n:06}\"")),
                ("score", format!("{}.50", n % 100)),
                ("vip", "true".into()),
            ]
        } else {
            Vec::new()
        };
        let mut custom = Vec::new();
        if self.percent(40) {
            custom.push((
                "cf_segment",
                if n.is_multiple_of(2) { "\"smb\"" } else { "\"enterprise\"" }.to_owned(),
            ));
            custom.push(("cf_onboarded", (!n.is_multiple_of(3)).to_string()));
        }
        let promotional_credits = if self.percent(15) { self.rng.i64(300..3_000) } else { 0 };
        Customer {
            id: format!("cus_{:06}", n + 1),
            stamp: Stamp::default(),
            created_at: self.now,
            first_name,
            last_name,
            company,
            email: format!("user{n}+billing@example.com"),
            phone,
            country,
            city: self.pick(&country.cities).copied().unwrap_or_default().to_owned(),
            line1: format!("{} {}", self.pick(STREETS).copied().unwrap_or_default(), 1 + n % 400),
            postcode: format!("{:05}", self.rng.u32(0..99_999)),
            vat_number,
            exempt: self.percent(20).then(|| n.is_multiple_of(4)),
            auto_collection,
            net_terms: match (auto_collection, n % 2) {
                (true, _) => 0,
                (false, 0) => 14,
                (false, _) => 30,
            },
            card_status: if auto_collection { "valid" } else { "no_card" },
            currency: country.currency,
            parent,
            contacts,
            meta,
            custom,
            promotional_credits,
            refundable_credits: 0,
            excess_payments: 0,
            subscriptions: Vec::new(),
            invoices: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn new_items(&mut self, period: Period, currency: Currency) -> Vec<SubscriptionItem> {
        let plan = if self.percent(65) { Item::Basic } else { Item::Pro };
        let mut items = vec![priced(plan, Dec::new(1, 0), period, currency)];
        if self.percent(45) {
            let seats = self.rng.i64(1..25);
            items.push(priced(Item::Seats, Dec::new(seats.into(), 0), period, currency));
        }
        if self.percent(25) {
            let quantity = match currency {
                Currency::Jpy => Dec::new(self.rng.i64(1..60).into(), 0),
                Currency::Usd | Currency::Eur => Dec::new(self.rng.i64(1_000_000..90_000_000).into(), 2),
            };
            items.push(priced(Item::ApiCalls, quantity, period, currency));
        }
        items
    }

    pub(super) fn subscribe(&mut self, customer: At<Customer>) {
        let n = self.subscriptions.len();
        let currency = self.customers[customer].currency;
        let period = match self.rng.u32(0..100) {
            0..55 => Period::Monthly,
            55..70 => Period::Quarterly,
            _ => Period::Yearly,
        };
        let items = self.new_items(period, currency);
        let id = format!("sub_{:06}", n + 1);
        let coupons = self.new_coupons();
        let discounts = self.new_discounts(&id, &items);
        let mrr = monthly(&items, period);
        let subscription = Subscription {
            id,
            stamp: Stamp::default(),
            customer,
            currency,
            status: SubscriptionStatus::Future,
            period,
            items,
            coupons,
            discounts,
            created_at: self.now,
            start_date: None,
            started_at: None,
            activated_at: None,
            trial: None,
            anchor: self.now,
            cycles: 0,
            life: 0,
            term: None,
            next_billing_at: None,
            pause_at: None,
            resume_at: None,
            cancel_scheduled_at: None,
            cancelled_at: None,
            cancel_reason: None,
            cancel_reason_code: None,
            remaining_cycles: (n % 9 == 4).then_some(12),
            contract: None,
            mrr,
            total_dues: 0,
            due_count: 0,
            due_since: None,
            invoices: Vec::new(),
        };
        let at = self.put_subscription(subscription);
        match self.rng.u32(0..100) {
            0..6 => {
                let start = self.now + self.rng.i64(10..40) * DAY;
                let row = &mut self.subscriptions[at];
                row.start_date = Some(start);
                row.next_billing_at = Some(start);
                self.plan(start, Action::Start(at));
            }
            6..22 => {
                let end = self.now + 14 * DAY;
                let now = self.now;
                let row = &mut self.subscriptions[at];
                row.status = SubscriptionStatus::InTrial;
                row.started_at = Some(now);
                row.trial = Some((now, end));
                row.next_billing_at = Some(end);
                self.plan(end, Action::TrialEnd(at));
            }
            _ => self.activate(at),
        }
    }

    fn new_coupons(&mut self) -> Vec<SubscriptionCoupon> {
        let mut coupons = Vec::new();
        if self.percent(18) {
            coupons.push(SubscriptionCoupon { coupon: DOCUMENT_COUPON, apply_till: None, applied: 0 });
        }
        if self.percent(15) {
            let apply_till = Some(add_months(self.now, 6));
            coupons.push(SubscriptionCoupon { coupon: ITEM_COUPON, apply_till, applied: 0 });
        }
        coupons
    }

    fn new_discounts(&mut self, id: &str, items: &[SubscriptionItem]) -> Vec<SubscriptionDiscount> {
        if !self.percent(8) {
            return Vec::new();
        }
        let percent = self.percent(50);
        let limited = self.percent(50);
        vec![SubscriptionDiscount {
            id: format!("dis_{id}"),
            percentage: percent.then_some(Dec::new(75, 1)),
            amount: (!percent).then_some(500),
            duration: if limited { "limited_period" } else { "forever" },
            apply_till: limited.then(|| add_months(self.now, 3)),
            price_id: items.get(1).map(|i| i.price_id.clone()),
            in_mrr: percent,
            created_at: self.now,
        }]
    }

    fn bills(&self, at: At<Subscription>) -> bool {
        let row = &self.subscriptions[at];
        !row.stamp.deleted
            && matches!(row.status, SubscriptionStatus::Active | SubscriptionStatus::NonRenewing)
    }

    pub(super) fn start(&mut self, at: At<Subscription>) {
        let row = &self.subscriptions[at];
        if !row.stamp.deleted && row.status == SubscriptionStatus::Future {
            self.activate(at);
        }
    }

    pub(super) fn end_trial(&mut self, at: At<Subscription>) {
        let row = &self.subscriptions[at];
        if row.stamp.deleted || row.status != SubscriptionStatus::InTrial {
            return;
        }
        if self.percent(25) {
            self.cancel(at, None);
        } else {
            self.activate(at);
        }
    }

    fn activate(&mut self, at: At<Subscription>) {
        let (now, contract) = (self.now, self.percent(12));
        let row = &mut self.subscriptions[at];
        row.status = SubscriptionStatus::Active;
        row.started_at = row.started_at.or(Some(now));
        row.activated_at = Some(now);
        row.anchor = now;
        row.cycles = 0;
        if contract {
            let value = row.mrr * 12;
            row.contract = Some(Contract { start: now, end: add_months(now, 12), value });
        }
        self.mark(Row::Subscription(at), What::Started);
        self.bill_term(at);
        self.plan_life(at, [15, 10, 5, 5]);
    }

    /// Percent chances of: upgrade, scheduled cancellation, immediate cancellation, pause.
    fn plan_life(&mut self, at: At<Subscription>, [upgrade, schedule, cancel, pause]: [u32; 4]) {
        let dice = self.rng.u32(0..100);
        if dice < upgrade {
            self.plan_in(3..25, Action::Upgrade(at));
        } else if dice < upgrade + schedule {
            self.plan_in(5..60, Action::ScheduleCancel(at));
        } else if dice < upgrade + schedule + cancel {
            self.plan_in(5..90, Action::Cancel(at));
        } else if dice < upgrade + schedule + cancel + pause {
            self.plan_in(5..90, Action::Pause(at));
        }
    }

    /// Opens the term that begins now and bills it.
    fn bill_term(&mut self, at: At<Subscription>) {
        let row = &mut self.subscriptions[at];
        let months = row.period.months();
        let from = add_months(row.anchor, months * row.cycles);
        let to = add_months(row.anchor, months * (row.cycles + 1));
        let first = row.invoices.is_empty();
        row.term = Some((from, to));
        row.next_billing_at = Some(to);
        row.cycles += 1;
        row.remaining_cycles = row.remaining_cycles.map(|n| (n - 1).max(0));
        let (life, currency) = (row.life, row.currency);
        let mut charges: Vec<Charge> = row.items.iter().map(|i| Charge::item(i, from, to)).collect();
        if first && self.percent(30) {
            charges.push(Charge::setup(currency, from));
        }
        self.mark(Row::Subscription(at), What::Renewed);
        self.plan(to, Action::Renew(at, life));
        self.bill(at, charges);
    }

    pub(super) fn renew(&mut self, at: At<Subscription>, life: u32) {
        if !self.bills(at) || self.subscriptions[at].life != life {
            return;
        }
        if self.subscriptions[at].status == SubscriptionStatus::NonRenewing {
            self.cancel(at, Some("too_expensive"));
            return;
        }
        self.bill_term(at);
        self.plan_life(at, [3, 3, 2, 1]);
    }

    pub(super) fn schedule_cancel(&mut self, at: At<Subscription>) {
        let now = self.now;
        let row = &mut self.subscriptions[at];
        if row.stamp.deleted || row.status != SubscriptionStatus::Active {
            return;
        }
        row.status = SubscriptionStatus::NonRenewing;
        row.cancel_scheduled_at = Some(now);
        row.next_billing_at = None;
        self.mark(Row::Subscription(at), What::CancelScheduled);
    }

    /// Ends it now. `reason` is the merchant's.
    pub(super) fn cancel(&mut self, at: At<Subscription>, reason: Option<&'static str>) {
        let now = self.now;
        let row = &mut self.subscriptions[at];
        if row.stamp.deleted || row.status == SubscriptionStatus::Cancelled {
            return;
        }
        row.status = SubscriptionStatus::Cancelled;
        row.cancelled_at = Some(now);
        row.cancel_reason_code = reason;
        row.next_billing_at = None;
        row.resume_at = None;
        row.mrr = 0;
        row.life += 1;
        self.mark(Row::Subscription(at), What::Cancelled);
    }

    /// Ends it because nobody paid.
    pub(super) fn cancel_unpaid(&mut self, at: At<Subscription>) {
        if self.bills(at) {
            self.subscriptions[at].cancel_reason = Some("not_paid");
            self.cancel(at, None);
        }
    }

    pub(super) fn pause(&mut self, at: At<Subscription>) {
        let now = self.now;
        let row = &mut self.subscriptions[at];
        if row.stamp.deleted || row.status != SubscriptionStatus::Active {
            return;
        }
        let resume = now + 30 * DAY;
        row.status = SubscriptionStatus::Paused;
        row.pause_at = Some(now);
        row.resume_at = Some(resume);
        row.next_billing_at = None;
        row.life += 1;
        let life = row.life;
        self.mark(Row::Subscription(at), What::Paused);
        self.plan(resume, Action::Resume(at, life));
    }

    pub(super) fn resume(&mut self, at: At<Subscription>, life: u32) {
        let now = self.now;
        let row = &mut self.subscriptions[at];
        if row.stamp.deleted || row.status != SubscriptionStatus::Paused || row.life != life {
            return;
        }
        row.status = SubscriptionStatus::Active;
        row.pause_at = None;
        row.resume_at = None;
        row.anchor = now;
        row.cycles = 0;
        self.mark(Row::Subscription(at), What::Resumed);
        self.bill_term(at);
    }

    /// From Basic to Pro for the rest of the term: the old plan's rest is credited, the new one's is billed.
    pub(super) fn upgrade(&mut self, at: At<Subscription>) {
        let now = self.now;
        let row = &self.subscriptions[at];
        let basic = row.items.iter().position(|i| i.item == Item::Basic);
        let (Some((from, to)), Some(position), SubscriptionStatus::Active) = (row.term, basic, row.status)
        else {
            return;
        };
        if row.stamp.deleted || now <= from || now >= to {
            return;
        }
        let new = priced(Item::Pro, Dec::new(1, 0), row.period, row.currency);
        let charge = Charge::prorated(&new, now, (from, to));
        self.credit_rest_of_term(at, Item::Basic, now, (from, to));
        let row = &mut self.subscriptions[at];
        if let Some(item) = row.items.get_mut(position) {
            *item = new;
        }
        row.mrr = monthly(&row.items, row.period);
        self.mark(Row::Subscription(at), What::Upgraded);
        self.bill(at, vec![charge]);
    }
}

fn priced(item: Item, quantity: Dec, period: Period, currency: Currency) -> SubscriptionItem {
    let unit = item.unit_price(period, currency);
    SubscriptionItem {
        item,
        price_id: item.price_id(period, currency),
        quantity,
        unit,
        amount: unit.times(quantity).rounded(currency.exponent()),
    }
}

fn monthly(items: &[SubscriptionItem], period: Period) -> i64 {
    let amounts = items.iter().filter(|i| i.item.kind() != ItemKind::Charge).map(|i| i.amount);
    divide(i128::from(amounts.sum::<i64>()), i128::from(period.months()))
}

//! Who comes? New customers and what they subscribe to.
use super::{
    Action, DAY, World,
    catalog::{
        COMPANIES, COUNTRIES, DOCUMENT_COUPON, FIRST_NAMES, ITEM_COUPON, Item, LAST_NAMES, Period, STREETS,
    },
    life::{add_months, monthly, priced},
    model::{
        Customer, Stamp, Subscription, SubscriptionCoupon, SubscriptionDiscount, SubscriptionItem,
        SubscriptionStatus,
    },
    table::At,
};
use crate::sim::money::{Currency, Dec};

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
            custom.push(("cf_seats", if n.is_multiple_of(5) { "\"many\"".into() } else { n.to_string() }));
            if n.is_multiple_of(4) {
                custom.push(("cs_newsletter", "\"opted_in\"".into()));
            }
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
}

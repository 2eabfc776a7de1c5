//! How do subscriptions live? Trial, renewal, upgrade, pause, end.
use super::{
    Action, DAY, World,
    bill::Charge,
    catalog::{Item, ItemKind, Period},
    model::{Contract, Row, Subscription, SubscriptionItem, SubscriptionStatus, What},
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

    pub(super) fn activate(&mut self, at: At<Subscription>) {
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
        charges.extend(self.take_waiting(at));
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

pub(super) fn priced(item: Item, quantity: Dec, period: Period, currency: Currency) -> SubscriptionItem {
    let unit = item.unit_price(period, currency);
    SubscriptionItem {
        item,
        price_id: item.price_id(period, currency),
        quantity,
        unit,
        amount: unit.times(quantity).rounded(currency.exponent()),
    }
}

pub(super) fn monthly(items: &[SubscriptionItem], period: Period) -> i64 {
    let amounts = items.iter().filter(|i| i.item.kind() != ItemKind::Charge).map(|i| i.amount);
    divide(i128::from(amounts.sum::<i64>()), i128::from(period.months()))
}

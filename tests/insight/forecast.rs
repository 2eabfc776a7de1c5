//! The forecast's definition in plain Rust: pieces of invoices by age, terms that were renewed, and what follows.
use super::{
    company::ZONE,
    ledger::{Kind, Money, UNIT, counts, decimal, events, local, money, open_on, utc},
};
use chrono::{Datelike as _, Days, NaiveDate};
use std::collections::{BTreeMap, BTreeSet};
use tidegate::sim::world::{
    World,
    catalog::ItemKind,
    model::{
        DiscountKind, Entity, Invoice, InvoiceStatus, Line, PriceType, Subscription, SubscriptionStatus,
    },
};

pub(crate) const CURVE_COLUMNS: &str =
    "currency, collection_method, week, invoices, at_risk, collected, share";
pub(crate) const SCHEDULE_COLUMNS: &str = "subscription_id, currency, collection_method, cycle, bill_date, \
    net_terms_days, amount, probability, expected";
pub(crate) const CASH_COLUMNS: &str =
    "currency, component, collection_method, week_no, week_start, expected, as_of";

const WEEKS: i64 = 34;

type Segment = (&'static str, &'static str);

/// `n / d` at 8 digits, half away from zero.
fn ratio(n: Money, d: Money) -> Money {
    (2 * n * UNIT + d) / (2 * d)
}

fn product(a: Money, b: Money) -> Money {
    (2 * a * b + UNIT) / (2 * UNIT)
}

fn days(from: NaiveDate, to: NaiveDate) -> i64 {
    to.signed_duration_since(from).num_days()
}

fn week(days: i64) -> i64 {
    (days.max(-56) + 56) / 7
}

fn plus(day: NaiveDate, n: i64) -> NaiveDate {
    day.checked_add_days(Days::new(n as u64)).unwrap()
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

pub(crate) struct Forecast<'a> {
    world: &'a World,
    today: NaiveDate,
    /// By segment: invoices, and per week (at risk twice, collected).
    segments: BTreeMap<Segment, (i128, Vec<(Money, Money)>)>,
}

impl<'a> Forecast<'a> {
    pub(crate) fn of(world: &'a World) -> Self {
        let today = utc(world.now().secs());
        let mut forecast = Self { world, today, segments: BTreeMap::new() };
        for row in world.invoices().rows().filter(|r| counts(r) && local(r.date, ZONE) <= today) {
            forecast.learn(row);
        }
        forecast
    }

    fn method(&self, row: &Invoice) -> &'static str {
        if self.world.customers()[row.customer].auto_collection { "automatic" } else { "manual" }
    }

    fn learn(&mut self, row: &Invoice) {
        let due = local(row.due_date.unwrap(), ZONE);
        let entry = week(days(due, local(row.date, ZONE)));
        let key = (row.currency.code(), self.method(row));
        let happened = events(self.world, row, ZONE);
        let segment = self.segments.entry(key).or_insert_with(|| (0, vec![(0, 0); WEEKS as usize]));
        segment.0 += 1;
        let open: Money = happened.iter().map(|(_, _, amount)| amount).sum();
        let gone = happened.into_iter().filter(|(kind, ..)| *kind != Kind::Issue);
        let pieces = gone.map(|(kind, at, amount)| (kind, at, -amount));
        for (kind, at, amount) in pieces.chain([(Kind::Other, self.today, open)]).filter(|p| p.2 > 0) {
            let exit = if kind == Kind::WriteOff { i64::MAX } else { week(days(due, at)).max(entry) };
            for w in entry..=exit.min(WEEKS - 1) {
                let (risk, collected) = &mut segment.1[w as usize];
                let paid = kind == Kind::Payment;
                *risk += if w == exit && !paid { amount } else { 2 * amount };
                *collected += if w == exit && paid { amount } else { 0 };
            }
        }
    }

    /// Expected part in each week of age.
    fn shares(&self, segment: Segment) -> Vec<Money> {
        let (n, own) = &self.segments[&segment];
        let share = |w: usize| {
            let all = self.segments.iter().filter(|(key, _)| key.0 == segment.0).map(|(_, s)| s.1[w]);
            let (risk, paid) = all.fold((0, 0), |sum, s| (sum.0 + s.0, sum.1 + s.1));
            let every = if risk > 0 { ratio(2 * paid, risk) } else { 0 };
            match own[w] {
                (0, _) => every,
                (risk, paid) => ratio(n * ratio(2 * paid, risk) + 50 * every, (n + 50) * UNIT),
            }
        };
        (0..WEEKS as usize).map(share).collect()
    }

    pub(crate) fn curve(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for (segment, (n, weeks)) in &self.segments {
            for (w, ((risk, collected), share)) in weeks.iter().zip(self.shares(*segment)).enumerate() {
                let (risk, collected) = (decimal((risk + 1) / 2), decimal(*collected));
                let (currency, method) = segment;
                let w = w as i64 - 8;
                rows.push(format!("{currency}|{method}|{w}|{n}|{risk}|{collected}|{}", decimal(share)));
            }
        }
        sorted(rows)
    }

    /// Part of an amount that is paid in each of the next 13 weeks.
    fn chances(&self, segment: Segment, start: i64) -> Vec<Money> {
        let Some(_) = self.segments.get(&segment) else { return Vec::new() };
        let shares = self.shares(segment);
        let (mut open, mut chances) = (UNIT, Vec::new());
        for share in shares.iter().skip(start as usize).take(13) {
            chances.push(product(open, *share));
            open = product(open, UNIT - share);
        }
        chances
    }

    /// (renewed, due) terms per interval.
    fn renewals(&self) -> BTreeMap<(i64, &'static str), (i128, i128)> {
        let mut found: BTreeMap<_, (i128, i128)> = BTreeMap::new();
        for (at, subscription) in self.world.subscriptions().iter() {
            let mut terms: BTreeMap<NaiveDate, NaiveDate> = BTreeMap::new();
            let invoices = self.world.invoices().rows().filter(|i| i.subscription == Some(at) && lives(i));
            for line in invoices.flat_map(|i| &i.lines).filter(|l| recurring(l)) {
                let (from, to) = (local(line.from, ZONE), local(line.to, ZONE));
                if to > from {
                    let start = terms.entry(to).or_insert(from);
                    *start = from.min(*start);
                }
            }
            let list: Vec<(NaiveDate, NaiveDate)> = terms.into_iter().collect();
            for (n, (end, _)) in list.iter().enumerate().filter(|(_, (end, _))| plus(*end, 7) <= self.today) {
                let followed = list.get(n + 1).is_some_and(|(_, start)| *start <= plus(*end, 7));
                let counted = found.entry(subscription.period.count_and_unit()).or_default();
                counted.0 += i128::from(followed);
                counted.1 += 1;
            }
        }
        found
    }

    fn trial_rate(&self) -> Money {
        let ended = self.world.subscriptions().rows().filter(|s| {
            let over = s.trial.is_some_and(|(_, end)| utc(end) <= self.today);
            over && s.status != SubscriptionStatus::InTrial && !s.stamp.deleted
        });
        let (mut converted, mut all) = (0, 0);
        for s in ended {
            converted += Money::from(s.activated_at.is_some());
            all += 1;
        }
        if all == 0 { UNIT } else { ratio(converted, all) }
    }

    /// (subscription, cycle, bill date, amount, probability).
    fn scheduled(&self) -> Vec<(&'a Subscription, i64, NaiveDate, Money, Money)> {
        let renewals = self.renewals();
        let all = renewals.values().fold((0, 0), |sum, r| (sum.0 + r.0, sum.1 + r.1));
        let mut rows = Vec::new();
        for (at, s) in self.world.subscriptions().iter() {
            let Some(next) = s.next_billing_at.filter(|_| !s.stamp.deleted) else { continue };
            let every = if all.1 > 0 { ratio(all.0, all.1) } else { UNIT };
            let rate = match renewals.get(&s.period.count_and_unit()) {
                Some((renewed, due)) if all.1 > 0 => ratio(renewed * UNIT + 50 * every, (due + 50) * UNIT),
                _ => every,
            };
            let first = utc(next).max(plus(self.today, 1));
            let start = if s.status == SubscriptionStatus::InTrial { self.trial_rate() } else { rate };
            let mut power = UNIT;
            for cycle in 0.. {
                let bill =
                    first.checked_add_months(chrono::Months::new(cycle as u32 * s.period.months())).unwrap();
                if bill > plus(self.today, 91) {
                    break;
                }
                if s.remaining_cycles.is_none_or(|n| cycle < n) {
                    rows.push((s, cycle, bill, self.amount(at, s, bill), product(start, power)));
                }
                power = product(power, rate);
            }
        }
        rows.retain(|r| r.3 > 0);
        rows
    }

    fn amount(
        &self,
        at: tidegate::sim::world::table::At<Subscription>,
        s: &Subscription,
        bill: NaiveDate,
    ) -> Money {
        let items = s.items.iter().filter(|i| i.item.kind() != ItemKind::Charge);
        let base = money(items.map(|i| i.amount).sum(), s.currency);
        let till = |end: Option<i64>| end.is_none_or(|t| utc(t) >= bill);
        let running = s.coupons.iter().any(|c| till(c.apply_till))
            || s.discounts.iter().any(|d| d.duration != "one_time" && till(d.apply_till));
        let invoices = self.world.invoices().rows().filter(|i| i.subscription == Some(at) && lives(i));
        let whole = invoices.filter(|i| i.lines.iter().any(|l| recurring(l) && !l.prorated));
        let Some(last) = whole.max_by_key(|i| (local(i.date, ZONE), i.id.clone())) else { return base };
        let sum = |of: fn(&Line) -> i64| Money::from(last.lines.iter().map(of).sum::<i64>());
        let (gross, tax) = (sum(|l| l.amount), sum(|l| l.tax));
        let inclusive = last.price_type == PriceType::Inclusive;
        let net = sum(|l| l.amount - l.discount - l.item_discount) - if inclusive { tax } else { 0 };
        let promised = last.discounts.iter().filter(|d| d.kind != DiscountKind::PromotionalCredits);
        let discount = Money::from(promised.map(|d| d.amount).sum::<i64>());
        let kept = if running && gross > 0 { ratio(gross - discount, gross) } else { UNIT };
        let taxed = if inclusive || net <= 0 { UNIT } else { ratio(net + tax, net) };
        product(product(base, kept), taxed)
    }

    fn segment(&self, s: &Subscription) -> (Segment, i64) {
        let customer = &self.world.customers()[s.customer];
        let method = if customer.auto_collection { "automatic" } else { "manual" };
        (
            (s.currency.code(), method),
            tidegate::sim::world::model::net_terms_of(&s.id).unwrap_or(customer.net_terms),
        )
    }

    pub(crate) fn schedule(&self) -> Vec<String> {
        let row = |(s, cycle, bill, amount, chance): (&Subscription, i64, NaiveDate, Money, Money)| {
            let ((currency, method), terms) = self.segment(s);
            let [expected, amount, chance] = [product(amount, chance), amount, chance].map(decimal);
            format!("{}|{currency}|{method}|{cycle}|{bill}|{terms}|{amount}|{chance}|{expected}", s.id)
        };
        sorted(self.scheduled().into_iter().map(row).collect())
    }

    pub(crate) fn cash(&self) -> Vec<String> {
        let mut sums: BTreeMap<(Segment, &str, i64), Money> = BTreeMap::new();
        let mut expect = |segment: Segment, component, from: i64, start: i64, amount: Money| {
            for (n, chance) in self.chances(segment, start).into_iter().enumerate() {
                let week = (from + 7 * n as i64) / 7 + 1;
                let part = product(amount, chance);
                if week <= 13 && part > 0 {
                    *sums.entry((segment, component, week)).or_default() += part;
                }
            }
        };
        let open = open_on(self.world, self.today, ZONE);
        for row in self.world.invoices().rows() {
            let Some(balance) = open.get(&row.id) else { continue };
            let age = days(local(row.due_date.unwrap(), ZONE), plus(self.today, 1));
            expect((row.currency.code(), self.method(row)), "open", 0, week(age), *balance);
        }
        for (s, _, bill, amount, chance) in self.scheduled() {
            let (segment, terms) = self.segment(s);
            let from = days(plus(self.today, 1), bill);
            expect(segment, "renewal", from, week(-terms), product(amount, chance));
        }
        let row = |(((currency, method), component, week), amount): ((Segment, &str, i64), Money)| {
            let start = plus(self.today, 1 + 7 * (week - 1));
            format!("{currency}|{component}|{method}|{week}|{start}|{}|{}", decimal(amount), self.today)
        };
        sorted(sums.into_iter().map(row).collect())
    }

    /// Days in which the schedule and the curve were learned.
    pub(crate) fn currencies(&self) -> BTreeSet<&'static str> {
        self.segments.keys().map(|s| s.0).collect()
    }
}

fn lives(row: &Invoice) -> bool {
    !row.stamp.deleted && row.status != InvoiceStatus::Voided
}

fn recurring(line: &Line) -> bool {
    matches!(line.entity, Entity::Price(item) if item.kind() != ItemKind::Charge)
}

#[test]
fn a_ratio_rounds_half_away_from_zero() {
    assert_eq!(ratio(2, 3), 66_666_667);
    assert_eq!(ratio(1, 2 * UNIT), 1);
    let first: NaiveDate = "2024-01-31".parse().unwrap();
    assert_eq!(first.checked_add_months(chrono::Months::new(1)).unwrap().day(), 29);
}

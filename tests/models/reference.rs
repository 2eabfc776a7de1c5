//! The models' definitions in plain Rust, without SQL: slow and obvious.
use super::data::{CENT, Invoice, Line, Money, OWNERS, Price, Subscription, World, anchored};
use chrono::{Datelike as _, Days, Months, NaiveDate};
use std::collections::BTreeMap;

pub(crate) const MRR_COLUMNS: &str =
    "tenant_id, connection_id, customer_id, currency, month_start, mrr, is_clamped, value_date, as_of";
pub(crate) const INVOICE_COLUMNS: &str = "tenant_id, connection_id, id, status, refunded_amount, collection_method, total, balance, due_date, deleted_at";
pub(crate) const OPEN_COLUMNS: &str = "tenant_id, connection_id, customer_id, currency, invoice_id, issue_date, due_date, \
    balance, days_overdue, bucket, is_disputed, as_of";
pub(crate) const MONTH_COLUMNS: &str =
    "tenant_id, connection_id, currency, month_start, invoices, invoiced, paid, refunded, open";
pub(crate) const RECONCILE_COLUMNS: &str =
    "tenant_id, connection_id, rule, severity, invoice_id, currency, expected, actual, delta";

pub(crate) const MOVEMENT_COLUMNS: &str = "tenant_id, connection_id, customer_id, currency, month_start, opening, \
    new_mrr, reactivation, expansion, contraction, churn, closing, as_of";

const UNIT: Money = 100 * CENT;
const BRIDGE_DAYS: u64 = 7;

fn decimal(v: Money) -> String {
    let sign = if v < 0 { "-" } else { "" };
    format!("{sign}{}.{:08}", v.abs() / UNIT, v.abs() % UNIT)
}

fn owner(owner: usize) -> String {
    format!("{}|{}", OWNERS[owner].0, OWNERS[owner].1)
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

fn shift(date: NaiveDate, days: u64) -> NaiveDate {
    date.checked_add_days(Days::new(days)).unwrap()
}

fn span(from: NaiveDate, to: NaiveDate) -> i64 {
    to.signed_duration_since(from).num_days()
}

fn optional(v: Option<impl ToString>) -> String {
    v.map_or("-".to_owned(), |v| v.to_string())
}

// ---------------------------------------------------------------- documents

fn refunded(w: &World, i: &Invoice) -> Money {
    let of_note =
        |note: &str| w.notes.iter().any(|n| n.owner == i.owner && n.id == note && n.invoice == i.id);
    w.refunds
        .iter()
        .filter(|r| r.owner == i.owner && !r.deleted && ["success", "refunded"].contains(&r.status))
        .filter(|r| match (&r.invoice, &r.note) {
            (Some(invoice), _) => *invoice == i.id,
            (None, Some(note)) => of_note(note),
            (None, None) => false,
        })
        .map(|r| r.amount)
        .sum()
}

pub(crate) fn invoices(w: &World) -> Vec<String> {
    let row = |i: &Invoice| {
        let refunds = refunded(w, i);
        let all = i.status == "paid" && i.paid > 0 && refunds >= i.paid;
        let status = if all { "refunded" } else { i.status };
        let customer = w.customers.iter().find(|c| c.owner == i.owner && c.id == i.customer).unwrap();
        let method = match customer.auto {
            Some("on") => "automatic",
            Some("off") => "manual",
            _ => "-",
        };
        format!(
            "{}|{}|{status}|{}|{method}|{}|{}|{}|{}",
            owner(i.owner),
            i.id,
            decimal(refunds),
            decimal(i.total),
            decimal(i.balance),
            optional(i.due),
            optional(i.deleted.then(|| format!("{} 12:00:00", w.as_of)))
        )
    };
    sorted(w.invoices.iter().map(row).collect())
}

fn counts(i: &Invoice) -> bool {
    !i.deleted && !i.void && i.draft != Some(true)
}

pub(crate) fn open(w: &World) -> Vec<String> {
    let row = |i: &Invoice| {
        let due = i.due.unwrap_or_else(|| shift(i.issue, i.terms.unwrap_or(0) as u64));
        let overdue = span(due, w.as_of).max(0);
        let bucket = match overdue {
            0 => "current",
            1..=30 => "1-30",
            31..=60 => "31-60",
            61..=90 => "61-90",
            91..=120 => "91-120",
            _ => "over 120",
        };
        format!(
            "{}|{}|{}|{}|{}|{due}|{}|{overdue}|{bucket}|false|{}",
            owner(i.owner),
            i.customer,
            i.currency,
            i.id,
            i.issue,
            decimal(i.balance),
            w.as_of
        )
    };
    sorted(w.invoices.iter().filter(|i| counts(i) && i.balance > 0).map(row).collect())
}

pub(crate) fn months(w: &World) -> Vec<String> {
    let mut sums: BTreeMap<String, [Money; 5]> = BTreeMap::new();
    for i in w.invoices.iter().filter(|i| counts(i)) {
        let key = format!("{}|{}|{}", owner(i.owner), i.currency, i.issue.with_day(1).unwrap());
        let sum = sums.entry(key).or_default();
        for (at, v) in [1, i.total, i.paid, refunded(w, i), i.balance].into_iter().enumerate() {
            sum[at] += v;
        }
    }
    let row =
        |(key, [n, rest @ ..]): (String, [Money; 5])| format!("{key}|{n}|{}", rest.map(decimal).join("|"));
    sorted(sums.into_iter().map(row).collect())
}

pub(crate) fn reconcile(w: &World) -> Vec<String> {
    let mut rows = Vec::new();
    for i in w.invoices.iter().filter(|i| !i.deleted && i.draft != Some(true)) {
        let mut rule = |name: &str, expected: Money, actual: Money| {
            if expected != actual {
                let amounts = [expected, actual, actual - expected].map(decimal).join("|");
                rows.push(format!("{}|{name}|hard|{}|{}|{amounts}", owner(i.owner), i.id, i.currency));
            }
        };
        let sum = |parts: &[super::data::Part], test: &dyn Fn(&super::data::Part) -> bool| -> Money {
            let own = parts.iter().filter(|p| p.owner == i.owner && p.invoice.as_deref() == Some(&i.id));
            own.filter(|p| !p.deleted && test(p)).map(|p| p.amount).sum()
        };
        let line = |of: &dyn Fn(&Line) -> Money| -> Money {
            let own = w.lines.iter().filter(|l| l.owner == i.owner && l.parent == i.id && !l.note);
            own.filter(|l| !l.deleted).map(of).sum()
        };
        let all = |_: &super::data::Part| true;
        let discount = |l: &Line| l.discount.unwrap_or(0);
        let header_discount = i.discount.unwrap_or(0);
        let tax_on_top = if i.inclusive { 0 } else { i.tax };
        rule("D1", i.sub_total + tax_on_top + i.round_off.unwrap_or(0), i.total);
        rule("D2", line(&|l| l.amount - discount(l)), i.sub_total);
        rule("D3_tax", sum(&w.taxes, &all), i.tax);
        rule("D3_discount", sum(&w.discounts, &all), header_discount);
        rule("D4_tax", line(&|l| l.tax), i.tax);
        rule("D4_discount", line(&discount), header_discount);
        rule("D4_net", line(&|l| l.net), i.sub_total + tax_on_top - i.tax);
        let reversals = w
            .allocations
            .iter()
            .any(|a| a.owner == i.owner && a.invoice.as_deref() == Some(&i.id) && a.reversed);
        if i.void {
            rule("D8_balance", 0, i.balance);
            rule("D8_allocations", 0, sum(&w.allocations, &|a| !a.reversed));
        } else {
            rule("D5", i.total - i.paid - i.credits - i.adjusted - i.withheld, i.balance);
            rule("D6", sum(&w.allocations, &|a| a.kind == "payment" && !a.reversed), i.paid);
            if !reversals {
                rule("D7", refunded(w, i).min(i.paid + i.credits), refunded(w, i));
            }
        }
    }
    sorted(rows)
}

// ---------------------------------------------------------------- MRR

struct Charge<'a> {
    line: &'a Line,
    net: Money,
    invoice: &'a Invoice,
    subscription: Option<&'a Subscription>,
    /// The catalog's, else the subscription's.
    interval: Option<(&'a str, i64)>,
}

struct Segment {
    key: String,
    from: NaiveDate,
    until: NaiveDate,
    mrr: Money,
}

fn subscription_id<'a>(c: &Charge<'a>) -> (usize, Option<&'a String>) {
    (c.line.owner, c.line.subscription.as_ref().or(c.invoice.subscription.as_ref()))
}

/// n when the period is n whole months on some anchor day.
fn whole_months(from: NaiveDate, to: NaiveDate) -> Option<i64> {
    let found =
        (1..=60).find(|n| (1..=31).any(|a| anchored(from, a, 0) == from && anchored(from, a, *n) == to));
    found.map(i64::from)
}

/// What the catalog says of a line's price.
fn told<'a>(w: &'a World, line: &Line) -> Option<&'a Price> {
    w.catalog.iter().find(|p| p.owner == line.owner && Some(&p.id) == line.price.as_ref())
}

fn charges(w: &World) -> Vec<Charge<'_>> {
    let mut charges = Vec::new();
    for line in w.lines.iter().filter(|l| l.kind == "recurring" && l.end > l.start && !l.deleted) {
        let price = told(w, line);
        if price.is_some_and(|p| p.metered || p.kind == "charge") {
            continue;
        }
        let note = w.notes.iter().find(|n| line.note && n.owner == line.owner && n.id == line.parent);
        let id = note.map_or(&line.parent, |n| &n.invoice);
        let invoice = w.invoices.iter().find(|i| i.owner == line.owner && i.id == *id).unwrap();
        let date = note.map_or(invoice.issue, |n| n.date);
        let refused = note.is_some_and(|n| n.void || n.reason != "subscription_change");
        if refused || !counts(invoice) || date > w.as_of {
            continue;
        }
        let subscription = line.subscription.as_ref().or(invoice.subscription.as_ref());
        let subscription =
            subscription.and_then(|id| w.subscriptions.iter().find(|s| s.owner == line.owner && s.id == *id));
        charges.push(Charge {
            line,
            net: if line.note { -line.net } else { line.net },
            invoice,
            subscription,
            interval: price.and_then(|p| p.interval).or(subscription.map(|s| (s.unit, s.count))),
        });
    }
    charges
}

/// The price's interval in months: the longest whole period billed, else the catalog's, else the subscription's.
fn interval_months(charges: &[Charge], c: &Charge) -> Option<i64> {
    if c.interval.is_some_and(|(unit, _)| ["week", "day"].contains(&unit)) {
        return None;
    }
    let same =
        |o: &&Charge| o.line.owner == c.line.owner && o.line.price == c.line.price && c.line.price.is_some();
    let whole = |o: &Charge| {
        let plain = o.net > 0 && o.line.proration != Some(true);
        plain.then(|| whole_months(o.line.start, o.line.end)).flatten()
    };
    let billed = charges.iter().filter(same).filter_map(whole).max();
    billed.or(c.interval.map(|(unit, count)| count * if unit == "year" { 12 } else { 1 }))
}

/// MRR of a charge while it runs: `net * n / d`, rounded half away from zero at 8 digits.
fn rate(charges: &[Charge], c: &Charge) -> Money {
    let (from, to) = (c.line.start, c.line.end);
    let days = span(from, to);
    let whole = whole_months(from, to);
    let may_be_part = c.line.proration != Some(false);
    let (n, d) = match c.interval.filter(|(unit, _)| ["week", "day"].contains(unit)) {
        // A full interval of k weeks is 12/52 * k months.
        Some(("week", count)) if days == 7 * count => (52, 12 * count),
        Some(("week", count)) if days < 7 * count && may_be_part => (7 * 52, 12 * days),
        Some(("day", count)) if days == count => (365, 12 * count),
        Some(("day", count)) if days < count && may_be_part => (365, 12 * days),
        _ => {
            let part = interval_months(charges, c).filter(|m| may_be_part && whole.is_none_or(|n| n < *m));
            let start = |m: i64| to.checked_sub_months(Months::new(m as u32)).unwrap();
            match (part.filter(|m| start(*m) < from), whole) {
                (Some(m), _) => (span(start(m), to), days * m),
                (None, Some(n)) => (1, n),
                (None, None) => (365, 12 * days),
            }
        }
    };
    let (n, d) = (c.net * Money::from(n), Money::from(d));
    (2 * n.abs() + d) / (2 * d) * n.signum()
}

fn segments(w: &World) -> Vec<Segment> {
    let charges = charges(w);
    let mut groups: BTreeMap<(usize, Option<&String>), Vec<&Charge>> = BTreeMap::new();
    for c in &charges {
        groups.entry(subscription_id(c)).or_default().push(c);
    }
    let segment = |c: &Charge| {
        let end = c.line.end;
        let s = c.subscription;
        let ended = s.and_then(|s| match s.status {
            "active" | "past_due" => None,
            "non_renewing" => s.ended.or(s.cancel_at),
            _ => s.ended,
        });
        let alive =
            s.is_some_and(|s| !s.deleted && ["active", "non_renewing", "past_due"].contains(&s.status));
        let siblings = &groups[&subscription_id(c)];
        let runs_on = siblings.iter().any(|o| o.line.start <= end && end < o.line.end);
        let next = siblings.iter().map(|o| o.line.start).filter(|s| *s > end).min();
        let until = match ended {
            Some(ended) if shift(ended, 1) < end => ended,
            Some(ended) if ended <= shift(end, 1) => end,
            _ if runs_on || !(alive || ended.is_some()) => end,
            _ => [Some(shift(end, BRIDGE_DAYS)), next, ended].into_iter().flatten().min().unwrap(),
        };
        let key = format!("{}|{}|{}", owner(c.line.owner), c.invoice.customer, c.invoice.currency);
        Segment { key, from: c.line.start, until, mrr: rate(&charges, c) }
    };
    charges.iter().map(segment).collect()
}

pub(crate) fn mrr(w: &World) -> Vec<String> {
    let mut sums: BTreeMap<(String, NaiveDate, NaiveDate), Money> = BTreeMap::new();
    for s in segments(w) {
        let mut month = s.from.with_day(1).unwrap();
        while month <= w.as_of {
            let next = month.checked_add_months(Months::new(1)).unwrap();
            let value_date = next.pred_opt().unwrap().min(w.as_of);
            if s.from <= value_date && value_date < s.until {
                *sums.entry((s.key.clone(), month, value_date)).or_default() += s.mrr;
            }
            month = next;
        }
    }
    let rows = sums.into_iter().filter(|(_, mrr)| *mrr != 0).map(|((key, month, value_date), mrr)| {
        format!("{key}|{month}|{}|{}|{value_date}|{}", decimal(mrr.max(0)), mrr < 0, w.as_of)
    });
    sorted(rows.collect())
}

/// Day by day: what changed, and is it new, back, more, less or gone?
pub(crate) fn movements(w: &World) -> Vec<String> {
    let mut groups: BTreeMap<String, Vec<Segment>> = BTreeMap::new();
    for s in segments(w).into_iter().filter(|s| s.from < s.until) {
        groups.entry(s.key.clone()).or_default().push(s);
    }
    let mut rows = Vec::new();
    for (key, segments) in groups {
        let mrr_on = |day: NaiveDate| -> Money {
            let running = segments.iter().filter(|s| s.from <= day && day < s.until);
            running.map(|s| s.mrr).sum::<Money>().max(0)
        };
        let mut day = segments.iter().map(|s| s.from).min().unwrap();
        let (mut before, mut ever, mut opening) = (0, false, 0);
        let mut kinds = [0; 5];
        while day <= w.as_of {
            let mrr = mrr_on(day);
            let kind = match (before, mrr) {
                (0, _) if !ever => 0,
                (0, _) => 1,
                (b, m) if m > b => 2,
                (_, 0) => 4,
                _ => 3,
            };
            kinds[kind] += mrr - before;
            ever |= mrr > 0;
            before = mrr;
            let next = shift(day, 1);
            if next.day() == 1 || day == w.as_of {
                if opening != 0 || mrr != 0 || kinds.iter().any(|k| *k != 0) {
                    let amounts = [&[opening][..], &kinds, &[mrr]].concat();
                    let amounts: Vec<String> = amounts.into_iter().map(decimal).collect();
                    let month = day.with_day(1).unwrap();
                    rows.push(format!("{key}|{month}|{}|{}", amounts.join("|"), w.as_of));
                }
                (opening, kinds) = (mrr, [0; 5]);
            }
            day = next;
        }
    }
    sorted(rows)
}

#[test]
fn whole_months_know_every_anchor() {
    let n = |a: &str, b: &str| whole_months(a.parse().unwrap(), b.parse().unwrap());
    assert_eq!(n("2024-01-31", "2024-02-29"), Some(1));
    assert_eq!(n("2024-02-29", "2024-03-31"), Some(1));
    assert_eq!(n("2023-02-28", "2023-03-30"), Some(1));
    assert_eq!(n("2024-01-15", "2025-01-15"), Some(12));
    assert_eq!(n("2024-01-15", "2024-02-14"), None);
}

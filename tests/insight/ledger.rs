//! What was owed on a day, read off the world's rows.
use super::company::ZONE;
use chrono::{DateTime, NaiveDate};
use std::collections::BTreeMap;
use tidegate::sim::{
    money::Currency,
    world::{
        World,
        model::{Invoice, InvoiceStatus, Reason, TransactionStatus},
    },
};

/// 1e-8 major units.
pub(crate) type Money = i128;

pub(crate) const UNIT: Money = 100_000_000;

pub(crate) fn money(minor: i64, currency: Currency) -> Money {
    Money::from(minor) * UNIT / 10_i128.pow(currency.exponent())
}

pub(crate) fn decimal(v: Money) -> String {
    let sign = if v < 0 { "-" } else { "" };
    format!("{sign}{}.{:08}", v.abs() / UNIT, v.abs() % UNIT)
}

pub(crate) fn local(at: i64, zone: chrono_tz::Tz) -> NaiveDate {
    DateTime::from_timestamp(at, 0).unwrap().with_timezone(&zone).date_naive()
}

pub(crate) fn utc(at: i64) -> NaiveDate {
    local(at, chrono_tz::UTC)
}

/// What happened to an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Issue,
    Payment,
    WriteOff,
    Other,
}

/// Everything that changed an invoice's balance, in 1e-8; nothing is later than the last day.
pub(crate) fn events(world: &World, row: &Invoice, zone: chrono_tz::Tz) -> Vec<(Kind, NaiveDate, Money)> {
    let last = utc(world.now().secs());
    let day = |at: i64| local(at, zone).min(last);
    let amount = |minor: i64| money(minor, row.currency);
    let mut events = vec![(Kind::Issue, day(row.date), amount(row.total))];
    for payment in &row.payments {
        if world.transactions()[payment.transaction].status == TransactionStatus::Success {
            events.push((Kind::Payment, day(payment.at), -amount(payment.applied)));
        }
    }
    events.extend(row.credits.iter().map(|c| (Kind::Other, day(c.at), -amount(c.amount))));
    events.extend(row.withheld.iter().map(|w| (Kind::Other, day(w.at), -amount(w.amount))));
    for note in &row.adjustments {
        let note = &world.notes()[*note];
        let kind = if note.reason == Reason::WriteOff { Kind::WriteOff } else { Kind::Other };
        events.push((kind, day(note.date), -amount(note.total)));
    }
    events.extend(row.voided_at.map(|at| (Kind::Other, utc(at).min(last), -amount(row.total))));
    events
}

pub(crate) fn counts(row: &Invoice) -> bool {
    !row.stamp.deleted && row.status != InvoiceStatus::Pending
}

/// Balance of every invoice that was open on that day.
pub(crate) fn open_on(world: &World, day: NaiveDate, zone: chrono_tz::Tz) -> BTreeMap<String, Money> {
    let balance = |row: &Invoice| -> Money {
        events(world, row, zone).iter().filter(|(_, at, _)| *at <= day).map(|(_, _, amount)| amount).sum()
    };
    let rows = world.invoices().rows().filter(|row| counts(row));
    rows.map(|row| (row.id.clone(), balance(row))).filter(|(_, b)| *b > 0).collect()
}

pub(crate) const AGING_COLUMNS: &str =
    "customer_id, currency, invoice_id, issue_date, due_date, balance, days_overdue, bucket, as_of";

pub(crate) fn aging(world: &World, day: NaiveDate) -> Vec<String> {
    let open = open_on(world, day, ZONE);
    let row = |row: &Invoice| {
        let balance = open.get(&row.id)?;
        let (issue, due) = (local(row.date, ZONE), local(row.due_date.unwrap(), ZONE));
        let overdue = day.signed_duration_since(due).num_days().max(0);
        let bucket = match overdue {
            0 => "current",
            1..=30 => "1-30",
            31..=60 => "31-60",
            61..=90 => "61-90",
            91..=120 => "91-120",
            _ => "over 120",
        };
        let customer = &world.customers()[row.customer].id;
        let (currency, balance) = (row.currency.code(), decimal(*balance));
        Some(format!("{customer}|{currency}|{}|{issue}|{due}|{balance}|{overdue}|{bucket}|{day}", row.id))
    };
    let mut rows: Vec<String> = world.invoices().rows().filter_map(row).collect();
    rows.sort();
    rows
}

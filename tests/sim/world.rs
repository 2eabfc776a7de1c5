use super::{START, days};
use chrono_tz::Europe::Berlin;
use std::collections::{BTreeMap, BTreeSet};
use tidegate::sim::{
    truth::{Facts, Provider, expected},
    world::{
        Size, World,
        model::{
            CreditNote, DiscountKind, Invoice, InvoiceStatus, NoteStatus, PriceType, Stamp,
            SubscriptionStatus, TransactionKind, TransactionStatus,
        },
    },
};

const FACTS: Facts = Facts { time_zone: Berlin };

fn each_world(check: impl Fn(&World, u64)) {
    for seed in 0..40 {
        let mut world = World::new(seed, Size { customers: 60 }, START);
        world.advance(START.plus(days(60)));
        for step in 0..20 {
            world.touch_random(START.plus(days(61 + step)), 5);
        }
        check(&world, seed);
    }
}

#[test]
fn invoice_totals_agree_with_lines_discounts_and_taxes_to_the_cent() {
    each_world(|world, seed| {
        for row in world.invoices().rows() {
            let why = format!("seed {seed}: {row:?}");
            let tax = if row.price_type == PriceType::Exclusive { row.tax } else { 0 };
            assert_eq!(row.total, row.sub_total + tax + row.round_off, "D1 {why}");
            let amounts: i64 = row.lines.iter().map(|l| l.amount).sum();
            let line_discounts: i64 = row.line_discounts.iter().map(|d| d.amount).sum();
            assert_eq!(row.sub_total, amounts - line_discounts, "D2 {why}");
            assert_eq!(row.tax, row.taxes.iter().map(|t| t.amount).sum::<i64>(), "D3 tax {why}");
            assert_eq!(
                line_discounts,
                row.discounts.iter().map(|d| d.amount).sum::<i64>(),
                "D3 discount {why}"
            );
            assert_eq!(row.tax, row.lines.iter().map(|l| l.tax).sum::<i64>(), "D4 tax {why}");
            for line in &row.lines {
                let taxes = row.line_taxes.iter().filter(|t| t.line == line.id);
                assert_eq!(line.tax, taxes.map(|t| t.amount).sum::<i64>(), "D4 line tax {why}");
                let parts = row.line_discounts.iter().filter(|d| d.line == line.id);
                let parts: i64 = parts.map(|d| d.amount).sum();
                assert_eq!(line.discount + line.item_discount, parts, "D4 line discount {why}");
                assert!(line.amount >= parts && parts >= 0, "a discount is part of its line {why}");
            }
        }
    });
}

#[test]
fn what_is_due_is_what_was_not_paid_credited_adjusted_or_withheld() {
    each_world(|world, seed| {
        for row in world.invoices().rows() {
            let why = format!("seed {seed}: {row:?}");
            let success = row
                .payments
                .iter()
                .filter(|p| world.transactions()[p.transaction].status == TransactionStatus::Success);
            assert_eq!(row.amount_paid, success.map(|p| p.applied).sum::<i64>(), "D6 {why}");
            let credits: i64 = row.credits.iter().map(|c| c.amount).sum();
            let adjusted: i64 = row.adjustments.iter().map(|n| world.notes()[*n].total).sum();
            let withheld: i64 = row.withheld.iter().map(|w| w.amount).sum();
            assert_eq!((row.credits_applied, row.amount_adjusted), (credits, adjusted), "{why}");
            if row.status == InvoiceStatus::Voided {
                assert_eq!((row.amount_due, row.amount_paid, credits, adjusted), (0, 0, 0, 0), "D8 {why}");
            } else {
                let due = row.total - row.amount_paid - credits - adjusted - withheld;
                assert_eq!(row.amount_due, due, "D5 {why}");
                assert_eq!(row.status == InvoiceStatus::Paid, due == 0, "D9 {why}");
            }
            assert!(row.amount_due >= 0, "{why}");
        }
    });
}

#[test]
fn a_refund_or_refundable_note_never_opens_its_invoice_again() {
    each_world(|world, seed| {
        for row in world.invoices().rows().filter(|row| !row.issued.is_empty()) {
            assert_eq!((row.status, row.amount_due), (InvoiceStatus::Paid, 0), "D7 seed {seed}: {row:?}");
        }
    });
}

fn check_note(world: &World, row: &CreditNote, why: &str) {
    let tax = if row.price_type == PriceType::Exclusive { row.tax } else { 0 };
    assert_eq!(row.total, row.sub_total + tax, "{why}");
    assert_eq!(row.sub_total, row.lines.iter().map(|l| l.amount).sum::<i64>(), "{why}");
    assert_eq!(row.tax, row.line_taxes.iter().map(|t| t.amount).sum::<i64>(), "{why}");
    assert_eq!(row.tax, row.taxes.iter().map(|t| t.amount).sum::<i64>(), "{why}");
    assert_eq!(row.allocated, row.allocations.iter().map(|a| a.amount).sum::<i64>(), "{why}");
    let refunds = row
        .refunds
        .iter()
        .filter(|r| world.transactions()[r.transaction].status == TransactionStatus::Success);
    assert_eq!(row.refunded, refunds.map(|r| r.amount).sum::<i64>(), "C3 {why}");
    if row.status == NoteStatus::Voided {
        assert_eq!((row.allocated, row.refunded, row.available), (0, 0, 0), "{why}");
    } else {
        assert_eq!(row.total, row.allocated + row.refunded + row.available, "C2 {why}");
    }
}

#[test]
fn notes_payments_and_customer_balances_add_up() {
    each_world(|world, seed| {
        for row in world.notes().rows() {
            check_note(world, row, &format!("seed {seed}: {row:?}"));
        }
        for row in world.transactions().rows().filter(|t| t.kind == TransactionKind::Payment) {
            let applied: i64 = row.invoices.iter().map(|l| l.applied).sum();
            assert_eq!(row.amount, applied + row.unused, "C1 seed {seed}: {row:?}");
        }
        for row in world.customers().rows() {
            let open: i64 = row.notes.iter().map(|n| world.notes()[*n].available).sum();
            assert_eq!(row.refundable_credits, open, "seed {seed}: {row:?}");
        }
    });
}

#[test]
fn equal_seeds_and_steps_give_equal_worlds() {
    let build = |seed: u64, steps: &[u64]| {
        let mut world = World::new(seed, Size { customers: 30 }, START);
        steps.iter().for_each(|d| world.advance(START.plus(days(*d))));
        world.touch_random(START.plus(days(91)), 10);
        (world.events().len(), expected(&world, Provider::Chargebee, &FACTS))
    };
    assert_eq!(build(7, &[30, 90]), build(7, &[30, 90]));
    assert_eq!(build(7, &[90]), build(7, &[1, 2, 30, 90]), "the plan does not depend on the steps");
    assert_ne!(build(7, &[90]).1, build(8, &[90]).1);
}

#[test]
fn every_change_of_a_row_raises_its_version_and_never_lowers_its_time() {
    let mut world = World::new(3, Size { customers: 30 }, START);
    let (mut twice, mut before) = (0, BTreeMap::new());
    for step in 0..300_u64 {
        let seen = world.events().len();
        // Ten touches share a second.
        let now = START.plus(std::time::Duration::from_secs(1 + step / 10));
        world.touch_random(now, 1);
        for event in world.events().iter().skip(seen) {
            let stamp = world.stamp(event.row);
            assert_eq!(stamp.updated_at, now.secs());
            twice +=
                i64::from(before.get(&event.row).is_some_and(|old: &Stamp| old.updated_at == now.secs()));
        }
        for (row, old) in &before {
            let changes = world.events().iter().skip(seen).filter(|e| e.row == *row).count() as i64;
            let grown = world.stamp(*row).version - old.version;
            assert!(if changes == 0 { grown == 0 } else { grown >= changes }, "{row:?} {grown} {changes}");
        }
        before = world.events().iter().map(|e| (e.row, world.stamp(e.row))).collect();
    }
    assert!(twice > 0, "some rows change more than once in a second");
}

#[test]
fn a_middling_world_knows_every_state_and_kind() {
    let mut world = World::new(1, Size { customers: 600 }, START);
    world.advance(START.plus(days(30)));
    let invoices: Vec<&Invoice> = world.invoices().rows().collect();
    let words = |found: BTreeSet<&'static str>, all: &[&'static str]| {
        assert_eq!(found, all.iter().copied().collect());
    };
    words(
        invoices.iter().map(|i| i.status.word()).collect(),
        &["pending", "posted", "payment_due", "not_paid", "paid", "voided"],
    );
    words(
        world.subscriptions().rows().map(|s| s.status.word()).collect(),
        &["future", "in_trial", "active", "non_renewing", "paused", "cancelled"],
    );
    words(
        world.transactions().rows().map(|t| t.status.word()).collect(),
        &["in_progress", "success", "voided", "failure", "late_failure"],
    );
    words(
        world.notes().rows().map(|n| n.status.word()).collect(),
        &["adjusted", "refunded", "refund_due", "voided"],
    );
    words(
        world.notes().rows().map(|n| n.reason.word()).collect(),
        &["write_off", "subscription_change", "product_unsatisfactory", "waiver"],
    );
    words(world.customers().rows().map(|c| c.currency.code()).collect(), &["USD", "EUR", "JPY"]);
    let discounts = invoices.iter().flat_map(|i| &i.discounts).map(|d| d.kind);
    let all = [DiscountKind::ItemCoupon, DiscountKind::DocumentCoupon, DiscountKind::PromotionalCredits];
    assert_eq!(discounts.collect::<BTreeSet<_>>(), all.into_iter().collect());
    let lines = || invoices.iter().flat_map(|i| &i.lines);
    assert!(lines().any(|l| l.unit.scale == 8) && lines().any(|l| l.quantity.scale == 2));
    assert!(lines().any(|l| l.prorated) && invoices.iter().any(|i| i.lines.len() >= 3));
    assert!(invoices.iter().any(|i| i.round_off != 0) && invoices.iter().any(|i| !i.withheld.is_empty()));
    assert!(invoices.iter().any(|i| i.payments.len() > 1) && invoices.iter().any(|i| i.attempts.len() == 4));
    assert!(invoices.iter().any(|i| !i.credits.is_empty()) && invoices.iter().any(|i| i.written_off > 0));
    assert!(invoices.iter().any(|i| i.stamp.deleted) && world.customers().rows().any(|c| c.stamp.deleted));
    assert!(world.transactions().rows().any(|t| t.kind == TransactionKind::Refund && t.error.is_some()));
    let ended = |s: SubscriptionStatus| s == SubscriptionStatus::Cancelled;
    assert!(world.subscriptions().rows().any(|s| ended(s.status) && s.cancel_reason.is_some()));
}

#[test]
fn sizes_have_names_or_a_number() {
    assert_eq!(Size::parse("small").unwrap(), Size::SMALL);
    assert_eq!(Size::parse("customers=17").unwrap().customers, 17);
    assert!(Size::parse("huge").unwrap_err().next().unwrap().contains("customers=N"));
}

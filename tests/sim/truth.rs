use super::{START, days};
use chrono_tz::{America::New_York, Asia::Tokyo};
use tidegate::{
    sim::{
        money::{Currency, Dec, divide, portion, share},
        truth::{Columns, Facts, Provider, expected, facts},
        world::{
            Size, World,
            catalog::{COUNTRIES, Item},
            model::{
                Allocation, AppliedCredit, CreditNote, Customer, Discount, DiscountKind, Entity, Invoice,
                InvoiceStatus, Line, LineDiscount, LineTax, LinkedInvoice, LinkedPayment, Method, NoteKind,
                NoteStatus, PriceType, Reason, Stamp, TaxTotal, Transaction, TransactionKind,
                TransactionStatus,
            },
            table::At,
        },
    },
    time::Timestamp,
};

/// 2024-01-31T23:30:00Z
const AT: i64 = 1_706_743_800;

fn customer() -> Customer {
    Customer {
        id: "acme".into(),
        stamp: Stamp::default(),
        created_at: AT,
        first_name: "Ada".into(),
        last_name: "Lovelace".into(),
        company: None,
        email: "ada@example.com".into(),
        phone: None,
        country: &COUNTRIES[2],
        city: "Köln".into(),
        line1: "Quay 1".into(),
        postcode: "50667".into(),
        vat_number: None,
        exempt: None,
        auto_collection: false,
        net_terms: 14,
        card_status: "no_card",
        currency: Currency::Eur,
        parent: None,
        contacts: vec!["b\"ooks@example.com".into()],
        meta: vec![("crm", "\"x\"".into()), ("score", "7.50".into())],
        custom: Vec::new(),
        promotional_credits: 0,
        refundable_credits: 0,
        excess_payments: 105,
        subscriptions: Vec::new(),
        invoices: Vec::new(),
        notes: Vec::new(),
    }
}

fn line() -> Line {
    Line {
        id: "li_1".into(),
        entity: Entity::Price(Item::ApiCalls),
        price_id: Some("api-calls-EUR-Monthly".into()),
        name: "API calls".into(),
        description: "API calls in February".into(),
        from: AT,
        to: AT + 29 * 86_400,
        quantity: Dec::new(1_234_550, 2),
        unit: Dec::new(810_000, 8),
        amount: 10_000,
        discount: 900,
        item_discount: 100,
        tax: 1_710,
        tax_rate: Some(Dec::new(19, 0)),
        prorated: false,
        reference: None,
    }
}

fn invoice(customer: At<Customer>) -> Invoice {
    let discount =
        |kind, coupon, amount, line| Discount { kind, coupon, description: "off".into(), amount, line };
    Invoice {
        id: "INV-1".into(),
        stamp: Stamp::default(),
        customer,
        subscription: None,
        status: InvoiceStatus::Posted,
        recurring: true,
        first: true,
        date: AT,
        generated_at: Some(AT),
        due_date: Some(AT + 14 * 86_400),
        paid_at: None,
        voided_at: None,
        net_terms: 14,
        po_number: None,
        note: Some("two\nlines".into()),
        price_type: PriceType::Exclusive,
        currency: Currency::Eur,
        lines: vec![line()],
        discounts: vec![
            discount(DiscountKind::ItemCoupon, Some("SEATS15"), 100, Some("li_1".into())),
            discount(DiscountKind::PromotionalCredits, None, 900, None),
        ],
        line_discounts: vec![LineDiscount {
            line: "li_1".into(),
            kind: DiscountKind::PromotionalCredits,
            coupon: None,
            amount: 900,
        }],
        taxes: vec![TaxTotal { name: "MwSt", amount: 1_710 }],
        line_taxes: vec![LineTax {
            line: "li_1".into(),
            name: "MwSt",
            rate: Dec::new(19, 0),
            taxable: 9_000,
            amount: 1_710,
        }],
        sub_total: 9_000,
        tax: 1_710,
        round_off: 0,
        total: 10_710,
        amount_paid: 4_000,
        credits_applied: 710,
        amount_adjusted: 0,
        written_off: 0,
        amount_due: 6_000,
        payments: Vec::new(),
        attempts: Vec::new(),
        dunning: None,
        next_retry_at: None,
        credits: Vec::new(),
        adjustments: Vec::new(),
        issued: Vec::new(),
        withheld: Vec::new(),
    }
}

fn payment(id: &str, customer: At<Customer>, invoice: At<Invoice>, status: TransactionStatus) -> Transaction {
    let link = LinkedInvoice { invoice, applied: 4_000, at: AT + 60, status: InvoiceStatus::Posted };
    Transaction {
        id: id.into(),
        stamp: Stamp::default(),
        customer,
        subscription: None,
        kind: TransactionKind::Payment,
        status,
        method: Method::BankTransfer,
        gateway: "not_applicable",
        gateway_id: None,
        reference: Some("wire 9".into()),
        masked_card: None,
        date: AT + 60,
        settled_at: None,
        currency: Currency::Eur,
        amount: 4_105,
        unused: 105,
        error: (status != TransactionStatus::Success).then_some(("refused", "No")),
        initiator: None,
        invoices: vec![link],
        refunds: Vec::new(),
        refund_of: None,
        note: None,
    }
}

fn note(customer: At<Customer>, origin: At<Invoice>) -> CreditNote {
    CreditNote {
        id: "CN-1".into(),
        stamp: Stamp::default(),
        customer,
        subscription: None,
        invoice: origin,
        kind: NoteKind::Refundable,
        status: NoteStatus::RefundDue,
        reason: Reason::Waiver,
        date: AT,
        refunded_at: None,
        voided_at: None,
        price_type: PriceType::Exclusive,
        currency: Currency::Eur,
        lines: Vec::new(),
        taxes: Vec::new(),
        line_taxes: Vec::new(),
        sub_total: 800,
        tax: 152,
        total: 952,
        allocated: 710,
        refunded: 0,
        available: 242,
        allocations: vec![Allocation {
            invoice: origin,
            amount: 710,
            at: AT + 30,
            status: InvoiceStatus::Posted,
        }],
        refunds: Vec::new(),
    }
}

fn tiny() -> World {
    let mut world = World::bare(1, Timestamp::from_secs(AT));
    let customer = world.put_customer(customer());
    let at = world.put_invoice(invoice(customer));
    let failed = world.put_transaction(payment("txn_1", customer, at, TransactionStatus::Failure));
    let paid = world.put_transaction(payment("txn_2", customer, at, TransactionStatus::Success));
    let note = world.put_note(note(customer, at));
    world.edit_invoice(at, |row| {
        let link = |transaction| LinkedPayment { transaction, applied: 4_000, at: AT + 60 };
        row.payments = vec![link(failed), link(paid)];
        row.credits = vec![AppliedCredit { note, amount: 710, at: AT + 30 }];
    });
    world
}

fn row(pairs: &[(&str, &str)]) -> Columns {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn one_invoice_with_partial_payment_tax_discount_and_credit_by_eye() {
    let tables = expected(&tiny(), Provider::Chargebee, &Facts { time_zone: Tokyo });
    let invoice = row(&[
        ("id", "INV-1"),
        ("number", "INV-1"),
        ("version", "1706743800018"),
        ("customer_id", "acme"),
        ("is_recurring", "true"),
        ("status", "pending"),
        ("status_raw", "posted"),
        ("doc_class", "invoice"),
        ("is_void", "false"),
        ("is_draft", "false"),
        ("issue_date", "2024-02-01"),
        ("due_date", "2024-02-15"),
        ("issued_at", "2024-01-31T23:30:00Z"),
        ("generated_at", "2024-01-31T23:30:00Z"),
        ("period_start", "2024-02-01"),
        ("period_end", "2024-03-01"),
        ("currency", "EUR"),
        ("exchange_rate", "1.0843"),
        ("price_type", "tax_exclusive"),
        ("sub_total", "90"),
        ("total_discount", "10"),
        ("total_tax_amount", "17.1"),
        ("total", "107.1"),
        ("amount_paid", "40"),
        ("credits_applied", "7.1"),
        ("adjusted_amount", "0"),
        ("written_off_amount", "0"),
        ("tax_withheld", "0"),
        ("balance", "60"),
        ("net_terms_days", "14"),
        ("attempts", "0"),
        ("memo", "two\nlines"),
        ("first_invoice", "true"),
        ("created_at", "2024-01-31T23:30:00Z"),
        ("updated_at", "2024-01-31T23:30:00Z"),
    ]);
    assert_eq!(tables["invoices"]["INV-1"], invoice);
    let line = row(&[
        ("id", "li_1"),
        ("version", "1706743800018"),
        ("invoice_id", "INV-1"),
        ("line_no", "0"),
        ("name", "API calls"),
        ("description", "API calls in February"),
        ("price_id", "api-calls-EUR-Monthly"),
        ("line_kind", "recurring"),
        ("period_start", "2024-02-01"),
        ("period_end", "2024-03-01"),
        ("quantity", "12345.5"),
        ("unit_amount", "0.0081"),
        ("amount", "100"),
        ("discount_amount", "10"),
        ("tax_amount", "17.1"),
        ("tax_rate", "19"),
        ("tax_rate_id", "MwSt"),
        ("net_amount", "90"),
        ("line_total", "107.1"),
        ("currency", "EUR"),
        ("exchange_rate", "1.0843"),
    ]);
    assert_eq!(tables["invoice_line_items"]["li_1"], line);
    let allocations = &tables["payment_allocations"];
    assert_eq!(allocations.keys().collect::<Vec<_>>(), ["CN-1:credit_note:0", "INV-1:payment:1"]);
    let allocation = row(&[
        ("id", "INV-1:payment:1"),
        ("version", "1706743800018"),
        ("payment_id", "txn_2"),
        ("invoice_id", "INV-1"),
        ("kind", "payment"),
        ("amount", "40"),
        ("applied_at", "2024-01-31T23:31:00Z"),
        ("applied_date", "2024-02-01"),
        ("owner_invoice_id", "INV-1"),
    ]);
    assert_eq!(allocations["INV-1:payment:1"], allocation);
    assert_eq!(allocations["CN-1:credit_note:0"]["amount"], "7.1");
    let credit = row(&[
        ("id", "CN-1:allocation:0"),
        ("version", "1706743800017"),
        ("credit_note_id", "CN-1"),
        ("invoice_id", "INV-1"),
        ("amount", "7.1"),
        ("applied_at", "2024-01-31T23:30:30Z"),
        ("pre_tax", "false"),
    ]);
    assert_eq!(tables["credit_allocations"]["CN-1:allocation:0"], credit);
    let discount = row(&[
        ("id", "INV-1:discount:0"),
        ("version", "1706743800018"),
        ("invoice_id", "INV-1"),
        ("line_id", "li_1"),
        ("kind", "item_level_coupon"),
        ("source_id", "SEATS15"),
        ("amount", "1"),
        ("name", "off"),
    ]);
    assert_eq!(tables["invoice_discounts"]["INV-1:discount:0"], discount);
    assert_eq!(tables["invoice_discounts"]["INV-1:discount:1"]["amount"], "9");
    assert_eq!(tables["invoice_taxes"]["INV-1:tax:0"]["amount"], "17.1");
    let note = &tables["credit_notes"]["CN-1"];
    assert_eq!(
        (note["sub_total"].as_str(), note["tax"].as_str(), note["total"].as_str()),
        ("8", "1.52", "9.52")
    );
    assert_eq!(note["amount_available"], "2.42");
    let payment = &tables["payments"]["txn_2"];
    assert_eq!((payment["amount"].as_str(), payment["unapplied_amount"].as_str()), ("41.05", "1.05"));
    assert_eq!((payment["status"].as_str(), payment["invoice_id"].as_str()), ("paid", "INV-1"));
    assert_eq!(tables["payments"]["txn_1"]["failure_code"], "refused");
    let customer = &tables["customers"]["acme"];
    assert_eq!(customer["name"], "Ada Lovelace");
    assert_eq!(customer["external_ref"], r#"{"crm":"x","score":7.50}"#);
    assert_eq!(customer["emails_extra"], r#"["b\"ooks@example.com"]"#);
    assert_eq!(customer["excess_payments"], "1.05");
    assert!(!customer.contains_key("phone"));
}

#[test]
fn civil_dates_follow_the_zone_of_the_connection() {
    let tables = expected(&tiny(), Provider::Chargebee, &Facts { time_zone: New_York });
    assert_eq!(tables["invoices"]["INV-1"]["issue_date"], "2024-01-31");
    assert_eq!(tables["invoices"]["INV-1"]["issued_at"], "2024-01-31T23:30:00Z");
}

#[test]
fn children_of_a_deleted_document_are_deleted_with_it() {
    let mut world = World::new(2, Size { customers: 300 }, START);
    world.advance(START.plus(days(30)));
    let tables = expected(&world, Provider::Chargebee, &Facts { time_zone: chrono_tz::UTC });
    let mut deleted = 0;
    for (entity, parent, column) in [
        ("invoice_line_items", "invoices", "invoice_id"),
        ("invoice_taxes", "invoices", "invoice_id"),
        ("credit_note_line_items", "credit_notes", "credit_note_id"),
        ("subscription_items", "subscriptions", "subscription_id"),
    ] {
        for child in tables[entity].values() {
            let parent = &tables[parent][&child[column]];
            assert_eq!(child.get("_deleted"), parent.get("_deleted"));
            assert_eq!(child["version"], parent["version"]);
            deleted += usize::from(child.contains_key("_deleted"));
        }
    }
    assert!(deleted > 0);
}

#[test]
fn allocations_of_living_invoices_sum_to_what_is_paid() {
    let world = World::new(4, Size { customers: 200 }, START);
    let tables = expected(&world, Provider::Chargebee, &Facts { time_zone: chrono_tz::UTC });
    for invoice in tables["invoices"].values() {
        let parts = tables["payment_allocations"]
            .values()
            .filter(|a| a["kind"] == "payment" && a["invoice_id"] == invoice["id"]);
        let cents = |text: &str| {
            let (whole, part) = text.split_once('.').unwrap_or((text, ""));
            format!("{whole}{part:0<2}").parse::<i64>().unwrap()
        };
        assert_eq!(parts.map(|a| cents(&a["amount"])).sum::<i64>(), cents(&invoice["amount_paid"]));
    }
}

#[test]
fn quick_totals_count_the_living() {
    let world = World::new(4, Size { customers: 200 }, START);
    let facts = facts(&world);
    let count: u64 =
        facts.iter().filter(|((entity, _), _)| *entity == "invoices").map(|(_, t)| t.count).sum();
    let living = world.invoices().rows().filter(|i| !i.stamp.deleted);
    assert_eq!(count, living.clone().count() as u64);
    let yen: i64 = living.filter(|i| i.currency == Currency::Jpy).map(|i| i.amount_due).sum();
    assert_eq!(facts[&("invoices", "JPY")].amount_due, Dec::new(yen.into(), 0));
}

#[test]
fn decimals_are_plain_and_rounding_goes_half_to_even() {
    let plain = |mantissa, scale| Dec::new(mantissa, scale).to_string();
    assert_eq!(
        [plain(1_250, 2), plain(10_000, 2), plain(-3, 0), plain(-5, 3)],
        ["12.5", "100", "-3", "-0.005"]
    );
    assert_eq!([divide(5, 2), divide(7, 2), divide(-5, 2), divide(8, 3)], [2, 4, -2, 3]);
    assert_eq!([portion(100, 1, 8), portion(300, 1, 8), portion(7, 1, 0)], [12, 38, 0]);
    // The provider's own example: 0.0765 x 10.674 = 0.816561 -> 0.82
    assert_eq!(Dec::new(765, 4).times(Dec::new(10_674, 3)).rounded(2), 82);
    assert_eq!(Dec::new(19, 0).float_text(), "19.0");
    assert_eq!(share(100, &[1, 1, 1]), [34, 33, 33]);
    assert_eq!(share(5, &[0, 0]), [0, 0]);
}

//! How fast provider pages become Arrow columns, beside serde_json's own check of the same bytes.
#![expect(clippy::expect_used, reason = "a benchmark stops at the first surprise")]

use bytes::Bytes;
use std::{fmt::Write, time::Instant};
use tidegate::{
    decode::{Decoder, Envelope, Field, Keys, Page, Struct, Type, page},
    time::Timestamp,
};

const PAGES: usize = 200;
const RECORDS: usize = 100;
const ROUNDS: usize = 5;

/// Prints the best of some rounds, in MB/s of one core.
pub(crate) fn run() {
    let bodies: Vec<Bytes> = (0..PAGES).map(body).collect();
    let envelope =
        Envelope { records: "/list/*/invoice".into(), next: Some("/next_offset".into()), total: None };
    let cut = || -> Vec<Page> {
        bodies.iter().map(|b| page(b.clone(), &envelope, Timestamp(0)).expect("a page")).collect()
    };
    let pages = cut();
    let keys = Keys {
        key: "id".into(),
        version: Some("resource_version".into()),
        updated: Some("updated_at".into()),
        deleted: Some("deleted".into()),
    };
    let mut decoder = Decoder::new("invoices", &shape(), &keys).expect("a shape");
    let bytes = bodies.iter().map(Bytes::len).sum::<usize>();
    println!("decode: {} invoices, {} MB", PAGES * RECORDS, bytes / 1_000_000);
    best("serde_json ignore", bytes, || {
        for body in &bodies {
            let text = str::from_utf8(body).expect("UTF-8");
            serde_json::from_str::<serde::de::IgnoredAny>(text).expect("JSON");
        }
    });
    best("page", bytes, || assert_eq!(cut().len(), PAGES));
    best("push and finish", bytes, || {
        pages.iter().for_each(|page| decoder.push(page));
        let (records, rejects) = decoder.finish().expect("a batch");
        assert_eq!((records.batch.num_rows(), rejects.len()), (PAGES * RECORDS, 0));
    });
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn best(what: &str, bytes: usize, mut act: impl FnMut()) {
    let time = |_| {
        let start = Instant::now();
        act();
        start.elapsed().as_secs_f64()
    };
    let seconds = (0..ROUNDS).map(time).fold(f64::MAX, f64::min);
    println!("  {what:<18} {:>6.0} MB/s", bytes as f64 / 1e6 / seconds);
}

fn shape() -> Struct {
    let of = |fields: &[(&str, Type)]| Struct {
        fields: fields.iter().map(|(name, ty)| Field { name: (*name).into(), ty: ty.clone() }).collect(),
        rest: vec![("custom_fields".into(), "cf_".into())],
    };
    let line = of(&[
        ("id", Type::Text),
        ("date_from", Type::EpochS),
        ("date_to", Type::EpochS),
        ("unit_amount", Type::Int),
        ("quantity", Type::Int),
        ("amount", Type::Int),
        ("is_taxed", Type::Bool),
        ("entity_type", Type::Text),
        ("entity_id", Type::Text),
        ("description", Type::Text),
    ]);
    of(&[
        ("id", Type::Text),
        ("customer_id", Type::Text),
        ("subscription_id", Type::Text),
        ("recurring", Type::Bool),
        ("status", Type::Text),
        ("price_type", Type::Text),
        ("date", Type::EpochS),
        ("due_date", Type::EpochS),
        ("exchange_rate", Type::Rate),
        ("total", Type::Int),
        ("amount_paid", Type::Int),
        ("amount_due", Type::Int),
        ("updated_at", Type::EpochS),
        ("resource_version", Type::Int),
        ("deleted", Type::Bool),
        ("currency_code", Type::Text),
        ("paid_at", Type::EpochS),
        ("line_items", Type::List(Box::new(Type::Struct(line)))),
        ("billing_address", Type::Json),
    ])
}

fn body(page: usize) -> Bytes {
    let mut out = String::from("{\"list\":[");
    for i in 0..RECORDS {
        let n = page * RECORDS + i;
        let comma = if i == 0 { "" } else { "," };
        let paid =
            if n.is_multiple_of(2) { format!(r#""paid_at":{},"#, 1_700_000_000 + n) } else { String::new() };
        write!(
            out,
            r#"{comma}{{"invoice":{{"id":"INV-{n:08}","customer_id":"cus_{n:020}","subscription_id":"sub_{n:020}",
"recurring":true,"status":"paid","price_type":"tax_exclusive","date":1700000000,"due_date":1702592000,
"net_term_days":30,"exchange_rate":1.08{n},"total":{n},"amount_paid":{n},"amount_adjusted":0,"write_off_amount":0,
"credits_applied":0,"amount_due":0,{paid}"updated_at":1700000123,"resource_version":1700000123{:03},"deleted":false,
"object":"invoice","first_invoice":false,"amount_to_collect":0,"round_off_amount":0,"new_sales_amount":{n},
"has_advance_charges":false,"currency_code":"EUR","base_currency_code":"USD","generated_at":1700000000,
"is_gifted":false,"term_finalized":true,"channel":"web","tax":{n},"cf_region":"emea-{n}","line_items":["#,
            n % 1000
        )
        .expect("text");
        for line in 0..1 + n % 3 {
            let comma = if line == 0 { "" } else { "," };
            write!(
                out,
                r#"{comma}{{"id":"li_{n:016}_{line}","date_from":1700000000,"date_to":1702592000,"unit_amount":{n},"quantity":1,"amount":{n},
"pricing_model":"per_unit","is_taxed":true,"tax_amount":0,"tax_rate":19.0,"object":"line_item","subscription_id":"sub_{n:020}",
"customer_id":"cus_{n:020}","description":"Professional plan \"Team\", monthly","entity_type":"plan_item_price",
"entity_id":"professional-EUR-Monthly","discount_amount":0,"item_level_discount_amount":0}}"#
            )
            .expect("text");
        }
        write!(
            out,
            r#"],"taxes":[{{"name":"VAT","description":"VAT @ 19 %","amount":{n},"object":"tax"}}],"line_item_taxes":[{{"tax_name":"VAT","tax_rate":19.0,"tax_juris_type":"country","object":"line_item_tax"}}],
"linked_payments":[{{"txn_id":"txn_{n:020}","applied_amount":{n},"applied_at":1700000100,"txn_status":"success","txn_date":1700000100,"txn_amount":{n}}}],
"billing_address":{{"first_name":"Zoë","last_name":"Müller","company":"Example GmbH","line1":"Straße des 17. Juni 135","city":"Berlin","country":"DE","zip":"10623","validation_status":"not_validated","object":"billing_address"}},
"site_details_at_creation":{{"timezone":"Europe/Berlin","organization_address":{{"organization_name":"Example Inc.","street":"340 S Lemon Ave","city":"Walnut","zip":"91789","country_code":"US","state":"California"}}}}}},"customer":{{"id":"cus_{n:020}"}}}}"#
        )
        .expect("text");
    }
    write!(out, "],\"next_offset\":\"[\\\"{page}\\\"]\"}}").expect("text");
    Bytes::from(out.replace('\n', ""))
}

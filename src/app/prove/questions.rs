//! Which rules are there, and how are they asked of tables? A question is a SELECT whose rows are violations.
//!
//! Absent on purpose: asking (`prove`).
use crate::entity::{ColumnType, Entity};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What each rule says.
pub const RULES: [(&str, &str); 29] = [
    ("D1", "invoice: total = sub_total + tax (none when prices include it) + round_off"),
    ("D2", "document: sub_total = line amounts after discounts"),
    ("D3_tax", "invoice: its taxes sum to the header"),
    ("D3_discount", "invoice: its discounts sum to the header"),
    ("D4_tax", "invoice: tax of the lines sums to the header"),
    ("D4_discount", "invoice: discounts of the lines sum to the header"),
    ("D4_net", "invoice: net amounts of the lines sum to the header"),
    ("D4_total", "credit note: totals of the lines sum to the header"),
    ("D5", "invoice: balance = total - paid - credits - adjustments - withheld"),
    ("D6", "invoice: amount_paid = payments applied"),
    ("D7", "invoice: refunds never exceed what was paid and credited"),
    ("D8_balance", "a void invoice owes nothing"),
    ("D8_allocations", "a void invoice keeps no payment or credit"),
    ("D11", "a number stands on one invoice"),
    ("D12", "what belongs together is in one currency"),
    ("C1", "payment: amount = applied + unapplied + refunded from the unapplied part"),
    ("C1_failed", "a payment that did not succeed settles nothing"),
    ("C2", "credit note: total = allocated + refunded + available"),
    ("C2_void", "a void credit note gives nothing"),
    ("C2_allocated", "credit note: its allocations sum to the header"),
    ("C3", "refunds of a payment never exceed it"),
    ("C3_refunds", "payment: its refunds sum to the header"),
    ("C3_refunded", "credit note: its refunds sum to the header"),
    ("C4", "customer: promotional credit = movements of promotional credit"),
    ("A2", "invoice: what happened to it adds up to its balance"),
    ("M1", "MRR: opening and movements are the closing"),
    ("M2", "MRR: the closing is the month's MRR"),
    ("S3", "what a row names is there"),
    ("K1", "an id stands once in its table"),
];
/// Beside `RULES`, because it is about the store, not about billing.
pub const HISTORY_RULE: (&str, &str) = ("H1", "the current row is the newest one of history");

/// Questions over fixed tables, each with the tables without which it makes no sense and the rules that it answers.
const PROOFS: [(&str, &[&str], &[&str]); 8] = [
    (
        include_str!("../../../pipelines/proofs/invoices.sql"),
        &["invoices", "credit_notes", "customers"],
        &[
            "D1",
            "D2",
            "D3_tax",
            "D3_discount",
            "D4_tax",
            "D4_discount",
            "D4_net",
            "D5",
            "D6",
            "D7",
            "D8_balance",
            "D8_allocations",
        ],
    ),
    (
        include_str!("../../../pipelines/proofs/payments.sql"),
        &["payments", "invoices", "credit_notes"],
        &["C1", "C1_failed", "C3", "C3_refunds"],
    ),
    (
        include_str!("../../../pipelines/proofs/credit_notes.sql"),
        &["credit_notes"],
        &["C2", "C2_void", "C2_allocated", "C3_refunded", "D2", "D4_total"],
    ),
    (include_str!("../../../pipelines/proofs/receivables.sql"), &["invoices", "credit_notes"], &["A2"]),
    (
        include_str!("../../../pipelines/proofs/movements.sql"),
        &["invoices", "credit_notes", "subscriptions", "customers", "payments"],
        &["M1", "M2"],
    ),
    (include_str!("../../../pipelines/proofs/numbers.sql"), &["invoices"], &["D11"]),
    (
        include_str!("../../../pipelines/proofs/currencies.sql"),
        &["invoices", "credit_notes", "payments"],
        &["D12"],
    ),
    (
        include_str!("../../../pipelines/proofs/promotional_credits.sql"),
        &["promotional_credits", "customers"],
        &["C4"],
    ),
];
const KEYS: &str = include_str!("../../../pipelines/proofs/keys.sql");
const PARENTS: &str = include_str!("../../../pipelines/proofs/parents.sql");
const HISTORY: &str = include_str!("../../../pipelines/proofs/history.sql");

/// Columns that name a row of another table, beside those of children: (table, column, other table).
const REFERENCES: [(&str, &str, &str); 12] = [
    ("subscriptions", "customer_id", "customers"),
    ("invoices", "customer_id", "customers"),
    ("payments", "customer_id", "customers"),
    ("credit_notes", "customer_id", "customers"),
    ("invoices", "subscription_id", "subscriptions"),
    ("credit_notes", "invoice_id", "invoices"),
    ("credit_allocations", "invoice_id", "invoices"),
    ("payment_allocations", "invoice_id", "invoices"),
    ("payment_allocations", "payment_id", "payments"),
    ("payments", "refund_of", "payments"),
    ("refunds", "payment_id", "payments"),
    ("refunds", "invoice_id", "invoices"),
];

/// Rules that hold only where all documents are there: with a `start`, an older one may be named or be part of a sum.
pub(super) const NEED_ALL: [&str; 3] = ["S3", "C1", "C4"];

/// A SELECT whose rows are violations.
pub struct Question {
    /// Its text.
    pub sql: String,
    /// Rules that its rows may name.
    pub rules: &'static [&'static str],
}

/// What can be asked of some tables.
pub struct Questions {
    /// These.
    pub asked: Vec<Question>,
    /// Rules of which a part cannot be asked, because a table is not fed.
    pub left_out: BTreeSet<&'static str>,
}

/// Every question that these tables allow. `history`: what a table's history is called where the question is asked.
pub fn questions(fed: &[Arc<Entity>], history: &dyn Fn(&str) -> String) -> Questions {
    let has = |table: &str| fed.iter().any(|e| e.name == table);
    let (mut asked, mut left_out) = (Vec::new(), BTreeSet::new());
    for (sql, needs, rules) in PROOFS {
        if needs.iter().all(|need| has(need)) {
            asked.push(Question { sql: sql.to_owned(), rules });
        } else {
            left_out.extend(rules);
        }
    }
    let own = fed.iter().filter_map(|e| Some((e.name.as_str(), e.parent.as_ref()?)));
    let own = own.map(|(child, parent)| (child, parent.column.as_str(), parent.entity.as_str()));
    let references: BTreeSet<_> = own.chain(REFERENCES).filter(|(child, ..)| has(child)).collect();
    for (child, column, parent) in references {
        if has(parent) {
            let sql = PARENTS.replace("{entity}", child).replace("{column}", column);
            asked.push(Question { sql: sql.replace("{parent}", parent), rules: &["S3"] });
        } else {
            left_out.insert("S3");
        }
    }
    let tables: BTreeMap<&str, &Arc<Entity>> = fed.iter().map(|e| (e.name.as_str(), e)).collect();
    for (name, entity) in tables {
        asked.push(Question { sql: KEYS.replace("{entity}", name), rules: &["K1"] });
        let sql = HISTORY.replace("{entity}", name).replace("{history}", &history(name));
        asked.push(Question { sql: sql.replace("{differs}", &differs(entity)), rules: &["H1"] });
    }
    Questions { asked, left_out }
}

/// `c.x is distinct from h.x or ..` over every column. `json` of Postgres knows no equality, its text does.
fn differs(entity: &Entity) -> String {
    let schema = entity.schema();
    let json = |name: &str| entity.column(name).is_some_and(|c| c.ty == ColumnType::Json);
    let one = |name: &String| match json(name) {
        true => format!("(cast(c.{name} as text) is distinct from cast(h.{name} as text))"),
        false => format!("(c.{name} is distinct from h.{name})"),
    };
    schema.fields().iter().map(|f| one(f.name())).collect::<Vec<_>>().join("\n    or ")
}

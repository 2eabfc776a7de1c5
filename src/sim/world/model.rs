//! What exists in the billing world? Plain rows. Times are seconds since 1970, amounts minor units of the row's
//! currency. Absent: behaviour (see the sibling modules) and anything of a provider's wire format.
use super::{
    catalog::{Country, Item, ItemKind, Period},
    table::At,
};
use crate::sim::money::{Currency, Dec};

pub use super::custom::{custom_of, entity_of, extra_of, is_told_at_length, meta_of, net_terms_of, rare};
pub use super::event::{Event, Row};
pub use super::words::{
    DiscountKind, Dunning, InvoiceStatus, Method, NoteKind, NoteStatus, PriceType, Reason,
    SubscriptionStatus, TransactionKind, TransactionStatus, What,
};

/// Version of a row and whether it lives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamp {
    /// Last change.
    pub updated_at: i64,
    /// Milliseconds; grows strictly with every change of the row.
    pub version: i64,
    /// False: the provider shows neither `updated_at` nor a version (a row untouched since it learned to).
    pub stamped: bool,
    /// Soft delete.
    pub deleted: bool,
    /// No list shows it any more, not even among the deleted.
    pub gone: bool,
}

/// Who pays.
#[derive(Clone, Debug)]
pub struct Customer {
    pub id: String,
    pub stamp: Stamp,
    pub created_at: i64,
    pub first_name: String,
    pub last_name: String,
    pub company: Option<String>,
    pub email: String,
    pub phone: Option<String>,
    pub country: &'static Country,
    pub city: String,
    pub line1: String,
    pub postcode: String,
    pub vat_number: Option<String>,
    pub exempt: Option<bool>,
    pub auto_collection: bool,
    pub net_terms: i64,
    pub card_status: &'static str,
    pub currency: Currency,
    pub parent: Option<At<Customer>>,
    /// E-mail addresses beside the first.
    pub contacts: Vec<String>,
    /// (key, JSON value) pairs of `meta_data`, sorted by key.
    pub meta: Vec<(&'static str, String)>,
    /// Custom fields: (`cf_` name, JSON value).
    pub custom: Vec<(&'static str, String)>,
    pub promotional_credits: i64,
    pub refundable_credits: i64,
    pub excess_payments: i64,
    pub subscriptions: Vec<At<Subscription>>,
    pub invoices: Vec<At<Invoice>>,
    pub notes: Vec<At<CreditNote>>,
}

/// One priced thing in a subscription.
#[derive(Clone, Debug)]
pub struct SubscriptionItem {
    pub item: Item,
    pub price_id: String,
    pub quantity: Dec,
    pub unit: Dec,
    pub amount: i64,
}

/// A coupon attached to a subscription.
#[derive(Clone, Debug)]
pub struct SubscriptionCoupon {
    pub coupon: &'static str,
    pub apply_till: Option<i64>,
    pub applied: i64,
}

/// A manual discount of a subscription. Shown by the provider, spent through the coupon machinery only.
#[derive(Clone, Debug)]
pub struct SubscriptionDiscount {
    pub id: String,
    /// A percentage, else a fixed amount in minor units.
    pub percentage: Option<Dec>,
    pub amount: Option<i64>,
    /// `one_time`, `forever` or `limited_period`.
    pub duration: &'static str,
    pub apply_till: Option<i64>,
    /// Some: on this price only.
    pub price_id: Option<String>,
    pub in_mrr: bool,
    pub created_at: i64,
}

/// A promise to stay.
#[derive(Clone, Debug)]
pub struct Contract {
    pub start: i64,
    pub end: i64,
    pub value: i64,
}

/// What a customer is billed for again and again.
#[derive(Clone, Debug)]
pub struct Subscription {
    pub id: String,
    pub stamp: Stamp,
    pub customer: At<Customer>,
    pub currency: Currency,
    pub status: SubscriptionStatus,
    pub period: Period,
    pub items: Vec<SubscriptionItem>,
    pub coupons: Vec<SubscriptionCoupon>,
    pub discounts: Vec<SubscriptionDiscount>,
    pub created_at: i64,
    pub start_date: Option<i64>,
    pub started_at: Option<i64>,
    pub activated_at: Option<i64>,
    pub trial: Option<(i64, i64)>,
    /// Terms count from here.
    pub anchor: i64,
    pub cycles: u32,
    /// Changes with every pause, resume and end, so that planned renewals of an earlier life are dropped.
    pub life: u32,
    /// (start, end), half open.
    pub term: Option<(i64, i64)>,
    pub next_billing_at: Option<i64>,
    pub pause_at: Option<i64>,
    pub resume_at: Option<i64>,
    pub cancel_scheduled_at: Option<i64>,
    pub cancelled_at: Option<i64>,
    /// Set by the system: involuntary.
    pub cancel_reason: Option<&'static str>,
    /// Given by the merchant; never together with `cancel_reason`.
    pub cancel_reason_code: Option<&'static str>,
    pub remaining_cycles: Option<i64>,
    pub contract: Option<Contract>,
    pub mrr: i64,
    pub total_dues: i64,
    pub due_count: i64,
    pub due_since: Option<i64>,
    pub invoices: Vec<At<Invoice>>,
}

/// What a line bills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entity {
    /// A price of the catalog.
    Price(Item),
    /// Free text.
    Adhoc,
}

/// One line of an invoice or credit note.
#[derive(Clone, Debug)]
pub struct Line {
    pub id: String,
    pub entity: Entity,
    /// Price id, for a catalog line.
    pub price_id: Option<String>,
    pub name: String,
    pub description: String,
    pub from: i64,
    /// Equal to `from` for one-off lines.
    pub to: i64,
    pub quantity: Dec,
    /// Major units.
    pub unit: Dec,
    /// Before discounts; with tax when the document is inclusive.
    pub amount: i64,
    /// This line's part of the document's discounts.
    pub discount: i64,
    pub item_discount: i64,
    pub tax: i64,
    /// Percent; None when not taxed.
    pub tax_rate: Option<Dec>,
    pub prorated: bool,
    /// Credit notes: the invoice line it takes back.
    pub reference: Option<String>,
}

impl Line {
    /// The price of the plan among these lines.
    pub fn plan<'a>(lines: impl IntoIterator<Item = &'a Self>) -> Option<&'a str> {
        let is_plan = |l: &&Self| matches!(l.entity, Entity::Price(item) if item.kind() == ItemKind::Plan);
        lines.into_iter().find(is_plan).and_then(|l| l.price_id.as_deref())
    }
}

/// A discount of the document, by source.
#[derive(Clone, Debug)]
pub struct Discount {
    pub kind: DiscountKind,
    pub coupon: Option<&'static str>,
    pub description: String,
    pub amount: i64,
    /// Line, for an item-level one.
    pub line: Option<String>,
}

/// One line's part of one discount.
#[derive(Clone, Debug)]
pub struct LineDiscount {
    pub line: String,
    pub kind: DiscountKind,
    pub coupon: Option<&'static str>,
    pub amount: i64,
}

/// One tax on one line.
#[derive(Clone, Debug)]
pub struct LineTax {
    pub line: String,
    pub name: &'static str,
    /// Percent.
    pub rate: Dec,
    pub taxable: i64,
    pub amount: i64,
}

/// A tax of the document.
#[derive(Clone, Debug)]
pub struct TaxTotal {
    pub name: &'static str,
    pub amount: i64,
}

/// A payment attempt as the invoice sees it.
#[derive(Clone, Debug)]
pub struct LinkedPayment {
    pub transaction: At<Transaction>,
    pub applied: i64,
    pub at: i64,
}

/// One automatic or manual try.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub transaction: At<Transaction>,
    pub at: i64,
}

/// Money of a note spent on an invoice.
#[derive(Clone, Debug)]
pub struct AppliedCredit {
    pub note: At<CreditNote>,
    pub amount: i64,
    pub at: i64,
}

/// Tax that the customer paid to the state instead of to us.
#[derive(Clone, Debug)]
pub struct Withheld {
    pub id: String,
    pub amount: i64,
    pub at: i64,
}

/// A demand for money.
#[derive(Clone, Debug)]
pub struct Invoice {
    pub id: String,
    pub stamp: Stamp,
    pub customer: At<Customer>,
    pub subscription: Option<At<Subscription>>,
    pub status: InvoiceStatus,
    pub recurring: bool,
    pub first: bool,
    pub date: i64,
    pub generated_at: Option<i64>,
    pub due_date: Option<i64>,
    pub paid_at: Option<i64>,
    pub voided_at: Option<i64>,
    pub net_terms: i64,
    pub po_number: Option<String>,
    pub note: Option<String>,
    pub price_type: PriceType,
    pub currency: Currency,
    pub lines: Vec<Line>,
    pub discounts: Vec<Discount>,
    pub line_discounts: Vec<LineDiscount>,
    pub taxes: Vec<TaxTotal>,
    pub line_taxes: Vec<LineTax>,
    pub sub_total: i64,
    pub tax: i64,
    pub round_off: i64,
    pub total: i64,
    pub amount_paid: i64,
    pub credits_applied: i64,
    pub amount_adjusted: i64,
    pub written_off: i64,
    pub amount_due: i64,
    pub payments: Vec<LinkedPayment>,
    pub attempts: Vec<Attempt>,
    pub dunning: Option<Dunning>,
    pub next_retry_at: Option<i64>,
    pub credits: Vec<AppliedCredit>,
    pub adjustments: Vec<At<CreditNote>>,
    pub issued: Vec<At<CreditNote>>,
    pub withheld: Vec<Withheld>,
}

/// Part of a payment on an invoice.
#[derive(Clone, Debug)]
pub struct LinkedInvoice {
    pub invoice: At<Invoice>,
    pub applied: i64,
    pub at: i64,
    /// The invoice's status when the transaction last changed.
    pub status: InvoiceStatus,
}

/// A movement of money, or the try of one.
#[derive(Clone, Debug)]
pub struct Transaction {
    pub id: String,
    pub stamp: Stamp,
    pub customer: At<Customer>,
    pub subscription: Option<At<Subscription>>,
    pub kind: TransactionKind,
    pub status: TransactionStatus,
    pub method: Method,
    pub gateway: &'static str,
    pub gateway_id: Option<String>,
    pub reference: Option<String>,
    pub masked_card: Option<String>,
    pub date: i64,
    pub settled_at: Option<i64>,
    pub currency: Currency,
    pub amount: i64,
    /// Not applied to any invoice.
    pub unused: i64,
    /// (code, text).
    pub error: Option<(&'static str, &'static str)>,
    pub initiator: Option<&'static str>,
    pub invoices: Vec<LinkedInvoice>,
    /// Refunds of this payment.
    pub refunds: Vec<At<Transaction>>,
    pub refund_of: Option<At<Transaction>>,
    /// The note that a refund pays out.
    pub note: Option<At<CreditNote>>,
}

/// Money of a note spent on an invoice, as the note sees it.
#[derive(Clone, Debug)]
pub struct Allocation {
    pub invoice: At<Invoice>,
    pub amount: i64,
    pub at: i64,
    /// The invoice's status after the allocation.
    pub status: InvoiceStatus,
}

/// Money of a note paid out, or the try of it.
#[derive(Clone, Debug)]
pub struct LinkedRefund {
    pub transaction: At<Transaction>,
    pub amount: i64,
    pub at: i64,
}

/// A demand taken back.
#[derive(Clone, Debug)]
pub struct CreditNote {
    pub id: String,
    pub stamp: Stamp,
    pub customer: At<Customer>,
    pub subscription: Option<At<Subscription>>,
    pub invoice: At<Invoice>,
    pub kind: NoteKind,
    pub status: NoteStatus,
    pub reason: Reason,
    pub date: i64,
    pub refunded_at: Option<i64>,
    pub voided_at: Option<i64>,
    pub price_type: PriceType,
    pub currency: Currency,
    pub lines: Vec<Line>,
    pub taxes: Vec<TaxTotal>,
    pub line_taxes: Vec<LineTax>,
    pub sub_total: i64,
    pub tax: i64,
    pub total: i64,
    pub allocated: i64,
    pub refunded: i64,
    pub available: i64,
    pub allocations: Vec<Allocation>,
    pub refunds: Vec<LinkedRefund>,
}

//! Which row changed, and how? One event per change of a row; the list of them is what happened.
use super::{
    model::{CreditNote, Customer, Invoice, Subscription, Transaction},
    side::Side,
    table::At,
    words::What,
};

/// A kind of row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// `Customer`.
    Customers,
    /// `Subscription`.
    Subscriptions,
    /// `Invoice`.
    Invoices,
    /// `CreditNote`.
    CreditNotes,
    /// `Transaction`.
    Transactions,
    /// `side::Body`.
    PaymentSources,
    /// `side::Body`.
    Orders,
    /// `side::Body`.
    Quotes,
    /// `side::Body`.
    Usages,
    /// `side::Body`.
    VirtualBankAccounts,
    /// `side::Body`.
    HostedPages,
    /// `side::Body`.
    PromotionalCredits,
    /// `side::Body`.
    Comments,
    /// `side::Body`.
    UnbilledCharges,
    /// `side::Body`.
    Gifts,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Customers,
        Self::Subscriptions,
        Self::Invoices,
        Self::CreditNotes,
        Self::Transactions,
        Self::PaymentSources,
        Self::Orders,
        Self::Quotes,
        Self::Usages,
        Self::VirtualBankAccounts,
        Self::HostedPages,
        Self::PromotionalCredits,
        Self::Comments,
        Self::UnbilledCharges,
        Self::Gifts,
    ];
    /// Plural: the name of its list and its stream.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Subscriptions => "subscriptions",
            Self::Invoices => "invoices",
            Self::CreditNotes => "credit_notes",
            Self::Transactions => "transactions",
            Self::PaymentSources => "payment_sources",
            Self::Orders => "orders",
            Self::Quotes => "quotes",
            Self::Usages => "usages",
            Self::VirtualBankAccounts => "virtual_bank_accounts",
            Self::HostedPages => "hosted_pages",
            Self::PromotionalCredits => "promotional_credits",
            Self::Comments => "comments",
            Self::UnbilledCharges => "unbilled_charges",
            Self::Gifts => "gifts",
        }
    }
    /// Singular: the name of one.
    pub const fn singular(self) -> &'static str {
        match self {
            Self::Customers => "customer",
            Self::Subscriptions => "subscription",
            Self::Invoices => "invoice",
            Self::CreditNotes => "credit_note",
            Self::Transactions => "transaction",
            Self::PaymentSources => "payment_source",
            Self::Orders => "order",
            Self::Quotes => "quote",
            Self::Usages => "usage",
            Self::VirtualBankAccounts => "virtual_bank_account",
            Self::HostedPages => "hosted_page",
            Self::PromotionalCredits => "promotional_credit",
            Self::Comments => "comment",
            Self::UnbilledCharges => "unbilled_charge",
            Self::Gifts => "gift",
        }
    }
}

impl Row {
    /// What kind of row it is.
    pub fn resource(self) -> Resource {
        match self {
            Self::Customer(_) => Resource::Customers,
            Self::Subscription(_) => Resource::Subscriptions,
            Self::Invoice(_) => Resource::Invoices,
            Self::CreditNote(_) => Resource::CreditNotes,
            Self::Transaction(_) => Resource::Transactions,
            Self::Side(resource, _) => resource,
        }
    }
    /// Its position in its table, from 0.
    pub fn number(self) -> usize {
        match self {
            Self::Customer(at) => at.number(),
            Self::Subscription(at) => at.number(),
            Self::Invoice(at) => at.number(),
            Self::CreditNote(at) => at.number(),
            Self::Transaction(at) => at.number(),
            Self::Side(_, at) => at.number(),
        }
    }
}

/// Any row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Row {
    Customer(At<Customer>),
    Subscription(At<Subscription>),
    Invoice(At<Invoice>),
    CreditNote(At<CreditNote>),
    Transaction(At<Transaction>),
    Side(Resource, At<Side>),
}

/// One change of one row.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub at: i64,
    pub row: Row,
    pub what: What,
}

//! What else does a site keep beside its billing core? Plain rows of the smaller resources, all in one table.
//! Absent: behaviour (see `aside`) and anything of a provider's wire format.
use super::{
    event::Resource,
    model::{Customer, Invoice, Line, LineTax, PriceType, Row, Stamp, Subscription},
    table::At,
};
use crate::sim::money::{Currency, Dec};

/// One row of a smaller resource.
#[derive(Clone, Debug)]
pub struct Side {
    pub id: String,
    pub stamp: Stamp,
    pub customer: At<Customer>,
    /// `created_at`, or the document's date. Never changes.
    pub created_at: i64,
    pub body: Body,
}

/// What only rows of its resource have.
#[derive(Clone, Debug)]
pub enum Body {
    PaymentSource(PaymentSource),
    Order(Order),
    Quote(Quote),
    Usage(Usage),
    VirtualAccount(VirtualAccount),
    HostedPage(HostedPage),
    Movement(Movement),
    Comment(Comment),
    UnbilledCharge(UnbilledCharge),
    Gift(Gift),
}

impl Body {
    /// What kind of row it is.
    pub fn resource(&self) -> Resource {
        match self {
            Self::PaymentSource(_) => Resource::PaymentSources,
            Self::Order(_) => Resource::Orders,
            Self::Quote(_) => Resource::Quotes,
            Self::Usage(_) => Resource::Usages,
            Self::VirtualAccount(_) => Resource::VirtualBankAccounts,
            Self::HostedPage(_) => Resource::HostedPages,
            Self::Movement(_) => Resource::PromotionalCredits,
            Self::Comment(_) => Resource::Comments,
            Self::UnbilledCharge(_) => Resource::UnbilledCharges,
            Self::Gift(_) => Resource::Gifts,
        }
    }
}

/// What can be charged.
#[derive(Clone, Debug)]
pub struct PaymentSource {
    pub means: Means,
    pub status: &'static str,
    pub gateway: &'static str,
    pub reference: String,
}

/// How a source pays.
#[derive(Clone, Debug)]
pub enum Means {
    /// Last four digits, month and year of expiry.
    Card { last4: String, month: i64, year: i64 },
    /// Name of the bank, last four digits, mandate.
    Bank { bank: &'static str, last4: String, mandate: String },
    /// Address of the wallet.
    Wallet { email: String },
}

/// Goods on their way.
#[derive(Clone, Debug)]
pub struct Order {
    pub invoice: At<Invoice>,
    pub status: &'static str,
    pub paid: bool,
    pub price_type: PriceType,
    pub currency: Currency,
    pub shipping_date: Option<i64>,
    pub shipped_at: Option<i64>,
    pub delivered_at: Option<i64>,
    pub cancelled_at: Option<i64>,
    pub lines: Vec<OrderLine>,
}

/// One line of an order.
#[derive(Clone, Debug)]
pub struct OrderLine {
    pub id: String,
    /// The invoice's line: what it bills, for how much.
    pub line: Line,
}

impl Order {
    /// (sub-total, discount, tax, total).
    pub fn totals(&self) -> (i64, i64, i64, i64) {
        let sum = |of: fn(&Line) -> i64| self.lines.iter().map(|l| of(&l.line)).sum::<i64>();
        let discount = sum(|l| l.discount + l.item_discount);
        let (sub_total, tax) = (sum(|l| l.amount) - discount, sum(|l| l.tax));
        let added = if self.price_type == PriceType::Exclusive { tax } else { 0 };
        (sub_total, discount, tax, sub_total + added)
    }
}

/// An offer.
#[derive(Clone, Debug)]
pub struct Quote {
    pub subscription: Option<At<Subscription>>,
    pub invoice: Option<At<Invoice>>,
    pub status: &'static str,
    pub operation: &'static str,
    pub valid_till: i64,
    pub price_type: PriceType,
    pub currency: Currency,
    pub lines: Vec<Line>,
    pub revision: i64,
    /// Custom fields: (name, JSON value).
    pub custom: Vec<(&'static str, String)>,
}

impl Quote {
    /// Lines of some offers are taxed at nothing; else quotes of this world have neither tax nor discount.
    pub fn line_taxes(&self) -> Vec<LineTax> {
        let taxed = self.lines.iter().filter_map(|l| Some((l, l.tax_rate?)));
        taxed
            .map(|(l, rate)| LineTax {
                line: l.id.clone(),
                name: "Zero rate",
                rate,
                taxable: l.amount,
                amount: 0,
            })
            .collect()
    }
    /// Sum of the lines.
    pub fn total(&self) -> i64 {
        self.lines.iter().map(|l| l.amount).sum()
    }
}

/// Something measured.
#[derive(Clone, Debug)]
pub struct Usage {
    /// The invoice that bills it, once there is one, and its line.
    pub billed: Option<(At<Invoice>, String)>,
    pub subscription: At<Subscription>,
    pub price_id: String,
    pub quantity: Dec,
    pub note: Option<String>,
}

/// An account number of the customer's own, to transfer money to.
#[derive(Clone, Debug)]
pub struct VirtualAccount {
    pub scheme: &'static str,
    pub account: String,
    pub routing: Option<String>,
}

/// A page that the provider shows to a customer.
#[derive(Clone, Debug)]
pub struct HostedPage {
    pub kind: &'static str,
    pub state: &'static str,
    pub subscription: Option<At<Subscription>>,
    pub invoice: Option<At<Invoice>>,
    pub expires_at: i64,
    pub pass_thru: Option<String>,
}

/// Promotional credit given or used. Never changes.
#[derive(Clone, Debug)]
pub struct Movement {
    /// Negative when used.
    pub amount: i64,
    pub closing: i64,
    pub currency: Currency,
    pub credit_type: &'static str,
    pub description: String,
    pub reference: Option<String>,
}

/// What somebody wrote about a row. Never changes.
#[derive(Clone, Debug)]
pub struct Comment {
    pub about: Row,
    pub notes: String,
    /// None: the system.
    pub author: Option<String>,
}

/// A charge that waits for the next invoice. Billed ones are gone: no list shows them.
#[derive(Clone, Debug)]
pub struct UnbilledCharge {
    pub subscription: At<Subscription>,
    pub currency: Currency,
    pub price_id: String,
    pub name: &'static str,
    pub unit: Dec,
    pub amount: i64,
    pub voided_at: Option<i64>,
}

/// A subscription given to somebody.
#[derive(Clone, Debug)]
pub struct Gift {
    pub subscription: At<Subscription>,
    /// What the giver paid, once it is billed.
    pub invoice: Option<At<Invoice>>,
    pub status: &'static str,
    pub email: String,
    pub expires_at: i64,
    /// (status, since).
    pub timeline: Vec<(&'static str, i64)>,
}

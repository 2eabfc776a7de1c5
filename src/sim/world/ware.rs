//! What is for sale? Plain rows: families, items, prices, coupons. How they change: `shop`.
use super::{
    catalog::{ItemKind, Period},
    model::Stamp,
};
use crate::sim::money::{Currency, Dec};

/// A kind of thing for sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WareKind {
    /// A group of items.
    Family,
    /// A plan, addon or charge.
    Item,
    /// What an item costs in one currency and period.
    Price,
    /// A discount.
    Coupon,
}

/// Where a thing for sale stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WareStatus {
    /// For sale.
    Active,
    /// No longer for sale, still in use.
    Archived,
    /// Gone.
    Deleted,
}

impl WareStatus {
    /// `active`, `archived`, `deleted`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Archived => "archived",
            Self::Deleted => "deleted",
        }
    }
}

/// One step of a price that depends on the quantity.
#[derive(Clone, Debug)]
pub struct Tier {
    /// First unit.
    pub from: i64,
    /// Last unit; None: no end.
    pub to: Option<i64>,
    /// Major units, of one unit, of a package, or of the whole step.
    pub price: Dec,
    /// Units in a package, when it is priced by package.
    pub package: Option<i64>,
}

/// How a price is made.
#[derive(Clone, Debug)]
pub enum Pricing {
    /// For everything.
    Flat(Dec),
    /// For one unit.
    PerUnit(Dec),
    /// By quantity: `tiered`, `volume` or `stairstep`.
    Tiers(&'static str, Vec<Tier>),
}

/// What kinds of things differ in.
#[derive(Clone, Debug)]
pub enum Details {
    /// A family.
    Family { description: Option<String> },
    /// An item.
    Item {
        family: String,
        kind: ItemKind,
        metered: bool,
        unit: Option<&'static str>,
        /// JSON text.
        meta: Option<String>,
        /// Custom fields: (`cf_` name, JSON value).
        custom: Vec<(&'static str, String)>,
    },
    /// A price.
    Price {
        item: String,
        family: String,
        kind: ItemKind,
        currency: Currency,
        /// None: charged once.
        period: Option<Period>,
        pricing: Pricing,
        trial_days: Option<i64>,
        /// (sku, account) for bookkeeping.
        account: Option<(&'static str, &'static str)>,
    },
    /// A coupon.
    Coupon {
        /// Per cent, else an amount.
        percentage: Option<Dec>,
        amount: Option<(i64, Currency)>,
        /// Months; None: for ever.
        months: Option<i64>,
        valid_till: Option<i64>,
        max_redemptions: Option<i64>,
        /// For some items only.
        specific: bool,
    },
}

/// One thing for sale.
#[derive(Clone, Debug)]
pub struct Ware {
    pub id: String,
    pub name: String,
    pub stamp: Stamp,
    pub created_at: i64,
    pub status: WareStatus,
    pub archived_at: Option<i64>,
    pub details: Details,
}

impl Ware {
    /// What kind of thing it is.
    pub fn kind(&self) -> WareKind {
        match self.details {
            Details::Family { .. } => WareKind::Family,
            Details::Item { .. } => WareKind::Item,
            Details::Price { .. } => WareKind::Price,
            Details::Coupon { .. } => WareKind::Coupon,
        }
    }
}

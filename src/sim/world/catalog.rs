//! What can be bought, where people live, what they are called: the tables behind the world. Pure data and lookups.
use crate::sim::money::{Currency, Dec};

/// How often a subscription is billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Every month.
    Monthly,
    /// Every three months.
    Quarterly,
    /// Every year.
    Yearly,
}

impl Period {
    /// Length in months.
    pub const fn months(self) -> u32 {
        match self {
            Self::Monthly => 1,
            Self::Quarterly => 3,
            Self::Yearly => 12,
        }
    }
    /// (count, unit) as providers say it.
    pub const fn count_and_unit(self) -> (i64, &'static str) {
        match self {
            Self::Monthly => (1, "month"),
            Self::Quarterly => (3, "month"),
            Self::Yearly => (1, "year"),
        }
    }
    const fn word(self) -> &'static str {
        match self {
            Self::Monthly => "Monthly",
            Self::Quarterly => "Quarterly",
            Self::Yearly => "Yearly",
        }
    }
    /// Months that are paid: a year costs ten.
    const fn paid_months(self) -> i128 {
        match self {
            Self::Monthly => 1,
            Self::Quarterly => 3,
            Self::Yearly => 10,
        }
    }
}

/// Whether a thing is the plan, comes on top, or is paid once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// The main item of a subscription.
    Plan,
    /// On top of a plan, every period.
    Addon,
    /// Once.
    Charge,
}

impl ItemKind {
    /// `plan`, `addon`, `charge`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Addon => "addon",
            Self::Charge => "charge",
        }
    }
}

/// The catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// Cheap plan, flat.
    Basic,
    /// Dear plan, flat.
    Pro,
    /// People who may log in, per unit.
    Seats,
    /// Calls at a price with eight decimals, per unit.
    ApiCalls,
    /// Paid once, at the start.
    Setup,
}

impl Item {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Basic, Self::Pro, Self::Seats, Self::ApiCalls, Self::Setup];
    /// Plan, addon or charge.
    pub const fn kind(self) -> ItemKind {
        match self {
            Self::Basic | Self::Pro => ItemKind::Plan,
            Self::Seats | Self::ApiCalls => ItemKind::Addon,
            Self::Setup => ItemKind::Charge,
        }
    }
    /// For people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Basic => "Basic plan",
            Self::Pro => "Pro plan \u{2014} \"unlimited\"",
            Self::Seats => "Seats",
            Self::ApiCalls => "API calls",
            Self::Setup => "Setup fee",
        }
    }
    /// Its id.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Pro => "pro",
            Self::Seats => "seats",
            Self::ApiCalls => "api-calls",
            Self::Setup => "setup",
        }
    }
    /// The price's id: `pro-EUR-Yearly`; a charge has no period.
    pub fn price_id(self, period: Period, currency: Currency) -> String {
        match self.kind() {
            ItemKind::Charge => format!("{}-{}", self.slug(), currency.code()),
            ItemKind::Plan | ItemKind::Addon => {
                format!("{}-{}-{}", self.slug(), currency.code(), period.word())
            }
        }
    }
    /// Price of one unit for one period, in major units.
    pub fn unit_price(self, period: Period, currency: Currency) -> Dec {
        let [usd, eur, jpy] = match self {
            Self::Basic => [Dec::new(2_900, 2), Dec::new(2_700, 2), Dec::new(3_200, 0)],
            Self::Pro => [Dec::new(9_950, 2), Dec::new(8_999, 2), Dec::new(11_111, 0)],
            Self::Seats => [Dec::new(705, 2), Dec::new(649, 2), Dec::new(777, 0)],
            Self::ApiCalls => [Dec::new(12_345, 8), Dec::new(11_789, 8), Dec::new(31, 0)],
            Self::Setup => [Dec::new(4_900, 2), Dec::new(4_500, 2), Dec::new(5_000, 0)],
        };
        let one = match currency {
            Currency::Usd => usd,
            Currency::Eur => eur,
            Currency::Jpy => jpy,
        };
        match self {
            Self::Basic | Self::Pro | Self::Seats => one.times(Dec::new(period.paid_months(), 0)),
            Self::ApiCalls | Self::Setup => one,
        }
    }
    /// True when the price has more digits than the currency's minor unit.
    pub fn is_decimal(self, currency: Currency) -> bool {
        self == Self::ApiCalls && currency.exponent() > 0
    }
}

/// Ten percent off the document.
pub const DOCUMENT_COUPON: &str = "SAVE10";
/// Fifteen percent off seats.
pub const ITEM_COUPON: &str = "SEATS15";

/// A tax: name and percent.
pub type Tax = (&'static str, Dec);

/// Where a customer lives, and what follows from it.
#[derive(Debug)]
pub struct Country {
    /// ISO 3166 alpha-2.
    pub iso2: &'static str,
    /// As Billsby spells it.
    pub text: &'static str,
    /// With the plus sign.
    pub dial: &'static str,
    /// What its customers pay in.
    pub currency: Currency,
    /// (name, code) of its state, where there are states.
    pub state: Option<(&'static str, &'static str)>,
    /// City names.
    pub cities: [&'static str; 3],
    /// On taxed lines.
    pub taxes: &'static [Tax],
    /// Totals end in a multiple of this many minor units.
    pub cash_step: i64,
}

/// Where customers live.
pub static COUNTRIES: [Country; 5] = [
    Country {
        iso2: "US",
        text: "USA",
        dial: "+1",
        currency: Currency::Usd,
        state: Some(("New York", "NY")),
        cities: ["New York", "Buffalo", "O'Fallon"],
        taxes: &[("State Tax", Dec::new(4, 0)), ("County Tax", Dec::new(4_875, 3))],
        cash_step: 1,
    },
    Country {
        iso2: "CA",
        text: "Canada",
        dial: "+1",
        currency: Currency::Usd,
        state: None,
        cities: ["Montr\u{e9}al", "Toronto", "Gander"],
        taxes: &[],
        cash_step: 1,
    },
    Country {
        iso2: "DE",
        text: "Germany",
        dial: "+49",
        currency: Currency::Eur,
        state: None,
        cities: ["Berlin", "K\u{f6}ln", "M\u{fc}nchen"],
        taxes: &[("MwSt", Dec::new(19, 0))],
        cash_step: 1,
    },
    Country {
        iso2: "NL",
        text: "Netherlands",
        dial: "+31",
        currency: Currency::Eur,
        state: None,
        cities: ["Utrecht", "'s-Hertogenbosch", "Delft"],
        taxes: &[("BTW", Dec::new(21, 0))],
        cash_step: 5,
    },
    Country {
        iso2: "JP",
        text: "Japan",
        dial: "+81",
        currency: Currency::Jpy,
        state: None,
        cities: ["\u{6771}\u{4eac}", "Osaka", "Sapporo"],
        taxes: &[("\u{6d88}\u{8cbb}\u{7a0e}", Dec::new(10, 0))],
        cash_step: 1,
    },
];

/// Given names.
pub const FIRST_NAMES: &[&str] = &[
    "Ada",
    "Zo\u{eb}",
    "\u{141}ukasz",
    "Mary-Jane",
    "Ng\u{169}g\u{129}",
    "\u{592a}\u{90ce}",
    "Olu",
    "S\u{f8}ren",
    "Ines",
    "Ravi",
    "Chlo\u{e9}",
    "Bo",
    "Noor",
    "\u{b9}Test",
    "Mar\u{ed}a",
    "Kai",
];
/// Family names.
pub const LAST_NAMES: &[&str] = &[
    "Lovelace",
    "O'Brien",
    "van der Berg",
    "Kowalski",
    "\u{5c71}\u{7530}",
    "Smith\\Jones",
    "D\u{ed}az",
    "N\u{fa}\u{f1}ez",
    "Okafor",
    "Singh",
    "M\u{fc}ller",
    "Li",
    "\"Quote\"",
    "St. John",
    "Haddad",
    "Berg",
];
/// Company names; the number of the customer is appended.
pub const COMPANIES: &[&str] =
    &["Acme", "Tide & Gate", "Caf\u{e9} Nord", "Nul,Byte", "Harbor\tWorks", "\u{1f30a} Surf"];
/// Street names.
pub const STREETS: &[&str] = &["Harbor Rd", "Gro\u{df}e Str.", "Quay <1>", "Mole \u{b7} A"];

//! Which troubles can be switched on? Names, values, one line each.
use crate::{
    error::{Error, Kind, Result},
    yaml::suggest,
};

/// One trouble. Written `name` or `name=value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knob {
    /// Old rows, in percent, lack `updated_at` and `resource_version`.
    NoUpdatedAt(u32),
    /// A third of the rows share their seconds with many others.
    SameSecond,
    /// Seconds for which lists hide a change; retrieves do not.
    LateVisible(u32),
    /// Rows change, come and go before every list request.
    Moving,
    /// Records come again on the next page.
    DuplicatePage,
    /// Some bodies end in the middle.
    CutBody,
    /// One 401 in the middle of a scan.
    UnauthorizedOnce,
    /// Storms of 429 with `Retry-After` in seconds.
    Throttle,
    /// Storms of 429 without `Retry-After`.
    ThrottleBare,
    /// Storms of 429 with `Retry-After` as an HTTP date.
    ThrottleDate,
    /// Some 500, 502 (HTML) and 503.
    ServerErrors,
    /// One HTML page with status 200.
    Html200,
    /// Every object has fields that no documentation mentions.
    SchemaAdditions,
    /// Records, in a thousand, with a wrong type in a declared field.
    WrongTypes(u32),
    /// Lines of a document that lists show; longer ones are cut and name the next line.
    CutLines(u32),
    /// The `Date` header jumps.
    ClockStep,
    /// Requests per trailing minute; beyond it everything is 429.
    RateLimit(u32),
}

impl Knob {
    /// Every knob with its usual value, and what it does.
    pub const ALL: &[(Self, &'static str)] = &[
        (Self::NoUpdatedAt(30), "this many percent of old rows lack updated_at and resource_version"),
        (Self::SameSecond, "a third of the rows share their creation and change seconds with many others"),
        (Self::LateVisible(120), "lists hide every change for this many seconds; retrieves do not"),
        (Self::Moving, "rows change, come and go before every list request"),
        (Self::DuplicatePage, "the last records of a page come again on the next one"),
        (Self::CutBody, "some answers end in the middle of their body"),
        (Self::UnauthorizedOnce, "one 401 in the middle of a scan"),
        (Self::Throttle, "storms of 429 with Retry-After in seconds"),
        (Self::ThrottleBare, "storms of 429 without Retry-After"),
        (Self::ThrottleDate, "storms of 429 with Retry-After as an HTTP date"),
        (Self::ServerErrors, "some answers are 500, 502 (an HTML page) or 503"),
        (Self::Html200, "one answer is an HTML page with status 200"),
        (Self::SchemaAdditions, "every object has fields that no documentation mentions"),
        (Self::WrongTypes(20), "this many records in a thousand have a wrong type in a declared field"),
        (Self::CutLines(3), "documents with more lines than this are shown without the rest of them"),
        (Self::ClockStep, "the Date header jumps by minutes, hours and days"),
        (Self::RateLimit(150), "more than this many requests in a trailing minute are answered 429"),
    ];

    /// The word it is written with.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoUpdatedAt(_) => "no_updated_at",
            Self::SameSecond => "same_second",
            Self::LateVisible(_) => "late_visible",
            Self::Moving => "moving",
            Self::DuplicatePage => "duplicate_page",
            Self::CutBody => "cut_body",
            Self::UnauthorizedOnce => "unauthorized_once",
            Self::Throttle => "throttle",
            Self::ThrottleBare => "throttle_bare",
            Self::ThrottleDate => "throttle_date",
            Self::ServerErrors => "server_errors",
            Self::Html200 => "html_200",
            Self::SchemaAdditions => "schema_additions",
            Self::WrongTypes(_) => "wrong_types",
            Self::CutLines(_) => "cut_lines",
            Self::ClockStep => "clock_step",
            Self::RateLimit(_) => "rate_limit",
        }
    }

    /// `moving`, `rate_limit=60`; `Invalid` for an unknown name, a bad number, or a value where there is none.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let Some((knob, _)) = Self::ALL.iter().find(|(knob, _)| knob.name() == name) else {
            let names = Self::ALL.iter().map(|(knob, _)| knob.name());
            return Err(Error::new(Kind::Invalid, format!("there is no trouble called `{name}`"))
                .hint(suggest(name, names.chain(["all"]))));
        };
        let Some(value) = value else {
            return Ok(*knob);
        };
        let bad = || Error::new(Kind::Invalid, format!("`{value}` is not a value of `{name}`"));
        let number: u32 = value.parse().map_err(|e| bad().because(e))?;
        match knob {
            Self::NoUpdatedAt(_) if number <= 100 => Ok(Self::NoUpdatedAt(number)),
            Self::LateVisible(_) => Ok(Self::LateVisible(number)),
            Self::WrongTypes(_) if number <= 1_000 => Ok(Self::WrongTypes(number)),
            Self::CutLines(_) if number > 0 => Ok(Self::CutLines(number)),
            Self::RateLimit(_) if number > 0 => Ok(Self::RateLimit(number)),
            _ => Err(bad()),
        }
    }
}

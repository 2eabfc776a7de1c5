//! What does a list request ask for? Parses and proves its parameters; unknown ones are ignored, as Chargebee does.
use super::shelf::{Filter, Key, Order, Span};
use crate::sim::world::Resource;

/// A list request.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) filter: Filter,
    pub(super) order: Order,
    pub(super) ascending: bool,
    pub(super) limit: usize,
    pub(super) start: Option<Key>,
}

/// A parameter with a value that it cannot have: name and sentence.
#[derive(Clone, Debug)]
pub(super) struct Wrong {
    pub(super) param: String,
    pub(super) message: String,
}

pub(super) fn wrong(param: &str, message: impl Into<String>) -> Wrong {
    Wrong { param: param.to_owned(), message: message.into() }
}

/// The name of the immutable time field of a resource.
fn created_field(resource: Resource) -> &'static str {
    match resource {
        Resource::Customers | Resource::Subscriptions => "created_at",
        Resource::Invoices | Resource::CreditNotes | Resource::Transactions => "date",
    }
}

impl List {
    /// Fails on the first parameter with a wrong value.
    pub(super) fn parse(resource: Resource, query: &[(String, String)]) -> Result<Self, Wrong> {
        let filter = Filter {
            created: Span::ALL,
            updated: Span::ALL,
            has_updated: None,
            has_created: None,
            deleted: false,
        };
        let mut list = Self { filter, order: Order::Created, ascending: true, limit: 10, start: None };
        for (name, value) in query {
            match name.as_str() {
                "limit" => list.limit = limit(value)?,
                "offset" => list.start = Some(offset(value)?),
                "include_deleted" => list.filter.deleted = value.eq_ignore_ascii_case("true"),
                "sort_by[asc]" | "sort_by[desc]" => {
                    list.order = order(resource, name, value)?;
                    list.ascending = name == "sort_by[asc]";
                }
                _ => list.field(resource, name, value)?,
            }
        }
        Ok(list)
    }

    fn field(&mut self, resource: Resource, name: &str, value: &str) -> Result<(), Wrong> {
        let Some((field, operator)) = name.strip_suffix(']').and_then(|n| n.split_once('[')) else {
            return Ok(());
        };
        let filter = &mut self.filter;
        let (span, has) = if field == "updated_at" {
            (&mut filter.updated, &mut filter.has_updated)
        } else if field == created_field(resource) {
            (&mut filter.created, &mut filter.has_created)
        } else {
            return Ok(());
        };
        match operator {
            "between" => *span = span.and(between(name, value)?),
            "after" => *span = span.and(Span { from: seconds(name, value)?.saturating_add(1), ..Span::ALL }),
            "before" => *span = span.and(Span { to: seconds(name, value)?.saturating_sub(1), ..Span::ALL }),
            "is_present" => *has = Some(boolean(name, value)?),
            _ => {}
        }
        Ok(())
    }
}

pub(super) fn limit(value: &str) -> Result<usize, Wrong> {
    let number = value.parse().ok().filter(|n| (1..=100).contains(n));
    number.ok_or_else(|| wrong("limit", "limit : should be between 1 and 100"))
}

fn offset(value: &str) -> Result<Key, Wrong> {
    let parts: Option<(String, String)> = serde_json::from_str(value).ok();
    let key = parts.and_then(|(ms, row)| Some((ms.parse::<i64>().ok()? / 1_000, row.parse().ok()?)));
    key.ok_or_else(|| wrong("offset", "offset : is not a valid offset"))
}

fn order(resource: Resource, name: &str, value: &str) -> Result<Order, Wrong> {
    match (value, resource) {
        (field, _) if field == created_field(resource) => Ok(Order::Created),
        ("updated_at", Resource::CreditNotes) => Err(wrong(name, "sort_by : should be one of date")),
        ("updated_at", _) => Ok(Order::Updated),
        _ => Err(wrong(name, format!("sort_by : should be one of {}, updated_at", created_field(resource)))),
    }
}

pub(super) fn seconds(name: &str, value: &str) -> Result<i64, Wrong> {
    let number = value.trim_matches(|c: char| c.is_whitespace() || c == '\'' || c == '"').parse();
    number.map_err(|_| wrong(name, format!("{name} : should be a timestamp in seconds")))
}

/// `[1,2]`, `["1","2"]` and `['1', '2']`; both ends included.
pub(super) fn between(name: &str, value: &str) -> Result<Span, Wrong> {
    let inner = value.trim().strip_prefix('[').and_then(|v| v.strip_suffix(']'));
    let (from, to) = inner
        .and_then(|v| v.split_once(','))
        .ok_or_else(|| wrong(name, format!("{name} : should be an array of two timestamps")))?;
    Ok(Span { from: seconds(name, from)?, to: seconds(name, to)? })
}

pub(super) fn boolean(name: &str, value: &str) -> Result<bool, Wrong> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(wrong(name, format!("{name} : should be true or false"))),
    }
}

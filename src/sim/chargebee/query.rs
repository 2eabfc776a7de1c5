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

/// What a resource's list takes.
#[derive(Clone, Copy, Debug)]
struct Rules {
    /// Filter on the immutable time field.
    created: Option<&'static str>,
    /// `sort_by` values.
    sorts: &'static [&'static str],
    /// Filter on `updated_at`.
    updated: bool,
    /// `include_deleted`; lists without it show deleted rows always.
    deleted: bool,
}

const fn rules(resource: Resource) -> Rules {
    let (created, sorts, updated, deleted): (Option<&str>, &[&str], bool, bool) = match resource {
        Resource::Customers | Resource::Subscriptions | Resource::PaymentSources | Resource::Orders => {
            (Some("created_at"), &["created_at", "updated_at"], true, true)
        }
        Resource::Invoices | Resource::Transactions => (Some("date"), &["date", "updated_at"], true, true),
        Resource::CreditNotes | Resource::Quotes => (Some("date"), &["date"], true, true),
        Resource::Usages => (Some("usage_date"), &["usage_date", "updated_at"], true, false),
        Resource::VirtualBankAccounts => (Some("created_at"), &[], true, false),
        Resource::HostedPages => (None, &[], true, false),
        Resource::PromotionalCredits => (Some("created_at"), &[], false, false),
        Resource::Comments => (Some("created_at"), &["created_at"], false, false),
        Resource::UnbilledCharges => (None, &[], false, true),
        Resource::Gifts => (None, &[], false, false),
    };
    Rules { created, sorts, updated, deleted }
}

/// Whether a single row can be asked for by its id alone.
pub(super) fn has_retrieve(resource: Resource) -> bool {
    !matches!(resource, Resource::Usages | Resource::UnbilledCharges)
}

impl List {
    /// Fails on the first parameter with a wrong value.
    pub(super) fn parse(resource: Resource, query: &[(String, String)]) -> Result<Self, Wrong> {
        let filter = Filter {
            created: Span::ALL,
            updated: Span::ALL,
            has_updated: None,
            has_created: None,
            deleted: !rules(resource).deleted,
        };
        let mut list = Self { filter, order: Order::Created, ascending: true, limit: 10, start: None };
        for (name, value) in query {
            match name.as_str() {
                "limit" => list.limit = limit(value)?,
                "offset" => list.start = Some(offset(value)?),
                "include_deleted" if rules(resource).deleted => {
                    list.filter.deleted = value.eq_ignore_ascii_case("true");
                }
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
        let rules = rules(resource);
        let (span, has) = if field == "updated_at" && rules.updated {
            (&mut filter.updated, &mut filter.has_updated)
        } else if rules.created == Some(field) {
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

/// Which lines of a document a retrieve asks for: (first, at most). `usual` where it does not say.
pub(super) fn lines(query: &[(String, String)], usual: (usize, usize)) -> Result<(usize, usize), Wrong> {
    let (mut first, mut most) = usual;
    for (name, value) in query {
        let number = || value.parse::<usize>().map_err(|_| wrong(name, format!("{name} : is not valid")));
        match name.as_str() {
            "line_items_offset" => first = number()?,
            "line_items_limit" => most = number().map(|n| n.clamp(1, 300))?,
            _ => {}
        }
    }
    Ok((first, most))
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
    let sorts = rules(resource).sorts;
    match value {
        "updated_at" if sorts.contains(&value) => Ok(Order::Updated),
        _ if sorts.contains(&value) => Ok(Order::Created),
        _ if sorts.is_empty() => Err(wrong(name, "sort_by : is not allowed here")),
        _ => Err(wrong(name, format!("sort_by : should be one of {}", sorts.join(", ")))),
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

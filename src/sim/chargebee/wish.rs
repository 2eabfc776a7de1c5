//! What does a request for a list of the catalog or the log ask for? Filters and sort keys per list; unknown
//! parameters and filters without an operator are ignored, as Chargebee does.
use super::{
    query::{Wrong, between, boolean, limit, seconds, wrong},
    shelf::Span,
};

/// What one list allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// The time that may be filtered on.
    pub(super) time: &'static str,
    /// Fields that may be sorted by; the first is the order without `sort_by`, creation when there is none.
    pub(super) sorts: &'static [&'static str],
    /// Text fields that may be filtered on.
    pub(super) words: &'static [&'static str],
    /// `include_deleted` counts.
    pub(super) deletes: bool,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) limit: usize,
    /// Sort value and row number of the last row seen.
    pub(super) start: Option<(String, usize)>,
    pub(super) sort: Option<&'static str>,
    pub(super) ascending: bool,
    pub(super) deleted: bool,
    span: Span,
    present: Option<bool>,
    /// (field, whether one of them must or must not stand there, texts).
    words: Vec<(&'static str, bool, Vec<String>)>,
}

impl Wish {
    /// Fails on the first parameter with a value that it cannot have.
    pub(super) fn parse(rules: Rules, query: &[(String, String)]) -> Result<Self, Wrong> {
        let mut wish = Self {
            limit: 10,
            start: None,
            sort: rules.sorts.first().copied().filter(|_| rules.time == "occurred_at"),
            ascending: true,
            deleted: false,
            span: Span::ALL,
            present: None,
            words: Vec::new(),
        };
        for (name, value) in query {
            match name.as_str() {
                "limit" => wish.limit = limit(value)?,
                "offset" => wish.start = Some(offset(value)?),
                "include_deleted" if rules.deletes => wish.deleted = value.eq_ignore_ascii_case("true"),
                "sort_by[asc]" | "sort_by[desc]" => {
                    wish.sort = Some(sort(rules, name, value)?);
                    wish.ascending = name == "sort_by[asc]";
                }
                _ => wish.field(rules, name, value)?,
            }
        }
        Ok(wish)
    }

    fn field(&mut self, rules: Rules, name: &str, value: &str) -> Result<(), Wrong> {
        let Some((field, operator)) = name.strip_suffix(']').and_then(|n| n.split_once('[')) else {
            return Ok(());
        };
        if field == rules.time {
            let span = &mut self.span;
            match operator {
                "between" => *span = span.and(between(name, value)?),
                "after" => {
                    *span = span.and(Span { from: seconds(name, value)?.saturating_add(1), ..Span::ALL });
                }
                "before" => {
                    *span = span.and(Span { to: seconds(name, value)?.saturating_sub(1), ..Span::ALL });
                }
                "is_present" => self.present = Some(boolean(name, value)?),
                _ => {}
            }
            return Ok(());
        }
        let Some(field) = rules.words.iter().copied().find(|w| *w == field) else { return Ok(()) };
        match operator {
            "is" => self.words.push((field, true, vec![value.to_owned()])),
            "is_not" => self.words.push((field, false, vec![value.to_owned()])),
            "in" => self.words.push((field, true, texts(name, value)?)),
            "not_in" => self.words.push((field, false, texts(name, value)?)),
            _ => {}
        }
        Ok(())
    }

    /// Whether a row passes the filters. `time`: None when it has none; then a filter on it drops the row.
    pub(super) fn keeps(&self, time: Option<i64>, word: impl Fn(&str) -> String) -> bool {
        let in_time = self.span == Span::ALL || time.is_some_and(|t| self.span.holds(t));
        in_time
            && self.present.is_none_or(|present| present == time.is_some())
            && self.words.iter().all(|(field, must, texts)| texts.contains(&word(field)) == *must)
    }

    /// The closed range of seconds that is asked for.
    pub(super) fn span(&self) -> Span {
        self.span
    }
}

fn sort(rules: Rules, name: &str, value: &str) -> Result<&'static str, Wrong> {
    let known = rules.sorts.iter().copied().find(|s| *s == value);
    known.ok_or_else(|| wrong(name, format!("sort_by : should be one of {}", rules.sorts.join(", "))))
}

fn offset(value: &str) -> Result<(String, usize), Wrong> {
    let parts: Option<(String, String)> = serde_json::from_str(value).ok();
    let start = parts.and_then(|(key, row)| Some((key, row.parse().ok()?)));
    start.ok_or_else(|| wrong("offset", "offset : is not a valid offset"))
}

/// `["a","b"]`, `['a', 'b']` and `[a,b]`.
fn texts(name: &str, value: &str) -> Result<Vec<String>, Wrong> {
    let inner = value.trim().strip_prefix('[').and_then(|v| v.strip_suffix(']'));
    let inner = inner.ok_or_else(|| wrong(name, format!("{name} : should be an array of texts")))?;
    let bare =
        |text: &str| text.trim_matches(|c: char| c.is_whitespace() || c == '\'' || c == '"').to_owned();
    Ok(inner.split(',').map(bare).collect())
}

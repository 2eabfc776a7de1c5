//! What is known to be wrong with rows, and since when? One store of values that became NULL and of violated rules.
//!
//! An issue is open until it is resolved; then it stays as a fact of the past. Decides nothing about what is wrong.
use super::Commit;
use crate::{decode::Issue, time::Timestamp};
use arrow::{array::AsArray, datatypes::TimestampMicrosecondType};
use std::collections::{HashMap, HashSet};

/// One issue as a destination keeps it. At most one of a key is open.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StoredIssue {
    /// What is violated: a rule of a proof, or why a value did not fit.
    pub rule: String,
    /// `hard`: numbers built on it are wrong. `soft`: worth a look.
    pub severity: String,
    /// Unified table.
    pub entity: String,
    /// Row.
    pub id: String,
    /// The column that became NULL; empty for a violated rule.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub column: String,
    /// Of the amounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// What the rule asks for.
    pub expected: Option<String>,
    /// What the data says.
    pub actual: Option<String>,
    /// `actual - expected`, when both are numbers: plain decimal text.
    pub delta: Option<String>,
    /// One sentence; may be empty.
    pub message: String,
    /// When it was first found.
    pub first_seen: Option<Timestamp>,
    /// When it was found to hold again; None while it is open.
    pub resolved_at: Option<Timestamp>,
}

/// Entity, id, rule, column: what makes an issue the same one.
pub type IssueKey = (String, String, String, String);

impl StoredIssue {
    /// What makes it the same one.
    pub fn key(&self) -> IssueKey {
        (self.entity.clone(), self.id.clone(), self.rule.clone(), self.column.clone())
    }
    /// Whether a value became NULL, as opposed to a violated rule.
    pub fn is_value(&self) -> bool {
        !self.column.is_empty()
    }
    /// A value that became NULL in a commit.
    fn of_value(issue: &Issue, at: Option<Timestamp>) -> Self {
        Self {
            rule: issue.rule.clone(),
            severity: "soft".into(),
            entity: issue.entity.clone(),
            id: issue.id.clone(),
            column: issue.column.clone(),
            currency: None,
            expected: None,
            actual: None,
            delta: None,
            message: issue.message.clone(),
            first_seen: at,
            resolved_at: None,
        }
    }
}

/// The issues of a commit, first seen when its newest record was asked for.
pub(super) fn of_commit(commit: &Commit) -> Vec<StoredIssue> {
    let asked = commit.rows.as_ref().and_then(|rows| {
        let column = rows.main.column_by_name("observed_at")?;
        column.as_primitive_opt::<TimestampMicrosecondType>()?.iter().flatten().max()
    });
    commit.issues.iter().map(|issue| StoredIssue::of_value(issue, asked.map(Timestamp))).collect()
}

/// Issues as they were written one after the other; an open one that several commits met stands once.
pub(super) fn gather(stored: &mut Vec<StoredIssue>, written: Vec<StoredIssue>) {
    let mut open: HashSet<IssueKey> =
        stored.iter().filter(|i| i.resolved_at.is_none()).map(StoredIssue::key).collect();
    stored.extend(written.into_iter().filter(|i| i.resolved_at.is_some() || open.insert(i.key())));
}

/// Puts issues into a store, one of each key: an open one of the same key is brought up to date and keeps when it was
/// first seen; one that is not stored open is added, unless it is resolved already.
pub(super) fn put(stored: &mut Vec<StoredIssue>, issues: impl IntoIterator<Item = StoredIssue>) {
    let open = stored.iter().enumerate().filter(|(_, i)| i.resolved_at.is_none());
    let mut places: HashMap<IssueKey, usize> = open.map(|(at, issue)| (issue.key(), at)).collect();
    for issue in issues {
        let key = issue.key();
        match places.get(&key).and_then(|at| stored.get_mut(*at)) {
            Some(known) => {
                let first_seen = known.first_seen.or(issue.first_seen);
                if issue.resolved_at.is_some() {
                    places.remove(&key);
                }
                *known = StoredIssue { first_seen, ..issue };
            }
            None if issue.resolved_at.is_none() => {
                places.insert(key, stored.len());
                stored.push(issue);
            }
            None => {}
        }
    }
}

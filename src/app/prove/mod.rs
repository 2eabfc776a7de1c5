//! `tidegate prove`: do the stored rows agree with each other? Runs every rule that the pipeline's tables allow, keeps
//! what does not hold as quality issues, and resolves what holds again. Absent on purpose: the source; see `verify`.
mod questions;

pub use crate::load::StoredIssue;
pub use questions::{HISTORY_RULE, Question, Questions, RULES, questions};

use super::{project::Project, query::Reader, store::Store};
use crate::{
    entity::Entity,
    error::{Error, Kind, Result},
    id::Owner,
    load::{Destination, IssueKey},
    pipeline::Pipeline,
    time::Clock,
};
use arrow::{
    array::{Array, AsArray, RecordBatch},
    compute::cast,
    datatypes::DataType,
};
use questions::NEED_ALL;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Findings of one question that are read; of the rules that a longer answer may hold nothing is resolved.
const FINDINGS_MAX: usize = 20_000;
/// Ids in one question about values.
const IDS_MAX: usize = 500;

/// What a proof found.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Proven {
    /// Which pipeline.
    pub pipeline: String,
    /// Rules and tables asked: how many questions.
    pub questions: usize,
    /// What does not hold now, by rule, table and id.
    pub findings: Vec<StoredIssue>,
    /// Of these, how many no earlier proof had found.
    pub new: usize,
    /// What did not hold and holds again.
    pub resolved: Vec<StoredIssue>,
    /// Values that became NULL and still are.
    pub values: Vec<StoredIssue>,
    /// Rules that say nothing here, because the pipeline has a `start`.
    pub not_judged: Vec<&'static str>,
    /// Records in quarantine: what they would have said is missing, and rules may show it.
    pub quarantined: u64,
}

impl Proven {
    /// Whether every rule holds. Values that became NULL are known and said; they do not count.
    pub fn holds(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Proves one pipeline's rows and keeps what it found. Takes the connection's lock: no sync runs meanwhile.
pub async fn prove<C: Clock>(project: &Project, pipeline: &Pipeline, clock: &C) -> Result<Proven> {
    let fed = fed(project, pipeline)?;
    let mut store = project.synced(pipeline).await?;
    store.open(&pipeline.owner, &project.entities(pipeline)?).await?;
    let work = async {
        // A sync that died before it published is finished first.
        for stream in &project.connector(pipeline)?.streams {
            store.publish(&stream.name).await?;
        }
        store.renew_models().await?;
        let reader = Reader::open(project, pipeline).await?;
        settled(&mut store, &reader, pipeline, &fed, clock).await
    };
    let proven = work.await;
    store.close().await?;
    proven
}

async fn settled<C: Clock>(
    store: &mut Store,
    reader: &Reader,
    pipeline: &Pipeline,
    fed: &[Arc<Entity>],
    clock: &C,
) -> Result<Proven> {
    let questions = questions(fed, &|entity| reader.history(entity));
    let Answers { mut found, cut, follows } = findings(reader, &questions.asked, &pipeline.owner).await?;
    let not_judged = if pipeline.start.is_some() { NEED_ALL.to_vec() } else { Vec::new() };
    found.retain(|issue| !not_judged.contains(&issue.rule.as_str()));
    // What was not asked, or not to the end, is not known to hold again.
    let mut known_rules: BTreeSet<&str> = questions.asked.iter().flat_map(|q| q.rules).copied().collect();
    known_rules.retain(|r| !questions.left_out.contains(r) && !cut.contains(r) && !not_judged.contains(r));
    let stored = store.issues(&pipeline.owner).await?;
    let now = clock.now();
    let keys: BTreeSet<_> = found.iter().map(StoredIssue::key).collect();
    let known: BTreeMap<_, _> =
        stored.iter().filter(|i| i.resolved_at.is_none()).map(|i| (i.key(), i)).collect();
    let still = null_values(reader, fed, &stored, &pipeline.owner).await?;
    let mut proven = Proven {
        pipeline: pipeline.name.clone(),
        questions: questions.asked.len(),
        findings: Vec::new(),
        new: keys.iter().filter(|key| !known.contains_key(*key)).count(),
        resolved: Vec::new(),
        values: Vec::new(),
        not_judged,
        quarantined: store.rejects(&pipeline.owner).await?.len() as u64,
    };
    for issue in found {
        let first_seen = known.get(&issue.key()).and_then(|k| k.first_seen).or(Some(now));
        proven.findings.push(StoredIssue { first_seen, ..issue });
    }
    for (key, issue) in known {
        let holds = if !fed.iter().any(|entity| entity.name == issue.entity) {
            false
        } else if issue.is_value() {
            !still.contains(&key)
        } else {
            known_rules.contains(issue.rule.as_str()) && !keys.contains(&key) && !follows.contains(&key)
        };
        match (holds, issue.is_value()) {
            (true, _) => proven.resolved.push(StoredIssue { resolved_at: Some(now), ..issue.clone() }),
            (false, true) => proven.values.push(issue.clone()),
            (false, false) => {}
        }
    }
    let changed = proven.findings.iter().chain(&proven.resolved).cloned().collect();
    store.settle_issues(changed).await?;
    Ok(proven)
}

/// The tables that the pipeline's streams feed, children as they hang on their parents: a table fed by two streams
/// stands twice.
fn fed(project: &Project, pipeline: &Pipeline) -> Result<Vec<Arc<Entity>>> {
    let connector = project.connector(pipeline)?;
    let wanted = |name: &String| pipeline.streams.as_ref().is_none_or(|asked| asked.contains(name));
    let streams = connector.streams.iter().filter(|s| wanted(&s.name));
    Ok(streams.flat_map(|s| s.feeds.iter().map(|feed| Arc::clone(&feed.entity))).collect())
}

/// What the questions found.
pub struct Answers {
    /// Violations, once each.
    pub found: Vec<StoredIssue>,
    /// Rules of questions with more answers than are kept.
    pub cut: BTreeSet<&'static str>,
    /// Violations that only follow from another one.
    pub follows: BTreeSet<IssueKey>,
}

/// The violations of one owner.
pub async fn findings(reader: &Reader, questions: &[Question], owner: &Owner) -> Result<Answers> {
    let (mut found, mut cut) = (BTreeMap::new(), BTreeSet::new());
    for Question { sql, rules } in questions {
        let sql = format!(
            "select rule, severity, entity, id, cast(currency as text) as currency, cast(expected as text) as expected, \
             cast(actual as text) as actual, cast(delta as text) as delta, message from (\n{sql}) p \
             where tenant_id = '{}' and connection_id = '{}' order by entity, id, rule, message limit {FINDINGS_MAX}",
            owner.tenant, owner.connection
        );
        let rows = violations(&reader.query(&sql).await?)?;
        if rows.len() == FINDINGS_MAX {
            cut.extend(*rules);
        }
        for issue in rows {
            let message = issue.message.clone();
            let known = found.entry(issue.key()).or_insert(issue);
            if known.message != message && !message.is_empty() {
                known.message = format!("{}; {message}", known.message);
            }
        }
    }
    // A row that stands twice breaks the sums it is part of: that follows, and is not said again.
    let doubled: BTreeSet<(String, String)> =
        found.values().filter(|i| i.rule == "K1").map(|i| (i.entity.clone(), i.id.clone())).collect();
    let follows: BTreeMap<_, _> = found
        .extract_if(.., |_, i| i.rule != "K1" && doubled.contains(&(i.entity.clone(), i.id.clone())))
        .collect();
    let mut all: Vec<StoredIssue> = found.into_values().collect();
    all.sort_by(|a, b| (&a.rule, &a.entity, &a.id).cmp(&(&b.rule, &b.entity, &b.id)));
    Ok(Answers { found: all, cut, follows: follows.into_keys().collect() })
}

fn violations(batches: &[RecordBatch]) -> Result<Vec<StoredIssue>> {
    let mut all = Vec::new();
    for batch in batches {
        let column = |name: &str| -> Result<Arc<dyn Array>> {
            let unknown = || Error::new(Kind::Bug, "a proof lacks a column").with("column", name);
            let column = batch.column_by_name(name).ok_or_else(unknown)?;
            cast(column, &DataType::Utf8).map_err(|e| unknown().because(e))
        };
        let names =
            ["rule", "severity", "entity", "id", "currency", "expected", "actual", "delta", "message"];
        let columns = names.iter().map(|name| column(name)).collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            let mut cells = columns.iter().map(|c| {
                let texts = c.as_string_opt::<i32>().filter(|c| c.is_valid(row));
                texts.map(|c| c.value(row).to_owned())
            });
            let mut next = || cells.next().flatten();
            let (rule, severity, entity, id) = (next(), next(), next(), next());
            let (currency, expected, actual, delta) = (next(), next(), next(), next());
            all.push(StoredIssue {
                rule: rule.unwrap_or_default(),
                severity: severity.unwrap_or_default(),
                entity: entity.unwrap_or_default(),
                id: id.unwrap_or_default(),
                column: String::new(),
                currency,
                expected: expected.map(|t| plain(&t)),
                actual: actual.map(|t| plain(&t)),
                delta: delta.map(|t| plain(&t)),
                message: next().unwrap_or_default(),
                first_seen: None,
                resolved_at: None,
            });
        }
    }
    Ok(all)
}

/// A decimal without trailing zeros, and without a point when none is needed; other text as it is.
fn plain(text: &str) -> String {
    let decimal = text.contains('.') && text.bytes().all(|b| b.is_ascii_digit() || b"-.".contains(&b));
    if decimal { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
}

/// Keys of the open value issues whose column is still NULL.
async fn null_values(
    reader: &Reader,
    fed: &[Arc<Entity>],
    stored: &[StoredIssue],
    owner: &Owner,
) -> Result<BTreeSet<IssueKey>> {
    let mut asked: BTreeMap<(&str, &str), Vec<&StoredIssue>> = BTreeMap::new();
    for issue in stored.iter().filter(|i| i.is_value() && i.resolved_at.is_none()) {
        let entity = fed.iter().find(|e| e.name == issue.entity);
        if entity.is_some_and(|e| e.column(&issue.column).is_some()) {
            asked.entry((&issue.entity, &issue.column)).or_default().push(issue);
        }
    }
    let mut still = BTreeSet::new();
    for ((entity, column), issues) in asked {
        for some in issues.chunks(IDS_MAX) {
            let ids: Vec<String> = some.iter().map(|i| format!("'{}'", i.id.replace('\'', "''"))).collect();
            let sql = format!(
                "select id from {entity} where tenant_id = '{}' and connection_id = '{}' and {column} is null \
                 and id in ({})",
                owner.tenant,
                owner.connection,
                ids.join(", ")
            );
            for batch in reader.query(&sql).await? {
                let found = batch.column_by_name("id").and_then(|c| c.as_string_opt::<i32>());
                let found: BTreeSet<&str> = found.into_iter().flatten().flatten().collect();
                still.extend(some.iter().filter(|i| found.contains(i.id.as_str())).map(|i| i.key()));
            }
        }
    }
    Ok(still)
}

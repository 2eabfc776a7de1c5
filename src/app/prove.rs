//! `tidegate prove`: do the stored rows agree with each other? Runs every rule that the pipeline's tables allow, keeps
//! what does not hold as quality issues, and resolves what holds again. Absent on purpose: the source; see `verify`.
use super::{project::Project, query::Reader, store::Store};
pub use crate::load::StoredIssue;
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
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Findings of one question that are read; of the rules that a longer answer may hold nothing is resolved.
const FINDINGS_MAX: usize = 20_000;
/// Ids in one question about values.
const IDS_MAX: usize = 500;

/// What each rule says.
pub const RULES: [(&str, &str); 29] = [
    ("D1", "invoice: total = sub_total + tax (none when prices include it) + round_off"),
    ("D2", "document: sub_total = line amounts after discounts"),
    ("D3_tax", "invoice: its taxes sum to the header"),
    ("D3_discount", "invoice: its discounts sum to the header"),
    ("D4_tax", "invoice: tax of the lines sums to the header"),
    ("D4_discount", "invoice: discounts of the lines sum to the header"),
    ("D4_net", "invoice: net amounts of the lines sum to the header"),
    ("D4_total", "credit note: totals of the lines sum to the header"),
    ("D5", "invoice: balance = total - paid - credits - adjustments - withheld"),
    ("D6", "invoice: amount_paid = payments applied"),
    ("D7", "invoice: refunds never exceed what was paid and credited"),
    ("D8_balance", "a void invoice owes nothing"),
    ("D8_allocations", "a void invoice keeps no payment or credit"),
    ("D11", "a number stands on one invoice"),
    ("D12", "what belongs together is in one currency"),
    ("C1", "payment: amount = applied + unapplied + refunded from the unapplied part"),
    ("C1_failed", "a payment that did not succeed settles nothing"),
    ("C2", "credit note: total = allocated + refunded + available"),
    ("C2_void", "a void credit note gives nothing"),
    ("C2_allocated", "credit note: its allocations sum to the header"),
    ("C3", "refunds of a payment never exceed it"),
    ("C3_refunds", "payment: its refunds sum to the header"),
    ("C3_refunded", "credit note: its refunds sum to the header"),
    ("C4", "customer: promotional credit = movements of promotional credit"),
    ("A2", "invoice: what happened to it adds up to its balance"),
    ("M1", "MRR: opening and movements are the closing"),
    ("M2", "MRR: the closing is the month's MRR"),
    ("S3", "what a row names is there"),
    ("K1", "an id stands once in its table"),
];
/// Beside `RULES`, because it is about the store, not about billing.
pub const HISTORY_RULE: (&str, &str) = ("H1", "the current row is the newest one of history");

/// Questions over fixed tables, each with the tables without which it makes no sense.
const PROOFS: [(&str, &[&str]); 8] = [
    (include_str!("../../pipelines/proofs/invoices.sql"), &["invoices", "credit_notes", "customers"]),
    (include_str!("../../pipelines/proofs/payments.sql"), &["payments", "invoices", "credit_notes"]),
    (include_str!("../../pipelines/proofs/credit_notes.sql"), &["credit_notes"]),
    (include_str!("../../pipelines/proofs/receivables.sql"), &["invoices", "credit_notes"]),
    (
        include_str!("../../pipelines/proofs/movements.sql"),
        &["invoices", "credit_notes", "subscriptions", "customers", "payments"],
    ),
    (include_str!("../../pipelines/proofs/numbers.sql"), &["invoices"]),
    (include_str!("../../pipelines/proofs/currencies.sql"), &["invoices", "credit_notes", "payments"]),
    (include_str!("../../pipelines/proofs/promotional_credits.sql"), &["promotional_credits", "customers"]),
];
const KEYS: &str = include_str!("../../pipelines/proofs/keys.sql");
const PARENTS: &str = include_str!("../../pipelines/proofs/parents.sql");
const HISTORY: &str = include_str!("../../pipelines/proofs/history.sql");

/// Columns that name a row of another table, beside those of children: (table, column, other table).
const REFERENCES: [(&str, &str, &str); 12] = [
    ("subscriptions", "customer_id", "customers"),
    ("invoices", "customer_id", "customers"),
    ("payments", "customer_id", "customers"),
    ("credit_notes", "customer_id", "customers"),
    ("invoices", "subscription_id", "subscriptions"),
    ("credit_notes", "invoice_id", "invoices"),
    ("credit_allocations", "invoice_id", "invoices"),
    ("payment_allocations", "invoice_id", "invoices"),
    ("payment_allocations", "payment_id", "payments"),
    ("payments", "refund_of", "payments"),
    ("refunds", "payment_id", "payments"),
    ("refunds", "invoice_id", "invoices"),
];

/// Rules that hold only where all documents are there: with a `start`, an older one may be named or be part of a sum.
const NEED_ALL: [&str; 3] = ["S3", "C1", "C4"];

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
    let mut store = project.store(pipeline).await?;
    if store.peek(&pipeline.owner).await?.is_none_or(|opened| opened.commit_no == 0) {
        return Err(Error::new(Kind::Invalid, "nothing was synced yet, so there is nothing to prove")
            .with("pipeline", &pipeline.name)
            .hint(format!("tidegate sync {}", pipeline.name)));
    }
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
    let Answers { mut found, cut, follows } = findings(reader, &questions, &pipeline.owner).await?;
    let not_judged = if pipeline.start.is_some() { NEED_ALL.to_vec() } else { Vec::new() };
    found.retain(|issue| !not_judged.contains(&issue.rule.as_str()));
    let stored = store.issues(&pipeline.owner).await?;
    let now = clock.now();
    let keys: BTreeSet<_> = found.iter().map(StoredIssue::key).collect();
    let known: BTreeMap<_, _> =
        stored.iter().filter(|i| i.resolved_at.is_none()).map(|i| (i.key(), i)).collect();
    let still = null_values(reader, fed, &stored, &pipeline.owner).await?;
    let mut proven = Proven {
        pipeline: pipeline.name.clone(),
        questions: questions.len(),
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
            // What was not asked, or not to the end, is not known to hold again.
            let whole =
                answered(&issue.rule, &questions, &cut) && !proven.not_judged.contains(&issue.rule.as_str());
            whole && !keys.contains(&key) && !follows.contains(&key)
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

/// Whether a rule was asked and its answer read to the end. A question names its rules, or leaves that to a model.
fn answered(rule: &str, questions: &[String], cut: &[String]) -> bool {
    let literal = format!("'{rule}'");
    let named = |all: &[String]| all.iter().any(|sql| sql.contains(&literal));
    let ours = PROOFS.iter().map(|(sql, _)| *sql).chain([PARENTS, KEYS, HISTORY]);
    if ours.into_iter().any(|sql| sql.contains(&literal)) {
        named(questions) && !named(cut)
    } else {
        cut.is_empty()
    }
}

/// The tables that the pipeline's streams feed, children as they hang on their parents: a table fed by two streams
/// stands twice.
fn fed(project: &Project, pipeline: &Pipeline) -> Result<Vec<Arc<Entity>>> {
    let connector = project.connector(pipeline)?;
    let wanted = |name: &String| pipeline.streams.as_ref().is_none_or(|asked| asked.contains(name));
    let streams = connector.streams.iter().filter(|s| wanted(&s.name));
    Ok(streams.flat_map(|s| s.feeds.iter().map(|feed| Arc::clone(&feed.entity))).collect())
}

/// Every question that these tables allow: a SELECT whose rows are violations. `history`: what a table's history is
/// called where the question is asked.
pub fn questions(fed: &[Arc<Entity>], history: &dyn Fn(&str) -> String) -> Vec<String> {
    let has = |table: &str| fed.iter().any(|e| e.name == table);
    let fixed = PROOFS.iter().filter(|(_, needs)| needs.iter().all(|need| has(need)));
    let mut all: Vec<String> = fixed.map(|(sql, _)| (*sql).to_owned()).collect();
    let own = fed.iter().filter_map(|e| Some((e.name.as_str(), e.parent.as_ref()?)));
    let own = own.map(|(child, parent)| (child, parent.column.as_str(), parent.entity.as_str()));
    let references: BTreeSet<_> =
        own.chain(REFERENCES).filter(|(child, _, parent)| has(child) && has(parent)).collect();
    for (child, column, parent) in references {
        let sql = PARENTS.replace("{entity}", child).replace("{column}", column);
        all.push(sql.replace("{parent}", parent));
    }
    let tables: BTreeMap<&str, &Arc<Entity>> = fed.iter().map(|e| (e.name.as_str(), e)).collect();
    for (name, entity) in tables {
        all.push(KEYS.replace("{entity}", name));
        let sql = HISTORY.replace("{entity}", name).replace("{history}", &history(name));
        all.push(sql.replace("{differs}", &differs(entity)));
    }
    all
}

/// `c.x is distinct from h.x or ..` over every column. `json` of Postgres knows no equality, its text does.
fn differs(entity: &Entity) -> String {
    let schema = entity.schema();
    let json = |name: &str| entity.column(name).is_some_and(|c| c.ty == crate::entity::ColumnType::Json);
    let one = |name: &String| match json(name) {
        true => format!("(cast(c.{name} as text) is distinct from cast(h.{name} as text))"),
        false => format!("(c.{name} is distinct from h.{name})"),
    };
    schema.fields().iter().map(|f| one(f.name())).collect::<Vec<_>>().join("\n    or ")
}

/// What the questions found.
pub struct Answers {
    /// Violations, once each.
    pub found: Vec<StoredIssue>,
    /// Questions with more answers than are kept.
    pub cut: Vec<String>,
    /// Violations that only follow from another one.
    pub follows: BTreeSet<IssueKey>,
}

/// The violations of one owner.
pub async fn findings(reader: &Reader, questions: &[String], owner: &Owner) -> Result<Answers> {
    let (mut found, mut cut) = (BTreeMap::new(), Vec::new());
    for question in questions {
        let sql = format!(
            "select rule, severity, entity, id, cast(currency as text) as currency, cast(expected as text) as expected, \
             cast(actual as text) as actual, cast(delta as text) as delta, message from (\n{question}) p \
             where tenant_id = '{}' and connection_id = '{}' order by entity, id, rule, message limit {FINDINGS_MAX}",
            owner.tenant, owner.connection
        );
        let rows = violations(&reader.query(&sql).await?)?;
        if rows.len() == FINDINGS_MAX {
            cut.push(question.clone());
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

//! Which derived tables are there, what do they mean, and how does a destination get them?
//!
//! One SQL text per model serves DataFusion and Postgres; its header comment is its documentation. Knows no data and
//! runs nothing.
use crate::error::{Error, Kind, Result};
use std::fmt::Write as _;

/// In dependency order: a model reads tables and models above it.
const FILES: [(&str, &str); 23] = [
    ("data_as_of", include_str!("../pipelines/models/data_as_of.sql")),
    ("v_invoices", include_str!("../pipelines/models/v_invoices.sql")),
    ("ar_open", include_str!("../pipelines/models/ar_open.sql")),
    ("invoiced_by_month", include_str!("../pipelines/models/invoiced_by_month.sql")),
    ("reconcile_invoices", include_str!("../pipelines/models/reconcile_invoices.sql")),
    ("reconcile_payments", include_str!("../pipelines/models/reconcile_payments.sql")),
    ("reconcile_credit_notes", include_str!("../pipelines/models/reconcile_credit_notes.sql")),
    ("mrr_months", include_str!("../pipelines/models/mrr_months.sql")),
    ("price_facts", include_str!("../pipelines/models/price_facts.sql")),
    ("mrr_segments", include_str!("../pipelines/models/mrr_segments.sql")),
    ("mrr_monthly", include_str!("../pipelines/models/mrr_monthly.sql")),
    ("mrr_movements", include_str!("../pipelines/models/mrr_movements.sql")),
    ("v_subscriptions", include_str!("../pipelines/models/v_subscriptions.sql")),
    ("v_subscription_items", include_str!("../pipelines/models/v_subscription_items.sql")),
    ("v_payments", include_str!("../pipelines/models/v_payments.sql")),
    ("v_credit_notes", include_str!("../pipelines/models/v_credit_notes.sql")),
    ("v_invoice_line_items", include_str!("../pipelines/models/v_invoice_line_items.sql")),
    ("v_credit_note_line_items", include_str!("../pipelines/models/v_credit_note_line_items.sql")),
    ("ar_events", include_str!("../pipelines/models/ar_events.sql")),
    ("ar_aging", include_str!("../pipelines/models/ar_aging.sql")),
    ("collection_curve", include_str!("../pipelines/models/collection_curve.sql")),
    ("scheduled_billing", include_str!("../pipelines/models/scheduled_billing.sql")),
    ("cash_forecast", include_str!("../pipelines/models/cash_forecast.sql")),
];

/// One derived table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// View name.
    pub name: String,
    /// What one row is.
    pub grain: String,
    /// Definition, in sentences.
    pub meaning: String,
    /// Tables and models it reads.
    pub needs: Vec<String>,
    /// Name and meaning of each column, in order.
    pub columns: Vec<(String, String)>,
    /// One SELECT; the same rows on DataFusion and Postgres. Tables are named without a schema.
    pub sql: String,
}

/// Every model, in the order in which views must be made. Fails `Bug` when an embedded header is malformed.
pub fn all() -> Result<Vec<Model>> {
    FILES.iter().map(|(name, text)| Model::parse(name, text)).collect()
}

/// The models whose needs exist among `tables` or among the fitting models before them.
///
/// A destination that holds only customers has no invoices table, hence no invoice models.
pub fn fitting(tables: &[&str]) -> Result<Vec<Model>> {
    let mut fit: Vec<Model> = Vec::new();
    for model in all()? {
        let has = |need: &String| tables.contains(&need.as_str()) || fit.iter().any(|m| m.name == *need);
        if model.needs.iter().all(has) {
            fit.push(model);
        }
    }
    Ok(fit)
}

/// SQL script that makes or renews the views in Postgres' schema `billing`; run it in one transaction.
///
/// A view whose columns changed their order or type cannot be replaced in place: Postgres then refuses, and the view
/// has to be dropped first.
pub fn postgres_script(models: &[Model]) -> String {
    let mut script = String::from("set local search_path = billing;\n");
    for model in models {
        let name = &model.name;
        let meaning = quoted(&format!("{} Grain: {}.", model.meaning, model.grain));
        let _ = writeln!(script, "create or replace view billing.{name} as\n{};", model.sql);
        let _ = writeln!(script, "comment on view billing.{name} is {meaning};");
        for (column, meaning) in &model.columns {
            let _ = writeln!(script, "comment on column billing.{name}.{column} is {};", quoted(meaning));
        }
    }
    script
}

impl Model {
    /// Name and text, as a query engine registers it.
    pub fn view(&self) -> (&str, &str) {
        (&self.name, &self.sql)
    }

    /// Whether it gives the column by an expression of its own, not as a table has it.
    pub fn computes(&self, column: &str) -> bool {
        let named = format!(" as {column}");
        let ends = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        self.sql.match_indices(&named).any(|(at, _)| {
            self.sql.get(at + named.len()..).is_some_and(|rest| rest.is_empty() || rest.starts_with(ends))
        })
    }

    /// The model as if the data ended on that day: one SELECT, for a model that takes its day from `data_as_of`.
    pub fn as_of(&self, day: chrono::NaiveDate) -> String {
        format!(
            "with data_as_of as (select tenant_id, connection_id, cast('{day}' as date) as as_of from data_as_of)\n\
             select * from (\n{}) dated",
            self.sql
        )
    }

    /// Splits a model file into header and SELECT. Fails `Bug` on a missing part or when the file's name differs.
    fn parse(file: &str, text: &str) -> Result<Self> {
        let bad = |what: &str| Error::new(Kind::Bug, what).with("model", file);
        let header: Vec<&str> = text.lines().map_while(|l| l.strip_prefix("--")).collect();
        let sql: Vec<&str> = text.lines().skip(header.len()).collect();
        let (head, columns) = header
            .iter()
            .position(|l| l.trim() == "columns:")
            .and_then(|at| Some((header.get(..at)?, header.get(at + 1..)?)))
            .ok_or_else(|| bad("model header lacks `columns:`"))?;
        let field =
            |key: &str| field(head, key).ok_or_else(|| bad("model header lacks a field").with("field", key));
        let name = field("name")?;
        if name != file {
            return Err(bad("model's name is not its file's name").with("name", name));
        }
        let column = |line: &&str| {
            let (name, meaning) = line.split_once(':')?;
            Some((name.trim().to_owned(), meaning.trim().to_owned()))
        };
        Ok(Self {
            name,
            grain: field("grain")?,
            meaning: field("meaning")?,
            needs: field("needs")?.split(',').map(|n| n.trim().to_owned()).collect(),
            columns: columns
                .iter()
                .map(column)
                .collect::<Option<_>>()
                .ok_or_else(|| bad("model column has no meaning"))?,
            sql: sql.join("\n"),
        })
    }
}

/// `key: value` and the indented lines that continue it.
fn field(head: &[&str], key: &str) -> Option<String> {
    let mut lines = head.iter().skip_while(|l| !l.trim().starts_with(&format!("{key}:")));
    let first = lines.next()?.trim().strip_prefix(key)?.strip_prefix(':')?.trim();
    let rest = lines.take_while(|l| l.starts_with("   ")).map(|l| l.trim());
    Some(std::iter::once(first).chain(rest).collect::<Vec<_>>().join(" "))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

//! `tidegate report`: the models as a person asks for them, of one pipeline, never over currencies.
use super::{project::Project, query::Reader};
use crate::{
    error::{Error, Kind, Result},
    model,
    pipeline::Pipeline,
};
use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::Date32Type,
};
use chrono::NaiveDate;

/// Which report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds {
    /// Monthly recurring revenue per month.
    Mrr {
        /// How many of the last months.
        months: u32,
    },
    /// Why it changed.
    Movements {
        /// How many of the last months.
        months: u32,
    },
    /// What is owed, by age.
    Aging {
        /// At the end of this day; None: the last day the data speaks of.
        as_of: Option<NaiveDate>,
    },
    /// Cash to be expected per week.
    Cash,
    /// What does not add up.
    Reconcile,
}

/// An answer and how to draw it.
#[derive(Clone, Debug)]
pub struct Report {
    /// What it shows, in words.
    pub title: &'static str,
    /// Rows, at least one batch.
    pub batches: Vec<RecordBatch>,
    /// The column that a bar stands for, when there is one.
    pub bar: Option<&'static str>,
    /// What to say when there are no rows.
    pub none: &'static str,
}

impl Kinds {
    fn parts(self) -> (&'static str, &'static str, Option<&'static str>, &'static str) {
        match self {
            Self::Mrr { .. } => (
                include_str!("../../pipelines/reports/mrr.sql"),
                "Monthly recurring revenue at the end of each month",
                Some("mrr"),
                "there is no recurring revenue in these months",
            ),
            Self::Movements { .. } => (
                include_str!("../../pipelines/reports/movements.sql"),
                "Why monthly recurring revenue changed: opening + movements = closing",
                Some("closing"),
                "there is no recurring revenue in these months",
            ),
            Self::Aging { .. } => (
                include_str!("../../pipelines/reports/aging.sql"),
                "Open invoices by days overdue",
                Some("balance"),
                "nothing was open on that day",
            ),
            Self::Cash => (
                include_str!("../../pipelines/reports/cash.sql"),
                "Cash to be expected: open invoices by the collection curve, and scheduled renewals",
                Some("expected"),
                "no cash is to be expected",
            ),
            Self::Reconcile => (
                include_str!("../../pipelines/reports/reconcile.sql"),
                "Documents that do not add up",
                None,
                "every invoice, payment and credit note adds up",
            ),
        }
    }
}

/// Asks the pipeline's destination. Fails `Invalid` for a day after the data's last, or when nothing was synced.
pub async fn report(
    project: &Project,
    pipeline: &Pipeline,
    kind: Kinds,
    currency: Option<&str>,
) -> Result<Report> {
    let reader = Reader::open(project, pipeline).await?;
    let owner = format!(
        "tenant_id = '{}' and connection_id = '{}'",
        pipeline.owner.tenant, pipeline.owner.connection
    );
    let last = last_day(&reader, &owner).await?.ok_or_else(|| {
        Error::new(Kind::Invalid, "nothing was synced yet")
            .with("pipeline", &pipeline.name)
            .hint(format!("tidegate sync {}", pipeline.name))
    })?;
    let (sql, title, bar, none) = kind.parts();
    let mut sql = sql.replace("{owner}", &owner);
    match kind {
        Kinds::Mrr { months } | Kinds::Movements { months } => {
            sql = sql.replace("{days}", &days_back(last, months).to_string());
        }
        Kinds::Aging { as_of } => {
            let day = as_of.unwrap_or(last);
            if day > last {
                return Err(Error::new(
                    Kind::Invalid,
                    format!("the data ends on {last}, {day} is not known yet"),
                )
                .hint(format!("--as-of {last}, or sync first")));
            }
            let aging = model::all()?.into_iter().find(|m| m.name == "ar_aging");
            let aging = aging.ok_or_else(|| Error::new(Kind::Bug, "there is no model ar_aging"))?;
            sql = sql.replace("{aging}", &aging.as_of(day));
        }
        Kinds::Cash | Kinds::Reconcile => {}
    }
    if let Some(currency) = currency {
        let currency = currency.to_uppercase().replace('\'', "''");
        // The order of an inner query is not promised, so it is asked for outside.
        let (inner, order) = sql.rsplit_once("order by").unwrap_or((&sql, "1"));
        sql = format!("select * from (\n{inner}) r where currency = '{currency}' order by {order}");
    }
    Ok(Report { title, batches: reader.query(&sql).await?, bar, none })
}

/// Days from the first of the month `months - 1` before that of `last` up to `last`, and one.
fn days_back(last: NaiveDate, months: u32) -> i64 {
    use chrono::Datelike;
    let first =
        last.with_day(1).and_then(|d| d.checked_sub_months(chrono::Months::new(months.saturating_sub(1))));
    first.map_or(i64::from(months) * 31, |first| last.signed_duration_since(first).num_days() + 1)
}

/// The day up to which the pipeline's data speaks. None when all its tables are empty.
async fn last_day(reader: &Reader, owner: &str) -> Result<Option<NaiveDate>> {
    let found = reader.query(&format!("select as_of from data_as_of where {owner}")).await?;
    let day = found.iter().filter_map(|batch| {
        let days = batch.column_by_name("as_of")?.as_primitive_opt::<Date32Type>()?;
        days.iter().flatten().next().and_then(Date32Type::to_naive_date_opt)
    });
    Ok(day.max())
}

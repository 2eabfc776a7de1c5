//! The month that a row of a unified table belongs to: how the lake is partitioned and how proofs are localized.
use arrow::{
    array::{Array, Date32Array, RecordBatch},
    datatypes::Date32Type,
};
use chrono::Datelike;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which month a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Month {
    /// The entity has no document date.
    Whole,
    /// The row has no date.
    Undated,
    /// Months since year 0.
    Of(i32),
}

impl Month {
    /// Of days since 1970.
    fn of_day(days: i32) -> Self {
        Date32Type::to_naive_date_opt(days).map_or(Self::Undated, |d| {
            Self::Of(d.year().saturating_mul(12).saturating_add(i32::try_from(d.month0()).unwrap_or(0)))
        })
    }
    /// The month of each row of a main table; children ask their parent.
    pub fn of_rows(entity: &super::Entity, rows: &RecordBatch) -> Vec<Self> {
        let Some(column) = &entity.month else { return vec![Self::Whole; rows.num_rows()] };
        let dates = rows.column_by_name(column).and_then(|c| c.as_any().downcast_ref::<Date32Array>());
        let Some(dates) = dates else { return vec![Self::Undated; rows.num_rows()] };
        dates.iter().map(|day| day.map_or(Self::Undated, Self::of_day)).collect()
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("whole"),
            Self::Undated => f.write_str("none"),
            Self::Of(n) => write!(f, "{:04}-{:02}", n.div_euclid(12), n.rem_euclid(12) + 1),
        }
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}

impl TryFrom<String> for Month {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "whole" => return Ok(Self::Whole),
            "none" => return Ok(Self::Undated),
            _ => {}
        }
        let parse = || {
            let (year, month) = text.rsplit_once('-')?;
            let (year, month): (i32, i32) = (year.parse().ok()?, month.parse().ok()?);
            (1..=12).contains(&month).then(|| Self::Of(year.saturating_mul(12).saturating_add(month - 1)))
        };
        parse().ok_or_else(|| format!("`{text}` is not a month"))
    }
}

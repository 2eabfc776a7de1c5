//! Where everything of a lake lies. Paths only; nothing is read or written here.
use crate::{entity::Entity, id::Owner};
use arrow::{
    array::{Array, Date32Array, RecordBatch},
    datatypes::Date32Type,
};
use chrono::Datelike;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Which current file a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) enum Month {
    /// The entity has one file.
    Whole,
    /// The row has no date.
    Undated,
    /// Months since year 0.
    Of(i32),
}

impl Month {
    /// Of days since 1970.
    pub(super) fn of_day(days: i32) -> Self {
        Date32Type::to_naive_date_opt(days).map_or(Self::Undated, |d| {
            Self::Of(d.year().saturating_mul(12).saturating_add(i32::try_from(d.month0()).unwrap_or(0)))
        })
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

/// The month of each row of a main table; children ask their parent.
pub(super) fn months(entity: &Entity, rows: &RecordBatch) -> Vec<Month> {
    let Some(column) = &entity.month else { return vec![Month::Whole; rows.num_rows()] };
    let dates = rows.column_by_name(column).and_then(|c| c.as_any().downcast_ref::<Date32Array>());
    let Some(dates) = dates else { return vec![Month::Undated; rows.num_rows()] };
    dates.iter().map(|day| day.map_or(Month::Undated, Month::of_day)).collect()
}

/// The paths of one owner in one lake.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) root: PathBuf,
    owner: PathBuf,
}

impl Layout {
    pub(super) fn new(root: &Path, owner: &Owner) -> Self {
        let folder = format!("tenant={}/connection={}", owner.tenant, owner.connection);
        Self { root: root.to_owned(), owner: PathBuf::from(folder) }
    }
    fn of(&self, layer: &str) -> PathBuf {
        self.root.join(layer).join(&self.owner)
    }
    /// State document, locks and runs.
    pub(super) fn state(&self, name: &str) -> PathBuf {
        self.of("_tidegate").join(name)
    }
    /// The folder of an entity's current files.
    pub(super) fn entity(&self, entity: &str) -> PathBuf {
        self.of(entity)
    }
    pub(super) fn current(&self, entity: &str, month: Month) -> PathBuf {
        let folder = self.entity(entity);
        match month {
            Month::Whole => folder.join(CURRENT),
            dated => folder.join(format!("month={dated}")).join(CURRENT),
        }
    }
    /// The folder of one entity's (`history`) or stream's (`raw`) immutable files, or of `rejects` and `issues`.
    pub(super) fn kept(&self, layer: &str, of: Option<&str>) -> PathBuf {
        let layer = self.root.join(layer);
        of.map_or_else(|| layer.clone(), |name| layer.join(name)).join(&self.owner)
    }
    pub(super) fn history(&self, entity: &str, name: &str) -> PathBuf {
        self.kept("history", Some(entity)).join(name)
    }
    pub(super) fn raw(&self, stream: &str, name: &str) -> PathBuf {
        self.kept("raw", Some(stream)).join(name)
    }
}

/// Name of every current file.
pub(super) const CURRENT: &str = "part-0.parquet";

/// Name of a commit's immutable files.
pub(super) fn commit_file(commit_no: i64) -> String {
    format!("c{commit_no:012}.parquet")
}

/// Name of a history file that a rebuild wrote aside: `nth` file of that epoch.
pub(super) fn aside_file(commit_no: i64, epoch: i64, nth: u64) -> String {
    format!("c{commit_no:012}-r{epoch}-{nth}.parquet")
}

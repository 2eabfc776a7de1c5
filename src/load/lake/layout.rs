//! Where everything of a lake lies. Paths only; nothing is read or written here.
use crate::id::Owner;
use std::path::{Path, PathBuf};

pub(super) use crate::entity::Month;

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

/// Name of a merged file that begins with the rows of that commit: `nth` of the epoch that fits.
pub(super) fn merged_file(commit_no: i64, epoch: i64, nth: u64) -> String {
    format!("c{commit_no:012}-m{epoch}-{nth}.parquet")
}

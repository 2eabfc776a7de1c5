//! The destination a pipeline names, whichever it is.
use crate::{
    entity::Entity,
    error::{Error, Kind, Result},
    id::Owner,
    load::{
        Change, Commit, Committed, Compacted, Destination, Diff, Entry, Erased, Erasure, Layer, Opened,
        RawRecord, Retained, See, StoredIssue, StoredReject, Upkeep, erase::Order, lake::Lake,
        postgres::Postgres,
    },
    model,
    time::Timestamp,
};
use arrow::array::{Array, AsArray, RecordBatch};
use std::{fs, path::Path, sync::Arc};

/// Lake or Postgres.
pub enum Store {
    /// Parquet files.
    Lake(Box<Lake>),
    /// A database.
    Postgres(Box<Postgres>),
}

impl Store {
    /// Makes the models' views where they live in the destination, if any is missing or of another release.
    pub async fn renew_models(&self) -> Result<()> {
        let Self::Postgres(postgres) = self else { return Ok(()) };
        let models = model::all()?;
        let names: Vec<&str> = models.iter().map(|m| m.name.as_str()).collect();
        postgres.renew_views(&names, &model::postgres_script(&models)).await.map(|_| ())
    }

    /// Whether a sync could write here, in words. Leaves nothing behind.
    /// Fails `Destination` with what is missing and how to give it.
    pub async fn writable(&mut self) -> Result<String> {
        match self {
            Self::Lake(lake) => folder_writable(lake.root()),
            Self::Postgres(postgres) => {
                let sql = "select current_setting('server_version') as version, current_database() as name, \
                           current_user as role, has_database_privilege(current_database(), 'create') as may";
                let found = postgres.query(sql).await?;
                let text = |column: &str| {
                    let array = found
                        .first()
                        .and_then(|b| b.column_by_name(column))
                        .and_then(|c| c.as_string_opt::<i32>());
                    array.filter(|a| !a.is_empty()).map_or_else(String::new, |a| a.value(0).to_owned())
                };
                let may =
                    found.first().and_then(|b| b.column_by_name("may")).and_then(|c| c.as_boolean_opt());
                let (name, role) = (text("name"), text("role"));
                if !may.is_some_and(|m| !m.is_empty() && m.value(0)) {
                    return Err(Error::new(
                        Kind::Destination,
                        "the role may not create schemas in this database",
                    )
                    .with("role", &role)
                    .with("database", &name)
                    .hint(format!("as its owner: grant create on database \"{name}\" to \"{role}\";")));
                }
                Ok(format!("Postgres {}, database {name}, role {role} may create", text("version")))
            }
        }
    }
}

fn folder_writable(root: &Path) -> Result<String> {
    let existing = root.ancestors().find(|a| a.is_dir() || a.as_os_str().is_empty()).unwrap_or(root);
    let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
    let trial = existing.join(".tidegate-check.tmp");
    fs::write(&trial, b"").and_then(|()| fs::remove_file(&trial)).map_err(|e| {
        Error::new(Kind::Destination, "the lake's folder cannot be written")
            .with("folder", existing.display())
            .because(e)
            .hint("give the user who runs tidegate the right to write there, or name another folder")
    })?;
    Ok(format!("lake {} can be written", root.display()))
}

macro_rules! either {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match $self {
            Store::Lake(lake) => lake.$method($($argument),*).await,
            Store::Postgres(postgres) => postgres.$method($($argument),*).await,
        }
    };
}

impl Destination for Store {
    async fn open(&mut self, owner: &Owner, entities: &[Arc<Entity>]) -> Result<Opened> {
        either!(self.open(owner, entities))
    }
    async fn commit(&mut self, commit: Commit) -> Result<Committed> {
        either!(self.commit(commit))
    }
    async fn publish(&mut self, stream: &str) -> Result<u64> {
        either!(self.publish(stream))
    }
    async fn close(&mut self) -> Result<()> {
        either!(self.close())
    }
    async fn peek(&mut self, owner: &Owner) -> Result<Option<Opened>> {
        either!(self.peek(owner))
    }
    async fn read(&mut self, entity: &Entity, layer: Layer) -> Result<Vec<RecordBatch>> {
        either!(self.read(entity, layer))
    }
    async fn each(&mut self, entity: &Entity, see: See<'_>) -> Result<()> {
        either!(self.each(entity, see))
    }
    async fn seen(&mut self, stream: &str) -> Result<Vec<u128>> {
        either!(self.seen(stream))
    }
    async fn raw_after(&mut self, stream: &str, after: i64) -> Result<Option<(i64, Vec<RawRecord>)>> {
        either!(self.raw_after(stream, after))
    }
    async fn rejects(&mut self, owner: &Owner) -> Result<Vec<StoredReject>> {
        either!(self.rejects(owner))
    }
    async fn issues(&mut self, owner: &Owner) -> Result<Vec<StoredIssue>> {
        either!(self.issues(owner))
    }
    async fn settle_issues(&mut self, issues: Vec<StoredIssue>) -> Result<()> {
        either!(self.settle_issues(issues))
    }
    async fn change_state(&mut self, change: Change) -> Result<i64> {
        either!(self.change_state(change))
    }
    async fn journal(&mut self, owner: &Owner) -> Result<Vec<Entry>> {
        either!(self.journal(owner))
    }
    async fn erasures(&mut self, owner: &Owner) -> Result<Vec<Erasure>> {
        either!(self.erasures(owner))
    }
    async fn erase(&mut self, order: &Order) -> Result<Erased> {
        either!(self.erase(order))
    }
    async fn record_run(&mut self, summary: &serde_json::Value) -> Result<()> {
        either!(self.record_run(summary))
    }
    async fn runs(&mut self, owner: &Owner, limit: usize) -> Result<Vec<serde_json::Value>> {
        either!(self.runs(owner, limit))
    }
    async fn rebuild_begin(&mut self, stream: &str) -> Result<()> {
        either!(self.rebuild_begin(stream))
    }
    async fn rebuild_end(&mut self, apply: bool) -> Result<Vec<Diff>> {
        either!(self.rebuild_end(apply))
    }
    async fn retain(&mut self, before: Timestamp) -> Result<Retained> {
        either!(self.retain(before))
    }
    async fn compact(&mut self, before: Option<Timestamp>) -> Result<Compacted> {
        either!(self.compact(before))
    }
    async fn upkeep(&mut self, owner: &Owner) -> Result<Upkeep> {
        either!(self.upkeep(owner))
    }
}

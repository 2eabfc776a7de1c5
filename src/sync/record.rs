//! What is kept of a run besides its rows: its summary, and what the rows were made with.
use super::{Job, made_with, summary::Summary};
use crate::{
    error::{Error, Kind, Result},
    load::Destination,
};

/// Keeps the summary. What rows were made with stays that of the first run until a rebuild says otherwise.
pub(super) async fn keep<D: Destination>(destination: &mut D, job: &Job, summary: &Summary) -> Result<()> {
    let last = destination.runs(&job.facts.owner, 1).await?;
    let before = last.first().and_then(|run| run.get("rows_made_with")?.as_str());
    let before = before.map_or_else(|| made_with(&job.connector, job.facts.time_zone), str::to_owned);
    let mut stored = serde_json::to_value(summary)
        .map_err(|e| Error::new(Kind::Bug, "a summary is always JSON").because(e))?;
    if let Some(fields) = stored.as_object_mut() {
        fields.insert("rows_made_with".into(), before.into());
        fields.insert("connector_hash".into(), job.connector.hash.clone().into());
    }
    destination.record_run(&stored).await
}

//! `tidegate export`: a frozen copy of a pipeline's tables, one file per table, consistent with each other.
use super::{project::Project, query::Reader};
use crate::{
    error::{Error, Kind, Result},
    pipeline::Pipeline,
};
use arrow::array::RecordBatch;
use std::sync::Arc;

/// Rows of this pipeline in one table. Fails `Invalid` for an unknown table.
pub async fn table(reader: &Reader, pipeline: &Pipeline, table: &str) -> Result<Vec<RecordBatch>> {
    let owner = &pipeline.owner;
    let sql = format!(
        "select * from {table} where tenant_id = '{}' and connection_id = '{}' order by id",
        owner.tenant, owner.connection
    );
    reader.query(&sql).await
}

/// The tables to export: those asked for, or every unified table that some stream of the pipeline feeds.
pub fn tables(project: &Project, pipeline: &Pipeline, asked: &[String]) -> Result<Vec<String>> {
    let connector = project.connector(pipeline)?;
    if let Some(unknown) = asked.iter().find(|a| !project.catalog.entities.contains_key(*a)) {
        return Err(Error::new(Kind::Invalid, format!("there is no unified table `{unknown}`"))
            .hint("tidegate schema   lists all"));
    }
    let feeds = connector.streams.iter().flat_map(|s| s.feeds.iter().map(|f| Arc::clone(&f.entity)));
    let mut fed: Vec<String> = feeds.map(|e| e.name.clone()).collect();
    fed.sort();
    fed.dedup();
    Ok(if asked.is_empty() { fed } else { asked.to_vec() })
}

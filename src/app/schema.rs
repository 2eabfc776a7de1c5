//! `tidegate schema`: the data dictionary, derived from `connectors/unified/`.
use crate::{
    entity::{Entity, OnBad, PREFIX, SUFFIX},
    error::{Error, Kind, Result},
    manifest::Catalog,
};
use arrow::{
    array::{ArrayRef, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use std::sync::Arc;

/// All unified tables: table, parent, number of own columns, the streams that feed it, meaning.
pub fn tables_batch(catalog: &Catalog) -> Result<RecordBatch> {
    let feeds = |entity: &Entity| {
        let streams = catalog.connectors.values().flat_map(|c| c.streams.iter().map(move |s| (c, s)));
        let feeding = streams.filter(|(_, s)| s.feeds.iter().any(|f| f.entity.name == entity.name));
        feeding.map(|(c, s)| format!("{}.{}", c.name, s.name)).collect::<Vec<_>>().join(" ")
    };
    let row = |e: &Arc<Entity>| {
        let parent = e.parent.as_ref().map(|p| p.entity.clone()).unwrap_or_default();
        [e.name.clone(), parent, e.columns.len().to_string(), feeds(e), e.meaning.clone()]
    };
    texts(["table", "parent", "columns", "fed_by", "meaning"], catalog.entities.values().map(row).collect())
}

/// All columns of one table, system columns included: name, types, notes (`key`, `pii`, `rejects`), meaning.
/// Fails `Invalid` with the nearest table.
pub fn columns_batch(catalog: &Catalog, table: &str) -> Result<RecordBatch> {
    let Some(entity) = catalog.entities.get(table) else { return Err(unknown(catalog, table)) };
    let describe = |name: &str| {
        if let Some(column) = entity.column(name) {
            let mut notes: Vec<&str> = Vec::new();
            notes.extend((name == "id").then_some("key"));
            notes.extend(column.pii.then_some("pii"));
            notes.extend((column.on_bad == OnBad::Reject).then_some("rejects"));
            return (column.ty.postgres(), notes.join(" "), column.meaning.clone());
        }
        match SUFFIX.iter().find(|(n, ..)| *n == name) {
            Some((_, ty, _, meaning)) => (ty.postgres(), String::new(), (*meaning).to_owned()),
            None => ("text", "key".to_owned(), prefix_meaning(name).to_owned()),
        }
    };
    let row = |field: &arrow::datatypes::FieldRef| {
        let (postgres, notes, meaning) = describe(field.name());
        [field.name().clone(), field.data_type().to_string(), postgres.to_owned(), notes, meaning]
    };
    texts(
        ["column", "arrow", "postgres", "notes", "meaning"],
        entity.schema().fields().iter().map(row).collect(),
    )
}

fn texts<const N: usize>(names: [&str; N], rows: Vec<[String; N]>) -> Result<RecordBatch> {
    let schema = Schema::new(names.map(|n| Field::new(n, DataType::Utf8, false)).to_vec());
    let column =
        |i: usize| Arc::new(rows.iter().map(|r| r.get(i).cloned()).collect::<StringArray>()) as ArrayRef;
    RecordBatch::try_new(Arc::new(schema), (0..N).map(column).collect())
        .map_err(|e| Error::new(Kind::Bug, "cannot lay out the dictionary").because(e))
}

fn prefix_meaning(name: &str) -> &'static str {
    let [tenant, connection, _] = PREFIX;
    if name == tenant {
        "Whose data"
    } else if name == connection {
        "Which account of the tenant: the pipeline's name"
    } else {
        "Connector that the row came from"
    }
}

fn unknown(catalog: &Catalog, table: &str) -> Error {
    let error = Error::new(Kind::Invalid, format!("there is no unified table `{table}`"));
    let near = catalog
        .entities
        .keys()
        .map(|k| (strsim::jaro_winkler(k, table), k))
        .filter(|(score, _)| *score > 0.7);
    match near.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((_, nearest)) => error.hint(format!("did you mean `{nearest}`?")),
        None => error.hint("tidegate schema   lists all"),
    }
}

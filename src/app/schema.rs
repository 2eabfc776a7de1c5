//! `tidegate schema`: the data dictionary, derived from `connectors/unified/`; of one pipeline, with what its destination
//! and its overlays add.
use super::project::Project;
use crate::{
    entity::{ColumnType, Entity, OnBad, PREFIX, SUFFIX},
    error::{Error, Kind, Result},
    load::lake::Lake,
    manifest::Catalog,
    pipeline::Pipeline,
    yaml::nearest,
};
use arrow::{
    array::{ArrayRef, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use std::{collections::BTreeSet, sync::Arc};

/// The table that no stream feeds: values that became NULL and rules that do not hold.
const ISSUES: &str = "quality_issues";
const ISSUES_MEANING: &str = "What does not hold: values that did not fit their column and became NULL, and rules that `tidegate prove` found violated";

/// The tables that are described.
pub struct Dictionary<'a> {
    catalog: &'a Catalog,
    entities: Vec<Arc<Entity>>,
    /// (table, column) that an overlay gives.
    overlaid: BTreeSet<(String, String)>,
}

impl<'a> Dictionary<'a> {
    /// What every pipeline has.
    pub fn of(catalog: &'a Catalog) -> Self {
        Self { catalog, entities: catalog.entities.values().cloned().collect(), overlaid: BTreeSet::new() }
    }

    /// What is in the destination of this pipeline: promoted fields of all its pipelines are columns too. Fails
    /// `Invalid` when the pipeline's file is wrong.
    pub fn of_pipeline(project: &'a Project, pipeline: &Pipeline) -> Result<Self> {
        let connector = project.connector(pipeline)?;
        let overlays = connector.overlays();
        let own =
            overlays.iter().flat_map(|(table, o)| o.lines.keys().map(|c| ((*table).to_owned(), c.clone())));
        Ok(Self { catalog: &project.catalog, entities: project.entities(pipeline)?, overlaid: own.collect() })
    }

    /// All tables: table, parent, number of own columns, the streams that feed it, meaning.
    pub fn tables(&self) -> Result<RecordBatch> {
        let feeds = |entity: &Entity| {
            let streams =
                self.catalog.connectors.values().flat_map(|c| c.streams.iter().map(move |s| (c, s)));
            let feeding = streams.filter(|(_, s)| s.feeds.iter().any(|f| f.entity.name == entity.name));
            feeding.map(|(c, s)| format!("{}.{}", c.name, s.name)).collect::<Vec<_>>().join(" ")
        };
        let row = |e: &Arc<Entity>| {
            let parent = e.parent.as_ref().map(|p| p.entity.clone()).unwrap_or_default();
            [e.name.clone(), parent, e.columns.len().to_string(), feeds(e), e.meaning.clone()]
        };
        let own = issue_columns().count().to_string();
        let issues = [ISSUES.into(), String::new(), own, String::new(), ISSUES_MEANING.into()];
        let rows = self.entities.iter().map(row).chain([issues]).collect();
        texts(["table", "parent", "columns", "fed_by", "meaning"], rows)
    }

    /// All columns of one table, system columns included: name, types, notes (`key`, `pii`, `rejects`, `promoted`,
    /// `overlay`), meaning. Fails `Invalid` with the nearest table.
    pub fn columns(&self, table: &str) -> Result<RecordBatch> {
        let rows = if table == ISSUES { issue_rows() } else { self.rows(table)? };
        texts(["column", "arrow", "postgres", "notes", "meaning"], rows)
    }

    fn rows(&self, table: &str) -> Result<Vec<[String; 5]>> {
        let Some(entity) = self.entities.iter().find(|e| e.name == table) else {
            return Err(self.unknown(table));
        };
        let built_in = self.catalog.entities.get(table);
        let describe = |name: &str| {
            if let Some(column) = entity.column(name) {
                let mut notes: Vec<&str> = Vec::new();
                notes.extend((name == "id").then_some("key"));
                notes.extend(column.pii.then_some("pii"));
                notes.extend((column.on_bad == OnBad::Reject).then_some("rejects"));
                notes.extend(built_in.is_none_or(|e| e.column(name).is_none()).then_some("promoted"));
                let own = self.overlaid.contains(&(table.to_owned(), name.to_owned()));
                notes.extend(own.then_some("overlay"));
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
        Ok(entity.schema().fields().iter().map(row).collect())
    }

    fn unknown(&self, table: &str) -> Error {
        let error = Error::new(Kind::Invalid, format!("there is no unified table `{table}`"));
        let known = self.entities.iter().map(|e| e.name.as_str()).chain([ISSUES]);
        match nearest(table, known) {
            Some(nearest) => error.hint(format!("did you mean `{nearest}`?")),
            None => error.hint("tidegate schema   lists all"),
        }
    }
}

/// Columns of the issues after tenant and connection.
fn issue_columns() -> impl Iterator<Item = Arc<Field>> {
    let schema = Lake::issue_schema();
    let fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
    fields.into_iter().filter(|f| !PREFIX.contains(&f.name().as_str()))
}

fn issue_rows() -> Vec<[String; 5]> {
    let row = |field: &Arc<Field>| {
        let name = field.name().as_str();
        let (notes, meaning) = match name {
            "rule" => ("key", "The rule: `tidegate prove` and pipelines/README.md say what it means"),
            "severity" => ("", "hard: numbers built on it are wrong; soft: one value is missing"),
            "entity" => ("key", "Unified table"),
            "id" => ("key", "Id of the row"),
            "column_name" => ("key", "Column that became NULL; empty for a violated rule"),
            "currency" => ("", "Currency of the amounts"),
            "expected" => ("", "What should stand there"),
            "actual" => ("", "What stands there"),
            "delta" => ("", "Actual less expected, for amounts"),
            "message" => ("pii", "The same in words"),
            "first_seen" => ("", "When it was found first"),
            "resolved_at" => ("", "When it was found to hold again; NULL while it does not"),
            other => ("key", prefix_meaning(other)),
        };
        let postgres = match field.data_type() {
            DataType::Decimal128(..) => ColumnType::Money.postgres(),
            DataType::Timestamp(..) => ColumnType::Timestamp.postgres(),
            _ => ColumnType::Text.postgres(),
        };
        [name.to_owned(), field.data_type().to_string(), postgres.into(), notes.into(), meaning.into()]
    };
    Lake::issue_schema().fields().iter().map(row).collect()
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

//! A pipeline's own columns of a table: a second SELECT over what the mapping answered, planned once like it.
//!
//! `mapped` has the table's columns whatever the mapping leaves out, so that one overlay fits every mapping of its table.
//! Absent on purpose: casts. The answer passes the same ones as a mapping's.
use super::plan::{self, Failure, Slot};
use crate::{
    entity::Entity,
    error::{Error, Kind, Result},
    manifest::{MAPPED, MinorUnits, Overlay, ZONE},
};
use arrow::{
    array::{ArrayRef, RecordBatch, StringArray, new_null_array},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use datafusion::{physical_plan::ExecutionPlan, prelude::SessionContext};
use std::sync::Arc;

/// One overlay over one mapping.
pub(super) struct Overlaid {
    file: String,
    slot: Arc<Slot>,
    context: SessionContext,
    plan: Arc<dyn ExecutionPlan>,
    /// Of `mapped`.
    input: SchemaRef,
    /// Columns that say which row it is.
    keys: Vec<String>,
}

impl Overlaid {
    /// `mapping` is what the mapping answers. Fails `Invalid` naming the overlay's file.
    pub(super) async fn new(
        overlay: &Overlay,
        entity: &Entity,
        mapping: &Schema,
        minor: &MinorUnits,
    ) -> Result<Self> {
        let context = plan::context(minor);
        let input = mapped(entity, mapping);
        let slot = Slot::register(&context, MAPPED, &input)?;
        let explain = |e| {
            Error::new(Kind::Invalid, "the overlay does not fit its table")
                .with("file", &overlay.file)
                .with("entity", &entity.name)
                .because(e)
                .hint(format!("`{MAPPED}` has the columns of `tidegate schema {}`", entity.name))
        };
        let frame = context.sql(&overlay.sql).await.map_err(explain)?;
        let plan = frame.create_physical_plan().await.map_err(explain)?;
        let parent = entity.parent.iter().map(|p| p.column.as_str());
        let keys = ["_row", "id"].into_iter().chain(parent).map(str::to_owned).collect();
        Ok(Self { file: overlay.file.clone(), slot, context, plan, input, keys })
    }

    /// What it answers.
    pub(super) fn schema(&self) -> SchemaRef {
        self.plan.schema()
    }

    /// Its columns of the rows that the mapping answered, in the same order.
    /// Fails `Whole` when it does not give each of them once, under its keys.
    pub(super) async fn run(&self, answer: &RecordBatch, zone: Option<&str>) -> Result<RecordBatch, Failure> {
        let mapped = self.widen(answer, zone)?;
        let given = self.slot.run(&mapped, &self.context, &self.plan).await.map_err(|e| {
            Failure::Value(Error::new(
                Kind::Invalid,
                format!("overlay {}: {}", self.file, e.strip_backtrace()),
            ))
        })?;
        let same = |key: &String| mapped.column_by_name(key) == given.column_by_name(key);
        if given.num_rows() == mapped.num_rows() && self.keys.iter().all(same) {
            return Ok(given);
        }
        let what = "an overlay must give every row of `mapped` once, under its own keys";
        let error = Error::new(Kind::Invalid, what)
            .with("file", &self.file)
            .with("mapped", mapped.num_rows())
            .with("given", given.num_rows());
        Err(Failure::Whole(error.hint("take `where`, unnest and whatever else adds or drops rows out of it")))
    }

    fn widen(&self, answer: &RecordBatch, zone: Option<&str>) -> Result<RecordBatch, Failure> {
        let rows = answer.num_rows();
        let column = |field: &Arc<Field>| -> ArrayRef {
            if field.name() == ZONE {
                return Arc::new(std::iter::repeat_n(zone, rows).collect::<StringArray>());
            }
            let known = answer.column_by_name(field.name());
            let known = known.filter(|c| c.data_type() == field.data_type());
            known.map_or_else(|| new_null_array(field.data_type(), rows), Arc::clone)
        };
        let columns = self.input.fields().iter().map(column).collect();
        RecordBatch::try_new(Arc::clone(&self.input), columns)
            .map_err(|e| Failure::Whole(Error::new(Kind::Bug, "cannot lay out mapped rows").because(e)))
    }
}

/// The row's number, the zone, and the table's own columns: of the mapping's types where it answers any, else of the
/// table's. Promoted fields come later.
fn mapped(entity: &Entity, mapping: &Schema) -> SchemaRef {
    let hidden = [Field::new("_row", DataType::Int64, true), Field::new(ZONE, DataType::Utf8, true)];
    let own = entity.columns.iter().filter(|c| !c.promoted).map(|column| {
        let known = mapping.field_with_name(&column.name).ok().map(|f| f.data_type().clone());
        let ty = known.filter(|ty| *ty != DataType::Null).unwrap_or_else(|| column.ty.arrow());
        Field::new(&column.name, ty, true)
    });
    Arc::new(Schema::new(hidden.into_iter().chain(own).collect::<Vec<_>>()))
}

//! Records to unified rows: runs a stream's mappings, casts exactly, hashes, and accounts for every record.
//!
//! One record is one main row with all its child rows: accepted together or rejected together. Knows nothing of
//! HTTP, destinations or files; async only because the SQL engine is.
mod assemble;
mod cast;
mod exact;
mod functions;
mod hash;
mod hide;
mod output;
mod overlay;
mod plan;
mod promote;

use crate::{
    decode::{Issue, Records, Reject},
    entity::Entity,
    error::{Error, Kind, Result},
    id::Owner,
    manifest::{Connector, Stream},
};
use arrow::{
    array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray},
    datatypes::{Schema, SchemaRef},
};
use bytes::Bytes;
use output::Output;
use plan::Failure;
use std::{collections::BTreeMap, sync::Arc};

/// What is the same for every record of a connection.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Whose rows they are.
    pub owner: Owner,
    /// Zone of the provider's civil dates.
    pub time_zone: chrono_tz::Tz,
}

/// A stream's mappings, ready to run. Made once per connector stream and process.
pub struct Normalizer {
    provider: String,
    stream: Arc<Stream>,
    input: SchemaRef,
    plans: plan::Plans,
    outputs: Vec<Output>,
    /// Something of the records is not stored as it comes.
    hides: bool,
}

/// Rows of one stream's records: a main table and its child tables.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The table with one row per record.
    pub entity: Arc<Entity>,
    /// Full `Entity::schema`; at most one row per id.
    pub main: RecordBatch,
    /// Each child table fed by the same records. Together the rows of one parent are its whole new set; a parent
    /// without rows has an empty set.
    pub children: Vec<(Arc<Entity>, RecordBatch)>,
    /// One per row of `main`, in the same order: the record as received.
    pub bodies: Vec<Bytes>,
}

/// What a batch of records became. `read = rows + rejects + superseded`, asserted.
#[derive(Debug, Default)]
pub struct Normalized {
    /// None when no record was accepted.
    pub rows: Option<Rows>,
    /// Records refused here.
    pub rejects: Vec<Reject>,
    /// Values that became NULL.
    pub issues: Vec<Issue>,
    /// Older states of a key that came twice in the batch.
    pub superseded: usize,
}

/// Why a record is refused: rule, pointer, message.
#[derive(Clone, Debug)]
struct Refusal {
    rule: &'static str,
    pointer: String,
    message: String,
}

/// By position in the batch; the first reason found stands.
type Refusals = BTreeMap<usize, Refusal>;

impl Normalizer {
    /// Plans the mappings and checks their columns against the unified tables.
    /// Fails `Invalid` naming file, column and types.
    pub async fn new(connector: &Connector, stream: &Arc<Stream>, record: &Schema) -> Result<Self> {
        let input = plan::input_schema(record);
        let minor = &connector.minor_units;
        let plans = plan::Plans::new(&stream.name, Arc::clone(&input), minor, &stream.feeds).await?;
        let pairs = stream.feeds.iter().zip(plans.schemas());
        let outputs = pairs
            .map(|(feed, schema)| Output::prove(feed, &schema, &connector.policies))
            .collect::<Result<_>>()?;
        let (provider, hides) = (connector.name.clone(), connector.hides(stream));
        Ok(Self { provider, stream: Arc::clone(stream), input, plans, outputs, hides })
    }

    /// Maps every record. Fails only for what is not a record's fault.
    pub async fn run(&self, facts: &Facts, records: &Records) -> Result<Normalized> {
        let read = records.key.len();
        if read == 0 {
            return Ok(Normalized::default());
        }
        let mut refused = Refusals::new();
        self.refuse_cut(records, &mut refused);
        let pieces = self.map(facts, records, &mut refused).await?;
        let mut issues = Vec::new();
        let tables = self.outputs.iter().zip(pieces);
        let tables = tables
            .map(|(output, batch)| output.cast(&batch, &facts.owner.tenant, &mut refused, &mut issues))
            .collect::<Result<_>>()?;
        let Self { provider, stream, hides, .. } = self;
        let assembly = assemble::Assembly { provider, stream, facts, records, hides: *hides };
        let (rows, superseded) = assembly.rows(tables, &mut refused)?;
        let rejects: Vec<Reject> =
            refused.into_iter().filter_map(|(row, why)| assembly.reject(row, why)).collect();
        let accepted = rows.as_ref().map_or(0, |r| r.main.num_rows());
        if accepted + rejects.len() + superseded != read {
            return Err(Error::new(Kind::Bug, "records must not appear or disappear while they are mapped")
                .with("stream", &self.stream.name)
                .with("read", read)
                .with("rows", accepted)
                .with("rejects", rejects.len())
                .with("superseded", superseded));
        }
        Ok(Normalized { rows, rejects, issues, superseded })
    }

    /// A record that the provider cut short would make a document that lacks lines.
    fn refuse_cut(&self, records: &Records, refused: &mut Refusals) {
        let Some(field) = &self.stream.cut else { return };
        let Some(column) = records.batch.column_by_name(field) else { return };
        for row in (0..column.len()).filter(|row| column.is_valid(*row)) {
            let message = format!(
                "the provider cut this record short (`{field}` is there): its lists are not whole, so nothing of it is kept"
            );
            let why = Refusal { rule: "cut_short", pointer: format!("/{field}"), message };
            refused.insert(row, why);
        }
    }

    /// Runs the plans; a batch in which a value fails is halved until the failing records stand alone.
    async fn map(
        &self,
        facts: &Facts,
        records: &Records,
        refused: &mut Refusals,
    ) -> Result<Vec<RecordBatch>> {
        let whole = self.input_batch(facts, records)?;
        let mut todo = vec![whole];
        let mut pieces: Vec<Vec<RecordBatch>> = vec![Vec::new(); self.outputs.len()];
        while let Some(batch) = todo.pop() {
            match self.plans.run(&batch).await {
                Ok(out) => pieces.iter_mut().zip(out).for_each(|(all, one)| all.push(one)),
                Err(Failure::Whole(error)) => return Err(error.with("stream", &self.stream.name)),
                Err(Failure::Value(error)) if batch.num_rows() == 1 => {
                    let row = first_row(&batch)?;
                    let why = Refusal {
                        rule: "mapping_failed",
                        pointer: String::new(),
                        message: error.to_string(),
                    };
                    refused.insert(row, why);
                }
                Err(Failure::Value(_)) => {
                    let half = batch.num_rows() / 2;
                    todo.push(batch.slice(half, batch.num_rows() - half));
                    todo.push(batch.slice(0, half));
                }
            }
        }
        let join = |(batches, schema): (Vec<RecordBatch>, SchemaRef)| {
            arrow::compute::concat_batches(&schema, &batches).map_err(bug("join mapped batches"))
        };
        pieces.into_iter().zip(self.plans.schemas()).map(join).collect()
    }

    fn input_batch(&self, facts: &Facts, records: &Records) -> Result<RecordBatch> {
        let rows = records.batch.num_rows();
        let count = i64::try_from(rows).unwrap_or(i64::MAX);
        let zone: StringArray = std::iter::repeat_n(Some(facts.time_zone.name()), rows).collect();
        let hidden = [Arc::new(Int64Array::from_iter_values(0..count)) as ArrayRef, Arc::new(zone)];
        let columns = hidden.into_iter().chain(records.batch.columns().iter().cloned()).collect();
        RecordBatch::try_new(Arc::clone(&self.input), columns).map_err(bug("lay out records"))
    }
}

fn first_row(batch: &RecordBatch) -> Result<usize> {
    let rows = batch.column_by_name("_row").and_then(|c| c.as_any().downcast_ref::<Int64Array>());
    rows.and_then(|r| usize::try_from(r.value(0)).ok())
        .ok_or_else(|| Error::new(Kind::Bug, "a record has no number"))
}

fn bug(what: &'static str) -> impl Fn(arrow::error::ArrowError) -> Error {
    move |e| Error::new(Kind::Bug, format!("cannot {what}")).because(e)
}

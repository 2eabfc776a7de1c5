//! Mappings as physical plans: planned once per connector stream and process, run once per batch.
//!
//! A plan keeps state of its last run (join tables, subquery values), so every run starts from a fresh copy
//! of that state: without it a second run answers with the first run's rows, and no error.
use super::{functions, overlay::Overlaid};
use crate::{
    error::{Error, Kind, Result},
    manifest::{Feed, MinorUnits, ZONE},
};
use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use datafusion::{
    catalog::streaming::StreamingTable,
    execution::TaskContext,
    physical_plan::{
        ExecutionPlan, SendableRecordBatchStream, collect, execution_plan::reset_plan_states,
        memory::MemoryStream, streaming::PartitionStream,
    },
    prelude::{SessionConfig, SessionContext},
};
use std::sync::{Arc, Mutex, PoisonError};

/// Rows of a batch that a mapping sees at a time; a whole commit fits.
const BATCH_ROWS: usize = 65_536;

/// The table a plan reads: whatever batch lies in it when the plan runs.
#[derive(Debug)]
pub(super) struct Slot {
    schema: SchemaRef,
    batch: Mutex<Option<RecordBatch>>,
}

impl PartitionStream for Slot {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }
    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batch = self.batch.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let batches = batch.into_iter().collect();
        match MemoryStream::try_new(batches, Arc::clone(&self.schema), None) {
            Ok(stream) => Box::pin(stream),
            Err(error) => Box::pin(datafusion::physical_plan::stream::RecordBatchStreamAdapter::new(
                Arc::clone(&self.schema),
                futures::stream::once(async { Err(error) }),
            )),
        }
    }
}

impl Slot {
    /// A table of that name in `context`.
    pub(super) fn register(context: &SessionContext, name: &str, schema: &SchemaRef) -> Result<Arc<Self>> {
        let slot = Arc::new(Self { schema: Arc::clone(schema), batch: Mutex::new(None) });
        let partitions = vec![Arc::clone(&slot) as Arc<dyn PartitionStream>];
        let table = StreamingTable::try_new(Arc::clone(schema), partitions)
            .map_err(|e| Error::new(Kind::Bug, "cannot build the stream's table").because(e))?;
        context.register_table(name, Arc::new(table)).map_err(|e| {
            Error::new(Kind::Invalid, "cannot register the stream's table").with("stream", name).because(e)
        })?;
        Ok(slot)
    }
    fn set(&self, batch: Option<RecordBatch>) {
        *self.batch.lock().unwrap_or_else(PoisonError::into_inner) = batch;
    }
    /// What the plan answers for this batch.
    pub(super) async fn run(
        &self,
        input: &RecordBatch,
        context: &SessionContext,
        plan: &Arc<dyn ExecutionPlan>,
    ) -> datafusion::error::Result<RecordBatch> {
        self.set(Some(input.clone()));
        let answer = async {
            let fresh = reset_plan_states(Arc::clone(plan))?;
            let schema = fresh.schema();
            let batches = collect(fresh, context.task_ctx()).await?;
            Ok(arrow::compute::concat_batches(&schema, &batches)?)
        };
        let answer = answer.await;
        self.set(None);
        answer
    }
}

/// Why a batch has no answer.
pub(super) enum Failure {
    /// Of one of its records, to be found by halving.
    Value(Error),
    /// Not a record's fault.
    Whole(Error),
}

/// All mappings of one stream.
pub(super) struct Plans {
    slot: Arc<Slot>,
    context: SessionContext,
    plans: Vec<(Arc<dyn ExecutionPlan>, Option<Overlaid>)>,
}

/// What the stream's table looks like to its mappings: hidden columns first, then the record's.
pub(super) fn input_schema(record: &Schema) -> SchemaRef {
    let hidden = [Field::new("_row", DataType::Int64, false), Field::new(ZONE, DataType::Utf8, false)];
    let fields = hidden.into_iter().chain(record.fields().iter().map(|f| f.as_ref().clone()));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Where mappings and overlays are planned: one thread, exact numbers, names as written, our functions.
pub(super) fn context(minor: &MinorUnits) -> SessionContext {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_batch_size(BATCH_ROWS)
        .with_information_schema(false);
    let options = config.options_mut();
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    // Mappings are short: a second pass finds nothing, and passes are most of what planning costs.
    options.optimizer.max_passes = 1;
    let context = SessionContext::new_with_config(config);
    for function in functions::all(minor) {
        context.register_udf(function);
    }
    context
}

impl Plans {
    /// Plans each mapping over the table `stream`, and each overlay over its mapping. Fails `Invalid` naming the file.
    pub(super) async fn new(
        stream: &str,
        input: SchemaRef,
        minor: &MinorUnits,
        feeds: &[Feed],
    ) -> Result<Self> {
        let context = context(minor);
        let slot = Slot::register(&context, stream, &input)?;
        let mut plans = Vec::new();
        for feed in feeds {
            let explain = |e| {
                Error::new(Kind::Invalid, "the mapping does not fit its stream").with("file", &feed.file).because(e).hint(
                    "the columns it may use are the fields of `record` in connector.yaml, `_row` and `_zone`",
                )
            };
            let frame = context.sql(&feed.sql).await.map_err(explain)?;
            let plan = frame.create_physical_plan().await.map_err(explain)?;
            let overlaid = match &feed.overlay {
                None => None,
                Some(overlay) => Some(Overlaid::new(overlay, &feed.entity, &plan.schema(), minor).await?),
            };
            plans.push((plan, overlaid));
        }
        Ok(Self { slot, context, plans })
    }
    /// Output schema of each mapping, or of its overlay, in order.
    pub(super) fn schemas(&self) -> impl Iterator<Item = SchemaRef> + '_ {
        self.plans.iter().map(|(plan, laid)| laid.as_ref().map_or_else(|| plan.schema(), Overlaid::schema))
    }
    /// Runs every mapping over `input`, and the overlays over their answers.
    /// Fails `Value` with the engine's words when any value fails in any of them.
    pub(super) async fn run(&self, input: &RecordBatch) -> Result<Vec<RecordBatch>, Failure> {
        let zones = input.column_by_name(ZONE).and_then(|c| c.as_string_opt::<i32>());
        let zone = zones.filter(|z| !z.is_empty()).map(|z| z.value(0));
        let mut out = Vec::with_capacity(self.plans.len());
        for (plan, laid) in &self.plans {
            let answer = self.slot.run(input, &self.context, plan).await;
            let answer =
                answer.map_err(|e| Failure::Value(Error::new(Kind::Invalid, e.strip_backtrace())))?;
            out.push(match laid {
                None => answer,
                Some(overlay) => overlay.run(&answer, zone).await?,
            });
        }
        Ok(out)
    }
}

//! Mappings as physical plans: planned once per connector stream and process, run once per batch.
//!
//! A plan keeps state of its last run (join tables, subquery values), so every run starts from a fresh copy
//! of that state: without it a second run answers with the first run's rows, and no error.
use super::functions;
use crate::{
    error::{Error, Kind, Result},
    manifest::MinorUnits,
};
use arrow::{
    array::RecordBatch,
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

/// The table a mapping reads: whatever batch lies in it when the plan runs.
#[derive(Debug)]
struct Slot {
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

/// All mappings of one stream.
pub(super) struct Plans {
    slot: Arc<Slot>,
    context: SessionContext,
    plans: Vec<Arc<dyn ExecutionPlan>>,
}

/// What the stream's table looks like to its mappings: hidden columns first, then the record's.
pub(super) fn input_schema(record: &Schema) -> SchemaRef {
    let hidden = [Field::new("_row", DataType::Int64, false), Field::new("_zone", DataType::Utf8, false)];
    let fields = hidden.into_iter().chain(record.fields().iter().map(|f| f.as_ref().clone()));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

impl Plans {
    /// Plans each `(file, sql)` over the table `stream`. Fails `Invalid` naming the file.
    pub(super) async fn new(
        stream: &str,
        input: SchemaRef,
        minor: &MinorUnits,
        mappings: impl Iterator<Item = (&str, &str)>,
    ) -> Result<Self> {
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
        let slot = Arc::new(Slot { schema: Arc::clone(&input), batch: Mutex::new(None) });
        let table = StreamingTable::try_new(input, vec![Arc::clone(&slot) as Arc<dyn PartitionStream>])
            .map_err(|e| Error::new(Kind::Bug, "cannot build the stream's table").because(e))?;
        context.register_table(stream, Arc::new(table)).map_err(|e| {
            Error::new(Kind::Invalid, "cannot register the stream's table").with("stream", stream).because(e)
        })?;
        let mut plans = Vec::new();
        for (file, sql) in mappings {
            let explain = |e| {
                Error::new(Kind::Invalid, "the mapping does not fit its stream").with("file", file).because(e).hint(
                    "the columns it may use are the fields of `record` in connector.yaml, `_row` and `_zone`",
                )
            };
            let frame = context.sql(sql).await.map_err(explain)?;
            plans.push(frame.create_physical_plan().await.map_err(explain)?);
        }
        Ok(Self { slot, context, plans })
    }
    /// Output schema of each mapping, in order.
    pub(super) fn schemas(&self) -> impl Iterator<Item = SchemaRef> + '_ {
        self.plans.iter().map(|p| p.schema())
    }
    /// Runs every mapping over `input`. Fails with the engine's words when any value fails in any mapping.
    pub(super) async fn run(&self, input: RecordBatch) -> Result<Vec<RecordBatch>> {
        let set = |batch| *self.slot.batch.lock().unwrap_or_else(PoisonError::into_inner) = batch;
        set(Some(input));
        let out = self.run_all().await;
        set(None);
        out.map_err(|e| Error::new(Kind::Invalid, e.strip_backtrace()))
    }
    async fn run_all(&self) -> datafusion::error::Result<Vec<RecordBatch>> {
        let mut out = Vec::with_capacity(self.plans.len());
        for plan in &self.plans {
            let fresh = reset_plan_states(Arc::clone(plan))?;
            let schema = fresh.schema();
            let batches = collect(fresh, self.context.task_ctx()).await?;
            out.push(arrow::compute::concat_batches(&schema, &batches)?);
        }
        Ok(out)
    }
}

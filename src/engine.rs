//! What does a query say about the lake? DataFusion over listed Parquet files, read only.
//!
//! Knows schemas, files and view texts given as arguments; knows nothing of the lake's layout, of models or of
//! destinations. Nothing here writes: DDL, DML, COPY and SET are refused.
use crate::error::{Error, Kind, Result};
use arrow::{array::RecordBatch, datatypes::SchemaRef};
use datafusion::{
    common::{SchemaError, tree_node::TreeNodeRecursion},
    config::Dialect,
    datasource::{
        empty::EmptyTable,
        file_format::parquet::ParquetFormat,
        listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl},
    },
    error::DataFusionError,
    execution::{
        SendableRecordBatchStream, SessionStateBuilder, context::SQLOptions, runtime_env::RuntimeEnvBuilder,
    },
    logical_expr::LogicalPlan,
    prelude::{DataFrame, SessionConfig, SessionContext},
};
use futures::TryStreamExt;
use std::{collections::BTreeMap, fmt::Write as _, path::Path, path::PathBuf, sync::Arc};

/// A query may hold this much in memory; sorts, joins and groupings above it spill to the temporary folder.
const MEMORY_BYTES_MAX: usize = 512 << 20;

/// One table of a snapshot.
#[derive(Clone, Debug)]
pub struct Table {
    /// As queries write it: lower case.
    pub name: String,
    /// What every row has, whatever an older file lacks (NULL then). Results carry exactly these types.
    pub schema: SchemaRef,
    /// Parquet files, all of them; none: an empty table.
    pub files: Vec<PathBuf>,
}

/// One consistent set of tables and views.
pub struct Engine {
    ctx: SessionContext,
    names: Vec<String>,
    files: BTreeMap<String, Vec<PathBuf>>,
}

impl Engine {
    /// Registers `tables`, then `views` (name, SELECT) in the given order: a view may read earlier ones.
    ///
    /// Fails `Invalid` when a view does not plan over the tables, `Destination` when a path cannot be used.
    pub async fn lake(tables: Vec<Table>, views: &[(&str, &str)]) -> Result<Self> {
        let mut engine = Self { ctx: context()?, names: Vec::new(), files: BTreeMap::new() };
        for table in tables {
            engine.add_table(table)?;
        }
        for (name, sql) in views {
            let plan = engine.plan(sql).await.map_err(|e| e.with("view", name))?;
            engine.register(name, plan.into_view())?;
        }
        Ok(engine)
    }

    /// All rows of a query; at least one batch, so that an empty result still tells its columns.
    ///
    /// For results that fit in memory: see `stream` otherwise. Fails `Invalid` when the query is wrong or would
    /// write, `Destination` when a file cannot be read.
    pub async fn query(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        let rows = self.stream(sql).await?;
        let schema = rows.schema.clone();
        let mut batches: Vec<RecordBatch> = rows.batches.map_err(|e| run_error(sql, e)).try_collect().await?;
        batches.retain(|b| b.num_rows() > 0);
        if batches.is_empty() {
            batches.push(RecordBatch::new_empty(schema));
        }
        Ok(batches)
    }

    /// The rows of a query as they come: memory stays bounded whatever the size of the result.
    pub async fn stream(&self, sql: &str) -> Result<Rows> {
        let plan = self.plan(sql).await?;
        let schema = Arc::clone(plan.schema().inner());
        let scanned = scanned_tables(&plan).map_err(|e| run_error(sql, e))?;
        let batches = plan.execute_stream().await.map_err(|e| run_error(sql, e))?;
        self.check_files(&scanned)?;
        Ok(Rows { schema, batches, sql: sql.to_owned() })
    }

    /// Tables and views, in the order of registration.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// DataFusion takes a listed file that is gone for an empty one, which would lose rows silently; so it is asked
    /// after planning, which is when files are listed.
    fn check_files(&self, tables: &[String]) -> Result<()> {
        for file in tables.iter().filter_map(|t| self.files.get(t)).flatten() {
            std::fs::metadata(file).map_err(|e| unreadable(e).with("file", file.display()))?;
        }
        Ok(())
    }

    fn add_table(&mut self, table: Table) -> Result<()> {
        if table.files.is_empty() {
            return self.register(&table.name, Arc::new(EmptyTable::new(table.schema)));
        }
        let urls = table.files.iter().map(|f| file_url(f)).collect::<Result<Vec<_>>>()?;
        let format = ParquetFormat::default().with_force_view_types(false);
        let config = ListingTableConfig::new_with_multi_paths(urls)
            .with_listing_options(ListingOptions::new(Arc::new(format)).with_file_extension(""))
            .with_schema(table.schema);
        let listing = ListingTable::try_new(config)
            .map_err(|e| Error::new(Kind::Bug, "table is refused").with("table", &table.name).because(e))?;
        self.register(&table.name, Arc::new(listing))?;
        self.files.insert(table.name, table.files);
        Ok(())
    }

    fn register(&mut self, name: &str, provider: Arc<dyn datafusion::catalog::TableProvider>) -> Result<()> {
        let twice = self.ctx.register_table(name, provider).map_err(|e| {
            Error::new(Kind::Bug, "table cannot be registered").with("table", name).because(e)
        })?;
        if twice.is_some() {
            return Err(Error::new(Kind::Bug, "two tables of one name").with("table", name));
        }
        self.names.push(name.to_owned());
        Ok(())
    }

    async fn plan(&self, sql: &str) -> Result<DataFrame> {
        let state = self.ctx.state();
        let statement =
            state.sql_to_statement(sql, &Dialect::Generic).map_err(|e| plan_error(&self.names, e))?;
        let tables = state.resolve_table_references(&statement).map_err(|e| plan_error(&self.names, e))?;
        for table in &tables {
            let name = table.table();
            let other =
                table.schema() == Some("information_schema") || state.table_functions().contains_key(name);
            if !other && !self.names.iter().any(|n| n == name) {
                return Err(unknown("table", name, self.names.iter().map(String::as_str)));
            }
        }
        let plan = state.statement_to_plan(statement).await.map_err(|e| plan_error(&self.names, e))?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)
            .map_err(|e| {
                Error::new(Kind::Invalid, "queries only read").because(e).hint("write a SELECT statement")
            })?;
        Ok(DataFrame::new(state, plan))
    }
}

/// A running query.
pub struct Rows {
    schema: SchemaRef,
    batches: SendableRecordBatchStream,
    sql: String,
}

impl Rows {
    /// Columns of every batch.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }
    /// The next rows; None at the end.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        self.batches.try_next().await.map_err(|e| run_error(&self.sql, e))
    }
}

fn context() -> Result<SessionContext> {
    let mut config = SessionConfig::new().with_information_schema(true);
    let options = config.options_mut();
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.enable_ident_normalization = true;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.execution.parquet.schema_force_view_types = false;
    options.execution.time_zone = Some("+00:00".to_owned());
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_limit(MEMORY_BYTES_MAX, 1.0)
        .build_arc()
        .map_err(|e| Error::new(Kind::Destination, "query engine does not start").because(e))?;
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .build();
    Ok(SessionContext::new_with_state(state))
}

/// Percent-encoded by hand, so that `[`, `*` and `?` in a folder's name are never taken for a pattern.
fn file_url(path: &Path) -> Result<ListingTableUrl> {
    let failed = |what: &str| Error::new(Kind::Destination, what).with("path", path.display());
    let absolute = std::path::absolute(path).map_err(|e| failed("path cannot be resolved").because(e))?;
    let text = absolute.to_str().ok_or_else(|| failed("path is not UTF-8"))?;
    let mut url = String::from("file://");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.=~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
    ListingTableUrl::parse(url).map_err(|e| failed("path cannot be used").because(e))
}

fn plan_error(tables: &[String], e: DataFusionError) -> Error {
    match e.find_root() {
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { field, valid_fields } => {
                let known = valid_fields.iter().map(|c| c.name.as_str());
                return unknown("column", &field.name, known);
            }
            SchemaError::AmbiguousReference { field } => {
                return Error::new(Kind::Invalid, format!("column `{}` exists in two tables", field.name))
                    .hint(format!("write the table before it: table.{}", field.name));
            }
            _ => {}
        },
        DataFusionError::SQL(parse, _) => {
            return Error::new(Kind::Invalid, "query is not valid SQL")
                .because(parse.to_string())
                .hint("write one SELECT, for example: select * from invoices limit 10");
        }
        _ => {}
    }
    let listed = tables.join(", ");
    Error::new(Kind::Invalid, "query cannot be planned").because(e).hint(format!("tables: {listed}"))
}

fn run_error(sql: &str, e: DataFusionError) -> Error {
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = line.chars().take(120).collect();
    match e.find_root() {
        DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) | DataFusionError::ParquetError(_) => {
            unreadable(e)
        }
        DataFusionError::ResourcesExhausted(_) => {
            Error::new(Kind::Invalid, "query needs more memory than it may use")
                .with("bytes_max", MEMORY_BYTES_MAX)
                .because(e)
                .hint("narrow it: fewer rows, columns or groups")
        }
        _ => Error::new(Kind::Invalid, "query failed").with("query", short).because(e),
    }
}

fn unreadable(e: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Kind::Destination, "lake cannot be read")
        .because(e)
        .hint("if a sync was publishing just now, run the query again")
}

/// Base tables behind a query, views and subqueries included.
fn scanned_tables(plan: &DataFrame) -> Result<Vec<String>, DataFusionError> {
    let mut tables = Vec::new();
    plan.logical_plan().apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            tables.push(scan.table_name.table().to_owned());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(tables)
}

/// "no column `x`", with the nearest known name and, when there are few, all of them.
fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    known.dedup();
    let error = Error::new(Kind::Invalid, format!("no {what} `{name}`"));
    let near = known
        .iter()
        .map(|k| (strsim::jaro_winkler(k, &name.to_lowercase()), *k))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((_, near)) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("known {what}s: {}", known.join(", "))),
    }
}

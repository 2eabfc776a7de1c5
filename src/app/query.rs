//! `tidegate query`: SQL over one consistent state of a pipeline's destination, models included. Read only.
use super::project::Project;
use crate::{
    engine::{Engine, Table},
    entity::Entity,
    error::{Kind, Result},
    id::Owner,
    load::{
        Destination,
        lake::{Lake, ReadGuard},
        postgres::Postgres,
    },
    model,
    pipeline::{DestinationSpec, Pipeline},
};
use arrow::array::RecordBatch;
use std::sync::Arc;

/// A destination, open for questions.
pub enum Reader {
    /// Files, held still while it lives.
    Lake {
        /// Tables, history and models.
        engine: Box<Engine>,
        /// Keep publishers waiting until the answers are read.
        guards: Vec<ReadGuard>,
    },
    /// A database.
    Postgres(Box<Postgres>),
}

impl Reader {
    /// Opens the pipeline's destination. It sees the tables of every tenant and connection there.
    /// Fails `Invalid` when nothing of the pipeline was committed yet.
    pub async fn open(project: &Project, pipeline: &Pipeline) -> Result<Self> {
        project.synced(pipeline).await?;
        match &pipeline.destination {
            DestinationSpec::Lake { path } => {
                Self::lake(&project.entities(pipeline)?, &Lake::new(project.lake(path))).await
            }
            DestinationSpec::Postgres { url } => {
                let postgres = Postgres::connect(&project.env.secret(url)?).await?;
                Ok(Self::Postgres(Box::new(postgres)))
            }
        }
    }

    async fn lake(entities: &[Arc<Entity>], lake: &Lake) -> Result<Self> {
        let owners = lake.owners()?;
        heal(entities, lake, &owners).await?;
        let guards = owners.iter().map(|owner| lake.read_guard(owner)).collect::<Result<_>>()?;
        let mut tables = Vec::new();
        for entity in entities {
            let mut current = Vec::new();
            let mut history = Vec::new();
            for owner in &owners {
                current.extend(lake.current_files(owner, &entity.name)?);
                history.extend(lake.history_files(owner, &entity.name)?);
            }
            tables.push(Table { name: entity.name.clone(), schema: entity.schema(), files: current });
            let name = format!("history_{}", entity.name);
            tables.push(Table { name, schema: entity.history_schema(), files: history });
        }
        let mut issues = Vec::new();
        for owner in &owners {
            issues.extend(lake.issue_files(owner)?);
        }
        tables.push(Table { name: "quality_issues".into(), schema: Lake::issue_schema(), files: issues });
        let names: Vec<&str> = tables.iter().map(|t| t.name.as_str()).collect();
        let models = model::fitting(&names)?;
        let views: Vec<(&str, &str)> = models.iter().map(model::Model::view).collect();
        Ok(Self::Lake { engine: Box::new(Engine::lake(tables.clone(), &views).await?), guards })
    }

    /// What the history of a table is called here.
    pub fn history(&self, table: &str) -> String {
        match self {
            Self::Lake { .. } => format!("history_{table}"),
            Self::Postgres(_) => format!("history.{table}"),
        }
    }

    /// The answer to one SELECT; at least one batch, so that its columns are known.
    pub async fn query(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        match self {
            Self::Lake { engine, .. } => engine.query(sql).await,
            Self::Postgres(postgres) => postgres.query(sql).await,
        }
    }
}

/// Finishes a publish that died, as the next sync would; leaves it alone while a live process works there.
async fn heal(entities: &[Arc<Entity>], lake: &Lake, owners: &[Owner]) -> Result<()> {
    for owner in owners {
        let torn = entities.iter().any(|entity| lake.current_files(owner, &entity.name).is_err());
        if !torn {
            continue;
        }
        let mut writer = Lake::new(lake.root().to_owned());
        match writer.open(owner, entities).await {
            Ok(_) => writer.close().await?,
            Err(e) if e.kind() == Kind::Locked => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

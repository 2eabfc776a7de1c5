//! A project folder: its pipelines, its connectors, its environment.
use super::{policies::Personal, store::Store};
use crate::{
    config::Environment,
    error::{Error, Kind, Result},
    extract::{InputValue, Options},
    load::{Destination, lake::Lake, postgres::Postgres},
    manifest::{self, Catalog, Connector, InputKind},
    normalize::Facts,
    pipeline::{self, DestinationSpec, Draft, Pipeline},
    secret::Secret,
    sync::Job,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Requests a second from which a first load is cut into slices. Below, one walk per stream uses the whole budget,
/// and slices would only cost requests.
const SLICED_FROM: f64 = 10.0;

/// What one run may be narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Narrow {
    /// Only these streams; empty: the pipeline's.
    pub streams: Vec<String>,
    /// At most so many requests.
    pub requests_max: Option<u64>,
}

/// A project folder, read. No `Debug`: it holds the environment.
pub struct Project {
    /// The folder.
    pub dir: PathBuf,
    /// Variables and `.env`.
    pub env: Environment,
    /// Embedded connectors and unified tables, with those of the folder over them.
    pub catalog: Catalog,
}

impl Project {
    /// Fails `Invalid` when a connector of the folder or its `.env` is wrong.
    pub fn open(dir: &Path) -> Result<Self> {
        if !dir.is_dir() {
            return Err(
                Error::new(Kind::Invalid, "there is no such project folder").with("folder", dir.display())
            );
        }
        let catalog = manifest::catalog(Some(dir))?;
        Ok(Self { dir: dir.to_owned(), env: Environment::load(dir)?, catalog })
    }

    /// Names of all pipelines, sorted.
    pub fn names(&self) -> Result<Vec<String>> {
        let folder = self.dir.join("pipelines");
        let Ok(entries) = fs::read_dir(&folder) else { return Ok(Vec::new()) };
        let stem = |path: PathBuf| {
            let yaml = path.extension().is_some_and(|e| e == "yaml");
            path.file_stem().filter(|_| yaml).and_then(|s| s.to_str()).map(str::to_owned)
        };
        let mut names: Vec<String> = entries.flatten().filter_map(|e| stem(e.path())).collect();
        names.sort();
        Ok(names)
    }

    /// A pipeline's file as it is.
    pub(super) fn text(&self, name: &str) -> Result<String> {
        let file = format!("pipelines/{name}.yaml");
        fs::read_to_string(self.dir.join(&file))
            .map_err(|e| Error::new(Kind::Invalid, "cannot read the pipeline").with("file", &file).because(e))
    }

    /// One pipeline, proven against its connector.
    pub fn pipeline(&self, name: &str) -> Result<Pipeline> {
        let file = format!("pipelines/{name}.yaml");
        let known = self.names()?;
        if !known.iter().any(|k| k == name) {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            return Err(pipeline::no_such_pipeline(name, &known));
        }
        let text = self.text(name)?;
        let draft = Draft::read(&file, &text)?;
        let Some(connector) = self.catalog.connectors.get(draft.connector()) else {
            let known: Vec<&str> = self.catalog.connectors.keys().map(String::as_str).collect();
            return Err(draft.no_such_connector(&known));
        };
        let streams: Vec<&str> = connector.streams.iter().map(|s| s.name.as_str()).collect();
        draft.prove(&connector.inputs, &streams)
    }

    /// The named pipelines, or all. Fails `Invalid` when there are none at all.
    pub fn pipelines(&self, names: &[String]) -> Result<Vec<Pipeline>> {
        let all = if names.is_empty() { self.names()? } else { names.to_vec() };
        if all.is_empty() {
            return Err(Error::new(Kind::Invalid, "this folder has no pipelines")
                .with("folder", self.dir.join("pipelines").display())
                .hint("tidegate init   (or tidegate demo, to see it work first)"));
        }
        all.iter().map(|name| self.pipeline(name)).collect()
    }

    /// The pipeline's connector, with the pipeline's own request budget, overlays, promoted fields and column policies
    /// when it has them. Fails `Invalid` when an overlay is wrong or a policy is for a column that cannot have one.
    pub fn connector(&self, pipeline: &Pipeline) -> Result<Arc<Connector>> {
        let connector = self.catalog.connector(&pipeline.connector)?;
        let overlays = self.overlays(pipeline, connector)?;
        let connector = connector.as_ref().clone().overlaid(&overlays)?;
        let mut connector = connector.feeding(&self.entities(pipeline)?).marking();
        if let Some(requests) = pipeline.limits.requests_per_minute {
            connector.budget.requests = requests;
            connector.budget.per = Duration::from_secs(60);
        }
        let policies = Personal::of(&connector).policies(pipeline)?;
        super::overlays::hidden_stays_hidden(&connector, &policies)?;
        Ok(Arc::new(connector.hiding(policies)))
    }

    /// Everything that a sync of the pipeline needs. Fails `Invalid` for a missing variable or unknown stream.
    pub fn job(&self, pipeline: &Pipeline, narrow: &Narrow) -> Result<Job> {
        let connector = self.connector(pipeline)?;
        let asked =
            if narrow.streams.is_empty() { pipeline.streams.as_deref() } else { Some(&narrow.streams[..]) };
        if let Some(unknown) =
            asked.iter().copied().flatten().find(|a| connector.streams.iter().all(|s| &s.name != *a))
        {
            let known: Vec<&str> = connector.streams.iter().map(|s| s.name.as_str()).collect();
            return Err(Error::new(
                Kind::Invalid,
                format!("connector `{}` has no stream `{unknown}`", connector.name),
            )
            .hint(format!("it has: {}", known.join(", "))));
        }
        let wanted = |name: &String| asked.is_none_or(|a| a.contains(name));
        let streams = connector.streams.iter().filter(|s| wanted(&s.name)).cloned().collect();
        let pace = f64::from(connector.budget.requests) / connector.budget.per.as_secs_f64();
        let options = Options {
            start: pipeline.start,
            requests_max: narrow.requests_max,
            slices: pace >= SLICED_FROM,
            named: asked.is_some(),
            ..Options::default()
        };
        Ok(Job {
            pipeline: pipeline.name.clone(),
            facts: Facts { owner: pipeline.owner.clone(), time_zone: pipeline.time_zone },
            streams,
            entities: self.entities(pipeline)?,
            inputs: self.inputs(pipeline, &connector)?,
            base_url: pipeline.base_url.clone(),
            seed: twox_hash::XxHash3_128::oneshot(pipeline.name.as_bytes()) as u64,
            options,
            keep_raw: pipeline.raw_keep,
            raw_for: pipeline.raw_for,
            delete_share_max: pipeline.limits.delete_share,
            reject_share_max: pipeline.limits.reject_share,
            connector,
        })
    }

    fn inputs(&self, pipeline: &Pipeline, connector: &Connector) -> Result<BTreeMap<String, InputValue>> {
        let resolved = pipeline.resolve(&self.env, &connector.inputs)?;
        let secret =
            |name: &String| connector.inputs.iter().any(|i| &i.name == name && i.kind == InputKind::Secret);
        let value = |(name, value): (String, Secret)| {
            let value = if secret(&name) {
                InputValue::Secret(value)
            } else {
                InputValue::Text(value.expose().to_owned())
            };
            (name, value)
        };
        Ok(resolved.into_iter().map(value).collect())
    }

    /// The folder of a lake, without the `./` in the middle.
    pub fn lake(&self, path: &Path) -> PathBuf {
        self.dir.join(path).components().collect()
    }

    /// The pipeline's destination, connected but not opened. Fails `Invalid` when nothing of the pipeline was committed
    /// yet: what is not there cannot be asked, proven or copied.
    pub async fn synced(&self, pipeline: &Pipeline) -> Result<Store> {
        let mut store = self.store(pipeline).await?;
        if store.peek(&pipeline.owner).await?.is_none_or(|opened| opened.commit_no == 0) {
            return Err(Error::new(Kind::Invalid, format!("nothing of `{}` was synced yet", pipeline.name))
                .hint(format!("tidegate sync {}", pipeline.name)));
        }
        Ok(store)
    }

    /// The pipeline's destination, connected but not opened.
    pub async fn store(&self, pipeline: &Pipeline) -> Result<Store> {
        match &pipeline.destination {
            DestinationSpec::Lake { path } => Ok(Store::Lake(Box::new(Lake::new(self.lake(path))))),
            DestinationSpec::Postgres { url } => {
                Ok(Store::Postgres(Box::new(Postgres::connect(&self.env.secret(url)?).await?)))
            }
        }
    }
}

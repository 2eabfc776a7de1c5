//! What a sync is given and what it answers. Plain data.
use super::{Normalizers, progress::Progress, summary::Summary};
use crate::{
    entity::Entity,
    error::Error,
    extract::{InputValue, Options},
    manifest::{Connector, Stream},
    normalize::Facts,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// What is synced, with what, under which limits.
#[derive(Clone, Debug)]
pub struct Job {
    /// Pipeline's name, for the summary.
    pub pipeline: String,
    /// Proven connector.
    pub connector: Arc<Connector>,
    /// Whose rows, in which zone.
    pub facts: Facts,
    /// The streams to read, in order.
    pub streams: Vec<Arc<Stream>>,
    /// Unified tables that the destination must have, whether fed or not.
    pub entities: Vec<Arc<Entity>>,
    /// Credentials, base URL, seed and options of the extraction machine.
    pub inputs: BTreeMap<String, InputValue>,
    /// Overrides the connector's base URL.
    pub base_url: Option<String>,
    /// Seeds the jitter.
    pub seed: u64,
    /// Limits and choices of the extraction machine.
    pub options: Options,
    /// False: bodies are not kept.
    pub keep_raw: bool,
    /// Bodies of superseded states go when they were read longer ago; None: never.
    pub raw_for: Option<Duration>,
    /// A complete scan that would delete a larger share of rows deletes nothing and fails its stream.
    pub delete_share_max: f64,
    /// A batch with a larger share of rejects fails its stream before anything of it is committed.
    pub reject_share_max: f64,
}

/// How a run ended, and the error that decides its exit code.
pub struct Outcome {
    /// What happened, per stream.
    pub summary: Summary,
    /// What stopped the run, or the first stream that failed.
    pub error: Option<Error>,
}

/// Says when to stop: `true` ends the run after a clean checkpoint.
pub type Stop = tokio::sync::watch::Receiver<bool>;

/// A stop that never comes.
pub fn never() -> Stop {
    tokio::sync::watch::channel(false).1
}

/// What a run works with.
pub struct Tools<'a, H, C, D> {
    /// Fetches.
    pub http: &'a H,
    /// Tells the time.
    pub clock: &'a C,
    /// Keeps.
    pub destination: &'a mut D,
    /// Plans of mappings, shared by all runs of the process.
    pub normalizers: &'a Normalizers,
    /// Is told what happens.
    pub report: &'a mut (dyn FnMut(Progress) + Send),
    /// Ends the run early.
    pub stop: Stop,
}

/// What the stored rows were made with: another value means that a rebuild is due.
pub fn made_with(connector: &Connector, time_zone: chrono_tz::Tz) -> String {
    format!("{}@{}", connector.mapping_hash, time_zone.name())
}

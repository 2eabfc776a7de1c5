//! A process that can die: clock, HTTP and destination count their effects, and effect k may never return.
use super::rows;
use arrow::array::RecordBatch;
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use tidegate::{
    checkpoint::Errand,
    entity::Entity,
    error::Result,
    extract::{InputValue, Limits, Options},
    id::{ConnectionId, Owner, TenantId},
    load::{
        Change, Commit, Committed, Compacted, Destination, Diff, Entry, Erased, Erasure, Layer, Opened,
        RawRecord, Retained, See, StoredIssue, StoredReject, Upkeep, erase::Order,
    },
    manifest::{self, Catalog, Connector, Paging},
    normalize::Facts,
    secret::Secret,
    sim::{Sim, chargebee::ProductCatalog, truth},
    sync::{self, Job, Normalizers, Outcome, Tools},
    time::{Clock, Timestamp},
    wire::{Handler, Http, Request, Response},
};
use tokio::sync::Notify;

pub(crate) const ZONE: chrono_tz::Tz = chrono_tz::Europe::Berlin;

/// Virtual time: sleeping is moving it.
#[derive(Clone)]
pub(crate) struct SimClock(pub(crate) Arc<AtomicI64>);

impl SimClock {
    pub(crate) fn at(t: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(t.0)))
    }
    pub(crate) fn pass(&self, d: Duration) {
        self.0.fetch_add(d.as_micros() as i64, Ordering::SeqCst);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
    async fn sleep_until(&self, t: Timestamp) {
        self.0.fetch_max(t.0, Ordering::SeqCst);
    }
}

/// When a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crash {
    /// Number of the effect, from 0.
    pub(crate) effect: u64,
    /// After it took hold, else before.
    pub(crate) after: bool,
}

/// Counts effects; the fatal one never returns.
#[derive(Default)]
pub(crate) struct Effects {
    pub(crate) count: AtomicU64,
    crash: Option<Crash>,
    dead: Notify,
    /// Virtual time that an exchange takes beyond the usual.
    slow: Duration,
}

impl Effects {
    pub(crate) fn new(crash: Option<Crash>) -> Arc<Self> {
        Self::slow(crash, Duration::ZERO)
    }
    /// Every exchange takes this much longer.
    pub(crate) fn slow(crash: Option<Crash>, slow: Duration) -> Arc<Self> {
        Arc::new(Self { crash, slow, ..Self::default() })
    }
    async fn run<T>(&self, act: impl Future<Output = T>) -> T {
        let effect = self.count.fetch_add(1, Ordering::SeqCst);
        let fatal = self.crash.filter(|c| c.effect == effect);
        if fatal.is_some_and(|c| !c.after) {
            self.die().await;
        }
        let done = act.await;
        if fatal.is_some() {
            self.die().await;
        }
        done
    }
    /// Returns once the fatal effect was reached.
    pub(crate) async fn died(&self) {
        self.dead.notified().await;
    }
    async fn die(&self) {
        self.dead.notify_one();
        std::future::pending::<()>().await;
    }
}

/// The simulated provider without a socket. Each exchange takes 40 ms of virtual time.
pub(crate) struct SimHttp {
    pub(crate) sim: Arc<Mutex<Sim>>,
    pub(crate) clock: SimClock,
    pub(crate) effects: Arc<Effects>,
}

impl Http for SimHttp {
    async fn send(&self, request: Request) -> Result<Response> {
        let answer = async {
            self.clock.pass(Duration::from_millis(20));
            let response = self.sim.lock().unwrap().handle(self.clock.now(), &request);
            self.clock.pass(Duration::from_millis(20) + self.effects.slow);
            Ok(response)
        };
        self.effects.run(answer).await
    }
}

/// A destination whose owner may die around every durable act.
pub(crate) struct Mortal<D> {
    pub(crate) inner: D,
    pub(crate) effects: Arc<Effects>,
}

impl<D: Destination> Destination for Mortal<D> {
    async fn open(&mut self, owner: &Owner, entities: &[Arc<Entity>]) -> Result<Opened> {
        self.effects.run(self.inner.open(owner, entities)).await
    }
    async fn commit(&mut self, commit: Commit) -> Result<Committed> {
        self.effects.run(self.inner.commit(commit)).await
    }
    async fn publish(&mut self, stream: &str) -> Result<u64> {
        self.effects.run(self.inner.publish(stream)).await
    }
    async fn close(&mut self) -> Result<()> {
        self.inner.close().await
    }
    async fn peek(&mut self, owner: &Owner) -> Result<Option<Opened>> {
        self.inner.peek(owner).await
    }
    async fn read(&mut self, entity: &Entity, layer: Layer) -> Result<Vec<RecordBatch>> {
        self.inner.read(entity, layer).await
    }
    async fn each(&mut self, entity: &Entity, see: See<'_>) -> Result<()> {
        self.inner.each(entity, see).await
    }
    async fn seen(&mut self, stream: &str) -> Result<Vec<u128>> {
        self.inner.seen(stream).await
    }
    async fn raw_after(&mut self, stream: &str, after: i64) -> Result<Option<(i64, Vec<RawRecord>)>> {
        self.inner.raw_after(stream, after).await
    }
    async fn rejects(&mut self, owner: &Owner) -> Result<Vec<StoredReject>> {
        self.inner.rejects(owner).await
    }
    async fn issues(&mut self, owner: &Owner) -> Result<Vec<StoredIssue>> {
        self.inner.issues(owner).await
    }
    async fn settle_issues(&mut self, issues: Vec<StoredIssue>) -> Result<()> {
        self.inner.settle_issues(issues).await
    }
    async fn change_state(&mut self, change: Change) -> Result<i64> {
        self.effects.run(self.inner.change_state(change)).await
    }
    async fn journal(&mut self, owner: &Owner) -> Result<Vec<Entry>> {
        self.inner.journal(owner).await
    }
    async fn erasures(&mut self, owner: &Owner) -> Result<Vec<Erasure>> {
        self.inner.erasures(owner).await
    }
    async fn erase(&mut self, order: &Order) -> Result<Erased> {
        self.effects.run(self.inner.erase(order)).await
    }
    async fn record_run(&mut self, summary: &serde_json::Value) -> Result<()> {
        self.inner.record_run(summary).await
    }
    async fn runs(&mut self, owner: &Owner, limit: usize) -> Result<Vec<serde_json::Value>> {
        self.inner.runs(owner, limit).await
    }
    async fn rebuild_begin(&mut self, stream: &str) -> Result<()> {
        self.inner.rebuild_begin(stream).await
    }
    async fn rebuild_end(&mut self, apply: bool) -> Result<Vec<Diff>> {
        self.inner.rebuild_end(apply).await
    }
    async fn retain(&mut self, before: Timestamp) -> Result<Retained> {
        self.effects.run(self.inner.retain(before)).await
    }
    async fn compact(&mut self, before: Option<Timestamp>) -> Result<Compacted> {
        self.effects.run(self.inner.compact(before)).await
    }
    async fn upkeep(&mut self, owner: &Owner) -> Result<Upkeep> {
        self.inner.upkeep(owner).await
    }
}

/// Which provider a test syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    Chargebee,
    /// With product catalog 1.0.
    ChargebeeCatalog1,
    Billsby,
}

pub(crate) fn owner() -> Owner {
    Owner { tenant: TenantId::parse("acme").unwrap(), connection: ConnectionId::parse("main").unwrap() }
}

/// Pages of four records, so that small worlds are paged too; larger ones where there is more.
fn small_pages(mut connector: Connector) -> Connector {
    for stream in &mut connector.streams {
        let mut small = stream.as_ref().clone();
        let records = match stream.name.as_str() {
            "events" => 60,
            "item_prices" | "plans" | "addons" => 16,
            _ => 4,
        };
        set_size(&mut small.paging, records);
        if let Some(deletes) = &mut small.deletes {
            let mut walk = deletes.walk.as_ref().clone();
            set_size(&mut walk.paging, 2);
            deletes.walk = Arc::new(walk);
        }
        *stream = Arc::new(small);
    }
    connector
}

pub(crate) fn set_size(paging: &mut Paging, records: u32) {
    match paging {
        Paging::Token { size, .. } | Paging::PageNumber { size, .. } => size.value = records,
    }
}

/// What is shared by every run of a test.
pub(crate) struct Bench {
    pub(crate) catalog: Catalog,
    pub(crate) normalizers: Normalizers,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { catalog: manifest::catalog(None).unwrap(), normalizers: Normalizers::default() }
    }

    pub(crate) fn job(&self, site: Site) -> Job {
        let (name, inputs) = match site {
            Site::Chargebee | Site::ChargebeeCatalog1 => (
                "chargebee",
                vec![
                    ("site", InputValue::Text("acme-test".into())),
                    ("api_key", InputValue::Secret(Secret::new(tidegate::sim::chargebee::API_KEY))),
                ],
            ),
            Site::Billsby => (
                "billsby",
                vec![
                    ("company", InputValue::Text("acme".into())),
                    ("api_key", InputValue::Secret(Secret::new(tidegate::sim::billsby::API_KEY))),
                ],
            ),
        };
        let connector = Arc::new(small_pages(self.catalog.connectors[name].as_ref().clone()));
        Job {
            pipeline: "main".into(),
            facts: Facts { owner: owner(), time_zone: ZONE },
            streams: connector.streams.clone(),
            entities: self.catalog.entities.values().cloned().collect(),
            inputs: inputs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
            base_url: None,
            seed: 7,
            options: Options { slices: false, limits: Limits::default(), ..Options::default() },
            keep_raw: true,
            raw_for: None,
            delete_share_max: 1.0,
            reject_share_max: 1.0,
            connector,
        }
    }

    /// One process: runs a sync to its end, or until it dies (None).
    pub(crate) async fn attempt<D: Destination>(
        &self,
        job: &Job,
        sim: &Arc<Mutex<Sim>>,
        clock: &SimClock,
        destination: D,
        effects: &Arc<Effects>,
    ) -> Option<Outcome> {
        self.process(job, None, (sim, clock), destination, effects).await
    }

    /// The same of a sweep or backfill.
    pub(crate) async fn repair<D: Destination>(
        &self,
        job: &Job,
        errand: &Errand,
        sim: &Arc<Mutex<Sim>>,
        clock: &SimClock,
        destination: D,
        effects: &Arc<Effects>,
    ) -> Option<Outcome> {
        self.process(job, Some(errand), (sim, clock), destination, effects).await
    }

    async fn process<D: Destination>(
        &self,
        job: &Job,
        errand: Option<&Errand>,
        (sim, clock): (&Arc<Mutex<Sim>>, &SimClock),
        destination: D,
        effects: &Arc<Effects>,
    ) -> Option<Outcome> {
        let http = SimHttp { sim: Arc::clone(sim), clock: clock.clone(), effects: Arc::clone(effects) };
        let mut mortal = Mortal { inner: destination, effects: Arc::clone(effects) };
        let mut report = |_| {};
        let tools = Tools {
            http: &http,
            clock,
            destination: &mut mortal,
            normalizers: &self.normalizers,
            report: &mut report,
            stop: sync::never(),
        };
        let work = async {
            match errand {
                None => sync::sync(job, tools).await,
                Some(errand) => sync::repair(job, errand, tools).await,
            }
        };
        tokio::select! {
            biased;
            () = effects.died() => None,
            outcome = work => Some(outcome),
        }
    }

    /// Current rows of every entity that the job feeds, as the truth writes them.
    pub(crate) async fn current<D: Destination>(&self, job: &Job, destination: &mut D) -> truth::Tables {
        let mut tables = truth::Tables::new();
        for entity in fed(job) {
            let batches = destination.read(&entity, Layer::Current).await.unwrap();
            tables.insert(entity.name.clone(), rows::canonical(&batches));
        }
        tables
    }

    /// The newest history row per key, removed ones left out: must equal the current rows.
    pub(crate) async fn newest_of_history<D: Destination>(
        &self,
        job: &Job,
        destination: &mut D,
    ) -> truth::Tables {
        let mut tables = truth::Tables::new();
        for entity in fed(job) {
            let batches = destination.read(&entity, Layer::History).await.unwrap();
            tables.insert(entity.name.clone(), rows::newest(&batches));
        }
        tables
    }
}

/// Every entity that some stream of the job feeds, once.
pub(crate) fn fed(job: &Job) -> Vec<Arc<Entity>> {
    let feeds = job
        .streams
        .iter()
        .flat_map(|s| s.feeds.iter().map(|f| (f.entity.name.clone(), Arc::clone(&f.entity))));
    feeds.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// What the world says must be there. `rejected`: ids whose records are shown with a wrong type.
pub(crate) fn expected(sim: &Arc<Mutex<Sim>>, site: Site) -> truth::Tables {
    let provider = match site {
        Site::Chargebee => truth::Provider::Chargebee,
        Site::ChargebeeCatalog1 => truth::Provider::ChargebeeCatalog1,
        Site::Billsby => truth::Provider::Billsby,
    };
    truth::expected(sim.lock().unwrap().world(), provider, &truth::Facts { time_zone: ZONE })
}

/// Gives the simulated site the catalog that the test is about.
pub(crate) fn set_catalog(sim: &mut Sim, site: Site) {
    if site == Site::ChargebeeCatalog1 {
        sim.set_catalog(ProductCatalog::V1);
    }
}

/// A child row keeps the version of its parent at which the child itself last changed, so versions of children are
/// not compared with the parent's newest.
pub(crate) fn without_child_versions(mut tables: truth::Tables, job: &Job) -> truth::Tables {
    for entity in fed(job).iter().filter(|e| e.parent.is_some()) {
        for columns in tables.entry(entity.name.clone()).or_default().values_mut() {
            columns.remove("version");
        }
    }
    tables
}

/// Panics with the first differences, entity by entity.
pub(crate) fn assert_same(found: &truth::Tables, expected: &truth::Tables, what: &str) {
    let mut said = Vec::new();
    for (entity, rows) in found {
        let empty = truth::Rows::new();
        let wanted = expected.get(entity).unwrap_or(&empty);
        for id in rows.keys().chain(wanted.keys()).collect::<std::collections::BTreeSet<_>>() {
            match (rows.get(id), wanted.get(id)) {
                (Some(a), Some(b)) if a == b => {}
                (Some(a), Some(b)) => {
                    let names: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
                    let differ = names.into_iter().filter(|n| a.get(*n) != b.get(*n));
                    let differ: Vec<String> = differ
                        .map(|n| format!("{n}: found {:?}, expected {:?}", a.get(n), b.get(n)))
                        .collect();
                    said.push(format!("{entity} {id}: {}", differ.join("; ")));
                }
                (Some(_), None) => said.push(format!("{entity} {id}: must not be there")),
                (None, Some(_)) => said.push(format!("{entity} {id}: is missing")),
                (None, None) => {}
            }
        }
    }
    assert!(said.is_empty(), "{what}: {} differences\n{}", said.len(), said[..said.len().min(12)].join("\n"));
}

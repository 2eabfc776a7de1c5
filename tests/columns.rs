//! Column policies: what a pipeline may ask for, and what is then stored on every destination.
use crate::{
    postgres_server::Database,
    simulation::harness::{Bench, Effects, SimClock, Site, owner},
};
use arrow::array::{Array, AsArray};
use std::{
    collections::BTreeSet,
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};
use tidegate::{
    app::project::Project,
    entity::{Policies, Policy, pseudonym},
    error::Kind,
    load::{
        Destination, Layer,
        lake::Lake,
        memory::{Memory, Store},
        postgres::Postgres,
    },
    sim::{
        Sim,
        chaos::Knob,
        world::{Size, World},
    },
    sync::{Job, summary::Status},
    time::Timestamp,
};

const START: Timestamp = Timestamp::from_secs(1_750_000_000);

/// Customers only: `email` hashed, `phone` and `custom_fields` dropped.
fn job(bench: &Bench, hidden: bool) -> Job {
    let mut job = bench.job(Site::Chargebee);
    job.streams.retain(|s| s.name == "customers");
    if hidden {
        let mut policies = Policies::default();
        policies.set("customers", "email", Policy::Hash);
        policies.set("customers", "phone", Policy::Drop);
        policies.set("customers", "custom_fields", Policy::Drop);
        job.connector = Arc::new(job.connector.as_ref().clone().hiding(policies));
        job.keep_raw = false;
    }
    job
}

struct Stage {
    bench: Bench,
    sim: Arc<Mutex<Sim>>,
    clock: SimClock,
}

impl Stage {
    fn new() -> Self {
        let sim = Arc::new(Mutex::new(Sim::of(World::new(1, Size { customers: 60 }, START), 1, &[])));
        Self { bench: Bench::new(), sim, clock: SimClock::at(START) }
    }
    async fn sync<D: Destination>(&self, job: &Job, store: D) -> u64 {
        let effects = Effects::new(None);
        let outcome = self.bench.attempt(job, &self.sim, &self.clock, store, &effects).await.unwrap();
        assert_eq!(outcome.summary.status, Status::Completed, "{:?}", outcome.error);
        self.clock.pass(Duration::from_secs(3_600));
        outcome.summary.streams.iter().map(|s| s.changed).sum()
    }
    async fn customers<D: Destination>(
        &self,
        job: &Job,
        store: &mut D,
    ) -> std::collections::BTreeMap<String, std::collections::BTreeMap<String, String>> {
        store.open(&owner(), &job.entities).await.unwrap();
        let rows = self.bench.current(job, store).await.remove("customers").unwrap();
        store.close().await.unwrap();
        rows
    }
    /// The same rows as a plain sync's, but for what is hidden; in history too; and written once.
    async fn hides<D: Destination>(&self, fresh: impl AsyncFn() -> D) {
        let (plain, hidden) = (job(&self.bench, false), job(&self.bench, true));
        let memory = Arc::new(Mutex::new(Store::default()));
        self.sync(&plain, Memory::new(Arc::clone(&memory))).await;
        let mut expected = self.customers(&plain, &mut Memory::new(memory)).await;
        let mut emails = BTreeSet::new();
        for columns in expected.values_mut() {
            columns.remove("phone");
            columns.remove("custom_fields");
            if let Some(email) = columns.get_mut("email") {
                *email = pseudonym(&owner().tenant, email.as_bytes());
                emails.insert(email.clone());
            }
        }
        assert!(emails.len() > 10);
        assert!(self.sync(&hidden, fresh().await).await > 0);
        assert_eq!(self.customers(&hidden, &mut fresh().await).await, expected);
        assert_eq!(self.sync(&hidden, fresh().await).await, 0, "an unchanged row is not written again");
        let customers = hidden.entities.iter().find(|e| e.name == "customers").unwrap();
        let mut store = fresh().await;
        store.open(&owner(), &hidden.entities).await.unwrap();
        let history = store.read(customers, Layer::History).await.unwrap();
        assert!(history.iter().map(|b| b.num_rows()).sum::<usize>() >= expected.len());
        for batch in history {
            assert!(batch["email"].as_string::<i32>().iter().flatten().all(|email| emails.contains(email)));
            assert_eq!(batch["phone"].null_count(), batch.num_rows());
        }
        assert!(store.raw_after("customers", 0).await.unwrap().is_none(), "no body is stored");
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn hidden_columns_are_hidden_in_rows_and_history_in_memory() {
    let store = Arc::new(Mutex::new(Store::default()));
    Stage::new().hides(async || Memory::new(Arc::clone(&store))).await;
}

#[tokio::test]
async fn hidden_columns_are_hidden_in_rows_and_history_in_a_lake() {
    let folder = tempfile::tempdir().unwrap();
    Stage::new().hides(async || Lake::new(folder.path().to_owned())).await;
}

#[tokio::test]
async fn hidden_columns_are_hidden_in_rows_and_history_in_postgres() {
    let database = Database::new().await;
    Stage::new().hides(async || Postgres::connect(&database.secret()).await.unwrap()).await;
}

#[tokio::test]
async fn a_hidden_record_leaves_quarantine_when_a_later_state_of_it_fits() {
    let stage = Stage::new();
    let hidden = job(&stage.bench, true);
    let store = Arc::new(Mutex::new(Store::default()));
    stage.sim.lock().unwrap().set_knobs(1, &[Knob::WrongTypes(200)]);
    stage.sync(&hidden, Memory::new(Arc::clone(&store))).await;
    let rejects = Memory::new(Arc::clone(&store)).rejects(&owner()).await.unwrap();
    assert!(!rejects.is_empty());
    let kept = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).unwrap();
    for stored in &rejects {
        let kept = kept(&stored.reject.body);
        let fields: BTreeSet<&str> = kept.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["body_not_kept", "resource_version"].into(), "nothing of what it says");
    }
    stage.sim.lock().unwrap().quiet(tidegate::time::Clock::now(&stage.clock));
    stage.clock.pass(Duration::from_secs(3_600));
    stage.sync(&hidden, Memory::new(Arc::clone(&store))).await;
    assert_eq!(Memory::new(store).rejects(&owner()).await.unwrap().len(), 0);
}

fn project(end: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("pipelines")).unwrap();
    let text = format!(
        "pipeline: a\ntenant: a\nsource:\n  connector: chargebee\n  connection:\n    site: a\n    \
         api_key: {{ env: KEY }}\n    time_zone: UTC\ndestination: {{ lake: ./lake }}\n{end}"
    );
    fs::write(folder.path().join("pipelines/a.yaml"), text).unwrap();
    fs::write(folder.path().join(".env"), "KEY=k\n").unwrap();
    folder
}

#[test]
fn a_column_alone_means_every_table_and_one_with_its_table_comes_first() {
    let told = |columns: &str| {
        let folder = project(&format!("raw: drop\ncolumns: {columns}\n"));
        let project = Project::open(folder.path()).unwrap();
        let connector = project.connector(&project.pipeline("a").unwrap()).unwrap();
        (connector.policies.told(), connector.mapping_hash.clone(), connector.hash.clone())
    };
    let both = told("{ customers.email: drop, email: hash }");
    assert_eq!(both.0, "drop customers.email, hash virtual_bank_accounts.email");
    let one = told("{ email: hash, customers.email: keep }");
    assert_eq!(one.0, "hash virtual_bank_accounts.email");
    let (none, kept) = (told("{}"), told("{ email: keep }"));
    assert_eq!(none, kept, "keep is what happens anyway");
    assert!(both.1 != one.1 && one.1 != none.1, "another policy means that rows are made otherwise");
    assert!(both.2 == one.2 && one.2 == none.2, "page tokens stay good");
}

#[test]
fn policies_that_cannot_be_are_refused_with_their_place() {
    let cases = [
        ("columns: { email: hash }\n", "`email: hash` would hide nothing", "add `raw: drop`"),
        ("raw: keep\ncolumns: { email: drop }\n", "would hide nothing", "add `raw: drop`"),
        ("raw: { keep: 90d }\ncolumns: { email: drop }\n", "would hide nothing", "add `raw: drop`"),
        ("raw: drop\ncolumns: { email: hsah }\n", "unknown policy `hsah`", "did you mean `hash`?"),
        ("raw: drop\ncolumns: { emial: hash }\n", "no column `emial`", "did you mean `email`?"),
        (
            "raw: drop\ncolumns: { customers.emial: hash }\n",
            "no column `customers.emial`",
            "did you mean `customers.email`?",
        ),
        (
            "raw: drop\ncolumns: { customer.email: hash }\n",
            "no column `customer.email`",
            "did you mean `customers.email`?",
        ),
        (
            "raw: drop\ncolumns: { invoices.currency: drop }\n",
            "`invoices.currency` is not marked as personal data",
            "tidegate schema invoices",
        ),
        ("raw: drop\ncolumns: { id: hash }\n", "`id` is not marked as personal data", "tidegate schema"),
        (
            "raw: drop\ncolumns: { cf_seats: hash }\ncustom: { customers: { cf_seats: int } }\n",
            "`customers.cf_seats` holds int, which cannot be hashed",
            "cf_seats: drop",
        ),
    ];
    for (end, expected, hint) in cases {
        let folder = project(end);
        let project = Project::open(folder.path()).unwrap();
        let error = project.pipeline("a").and_then(|p| project.connector(&p)).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        let line = if end.starts_with("raw") { 11 } else { 10 };
        let told = error.to_string();
        assert!(told.contains(expected) && told.contains(&format!("pipelines/a.yaml:{line}")), "{told}");
        assert!(error.next().unwrap_or_default().contains(hint), "{end}: {:?}", error.next());
    }
}

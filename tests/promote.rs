//! Custom fields as columns of their own: typed, on every destination, for one pipeline among several.
use crate::{
    postgres_server::Database,
    simulation::harness::{Bench, Effects, SimClock, Site, owner},
};
use sqlx::Executor;
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tidegate::{
    app::project::Project,
    entity::{Column, ColumnType, Entity, OnBad},
    error::Kind,
    load::{
        Destination,
        lake::Lake,
        memory::{Memory, Store},
        postgres::Postgres,
    },
    sim::{
        Sim,
        world::{Size, World},
    },
    sync::{self, Job, summary::Status},
    time::Timestamp,
};

const START: Timestamp = Timestamp::from_secs(1_750_000_000);

fn grown(customers: &Entity) -> Arc<Entity> {
    let column = |name: &str, ty, promoted| Column {
        name: name.into(),
        ty,
        pii: true,
        on_bad: OnBad::Null,
        meaning: "promoted".into(),
        promoted,
    };
    let added = [
        column("cf_other", ColumnType::Text, false),
        column("cf_onboarded", ColumnType::Bool, true),
        column("cf_seats", ColumnType::Int, true),
        column("cf_segment", ColumnType::Text, true),
    ];
    let columns = customers.columns.iter().cloned().chain(added).collect();
    Arc::new(Entity { columns, ..customers.clone() })
}

/// Customers only; with promoted fields, or without.
fn job(bench: &Bench, promoted: bool) -> Job {
    let mut job = bench.job(Site::Chargebee);
    if promoted {
        for entity in job.entities.iter_mut().filter(|e| e.name == "customers") {
            *entity = grown(entity);
        }
        job.connector = Arc::new(job.connector.feeding(&job.entities));
        job.streams = job.connector.streams.clone();
    }
    job.streams.retain(|s| s.name == "customers");
    job
}

/// What the promoted columns must hold, by customer: absent where the value does not fit or is not there.
fn expected(sim: &Arc<Mutex<Sim>>) -> BTreeMap<String, BTreeMap<String, String>> {
    let sim = sim.lock().unwrap();
    let customer = |row: &tidegate::sim::world::model::Customer| {
        let fits = |(name, json): &(&str, String)| match *name {
            "cf_seats" => json.parse::<i64>().is_ok(),
            name => ["cf_segment", "cf_onboarded"].contains(&name),
        };
        let plain = |(name, json): &(&str, String)| ((*name).to_owned(), json.trim_matches('"').to_owned());
        (row.id.clone(), row.custom.iter().filter(|f| fits(f)).map(plain).collect())
    };
    sim.world().customers().rows().map(customer).collect()
}

async fn found<D: Destination>(
    bench: &Bench,
    job: &Job,
    store: &mut D,
) -> BTreeMap<String, BTreeMap<String, String>> {
    store.open(&owner(), &job.entities).await.unwrap();
    let rows = bench.current(job, store).await.remove("customers").unwrap();
    store.close().await.unwrap();
    let own = |mut columns: BTreeMap<String, String>| {
        columns.retain(|name, _| name.starts_with("cf_"));
        columns
    };
    rows.into_iter().map(|(id, columns)| (id, own(columns))).collect()
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
    async fn sync<D: Destination>(&self, job: &Job, store: D) {
        let effects = Effects::new(None);
        let outcome = self.bench.attempt(job, &self.sim, &self.clock, store, &effects).await.unwrap();
        assert_eq!(outcome.summary.status, Status::Completed, "{:?}", outcome.error);
        self.clock.pass(Duration::from_secs(3_600));
    }
    /// With promoted fields from the start.
    async fn fits<D: Destination>(&self, fresh: impl AsyncFn() -> D) {
        let promoted = job(&self.bench, true);
        let wanted = expected(&self.sim);
        assert!(wanted.values().any(|c| c.contains_key("cf_seats")));
        self.sync(&promoted, fresh().await).await;
        assert_eq!(found(&self.bench, &promoted, &mut fresh().await).await, wanted);
    }
    /// Promoted later, which a rebuild fills in.
    async fn grows<D: Destination>(&self, other: impl AsyncFn() -> D) {
        let (plain, promoted) = (job(&self.bench, false), job(&self.bench, true));
        assert_ne!(plain.connector.mapping_hash, promoted.connector.mapping_hash, "a rebuild is due");
        assert_eq!(plain.connector.hash, promoted.connector.hash, "page tokens stay good");
        let wanted = expected(&self.sim);
        self.sync(&plain, other().await).await;
        self.sync(&promoted, other().await).await;
        let before = found(&self.bench, &promoted, &mut other().await).await;
        assert!(before.values().all(BTreeMap::is_empty), "an unchanged row is not written again");
        let mut store = other().await;
        store.open(&owner(), &promoted.entities).await.unwrap();
        for stream in &promoted.streams {
            sync::rebuild(&promoted, stream, &mut store, &self.bench.normalizers, true).await.unwrap();
        }
        store.close().await.unwrap();
        assert_eq!(found(&self.bench, &promoted, &mut other().await).await, wanted);
    }
}

#[tokio::test]
async fn promoted_fields_are_typed_columns_in_memory() {
    let store = Arc::new(Mutex::new(Store::default()));
    Stage::new().fits(async || Memory::new(Arc::clone(&store))).await;
}

#[tokio::test]
async fn promoted_fields_are_typed_columns_in_a_lake() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let lake = |folder: &tempfile::TempDir| Lake::new(folder.path().to_owned());
    Stage::new().fits(async || lake(&a)).await;
    Stage::new().grows(async || lake(&b)).await;
}

#[tokio::test]
async fn promoted_fields_are_typed_columns_in_postgres_and_misfits_are_issues() {
    let (a, b) = (Database::new().await, Database::new().await);
    let stage = Stage::new();
    stage.fits(async || Postgres::connect(&a.secret()).await.unwrap()).await;
    Stage::new().grows(async || Postgres::connect(&b.secret()).await.unwrap()).await;
    let many = "select count(*) from billing.customers where custom_fields::jsonb ->> 'cf_seats' = 'many'";
    let issues = "select count(*) from tidegate.quality_issues where entity = 'customers' and column_name = 'cf_seats'";
    let mut session = a.session().await;
    let many = session.fetch_one(many).await.unwrap();
    let issues = session.fetch_one(issues).await.unwrap();
    let count = |row: &sqlx::postgres::PgRow| sqlx::Row::get::<i64, _>(row, 0);
    assert!(count(&many) > 0);
    assert_eq!(count(&many), count(&issues));
}

fn project(pipelines: &[(&str, &str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("pipelines")).unwrap();
    for (name, lake, custom) in pipelines {
        let text = format!(
            "pipeline: {name}\ntenant: {name}\nsource:\n  connector: chargebee\n  connection:\n    site: {name}\n    \
             api_key: {{ env: KEY }}\n    time_zone: UTC\ndestination: {{ lake: {lake} }}\n{custom}"
        );
        fs::write(folder.path().join(format!("pipelines/{name}.yaml")), text).unwrap();
    }
    fs::write(folder.path().join(".env"), "KEY=k\n").unwrap();
    folder
}

fn columns(folder: &Path, pipeline: &str, table: &str) -> Vec<(String, bool)> {
    let project = Project::open(folder).unwrap();
    let entities = project.entities(&project.pipeline(pipeline).unwrap()).unwrap();
    let entity = entities.iter().find(|e| e.name == table).unwrap();
    let added = entity.columns.iter().filter(|c| c.name.starts_with("cf_"));
    added.map(|c| (c.name.clone(), c.promoted)).collect()
}

#[test]
fn all_pipelines_of_one_destination_give_its_tables_the_same_columns_and_fill_their_own() {
    let folder = project(&[
        ("a", "./lake", "custom: { customers: { cf_region: text } }\n"),
        ("b", "lake", "custom:\n  customers: { cf_seats: int, cf_region: text }\n"),
        ("c", "./lake", ""),
        ("d", "./elsewhere", "custom: { customers: { cf_region: money } }\n"),
    ]);
    let names =
        |list: &[(&str, bool)]| list.iter().map(|(n, own)| ((*n).to_owned(), *own)).collect::<Vec<_>>();
    assert_eq!(columns(folder.path(), "a", "customers"), names(&[("cf_region", true), ("cf_seats", false)]));
    assert_eq!(columns(folder.path(), "b", "customers"), names(&[("cf_region", true), ("cf_seats", true)]));
    assert_eq!(columns(folder.path(), "c", "customers"), names(&[("cf_region", false), ("cf_seats", false)]));
    assert_eq!(columns(folder.path(), "d", "customers"), names(&[("cf_region", true)]));
    assert_eq!(columns(folder.path(), "a", "invoices"), []);
}

#[test]
fn promotions_that_cannot_be_are_refused_with_their_place() {
    let cases = [
        (
            "custom: { customer: { cf_a: text } }\n",
            "`customer` is not a table with custom fields",
            "customers",
        ),
        (
            "custom: { payments: { cf_a: text } }\n",
            "`payments` is not a table with custom fields",
            "invoices",
        ),
        ("custom: { customers: { email: text } }\n", "`customers` has a column `email` already", "cf_region"),
        (
            "custom: { customers: { version: int } }\n",
            "`customers` has a column `version` already",
            "cf_region",
        ),
        ("custom: { customers: { cf_a: number } }\n", "unknown type `number`", "expected one of text, int"),
        (
            "custom: { customers: { CF_A: int } }\n",
            "`CF_A` cannot be the name of a column",
            "as in cf_region",
        ),
    ];
    for (custom, expected, hint) in cases {
        let folder = project(&[("a", "./lake", custom)]);
        let project = Project::open(folder.path()).unwrap();
        let error = project.pipeline("a").and_then(|p| project.entities(&p)).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        let told = format!("{error}\n{}", error.next().unwrap_or_default());
        assert!(told.contains(expected) && told.contains("pipelines/a.yaml:10"), "{told}");
        assert!(!hint.is_empty() && told.contains(hint), "{told}");
    }
    let folder = project(&[
        ("a", "./lake", "custom: { customers: { cf_a: text } }\n"),
        ("b", "./lake", "custom: { customers: { cf_a: int } }\n"),
    ]);
    let project = Project::open(folder.path()).unwrap();
    let error = project.entities(&project.pipeline("a").unwrap()).unwrap_err().to_string();
    assert!(error.contains("different types") && error.contains("pipelines/b.yaml:10"), "{error}");
}

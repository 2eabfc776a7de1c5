//! `tidegate demo`: a simulated site, a first load, a month of billing, an incremental sync, answers in SQL.
use super::{
    init::{self, Order, Target},
    project::{Narrow, Project},
    query::Reader,
    simulate, sync,
};
use crate::{
    error::{Error, Kind, Result},
    sim::{Sim, chaos::Knob, chargebee::ProductCatalog, world::Size},
    sync::{Normalizers, Outcome, Stop, progress::Progress},
    time::{Clock, SystemClock, Timestamp},
};
use arrow::array::RecordBatch;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A file that tells a demo's folder from any other.
const MARK: &str = ".tidegate-demo";
/// Name of the demo's pipeline.
pub const PIPELINE: &str = "acme";
/// Customers of the simulated company.
const CUSTOMERS: usize = 60;
/// Billing that passes between the two syncs.
const MONTH: Duration = Duration::from_secs(30 * 86_400);
/// Requests a minute that the simulated site allows; a real test site allows 150.
const PACE: u32 = 590;

/// What a demo shows, in this order.
pub enum Scene<'a> {
    /// The site is up.
    Serving {
        /// Base URL.
        url: &'a str,
        /// Customers.
        customers: usize,
        /// Where the files go.
        dir: &'a Path,
    },
    /// A sync begins.
    Syncing(&'a str),
    /// Something happened in it.
    Progress(Progress),
    /// A sync ended.
    Synced(&'a Outcome),
    /// Time passed in the simulated company.
    Passed(&'a [(&'static str, u64)]),
    /// A question and its answer.
    Answer {
        /// What is asked, for a person.
        title: &'a str,
        /// The same in SQL.
        sql: &'a str,
        /// Rows.
        rows: &'a [RecordBatch],
    },
}

/// Questions the demo asks of the lake.
const QUESTIONS: [(&str, &str); 3] = [
    (
        "What was invoiced, paid and is open, per month and currency?",
        "select month_start as month, currency, invoices, round(invoiced, 2) as invoiced, round(paid, 2) as paid, \
         round(open, 2) as open from invoiced_by_month order by month_start desc, currency limit 12",
    ),
    (
        "How has MRR developed?",
        "select month_start as month, currency, round(sum(mrr), 2) as mrr, count(*) as customers from mrr_monthly \
         group by month_start, currency order by month_start desc, currency limit 12",
    ),
    (
        "Does every invoice add up? (rows here are documents that do not)",
        "select rule, count(*) as documents from reconcile_invoices group by rule order by rule",
    ),
];

/// Runs the demo in `dir`, which keeps its project and lake afterwards. A second run begins anew.
pub async fn demo(
    dir: &Path,
    seed: u64,
    stop: Stop,
    show: &mut (dyn FnMut(Scene<'_>) + Send),
) -> Result<bool> {
    clear(dir)?;
    let present = SystemClock.now();
    let order = simulate::Order {
        port: 0,
        seed,
        size: Size { customers: CUSTOMERS },
        knobs: Vec::new(),
        catalog: ProductCatalog::V2,
        advance: None,
        behind: Some(MONTH),
    };
    let served = simulate::prepare(order, present).await?;
    let (sim, access) = (Arc::clone(&served.sim), served.access());
    let (down, until) = tokio::sync::oneshot::channel::<()>();
    let site = served.serve(SystemClock, async move { drop(until.await) });
    let story = async {
        show(Scene::Serving { url: &access.chargebee_url, customers: CUSTOMERS, dir });
        let project = project(dir, &access)?;
        let done = tell(&project, &sim, present, stop, show).await;
        drop(down);
        done
    };
    let (served, told) = tokio::join!(site, story);
    told.and_then(|done| served.map(|()| done))
}

/// The two syncs and the questions. False when a sync did not complete.
async fn tell(
    project: &Project,
    sim: &Arc<Mutex<Sim>>,
    present: Timestamp,
    stop: Stop,
    show: &mut (dyn FnMut(Scene<'_>) + Send),
) -> Result<bool> {
    let pipeline = project.pipeline(PIPELINE)?;
    let normalizers = Normalizers::default();
    for title in ["First load", "A month later"] {
        show(Scene::Syncing(title));
        let mut report = |event| show(Scene::Progress(event));
        let outcome =
            sync::pipeline(project, &pipeline, &Narrow::default(), &normalizers, &mut report, stop.clone())
                .await?;
        show(Scene::Synced(&outcome));
        if let Some(error) = outcome.error {
            return Err(error);
        }
        if title == "First load" {
            let before = counts(sim);
            trouble(sim, present);
            let changes: Vec<(&'static str, u64)> = counts(sim)
                .iter()
                .zip(before)
                .map(|((name, now), (_, then))| (*name, now.saturating_sub(then)))
                .collect();
            show(Scene::Passed(&changes));
        }
    }
    let reader = Reader::open(project, &pipeline).await?;
    for (title, sql) in QUESTIONS {
        let rows = reader.query(sql).await?;
        show(Scene::Answer { title, sql, rows: &rows });
    }
    Ok(true)
}

fn locked(sim: &Arc<Mutex<Sim>>) -> MutexGuard<'_, Sim> {
    sim.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A month passes, and the site begins to misbehave.
fn trouble(sim: &Arc<Mutex<Sim>>, present: Timestamp) {
    let mut sim = locked(sim);
    sim.advance(present);
    sim.set_knobs(7, &[Knob::ServerErrors, Knob::SchemaAdditions, Knob::WrongTypes(30)]);
    sim.set_clock(SystemClock.now());
}

fn counts(sim: &Arc<Mutex<Sim>>) -> Vec<(&'static str, u64)> {
    let sim = locked(sim);
    let world = sim.world();
    let all: [(&'static str, usize); 5] = [
        ("customers", world.customers().len()),
        ("subscriptions", world.subscriptions().len()),
        ("invoices", world.invoices().len()),
        ("credit notes", world.notes().len()),
        ("transactions", world.transactions().len()),
    ];
    all.map(|(name, n)| (name, n as u64)).to_vec()
}

/// Makes the folder, or removes what an earlier demo left in its own. Fails `Invalid` for a folder with anything else
/// in it.
fn clear(dir: &Path) -> Result<()> {
    let failed = |path: PathBuf| {
        move |e| {
            Error::new(Kind::Destination, "cannot prepare the demo's folder")
                .with("path", path.display())
                .because(e)
        }
    };
    fs::create_dir_all(dir).map_err(failed(dir.to_owned()))?;
    let (lake, mark) = (dir.join("lake"), dir.join(MARK));
    let empty = fs::read_dir(dir).map_err(failed(dir.to_owned()))?.next().is_none();
    if !empty && !mark.is_file() {
        return Err(Error::new(Kind::Invalid, "this folder is not empty, and no demo made it")
            .with("folder", dir.display())
            .hint("tidegate demo --dir another-folder"));
    }
    if lake.exists() {
        fs::remove_dir_all(&lake).map_err(failed(lake))?;
    }
    fs::write(&mark, "tidegate demo replaces what is in this folder\n").map_err(failed(mark))
}

fn project(dir: &Path, access: &simulate::Access) -> Result<Project> {
    let order = Order {
        name: PIPELINE.into(),
        tenant: PIPELINE.into(),
        connector: "chargebee".into(),
        settings: vec![("site".into(), "acme-test".into()), ("api_key".into(), "DEMO_API_KEY".into())],
        target: Target::Lake("./lake".into()),
        time_zone: Some("Europe/Berlin".into()),
        force: true,
    };
    let failed = |e| {
        Error::new(Kind::Destination, "cannot write the demo's project")
            .with("folder", dir.display())
            .because(e)
    };
    fs::write(dir.join(".env"), format!("DEMO_API_KEY={}\n", access.chargebee_key)).map_err(failed)?;
    let catalog = Project::open(dir)?.catalog;
    let connector = catalog.connector(&order.connector)?;
    let streams: Vec<&str> = connector.streams.iter().map(|s| s.name.as_str()).collect();
    init::init(dir, &order, &connector.inputs, &streams)?;
    let file = dir.join(format!("pipelines/{PIPELINE}.yaml"));
    let text = fs::read_to_string(&file).map_err(failed)?;
    let text =
        text.replacen("connection:", &format!("connection:\n    base_url: {}", access.chargebee_url), 1);
    let text = text.replacen("limits: { ", &format!("limits: {{ requests_per_minute: {PACE}, "), 1);
    fs::write(&file, text).map_err(failed)?;
    Project::open(dir)
}

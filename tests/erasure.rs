//! A customer whose data the provider clears: nothing older is kept anywhere, of nobody else anything is lost, and no
//! amount changes; wherever the process dies.
use crate::{
    postgres_server::Database,
    simulation::{
        crash::forget_unseen,
        harness::{
            Bench, Crash, Effects, SimClock, Site, assert_same, expected, fed, owner, without_child_versions,
        },
    },
};
use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::DataType,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sqlx::{AssertSqlSafe, Executor, Row};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};
use tidegate::{
    decode::Reject,
    load::{
        Commit, Destination, Erasure, Layer, StoredReject,
        lake::Lake,
        memory::{Memory, Store},
        postgres::Postgres,
    },
    sim::{
        Sim,
        truth::Tables,
        world::{Size, World, model::Customer, table::At},
    },
    sync::{self, Job, summary::Status},
    time::{Clock, Timestamp},
};

const START: Timestamp = Timestamp::from_secs(1_750_000_000);
const HOUR: Duration = Duration::from_secs(3_600);
/// Stands in every personal value of the customer who is cleared, and of the one who is not.
const GONE: &str = "PIIALPHA";
const KEPT: &str = "PIIBRAVO";

/// A place that outlives processes, and everything in it that is text.
trait Place {
    type D: Destination;
    async fn reopen(&self) -> Self::D;
    async fn dump(&self) -> String;
}

struct InMemory(Arc<Mutex<Store>>);

impl Place for InMemory {
    type D = Memory;
    async fn reopen(&self) -> Memory {
        Memory::new(Arc::clone(&self.0))
    }
    async fn dump(&self) -> String {
        format!("{:?}", self.0.lock().unwrap())
    }
}

struct InLake(tempfile::TempDir);

fn texts(batch: &RecordBatch, into: &mut String) {
    for column in batch.columns() {
        match column.data_type() {
            DataType::Utf8 => {
                column.as_string::<i32>().iter().flatten().for_each(|t| into.push_str(&format!("{t}\n")))
            }
            DataType::Binary => {
                let all = column.as_binary::<i32>().iter().flatten();
                all.for_each(|b| into.push_str(&format!("{}\n", String::from_utf8_lossy(b))));
            }
            _ => {}
        }
    }
}

fn read(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        into.push_str(&format!("{}\n", path.display()));
        if path.is_dir() {
            read(&path, into);
        } else if path.extension().is_some_and(|e| e == "parquet") {
            let file = fs::File::open(&path).unwrap();
            let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
            batches.for_each(|batch| texts(&batch.unwrap(), into));
        } else {
            into.push_str(&String::from_utf8_lossy(&fs::read(&path).unwrap()));
        }
    }
}

impl Place for InLake {
    type D = Lake;
    async fn reopen(&self) -> Lake {
        Lake::new(self.0.path().to_owned())
    }
    async fn dump(&self) -> String {
        let mut all = String::new();
        read(self.0.path(), &mut all);
        all
    }
}

impl Place for Database {
    type D = Postgres;
    async fn reopen(&self) -> Postgres {
        Postgres::connect(&self.secret()).await.unwrap()
    }
    async fn dump(&self) -> String {
        let mut session = self.session().await;
        let tables = "select format('%I.%I', table_schema, table_name) from information_schema.tables \
                      where table_schema in ('billing', 'history', 'raw', 'tidegate') and table_type = 'BASE TABLE'";
        let names: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut session).await.unwrap();
        assert!(names.iter().any(|n| n == "raw.records") && names.len() > 30, "{names:?}");
        let mut all = String::new();
        for name in names {
            let what = if name == "tidegate.rejects" {
                "concat(t::text, convert_from(body, 'UTF8'))"
            } else {
                "t::text"
            };
            let rows =
                session.fetch_all(AssertSqlSafe(format!("select {what} from {name} t"))).await.unwrap();
            rows.iter().for_each(|row| all.push_str(&format!("{}\n", row.get::<String, _>(0))));
        }
        all
    }
}

struct Story {
    bench: Bench,
    job: Job,
    sim: Arc<Mutex<Sim>>,
    clock: SimClock,
    gone: At<Customer>,
    kept: At<Customer>,
}

impl Story {
    /// Two customers with personal data that can be found again, in a company of a few.
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed, Size { customers: 8 }, START);
        let mut by_rows: Vec<(usize, At<Customer>)> =
            world.customers().iter().map(|(at, c)| (c.invoices.len() + c.notes.len(), at)).collect();
        by_rows.sort_unstable();
        let (gone, kept) = (by_rows.pop().unwrap().1, by_rows.pop().unwrap().1);
        world.sign(gone, &format!("{GONE}-1"));
        world.sign(kept, KEPT);
        let bench = Bench::new();
        let job = bench.job(Site::Chargebee);
        let sim = Arc::new(Mutex::new(Sim::of(world, seed, &[])));
        Self { bench, job, sim, clock: SimClock::at(START), gone, kept }
    }
    fn id(&self, at: At<Customer>) -> String {
        self.sim.lock().unwrap().world().customers()[at].id.clone()
    }
    fn change(&self, act: impl FnOnce(&mut World)) {
        self.clock.pass(HOUR);
        let mut sim = self.sim.lock().unwrap();
        let now = sim.time(self.clock.now());
        sim.advance(now);
        act(sim.world_mut());
    }
    async fn sync<P: Place>(&self, place: &P) -> u64 {
        self.clock.pass(HOUR);
        let calm = Effects::new(None);
        let done = self.bench.attempt(&self.job, &self.sim, &self.clock, place.reopen().await, &calm).await;
        let done = done.unwrap();
        assert_eq!(done.summary.status, Status::Completed, "{:?}", done.error);
        done.summary.erased
    }
    /// Several states of both, and a record of each in quarantine.
    async fn load<P: Place>(&self, place: &P) {
        self.sync(place).await;
        self.change(|world| world.sign(self.gone, &format!("{GONE}-2")));
        self.sync(place).await;
        let mut d = place.reopen().await;
        let checkpoint = d.open(&owner(), &self.job.entities).await.unwrap().checkpoints["invoices"].clone();
        let refused = |at, mark: &str, key: Option<&str>| Reject {
            stream: "invoices".into(),
            key: key.map(str::to_owned),
            rule: "wrong_type".into(),
            pointer: "/notes/0/note".into(),
            message: format!("found {mark}, expected an object"),
            asked_at: self.clock.now(),
            body: format!("{{\"id\":7,\"customer_id\":{:?},\"total\":5,\"notes\":[{mark:?}]}}", self.id(at))
                .into(),
        };
        let rejects = vec![
            refused(self.gone, &format!("{GONE}-bad"), None),
            refused(self.kept, &format!("{KEPT}-bad"), Some("7")),
        ];
        d.commit(Commit { rejects, ..nothing("invoices", checkpoint) }).await.unwrap();
        d.close().await.unwrap();
    }
    fn clear(&self) {
        self.change(|world| world.clear(self.gone));
    }
    async fn counts<D: Destination>(&self, d: &mut D) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for entity in fed(&self.job) {
            let batches = d.read(&entity, Layer::History).await.unwrap();
            counts.insert(entity.name.clone(), batches.iter().map(RecordBatch::num_rows).sum());
        }
        counts
    }
    /// Nothing of the cleared customer, all of the other, every column as in the world but what cannot be read again.
    async fn check<P: Place>(&self, place: &P, kept: usize, what: &str) -> BTreeMap<String, usize> {
        let dump = place.dump().await;
        if let Some(at) = dump.find(GONE) {
            let from = (at.saturating_sub(400)..=at).find(|i| dump.is_char_boundary(*i)).unwrap_or(at);
            panic!("{what}: still there: {}", &dump[from..at + GONE.len() + 20]);
        }
        assert_eq!(dump.matches(KEPT).count(), kept, "{what}: of another customer");
        let mut d = place.reopen().await;
        d.open(&owner(), &self.job.entities).await.unwrap();
        let current = self.bench.current(&self.job, &mut d).await;
        let newest = self.bench.newest_of_history(&self.job, &mut d).await;
        assert_same(&newest, &current, &format!("{what}: newest of history against current"));
        let mut truth = unspoken(expected(&self.sim, Site::Chargebee));
        forget_unseen(Site::Chargebee, &mut truth, &current);
        let (found, truth) =
            (without_child_versions(unspoken(current), &self.job), without_child_versions(truth, &self.job));
        assert_same(&found, &truth, &format!("{what}: current against the world"));
        let erasures = d.erasures(&owner()).await.unwrap();
        let [one] = erasures.as_slice() else { panic!("{what}: {erasures:?}") };
        assert_eq!((one.stream.as_str(), &one.person), ("customers", &self.id(self.gone)), "{what}");
        assert!(one.done_at.is_some_and(|at| at >= one.told_at), "{what}: {one:?}");
        let counts = self.counts(&mut d).await;
        d.close().await.unwrap();
        counts
    }
}

/// Personal columns of what the provider never shows again, for it never changes there.
fn unspoken(mut tables: Tables) -> Tables {
    for (table, columns) in [
        ("comments", &["notes", "added_by"][..]),
        ("events", &["content", "user_name", "origin_user_name"]),
        ("subscription_events", &["after"]),
    ] {
        for row in tables.get_mut(table).unwrap().values_mut() {
            columns.iter().for_each(|column| drop(row.remove(*column)));
        }
    }
    tables
}

fn nothing(stream: &str, checkpoint: tidegate::checkpoint::Checkpoint) -> Commit {
    Commit {
        stream: stream.into(),
        rows: None,
        rejects: Vec::new(),
        issues: Vec::new(),
        scan: None,
        checkpoint,
        keep_raw: true,
        as_of: None,
        resolves: Vec::new(),
        seen: Vec::new(),
        due: None,
        cleared: Vec::new(),
    }
}

async fn whole<P: Place>(place: P) {
    let story = Story::new(3);
    story.load(&place).await;
    let before = place.dump().await;
    let kept = before.matches(KEPT).count();
    assert!(before.matches(GONE).count() > 40 && kept > 20, "there is something to erase");
    story.clear();
    assert_eq!(story.sync(&place).await, 1);
    let counts = story.check(&place, kept, "after the sync").await;
    assert_eq!(story.sync(&place).await, 0, "told again, it is no new work");
    assert_eq!(story.check(&place, kept, "after another sync").await, counts);

    let mut d = place.reopen().await;
    d.open(&owner(), &story.job.entities).await.unwrap();
    let done: Vec<Erasure> = d.erasures(&owner()).await.unwrap();
    assert!(
        done[0].erased.rows > 10 && done[0].erased.bodies > 10 && done[0].erased.rejects == 1,
        "{done:?}"
    );
    for apply in [false, true] {
        for stream in &story.job.streams {
            let stored = d.raw_after(&stream.name, 0).await.unwrap();
            let Some(_) = stored else { continue };
            let rebuilt =
                sync::rebuild(&story.job, stream, &mut d, &story.bench.normalizers, apply).await.unwrap();
            assert_eq!(rebuilt.rejected, 0, "{rebuilt:?}");
            let same = rebuilt.diffs.iter().all(|diff| (diff.added, diff.removed, diff.changed) == (0, 0, 0));
            assert!(same, "{rebuilt:?}");
        }
    }
    d.close().await.unwrap();
    story.check(&place, kept, "after a rebuild").await;
    story.sync(&place).await;
    story.check(&place, kept, "after the sync that follows a rebuild").await;
    redriven(&story, &place).await;
}

/// A record that was read before the erasure, and that nobody could tell then whose it was, fits now.
async fn redriven<P: Place>(story: &Story, place: &P) {
    let mut d = place.reopen().await;
    let opened = d.open(&owner(), &story.job.entities).await.unwrap();
    let stream = story.job.streams.iter().find(|s| s.name == "comments").unwrap();
    let checkpoint = opened.checkpoints["comments"].clone();
    let body = format!(
        r#"{{"id":"cmt_late","entity_type":"customer","entity_id":{:?},"type":"user","notes":"{GONE}-late","created_at":1}}"#,
        story.id(story.gone)
    );
    let reject = Reject {
        stream: "comments".into(),
        key: None,
        rule: "wrong_type".into(),
        pointer: String::new(),
        message: String::new(),
        asked_at: START,
        body: body.into(),
    };
    let stored = StoredReject { id: "1-0".into(), commit_no: 1, reject };
    let (normalizers, now) = (&story.bench.normalizers, story.clock.now());
    let done =
        sync::redrive(&story.job, stream, vec![stored], checkpoint, &mut d, normalizers, now).await.unwrap();
    assert_eq!((done.accepted, done.changed), (1, 1));
    d.close().await.unwrap();
    let dump = place.dump().await;
    assert!(dump.contains("cmt_late") && !dump.contains(GONE), "a redriven record brings nothing back");
}

#[tokio::test]
async fn nothing_older_of_a_cleared_customer_is_left_in_memory() {
    whole(InMemory(Arc::default())).await;
}

#[tokio::test]
async fn nothing_older_of_a_cleared_customer_is_left_in_any_file_of_a_lake() {
    whole(InLake(tempfile::tempdir().unwrap())).await;
}

#[tokio::test]
async fn nothing_older_of_a_cleared_customer_is_left_in_any_table_of_postgres() {
    whole(Database::new().await).await;
}

/// The sync that is told of the erasure dies at an effect; the next one ends what it began.
async fn dying<P: Place>(fresh: impl AsyncFn() -> P, budget: u64) {
    let run = async |crash: Option<Crash>| {
        let (place, story) = (fresh().await, Story::new(5));
        story.load(&place).await;
        let kept = place.dump().await.matches(KEPT).count();
        story.clear();
        story.clock.pass(HOUR);
        let effects = Effects::new(crash);
        let outcome =
            story.bench.attempt(&story.job, &story.sim, &story.clock, place.reopen().await, &effects).await;
        assert_eq!(outcome.is_none(), crash.is_some(), "{crash:?}");
        let told = place.reopen().await.erasures(&owner()).await.unwrap();
        story.sync(&place).await;
        story.check(&place, kept, &format!("{crash:?}")).await;
        // Nothing but publishes comes after the erasure.
        let after = 1 + story.job.streams.len() as u64;
        let erasing = effects.count.load(Ordering::SeqCst).saturating_sub(after);
        (erasing, told.first().map(|one| one.done_at.is_some()))
    };
    let (erasing, told) = run(None).await;
    assert_eq!(told, Some(true));
    for after in [false, true] {
        assert_eq!(
            run(Some(Crash { effect: erasing, after })).await.1,
            Some(after),
            "the erasure is one act"
        );
        for effect in (0..erasing).step_by((erasing / budget) as usize).chain([erasing - 1, erasing + 1]) {
            run(Some(Crash { effect, after })).await;
        }
    }
}

#[tokio::test]
async fn an_erasing_sync_into_memory_survives_death() {
    dying(async || InMemory(Arc::default()), 9).await;
}

#[tokio::test]
async fn an_erasing_sync_into_the_lake_survives_death() {
    dying(async || InLake(tempfile::tempdir().unwrap()), 2).await;
}

//! Death at every effect on the file system: the process dies before it, or the power fails right after it. Whatever
//! was there is intact, the act under way happened wholly or not at all, and doing it again ends the same.
use super::{
    build::*,
    check::{self, Shown},
    lake::folder,
    upkeep::{Bodies, bodies},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};
use tidegate::{
    checkpoint::Checkpoint,
    error::Result,
    load::{
        Change, Commit, Destination, Entry,
        lake::{Effect, Files, Lake, Watch},
        memory::Memory,
    },
    time::Timestamp,
};

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// It stops before the effect.
    Killed,
    /// The effect is done, then the power fails: what was not synced is cut in half or undone.
    PowerFails,
}

#[derive(Default)]
struct Fate {
    armed: bool,
    seen: usize,
    die_at: Option<(usize, End)>,
    dead: bool,
    /// Files written and not synced.
    torn: BTreeSet<PathBuf>,
    /// Names changed and not synced: what was there before.
    undo: Vec<(PathBuf, Option<Vec<u8>>)>,
}

#[derive(Clone, Default)]
struct Reaper(Arc<Mutex<Fate>>);

impl Fate {
    fn note(&mut self, effect: Effect<'_>) {
        let before = |path: &Path| (path.to_owned(), fs::read(path).ok());
        match effect {
            Effect::Create(path) => drop(self.torn.insert(path.to_owned())),
            Effect::Sync(path) => drop(self.torn.remove(path)),
            Effect::Rename { to, .. } => self.undo.push(before(to)),
            Effect::Remove(path) if path.is_file() => self.undo.push(before(path)),
            Effect::SyncFolder(folder) => self.undo.retain(|(path, _)| path.parent() != Some(folder)),
            Effect::Remove(_) | Effect::Folder(_) => {}
        }
    }
    fn lose_power(&mut self) {
        for path in &self.torn {
            if let Ok(file) = fs::File::options().write(true).open(path) {
                file.set_len(file.metadata().unwrap().len() / 2).unwrap();
            }
        }
        for (path, was) in self.undo.drain(..).rev() {
            match was {
                Some(bytes) => fs::write(path, bytes).unwrap(),
                None => drop(fs::remove_file(path)),
            }
        }
    }
}

impl Watch for Reaper {
    fn before(&self, effect: Effect<'_>) -> io::Result<()> {
        let mut fate = self.0.lock().unwrap();
        if !fate.armed {
            return Ok(());
        }
        fate.seen += 1;
        if fate.dead || fate.die_at == Some((fate.seen, End::Killed)) {
            fate.dead = true;
            return Err(io::Error::other("killed"));
        }
        fate.note(effect);
        Ok(())
    }
    fn after(&self, _: Effect<'_>) -> io::Result<()> {
        let mut fate = self.0.lock().unwrap();
        if fate.armed && fate.die_at == Some((fate.seen, End::PowerFails)) {
            fate.dead = true;
            fate.lose_power();
            return Err(io::Error::other("power failed"));
        }
        Ok(())
    }
}

#[derive(Clone)]
enum Step {
    Open,
    Commit(Box<Commit>),
    Publish,
    Rebuild(Vec<Bill>),
    Compact(Option<Timestamp>),
    Retain(Timestamp),
    /// An operator forgets one stream and moves another.
    Change(i64),
    Erase,
}

async fn take<D: Destination>(d: &mut D, step: &Step) -> Result<()> {
    match step {
        Step::Open => d.open(&acme(), &entities()).await.map(drop),
        Step::Commit(commit) => d.commit(commit.as_ref().clone()).await.map(drop),
        Step::Publish => d.publish("bills").await.map(drop),
        Step::Change(watermark) => {
            let both = [("bills".to_owned(), None), ("people".to_owned(), Some(checkpoint(*watermark)))];
            d.change_state(Change { to: both.into(), ..change("bills", None) }).await.map(drop)
        }
        Step::Rebuild(bills) => {
            d.rebuild_begin("bills").await?;
            d.commit(Commit { as_of: Some(1), ..commit(bills) }).await?;
            d.rebuild_end(true).await.map(drop)
        }
        Step::Compact(before) => d.compact(*before).await.map(drop),
        Step::Retain(before) => d.retain(*before).await.map(drop),
        Step::Erase => d.erase(&erasure(&[("a", 50)])).await.map(drop),
    }
}

/// Loads, moves between months both ways, removals, a scan, a rejected record, a rebuild, housekeeping.
fn series() -> Vec<Step> {
    let first = [
        bill("a", 1, 1, Some(JANUARY), 1, &[("a1", 1), ("a2", 2)]),
        bill("b", 1, 1, Some(FEBRUARY), 1, &[("b1", 1)]),
        bill("c", 1, 1, None, 1, &[]),
    ];
    let second =
        [bill("a", 2, 2, Some(FEBRUARY), 2, &[("a1", 1)]), bill("b", 2, 2, Some(JANUARY), 2, &[("b1", 1)])];
    let loaded = Commit { rejects: vec![reject("x", "{}")], checkpoint: checkpoint(1), ..commit(&first) };
    let changed = Commit { resolves: vec!["1-0".into()], checkpoint: checkpoint(2), ..commit(&second) };
    let scanned = Commit { scan: Some(scan(&["a"], 9, 1.0)), ..empty("bills", 3) };
    let rebuilt = [bill("a", 2, 2, None, 3, &[("a1", 1)]), bill("d", 1, 1, Some(JANUARY), 1, &[("d1", 1)])];
    vec![
        Step::Open,
        Step::Commit(Box::new(loaded)),
        Step::Publish,
        Step::Commit(Box::new(changed)),
        Step::Publish,
        Step::Commit(Box::new(scanned)),
        Step::Rebuild(rebuilt.to_vec()),
        Step::Open,
        Step::Commit(Box::new(Commit { rejects: vec![reject("y", "{}")], ..later(4, "a") })),
        Step::Commit(Box::new(Commit { rejects: vec![reject("z", "{}")], ..later(5, "d") })),
        Step::Compact(Some(Timestamp(2))),
        Step::Commit(Box::new(later(6, "a"))),
        Step::Retain(Timestamp(5)),
        Step::Change(4),
        Step::Change(2),
        Step::Commit(Box::new(Commit {
            checkpoint: checkpoint(10),
            ..noted("a", 10, 40, FEBRUARY, "first")
        })),
        Step::Publish,
        Step::Commit(Box::new(Commit {
            checkpoint: checkpoint(11),
            ..noted("a", 11, 45, JANUARY, "second")
        })),
        Step::Erase,
    ]
}

/// A bill read at that time.
fn later(at: i64, id: &str) -> Commit {
    let rows = [bill(id, at, at, Some(FEBRUARY), at.into(), &[(&format!("{id}1"), at.into())])];
    Commit { checkpoint: checkpoint(at), ..commit(&rows) }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { fs::copy(&path, &target).map(drop).unwrap() }
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

/// What a reader that only globs would see: every file whole, no id twice.
fn glob(root: &Path) {
    for entity in [bills(), lines()] {
        let mut rows = Vec::new();
        for path in files_below(&root.join(&entity.name))
            .iter()
            .filter(|p| p.extension().is_some_and(|x| x == "parquet"))
        {
            let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap();
            rows.extend(reader.build().unwrap().map(|batch| batch.unwrap()));
        }
        check::by_id(check::shown(&rows));
    }
}

/// Every file that counts is there, and nothing else.
fn no_garbage(root: &Path, lake: &Lake) {
    for entity in [bills(), lines()] {
        let found = |folder: PathBuf| files_below(&folder).into_iter().collect::<BTreeSet<_>>();
        let named = |files: Vec<PathBuf>| files.into_iter().collect::<BTreeSet<_>>();
        assert_eq!(found(root.join(&entity.name)), named(lake.current_files(&acme(), &entity.name).unwrap()));
        let history = root.join("history").join(&entity.name);
        assert_eq!(found(history), named(lake.history_files(&acme(), &entity.name).unwrap()));
    }
    let state = root.join("_tidegate/tenant=acme/connection=main/state.json");
    let state: serde_json::Value = serde_json::from_slice(&fs::read(state).unwrap()).unwrap();
    let names = |files: &serde_json::Value, name: &str| -> BTreeSet<String> {
        let files = files.as_array().unwrap().iter();
        files.map(|f| f.pointer(name).unwrap().as_str().unwrap().to_owned()).collect()
    };
    let below = |folder: &str| -> BTreeSet<String> {
        let files = files_below(&root.join(folder));
        files.iter().map(|p| p.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    };
    if let Some(bills) = state["streams"].get("bills") {
        assert_eq!(below("raw"), names(&bills["raw"], "/name"));
    }
    assert_eq!(below("rejects"), names(&state["rejects"], "/file/name"));
    let states = files_below(&root.join("_tidegate"));
    let journals = states.iter().filter(|p| p.to_string_lossy().contains("/journal-")).count();
    assert!(journals <= 1, "{states:?}");
    let unfinished =
        |p: &PathBuf| p.extension().is_some_and(|x| x == "tmp") && !p.ends_with(".state.json.tmp");
    assert_eq!(files_below(root).into_iter().find(unfinished), None);
}

type Seen = (
    Vec<(String, BTreeMap<String, Shown>, Vec<Shown>)>,
    Vec<String>,
    Bodies,
    BTreeMap<String, Checkpoint>,
    Vec<Entry>,
);

async fn seen<D: Destination>(d: &mut D) -> Seen {
    let rejects = d.rejects(&acme()).await.unwrap();
    let rejects = rejects.into_iter().map(|r| r.id).collect();
    let checkpoints = d.peek(&acme()).await.unwrap().unwrap().checkpoints;
    let journal = d.journal(&acme()).await.unwrap();
    (check::everything(d).await, rejects, bodies(d).await, checkpoints, journal)
}

/// Dies at effect `die_at` of `step`; false when the step has fewer effects.
async fn dies(start: &Path, step: &Step, die_at: (usize, End), before: &Seen, after: &Seen) -> bool {
    let work = folder();
    let root = work.path().join("lake");
    copy(start, &root);
    let reaper = Reaper::default();
    let mut lake = Lake::with_files(root.clone(), Files::watched(Arc::new(reaper.clone())));
    if !matches!(step, Step::Open) {
        take(&mut lake, &Step::Open).await.unwrap();
    }
    *reaper.0.lock().unwrap() = Fate { armed: true, die_at: Some(die_at), ..Fate::default() };
    let outcome = take(&mut lake, step).await;
    drop(lake);
    if !reaper.0.lock().unwrap().dead {
        outcome.unwrap();
        return false;
    }
    assert!(outcome.is_err(), "{die_at:?}");
    glob(&root);
    let mut lake = Lake::new(root.clone());
    take(&mut lake, &Step::Open).await.unwrap();
    no_garbage(&root, &lake);
    let found = seen(&mut lake).await;
    assert!(found == *before || found == *after, "{die_at:?}: neither before nor after: {found:#?}");
    // An operator's change is asked for again only when it did not happen: it would be a change of its own.
    if !matches!(step, Step::Change(_)) || found == *before {
        take(&mut lake, step).await.unwrap();
    }
    take(&mut lake, &Step::Publish).await.unwrap();
    assert_eq!(seen(&mut lake).await, *after, "{die_at:?}");
    glob(&root);
    true
}

/// Tries every effect of the `nth` step of the series, both ways.
async fn sweep(nth: usize) {
    let home = folder();
    let root = home.path().join("before");
    fs::create_dir(&root).unwrap();
    let mut model = Memory::new(Arc::default());
    model.open(&acme(), &entities()).await.unwrap();
    let steps = series();
    let mut lake = Lake::new(root.clone());
    for step in &steps[..nth] {
        take(&mut model, step).await.unwrap();
        take(&mut lake, step).await.unwrap();
    }
    drop(lake);
    let before = seen(&mut model).await;
    take(&mut model, &steps[nth]).await.unwrap();
    let after = seen(&mut model).await;
    for end in [End::Killed, End::PowerFails] {
        let mut at = 1;
        while dies(&root, &steps[nth], (at, end), &before, &after).await {
            at += 1;
        }
        assert!(at > 3, "only {at} effects were tried");
    }
}

macro_rules! sweeps {
    ($($name:ident: $nth:literal),* $(,)?) => {
        $(#[tokio::test]
        async fn $name() {
            sweep($nth).await;
        })*
    };
}

sweeps! {
    death_in_the_first_open_tears_nothing: 0,
    death_in_the_first_commit_tears_nothing: 1,
    death_in_the_first_publish_tears_nothing: 2,
    death_in_a_later_commit_tears_nothing: 3,
    death_in_a_publish_that_moves_rows_tears_nothing: 4,
    death_in_the_last_commit_of_a_scan_tears_nothing: 5,
    death_in_a_rebuild_tears_nothing: 6,
    death_in_an_open_that_cleans_up_tears_nothing: 7,
    death_in_a_compaction_tears_nothing: 10,
    death_in_a_commit_after_a_compaction_tears_nothing: 11,
    death_in_a_retention_tears_nothing: 12,
    death_in_an_operators_change_tears_no_checkpoint_from_its_entry: 13,
    death_in_a_later_change_tears_no_checkpoint_from_its_entry: 14,
    death_in_an_erasure_tears_nothing: 18,
}

//! The contract, on files; and what only a lake promises: its layout, its readers, a full disk.
use super::{
    build::*,
    check::{current, everything, history, laws, shown},
    contract::{Harness, every_case},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use tidegate::{
    entity::{Column, Entity},
    error::Kind,
    load::{
        Commit, Destination, Rows,
        lake::{Effect, Files, Lake, Watch},
    },
    time::Timestamp,
};

pub(crate) struct Folder(TempDir);

/// In memory where the machine has such a place: the tests sync files thousands of times.
pub(crate) fn folder() -> TempDir {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

impl Folder {
    fn new() -> Self {
        Self(folder())
    }
}

impl Harness for Folder {
    type D = Lake;
    async fn reopen(&self) -> Lake {
        Lake::new(self.0.path().join("deep/lake"))
    }
    async fn evict(&self) {
        let lock = "deep/lake/_tidegate/tenant=acme/connection=main/lock";
        std::fs::remove_file(self.0.path().join(lock)).unwrap();
    }
}

every_case!(Folder::new());

fn parquet_files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|x| x == "parquet") {
                found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

async fn open(root: &Path) -> Lake {
    let mut lake = Lake::new(root.to_owned());
    lake.open(&acme(), &entities()).await.unwrap();
    lake
}

#[tokio::test]
async fn files_lie_where_readers_look_for_them() {
    let home = folder();
    let root = home.path();
    let mut lake = open(root).await;
    let rows = [bill("b", 1, 1, Some(JANUARY), 1, &[("l", 1)]), bill("a", 1, 1, Some(JANUARY), 1, &[])];
    let rejects = vec![reject("x", "{}")];
    lake.commit(Commit { rejects, ..commit(&[rows.to_vec(), vec![bill("c", 1, 1, None, 1, &[])]].concat()) })
        .await
        .unwrap();
    lake.commit(Commit { rows: Some(people_rows(&acme(), &[("p", 1, "P", &[])])), ..empty("people", 1) })
        .await
        .unwrap();
    lake.publish("bills").await.unwrap();
    lake.publish("people").await.unwrap();
    let own = "tenant=acme/connection=main";
    assert_eq!(
        parquet_files(root),
        [
            format!("bill_lines/{own}/month=2024-01/part-0.parquet"),
            format!("bills/{own}/month=2024-01/part-0.parquet"),
            format!("bills/{own}/month=none/part-0.parquet"),
            format!("history/bill_lines/{own}/c000000000001.parquet"),
            format!("history/bills/{own}/c000000000001.parquet"),
            format!("history/people/{own}/c000000000002.parquet"),
            format!("people/{own}/part-0.parquet"),
            format!("raw/bills/{own}/c000000000001.parquet"),
            format!("raw/people/{own}/c000000000002.parquet"),
            format!("rejects/{own}/c000000000001.parquet"),
        ]
    );
    let files = lake.current_files(&acme(), "bills").unwrap();
    assert_eq!(files[1], root.join(format!("bills/{own}/month=2024-01/part-0.parquet")));
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&files[1]).unwrap()).unwrap();
    assert_eq!(reader.schema().fields(), bills().schema().fields());
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    let ids: Vec<String> = shown(&[batch]).into_iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(lake.owners().unwrap(), [acme()]);
}

#[tokio::test]
async fn a_commit_never_touches_current_files_and_an_idle_publish_writes_nothing() {
    let home = folder();
    let mut lake = open(home.path()).await;
    let one = |version| commit(&[bill("a", version, version, Some(JANUARY), version.into(), &[])]);
    lake.commit(one(1)).await.unwrap();
    assert!(lake.current_files(&acme(), "bills").unwrap().is_empty());
    assert!(lake.publish("bills").await.unwrap() > 0);
    let path = lake.current_files(&acme(), "bills").unwrap().remove(0);
    let before = std::fs::read(&path).unwrap();
    lake.commit(one(2)).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(lake.publish("people").await.unwrap(), 0);
    assert!(lake.publish("bills").await.unwrap() > 0);
    assert_ne!(std::fs::read(&path).unwrap(), before);
    assert_eq!(lake.publish("bills").await.unwrap(), 0);
}

/// Counts what happens to the current file of January.
#[derive(Default)]
struct January {
    drafts: Mutex<usize>,
    exchanged: Mutex<usize>,
}

impl Watch for January {
    fn before(&self, _: Effect<'_>) -> io::Result<()> {
        Ok(())
    }
    fn after(&self, effect: Effect<'_>) -> io::Result<()> {
        let of_january = |path: &Path| path.parent().is_some_and(|folder| folder.ends_with("month=2024-01"));
        match effect {
            Effect::Create(path) if of_january(path) => *self.drafts.lock().unwrap() += 1,
            Effect::Rename { to, .. } if of_january(to) => *self.exchanged.lock().unwrap() += 1,
            _ => {}
        }
        Ok(())
    }
}

/// More commits between two publishes than are merged at once, and sections longer than a batch.
#[tokio::test]
async fn many_commits_are_published_before_too_many_wait() {
    let home = folder();
    let january = Arc::new(January::default());
    let mut lake = Lake::with_files(home.path().to_owned(), Files::watched(january.clone()));
    lake.open(&acme(), &entities()).await.unwrap();
    let many: Vec<Bill> = (0..3000).map(|i| bill(&format!("m{i:04}"), 0, 1, Some(JANUARY), 1, &[])).collect();
    lake.commit(commit(&many)).await.unwrap();
    for n in 1..60_i64 {
        let moved = bill("moved", n, n, Some(if n % 2 == 0 { JANUARY } else { FEBRUARY }), 1, &[]);
        lake.commit(commit(&[moved, bill(&format!("m{n:04}"), n, n, Some(JANUARY), 7, &[])])).await.unwrap();
        if n == 3 {
            lake.publish("bills").await.unwrap();
        }
    }
    let times = *january.exchanged.lock().unwrap();
    assert!((3..=6).contains(&times), "a month's file was exchanged {times} times");
    let before = everything(&mut lake).await;
    lake.publish("bills").await.unwrap();
    assert_eq!(everything(&mut lake).await, before);
    let bills = current(&mut lake, &bills()).await;
    assert_eq!((bills.len(), bills["moved"]["version"].as_str()), (3001, "59"));
    let changed = bills.values().filter(|row| row["total"] == "0.00000007").count();
    assert_eq!(changed, 59);
    laws(&mut lake).await;
}

/// A rebuild makes all history of a table unpublished at once, however much it is.
#[tokio::test]
async fn a_rebuild_of_many_commits_is_published_in_rounds() {
    let home = folder();
    let january = Arc::new(January::default());
    let mut lake = Lake::with_files(home.path().to_owned(), Files::watched(january.clone()));
    lake.open(&acme(), &entities()).await.unwrap();
    let turn = |n: i64| {
        let moved = bill("moved", n, n, Some(if n % 2 == 0 { JANUARY } else { FEBRUARY }), 1, &[]);
        commit(&[moved, bill(&format!("m{n:02}"), n, n, Some(JANUARY), 1, &[("l", 1)])])
    };
    lake.commit(turn(1)).await.unwrap();
    lake.publish("bills").await.unwrap();
    lake.rebuild_begin("bills").await.unwrap();
    for n in 1..60_i64 {
        lake.commit(Commit { as_of: Some(n), checkpoint: checkpoint(0), ..turn(n) }).await.unwrap();
    }
    *january.drafts.lock().unwrap() = 0;
    lake.rebuild_end(true).await.unwrap();
    let drafts = *january.drafts.lock().unwrap();
    assert!(drafts > 3, "all history was merged at once: {drafts} drafts");
    let bills = current(&mut lake, &bills()).await;
    assert_eq!((bills.len(), bills["moved"]["version"].as_str()), (60, "59"));
    laws(&mut lake).await;
}

/// Refuses one effect, as a full disk does.
struct FullDisk(Mutex<usize>);

impl Watch for FullDisk {
    fn before(&self, _: Effect<'_>) -> io::Result<()> {
        let mut left = self.0.lock().unwrap();
        *left = left.saturating_sub(1);
        if *left == 1 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
    fn after(&self, _: Effect<'_>) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_full_disk_stops_one_commit_and_the_next_succeeds() {
    let second = || commit(&[bill("a", 2, 2, Some(FEBRUARY), 2, &[("a2", 2)])]);
    let mut refused = 0;
    for nth in 2..60 {
        let home = folder();
        let disk = Arc::new(FullDisk(Mutex::new(0)));
        let mut lake = Lake::with_files(home.path().to_owned(), Files::watched(disk.clone()));
        lake.open(&acme(), &entities()).await.unwrap();
        lake.commit(commit(&[bill("a", 1, 1, Some(JANUARY), 1, &[("a1", 1)])])).await.unwrap();
        let before = everything(&mut lake).await;
        *disk.0.lock().unwrap() = nth;
        let Err(error) = lake.commit(second()).await else { break };
        refused += 1;
        assert_eq!(error.kind(), Kind::Destination);
        assert!(error.context().iter().any(|(key, _)| *key == "path"), "{error}");
        assert!(error.next().unwrap().contains("free some space"));
        match lake.commit(second()).await {
            Ok(done) => assert_eq!((done.commit_no, done.changed), (2, 1)),
            // Only the very last effect leaves it open whether the commit took hold; then nothing more is written.
            Err(e) => assert_eq!(e.kind(), Kind::Stale),
        }
        drop(lake);
        let mut lake = open(home.path()).await;
        assert_ne!(everything(&mut lake).await, before);
        assert_eq!(current(&mut lake, &bills()).await["a"]["version"], "2");
        laws(&mut lake).await;
    }
    assert!(refused > 10, "{refused}");
}

#[tokio::test]
async fn a_path_that_cannot_be_written_is_named() {
    let home = folder();
    std::fs::write(home.path().join("file"), "").unwrap();
    let mut lake = Lake::new(home.path().join("file/lake"));
    let error = lake.open(&acme(), &entities()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Destination);
    assert!(error.to_string().contains("/file): not a directory"), "{error}");
    assert!(error.next().is_some());
}

#[tokio::test]
async fn the_lock_names_its_holder() {
    let home = folder();
    let _first = open(home.path()).await;
    let error = Lake::new(home.path().to_owned()).open(&acme(), &entities()).await.unwrap_err();
    let want = format!("another process (pid {}) is syncing acme/main", std::process::id());
    assert_eq!((error.kind(), error.what()), (Kind::Locked, want.as_str()));
}

#[tokio::test]
async fn a_state_that_cannot_be_understood_is_left_alone() {
    for (text, want) in [("{", Kind::Destination), ("{\"format\":99}", Kind::Invalid)] {
        let home = folder();
        drop(open(home.path()).await);
        let path = home.path().join("_tidegate/tenant=acme/connection=main/state.json");
        let mut state: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        state["format"] = 99.into();
        std::fs::write(&path, if want == Kind::Invalid { state.to_string() } else { text.into() }).unwrap();
        let before = std::fs::read(&path).unwrap();
        let error = Lake::new(home.path().to_owned()).open(&acme(), &entities()).await.unwrap_err();
        assert_eq!(error.kind(), want, "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}

#[tokio::test]
async fn a_reader_holds_the_exchange_off() {
    let home = folder();
    let mut lake = open(home.path()).await;
    lake.commit(commit(&[bill("a", 1, 1, Some(JANUARY), 1, &[])])).await.unwrap();
    let guard = lake.read_guard(&acme()).unwrap();
    let lock = home.path().join("_tidegate/tenant=acme/connection=main/publish.lock");
    assert!(std::fs::File::open(&lock).unwrap().try_lock().is_err());
    assert!(std::fs::File::open(&lock).unwrap().try_lock_shared().is_ok());
    drop(guard);
    assert!(std::fs::File::open(&lock).unwrap().try_lock().is_ok());
    assert!(lake.publish("bills").await.unwrap() > 0);
}

#[tokio::test]
async fn a_new_column_is_null_in_older_rows() {
    let home = folder();
    let mut lake = open(home.path()).await;
    lake.commit(commit(&[bill("a", 1, 1, Some(JANUARY), 1, &[])])).await.unwrap();
    lake.publish("bills").await.unwrap();
    drop(lake);
    let mut grown = Entity::clone(&bills());
    grown.columns.push(Column { name: "added".into(), ..grown.columns[1].clone() });
    let mut lake = Lake::new(home.path().to_owned());
    lake.open(&acme(), &[Arc::new(grown.clone()), lines()]).await.unwrap();
    assert_eq!(current(&mut lake, &grown).await["a"]["version"], "1");
    assert_eq!(history(&mut lake, &grown).await.len(), 1);
}

/// Looks at the readers' lock whenever a file of history goes.
struct Lock {
    path: PathBuf,
    /// Whether a reader could have taken it.
    free: Mutex<Vec<bool>>,
}

impl Watch for Lock {
    fn before(&self, effect: Effect<'_>) -> io::Result<()> {
        if let Effect::Remove(path) = effect
            && path.components().any(|c| c.as_os_str() == "history")
        {
            let lock = std::fs::File::open(&self.path)?;
            self.free.lock().unwrap().push(lock.try_lock_shared().is_ok());
        }
        Ok(())
    }
    fn after(&self, _: Effect<'_>) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_compaction_leaves_few_files_and_takes_none_from_a_reader_with_a_guard() {
    let home = folder();
    let root = home.path();
    let path = root.join("_tidegate/tenant=acme/connection=main/publish.lock");
    let lock = Arc::new(Lock { path, free: Mutex::default() });
    let mut lake = Lake::with_files(root.to_owned(), Files::watched(lock.clone()));
    lake.open(&acme(), &entities()).await.unwrap();
    for n in 1..=30_i64 {
        let rows = [bill(&format!("b{}", n % 4), n, n, Some(JANUARY), n.into(), &[("l", n.into())])];
        let rejects =
            if n % 10 == 0 { vec![reject(["x", "y", "z"][n as usize / 10 - 1], "{}")] } else { vec![] };
        lake.commit(Commit { rejects, ..commit(&rows) }).await.unwrap();
    }
    // Of bills and their lines 30 files each, of bodies as many, of rejects 3.
    assert_eq!(lake.upkeep(&acme()).await.unwrap().spare_files, 29 * 3 + 2);
    let before = everything(&mut lake).await;
    let done = lake.compact(None).await.unwrap();
    let files: Vec<_> =
        done.layers.iter().map(|l| (l.layer.as_str(), l.files_before, l.files_after)).collect();
    assert_eq!(files, [("history", 60, 2), ("raw", 30, 1), ("rejects", 3, 1), ("issues", 0, 0)]);
    for layer in &done.layers {
        assert!(layer.bytes_after < layer.bytes_before || layer.files_before == 0, "{layer:?}");
        let below = parquet_files(root).into_iter().filter(|p| p.starts_with(&layer.layer));
        let bytes = below.map(|p| std::fs::metadata(root.join(p)).unwrap().len()).sum::<u64>();
        assert_eq!(bytes, layer.bytes_after, "{layer:?}");
    }
    assert_eq!(*lock.free.lock().unwrap(), [false; 60]);
    assert_eq!(lake.history_files(&acme(), "bills").unwrap().len(), 1);
    assert_eq!(lake.current_files(&acme(), "bills").unwrap().len(), 1, "what waited was published");
    assert_eq!(everything(&mut lake).await, before);
    let files = parquet_files(root);
    assert_eq!(lake.compact(None).await.unwrap().layers[0].files_before, 2);
    assert_eq!(parquet_files(root), files, "a second time");
}

#[tokio::test]
async fn a_sync_leaves_a_file_of_which_little_goes_to_the_next_compaction() {
    let home = folder();
    let mut lake = open(home.path()).await;
    let many: Vec<Bill> = (0..9).map(|n| bill(&format!("b{n}"), 1, 10, None, 1, &[])).collect();
    lake.commit(commit(&many)).await.unwrap();
    let change = |n: usize| commit(&[bill(&format!("b{n}"), 2, 20, None, 2, &[])]);
    for n in 0..2 {
        lake.commit(change(n)).await.unwrap();
    }
    let files = parquet_files(home.path());
    let done = lake.retain(Timestamp(15)).await.unwrap();
    assert_eq!((done.removed, done.waiting), (0, 2));
    assert_eq!(parquet_files(home.path()), files);
    assert!(lake.upkeep(&acme()).await.unwrap().bodies_from.is_empty(), "none is gone");
    lake.commit(change(2)).await.unwrap();
    let done = lake.retain(Timestamp(16)).await.unwrap();
    assert_eq!((done.removed, done.waiting), (3, 0), "a third of the file");
    lake.commit(change(3)).await.unwrap();
    assert_eq!(lake.retain(Timestamp(17)).await.unwrap().waiting, 1);
    assert_eq!(lake.compact(Some(Timestamp(17))).await.unwrap().bodies_removed, 1);
    let (_, left) = lake.raw_after("bills", 0).await.unwrap().unwrap();
    assert_eq!(left.iter().map(|r| r.key.as_str()).collect::<Vec<_>>(), ["b4", "b5", "b6", "b7", "b8"]);
}

#[tokio::test]
async fn a_column_that_no_entity_has_any_more_is_not_lost_by_a_compaction() {
    let home = folder();
    let mut grown = Entity::clone(&bills());
    grown.columns.push(Column { name: "added".into(), ..grown.columns[9].clone() });
    let grown = Arc::new(grown);
    let mut lake = Lake::new(home.path().to_owned());
    lake.open(&acme(), &[Arc::clone(&grown), lines()]).await.unwrap();
    let added = row("a", 1, 1, &[("added", Cell::Text("kept".into()))]);
    let rows = Rows {
        entity: Arc::clone(&grown),
        main: batch(&acme(), &grown, std::slice::from_ref(&added)),
        children: Vec::new(),
        bodies: vec![body(&added)],
    };
    lake.commit(Commit { rows: Some(rows), ..empty("bills", 1) }).await.unwrap();
    drop(lake);
    let mut lake = open(home.path()).await;
    for n in 2..5 {
        lake.commit(commit(&[bill("a", n, n, None, 1, &[])])).await.unwrap();
    }
    lake.compact(None).await.unwrap();
    let files = lake.history_files(&acme(), "bills").unwrap();
    assert_eq!(files.len(), 2, "{files:?}");
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&files[0]).unwrap()).unwrap();
    let first = shown(&[reader.build().unwrap().next().unwrap().unwrap()]);
    assert_eq!(first[0]["added"], "kept");
    laws(&mut lake).await;
}

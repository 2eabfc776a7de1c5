//! One opened connection of a lake: its lock, its state document, and the commit.
use super::{
    files::{Files, failed},
    issues,
    layout::{self, Layout, commit_file},
    plan::{self, Plan, View},
    raw,
    rebuild::Aside,
    shelf::{Seen, Shelf},
    state::{self, State},
};
use crate::{
    decode::Reject,
    entity::Entity,
    error::{Error, Kind, Result},
    id::Owner,
    load::{Commit, Committed, Layer, Opened, RawRecord, See, StoredReject, erase, fold, issue},
};
use arrow::array::RecordBatch;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{File, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
    sync::Arc,
};

/// Summaries kept.
const RUNS_MAX: usize = 200;
const RUNS: &str = "runs.jsonl";

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) files: Files,
    pub(super) layout: Layout,
    pub(super) owner: Owner,
    pub(super) entities: BTreeMap<String, Arc<Entity>>,
    pub(super) held: state::Held,
    pub(super) seen: BTreeMap<String, Seen>,
    pub(super) aside: Option<Aside>,
    /// Open rejects by content, so that reading a bad record again does not store it again.
    pub(super) quarantine: HashMap<u128, String>,
    _lock: File,
}

/// The connection's lock, bound to this process. Fails `Locked` with the holder's process id.
fn lock(files: &Files, path: &Path, owner: &Owner) -> Result<File> {
    let mut file = files.lock_file(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(e)) => return Err(failed("lock", path, e)),
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let pid = file.read_to_string(&mut pid).map_or("unknown", |_| pid.trim());
            return Err(Error::new(Kind::Locked, format!("another process (pid {pid}) is syncing {owner}"))
                .with("path", path.display())
                .hint("wait until it ends; the lock ends with its process"));
        }
    }
    let note =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    note.map_err(|e| failed("lock", path, e))?;
    Ok(file)
}

impl Connection {
    pub(super) fn open(files: Files, root: &Path, owner: &Owner, entities: &[Arc<Entity>]) -> Result<Self> {
        let layout = Layout::new(root, owner);
        let lock = lock(&files, &layout.state("lock"), owner)?;
        let mut held = state::Held::take(files.clone(), layout.clone())?;
        let mut next = held.state.clone();
        next.epoch += 1;
        held.replace(next)?;
        let entities: BTreeMap<_, _> = entities.iter().map(|e| (e.name.clone(), Arc::clone(e))).collect();
        let mut seen = BTreeMap::new();
        for (name, table) in &held.state.tables {
            seen.insert(name.clone(), Seen::build(&files, &layout, name, table)?);
        }
        let mut quarantine = HashMap::new();
        for reject in open_rejects(&files, &layout, &held.state)? {
            quarantine.insert(fold::reject_hash(&reject.reject), reject.id);
        }
        let owner = owner.clone();
        let mut opened =
            Self { files, layout, owner, entities, held, seen, aside: None, quarantine, _lock: lock };
        let unfinished = opened.held.state.publishing.clone();
        opened.publish_tables(&unfinished)?;
        opened.sweep()?;
        Ok(opened)
    }
    pub(super) fn opened(&self) -> Opened {
        opened(&self.held.state)
    }
    pub(super) fn view(&self) -> View<'_> {
        self.view_of(&self.held.state, &self.held.state.tables, &self.seen)
    }
    pub(super) fn view_of<'a>(
        &'a self,
        state: &'a State,
        tables: &'a BTreeMap<String, state::Table>,
        seen: &'a BTreeMap<String, Seen>,
    ) -> View<'a> {
        let Self { files, layout, entities, .. } = self;
        View { files, layout, entities, state, tables, seen, none: Seen::default() }
    }
    /// Proves the rows and finds what the commit writes; None when its stream never had rows.
    pub(super) fn plan(&self, view: &View<'_>, commit: &Commit, number: i64) -> Result<Option<Plan>> {
        if let Some(rows) = &commit.rows {
            fold::prove(&self.owner, rows)?;
        }
        let mut fed = self.held.state.streams.get(&commit.stream).cloned().unwrap_or_default();
        fed.learn(commit);
        let known = self.entities.get(&fed.main);
        let main = commit.rows.as_ref().map(|rows| &rows.entity).or(known);
        main.map(|main| plan::plan(view, commit, main, &fed.children, number)).transpose()
    }
    pub(super) fn commit(&mut self, commit: &Commit) -> Result<Committed> {
        self.held.check()?;
        commit.checkpoint.may_follow(self.held.state.checkpoints.get(&commit.stream))?;
        let number = self.held.state.commit_no.saturating_add(1);
        let plan = self.plan(&self.view(), commit, number)?;
        let mut next = self.held.state.clone();
        let mut done = Committed { commit_no: number, ..Committed::default() };
        let mut written = Vec::new();
        if let Some(plan) = plan {
            done = plan.done;
            let stream = next.streams.entry(commit.stream.clone()).or_default();
            stream.learn(commit);
            let raw = raw::write(&self.files, &self.layout, &commit.stream, &plan.raw)?;
            done.bytes += raw.as_ref().map_or(0, |f| f.bytes);
            stream.raw.extend(raw);
            for (name, draft) in plan.drafts {
                let Some((file, rows)) =
                    draft.keep(&self.files, &self.layout, &commit_file(number), &commit.stream, number)?
                else {
                    continue;
                };
                done.bytes += file.file.bytes;
                let table = next.tables.entry(name.clone()).or_default();
                table.history.push(file);
                written.push((name, rows));
            }
        }
        let new = self.quarantine(commit, &mut next, number, &mut done)?;
        self.keep_seen(commit, &mut next, number)?;
        erase::learn(&mut next.erasures, &commit.stream, &commit.cleared);
        next.commit_no = number;
        next.checkpoints.insert(commit.stream.clone(), commit.checkpoint.clone());
        done.bytes += self.held.replace(next)?;
        self.forget_seen()?;
        self.quarantine.retain(|_, id| !commit.resolves.contains(id));
        self.quarantine.extend(new);
        for (name, rows) in &written {
            self.seen.entry(name.clone()).or_default().absorb(rows)?;
        }
        // The commit is durable: what stops this publish is said by the next one.
        match self.publish_full(written.iter().map(|(name, _)| name)) {
            Ok(bytes) => done.bytes += bytes,
            Err(error) => tracing::warn!(%error, "published later"),
        }
        Ok(done)
    }
    /// Marks redriven rejects, writes new ones and quality issues. Returns the new ones by content.
    fn quarantine(
        &self,
        commit: &Commit,
        next: &mut State,
        number: i64,
        done: &mut Committed,
    ) -> Result<HashMap<u128, String>> {
        for id in &commit.resolves {
            let parsed =
                id.split_once('-').and_then(|(no, nth)| Some((no.parse::<i64>().ok()?, nth.parse().ok()?)));
            let file = parsed
                .and_then(|(no, nth)| Some((next.rejects.iter_mut().find(|f| f.file.commit_no == no)?, nth)));
            if let Some((file, nth)) = file {
                file.resolved.insert(nth);
            }
        }
        let mut new: HashMap<u128, String> = HashMap::new();
        let mut rejects: Vec<&Reject> = Vec::new();
        for reject in &commit.rejects {
            let hash = fold::reject_hash(reject);
            let open = self.quarantine.get(&hash).is_some_and(|id| !commit.resolves.contains(id));
            if !open && !new.contains_key(&hash) {
                new.insert(hash, format!("{number}-{}", rejects.len()));
                rejects.push(reject);
            }
        }
        let file = raw::write_rejects(&self.files, &self.layout, number, &rejects)?;
        done.bytes += file.as_ref().map_or(0, |f| f.file.bytes);
        next.rejects.extend(file);
        let place = (&self.files, &self.layout, &self.owner);
        let file = issues::write(place, &commit_file(number), number, &issue::of_commit(commit))?;
        done.bytes += file.as_ref().map_or(0, |f| f.bytes);
        next.issues.extend(file);
        Ok(new)
    }
    pub(super) fn read(&self, entity: &Entity, layer: Layer) -> Result<Vec<RecordBatch>> {
        let view = self.view();
        let shelf: Shelf<'_> = view.shelf(entity);
        let mut found = Vec::new();
        match layer {
            Layer::Current => shelf.batches(|batch| {
                found.push(batch);
                Ok(())
            })?,
            Layer::History => {
                for file in &shelf.table.history {
                    let path = self.layout.history(&entity.name, &file.file.name);
                    let (schema, rows) = (Some(entity.history_schema()), Some(vec![file.file.range()]));
                    let part = super::rows::Part { schema, rows, ..Default::default() };
                    for batch in super::rows::read(&self.files, &path, part)? {
                        found.push(batch?);
                    }
                }
            }
        }
        Ok(found)
    }
    pub(super) fn each(&self, entity: &Entity, see: See<'_>) -> Result<()> {
        self.view().shelf(entity).batches(see)
    }
    pub(super) fn raw_after(&self, stream: &str, after: i64) -> Result<Option<(i64, Vec<RawRecord>)>> {
        let files = self.held.state.streams.get(stream).map_or(&[][..], |s| &s.raw);
        let Some(file) = files.iter().find(|f| f.commit_no > after) else { return Ok(None) };
        Ok(Some((file.commit_no, raw::read(&self.files, &self.layout, stream, file)?)))
    }
    pub(super) fn record_run(&self, summary: &serde_json::Value) -> Result<()> {
        let mut runs = runs(&self.files, &self.layout)?;
        runs.push(summary.to_string());
        let last = runs.split_off(runs.len().saturating_sub(RUNS_MAX));
        self.files.replace(&self.layout.state(RUNS), (last.join("\n") + "\n").as_bytes())
    }
    /// Removes what the state does not name: what a dead writer left behind.
    fn sweep(&self) -> Result<()> {
        let State { tables, streams, rejects, issues, .. } = &self.held.state;
        let names =
            |files: Vec<&state::KeptFile>| files.into_iter().map(|f| f.name.clone()).collect::<BTreeSet<_>>();
        for layer in ["history", "raw"] {
            for path in self.files.list(&self.layout.root.join(layer))? {
                let of = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let named = match layer {
                    "raw" => streams.get(&of).map(|s| names(s.raw.iter().collect())),
                    _ => tables.get(&of).map(|t| names(t.history.iter().map(|f| &f.file).collect())),
                };
                self.sweep_folder(&self.layout.kept(layer, Some(&of)), &named.unwrap_or_default())?;
            }
        }
        self.sweep_folder(
            &self.layout.kept("rejects", None),
            &names(rejects.iter().map(|r| &r.file).collect()),
        )?;
        self.sweep_folder(&self.layout.kept("issues", None), &names(issues.iter().collect()))?;
        self.forget_seen()?;
        self.forget_journals()?;
        for name in self.entities.keys() {
            let months = tables.get(name).map(|t| t.months.clone()).unwrap_or_default();
            let named: BTreeSet<_> = months.iter().map(|m| self.layout.current(name, *m)).collect();
            for path in
                self.files.list(&self.layout.entity(name))?.into_iter().chain([self.layout.entity(name)])
            {
                let keep = named.contains(&path.join(layout::CURRENT)).then(|| layout::CURRENT.to_owned());
                self.sweep_folder(&path, &keep.into_iter().collect())?;
            }
        }
        Ok(())
    }
    fn sweep_folder(&self, folder: &Path, named: &BTreeSet<String>) -> Result<()> {
        if !folder.is_dir() {
            return Ok(());
        }
        for path in self.files.list(folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let ours = name.ends_with(".parquet") || (name.starts_with('.') && name.ends_with(".tmp"));
            if ours && !named.contains(name.as_ref()) {
                self.files.remove(&path)?;
            }
        }
        Ok(())
    }
}

pub(super) fn opened(state: &State) -> Opened {
    Opened { epoch: state.epoch, commit_no: state.commit_no, checkpoints: state.checkpoints.clone() }
}

/// Oldest first.
pub(super) fn open_rejects(files: &Files, layout: &Layout, state: &State) -> Result<Vec<StoredReject>> {
    let mut found = Vec::new();
    for file in &state.rejects {
        found.extend(raw::read_rejects(files, layout, file)?);
    }
    Ok(found)
}

/// One JSON text each, oldest first.
pub(super) fn runs(files: &Files, layout: &Layout) -> Result<Vec<String>> {
    let bytes = files.read(&layout.state(RUNS))?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
}

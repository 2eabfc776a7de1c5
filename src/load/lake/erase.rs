//! Erasure in files: history, bodies, quarantine and issues are written again under new names where something goes, and
//! swapped in by one replacement of the state document; current files are exchanged as a publish does it.
//!
//! Memory is bounded by a batch of rows. What a death leaves behind is removed by the next opening, and the erasure is
//! done again: where nothing personal is left, nothing is written.
use super::{
    connection::{self, Connection},
    files::Finished,
    issues,
    layout::Month,
    raw,
    rows::{self, Part as Piece, Writer},
    state::{KeptFile, State},
};
use crate::{
    decode::Reject,
    entity::Entity,
    error::Result,
    load::{
        Erased, RawRecord,
        erase::{Claims, Order, Part, Tally, Times, blank, is_personal, until_handed_on},
        fold,
    },
    time::Timestamp,
};
use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// What becomes of a batch; None: it stays.
type Change<'a> = &'a mut dyn FnMut(&RecordBatch, &mut Tally) -> Result<Option<RecordBatch>>;

/// Everything written, before any of it counts.
struct Work {
    next: State,
    tally: Tally,
    /// Files that `next` does not name any more.
    old: Vec<PathBuf>,
    /// Current files to be exchanged.
    current: BTreeMap<(String, Month), Finished>,
    drafts: usize,
}

impl Connection {
    pub(super) fn erase(&mut self, order: &Order) -> Result<Erased> {
        self.held.check()?;
        let next = self.held.state.clone();
        let tally = Tally::new(order);
        let mut work = Work { next, tally, old: Vec::new(), current: BTreeMap::new(), drafts: 0 };
        let mut asked = Vec::new();
        for part in order.parts.iter().filter(|part| part.asks()) {
            let claims = self.claims(part, &work.next)?;
            for entity in &part.entities {
                self.erase_history(entity, &claims, &mut work)?;
                self.erase_current(entity, &claims, &mut work)?;
            }
            self.erase_bodies(part, &claims, &mut work)?;
            asked.push((part, claims));
        }
        self.erase_rejects(&asked, &mut work)?;
        self.erase_issues(&asked, &mut work)?;
        self.swap_in(order, work)
    }

    /// Keys of the persons' records, in any of their states.
    fn claims(&self, part: &Part, state: &State) -> Result<Claims> {
        let mut claims = Claims::new();
        let Some(table) = part.main().and_then(|main| state.tables.get(&main.name)) else {
            return Ok(claims);
        };
        let columns = part.columns();
        let name = part.main().map_or("", |main| main.name.as_str());
        for file in &table.history {
            let path = self.layout.history(name, &file.file.name);
            let piece = Piece { columns: &columns, rows: Some(vec![file.file.range()]), ..Piece::default() };
            for batch in rows::read(&self.files, &path, piece)? {
                part.claims(&batch?, &mut claims)?;
            }
        }
        if !claims.is_empty() {
            let mut times = Times::new();
            let columns: Vec<&str> = columns.iter().copied().chain(["observed_at"]).collect();
            for file in &table.history {
                let path = self.layout.history(name, &file.file.name);
                let piece =
                    Piece { columns: &columns, rows: Some(vec![file.file.range()]), ..Piece::default() };
                for batch in rows::read(&self.files, &path, piece)? {
                    part.times(&batch?, &claims, &mut times)?;
                }
            }
            until_handed_on(&mut claims, times);
        }
        Ok(claims)
    }

    fn erase_history(&self, entity: &Entity, claims: &Claims, work: &mut Work) -> Result<()> {
        let Some(table) = work.next.tables.get_mut(&entity.name).filter(|_| !claims.is_empty()) else {
            return Ok(());
        };
        let mut made = Made::new();
        for file in distinct(table.history.iter().map(|f| &f.file)) {
            let path = self.layout.history(&entity.name, &file.name);
            let Some(columns) = self.judged(entity, &path)? else { continue };
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            let to = self.free(&path);
            let mut change = |batch: &RecordBatch, tally: &mut Tally| blank(batch, entity, claims, tally);
            let again = self.again((&path, &to, ""), None, &columns, &mut change, &mut work.tally)?;
            if let Some((finished, rows)) = again {
                made.insert(file.name, raw::keep(&self.files, &finished, file.commit_no, rows)?);
                work.old.push(path);
            }
        }
        rename(table.history.iter_mut().map(|f| &mut f.file), made);
        Ok(())
    }

    fn erase_current(&self, entity: &Entity, claims: &Claims, work: &mut Work) -> Result<()> {
        let Some(table) = work.next.tables.get(&entity.name).filter(|_| !claims.is_empty()) else {
            return Ok(());
        };
        for month in table.months.clone() {
            let place = (entity.name.clone(), month);
            let path = self.layout.current(&entity.name, month);
            let before = work.current.get(&place).map(|made| made.temporary.clone());
            let from = before.clone().unwrap_or_else(|| path.clone());
            if !from.is_file() {
                continue;
            }
            let Some(columns) = self.judged(entity, &from)? else { continue };
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            work.drafts += 1;
            let tag = format!("-erased-{}", work.drafts);
            // Current rows are the newest of history, which was counted.
            let mut uncounted = Tally(Vec::new());
            let mut change = |batch: &RecordBatch, tally: &mut Tally| blank(batch, entity, claims, tally);
            let made = self.again((&from, &path, &tag), None, &columns, &mut change, &mut uncounted)?;
            if let Some((finished, _)) = made {
                work.current.insert(place, finished);
                before.map_or(Ok(()), |before| self.files.remove(&before))?;
            }
        }
        Ok(())
    }

    fn erase_bodies(&self, part: &Part, claims: &Claims, work: &mut Work) -> Result<()> {
        let Some(stream) = work.next.streams.get_mut(&part.stream).filter(|_| !claims.is_empty()) else {
            return Ok(());
        };
        let mut made = Made::new();
        for file in distinct(stream.raw.iter()) {
            let path = self.layout.raw(&part.stream, &file.name);
            let to = self.free(&path);
            let mut change = |batch: &RecordBatch, tally: &mut Tally| cut_bodies(part, claims, batch, tally);
            let columns = ["key", "read_at", "body"];
            let again = self.again((&path, &to, ""), Some("body"), &columns, &mut change, &mut work.tally)?;
            if let Some((finished, rows)) = again {
                made.insert(file.name, raw::keep(&self.files, &finished, file.commit_no, rows)?);
                work.old.push(path);
            }
        }
        rename(stream.raw.iter_mut(), made);
        Ok(())
    }

    fn erase_rejects(&self, asked: &[(&Part, Claims)], work: &mut Work) -> Result<()> {
        let mut made = Made::new();
        for file in distinct(work.next.rejects.iter().map(|f| &f.file)) {
            let path = raw::rejects_path(&self.layout, &file.name);
            let to = self.free(&path);
            let mut change = |batch: &RecordBatch, tally: &mut Tally| cut_rejects(asked, batch, tally);
            let again = self.again((&path, &to, ""), Some("body"), &[], &mut change, &mut work.tally)?;
            if let Some((finished, rows)) = again {
                made.insert(file.name, raw::keep(&self.files, &finished, file.commit_no, rows)?);
                work.old.push(path);
            }
        }
        rename(work.next.rejects.iter_mut().map(|f| &mut f.file), made);
        Ok(())
    }

    fn erase_issues(&self, asked: &[(&Part, Claims)], work: &mut Work) -> Result<()> {
        let mut all = issues::read(&self.files, &self.layout, &work.next)?;
        let mut any = false;
        for issue in &mut all {
            let erased = asked.iter().find_map(|(part, claims)| part.issue(issue, claims));
            if let Some((erased, claim)) = erased {
                *issue = erased;
                work.tally.of(claim.person).into_iter().for_each(|one| one.issues += 1);
                any = true;
            }
        }
        if !any {
            return Ok(());
        }
        let path = |name: &str| self.layout.kept("issues", None).join(name);
        let number = work.next.commit_no;
        let to = self.free(&path(&super::layout::commit_file(number)));
        let name = to.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let place = (&self.files, &self.layout, &self.owner);
        let new = issues::write(place, &name, number, &all)?;
        work.old.extend(distinct(work.next.issues.iter()).iter().map(|file| path(&file.name)));
        work.next.issues = new.into_iter().collect();
        Ok(())
    }

    /// The atomic act, the exchange of current files, and the removal of what was replaced.
    fn swap_in(&mut self, order: &Order, work: Work) -> Result<Erased> {
        let Work { mut next, tally, old, current, .. } = work;
        let exchanged = !current.is_empty() || !old.is_empty();
        let guard = exchanged.then(|| self.hold_readers_off()).transpose()?;
        tally.note(order, &mut next.erasures, None);
        if !current.is_empty() {
            self.held.replace(exchanging(&next, &current))?;
            for finished in current.values() {
                self.files.place(finished)?;
                finished.path.parent().map_or(Ok(()), |folder| self.files.sync_folder(folder))?;
            }
        }
        Tally::new(order).note(order, &mut next.erasures, Some(order.done_at));
        self.held.replace(next)?;
        for path in &old {
            self.files.remove(path)?;
        }
        drop(guard);
        self.quarantine.clear();
        for reject in connection::open_rejects(&self.files, &self.layout, &self.held.state)? {
            self.quarantine.insert(fold::reject_hash(&reject.reject), reject.id);
        }
        Ok(tally.total())
    }

    /// The file again as a finished draft of another path, and its rows; None when nothing of it changes, which a look
    /// at `columns` (all when empty) tells.
    fn again(
        &self,
        (from, to, tag): (&Path, &Path, &str),
        wide: Option<&str>,
        columns: &[&str],
        change: Change<'_>,
        tally: &mut Tally,
    ) -> Result<Option<(Finished, usize)>> {
        let mut idle = Tally(Vec::new());
        let mut any = false;
        for batch in rows::read(&self.files, from, Piece { columns, ..Piece::default() })? {
            any = change(&batch?, &mut idle)?.is_some();
            if any {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        let mut writer = Writer::tagged(&self.files, to, tag, rows::schema(&self.files, from)?, wide)?;
        let mut count = 0;
        for batch in rows::read(&self.files, from, Piece::default())? {
            let batch = batch?;
            count += batch.num_rows();
            let changed = change(&batch, tally)?;
            writer.write(changed.as_ref().unwrap_or(&batch))?;
        }
        Ok(Some((writer.finish()?, count)))
    }

    /// The columns by which is decided whether rows of a file change; None when it has nothing personal.
    fn judged(&self, entity: &Entity, path: &Path) -> Result<Option<Vec<String>>> {
        let schema = rows::schema(&self.files, path)?;
        let names = schema.fields().iter().map(|f| f.name().clone());
        let personal: Vec<String> = names.filter(|name| is_personal(entity, name)).collect();
        if personal.is_empty() {
            return Ok(None);
        }
        let own = [Part::key_of(entity), "observed_at", "row_hash"].map(str::to_owned);
        Ok(Some(own.into_iter().chain(personal).collect()))
    }

    /// A name beside a file that nothing has.
    fn free(&self, path: &Path) -> PathBuf {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stem = name.trim_end_matches(".parquet").split("-e").next().unwrap_or_default();
        let epoch = self.held.state.epoch;
        let named = |n: u64| path.with_file_name(format!("{stem}-e{epoch}-{n}.parquet"));
        (1..).map(named).find(|path| !path.exists()).unwrap_or_default()
    }
}

/// Files written again, by the names of those they replace.
type Made = BTreeMap<String, KeptFile>;

/// Each file once: after a compaction one holds the rows of many commits.
fn distinct<'a>(parts: impl Iterator<Item = &'a KeptFile>) -> Vec<KeptFile> {
    let mut names = BTreeSet::new();
    parts.filter(|part| names.insert(part.name.clone())).cloned().collect()
}

/// Every commit's part has its place in the new file as it had in the old one.
fn rename<'a>(parts: impl Iterator<Item = &'a mut KeptFile>, mut made: Made) {
    for part in parts {
        if let Some(new) = made.get_mut(&part.name) {
            part.name.clone_from(&new.name);
            part.bytes = std::mem::take(&mut new.bytes);
        }
    }
}

/// What counts while current files are exchanged: after a death, the next opening makes them anew from the history.
fn exchanging(next: &State, current: &BTreeMap<(String, Month), Finished>) -> State {
    let mut state = next.clone();
    for (name, _) in current.keys() {
        if let Some(table) = state.tables.get_mut(name) {
            table.fresh = true;
            table.history.iter_mut().for_each(|file| file.published = false);
        }
        state.publishing.insert(name.clone());
    }
    state
}

/// The batch with another column of a name.
fn with(batch: &RecordBatch, name: &str, column: ArrayRef) -> Result<RecordBatch> {
    let schema = batch.schema();
    let at = schema.index_of(name).map_err(fold::arrow)?;
    let columns = batch.columns().iter().enumerate();
    let columns = columns.map(|(i, old)| if i == at { Arc::clone(&column) } else { Arc::clone(old) });
    RecordBatch::try_new(schema, columns.collect()).map_err(fold::arrow)
}

fn cut_bodies(
    part: &Part,
    claims: &Claims,
    batch: &RecordBatch,
    tally: &mut Tally,
) -> Result<Option<RecordBatch>> {
    let keys: &StringArray = fold::column(batch, "key")?;
    let read_at: &TimestampMicrosecondArray = fold::column(batch, "read_at")?;
    let bodies: &StringArray = fold::column(batch, "body")?;
    let mut cut: BTreeMap<usize, Bytes> = BTreeMap::new();
    for row in (0..batch.num_rows()).filter(|row| claims.contains_key(keys.value(*row))) {
        let record = RawRecord {
            key: keys.value(row).to_owned(),
            version: 0,
            read_at: Timestamp(read_at.value(row)),
            deleted: false,
            body: Bytes::copy_from_slice(bodies.value(row).as_bytes()),
            received: None,
            commit_no: 0,
        };
        if let Some((body, claim)) = part.body(&record, claims) {
            tally.of(claim.person).into_iter().for_each(|one| one.bodies += 1);
            cut.insert(row, body);
        }
    }
    if cut.is_empty() {
        return Ok(None);
    }
    let body = |row: usize| match cut.get(&row) {
        Some(cut) => std::str::from_utf8(cut).unwrap_or_default(),
        None => bodies.value(row),
    };
    let column = StringArray::from_iter_values((0..batch.num_rows()).map(body));
    with(batch, "body", Arc::new(column)).map(Some)
}

fn cut_rejects(
    asked: &[(&Part, Claims)],
    batch: &RecordBatch,
    tally: &mut Tally,
) -> Result<Option<RecordBatch>> {
    let mut rejects = raw::rejects_of(batch)?;
    let mut any = false;
    for reject in &mut rejects {
        let erased: Option<(Reject, _)> = asked.iter().find_map(|(part, claims)| part.reject(reject, claims));
        if let Some((erased, claim)) = erased {
            tally.of(claim.person).into_iter().for_each(|one| one.rejects += 1);
            *reject = erased;
            any = true;
        }
    }
    if !any {
        return Ok(None);
    }
    let messages = StringArray::from_iter_values(rejects.iter().map(|r| r.message.as_str()));
    let bodies = BinaryArray::from_iter_values(rejects.iter().map(|r| &r.body));
    let batch = with(batch, "message", Arc::new(messages))?;
    with(&batch, "body", Arc::new(bodies)).map(Some)
}

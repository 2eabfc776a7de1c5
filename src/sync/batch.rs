//! What has arrived of one stream and is not committed yet, and the proof that a scan was complete.
use super::{Job, Normalizers, erase, normalizers::decoder, redact::redact, sift::Sift};
use crate::{
    checkpoint::Checkpoint,
    decode::{Decoder, Reject},
    error::{Error, Kind, Result},
    extract::{Emitted, Proof, Scan},
    load::{Commit, CompleteScan, Due, Rows, Scanned, key_hash},
    manifest::{Cursor, Stream},
    normalize::Normalized,
    time::Timestamp,
};
use arrow::{array::AsArray, datatypes::TimestampMicrosecondType};
use std::{collections::HashSet, sync::Arc, time::Duration};

/// A batch with fewer rejects than this is never stopped by the share guard.
const REJECTS_FREE: usize = 20;

/// One stream's buffer.
pub(super) struct Batcher {
    stream: Arc<Stream>,
    decoder: Decoder,
    checkpoint: Option<Checkpoint>,
    since: Option<Timestamp>,
    scan: ScanProof,
    /// Set in a sweep.
    sift: Option<Sift>,
    /// Why the scan that came to its end proves nothing.
    unproven: Option<String>,
    /// What an earlier run asked for already.
    due: Option<Due>,
    /// Set while everything is read: accepted records that lack a modification time.
    no_cursor: Option<u64>,
    /// Records since the last `same` whose later state came in the same batch.
    superseded: u64,
    /// A guard refused a batch: committing what comes after it would move the checkpoint past a gap.
    given_up: bool,
}

/// Keys seen since the scan began. `hole`: a record without a readable key, so nothing can be proven missing.
#[derive(Default)]
struct ScanProof {
    seen: HashSet<u128>,
    hole: bool,
    order: Order,
    end: Option<ScanEnd>,
}

/// In which direction a time went from record to record, each counted when it came first: a record that comes again,
/// because a page was asked for anew, hides no other.
#[derive(Default)]
struct Order {
    last: Option<i64>,
    rose: bool,
    fell: bool,
    lacking: bool,
}

impl Order {
    fn take(&mut self, time: Option<i64>) {
        self.lacking |= time.is_none();
        if let (Some(time), Some(last)) = (time, self.last) {
            self.rose |= time > last;
            self.fell |= time < last;
        }
        self.last = time.or(self.last);
    }
    /// Why the records did not come in one order, if they did not.
    fn broken(&self, field: &str) -> Option<String> {
        if self.lacking {
            return Some(format!("a record has no `{field}`, so their order cannot be told"));
        }
        (self.rose && self.fell).then(|| format!("the records did not come in the order of `{field}`"))
    }
}

/// What the machine said with the last page.
struct ScanEnd {
    asked_at: Timestamp,
    proof: Proof,
    /// The checkpoint of a scan that proves nothing.
    unproven: Checkpoint,
}

impl Batcher {
    pub(super) fn new(stream: Arc<Stream>, sift: Option<Sift>) -> Result<Self> {
        let decoder = decoder(&stream)?;
        Ok(Self {
            stream,
            decoder,
            checkpoint: None,
            since: None,
            scan: ScanProof::default(),
            sift,
            unproven: None,
            due: None,
            no_cursor: None,
            superseded: 0,
            given_up: false,
        })
    }

    /// Where the stream stood before this run. A window stream that was never through, or is swept, is read without
    /// its filter, and only then records without a modification time are seen at all.
    pub(super) fn stood(&mut self, watermark: Option<Timestamp>) {
        if let Cursor::Window { lag, .. } = &self.stream.cursor {
            self.due = watermark.map(|through| Due { through, asked_at: through.plus(*lag) });
            let whole = watermark.is_none() || self.sift.is_some();
            self.no_cursor = (whole && self.stream.updated.is_some()).then_some(0);
        }
    }

    /// Records without a modification time so far; None when the filter would have hidden them.
    pub(super) fn no_cursor(&self) -> Option<u64> {
        let sifted = self.sift.as_ref().map_or(0, Sift::no_cursor);
        self.no_cursor.map(|found| found + sifted)
    }

    /// Bytes of bodies that wait.
    pub(super) fn bytes(&self) -> usize {
        self.decoder.bytes()
    }

    /// How long the oldest waits.
    pub(super) fn waited(&self, now: Timestamp) -> Duration {
        self.since.map_or(Duration::ZERO, |t| now.since(t))
    }

    /// Decodes a page into the buffer and remembers the checkpoint that it allows.
    pub(super) fn push(&mut self, mut emitted: Emitted, now: Timestamp) -> Result<()> {
        if self.given_up {
            return Ok(());
        }
        self.since.get_or_insert(now);
        if let Some(page) = &mut emitted.page {
            if let Some(sift) = &mut self.sift {
                sift.page(page)?;
            }
            self.decoder.push(page);
        }
        if let Some(Scan::End { asked_at, proof, otherwise }) = emitted.scan {
            self.scan.end = Some(ScanEnd { asked_at, proof, unproven: *otherwise });
        }
        self.checkpoint = Some(emitted.checkpoint);
        Ok(())
    }

    /// Records since the last call that need no row: a later state came in the same batch, or a sweep found them stored.
    pub(super) fn same(&mut self) -> u64 {
        std::mem::take(&mut self.superseded) + self.sift.as_mut().map_or(0, Sift::same)
    }

    /// Why a scan that came to its end proves nothing.
    pub(super) fn unproven(&mut self) -> Option<String> {
        self.unproven.take()
    }

    /// Nothing of this stream is committed any more in this run.
    pub(super) fn give_up(&mut self) {
        self.given_up = true;
        self.checkpoint = None;
    }

    /// The commit of everything that waits; None when nothing does. Mappings are planned when the first record needs
    /// them: a run that finds nothing new does not pay for it.
    /// Fails `Guard` when too large a share of the batch would be rejected.
    pub(super) async fn commit(&mut self, job: &Job, normalizers: &Normalizers) -> Result<Option<Commit>> {
        let Some(mut checkpoint) = self.checkpoint.take() else { return Ok(None) };
        self.since = None;
        let (records, mut rejects) = self.decoder.finish()?;
        let read = records.key.len() + rejects.len();
        if let Cursor::Snapshot { order: Some(field), .. } = &self.stream.cursor
            && let Some(times) = records.batch.column_by_name(field)
            && let Some(times) = times.as_primitive_opt::<TimestampMicrosecondType>()
        {
            for (key, time) in records.key.iter().zip(times) {
                if self.scan.seen.insert(key_hash(key)) {
                    self.scan.order.take(time);
                }
            }
        }
        if let Some(count) = self.no_cursor.as_mut().filter(|_| self.sift.is_none()) {
            *count += records.updated_at.iter().filter(|at| at.is_none()).count() as u64;
        }
        let cleared = erase::told(&self.stream, &records);
        let normalized = if records.key.is_empty() {
            Normalized::default()
        } else {
            normalizers.get(&job.connector, &self.stream).await?.run(&job.facts, &records).await?
        };
        self.superseded += normalized.superseded as u64;
        rejects.extend(normalized.rejects);
        redact(job, &self.stream, &mut rejects);
        if let Err(e) = self.guard(read, &rejects, job.reject_share_max) {
            self.give_up();
            return Err(e);
        }
        let scan = self.prove(normalized.rows.as_ref(), &rejects, job.delete_share_max, &mut checkpoint);
        Ok(Some(Commit {
            stream: self.stream.name.clone(),
            rows: normalized.rows,
            rejects,
            issues: normalized.issues,
            scan,
            checkpoint,
            keep_raw: job.keep_raw,
            as_of: None,
            resolves: Vec::new(),
            due: self.due,
            cleared,
            seen: self.sift.as_mut().map(Sift::fresh).unwrap_or_default(),
        }))
    }

    fn guard(&self, read: usize, rejects: &[Reject], share_max: f64) -> Result<()> {
        let share = rejects.len() as f64 / read.max(1) as f64;
        let Some(first) = rejects.first().filter(|_| rejects.len() > REJECTS_FREE && share > share_max)
        else {
            return Ok(());
        };
        Err(Error::new(Kind::Guard, "too many records do not fit, so nothing of this batch was committed")
            .with("rejected", rejects.len())
            .with("read", read)
            .with("first", format!("{} at `{}`: {}", first.rule, first.pointer, first.message))
            .hint("the provider may have changed its format: fix the connector's record shape, or raise `limits.reject_share`"))
    }

    /// Adds the batch's keys to the scan; after its last page, the proof, if it holds. A scan that proves nothing
    /// leaves the checkpoint that says so.
    fn prove(
        &mut self,
        rows: Option<&Rows>,
        rejects: &[Reject],
        delete_share_max: f64,
        checkpoint: &mut Checkpoint,
    ) -> Option<CompleteScan> {
        let stream = Arc::clone(&self.stream);
        let swept = self.sift.is_some();
        let ordered = match (&mut self.sift, &stream.cursor) {
            (Some(sift), _) => {
                self.scan.hole |= sift.hole;
                if self.scan.end.is_some() {
                    self.scan.seen.extend(sift.seen());
                }
                None
            }
            (None, Cursor::Snapshot { order, .. }) => order.as_deref(),
            (None, Cursor::Window { .. }) => return None,
        };
        if let Some(ids) =
            rows.and_then(|r| r.main.column_by_name("id")).and_then(|c| c.as_string_opt::<i32>())
        {
            self.scan.seen.extend(ids.iter().flatten().map(key_hash));
        }
        self.scan.seen.extend(rejects.iter().filter_map(|r| r.key.as_deref()).map(key_hash));
        self.scan.hole |= rejects.iter().any(|r| r.key.is_none());
        let end = self.scan.end.take()?;
        let ScanProof { seen, hole, order, .. } = std::mem::take(&mut self.scan);
        let count = seen.len() as u64;
        let found = Scanned::There(Arc::new(seen));
        let proven = CompleteScan { found, asked_at: end.asked_at, delete_share_max };
        let why = match end.proof {
            Proof::Broken(why) => why,
            Proof::Total(_) | Proof::Walked if hole => "a record had no readable key".to_owned(),
            Proof::Total(total) if total != count => {
                format!("the provider says {total} records, {count} different ones came")
            }
            Proof::Total(_) => return Some(proven),
            Proof::Walked if swept => return Some(proven),
            Proof::Walked => match ordered.map(|field| order.broken(field)) {
                // All was read, and nothing of it says what was left out.
                None => return None,
                Some(None) => return Some(proven),
                Some(Some(why)) => why,
            },
        };
        tracing::info!(stream = %self.stream.name, why, "the scan proves no deletes");
        *checkpoint = end.unproven;
        self.unproven = Some(why);
        None
    }
}

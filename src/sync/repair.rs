//! Sweeps and backfills: the way of a sync, beside the live windows. The watermark of a stream stays where it is.
use super::{Job, Outcome, Run, Tools, batch::Batcher, sift::Sift};
use crate::{
    checkpoint::{Aside, Checkpoint, Errand},
    error::{Error, Kind, Result},
    extract::AsideStart,
    load::{Destination, Opened},
    manifest::Stream,
    time::{Clock, Timestamp},
    wire::Http,
};
use std::{sync::Arc, time::Duration};

/// An errand that began longer ago begins anew: rows that it saw may be gone by now.
const ASIDE_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Runs one errand over the job's streams, from where an unfinished one of the same kind stopped. What was committed
/// stays committed, whatever the outcome.
pub async fn repair<'a, H: Http, C: Clock, D: Destination>(
    job: &'a Job,
    errand: &'a Errand,
    tools: Tools<'a, H, C, D>,
) -> Outcome {
    super::run(job, Some(errand), tools).await
}

impl<H: Http, C: Clock, D: Destination> Run<'_, H, C, D> {
    /// What to ask of each stream. A run that was cut short goes on: streams that it finished are left out. A stream
    /// that cannot be repaired fails alone; one that the account was never found to have is passed over, unless named.
    /// What was read with another connector file proves nothing under this one, and begins anew.
    pub(super) async fn asides(&mut self, errand: &Errand, opened: &Opened) -> Result<Vec<AsideStart>> {
        let now = self.tools.clock.now();
        let begun = |stream: &Stream| {
            let aside = opened.checkpoints.get(&stream.name)?.aside(errand)?;
            let young = now.since(aside.started) < ASIDE_AGE_MAX;
            (young && aside.connector_hash == self.job.connector.hash).then_some(aside)
        };
        let unfinished = self.job.streams.iter().filter_map(|s| begun(s)).filter(|a| !a.finished());
        let open = unfinished.map(|a| a.started).min();
        let mut starts = Vec::new();
        for stream in &self.job.streams {
            let begun = begun(stream);
            if begun.is_some_and(|a| a.finished() && open.is_some_and(|open| a.started >= open)) {
                self.streams.retain(|s| s.stream != stream.name);
                continue;
            }
            let stored = opened.checkpoints.get(&stream.name);
            if stored.is_none() && stream.requires.is_some() && !self.job.options.named {
                self.streams.retain(|s| s.stream != stream.name);
                continue;
            }
            let begun = begun.filter(|a| !a.finished());
            match self.aside(errand, stream, stored, begun).await {
                Ok((start, batcher)) => {
                    self.batchers.insert(stream.name.clone(), batcher);
                    starts.push(start);
                }
                Err(e) if e.kind() == Kind::Invalid => self.failed(&stream.name, e),
                Err(e) => return Err(e),
            }
        }
        Ok(starts)
    }

    async fn aside(
        &mut self,
        errand: &Errand,
        stream: &Arc<Stream>,
        stored: Option<&Checkpoint>,
        begun: Option<&Aside>,
    ) -> Result<(AsideStart, Batcher)> {
        let Some(stored) = stored.filter(|c| c.watermark().is_some()) else {
            return Err(Error::new(Kind::Invalid, "the first load of this stream is not finished")
                .with("stream", &stream.name)
                .hint(format!("tidegate sync {}", self.job.pipeline)));
        };
        let sift = match errand {
            Errand::Sweep { ids_only } => {
                let seen = match begun {
                    Some(_) => self.tools.destination.seen(&stream.name).await?,
                    None => Vec::new(),
                };
                Some(Sift::new(stream, *ids_only, seen, self.tools.destination).await?)
            }
            Errand::Period { .. } | Errand::Ids { .. } => None,
        };
        let aside = begun.cloned().unwrap_or_else(|| Aside {
            errand: errand.clone(),
            connector_hash: self.job.connector.hash.clone(),
            started: Timestamp(0),
            slices: Vec::new(),
        });
        let start = AsideStart { stream: Arc::clone(stream), stored: stored.clone(), aside };
        Ok((start, Batcher::new(Arc::clone(stream), sift)?))
    }
}

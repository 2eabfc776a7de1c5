//! `tidegate run`: every scheduled pipeline at its time, in one process, until stopped.
use super::project::{Narrow, Project};
use crate::{
    error::{Error, Kind, Result},
    pipeline::Pipeline,
    sync::{Normalizers, Outcome, Stop},
    time::{Clock, Timestamp},
};
use futures::{StreamExt, stream::FuturesUnordered};
use tokio::sync::Semaphore;

/// Pipelines that sync at a time; others wait their turn.
pub const SYNCS_MAX: usize = 4;

/// What a schedule did.
pub enum Event {
    /// Waits for the next due time.
    Due {
        /// Pipeline.
        pipeline: String,
        /// When.
        at: Timestamp,
    },
    /// A sync ended, or could not begin.
    Ended {
        /// Pipeline.
        pipeline: String,
        /// How.
        outcome: Result<Box<Outcome>>,
    },
}

/// Runs until `stop`. Fails `Invalid` when no pipeline has a schedule.
pub async fn run<C: Clock>(
    project: &Project,
    pipelines: Vec<Pipeline>,
    clock: &C,
    stop: Stop,
    tell: &(dyn Fn(Event) + Sync),
) -> Result<()> {
    let scheduled: Vec<Pipeline> = pipelines.into_iter().filter(|p| p.schedule.is_some()).collect();
    if scheduled.is_empty() {
        return Err(Error::new(Kind::Invalid, "no pipeline has a schedule")
            .hint("add   schedule: { cron: \"0 2 * * *\" }   to a pipeline, or run `tidegate sync`"));
    }
    let normalizers = Normalizers::default();
    let turns = Semaphore::new(SYNCS_MAX);
    let all: FuturesUnordered<_> = scheduled
        .iter()
        .map(|pipeline| forever(project, pipeline, clock, stop.clone(), &normalizers, &turns, tell))
        .collect();
    all.collect::<Vec<()>>().await;
    Ok(())
}

/// One pipeline: wait, sync, again. A due time that passes while its sync runs is skipped.
async fn forever<C: Clock>(
    project: &Project,
    pipeline: &Pipeline,
    clock: &C,
    mut stop: Stop,
    normalizers: &Normalizers,
    turns: &Semaphore,
    tell: &(dyn Fn(Event) + Sync),
) {
    let name = || pipeline.name.clone();
    while !*stop.borrow() {
        let Some(at) = pipeline.schedule.as_ref().and_then(|s| s.next_after(clock.now())) else { return };
        tell(Event::Due { pipeline: name(), at });
        tokio::select! {
            biased;
            Ok(()) = stop.changed() => continue,
            () = clock.sleep_until(at) => {}
        }
        let Ok(_turn) = turns.acquire().await else { return };
        let mut quiet = |_| {};
        let outcome = super::sync::pipeline(
            project,
            pipeline,
            &Narrow::default(),
            normalizers,
            &mut quiet,
            stop.clone(),
        )
        .await;
        tell(Event::Ended { pipeline: name(), outcome: outcome.map(Box::new) });
    }
}

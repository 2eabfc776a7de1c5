//! The first page of each slice a stream would be read in: what `check` and `plan` look at. Writes nothing.
use super::skew::Skew;
use crate::{
    checkpoint::{Checkpoint, Phase, Slice},
    decode::Page,
    error::{Error, Result},
    extract::{Limits, Machine, Options, Setup, Step, StreamStart},
    manifest::{Cursor, Stream},
    sync::Job,
    time::{Clock, Timestamp},
    wire::Http,
};
use futures::{StreamExt, stream::FuturesUnordered};
use std::{collections::BTreeMap, sync::Arc};

/// Someone waits for the answer, so fewer tries than a sync makes.
const TRIES: u32 = 3;

/// What a stream answered.
#[derive(Default)]
pub(super) struct Sampled {
    /// First pages of its slices, in the order of arrival.
    pub(super) pages: Vec<Page>,
    /// Why it could not be read.
    pub(super) error: Option<Error>,
    /// What the account has instead of it.
    pub(super) not_offered: Option<String>,
}

/// What the provider answered.
pub(super) struct Sample {
    /// Per stream.
    pub(super) streams: BTreeMap<String, Sampled>,
    /// How far our clock is from the provider's, when the probe's answer tells.
    pub(super) skew: Option<Skew>,
}

/// Asks each stream for the first page of each of these slices (one without bounds, when there are none).
/// Fails for what concerns all streams: inputs, templates.
pub(super) async fn sample<H: Http, C: Clock>(
    job: &Job,
    slices: &BTreeMap<String, Vec<Slice>>,
    http: &H,
    clock: &C,
) -> Result<Sample> {
    let limits = Limits { tries: TRIES, ..job.options.limits.clone() };
    let options = Options { slices: false, limits, ..job.options.clone() };
    let setup = Setup {
        connector: Arc::clone(&job.connector),
        inputs: job.inputs.clone(),
        base_url: job.base_url.clone(),
        seed: job.seed,
        options,
    };
    let now = clock.now();
    let start = |stream: &Arc<Stream>| {
        let slices = slices.get(&stream.name).filter(|s| !s.is_empty());
        let checkpoint = slices.map(|s| first_load(job, now, s.clone()));
        // Events that tell of deletes are no sample of the stream's records.
        StreamStart { stream: Arc::new(Stream { deletes: None, ..stream.as_ref().clone() }), checkpoint }
    };
    let mut machine = Machine::new(setup, job.streams.iter().map(start).collect())?;
    let wanted = |stream: &str| slices.get(stream).map_or(1, |s| s.len().max(1));
    let mut sampled: BTreeMap<String, Sampled> =
        job.streams.iter().map(|s| (s.name.clone(), Sampled::default())).collect();
    let mut skew = None;
    let mut flights = FuturesUnordered::new();
    loop {
        match machine.step(clock.now()) {
            Step::Send { ticket, stream, request } => {
                let probe = stream.is_none().then(|| clock.now());
                flights.push(async move { (ticket, probe, http.send(request).await) })
            }
            Step::Emit(emitted) => {
                let found = sampled.entry(emitted.stream.clone()).or_default();
                found.pages.extend(emitted.page.filter(|_| found.pages.len() < wanted(&emitted.stream)));
            }
            Step::Failed { stream, error } => sampled.entry(stream).or_default().error = Some(error),
            Step::NotOffered { stream, why } => sampled.entry(stream).or_default().not_offered = Some(why),
            Step::WaitUntil(t) if flights.is_empty() => clock.sleep_until(t).await,
            Step::WaitUntil(_) | Step::Idle => {
                if let Some((ticket, probe, answer)) = flights.next().await {
                    let now = clock.now();
                    if let (Some(sent), Ok(response)) = (probe, &answer) {
                        skew = Skew::of(sent, now, response);
                    }
                    machine.reply(ticket, now, answer);
                }
            }
            Step::Done => return Ok(Sample { streams: sampled, skew }),
        }
        let settled = |s: &Sampled| s.error.is_some() || s.not_offered.is_some();
        if sampled.iter().all(|(name, s)| settled(s) || s.pages.len() >= wanted(name)) {
            machine.stop();
        }
    }
}

fn first_load(job: &Job, signpost: Timestamp, slices: Vec<Slice>) -> Checkpoint {
    Checkpoint::new(&job.connector.hash, Phase::FirstLoad { signpost, slices })
}

/// The declared time field by which the stream's first load is sliced: `date` of `date[between]`.
pub(super) fn slice_field(stream: &Stream) -> Option<&str> {
    let Cursor::Window { slices: Some(slices), .. } = &stream.cursor else { return None };
    let name = slices.send.split('[').next()?;
    stream.record.fields.iter().any(|f| f.name == name).then_some(name)
}

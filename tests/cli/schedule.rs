//! `tidegate run` on its schedule: time is virtual, the syncs are real.
use super::{site::Served, stage::Stage};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tidegate::{
    app::{
        project::Project,
        run::{Event, run},
    },
    error::{Error, Kind},
    sync::summary::Status,
    time::{Clock, Timestamp},
};
use tokio::sync::{mpsc, watch};

/// Time that stands still until the test lets it go on.
#[derive(Clone)]
struct Wall(Arc<watch::Sender<Timestamp>>);

impl Wall {
    fn at(text: &str) -> Self {
        Self(Arc::new(watch::Sender::new(utc(text))))
    }
    fn set(&self, t: Timestamp) {
        self.0.send_replace(t);
    }
}

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }
    async fn sleep_until(&self, t: Timestamp) {
        self.0.subscribe().wait_for(|now| *now >= t).await.map(|_| ()).unwrap_or_default();
    }
}

fn utc(text: &str) -> Timestamp {
    Timestamp(chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros())
}

/// One sync: when it was due, and how it ended.
#[derive(Debug)]
struct Synced {
    pipeline: String,
    due: Timestamp,
    status: Result<Status, Error>,
}

/// Runs `count` syncs of `pipelines` scheduled pipelines, then stops. Time goes on when all of them sleep.
async fn syncs(stage: &Stage, wall: &Wall, pipelines: usize, count: usize) -> Vec<Synced> {
    let project = Project::open(&stage.path(".")).unwrap();
    let all = project.pipelines(&[]).unwrap();
    let (stop, stopped) = watch::channel(false);
    let (tell, mut told) = mpsc::channel(16);
    let tell = move |event: Event| tell.try_send(event).unwrap();
    let test = async {
        let (mut asleep, mut due, mut done) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        while done.len() < count {
            match told.recv().await.unwrap() {
                Event::Due { pipeline, at } => {
                    assert!(at > wall.now(), "{pipeline} is due in the past");
                    asleep.insert(pipeline.clone(), at);
                    due.insert(pipeline, at);
                }
                Event::Ended { pipeline, outcome } => {
                    let status = outcome.and_then(|o| o.error.map_or(Ok(o.summary.status), Err));
                    done.push(Synced { due: due[&pipeline], pipeline, status });
                }
            }
            if asleep.len() == pipelines && done.len() < count {
                let next = *asleep.values().min().unwrap();
                asleep.retain(|_, at| *at > next);
                wall.set(next);
            }
        }
        done
    };
    let mut running = std::pin::pin!(run(&project, all, wall, stopped, &tell));
    let done = tokio::select! {
        ended = &mut running => panic!("it ended by itself: {ended:?}"),
        done = test => done,
    };
    stop.send(true).unwrap();
    running.await.unwrap();
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_sync_at_their_local_minute_and_one_that_fails_does_not_stop_the_other() {
    let site = Served::company(3);
    let stage = Stage::simulated(&site.chargebee());
    let file = stage.read("pipelines/acme.yaml");
    stage.edit("limits:", "schedule: { cron: \"30 3 * * *\", time_zone: Europe/Berlin }\nlimits:");
    // A folder below a file cannot be, so this one fails each time.
    stage.write("file", "");
    let broken = file.replace("pipeline: acme", "pipeline: broken").replace("./lake", "./file/lake");
    let cron = "schedule: { cron: \"0 */6 * * *\", time_zone: UTC, jitter: 10m }\nlimits:";
    stage.write("pipelines/broken.yaml", &broken.replace("limits:", cron));
    // A pipeline without a schedule is synced by hand only.
    stage.write("pipelines/manual.yaml", &file.replace("pipeline: acme", "pipeline: manual"));

    let done = syncs(&stage, &Wall::at("2026-03-27T12:15:00Z"), 2, 14).await;
    let of = |name: &str| done.iter().filter(|s| s.pipeline == name).collect::<Vec<_>>();
    let (acme, broken) = (of("acme"), of("broken"));
    assert_eq!(acme.len() + broken.len(), done.len());
    let days: Vec<String> = acme.iter().map(|s| s.due.to_string()).collect();
    // On the 29th Berlin's clocks go forward.
    assert_eq!(days, ["2026-03-28T02:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T01:30:00Z"]);
    assert!(acme.iter().all(|s| matches!(s.status, Ok(Status::Completed))), "{acme:?}");

    let failed = |s: &&Synced| s.status.as_ref().is_err_and(|e| e.kind() == Kind::Destination);
    assert!(broken.iter().all(failed), "{broken:?}");
    let first = utc("2026-03-27T18:00:00Z");
    let jitter = broken[0].due.since(first);
    assert!(broken[0].due >= first && jitter < Duration::from_secs(600), "{jitter:?}");
    for (nth, sync) in (0..).zip(&broken) {
        let whole = first.plus(Duration::from_secs(6 * 3_600 * nth));
        assert_eq!(sync.due, whole.plus(jitter), "the same within its jitter each time");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_time_that_passes_during_a_sync_is_skipped() {
    let site = Served::company(3);
    let stage = Stage::simulated(&site.chargebee());
    stage.edit("limits:", "schedule: { cron: \"0 * * * *\", time_zone: UTC }\nlimits:");
    let wall = Wall::at("2026-03-27T12:05:00Z");
    let (long, end) = (wall.clone(), utc("2026-03-27T15:30:00Z"));
    site.hook(move |count, _| {
        if count == 1 {
            long.set(end);
        }
        None
    });
    let done = syncs(&stage, &wall, 1, 2).await;
    let due: Vec<String> = done.iter().map(|s| s.due.to_string()).collect();
    assert_eq!(due, ["2026-03-27T13:00:00Z", "2026-03-27T16:00:00Z"]);
    assert!(done.iter().all(|s| matches!(s.status, Ok(Status::Completed))), "{done:?}");
}

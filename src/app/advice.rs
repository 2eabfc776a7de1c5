//! What `check` says beside right and wrong: clocks, the key's rights, and what is stored of personal data.
use super::{check::Findings, policies::Personal, skew::Skew};
use crate::{
    manifest::{Connector, Cursor, Stream},
    pipeline::Pipeline,
};
use std::{sync::Arc, time::Duration};

impl Findings {
    /// Windows end by the earlier of both clocks, so nothing is lost; but data is late, or carries a wrong time.
    pub(super) fn clock(&mut self, skew: Option<Skew>, streams: &[Arc<Stream>]) {
        let Some(skew) = skew else {
            return self.right("clock", "the provider does not say its time".into());
        };
        let lag = |stream: &Arc<Stream>| match &stream.cursor {
            Cursor::Window { lag, .. } => Some(*lag),
            Cursor::Snapshot { .. } => None,
        };
        let seconds = skew.by.as_secs();
        if !skew.matters(streams.iter().filter_map(lag).min()) {
            return self.right("clock", format!("within {} s of the provider's", seconds + 1));
        }
        let (way, means) = match skew.ahead {
            true => ("ahead of", "rows carry observation times that are too late"),
            false => ("behind", "syncs end too early, so data arrives later by as much"),
        };
        let found = format!("{} {way} the provider's: {means}; nothing is lost", told(skew.by));
        self.warned("clock", found, "set this machine's clock by NTP".into());
    }

    /// The least that the key needs.
    pub(super) fn rights(&mut self, connector: &Connector) {
        if let Some(rights) = &connector.rights {
            self.right("rights", format!("not looked at; what it needs: {rights}"));
        }
    }

    /// How long bodies are kept, when not all of them are.
    pub(super) fn bodies(&mut self, pipeline: &Pipeline) {
        if let Some(keep) = pipeline.raw_for {
            let days = keep.as_secs() / 86_400;
            let found = format!(
                "bodies of superseded states go {days} days after they were read, once a day, the rest by tidegate \
                 compact; the newest of every record stays"
            );
            self.right("raw", found);
        }
    }

    /// Whether this pipeline is told when the provider clears a person's data.
    pub(super) fn erasures(&mut self, connector: &Connector, streams: &[Arc<Stream>]) {
        let Some(telling) = connector.streams.iter().find(|s| s.clearing.is_some()) else { return };
        let holds = streams.iter().any(|s| s.personal.is_some());
        if holds && streams.iter().all(|s| s.name != telling.name) {
            let found = format!(
                "`{}` is not among `source.streams`, so nobody tells when the provider clears a person's data",
                telling.name
            );
            self.warned("erasures", found, format!("add {} to source.streams", telling.name));
        }
    }

    /// What is hidden, and what is not. `made_anew` false: rows were stored under other policies or mappings.
    pub(super) fn columns(&mut self, pipeline: &Pipeline, connector: &Connector, made_anew: bool) {
        let policies = &connector.policies;
        if policies.is_empty() {
            return;
        }
        let kept = Personal::of(connector).kept(policies);
        let found = format!(
            "{}; {kept} other columns marked `pii` are stored as they come (tidegate schema); no bodies are kept, \
             also not in quarantine",
            policies.told()
        );
        if made_anew {
            return self.right("columns", found);
        }
        let next = format!(
            "{}; history and bodies that were stored before stay as they are: a new destination has none of them",
            super::status::renewal(pipeline)
        );
        self.warned("columns", found, next);
    }
}

fn told(time: Duration) -> String {
    match time.as_secs() {
        secs @ 0..120 => format!("{secs} s"),
        secs @ 120..7_200 => format!("{} min", secs / 60),
        secs => format!("{} h", secs / 3_600),
    }
}

//! A refused record of a stream with column policies: which one it is and what is wrong, nothing of what it says.
use super::Job;
use crate::{decode::Reject, entity::pseudonym, manifest::Stream};

/// Takes body and found values out of the rejects, when the stream hides columns. What stands for a body tells two
/// apart; driven again it is refused, so the record has to be read again.
pub(super) fn redact(job: &Job, stream: &Stream, rejects: &mut [Reject]) {
    if !job.connector.hides(stream) {
        return;
    }
    let (pipeline, name) = (&job.pipeline, &stream.name);
    for reject in rejects {
        let digest = pseudonym(&job.facts.owner.tenant, &reject.body);
        reject.body = format!(r#"{{"body_not_kept":"{digest}"}}"#).into();
        let again = match &reject.key {
            Some(key) => format!("tidegate backfill {pipeline} --stream {name} --ids {key}"),
            None => format!("tidegate sweep {pipeline} --stream {name}"),
        };
        reject.message =
            format!("not shown and not kept, because of the pipeline's `columns`; to read it again: {again}");
    }
}

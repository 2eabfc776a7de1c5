//! A refused record of a stream with column policies: which one it is and what is wrong, nothing of what it says.
use super::{Job, superseded::version};
use crate::{decode::Reject, entity::pseudonym, manifest::Stream};

/// Takes body and found values out of the rejects, when the stream hides columns. What stands for a body tells two
/// apart and keeps the version, so that a later state is known to be later; driven again it is refused, so the record
/// has to be read again.
pub(super) fn redact(job: &Job, stream: &Stream, rejects: &mut [Reject]) {
    if !job.connector.hides(stream) {
        return;
    }
    let (pipeline, name) = (&job.pipeline, &stream.name);
    for reject in rejects {
        let digest = pseudonym(&job.facts.owner.tenant, &reject.body);
        let mut kept = serde_json::Map::from_iter([("body_not_kept".to_owned(), digest.into())]);
        if let (Some(field), Some(version)) = (&stream.version, version(stream, &reject.body)) {
            kept.insert(field.clone(), version.into());
        }
        reject.body = serde_json::Value::Object(kept).to_string().into();
        let again = match &reject.key {
            Some(key) => format!("tidegate backfill {pipeline} --stream {name} --ids {key}"),
            None => format!("tidegate sweep {pipeline} --stream {name}"),
        };
        reject.message =
            format!("not shown and not kept, because of the pipeline's `columns`; to read it again: {again}");
    }
}

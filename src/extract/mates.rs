//! A stream may have two walks: over its rows, and over another stream's events that tell of its deletes.
//!
//! They are two lanes of one stream and one checkpoint: whatever either emits carries where both stand, so a delete
//! and the word that it was read become durable together. The lane over events always follows the lane over rows.
use super::{Emitted, StreamStart, lane::Lane, request::Account};
use crate::{
    checkpoint::Checkpoint,
    error::{Error, Kind, Result},
    manifest::Connector,
};
use std::{mem, sync::Arc};

/// The lanes of a run. Fails `Invalid` as `Lane::new` does.
pub(super) fn lanes(connector: &Connector, account: &Account, starts: Vec<StreamStart>) -> Result<Vec<Lane>> {
    let mut lanes = Vec::new();
    for start in starts {
        let told = start.stream.deletes.as_ref().map(|deletes| StreamStart {
            stream: Arc::clone(&deletes.walk),
            checkpoint: start.checkpoint.as_ref().and_then(Checkpoint::of_deletes),
        });
        lanes.push(Lane::new(connector, account.url(&start.stream.path)?, start)?);
        if let Some(start) = told {
            let mut lane = Lane::new(connector, account.url(&start.stream.path)?, start)?;
            lane.tells = true;
            lanes.push(lane);
        }
    }
    Ok(lanes)
}

/// The other lane of the same stream, if it has two.
pub(super) fn mate(lanes: &[Lane], lane: usize) -> Option<usize> {
    if lanes.get(lane)?.tells {
        return lane.checked_sub(1);
    }
    let next = lane.checked_add(1)?;
    lanes.get(next).filter(|lane| lane.tells).map(|_| next)
}

/// What a lane emits, said for its whole stream.
pub(super) fn joined(lanes: &[Lane], lane: usize, mut emitted: Emitted) -> Result<Emitted> {
    let Some(mate) = mate(lanes, lane).and_then(|mate| lanes.get(mate)) else { return Ok(emitted) };
    let phase = mate
        .phase()
        .ok_or_else(|| Error::new(Kind::Bug, "a stream emits before both of its walks are planned"))?;
    let checkpoint = &mut emitted.checkpoint;
    checkpoint.deletes = Some(if mate.tells { phase } else { mem::replace(&mut checkpoint.phase, phase) });
    emitted.end &= mate.ended;
    Ok(emitted)
}

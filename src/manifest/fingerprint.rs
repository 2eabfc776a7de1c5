//! Hashes that say whether a connector still means what it meant: for page tokens and for "rebuild due".
use super::Stream;
use crate::{entity::Policies, yaml::File};
use std::{fmt::Write, sync::Arc};
use twox_hash::XxHash3_128;

/// Of connector.yaml, byte by byte.
pub(super) fn connector(yaml: &File) -> String {
    hex(&yaml.text)
}

/// Of everything that decides what unified rows look like: connector.yaml, mappings, and the unified tables without
/// their prose.
pub(super) fn mapping(yaml: &File, streams: &[Arc<Stream>]) -> String {
    let mut text = yaml.text.clone();
    for stream in streams {
        for feed in &stream.feeds {
            let e = &feed.entity;
            let parent = e.parent.as_ref().map(|p| (p.entity.as_str(), p.column.as_str()));
            let columns: Vec<_> = e.columns.iter().map(|c| (&c.name, c.ty.name(), c.pii, c.on_bad)).collect();
            let entity = (&e.name, parent, &e.month, columns);
            // Writing to a String cannot fail.
            let _ = write!(text, "\0{}\0{}\0{}\0{entity:?}", stream.name, feed.file, feed.sql);
        }
    }
    hex(&text)
}

/// Of a mapping whose main tables were grown by promoted fields.
pub(super) fn grown(before: &str, streams: &[Arc<Stream>]) -> String {
    let entities = streams.iter().flat_map(|s| s.feeds.iter().map(|f| &f.entity));
    let promoted: Vec<_> = entities
        .flat_map(|e| e.columns.iter().filter(|c| c.promoted).map(|c| (&e.name, &c.name, c.ty.name())))
        .collect();
    if promoted.is_empty() { before.to_owned() } else { hex(&format!("{before}\0{promoted:?}")) }
}

/// Of a mapping over which a pipeline lays SELECTs of its own.
pub(super) fn overlaid(before: &str, streams: &[Arc<Stream>]) -> String {
    let feeds = streams.iter().flat_map(|s| s.feeds.iter().map(move |f| (s, f)));
    let laid: Vec<_> =
        feeds.filter_map(|(s, f)| Some((&s.name, &f.entity.name, &f.overlay.as_ref()?.sql))).collect();
    if laid.is_empty() { before.to_owned() } else { hex(&format!("{before}\0{laid:?}")) }
}

/// Of a mapping whose rows are stored under these policies.
pub(super) fn hidden(before: &str, policies: &Policies) -> String {
    if policies.is_empty() { before.to_owned() } else { hex(&format!("{before}\0{}", policies.told())) }
}

fn hex(text: &str) -> String {
    format!("{:032x}", XxHash3_128::oneshot(text.as_bytes()))
}

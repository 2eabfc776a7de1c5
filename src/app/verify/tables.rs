//! Which unified tables does a connector fill, and on what do their rows hang? Main tables come before their children.
use crate::{entity::Entity, manifest::Connector, manifest::Stream};
use std::{collections::BTreeMap, sync::Arc};

/// One unified table.
#[derive(Clone, Debug)]
pub(super) struct Fed {
    pub(super) entity: Arc<Entity>,
    /// Columns that may name the parent, each with the main table it names. Empty for a main table.
    pub(super) parents: Vec<(String, String)>,
    pub(super) has_children: bool,
    /// Streams that write it.
    pub(super) streams: Vec<String>,
}

/// Tables that these streams of a connector fill.
pub(super) fn fed(connector: &Connector, streams: &[Arc<Stream>]) -> Vec<Fed> {
    let mut all: BTreeMap<(bool, String), Fed> = BTreeMap::new();
    let wanted = |s: &&Arc<Stream>| streams.iter().any(|w| w.name == s.name);
    for stream in connector.streams.iter().filter(wanted) {
        for feed in &stream.feeds {
            let key = (feed.entity.parent.is_some(), feed.entity.name.clone());
            let table = all.entry(key).or_insert_with(|| Fed {
                entity: Arc::clone(&feed.entity),
                parents: Vec::new(),
                has_children: stream.feeds.len() > 1,
                streams: Vec::new(),
            });
            table.parents.extend(feed.entity.parent.iter().map(|p| (p.column.clone(), p.entity.clone())));
            table.streams.push(stream.name.clone());
        }
    }
    all.into_values().collect()
}

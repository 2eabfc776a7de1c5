//! A connector whose main tables have more columns than the catalog says: fields that an operator promoted.
use super::{Connector, Feed, Stream, fingerprint};
use crate::entity::Entity;
use std::sync::Arc;

impl Connector {
    /// The same connector, feeding these tables instead of those of the same name. Rows made with other columns than
    /// before are told by another `mapping_hash`; page tokens stay good.
    pub fn feeding(&self, tables: &[Arc<Entity>]) -> Self {
        let grown = |feed: &Feed| {
            let table = tables.iter().find(|t| t.name == feed.entity.name && feed.entity.parent.is_none());
            Feed { entity: Arc::clone(table.unwrap_or(&feed.entity)), ..feed.clone() }
        };
        let stream = |stream: &Arc<Stream>| {
            Arc::new(Stream { feeds: stream.feeds.iter().map(grown).collect(), ..stream.as_ref().clone() })
        };
        let streams: Vec<Arc<Stream>> = self.streams.iter().map(stream).collect();
        Self { mapping_hash: fingerprint::grown(&self.mapping_hash, &streams), streams, ..self.clone() }
    }
}

//! A connector whose personal data is not stored as it comes: what a pipeline's column policies make of it.
use super::{Connector, Stream, fingerprint};
use crate::entity::Policies;

impl Connector {
    /// The same connector with these policies. Rows made with others are told by another `mapping_hash`; page tokens
    /// stay good.
    #[must_use]
    pub fn hiding(self, policies: Policies) -> Self {
        Self { mapping_hash: fingerprint::hidden(&self.mapping_hash, &policies), policies, ..self }
    }
    /// Whether something of the stream's records is not stored as it comes. Then no body of it is stored either, and no
    /// hash of one.
    pub fn hides(&self, stream: &Stream) -> bool {
        stream.feeds.iter().any(|feed| self.policies.touch(&feed.entity.name))
    }
}

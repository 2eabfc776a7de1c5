//! Mappings are planned once per connector stream and process; every run borrows them.
use crate::{
    decode::{Decoder, Keys},
    error::Result,
    manifest::{Connector, Stream},
    normalize::Normalizer,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// By the connector's mapping hash and the stream's name.
#[derive(Default)]
pub struct Normalizers(Mutex<HashMap<(String, String), Arc<Normalizer>>>);

impl Normalizers {
    /// The stream's normalizer, planned on first use. Fails `Invalid` when a mapping does not fit.
    pub async fn get(&self, connector: &Connector, stream: &Arc<Stream>) -> Result<Arc<Normalizer>> {
        let key = (connector.mapping_hash.clone(), stream.name.clone());
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let decoder = decoder(stream)?;
        let made = Arc::new(Normalizer::new(connector, stream, &decoder.schema()).await?);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&made));
        Ok(made)
    }
}

/// A decoder of the stream's records, and of the events that tell of their deletes.
pub(super) fn decoder(stream: &Stream) -> Result<Decoder> {
    let keys = Keys {
        key: stream.key.clone(),
        version: stream.version.clone(),
        updated: stream.updated.clone(),
        deleted: stream.deleted.clone(),
    };
    let told = stream.deletes.as_ref().map(|deletes| deletes.told.clone());
    Ok(Decoder::new(&stream.name, &stream.record, &keys)?.with_told(told))
}

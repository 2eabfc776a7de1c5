//! Keys that an unfinished sweep saw: one small file per commit beside the state document, which names those that
//! count.
//!
//! 16 bytes a key. Absent on purpose: a format for readers; nobody but the next run of the sweep reads them.
use super::{connection::Connection, state::State};
use crate::{
    error::{Error, Kind, Result},
    load::Commit,
};
use std::collections::BTreeSet;

const PREFIX: &str = "seen-";

impl Connection {
    /// Adds the commit's keys to what the stream's sweep saw, or lets go of all when that sweep does not go on.
    /// Takes hold with `next`.
    pub(super) fn keep_seen(&self, commit: &Commit, next: &mut State, number: i64) -> Result<()> {
        let before = self.held.state.checkpoints.get(&commit.stream);
        if let Some(stream) =
            next.streams.get_mut(&commit.stream).filter(|_| !commit.goes_on_sweeping(before))
        {
            stream.seen.clear();
        }
        if commit.checkpoint.sweep().is_none() || commit.seen.is_empty() {
            return Ok(());
        }
        let name = format!("{PREFIX}{number:012}.keys");
        let bytes: Vec<u8> = commit.seen.iter().flat_map(|key| key.to_le_bytes()).collect();
        self.files.replace(&self.layout.state(&name), &bytes)?;
        next.streams.entry(commit.stream.clone()).or_default().seen.push(name);
        Ok(())
    }
    pub(super) fn seen_keys(&self, stream: &str) -> Result<Vec<u128>> {
        let mut keys = Vec::new();
        for name in self.held.state.streams.get(stream).into_iter().flat_map(|s| &s.seen) {
            let path = self.layout.state(name);
            let bytes = self.files.read(&path)?;
            let bytes = bytes.filter(|b| b.len().is_multiple_of(16)).ok_or_else(|| {
                Error::new(Kind::Destination, "what a sweep saw cannot be read")
                    .with("path", path.display())
                    .hint("restore the file from a backup, or reset the stream's checkpoint")
            })?;
            let (words, _) = bytes.as_chunks::<16>();
            keys.extend(words.iter().map(|word| u128::from_le_bytes(*word)));
        }
        Ok(keys)
    }
    /// Removes files of keys that the state does not name.
    pub(super) fn forget_seen(&self) -> Result<()> {
        let named: BTreeSet<&str> =
            self.held.state.streams.values().flat_map(|s| &s.seen).map(String::as_str).collect();
        let folder = self.layout.state("");
        for path in self.files.list(&folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.trim_start_matches('.').starts_with(PREFIX) && !named.contains(name.as_ref()) {
                self.files.remove(&path)?;
            }
        }
        Ok(())
    }
}

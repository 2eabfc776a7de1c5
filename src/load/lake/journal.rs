//! The journal as one file beside the state document, which names the one that counts: replacing the document is the
//! act that changes checkpoints and journal together.
use super::{connection::Connection, files::Files, layout::Layout, state::State};
use crate::{
    error::{Error, Kind, Result},
    load::journal::{Change, Entry},
};

const PREFIX: &str = "journal-";

/// Oldest first.
pub(super) fn read(files: &Files, layout: &Layout, state: &State) -> Result<Vec<Entry>> {
    let Some(name) = &state.journal else { return Ok(Vec::new()) };
    let path = layout.state(name);
    let unreadable = || {
        Error::new(Kind::Destination, "the journal of the state cannot be read")
            .with("path", path.display())
            .hint("restore the file from a backup; checkpoints and rows do not depend on it")
    };
    let bytes = files.read(&path)?.ok_or_else(unreadable)?;
    serde_json::from_slice(&bytes).map_err(|e| unreadable().because(e))
}

impl Connection {
    /// The entry's number.
    pub(super) fn change_state(&mut self, change: Change) -> Result<i64> {
        self.held.check()?;
        let mut all = read(&self.files, &self.layout, &self.held.state)?;
        let mut next = self.held.state.clone();
        let no = change.apply(&mut all, &mut next.checkpoints);
        let bytes = serde_json::to_vec(&all)
            .map_err(|e| Error::new(Kind::Bug, "the journal cannot be written").because(e))?;
        let name = format!("{PREFIX}{:012}-{no:012}.json", next.epoch);
        self.files.replace(&self.layout.state(&name), &bytes)?;
        next.journal = Some(name);
        self.held.replace(next)?;
        self.forget_journals()?;
        Ok(no)
    }
    /// Removes journals that the state does not name, half written ones too.
    pub(super) fn forget_journals(&self) -> Result<()> {
        let named = self.held.state.journal.as_deref();
        for path in self.files.list(&self.layout.state(""))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.trim_start_matches('.').starts_with(PREFIX) && named != Some(name.as_ref()) {
                self.files.remove(&path)?;
            }
        }
        Ok(())
    }
}

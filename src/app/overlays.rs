//! Which tables does a pipeline give columns of its own? Reads the files that `overlays` names.
//!
//! What they may say is checked by `manifest`.
use super::{project::Project, promotions::SOURCE};
use crate::{
    entity::{Policies, Policy},
    error::{Error, Kind, Result},
    manifest::{Connector, MAPPED},
    pipeline::{OverlayFile, Pipeline},
    sync::Job,
    yaml::{File, nearest},
};
use serde::Serialize;
use std::{collections::BTreeSet, fs, io};

/// A table with columns of a pipeline's own.
#[derive(Clone, Debug, Serialize)]
pub struct Overlaid {
    /// Unified table.
    pub table: String,
    /// Where they are written.
    pub file: String,
}

impl Project {
    /// Table and text of each overlay. Fails `Invalid` for a table that the connector does not feed and for a file that
    /// cannot be read.
    pub(super) fn overlays(&self, pipeline: &Pipeline, connector: &Connector) -> Result<Vec<(String, File)>> {
        let fed = connector.streams.iter().flat_map(|s| s.feeds.iter().map(|f| f.entity.name.as_str()));
        let fed: BTreeSet<&str> = fed.collect();
        let one = |overlay: &OverlayFile| {
            if !fed.contains(overlay.table.as_str()) {
                return Err(unknown(overlay, connector, &fed));
            }
            let text =
                fs::read_to_string(self.dir.join(&overlay.file)).map_err(|e| unreadable(overlay, e))?;
            Ok((overlay.table.clone(), File { path: overlay.file.clone(), text }))
        };
        pipeline.overlays.iter().map(one).collect()
    }
}

fn unknown(overlay: &OverlayFile, connector: &Connector, fed: &BTreeSet<&str>) -> Error {
    let what = format!("connector `{}` feeds no table `{}`", connector.name, overlay.table);
    let error = Error::new(Kind::Invalid, what).with("at", &overlay.place);
    match nearest(&overlay.table, fed.iter().copied()) {
        Some(right) => error.hint(format!("did you mean `{right}`?")),
        None => error.hint(format!("tidegate connectors show {}   lists its tables", connector.name)),
    }
}

fn unreadable(overlay: &OverlayFile, error: io::Error) -> Error {
    let what = format!("the overlay of `{}` cannot be read", overlay.table);
    let told = Error::new(Kind::Invalid, what).with("file", &overlay.file).with("at", &overlay.place);
    match error.kind() {
        io::ErrorKind::NotFound => told.hint(format!(
            "write {}: select * replace (.. as column) from {MAPPED}; paths are below pipelines/",
            overlay.file
        )),
        _ => told.because(error),
    }
}

/// Fails `Invalid` when an overlay would store in one column what a policy hides in another.
pub(super) fn hidden_stays_hidden(connector: &Connector, policies: &Policies) -> Result<()> {
    let hides = |table: &str, column: &str| policies.of(table, column) != Policy::Keep;
    let feeds = || connector.streams.iter().flat_map(|s| &s.feeds);
    for (table, overlay) in connector.overlays() {
        // Promoted fields are taken from it before it is hidden.
        let promoted = feeds().filter(|f| f.entity.name == table).flat_map(|f| &f.entity.columns);
        let shows_fields = promoted.filter(|c| c.promoted).any(|c| !hides(table, &c.name));
        let shown = |column: &str| !hides(table, column) || (column == SOURCE && shows_fields);
        let mut shown = overlay.reads.iter().filter(|(column, _)| shown(column));
        let leak = shown.find_map(|(column, reads)| Some((column, reads.iter().find(|r| hides(table, r))?)));
        if let Some((column, hidden)) = leak {
            let line = overlay.lines.get(column).copied().unwrap_or(0);
            let what = format!("`{column}` would hold what the policy of `{table}.{hidden}` hides");
            return Err(Error::new(Kind::Invalid, what)
                .with("file", format!("{}:{line}", overlay.file))
                .hint(format!(
                    "make `{column}` of other columns; or hide it too, where it is marked `pii`"
                )));
        }
    }
    Ok(())
}

/// All of a connector, by table.
pub(super) fn told(connector: &Connector) -> Vec<Overlaid> {
    let one = |(table, overlay): (&str, &crate::manifest::Overlay)| Overlaid {
        table: table.to_owned(),
        file: overlay.file.clone(),
    };
    connector.overlays().into_iter().map(one).collect()
}

/// Fails `Invalid` when one of two pipelines gives a table columns that the other does not: their rows differ by right.
pub(super) fn same(here: &Job, there: &Job) -> Result<()> {
    let (a, b) = (here.connector.overlays(), there.connector.overlays());
    let differs = |table: &&&str| a.get(**table).map(|o| &o.sql) != b.get(**table).map(|o| &o.sql);
    let Some(table) = a.keys().chain(b.keys()).find(differs) else { return Ok(()) };
    let file = |all: Option<&&crate::manifest::Overlay>| all.map_or("none", |o| &o.file).to_owned();
    Err(Error::new(Kind::Invalid, format!("the two pipelines give `{table}` other columns by right"))
        .with("differs_in", "overlays")
        .with("here", file(a.get(*table)))
        .with("there", file(b.get(*table)))
        .hint("compare pipelines that differ in their destination only"))
}

//! `overlays:` of a pipeline file: which tables have columns of its own, and in which files they are written.
//!
//! Absent on purpose: reading the files, and whether there is such a table (`app`).
use super::{OverlayFile, told};
use crate::{
    error::{Error, Kind, Result},
    yaml::Pairs,
};
use serde_saphyr::Spanned;
use std::path::{Component, Path};

/// Fails `Invalid` for a file that is not a `.sql` file below the folder of the pipelines.
pub(super) fn overlays(file: &str, written: &Pairs<Spanned<String>>) -> Result<Vec<OverlayFile>> {
    let one = |(table, path): &(Spanned<String>, Spanned<String>)| {
        let below = Path::new(&path.value).components().all(|c| matches!(c, Component::Normal(_)));
        if !below || !path.value.ends_with(".sql") || path.value.contains(['\\', '\n']) {
            return Err(Error::new(
                Kind::Invalid,
                format!("`{}` is not a .sql file below pipelines/", path.value),
            )
            .with("at", told::place(file, path.referenced))
            .hint(format!("overlays: {{ {0}: overlays/acme_{0}.sql }}", table.value)));
        }
        Ok(OverlayFile {
            table: table.value.clone(),
            file: format!("pipelines/{}", path.value),
            place: told::place(file, table.referenced),
        })
    };
    written.0.iter().map(one).collect()
}

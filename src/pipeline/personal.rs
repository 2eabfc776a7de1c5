//! `columns:` of a pipeline file: what is stored of personal data.
//!
//! Absent on purpose: whether there is such a column (`app`, which knows the tables).
use super::{ColumnPolicy, told};
use crate::{
    entity::Policy,
    error::{Error, Kind, Result},
    yaml::Pairs,
};
use serde_saphyr::Spanned;

/// Fails `Invalid` for an unknown word, and for a policy that the stored bodies would defeat.
pub(super) fn columns(
    file: &str,
    written: &Pairs<Spanned<String>>,
    raw_keep: bool,
) -> Result<Vec<ColumnPolicy>> {
    let mut columns = Vec::new();
    for (name, word) in &written.0 {
        let place = told::place(file, name.referenced);
        let Some(policy) = Policy::of_word(&word.value) else {
            let at = told::place(file, word.referenced);
            return Err(told::unknown("policy", &word.value, &Policy::WORDS, &at).with("key", &name.value));
        };
        if policy != Policy::Keep && raw_keep {
            let what =
                format!("`{}: {}` would hide nothing: the bodies hold the value too", name.value, word.value);
            return Err(Error::new(Kind::Invalid, what)
                .with("at", place)
                .hint("add `raw: drop`; rows cannot be rebuilt from stored bodies then, only read again"));
        }
        let (table, column) = match name.value.split_once('.') {
            Some((table, column)) => (Some(table.to_owned()), column.to_owned()),
            None => (None, name.value.clone()),
        };
        columns.push(ColumnPolicy { table, column, policy, place });
    }
    Ok(columns)
}

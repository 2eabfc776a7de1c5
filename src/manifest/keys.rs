//! Which field of the record does a key of the stream name, and is it of the right type?
use super::raw;
use crate::{
    decode::{Mark, Struct, Type},
    error::Result,
    yaml::{File, WordOr, line, suggest},
};
use serde_saphyr::Spanned;

/// The fields of one record shape.
pub(super) struct KeyFields<'a> {
    pub(super) file: &'a File,
    pub(super) record: &'a Struct,
}

impl KeyFields<'_> {
    /// What marks a deleted record. Fails `Invalid` as `field` does.
    pub(super) fn mark(&self, raw: &Spanned<WordOr<String, raw::Mark>>) -> Result<Mark> {
        match &raw.value {
            WordOr::Word(name) => {
                let name = Spanned::new(name.clone(), raw.referenced, raw.defined);
                Ok(Mark::Flag(self.field("deleted", &name, "bool", &|t| *t == Type::Bool)?))
            }
            WordOr::Map(mark) => {
                let field = self.field("deleted", &mark.field, "text", &|t| *t == Type::Text)?;
                Ok(Mark::Word { field, is: mark.is.clone() })
            }
        }
    }

    /// The field that a key of the stream names. Fails `Invalid` when the shape lacks it or has it with another type.
    pub(super) fn field(
        &self,
        key: &str,
        raw: &Spanned<String>,
        expected: &str,
        fits: &dyn Fn(&Type) -> bool,
    ) -> Result<String> {
        let name = &raw.value;
        let Some(field) = self.record.fields.iter().find(|f| f.name == *name) else {
            let known = self.record.fields.iter().map(|f| f.name.as_str());
            let what = format!("`{key}: {name}` is not a field of `record`");
            return Err(self.file.error(line(raw), what).hint(suggest(name, known)));
        };
        if !fits(&field.ty) {
            let what = format!("`{key}: {name}` must be declared as {expected} in `record`");
            return Err(self.file.error(line(raw), what));
        }
        Ok(name.clone())
    }
}

//! Is this shape one that can be decoded, and where are the fields the machine needs?
//!
//! Absent on purpose: whether the provider really sends that shape.
use super::{Keys, Mark, Struct, Type, scan::DEPTH_MAX};
use crate::error::{Error, Kind, Result};

/// Positions of the machine's fields among the declared ones.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) key: usize,
    pub(super) version: Option<usize>,
    pub(super) updated: Option<usize>,
    pub(super) deleted: Option<Gone>,
}

/// Where a record says that it is deleted.
#[derive(Clone, Debug)]
pub(super) enum Gone {
    Flag(usize),
    Word(usize, String),
}

/// Fails `Invalid` when a field of `keys` is not declared or has another type, a decimal cannot be, or the shape is
/// nested deeper than a record may be.
pub(super) fn prove(shape: &Struct, keys: &Keys) -> Result<Places> {
    check(shape, 1)?;
    let key = |ty: &Type| matches!(ty, Type::Text | Type::IntOrText);
    let version = |ty: &Type| matches!(ty, Type::Int | Type::IntOrText);
    let updated = |ty: &Type| matches!(ty, Type::EpochS | Type::EpochMs | Type::DateTime { .. });
    let flag = |ty: &Type| matches!(ty, Type::Bool);
    let word = |ty: &Type| matches!(ty, Type::Text);
    let deleted = match &keys.deleted {
        None => None,
        Some(Mark::Flag(name)) => Some(Gone::Flag(place(shape, "deleted", name, flag, "bool")?)),
        Some(Mark::Word { field, is }) => {
            Some(Gone::Word(place(shape, "deleted", field, word, "text")?, is.clone()))
        }
    };
    Ok(Places {
        key: place(shape, "key", &keys.key, key, "text or int_or_text")?,
        version: optional(&keys.version, |name| place(shape, "version", name, version, "int"))?,
        updated: optional(&keys.updated, |name| place(shape, "updated", name, updated, "a time"))?,
        deleted,
    })
}

fn optional(name: &Option<String>, find: impl Fn(&str) -> Result<usize>) -> Result<Option<usize>> {
    name.as_deref().map(find).transpose()
}

fn place(
    shape: &Struct,
    role: &'static str,
    name: &str,
    fits: impl Fn(&Type) -> bool,
    expected: &str,
) -> Result<usize> {
    let found = shape.fields.iter().enumerate().find(|(_, field)| field.name == name);
    let Some((i, field)) = found else {
        return Err(Error::new(Kind::Invalid, "the record does not declare a field the stream needs")
            .with(role, name)
            .hint(format!("declare `{name}` under the stream's `record`")));
    };
    if !fits(&field.ty) {
        return Err(Error::new(Kind::Invalid, "a field the stream needs has the wrong type")
            .with(role, name)
            .with("type", format!("{:?}", field.ty))
            .hint(format!("declare `{name}` as {expected}")));
    }
    Ok(i)
}

fn check(shape: &Struct, depth: usize) -> Result<()> {
    shape
        .fields
        .iter()
        .try_for_each(|field| check_type(&field.ty, depth).map_err(|e| e.with("field", &field.name)))
}

fn check_type(ty: &Type, depth: usize) -> Result<()> {
    if depth > DEPTH_MAX {
        return Err(Error::new(Kind::Invalid, format!("a record declares more than {DEPTH_MAX} levels")));
    }
    match ty {
        Type::Struct(shape) => check(shape, depth + 1),
        Type::List(item) => check_type(item, depth + 1),
        Type::Decimal { precision, scale, .. } => {
            let digits = i16::from(*precision);
            if (1..=38).contains(&digits) && (0..=digits).contains(&i16::from(*scale)) {
                return Ok(());
            }
            Err(Error::new(Kind::Invalid, "a decimal has 1 to 38 digits, some of them after the point")
                .with("precision", precision)
                .with("scale", scale))
        }
        Type::Text
        | Type::Int
        | Type::IntOrText
        | Type::Bool
        | Type::Rate
        | Type::EpochS
        | Type::EpochMs
        | Type::DateTime { .. }
        | Type::Date
        | Type::Json => Ok(()),
    }
}

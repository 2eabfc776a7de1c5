//! Field types of a stream's `record`: words to `decode::Type`.
use super::{prove::number, raw};
use crate::{
    decode::{Field, Struct, Type},
    error::Result,
    yaml::{File, Pairs, line, suggest},
};
use serde_saphyr::Spanned;

/// The words a field type may be; `decimal` and `text_decimal` take `(precision, scale)`.
const WORDS: [&str; 13] = [
    "text",
    "int",
    "int_or_text",
    "bool",
    "decimal(p,s)",
    "text_decimal(p,s)",
    "rate",
    "epoch_s",
    "epoch_ms",
    "datetime",
    "datetime_utc",
    "date",
    "json",
];

/// The key that collects undeclared keys by prefix instead of declaring a field.
const REST: &str = "rest";

/// Hidden columns that every stream table has.
const HIDDEN: [&str; 2] = ["_row", "_zone"];

/// The whole record. Fails `Invalid` naming the line of the field.
pub(super) fn record(file: &File, raw: &Spanned<raw::Type>) -> Result<Struct> {
    let raw::Type::Object(fields) = &raw.value else {
        return Err(file.error(line(raw), "`record` must be a mapping `field: type`"));
    };
    let record = object(file, line(raw), fields)?;
    let columns = record.fields.iter().map(|f| &f.name).chain(record.rest.iter().map(|(name, _)| name));
    for name in columns {
        if HIDDEN.contains(&name.as_str()) {
            return Err(file.error(line(raw), format!("`{name}` is a hidden column of every stream table")));
        }
    }
    Ok(record)
}

fn object(file: &File, at: u64, pairs: &Pairs<Spanned<raw::Type>>) -> Result<Struct> {
    let mut out = Struct::default();
    for (name, ty) in &pairs.0 {
        if name.value == REST {
            out.rest = rest(file, ty)?;
        } else {
            out.fields.push(Field { name: name.value.clone(), ty: field(file, ty)? });
        }
    }
    if out.fields.is_empty() {
        return Err(file.error(at, "an object must declare at least one field"));
    }
    if let Some((name, _)) = out.rest.iter().find(|(name, _)| out.fields.iter().any(|f| f.name == *name)) {
        return Err(file.error(at, format!("`{name}` is both a field and a column of `rest`")));
    }
    Ok(out)
}

fn rest(file: &File, ty: &Spanned<raw::Type>) -> Result<Vec<(String, Vec<String>)>> {
    let expected = "`rest` must be `{ column: \"prefix*\" }` or `{ column: [\"a*\", \"b*\"] }`: undeclared keys by prefix, into one JSON column";
    let raw::Type::Object(columns) = &ty.value else { return Err(file.error(line(ty), expected)) };
    let mut out: Vec<(String, Vec<String>)> = Vec::new();
    for (column, patterns) in &columns.0 {
        let patterns = match &patterns.value {
            raw::Type::List(several) => several.iter().collect(),
            raw::Type::Word(_) | raw::Type::Object(_) => vec![patterns],
        };
        let mut prefixes = Vec::new();
        for pattern in patterns {
            let prefix = match &pattern.value {
                raw::Type::Word(word) => word.strip_suffix('*').filter(|p| !p.is_empty() && !p.contains('*')),
                raw::Type::List(_) | raw::Type::Object(_) => None,
            };
            let prefix = prefix.ok_or_else(|| file.error(line(pattern), expected))?;
            let same = |p: &String| p.starts_with(prefix) || prefix.starts_with(p.as_str());
            if let Some((other, _)) = out.iter().find(|(_, known)| known.iter().any(same)) {
                let what = format!("`{}` and `{other}` of `rest` would collect the same keys", column.value);
                return Err(file.error(line(pattern), what));
            }
            prefixes.push(prefix.to_owned());
        }
        out.push((column.value.clone(), prefixes));
    }
    Ok(out)
}

fn field(file: &File, ty: &Spanned<raw::Type>) -> Result<Type> {
    match &ty.value {
        raw::Type::Word(text) => word(file, line(ty), text),
        raw::Type::Object(pairs) => object(file, line(ty), pairs).map(Type::Struct),
        raw::Type::List(items) => match items.as_slice() {
            [one] => Ok(Type::List(Box::new(field(file, one)?))),
            _ => Err(file.error(line(ty), "a list has exactly one element type, as in `[text]`")),
        },
    }
}

fn word(file: &File, at: u64, text: &str) -> Result<Type> {
    let ty = match text {
        "text" => Type::Text,
        "int" => Type::Int,
        "int_or_text" => Type::IntOrText,
        "bool" => Type::Bool,
        "rate" => Type::Rate,
        "epoch_s" => Type::EpochS,
        "epoch_ms" => Type::EpochMs,
        "datetime" => Type::DateTime { naive_utc: false },
        "datetime_utc" => Type::DateTime { naive_utc: true },
        "date" => Type::Date,
        "json" => Type::Json,
        _ => return decimal(file, at, text),
    };
    Ok(ty)
}

fn decimal(file: &File, at: u64, text: &str) -> Result<Type> {
    let unknown = || file.error(at, format!("unknown field type `{text}`")).hint(suggest(text, WORDS));
    let (name, digits) = text.split_once('(').ok_or_else(unknown)?;
    let from_text = match name {
        "decimal" => false,
        "text_decimal" => true,
        _ => return Err(unknown()),
    };
    let small = |text: &str| u8::try_from(number(text, 2)?).ok();
    let parsed = digits
        .strip_suffix(')')
        .and_then(|d| d.split_once(','))
        .and_then(|(p, s)| Some((small(p)?, small(s.strip_prefix(' ').unwrap_or(s))?)));
    let fits = |&(p, s): &(u8, u8)| (1..=38).contains(&p) && s <= p;
    let (precision, scale) = parsed.filter(fits).ok_or_else(|| {
        file.error(
            at,
            format!(
                "`{text}` is not {name}(precision,scale) with 1 <= precision <= 38, 0 <= scale <= precision"
            ),
        )
    })?;
    let scale = i8::try_from(scale).map_err(|e| unknown().because(e))?;
    Ok(Type::Decimal { precision, scale, from_text })
}

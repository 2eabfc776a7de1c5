//! `connectors/unified/<entity>.yaml` to proven entities.
//!
//! Absent on purpose: where the values come from (`connectors/<provider>/`).
use super::{Column, ColumnType, Entity, OnBad, PREFIX, Parent, SUFFIX};
use crate::{
    error::Result,
    yaml::{File, line, suggest},
};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;
use std::{collections::BTreeMap, sync::Arc};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntity {
    entity: Spanned<String>,
    meaning: String,
    parent: Option<RawParent>,
    month: Option<Spanned<String>>,
    columns: Vec<RawColumn>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawParent {
    entity: Spanned<String>,
    column: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawColumn {
    name: Spanned<String>,
    #[serde(rename = "type")]
    ty: ColumnType,
    meaning: String,
    #[serde(default)]
    pii: bool,
    #[serde(default, deserialize_with = "null_is_a_word")]
    on_bad: Option<OnBad>,
}

/// `on_bad: null` is the word, not an absent value.
fn null_is_a_word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OnBad>, D::Error> {
    OnBad::deserialize(deserializer).map(Some)
}

/// Proves the files of `connectors/unified/` together. Fails `Invalid` naming file and line.
pub fn load(files: &[File]) -> Result<BTreeMap<String, Arc<Entity>>> {
    let mut parsed = Vec::new();
    for file in files {
        parsed.push((file, file.read::<RawEntity>()?));
    }
    let mains: Vec<&str> =
        parsed.iter().filter(|(_, e)| e.parent.is_none()).map(|(_, e)| e.entity.value.as_str()).collect();
    let mut entities = BTreeMap::new();
    for (file, raw) in &parsed {
        let entity = prove(file, raw, &mains)?;
        if entities.insert(entity.name.clone(), Arc::new(entity)).is_some() {
            return Err(
                file.error(line(&raw.entity), format!("entity `{}` is declared twice", raw.entity.value))
            );
        }
    }
    Ok(entities)
}

fn prove(file: &File, raw: &RawEntity, mains: &[&str]) -> Result<Entity> {
    let name = &raw.entity.value;
    if file.name() != format!("{name}.yaml") {
        return Err(file.error(line(&raw.entity), format!("entity `{name}` must stand in `{name}.yaml`")));
    }
    let parent = raw
        .parent
        .as_ref()
        .map(|p| Parent { entity: p.entity.value.clone(), column: p.column.value.clone() });
    let month = raw.month.as_ref().map(|m| m.value.clone());
    let columns = raw.columns.iter().map(|c| Column {
        name: c.name.value.clone(),
        ty: c.ty,
        pii: c.pii,
        on_bad: c.on_bad.unwrap_or_else(|| on_bad(&c.name.value, c.ty)),
        meaning: c.meaning.clone(),
        promoted: false,
    });
    let columns = columns.collect();
    let entity = Entity { name: name.clone(), meaning: raw.meaning.clone(), parent, month, columns };
    check_columns(file, raw)?;
    check_references(file, raw, &entity, mains)?;
    Ok(entity)
}

/// What a bad value does unless the file says otherwise: keys, money, currencies and dates reject the record.
fn on_bad(name: &str, ty: ColumnType) -> OnBad {
    let key = name == "id" || name.ends_with("_id");
    if key || name == "currency" || matches!(ty, ColumnType::Money | ColumnType::Date) {
        return OnBad::Reject;
    }
    OnBad::Null
}

fn check_columns(file: &File, raw: &RawEntity) -> Result<()> {
    let first = raw.columns.first().map(|c| (c.name.value.as_str(), c.ty));
    if first != Some(("id", ColumnType::Text)) {
        let at = raw.columns.first().map_or(0, |c| line(&c.name));
        return Err(file.error(at, "the first column must be `id`, type text"));
    }
    let mut seen: Vec<&str> = Vec::new();
    for column in &raw.columns {
        let name = column.name.value.as_str();
        let at = line(&column.name);
        let snake = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !snake || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err(file.error(at, format!("column `{name}` is not snake_case")));
        }
        if PREFIX.contains(&name) || SUFFIX.iter().any(|(own, ..)| *own == name) {
            return Err(file.error(at, format!("column `{name}` is added to every table by itself")));
        }
        if seen.contains(&name) {
            return Err(file.error(at, format!("column `{name}` is declared twice")));
        }
        seen.push(name);
    }
    Ok(())
}

fn check_references(file: &File, raw: &RawEntity, entity: &Entity, mains: &[&str]) -> Result<()> {
    let names = || entity.columns.iter().map(|c| c.name.as_str());
    if let Some(parent) = &raw.parent {
        let (to, column) = (&parent.entity.value, &parent.column.value);
        if !mains.contains(&to.as_str()) {
            let what = format!("parent `{to}` is not an entity without a parent");
            return Err(file.error(line(&parent.entity), what).hint(suggest(to, mains.iter().copied())));
        }
        if entity.column(column).is_none_or(|c| c.ty != ColumnType::Text) {
            let what = format!("parent column `{column}` is not a text column of `{}`", entity.name);
            return Err(file.error(line(&parent.column), what).hint(suggest(column, names())));
        }
    }
    let Some(month) = &raw.month else { return Ok(()) };
    if raw.parent.is_some() {
        return Err(file.error(line(month), "a child entity has the month of its parent; leave `month` out"));
    }
    if entity.column(&month.value).is_none_or(|c| c.ty != ColumnType::Date) {
        let what = format!("month `{}` is not a date column of `{}`", month.value, entity.name);
        return Err(file.error(line(month), what).hint(suggest(&month.value, names())));
    }
    Ok(())
}

//! What one mapping answers, proven against its unified table and cast into its columns.
use super::{Refusal, Refusals, bug, cast, hide, promote};
use crate::{
    decode::Issue,
    entity::{Column, Entity, OnBad, Policies, Policy},
    error::{Error, Kind, Result},
    id::TenantId,
    manifest::{Feed, ZONE},
};
use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, new_null_array},
    datatypes::{DataType, Int64Type, Schema},
};
use std::sync::Arc;

/// Where each column of the unified table stands in the mapping's answer.
pub(super) struct Output {
    entity: Arc<Entity>,
    row: usize,
    /// Per own column of the entity; None: the mapping leaves it out, so it is NULL.
    places: Vec<Option<usize>>,
    /// Per own column of the entity.
    policies: Vec<Policy>,
}

/// One mapping's rows as unified columns.
pub(super) struct Table {
    pub(super) entity: Arc<Entity>,
    /// Which record each row came from.
    pub(super) row: Vec<usize>,
    /// Own columns, in the entity's order.
    pub(super) columns: Vec<ArrayRef>,
}

impl Output {
    /// Fails `Invalid` for an unknown column, a type that cannot be cast exactly, a missing `_row`, id or parent id.
    pub(super) fn prove(feed: &Feed, schema: &Schema, policies: &Policies) -> Result<Self> {
        let entity = &feed.entity;
        let teller = feed.overlay.as_ref().map_or("mapping", |_| "overlay");
        let wrong = |what: String| {
            let file = feed.overlay.as_ref().map_or(&feed.file, |overlay| &overlay.file);
            Error::new(Kind::Invalid, what).with("file", file).with("entity", &entity.name)
        };
        for field in schema.fields() {
            let name = field.name();
            if name != "_row" && name != ZONE && entity.column(name).is_none() {
                let error = wrong(format!(
                    "the {teller} selects `{name}`, which is not a column of `{}`",
                    entity.name
                ));
                let near = entity.columns.iter().map(|c| (strsim::jaro_winkler(name, &c.name), &c.name));
                let near = near.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
                return Err(match near {
                    Some((_, nearest)) => error.hint(format!("did you mean `{nearest}`?")),
                    None => error.hint(format!("`tidegate schema {}` lists its columns", entity.name)),
                });
            }
        }
        let row = match schema.column_with_name("_row") {
            Some((place, field)) if field.data_type() == &DataType::Int64 => place,
            _ => return Err(wrong(format!("the {teller} must select `_row` unchanged"))),
        };
        let place = |column: &Column| {
            let Some((place, field)) = schema.column_with_name(&column.name) else { return Ok(None) };
            if cast::allowed(field.data_type(), column.ty) {
                return Ok(Some(place));
            }
            let (name, holds, found) = (&column.name, column.ty.name(), field.data_type());
            let error = wrong(format!("column `{name}` holds {holds}, the {teller} answers {found}"));
            Err(match feed.overlay.as_ref().and_then(|overlay| overlay.lines.get(name)) {
                Some(line) => error.with("line", line),
                None => error,
            })
        };
        let places = entity.columns.iter().map(place).collect::<Result<Vec<_>>>()?;
        for needed in std::iter::once("id").chain(entity.parent.as_ref().map(|p| p.column.as_str())) {
            if schema.column_with_name(needed).is_none() {
                return Err(wrong(format!("the {teller} must select `{needed}`")));
            }
        }
        let policies = entity.columns.iter().map(|c| policies.of(&entity.name, &c.name)).collect();
        Ok(Self { entity: Arc::clone(entity), row, places, policies })
    }

    /// The rows as unified columns. A value that does not fit refuses its record or becomes NULL with an issue,
    /// as its column says. Values are as the columns' policies let them be stored.
    pub(super) fn cast(
        &self,
        batch: &RecordBatch,
        tenant: &TenantId,
        refused: &mut Refusals,
        issues: &mut Vec<Issue>,
    ) -> Result<Table> {
        let numbers = batch.column(self.row).as_primitive::<Int64Type>();
        let row =
            numbers.values().iter().map(|r| usize::try_from(*r).unwrap_or(usize::MAX)).collect::<Vec<_>>();
        let mut columns = Vec::with_capacity(self.places.len());
        let mut misfits = Vec::new();
        for ((column, place), policy) in self.entity.columns.iter().zip(&self.places).zip(&self.policies) {
            misfits.clear();
            columns.push(match place {
                Some(place) => cast::column(batch.column(*place), column.ty, &mut misfits),
                None if column.promoted => self.promoted(column, &columns, &mut misfits),
                None => new_null_array(&column.ty.arrow(), batch.num_rows()),
            });
            if *policy == Policy::Drop {
                continue;
            }
            for misfit in &misfits {
                let found = match policy {
                    Policy::Keep => misfit.found.as_str(),
                    Policy::Hash | Policy::Drop => "a value that is not shown",
                };
                let message =
                    format!("found {found}, expected {} that fits `{}`", column.ty.name(), column.name);
                match column.on_bad {
                    OnBad::Reject => {
                        let pointer = format!("{}.{}", self.entity.name, column.name);
                        let why = Refusal { rule: misfit.rule, pointer, message };
                        row.get(misfit.row).map(|r| refused.entry(*r).or_insert(why));
                    }
                    OnBad::Null => issues.push(Issue {
                        entity: self.entity.name.clone(),
                        id: id_at(&columns, misfit.row),
                        rule: misfit.rule.to_owned(),
                        column: column.name.clone(),
                        message,
                    }),
                }
            }
        }
        // Last, because promoted columns are taken from the custom fields as they came.
        let hidden = columns.into_iter().zip(&self.entity.columns).zip(&self.policies);
        let columns = hidden.map(|((v, c), policy)| hide::column(v, c.ty, *policy, tenant)).collect();
        let table = Table { entity: Arc::clone(&self.entity), row, columns };
        table.refuse_missing_keys(refused);
        Ok(table)
    }
}

impl Output {
    /// A field out of the row's own custom fields, which stand before it in the table.
    fn promoted(&self, column: &Column, before: &[ArrayRef], misfits: &mut Vec<cast::Misfit>) -> ArrayRef {
        let place = self.entity.columns.iter().position(|c| c.name == "custom_fields");
        match place.and_then(|p| before.get(p)).and_then(|c| c.as_string_opt::<i32>()) {
            Some(fields) => promote::column(fields, &column.name, column.ty, misfits),
            None => new_null_array(&column.ty.arrow(), before.first().map_or(0, |ids| ids.len())),
        }
    }
}

fn id_at(columns: &[ArrayRef], row: usize) -> String {
    let ids = columns.first().and_then(|c| c.as_string_opt::<i32>());
    ids.filter(|ids| ids.is_valid(row)).map(|ids| ids.value(row).to_owned()).unwrap_or_default()
}

impl Table {
    /// The column that holds each row's own id.
    pub(super) fn ids(&self) -> Result<&arrow::array::StringArray> {
        let ids = self.columns.first().and_then(|c| c.as_string_opt::<i32>());
        ids.ok_or_else(|| {
            Error::new(Kind::Bug, "an entity begins with a text id").with("entity", &self.entity.name)
        })
    }

    /// The own column of that name.
    pub(super) fn column(&self, name: &str) -> Option<&ArrayRef> {
        let place = self.entity.columns.iter().position(|c| c.name == name)?;
        self.columns.get(place)
    }

    fn refuse_missing_keys(&self, refused: &mut Refusals) {
        let keys = std::iter::once("id").chain(self.entity.parent.as_ref().map(|p| p.column.as_str()));
        for (name, column) in keys.filter_map(|name| Some((name, self.column(name)?))) {
            if column.null_count() == 0 {
                continue;
            }
            for (_, row) in self.row.iter().enumerate().filter(|(i, _)| column.is_null(*i)) {
                let message = format!("`{}` has no `{name}`", self.entity.name);
                let why =
                    Refusal { rule: "missing_key", pointer: format!("{}.{name}", self.entity.name), message };
                refused.entry(*row).or_insert(why);
            }
        }
    }

    /// Only the rows at these positions, in this order.
    pub(super) fn take(&self, positions: &arrow::array::UInt32Array) -> Result<Vec<ArrayRef>> {
        let one = |c: &ArrayRef| arrow::compute::take(c, positions, None).map_err(bug("pick rows"));
        self.columns.iter().map(one).collect()
    }
}

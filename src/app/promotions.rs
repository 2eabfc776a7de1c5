//! Which columns have the tables of a destination? Those of the catalog, and the fields that pipelines promoted.
//!
//! Every pipeline that writes to a destination gives its tables the same columns, so that all rows of a table, and all
//! files of it, have one shape whoever wrote them. Only the pipeline that asked for a field fills it.
use super::project::Project;
use crate::{
    entity::{Column, ColumnType, Entity, OnBad},
    error::{Error, Kind, Result},
    pipeline::{DestinationSpec, Pipeline, Promotion},
    yaml::suggest,
};
use std::{collections::BTreeMap, sync::Arc};

/// The column that promoted fields are taken from.
pub(super) const SOURCE: &str = "custom_fields";

impl Project {
    /// The tables of the pipeline's destination. Fails `Invalid` for a promotion into a table that has no custom
    /// fields, of a column that is there already, or with another type than another pipeline of the same destination
    /// gives it.
    pub fn entities(&self, pipeline: &Pipeline) -> Result<Vec<Arc<Entity>>> {
        let mut grown: BTreeMap<(&str, &str), (ColumnType, String, bool)> = BTreeMap::new();
        let neighbours = self.neighbours(pipeline)?;
        let all = pipeline.custom.iter().map(|p| (p, true));
        for (promotion, own) in all.chain(neighbours.iter().map(|p| (p, false))) {
            if own {
                self.check(promotion)?;
            } else if self.check(promotion).is_err() {
                // Its own pipeline will be told.
                continue;
            }
            let key = (promotion.entity.as_str(), promotion.column.as_str());
            match grown.get(&key) {
                Some((ty, at, _)) if *ty != promotion.ty => return Err(conflict(promotion, *ty, at)),
                Some(_) => {}
                None => {
                    grown.insert(key, (promotion.ty, promotion.place.to_string(), own));
                }
            }
        }
        let entity = |entity: &Arc<Entity>| {
            let added = grown.iter().filter(|((table, _), _)| *table == entity.name);
            let added: Vec<Column> = added.map(|((_, name), (ty, _, own))| column(name, *ty, *own)).collect();
            if added.is_empty() {
                return Arc::clone(entity);
            }
            let columns = entity.columns.iter().cloned().chain(added).collect();
            Arc::new(Entity { columns, ..entity.as_ref().clone() })
        };
        Ok(self.catalog.entities.values().map(entity).collect())
    }

    /// What other pipelines promote on the same destination; those whose files are wrong promote nothing yet.
    fn neighbours(&self, pipeline: &Pipeline) -> Result<Vec<Promotion>> {
        let others = self.names()?.into_iter().filter(|name| *name != pipeline.name);
        let promotes = |name: &String| self.text(name).is_ok_and(|text| text.contains("custom:"));
        let others = others.filter(promotes).filter_map(|name| self.pipeline(&name).ok());
        let same = others.filter(|other| self.shares(&pipeline.destination, &other.destination));
        Ok(same.flat_map(|other| other.custom).collect())
    }

    fn shares(&self, a: &DestinationSpec, b: &DestinationSpec) -> bool {
        match (a, b) {
            (DestinationSpec::Lake { path: a }, DestinationSpec::Lake { path: b }) => {
                self.lake(a) == self.lake(b)
            }
            (DestinationSpec::Postgres { url: a }, DestinationSpec::Postgres { url: b }) => {
                match (self.env.secret(a), self.env.secret(b)) {
                    (Ok(a), Ok(b)) => a.expose() == b.expose(),
                    _ => false,
                }
            }
            _ => false,
        }
    }

    fn check(&self, promotion: &Promotion) -> Result<()> {
        let Promotion { entity, column, place, .. } = promotion;
        let wrong = |what: String| Error::new(Kind::Invalid, what).with("at", place);
        let has_fields = |e: &&Arc<Entity>| e.parent.is_none() && e.column(SOURCE).is_some();
        let Some(found) = self.catalog.entities.get(entity).filter(has_fields) else {
            let known = self.catalog.entities.values().filter(has_fields).map(|e| e.name.as_str());
            return Err(
                wrong(format!("`{entity}` is not a table with custom fields")).hint(suggest(entity, known))
            );
        };
        if found.schema().column_with_name(column).is_some() {
            return Err(wrong(format!("`{entity}` has a column `{column}` already"))
                .hint("promote a field whose name is not taken, as the provider writes it: cf_region"));
        }
        Ok(())
    }
}

fn conflict(promotion: &Promotion, ty: ColumnType, at: &str) -> Error {
    Error::new(
        Kind::Invalid,
        format!("two pipelines give `{}.{}` different types", promotion.entity, promotion.column),
    )
    .with("here", format!("{} ({})", promotion.place, promotion.ty.name()))
    .with("there", format!("{at} ({})", ty.name()))
    .hint("both write to one destination, whose column has one type: agree on it, or use two destinations")
}

fn column(name: &str, ty: ColumnType, own: bool) -> Column {
    Column {
        name: name.to_owned(),
        ty,
        pii: true,
        on_bad: OnBad::Null,
        meaning: "Custom field promoted by a pipeline; also in custom_fields".to_owned(),
        promoted: own,
    }
}

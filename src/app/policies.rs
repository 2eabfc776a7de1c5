//! Which columns of which tables does a pipeline's `columns` mean? Checked against the tables that its connector feeds.
use crate::{
    entity::{Column, ColumnType, Entity, Policies, Policy},
    error::{Error, Kind, Result},
    manifest::Connector,
    pipeline::{ColumnPolicy, Pipeline},
    yaml::nearest,
};
use std::collections::BTreeMap;

/// Columns with personal data of the tables that the connector feeds, and the tables themselves.
pub(super) struct Personal<'a>(BTreeMap<&'a str, &'a Entity>);

impl<'a> Personal<'a> {
    pub(super) fn of(connector: &'a Connector) -> Self {
        let feeds = connector.streams.iter().flat_map(|s| &s.feeds);
        Self(feeds.map(|f| (f.entity.name.as_str(), f.entity.as_ref())).collect())
    }

    /// Each with its table.
    fn columns(&self) -> impl Iterator<Item = (&'a Entity, &'a Column)> {
        self.0.values().flat_map(|e| e.columns.iter().filter(|c| c.pii).map(move |c| (*e, c)))
    }

    /// How many are stored as they come.
    pub(super) fn kept(&self, policies: &Policies) -> usize {
        self.columns().filter(|(e, c)| policies.of(&e.name, &c.name) == Policy::Keep).count()
    }

    /// Fails `Invalid` for a column that there is not, that holds no personal data, or that cannot hold a hash. A
    /// column named with its table is meant before one named alone.
    pub(super) fn policies(&self, pipeline: &Pipeline) -> Result<Policies> {
        let mut policies = Policies::default();
        let (alone, with_table): (Vec<_>, Vec<_>) =
            pipeline.columns.iter().partition(|asked| asked.table.is_none());
        for asked in alone.into_iter().chain(with_table) {
            let meant = |(e, c): &(&Entity, &Column)| {
                c.name == asked.column && asked.table.as_ref().is_none_or(|table| e.name == *table)
            };
            let found: Vec<_> = self.columns().filter(meant).collect();
            if found.is_empty() {
                return Err(self.unknown(asked));
            }
            for (table, column) in found {
                if asked.policy == Policy::Hash && !matches!(column.ty, ColumnType::Text | ColumnType::Json) {
                    let what = format!(
                        "`{}.{}` holds {}, which cannot be hashed",
                        table.name,
                        column.name,
                        column.ty.name()
                    );
                    return Err(Error::new(Kind::Invalid, what)
                        .with("at", &asked.place)
                        .hint(format!("{asked}: drop")));
                }
                policies.set(&table.name, &column.name, asked.policy);
            }
        }
        Ok(policies)
    }

    fn unknown(&self, asked: &ColumnPolicy) -> Error {
        let tables = || self.0.values().filter(|e| asked.table.as_ref().is_none_or(|t| e.name == *t));
        if tables().any(|e| e.schema().column_with_name(&asked.column).is_some()) {
            let table = tables().find(|e| e.column(&asked.column).is_some()).map_or("", |e| &e.name);
            return Error::new(Kind::Invalid, format!("`{asked}` is not marked as personal data"))
                .with("at", &asked.place)
                .hint(format!("policies are for columns with the note `pii`: tidegate schema {table}"));
        }
        let written = asked.to_string();
        let mut names: Vec<String> = match asked.table {
            Some(_) => self.columns().map(|(e, c)| format!("{}.{}", e.name, c.name)).collect(),
            None => self.columns().map(|(_, c)| c.name.clone()).collect(),
        };
        names.dedup();
        let error = Error::new(Kind::Invalid, format!("there is no column `{written}` to have a policy"))
            .with("at", &asked.place);
        match nearest(&written, names.iter().map(String::as_str)) {
            Some(right) => error.hint(format!("did you mean `{right}`?")),
            None => {
                error.hint("tidegate schema   lists the tables; columns with the note `pii` have policies")
            }
        }
    }
}

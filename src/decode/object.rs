//! One declared object: its columns, its rest columns, and one pass over an object's bytes that fills them.
//!
//! What fails leaves columns half filled; the decoder truncates them.
use super::{
    Struct,
    column::{Column, Texts},
    fault::Read,
    json::Members,
    names::{Names, Target},
    scan::Scan,
};
use crate::error::{Error, Kind, Result};
use arrow::{
    array::ArrayRef,
    datatypes::{DataType, Field, Fields},
};
use std::collections::HashSet;

pub(super) struct Object {
    columns: Vec<Column>,
    rest: Vec<Rest>,
    names: Names,
    /// Rest members of the object being read: id of the key, and where its value begins.
    found: Vec<(usize, usize)>,
    fields: Fields,
}

struct Rest {
    prefixes: Vec<String>,
    texts: Texts,
}

impl Object {
    /// Fails `Invalid` when two columns have one name.
    pub(super) fn new(shape: &Struct) -> Result<Self> {
        let mut seen = HashSet::new();
        let columns = shape.fields.iter().map(|f| &f.name).chain(shape.rest.iter().map(|(name, _)| name));
        for name in columns {
            if !seen.insert(name) {
                return Err(
                    Error::new(Kind::Invalid, "a record declares a column twice").with("column", name)
                );
            }
        }
        let rest =
            shape.rest.iter().map(|(_, prefixes)| Rest { prefixes: prefixes.clone(), texts: Texts::new() });
        Ok(Self {
            columns: shape.fields.iter().map(|field| Column::new(&field.ty)).collect::<Result<_>>()?,
            rest: rest.collect(),
            names: Names::new(shape),
            found: Vec::new(),
            fields: Self::fields(shape),
        })
    }
    /// Declared fields in order, then rest columns; all nullable.
    pub(super) fn fields(shape: &Struct) -> Fields {
        let declared = shape.fields.iter().map(|f| Field::new(&f.name, Column::arrow(&f.ty), true));
        let rest = shape.rest.iter().map(|(name, _)| Field::new(name, DataType::Utf8, true));
        declared.chain(rest).collect()
    }
    pub(super) fn column(&self, i: usize) -> Option<&Column> {
        self.columns.get(i)
    }

    /// Appends the object at the cursor, which stands on its `{`, as one row.
    pub(super) fn read(&mut self, scan: &mut Scan<'_>) -> Read<()> {
        self.names.begin();
        self.found.clear();
        let mut filled = 0;
        let mut before = None;
        let mut more = scan.enter(b'}')?;
        while more {
            let (id, target) = self.names.next(scan, before)?;
            scan.colon()?;
            match target {
                Target::Column(i) => {
                    if let Some(column) = self.columns.get_mut(i) {
                        column.read(scan).map_err(|f| f.under_key(self.names.text(id)))?;
                        filled += 1;
                    }
                }
                Target::Rest => {
                    self.found.push((id, scan.at()));
                    scan.skip().map_err(|f| f.under_key(self.names.text(id)))?;
                }
                Target::Ignored => scan.skip().map_err(|f| f.under_key(self.names.text(id)))?,
            }
            before = Some(id);
            more = scan.more(b'}')?;
        }
        if filled < self.columns.len() {
            for (i, column) in self.columns.iter_mut().enumerate() {
                if !self.names.came(i) {
                    column.push_null();
                }
            }
        }
        self.read_rest(scan)
    }
    fn read_rest(&mut self, scan: &Scan<'_>) -> Read<()> {
        let Self { rest, names, found, .. } = self;
        for Rest { prefixes, texts } in rest {
            let mine = |id: usize| prefixes.iter().any(|p| names.text(id).starts_with(p.as_str()));
            if !found.iter().any(|(id, _)| mine(*id)) {
                texts.end(false);
                continue;
            }
            let mut members = Members::begin(&mut texts.bytes);
            for (id, at) in found.iter().filter(|(id, _)| mine(*id)) {
                let key = names.text(*id);
                members
                    .add(key.as_bytes(), &mut scan.inside(*at), &mut texts.bytes)
                    .map_err(|f| f.under_key(key))?;
            }
            members.finish(scan.at(), &mut texts.bytes)?;
            texts.end(true);
        }
        Ok(())
    }

    pub(super) fn push_null(&mut self) {
        self.columns.iter_mut().for_each(Column::push_null);
        self.rest.iter_mut().for_each(|rest| rest.texts.end(false));
    }
    /// Forgets every row from `len` on, whole or half written.
    pub(super) fn truncate(&mut self, len: usize) {
        self.columns.iter_mut().for_each(|column| column.truncate(len));
        self.rest.iter_mut().for_each(|rest| rest.texts.truncate(len));
    }
    /// The arrays of all columns, and an empty object again.
    pub(super) fn finish(&mut self) -> Result<(Fields, Vec<ArrayRef>)> {
        let columns = self.columns.iter_mut().map(Column::finish);
        let rest = self.rest.iter_mut().map(|rest| rest.texts.finish());
        Ok((self.fields.clone(), columns.chain(rest).collect::<Result<_>>()?))
    }
}

//! What is stored, as text that can be compared; and laws that hold of it always.
use super::build::entities;
use arrow::{
    array::{Array, RecordBatch},
    util::display::{ArrayFormatter, FormatOptions},
};
use std::collections::BTreeMap;
use tidegate::{
    entity::Entity,
    load::{Destination, Layer},
};

/// Column to text; NULL columns are left out.
pub(crate) type Shown = BTreeMap<String, String>;

pub(crate) fn shown(batches: &[RecordBatch]) -> Vec<Shown> {
    let mut rows = Vec::new();
    for batch in batches {
        let schema = batch.schema();
        let options = FormatOptions::default();
        let columns: Vec<_> =
            batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let present = schema.fields().iter().enumerate().filter(|(i, _)| batch.column(*i).is_valid(row));
            rows.push(present.map(|(i, f)| (f.name().clone(), columns[i].value(row).to_string())).collect());
        }
    }
    rows
}

/// Current rows by id. Fails when an id is there twice or a batch has another schema.
pub(crate) async fn current<D: Destination>(d: &mut D, entity: &Entity) -> BTreeMap<String, Shown> {
    let batches = d.read(entity, Layer::Current).await.unwrap();
    for batch in &batches {
        assert_eq!(batch.schema().fields(), entity.schema().fields());
    }
    let all = by_id(shown(&batches));
    let mut one_by_one = Vec::new();
    d.each(entity, &mut |batch| {
        assert_eq!(batch.schema().fields(), entity.schema().fields());
        one_by_one.push(batch);
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(by_id(shown(&one_by_one)), all, "rows in batches are the rows");
    all
}

pub(crate) fn by_id(rows: Vec<Shown>) -> BTreeMap<String, Shown> {
    let mut all = BTreeMap::new();
    for row in rows {
        let id = row["id"].clone();
        assert!(all.insert(id.clone(), row).is_none(), "{id} is there twice");
    }
    all
}

/// History rows, sorted by commit, then id. Fails when one commit says two things of one id.
pub(crate) async fn history<D: Destination>(d: &mut D, entity: &Entity) -> Vec<Shown> {
    let batches = d.read(entity, Layer::History).await.unwrap();
    for batch in &batches {
        assert_eq!(batch.schema().fields(), entity.history_schema().fields());
    }
    let number = |row: &Shown| row["commit_no"].parse::<i64>().unwrap();
    let mut rows = shown(&batches);
    rows.sort_by_key(|row| (number(row), row["id"].clone()));
    for pair in rows.windows(2) {
        assert_ne!((number(&pair[0]), &pair[0]["id"]), (number(&pair[1]), &pair[1]["id"]));
    }
    rows
}

/// Law 9: current rows are the newest of history, per key.
pub(crate) async fn laws<D: Destination>(d: &mut D) {
    for entity in entities() {
        let mut newest: BTreeMap<String, Shown> = BTreeMap::new();
        for mut row in history(d, &entity).await {
            row.remove("commit_no");
            let id = row["id"].clone();
            match row.remove("op").as_deref() {
                Some("upsert") => newest.insert(id, row),
                Some("remove") => newest.remove(&id),
                other => panic!("op is {other:?}"),
            };
        }
        assert_eq!(current(d, &entity).await, newest, "{}", entity.name);
    }
}

/// Everything readable, for comparing two destinations.
pub(crate) async fn everything<D: Destination>(
    d: &mut D,
) -> Vec<(String, BTreeMap<String, Shown>, Vec<Shown>)> {
    let mut all = Vec::new();
    for entity in entities() {
        all.push((entity.name.clone(), current(d, &entity).await, history(d, &entity).await));
    }
    all
}

/// Ids of current rows.
pub(crate) async fn ids<D: Destination>(d: &mut D, entity: &Entity) -> Vec<String> {
    current(d, entity).await.into_keys().collect()
}

//! Canonical rows, their digests, and numbers that a series lacks.
use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, new_null_array},
    compute::concat_batches,
};
use proptest::prelude::*;
use std::sync::Arc;
use tidegate::{
    audit::{Digest, Numbers, Rows},
    entity::Entity,
    manifest,
};

fn entity(name: &str) -> Arc<Entity> {
    Arc::clone(&manifest::catalog(None).unwrap().entities[name])
}

/// One row of an entity, with texts in some of its own columns.
fn row(
    entity: &Entity,
    id: &str,
    texts: &[(&str, &str)],
    version: i64,
    at: i64,
    deleted: bool,
) -> RecordBatch {
    let schema = entity.schema();
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        let text = |value: &str| Arc::new(StringArray::from(vec![value])) as ArrayRef;
        match field.name().as_str() {
            "id" => text(id),
            "tenant_id" | "connection_id" | "provider" => text("x"),
            "version" => Arc::new(Int64Array::from(vec![version])),
            "row_hash" => Arc::new(Int64Array::from(vec![at])),
            "observed_at" => Arc::new(TimestampMicrosecondArray::from(vec![at])),
            "deleted_at" if deleted => Arc::new(TimestampMicrosecondArray::from(vec![at])),
            name => match texts.iter().find(|(column, _)| *column == name) {
                Some((_, value)) => text(value),
                None => new_null_array(field.data_type(), 1),
            },
        }
    });
    RecordBatch::try_new(entity.schema(), columns.collect()).unwrap()
}

fn digest(entity: &Entity, batches: &[RecordBatch]) -> Digest {
    let mut digest = Digest::default();
    let mut room = Vec::new();
    for batch in batches {
        let rows = Rows::of(entity, batch).unwrap();
        (0..rows.len()).filter_map(|at| rows.row(at, &mut room)).for_each(|row| digest.add(&row));
    }
    digest
}

proptest! {
    #[test]
    fn a_digest_does_not_depend_on_order_or_batches_and_sees_a_row_that_is_there_twice(
        ids in proptest::collection::vec("[a-z]{1,6}", 1..12),
        cut in 0_usize..12,
    ) {
        let entity = entity("customers");
        let rows: Vec<RecordBatch> = ids.iter().map(|id| row(&entity, id, &[("email", id)], 1, 5, false)).collect();
        let all = digest(&entity, &rows);
        let mut turned = rows.clone();
        turned.reverse();
        let (one, other) = turned.split_at(cut.min(turned.len()));
        let joined: Vec<RecordBatch> =
            [one, other].map(|part| concat_batches(&entity.schema(), part).unwrap()).into();
        prop_assert_eq!(digest(&entity, &joined), all);
        turned.push(rows[0].clone());
        turned.push(rows[0].clone());
        prop_assert_ne!(digest(&entity, &turned), all);
        prop_assert_ne!(digest(&entity, &rows[1..]), all);
    }
}

#[test]
fn every_own_column_and_the_version_of_a_living_row_count_and_nothing_else_does() {
    let entity = entity("customers");
    let one = |texts: &[(&str, &str)], version, at, deleted| {
        digest(&entity, &[row(&entity, "c", texts, version, at, deleted)])
    };
    let plain = one(&[("email", "a")], 1, 5, false);
    assert_eq!(one(&[("email", "a")], 1, 6, false), plain, "when it was observed");
    assert_ne!(one(&[("email", "b")], 1, 5, false), plain, "a value");
    assert_ne!(one(&[("phone", "a")], 1, 5, false), plain, "the same value in another column");
    assert_ne!(one(&[("email", "a"), ("phone", "")], 1, 5, false), plain, "empty text is not NULL");
    assert_ne!(one(&[("email", "a")], 2, 5, false), plain, "the version");
    assert_eq!(
        one(&[("email", "a")], 1, 5, true),
        Digest::default(),
        "a deleted row, as one that never came"
    );
    assert_ne!(one(&[], 1, 5, false), Digest::default(), "a row of which only the id is there");
}

#[test]
fn a_child_row_keeps_its_digest_when_only_its_parent_got_a_newer_version() {
    let entity = entity("invoice_line_items");
    let line = |version| digest(&entity, &[row(&entity, "l", &[("invoice_id", "i")], version, 5, false)]);
    assert_eq!(line(1), line(2));
}

fn gaps(numbers: &[&str]) -> Vec<String> {
    let mut all = Numbers::default();
    numbers.iter().for_each(|n| all.add(n));
    all.gaps("invoices").iter().map(|g| format!("{}..{} ({})", g.from, g.to, g.missing)).collect()
}

#[test]
fn a_hole_in_a_series_is_told_as_its_numbers_are_written() {
    assert_eq!(gaps(&["INV-0001", "INV-0002", "INV-0004", "INV-0005"]), ["INV-0003..INV-0003 (1)"]);
    assert_eq!(gaps(&["A8", "A9", "A10", "A13"]), ["A11..A12 (2)"]);
    assert_eq!(gaps(&["7", "8", "10"]), ["9..9 (1)"]);
    assert_eq!(gaps(&["A1", "A2", "A3", "B1", "B2", "B4"]), ["B3..B3 (1)"], "each prefix by itself");
    assert_eq!(gaps(&["N098", "N099", "N100", "N101"]), [""; 0], "a padded series outgrows its padding");
    assert_eq!(gaps(&["N098", "N099", "N101", "N102"]), ["N100..N100 (1)"]);
}

#[test]
fn names_long_jumps_and_few_documents_are_no_series() {
    assert_eq!(gaps(&["draft", "x-", "", "one", "12345678901234567890123"]), [""; 0]);
    assert_eq!(gaps(&["INV-1", "INV-9"]), [""; 0]);
    assert_eq!(gaps(&["INV-1", "INV-2", "INV-3", "INV-50000", "INV-50001"]), [""; 0], "a new beginning");
    assert_eq!(gaps(&["INV-1", "INV-1", "INV-2", "INV-3"]), [""; 0], "a number that is there twice");
}

//! A column's values as its policy lets them be stored. Runs before rows are hashed, so that equal hash still means
//! equal row.
use crate::{
    entity::{ColumnType, Policy, pseudonym},
    id::TenantId,
};
use arrow::array::{Array, ArrayRef, AsArray, StringArray, new_null_array};
use std::sync::Arc;

/// A pseudonym in a JSON column is a JSON text. A column that holds no text cannot hold a pseudonym: NULL.
pub(super) fn column(values: ArrayRef, ty: ColumnType, policy: Policy, tenant: &TenantId) -> ArrayRef {
    let texts = match policy {
        Policy::Keep => return values,
        Policy::Hash => values.as_string_opt::<i32>(),
        Policy::Drop => None,
    };
    let Some(texts) = texts else { return new_null_array(values.data_type(), values.len()) };
    let digest = |text: &str| {
        let digest = pseudonym(tenant, text.as_bytes());
        if ty == ColumnType::Json { format!("\"{digest}\"") } else { digest }
    };
    Arc::new(texts.iter().map(|text| text.map(digest)).collect::<StringArray>())
}

//! The hash of a row's state: equal hash, nothing to write. The same on every destination and platform.
use arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{DataType, Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType},
};
use twox_hash::XxHash3_128;

const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
const NULL: u64 = 0xA076_1D64_78BD_642F;

fn fold(state: u64, value: u64) -> u64 {
    let wide = u128::from(state ^ value.rotate_left(32) ^ NULL) * u128::from(value ^ MULTIPLIER);
    let [low, high] = [wide as u64, (wide >> 64) as u64];
    (low ^ high).wrapping_add(state.rotate_left(23)).wrapping_mul(MULTIPLIER)
}

/// One hash per row, fed column by column in the entity's order.
pub(super) struct RowHashes(Vec<u64>);

impl RowHashes {
    /// `seeds`: what the hash of each row begins with (the body's hash, or the parent's month).
    pub(super) fn new(seeds: impl Iterator<Item = u64>) -> Self {
        Self(seeds.map(|s| fold(MULTIPLIER, s)).collect())
    }
    /// Mixes one value per row.
    pub(super) fn mix(&mut self, values: impl Iterator<Item = Option<u64>>) {
        for (state, value) in self.0.iter_mut().zip(values) {
            *state = fold(*state, value.unwrap_or(NULL)).wrapping_add(u64::from(value.is_none()));
        }
    }
    /// Mixes a whole column of a unified type.
    pub(super) fn column(&mut self, column: &ArrayRef) {
        match column.data_type() {
            DataType::Utf8 => {
                self.mix(
                    column
                        .as_string::<i32>()
                        .iter()
                        .map(|v| v.map(|t| XxHash3_128::oneshot(t.as_bytes()) as u64)),
                );
            }
            DataType::Int64 => {
                self.mix(column.as_primitive::<Int64Type>().iter().map(|v| v.map(i64::cast_unsigned)))
            }
            DataType::Boolean => self.mix(column.as_boolean().iter().map(|v| v.map(u64::from))),
            DataType::Date32 => {
                self.mix(
                    column
                        .as_primitive::<Date32Type>()
                        .iter()
                        .map(|v| v.map(|d| i64::from(d).cast_unsigned())),
                );
            }
            DataType::Timestamp(..) => {
                let values = column.as_primitive::<TimestampMicrosecondType>();
                self.mix(values.iter().map(|v| v.map(i64::cast_unsigned)));
            }
            _ => {
                let values = column.as_primitive::<Decimal128Type>();
                self.mix(values.iter().map(|v| v.map(|d| (d as u64) ^ ((d >> 64) as u64).rotate_left(17))));
            }
        }
    }
    /// As stored.
    pub(super) fn finish(self) -> Vec<i64> {
        self.0.into_iter().map(u64::cast_signed).collect()
    }
}

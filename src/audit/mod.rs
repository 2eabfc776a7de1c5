//! What do two tables have to agree on? Canonical rows, digests, counts, sums, and numbers that a series lacks.
//!
//! Pure: knows unified tables and batches of their rows. Absent on purpose: where rows come from, and the comparing of
//! two destinations (`app::verify`).
mod row;
mod series;
mod tally;

pub use row::{Digest, Row, Rows, money_text};
pub use series::{Gap, Numbers};
pub use tally::{Bucket, Group, Kin, Place, Tally, key64};

//! One connection's sync: what it tells while it runs, and what it was when it ended.
pub mod progress;
pub mod summary;

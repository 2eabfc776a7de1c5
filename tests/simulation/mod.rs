//! Whole syncs against the simulated world in virtual time: every effect may be the last one.
//!
//! `TIDEGATE_SEEDS` sets how many seeds, `TIDEGATE_SEED` and `TIDEGATE_CRASH` (`12:after`) replay one.
mod again;
mod chaos;
pub(crate) mod crash;
pub(crate) mod deaths;
pub(crate) mod harness;
mod pace;
mod repair;
pub(crate) mod rows;
mod upkeep;

//! Every destination passes one contract; the lake also survives death at every effect.
mod build;
mod check;
mod contract;
mod crash;
mod journal;
mod lake;
mod memory;
mod postgres;
mod upkeep;

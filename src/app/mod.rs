//! What can be asked of tidegate: one module per verb, each answering plain data.
//!
//! Absent on purpose: parsing of arguments and printing (`cli`).
mod advice;
pub mod check;
pub mod compact;
pub mod connectors;
pub mod demo;

pub mod export;
pub mod init;
pub mod overlays;
pub mod plan;
mod policies;
mod probe;
pub mod project;
pub mod promises;
mod promotions;
pub mod prove;
pub mod quarantine;
pub mod query;
pub mod rebuild;
pub mod repair;
pub mod report;
pub mod run;
pub mod schema;
pub mod simulate;
mod skew;

pub mod state;
pub mod status;
pub mod store;
pub mod sync;
pub mod verify;
pub mod working;

//! Models, reports and proofs over the simulated company, against plain Rust that reads the world itself.
mod catalog;
mod company;
mod forecast;
mod ledger;
mod models;
mod proofs;

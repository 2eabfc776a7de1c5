//! The only integration binary.
mod engine;
mod models;
mod reader;

//! The only integration binary.
mod models;
mod reader;

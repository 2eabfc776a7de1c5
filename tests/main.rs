//! The only integration binary.
mod connectors;

//! The only integration binary.
mod postgres;
mod postgres_server;

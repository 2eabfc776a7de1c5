//! The only integration binary.
mod extract;
mod http;

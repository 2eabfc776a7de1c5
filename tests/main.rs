//! The only integration binary.
mod sim;

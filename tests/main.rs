//! The only integration binary.
mod args;
mod config;
mod pipeline;
mod render;
mod schedule;

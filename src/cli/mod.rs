//! The command line: what can be typed, how results look, what the process returns.
//!
//! Absent on purpose: no verb's behaviour; those are `app`.
pub mod args;
pub mod ask;
pub mod exit;
pub mod help;
pub mod render;

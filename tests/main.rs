//! The only integration binary.
mod normalize;

//! The only integration binary.
#[cfg(test)]
mod connectors;

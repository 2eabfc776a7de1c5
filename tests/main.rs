//! The only integration binary.
#[cfg(test)]
mod sim;

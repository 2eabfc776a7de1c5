//! What can be asked of tidegate, a module per verb.
pub mod init;

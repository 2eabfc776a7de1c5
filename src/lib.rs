//! tidegate: billing data into your warehouse, with no row lost, no cent wrong, and proof of both.
//!
//! `ARCHITECTURE.md` is the map. Modules below stand in the order in which data meets them.
pub mod error;
pub mod id;
pub mod secret;
pub mod time;

pub mod wire;

pub mod checkpoint;
pub mod decode;
pub mod entity;
pub mod manifest;

pub mod load;

pub mod sim;

//! The only integration binary.
mod decode_exactness;
mod decode_laws;

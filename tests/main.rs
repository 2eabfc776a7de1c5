//! The only integration binary.
mod normalize;
mod decode_exactness;
mod decode_laws;

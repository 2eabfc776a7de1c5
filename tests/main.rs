//! The only integration binary.

mod decode_exactness;
mod decode_laws;
mod destination;
mod extract;
mod http;
mod normalize;

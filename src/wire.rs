//! An HTTP exchange as plain data, so that requests can be decided, simulated and tested without a socket.
use crate::{error::Result, secret::Secret, time::Timestamp};
use bytes::Bytes;
use std::{collections::BTreeMap, future::Future};

/// One GET request. The query is kept apart from the URL; values are not yet percent-encoded.
#[derive(Clone, Debug)]
pub struct Request {
    /// Scheme, host, port and path; no query.
    pub url: String,
    /// In the order in which they are sent.
    pub query: Vec<(String, String)>,
    /// Names in lower case. Secret, because one of them authenticates.
    pub headers: Vec<(String, Secret)>,
}

/// What came back, whole. Any status.
#[derive(Clone, Debug)]
pub struct Response {
    /// HTTP status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Decompressed body.
    pub body: Bytes,
}

/// The HTTP boundary: every effect on a provider goes through it.
/// Fails `Transient` when no whole response arrived.
pub trait Http: Send + Sync {
    /// Sends one request and reads the whole response.
    fn send(&self, request: Request) -> impl Future<Output = Result<Response>> + Send;
}

/// A server as a pure function: what the simulators are behind a socket or in a test.
pub trait Handler: Send {
    /// Answers one request at `now`.
    fn handle(&mut self, now: Timestamp, request: &Request) -> Response;
}

//! What does an answer look like before it is a wire response? Status, headers, body, and the `Date` of every answer.
use crate::{time::Timestamp, wire::Response};
use std::collections::BTreeMap;

/// An answer of a simulated provider.
pub(crate) fn answer(status: u16, kind: &str, body: impl Into<bytes::Bytes>) -> Response {
    let headers = BTreeMap::from([("content-type".to_owned(), kind.to_owned())]);
    Response { status, headers, body: body.into() }
}

/// A JSON answer.
pub(crate) fn json(status: u16, body: impl Into<bytes::Bytes>) -> Response {
    answer(status, "application/json;charset=utf-8", body)
}

/// An HTML page.
pub(crate) fn html(status: u16, title: &str) -> Response {
    let body = format!(
        "<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    );
    answer(status, "text/html", body)
}

/// Sets a header.
pub(crate) fn with(mut response: Response, name: &str, value: impl Into<String>) -> Response {
    response.headers.insert(name.to_owned(), value.into());
    response
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`; empty outside the calendar.
pub(crate) fn http_date(at: Timestamp) -> String {
    at.utc().map(|t| t.format("%a, %d %b %Y %H:%M:%S GMT").to_string()).unwrap_or_default()
}

/// The path of a URL, split at slashes, without scheme and host.
pub(crate) fn segments(url: &str) -> Vec<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    path.split('/').filter(|s| !s.is_empty()).collect()
}

/// The text of a request header.
pub(crate) fn header<'a>(request: &'a crate::wire::Request, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.expose())
}

//! The HTTP client: one request out, one whole response back, or one line that says why not.
//!
//! Absent on purpose: retries, pacing and what a status means (see `extract`); redirects, cookies and HTTP/2.
use crate::{
    error::{Error, Kind, Result},
    wire::{Http, Request, Response},
};
use bytes::BytesMut;
use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use std::{collections::BTreeMap, error::Error as _, io, time::Duration};

/// Until the connection stands, TLS included.
pub const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Between two pieces of a response.
pub const READ_MAX: Duration = Duration::from_secs(60);
/// For a whole exchange, however steadily it drips.
pub const EXCHANGE_MAX: Duration = Duration::from_secs(5 * 60);
/// Bytes of a decompressed body.
pub const BODY_BYTES_MAX: usize = 64 << 20;

/// How long and how much a client waits for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// [`CONNECT_MAX`].
    pub connect: Duration,
    /// [`READ_MAX`].
    pub read: Duration,
    /// [`EXCHANGE_MAX`].
    pub exchange: Duration,
    /// [`BODY_BYTES_MAX`].
    pub body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: CONNECT_MAX, read: READ_MAX, exchange: EXCHANGE_MAX, body_bytes: BODY_BYTES_MAX }
    }
}

/// Keeps connections open between requests; cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    inner: reqwest::Client,
    limits: Limits,
}

impl Client {
    /// Fails `Invalid` when the machine's certificates cannot be used.
    pub fn new(limits: Limits) -> Result<Self> {
        // Err only says that a provider was installed before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let inner = reqwest::Client::builder()
            .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(limits.connect)
            .read_timeout(limits.read)
            .timeout(limits.exchange)
            .build()
            .map_err(|e| {
                Error::new(Kind::Invalid, "the HTTP client cannot start")
                    .hint("look at the machine's root certificates and proxy settings")
                    .because(e)
            })?;
        Ok(Self { inner, limits })
    }
}

impl Http for Client {
    /// Fails `Transient` when no whole response arrived, `Drift` when its body is over the limit, `Invalid` when the
    /// request cannot be written.
    async fn send(&self, request: Request) -> Result<Response> {
        let (url, headers) = written(request)?;
        let place = place(&url);
        let failed = |e: reqwest::Error| failure(e, &place);
        let mut answer = self.inner.get(url).headers(headers).send().await.map_err(failed)?;
        let status = answer.status().as_u16();
        let headers = readable(answer.headers());
        let announced = answer.content_length().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let mut body = BytesMut::with_capacity(announced.min(self.limits.body_bytes));
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > self.limits.body_bytes {
                return Err(Error::new(Kind::Drift, "the response is larger than allowed")
                    .with("bytes_max", self.limits.body_bytes)
                    .with("url", &place)
                    .hint("lower the page size in the connector"));
            }
            body.extend_from_slice(&chunk);
        }
        tracing::debug!(url = %place, status, bytes = body.len(), "answered");
        Ok(Response { status, headers, body: body.freeze() })
    }
}

fn written(request: Request) -> Result<(Url, HeaderMap)> {
    let mut url = Url::parse(&request.url).map_err(|e| {
        Error::new(Kind::Invalid, "the URL cannot be read").with("url", &request.url).because(e)
    })?;
    if !request.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&request.query);
    }
    let mut headers = HeaderMap::new();
    for (name, secret) in &request.headers {
        // The cause would not print the value, but it says nothing that helps either.
        let bad = || Error::new(Kind::Invalid, "a request header cannot be written").with("header", name);
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| bad())?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok((url, headers))
}

fn readable(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// Host, port and path; the query is not ours to print here.
fn place(url: &Url) -> String {
    let port = url.port_or_known_default().map_or_else(String::new, |p| format!(":{p}"));
    format!("{}{port}{}", url.host_str().unwrap_or_default(), url.path())
}

/// One line: what happened, where, and the reason of the system underneath.
fn failure(error: reqwest::Error, place: &str) -> Error {
    let error = error.without_url();
    let mut texts = Vec::new();
    let (mut refused, mut tls) = (false, false);
    let mut cause = error.source();
    while let Some(e) = cause {
        refused |=
            e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
        tls |= is_tls(e);
        texts.push(e.to_string());
        cause = e.source();
    }
    let unknown_host = texts.iter().any(|t| t.contains("dns error"));
    let reason = texts.pop().unwrap_or_else(|| error.to_string());
    let (what, hint) = if error.is_builder() {
        return Error::new(Kind::Invalid, "the request cannot be written").with("url", place).because(error);
    } else if error.is_timeout() {
        ("the provider did not answer in time", "look at the network and the provider's status page")
    } else if unknown_host {
        ("the host name is not known", "look at the connection's inputs, `base_url` and the name server")
    } else if tls {
        ("no trusted TLS connection", "look at the machine's time, root certificates and proxy")
    } else if refused {
        ("the connection was refused", "look at `base_url`: nothing listens there, or a firewall says no")
    } else if error.is_connect() {
        ("the connection failed", "look at the network, proxy and firewall")
    } else {
        ("the response broke off", "the provider or something between cut the connection; try again")
    };
    Error::new(Kind::Transient, what).with("url", place).with("reason", reason).hint(hint)
}

/// An `io::Error` hides what it wraps from `source`, and may wrap another.
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is::<rustls::Error>() || inner.is_some_and(|inner| is_tls(inner))
}

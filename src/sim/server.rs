//! How does a simulated site stand behind a real socket? HTTP/1.1 on a listener that the caller opened.
//!
//! `GET` goes to the handler; `/_sim/...` to its control. Absent: TLS, and any decision about answers.
use super::{Site, answer};
use crate::{
    error::{Error, Kind, Result},
    secret::Secret,
    time::Clock,
    wire::{Request, Response},
};
use axum::{
    Router,
    body::Body,
    extract::{Query, RawQuery, State},
    http::{self, HeaderMap, Method, Uri},
};
use flate2::{Compression, write::GzEncoder};
use std::{
    future::Future,
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::net::TcpListener;

/// How answers are sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Compress for clients that accept gzip.
    pub gzip: bool,
}

struct Shared<C> {
    site: Arc<Mutex<dyn Site>>,
    clock: C,
    options: Options,
}

/// Serves until `shutdown` is done. Fails `Transient` when the listener breaks.
pub async fn serve<C: Clock + 'static>(
    listener: TcpListener,
    site: Arc<Mutex<dyn Site>>,
    clock: C,
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let shared = Arc::new(Shared { site, clock, options });
    let router = Router::new().fallback(exchange::<C>).with_state(shared);
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown)
        .await
        .map_err(|e| Error::new(Kind::Transient, "the simulated provider stopped serving").because(e))
}

async fn exchange<C: Clock>(
    State(shared): State<Arc<Shared<C>>>,
    method: Method,
    uri: Uri,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> http::Response<Body> {
    let query = raw.and_then(|_| Query::<Vec<(String, String)>>::try_from_uri(&uri).ok());
    let query = query.map(|Query(pairs)| pairs).unwrap_or_default();
    let now = shared.clock.now();
    let gzip = shared.options.gzip && accepts_gzip(&headers);
    let mut site = shared.site.lock().unwrap_or_else(PoisonError::into_inner);
    let response = match uri.path().strip_prefix("/_sim/") {
        Some("requests") => site.control(now, "requests", &query),
        Some(path) if method == Method::POST => site.control(now, path, &query),
        None if method == Method::GET => {
            let headers = headers.iter().filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), Secret::new(value.to_str().ok()?)))
            });
            let url = format!("http://simulated{}", uri.path());
            site.handle(now, &Request { url, query, headers: headers.collect() })
        }
        _ => answer::json(405, r#"{"message":"method not supported"}"#),
    };
    drop(site);
    written(response, gzip)
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(http::header::ACCEPT_ENCODING);
    accepted.iter().filter_map(|v| v.to_str().ok()).any(|v| v.contains("gzip"))
}

fn written(response: Response, gzip: bool) -> http::Response<Body> {
    let mut builder = http::Response::builder().status(response.status);
    for (name, value) in &response.headers {
        builder = builder.header(name, value);
    }
    let packed = gzip.then(|| pack(&response.body)).flatten();
    let body = match packed {
        Some(packed) => {
            builder = builder.header(http::header::CONTENT_ENCODING, "gzip");
            Body::from(packed)
        }
        None => Body::from(response.body),
    };
    builder.body(body).unwrap_or_default()
}

fn pack(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

//! The HTTP client against real sockets on this machine.
use std::{io::Write, net::SocketAddr, time::Duration};
use tidegate::{
    error::{Error, Kind},
    http::{Client, Limits},
    secret::Secret,
    wire::{Http, Request, Response},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const SECRET: &str = "planted-secret-key";

fn request(address: &str) -> Request {
    Request {
        url: format!("http://{address}/api/x"),
        query: vec![("updated_at[between]".into(), "[1,2]".into()), ("q".into(), "a b&c=ü".into())],
        headers: vec![("authorization".into(), Secret::new(SECRET))],
    }
}

/// Answers one connection with these bytes, then closes it; returns what it was sent.
async fn serve(answer: Vec<u8>, linger: bool) -> (SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        // The client may hang up first, when the body is too large.
        let _ = socket.write_all(&answer).await;
        if linger {
            let _ = socket.read_u8().await;
        }
        String::from_utf8(head).unwrap()
    });
    (address, served)
}

fn limits() -> Limits {
    Limits { body_bytes: 1_000, ..Limits::default() }
}

async fn exchange(answer: impl Into<Vec<u8>>, limits: Limits) -> (Result<Response, Error>, String) {
    let (address, served) = serve(answer.into(), false).await;
    let answer = Client::new(limits).unwrap().send(request(&address.to_string())).await;
    (answer, served.await.unwrap())
}

fn fails(answer: &Result<Response, Error>, kind: Kind, words: &str) {
    let error = answer.as_ref().unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    let text = format!("{error} {error:?}");
    assert!(text.contains(words), "{text}");
    assert!(text.contains("127.0.0.1:") && text.contains("/api/x"), "{text}");
    assert!(!text.contains(SECRET) && !text.contains("updated_at"), "{text}");
    assert!(error.next().is_some(), "{error}");
}

#[tokio::test]
async fn a_response_comes_back_whole_with_status_and_lower_case_headers() {
    let (answer, sent) =
        exchange("HTTP/1.1 404 Not Found\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno", limits()).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (404, &b"no"[..]));
    assert_eq!(answer.headers.get("retry-after").map(String::as_str), Some("7"));
    let line = sent.lines().next().unwrap();
    assert_eq!(line, "GET /api/x?updated_at%5Bbetween%5D=%5B1%2C2%5D&q=a+b%26c%3D%C3%BC HTTP/1.1");
    let has = |header: &str| sent.lines().any(|l| l.eq_ignore_ascii_case(header));
    assert!(has(&format!("authorization: {SECRET}")) && has("accept-encoding: gzip"), "{sent}");
    assert!(has(concat!("user-agent: tidegate/", env!("CARGO_PKG_VERSION"))), "{sent}");
}

#[tokio::test]
async fn a_gzip_body_arrives_unpacked_and_its_unpacked_size_is_what_is_limited() {
    for (bytes, fits) in [(900, true), (1_000, true), (1_001, false), (100_000, false)] {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(&vec![b'x'; bytes]).unwrap();
        let packed = packed.finish().unwrap();
        assert!(packed.len() < 1_000);
        let mut whole =
            format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", packed.len())
                .into_bytes();
        whole.extend(packed);
        let (answer, _) = exchange(whole, limits()).await;
        match fits {
            true => assert_eq!(answer.unwrap().body.len(), bytes),
            false => fails(&answer, Kind::Drift, "larger than allowed"),
        }
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_never_taken_for_a_whole_one() {
    for cut in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "",
    ] {
        let (answer, _) = exchange(cut, limits()).await;
        fails(&answer, Kind::Transient, "broke off");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (answer, _) = exchange(
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        limits(),
    )
    .await;
    assert_eq!(answer.unwrap().status, 302);
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let answer = Client::new(limits()).unwrap().send(request(&address)).await;
    fails(&answer, Kind::Transient, "the connection was refused");
}

#[tokio::test]
async fn a_silent_provider_is_given_up_on() {
    let (address, _served) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab".to_vec(), true).await;
    let limits = Limits { read: Duration::from_millis(50), ..limits() };
    let answer = Client::new(limits).unwrap().send(request(&address.to_string())).await;
    fails(&answer, Kind::Transient, "did not answer in time");
}

#[tokio::test]
async fn an_unknown_host_says_so() {
    let mut asked = request("host.invalid");
    asked.query.clear();
    let error = Client::new(limits()).unwrap().send(asked).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Transient);
    assert!(error.to_string().contains("host.invalid:80/api/x"), "{error}");
}

#[tokio::test]
async fn a_provider_that_does_not_speak_tls_is_a_tls_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = listener.local_addr().unwrap();
    let answering = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read_u8().await;
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let mut asked = request("x");
    asked.url = format!("https://{plain}/api/x");
    let answer = Client::new(limits()).unwrap().send(asked).await;
    fails(&answer, Kind::Transient, "TLS");
    answering.await.unwrap();
}

#[tokio::test]
async fn a_header_that_cannot_be_written_is_named_without_its_value() {
    let mut asked = request("127.0.0.1:1");
    asked.headers = vec![("authorization".into(), Secret::new(format!("{SECRET}\n")))];
    let error = Client::new(limits()).unwrap().send(asked).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("authorization") && !format!("{error:?}").contains(SECRET));
}

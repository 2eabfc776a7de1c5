use super::{START, sim};
use serde_json::Value;
use std::{
    io::Read,
    sync::{Arc, Mutex},
    time::Duration,
};
use tidegate::{
    app::simulate::{Order, prepare},
    sim::{
        Site,
        chargebee::ProductCatalog,
        server::{Options, serve},
        world::Size,
    },
    time::{Clock, Timestamp},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

/// A clock that stands still.
#[derive(Clone, Copy)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        START
    }
    async fn sleep_until(&self, _: Timestamp) {}
}

/// Status line, header block and body of one exchange.
async fn exchange(port: u16, method: &str, target: &str, extra: &str) -> (String, String, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: x\r\nauthorization: Basic c2ltX3Rlc3Rfa2V5Og==\r\napikey: sim_billsby_key\r\n{extra}connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    let cut = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(all[..cut].to_vec()).unwrap();
    let (status, headers) = head.split_once("\r\n").unwrap();
    (status.to_owned(), headers.to_lowercase(), all[cut + 4..].to_vec())
}

async fn with_server<F: Future<Output = ()>>(gzip: bool, test: impl FnOnce(u16) -> F) {
    let site: Arc<Mutex<dyn Site>> = Arc::new(Mutex::new(sim(1, 20, &[])));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, site, Still, Options { gzip }, async {
        stopped.await.ok();
    }));
    test(port).await;
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn one_port_serves_both_providers_and_the_controls() {
    with_server(false, |port| async move {
        let target = "/api/v2/customers?limit=2&updated_at%5Bafter%5D=0&sort_by[asc]=created_at";
        let (status, headers, body) = exchange(port, "GET", target, "accept-encoding: gzip\r\n").await;
        assert_eq!(status, "HTTP/1.1 200 OK");
        assert!(
            !headers.contains("content-encoding") && headers.contains("date: thu, 09 oct 2025 08:53:20 gmt")
        );
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["list"].as_array().unwrap().len(), 2);

        let target = "/api/v1/rest/core/acme/customers?page=1&pageSize=3";
        let (status, _, body) = exchange(port, "GET", target, "").await;
        assert_eq!(status, "HTTP/1.1 200 OK");
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["results"].as_array().unwrap().len(), 3);

        let (status, _, _) = exchange(port, "POST", "/api/v2/customers", "content-length: 0\r\n").await;
        assert_eq!(status, "HTTP/1.1 405 Method Not Allowed");

        let (_, _, body) = exchange(port, "POST", "/_sim/advance?days=30", "content-length: 0\r\n").await;
        let told: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(told["time"], START.plus(Duration::from_secs(30 * 86_400)).to_string());
        let (_, headers, _) = exchange(port, "GET", "/api/v2/configurations", "").await;
        assert!(
            headers.contains("date: sat, 08 nov 2025 08:53:20 gmt"),
            "the site's clock goes along: {headers}"
        );

        let (_, _, body) = exchange(port, "GET", "/_sim/requests", "").await;
        let told: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(told["routes"]["/api/v2/customers"], 1);
        assert_eq!(told["statuses"]["200"], 3);
        let (status, _, _) = exchange(port, "POST", "/_sim/quiet", "content-length: 0\r\n").await;
        assert_eq!(status, "HTTP/1.1 200 OK");
    })
    .await;
}

#[tokio::test]
async fn a_site_that_is_behind_catches_up_with_the_caller_when_its_time_passes() {
    let month = Duration::from_secs(30 * 86_400);
    let order = Order {
        port: 0,
        seed: 1,
        size: Size { customers: 20 },
        knobs: Vec::new(),
        catalog: ProductCatalog::V2,
        advance: None,
        behind: Some(month),
    };
    let served = prepare(order, START).await.unwrap();
    let mut sim = served.sim.lock().unwrap();
    assert_eq!((sim.world().now(), sim.time(START)), (START.minus(month), START.minus(month)));
    let invoices = sim.world().invoices().len();
    let days = ("days".to_owned(), "30".to_owned());
    assert_eq!(sim.control(START, "advance", &[days]).status, 200);
    assert_eq!((sim.world().now(), sim.time(START)), (START, START));
    assert!(sim.world().invoices().len() > invoices);
}

#[tokio::test]
async fn answers_are_compressed_only_for_clients_that_accept_it() {
    with_server(true, |port| async move {
        let (_, headers, packed) =
            exchange(port, "GET", "/api/v2/customers", "accept-encoding: gzip\r\n").await;
        assert!(headers.contains("content-encoding: gzip"));
        let (_, headers, plain) = exchange(port, "GET", "/api/v2/customers", "").await;
        assert!(!headers.contains("content-encoding"));
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
        assert!(packed.len() < plain.len());
        assert_eq!(unpacked, plain);
    })
    .await;
}

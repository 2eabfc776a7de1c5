//! A provider behind a real socket, on a thread of its own: every request is counted, shown to the test and may be
//! held or answered otherwise.
use std::{
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};
use tidegate::{
    sim::{
        Sim, Site,
        server::{Options, serve},
        world::Size,
    },
    time::{Clock, SystemClock, Timestamp},
    wire::{Handler, Request, Response},
};
use tokio::sync::oneshot;

/// One request as the site saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Last part of the path: `invoices`.
    pub(crate) name: String,
    pub(crate) query: Vec<(String, String)>,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let name = request.url.rsplit('/').next().unwrap().to_owned();
        Self { name, query: request.query.clone() }
    }
    pub(crate) fn has(&self, name: &str) -> bool {
        self.query.iter().any(|(n, _)| n == name)
    }
}

/// Answers in place of the site, or lets it answer. Counts requests from 1.
type Hook = Box<dyn FnMut(usize, &Request) -> Option<Response> + Send>;

struct Watched {
    inner: Box<dyn Handler>,
    hook: Arc<Mutex<Hook>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Handler for Watched {
    fn handle(&mut self, now: Timestamp, request: &Request) -> Response {
        let count = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(Asked::of(request));
            asked.len()
        };
        let instead = (self.hook.lock().unwrap())(count, request);
        instead.unwrap_or_else(|| self.inner.handle(now, request))
    }
}

impl Site for Watched {
    fn control(&mut self, _: Timestamp, _: &str, _: &[(String, String)]) -> Response {
        reply(404, "{}")
    }
}

/// A JSON answer.
pub(crate) fn reply(status: u16, body: impl Into<bytes::Bytes>) -> Response {
    let headers = [("content-type".to_owned(), "application/json".to_owned())].into();
    Response { status, headers, body: body.into() }
}

/// A site that serves until it is dropped.
pub(crate) struct Served {
    pub(crate) port: u16,
    hook: Arc<Mutex<Hook>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    shutdown: Option<oneshot::Sender<()>>,
}

impl Served {
    pub(crate) fn new(inner: impl Handler + 'static) -> Self {
        let nothing: Hook = Box::new(|_, _| None);
        let (hook, asked) = (Arc::new(Mutex::new(nothing)), Arc::new(Mutex::new(Vec::new())));
        let site = Watched { inner: Box::new(inner), hook: Arc::clone(&hook), asked: Arc::clone(&asked) };
        let site: Arc<Mutex<dyn Site>> = Arc::new(Mutex::new(site));
        let (shutdown, down) = oneshot::channel::<()>();
        let (tell, told) = sync_channel(1);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
                tell.send(listener.local_addr().unwrap().port()).unwrap();
                let down = async { down.await.unwrap_or_default() };
                serve(listener, site, SystemClock, Options::default(), down).await.unwrap();
            });
        });
        Self { port: told.recv().unwrap(), hook, asked, shutdown: Some(shutdown) }
    }
    /// A simulated Chargebee and Billsby with `customers` customers and two years of billing.
    pub(crate) fn company(customers: usize) -> Self {
        Self::new(company(customers, &[]))
    }
    pub(crate) fn chargebee(&self) -> String {
        format!("http://127.0.0.1:{}/api/v2", self.port)
    }
    pub(crate) fn billsby(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1/rest/core/acme", self.port)
    }
    /// From now on this sees every request, counted from 1 again.
    pub(crate) fn hook(&self, hook: impl FnMut(usize, &Request) -> Option<Response> + Send + 'static) {
        let mut held = self.hook.lock().unwrap();
        self.asked.lock().unwrap().clear();
        *held = Box::new(hook);
    }
    /// Holds request `number` until the gate is opened.
    pub(crate) fn gate(&self, number: usize) -> Gate {
        let (tell, reached) = sync_channel(1);
        let (open, opened) = sync_channel::<()>(1);
        self.hook(move |count, _| {
            if count == number {
                tell.send(()).unwrap_or_default();
                opened.recv().unwrap_or_default();
            }
            None
        });
        Gate { reached, _open: open }
    }
    /// What was asked since the last hook.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.shutdown.take().map(|down| down.send(()));
    }
}

/// Holds one request; opens when dropped.
pub(crate) struct Gate {
    reached: Receiver<()>,
    _open: SyncSender<()>,
}

impl Gate {
    /// Waits for the request; false when the site never gets it because `ended` says so first.
    pub(crate) fn reached_before(&self, mut ended: impl FnMut() -> bool) -> bool {
        loop {
            match self.reached.recv_timeout(std::time::Duration::from_millis(5)) {
                Ok(()) => return true,
                Err(_) if ended() => return false,
                Err(_) => {}
            }
        }
    }
    /// Waits for the request.
    pub(crate) fn reached(&self) {
        self.reached.recv().unwrap();
    }
}

/// The simulated company at the present.
pub(crate) fn company(customers: usize, knobs: &[tidegate::sim::chaos::Knob]) -> Sim {
    Sim::new(3, Size { customers }, SystemClock.now(), knobs)
}

/// Chargebee's API over fixed records: `[("customer", [..])]`, pages of them, every window answered with all.
pub(crate) struct Fixed(pub(crate) Vec<(&'static str, Vec<serde_json::Value>)>);

impl Handler for Fixed {
    fn handle(&mut self, _: Timestamp, request: &Request) -> Response {
        let asked = Asked::of(request);
        let found = self.0.iter().find(|(name, _)| asked.name.trim_end_matches('s') == *name);
        let list: Vec<_> = found
            .into_iter()
            .flat_map(|(name, records)| records.iter().map(move |r| serde_json::json!({ *name: r })))
            .collect();
        // The probe is answered as by a site with the present catalog.
        let facts = serde_json::json!([{ "product_catalog_version": "v2" }]);
        reply(200, serde_json::json!({ "list": list, "configurations": facts }).to_string())
    }
}

//! A simulated billing site on loopback: for `simulate`, for `demo`, and for dry runs without an account.
use crate::{
    error::{Error, Kind, Result},
    sim::{
        Sim, billsby,
        chaos::Knob,
        chargebee::{self, ProductCatalog},
        server::{self, Options},
        world::Size,
    },
    time::{Clock, Timestamp},
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::TcpListener;

/// What to serve.
pub struct Order {
    /// On 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Another seed makes another company.
    pub seed: u64,
    /// How many customers.
    pub size: Size,
    /// What goes wrong.
    pub knobs: Vec<Knob>,
    /// Which catalog the Chargebee site has.
    pub catalog: ProductCatalog,
    /// Time of billing that passes before it serves.
    pub advance: Option<Duration>,
    /// How long ago the site's present is, so that time can pass in it without leading into the caller's future.
    pub behind: Option<Duration>,
}

/// A site that serves once `serve` runs.
pub struct Served {
    /// Where.
    pub address: SocketAddr,
    /// The world behind it.
    pub sim: Arc<Mutex<Sim>>,
    listener: TcpListener,
}

/// Keys and base URLs of a served site, as a pipeline takes them.
pub struct Access {
    /// `source.connection.base_url` for connector chargebee.
    pub chargebee_url: String,
    /// Its API key.
    pub chargebee_key: &'static str,
    /// `source.connection.base_url` for connector billsby.
    pub billsby_url: String,
    /// Its API key.
    pub billsby_key: &'static str,
}

/// Makes the world so that its present is `now`, or `behind` it, and takes the port.
/// Fails `Invalid` when the port is taken.
pub async fn prepare(order: Order, now: Timestamp) -> Result<Served> {
    let passed = order.advance.unwrap_or_default();
    let present = now.minus(order.behind.unwrap_or_default());
    let mut sim = Sim::new(order.seed, order.size, present.minus(passed), &order.knobs);
    sim.set_catalog(order.catalog);
    sim.advance(present);
    sim.set_clock(now);
    let listener = TcpListener::bind(("127.0.0.1", order.port)).await.map_err(|e| {
        Error::new(Kind::Invalid, "cannot listen")
            .with("port", order.port)
            .because(e)
            .hint("--port 0 takes a free one")
    })?;
    let address =
        listener.local_addr().map_err(|e| Error::new(Kind::Bug, "a listener has an address").because(e))?;
    Ok(Served { address, sim: Arc::new(Mutex::new(sim)), listener })
}

impl Served {
    /// Serves until `shutdown` is done.
    pub async fn serve<C: Clock + 'static>(
        self,
        clock: C,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        server::serve(self.listener, self.sim, clock, Options { gzip: true }, shutdown).await
    }

    /// How to reach it.
    pub fn access(&self) -> Access {
        let address = self.address;
        Access {
            chargebee_url: format!("http://{address}/api/v2"),
            chargebee_key: chargebee::API_KEY,
            billsby_url: format!("http://{address}/api/v1/rest/core/acme"),
            billsby_key: billsby::API_KEY,
        }
    }
}

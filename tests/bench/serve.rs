//! The simulated site, in a process of its own: this binary again, told so by one argument.
use std::{
    collections::HashSet,
    io::{Read, Write},
    sync::{Arc, Mutex},
    time::Duration,
};
use tidegate::{
    sim::{
        Sim, Site,
        server::{self, Options},
        world::Size,
    },
    time::{Clock, SystemClock, Timestamp},
    wire::{Handler, Request, Response},
};

const WORD: &str = "--serve";
/// Share of the records that a touch changes or adds.
const TOUCHED: usize = 50;
/// What passes in the site's world with a touch: more than a sync keeps away from the present.
const PASSED: Duration = Duration::from_secs(600);
const DAY: Duration = Duration::from_secs(86_400);
const BEHIND: Duration = Duration::from_secs(60 * 86_400);

/// What to serve.
pub(crate) struct Order {
    size: Size,
    gzip: bool,
}

/// The arguments that start this binary as a server.
pub(crate) fn arguments(size: &str, gzip: bool) -> Vec<String> {
    vec![WORD.into(), size.into(), gzip.to_string()]
}

/// Set when this process is to serve.
pub(crate) fn order() -> Option<Order> {
    let mut words = std::env::args().skip(1);
    if words.next()? != WORD {
        return None;
    }
    let size = Size::parse(&words.next()?).ok()?;
    Some(Order { size, gzip: words.next()? == "true" })
}

/// The simulator, and two controls of our own: `touch` and `day`.
struct Touched(Sim);

impl Handler for Touched {
    fn handle(&mut self, now: Timestamp, request: &Request) -> Response {
        self.0.handle(now, request)
    }
}

impl Site for Touched {
    fn control(&mut self, now: Timestamp, path: &str, query: &[(String, String)]) -> Response {
        match path {
            "touch" => self.touch(now),
            "day" => self.day(now),
            _ => {}
        }
        self.0.control(now, "requests", query)
    }
}

impl Touched {
    /// Changes or adds one record in `TOUCHED`, and lets enough time pass that a sync sees them.
    fn touch(&mut self, now: Timestamp) {
        let present = self.0.time(now).max(self.0.world().now());
        let world = self.0.world_mut();
        let all = world.customers().len()
            + world.subscriptions().len()
            + world.invoices().len()
            + world.notes().len()
            + world.transactions().len();
        let before = world.events().len();
        loop {
            world.touch_random(present, 100);
            let touched: HashSet<_> = world.events().iter().skip(before).map(|e| e.row).collect();
            if touched.len() >= all / TOUCHED {
                break;
            }
        }
        rest(&mut self.0);
        self.0.set_clock(now);
    }
    /// A day of billing, as the world lives it: what changes is mostly recent.
    fn day(&mut self, now: Timestamp) {
        let present = self.0.time(now).max(self.0.world().now());
        self.0.advance(present.plus(DAY));
        rest(&mut self.0);
        self.0.set_clock(now);
    }
}

/// Time passes and nothing happens.
fn rest(sim: &mut Sim) {
    let later = sim.world().now().plus(PASSED);
    sim.world_mut().touch_random(later, 0);
}

/// Serves until the parent closes our input. Prints the address first.
pub(crate) fn serve(order: &Order) {
    let now = SystemClock.now();
    // The site's time is behind ours, and catches up with every touch: a sync never reads beyond its own clock.
    let mut sim = Sim::new(1, order.size, now.minus(BEHIND), &[]);
    rest(&mut sim);
    sim.set_clock(now);
    let site = Arc::new(Mutex::new(Touched(sim)));
    let runtime = super::floors::runtime();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        std::io::stdout().flush().expect("a parent");
        let (over, ended) = tokio::sync::oneshot::channel::<()>();
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            let _ = over.send(());
        });
        let options = Options { gzip: order.gzip };
        let shutdown = async {
            let _ = ended.await;
            std::process::exit(0);
        };
        server::serve(listener, site, SystemClock, options, shutdown).await.expect("a server");
    });
}

//! What would the provider say? One seeded billing world behind faithful imitations of provider APIs, with troubles
//! that can be switched on. Pure: time is a parameter, `server` alone knows of sockets.
mod answer;
pub mod billsby;
pub mod chaos;
pub mod chargebee;
mod json;
pub mod money;
pub mod server;
pub mod truth;
pub mod world;

use crate::{
    time::Timestamp,
    wire::{Handler, Request, Response},
};
use chaos::{Chaos, Front, Knob};
use chargebee::{Chargebee, ProductCatalog, Quirks};
use std::{collections::BTreeMap, time::Duration};
use world::{Resource, Size, World, model::Row};

/// Records of a page that `duplicate_page` shows again.
const REPEAT: usize = 3;

/// A handler that can also be told to do things: what `server` serves.
pub trait Site: Handler {
    /// Does what the control path (`advance`, `clear`, `quiet`, `requests`) says.
    fn control(&mut self, now: Timestamp, path: &str, query: &[(String, String)]) -> Response;
}

/// What was asked so far.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// By route: `/api/v2/invoices`, `/api/v2/invoices/{id}`.
    pub routes: BTreeMap<String, u64>,
    /// By status.
    pub statuses: BTreeMap<u16, u64>,
    /// Bytes of all bodies.
    pub bytes: u64,
}

/// A world behind all imitations, on one host.
#[derive(Debug)]
pub struct Sim {
    world: World,
    front: Chargebee,
    chaos: Chaos,
    counters: Counters,
    /// The world's time less the caller's, in microseconds.
    shift: i64,
}

impl Sim {
    /// A new world at `start` with these troubles.
    pub fn new(seed: u64, size: Size, start: Timestamp, knobs: &[Knob]) -> Self {
        Self::of(World::new(seed, size, start), seed, knobs)
    }
    /// A world that exists. Traits of old data (`no_updated_at`, `same_second`) are put into it now.
    pub fn of(mut world: World, seed: u64, knobs: &[Knob]) -> Self {
        let front = Chargebee::new(quirks(&mut world, seed, knobs));
        Self { world, front, chaos: Chaos::new(seed, knobs), counters: Counters::default(), shift: 0 }
    }
    /// These troubles from now on, instead of those before.
    pub fn set_knobs(&mut self, seed: u64, knobs: &[Knob]) {
        self.front.set_quirks(quirks(&mut self.world, seed, knobs));
        self.chaos = Chaos::new(seed, knobs);
    }
    /// From now on the site has this catalog.
    pub fn set_catalog(&mut self, catalog: ProductCatalog) {
        self.front.set_catalog(catalog);
    }
    /// The world as it is.
    pub fn world(&self) -> &World {
        &self.world
    }
    /// The world, to change it.
    pub fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }
    /// Chargebee shows the row no more, neither in lists nor alone, and says nothing of it; or shows it again.
    pub fn hide(&mut self, row: Row, hidden: bool) {
        self.front.hide(row, hidden);
    }
    /// Lets time pass in the world.
    pub fn advance(&mut self, to: Timestamp) {
        self.world.advance(to);
    }
    /// From now on the caller's `now` means the world's present.
    pub fn set_clock(&mut self, now: Timestamp) {
        self.shift = self.world.now().0 - now.0;
    }
    /// The caller's time in the world.
    pub fn time(&self, now: Timestamp) -> Timestamp {
        Timestamp(now.0.saturating_add(self.shift))
    }
    /// What was asked so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
    /// Requests beyond `rate_limit`.
    pub fn over_limit(&self) -> u64 {
        self.chaos.over_limit
    }
    /// (stream, id) of every Chargebee row that is shown with a wrong type or without some of its lines now.
    pub fn rejected_ids(&self) -> std::collections::BTreeSet<(String, String)> {
        let quirks = self.front.quirks();
        let shown = self.rows().filter(|row| !self.world.stamp(*row).gone);
        let broken = shown.filter(|row| quirks.is_broken(*row) || quirks.is_cut(&self.world, *row));
        broken.map(|row| (row.resource().plural().to_owned(), self.world.id(row).to_owned())).collect()
    }
    /// Ends every trouble, so that the system can settle. Rows that were shown with a wrong type are shown right,
    /// as changed at `now`. Traits of old data stay.
    pub fn quiet(&mut self, now: Timestamp) {
        self.quiet_except(now, &[]);
    }
    /// The same, but knobs named in `keep` stay as they are.
    pub fn quiet_except(&mut self, now: Timestamp, keep: &[Knob]) {
        self.chaos.quiet(keep);
        let old = self.front.quirks().clone();
        let stays = |name: &str| self.chaos.knobs().iter().any(|k| k.name() == name);
        let quirks = Quirks {
            additions: old.additions && stays("schema_additions"),
            repeat: if stays("duplicate_page") { old.repeat } else { 0 },
            lag: if stays("late_visible") { old.lag } else { 0 },
            broken_permille: if stays("wrong_types") { old.broken_permille } else { 0 },
            cut: if stays("cut_lines") { old.cut } else { 0 },
            seed: old.seed,
        };
        let wrong = |quirks: &Quirks, row: Row| quirks.is_broken(row) || quirks.is_cut(&self.world, row);
        let repaired: Vec<Row> =
            self.rows().filter(|row| wrong(&old, *row) && !wrong(&quirks, *row)).collect();
        let now = self.time(now);
        repaired.into_iter().for_each(|row| self.world.bump(row, now));
        self.front.set_quirks(quirks);
    }

    fn rows(&self) -> impl Iterator<Item = Row> {
        self.world.all_rows().into_iter()
    }

    fn answer(&mut self, now: Timestamp, request: &Request) -> Response {
        let path = answer::segments(&request.url);
        let front = if path.starts_with(&["api", "v2"]) { Front::Chargebee } else { Front::Billsby };
        let is_list = match path.as_slice() {
            ["api", "v2", name] => chargebee::is_list(name),
            ["api", "v1", "rest", "core", _, name] => *name == "customers",
            _ => false,
        };
        if let Some(wrong) = self.chaos.before(now, front, is_list) {
            return wrong;
        }
        if is_list {
            let moves = self.chaos.moves();
            self.world.touch_random(now, moves);
        }
        match front {
            Front::Chargebee => self.front.handle(&self.world, now.secs(), request),
            Front::Billsby => billsby::handle(&self.world, request),
        }
    }
}

/// What the imitation does wrong by itself; traits of old data are put into the world.
fn quirks(world: &mut World, seed: u64, knobs: &[Knob]) -> Quirks {
    let mut quirks = Quirks { seed, ..Quirks::default() };
    for knob in knobs {
        match knob {
            Knob::NoUpdatedAt(percent) => world.forget_stamps(*percent),
            Knob::SameSecond => world.squash_seconds(),
            Knob::LateVisible(seconds) => quirks.lag = i64::from(*seconds),
            Knob::DuplicatePage => quirks.repeat = REPEAT,
            Knob::SchemaAdditions => quirks.additions = true,
            Knob::WrongTypes(permille) => quirks.broken_permille = *permille,
            Knob::CutLines(lines) => quirks.cut = *lines as usize,
            _ => {}
        }
    }
    quirks
}

/// `/api/v2/invoices/INV-1` -> `/api/v2/invoices/{id}`.
fn route(url: &str) -> String {
    let path = answer::segments(url);
    match path.as_slice() {
        ["api", "v2", name, _] => format!("/api/v2/{name}/{{id}}"),
        ["api", "v1", "rest", "core", company, name, _] => {
            format!("/api/v1/rest/core/{company}/{name}/{{id}}")
        }
        _ => format!("/{}", path.join("/")),
    }
}

impl Handler for Sim {
    fn handle(&mut self, now: Timestamp, request: &Request) -> Response {
        let now = self.time(now);
        let response = self.answer(now, request);
        let response = self.chaos.after(now, response);
        *self.counters.routes.entry(route(&request.url)).or_default() += 1;
        *self.counters.statuses.entry(response.status).or_default() += 1;
        self.counters.bytes += response.body.len() as u64;
        response
    }
}

impl Site for Sim {
    fn control(&mut self, now: Timestamp, path: &str, query: &[(String, String)]) -> Response {
        match path {
            "advance" => {
                let days = query.iter().find(|(n, _)| n == "days").and_then(|(_, v)| v.parse::<u32>().ok());
                let Some(days) = days else {
                    return answer::json(400, r#"{"message":"say how far: /_sim/advance?days=30"}"#);
                };
                let present = self.time(now).max(self.world.now());
                self.advance(present.plus(Duration::from_secs(u64::from(days) * 86_400)));
                self.set_clock(now);
            }
            "clear" => {
                let id = query.iter().find(|(n, _)| n == "customer").map_or("", |(_, v)| v.as_str());
                let Some(Row::Customer(at)) = self.world.find(Resource::Customers, id) else {
                    return answer::json(400, r#"{"message":"say whose data: /_sim/clear?customer=ID"}"#);
                };
                self.advance(self.time(now));
                self.world.clear(at);
            }
            "quiet" => self.quiet(now),
            "requests" => {}
            _ => return answer::json(404, r#"{"message":"there are: advance, clear, quiet, requests"}"#),
        }
        answer::json(
            200,
            json::text(&serde_json::json!({
                "time": self.time(now).to_string(),
                "routes": self.counters.routes,
                "statuses": self.counters.statuses,
                "bytes": self.counters.bytes,
                "over_limit": self.chaos.over_limit,
            })),
        )
    }
}

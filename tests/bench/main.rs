//! Benchmarks: `make bench`. What does a sync cost, beside floors measured in the same run?
//!
//! The release binary syncs a simulated site that another process serves, so that its figures hold nothing of the
//! server. Absent: assertions about time; a shared machine cannot keep them.
#![expect(clippy::expect_used, reason = "a benchmark stops at the first surprise")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock and the environment")]

mod child;
mod floors;
#[expect(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared with the tests, which use more of it"
)]
#[path = "../postgres_server.rs"]
mod postgres_server;
mod proofs;
mod report;
mod serve;

use child::{Project, Site};
use report::{Figure, Report};
use std::path::PathBuf;
use tidegate::sim::world::Size;

/// What was asked for.
struct Asked {
    size: String,
    runs: usize,
    json: bool,
    gzip: bool,
    /// All streams, not only the core documents.
    every: bool,
    floors: bool,
    lake: bool,
    postgres: bool,
    proofs: bool,
    /// Another build of tidegate, to compare with.
    binary: PathBuf,
}

const USAGE: &str = "cargo bench -- [--size small|medium|large|customers=N] [--runs N] [--json] [--gzip]
    [--all-streams] [--only lake|postgres|floors|proofs] [--binary PATH]";

fn asked() -> Asked {
    let mut asked = Asked {
        size: "large".into(),
        runs: 3,
        json: false,
        gzip: false,
        every: false,
        floors: true,
        lake: true,
        postgres: true,
        proofs: true,
        binary: env!("CARGO_BIN_EXE_tidegate").into(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().expect(USAGE);
        match word.as_str() {
            "--size" => asked.size = value(),
            "--runs" => asked.runs = value().parse().expect(USAGE),
            "--json" => asked.json = true,
            "--gzip" => asked.gzip = true,
            "--all-streams" => asked.every = true,
            "--binary" => asked.binary = value().into(),
            "--only" => {
                let only = value();
                asked.floors = only == "floors";
                asked.lake = only == "lake";
                asked.postgres = only == "postgres";
                asked.proofs = only == "proofs";
            }
            // Cargo's own.
            "--bench" => {}
            other => {
                eprintln!("what is `{other}`?\n{USAGE}");
                std::process::exit(2);
            }
        }
    }
    asked
}

fn main() {
    if let Some(order) = serve::order() {
        return serve::serve(&order);
    }
    let asked = asked();
    Size::parse(&asked.size).expect(USAGE);
    let site = Site::start(&asked.size, asked.gzip);
    let mut report = Report::new(&asked.size, asked.gzip);
    report.add("--help", (0..asked.runs.max(10)).map(|_| child::help(&asked.binary)).collect());
    // Also lets the server write every body once.
    let world = floors::fetch(&site, asked.every);
    if asked.floors {
        floors::all(&world, asked.runs, &mut report);
    }
    drop(world.bodies);
    if asked.lake {
        syncs("lake", &site, &asked, || None, &mut report);
    }
    if asked.postgres {
        let runtime = floors::runtime();
        let mut kept = Vec::new();
        let database = || {
            let database = runtime.block_on(postgres_server::Database::new());
            let url = database.url();
            kept.push(database);
            Some(url)
        };
        syncs("postgres", &site, &asked, database, &mut report);
    }
    if asked.proofs {
        let database = floors::runtime().block_on(postgres_server::Database::new());
        let project = Project::mirrored(&site, &asked.binary, database.url(), asked.every);
        proofs::all(&project, &database.url(), asked.runs, &mut report);
    }
    report.print(asked.json);
}

/// First load, 2 % changed and new anywhere, nothing new, a day later: each run with an empty destination.
fn syncs(
    name: &str,
    site: &Site,
    asked: &Asked,
    mut place: impl FnMut() -> Option<String>,
    report: &mut Report,
) {
    let mut figures: [Vec<Figure>; 4] = Default::default();
    for _ in 0..asked.runs {
        let project = Project::new(site, &asked.binary, place(), asked.every);
        let [first, changed, nothing, day] = &mut figures;
        first.push(project.sync());
        site.tell("touch");
        changed.push(project.sync());
        nothing.push(project.sync());
        site.tell("day");
        day.push(project.sync());
    }
    let [first, changed, nothing, day] = figures;
    report.add(&format!("{name}: first load"), first);
    report.add(&format!("{name}: 2 % changed"), changed);
    report.add(&format!("{name}: nothing new"), nothing);
    report.add(&format!("{name}: a day later"), day);
}

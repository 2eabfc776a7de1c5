//! What Chargebee's users and makers of connectors ran into, each with a test that fails when we do.
//!
//! The table says which test holds which of them, wherever it stands; those that had none are here.
use crate::simulation::harness::{Bench, SimClock, Site, owner};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tidegate::{
    checkpoint::Phase,
    error::Result,
    extract::InputValue,
    load::{
        Change, Destination, Verb,
        memory::{Memory, Store},
    },
    manifest,
    sim::{
        Sim,
        chaos::Knob,
        truth::{self, Facts, Provider, Rows},
        world::{Size, World},
    },
    sync::{self, Job, Outcome, Tools, summary::Status},
    time::{Clock, Timestamp},
    wire::{Handler, Http, Request, Response},
};

const START: Timestamp = Timestamp::from_secs(1_750_000_000);
const HOUR: Duration = Duration::from_secs(3_600);

/// (what was reported, the tests that hold it).
const HELD: [(&str, &[&str]); 35] = [
    (
        "pitfall 1: pages sorted by a time that changes skip records",
        &[
            "pitfall_1_no_page_is_asked_for_in_the_order_of_a_field_that_changes",
            "simulation_ends_right_under_each_trouble_alone",
        ],
    ),
    (
        "pitfall 2: lists lag by minutes",
        &["pitfall_2_and_pain_2_rows_that_lists_show_late_arrive_by_the_overlap"],
    ),
    (
        "pitfall 3: rows without updated_at never sync",
        &[
            "pitfall_3_rows_without_a_modification_time_arrive_with_the_first_load",
            "a_row_that_the_filter_never_showed_arrives_with_a_sweep_in_either_mode",
        ],
    ),
    (
        "pitfall 4: a full refresh that kept its cursor left only the delta",
        &["pitfall_4_and_pain_6_a_reset_reads_all_without_a_filter_and_destroys_nothing"],
    ),
    (
        "pitfall 5: a lookback of seconds where minutes were meant",
        &["pitfall_5_a_window_begins_five_minutes_before_the_last_one_ended"],
    ),
    (
        "pitfall 6: bookmarks in the middle of a stream that is sorted by another key",
        &[
            "pitfall_6_a_crash_on_any_page_of_an_unsorted_stream_loses_nothing_that_comes_later",
            "no_bookmark_moves_before_the_last_page_of_any_list_of_the_catalog",
        ],
    ),
    (
        "pitfall 7: an empty stream takes the client's clock for its bookmark",
        &["pitfall_7_an_empty_stream_reaches_no_further_than_the_providers_clock"],
    ),
    (
        "pitfall 8: a null updated_at crashes",
        &["pitfall_8_a_row_whose_modification_time_is_absent_or_null_is_kept"],
    ),
    (
        "pitfall 9: deletes",
        &[
            "pitfall_9_deleted_subscriptions_and_invoices_are_deleted_here_too",
            "deletes_of_the_catalog_come_from_events_whether_or_not_the_log_is_read",
        ],
    ),
    (
        "pitfall 10: custom fields",
        &["pitfall_10_custom_fields_and_consents_are_kept_and_new_ones_need_no_release"],
    ),
    ("pitfall 11: rates cut to integers", &["pitfall_11_rates_and_quantities_keep_every_digit"]),
    (
        "pitfall 12: children of deleted parents answer 404",
        &["pitfall_12_no_list_is_asked_for_parent_by_parent"],
    ),
    (
        "pitfall 13: streams without a filter",
        &["pitfall_13_streams_without_a_filter_are_read_whole_each_time_and_write_only_what_changed"],
    ),
    (
        "pitfall 14: the wrong catalog is silently empty",
        &[
            "the_other_catalog_is_passed_over_in_one_line_of_the_summary",
            "a_stream_of_the_other_catalog_that_was_named_fails_and_says_which_catalog_there_is",
        ],
    ),
    (
        "pitfall 15: 503 in loops, bodies that are no JSON",
        &[
            "pitfall_15_a_server_that_breaks_down_and_cuts_bodies_costs_no_row",
            "a_failure_that_stays_ends_the_stream_after_a_known_number_of_tries",
        ],
    ),
    (
        "pitfall 16: the site's name compared letter by letter, an unexpected /configurations",
        &[
            "pitfall_16_a_site_is_the_same_in_capitals",
            "a_probe_that_does_not_say_what_the_account_has_is_drift_and_not_a_guess",
        ],
    ),
    (
        "pitfall 17: windows that end before they begin",
        &["pitfall_17_no_window_ends_before_it_begins_whatever_the_clock"],
    ),
    (
        "pitfall 18: the rate limit, and retries of what cannot succeed",
        &[
            "simulation_stays_below_a_rate_limit_and_finishes_below_a_lower_one",
            "refused_credentials_end_every_stream",
        ],
    ),
    (
        "pitfall 19: a line of a credit note without its invoice line",
        &["pitfall_19_a_line_of_a_credit_note_names_the_invoice_line_that_it_takes_back"],
    ),
    (
        "pitfall 20: an offset that comes again",
        &["a_repeated_offset_stops_the_stream_before_it_goes_round_in_circles"],
    ),
    // 21 is no trap: it names a way of the provider's own to compare with.
    (
        "pitfall 22: local times in filters",
        &["pitfall_22_and_pain_14_filters_are_utc_and_dates_those_of_the_connections_zone"],
    ),
    (
        "pain 1: rows without a cursor value never arrive",
        &[
            "a_row_that_the_filter_never_showed_arrives_with_a_sweep_in_either_mode",
            "the_rate_of_rows_without_cursor_value_is_measured_where_they_are_seen",
        ],
    ),
    (
        "pain 2: loss at boundaries and by late commits",
        &[
            "pitfall_2_and_pain_2_rows_that_lists_show_late_arrive_by_the_overlap",
            "both_bounds_of_a_window_are_closed",
        ],
    ),
    (
        "pain 4: deletes are invisible",
        &["a_delete_that_nobody_tells_becomes_deleted_at_and_is_undone_when_the_row_returns"],
    ),
    ("pain 5: deletes inferred destructively", &["a_sweep_that_misses_too_many_rows_deletes_none_of_them"]),
    (
        "pain 6: a reset destroys good data",
        &[
            "pitfall_4_and_pain_6_a_reset_reads_all_without_a_filter_and_destroys_nothing",
            "a_rebuild_compares_and_swaps",
        ],
    ),
    (
        "pain 7: no cheap repair of a period",
        &["a_period_is_read_again_and_nothing_else_and_the_watermark_stays"],
    ),
    ("pain 8: a crash loses hours", &["no_row_is_lost_wherever_a_serial_first_load_or_a_window_dies"]),
    (
        "pain 12: paging cut short or in circles",
        &[
            "a_repeated_offset_stops_the_stream_before_it_goes_round_in_circles",
            "a_sweep_within_a_budget_goes_on_where_it_stopped_and_still_proves_its_deletes",
        ],
    ),
    (
        "pain 13: money through floats",
        &["an_integer_above_2_to_53_and_a_price_of_8_decimals_arrive_unchanged", "a_decimal_is_exact"],
    ),
    (
        "pain 14: numbers differ from the provider's screen",
        &["pitfall_22_and_pain_14_filters_are_utc_and_dates_those_of_the_connections_zone"],
    ),
    ("pain 16: custom fields are missing", &["promoted_fields_are_typed_columns_in_a_lake"]),
    (
        "pain 19: one bad row or stream kills all, or failure is called success",
        &["one_stream_that_fails_is_4_and_the_others_are_there", "refused_records_are_6_under_strict_only"],
    ),
    (
        "pain 20: no proof that everything arrived",
        &["a_lake_and_postgres_agree_and_each_planted_fault_is_localized_and_nothing_else_is_reported"],
    ),
    (
        "what is written of streams and columns",
        &["the_readme_says_of_every_stream_what_the_connector_says_to_the_last_cell"],
    ),
];

fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_pitfall_and_pain_has_a_test_that_is_there() {
    let mut all = String::new();
    sources(Path::new("tests"), &mut all);
    for (what, tests) in HELD {
        for test in tests {
            assert!(all.contains(&format!("fn {test}")), "{what}: there is no test {test}");
        }
    }
    let told = |word: &str| -> BTreeSet<u32> {
        let number = |what: &str| what.strip_prefix(word)?.split(':').next()?.trim().parse().ok();
        HELD.iter().filter_map(|(what, _)| number(what)).collect()
    };
    let pitfalls: BTreeSet<u32> = (1..=22).filter(|n| *n != 21).collect();
    assert_eq!(told("pitfall"), pitfalls);
    assert_eq!(told("pain"), [1, 2, 4, 5, 6, 7, 8, 12, 13, 14, 16, 19, 20].into());
    let named =
        all.lines().filter_map(|l| l.trim().strip_prefix("async fn ").or(l.trim().strip_prefix("fn ")));
    for name in named.filter(|n| n.starts_with("pitfall_") || n.starts_with("pain_")) {
        let name = name.split('(').next().unwrap();
        assert!(HELD.iter().any(|(_, tests)| tests.contains(&name)), "{name} is not in the table");
    }
}

type Asked = Arc<Mutex<Vec<Request>>>;

/// A site whose every question is noted.
struct Watched {
    bench: Bench,
    job: Job,
    sim: Arc<Mutex<Sim>>,
    clock: SimClock,
    store: Arc<Mutex<Store>>,
    asked: Asked,
}

impl Http for Watched {
    async fn send(&self, request: Request) -> Result<Response> {
        self.clock.pass(Duration::from_millis(40));
        self.asked.lock().unwrap().push(request.clone());
        Ok(self.sim.lock().unwrap().handle(self.clock.now(), &request))
    }
}

impl Watched {
    fn of(world: World, knobs: &[Knob], streams: &[&str]) -> Self {
        let bench = Bench::new();
        let mut job = bench.job(Site::Chargebee);
        job.streams.retain(|s| streams.is_empty() || streams.contains(&s.name.as_str()));
        let sim = Arc::new(Mutex::new(Sim::of(world, 7, knobs)));
        let (clock, store, asked) = (SimClock::at(START), Arc::default(), Asked::default());
        Self { bench, job, sim, clock, store, asked }
    }
    fn new(seed: u64, customers: usize, knobs: &[Knob], streams: &[&str]) -> Self {
        Self::of(World::new(seed, Size { customers }, START), knobs, streams)
    }
    async fn try_sync(&self) -> Outcome {
        self.asked.lock().unwrap().clear();
        let mut destination = Memory::new(Arc::clone(&self.store));
        let mut report = |_| {};
        let tools = Tools {
            http: self,
            clock: &self.clock,
            destination: &mut destination,
            normalizers: &self.bench.normalizers,
            report: &mut report,
            stop: sync::never(),
        };
        sync::sync(&self.job, tools).await
    }
    async fn sync(&self) -> Outcome {
        let outcome = self.try_sync().await;
        assert_eq!(outcome.summary.status, Status::Completed, "{:?}", outcome.error);
        outcome
    }
    /// Values sent under a parameter whose name begins so, with the list they were sent to.
    fn sent(&self, parameter: &str) -> Vec<(String, String)> {
        let asked = self.asked.lock().unwrap();
        let list = |r: &Request| r.url.rsplit('/').next().unwrap().to_owned();
        let pairs = asked.iter().flat_map(|r| r.query.iter().map(move |(n, v)| (list(r), n, v)));
        pairs.filter(|(_, n, _)| n.starts_with(parameter)).map(|(list, _, v)| (list, v.clone())).collect()
    }
    /// Bounds of all windows that were asked for.
    fn windows(&self) -> Vec<(i64, i64)> {
        let bounds = |(_, v): (String, String)| -> (i64, i64) {
            let (from, to) = v.trim_matches(['[', ']']).split_once(',').unwrap();
            (from.trim().parse().unwrap(), to.trim().parse().unwrap())
        };
        self.sent("updated_at[between]").into_iter().map(bounds).collect()
    }
    async fn table(&self, name: &str) -> Rows {
        let mut destination = Memory::new(Arc::clone(&self.store));
        destination.open(&owner(), &self.job.entities).await.unwrap();
        let mut tables = self.bench.current(&self.job, &mut destination).await;
        destination.close().await.unwrap();
        tables.remove(name).unwrap()
    }
    fn truth(&self, name: &str) -> Rows {
        let facts = Facts { time_zone: self.job.facts.time_zone };
        truth::expected(self.sim.lock().unwrap().world(), Provider::Chargebee, &facts).remove(name).unwrap()
    }
    /// Every row that lives is here as it is; what was deleted is deleted here, if it was ever here.
    async fn agrees(&self, tables: &[&str]) {
        for name in tables {
            let (found, wanted) = (self.table(name).await, self.truth(name));
            assert!(wanted.len() > 3, "{name}: {}", wanted.len());
            for (id, row) in &wanted {
                match (row.contains_key("_deleted"), found.get(id)) {
                    (false, here) => assert_eq!(here, Some(row), "{name} {id}"),
                    (true, Some(here)) => assert!(here.contains_key("_deleted"), "{name} {id} lives here"),
                    (true, None) => {}
                }
            }
        }
    }
    async fn watermark(&self, stream: &str) -> Timestamp {
        let stored = Memory::new(Arc::clone(&self.store)).peek(&owner()).await.unwrap().unwrap();
        match &stored.checkpoints[stream].phase {
            Phase::Windows { watermark, .. } => *watermark,
            other => panic!("{stream}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn pitfall_1_no_page_is_asked_for_in_the_order_of_a_field_that_changes() {
    let site = Watched::new(1, 10, &[], &[]);
    for _ in 0..2 {
        site.sync().await;
        let sorts = site.sent("sort_by");
        assert!(sorts.len() > 10, "{sorts:?}");
        let steady = ["created_at", "date", "id", "usage_date", "occurred_at"];
        assert!(sorts.iter().all(|(_, by)| steady.contains(&by.as_str())), "{sorts:?}");
        site.clock.pass(HOUR);
    }
}

#[tokio::test]
async fn pitfall_2_and_pain_2_rows_that_lists_show_late_arrive_by_the_overlap() {
    let streams = ["customers", "invoices", "transactions"];
    let site = Watched::new(2, 30, &[Knob::LateVisible(290)], &streams);
    site.sync().await;
    for _ in 0..8 {
        site.sim.lock().unwrap().world_mut().touch_random(site.clock.now(), 20);
        site.clock.pass(Duration::from_secs(45));
        site.sync().await;
    }
    site.clock.pass(Duration::from_secs(420));
    site.sync().await;
    site.agrees(&["customers", "invoices", "payments"]).await;
}

#[tokio::test]
async fn pitfall_4_and_pain_6_a_reset_reads_all_without_a_filter_and_destroys_nothing() {
    let site = Watched::new(4, 25, &[Knob::NoUpdatedAt(40)], &["customers", "invoices"]);
    site.sync().await;
    site.clock.pass(HOUR);
    site.sync().await;
    assert!(!site.windows().is_empty());
    let before = (site.table("customers").await, site.table("invoices").await);
    let mut destination = Memory::new(Arc::clone(&site.store));
    destination.open(&owner(), &site.job.entities).await.unwrap();
    let to = ["customers", "invoices"].map(|stream| (stream.to_owned(), None)).into();
    let reset = Change { at: site.clock.now(), verb: Verb::Reset, undoes: None, made_with: None, to };
    destination.change_state(reset).await.unwrap();
    destination.close().await.unwrap();
    site.clock.pass(HOUR);
    let outcome = site.sync().await;
    let unfiltered =
        site.asked.lock().unwrap().iter().any(|r| {
            r.url.ends_with("/invoices") && r.query.iter().all(|(n, _)| !n.starts_with("updated_at"))
        });
    assert!(unfiltered, "the first load sends no filter");
    let rows: u64 = outcome.summary.streams.iter().map(|s| s.read).sum();
    assert!(rows as usize >= before.0.len() + before.1.len(), "{rows}");
    assert_eq!((site.table("customers").await, site.table("invoices").await), before);
    assert!(outcome.summary.streams.iter().all(|s| s.changed == 0), "{:?}", outcome.summary.streams);
}

#[tokio::test]
async fn pitfall_5_a_window_begins_five_minutes_before_the_last_one_ended() {
    let site = Watched::new(5, 5, &[], &["customers"]);
    site.sync().await;
    for _ in 0..3 {
        let ended = site.watermark("customers").await.secs();
        site.clock.pass(HOUR);
        site.sync().await;
        assert!(!site.windows().is_empty());
        assert!(site.windows().iter().all(|(from, _)| *from == ended - 300), "{ended} {:?}", site.windows());
    }
}

#[tokio::test]
async fn pitfall_7_an_empty_stream_reaches_no_further_than_the_providers_clock() {
    let site = Watched::of(World::bare(7, START), &[], &["customers"]);
    // Our clock is an hour ahead of the provider's.
    site.sim.lock().unwrap().set_clock(START.plus(HOUR));
    for _ in 0..3 {
        site.sync().await;
        let provider = site.sim.lock().unwrap().time(site.clock.now());
        let watermark = site.watermark("customers").await;
        assert!(watermark.secs() <= provider.secs() - 120, "{watermark} is beyond {provider}");
        site.clock.pass(HOUR * 2);
    }
    assert!(site.windows().iter().all(|(_, to)| *to < site.clock.now().secs() - 3_600));
}

#[tokio::test]
async fn pitfall_9_deleted_subscriptions_and_invoices_are_deleted_here_too() {
    let site = Watched::new(9, 120, &[], &["customers", "subscriptions", "invoices"]);
    site.sync().await;
    let later = START.plus(HOUR * 24 * 60);
    site.sim.lock().unwrap().advance(later);
    site.clock.pass(HOUR * 24 * 60 + HOUR);
    let before: BTreeMap<&str, Rows> =
        [("subscriptions", site.table("subscriptions").await), ("invoices", site.table("invoices").await)]
            .into();
    site.sync().await;
    for (table, before) in before {
        let (found, wanted) = (site.table(table).await, site.truth(table));
        let gone = |rows: &Rows| -> BTreeSet<String> {
            rows.iter().filter(|(_, r)| r.contains_key("_deleted")).map(|(id, _)| id.clone()).collect()
        };
        assert_eq!(gone(&found), gone(&wanted), "{table}");
        let fresh = gone(&found).difference(&gone(&before)).count();
        assert!(fresh > 0 && !gone(&before).is_empty(), "{table}: {fresh} of {}", gone(&found).len());
    }
}

#[test]
fn pitfall_12_no_list_is_asked_for_parent_by_parent() {
    let catalog = manifest::catalog(None).unwrap();
    let chargebee = &catalog.connectors["chargebee"];
    assert!(chargebee.streams.len() > 20);
    for stream in &chargebee.streams {
        assert!(!stream.path.0.contains('{'), "{}: {}", stream.name, stream.path.0);
        assert!(stream.path.0.matches('/').count() == 1, "{}: {}", stream.name, stream.path.0);
    }
}

#[tokio::test]
async fn pitfall_15_a_server_that_breaks_down_and_cuts_bodies_costs_no_row() {
    let knobs = [Knob::ServerErrors, Knob::CutBody, Knob::Html200];
    let site = Watched::new(15, 40, &knobs, &["customers", "invoices", "transactions"]);
    for _ in 0..6 {
        // An HTML page with status 200 fails its stream; the next sync goes on.
        site.try_sync().await;
        site.clock.pass(HOUR);
    }
    site.sync().await;
    let statuses = site.sim.lock().unwrap().counters().statuses.clone();
    assert!(statuses.keys().any(|s| *s >= 500), "{statuses:?}");
    site.agrees(&["customers", "invoices", "payments"]).await;
}

#[tokio::test]
async fn pitfall_16_a_site_is_the_same_in_capitals() {
    let mut site = Watched::new(16, 8, &[], &["customers", "items"]);
    site.job.inputs.insert("site".into(), InputValue::Text("ACME-Test".into()));
    site.sync().await;
    assert!(
        site.asked.lock().unwrap().iter().all(|r| r.url.to_lowercase().contains("//acme-test.chargebee.com"))
    );
    site.agrees(&["customers", "items"]).await;
}

#[tokio::test]
async fn pitfall_17_no_window_ends_before_it_begins_whatever_the_clock() {
    let site = Watched::new(17, 10, &[], &["customers", "invoices"]);
    site.sync().await;
    let back = |seconds: i64| {
        site.clock.0.fetch_sub(seconds * 1_000_000, std::sync::atomic::Ordering::SeqCst);
    };
    let mut reached = site.watermark("invoices").await;
    for step in [0, 200, 86_400, -7_200, 30] {
        back(step);
        site.sync().await;
        assert!(site.windows().iter().all(|(from, to)| from <= to), "{:?}", site.windows());
        let now = site.watermark("invoices").await;
        assert!(now >= reached, "a watermark went back from {reached} to {now}");
        reached = now;
    }
    site.clock.pass(HOUR * 48);
    site.sync().await;
    site.agrees(&["customers", "invoices"]).await;
}

#[tokio::test]
async fn pitfall_19_a_line_of_a_credit_note_names_the_invoice_line_that_it_takes_back() {
    let site = Watched::new(19, 120, &[], &["invoices", "credit_notes"]);
    site.sync().await;
    let (invoiced, credited) =
        (site.table("invoice_line_items").await, site.table("credit_note_line_items").await);
    assert!(credited.len() > 10);
    let linked = credited.values().filter_map(|row| row.get("proration_of"));
    let linked: Vec<&String> = linked.collect();
    assert!(linked.len() * 2 > credited.len(), "{} of {}", linked.len(), credited.len());
    assert!(linked.iter().all(|id| invoiced.contains_key(*id)));
    let wanted = site.truth("credit_note_line_items");
    for (id, row) in &credited {
        assert_eq!(row.get("proration_of"), wanted[id].get("proration_of"), "{id}");
    }
}

#[tokio::test]
async fn pitfall_22_and_pain_14_filters_are_utc_and_dates_those_of_the_connections_zone() {
    let zones = [chrono_tz::UTC, chrono_tz::Asia::Tokyo, chrono_tz::America::Los_Angeles];
    let (mut filters, mut dates) = (BTreeSet::new(), BTreeSet::new());
    for zone in zones {
        let mut site = Watched::new(22, 30, &[], &["customers", "invoices"]);
        site.job.facts.time_zone = zone;
        site.sync().await;
        site.clock.pass(HOUR);
        site.sync().await;
        filters.insert(site.windows());
        site.agrees(&["invoices"]).await;
        let invoices = site.table("invoices").await;
        dates.insert(invoices.values().map(|r| r["issue_date"].clone()).collect::<Vec<_>>());
        let totals = invoices.values().map(|r| r["total"].clone()).collect::<Vec<_>>();
        assert!(totals.len() > 20);
    }
    assert_eq!(filters.len(), 1, "bounds are the same seconds in every zone");
    assert_eq!(dates.len(), zones.len(), "civil dates are those of the zone");
}

use super::{START, STREAMS, ask, days, get, ids, sim, sorted, walk};
use serde_json::Value;
use std::{collections::BTreeSet, time::Duration};
use tidegate::{
    sim::{Sim, chaos::Knob},
    time::Timestamp,
    wire::Response,
};

const ALL: [(&str, &str); 2] = [("limit", "100"), ("include_deleted", "true")];

fn seconds(n: u64) -> Timestamp {
    START.plus(Duration::from_secs(n))
}

/// A hundred and fifty pages of one customer each, one a second.
fn many(sim: &mut Sim) -> Vec<Response> {
    (0..150).map(|n| ask(sim, seconds(n), "/api/v2/customers", &[("limit", "1")])).collect()
}

fn statuses(responses: &[Response]) -> BTreeSet<u16> {
    responses.iter().map(|r| r.status).collect()
}

#[test]
fn old_rows_may_lack_their_version_until_they_change() {
    let mut sim = sim(1, 80, &[Knob::NoUpdatedAt(40)]);
    for (stream, _, _) in STREAMS {
        let all = walk(&mut sim, START, stream, &ALL);
        let bare = all.iter().filter(|r| r.get("updated_at").is_none()).count();
        assert!(bare > 0 && bare < all.len(), "{stream}");
        assert!(all.iter().all(|r| r.get("updated_at").is_none() == r.get("resource_version").is_none()));
        let filtered = walk(&mut sim, START, stream, &[ALL[0], ALL[1], ("updated_at[after]", "0")]);
        assert_eq!(filtered.len(), all.len() - bare, "a filter drops rows without the field");
        let absent = walk(&mut sim, START, stream, &[ALL[0], ALL[1], ("updated_at[is_present]", "false")]);
        let present = walk(&mut sim, START, stream, &[ALL[0], ALL[1], ("updated_at[is_present]", "true")]);
        assert_eq!((absent.len(), present.len()), (bare, all.len() - bare));
    }
    let bare = |sim: &mut Sim, now| {
        let all = walk(sim, now, "customers", &ALL);
        all.iter().filter(|r| r.get("updated_at").is_none()).count()
    };
    let before = bare(&mut sim, START);
    sim.world_mut().touch_random(seconds(1), 200);
    assert!(bare(&mut sim, seconds(1)) < before);
}

#[test]
fn many_rows_share_a_second_and_paging_still_finds_all() {
    let mut sim = sim(1, 120, &[Knob::SameSecond]);
    for (stream, _, created) in STREAMS {
        let all = walk(&mut sim, START, stream, &ALL);
        for field in [created, "updated_at"] {
            let mut times: Vec<i64> = all.iter().map(|r| r[field].as_i64().unwrap()).collect();
            times.sort_unstable();
            let before = times.len();
            times.dedup();
            assert!(times.len() < before, "{stream} {field}");
        }
        let single = walk(&mut sim, START, stream, &[("limit", "1"), ALL[1]]);
        assert_eq!(ids(&single), ids(&all));
    }
}

#[test]
fn lists_hide_a_change_that_retrieves_show() {
    let mut sim = sim(1, 30, &[Knob::LateVisible(120)]);
    let before = walk(&mut sim, seconds(200), "customers", &ALL);
    sim.world_mut().touch_random(seconds(300), 60);
    assert_eq!(walk(&mut sim, seconds(419), "customers", &ALL), before, "still hidden");
    let changed: Vec<&Value> = before
        .iter()
        .filter(|old| {
            let path = format!("/api/v2/customers/{}", old["id"].as_str().unwrap());
            get(&mut sim, seconds(419), &path, &[])["customer"] != **old
        })
        .collect();
    assert!(!changed.is_empty(), "a retrieve shows it at once");
    let after = walk(&mut sim, seconds(420), "customers", &ALL);
    assert!(after.len() > before.len(), "visible after the lag");
    assert!(changed.iter().all(|old| !after.contains(old)));
}

#[test]
fn the_world_moves_while_it_is_read() {
    let mut sim = sim(1, 30, &[Knob::Moving]);
    let events = sim.world().events().len();
    walk(&mut sim, seconds(5), "customers", &[("limit", "3")]);
    assert!(sim.world().events().len() > events);
    let last = sim.world().events().last().unwrap();
    assert_eq!(last.at, seconds(5).secs());
}

#[test]
fn records_come_again_on_the_next_page_and_none_is_lost() {
    let mut sim = sim(1, 200, &[Knob::DuplicatePage]);
    for (stream, _, created) in STREAMS {
        for order in ["sort_by[asc]", "sort_by[desc]"] {
            let pages = walk(&mut sim, START, stream, &[("limit", "10"), ALL[1], (order, created)]);
            let distinct: BTreeSet<String> = ids(&pages).into_iter().collect();
            let whole = walk(&mut sim, START, stream, &[("limit", "1"), ALL[1]]);
            assert!(pages.len() > distinct.len(), "{stream} repeats");
            assert_eq!(distinct, ids(&whole).into_iter().collect());
        }
    }
}

#[test]
fn some_bodies_end_in_the_middle() {
    let mut sim = sim(1, 5, &[Knob::CutBody]);
    let responses = many(&mut sim);
    let whole = |r: &&Response| serde_json::from_slice::<Value>(&r.body).is_ok();
    let good = responses.iter().filter(whole).count();
    assert!(good > 100 && good < 150, "{good}");
    assert_eq!(statuses(&responses), BTreeSet::from([200]));
}

#[test]
fn one_request_in_the_middle_is_refused() {
    let mut sim = sim(1, 5, &[Knob::UnauthorizedOnce]);
    let responses = many(&mut sim);
    assert_eq!(responses.iter().filter(|r| r.status == 401).count(), 1);
    assert_eq!(responses[0].status, 200);
}

#[test]
fn one_answer_is_a_page_of_html_with_status_200() {
    let mut sim = sim(1, 5, &[Knob::Html200]);
    let responses = many(&mut sim);
    let html: Vec<&Response> =
        responses.iter().filter(|r| r.headers["content-type"] == "text/html").collect();
    assert_eq!((html.len(), html[0].status), (1, 200));
    assert!(html[0].body.starts_with(b"<!DOCTYPE html>"));
}

#[test]
fn storms_of_429_say_when_to_come_back_in_three_ways() {
    let after = |knob: Knob| {
        let mut sim = sim(1, 5, &[knob]);
        let responses = many(&mut sim);
        assert_eq!(statuses(&responses), BTreeSet::from([200, 429]), "{knob:?}");
        let storms = responses.into_iter().filter(|r| r.status == 429);
        storms.map(|r| r.headers.get("retry-after").cloned()).collect::<Vec<_>>()
    };
    assert!(after(Knob::Throttle).iter().all(|v| v.as_ref().unwrap().parse::<u64>().unwrap() <= 5));
    assert!(after(Knob::ThrottleBare).iter().all(Option::is_none));
    for value in after(Knob::ThrottleDate) {
        let date = chrono::DateTime::parse_from_rfc2822(&value.unwrap()).unwrap();
        assert!(date.timestamp() > START.secs());
    }
}

#[test]
fn the_server_breaks_down_now_and_then() {
    let mut sim = sim(1, 5, &[Knob::ServerErrors]);
    let responses = many(&mut sim);
    assert_eq!(statuses(&responses), BTreeSet::from([200, 500, 502, 503]));
    let bad = responses.iter().find(|r| r.status == 502).unwrap();
    assert_eq!(bad.headers["content-type"], "text/html");
    let down = responses.iter().find(|r| r.status == 503).unwrap();
    let body: Value = serde_json::from_slice(&down.body).unwrap();
    assert_eq!(body["api_error_code"], "db_connection_failure");
}

fn objects<'a>(value: &'a Value, into: &mut Vec<&'a serde_json::Map<String, Value>>) {
    match value {
        Value::Array(items) => items.iter().for_each(|v| objects(v, into)),
        Value::Object(map) => {
            into.push(map);
            let known = map
                .iter()
                .filter(|(k, _)| !["sim_added", "meta_data"].contains(&k.as_str()) && !k.starts_with("cs_"));
            known.for_each(|(_, v)| objects(v, into));
        }
        _ => {}
    }
}

#[test]
fn undocumented_fields_appear_in_every_object() {
    let mut sim = sim(1, 20, &[Knob::SchemaAdditions]);
    for (stream, _, _) in STREAMS {
        for record in walk(&mut sim, START, stream, &ALL) {
            let mut found = Vec::new();
            objects(&record, &mut found);
            assert!(found.iter().all(|o| o.contains_key("sim_added_text")), "{record}");
        }
    }
}

#[test]
fn wrong_types_are_announced_and_repaired_by_quiet() {
    let mut sim = sim(1, 150, &[Knob::WrongTypes(100)]);
    let wrong = |sim: &mut Sim, now| {
        let mut wrong = BTreeSet::new();
        for (stream, _, _) in STREAMS {
            for record in walk(sim, now, stream, &ALL) {
                let field = match stream {
                    "customers" | "subscriptions" => "created_at",
                    "transactions" => "amount",
                    _ => "total",
                };
                if !record[field].is_i64() {
                    wrong.insert((stream.to_owned(), record["id"].as_str().unwrap().to_owned()));
                }
            }
        }
        wrong
    };
    let mut announced = sim.rejected_ids();
    announced.retain(|(stream, _)| STREAMS.iter().any(|s| s.0 == stream));
    assert!(announced.iter().map(|(stream, _)| stream).collect::<BTreeSet<_>>().len() >= 4);
    assert_eq!(wrong(&mut sim, START), announced);
    sim.quiet_except(seconds(50), &[Knob::WrongTypes(0)]);
    assert_eq!(wrong(&mut sim, seconds(50)), announced, "kept");
    sim.quiet(seconds(100));
    assert!(wrong(&mut sim, seconds(100)).is_empty());
    assert!(sim.rejected_ids().is_empty());
    let (stream, id) = announced.first().unwrap();
    let singular = STREAMS.iter().find(|s| s.0 == stream).unwrap().1;
    let row = get(&mut sim, seconds(100), &format!("/api/v2/{stream}/{id}"), &[]);
    assert_eq!(row[singular]["updated_at"], seconds(100).secs(), "a repaired row is a changed row");
}

#[test]
fn the_date_header_jumps() {
    let mut sim = sim(1, 5, &[Knob::ClockStep]);
    let dates: BTreeSet<String> =
        (0..40).map(|_| ask(&mut sim, START, "/api/v2/customers", &[]).headers["date"].clone()).collect();
    assert!(dates.len() >= 4, "{dates:?}");
}

#[test]
fn the_rate_limit_is_hard_and_its_window_trails() {
    let mut sim = sim(1, 5, &[Knob::RateLimit(5)]);
    let mut status = |n| ask(&mut sim, seconds(n), "/api/v2/customers", &[]).status;
    assert_eq!([status(0), status(0), status(10), status(10), status(20)], [200; 5]);
    assert_eq!([status(20), status(59)], [429, 429]);
    assert_eq!([status(60), status(60), status(60)], [200, 200, 429], "two of the first minute have left");
    assert_eq!(sim.over_limit(), 3);
    let refused = ask(&mut sim, seconds(61), "/api/v2/customers", &[]);
    assert_eq!(refused.headers["retry-after"], "10");
}

#[test]
fn quiet_ends_every_trouble() {
    let knobs: Vec<Knob> = Knob::ALL.iter().map(|(knob, _)| *knob).collect();
    let mut sim = sim(1, 40, &knobs);
    many(&mut sim);
    sim.advance(START.plus(days(2)));
    let now = START.plus(days(2));
    sim.quiet(now);
    let events = sim.world().events().len();
    for (stream, _, _) in STREAMS {
        let all = walk(&mut sim, now, stream, &[("limit", "2"), ALL[1]]);
        let distinct: BTreeSet<String> = ids(&all).into_iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert!(all.iter().all(|r| r.get("sim_added").is_none()));
    }
    assert_eq!(sim.world().events().len(), events, "nothing moves");
    let shown = sorted(ids(&walk(&mut sim, now, "customers", &ALL)));
    assert_eq!(shown.len(), sim.world().customers().len(), "nothing is hidden");
}

#[test]
fn equal_seeds_make_equal_trouble() {
    let run = || {
        let knobs = [Knob::ServerErrors, Knob::Throttle, Knob::CutBody, Knob::Moving];
        many(&mut sim(5, 20, &knobs)).into_iter().map(|r| (r.status, r.body)).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn every_knob_is_read_back_from_its_name() {
    for (knob, text) in Knob::ALL {
        assert_eq!(Knob::parse(knob.name()).unwrap(), *knob);
        assert!(!text.is_empty());
    }
    assert_eq!(Knob::parse("rate_limit=60").unwrap(), Knob::RateLimit(60));
    let near = Knob::parse("late_visble").unwrap_err();
    assert!(near.next().unwrap().starts_with("did you mean `late_visible`?"), "{near}");
    let far = Knob::parse("foo").unwrap_err();
    assert!(Knob::ALL.iter().all(|(knob, _)| far.next().unwrap().contains(knob.name())), "{far}");
    for bad in ["moving=1", "rate_limit=0", "no_updated_at=101", "wrong_types=many"] {
        assert!(Knob::parse(bad).is_err(), "{bad}");
    }
}

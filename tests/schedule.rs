//! When a pipeline is due, above all where clocks change.
use chrono::DateTime;
use chrono_tz::{America, Europe, Pacific, Tz};
use std::time::Duration;
use tidegate::{
    schedule::{self, Schedule},
    time::Timestamp,
};

fn at(text: &str) -> Timestamp {
    Timestamp(DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros())
}

/// The due times after `from`, in the zone's own clock.
fn due(cron: &str, zone: Tz, from: &str, count: usize) -> Vec<String> {
    let schedule = Schedule::parse(cron, zone, Duration::ZERO, "acme").unwrap();
    let mut t = at(from);
    let mut found = Vec::new();
    for _ in 0..count {
        t = schedule.next_after(t).unwrap();
        found.push(t.utc().unwrap().with_timezone(&zone).to_rfc3339());
    }
    found
}

#[track_caller]
fn check(cron: &str, zone: Tz, from: &str, expected: &[&str]) {
    assert_eq!(due(cron, zone, from, expected.len()), expected);
}

#[test]
fn a_time_that_does_not_exist_runs_at_the_next_minute_that_does() {
    check(
        "30 2 * * *",
        Europe::Berlin,
        "2026-03-28T00:00:00Z",
        &["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"],
    );
    check(
        "30 2 * * *",
        America::New_York,
        "2026-03-07T12:00:00Z",
        &["2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"],
    );
}

#[test]
fn a_time_that_happens_twice_runs_the_first_time_only() {
    check(
        "30 2 * * *",
        Europe::Berlin,
        "2026-10-24T12:00:00Z",
        &["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"],
    );
    check(
        "30 1 * * *",
        America::New_York,
        "2026-10-31T12:00:00Z",
        &["2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"],
    );
    check("30 2 * * *", Europe::Berlin, "2026-10-25T01:00:00Z", &["2026-10-26T02:30:00+01:00"]);
}

#[test]
fn several_times_that_do_not_exist_run_once_together() {
    check(
        "*/15 * * * *",
        Europe::Berlin,
        "2026-03-29T00:40:00Z",
        &["2026-03-29T01:45:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:15:00+02:00"],
    );
}

#[test]
fn the_doubled_hour_is_left_out_the_second_time() {
    check(
        "*/30 * * * *",
        Europe::Berlin,
        "2026-10-25T00:00:00Z",
        &["2026-10-25T02:30:00+02:00", "2026-10-25T03:00:00+01:00"],
    );
}

#[test]
fn a_zone_that_skipped_a_whole_day_goes_on() {
    check(
        "0 12 * * *",
        Pacific::Apia,
        "2011-12-29T12:00:00-10:00",
        &["2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"],
    );
}

#[test]
fn sunday_is_0_and_7_and_monday_is_1() {
    // 2026-11-01 is a Sunday.
    for sunday in ["0", "7", "SUN", "sun"] {
        check(
            &format!("0 6 * * {sunday}"),
            Tz::UTC,
            "2026-10-27T00:00:00Z",
            &["2026-11-01T06:00:00+00:00", "2026-11-08T06:00:00+00:00"],
        );
    }
    check("0 6 * * 1", Tz::UTC, "2026-10-27T00:00:00Z", &["2026-11-02T06:00:00+00:00"]);
}

#[test]
fn ranges_of_days_cross_the_end_of_the_week() {
    let friday_to_sunday =
        ["2026-10-30T06:00:00+00:00", "2026-10-31T06:00:00+00:00", "2026-11-01T06:00:00+00:00"];
    for range in ["5-7", "FRI-SUN", "5,6,0"] {
        check(&format!("0 6 * * {range}"), Tz::UTC, "2026-10-27T07:00:00Z", &friday_to_sunday);
    }
    check(
        "0 6 * * 1-5/2",
        Tz::UTC,
        "2026-11-01T00:00:00Z",
        &["2026-11-02T06:00:00+00:00", "2026-11-04T06:00:00+00:00", "2026-11-06T06:00:00+00:00"],
    );
}

#[test]
fn a_day_of_month_and_a_day_of_week_together_mean_either() {
    check(
        "0 6 15 * MON",
        Tz::UTC,
        "2026-11-08T00:00:00Z",
        &["2026-11-09T06:00:00+00:00", "2026-11-15T06:00:00+00:00", "2026-11-16T06:00:00+00:00"],
    );
    check("0 6 1 JAN *", Tz::UTC, "2026-11-08T00:00:00Z", &["2027-01-01T06:00:00+00:00"]);
}

#[test]
fn the_next_time_is_always_later_and_never_skips_one() {
    for zone in [Europe::Berlin, America::New_York] {
        let schedule = Schedule::parse("7,37 * * * *", zone, Duration::ZERO, "x").unwrap();
        let mut t = at("2026-01-01T00:00:00Z");
        for _ in 0..17_000 {
            let next = schedule.next_after(t).unwrap();
            let gap = next.since(t).as_secs();
            assert!(next > t && gap <= 5400, "{t} -> {next}");
            assert_eq!(schedule.next_after(next.minus(Duration::from_micros(1))), Some(next));
            t = next;
        }
    }
}

#[test]
fn jitter_is_stable_per_name_and_stays_within_its_bound() {
    let jitter = Duration::from_secs(600);
    let offset = |name: &str| Schedule::parse("0 2 * * *", Tz::UTC, jitter, name).unwrap().offset();
    assert_eq!(offset("acme"), offset("acme"));
    let offsets: std::collections::BTreeSet<_> = (0..100).map(|i| offset(&format!("p{i}"))).collect();
    assert!(offsets.iter().all(|o| *o < jitter) && offsets.len() > 50, "{offsets:?}");
    let schedule = Schedule::parse("0 2 * * *", Tz::UTC, jitter, "acme").unwrap();
    let due = at("2026-11-02T02:00:00Z").plus(schedule.offset());
    assert_eq!(schedule.next_after(at("2026-11-02T02:00:00Z")), Some(due));
    assert_eq!(schedule.next_after(due), Some(due.plus(Duration::from_secs(86_400))));
}

#[test]
fn what_is_not_a_crontab_line_is_refused() {
    for text in [
        "",
        "0 2 * *",
        "0 0 2 * * *",
        "60 2 * * *",
        "0 2 * * 8",
        "0 2 * * MOO",
        "0 2 * * 1/0",
        "0 2 31 2 *",
        "@daily",
    ] {
        let error =
            Schedule::parse(text, Tz::UTC, Duration::ZERO, "x").map(|s| s.text().to_owned()).unwrap_err();
        assert!(error.next().is_some(), "{text}: {error}");
    }
    assert!(Schedule::parse("0 2 * * *", Tz::UTC, Duration::from_secs(86_400), "x").is_err());
}

#[test]
fn durations_are_a_number_and_a_unit() {
    let seconds = |text: &str| schedule::duration(text).ok().map(|d| d.as_secs());
    assert_eq!(
        [seconds("90s"), seconds("10m"), seconds("2h"), seconds("30d")],
        [Some(90), Some(600), Some(7200), Some(2_592_000)]
    );
    for wrong in
        ["", "m", "10", "-1m", "+1m", "1.5h", "10 m", "10é", "99999999999999999999s", "999999999999999999d"]
    {
        assert_eq!(seconds(wrong), None, "{wrong}");
    }
}

//! When is a pipeline due next? Five-field crontab in a time zone. Pure: the time is a parameter.
//!
//! The rules where clocks change: a local time that does not exist runs at the next minute that does; one that
//! happens twice runs the first time only.
use crate::{
    error::{Error, Kind, Result},
    time::Timestamp,
};
use chrono::{DateTime, Duration as Span, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use std::{str::FromStr, time::Duration};

/// Nothing may be spread over more than this.
const JITTER_MAX: Duration = Duration::from_secs(12 * 3600);

/// Candidates looked at before giving up: the longest jump of any zone was a day, 1,440 minutes.
const CANDIDATES_MAX: usize = 3000;

const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Due times of one pipeline.
#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    zone: Tz,
    /// Two when both the day of month and the day of week are given: either may match.
    rules: Vec<cron::Schedule>,
    offset: Duration,
}

impl Schedule {
    /// `text`: minute, hour, day of month, month, day of week (0 and 7 Sunday, 1 Monday, or names).
    /// `name` decides, the same way for ever, where within `jitter` the runs lie.
    /// Fails `Invalid` when the text is not five valid fields, when it names no day that exists, or when `jitter` is
    /// over 12 hours.
    pub fn parse(text: &str, zone: Tz, jitter: Duration, name: &str) -> Result<Self> {
        if jitter > JITTER_MAX {
            return Err(
                Error::new(Kind::Invalid, "`jitter` is over 12 hours").hint("for example jitter: 10m")
            );
        }
        let schedule = Self {
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
            zone,
            rules: rules(text)?,
            offset: offset(name, jitter),
        };
        match schedule.next_after(Timestamp::from_secs(1_577_836_800)) {
            Some(_) => Ok(schedule),
            None => Err(Error::new(Kind::Invalid, format!("cron `{text}` never comes"))
                .hint("the day of month and the month do not go together")),
        }
    }
    /// The first due time after `t`; None when there is none before the year 2100.
    pub fn next_after(&self, t: Timestamp) -> Option<Timestamp> {
        let t = t.minus(self.offset);
        self.rules.iter().filter_map(|rule| self.next_of(rule, t)).min().map(|due| due.plus(self.offset))
    }
    /// The five fields, as the operator wrote them.
    pub fn text(&self) -> &str {
        &self.text
    }
    /// The zone whose clock counts.
    pub fn zone(&self) -> Tz {
        self.zone
    }
    /// How much later than the crontab says each run begins.
    pub fn offset(&self) -> Duration {
        self.offset
    }

    /// Local times are computed as if the zone had no jumps, then each is placed on the real clock. Placing never
    /// changes their order, so looking begins at `t`'s own local time.
    fn next_of(&self, rule: &cron::Schedule, t: Timestamp) -> Option<Timestamp> {
        let local = t.utc()?.with_timezone(&self.zone).naive_local();
        rule.after(&DateTime::<Utc>::from_naive_utc_and_offset(local, Utc))
            .take(CANDIDATES_MAX)
            .filter_map(|wall| place(self.zone, wall.naive_utc()))
            .find(|due| *due > t)
    }
}

/// The instant of a local time: the first of two, the next minute that exists for none.
/// None when the zone has no such minute within two days, which no zone does.
pub fn place(zone: Tz, local: NaiveDateTime) -> Option<Timestamp> {
    (0..2 * 24 * 60).find_map(|minutes| {
        match zone.from_local_datetime(&local.checked_add_signed(Span::minutes(minutes))?) {
            LocalResult::Single(t) | LocalResult::Ambiguous(t, _) => Some(Timestamp(t.timestamp_micros())),
            LocalResult::None => None,
        }
    })
}

/// A date, which begins at midnight in `zone`, or a time with its own zone; None for anything else.
pub fn moment(zone: Tz, text: &str) -> Option<Timestamp> {
    match text.parse::<NaiveDate>() {
        Ok(day) => place(zone, day.and_time(NaiveTime::MIN)),
        Err(_) => Some(Timestamp(DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros())),
    }
}

/// `90s`, `10m`, `2h` or `1d`. Fails `Invalid` on anything else.
pub fn duration(text: &str) -> Result<Duration> {
    let wrong = || {
        Error::new(Kind::Invalid, format!("`{text}` is not a duration"))
            .hint("a whole number and s, m, h or d, for example 10m")
    };
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        _ => return Err(wrong()),
    };
    let digits = text.get(..text.len().saturating_sub(1)).unwrap_or_default();
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).map(Duration::from_secs).ok_or_else(wrong)
}

fn offset(name: &str, jitter: Duration) -> Duration {
    let hash = twox_hash::XxHash3_128::oneshot(name.as_bytes());
    let seconds = hash.checked_rem(u128::from(jitter.as_secs())).unwrap_or(0);
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn wrong(text: &str) -> Error {
    Error::new(Kind::Invalid, format!("`{text}` is not a crontab line"))
        .hint("minute hour day-of-month month day-of-week, for example \"0 2 * * *\" for 02:00 every day")
}

/// The fields but the last, and what each may hold.
const FIELDS: [(&str, &str); 4] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of month", "1 to 31"),
    ("month", "1 to 12, or JAN to DEC"),
];

fn rules(text: &str) -> Result<Vec<cron::Schedule>> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else {
        return Err(wrong(text).with("fields", fields.len()).with("expected", 5));
    };
    for (i, ((name, expected), field)) in FIELDS.iter().zip(&fields).enumerate() {
        let alone: Vec<&str> = (0..FIELDS.len()).map(|k| if k == i { field } else { "*" }).collect();
        if cron::Schedule::from_str(&format!("0 {} *", alone.join(" "))).is_err() {
            return Err(wrong(text).with(name, field).with("expected", expected));
        }
    }
    let weekdays = weekdays(weekday).ok_or_else(|| {
        wrong(text).with("day of week", weekday).with("expected", "0 to 7 (0 and 7 are Sunday) or SUN to SAT")
    })?;
    let rule = |day: &str, weekdays: &str| {
        cron::Schedule::from_str(&format!("0 {minute} {hour} {day} {month} {weekdays}"))
            .map_err(|e| wrong(text).because(e))
    };
    if day.starts_with('*') || weekday.starts_with('*') {
        return Ok(vec![rule(day, &weekdays)?]);
    }
    Ok(vec![rule(day, "*")?, rule("*", &weekdays)?])
}

/// The day-of-week field as a list of day names, because the `cron` crate counts Sunday as 1.
fn weekdays(field: &str) -> Option<String> {
    if field == "*" {
        return Some("*".into());
    }
    let mut chosen = [false; 7];
    for item in field.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|s| *s > 0)?),
            None => (item, 1),
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (weekday(from)?, weekday(to)?),
            None if range == "*" => (0, 6),
            None if item.contains('/') => (weekday(range)?, 6),
            None => (weekday(range)?, weekday(range)?),
        };
        let to = if to < from { to.checked_add(7)? } else { to };
        for day in (from..=to).step_by(step) {
            *chosen.get_mut(day.checked_rem(7)?)? = true;
        }
    }
    let names = DAYS.iter().zip(chosen).filter(|(_, on)| *on).map(|(name, _)| *name);
    Some(names.collect::<Vec<_>>().join(","))
}

fn weekday(text: &str) -> Option<usize> {
    let named = DAYS.iter().position(|day| day.eq_ignore_ascii_case(text));
    named.or_else(|| text.parse().ok().filter(|n| *n <= 7))
}

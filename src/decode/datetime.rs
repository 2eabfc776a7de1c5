//! Times and dates to microseconds and days since 1970. Exact or refused, never shifted by a guessed zone.
//!
//! Absent on purpose: no zone names; only `Z`, an offset, or a declared "naive is UTC".
use super::{fault::Rule, number};
use chrono::NaiveDate;

/// 9999-12-31T23:59:59.999999Z and 0001-01-01T00:00:00Z, in microseconds.
const LAST: i64 = 253_402_300_799_999_999;
const FIRST: i64 = -62_135_596_800_000_000;
/// Days from 0001-01-01 (day 1) to 1970-01-01.
const EPOCH_DAY: i32 = 719_163;
const DAY_S: i64 = 86_400;

/// Seconds (`per_second` 1) or milliseconds (1,000) since 1970, until the end of 9999.
pub(super) fn epoch(text: &[u8], per_second: i64) -> Result<i64, Rule> {
    let value = number::int(text)?;
    let micros = 1_000_000 / per_second;
    if (0..=LAST / micros).contains(&value) { Ok(value * micros) } else { Err(Rule::OutOfRange) }
}

/// `yyyy-mm-dd`, year 1 to 9999.
pub(super) fn date(text: &[u8]) -> Result<i32, Rule> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return Err(Rule::BadTime) };
    let year = i32::try_from(digits(&[*y1, *y2, *y3, *y4])?).map_err(|_| Rule::BadTime)?;
    let month = u32::try_from(digits(&[*m1, *m2])?).map_err(|_| Rule::BadTime)?;
    let day = u32::try_from(digits(&[*d1, *d2])?).map_err(|_| Rule::BadTime)?;
    if year == 0 {
        return Err(Rule::OutOfRange);
    }
    let date = NaiveDate::from_ymd_opt(year, month, day).ok_or(Rule::BadTime)?;
    Ok(chrono::Datelike::num_days_from_ce(&date) - EPOCH_DAY)
}

/// `yyyy-mm-ddThh:mm:ss[.fraction][Z|+hh:mm|+hhmm|+hh]`; a space may stand for the `T`.
/// Fails `TooManyDigits` when the fraction is finer than a microsecond.
pub(super) fn datetime(text: &[u8], naive_utc: bool) -> Result<i64, Rule> {
    let (day, rest) = text.split_at_checked(10).ok_or(Rule::BadTime)?;
    let [b'T' | b' ', h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = rest else {
        return Err(Rule::BadTime);
    };
    let day = i64::from(date(day)?);
    let (hour, minute, second) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?, digits(&[*s1, *s2])?);
    if hour > 23 || minute > 59 || second > 59 {
        return Err(Rule::BadTime);
    }
    let (micros, zone) = fraction(rest)?;
    let offset = offset(zone, naive_utc)?;
    let seconds = day * DAY_S + hour * 3600 + minute * 60 + second - offset;
    let value = seconds * 1_000_000 + micros;
    if (FIRST..=LAST).contains(&value) { Ok(value) } else { Err(Rule::OutOfRange) }
}

/// Microseconds, and what follows the fraction.
fn fraction(text: &[u8]) -> Result<(i64, &[u8]), Rule> {
    let Some(text) = text.strip_prefix(b".") else { return Ok((0, text)) };
    let count = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (fraction, zone) = text.split_at(count);
    if fraction.is_empty() {
        return Err(Rule::BadTime);
    }
    if fraction.iter().skip(6).any(|b| *b != b'0') {
        return Err(Rule::TooManyDigits);
    }
    let padded = fraction.iter().chain(b"000000").take(6);
    Ok((padded.fold(0, |n, b| n * 10 + i64::from(b - b'0')), zone))
}

/// Seconds east of UTC.
fn offset(zone: &[u8], naive_utc: bool) -> Result<i64, Rule> {
    let (sign, rest) = match zone {
        [] if naive_utc => return Ok(0),
        b"Z" => return Ok(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return Err(Rule::BadTime),
    };
    let (hours, minutes) = match rest {
        [h1, h2] => (digits(&[*h1, *h2])?, 0),
        [h1, h2, m1, m2] | [h1, h2, b':', m1, m2] => (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?),
        _ => return Err(Rule::BadTime),
    };
    if hours > 23 || minutes > 59 {
        return Err(Rule::BadTime);
    }
    Ok(sign * (hours * 3600 + minutes * 60))
}

fn digits(text: &[u8]) -> Result<i64, Rule> {
    text.iter().try_fold(0, |n, b| {
        if b.is_ascii_digit() { Ok(n * 10 + i64::from(b - b'0')) } else { Err(Rule::BadTime) }
    })
}

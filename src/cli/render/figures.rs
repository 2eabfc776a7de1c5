//! Numbers a person reads: counts, sizes, lengths of time, points in time.
use crate::time::Timestamp;
use std::time::Duration;

/// Between groups of three digits: narrow, and no line breaks there.
const THIN: char = '\u{202f}';

/// `1 234 567`, grouped thinly.
pub fn grouped(number: u64) -> String {
    group(&number.to_string())
}

/// The same for the text of any decimal number: only digits before the point are grouped.
pub fn group(digits: &str) -> String {
    let (sign, rest) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let (whole, fraction) = rest.split_once('.').map_or((rest, None), |(w, f)| (w, Some(f)));
    let mut text = sign.to_owned();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            text.push(THIN);
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// `1 row`, `2 rows`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// `512 B`, `3.4 MB`: powers of 1,000.
pub fn bytes(number: u64) -> String {
    let units = ["kB", "MB", "GB", "TB"];
    if number < 1000 {
        return format!("{number} B");
    }
    let mut tenths = number / 100;
    for unit in units {
        if tenths < 10_000 || unit == "TB" {
            return decimal(tenths, unit);
        }
        tenths /= 1000;
    }
    format!("{number} B")
}

/// `340 ms`, `2.3 s`, `1m 05s`, `2h 03m`, `3d 04h`.
pub fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..60 => decimal(u64::try_from(time.as_millis() / 100).unwrap_or(u64::MAX), "s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// `2026-01-31 02:00`, UTC.
pub fn minute(t: Timestamp) -> String {
    t.utc().map_or_else(|| t.to_string(), |t| t.format("%Y-%m-%d %H:%M").to_string())
}

/// `now`, `3m 05s ago`, `in 2h 03m`.
pub fn relative(t: Timestamp, now: Timestamp) -> String {
    match (t.since(now), now.since(t)) {
        (ahead, _) if ahead.as_secs() > 0 => format!("in {}", length(ahead)),
        (_, past) if past.as_secs() > 0 => format!("{} ago", length(past)),
        _ => "now".into(),
    }
}

/// One digit after the point below 100, none above.
fn decimal(tenths: u64, unit: &str) -> String {
    match tenths {
        0..1000 => format!("{}.{} {unit}", tenths / 10, tenths % 10),
        _ => format!("{} {unit}", tenths / 10),
    }
}

//! Number texts to exact integers. No float is ever made.
//!
//! Every function takes a well-formed JSON number; whether a string holds one is `is_number`.
use super::{fault::Rule, scan::Scan};
use std::cmp::Ordering;

/// Digits of a rate and those after its point.
pub(super) const RATE: (u8, i8) = (24, 12);

/// The whole of `text` is one JSON number.
pub(super) fn is_number(text: &[u8]) -> bool {
    let mut scan = Scan::record(text);
    matches!(text.first(), Some(b'-' | b'0'..=b'9')) && scan.number().is_ok() && scan.ended()
}

/// An integral number in i64: `1.0` and `1e3` are integral. Fails `FractionInInt` or `OutOfRange`.
pub(super) fn int(text: &[u8]) -> Result<i64, Rule> {
    if let Some(short) = Short::parse(text)
        && short.places == 0
    {
        return Ok(short.value);
    }
    let digits = Digits::parse(text);
    if digits.exponent < 0 {
        return Err(Rule::FractionInInt);
    }
    let value = digits.scaled(0, 19)?;
    i64::try_from(value).map_err(|_| Rule::OutOfRange)
}

/// The number times 10^scale, exact. Fails `TooManyDigits` when a digit other than 0 stands behind the scale, and
/// `OutOfRange` when more than precision - scale digits stand before the point.
pub(super) fn decimal(text: &[u8], precision: u8, scale: i8) -> Result<i128, Rule> {
    let whole = i64::from(precision) - i64::from(scale);
    if let Some(short) = Short::parse(text)
        && let Some(missing) = u32::try_from(scale).ok().and_then(|s| s.checked_sub(short.places))
        && short.has_whole(whole)
    {
        return Ok(i128::from(short.value) * 10_i128.pow(missing));
    }
    let digits = Digits::parse(text);
    if digits.exponent < -i64::from(scale) {
        return Err(Rule::TooManyDigits);
    }
    digits.scaled(i64::from(scale), whole)
}

/// The number times 10^12, rounded half-even. Fails `OutOfRange` beyond 12 digits before the point.
pub(super) fn rate(text: &[u8]) -> Result<i128, Rule> {
    match decimal(text, RATE.0, RATE.1) {
        Err(Rule::TooManyDigits) => {}
        exact => return exact,
    }
    let (precision, scale) = (i64::from(RATE.0), i64::from(RATE.1));
    let digits = Digits::parse(text);
    let kept = digits.count() + digits.exponent + scale;
    if kept > precision {
        return Err(Rule::OutOfRange);
    }
    // A negative `kept` is below a tenth of the last place.
    let Ok(kept) = usize::try_from(kept) else { return Ok(0) };
    let (head, tail) = digits.values.split_at(kept.min(digits.values.len()));
    let floor = sum(head);
    // No digit of `tail` is a trailing zero, so a lone 5 is exactly one half.
    let up = match tail.first().map_or(Ordering::Less, |d| d.cmp(&5)) {
        Ordering::Less => false,
        Ordering::Greater => true,
        Ordering::Equal => tail.len() > 1 || floor % 2 == 1,
    };
    let value = floor + i128::from(up);
    if value >= 10_i128.pow(u32::from(RATE.0)) {
        return Err(Rule::OutOfRange);
    }
    Ok(if digits.negative { -value } else { value })
}

/// A number of at most 18 digits without exponent: nearly all of them.
struct Short {
    value: i64,
    places: u32,
}

impl Short {
    fn parse(text: &[u8]) -> Option<Self> {
        let (negative, digits) = match text.split_first()? {
            (b'-', digits) => (true, digits),
            _ => (false, text),
        };
        if digits.len() > 18 {
            return None;
        }
        let (mut value, mut places, mut point) = (0_i64, 0_u32, false);
        for b in digits {
            match b {
                b'0'..=b'9' => {
                    value = value * 10 + i64::from(b - b'0');
                    places += u32::from(point);
                }
                b'.' => point = true,
                _ => return None,
            }
        }
        Some(Self { value: if negative { -value } else { value }, places })
    }
    /// At most `whole` digits before the point.
    fn has_whole(&self, whole: i64) -> bool {
        let limit = u32::try_from(whole).ok().and_then(|whole| 10_u64.checked_pow(whole + self.places));
        limit.is_none_or(|limit| self.value.unsigned_abs() < limit)
    }
}

/// Any number: `values` (0..=9 each, no zero at either end) times 10^exponent. Zero has no digits.
struct Digits {
    negative: bool,
    values: Vec<u8>,
    exponent: i64,
}

impl Digits {
    fn parse(text: &[u8]) -> Self {
        let negative = text.first() == Some(&b'-');
        let mut parts = text.splitn(2, |b| matches!(b, b'e' | b'E'));
        let mantissa = parts.next().unwrap_or_default();
        let mut exponent = parts.next().map_or(0, power);
        let mut values = Vec::with_capacity(mantissa.len());
        let mut point = false;
        for b in mantissa {
            match b {
                b'0'..=b'9' => {
                    values.push(b - b'0');
                    exponent -= i64::from(point);
                }
                b'.' => point = true,
                _ => {}
            }
        }
        let zeros = values.iter().take_while(|d| **d == 0).count();
        values.drain(..zeros);
        while values.pop_if(|d| *d == 0).is_some() {
            exponent += 1;
        }
        if values.is_empty() {
            exponent = 0;
        }
        Self { negative, values, exponent }
    }
    fn count(&self) -> i64 {
        i64::try_from(self.values.len()).unwrap_or(i64::MAX / 2)
    }
    /// Times 10^scale; the exponent is at least -scale. At most `whole` digits before the point, and
    /// whole + scale <= 38, so that i128 holds it.
    fn scaled(&self, scale: i64, whole: i64) -> Result<i128, Rule> {
        if !self.values.is_empty() && self.count() + self.exponent > whole {
            return Err(Rule::OutOfRange);
        }
        let zeros = u32::try_from(self.exponent + scale).map_err(|_| Rule::OutOfRange)?;
        let value = sum(&self.values)
            .checked_mul(10_i128.checked_pow(zeros).ok_or(Rule::OutOfRange)?)
            .ok_or(Rule::OutOfRange)?;
        Ok(if self.negative { -value } else { value })
    }
}

fn sum(digits: &[u8]) -> i128 {
    digits.iter().fold(0, |n, d| n * 10 + i128::from(*d))
}

/// An exponent's text as a number, held within +-10^12: beyond that every number of a body is 0 or too large.
fn power(text: &[u8]) -> i64 {
    const LIMIT: i64 = 1_000_000_000_000;
    let size = text
        .iter()
        .filter(|b| b.is_ascii_digit())
        .fold(0_i64, |n, b| (n * 10 + i64::from(b - b'0')).min(LIMIT));
    if text.first() == Some(&b'-') { -size } else { size }
}

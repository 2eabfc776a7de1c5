//! Decimal arithmetic that either keeps every digit or says no. No floats, no silent rounding.

/// Why a value does not fit, as the rule of a reject.
pub(super) type Rule = &'static str;

/// More digits after the point than the target holds.
pub(super) const TOO_MANY_DIGITS: Rule = "too_many_digits";
/// More digits before the point than the target holds.
pub(super) const OUT_OF_RANGE: Rule = "out_of_range";
/// Not a plain decimal number.
pub(super) const BAD_NUMBER_TEXT: Rule = "bad_number_text";

/// 10^0 to 10^38: looked up for every amount, where a power costs more than all the rest.
#[expect(clippy::indexing_slicing, reason = "checked while compiling")]
const POWERS: [i128; 39] = {
    let mut powers = [1; 39];
    let mut n = 1;
    while n < 39 {
        powers[n] = powers[n - 1] * 10;
        n += 1;
    }
    powers
};

/// 10^n; None above 38.
pub(super) fn pow10(n: u32) -> Option<i128> {
    POWERS.get(n as usize).copied()
}

/// `value` at `from` digits after the point as the same number at `to`, within `precision` digits.
pub(super) fn rescale(value: i128, from: i8, to: i8, precision: u8) -> Result<i128, Rule> {
    let by = |n: i8| pow10(u32::from(n.unsigned_abs())).ok_or(OUT_OF_RANGE);
    let moved = if to >= from {
        value.checked_mul(by(to - from)?).ok_or(OUT_OF_RANGE)?
    } else {
        let unit = by(from - to)?;
        if value % unit != 0 {
            return Err(TOO_MANY_DIGITS);
        }
        value / unit
    };
    within(moved, precision)
}

/// The value itself when it has at most `precision` digits.
pub(super) fn within(value: i128, precision: u8) -> Result<i128, Rule> {
    let limit = pow10(u32::from(precision)).unwrap_or(i128::MAX);
    if value.unsigned_abs() < limit.unsigned_abs() { Ok(value) } else { Err(OUT_OF_RANGE) }
}

/// Plain decimal text (`-12.50`), exact at `scale`. No exponent, sign `+`, spaces or bare point.
pub(super) fn parse(text: &str, scale: i8, precision: u8) -> Result<i128, Rule> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) | Some(("", _)) => return Err(BAD_NUMBER_TEXT),
        Some(parts) => parts,
        None => (digits, ""),
    };
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return Err(BAD_NUMBER_TEXT);
    }
    let fraction = fraction.trim_end_matches('0');
    let mut value = 0_i128;
    for b in whole.bytes().chain(fraction.bytes()) {
        value =
            value.checked_mul(10).and_then(|v| v.checked_add(i128::from(b - b'0'))).ok_or(OUT_OF_RANGE)?;
    }
    let from = i8::try_from(fraction.len()).map_err(|_| TOO_MANY_DIGITS)?;
    rescale(if negative { -value } else { value }, from, scale, precision)
}

/// `value` at `from` digits after the point, rounded half to even at `to`.
pub(super) fn round_half_even(value: i128, from: i8, to: i8, precision: u8) -> Result<i128, Rule> {
    if to >= from {
        return rescale(value, from, to, precision);
    }
    let unit = pow10(u32::from((from - to).unsigned_abs())).ok_or(OUT_OF_RANGE)?;
    let (quotient, rest) = (value / unit, (value % unit).abs());
    let up = rest * 2 > unit || (rest * 2 == unit && quotient % 2 != 0);
    within(if up { quotient + value.signum() } else { quotient }, precision)
}

/// `value` at `scale` digits after the point as plain text without trailing zeros.
pub(super) fn text(value: i128, scale: i8) -> String {
    let places = usize::from(scale.max(0).unsigned_abs());
    let digits = value.unsigned_abs().to_string();
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len() - places);
    let fraction = fraction.trim_end_matches('0');
    let sign = if value < 0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

//! What is an amount? Exact decimals, three currencies, rounding and sharing. Absent: floats, conversion.
use std::fmt;

/// The currencies of the billing world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Currency {
    /// US dollar, the site's base currency.
    Usd,
    /// Euro.
    Eur,
    /// Yen: no minor unit.
    Jpy,
}

impl Currency {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Usd, Self::Eur, Self::Jpy];
    /// ISO 4217 code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Usd => "USD",
            Self::Eur => "EUR",
            Self::Jpy => "JPY",
        }
    }
    /// Digits after the point of the minor unit.
    pub const fn exponent(self) -> u32 {
        match self {
            Self::Usd | Self::Eur => 2,
            Self::Jpy => 0,
        }
    }
    /// One unit of it in the base currency.
    pub const fn base_rate(self) -> Dec {
        match self {
            Self::Usd => Dec::new(1, 0),
            Self::Eur => Dec::new(10_843, 4),
            Self::Jpy => Dec::new(671_234, 8),
        }
    }
}

/// `mantissa / 10^scale`, exact. Displays plain, without trailing zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dec {
    /// Digits with sign.
    pub mantissa: i128,
    /// Digits after the point.
    pub scale: u32,
}

impl Dec {
    /// `mantissa / 10^scale`.
    pub const fn new(mantissa: i128, scale: u32) -> Self {
        Self { mantissa, scale }
    }
    /// An amount in minor units as major units.
    pub const fn minor(amount: i64, currency: Currency) -> Self {
        Self { mantissa: amount as i128, scale: currency.exponent() }
    }
    /// Exact product.
    #[must_use]
    pub const fn times(self, other: Self) -> Self {
        Self { mantissa: self.mantissa.saturating_mul(other.mantissa), scale: self.scale + other.scale }
    }
    /// In units of `10^-digits`, rounded half to even.
    pub fn rounded(self, digits: u32) -> i64 {
        if self.scale <= digits {
            return narrow(self.mantissa.saturating_mul(10_i128.pow(digits - self.scale)));
        }
        divide(self.mantissa, 10_i128.pow(self.scale - digits))
    }
    /// As a JSON number that is always written with a point: `19.0`, `8.875`.
    pub fn float_text(self) -> String {
        let text = self.to_string();
        if text.contains('.') { text } else { format!("{text}.0") }
    }
}

impl fmt::Display for Dec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let power = 10_u128.pow(self.scale);
        let digits = self.mantissa.unsigned_abs();
        let sign = if self.mantissa < 0 { "-" } else { "" };
        write!(f, "{sign}{}", digits / power)?;
        let rest = digits % power;
        if rest != 0 {
            let text = format!("{rest:0width$}", width = self.scale as usize);
            write!(f, ".{}", text.trim_end_matches('0'))?;
        }
        Ok(())
    }
}

fn narrow(n: i128) -> i64 {
    i64::try_from(n).unwrap_or(if n < 0 { i64::MIN } else { i64::MAX })
}

/// `n / d` rounded half to even; `d` is positive. Zero when `d` is zero.
pub fn divide(n: i128, d: i128) -> i64 {
    if d == 0 {
        return 0;
    }
    let floor = n.div_euclid(d);
    let twice = n.rem_euclid(d).saturating_mul(2);
    let up = twice > d || (twice == d && floor.rem_euclid(2) == 1);
    narrow(if up { floor + 1 } else { floor })
}

/// `amount * part / whole`, rounded half to even; zero when `whole` is zero.
pub fn portion(amount: i64, part: i64, whole: i64) -> i64 {
    divide(i128::from(amount) * i128::from(part), i128::from(whole))
}

/// Splits `total` over `weights` by largest remainder, ties to the first. The parts sum to `total` whenever a
/// weight is positive.
pub fn share(total: i64, weights: &[i64]) -> Vec<i64> {
    let sum: i128 = weights.iter().map(|w| i128::from(*w)).sum();
    if sum <= 0 {
        return vec![0; weights.len()];
    }
    let exact = |w: &i64| i128::from(total) * i128::from(*w);
    let mut parts: Vec<i64> = weights.iter().map(|w| narrow(exact(w).div_euclid(sum))).collect();
    let mut order: Vec<(i128, usize)> =
        weights.iter().enumerate().map(|(i, w)| (-exact(w).rem_euclid(sum), i)).collect();
    order.sort_unstable();
    let left = total - parts.iter().sum::<i64>();
    for (_, i) in order.iter().take(usize::try_from(left).unwrap_or(0)) {
        if let Some(part) = parts.get_mut(*i) {
            *part += 1;
        }
    }
    parts
}

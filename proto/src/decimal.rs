//! Fixed-point numbers with two decimals. Instruments print decimal text; binary floating point
//! would make `-2.25` comparable only by luck, so values are whole hundredths inside and plain JSON
//! numbers on the wire.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};

/// A decimal number counted in hundredths: `Hundredths(-225)` is -2.25. The unit is the field's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hundredths(pub i32);

/// Hundredths of a dioptre (1/m): refracting power, or prism dioptres (cm/m) where a field says so.
pub type Dioptres = Hundredths;

/// Largest magnitude that is taken for a measured value, in hundredths.
pub const HUNDREDTHS_MAX: i32 = 10_000_000;

/// Why a text is not a decimal number with at most two decimals.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a decimal number with at most two decimals")]
pub struct DecimalError(pub String);

impl Hundredths {
    pub const ZERO: Self = Self(0);

    pub const fn whole(units: i32) -> Self {
        Self(units * 100)
    }
    pub fn to_f64(self) -> f64 {
        f64::from(self.0) / 100.0
    }
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }
    pub fn abs(self) -> Self {
        Self(self.0.abs())
    }
}

impl fmt::Display for Hundredths {
    /// Two decimals and a minus sign where one is due. `{:+}` shows a plus as well.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.0 {
            n if n < 0 => "-",
            n if n > 0 && f.sign_plus() => "+",
            _ => "",
        };
        let magnitude = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", magnitude / 100, magnitude % 100)
    }
}

impl FromStr for Hundredths {
    type Err = DecimalError;

    /// Reads `-2.25`, `+00.50`, `7.8`, `62`, `.5`. No exponent, no blanks, no comma; a third
    /// decimal is refused unless it is zero, because dropping it would be rounding.
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let err = || DecimalError(text.chars().take(32).collect());
        let (negative, digits) = match text.as_bytes() {
            [b'-', ..] => (true, &text[1..]),
            [b'+', ..] => (false, &text[1..]),
            _ => (false, text),
        };
        let (units, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if units.len() + decimals.len() == 0 || !all_digits(units) || !all_digits(decimals) {
            return Err(err());
        }
        let (kept, dropped) = decimals.split_at(decimals.len().min(2));
        if units.len() > 6 || dropped.bytes().any(|byte| byte != b'0') {
            return Err(err());
        }
        let units: i32 = if units.is_empty() { 0 } else { units.parse().map_err(|_| err())? };
        let decimals: i32 = match kept.len() {
            0 => 0,
            1 => kept.parse::<i32>().map_err(|_| err())? * 10,
            _ => kept.parse().map_err(|_| err())?,
        };
        let magnitude = units * 100 + decimals;
        if magnitude > HUNDREDTHS_MAX {
            return Err(err()); // could be written to the wire but not be read from it
        }
        Ok(Self(if negative { -magnitude } else { magnitude }))
    }
}

impl Serialize for Hundredths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 100 == 0 {
            serializer.serialize_i32(self.0 / 100)
        } else {
            serializer.serialize_f64(self.to_f64())
        }
    }
}

impl<'de> Deserialize<'de> for Hundredths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        let hundredths = (number * 100.0).round();
        let is_exact = (number * 100.0 - hundredths).abs() < 1e-6;
        if !is_exact || hundredths.abs() > f64::from(HUNDREDTHS_MAX) {
            return Err(de::Error::custom(format!(
                "{number} is not a number with at most two decimals up to {}",
                HUNDREDTHS_MAX / 100
            )));
        }
        Ok(Self(hundredths as i32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_instruments_print_and_nothing_else() {
        for (text, hundredths) in
            [("-02.25", -225), ("+00.00", 0), ("-0.00", 0), ("7.8", 780), ("62", 6200), (".5", 50)]
        {
            assert_eq!(text.parse(), Ok(Hundredths(hundredths)), "{text}");
        }
        for text in [
            "",
            "-",
            ".",
            "1e3",
            " 1",
            "1 ",
            "1,5",
            "0x1",
            "1.2.3",
            "--1",
            "0.125",
            "٣",
            "100000.01",
        ] {
            assert!(text.parse::<Hundredths>().is_err(), "{text:?} must be refused");
        }
        assert_eq!("0.560".parse(), Ok(Hundredths(56)));
    }

    #[test]
    fn shows_two_decimals() {
        assert_eq!(Hundredths(-5).to_string(), "-0.05");
        assert_eq!(format!("{:+}", Hundredths(125)), "+1.25");
        assert_eq!(format!("{:+}", Hundredths(0)), "0.00");
    }
}

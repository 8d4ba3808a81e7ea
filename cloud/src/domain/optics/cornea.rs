//! From radius to power of the cornea and back (R27): only where one of them was not sent, and
//! always with the index named.

use chiasm_proto::Hundredths;

/// The index of refraction by which a keratometer turns radius into power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// Ten-thousandths above 1: 3375 is 1.3375.
    above_one: i32,
}

impl Index {
    /// What most keratometers use.
    pub const USUAL: Index = Index { above_one: 3375 };

    /// An index as sent: `1.3375`, `1.332`. None for what is no index of a cornea.
    pub fn from_sent(text: &str) -> Option<Self> {
        let decimals = text.trim().strip_prefix("1.")?;
        let is_plain =
            (1..=4).contains(&decimals.len()) && decimals.bytes().all(|byte| byte.is_ascii_digit());
        let above_one = format!("{decimals:0<4}").parse().ok().filter(|_| is_plain)?;
        (3000..=4000).contains(&above_one).then_some(Self { above_one })
    }
}

impl std::fmt::Display for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "n = 1.{}", format!("{:04}", self.above_one).trim_end_matches('0'))
    }
}

/// Shortest and longest radius that is converted, in mm: no cornea is beyond.
const RADIUS_MM: std::ops::RangeInclusive<i32> = 300..=1500;

/// Power of a radius in mm: 7.50 mm is 45.00 D with 1.3375.
pub fn dioptres_of_radius(radius_mm: Hundredths, index: Index) -> Option<Hundredths> {
    let rounded = || (index.above_one * 1000 * 2 + radius_mm.0) / (2 * radius_mm.0);
    RADIUS_MM.contains(&radius_mm.0).then(|| Hundredths(rounded()))
}

/// Radius in mm of a power.
pub fn radius_of_dioptres(power: Hundredths, index: Index) -> Option<Hundredths> {
    if power.0 <= 0 {
        return None;
    }
    let radius =
        (i64::from(index.above_one) * 2000 + i64::from(power.0)) / (2 * i64::from(power.0));
    let radius = i32::try_from(radius).ok().filter(|radius| RADIUS_MM.contains(radius));
    radius.map(Hundredths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn r27_known_powers() {
        for (mm, index, dioptres) in [
            (750, "1.3375", 4500),
            (780, "1.3375", 4327),
            (844, "1.3375", 3999),
            (750, "1.332", 4427),
            (750, "1.336", 4480),
        ] {
            let index = Index::from_sent(index).unwrap();
            assert_eq!(dioptres_of_radius(Hundredths(mm), index), Some(Hundredths(dioptres)));
        }
        assert_eq!(radius_of_dioptres(Hundredths(4500), Index::USUAL), Some(Hundredths(750)));
        for mm in [0, -750, 299, 1501] {
            assert_eq!(dioptres_of_radius(Hundredths(mm), Index::USUAL), None, "{mm}");
        }
        for power in [0, -4500, 1, i32::MAX] {
            assert_eq!(radius_of_dioptres(Hundredths(power), Index::USUAL), None, "{power}");
        }
    }

    #[test]
    fn r27_the_index_is_named_and_never_guessed() {
        assert_eq!(Index::from_sent("1.3375"), Some(Index::USUAL));
        for (sent, shown) in
            [("1.3375", "n = 1.3375"), ("1.332", "n = 1.332"), (" 1.336 ", "n = 1.336")]
        {
            assert_eq!(Index::from_sent(sent).unwrap().to_string(), shown);
        }
        for sent in ["", "1", "1.", "1.33751", "1.5168", "0.3375", "1,3375", "1.33x", "n", "1.+33"]
        {
            assert_eq!(Index::from_sent(sent), None, "{sent}");
        }
    }

    proptest! {
        #[test]
        fn r27_there_and_back_is_the_same_radius(mm in 500_i32..1000) {
            let power = dioptres_of_radius(Hundredths(mm), Index::USUAL).unwrap();
            prop_assert_eq!(radius_of_dioptres(power, Index::USUAL), Some(Hundredths(mm)));
        }
    }
}

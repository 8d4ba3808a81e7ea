//! How far finished lenses may be from their order. A standard of the country says so and is sold,
//! not ours to know: the numbers stand in the configuration, and the page names their source.

use chiasm_proto::Hundredths;
use serde::Deserialize;

/// Most bands of one value.
pub const BANDS_MAX: usize = 20;

/// Of all values. Defaults are those commonly cited from ANSI Z80.1.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tolerances {
    /// Where the numbers are from, shown beside every comparison.
    pub source: String,
    /// By the stronger meridian of the ordered lens.
    pub sphere: Vec<Band>,
    pub cylinder: Vec<Band>,
    /// By the ordered cylinder.
    pub axis: Vec<AxisBand>,
    pub add: Vec<Band>,
    /// Of each component of each lens, in prism dioptres.
    pub prism: Hundredths,
}

/// Powers up to a limit, and what they may differ by: so many dioptres, or a share of the power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// Dioptres, either way; none in the last band.
    pub up_to: Option<Hundredths>,
    /// Dioptres.
    pub within: Option<Hundredths>,
    pub percent: Option<Hundredths>,
}

/// Cylinders up to a limit, and by how many degrees the axis may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AxisBand {
    pub up_to: Option<Hundredths>,
    pub within_deg: i16,
}

const fn within(up_to: Option<i32>, within: i32) -> Band {
    let up_to = match up_to {
        Some(up_to) => Some(Hundredths(up_to)),
        None => None,
    };
    Band { up_to, within: Some(Hundredths(within)), percent: None }
}
const fn percent(percent: i32) -> Band {
    Band { up_to: None, within: None, percent: Some(Hundredths::whole(percent)) }
}

impl Default for Tolerances {
    fn default() -> Self {
        let axis =
            |up_to: Option<i32>, within_deg| AxisBand { up_to: up_to.map(Hundredths), within_deg };
        Self {
            source: "ANSI Z80.1 as commonly cited: check your edition".into(),
            sphere: vec![within(Some(650), 13), percent(2)],
            cylinder: vec![within(Some(200), 13), within(Some(450), 15), percent(4)],
            axis: vec![
                axis(Some(25), 14),
                axis(Some(50), 7),
                axis(Some(75), 5),
                axis(Some(150), 3),
                axis(None, 2),
            ],
            add: vec![within(Some(400), 12), within(None, 18)],
            prism: Hundredths(33),
        }
    }
}

impl Tolerances {
    /// What is wrong with the numbers, for whoever wrote them into the configuration.
    pub fn fault(&self) -> Option<&'static str> {
        let bands = [&self.sphere, &self.cylinder, &self.add];
        if bands.iter().any(|bands| !is_ladder(bands.iter().map(|band| band.up_to))) {
            return Some("`up_to` must rise from band to band and be left out in the last one");
        }
        if !is_ladder(self.axis.iter().map(|band| band.up_to)) {
            return Some("`axis`: `up_to` must rise and be left out in the last band");
        }
        let is_whole = |band: &Band| {
            band.within.is_some() != band.percent.is_some()
                && band.within.or(band.percent).is_some_and(|it| it.0 >= 0)
                && band.percent.is_none_or(|it| it <= Hundredths::whole(100))
        };
        if !bands.iter().all(|bands| bands.iter().all(is_whole)) {
            return Some("give each band either `within` in dioptres or `percent` up to 100");
        }
        if self.axis.iter().any(|band| !(0..=90).contains(&band.within_deg)) {
            return Some("`axis`: `within_deg` is a number of degrees from 0 to 90");
        }
        (self.prism.0 < 0).then_some("`prism` is a number of prism dioptres from 0 on")
    }

    pub(super) fn axis_deg(&self, cylinder: Hundredths) -> i16 {
        let fits = |band: &&AxisBand| band.up_to.is_none_or(|up_to| cylinder.abs() <= up_to);
        self.axis.iter().find(fits).map_or(0, |band| band.within_deg)
    }
}

/// What a power may differ by, in dioptres, cut to whole hundredths as instruments give them.
pub(super) fn of(bands: &[Band], power: Hundredths) -> Hundredths {
    let power = power.abs();
    let fits = |band: &&Band| band.up_to.is_none_or(|up_to| power <= up_to);
    let Some(band) = bands.iter().find(fits) else { return Hundredths::ZERO };
    let share = |percent: Hundredths| {
        let share = i64::from(power.0) * i64::from(percent.0) / 10_000;
        Hundredths(i32::try_from(share).unwrap_or(i32::MAX))
    };
    band.within.or(band.percent.map(share)).unwrap_or_default()
}

fn is_ladder(up_to: impl ExactSizeIterator<Item = Option<Hundredths>>) -> bool {
    let count = up_to.len();
    let mut last = Hundredths(-1);
    let mut is_right = (1..=BANDS_MAX).contains(&count);
    for (index, limit) in up_to.enumerate() {
        match limit {
            Some(limit) => {
                is_right &= index + 1 < count && limit > last;
                last = limit;
            }
            None => is_right &= index + 1 == count,
        }
    }
    is_right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_as_cited() {
        let it = Tolerances::default();
        assert_eq!(it.fault(), None);
        let sphere = |power| of(&it.sphere, Hundredths(power)).0;
        assert_eq!([0, 650, -650, 700, -1000].map(sphere), [13, 13, 13, 14, 20]);
        let cylinder = |power| of(&it.cylinder, Hundredths(power)).0;
        assert_eq!([-200, -201, 450, 500].map(cylinder), [13, 15, 15, 20]);
        let axis = |power| it.axis_deg(Hundredths(power));
        assert_eq!([-25, -50, 75, -150, 151].map(axis), [14, 7, 5, 3, 2]);
        let add = |power| of(&it.add, Hundredths(power)).0;
        assert_eq!([400, 425].map(add), [12, 18]);
    }

    #[test]
    fn tables_with_holes_are_refused() {
        let good = Tolerances::default();
        for sphere in [
            vec![],
            vec![within(Some(650), 13)],
            vec![within(None, 13), within(None, 13)],
            vec![within(Some(650), 13), within(Some(600), 13), percent(2)],
            vec![Band { up_to: None, within: None, percent: None }],
        ] {
            let it = Tolerances { sphere, ..good.clone() };
            assert!(it.fault().is_some(), "{:?}", it.sphere);
        }
        assert!(Tolerances { prism: Hundredths(-1), ..good }.fault().is_some());
    }
}

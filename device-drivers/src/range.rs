//! What is usual and what is plausible (design rule R22: limits only flag, they drop nothing).

use chiasm_proto::{FlagCode, Hundredths};

/// Two intervals around a quantity; the ends belong to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Beyond it: look again.
    pub soft: (Hundredths, Hundredths),
    /// Beyond it: kept as sent, but a person has to accept it explicitly.
    pub hard: (Hundredths, Hundredths),
}

const fn range(soft: (i32, i32), hard: (i32, i32)) -> Range {
    Range {
        soft: (Hundredths(soft.0), Hundredths(soft.1)),
        hard: (Hundredths(hard.0), Hundredths(hard.1)),
    }
}

/// Dioptres.
pub const SPHERE_EYE: Range = range((-2000, 2000), (-4000, 4000));
/// Dioptres.
pub const SPHERE_LENS: Range = range((-2000, 2000), (-3000, 3000));
/// Dioptres.
pub const CYLINDER: Range = range((-600, 600), (-1500, 1500));
/// Dioptres.
pub const ADD: Range = range((0, 400), (0, 1000));
/// Prism dioptres.
pub const PRISM: Range = range((-1000, 1000), (-3000, 3000));
/// Millimetres.
pub const K_RADIUS: Range = range((650, 950), (300, 1600));
/// Dioptres.
pub const K_POWER: Range = range((3600, 5200), (2000, 10000));
/// Dioptres.
pub const K_CYLINDER: Range = range((-500, 500), (-1500, 1500));
/// Millimetres, both eyes together.
pub const PUPILLARY_DISTANCE: Range = range((4800, 7500), (2000, 9500));
/// Millimetres, from the middle of the nose to one eye. Wider than half of the whole distance on
/// both sides, for faces are not symmetrical; there is no narrower range that is usual.
pub const PUPILLARY_DISTANCE_HALF: Range = range((1200, 4500), (1200, 4500));
/// Millimetres. From a pupil under miotics (about 1) to one that is dilated as far as the iris goes
/// (about 9); anything in between is usual in some light.
pub const PUPIL: Range = range((100, 1000), (100, 1000));
/// Millimetres, white to white. Adults have about 10.5 to 13; microcornea of an infant (8) and
/// megalocornea (up to 16) are real and rare.
pub const CORNEA: Range = range((1000, 1350), (800, 1600));
/// Millimetres.
pub const VERTEX_DISTANCE: Range = range((0, 2000), (0, 3000));
/// Centimetres.
pub const WORKING_DISTANCE: Range = range((0, 70000), (0, 70000));
/// Millimetres.
pub const AXIAL_LENGTH: Range = range((2000, 2800), (1000, 4500));
/// mmHg.
pub const IOP: Range = range((800, 2500), (0, 8000));
/// Micrometres (times 100, as all of these).
pub const CCT: Range = range((45000, 65000), (20000, 100000));

impl Range {
    /// How a value stands out, if it does.
    pub fn judge(&self, value: Hundredths) -> Option<FlagCode> {
        let beyond = |(low, high): (Hundredths, Hundredths)| value < low || value > high;
        if beyond(self.hard) {
            Some(FlagCode::Implausible)
        } else {
            beyond(self.soft).then_some(FlagCode::Unusual)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_belong_to_the_interval() {
        assert_eq!(IOP.judge(Hundredths(800)), None);
        assert_eq!(IOP.judge(Hundredths(799)), Some(FlagCode::Unusual));
        assert_eq!(IOP.judge(Hundredths(6800)), Some(FlagCode::Unusual));
        assert_eq!(IOP.judge(Hundredths(8001)), Some(FlagCode::Implausible));
        assert_eq!(ADD.judge(Hundredths(-25)), Some(FlagCode::Implausible));
    }
}

//! Power vectors (R8): refractions as points, whose distance means something.

use super::Power;

/// Spherical equivalent and the two crossed cylinders, in dioptres.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PowerVector {
    pub m: f64,
    /// At 0 and 90 degrees; positive with the rule.
    pub j0: f64,
    /// At 45 and 135 degrees.
    pub j45: f64,
}

impl PowerVector {
    /// None where a cylinder came without an axis.
    pub fn of(power: Power) -> Option<Self> {
        let m = power.spherical_equivalent();
        if power.cylinder.is_zero() {
            return Some(Self { m, j0: 0.0, j45: 0.0 });
        }
        let angle = 2.0 * f64::from(power.axis_deg()?).to_radians();
        let half = -power.cylinder.to_f64() / 2.0;
        Some(Self { m, j0: half * angle.cos(), j45: half * angle.sin() })
    }

    /// Length of the difference in dioptres: one number for how far two refractions are apart.
    pub fn distance(self, other: Self) -> f64 {
        let (m, j0, j45) = (self.m - other.m, self.j0 - other.j0, self.j45 - other.j45);
        (m * m + j0 * j0 + j45 * j45).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::power, *};
    use chiasm_proto::Hundredths;
    use proptest::prelude::*;

    fn of(sphere: i32, cylinder: i32, axis: i16) -> PowerVector {
        let power = Power::new(Hundredths(sphere), Hundredths(cylinder), Some(axis));
        PowerVector::of(power).unwrap()
    }
    fn is_near(one: PowerVector, other: PowerVector) -> bool {
        one.distance(other) < 1e-9
    }

    #[test]
    fn r8_known_vectors() {
        for (vector, (m, j0, j45)) in [
            (of(-200, -100, 180), (-2.5, 0.5, 0.0)),
            (of(-200, -100, 90), (-2.5, -0.5, 0.0)),
            (of(-200, -100, 45), (-2.5, 0.0, 0.5)),
            (of(-200, -100, 135), (-2.5, 0.0, -0.5)),
            (of(125, 0, 0), (1.25, 0.0, 0.0)),
        ] {
            assert!(is_near(vector, PowerVector { m, j0, j45 }), "{vector:?}");
        }
        // 178 and 2 are neighbours; 90 degrees apart is the whole cylinder.
        assert!(of(0, -100, 178).distance(of(0, -100, 2)) < 0.08);
        assert!((of(0, -100, 10).distance(of(0, -100, 100)) - 1.0).abs() < 1e-9);
        let no_axis = Power::new(Hundredths(0), Hundredths(-50), None);
        assert_eq!(PowerVector::of(no_axis), None);
    }

    proptest! {
        #[test]
        fn r8_a_transposed_lens_is_the_same_point(power in power()) {
            let other = power.transposed().unwrap();
            let (one, other) = (PowerVector::of(power).unwrap(), PowerVector::of(other).unwrap());
            prop_assert!(is_near(one, other), "{:?} {:?}", one, other);
        }
        #[test]
        fn r8_a_distance_is_a_distance(one in power(), other in power(), third in power()) {
            let of = |power| PowerVector::of(power).unwrap();
            let (one, other, third) = (of(one), of(other), of(third));
            let length = one.distance(other);
            prop_assert!((length - other.distance(one)).abs() < 1e-9);
            prop_assert!(one.distance(one) < 1e-9);
            prop_assert!(length <= one.distance(third) + third.distance(other) + 1e-9);
        }
    }
}

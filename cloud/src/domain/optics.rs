//! Arithmetic of refractions, for display only (R5-R10, R27): what an instrument sent stays as it
//! was sent. Dioptres are [`Hundredths`]; distances are in millimetres, angles in degrees.

mod cornea;
mod vector;

pub use cornea::{Index, dioptres_of_radius, radius_of_dioptres};
pub use vector::PowerVector;

use chiasm_proto::{Hundredths, RefractionValue};

/// From this power on (either meridian) the vertex distance changes a value by what a prescription
/// would notice (R10).
pub const VERTEX_MATTERS_FROM: Hundredths = Hundredths::whole(4);

/// Farthest distance between lens and eye that is taken for one, in mm.
pub const VERTEX_MAX_MM: Hundredths = Hundredths::whole(30);

/// Sphere, cylinder and axis of one lens or one eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Power {
    pub sphere: Hundredths,
    pub cylinder: Hundredths,
    /// 1 to 180; none where there is no cylinder, or where a cylinder came without (R7).
    axis_deg: Option<i16>,
}

/// In which form of writing a cylinder is shown (R6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Notation {
    #[default]
    AsSent,
    Minus,
    Plus,
}

impl Notation {
    pub const ALL: [Notation; 3] = [Notation::AsSent, Notation::Minus, Notation::Plus];

    /// The word in columns and forms.
    pub fn as_str(self) -> &'static str {
        match self {
            Notation::AsSent => "as_sent",
            Notation::Minus => "minus",
            Notation::Plus => "plus",
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|notation| notation.as_str() == text)
    }
    /// For people.
    pub fn label(self) -> &'static str {
        match self {
            Notation::AsSent => "as sent",
            Notation::Minus => "minus cylinder",
            Notation::Plus => "plus cylinder",
        }
    }
}

impl Power {
    /// Brings the axis into 1 to 180 and drops it where there is no cylinder.
    pub fn new(sphere: Hundredths, cylinder: Hundredths, axis_deg: Option<i16>) -> Self {
        let axis_deg = axis_deg.filter(|_| !cylinder.is_zero()).map(normal_axis);
        Self { sphere, cylinder, axis_deg }
    }
    pub fn axis_deg(&self) -> Option<i16> {
        self.axis_deg
    }

    /// The same lens with the other sign of cylinder (R5). A cylinder without an axis cannot be
    /// turned, nor one beyond what numbers hold: then there is none.
    pub fn transposed(self) -> Option<Self> {
        if self.cylinder.is_zero() {
            return Some(self);
        }
        let axis = self.axis_deg?;
        let sphere = Hundredths(self.sphere.0.checked_add(self.cylinder.0)?);
        let cylinder = Hundredths(self.cylinder.0.checked_neg()?);
        Some(Self::new(sphere, cylinder, Some(axis + 90)))
    }

    /// Written in a notation, and whether that needed a transposition. As it is where it cannot be
    /// transposed.
    pub fn written_in(self, notation: Notation) -> (Self, bool) {
        let is_other = match notation {
            Notation::AsSent => false,
            Notation::Minus => self.cylinder.0 > 0,
            Notation::Plus => self.cylinder.0 < 0,
        };
        match self.transposed().filter(|_| is_other) {
            Some(other) => (other, true),
            None => (self, false),
        }
    }

    /// Spherical equivalent in dioptres: half a hundredth is possible.
    pub fn spherical_equivalent(&self) -> f64 {
        self.sphere.to_f64() + self.cylinder.to_f64() / 2.0
    }

    /// Whether a meridian reaches [`VERTEX_MATTERS_FROM`].
    pub fn is_strong(&self) -> bool {
        let other = self.sphere.0.saturating_add(self.cylinder.0).saturating_abs();
        self.sphere.0.saturating_abs().max(other) >= VERTEX_MATTERS_FROM.0
    }

    /// What has the same effect on the eye when it stands `to_mm` instead of `from_mm` in front of
    /// the cornea (R10): each meridian by itself, the axis unchanged, rounded to a hundredth.
    /// None beyond [`VERTEX_MAX_MM`] and where the power would have no end.
    pub fn at_vertex(self, from_mm: Hundredths, to_mm: Hundredths) -> Option<Self> {
        let is_distance = |mm: Hundredths| (0..=VERTEX_MAX_MM.0).contains(&mm.0);
        if !is_distance(from_mm) || !is_distance(to_mm) {
            return None;
        }
        let nearer_m = (from_mm.to_f64() - to_mm.to_f64()) / 1000.0;
        let moved = |power: f64| {
            let rest = 1.0 - nearer_m * power;
            (rest > 0.1).then(|| (power / rest * 100.0).round())
        };
        let sphere = moved(self.sphere.to_f64())?;
        let other = moved(self.sphere.to_f64() + self.cylinder.to_f64())?;
        let whole = |hundredths: f64| Hundredths(hundredths as i32);
        Some(Self::new(whole(sphere), whole(other - sphere), self.axis_deg))
    }
}

impl From<RefractionValue> for Power {
    fn from(it: RefractionValue) -> Self {
        Self::new(it.sphere, it.cylinder, it.axis_deg)
    }
}

/// An axis as 1 to 180: 0 is 180 (R7).
pub fn normal_axis(axis_deg: i16) -> i16 {
    match axis_deg.rem_euclid(180) {
        0 => 180,
        axis => axis,
    }
}

/// How far two axes are apart, the short way round: 178 and 2 are 4 degrees apart (R8). 0 to 90.
pub fn axis_difference(one: i16, other: i16) -> i16 {
    let apart = (normal_axis(one) - normal_axis(other)).abs();
    apart.min(180 - apart)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(super) fn power() -> impl Strategy<Value = Power> {
        (-3000_i32..3000, -1000_i32..1000, 0_i16..=180).prop_map(|(sphere, cylinder, axis)| {
            Power::new(Hundredths(sphere), Hundredths(cylinder), Some(axis))
        })
    }
    fn of(sphere: i32, cylinder: i32, axis: i16) -> Power {
        Power::new(Hundredths(sphere), Hundredths(cylinder), Some(axis))
    }

    #[test]
    fn r5_known_transpositions() {
        for (sent, other) in [
            (of(-200, -75, 180), of(-275, 75, 90)),
            (of(-275, 75, 90), of(-200, -75, 180)),
            (of(100, -250, 10), of(-150, 250, 100)),
            (of(0, 12, 91), of(12, -12, 1)),
            (of(50, 0, 30), of(50, 0, 0)),
        ] {
            assert_eq!(sent.transposed(), Some(other));
        }
        let no_axis = Power::new(Hundredths(-100), Hundredths(-50), None);
        assert_eq!(no_axis.transposed(), None, "nothing says where the cylinder lies");
        assert_eq!(no_axis.written_in(Notation::Plus), (no_axis, false));
    }

    #[test]
    fn r6_a_notation_turns_only_what_is_the_other_way() {
        let minus = of(-200, -75, 180);
        let plus = of(-275, 75, 90);
        for (sent, notation, shown) in [
            (minus, Notation::AsSent, (minus, false)),
            (plus, Notation::AsSent, (plus, false)),
            (minus, Notation::Minus, (minus, false)),
            (plus, Notation::Minus, (minus, true)),
            (minus, Notation::Plus, (plus, true)),
            (of(-200, 0, 0), Notation::Plus, (of(-200, 0, 0), false)),
        ] {
            assert_eq!(sent.written_in(notation), shown, "{sent:?} in {notation:?}");
        }
        for notation in Notation::ALL {
            assert_eq!(Notation::parse(notation.as_str()), Some(notation));
        }
        assert_eq!(Notation::parse("Minus"), None);
    }

    #[test]
    fn r7_an_axis_is_1_to_180_and_stands_only_with_a_cylinder() {
        for (sent, axis) in [(0, 180), (180, 180), (1, 1), (181, 1), (360, 180), (-5, 175)] {
            assert_eq!(normal_axis(sent), axis, "{sent}");
        }
        assert_eq!(of(-100, 0, 90).axis_deg(), None);
        assert_eq!(of(-100, -25, 0).axis_deg(), Some(180));
    }

    #[test]
    fn r8_axes_differ_the_short_way_round() {
        for (one, other, apart) in
            [(178, 2, 4), (2, 178, 4), (180, 0, 0), (90, 180, 90), (45, 135, 90), (10, 101, 89)]
        {
            assert_eq!(axis_difference(one, other), apart, "{one} and {other}");
        }
    }

    #[test]
    fn r10_powers_at_the_cornea() {
        let (at_12, at_0) = (Hundredths::whole(12), Hundredths::ZERO);
        for (spectacle, cornea) in [(-600, -560), (-1000, -893), (600, 647), (-400, -382)] {
            let moved = of(spectacle, 0, 0).at_vertex(at_12, at_0);
            assert_eq!(moved, Some(of(cornea, 0, 0)), "{spectacle}");
        }
        // Each meridian by itself: -6.00 becomes -5.60, -10.00 becomes -8.93.
        assert_eq!(of(-600, -400, 30).at_vertex(at_12, at_0), Some(of(-560, -333, 30)));
        let moved = of(-800, -100, 5).at_vertex(Hundredths(1375), at_12).unwrap();
        assert_eq!(moved.axis_deg(), Some(5), "the axis stays");
        assert_eq!(of(9000, 0, 0).at_vertex(at_12, at_0), None, "has no end");
        assert_eq!(of(-600, 0, 0).at_vertex(Hundredths::whole(31), at_0), None);
        assert_eq!(of(-600, 0, 0).at_vertex(Hundredths(-1), at_0), None);
    }

    #[test]
    fn r10_vertex_matters_from_four_dioptres_in_either_meridian() {
        for (power, is_strong) in [
            (of(-400, 0, 0), true),
            (of(-399, 0, 0), false),
            (of(-350, -50, 10), true),
            (of(400, -100, 10), true),
            (of(350, -100, 10), false),
        ] {
            assert_eq!(power.is_strong(), is_strong, "{power:?}");
        }
    }

    proptest! {
        #[test]
        fn r5_transposed_twice_is_the_same_lens(power in power()) {
            prop_assert_eq!(power.transposed().and_then(Power::transposed), Some(power));
        }
        #[test]
        fn r5_the_spherical_equivalent_stays(power in power()) {
            let other = power.transposed().unwrap();
            let apart = power.spherical_equivalent() - other.spherical_equivalent();
            prop_assert!(apart.abs() < 1e-9);
        }
        #[test]
        fn r6_what_is_shown_has_the_sign_asked_for(power in power()) {
            prop_assert!(power.written_in(Notation::Minus).0.cylinder.0 <= 0);
            prop_assert!(power.written_in(Notation::Plus).0.cylinder.0 >= 0);
        }
        #[test]
        fn r8_a_difference_of_axes_is_symmetric(one in 0_i16..=180, other in 0_i16..=180) {
            let apart = axis_difference(one, other);
            prop_assert_eq!(apart, axis_difference(other, one));
            prop_assert!((0..=90).contains(&apart));
            prop_assert_eq!(axis_difference(one, one), 0);
        }
        #[test]
        fn r10_there_and_back_is_the_same_within_rounding(power in power(), vd in 0_i32..1500) {
            let (vd, cornea) = (Hundredths(vd), Hundredths::ZERO);
            let moved = power.at_vertex(vd, cornea).unwrap();
            let back = moved.at_vertex(cornea, vd).unwrap();
            // Near the cornea a hundredth is up to four hundredths in front of it.
            prop_assert!((back.sphere.0 - power.sphere.0).abs() <= 4);
        }
        #[test]
        fn no_numbers_overflow(sphere: i32, cylinder: i32, axis: i16) {
            let power = Power::new(Hundredths(sphere), Hundredths(cylinder), Some(axis));
            let _ = (power.transposed(), power.is_strong(), power.written_in(Notation::Plus));
            let _ = power.at_vertex(Hundredths(1200), Hundredths(0));
            let _ = axis_difference(axis, -axis.saturating_abs());
        }
    }
}

//! Two refractions side by side: how far one is from the other (D3), and whether a value differs
//! from the last visit's (D11). Display of facts; nothing is judged.

use super::{
    optics::{Notation, PowerVector, axis_difference},
    sample::Lens,
};
use chiasm_proto::Hundredths;

/// From here on a value is noted as different from the last visit's (D11).
pub const DIFFERS_FROM: Hundredths = Hundredths::whole(3);

/// What was done about the distances in front of the eye (R10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vertex {
    /// The same for both, or too weak to matter.
    Alike,
    /// The other one was converted to the base's distance.
    Converted { from_mm: Hundredths, to_mm: Hundredths },
    /// At least one was not sent, or cannot be converted: compared as they stand.
    NotKnown,
}

/// The other minus the base, both in one notation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delta {
    pub sphere: Hundredths,
    pub cylinder: Hundredths,
    /// The short way round; none where one of them has no cylinder or no axis.
    pub axis_deg: Option<i16>,
    /// Length of the difference of the power vectors, in dioptres.
    pub length: Option<f64>,
    pub vertex: Vertex,
}

/// A notation in which two values can be compared: as sent is none.
pub fn common(notation: Notation) -> Notation {
    if notation == Notation::AsSent { Notation::Minus } else { notation }
}

/// How far `other` is from `base`.
pub fn delta(base: Lens, other: Lens, notation: Notation) -> Delta {
    let (moved, vertex) = to_vertex_of(base, other);
    let notation = common(notation);
    let (from, to) = (base.power.written_in(notation).0, moved.written_in(notation).0);
    let vectors = PowerVector::of(from).zip(PowerVector::of(to));
    let minus = |to: Hundredths, from: Hundredths| Hundredths(to.0.saturating_sub(from.0));
    Delta {
        sphere: minus(to.sphere, from.sphere),
        cylinder: minus(to.cylinder, from.cylinder),
        axis_deg: from
            .axis_deg()
            .zip(to.axis_deg())
            .map(|(one, other)| axis_difference(one, other)),
        length: vectors.map(|(from, to)| to.distance(from)),
        vertex,
    }
}

fn to_vertex_of(base: Lens, other: Lens) -> (super::optics::Power, Vertex) {
    let power = other.power;
    let distances = (base.vertex_distance_mm, other.vertex_distance_mm);
    if (!base.power.is_strong() && !power.is_strong())
        || matches!(distances, (Some(one), Some(other)) if one == other)
    {
        return (power, Vertex::Alike);
    }
    let (Some(to_mm), Some(from_mm)) = distances else { return (power, Vertex::NotKnown) };
    match power.at_vertex(from_mm, to_mm) {
        Some(moved) => (moved, Vertex::Converted { from_mm, to_mm }),
        None => (power, Vertex::NotKnown),
    }
}

/// Whether a value is [`DIFFERS_FROM`] or more away from an earlier one: by sphere, by cylinder, or
/// by the length of the difference.
pub fn differs(earlier: Lens, now: Lens) -> bool {
    let delta = delta(earlier, now, Notation::Minus);
    // Adding a hundredth's thousandth: 3.00 must count although binary fractions fall below it.
    let is_long = delta.length.is_some_and(|length| length + 1e-5 >= DIFFERS_FROM.to_f64());
    is_long || delta.sphere.abs() >= DIFFERS_FROM || delta.cylinder.abs() >= DIFFERS_FROM
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::optics::Power;

    fn lens(sphere: i32, cylinder: i32, axis: i16, vertex_mm: Option<i32>) -> Lens {
        let power = Power::new(Hundredths(sphere), Hundredths(cylinder), Some(axis));
        Lens { power, add: None, vertex_distance_mm: vertex_mm.map(Hundredths::whole) }
    }

    #[test]
    fn d3_a_delta_is_the_same_in_either_notation_of_the_sent_values() {
        let wearing = lens(-200, -75, 178, None);
        let autorefraction = lens(-325, 100, 92, None); // -2.25 -1.00 x 2
        let minus = delta(wearing, autorefraction, Notation::Minus);
        assert_eq!((minus.sphere, minus.cylinder), (Hundredths(-25), Hundredths(-25)));
        assert_eq!(minus.axis_deg, Some(4), "178 and 2");
        assert_eq!(minus.vertex, Vertex::Alike);
        let plus = delta(wearing, autorefraction, Notation::Plus);
        assert_eq!((plus.sphere, plus.cylinder), (Hundredths(-50), Hundredths(25)));
        assert_eq!(plus.axis_deg, Some(4));
        assert!((plus.length.unwrap() - minus.length.unwrap()).abs() < 1e-9);
        assert_eq!(delta(wearing, autorefraction, Notation::AsSent), minus);
    }

    #[test]
    fn d3_without_a_cylinder_there_is_no_axis_to_differ() {
        let delta = delta(lens(-100, 0, 0, None), lens(-100, -50, 90, None), Notation::Minus);
        assert_eq!(delta.axis_deg, None);
        assert!((delta.length.unwrap() - 0.125_f64.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn r10_another_distance_is_converted_and_said_or_said_to_be_unknown() {
        let mm = Hundredths::whole;
        let (at_12, at_0) = (lens(-600, 0, 0, Some(12)), lens(-560, 0, 0, Some(0)));
        let same_eye = delta(at_0, at_12, Notation::Minus);
        assert_eq!(same_eye.vertex, Vertex::Converted { from_mm: mm(12), to_mm: mm(0) });
        assert_eq!(same_eye.sphere, Hundredths::ZERO, "-6.00 at 12 mm is -5.60 at the cornea");
        let unknown = delta(lens(-600, 0, 0, None), at_12, Notation::Minus);
        assert_eq!((unknown.vertex, unknown.sphere), (Vertex::NotKnown, Hundredths::ZERO));
        let weak = delta(lens(-100, 0, 0, None), lens(-150, 0, 0, Some(12)), Notation::Minus);
        assert_eq!(weak.vertex, Vertex::Alike);
    }

    #[test]
    fn d11_three_dioptres_differ_and_less_do_not() {
        let was = lens(-100, -50, 90, None);
        for (now, is_different) in [
            (lens(-400, -50, 90, None), true),
            (lens(-399, -50, 90, None), false),
            (lens(200, -50, 90, None), true),
            (lens(-100, -350, 90, None), true),
            (lens(-450, 50, 180, None), true), // -4.00 -0.50 x 90 in the other notation
            (lens(-150, 50, 180, None), false),
        ] {
            assert_eq!(differs(was, now), is_different, "{now:?}");
        }
    }
}

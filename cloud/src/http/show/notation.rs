//! Cylinders in the form of writing that a person reads (R6): for display, with what was sent beside.

use super::text;
use crate::domain::optics::{Notation, Power};
use chiasm_proto::{Hundredths, Lensometry, Measured, Refraction, RefractionKind, RefractionValue};
use std::borrow::Cow;

/// The measurement in a notation, and what to say where that is not what was sent.
pub fn written_in(notation: Notation, sent: &Measured) -> (Cow<'_, Measured>, Option<String>) {
    if notation == Notation::AsSent {
        return (Cow::Borrowed(sent), None);
    }
    match sent {
        // A difference of two values has a signed axis: it is no lens that could be turned.
        Measured::Refraction(it) if it.kind != RefractionKind::NightMinusDay => {
            let (it, was) = of_refraction(notation, it);
            (Cow::Owned(Measured::Refraction(it)), was.map(|was| note(notation, was)))
        }
        Measured::Lensometry(it) => {
            let (it, was) = of_lens(notation, it);
            (Cow::Owned(Measured::Lensometry(it)), was.map(|was| note(notation, was)))
        }
        _ => (Cow::Borrowed(sent), None),
    }
}

fn note(notation: Notation, was: RefractionValue) -> String {
    let sent_in = if was.cylinder.0 > 0 { "plus" } else { "minus" };
    let axis = was
        .axis_deg
        .map_or_else(String::new, |axis| format!(" \u{d7} {}", text::axis(axis, was.cylinder)));
    let value = format!("{:+} {:+}{axis}", was.sphere, was.cylinder);
    format!("shown in {}; sent as {sent_in}: {value}", notation.label())
}

/// The value turned, or nothing where it is in this notation already.
fn turned(notation: Notation, sent: RefractionValue) -> Option<RefractionValue> {
    let (power, is_turned) = Power::from(sent).written_in(notation);
    is_turned.then_some(RefractionValue {
        sphere: power.sphere,
        cylinder: power.cylinder,
        axis_deg: power.axis_deg(),
        ..sent
    })
}

fn of_refraction(notation: Notation, sent: &Refraction) -> (Refraction, Option<RefractionValue>) {
    let mut it = sent.clone();
    // The sign tells it, and it would be wrong for a turned value.
    it.cylinder_mode = None;
    let mut was = None;
    for shot in &mut it.shots {
        if let Some(value) = &mut shot.value
            && let Some(other) = turned(notation, *value)
        {
            was = was.or(Some(*value));
            *value = other;
        }
    }
    if let Some(representative) = &mut it.representative
        && let Some(other) = turned(notation, representative.value)
    {
        was = Some(representative.value);
        representative.value = other;
    }
    (it, was)
}

fn of_lens(notation: Notation, sent: &Lensometry) -> (Lensometry, Option<RefractionValue>) {
    let mut it = Lensometry { cylinder_mode: None, ..sent.clone() };
    let (Some(sphere), Some(cylinder)) = (sent.sphere, sent.cylinder) else { return (it, None) };
    let axis_deg = sent.axis_deg;
    let value = RefractionValue { sphere, cylinder, axis_deg, spherical_equivalent: None };
    let Some(other) = turned(notation, value) else { return (it, None) };
    (it.sphere, it.cylinder, it.axis_deg) =
        (Some(other.sphere), Some(other.cylinder), other.axis_deg);
    // A near sphere is written like the far one: it moves by the same cylinder.
    let moved = |near: Hundredths| Hundredths(near.0.saturating_add(cylinder.0));
    it.near_sphere = sent.near_sphere.map(moved);
    it.near_sphere2 = sent.near_sphere2.map(moved);
    (it, Some(value))
}

#[cfg(test)]
mod tests {
    use super::{super::groups_in, *};
    use chiasm_proto::{Eye, Measurement, Representative, Shot, refraction::CylinderMode};

    fn value(sphere: i32, cylinder: i32, axis: i16) -> RefractionValue {
        RefractionValue {
            sphere: Hundredths(sphere),
            cylinder: Hundredths(cylinder),
            axis_deg: Some(axis),
            spherical_equivalent: None,
        }
    }
    fn sent(kind: RefractionKind, value: RefractionValue) -> Measured {
        Measured::Refraction(Refraction {
            cylinder_mode: Some(CylinderMode::Plus),
            representative: Some(Representative { label: "median".into(), value }),
            shots: vec![Shot::of(value)],
            ..Refraction::new(kind)
        })
    }
    fn main_line(notation: Notation, measured: &Measured) -> (String, Vec<String>) {
        let measurement = Measurement::without_token(Eye::Right, measured.clone());
        let groups = groups_in(notation, &[measurement]);
        let cell = groups[0].right.clone().unwrap();
        let texts: Vec<_> = cell.lines[0].values.iter().map(|it| it.text.clone()).collect();
        (texts.join(" "), cell.notes)
    }

    #[test]
    fn r6_a_transposed_value_says_so_and_keeps_what_was_sent() {
        let plus = sent(RefractionKind::Autorefraction, value(-275, 75, 90));
        assert_eq!(main_line(Notation::AsSent, &plus), ("-2.75 +0.75 090".into(), vec![]));
        assert_eq!(main_line(Notation::Plus, &plus), ("-2.75 +0.75 090".into(), vec![]));
        let (line, notes) = main_line(Notation::Minus, &plus);
        assert_eq!(line, "-2.00 -0.75 180");
        let note = "shown in minus cylinder; sent as plus: -2.75 +0.75 \u{d7} 090";
        assert_eq!(notes, [note]);
    }

    #[test]
    fn r9_steps_stay_as_sent() {
        let fine = sent(RefractionKind::Final, value(-212, 37, 90));
        assert_eq!(main_line(Notation::Minus, &fine).0, "-1.75 -0.37 180");
    }

    #[test]
    fn a_difference_of_two_values_is_not_turned() {
        let difference = sent(RefractionKind::NightMinusDay, value(-25, 25, -3));
        let (line, notes) = main_line(Notation::Minus, &difference);
        assert_eq!((line.as_str(), notes.len()), ("-0.25 +0.25 -003", 0));
    }

    #[test]
    fn r6_a_near_sphere_moves_with_the_far_one() {
        let lens = Lensometry {
            sphere: Some(Hundredths(-200)),
            cylinder: Some(Hundredths(-75)),
            axis_deg: Some(180),
            near_sphere: Some(Hundredths(0)),
            add: Some(Hundredths(200)),
            ..Lensometry::default()
        };
        let (it, was) = of_lens(Notation::Plus, &lens);
        assert!(was.is_some());
        assert_eq!((it.sphere, it.near_sphere), (Some(Hundredths(-275)), Some(Hundredths(-75))));
        assert_eq!(it.add, lens.add, "an addition is the same in both");
        // Without an axis nothing can be turned, and nothing is claimed.
        let no_axis = Lensometry { axis_deg: None, ..lens.clone() };
        let (it, was) = of_lens(Notation::Plus, &no_axis);
        assert_eq!((it.sphere, was), (lens.sphere, None));
    }
}

//! The comparison, by known lenses and by properties.

use super::*;
use crate::domain::order::{LensUse, Pd};
use proptest::prelude::*;

fn lens(sphere: i32, cylinder: i32, axis: i16) -> OrderLens {
    OrderLens {
        sphere: Hundredths(sphere),
        cylinder: Hundredths(cylinder),
        axis_deg: (cylinder != 0).then_some(axis),
        add: None,
        prism_horizontal: None,
        prism_vertical: None,
    }
}
fn order(right: OrderLens) -> Order {
    Order {
        lens_use: LensUse::Distance,
        right: Some(right),
        left: None,
        pd: Pd::default(),
        vertex_distance_mm: None,
        note: String::new(),
        signed_sha256: String::new(),
    }
}
fn sent(it: &OrderLens) -> Lensometry {
    Lensometry {
        sphere: Some(it.sphere),
        cylinder: Some(it.cylinder),
        axis_deg: it.axis_deg,
        add: it.add,
        ..Lensometry::default()
    }
}
fn of_eye(eye: Eye, lens: Lensometry) -> Measurement {
    Measurement::without_token(eye, Measured::Lensometry(lens))
}
fn compared(ordered: &OrderLens, measured: Lensometry) -> Compared {
    let measured = [of_eye(Eye::Right, measured)];
    compare(&order(ordered.clone()), &measured, false, &Tolerances::default())
}
fn verdict(it: &Compared, what: What) -> Option<Verdict> {
    it.right.iter().find(|line| line.what == what).map(|line| line.verdict)
}
fn difference(it: &Compared, what: What) -> Option<Hundredths> {
    it.right.iter().find(|line| line.what == what).and_then(|line| line.difference)
}

#[test]
fn r6_r8_other_writing_is_the_same_lens_and_axes_go_the_short_way_round() {
    let ordered = lens(-400, -75, 178);
    let found = compared(&ordered, sent(&lens(-475, 75, 92)));
    assert_eq!(difference(&found, What::Sphere), Some(Hundredths(0)));
    assert_eq!(difference(&found, What::Axis), Some(Hundredths::whole(4)), "178 to 2");
    assert!(found.is_inside(), "{found:?}");
    let found = compared(&ordered, sent(&lens(-400, -75, 4)));
    assert_eq!(verdict(&found, What::Axis), Some(Verdict::Outside), "6 of 5 degrees");
    assert_eq!(found.open(), ["OD axis outside"]);
}

#[test]
fn a_deviation_that_only_the_stronger_meridian_shows_is_not_overlooked() {
    let found = compared(&lens(-100, -225, 90), sent(&lens(-110, -237, 90)));
    assert_eq!(verdict(&found, What::Sphere), Some(Verdict::Inside));
    assert_eq!(verdict(&found, What::Cylinder), Some(Verdict::Inside));
    assert_eq!(verdict(&found, What::OtherMeridian), Some(Verdict::Outside));
}

#[test]
fn what_was_not_measured_is_not_inside() {
    let mut ordered = lens(-100, 0, 0);
    ordered.add = Some(Hundredths(200));
    let mut measured = sent(&ordered);
    measured.add = None;
    let found = compared(&ordered, measured.clone());
    assert_eq!(verdict(&found, What::Add), Some(Verdict::NotMeasured));
    assert!(!found.is_inside());
    // An addition that nobody ordered is a wrong lens.
    measured.add = Some(Hundredths(200));
    ordered.add = None;
    assert_eq!(verdict(&compared(&ordered, measured), What::Add), Some(Verdict::Outside));
    let none = compare(&order(ordered.clone()), &[], false, &Tolerances::default());
    assert_eq!(verdict(&none, What::Sphere), Some(Verdict::NotMeasured));
    let measured = [of_eye(Eye::NotGiven, sent(&ordered)), of_eye(Eye::Left, sent(&ordered))];
    let found = compare(&order(ordered.clone()), &measured, false, &Tolerances::default());
    assert_eq!(found.remarks.len(), 2, "R1: a side is not guessed: {found:?}");
    let twice = [of_eye(Eye::Right, sent(&ordered)), of_eye(Eye::Right, sent(&ordered))];
    let found = compare(&order(ordered), &twice, false, &Tolerances::default());
    assert!(!found.is_inside() && found.remarks[0].contains("more than once"));
}

#[test]
fn r7_a_cylinder_without_an_axis_is_not_compared() {
    let mut measured = sent(&lens(-100, -75, 90));
    measured.axis_deg = None;
    let found = compared(&lens(-100, -75, 90), measured);
    assert_eq!(verdict(&found, What::Sphere), Some(Verdict::NotComparable));
    assert!(!found.is_inside());
}

#[test]
fn r24_prism_is_compared_by_the_base_of_the_eye() {
    let component = |amount, base| Some(PrismComponent { amount: Hundredths(amount), base });
    let mut ordered = lens(-100, 0, 0);
    ordered.prism_horizontal = component(200, Base::In);
    let with = |horizontal, vertical| {
        let prism = Some(Prism { horizontal, vertical, ..Prism::default() });
        Lensometry { prism, ..sent(&lens(-100, 0, 0)) }
    };
    let horizontal = |lens| verdict(&compared(&ordered, lens), What::PrismHorizontal);
    assert_eq!(horizontal(with(component(230, Base::In), None)), Some(Verdict::Inside));
    assert_eq!(horizontal(with(component(200, Base::Out), None)), Some(Verdict::Outside));
    let unverified = with(component(200, Base::Unverified), None);
    assert_eq!(horizontal(unverified), Some(Verdict::NotComparable));
    assert_eq!(horizontal(sent(&ordered)), Some(Verdict::NotMeasured));
    let found = compared(&ordered, with(component(200, Base::In), component(50, Base::Down)));
    assert_eq!(verdict(&found, What::PrismVertical), Some(Verdict::Outside), "nobody ordered it");
    let swapped = [of_eye(Eye::Right, with(component(200, Base::In), None))];
    let found = compare(&order(ordered.clone()), &swapped, true, &Tolerances::default());
    assert_eq!(verdict(&found, What::PrismHorizontal), Some(Verdict::NotComparable));
    assert_eq!(What::PrismHorizontal.words(Hundredths(-125)), "1.25 out");
}

fn any_lens() -> impl Strategy<Value = OrderLens> {
    (-2000_i32..2000, -600_i32..600, 1_i16..=180, prop::option::of(25_i32..400)).prop_map(
        |(sphere, cylinder, axis, add)| OrderLens {
            add: add.map(Hundredths),
            ..lens(sphere, cylinder, axis)
        },
    )
}
fn transposed(it: &OrderLens) -> OrderLens {
    let other = it.power().transposed().unwrap();
    OrderLens {
        sphere: other.sphere,
        cylinder: other.cylinder,
        axis_deg: other.axis_deg(),
        ..it.clone()
    }
}

proptest! {
    #[test]
    fn writing_either_lens_otherwise_changes_nothing(one in any_lens(), other in any_lens()) {
        let found = compared(&one, sent(&other));
        prop_assert_eq!(&compared(&transposed(&one), sent(&other)), &found);
        prop_assert_eq!(&compared(&one, sent(&transposed(&other))), &found);
    }

    #[test]
    fn differences_are_symmetric(one in any_lens(), other in any_lens()) {
        let (there, back) = (compared(&one, sent(&other)), compared(&other, sent(&one)));
        for what in [What::Sphere, What::OtherMeridian, What::Cylinder] {
            let turned = difference(&back, what).map(|it| Hundredths(-it.0));
            prop_assert_eq!(difference(&there, what), turned);
        }
        if !one.cylinder.is_zero() && !other.cylinder.is_zero() {
            prop_assert_eq!(difference(&there, What::Axis), difference(&back, What::Axis));
        }
    }

    #[test]
    fn a_lens_is_what_was_ordered(one in any_lens()) {
        prop_assert!(compared(&one, sent(&transposed(&one))).is_inside());
    }

    #[test]
    fn farther_off_is_never_better(one in any_lens(), off in 0_i32..200, more in 0_i32..200) {
        let moved = |by| {
            let lens = OrderLens { sphere: Hundredths(one.sphere.0 + by), ..one.clone() };
            verdict(&compared(&one, sent(&lens)), What::Sphere)
        };
        if moved(off) == Some(Verdict::Outside) {
            prop_assert_eq!(moved(off + more), Some(Verdict::Outside));
        }
    }
}

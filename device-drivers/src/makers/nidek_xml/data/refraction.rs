//! `AR`, `SR`, `LM` and `VA` of one eye: refractions, lens, acuities.

use super::Conditions;
use crate::{
    DecodeError,
    format::xml::{El, values::axis_beside},
    makers::nidek_xml::values::{
        CENTIMETRES, DEGREES, DIOPTRES, Side, error, number, number_in, part, representative,
        shots, whole,
    },
};
use chiasm_proto::{
    AcuityCondition, Correction, FlagCode, Lensometry, Measured, OtherTest, Refraction,
    RefractionKind, RefractionValue, Vision, VisualAcuity,
};

/// How the serial line's driver calls them too.
const MEDIAN: &str = "median";
const CONVERTED: &str = "converted";
const SUBJECTIVE: &str = "SR";
/// Known and of no use here: the names of pictures, how a shot was taken.
const UNUSED: [&str; 2] = ["RingImage", "CataractMode"];

const CONVERSIONS: [(&str, RefractionKind); 2] = [
    ("TrialLens", RefractionKind::TrialLens),
    ("ContactLens", RefractionKind::ContactLensEquivalent),
];

const PERIPHERY: [(&str, &str); 2] =
    [("ARPeriData", "peripheral refraction"), ("ARPeriDiff", "difference of the periphery")];

const ACUITIES: [(&str, Correction, Vision, AcuityCondition); 5] = [
    ("UCVA", Correction::Unaided, Vision::Far, AcuityCondition::Standard),
    ("BCVA", Correction::Corrected, Vision::Far, AcuityCondition::Standard),
    ("LVA", Correction::Corrected, Vision::Far, AcuityCondition::Low),
    ("GVA", Correction::Corrected, Vision::Far, AcuityCondition::Glare),
    ("NVA", Correction::Corrected, Vision::Near, AcuityCondition::Standard),
];

pub fn read(el: El, conditions: &Conditions, side: &mut Side) -> Result<(), DecodeError> {
    for block in el.enter_all("AR") {
        block.ignore(UNUSED);
        let measured = Refraction {
            representative: representative(block, "ARMedian", MEDIAN, side, value)?,
            shots: shots(block, "ARList", side, value)?,
            ..conditions.refraction(RefractionKind::Autorefraction)
        };
        let is_measured = measured.representative.is_some()
            || measured.shots.iter().any(|shot| shot.value.is_some());
        if measured.representative.is_some() || !measured.shots.is_empty() {
            side.push(Measured::Refraction(measured));
        }
        for (name, kind) in CONVERSIONS {
            if !is_measured {
                lone_conversions(block, name);
                continue;
            }
            let representative = representative(block, name, CONVERTED, side, value)?;
            if representative.is_some() {
                let converted = Refraction { representative, ..conditions.refraction(kind) };
                side.push(Measured::Refraction(converted));
            }
        }
        periphery(block, side);
    }
    for block in el.enter_all("SR") {
        subjective(block, conditions, side)?;
    }
    for block in el.enter_all("LM") {
        lens(block, side)?;
    }
    for block in el.enter_all("VA") {
        acuities(block, side);
    }
    Ok(())
}

/// A sphere alone is no refraction, for an empty cylinder is not zero: it stays text.
fn value(el: El) -> Result<Option<RefractionValue>, DecodeError> {
    el.ignore(UNUSED);
    if is_sphere_alone(el) {
        let what = format!("{}: a sphere without a cylinder is kept as text", el.path());
        el.tree().flag(FlagCode::Inconsistent, what);
        return Ok(None);
    }
    let sphere = number(el, "Sphere", DIOPTRES)?;
    let cylinder = number(el, "Cylinder", DIOPTRES)?;
    let axis_deg = axis_beside(el, cylinder, whole(el, "Axis", DEGREES)?)?;
    let spherical_equivalent = number(el, "SE", DIOPTRES)?;
    match (sphere, cylinder) {
        (Some(sphere), Some(cylinder)) => {
            Ok(Some(RefractionValue { sphere, cylinder, axis_deg, spherical_equivalent }))
        }
        (None, None) if spherical_equivalent.is_none() => Ok(None),
        _ => Err(el.malformed("sphere, cylinder and equivalent are not complete")),
    }
}

fn is_sphere_alone(el: El) -> bool {
    let is_sent = |name: &str| el.peek(name).is_some_and(|leaf| !leaf.text().is_empty());
    is_sent("Sphere") && !is_sent("Cylinder") && !is_sent("Axis")
}

/// Conversions of nothing: zeros mean that the eye was not measured, anything else stays unread.
fn lone_conversions(block: El, name: &str) {
    let is_zero = |leaf: El| {
        leaf.text().is_empty() || number_in(leaf, DIOPTRES).is_ok_and(|number| number.is_zero())
    };
    for el in block.peek_all(name) {
        if ["Sphere", "Cylinder"].iter().all(|name| el.peek(*name).is_none_or(is_zero)) {
            el.ignore_whole();
        }
    }
}

/// Under its own name and never as a refraction: where in the pupil it was measured is not said.
fn periphery(block: El, side: &mut Side) {
    for (code, name) in PERIPHERY {
        for el in block.enter_all(code) {
            let parts = [("Sphere", "sphere"), ("Cylinder", "cylinder"), ("Axis", "axis")];
            let parts = parts.into_iter().chain([("SE", "spherical equivalent")]);
            let values: Vec<_> = parts.filter_map(|(key, name)| part(el, key, name)).collect();
            if !values.is_empty() {
                let test = OtherTest { code: code.into(), name: name.into(), values };
                side.push(Measured::OtherTest(test));
            }
        }
    }
}

fn subjective(block: El, conditions: &Conditions, side: &mut Side) -> Result<(), DecodeError> {
    // A value that stands directly in the block, so nothing but its children is looked at.
    let value = value(block)?;
    if is_sphere_alone(block) {
        return Ok(());
    }
    let add = number(block, "ADD", DIOPTRES)?;
    let working_distance_cm = number(block, "WorkingDistance", CENTIMETRES)?;
    match value {
        Some(value) => {
            let representative =
                Some(chiasm_proto::Representative { label: SUBJECTIVE.into(), value });
            let kind = RefractionKind::Subjective;
            side.push(Measured::Refraction(Refraction {
                representative,
                add,
                working_distance_cm,
                ..conditions.refraction(kind)
            }));
            Ok(())
        }
        None if add.is_some() => Err(block.malformed("an addition without a refraction")),
        None => Ok(()),
    }
}

/// None of these instruments measures lenses: a lensmeter has sent it.
fn lens(block: El, side: &mut Side) -> Result<(), DecodeError> {
    let cylinder = number(block, "Cylinder", DIOPTRES)?;
    let lens = Lensometry {
        sphere: number(block, "Sphere", DIOPTRES)?,
        cylinder,
        axis_deg: axis_beside(block, cylinder, whole(block, "Axis", DEGREES)?)?,
        add: number(block, "ADD", DIOPTRES)?,
        add2: number(block, "ADD2", DIOPTRES)?,
        error: error(block),
        ..Lensometry::default()
    };
    if lens != Lensometry::default() {
        side.push_relayed(Measured::Lensometry(lens));
    }
    Ok(())
}

fn acuities(block: El, side: &mut Side) {
    for (name, correction, vision, condition) in ACUITIES {
        let Some(as_sent) = block.text_of(name) else { continue };
        let acuity = VisualAcuity {
            correction,
            vision,
            condition,
            as_sent,
            letters_as_sent: None,
            notation: None,
        };
        side.push_in_set(name, Measured::VisualAcuity(acuity));
    }
    // Not said which of them it belongs to.
    if let Some(value) = part(block, "WorkingDistance", "") {
        let name = "working distance of the acuities".into();
        let test = OtherTest { code: "VA/WorkingDistance".into(), name, values: vec![value] };
        side.push(Measured::OtherTest(test));
    }
}

//! `measure_WF`: refraction by wavefront, in up to three sets. `measure_REF`: subjective.
//! `measure_VA`: acuities.

use super::values::{HALF_DISTANCE, Halves, Numbers, SIDES, Side, axis_step, condition};
use crate::{DecodeError, format::xml::El, format::xml::values::cylinder_mode};
use chiasm_proto::{
    AcuityCondition, Correction, Eye, Light, Measured, Measurement, PupilSize, Refraction,
    RefractionKind, Shot, Vision, VisualAcuity,
};

/// Known and not taken over.
const UNUSED: [&str; 3] = ["cataract_mode", "IOL_mode", "ouverture"];
const ZERNIKE: [&str; 4] = ["Zernike", "zernike", "Zernike_LOA", "Zernike_HOA"];
/// Sets of the wavefront, each a result of its own. The pupil's size makes day and night.
const SETS: [(&str, Light, Vision); 3] = [
    ("Photopic", Light::Day, Vision::Far),
    ("Mesopic", Light::Night, Vision::Far),
    ("Near_Vision_fast", Light::Day, Vision::Near),
];
/// What stood before the eye in the parts of `measure_VA`: the refractor's value, the lens that was
/// worn, the autorefractor's value.
const ACUITIES: [(&str, Correction); 3] =
    [("REF", Correction::Subjective), ("LM", Correction::Wearing), ("AR", Correction::Objective)];
/// `10/10`, `20/20`, `<0.05`.
const ACUITY_LEN_MAX: usize = 16;
const DISTANCES: [(&str, Vision); 2] = [("far_vision", Vision::Far), ("near_vision", Vision::Near)];

pub fn wavefront(measure: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    measure.ignore(["magnification"]);
    let conditions = conditions(measure, RefractionKind::Autorefraction)?;
    let mut halves = Halves::default();
    for (eye, token) in SIDES {
        let Some(el) = measure.enter(format!("wf_{token}").as_str()) else { continue };
        el.ignore(UNUSED);
        let mut side = Side { eye, token, into: &mut *into };
        for (name, light, vision) in SETS {
            let Some(set) = el.enter(name) else { continue };
            set.ignore(ZERNIKE);
            let conditions = Refraction { light, vision, ..conditions.clone() };
            value(set, name, conditions, &mut side)?;
            let state_as_sent = Some(name.to_owned());
            if let Some(diameter_mm) = side.scalar(set, "pupil", Some(name), "pupil size")? {
                let pupil = PupilSize { diameter_mm, state_as_sent };
                side.push(Some(name), Measured::PupilSize(pupil));
            }
            side.result(set, "total_rms", Some(name), "total wavefront error, root mean square")?;
        }
        halves.read(el, &mut side)?;
    }
    into.extend(halves.measurement());
    Ok(())
}

/// The refractor's values. The prism's parts are not documented and stay text.
pub fn subjective(part: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    if let Some(measure) = part.enter("measure_VA") {
        acuities(measure, into)?;
    }
    let Some(measure) = part.enter("measure_REF") else { return Ok(()) };
    let conditions = conditions(measure, RefractionKind::Subjective)?;
    let mut halves = Halves::default();
    for (eye, token) in SIDES {
        let Some(el) = measure.enter(format!("ref_{token}").as_str()) else { continue };
        let mut side = Side { eye, token, into: &mut *into };
        for (name, vision) in DISTANCES {
            let Some(set) = el.enter(name) else { continue };
            value(set, name, Refraction { vision, ..conditions.clone() }, &mut side)?;
            side.texts(set, "prism", Some(name), "prism");
            match vision {
                Vision::Far => halves.read(set, &mut side)?,
                // Called the far one as well: not taken for either.
                _ => side.texts(set, HALF_DISTANCE[1], Some(name), "half pupillary distance"),
            }
        }
    }
    into.extend(halves.measurement());
    Ok(())
}

/// Acuities by what stood before the eye, verbatim.
fn acuities(measure: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    let notation = measure.text_of("unit");
    for (group, correction) in ACUITIES {
        let is_known = |el: &El| el.node().children().any(|it| it.local_name().starts_with("VA_"));
        let Some(of) = measure.peek(group).filter(is_known) else { continue };
        of.mark_entered();
        for (eye, token) in SIDES.into_iter().chain([(Eye::Both, "bino")]) {
            let Some(el) = of.enter(format!("VA_{token}").as_str()) else { continue };
            for (distance, vision) in DISTANCES {
                let Some(leaf) = el.leaf(distance) else { continue };
                if leaf.text().len() > ACUITY_LEN_MAX {
                    return Err(leaf.malformed("longer than any acuity"));
                }
                let acuity = VisualAcuity {
                    correction,
                    vision,
                    condition: AcuityCondition::Standard,
                    as_sent: leaf.text().into(),
                    letters_as_sent: None,
                    notation: notation.clone(),
                };
                let measured = Measured::VisualAcuity(acuity);
                into.push(Measurement::of(eye, token, measured).in_set(group));
            }
        }
    }
    Ok(())
}

fn conditions(measure: El, kind: RefractionKind) -> Result<Refraction, DecodeError> {
    Ok(Refraction {
        vertex_distance_mm: condition(measure, "VD")?,
        dioptre_step: condition(measure, "diopter_step")?,
        axis_step_deg: axis_step(measure)?,
        cylinder_mode: cylinder_mode(measure, "cylinder_mode"),
        ..Refraction::new(kind)
    })
}

fn value(set: El, name: &str, conditions: Refraction, side: &mut Side) -> Result<(), DecodeError> {
    let numbers = Numbers::of(set, &["sphere", "cylinder", "axis", "SE", "addition"])?;
    if !numbers.fit() {
        side.push(Some(name), numbers.as_text(set, name, "refraction"));
        return Ok(());
    }
    let add = numbers.get("addition");
    let value = numbers.refraction(set)?;
    if value.is_some() || add.is_some() {
        let shots = value.into_iter().map(Shot::of).collect();
        let refraction = Refraction { shots, add, ..conditions };
        side.push(Some(name), Measured::Refraction(refraction));
    }
    Ok(())
}

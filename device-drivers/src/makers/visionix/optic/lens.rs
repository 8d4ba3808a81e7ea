//! `LSM_mesurement`: the lenses in a VX40.

use super::values::{Halves, Numbers, SIDES, Side, condition};
use crate::{DecodeError, format::xml::El, format::xml::values::cylinder_mode};
use chiasm_proto::{Lensometry, Measured, Measurement};

/// Known and not taken over.
const UNUSED: [&str; 1] = ["axis_step"];
/// Models that measure lenses; a document of any other passes on what one of these measured.
const LENSMETERS: [&str; 2] = ["VX36", "VX40"];

pub fn decode(part: El, model: &str, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    let Some(measure) = part.enter("measure_REF") else { return Ok(()) };
    measure.ignore(UNUSED);
    let conditions = Lensometry {
        cylinder_mode: cylinder_mode(measure, "cylinder_mode"),
        dioptre_step: condition(measure, "diopter_step")?,
        ..Lensometry::default()
    };
    let mut halves = Halves::default();
    let mut found = vec![];
    for (eye, token) in SIDES {
        let Some(el) = measure.enter(format!("ref_{token}").as_str()) else { continue };
        let mut side = Side { eye, token, into: &mut found };
        let numbers = Numbers::of(el, &["sphere", "cylinder", "axis", "addition"])?;
        if !numbers.fit() {
            side.push(None, numbers.as_text(el, "LSM", "lens"));
        } else if let Some(lens) = lens(&numbers, el, &conditions)? {
            side.push(None, Measured::Lensometry(lens));
        }
        side.texts(el, "prism", None, "prism of the lens");
        halves.read(el, &mut side)?;
    }
    found.extend(halves.measurement());
    let plain = model.replace([' ', '-'], "").to_ascii_uppercase();
    let measures_lenses = plain.is_empty() || LENSMETERS.iter().any(|it| plain.starts_with(it));
    let relayed = |it: Measurement| if measures_lenses { it } else { it.relayed() };
    into.extend(found.into_iter().map(relayed));
    Ok(())
}

fn lens(
    numbers: &Numbers,
    el: El,
    conditions: &Lensometry,
) -> Result<Option<Lensometry>, DecodeError> {
    let add = numbers.get("addition");
    let value = numbers.refraction(el)?;
    if value.is_none() && add.is_none() {
        return Ok(None);
    }
    Ok(Some(Lensometry {
        sphere: value.map(|value| value.sphere),
        cylinder: value.map(|value| value.cylinder),
        axis_deg: value.and_then(|value| value.axis_deg),
        add,
        ..conditions.clone()
    }))
}

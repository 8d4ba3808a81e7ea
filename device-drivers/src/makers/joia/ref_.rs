//! `nsREF:Measure`: autorefraction and the pupillary distance measured with it.

use super::{
    ns::Ns,
    values::{EYES, MODES, representative, shots},
};
use crate::{
    DecodeError,
    format::xml::{
        El,
        values::{
            CENTIMETRES, DEGREES, DIOPTRES, MILLIMETRES, axis_beside, cylinder_mode, number, whole,
        },
    },
};
use chiasm_proto::{
    Eye, Measured, Measurement, PupillaryDistance, Refraction, RefractionKind, RefractionValue,
};

const NS: Ns = Ns::Ref;

pub fn decode(measure: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    let conditions = Refraction {
        vertex_distance_mm: number(measure, (NS, "VD"), MILLIMETRES)?,
        dioptre_step: number(measure, (NS, "DiopterStep"), DIOPTRES)?,
        axis_step_deg: whole(measure, (NS, "AxisStep"), DEGREES)?
            .and_then(|step| u16::try_from(step).ok()),
        cylinder_mode: cylinder_mode(measure, (NS, "CylinderMode")),
        ..Refraction::new(RefractionKind::Autorefraction)
    };
    for block in measure.enter_all((NS, "REF")) {
        for (eye, token) in EYES {
            for side in block.enter_all((NS, token)) {
                let refraction = Refraction {
                    representative: representative(
                        side,
                        NS,
                        ("Median", "median"),
                        (eye, token),
                        into,
                        value,
                    )?,
                    shots: shots(side, NS, (eye, token), into, value)?,
                    ..conditions.clone()
                };
                if refraction.representative.is_some() || !refraction.shots.is_empty() {
                    let measured = Measured::Refraction(refraction);
                    into.push(Measurement::of(eye, token, measured));
                }
            }
        }
    }
    for block in measure.enter_all((NS, "PD")) {
        let distance = pupillary_distance(block)?;
        if distance != PupillaryDistance::default() {
            let measured = Measured::PupillaryDistance(distance);
            into.push(Measurement::without_token(Eye::Both, measured));
        }
    }
    Ok(())
}

fn value(el: El) -> Result<Option<RefractionValue>, DecodeError> {
    el.ignore(MODES.map(|name| (NS, name)));
    let sphere = number(el, (NS, "Sphere"), DIOPTRES)?;
    let cylinder = number(el, (NS, "Cylinder"), DIOPTRES)?;
    let axis_deg = axis_beside(el, cylinder, whole(el, (NS, "Axis"), DEGREES)?)?;
    let spherical_equivalent = number(el, (NS, "SE"), DIOPTRES)?;
    match (sphere, cylinder) {
        (Some(sphere), Some(cylinder)) => {
            Ok(Some(RefractionValue { sphere, cylinder, axis_deg, spherical_equivalent }))
        }
        (None, None) if spherical_equivalent.is_none() => Ok(None),
        _ => Err(el.malformed("sphere, cylinder and equivalent are not complete")),
    }
}

fn pupillary_distance(block: El) -> Result<PupillaryDistance, DecodeError> {
    let working_distance_cm = number(block, (NS, "WorkingDistance"), CENTIMETRES)?;
    let far_mm = number(block, (NS, "Distance"), MILLIMETRES)?;
    let near_mm = number(block, (NS, "Near"), MILLIMETRES)?;
    // The instrument repeats the far distance where it measured no near one.
    let is_repeated = working_distance_cm.is_none() && near_mm == far_mm;
    Ok(PupillaryDistance {
        far_mm,
        near_mm: near_mm.filter(|_| !is_repeated),
        working_distance_cm,
        ..PupillaryDistance::default()
    })
}

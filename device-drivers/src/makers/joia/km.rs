//! `nsKM:Measure`: keratometry.

use super::{
    ns::Ns,
    values::{EYES, confidence, representative, shot_no, shots},
};
use crate::{
    DecodeError,
    format::xml::{
        El,
        values::{DEGREES, DIOPTRES, MILLIMETRES, axis_unless_zero, number, whole},
    },
};
use chiasm_proto::{
    CornealSize, Keratometry, KeratometryValue, Measured, Measurement, Meridian, PupilSize,
};

const NS: Ns = Ns::Km;
/// Known and of no use here.
const UNUSED: [&str; 2] = ["AxisStep", "CylinderMode"];

pub fn decode(measure: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    measure.ignore(UNUSED.map(|name| (NS, name)));
    let dioptre_step = number(measure, (NS, "DiopterStep"), DIOPTRES)?;
    let refractive_index = measure.text_of((NS, "RefractiveIndex"));
    let mut sides = vec![];
    for block in measure.enter_all((NS, "KM")) {
        for (eye, token) in EYES {
            for side in block.enter_all((NS, token)) {
                let keratometry = Keratometry {
                    mire: None,
                    refractive_index: refractive_index.clone(),
                    dioptre_step,
                    representative: representative(
                        side,
                        NS,
                        ("Median", "median"),
                        (eye, token),
                        into,
                        value,
                    )?,
                    shots: shots(side, NS, (eye, token), into, value)?,
                };
                if keratometry.representative.is_some() || !keratometry.shots.is_empty() {
                    sides.push((eye, token, keratometry));
                }
            }
        }
    }
    for block in measure.enter_all((Ns::None, "Confidence")) {
        confidences(block, &mut sides)?;
    }
    into.extend(sides.into_iter().map(|(eye, token, keratometry)| {
        Measurement::of(eye, token, Measured::Keratometry(keratometry))
    }));
    sizes(measure, into)
}

/// Diameters of cornea and pupil, as templates of one reader have them.
fn sizes(measure: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    let sides = |name| {
        let blocks = measure.enter_all((NS, name)).into_iter();
        blocks.flat_map(|block| {
            EYES.into_iter()
                .filter_map(move |(eye, token)| Some((eye, token, block.enter((NS, token))?)))
        })
    };
    for (eye, token, side) in sides("Corneal") {
        if let Some(diameter_mm) = number(side, (NS, "CornealSize"), MILLIMETRES)? {
            let measured = Measured::CornealSize(CornealSize { diameter_mm });
            into.push(Measurement::of(eye, token, measured));
        }
    }
    for (eye, token, side) in sides("Pupil") {
        let lamp = side.peek((NS, "PupilSize")).and_then(|leaf| leaf.node().attribute("Lamp"));
        if let Some(diameter_mm) = number(side, (NS, "PupilSize"), MILLIMETRES)? {
            let state_as_sent = lamp.filter(|lamp| !lamp.trim().is_empty()).map(str::to_owned);
            let measured = Measured::PupilSize(PupilSize { diameter_mm, state_as_sent });
            into.push(Measurement::of(eye, token, measured));
        }
    }
    Ok(())
}

type Side = (chiasm_proto::Eye, &'static str, Keratometry);

fn value(el: El) -> Result<Option<KeratometryValue>, DecodeError> {
    let [r1, r2, average] = [meridian(el, "R1")?, meridian(el, "R2")?, meridian(el, "Average")?];
    let (cylinder, axis) = match el.enter((NS, "Cylinder")) {
        Some(el) => (number(el, (NS, "Power"), DIOPTRES)?, whole(el, (NS, "Axis"), DEGREES)?),
        None => (None, None),
    };
    let value = KeratometryValue {
        r1,
        r2,
        average_mm: average.radius_mm,
        average_power: average.power,
        cylinder,
        cylinder_axis_deg: axis_unless_zero(cylinder, axis),
    };
    let nothing = Meridian::default();
    let is_empty = [r1, r2, average].iter().all(|meridian| *meridian == nothing);
    Ok((!is_empty || cylinder.is_some()).then_some(value))
}

fn meridian(el: El, name: &str) -> Result<Meridian, DecodeError> {
    let Some(el) = el.enter((NS, name)) else { return Ok(Meridian::default()) };
    Ok(Meridian {
        radius_mm: number(el, (NS, "Radius"), MILLIMETRES)?,
        power: number(el, (NS, "Power"), DIOPTRES)?,
        axis_deg: if name == "Average" { None } else { whole(el, (NS, "Axis"), DEGREES)? },
    })
}

/// Confidence of single shots, in a block of its own. What has no shot to go to is left unread.
fn confidences(block: El, sides: &mut [Side]) -> Result<(), DecodeError> {
    for token in ["R", "L"] {
        for side in block.enter_all((Ns::None, token)) {
            for list in side.enter_all((Ns::None, "List")) {
                let no = shot_no(list)?;
                let shot = sides
                    .iter_mut()
                    .filter(|(_, side, _)| *side == token)
                    .flat_map(|(_, _, keratometry)| &mut keratometry.shots)
                    .find(|shot| shot.no == no);
                if let Some(shot) = shot {
                    shot.confidence = confidence(list, Ns::None).or(shot.confidence.take());
                }
            }
            side.enter((Ns::None, "Median"));
        }
    }
    Ok(())
}

//! `measure_TOPO`: simulated keratometry and the keratoconus number of a topography.

use super::values::{Numbers, SIDES, Side, condition};
use crate::{DecodeError, format::xml::El};
use chiasm_proto::{Keratometry, KeratometryValue, Measured, Measurement, Meridian, Shot};

/// Known and not taken over: maps and shapes, not values of the exam.
const UNUSED: [&str; 7] =
    ["axis_step", "cylinder_mode", "meridians", "geometry", "eccentricity", "zernike", "image"];

pub fn decode(measure: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    for (eye, token) in SIDES {
        let Some(el) = measure.enter(format!("topo_{token}").as_str()) else { continue };
        el.ignore(UNUSED);
        let mut side = Side { eye, token, into: &mut *into };
        let conditions = Keratometry {
            refractive_index: el.text_of("refractive_index"),
            dioptre_step: condition(el, "diopter_step")?,
            ..Keratometry::default()
        };
        if let Some(sim_k) = el.enter("sim_k") {
            keratometry(sim_k, conditions, &mut side)?;
        }
        if let Some(keratoconus) = el.enter("keratoconus") {
            side.result(keratoconus, "kpi", None, "keratoconus probability index")?;
            for key in ["si", "AGC", "ak"] {
                side.texts(keratoconus, key, None, "keratoconus number");
            }
        }
        side.texts(el, "CL_fitting", None, "contact lens");
    }
    Ok(())
}

fn keratometry(sim_k: El, conditions: Keratometry, side: &mut Side) -> Result<(), DecodeError> {
    let mut numbers = Numbers::default();
    let parts: [(&str, &[(&str, &'static str)]); 4] = [
        ("K1", &[("radius", "K1 radius"), ("axis", "K1 axis")]),
        ("K2", &[("radius", "K2 radius"), ("axis", "K2 axis")]),
        ("average", &[("radius", "average radius")]),
        ("cylinder", &[("power", "cylinder power"), ("axis", "cylinder axis")]),
    ];
    for (group, keys) in parts {
        let Some(el) = sim_k.enter(group) else { continue };
        for (key, name) in keys {
            numbers.add(el, key, name)?;
        }
    }
    if numbers.is_empty() {
        return Ok(());
    }
    if !numbers.fit() {
        side.push(None, numbers.as_text(sim_k, "sim_k", "simulated keratometry"));
        return Ok(());
    }
    let radii = (numbers.get("K1 radius"), numbers.get("K2 radius"));
    let (Some(_), Some(_)) = radii else {
        return Err(sim_k.malformed("only one of two radii"));
    };
    let cylinder = numbers.get("cylinder power");
    let has_cylinder = cylinder.is_some_and(|cylinder| !cylinder.is_zero());
    let meridian = |radius_mm, axis_deg| Meridian { radius_mm, power: None, axis_deg };
    let value = KeratometryValue {
        r1: meridian(radii.0, numbers.degrees("K1 axis")),
        r2: meridian(radii.1, numbers.degrees("K2 axis")),
        average_mm: numbers.get("average radius"),
        average_power: None,
        cylinder,
        cylinder_axis_deg: numbers.degrees("cylinder axis").filter(|_| has_cylinder),
    };
    let keratometry = Keratometry { shots: vec![Shot::of(value)], ..conditions };
    side.push(None, Measured::Keratometry(keratometry));
    Ok(())
}

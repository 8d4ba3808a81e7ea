//! `KM`, `CS` and `PS` of one eye: curvature and size of the cornea, size of the pupil.

use super::Conditions;
use crate::{
    DecodeError,
    format::xml::{El, values::axis_unless_zero},
    makers::nidek_xml::values::{
        DEGREES, DIOPTRES, MILLIMETRES, Side, number, representative, shots, whole,
    },
};
use chiasm_proto::{CornealSize, Keratometry, KeratometryValue, Measured, Meridian, PupilSize};

/// The name of a picture.
const UNUSED: [&str; 1] = ["KMImage"];

pub fn read(el: El, conditions: &Conditions, side: &mut Side) -> Result<(), DecodeError> {
    for block in el.enter_all("KM") {
        block.ignore(UNUSED);
        // Rings of different size see different corneas: never one set.
        let condition = block.node().attribute("condition").map_or("", str::trim);
        let keratometry = Keratometry {
            mire: (!condition.is_empty()).then(|| condition.to_owned()),
            refractive_index: conditions.refractive_index.clone(),
            dioptre_step: conditions.keratometry_step,
            representative: representative(block, "KMMedian", "median", side, value)?,
            shots: shots(block, "KMList", side, value)?,
        };
        if keratometry.representative.is_some() || !keratometry.shots.is_empty() {
            side.push(Measured::Keratometry(keratometry));
        }
    }
    for list in el.enter_all("CS").into_iter().flat_map(|block| block.enter_all("CSList")) {
        list.count_shot()?;
        if let Some(diameter_mm) = number(list, "Size", MILLIMETRES)? {
            side.push(Measured::CornealSize(CornealSize { diameter_mm }));
        }
    }
    for list in el.enter_all("PS").into_iter().flat_map(|block| block.enter_all("PSList")) {
        list.count_shot()?;
        if let Some(diameter_mm) = number(list, "Size", MILLIMETRES)? {
            let state_as_sent = list.text_of("Lamp");
            side.push(Measured::PupilSize(PupilSize { diameter_mm, state_as_sent }));
        }
    }
    Ok(())
}

fn value(el: El) -> Result<Option<KeratometryValue>, DecodeError> {
    let [r1, r2, average] = [meridian(el, "R1")?, meridian(el, "R2")?, meridian(el, "Average")?];
    let (cylinder, axis) = match el.enter("KMCylinder") {
        Some(el) => (number(el, "Power", DIOPTRES)?, whole(el, "Axis", DEGREES)?),
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
    Ok((value != KeratometryValue::default()).then_some(value))
}

fn meridian(el: El, name: &str) -> Result<Meridian, DecodeError> {
    let Some(el) = el.enter(name) else { return Ok(Meridian::default()) };
    Ok(Meridian {
        radius_mm: number(el, "Radius", MILLIMETRES)?,
        power: number(el, "Power", DIOPTRES)?,
        axis_deg: if name == "Average" { None } else { whole(el, "Axis", DEGREES)? },
    })
}

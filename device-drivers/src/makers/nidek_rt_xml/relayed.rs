//! `KM`, `TM` and `PACHY`: what an ARK or a TONOREF measured and the refractor passes on. Only the
//! value that the instrument declared is there, no shots.

use super::values::{
    DIOPTRES, EYES, KPA, MICROMETRES, MILLIMETRES, MMHG, degrees, number, without_unit,
};
use crate::{
    DecodeError,
    format::xml::{El, values::axis_unless_zero},
};
use chiasm_proto::{
    IopValue, Keratometry, KeratometryValue, Measured, Measurement, Meridian, Pachymetry,
    Representative, Tonometry, TonometryMethod,
};

/// Known and of no use here.
const UNUSED: [&str; 2] = ["AxisStep", "CylinderMode"];

pub fn keratometry(measure: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    for block in measure.enter_all("KM") {
        block.ignore(UNUSED);
        let dioptre_step = number(block, "DiopterStep", DIOPTRES)?;
        let refractive_index = block.text_of("RefractiveIndex");
        for_each_eye(block, "Median", into, |median| {
            let representative = keratometry_value(median)?
                .map(|value| Representative { label: "median".into(), value });
            Ok(representative.map(|representative| {
                Measured::Keratometry(Keratometry {
                    refractive_index: refractive_index.clone(),
                    dioptre_step,
                    representative: Some(representative),
                    ..Keratometry::default()
                })
            }))
        })?;
    }
    Ok(())
}

fn keratometry_value(median: El) -> Result<Option<KeratometryValue>, DecodeError> {
    let [r1, r2, average] =
        [meridian(median, "R1")?, meridian(median, "R2")?, meridian(median, "Average")?];
    let (cylinder, axis) = match median.enter(["KMCylinder", "Cylinder"]) {
        Some(el) => (number(el, "Power", DIOPTRES)?, degrees(el, "Axis")?),
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
    let is_empty = [r1, r2, average].iter().all(|it| *it == nothing) && cylinder.is_none();
    Ok((!is_empty).then_some(value))
}

fn meridian(median: El, name: &str) -> Result<Meridian, DecodeError> {
    let Some(el) = median.enter(name) else { return Ok(Meridian::default()) };
    Ok(Meridian {
        radius_mm: number(el, "Radius", MILLIMETRES)?,
        power: number(el, "Power", DIOPTRES)?,
        axis_deg: if name == "Average" { None } else { degrees(el, "Axis")? },
    })
}

/// The method is not sent, and a pressure may have been typed in.
pub fn tonometry(measure: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    for block in measure.enter_all("TM") {
        for_each_eye(block, "Average", into, |average| {
            let Some(iop_mmhg) = number(average, "IOP_mmHg", MMHG)? else { return Ok(None) };
            let value = IopValue { iop_mmhg, iop_kpa: kilopascals(average)? };
            let label = "average".into();
            Ok(Some(Measured::Tonometry(Tonometry {
                representative: Some(Representative { label, value }),
                ..Tonometry::new(TonometryMethod::NotGiven)
            })))
        })?;
    }
    Ok(())
}

/// The element is called after another unit, so it is read only if it says kPa. Otherwise, and
/// without mmHg, it stays text.
fn kilopascals(average: El) -> Result<Option<chiasm_proto::Hundredths>, DecodeError> {
    let is_kpa = average.peek("IOP_Pa").is_some_and(|leaf| {
        leaf.node().attribute("unit").is_some_and(|unit| unit.trim().eq_ignore_ascii_case("kPa"))
    });
    if is_kpa { number(average, "IOP_Pa", KPA) } else { Ok(None) }
}

pub fn pachymetry(measure: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    for block in measure.enter_all("PACHY") {
        for_each_eye(block, "Average", into, |average| {
            let Some(leaf) = average.leaf("Thickness") else { return Ok(None) };
            let text = without_unit(leaf, MICROMETRES)?;
            let is_whole = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let um: u16 = text
                .parse()
                .ok()
                .filter(|_| is_whole)
                .ok_or_else(|| leaf.malformed("not a whole number of micrometres"))?;
            Ok(Some(Measured::Pachymetry(Pachymetry {
                count_as_sent: None,
                representative_um: Some(Representative { label: "average".into(), value: um }),
                shots_um: vec![],
            })))
        })?;
    }
    Ok(())
}

/// The declared value of each eye, where there is one.
fn for_each_eye(
    block: El,
    declared: &str,
    into: &mut Vec<Measurement>,
    read: impl Fn(El) -> Result<Option<Measured>, DecodeError>,
) -> Result<(), DecodeError> {
    for (eye, token) in EYES {
        for side in block.enter_all(token) {
            let Some(declared) = side.enter(declared) else { continue };
            let measured = read(declared)?;
            into.extend(measured.map(|it| Measurement::of(eye, token, it).relayed()));
        }
    }
    Ok(())
}

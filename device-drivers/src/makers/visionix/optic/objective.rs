//! `objective_mesurement`: what the instrument measured by itself.

use super::{
    refraction, topography,
    values::{SIDES, Side},
};
use crate::{DecodeError, format::xml::El};
use chiasm_proto::{
    CornealSize, CorrectedIop, Hundredths, IopValue, Measured, Measurement, Representative, Shot,
    Tonometry, TonometryMethod,
};

/// Shots of one eye; the elements are numbered from one.
const SHOTS: [(u32, &str); 3] = [(1, "measure1"), (2, "measure2"), (3, "measure3")];
const CORRECTED: &str = "PIOc";

pub fn decode(part: El, model: &str, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    if let Some(measure) = part.enter("measure_WF") {
        refraction::wavefront(measure, into)?;
    }
    if let Some(measure) = part.enter("measure_TOPO") {
        topography::decode(measure, into)?;
    }
    if let Some(measure) = part.enter("ACA") {
        anterior_chamber(measure, into)?;
    }
    // The VX650 writes a pressure block of its own that is not known.
    if !model.contains("650")
        && let Some(measure) = part.enter("TONO")
    {
        tonometry(measure, into)?;
    }
    Ok(())
}

/// Corneal size and the angle. The points of the pachymetry are not documented and stay unread.
fn anterior_chamber(measure: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    for (eye, token) in SIDES {
        let names = [format!("ACA_{token}"), format!("aca_{token}")];
        let Some(el) = measure.enter([names[0].as_str(), names[1].as_str()]) else { continue };
        let mut side = Side { eye, token, into: &mut *into };
        if let Some(diameter_mm) = side.scalar(el, "white_to_white", None, "white to white")? {
            side.push(None, Measured::CornealSize(CornealSize { diameter_mm }));
        }
        // One angle as a number; anything with parts stays as text.
        if el.peek("angle_irido_corneen").is_some_and(|it| it.node().children().next().is_none()) {
            side.result(el, "angle_irido_corneen", None, "iridocorneal angle")?;
        }
    }
    Ok(())
}

fn tonometry(measure: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    for (eye, token) in SIDES {
        let Some(el) = measure.enter(format!("tono_{token}").as_str()) else { continue };
        let mut side = Side { eye, token, into: &mut *into };
        let mut result = Tonometry::new(TonometryMethod::NonContact);
        let value = |iop_mmhg: Hundredths| IopValue { iop_mmhg, iop_kpa: None };
        let average = side.scalar(el, "average", None, "average intraocular pressure")?;
        result.representative =
            average.map(|mmhg| Representative { label: "average".into(), value: value(mmhg) });
        if let Some(shots) = el.enter("PIO") {
            for (no, name) in SHOTS {
                let sent = side.scalar(shots, name, Some("PIO"), "intraocular pressure")?;
                let shot = sent.map(|mmhg| Shot { no: Some(no), ..Shot::of(value(mmhg)) });
                result.shots.extend(shot);
            }
        }
        if let Some(shots) = el.enter(CORRECTED) {
            for (no, name) in SHOTS {
                let name_of = "corrected intraocular pressure";
                let sent = side.scalar(shots, name, Some(CORRECTED), name_of)?;
                result.corrected.extend(sent.map(|mmhg| CorrectedIop {
                    label: CORRECTED.into(),
                    shot_no: Some(no),
                    corrected_mmhg: Some(mmhg),
                    ..CorrectedIop::default()
                }));
            }
        }
        if result != Tonometry::new(TonometryMethod::NonContact) {
            side.push(None, Measured::Tonometry(result));
        }
    }
    Ok(())
}

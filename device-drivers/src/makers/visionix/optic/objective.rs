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

/// Shots of one eye; the elements are numbered from one and spelt in two ways.
const SHOTS: [(u32, [&str; 2]); 3] =
    [(1, ["measure1", "mesure1"]), (2, ["measure2", "mesure2"]), (3, ["measure3", "mesure3"])];
const CORRECTED: &str = "PIOc";
/// Parts of which nothing but the names is known: where their eyes are, and what is in them.
const TEXTS: [(&str, &str, &[&str], &str); 2] = [
    ("ACCO", "acco", &["dist", "add", "residual_add"], "accommodation"),
    ("pupillo", "pupillo", &["diameter", "decentering"], "pupillometry"),
];
/// Parts of the anterior chamber that are kept as text.
const CHAMBER: [(&str, &str); 4] = [
    ("white_to_white", "white to white"),
    ("angle_irido_corneen", "iridocorneal angle"),
    ("depth_previous_chamber", "depth of the anterior chamber"),
    ("pachy", "pachymetry points"),
];

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
    for (key, prefix, parts, name) in TEXTS {
        let Some(measure) = part.enter(key) else { continue };
        for (eye, token) in SIDES {
            let Some(el) = measure.enter(format!("{prefix}_{token}").as_str()) else { continue };
            for key in parts {
                Side { eye, token, into: &mut *into }.texts(el, key, None, name);
            }
        }
    }
    // The VX650 writes a pressure block of its own that is not known.
    if !model.contains("650")
        && let Some(measure) = part.enter("TONO")
    {
        tonometry(measure, into)?;
    }
    Ok(())
}

/// Corneal size; all else as text, for its units are not documented.
fn anterior_chamber(measure: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    for (eye, token) in SIDES {
        let names = [format!("ACA_{token}"), format!("aca_{token}")];
        let Some(el) = measure.enter([names[0].as_str(), names[1].as_str()]) else { continue };
        let mut side = Side { eye, token, into: &mut *into };
        // One number is the diameter; captures have two parts in each eye, whose meaning is not
        // documented.
        if el.peek("white_to_white").is_some_and(|it| it.node().children().next().is_none())
            && let Some(diameter_mm) = side.scalar(el, "white_to_white", None, "white to white")?
        {
            side.push(None, Measured::CornealSize(CornealSize { diameter_mm }));
        }
        for (key, name) in CHAMBER {
            side.texts(el, key, None, name);
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

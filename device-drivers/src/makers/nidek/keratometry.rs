//! Blocks `DKM` and `Dkm`: curvature of the cornea, its size, the pupil.
//!
//! | segment   | columns                                            | meaning                |
//! |-----------|----------------------------------------------------|------------------------|
//! | `·R` `·L` | R1 2–6, R2 7–11, axis of R1 12–14, mean 15–19      | radii in mm            |
//! | `DR` `DL` | R1 2–6, R2 7–11, axis 12–14, mean 15–19, cyl 20–25 | the same in dioptres   |
//! | `SR` `SL` | 2–5 `11.9`                                         | corneal size, mm       |
//! | `PR` `PL` | 2–5 `06.1`, letter 6 (may be missing)              | pupil, mm; state of it |
//!
//! * A line in dioptres belongs to the line in mm directly before it. By itself it is a value too.
//! * The first value of an eye is the result, the others are the shots.
//! * Where both blocks are sent (TONOREF III) they are two rings of different diameter.

use super::{
    block::Block,
    link::Draft,
    values::{EYES, measurement, once},
};
use crate::{DecodeError, format::fields::Field};
use chiasm_proto::{
    CornealSize, Flag, FlagCode, Keratometry, KeratometryValue, Measured, Meridian, PupilSize,
    Representative, Shot,
};

const RESULT: &str = "result";

/// The lines of one eye in one block.
#[derive(Default)]
struct EyeLines {
    values: Vec<KeratometryValue>,
    corneal_size: Option<CornealSize>,
    pupil_size: Option<PupilSize>,
}

/// Reads one block and appends its measurements: curvature, corneal size, pupil; right before left.
pub fn read(block: &Block, is_one_of_two: bool, draft: &mut Draft) -> Result<(), DecodeError> {
    let mut eyes = [EyeLines::default(), EyeLines::default()];
    let mut open = None;
    for segment in &block.segments {
        let eye = usize::from(segment.name.ends_with('L'));
        let lines = &mut eyes[eye];
        let was_open = open.take();
        match segment.name {
            " R" | " L" => {
                lines.values.push(radii(segment)?);
                open = Some(eye);
            }
            "DR" | "DL" => {
                let powers = powers(segment)?;
                match lines.values.last_mut().filter(|_| was_open == Some(eye)) {
                    Some(value) => merge(value, powers, segment, draft),
                    None => lines.values.push(powers),
                }
            }
            "SR" | "SL" => {
                segment.expect_len(6)?;
                let diameter_mm = segment.columns(2, 4, segment.name)?.decimal("00.0")?;
                once(&mut lines.corneal_size, CornealSize { diameter_mm }, segment)?;
            }
            "PR" | "PL" => once(&mut lines.pupil_size, pupil(segment)?, segment)?,
            _ => draft.keep_unknown(block.code, segment),
        }
    }
    let mire = (is_one_of_two || block.code == "Dkm").then(|| block.code.to_owned());
    append(mire, eyes, draft);
    Ok(())
}

fn radii(segment: &Field) -> Result<KeratometryValue, DecodeError> {
    let [_, r1, r2, axis, mean] =
        segment.cut([(2, "eye"), (5, "R1 mm"), (5, "R2 mm"), (3, "K axis"), (5, "mean mm")])?;
    let radius_mm = Some(r1.decimal("00.00")?);
    Ok(KeratometryValue {
        r1: Meridian { radius_mm, axis_deg: Some(axis.axis_deg("000")?), power: None },
        r2: Meridian { radius_mm: Some(r2.decimal("00.00")?), ..Meridian::default() },
        average_mm: Some(mean.decimal("00.00")?),
        average_power: None,
        cylinder: None,
        cylinder_axis_deg: None,
    })
}

fn powers(segment: &Field) -> Result<KeratometryValue, DecodeError> {
    let [_, r1, r2, axis, mean, cylinder] = segment.cut([
        (2, "eye"),
        (5, "R1 D"),
        (5, "R2 D"),
        (3, "K axis"),
        (5, "mean D"),
        (6, "K cylinder"),
    ])?;
    let power = Some(r1.decimal("00.00")?);
    Ok(KeratometryValue {
        r1: Meridian { power, axis_deg: Some(axis.axis_deg("000")?), radius_mm: None },
        r2: Meridian { power: Some(r2.decimal("00.00")?), ..Meridian::default() },
        average_mm: None,
        average_power: Some(mean.decimal("00.00")?),
        cylinder: Some(cylinder.decimal("+00.00")?),
        cylinder_axis_deg: None,
    })
}

/// Puts powers beside the radii of the same value.
fn merge(
    value: &mut KeratometryValue,
    powers: KeratometryValue,
    segment: &Field,
    draft: &mut Draft,
) {
    if value.r1.axis_deg != powers.r1.axis_deg {
        let detail = format!("{} and the line in mm differ in the axis", segment.name);
        draft.decoded.flags.push(Flag { code: FlagCode::Inconsistent, detail });
    }
    value.r1.power = powers.r1.power;
    value.r2.power = powers.r2.power;
    value.average_power = powers.average_power;
    value.cylinder = powers.cylinder;
}

fn pupil(segment: &Field) -> Result<PupilSize, DecodeError> {
    let diameter_mm = segment.columns(2, 4, "pupil")?.decimal("00.0")?;
    let state = match segment.text.len() {
        6 => "",
        _ => segment.cut([(6, "pupil"), (1, "pupil state")])?[1].text.trim_end(),
    };
    if !state.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(segment.malformed("the state of a pupil is a letter"));
    }
    let state_as_sent = (!state.is_empty()).then(|| state.to_owned());
    Ok(PupilSize { diameter_mm, state_as_sent })
}

fn append(mire: Option<String>, eyes: [EyeLines; 2], draft: &mut Draft) {
    let measurements = &mut draft.decoded.measurements;
    let sides = || EYES.into_iter().map(|(eye, _)| eye).zip(&eyes);
    for (eye, lines) in sides() {
        let Some((first, others)) = lines.values.split_first() else { continue };
        let representative = Representative { label: RESULT.into(), value: first.clone() };
        let keratometry = Keratometry {
            mire: mire.clone(),
            refractive_index: None,
            dioptre_step: None,
            representative: Some(representative),
            shots: others.iter().cloned().map(Shot::of).collect(),
        };
        measurements.push(measurement(eye, Measured::Keratometry(keratometry)));
    }
    for (eye, lines) in sides() {
        let size = lines.corneal_size.map(Measured::CornealSize);
        measurements.extend(size.map(|measured| measurement(eye, measured)));
    }
    for (eye, lines) in sides() {
        let size = lines.pupil_size.clone().map(Measured::PupilSize);
        measurements.extend(size.map(|measured| measurement(eye, measured)));
    }
}

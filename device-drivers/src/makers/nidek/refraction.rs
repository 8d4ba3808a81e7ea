//! Blocks `DRM` (day) and `Drm` (night), `DWF` and `Dwf` (the same from the wavefront): refraction
//! and pupillary distance.
//!
//! | segment   | columns                                   | meaning                             |
//! |-----------|-------------------------------------------|-------------------------------------|
//! | `VD`      | 2–6 `13.75`                               | vertex distance, mm                 |
//! | `WD`      | 2–3 `40`                                  | near working distance, cm           |
//! | `OR` `OL` | sph 2–7, cyl 8–13, axis 14–16             | 17 characters: the median           |
//! | `OR` `OL` | … confidence 17, mark 18 (may be cut)     | 18, 19 characters: one shot         |
//! | `CR` `CL` | as the median                             | contact lens equivalent             |
//! | `TR` `TL` | as the median                             | trial lens                          |
//! | `DR` `DL` | sph, cyl, signed axis 14–16               | night − day, in `Drm` only          |
//! | `PD`      | far 2–3, right 4–5, left 6–7, near 8–9    | mm, `??` missing; may end after far |
//!
//! * A `VD`, `WD` or `PD` of digits in another form, such as `PD61.5`, is kept as an unknown record
//!   and leaves the refraction; damage within the known form refuses the transmission.
//! * `C`, `T` and `D` lines are conversions of an `O` line. All zero without one means that the eye
//!   was not measured; any other lone one is kept as an unknown record, never as a reading.
//! * The mark is a blank or `*`, which one reader of a TONOREF II calls the cataract mode's. It is
//!   kept behind the confidence as sent and decides nothing.
//! * What comes from the wavefront is a set of its own, under its block's code.
//! * One shot: no median is sent. Several shots without a median: none is chosen here either.

use super::{
    block::Block,
    link::Draft,
    values::{
        EYES, Sent, is_of_numbers, measurement, number_behind_code, once, sphere_cylinder_axis,
    },
};
use crate::{DecodeError, format::fields::Field};
use chiasm_proto::{
    Confidence, Eye, Hundredths, Light, Measured, Measurement, PupillaryDistance, Refraction,
    RefractionKind, RefractionValue, Representative, Shot,
};

/// Below this the maker calls a shot unsure.
const CONFIDENCE_MIN: u8 = b'5';
const SCALE: &str = "NIDEK 1-9";
const MEDIAN: &str = "median";
const CONVERTED: &str = "converted";

/// The lines of one eye in one block.
#[derive(Default)]
struct EyeLines<'a> {
    median: Option<RefractionValue>,
    shots: Vec<Shot<RefractionValue>>,
    converted: Vec<(RefractionKind, Field<'a>, RefractionValue)>,
}

impl EyeLines<'_> {
    fn is_measured(&self) -> bool {
        self.median.is_some() || !self.shots.is_empty()
    }
}

/// Reads one block and appends its measurements: per kind right before left, distances last.
pub fn read(block: &Block, draft: &mut Draft) -> Result<(), DecodeError> {
    let is_night = matches!(block.code, "Drm" | "Dwf");
    let light = if is_night { Light::Night } else { Light::Day };
    let mut common = Common { light, vertex_distance_mm: None, working_distance_cm: None };
    let mut eyes = [EyeLines::default(), EyeLines::default()];
    let mut distances = None;
    for segment in &block.segments {
        let eye = match segment.name.as_bytes() {
            [_, b'R'] => 0,
            [_, b'L'] => 1,
            _ => usize::MAX,
        };
        match (segment.name, eyes.get_mut(eye)) {
            ("VD" | "WD", _) => {
                let (slot, shapes) = match segment.name {
                    "VD" => (&mut common.vertex_distance_mm, &["_0.00"][..]),
                    _ => (&mut common.working_distance_cm, &["_0", "__0"][..]),
                };
                match number_behind_code(segment, shapes)? {
                    Sent::Number(value) => once(slot, value, segment)?,
                    Sent::Nothing => {}
                    Sent::OtherForm => draft.keep_unknown(block.code, segment),
                }
            }
            ("PD", _) => match pupillary_distance(segment)? {
                Some(distance) => once(&mut distances, distance, segment)?,
                None => draft.keep_unknown(block.code, segment),
            },
            ("OR" | "OL", Some(lines)) => measured_line(segment, lines)?,
            ("CR" | "CL", Some(lines)) => {
                converted_line(RefractionKind::ContactLensEquivalent, segment, lines)?
            }
            ("TR" | "TL", Some(lines)) => {
                converted_line(RefractionKind::TrialLens, segment, lines)?
            }
            ("DR" | "DL", Some(lines)) if block.code == "Drm" => difference(segment, lines)?,
            _ => draft.keep_unknown(block.code, segment),
        }
    }
    append(block, common, eyes, draft);
    append_distances(block, distances, common, draft);
    Ok(())
}

/// What holds for all refractions of a block.
#[derive(Clone, Copy)]
struct Common {
    light: Light,
    vertex_distance_mm: Option<Hundredths>,
    working_distance_cm: Option<Hundredths>,
}

impl Common {
    /// A conversion is to another plane, so the measured vertex distance is not its own.
    fn refraction(self, kind: RefractionKind) -> Refraction {
        let is_converted = kind == RefractionKind::ContactLensEquivalent;
        Refraction {
            light: self.light,
            vertex_distance_mm: self.vertex_distance_mm.filter(|_| !is_converted),
            working_distance_cm: self.working_distance_cm.filter(|_| !is_converted),
            ..Refraction::new(kind)
        }
    }
}

fn measured_line(segment: &Field, lines: &mut EyeLines) -> Result<(), DecodeError> {
    let value = sphere_cylinder_axis(segment, 2)?;
    match segment.text.as_bytes() {
        [_, ..] if segment.text.len() == 17 => once(&mut lines.median, value, segment),
        [.., confidence] if segment.text.len() == 18 => {
            shot(segment, value, (*confidence, b' '), lines)
        }
        [.., confidence, mark @ (b' ' | b'*')] if segment.text.len() == 19 => {
            shot(segment, value, (*confidence, *mark), lines)
        }
        _ => Err(segment.malformed("neither a median nor one reading with its confidence")),
    }
}

fn shot(
    segment: &Field,
    value: RefractionValue,
    (confidence, mark): (u8, u8),
    lines: &mut EyeLines,
) -> Result<(), DecodeError> {
    // `E` is the maker's mark for a shot that it could not grade.
    if !matches!(confidence, b'1'..=b'9' | b'E') {
        let field = segment.columns(17, 1, segment.name)?;
        return Err(field.malformed("a confidence is 1 to 9 or E"));
    }
    let confidence = Confidence {
        as_sent: [confidence, mark].map(char::from).iter().collect::<String>().trim_end().into(),
        scale: SCALE.into(),
        low: confidence < CONFIDENCE_MIN || confidence == b'E',
    };
    lines.shots.push(Shot { confidence: Some(confidence), ..Shot::of(value) });
    Ok(())
}

fn converted_line<'a>(
    kind: RefractionKind,
    segment: &Field<'a>,
    lines: &mut EyeLines<'a>,
) -> Result<(), DecodeError> {
    segment.expect_len(17)?;
    add_converted(kind, segment, sphere_cylinder_axis(segment, 2)?, lines)
}

fn add_converted<'a>(
    kind: RefractionKind,
    segment: &Field<'a>,
    value: RefractionValue,
    lines: &mut EyeLines<'a>,
) -> Result<(), DecodeError> {
    if lines.converted.iter().any(|(known, ..)| *known == kind) {
        return Err(segment.malformed("sent twice in one block"));
    }
    lines.converted.push((kind, *segment, value));
    Ok(())
}

/// Night minus day. The axis is a difference: it has a sign and stays even at cylinder 0.
fn difference<'a>(segment: &Field<'a>, lines: &mut EyeLines<'a>) -> Result<(), DecodeError> {
    segment.expect_len(17)?;
    let axis = segment.columns(14, 3, segment.name)?;
    let value = RefractionValue {
        sphere: segment.columns(2, 6, segment.name)?.decimal("+00.00")?,
        cylinder: segment.columns(8, 6, segment.name)?.decimal("+00.00")?,
        axis_deg: i16::try_from(axis.whole("+00")?).ok(),
        spherical_equivalent: None,
    };
    add_converted(RefractionKind::NightMinusDay, segment, value, lines)
}

/// Nothing if the form is not known: what its digits mean is not sure, and the refraction beside
/// them is.
fn pupillary_distance(segment: &Field) -> Result<Option<PupillaryDistance>, DecodeError> {
    let part = |from: usize| -> Result<Option<Hundredths>, DecodeError> {
        let field = segment.columns(from, 2, "PD")?;
        if matches!(field.text, "??" | "  ") { Ok(None) } else { field.decimal("00").map(Some) }
    };
    match segment.text.len() {
        2 => Ok(Some(PupillaryDistance::default())),
        4 => Ok(Some(PupillaryDistance { far_mm: part(2)?, ..Default::default() })),
        10 => Ok(Some(PupillaryDistance {
            far_mm: part(2)?,
            right_mm: part(4)?,
            left_mm: part(6)?,
            near_mm: part(8)?,
            ..Default::default()
        })),
        _ if is_of_numbers(&segment.text[2..]) => Ok(None),
        found => Err(segment.malformed(format!("{found} characters, expected 4 or 10"))),
    }
}

fn append(block: &Block, common: Common, eyes: [EyeLines; 2], draft: &mut Draft) {
    let kinds = [
        RefractionKind::ContactLensEquivalent,
        RefractionKind::TrialLens,
        RefractionKind::NightMinusDay,
    ];
    for ((eye, _), lines) in EYES.into_iter().zip(&eyes) {
        if lines.is_measured() {
            let refraction = Refraction {
                representative: lines.median.map(|value| chosen(MEDIAN, value)),
                shots: lines.shots.clone(),
                ..common.refraction(RefractionKind::Autorefraction)
            };
            draft.decoded.measurements.push(of(block, eye, Measured::Refraction(refraction)));
        }
    }
    for kind in kinds {
        for ((eye, _), lines) in EYES.into_iter().zip(&eyes) {
            for (_, segment, value) in lines.converted.iter().filter(|(found, ..)| *found == kind) {
                let is_zero = value.sphere.is_zero() && value.cylinder.is_zero();
                if lines.is_measured() {
                    let representative = Some(chosen(CONVERTED, *value));
                    let refraction = Refraction { representative, ..common.refraction(kind) };
                    let measured = Measured::Refraction(refraction);
                    draft.decoded.measurements.push(of(block, eye, measured));
                } else if !is_zero {
                    draft.keep_unknown(block.code, segment);
                }
            }
        }
    }
}

/// Values of the wavefront are kept apart from those of the autorefraction beside them.
fn of(block: &Block, eye: Eye, measured: Measured) -> Measurement {
    let it = measurement(eye, measured);
    if block.code.eq_ignore_ascii_case("DWF") { it.in_set(block.code) } else { it }
}

fn chosen(label: &str, value: RefractionValue) -> Representative<RefractionValue> {
    Representative { label: label.into(), value }
}

fn append_distances(
    block: &Block,
    distances: Option<PupillaryDistance>,
    common: Common,
    draft: &mut Draft,
) {
    let Some(mut distance) = distances.filter(|sent| *sent != PupillaryDistance::default()) else {
        return;
    };
    distance.working_distance_cm =
        common.working_distance_cm.filter(|_| distance.near_mm.is_some());
    let measured = Measured::PupillaryDistance(distance);
    draft.decoded.measurements.push(of(block, Eye::Both, measured));
}

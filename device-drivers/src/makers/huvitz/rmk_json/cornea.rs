//! The cornea of an eye.

use super::{Other, Sent};
use crate::{
    DecodeError, ErrorCode,
    format::fields::{Field, Number},
};
use chiasm_proto::{
    Eye, Hundredths, Keratometry, KeratometryValue, Measured, Measurement, Meridian, Shot,
    UnknownRecord,
};

/// What stands behind the side in a key.
pub const PARTS: [&str; 7] = ["r1_d", "r1_mm", "r1_ax", "r2_d", "r2_mm", "r2_ax", "kc"];

/// Takes the values of the side out of the others. If one of them is finer than a value is kept,
/// all of them are text.
pub fn measurement(
    eye: Eye,
    side: &str,
    others: &mut Vec<Other>,
    unknown: &mut Vec<UnknownRecord>,
) -> Result<Option<Measurement>, DecodeError> {
    let is_of_side = |other: &mut Other| {
        let part = other.name.strip_prefix(side).and_then(|rest| rest.strip_prefix('_'));
        part.is_some_and(|part| PARTS.contains(&part))
    };
    let sent: Vec<Other> = others.extract_if(.., is_of_side).collect();
    let is_finer =
        |other: &Other| matches!(&other.sent, Some(Sent { number: Number::Finer(_), .. }));
    if sent.iter().any(is_finer) {
        unknown.extend(sent.into_iter().filter_map(Other::kept));
        return Ok(None);
    }
    let find = |part: &str| {
        let other = sent.iter().find(|other| other.name.ends_with(part))?;
        other.sent.as_ref().map(|sent| (sent, other.key.as_str()))
    };
    let number = |part| match find(part)?.0.number {
        Number::Hundredths(number) => Some(number),
        Number::Finer(_) => None,
    };
    let size = |part| number(part).filter(|number: &Hundredths| !number.is_zero());
    let axis = |part| match find(part) {
        Some((sent, key)) => Field::new(&sent.text, sent.offset, key).free_axis_deg().map(Some),
        None => Ok(None),
    };
    let meridian = |power, radius, degrees| -> Result<Meridian, DecodeError> {
        let (power, radius_mm) = (size(power), size(radius));
        let is_there = power.is_some() || radius_mm.is_some();
        Ok(Meridian { power, radius_mm, axis_deg: axis(degrees)?.filter(|_| is_there) })
    };
    let (r1, r2) = (meridian("r1_d", "r1_mm", "r1_ax")?, meridian("r2_d", "r2_mm", "r2_ax")?);
    let is_missing = [r1, r2].map(|meridian| meridian == Meridian::default());
    match is_missing {
        [true, true] => return Ok(None),
        [false, false] => {}
        _ => {
            let offset = sent.iter().find_map(|other| Some(other.sent.as_ref()?.offset));
            let message = "a cornea with one meridian";
            let error = DecodeError::new(ErrorCode::Malformed, offset.unwrap_or(0), message);
            return Err(error.in_field(side));
        }
    }
    let value = KeratometryValue { r1, r2, cylinder: number("kc"), ..KeratometryValue::default() };
    let shots = vec![Shot::of(value)];
    let measured = Measured::Keratometry(Keratometry { shots, ..Keratometry::default() });
    Ok(Some(Measurement::of(eye, side, measured)))
}

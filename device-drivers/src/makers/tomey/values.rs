//! What the families share: plain text, whole lines, exact numbers, the two eyes.

use crate::{
    DecodeError, DriverOptions, ErrorCode, LineSettings, Parity,
    format::fields::{self, Field},
};
use chiasm_proto::{
    ClaimedPatient, Decoded, Eye, Flag, FlagCode, Hundredths, Instrument, Integrity, Measured,
    Measurement, RefractionValue, Representative, UnknownRecord,
};
use std::time::Duration;

pub const VENDOR: &str = "Tomey";
/// Longest transmission, in bytes. The longest known has some 400; ten readings of everything stay
/// below four thousand.
pub const LEN_MAX: usize = 8 * 1024;
/// So long after the last byte nothing more comes; also where silence is the only end.
pub const SILENCE: Duration = Duration::from_millis(1500);
/// The standard output of RC-5000 has four characters.
const PATIENT_ID_LEN_MAX: usize = 32;
/// Most readings of one eye.
pub const SHOTS_MAX: usize = 32;
/// The two eyes, in the order in which readings list them.
pub const EYES: [(Eye, &str); 2] = [(Eye::Right, "R"), (Eye::Left, "L")];

pub const fn line(baud: u32, data_bits: u8, parity: Parity, stop_bits: u8) -> LineSettings {
    LineSettings { baud, data_bits, parity, stop_bits }
}

/// A reading in which nothing was measured yet. These instruments do not name themselves, so
/// without a configured model it is the family's name.
pub fn draft(options: &DriverOptions, family: &str) -> Decoded {
    let model = options.model.clone().unwrap_or_else(|| family.into());
    let instrument = Instrument { vendor: VENDOR.into(), model, ..Instrument::default() };
    Decoded::new(instrument, Integrity::None)
}

/// What becomes of a draft: nothing if nothing was sent; a refusal, so that the bytes are kept for
/// a person, if all of it is of unknown kind.
pub fn finish(mut decoded: Decoded) -> Result<Option<Decoded>, DecodeError> {
    match (decoded.measurements.is_empty(), decoded.unknown_records.first()) {
        (true, None) => Ok(None),
        (true, Some(record)) => Err(DecodeError::new(
            ErrorCode::NotRead,
            record.offset,
            "nothing in this transmission is of a known kind",
        )),
        (false, _) => {
            crate::flags::complete(&mut decoded);
            Ok(Some(decoded))
        }
    }
}

pub fn keep_unknown(decoded: &mut Decoded, record: &Field) {
    let text = record.text.to_owned();
    decoded.unknown_records.push(UnknownRecord { offset: record.offset, text });
}

/// All of these formats are plain ASCII.
pub fn ascii(bytes: &[u8]) -> Result<&str, DecodeError> {
    let strange = bytes.iter().position(|byte| !byte.is_ascii());
    let refuse = |at| DecodeError::new(ErrorCode::Encoding, at, "not an ASCII character");
    match strange {
        Some(at) => Err(refuse(at)),
        None => std::str::from_utf8(bytes).map_err(|error| refuse(error.valid_up_to())),
    }
}

/// Refuses control characters.
pub fn expect_printable(field: &Field) -> Result<(), DecodeError> {
    match field.text.bytes().position(|byte| byte.is_ascii_control()) {
        None => Ok(()),
        Some(at) => {
            let field = Field { offset: field.offset + at, ..*field };
            Err(field.malformed("a control character"))
        }
    }
}

/// What a last line without its line end is worth.
pub enum Last {
    /// Its shape shows that nothing is missing.
    Whole,
    /// It gives no value: it is left out and that is told.
    Text,
    /// It may have been cut in the middle of a number.
    Cut,
}

/// The lines of a transmission that only silence ends, without blank ones.
pub fn whole_lines<'a>(
    bytes: &'a [u8],
    last: fn(&Field) -> Last,
    decoded: &mut Decoded,
) -> Result<Vec<Field<'a>>, DecodeError> {
    let mut lines = fields::lines(ascii(bytes)?);
    if let Some(end) = lines.pop_if(|line| !line.is_ended) {
        match last(&end.field) {
            Last::Whole => lines.push(end),
            Last::Text => {
                let detail = "the last line has no line end and was not taken over".into();
                decoded.flags.push(Flag { code: FlagCode::Inconsistent, detail });
            }
            Last::Cut => {
                let message = "the last line has no line end: it may have been cut short";
                return Err(DecodeError::new(ErrorCode::Incomplete, end.field.offset, message));
            }
        }
    }
    lines.retain(|line| !line.field.text.is_empty());
    lines.iter().try_for_each(|line| expect_printable(&line.field))?;
    Ok(lines.into_iter().map(|line| line.field).collect())
}

/// An axis that can have no further digit, or a number with its two decimals.
pub fn is_whole(field: &Field) -> bool {
    let field = field.trimmed();
    field.has_shape("000") || power(&field).is_ok()
}

/// Three fields with nothing in them: not measured.
pub fn is_blank(fields: [&Field; 3]) -> bool {
    fields.iter().all(|field| field.text.trim().is_empty())
}

/// The id of a `[PT_ID]` line; some have an asterisk in front.
pub fn claim(id: &Field) -> Result<Option<ClaimedPatient>, DecodeError> {
    let text = id.text.trim().trim_start_matches('*').trim_start();
    if text.len() > PATIENT_ID_LEN_MAX {
        return Err(id.malformed("longer than any patient id"));
    }
    let claim = ClaimedPatient { id: text.into(), found_in: "[PT_ID]".into() };
    Ok((!text.is_empty()).then_some(claim))
}

/// Positions at which a line begins, but for the first one.
pub fn line_starts(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| matches!(byte, b'\r' | b'\n'));
    ends.map(|(at, _)| at + 1)
}

/// A number of one of these shapes, without blanks inside.
fn shaped(field: &Field, shapes: &[&str]) -> Option<Hundredths> {
    let shape = shapes.iter().find(|shape| field.has_shape(shape))?;
    field.decimal(shape).ok()
}

/// A power in free form: blanks before it, an optional sign, exactly two decimals.
pub fn power(field: &Field) -> Result<Hundredths, DecodeError> {
    let field = field.trimmed();
    shaped(&field, &["+0.00", "+00.00", "0.00", "00.00"])
        .ok_or_else(|| field.malformed("not a power with two decimals"))
}

/// The same with a sign.
pub fn signed_power(field: &Field) -> Result<Hundredths, DecodeError> {
    field.trimmed().with_sign(power(field)?)
}

/// A radius in millimetres in free form, with exactly two decimals and no sign.
pub fn radius(field: &Field) -> Result<Hundredths, DecodeError> {
    let field = field.trimmed();
    shaped(&field, &["0.00", "00.00"])
        .ok_or_else(|| field.malformed("not a radius with two decimals"))
}

/// The distance of two eyes or of a lens from one; zero was not measured.
pub fn distance(field: &Field) -> Result<Option<Hundredths>, DecodeError> {
    Ok(length(field)?.filter(|distance| !distance.is_zero()))
}

/// A length in free form; none if the field is blank.
pub fn length(field: &Field) -> Result<Option<Hundredths>, DecodeError> {
    let field = field.trimmed();
    if field.text.is_empty() {
        return Ok(None);
    }
    let found = shaped(&field, &["0", "00", "000", "0.0", "00.0", "0.00", "00.00"]);
    found.map(Some).ok_or_else(|| field.malformed("not a distance"))
}

/// An axis in free form. A blank behind it may have been its last digit.
pub fn axis_deg(field: &Field) -> Result<i16, DecodeError> {
    let field = field.padded()?;
    let shape = ["0", "00", "000"].into_iter().find(|shape| field.has_shape(shape));
    let shape = shape.ok_or_else(|| field.malformed("not an axis in whole degrees"))?;
    field.axis_deg(shape)
}

/// Without a cylinder there is no axis, and only then its field may be blank.
pub fn axis_unless_zero(cylinder: Hundredths, axis: &Field) -> Result<Option<i16>, DecodeError> {
    if cylinder.is_zero() && axis.text.trim().is_empty() {
        return Ok(None);
    }
    let axis_deg = axis_deg(axis)?;
    Ok((!cylinder.is_zero()).then_some(axis_deg))
}

/// Sphere, cylinder and axis from three fields in free form.
pub fn free_value(
    sphere: &Field,
    cylinder: &Field,
    axis: &Field,
) -> Result<RefractionValue, DecodeError> {
    let (sphere, cylinder) = (signed_power(sphere)?, signed_power(cylinder)?);
    Ok(RefractionValue {
        sphere,
        cylinder,
        axis_deg: axis_unless_zero(cylinder, axis)?,
        spherical_equivalent: None,
    })
}

/// A line of 17 characters: code 0–1, sphere 2–7, cylinder 8–13, axis 14–16.
pub fn column_value(line: &Field) -> Result<RefractionValue, DecodeError> {
    let columns = [(2, line.name), (6, "sphere"), (6, "cylinder"), (3, "axis")];
    let [_, sphere, cylinder, axis] = line.cut(columns)?;
    let (sphere, cylinder) = (column_power(&sphere)?, column_power(&cylinder)?);
    Ok(RefractionValue {
        sphere,
        cylinder,
        axis_deg: axis_unless_zero(cylinder, &axis.padded()?)?,
        spherical_equivalent: None,
    })
}

/// Six columns `-·1.75`: the sign first, then blanks. Only zero has no sign.
pub fn column_power(field: &Field) -> Result<Hundredths, DecodeError> {
    let refuse = || field.malformed("not a power of the form -_0.00");
    field.expect_len(6)?;
    let (sign, digits) = field.text.split_at_checked(1).ok_or_else(refuse)?;
    let digits = Field { text: digits.trim_start_matches(' '), ..*field };
    let size = shaped(&digits, &["0.00", "00.00"]).ok_or_else(refuse)?;
    match sign {
        "+" => Ok(size),
        "-" => Ok(Hundredths(-size.0)),
        " " if size.is_zero() => Ok(size),
        _ => Err(field.malformed("a power without a sign")),
    }
}

/// The position of an eye's letter in [`EYES`].
pub fn eye_at(letter: &str) -> Option<usize> {
    EYES.iter().position(|(_, known)| *known == letter)
}

pub fn measurement(at: usize, measured: Measured) -> Measurement {
    let (eye, letter) = EYES[at.min(1)];
    Measurement::of(eye, letter, measured)
}

pub fn chosen<V>(label: &str, value: V) -> Representative<V> {
    Representative { label: label.into(), value }
}

/// Fills a slot that may be sent once.
pub fn once<V>(slot: &mut Option<V>, value: V, record: &Field) -> Result<(), DecodeError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(record.malformed("sent twice in one transmission")),
    }
}

#[cfg(test)]
mod tests;

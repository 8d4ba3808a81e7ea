//! Autorefractors that are known from the notes of an application for screenings only: which parts
//! in which order, not their exact bytes.
//!
//! So each is recognised by its whole shape and refused unless it is complete: powers have a
//! decimal point, axes and words have their place, and nothing else may stand between them.

mod fa6500;
mod fr710;
mod fr8900;
mod urk700;

pub use fa6500::SPEC as FA6500;
pub use fr710::SPEC as FR710;
pub use fr8900::SPEC as FR8900;
pub use urk700::SPEC as URK700;

use crate::{
    DecodeError, DriverOptions, DriverSpec, ErrorCode, LineSettings, Parity, Sniff, flags,
    format::{
        fields::{Field, printable},
        stream::{End, Protocol},
    },
};
use chiasm_proto::{
    Decoded, Eye, Hundredths, Instrument, Integrity, Measured, Measurement, PupillaryDistance,
    Refraction, RefractionKind, RefractionValue, Shot, UnknownRecord,
};
use std::time::Duration;

/// Longest transmission, in bytes; the known parts take less than a hundred.
const LEN_MAX: usize = 2048;
/// So many beginnings are tried to recognise a format.
const BEGINNINGS_MAX: usize = 4;
/// So long after the last byte nothing more comes.
const SILENCE_MAX: Duration = Duration::from_secs(1);
const LINE_ENDS: &[u8] = b"\r\n";
const EYES: [(Eye, &str); 2] = [(Eye::Right, "R"), (Eye::Left, "L")];

const SETTINGS: &str = "Serial output on. The line settings are not stated anywhere: the gateway \
                        tries the usual speeds with 8 N 1; set the one that the instrument's menu \
                        shows.";
const DRY_TEST: &str = "Print a measurement of a model eye with different values right and left: \
                        the lane has to show each under its eye. If the bytes are refused, send \
                        us the capture.";

const fn line(baud: u32) -> LineSettings {
    LineSettings { baud, data_bits: 8, parity: Parity::None, stop_bits: 1 }
}

/// Not stated for any of them.
const PROBE: &[LineSettings] =
    &[line(9600), line(115_200), line(19200), line(38400), line(57600), line(4800), line(2400)];

/// What one transmission holds.
#[derive(Debug, Default)]
struct Found {
    /// Right, left.
    eyes: [Option<RefractionValue>; 2],
    distance_mm: Option<Hundredths>,
    unknown_records: Vec<UnknownRecord>,
}

impl Found {
    /// A reading, or nothing if there is nothing in it.
    fn decoded(self, spec: &DriverSpec, options: &DriverOptions) -> Option<Decoded> {
        let instrument = Instrument {
            vendor: spec.vendor.into(),
            model: options.model.clone().unwrap_or_else(|| spec.models[0].into()),
            ..Instrument::default()
        };
        let mut decoded = Decoded::new(instrument, Integrity::None);
        for ((eye, token), value) in EYES.into_iter().zip(self.eyes) {
            decoded.measurements.extend(value.map(|value| {
                let refraction = Refraction {
                    shots: vec![Shot::of(value)],
                    ..Refraction::new(RefractionKind::Autorefraction)
                };
                Measurement::of(eye, token, Measured::Refraction(refraction))
            }));
        }
        decoded.measurements.extend(self.distance_mm.map(|distance| {
            let distance =
                PupillaryDistance { far_mm: Some(distance), ..PupillaryDistance::default() };
            Measurement::without_token(Eye::Both, Measured::PupillaryDistance(distance))
        }));
        decoded.unknown_records = self.unknown_records;
        if decoded.measurements.is_empty() && decoded.unknown_records.is_empty() {
            return None;
        }
        flags::complete(&mut decoded);
        Some(decoded)
    }
}

/// Whether a whole transmission stands in the bytes; one before it may have been cut. None of these
/// formats has a mark that no other has.
fn fits(protocol: &Protocol, bytes: &[u8]) -> Sniff {
    let mut rest = bytes;
    for _ in 0..BEGINNINGS_MAX {
        let Some(at) = (protocol.begins)(rest) else { return Sniff::No };
        rest = &rest[at..];
        let within = &rest[..rest.len().min(protocol.len_max)];
        let whole = match (protocol.ends)(within) {
            End::After(len) => &within[..len],
            End::NotYet if protocol.ends_by_silence => within,
            End::NotYet | End::Broken(_) => &[],
        };
        let read = || (protocol.read)(whole, &DriverOptions::default());
        if !whole.is_empty() && read().is_ok_and(|decoded| decoded.is_some()) {
            return Sniff::Perhaps;
        }
        rest = &rest[1..];
    }
    Sniff::No
}

/// Printable text, refused if its last line end is missing: the last number may have been cut.
fn ended(bytes: &[u8]) -> Result<&str, DecodeError> {
    let text = printable(bytes, LINE_ENDS)?;
    if text.ends_with(['\r', '\n']) {
        return Ok(text);
    }
    let message = "the last line has no line end";
    Err(DecodeError::new(ErrorCode::Incomplete, text.len(), message))
}

/// Sphere or cylinder. An axis or a distance in its place has no decimal point.
fn power(field: &Field) -> Result<Hundredths, DecodeError> {
    let field = padded(field)?;
    if field.text.contains(',') || !field.text.contains('.') {
        return Err(field.malformed("not a power with a decimal point"));
    }
    field.with_sign(field.hundredths()?)
}

fn axis_deg(field: &Field) -> Result<i16, DecodeError> {
    let field = padded(field)?;
    if !field.text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(field.malformed("not an axis"));
    }
    field.free_axis_deg()
}

/// Nothing but blanks before the number and nothing behind it: a blank there may have been its last
/// digit, a line end the sign of a power.
fn padded<'a>(field: &Field<'a>) -> Result<Field<'a>, DecodeError> {
    let text = field.text.trim_start_matches(' ');
    let blank = field.text.len() - text.len();
    let number = Field { text, offset: field.offset + blank, ..*field };
    match text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        true => Err(number.malformed("a blank or a line end inside or behind the number")),
        false => Ok(number),
    }
}

/// None if it is zero. No distance of two eyes has one digit: its second one was lost.
fn distance_mm(field: &Field) -> Result<Option<Hundredths>, DecodeError> {
    let field = field.trimmed();
    if !field.text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(field.malformed("not a distance"));
    }
    let distance = field.hundredths()?;
    if distance.is_zero() {
        return Ok(None);
    }
    match distance < Hundredths::whole(10) {
        true => Err(field.malformed("a distance of one digit")),
        false => Ok(Some(distance)),
    }
}

/// Sphere, cylinder and axis; nothing if all three are blank, refused if some are.
fn value([sphere, cylinder, axis]: [Field; 3]) -> Result<Option<RefractionValue>, DecodeError> {
    let fields = [sphere, cylinder, axis];
    if fields.iter().all(|field| field.text.trim().is_empty()) {
        return Ok(None);
    }
    let cylinder = power(&fields[1])?;
    let axis_deg = axis_deg(&fields[2])?;
    Ok(Some(RefractionValue {
        sphere: power(&fields[0])?,
        cylinder,
        axis_deg: (!cylinder.is_zero()).then_some(axis_deg),
        spherical_equivalent: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(text: &str) -> Field<'_> {
        Field::new(text, 3, "R")
    }

    #[test]
    fn a_power_has_its_sign_and_nothing_behind_it() {
        assert_eq!(power(&field(" -1.50")), Ok(Hundredths(-150)));
        assert_eq!(power(&field("0.00")), Ok(Hundredths(0)));
        for text in ["\r02.25", " \r01.50", "02.25", " 1.50", "-02.5 ", "-02.25\n", "- 2.25"] {
            assert!(power(&field(text)).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_axis_that_lost_its_last_digit_is_refused() {
        assert_eq!(axis_deg(&field("  8")), Ok(8));
        for text in ["12 ", " 12 ", "1 2", "\r12", "12\r", ""] {
            assert!(axis_deg(&field(text)).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_distance_of_zero_is_none() {
        assert_eq!(distance_mm(&field("63 ")), Ok(Some(Hundredths::whole(63))));
        assert_eq!(distance_mm(&field("00.0")), Ok(None));
        assert!(distance_mm(&field("6 ")).is_err());
    }
}

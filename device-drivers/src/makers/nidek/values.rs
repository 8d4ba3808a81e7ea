//! Segments that several families share: who sends, when, for whom, and the common columns.

use super::block::Block;
use crate::{DecodeError, format::fields::Field};
use chiasm_proto::{
    ClaimedPatient, Decoded, Dioptres, Eye, Flag, FlagCode, Hundredths, Instrument, InstrumentTime,
    Measured, Measurement, RefractionValue,
};
use jiff::civil;

// Free text has limits, so that a neighbour whose separator was lost is not swallowed by it.

/// `NIDEK/TONOREF III` has 17 characters.
const ID_LEN_MAX: usize = 24;
/// Instruments take 12 to 14 characters, refractors 20.
const PATIENT_ID_LEN_MAX: usize = 20;
/// A time in a form that is not known; those that are known have 16 to 20 characters.
const UNREAD_TIME_LEN_MAX: usize = 17;
/// The same, of nothing but what times are written with.
const TIME_LEN_MAX: usize = 24;
/// Four digits are usual.
const NUMBER_LEN_MAX: usize = 6;

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-_ .+()".contains(&byte)
}

/// Numbers with their separators, and no words but names of months and `AM`, `PM`: no other record
/// looks so.
fn looks_like_a_time(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || b"./:- ".contains(&byte);
    let mut words = text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    let is_half = |word: &str| matches!(word.to_ascii_uppercase().as_str(), "AM" | "PM");
    text.len() <= TIME_LEN_MAX
        && text.bytes().all(|byte| byte.is_ascii_alphabetic() || is_digit(byte))
        && words.all(|word| month_of(word).is_some() || is_half(word))
}

/// `ID`, `NO`, `IP`, `DA`. Blocks repeat them. Blocks that differ in the instrument, the number or
/// the patient are two transmissions whose border was lost, and refused; another time is flagged.
#[derive(Debug, Default)]
pub struct Header {
    pub instrument: Option<Instrument>,
    number: Option<String>,
    patient: Option<String>,
    time: Option<String>,
    differs_in_time: bool,
}

impl Header {
    /// Takes the header's segments out of a block and gives back the others. In a block of unknown
    /// kind a segment that does not look as expected means something else and stays.
    pub fn read<'a>(
        &mut self,
        block: &Block<'a>,
        is_known: bool,
    ) -> Result<Block<'a>, DecodeError> {
        let mut rest = Block { code: block.code, segments: Vec::new() };
        for segment in &block.segments {
            match self.segment(segment) {
                Ok(true) => {}
                Err(error) if is_known => return Err(error),
                Ok(false) | Err(_) => rest.segments.push(*segment),
            }
        }
        Ok(rest)
    }

    fn segment(&mut self, segment: &Field) -> Result<bool, DecodeError> {
        let value = || segment.text[2..].trim().to_owned();
        match segment.name {
            "ID" => {
                let id = value();
                let named = id.split_once('/').filter(|(_, model)| !model.trim().is_empty());
                let named = named.filter(|_| id.len() <= ID_LEN_MAX && id.bytes().all(is_name));
                let (vendor, model) =
                    named.ok_or_else(|| segment.malformed("not of the form maker/model"))?;
                let instrument = Instrument {
                    vendor: vendor.trim().into(),
                    model: model.trim().into(),
                    ..Instrument::default()
                };
                keep(&mut self.instrument, instrument, segment)?;
            }
            "NO" => {
                let number = value();
                let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
                if !is_number || number.len() > NUMBER_LEN_MAX {
                    return Err(segment.malformed("not the number of a measurement"));
                }
                keep(&mut self.number, number, segment)?;
            }
            "IP" => {
                let id = value();
                if id.len() > PATIENT_ID_LEN_MAX {
                    return Err(segment.malformed("longer than any patient id"));
                }
                keep(&mut self.patient, id, segment)?;
            }
            "DA" => {
                let time = value();
                let is_known = looks_like_a_time(&time) || read_time(&time).is_some();
                if time.len() > UNREAD_TIME_LEN_MAX && !is_known {
                    return Err(segment.malformed("not a time"));
                }
                self.differs_in_time |= keep(&mut self.time, time, segment).is_err();
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Writes all but the instrument into the reading.
    pub fn apply(self, decoded: &mut Decoded) {
        // Some instruments repeat the running number where a patient's id would stand.
        let patient = self.patient.filter(|id| !id.is_empty() && Some(id) != self.number.as_ref());
        decoded.claimed_patient =
            patient.map(|id| ClaimedPatient { id, found_in: "IP record".into() });
        decoded.running_number = self.number.filter(|number| !number.is_empty());
        decoded.instrument_time = self.time.filter(|text| !text.is_empty()).map(|as_sent| {
            let local = read_time(&as_sent);
            InstrumentTime { as_sent, local }
        });
        if self.differs_in_time {
            let detail = "the blocks of this transmission differ in their time".to_owned();
            decoded.flags.push(Flag { code: FlagCode::Inconsistent, detail });
        }
    }
}

/// Keeps the first value; another one after it is refused.
fn keep<V: PartialEq>(slot: &mut Option<V>, value: V, segment: &Field) -> Result<(), DecodeError> {
    match slot {
        Some(first) if *first != value => {
            Err(segment.malformed("not as in the block before: an end was lost between them"))
        }
        _ => {
            slot.get_or_insert(value);
            Ok(())
        }
    }
}

/// `05/SEP/2025.14:22`, `SEP/05/2025.14:22` or `2025.09.05.14:22`, with seconds or without, and
/// with `AM` or `PM` behind it where the clock counts to twelve. The form is a setting of the
/// instrument; what is not understood stays as sent.
fn read_time(text: &str) -> Option<civil::DateTime> {
    let (date, time) = text.rsplit_once('.')?;
    let (time, half) = split_half(time);
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<i16>().ok()).flatten()
    };
    let small = |text: &str| number(text).and_then(|number| i8::try_from(number).ok());
    let (year, month, day) = if let [first, second, year] = date.split('/').collect::<Vec<_>>()[..]
    {
        // The month has a name, so it tells which of the two it is.
        let (month, day) = match month_of(first) {
            Some(month) => (month, second),
            None => (month_of(second)?, first),
        };
        (number(year)?, month, small(day)?)
    } else if let [year, month, day] = date.split('.').collect::<Vec<_>>()[..] {
        (number(year)?, small(month)?, small(day)?)
    } else {
        return None;
    };
    let (hour, minute, second) = match time.split(':').collect::<Vec<_>>()[..] {
        [hour, minute] => (small(hour)?, small(minute)?, 0),
        [hour, minute, second] => (small(hour)?, small(minute)?, small(second)?),
        _ => return None,
    };
    let hour = match half {
        None => hour,
        Some(half) if (1..=12).contains(&hour) => hour % 12 + if half == Half::Pm { 12 } else { 0 },
        Some(_) => return None,
    };
    civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Am,
    Pm,
}

/// Takes `AM` or `PM` off a time.
fn split_half(time: &str) -> (&str, Option<Half>) {
    let Some((clock, half)) = time.len().checked_sub(2).and_then(|at| time.split_at_checked(at))
    else {
        return (time, None);
    };
    match half.to_ascii_uppercase().as_str() {
        "AM" => (clock.trim_end(), Some(Half::Am)),
        "PM" => (clock.trim_end(), Some(Half::Pm)),
        _ => (time, None),
    }
}

fn month_of(name: &str) -> Option<i8> {
    const MONTHS: [&str; 12] =
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    let at = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
    i8::try_from(at + 1).ok()
}

/// Fills a slot that only one segment may fill.
pub fn once<V>(slot: &mut Option<V>, value: V, segment: &Field) -> Result<(), DecodeError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(segment.malformed("sent twice in one block")),
    }
}

/// What a segment with a number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Number(Hundredths),
    /// Blanks: not measured, not set.
    Nothing,
    /// A number in a form that is not known: which digits are whole ones is not sure.
    OtherForm,
}

/// The number behind the two characters of code, in one of these shapes, which differ in length.
/// Refused are signs that no number is written with, and damage within a known shape.
pub fn number_behind_code(segment: &Field, shapes: &[&str]) -> Result<Sent, DecodeError> {
    let rest = segment.columns(2, segment.text.len() - 2, segment.name)?;
    let text = rest.text.trim_end();
    let has_gap = text.trim_start().contains(' ');
    let field = Field { text, ..rest };
    match shapes.iter().find(|shape| shape.len() == text.len()) {
        _ if text.is_empty() => Ok(Sent::Nothing),
        Some(shape) if !has_gap => field.decimal(shape).map(Sent::Number),
        None if is_of_numbers(text) => Ok(Sent::OtherForm),
        _ => Err(segment.malformed(format!("not a number of the form {}", shapes.join(" or ")))),
    }
}

/// Digits, points, and what stands where nothing was measured.
pub fn is_of_numbers(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'?' | b' '))
}

/// The two eyes, in the order in which readings list them.
pub const EYES: [(Eye, char); 2] = [(Eye::Right, 'R'), (Eye::Left, 'L')];

pub fn measurement(eye: Eye, measured: Measured) -> Measurement {
    let letter = EYES.iter().find(|(known, _)| *known == eye);
    match letter {
        Some((_, letter)) => Measurement::of(eye, &letter.to_string(), measured),
        None => Measurement::without_token(eye, measured),
    }
}

/// Sphere 6, cylinder 6, axis 3 columns. Without a cylinder the axis column means nothing. Leading
/// zeros may be blanks, which one reader reckons with; a sign is always sent.
pub fn sphere_cylinder_axis(segment: &Field, from: usize) -> Result<RefractionValue, DecodeError> {
    let name = segment.name.trim();
    let sphere = segment.columns(from, 6, "sphere")?.decimal("+_0.00");
    let cylinder = segment.columns(from + 6, 6, "cylinder")?.decimal("+_0.00");
    let axis = segment.columns(from + 12, 3, "axis")?;
    let has_gap = axis.text.trim_start().contains(' ');
    let axis = if has_gap { Err(axis.malformed("a blank inside")) } else { axis.axis_deg("__0") };
    let of = |error: DecodeError| {
        let field = error.field.clone().unwrap_or_default();
        error.in_field(format!("{name} {field}").trim().to_owned())
    };
    let (sphere, cylinder, axis) = (sphere.map_err(of)?, cylinder.map_err(of)?, axis.map_err(of)?);
    Ok(value(sphere, cylinder, axis))
}

fn value(sphere: Dioptres, cylinder: Dioptres, axis_deg: i16) -> RefractionValue {
    RefractionValue {
        sphere,
        cylinder,
        axis_deg: (!cylinder.is_zero()).then_some(axis_deg),
        spherical_equivalent: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_the_clock() {
        let expected = civil::datetime(2025, 9, 5, 14, 22, 0, 0);
        assert_eq!(read_time("SEP/05/2025.14:22"), Some(expected));
        assert_eq!(read_time("SEP/05/2025.02:22PM"), Some(expected));
        assert_eq!(read_time("05/SEP/2025.02:22PM"), Some(expected));
        assert_eq!(read_time("2025.09.05.02:22PM"), Some(expected));
        let midnight = civil::datetime(2025, 9, 5, 0, 5, 0, 0);
        assert_eq!(read_time("2025.09.05.12:05AM"), Some(midnight));
        let noon = civil::datetime(2025, 9, 5, 12, 5, 0, 0);
        assert_eq!(read_time("2025.09.05.12:05PM"), Some(noon));
        for text in ["2025.09.05.14:22PM", "2025.09.05.00:22AM", "SEP/SEP/2025.14:22"] {
            assert_eq!(read_time(text), None, "{text}");
        }
        assert_eq!(read_time("05/SEP/2025.14:22"), Some(expected));
        assert_eq!(read_time("2025.09.05.14:22"), Some(expected));
        assert_eq!(read_time("2025.09.05.14:22:00"), Some(expected));
        for text in ["2025/09/05 14:22:33", "SEP. 5.2025.  2:22:11 PM", "05-Sep-2025 14:22"] {
            assert!(looks_like_a_time(text), "{text}");
        }
        for text in ["2025.09.05.14:22WVD12.00", "2025.09.05.14:22AMM", "2025.09.05.14:227PD61"] {
            assert!(!looks_like_a_time(text), "{text}");
        }
        for text in ["", "2025.13.05.14:22", "05/SEX/2025.14:22", "2025.09.05", "1.2.3.4:5:6:7"] {
            assert_eq!(read_time(text), None, "{text}");
        }
    }
}

//! Topcon KR-8900: the text of a print, lines told by their place.
//!
//! Source: one public reader of a captured file from which control bytes were already removed.
//! Proved against constructed transmissions only.
//!
//! | lines | form                                        | meaning                                |
//! |-------|---------------------------------------------|----------------------------------------|
//! | 1     | `2026_03_14`                                | date, begins the print                 |
//! | 1     | `AM 09:52` `PM 02:15`                       | time                                   |
//! | 2     | `63` `12`, either first                     | PD (50–75) and vertex distance (8–18)  |
//! | 4     | `-1.75 -0.50 14 -2.00`                      | right: sphere, cylinder, axis, SE; the |
//! |       |                                             | last line is the result                |
//! | 4     | the same                                    | left                                   |
//! | 8 / 0 | `H: 43.21 7.81 12` `V: …` `AVE: 43.55 7.75` | right, then left: D, mm, axis;         |
//! |       | `CYL -0.74 12`                              | corneal cylinder and its axis          |
//! | 1     | `KR-8900   001.02`                          | model; the number's meaning is unknown |
//! | 1     | `0417`                                      | running number, ends the print         |
//!
//! Lines of dots only, and blank ones, stand anywhere. R1 and R2 of a reading are the
//! horizontal and the vertical meridian, whichever is flat.
//!
//! ```text
//! +0.50 -0.75 165 +0.13
//! ```
//!
//! Traps: nothing but the place says right or left, and with one eye missing the other's lines
//! stand in its place. All eight lines are required, else the print is refused. Two numbers that
//! are not one distance of each kind are kept as text.
//!
//! Unknown: control bytes on the live line, so what stands before the date is told as noise; the
//! line settings; what a print without keratometry looks like (its lines are taken to be missing).

use super::{LINES, VENDOR, ascii, instrument};
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, Setup, Sniff, Transport,
    flags,
    format::{
        fields::{Field, lines},
        stream::{End, Protocol, StreamDecoder},
        xml::values::axis_unless_zero,
    },
};
use chiasm_proto::{
    Decoded, Eye, Hundredths, InstrumentTime, Integrity, Keratometry, KeratometryValue, Measured,
    Measurement, Meridian, PupillaryDistance, Refraction, RefractionKind, RefractionValue,
    Representative, Shot, UnknownRecord,
};
use jiff::civil;
use std::time::Duration;

/// Longest print. One with keratometry is below 500 bytes.
const LEN_MAX: usize = 4096;
const DATE: &str = "0000_00_00";
const MODEL: &str = "KR-8900";
const EYES: [Eye; 2] = [Eye::Right, Eye::Left];
/// Lines of an eye: three readings and the result.
const ROWS: usize = 4;
/// In millimetres.
const PD_RANGE: std::ops::RangeInclusive<i32> = 50..=75;
const VD_RANGE: std::ops::RangeInclusive<i32> = 8..=18;
const RESULT: &str = "result";

pub static SPEC: DriverSpec = DriverSpec {
    id: "topcon_kr8900",
    version: "1",
    vendor: VENDOR,
    models: &["KR-8900"],
    yields: &["refraction", "keratometry", "pupillary_distance"],
    transport: Transport::Serial(LINES),
    evidence: Evidence::SingleSource,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "RS-232 of the instrument, D-sub 9. If nothing arrives with a straight cable, \
                 try a crossed one.",
        settings: "RS-232 output on, at each print, both eyes, three readings each. The speed is \
                   not documented: 9600 or 2400 baud, 8 data bits, no parity, 1 stop bit are \
                   usual.",
        dry_test: "Measure the model eye three times as right and three times as left and press \
                   print: the lane shows the results of the paper strip.",
    },
    limits: "Known from one captured file without its control bytes. Line settings are not \
             stated there; 9600 and 2400 8N1 are tried because they are usual. Prints of one eye \
             only, or with another number of readings, are refused.",
    sniff: |bytes| match find_date(bytes) {
        Some(at) if find_model(&bytes[at..]).is_some() => Sniff::Yes,
        Some(_) => Sniff::Perhaps,
        None => Sniff::No,
    },
    new: |options| StreamDecoder::boxed(&PROTOCOL, options),
};

static PROTOCOL: Protocol = Protocol {
    begins: find_date,
    ends,
    silence: Duration::from_secs(3),
    ends_by_silence: false,
    len_max: LEN_MAX,
    read,
};

/// A line that is a date and nothing else.
fn find_date(bytes: &[u8]) -> Option<usize> {
    let is_date = |window: &[u8]| {
        let (date, end) = window.split_at(DATE.len());
        let is_shape = |(byte, shape): (&u8, u8)| match shape {
            b'0' => byte.is_ascii_digit(),
            other => *byte == other,
        };
        matches!(end, b"\r" | b"\n") && date.iter().zip(DATE.bytes()).all(is_shape)
    };
    bytes.windows(DATE.len() + 1).position(is_date)
}

/// Position behind the line that names the model.
fn find_model(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n' || *byte == b'\r') {
        at += line.len();
        if line.starts_with(MODEL.as_bytes()) && matches!(line.last(), Some(b'\r' | b'\n')) {
            return Some(at);
        }
    }
    None
}

/// The first end of the line behind the model's. An LF after it is left to the line ends, so that
/// the cut does not depend on when it comes.
fn ends(bytes: &[u8]) -> End {
    let again = find_date(&bytes[1..]).map(|at| at + 1);
    let end = find_model(bytes).and_then(|behind| {
        let mut at = behind;
        for line in bytes[behind..].split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
            at += line.len();
            let (last, text) = line.split_last()?;
            let is_whole = matches!(last, b'\r' | b'\n');
            let is_empty = text.iter().all(|byte| matches!(byte, b'.' | b' '));
            if is_whole && !is_empty {
                return Some(at);
            }
        }
        None
    });
    match (end, again) {
        (Some(end), again) if again.is_none_or(|again| again >= end) => End::After(end),
        (_, Some(again)) => End::Broken(again),
        _ => End::NotYet,
    }
}

fn read(raw: &[u8], options: &DriverOptions) -> Result<Option<Decoded>, DecodeError> {
    let mut rows = Rows::of(ascii(raw)?);
    let mut decoded = Decoded::new(instrument(options, MODEL), Integrity::None);
    let date = rows.next("date")?;
    decoded.instrument_time = Some(instrument_time(&date, &rows.next("time")?)?);
    let numbers = [rows.next("PD or VD")?, rows.next("PD or VD")?];
    let (pd, vd) = distances(&numbers)?;
    if pd.is_none() {
        decoded.unknown_records = numbers.map(kept).into();
    }
    for eye in EYES {
        let name = if eye == Eye::Right { "right refraction" } else { "left refraction" };
        let mut values = vec![];
        for _ in 0..ROWS {
            values.push(refraction_value(&rows.next(name)?)?);
        }
        let result = values.pop();
        let refraction = Refraction {
            vertex_distance_mm: vd,
            representative: result.map(|value| Representative { label: RESULT.into(), value }),
            shots: values.into_iter().map(Shot::of).collect(),
            ..Refraction::new(RefractionKind::Autorefraction)
        };
        let measured = Measured::Refraction(refraction);
        decoded.measurements.push(Measurement::without_token(eye, measured));
    }
    if let Some(far_mm) = pd {
        let distance = PupillaryDistance { far_mm: Some(far_mm), ..PupillaryDistance::default() };
        let measured = Measured::PupillaryDistance(distance);
        decoded.measurements.push(Measurement::without_token(Eye::Both, measured));
    }
    if !rows.is_model() {
        for eye in EYES {
            let keratometry = Keratometry {
                shots: vec![Shot::of(keratometry_value(&mut rows)?)],
                ..Keratometry::default()
            };
            let measured = Measured::Keratometry(keratometry);
            decoded.measurements.push(Measurement::without_token(eye, measured));
        }
    }
    check_model(&rows.next("model")?)?;
    let no = rows.next("running number")?;
    no.whole("0000")?;
    decoded.running_number = Some(no.text.to_owned());
    flags::complete(&mut decoded);
    Ok(Some(decoded))
}

/// The lines that carry something.
struct Rows<'a> {
    rows: std::iter::Peekable<std::vec::IntoIter<Field<'a>>>,
    len: usize,
}

impl<'a> Rows<'a> {
    fn of(text: &'a str) -> Self {
        let fields = lines(text).into_iter().map(|line| line.field);
        let has_words = |field: &Field| !field.text.trim_matches(['.', ' ']).is_empty();
        let rows: Vec<Field> = fields.filter(has_words).collect();
        Self { rows: rows.into_iter().peekable(), len: text.len() }
    }

    fn next(&mut self, name: &'a str) -> Result<Field<'a>, DecodeError> {
        let missing = || {
            let message = "this line is missing";
            DecodeError::new(ErrorCode::Malformed, self.len, message).in_field(name)
        };
        self.rows.next().map(|field| field.named(name).trimmed()).ok_or_else(missing)
    }

    fn is_model(&mut self) -> bool {
        self.rows.peek().is_some_and(|row| row.text.starts_with(MODEL))
    }
}

fn kept(field: Field) -> UnknownRecord {
    UnknownRecord { offset: field.offset, text: field.text.to_owned() }
}

/// The date's order is fixed by the format. A date that no calendar has is kept as sent.
fn instrument_time(date: &Field, time: &Field) -> Result<InstrumentTime, DecodeError> {
    let half = match time.text.get(..3) {
        Some("AM ") => 0,
        Some("PM ") => 12,
        _ => return Err(time.malformed("neither AM nor PM")),
    };
    let clock = time.columns(3, time.text.len() - 3, "time")?;
    if !clock.has_shape("00:00") {
        return Err(clock.malformed("not a time"));
    }
    let number = |field: &Field, from: usize, len: usize| -> Result<i32, DecodeError> {
        field.columns(from, len, field.name)?.whole(&"0000"[..len])
    };
    let (hour, minute) = (number(&clock, 0, 2)?, number(&clock, 3, 2)?);
    let parts = [number(date, 0, 4)?, number(date, 5, 2)?, number(date, 8, 2)?, hour, minute];
    let as_sent = format!("{} {}", date.text, time.text);
    Ok(InstrumentTime { as_sent, local: local(parts, half) })
}

/// Twelve stands for nought on a clock of twelve hours.
fn local([year, month, day, hour, minute]: [i32; 5], half: i8) -> Option<civil::DateTime> {
    let small = |number: i32| i8::try_from(number).ok();
    let hour = small(hour).filter(|hour| (1..=12).contains(hour))? % 12 + half;
    let year = i16::try_from(year).ok()?;
    civil::DateTime::new(year, small(month)?, small(day)?, hour, small(minute)?, 0, 0).ok()
}

/// The pupillary and the vertex distance; nothing unless the numbers are one of each.
fn distances(
    numbers: &[Field; 2],
) -> Result<(Option<Hundredths>, Option<Hundredths>), DecodeError> {
    let mut whole = [0; 2];
    for (slot, field) in whole.iter_mut().zip(numbers) {
        *slot = field.whole(if field.text.len() == 1 { "0" } else { "00" })?;
    }
    let of = |pd: i32, vd: i32| {
        (PD_RANGE.contains(&pd) && VD_RANGE.contains(&vd))
            .then(|| (Some(Hundredths::whole(pd)), Some(Hundredths::whole(vd))))
    };
    let [first, second] = whole;
    Ok(of(first, second).or_else(|| of(second, first)).unwrap_or((None, None)))
}

/// The words of a line, exactly as many.
fn words<'a, const N: usize>(row: &Field<'a>) -> Result<[Field<'a>; N], DecodeError> {
    let words = row.words();
    let count = words.len();
    words.try_into().map_err(|_| row.malformed(format!("{count} words, expected {N}")))
}

fn decimal(field: &Field, shapes: &[&str]) -> Result<Hundredths, DecodeError> {
    match shapes.iter().find(|shape| field.has_shape(shape)) {
        Some(shape) => field.decimal(shape),
        None => Err(field.malformed("not a number with two decimals")),
    }
}

/// Two decimals with a sign; zero also without one.
fn signed(field: &Field) -> Result<Hundredths, DecodeError> {
    let shapes = if field.text == "0.00" { &["0.00"][..] } else { &["+0.00", "+00.00"] };
    decimal(field, shapes)
}

fn axis(field: &Field) -> Result<i16, DecodeError> {
    match ["0", "00", "000"].get(field.text.len().wrapping_sub(1)) {
        Some(shape) => field.axis_deg(shape),
        None => Err(field.malformed("not an axis")),
    }
}

fn refraction_value(row: &Field) -> Result<RefractionValue, DecodeError> {
    let [sphere, cylinder, degrees, equivalent] = words(row)?;
    let cylinder = signed(&cylinder)?;
    Ok(RefractionValue {
        sphere: signed(&sphere)?,
        cylinder,
        axis_deg: axis_unless_zero(Some(cylinder), Some(axis(&degrees)?)),
        spherical_equivalent: Some(signed(&equivalent)?),
    })
}

/// Four lines: the horizontal and vertical meridian, their mean, the cylinder.
fn keratometry_value(rows: &mut Rows) -> Result<KeratometryValue, DecodeError> {
    const POWER: &[&str] = &["00.00"];
    const RADIUS: &[&str] = &["0.00", "00.00"];
    fn marked<'a, const N: usize>(
        rows: &mut Rows<'a>,
        mark: &'a str,
    ) -> Result<[Field<'a>; N], DecodeError> {
        let row = rows.next(mark)?;
        let words: [Field; N] = words(&row)?;
        if words[0].text == mark { Ok(words) } else { Err(row.malformed("not this line")) }
    }
    let mut meridian = |mark| -> Result<Meridian, DecodeError> {
        let [_, power, radius, degrees] = marked(rows, mark)?;
        Ok(Meridian {
            power: Some(decimal(&power, POWER)?),
            radius_mm: Some(decimal(&radius, RADIUS)?),
            axis_deg: Some(axis(&degrees)?),
        })
    };
    let (r1, r2) = (meridian("H:")?, meridian("V:")?);
    let [_, power, radius] = marked(rows, "AVE:")?;
    let [_, cylinder, degrees] = marked(rows, "CYL")?;
    let cylinder = signed(&cylinder)?;
    Ok(KeratometryValue {
        r1,
        r2,
        average_power: Some(decimal(&power, POWER)?),
        average_mm: Some(decimal(&radius, RADIUS)?),
        cylinder: Some(cylinder),
        cylinder_axis_deg: axis_unless_zero(Some(cylinder), Some(axis(&degrees)?)),
    })
}

/// `KR-8900   001.02`: what the number means is not known, so it is not taken over.
fn check_model(row: &Field) -> Result<(), DecodeError> {
    let [model, number] = words(row)?;
    if model.text != MODEL {
        return Err(row.malformed("not the line that names the model"));
    }
    decimal(&number, &["000.00"]).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noon_and_midnight() {
        let hour = |time: &str| {
            let (date, time) = (Field::new("2026_03_14", 0, "date"), Field::new(time, 12, "time"));
            instrument_time(&date, &time).unwrap().local.map(|local| local.hour())
        };
        assert_eq!(hour("AM 12:05"), Some(0));
        assert_eq!(hour("AM 09:52"), Some(9));
        assert_eq!(hour("PM 12:05"), Some(12));
        assert_eq!(hour("PM 02:15"), Some(14));
        assert_eq!(hour("PM 13:15"), None);
    }

    #[test]
    fn distances_are_told_by_their_size() {
        let of = |first, second| {
            distances(&[Field::new(first, 0, "1"), Field::new(second, 4, "2")]).unwrap()
        };
        let both = (Some(Hundredths::whole(63)), Some(Hundredths::whole(12)));
        assert_eq!(of("63", "12"), both);
        assert_eq!(of("12", "63"), both);
        assert_eq!(of("63", "64"), (None, None));
        assert_eq!(of("45", "12"), (None, None));
        assert_eq!(of("63", "0"), (None, None));
    }
}

golden_tests!(SPEC);

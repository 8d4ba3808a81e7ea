//! Topcon KR-8900: the text of a print, values told by their place.
//!
//! Source: two versions of one public reader of captured files, from which control bytes were
//! already removed. Proved against constructed transmissions only. The reader takes one value from
//! each line ([`listed`]); a description of the same capture sets four in a line ([`printed`]).
//! Both are read, and told apart by whether any line holds three words or more.
//!
//! | lines | form                    | meaning                                              |
//! |-------|-------------------------|------------------------------------------------------|
//! | 1     | `2026_03_14`            | date, begins the print                               |
//! | 1     | `AM 09:52` `PM 02:15`   | time                                                 |
//! | 2     | `63.0` `12.00`, either  | PD (50–75) and vertex distance (8–18); may be blank  |
//! |       | first                   |                                                      |
//! | …     | see the two modules     | refraction right and left, then keratometry or none  |
//! | 1     | `KR-8900   001.02`      | model; the number's meaning is unknown               |
//! | 1     | `0417`                  | running number, ends the print                       |
//!
//! ```text
//! +0.50 | -0.75 | 165 | +0.13          a line each, or four words of one
//! ```
//!
//! Traps: nothing but the place says right or left. With one eye missing in the printed form the
//! other's lines stand in its place, so all eight are required; in the listed form its lines are
//! blank. Numbers that are not one distance of each kind are kept as text. R1 and R2 of a reading
//! are the horizontal and the vertical meridian, whichever is flat.
//!
//! Unknown: control bytes on the live line, so what stands before the date is told as noise; the
//! line settings; what a print without keratometry looks like (its lines are taken to be missing).

mod fits;
mod listed;
mod printed;

use super::{LINES, VENDOR, ascii, instrument};
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, Setup, Sniff, Transport,
    flags,
    format::{
        fields::{Field, Line, lines},
        stream::{End, Protocol, StreamDecoder},
    },
};
use chiasm_proto::{
    Decoded, Eye, Hundredths, InstrumentTime, Integrity, Keratometry, KeratometryValue, Measured,
    Measurement, PupillaryDistance, Refraction, RefractionKind, RefractionValue, Representative,
    Shot, UnknownRecord,
};
use jiff::civil;
use std::{ops::RangeInclusive, time::Duration};

/// Longest print. One with keratometry is below 500 bytes.
const LEN_MAX: usize = 4096;
const DATE: &str = "0000_00_00";
const MODEL: &str = "KR-8900";
const EYES: [Eye; 2] = [Eye::Right, Eye::Left];
const NAMES: [&str; 2] = ["right refraction", "left refraction"];
/// In millimetres.
const PD_RANGE: RangeInclusive<Hundredths> = Hundredths::whole(50)..=Hundredths::whole(75);
const VD_RANGE: RangeInclusive<Hundredths> = Hundredths::whole(8)..=Hundredths::whole(18);
const RESULT: &str = "result";
/// Most characters of a running number.
const NO_LEN_MAX: usize = 8;

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
        settings: "RS-232 output on, at each print. The speed is not documented: 9600 or 2400 \
                   baud, 8 data bits, no parity, 1 stop bit are usual.",
        dry_test: "Measure the model eye three times as right and three times as left, with \
                   different values, and press print: the lane shows the results of the paper \
                   strip, each under its eye.",
    },
    limits: "Known from captured files without their control bytes. Line settings are not stated \
             there; 9600 and 2400 8N1 are tried because they are usual. Values are told by their \
             place only: a print is refused where lines are missing, or where the equivalent, or \
             the power of a cornea, does not fit the values beside it. Corneal power is taken to be \
             computed with the index 1.3375: an instrument that is set otherwise is refused.",
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
    // A last number without its line end is whole if it has its four digits.
    ends_by_silence: true,
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

/// What stands between the time and the model.
struct Values<'a> {
    /// The pupillary and the vertex distance, in either order.
    distances: Vec<Field<'a>>,
    /// Right, left.
    eyes: [Option<Readings>; 2],
    corneas: [Option<KeratometryValue>; 2],
    unknown: Vec<Field<'a>>,
}

struct Readings {
    shots: Vec<RefractionValue>,
    result: Option<RefractionValue>,
}

fn read(raw: &[u8], options: &DriverOptions) -> Result<Option<Decoded>, DecodeError> {
    let text = ascii(raw)?;
    let all = lines(text);
    let incomplete = |what: &str| DecodeError::new(ErrorCode::Incomplete, text.len(), what);
    let is_model = |line: &Line| line.is_ended && line.field.text.trim().starts_with(MODEL);
    let Some(model) = all.iter().position(is_model) else {
        return Err(incomplete("the line with the model is missing"));
    };
    let no = all[model + 1..].iter().find(|line| has_words(&line.field));
    let no = no.ok_or_else(|| incomplete("the running number is missing"))?;
    let fields: Vec<Field> = all[1..model].iter().map(|line| line.field.trimmed()).collect();
    let time = fields.iter().position(has_words);
    let time = time.ok_or_else(|| all[model].field.malformed("the time is missing"))?;

    let mut decoded = Decoded::new(instrument(options, MODEL), Integrity::None);
    decoded.instrument_time = Some(instrument_time(&all[0].field, &fields[time].named("time"))?);
    check_model(&all[model].field.trimmed().named("model"))?;
    decoded.running_number = Some(running_number(no)?);
    let body = &fields[time + 1..];
    let is_printed = body.iter().any(|line| line.words().len() >= printed::WORDS_MIN);
    let values = if is_printed { printed::read(body)? } else { listed::read(body)? };
    values.into_measurements(&mut decoded)?;
    flags::complete(&mut decoded);
    Ok(Some(decoded))
}

impl Values<'_> {
    fn into_measurements(self, decoded: &mut Decoded) -> Result<(), DecodeError> {
        let (pd, vd) = distances(&self.distances)?;
        if pd.is_none() && vd.is_none() {
            decoded.unknown_records.extend(self.distances.into_iter().map(kept));
        }
        let into = &mut decoded.measurements;
        for (eye, readings) in EYES.into_iter().zip(self.eyes) {
            let Some(Readings { shots, result }) = readings else { continue };
            let refraction = Refraction {
                vertex_distance_mm: vd,
                representative: result.map(|value| Representative { label: RESULT.into(), value }),
                shots: shots.into_iter().map(Shot::of).collect(),
                ..Refraction::new(RefractionKind::Autorefraction)
            };
            into.push(Measurement::without_token(eye, Measured::Refraction(refraction)));
        }
        if let Some(far) = pd {
            let distance = PupillaryDistance { far_mm: Some(far), ..PupillaryDistance::default() };
            let measured = Measured::PupillaryDistance(distance);
            into.push(Measurement::without_token(Eye::Both, measured));
        }
        for (eye, value) in EYES.into_iter().zip(self.corneas) {
            let Some(value) = value else { continue };
            let shots = vec![Shot::of(value)];
            let measured = Measured::Keratometry(Keratometry { shots, ..Keratometry::default() });
            into.push(Measurement::without_token(eye, measured));
        }
        decoded.unknown_records.extend(self.unknown.into_iter().map(kept));
        Ok(())
    }
}

/// Neither blank nor a line of dots.
fn has_words(field: &Field) -> bool {
    !field.text.trim_matches(['.', ' ']).is_empty()
}

fn kept(field: Field) -> UnknownRecord {
    UnknownRecord { offset: field.offset, text: field.text.to_owned() }
}

/// Without its line end it may have been cut, unless it has the four digits of all that are known.
fn running_number(line: &Line) -> Result<String, DecodeError> {
    let no = line.field.trimmed().named("running number");
    let is_no = (1..=NO_LEN_MAX).contains(&no.text.len())
        && no.text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match line.is_ended || no.has_shape("0000") {
        true if is_no => Ok(no.text.to_owned()),
        true => Err(no.malformed("not a running number")),
        false => {
            let end = no.offset + no.text.len();
            let message = "the running number may have been cut";
            Err(DecodeError::new(ErrorCode::Incomplete, end, message).in_field(no.name))
        }
    }
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

/// The pupillary and the vertex distance; nothing unless the numbers are one of each, or a single
/// one that can be only one of them.
fn distances(numbers: &[Field]) -> Result<(Option<Hundredths>, Option<Hundredths>), DecodeError> {
    let values: Vec<Hundredths> =
        numbers.iter().map(Field::hundredths).collect::<Result<_, _>>()?;
    let within =
        |range: RangeInclusive<Hundredths>| values.iter().copied().find(|it| range.contains(it));
    let (pd, vd) = (within(PD_RANGE), within(VD_RANGE));
    let found = usize::from(pd.is_some()) + usize::from(vd.is_some());
    Ok(if found == values.len() { (pd, vd) } else { (None, None) })
}

/// Decimals of one of these shapes.
fn decimal(field: &Field, shapes: &[&str]) -> Result<Hundredths, DecodeError> {
    match shapes.iter().find(|shape| field.has_shape(shape)) {
        Some(shape) => field.decimal(shape),
        None => Err(field.malformed("not a number with two decimals")),
    }
}

fn axis(field: &Field) -> Result<i16, DecodeError> {
    match ["0", "00", "000"].get(field.text.len().wrapping_sub(1)) {
        Some(shape) => field.axis_deg(shape),
        None => Err(field.malformed("not an axis")),
    }
}

/// `KR-8900   001.02`: what the number means is not known, so it is not taken over.
fn check_model(row: &Field) -> Result<(), DecodeError> {
    match row.words()[..] {
        [model, number] if model.text == MODEL => decimal(&number, &["000.00"]).map(|_| ()),
        _ => Err(row.malformed("not the line that names the model")),
    }
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
    fn a_file_may_end_behind_the_last_digit() {
        let text = "2026_03_14\r\nAM 09:52\r\n63\r\n12\r\n-1.75\r\n-0.50\r\n14\r\n-2.00\r\n\
                    +1.25\r\n0.00\r\n0\r\n+1.25\r\nKR-8900   001.02\r\n0417";
        let read = |text: &str| read(text.as_bytes(), &DriverOptions::default());
        assert_eq!(read(text).unwrap().unwrap().running_number.as_deref(), Some("0417"));
        let cut = read(&text[..text.len() - 1]).unwrap_err();
        assert_eq!(cut.code, ErrorCode::Incomplete);
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
        assert_eq!(of("62.5", "13.75"), (Some(Hundredths(6250)), Some(Hundredths(1375))));
        let one = |text| distances(&[Field::new(text, 0, "1")]).unwrap();
        assert_eq!(one("63.0"), (Some(Hundredths::whole(63)), None));
        assert_eq!(one("12.00"), (None, Some(Hundredths::whole(12))));
        assert_eq!(one("40"), (None, None));
    }
}

golden_tests!(SPEC);

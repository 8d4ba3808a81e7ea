//! Reichert Ocular Response Analyzer G3: pressures and what the cornea does to them.
//!
//! Source: the appendix of the user's manual describes the line and the order of the parts.
//! Separators and headings are not given byte for byte. Proved against constructed transmissions
//! only.
//!
//! | part     | form                               | meaning                                   |
//! |----------|------------------------------------|-------------------------------------------|
//! | opening  | CR CR, date and time, CR CR        | order of day and month not documented     |
//! | headings | one line, CR                       | hold `IOPcc`                              |
//! | eye      | `R` or `L` and four numbers, CR    | IOPcc, CH, IOPg, waveform score; the line |
//! |          |                                    | is missing where the eye was not measured |
//! | end      | CR, EOT                            |                                           |
//!
//! ```text
//! 6/21/2026 4:05 PM
//!
//! IOPcc CH IOPg WS
//! R 15.2 10.1 14.9 8.3
//! ```
//!
//! Traps: the third number is the measured pressure (IOPg), the first is the one compensated for
//! the cornea. A waveform score below 5 is a poor signal. There is no id of a patient, no running
//! number and no checksum. A line that begins otherwise is kept as text.

use crate::{
    DateOrder, DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, LineSettings,
    Parity, Setup, Sniff, Transport, flags,
    format::{
        fields::{Field, lines, printable},
        framing::EOT,
        stream::{End, MARK_LEN_MAX, Protocol, StreamDecoder, find},
    },
};
use chiasm_proto::{
    Confidence, CorrectedIop, Decoded, Eye, Hundredths, Instrument, InstrumentTime, Integrity,
    IopValue, Measured, Measurement, OtherTest, Shot, Tonometry, TonometryMethod, UnknownRecord,
};
use jiff::civil;
use std::time::Duration;

/// Longest transmission, in bytes. Both eyes take some hundred.
const LEN_MAX: usize = 1024;
/// Silence after which a transmission will not be finished any more.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// The maker calls a lower waveform score a poor one.
const SCORE_GOOD_MIN: Hundredths = Hundredths(500);
/// A heading that no other instrument has.
const MARK: &str = "IOPcc";
/// The headings in the order of the numbers.
const HEADINGS: [&str; 3] = [MARK, "CH", "IOPg"];
const EYES: [(Eye, &str); 2] = [(Eye::Right, "R"), (Eye::Left, "L")];
const BLANKS: &[char] = &[' ', '\t'];

const fn line(baud: u32) -> LineSettings {
    LineSettings { baud, data_bits: 8, parity: Parity::None, stop_bits: 1 }
}

pub static SPEC: DriverSpec = DriverSpec {
    id: "reichert_ora",
    version: "1",
    vendor: "Reichert",
    models: &["ORA G3"],
    yields: &["tonometry", "other_test"],
    transport: Transport::Serial(&[line(19200), line(9600), line(4800), line(2400)]),
    evidence: Evidence::Manual,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "D-sub 9 female behind the instrument, a straight cable to a USB adapter: the \
                 instrument is the modem's side (DCE), so no crossed cable.",
        settings: "Leave the serial line at its factory setting: 19200 baud, 8 data bits, no \
                   parity, 1 stop bit, no flow control. Tell the gateway the order of day and \
                   month that the instrument shows.",
        dry_test: "Open a stored measurement and press the print icon: the lane shows IOPg, IOPcc \
                   and CH as on the screen. The instrument sends without being asked.",
    },
    limits: "Not tried on an instrument. The waveform itself and further results are not sent. \
             Day and month are told apart only if the gateway is told their order. No patient's \
             id is sent.",
    sniff,
    new: |options| StreamDecoder::boxed(&PROTOCOL, options),
};

static PROTOCOL: Protocol = Protocol {
    begins: |bytes| begins_from(bytes, 0),
    ends,
    silence: SILENCE_MAX,
    ends_by_silence: false,
    len_max: LEN_MAX,
    read,
};

fn sniff(bytes: &[u8]) -> Sniff {
    let is_ours = find(bytes, MARK.as_bytes()).is_some() && begins_from(bytes, 0).is_some();
    if is_ours { Sniff::Yes } else { Sniff::No }
}

/// The first line, not before this position, that holds a time of day. How a date is written is
/// not documented, so nothing else is asked of it.
fn begins_from(bytes: &[u8], from: usize) -> Option<usize> {
    let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let is_start = |at: usize| at == 0 || is_line_end(&bytes[at - 1]);
    (from..bytes.len()).filter(|at| is_start(*at)).find(|at| {
        let rest = &bytes[*at..bytes.len().min(at + MARK_LEN_MAX)];
        let Some(len) = rest.iter().position(is_line_end) else { return false };
        let line = &rest[..len];
        let is_time = |three: &[u8]| {
            three[0].is_ascii_digit() && three[1] == b':' && three[2].is_ascii_digit()
        };
        line.iter().all(|byte| matches!(byte, b' '..=b'~')) && line.windows(3).any(is_time)
    })
}

fn ends(bytes: &[u8]) -> End {
    let end = bytes.iter().position(|byte| *byte == EOT);
    let within = &bytes[..end.unwrap_or(bytes.len())];
    match (begins_from(within, 1), end) {
        (Some(next), _) => End::Broken(next),
        (None, Some(end)) => End::After(end + 1),
        (None, None) => End::NotYet,
    }
}

fn read(bytes: &[u8], options: &DriverOptions) -> Result<Option<Decoded>, DecodeError> {
    let text = printable(&bytes[..bytes.len() - 1], b"\t\r\n")?;
    let mut records = lines(text).into_iter().map(|line| line.field.trimmed());
    let mut records = records.by_ref().filter(|field| !field.text.is_empty());
    let (date, headings) = (records.next(), records.next());
    let (Some(date), Some(headings)) = (date, headings) else {
        let message = "a date and the headings are missing";
        return Err(DecodeError::new(ErrorCode::WrongKind, 0, message));
    };
    check_headings(&headings)?;
    let mut eyes: [Option<[Measurement; 2]>; 2] = [None, None];
    let mut unknown_records = vec![];
    for record in records {
        let Some(at) = EYES.iter().position(|(_, letter)| record.text.starts_with(letter)) else {
            let text = record.text.to_owned();
            unknown_records.push(UnknownRecord { offset: record.offset, text });
            continue;
        };
        if eyes[at].replace(eye(EYES[at], &record)?).is_some() {
            return Err(record.malformed("a second line for the same eye"));
        }
    }
    let instrument = Instrument {
        vendor: SPEC.vendor.into(),
        model: options.model.clone().unwrap_or_else(|| SPEC.models[0].into()),
        ..Instrument::default()
    };
    let mut decoded = Decoded {
        instrument_time: Some(InstrumentTime {
            as_sent: date.text.to_owned(),
            local: options.date_order.and_then(|order| local_time(date.text, order)),
        }),
        measurements: eyes.into_iter().flatten().flatten().collect(),
        unknown_records,
        ..Decoded::new(instrument, Integrity::None)
    };
    if decoded.measurements.is_empty() && decoded.unknown_records.is_empty() {
        return Ok(None);
    }
    flags::complete(&mut decoded);
    Ok(Some(decoded))
}

/// The wording is not documented byte for byte, but where the names stand they have to stand in
/// the documented order.
fn check_headings(headings: &Field) -> Result<(), DecodeError> {
    if !headings.text.contains(MARK) {
        let message = "no heading IOPcc: of another instrument";
        let error = DecodeError::new(ErrorCode::WrongKind, headings.offset, message);
        return Err(error.in_field("headings"));
    }
    // A line end that was damaged must not hide an eye behind the headings.
    if headings.text.contains(|letter: char| letter.is_ascii_digit()) {
        return Err(headings.named("headings").malformed("numbers among the headings"));
    }
    let places: Vec<usize> =
        HEADINGS.iter().filter_map(|heading| headings.text.find(heading)).collect();
    if !places.is_sorted() {
        return Err(headings.named("headings").malformed("not in the order IOPcc, CH, IOPg"));
    }
    Ok(())
}

/// `R 15.2 10.1 14.9 8.3`
fn eye(
    (eye, letter): (Eye, &'static str),
    record: &Field,
) -> Result<[Measurement; 2], DecodeError> {
    let words = record.named(letter).words_between(BLANKS);
    let [side, compensated, hysteresis, pressure, score] = words[..] else {
        let message = format!("{} words, expected the eye and four numbers", words.len());
        return Err(record.named(letter).malformed(message));
    };
    if side.text != letter {
        return Err(side.malformed("no blank behind the eye"));
    }
    hysteresis.named("CH").hundredths()?;
    let confidence = Confidence {
        as_sent: score.text.to_owned(),
        scale: "Reichert waveform score 0-10".into(),
        low: score.named("WS").hundredths()? < SCORE_GOOD_MIN,
    };
    let value = IopValue { iop_mmhg: pressure.named("IOPg").hundredths()?, iop_kpa: None };
    let corrected = CorrectedIop {
        label: MARK.into(),
        corrected_mmhg: Some(compensated.named(MARK).hundredths()?),
        ..CorrectedIop::default()
    };
    let tonometry = Tonometry {
        shots: vec![Shot { confidence: Some(confidence), ..Shot::of(value) }],
        corrected: vec![corrected],
        ..Tonometry::new(TonometryMethod::OcularResponse)
    };
    let ch = OtherTest::one("CH", "corneal hysteresis", hysteresis.text, Some("mmHg"));
    Ok([
        Measurement::of(eye, letter, Measured::Tonometry(tonometry)),
        Measurement::of(eye, letter, Measured::OtherTest(ch)),
    ])
}

/// `6/21/2026 4:05 PM`, the date in this order; nothing if it does not fit.
fn local_time(text: &str, order: DateOrder) -> Option<civil::DateTime> {
    let mut words = text.split_ascii_whitespace();
    let (date, clock, half) = (words.next()?, words.next()?, words.next());
    let date: Vec<&str> = date.split(['/', '-', '.']).collect();
    let [first, second, third] = date[..] else { return None };
    let (year, month, day) = match order {
        DateOrder::DayFirst => (third, second, first),
        DateOrder::MonthFirst => (third, first, second),
        DateOrder::YearFirst => (first, second, third),
    };
    // Two digits of a year say nothing about the century.
    let year = (year.len() == 4).then(|| year.parse().ok()).flatten()?;
    let mut clock = clock.split(':').map(str::parse::<i8>);
    let hour = clock.next()?.ok()?;
    let minute = clock.next()?.ok()?;
    let second = clock.next().transpose().ok()?.unwrap_or(0);
    let hour = match half.map(str::to_ascii_uppercase).as_deref() {
        None => hour,
        Some("AM") if (1..=12).contains(&hour) => hour % 12,
        Some("PM") if (1..=12).contains(&hour) => hour % 12 + 12,
        Some(_) => return None,
    };
    civil::DateTime::new(year, month.parse().ok()?, day.parse().ok()?, hour, minute, second, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::run_with;
    use jiff::civil::datetime;

    const PRINT: &[u8] = b"\r\r3/4/2026 12:05 PM\r\rIOPcc CH IOPg WS\rR 15.2 10.1 14.9 8.3\r\r\x04";

    #[test]
    fn a_date_is_read_in_the_order_that_is_configured() {
        for (date_order, local) in [
            (None, None),
            (Some(DateOrder::MonthFirst), Some(datetime(2026, 3, 4, 12, 5, 0, 0))),
            (Some(DateOrder::DayFirst), Some(datetime(2026, 4, 3, 12, 5, 0, 0))),
            (Some(DateOrder::YearFirst), None),
        ] {
            let options = DriverOptions { date_order, ..DriverOptions::default() };
            let outcome = run_with(&SPEC, &options, [PRINT]);
            let time = outcome.decoded()[0].instrument_time.clone().unwrap();
            assert_eq!((time.as_sent.as_str(), time.local), ("3/4/2026 12:05 PM", local));
        }
    }

    #[test]
    fn midnight_and_noon_have_their_halves() {
        let hour = |text| local_time(text, DateOrder::MonthFirst).map(|time| time.hour());
        assert_eq!(hour("3/4/2026 12:05 AM"), Some(0));
        assert_eq!(hour("3/4/2026 9:05:59 pm"), Some(21));
        assert_eq!(hour("3/4/2026 21:05"), Some(21));
        for text in ["3/4/26 9:05", "13/4/2026 9:05", "3/4/2026 13:05 PM", "3/4/2026", "3/4 9:05"] {
            assert_eq!(hour(text), None, "{text}");
        }
    }

    #[test]
    fn tabs_separate_and_another_order_of_headings_is_refused() {
        let read = |text: &str| read(text.as_bytes(), &DriverOptions::default());
        let whole = read("3/4/2026 9:05\r\rIOPcc\tCH\tIOPg\tWS\rL\t9.5\t11.0\t8.8\t8.0\r\r\x04");
        assert_eq!(whole.unwrap().unwrap().measurements.len(), 2);
        let other = read("3/4/2026 9:05\r\rIOPg IOPcc CH WS\rL 9.5 11.0 8.8 8.0\r\r\x04");
        assert_eq!(other.unwrap_err().field.as_deref(), Some("headings"));
    }
}

golden_tests!(SPEC);

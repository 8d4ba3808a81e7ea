//! Text of a vision screener of the Plusoptix kind, as a file or posted by the camera.
//!
//! Proved against: files constructed from one public specification of 2018 for a camera whose maker
//! it does not name. No recording of an instrument was seen.
//!
//! One exam per line, semicolons, twenty fields:
//!
//! | fields | content                                        | becomes                            |
//! |--------|------------------------------------------------|------------------------------------|
//! | 1      | date and time with its zone (RFC 3339)         | clock                              |
//! | 2      | primary key                                    | running number                     |
//! | 3–5    | family name, first name, birth date            | never read                         |
//! | 6      | id, as the operator typed it                   | claimed patient                    |
//! | 7–8    | location, contact                              | never read                         |
//! | 9–12   | right sphere, cylinder, axis, pupil            | refraction, pupil size             |
//! | 13–16  | left the same                                  | the same                           |
//! | 17     | gaze asymmetry                                 | text                               |
//! | 18     | pupil distance                                 | pupillary distance                 |
//! | 19–20  | monocular; result 0 pass, 1 refer, 2 try again | text                               |
//!
//! ```text
//! 2026-02-03T11:20:30+01:00;31;S;;2021-05-06;B-12;;;1.00;-0.50;5;5.1;0.75;-0.25;9;5.2;1;54;0;0
//! ```
//!
//! Traps: in an exam of one eye zeros fill the columns of the other one. A first line of headings
//! may stand there. A name with a semicolon makes a row of other length, which is refused. The zone
//! of the clock is the instrument's own and is kept as sent.

use super::{
    eye::{self, EyeColumns},
    sheet::{self, FILE_LEN_MAX, Line},
};
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, Evidence, Setup, Sniff, Transport,
    format::{
        fields::Field,
        file::{FileDecoder, FileFormat, Part},
        table::Row,
    },
};
use chiasm_proto::{
    Decoded, Eye, Flag, FlagCode, Instrument, InstrumentTime, Integrity, Refraction, RefractionKind,
};
use jiff::civil;

const FIELDS: usize = 20;
/// Length of a time without fraction and zone.
const TIME_LEN: usize = 19;
/// The eye and the column of its sphere.
const EYES: [(Eye, usize); 2] = [(Eye::Right, 8), (Eye::Left, 12)];

pub static SPEC: DriverSpec = DriverSpec {
    id: "plusoptix_screener",
    version: "1",
    vendor: "Plusoptix",
    models: &["compatible camera"],
    yields: &["refraction", "pupil_size", "pupillary_distance", "other_test"],
    transport: Transport::Folder { extension: "txt" },
    evidence: Evidence::SingleSource,
    ending: Ending::Silence,
    setup: Setup {
        wiring: "Let the camera's software write its text export into the gateway's folder. The \
                 gateway does not take posts over HTTPS.",
        settings: "Text export with semicolons. Type or scan the patient's id before the exam; \
                   names are not read.",
        dry_test: "Screen a colleague and export: each line becomes a reading.",
    },
    limits: "The only source does not name the camera's maker: compare the first export with the \
             camera's display. The convention of the cylinder is not in the file. Gaze asymmetry \
             and result are kept as text. Not tried on an instrument.",
    sniff: |bytes| match sheet::looks_like(bytes, ';', FIELDS, is_time) {
        true => Sniff::Perhaps,
        false => Sniff::No,
    },
    new: |options| FileDecoder::boxed(&FORMAT, options),
};

static FORMAT: FileFormat = FileFormat { len_max: FILE_LEN_MAX, read };

fn read(raw: &[u8], options: &DriverOptions) -> Result<Vec<Part>, DecodeError> {
    let lines = sheet::lines(raw, b';')?;
    let part = |(at, line): (usize, &Line)| match is_heading(&line.row) && at == 0 {
        true => Part::Control { what: "heading", len: line.len },
        false => sheet::part(line, &[], exam(&line.row, options)),
    };
    sheet::readable(lines.iter().enumerate().map(part).collect())
}

/// Words without a digit where a row has its numbers.
fn is_heading(row: &Row) -> bool {
    let is_word =
        |text: &String| !text.is_empty() && !text.bytes().any(|byte| byte.is_ascii_digit());
    row.fields.len() == FIELDS && row.fields.iter().all(is_word)
}

/// `2026-03-14T09:41:07`, perhaps a fraction, and a zone.
fn is_time(text: &str) -> bool {
    let text = text.trim().trim_start_matches(['\u{FEFF}', '"']);
    let (Some(time), Some(rest)) = (text.get(..TIME_LEN), text.get(TIME_LEN..)) else {
        return false;
    };
    let field = Field::new(time, 0, "time");
    let is_form = field.has_shape("0000-00-00T00:00:00") || field.has_shape("0000-00-00 00:00:00");
    let zone = rest.trim_start_matches(|next: char| next == '.' || next.is_ascii_digit());
    let is_fraction = rest.len() == zone.len() || rest.starts_with('.');
    let is_zone = matches!(zone, "Z" | "z") || Field::new(zone, 0, "zone").has_shape("+00:00");
    is_form && is_fraction && is_zone
}

fn exam(row: &Row, options: &DriverOptions) -> Result<Decoded, DecodeError> {
    let count = row.fields.len();
    if count != FIELDS {
        return Err(row.malformed(format!("{count} fields, expected {FIELDS}")));
    }
    let at = |column: usize, name: &'static str| -> Field {
        row.field(column, name).expect("a row has this many fields").trimmed()
    };
    let time = at(0, "time");
    if !is_time(time.text) {
        return Err(time.malformed("not a time of RFC 3339"));
    }
    // A result is one digit: without a line end behind it, it is whole as well.
    sheet::check(row, !matches!(at(19, "result").text, "0" | "1" | "2"))?;
    let instrument = Instrument {
        vendor: "Plusoptix".into(),
        model: options.model.clone().unwrap_or_default(),
        serial: None,
        software: None,
    };
    let mut decoded = Decoded::new(instrument, Integrity::None);
    // The civil time of the instrument's own zone, as its clock shows it.
    let local = time.text[..TIME_LEN].parse::<civil::DateTime>().ok();
    decoded.instrument_time = Some(InstrumentTime { as_sent: time.text.to_owned(), local });
    let key = at(1, "primary key");
    decoded.running_number = eye::is_sent(&key).then(|| key.text.to_owned());
    let number = decoded.running_number.as_deref();
    decoded.claimed_patient = eye::claim(row, at(5, "id").text, number)?;
    let monocular = at(18, "monocular");
    let is_monocular = !matches!(monocular.text, "" | "0");
    if is_monocular {
        let detail = "an exam of one eye, which one is not said".into();
        decoded.flags.push(Flag { code: FlagCode::Unusual, detail });
    }
    for (eye, sphere) in EYES {
        let columns = EyeColumns {
            eye,
            token: None,
            sphere: at(sphere, "sphere"),
            cylinder: at(sphere + 1, "cylinder"),
            axis: at(sphere + 2, "axis"),
            equivalent: None,
            shown: None,
            pupil: Some(at(sphere + 3, "pupil")),
            gaze: None,
        };
        if is_monocular && columns.is_all_zero() {
            let what = match eye {
                Eye::Right => "right",
                _ => "left",
            };
            let detail = format!("one eye was examined: zeros of the {what} one are no values");
            decoded.flags.push(Flag { code: FlagCode::Unusual, detail });
            continue;
        }
        columns.read(&Refraction::new(RefractionKind::Autorefraction), None, &mut decoded)?;
    }
    eye::distance(at(17, "pupil distance"), &mut decoded)?;
    eye::result(at(16, "gaze asymmetry"), "gaze", "gaze asymmetry", &mut decoded);
    eye::result(monocular, "monocular", "monocular", &mut decoded);
    let result = at(19, "result");
    if !matches!(result.text, "" | "0" | "1" | "2") {
        return Err(result.malformed("a result is 0, 1 or 2"));
    }
    let name = "screening result (0 pass, 1 refer, 2 refer or try again)";
    eye::result(result, "result", name, &mut decoded);
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::run;
    use chiasm_proto::Measured;

    #[test]
    fn an_exam_of_one_eye_invents_no_other() {
        let left = |values: &str, monocular: &str| {
            let right = "2026-03-14T10:07:00Z;425;;;;A-88;;;0.50;-0.75;178;5.4";
            let row = format!("{right};{values};;;{monocular};1\n");
            let outcome = run(&SPEC, [row.as_bytes()]);
            let decoded = outcome.decoded()[0];
            let of_left = decoded.measurements.iter().filter(|it| it.eye == Eye::Left);
            let is_told = decoded.flags.iter().any(|flag| flag.code == FlagCode::Unusual);
            (of_left.count(), is_told)
        };
        assert_eq!(left("0.00;0.00;0;0.0", "1"), (0, true));
        assert_eq!(left("0.00;0.00;0;", "1"), (0, true));
        assert_eq!(left("0.00;0.00;;0.0", "1"), (0, true));
        assert_eq!(left("0.00;0.00;0;5.0", "1"), (2, true));
        assert_eq!(left("0.25;0.00;0;5.0", "0"), (2, false));
        assert_eq!(left(";;;", "1"), (0, true));
    }

    #[test]
    fn a_distance_of_zero_was_not_measured() {
        let row = "2026-03-14T10:07:00Z;425;;;;A-88;;;0.50;-0.75;178;5.4;;;;;;0;0;1\n";
        let outcome = run(&SPEC, [row.as_bytes()]);
        let mut all = outcome.decoded()[0].measurements.iter();
        assert!(!all.any(|it| matches!(it.measured, Measured::PupillaryDistance(_))));
    }

    #[test]
    fn times_have_a_zone() {
        for text in ["2026-03-14T09:41:07+01:00", "2026-03-14 09:41:07.25Z"] {
            assert!(is_time(text), "{text}");
        }
        for text in ["2026-03-14T09:41:07", "2026-03-14", "14.03.2026 09:41:07Z", "", "éééééééééé"]
        {
            assert!(!is_time(text), "{text}");
        }
    }
}

golden_tests!(SPEC);

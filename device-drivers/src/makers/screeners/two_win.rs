//! Adaptica 2WIN and 2WIN-S: the table of exams on the SD card.
//!
//! Proved against: files constructed from the columns in the maker's manual. No recording of an
//! instrument was seen.
//!
//! No headings, commas, one exam per row:
//!
//! | columns | content                                             | becomes                  |
//! |---------|-----------------------------------------------------|--------------------------|
//! | 1       | time                                                | clock                    |
//! | 2–7     | last, first name, birth date, id, location, contact | claimed patient          |
//! | 8–11    | right sphere, cylinder, axis, pupil                 | refraction, pupil size   |
//! | 12–15   | left the same                                       | the same                 |
//! | 16–19   | right gaze x, y, left gaze x, y                     | text                     |
//! | 20      | distance of the pupils                              | pupillary distance       |
//! | 21–22   | exam number, software                               | running number, software |
//! | 23–24   | message, code; 0 is no error                        | error of both eyes       |
//!
//! ```text
//! 2026-02-03T11:20:30,S,,2021-05-06,B-12,,,0.5,0.5,95,5.1,0.75,0.25,80,5.2,1,0,0,1,54,31,9.0,ok,0
//! ```
//!
//! Traps: **the cylinder is always positive.** It is kept so, with the plus convention; a record
//! with minus cylinders transposes it for display. Names may hold commas without quotes: columns
//! are counted from the right, and a row of too many is read only if the birth date then stands
//! where it has to, for a decimal comma would shift them as well. The person and the place are
//! never read. An exam with a code other than 0 failed: its refraction has no value
//! and its numbers are text. The id is what
//! the operator typed.
//!
//! Unknown: other forms of the time than the one above (kept as sent), the codes' meaning.

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
    CylinderMode, Decoded, Eye, Flag, FlagCode, Instrument, InstrumentTime, Integrity, Measured,
    Refraction, RefractionKind,
};

/// Columns of a row whose names hold no comma.
const FIELDS: usize = 24;
/// Most columns of one whose names do.
const FIELDS_MAX: usize = FIELDS + 8;
/// Positions from the right.
const CODE: usize = 1;
const MESSAGE: usize = 2;
const SOFTWARE: usize = 3;
const EXAM: usize = 4;
const DISTANCE: usize = 5;
const ID: usize = 20;
const BIRTH_DATE: usize = 21;
/// The eye, its sphere, and its first gaze.
const EYES: [(Eye, usize, usize); 2] = [(Eye::Right, 17, 9), (Eye::Left, 13, 7)];

pub static SPEC: DriverSpec = DriverSpec {
    id: "adaptica_2win",
    version: "1",
    vendor: "Adaptica",
    models: &["2WIN", "2WIN-S"],
    yields: &["refraction", "pupil_size", "pupillary_distance", "other_test"],
    transport: Transport::Folder { extension: "csv" },
    evidence: Evidence::Manual,
    ending: Ending::Silence,
    setup: Setup {
        wiring: "SD card: take it from the instrument and copy the table of exams into the \
                 gateway's folder.",
        settings: "Switch the export to the SD card on. Type or scan the patient's id before the \
                   exam; names are not read.",
        dry_test: "Screen a colleague and copy the table: each row becomes a reading.",
    },
    limits: "Cylinders are positive, as the instrument writes them. Gaze is kept as text. A row \
             with a comma in a name is read only if it has a birth date; the meaning of the error \
             codes is not known. Not tried on an instrument.",
    sniff: |bytes| match sheet::looks_like(bytes, ',', FIELDS, is_time) {
        true => Sniff::Perhaps,
        false => Sniff::No,
    },
    new: |options| FileDecoder::boxed(&FORMAT, options),
};

static FORMAT: FileFormat = FileFormat { len_max: FILE_LEN_MAX, read };

fn read(raw: &[u8], options: &DriverOptions) -> Result<Vec<Part>, DecodeError> {
    let lines = sheet::lines(raw, b',')?;
    let part = |line: &Line| sheet::part(line, &[], exam(&line.row, options));
    sheet::readable(lines.iter().map(part).collect())
}

fn is_time(text: &str) -> bool {
    let text = text.trim().trim_start_matches(['\u{FEFF}', '"']);
    text.contains(':') && text.starts_with(|first: char| first.is_ascii_digit())
}

/// Digits with marks between them, or nothing.
fn is_date(text: &str) -> bool {
    let is_mark = |byte: u8| matches!(byte, b'-' | b'/' | b'.');
    (8..=10).contains(&text.len())
        && text.bytes().filter(|byte| is_mark(*byte)).count() == 2
        && text.bytes().all(|byte| byte.is_ascii_digit() || is_mark(byte))
}

fn exam(row: &Row, options: &DriverOptions) -> Result<Decoded, DecodeError> {
    let count = row.fields.len();
    if !(FIELDS..=FIELDS_MAX).contains(&count) {
        return Err(row.malformed(format!("{count} fields, expected {FIELDS}")));
    }
    let at = |from_right: usize, name: &'static str| -> Field {
        row.field(count - from_right, name).expect("a row has this many fields").trimmed()
    };
    let time = row.field(0, "time").expect("a row has fields").trimmed();
    if !is_time(time.text) {
        return Err(time.malformed("not a time"));
    }
    if count > FIELDS && !is_date(at(BIRTH_DATE, "birth date").text) {
        return Err(row.malformed("more fields than columns, and no birth date to tell which"));
    }
    let code = at(CODE, "code");
    // No longer number begins with a zero, so this one is whole without a line end behind it.
    sheet::check(row, code.text != "0")?;
    let is_code = !code.text.is_empty() && code.text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_code {
        return Err(code.malformed("not a code"));
    }
    let text = |field: Field| (!field.text.is_empty()).then(|| field.text.to_owned());
    let instrument = Instrument {
        vendor: "Adaptica".into(),
        model: options.model.clone().unwrap_or_default(),
        serial: None,
        software: text(at(SOFTWARE, "software")),
    };
    let mut decoded = Decoded::new(instrument, Integrity::None);
    decoded.instrument_time =
        Some(InstrumentTime { as_sent: time.text.to_owned(), local: time.text.parse().ok() });
    decoded.running_number = text(at(EXAM, "exam number"));
    let number = decoded.running_number.as_deref();
    decoded.claimed_patient = eye::claim(row, at(ID, "id").text, number)?;
    let error = error(code, at(MESSAGE, "message"), &mut decoded);
    let conditions = Refraction {
        cylinder_mode: Some(CylinderMode::Plus),
        ..Refraction::new(RefractionKind::Autorefraction)
    };
    for (eye, sphere, gaze) in EYES {
        let columns = EyeColumns {
            eye,
            token: None,
            sphere: at(sphere, "sphere"),
            cylinder: at(sphere - 1, "cylinder"),
            axis: at(sphere - 2, "axis"),
            equivalent: None,
            shown: None,
            pupil: Some(at(sphere - 3, "pupil")),
            gaze: Some([at(gaze, "gaze x"), at(gaze - 1, "gaze y")]),
        };
        columns.read(&conditions, error.as_deref(), &mut decoded)?;
    }
    eye::distance(at(DISTANCE, "distance"), &mut decoded)?;
    check_cylinders(&mut decoded);
    Ok(decoded)
}

/// The instrument's own error, told once and kept on both eyes.
fn error(code: Field, message: Field, decoded: &mut Decoded) -> Option<String> {
    if code.text.bytes().all(|byte| byte == b'0') {
        if !message.text.is_empty() && !message.text.eq_ignore_ascii_case("ok") {
            eye::result(message, "message", "the instrument's message", decoded);
        }
        return None;
    }
    let text = format!("{} (code {})", message.text, code.text).trim_start().to_owned();
    let detail = format!("the instrument reports {text}");
    decoded.flags.push(Flag { code: FlagCode::InstrumentError, detail });
    Some(text)
}

/// The maker's format has no negative cylinder.
fn check_cylinders(decoded: &mut Decoded) {
    let mut shots = decoded.measurements.iter().flat_map(|it| match &it.measured {
        Measured::Refraction(refraction) => refraction.shots.as_slice(),
        _ => &[],
    });
    if shots.any(|shot| shot.value.is_some_and(|value| value.cylinder.0 < 0)) {
        let detail = "a negative cylinder, which this instrument never writes".into();
        decoded.flags.push(Flag { code: FlagCode::Inconsistent, detail });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::run;

    const ROW: &str = "2026-03-14T09:41:07,SAMPLE,,2020-02-01,A-88,,,-0.75,0.75,88,5.4,1.25,0.00,0,\
                       5.6,0,1,-1,0,57,417,9.0,ok,0\n";

    fn sphere_of(row: &str) -> Option<i32> {
        let outcome = run(&SPEC, [row.as_bytes()]);
        let decoded = outcome.decoded();
        match &decoded.first()?.measurements[0].measured {
            Measured::Refraction(refraction) => Some(refraction.shots[0].value?.sphere.0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn too_many_columns_need_a_birth_date_in_its_place() {
        assert_eq!(sphere_of(ROW), Some(-75));
        assert_eq!(sphere_of(&ROW.replace("SAMPLE,", "SAMPLE, JR,")), Some(-75));
        assert_eq!(sphere_of(&ROW.replace("SAMPLE,", "\"SAMPLE, JR\",")), Some(-75));
        let nameless = ROW.replace("2020-02-01", "");
        assert_eq!(sphere_of(&nameless), Some(-75));
        assert_eq!(sphere_of(&nameless.replace("SAMPLE,", "SAMPLE, JR,")), None);
        assert_eq!(sphere_of(&ROW.replace("A-88,,", "A-88,Room 1, left,")), None);
        assert_eq!(sphere_of(&ROW.replace("-0.75,", "-0,75,")), None);
        assert_eq!(sphere_of(ROW.trim_end()), Some(-75), "a zero is whole");
        let other_code = ROW.replace(",ok,0", ",small pupil,1");
        let count = |row: &str| run(&SPEC, [row.as_bytes()]).decoded().len();
        assert_eq!(count(&other_code), 1);
        assert_eq!(count(other_code.trim_end()), 0, "cut in its code");
    }

    #[test]
    fn a_failed_exam_has_no_value() {
        let row = ROW.replace(",ok,0", ",small pupil,1");
        let outcome = run(&SPEC, [row.as_bytes()]);
        let all: Vec<&Measured> =
            outcome.decoded()[0].measurements.iter().map(|it| &it.measured).collect();
        let Measured::Refraction(refraction) = all[0] else { panic!("{all:?}") };
        let [shot] = &refraction.shots[..] else { panic!("{refraction:?}") };
        assert_eq!((shot.value, shot.error.as_deref()), (None, Some("small pupil (code 1)")));
        let Measured::OtherTest(test) = all[1] else { panic!("{all:?}") };
        let sent: Vec<&str> = test.values.iter().map(|value| value.as_sent.as_str()).collect();
        assert_eq!(sent, ["-0.75", "0.75", "88"], "nothing is lost");
    }

    #[test]
    fn a_negative_cylinder_is_told() {
        let outcome = run(&SPEC, [ROW.replace(",0.75,", ",-0.75,").as_bytes()]);
        let flags = &outcome.decoded()[0].flags;
        assert!(flags.iter().any(|flag| flag.code == FlagCode::Inconsistent), "{flags:?}");
    }

    #[test]
    fn the_exams_number_is_no_patient() {
        let outcome = run(&SPEC, [ROW.replace("A-88", "417").as_bytes()]);
        assert_eq!(outcome.decoded()[0].claimed_patient, None);
    }
}

golden_tests!(SPEC);

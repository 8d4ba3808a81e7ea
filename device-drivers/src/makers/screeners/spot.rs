//! Welch Allyn Spot VS100: `db/SpotResultsExtended.csv` and `db/SpotResults.csv` of the USB stick.
//!
//! Proved against: files constructed from the layout in the maker's manual and the headings that one
//! public reader of software 3.1 expects. No recording of an instrument was seen.
//!
//! A line of headings, then one exam per row. Columns are known by their headings, in any order and
//! in capitals or not:
//!
//! | heading                                        | becomes                                    |
//! |------------------------------------------------|--------------------------------------------|
//! | `Record ID` (`Id` where there is none)         | running number                             |
//! | `Timestamp`, `SW Version`                      | clock, software                            |
//! | `Od DS` `Od DC` `Od Axis` `Od SE`, `OS …`      | refraction                                 |
//! | `Formatted Od DS` `… DC` `… Axis` (`@12°`)     | the same as shown, where the others are    |
//! |                                                | finer than a value can hold                |
//! | `Od Pupil Size`, `Od Gaze X`, `Od Gaze Y`…     | pupil size, gaze as text                   |
//! | `Which Eye`                                    | the eye that was examined, or both         |
//! | `Interpupil`                                   | pupillary distance                         |
//! | with `Status`, `Result` or `Termination` in it | result as text, 1 = pass, 2 = fail         |
//! | names, birth date, all else among them         | never read                                 |
//! | anything else behind them                      | unknown record, if it holds text           |
//!
//! ```text
//! Record ID,Last Name,Timestamp,Od DS,Od DC,Od Axis,OS DS,OS DC,OS Axis,Interpupil
//! SN9002_12,SAMPLE,04/03/2026 10:02,0.50,-0.25,90,0.75,-0.50,85,55.5
//! ```
//!
//! Traps: the same spelling is not used for both eyes (`Od`, `OS`). The order of day and month is a
//! setting of the instrument, unless the year stands first. Both ids are the instrument's own
//! numbers, no patient's. The result
//! is a word in the extended file and a number in the other. Both files hold the same exams: the
//! second one comes as a repeat. `SpotCriteria.csv` has no values and is refused.
//!
//! Where one eye alone was examined, the columns of the other one hold no measurement, whatever
//! number stands there.
//!
//! Unknown: what stands in place of a value out of range, so
//! anything that is no number refuses the row.

use super::{
    eye::{self, EyeColumns},
    sheet::{self, FILE_LEN_MAX, Line, SNIFF_LEN_MAX},
};
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, Setup, Sniff, Transport,
    format::{
        civil_time,
        fields::Field,
        file::{FileDecoder, FileFormat, Part},
        table::{self, Row},
    },
};
use chiasm_proto::{
    Decoded, Eye, Flag, FlagCode, Instrument, InstrumentTime, Integrity, Measured, Measurement,
    OtherTest, Refraction, RefractionKind, UnknownRecord,
};

/// Most unknown records on one reading.
const UNKNOWN_RECORDS_MAX: usize = 32;

pub static SPEC: DriverSpec = DriverSpec {
    id: "welch_allyn_spot",
    version: "1",
    vendor: "Welch Allyn",
    models: &["Spot VS100"],
    yields: &["refraction", "pupil_size", "pupillary_distance", "other_test"],
    transport: Transport::Folder { extension: "csv" },
    evidence: Evidence::SingleSource,
    ending: Ending::Silence,
    setup: Setup {
        wiring: "USB stick: put it into the instrument, then copy SpotResultsExtended.csv from its \
                 folder db into the gateway's folder. One of the two result files is enough.",
        settings: "Export all records to the USB stick. Look up the date format in the \
                   instrument's settings and say it as date_order, or its clock is not read.",
        dry_test: "Export after one exam of a colleague: each row of the file becomes a reading.",
    },
    limits: "No patient id: both ids are the instrument's own numbers. The convention of the \
             cylinder is not in the file. Status and gaze columns are kept as text, and so are \
             numbers finer than hundredths or whole degrees, beside the ones that are shown. What \
             is written for a value out of range is not known: such a row is refused. The PDF is \
             not read. Not tried on an instrument.",
    sniff,
    new: |options| FileDecoder::boxed(&FORMAT, options),
};

static FORMAT: FileFormat = FileFormat { len_max: FILE_LEN_MAX, read };

fn sniff(bytes: &[u8]) -> Sniff {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(SNIFF_LEN_MAX)]);
    let head = head.to_ascii_lowercase();
    let has_all = ["od ds", "od dc", "os ds", "os dc"].iter().all(|it| head.contains(it));
    if has_all && head.contains(',') { Sniff::Yes } else { Sniff::No }
}

fn read(raw: &[u8], options: &DriverOptions) -> Result<Vec<Part>, DecodeError> {
    let mut lines = sheet::lines(raw, b',')?;
    let heading = Heading::read(&lines[0].row)?;
    let is_whole = lines.last().is_some_and(|last| last.row.fields.len() == heading.names.len());
    let is_cleared = is_whole && sheet::mend_last(&mut lines, heading.is_last_spared());
    let (first, rest) = lines.split_first().expect("a table has rows");
    let context = &raw[..first.len];
    let mut parts = vec![Part::Control { what: "heading", len: first.len }];
    let exam = |line: &Line| sheet::part(line, context, heading.exam(&line.row, options));
    parts.extend(rest.iter().map(exam));
    if let (true, Some(Part::Reading { decoded, .. })) = (is_cleared, parts.last_mut()) {
        decoded.flags.push(table::cleared());
    }
    Ok(parts)
}

/// The columns' names in small letters, with single blanks.
struct Heading {
    names: Vec<String>,
    as_sent: Vec<String>,
    /// Behind the last column of the person and the record that stands left of the values. What is
    /// in front of it and not known may be about the person.
    persons_end: usize,
}

const WHICH_EYE: &str = "which eye";
/// In front of the headings of what the instrument shows.
const SHOWN: &str = "formatted";
/// Words in headings of results.
const RESULTS: [&str; 3] = ["status", "result", "termination"];
const REQUIRED: [&str; 6] = ["od ds", "od dc", "od axis", "os ds", "os dc", "os axis"];
/// Known and never read: the person, and the instrument's own second number.
const UNUSED: [&str; 6] =
    ["id", "first name", "last name", "gender", "date of birth", "age (in months)"];
const USED: [&str; 10] = [
    "record id",
    "timestamp",
    "sw version",
    "interpupil",
    "se",
    "ds",
    "dc",
    "axis",
    "pupil size",
    "gaze",
];

impl Heading {
    fn read(row: &Row) -> Result<Self, DecodeError> {
        let refuse = |message: String| DecodeError::new(ErrorCode::WrongKind, 0, message);
        let plain = |name: &String| {
            name.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase()
        };
        let names: Vec<String> = row.fields.iter().map(plain).collect();
        if let Some(missing) = REQUIRED.iter().find(|name| !names.iter().any(|it| it == *name)) {
            return Err(refuse(format!("no column {missing}")));
        }
        if !names.iter().any(|name| name == "record id" || name == "id") {
            return Err(refuse("no column Record ID".into()));
        }
        let is_twice = |name: &&String| {
            is_known(name) && names.iter().filter(|other| other == name).count() > 1
        };
        if names.iter().any(|name| is_twice(&name)) {
            return Err(refuse("two columns of one name".into()));
        }
        let is_value = |name: &String| name.starts_with("od ") || name.starts_with("os ");
        let first_value = names.iter().position(is_value).unwrap_or(0);
        let is_head = |name: &String| {
            UNUSED.contains(&name.as_str()) || matches!(name.as_str(), "record id" | "timestamp")
        };
        let persons_end = names[..first_value].iter().rposition(is_head).map_or(0, |at| at + 1);
        let as_sent = row.fields.iter().map(|name| name.trim().to_owned()).collect();
        Ok(Self { names, as_sent, persons_end })
    }

    /// Nothing but text is taken from the last column, or the distance of the pupils: of a row that
    /// may have been cut in it, the eyes are whole.
    fn is_last_spared(&self) -> bool {
        let last = self.names.last().map_or("", String::as_str);
        last == "interpupil" || !is_known(last) && last != WHICH_EYE
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    fn field<'a>(&'a self, row: &'a Row, name: &str) -> Option<Field<'a>> {
        let column = self.column(name)?;
        row.field(column, &self.as_sent[column])
    }

    fn exam(&self, row: &Row, options: &DriverOptions) -> Result<Decoded, DecodeError> {
        if row.fields.len() != self.names.len() {
            let (found, expected) = (row.fields.len(), self.names.len());
            return Err(row.malformed(format!("{found} fields under {expected} headings")));
        }
        // A last row that was cut in a column that is never read has all its values.
        let last = self.names.last().map_or("", String::as_str);
        sheet::check(row, !UNUSED.contains(&last))?;
        let text = |name: &str| {
            let field = self.field(row, name)?.trimmed();
            (!field.text.is_empty()).then(|| field.text.to_owned())
        };
        let instrument = Instrument {
            vendor: "Welch Allyn".into(),
            model: options.model.clone().unwrap_or_else(|| "Spot VS100".into()),
            serial: None,
            software: text("sw version"),
        };
        let mut decoded = Decoded::new(instrument, Integrity::None);
        decoded.running_number = text("record id").or_else(|| text("id"));
        decoded.instrument_time = text("timestamp").map(|as_sent| {
            let local = as_sent
                .split_once(' ')
                .and_then(|(date, time)| civil_time::local(date, time, options.date_order));
            InstrumentTime { as_sent, local }
        });
        let which = self.field(row, WHICH_EYE).map_or("", |field| field.trimmed().text);
        let named = only_eye(which);
        let only = named.flatten();
        for (eye, prefix) in [(Eye::Right, "od"), (Eye::Left, "os")] {
            if named.is_none() && self.eye(row, eye, prefix).is_all_zero() {
                let message = "a word that names no eye, and zeros that may be no values";
                return Err(row.malformed(message).in_field(WHICH_EYE));
            }
            if only.is_some_and(|only| only != eye) {
                let detail =
                    format!("{WHICH_EYE} was one: nothing of the columns {prefix} is read");
                decoded.flags.push(Flag { code: FlagCode::Unusual, detail });
                continue;
            }
            self.eye(row, eye, prefix).read(
                &Refraction::new(RefractionKind::Autorefraction),
                None,
                &mut decoded,
            )?;
        }
        // From one eye there is no distance, whatever stands there.
        if let Some(distance) = self.field(row, "interpupil").filter(|_| only.is_none()) {
            eye::distance(distance, &mut decoded)?;
        }
        self.rest(row, &mut decoded);
        Ok(decoded)
    }

    fn eye<'a>(&'a self, row: &'a Row, eye: Eye, prefix: &str) -> EyeColumns<'a> {
        let field = |name: &str| self.field(row, &format!("{prefix} {name}"));
        let required = |name: &str| field(name).unwrap_or(Field::new("", row.start, ""));
        let token = self.column(&format!("{prefix} ds")).map(|at| &self.as_sent[at][..2]);
        let shown = |name: &str| self.field(row, &format!("{SHOWN} {prefix} {name}"));
        EyeColumns {
            eye,
            token,
            sphere: required("ds"),
            cylinder: required("dc"),
            axis: required("axis"),
            equivalent: field("se"),
            shown: shown("ds")
                .zip(shown("dc"))
                .zip(shown("axis"))
                .map(|((sphere, cylinder), axis)| [sphere, cylinder, axis]),
            pupil: field("pupil size"),
            gaze: field("gaze x").zip(field("gaze y")).map(|(x, y)| [x, y]),
        }
    }

    /// Results as text, and columns of unknown meaning. What stands in front of the values may be
    /// about the person and is left out.
    fn rest(&self, row: &Row, decoded: &mut Decoded) {
        for (column, name) in self.names.iter().enumerate() {
            let text = row.fields[column].trim();
            if text.is_empty() || is_known(name) {
                continue;
            }
            let heading = &self.as_sent[column];
            if RESULTS.iter().any(|word| name.contains(word)) {
                let test = OtherTest::one(heading, "screening result", text, None);
                let measured = Measured::OtherTest(test);
                decoded.measurements.push(match token_in(heading) {
                    Some((eye, token)) => Measurement::of(eye, token, measured),
                    None => Measurement::without_token(Eye::Both, measured),
                });
            } else if column >= self.persons_end {
                if decoded.unknown_records.len() >= UNKNOWN_RECORDS_MAX {
                    let detail = "more columns of unknown kind are in the raw file only".into();
                    decoded.flags.push(Flag { code: FlagCode::UnknownRecord, detail });
                    break;
                }
                let text = format!("{heading}: {text}");
                decoded.unknown_records.push(UnknownRecord { offset: 0, text });
            }
        }
    }
}

/// The eye that alone was examined, or none for both; nothing for a word that is not known.
fn only_eye(text: &str) -> Option<Option<Eye>> {
    match text.to_ascii_lowercase().as_str() {
        "" | "both" | "ou" => Some(None),
        "od" | "right" => Some(Some(Eye::Right)),
        "os" | "left" => Some(Some(Eye::Left)),
        _ => None,
    }
}

/// The eye in a heading, if it names exactly one.
fn token_in(heading: &str) -> Option<(Eye, &str)> {
    let mut found = heading.split_whitespace().filter_map(|word| {
        let eye = match word.to_ascii_lowercase().as_str() {
            "od" => Eye::Right,
            "os" => Eye::Left,
            _ => return None,
        };
        Some((eye, word))
    });
    found.next().filter(|_| found.next().is_none())
}

/// Whether a column is read elsewhere, or never.
fn is_known(name: &str) -> bool {
    let of_eye = name.strip_prefix("od ").or_else(|| name.strip_prefix("os "));
    let bare = of_eye.unwrap_or(name);
    let is_gaze = matches!(bare, "gaze x" | "gaze y");
    is_gaze || USED.contains(&bare) || UNUSED.contains(&name)
}

#[cfg(test)]
mod tests;

golden_tests!(SPEC);

//! Faliao FR-710: records with fixed columns.
//!
//! Source: notes of one application that was tried with it; the exact bytes are not proved. Proved
//! against constructed transmissions only.
//!
//! | part   | form                            | meaning                                      |
//! |--------|---------------------------------|----------------------------------------------|
//! | before | `#!>`                           | begins a record                              |
//! | eye    | `REFR` or `REFL`                | in the first 26 characters of its record     |
//! | values | columns 26-31, 32-37, 38-40     | sphere, cylinder, axis, counted from 0 behind |
//! |        |                                 | `#!>`; all blank: not measured               |
//! | end    | silence                         |                                              |
//!
//! ```text
//! #!>REFR······················-02.25-00.75012 CR LF
//! ```
//!
//! Traps: the columns are counted behind the mark, and a record that is too short for them is
//! refused. What stands in front of the first mark belongs to no record and is kept as a capture.
//! Anything else in a record, and records of another kind, are kept as text.
//!
//! Unknown: the line settings; what the other columns hold; whether something ends the last record.

use super::{DRY_TEST, EYES, Found, LEN_MAX, LINE_ENDS, PROBE, SETTINGS, SILENCE_MAX, value};
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, Setup, Sniff, Transport,
    format::{
        fields::{Field, printable},
        stream::{End, Protocol, StreamDecoder, find},
    },
};
use chiasm_proto::{Decoded, UnknownRecord};

const MARK: &str = "#!>";
const TAGS: [&str; 2] = ["REFR", "REFL"];
/// Where the values begin.
const VALUES_AT: usize = 26;
const POWER_LEN: usize = 6;
const AXIS_LEN: usize = 3;

pub static SPEC: DriverSpec = DriverSpec {
    id: "faliao_fr710",
    version: "1",
    vendor: "Faliao",
    models: &["FR-710"],
    yields: &["refraction"],
    transport: Transport::Serial(PROBE),
    evidence: Evidence::Constructed,
    ending: Ending::Silence,
    setup: Setup {
        wiring: "Serial socket to a USB adapter with a straight cable; if nothing arrives, a \
                 crossed one.",
        settings: SETTINGS,
        dry_test: DRY_TEST,
    },
    limits: "Not tried on an instrument; the exact bytes are not proved. Only sphere, cylinder \
             and axis are known; everything else is kept as text. The line settings are not \
             stated.",
    sniff,
    new: |options| StreamDecoder::boxed(&PROTOCOL, options),
};

static PROTOCOL: Protocol = Protocol {
    begins: |bytes| find(bytes, MARK.as_bytes()),
    ends,
    silence: SILENCE_MAX,
    ends_by_silence: true,
    len_max: LEN_MAX,
    read,
};

fn sniff(bytes: &[u8]) -> Sniff {
    let has = |text: &str| find(bytes, text.as_bytes()).is_some();
    let is_ours = has(MARK) && TAGS.into_iter().any(has);
    if is_ours { Sniff::Yes } else { Sniff::No }
}

/// Which eye a record is of, by the tag in front of its values.
fn eye_of(record: &[u8]) -> Option<usize> {
    let front = &record[..record.len().min(VALUES_AT)];
    TAGS.iter().position(|tag| find(front, tag.as_bytes()).is_some())
}

/// Before a record of an eye that was there already, or of the right one, which stands first.
fn ends(bytes: &[u8]) -> End {
    let mut seen = false;
    let mut is_left = false;
    let mut at = 0;
    while let Some(next) = find(&bytes[at..], MARK.as_bytes()) {
        let start = at + next;
        at = start + MARK.len();
        let record = &bytes[at..];
        let record = &record[..find(record, MARK.as_bytes()).unwrap_or(record.len())];
        match eye_of(record) {
            Some(0) if seen => return End::After(start),
            Some(1) if is_left => return End::After(start),
            Some(eye) => (seen, is_left) = (true, is_left || eye == 1),
            None => {}
        }
    }
    End::NotYet
}

fn read(bytes: &[u8], options: &DriverOptions) -> Result<Option<Decoded>, DecodeError> {
    let text = printable(bytes, LINE_ENDS)?;
    let mut found = Found::default();
    let mut seen = [false; 2];
    let mut offset = MARK.len();
    for text in text[MARK.len()..].split(MARK) {
        let record = Field::new(text, offset, "record");
        offset += text.len() + MARK.len();
        let Some(eye) = eye_of(text.as_bytes()) else {
            keep(&mut found, record, None);
            continue;
        };
        if std::mem::replace(&mut seen[eye], true) {
            return Err(record.malformed("the same eye again"));
        }
        let record = record.named(EYES[eye].1);
        let sphere = record.columns(VALUES_AT, POWER_LEN, TAGS[eye])?;
        let cylinder = record.columns(VALUES_AT + POWER_LEN, POWER_LEN, TAGS[eye])?;
        let axis_at = VALUES_AT + 2 * POWER_LEN;
        let axis = record.columns(axis_at, AXIS_LEN, TAGS[eye])?;
        found.eyes[eye] = value([sphere, cylinder, axis])?;
        let behind = axis_at + AXIS_LEN;
        keep(&mut found, record.columns(0, VALUES_AT, "record")?, Some(TAGS[eye]));
        keep(&mut found, record.columns(behind, text.len() - behind, "record")?, None);
    }
    if seen == [false; 2] {
        let message = "no record of a refraction";
        return Err(DecodeError::new(ErrorCode::WrongKind, 0, message));
    }
    Ok(found.decoded(&SPEC, options))
}

/// Keeps text that nobody here can read, beside the tag that was.
fn keep(found: &mut Found, field: Field, tag: Option<&str>) {
    let field = field.trimmed();
    if !field.text.is_empty() && Some(field.text) != tag {
        let text = field.text.to_owned();
        found.unknown_records.push(UnknownRecord { offset: field.offset, text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_from_the_mark() {
        let read = |text: &str| read(text.as_bytes(), &DriverOptions::default());
        let good = format!("#!>{:<26}-02.25-00.75012", "REFR");
        assert!(read(&good).is_ok());
        assert!(read(&good[..good.len() - 1]).is_err());
        assert!(read(&format!("#!>{:<25}-02.25-00.75012 ", "REFR")).is_err());
        assert!(read(&format!("#!>{:<26}-02.25      012", "REFL")).is_err());
        assert!(read(&format!("{good}{good}")).is_err());
        for values in ["\r02.25-00.75012", " 02.25-00.75012", "-02.25-00.7512 "] {
            assert!(read(&format!("#!>{:<26}{values}\r\n", "REFR")).is_err(), "{values:?}");
        }
    }
}

golden_tests!(SPEC);

//! Topcon MYAH: axial length and curvature, exported as XML.
//!
//! Source: one layout of an export. Proved against constructed documents only.
//!
//! | element                                | meaning                                            |
//! |----------------------------------------|----------------------------------------------------|
//! | `Patient`                              | never taken over; its `ID` only compared           |
//! | `PatientEyeData`                       | one measurement of one eye                         |
//! | `PatientEyeData/Eye`                   | `OD`, `OS`                                         |
//! | `PatientEyeData/PatientID`             | has to be the `ID` of `Patient`                    |
//! | `PatientEyeData/Date`                  | `yyyy-mm-ddThh:mm:ss`, or a day only               |
//! | `Data/FlatK` `SteepK`                  | radii in mm                                        |
//! | `Data/FlatAngle` `SteepAngle`          | degrees                                            |
//! | `Data/AxialLength`                     | mm                                                 |
//! | anything that is 16 numbers or more    | a matrix: ignored                                  |
//!
//! ```text
//! <XMLDataPolarExportation><Patient><ID>9</ID></Patient><PatientEyeData><PatientID>9</PatientID>
//! <Eye>OD</Eye><Data><FlatK>7.93</FlatK><AxialLength>-1.0</AxialLength></Data></PatientEyeData>
//! </XMLDataPolarExportation>
//! ```
//!
//! Traps: UTF-16, several MiB of matrices. -1, -1.0 and -1000 (`MissingDataValue`) stand for what
//! was not measured. `Patient/ID` is what the instrument's own tables refer to by `PatientID`, so
//! it is taken for its number of the patient and not for an id that somebody typed: no patient is
//! claimed. A record of another patient than the document's refuses the document.
//!
//! A document may hold several measurements of an eye: each then carries its date as the name of
//! its set. If they are of several days the reading has no time of its own.
//!
//! Unknown: how matrices are written. Whatever holds nothing but numbers, and at least 16 of them,
//! is taken for one, be it a list in one element or an element for each number.

use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, Setup, Sniff, Transport,
    flags,
    format::{
        biometer::{Curvature, Meridians, Sent, length},
        xml::{AnyName, Document, El, Node, Tree, XmlDecoder, XmlFormat},
    },
    registry::PENDING_LEN_MAX,
};
use chiasm_proto::{
    Biometry, Decoded, Eye, FlagCode, Hundredths, Instrument, InstrumentTime, Integrity, Measured,
    Measurement,
};

const ROOT: &str = "XMLDataPolarExportation";
/// Longest document. Several MiB are said to be usual, most of them matrices in UTF-16; a longer
/// file the gateway does not take from a folder.
const DOCUMENT_LEN_MAX: usize = PENDING_LEN_MAX;
/// How far into a document its root may stand.
const SNIFF_LEN_MAX: usize = 1024;
/// Most records of one document.
const RECORDS_MAX: usize = 64;
/// Longest date, in bytes.
const DATE_LEN_MAX: usize = 64;
/// As many numbers and nothing else are a matrix.
const MATRIX_LEN_MIN: usize = 16;
/// What stands for a value that was not measured.
const MISSING: [Hundredths; 2] = [Hundredths::whole(-1), Hundredths::whole(-1000)];

pub static SPEC: DriverSpec = DriverSpec {
    id: "topcon_myah",
    version: "1",
    vendor: "Topcon",
    models: &["MYAH"],
    yields: &["biometry", "keratometry", "other_test"],
    transport: Transport::Folder { extension: "xml" },
    evidence: Evidence::SingleSource,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "Network cable; the instrument exports into a shared folder of the gateway, or \
                 to a USB stick from which the file is copied there.",
        settings: "In the instrument's export choose XML data, one patient per file, and the \
                   share as its target.",
        dry_test: "Measure the test eye that comes with the instrument and export it: the lane \
                   shows the axial length of its label.",
    },
    limits: "Documents up to 8 MiB; topographic matrices are not read, and pupil and \
             white-to-white are kept as text. A reading is sent together with its document, which \
             is deflated: one that is still larger than 1.3 MiB then is kept as a capture. The \
             patient's id is not claimed, for the export seems to hold the instrument's own \
             number. Radii with more than two decimals are kept as text. Not tried on an \
             instrument.",
    sniff,
    new: |options| XmlDecoder::boxed(&FORMAT, options),
};

static FORMAT: XmlFormat = XmlFormat { len_max: DOCUMENT_LEN_MAX, read };

fn sniff(bytes: &[u8]) -> Sniff {
    let head = &bytes[..bytes.len().min(SNIFF_LEN_MAX)];
    let text: String = head.iter().filter(|byte| **byte != 0).map(|b| char::from(*b)).collect();
    if text.contains(ROOT) { Sniff::Yes } else { Sniff::No }
}

/// One measurement of one eye.
struct Record {
    eye: Eye,
    token: String,
    date: Option<InstrumentTime>,
    measured: Vec<Measured>,
}

fn read(raw: &[u8], options: &DriverOptions) -> Result<Decoded, DecodeError> {
    let document = Document::parse_with_matrices(raw)?;
    let tree = Tree::new(&document);
    let root = tree.root();
    if root.node().local_name() != ROOT || root.peek("PatientEyeData").is_none() {
        let what = format!("not an {ROOT} with PatientEyeData");
        return Err(DecodeError::new(ErrorCode::WrongKind, root.node().offset(), what));
    }
    let patient_id = patient_id(root)?;
    let blocks = root.enter_all("PatientEyeData");
    if blocks.len() > RECORDS_MAX {
        return Err(root.malformed(format!("more than {RECORDS_MAX} records")));
    }
    let mut records = vec![];
    for block in blocks {
        records.push(record(block, patient_id.as_deref())?);
    }
    let instrument = Instrument {
        vendor: SPEC.vendor.into(),
        model: options.model.clone().unwrap_or_else(|| SPEC.models[0].into()),
        ..Instrument::default()
    };
    let mut decoded = Decoded::new(instrument, Integrity::Structure);
    decoded.instrument_time = common_time(&tree, &records);
    decoded.measurements = measurements(records);
    ignore_bulk(root);
    // Without a look at the lengths of texts: matrices are long.
    decoded.unknown_records = tree.unknown_records();
    decoded.flags = tree.flags.take();
    flags::complete(&mut decoded);
    Ok(decoded)
}

/// The instrument's number of the patient, to compare the records with. Nothing else of the patient
/// is looked at.
fn patient_id(root: El) -> Result<Option<String>, DecodeError> {
    let patients = root.enter_all("Patient");
    if let Some(second) = patients.get(1) {
        return Err(second.malformed("a second patient in one document"));
    }
    let id = patients.first().and_then(|patient| patient.text_of("ID"));
    patients.iter().for_each(|patient| patient.ignore_whole());
    Ok(id)
}

fn record(block: El, patient_id: Option<&str>) -> Result<Record, DecodeError> {
    block.ignore(["ID"]);
    if let (Some(sent), Some(known)) = (block.leaf("PatientID"), patient_id)
        && sent.text() != known
    {
        return Err(sent.malformed("a record of another patient than the document's"));
    }
    let token = block.text_of("Eye").unwrap_or_default();
    let eye = match token.as_str() {
        "OD" => Eye::Right,
        "OS" => Eye::Left,
        "" => Eye::NotGiven,
        _ => return Err(block.malformed("an Eye is OD or OS")),
    };
    let date = block.text_of("Date").map(|as_sent| {
        // A day alone would be read as its midnight.
        let local = as_sent.parse().ok().filter(|_| as_sent.contains(':'));
        InstrumentTime { as_sent, local }
    });
    if date.as_ref().is_some_and(|date| date.as_sent.len() > DATE_LEN_MAX) {
        return Err(block.malformed(format!("a date of more than {DATE_LEN_MAX} bytes")));
    }
    let mut measured = vec![];
    for data in block.enter_all("Data") {
        read_data(data, &mut measured)?;
        ignore_bulk(data);
    }
    ignore_bulk(block);
    Ok(Record { eye, token, date, measured })
}

fn read_data(data: El, into: &mut Vec<Measured>) -> Result<(), DecodeError> {
    let mut texts = vec![];
    let axial_length_mm =
        length(present(data, "AxialLength")?, "AxialLength", "axial length", &mut texts);
    if axial_length_mm.is_some() {
        into.push(Measured::Biometry(Biometry { axial_length_mm, ..Biometry::default() }));
    }
    into.append(&mut texts);
    let meridians = Meridians {
        r1: present(data, "FlatK")?,
        r1_axis: present(data, "FlatAngle")?,
        r2: present(data, "SteepK")?,
        r2_axis: present(data, "SteepAngle")?,
    };
    for axis in [&meridians.r1_axis, &meridians.r2_axis].into_iter().flatten() {
        if !axis.is_axis() {
            return Err(data.malformed("an angle is not within 0 to 180 degrees"));
        }
    }
    into.extend(meridians.measured("FlatK, SteepK", Some(Curvature::RadiusMm)));
    Ok(())
}

/// A number, unless it is a mark of one that is missing.
fn present(data: El, name: &str) -> Result<Option<Sent>, DecodeError> {
    let sent = Sent::in_child(data, name)?;
    Ok(sent.filter(|sent| !is_missing(sent)))
}

fn is_missing(sent: &Sent) -> bool {
    sent.value.is_some_and(|value| MISSING.contains(&value))
}

/// The first record's time, if all are of the same day.
fn common_time(tree: &Tree, records: &[Record]) -> Option<InstrumentTime> {
    let day = |time: &InstrumentTime| match time.local {
        Some(local) => local.date().to_string(),
        None => time.as_sent.clone(),
    };
    let mut times = records.iter().filter_map(|record| record.date.as_ref());
    let first = times.next()?;
    if times.any(|time| day(time) != day(first)) {
        tree.flag(FlagCode::Inconsistent, "the measurements are of several days");
        return None;
    }
    Some(first.clone())
}

/// Right before left; records of one eye in the order of the document.
fn measurements(mut records: Vec<Record>) -> Vec<Measurement> {
    records.sort_by_key(|record| record.eye);
    let mut all = vec![];
    for at in 0..records.len() {
        let Record { eye, token, date, .. } = &records[at];
        let is_several = records.iter().filter(|record| record.eye == *eye).count() > 1;
        let set = date.as_ref().filter(|_| is_several).map(|date| date.as_sent.clone());
        for measured in records[at].measured.clone() {
            let measurement = match token.as_str() {
                "" => Measurement::without_token(*eye, measured),
                token => Measurement::of(*eye, token, measured),
            };
            all.push(Measurement { data_set: set.clone(), ..measurement });
        }
    }
    all
}

/// Unread children that are matrices, and the mark of missing values where it is one of those
/// known.
fn ignore_bulk(parent: El) {
    for child in parent.peek_all(AnyName) {
        let is_mark = child.node().local_name() == "MissingDataValue"
            && child.text().parse().is_ok_and(|value: Hundredths| MISSING.contains(&value));
        let is_matrix = || numbers_in(child.node()).is_some_and(|count| count >= MATRIX_LEN_MIN);
        if is_mark || is_matrix() {
            child.ignore_whole();
        }
    }
}

/// How many numbers an element holds, together with those inside it; none if anything else stands
/// there.
fn numbers_in(node: Node) -> Option<usize> {
    let mut count = 0;
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        let separators = |character: char| character.is_whitespace() || ";,|".contains(character);
        for word in node.text().split(separators).filter(|word| !word.is_empty()) {
            word.parse::<f64>().ok()?;
            count += 1;
        }
        open.extend(node.children());
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(inside: &str) -> Result<Decoded, DecodeError> {
        let text = format!(
            "<XMLDataPolarExportation><Patient><ID>7</ID></Patient>{inside}\
             </XMLDataPolarExportation>"
        );
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        read(&[&[0xFF, 0xFE], wide.as_slice()].concat(), &DriverOptions::default())
    }

    fn record(eye: &str, date: &str, data: &str) -> String {
        format!(
            "<PatientEyeData><PatientID>7</PatientID><Eye>{eye}</Eye><Date>{date}</Date>\
             <Data>{data}</Data></PatientEyeData>"
        )
    }

    const DATE: &str = "2026-03-14T09:41:07";

    #[test]
    fn megabytes_of_matrices_leave_nothing_behind() {
        let row = "7.81 -1 7.6e0 NaN; ".repeat(4_000);
        let list = format!("<Map>{}</Map>", format!("<Row>{row}</Row>").repeat(10));
        let single = format!("<Ring>{}</Ring>", "<V>-1000</V>".repeat(20_000));
        let data = format!("{list}{single}<AxialLength>24.13</AxialLength><Note>x 1 2</Note>");
        let decoded = of(&record("OD", DATE, &data)).unwrap();
        assert_eq!(decoded.measurements.len(), 1);
        let texts: Vec<&str> = decoded.unknown_records.iter().map(|it| it.text.as_str()).collect();
        assert_eq!(texts, ["<Note>x 1 2</Note>"]);
    }

    #[test]
    fn more_numbers_than_elements_are_allowed_are_no_reason_to_refuse() {
        let row = format!("<Row>{}</Row>", "<Value>7.8123</Value>".repeat(256));
        let map = format!("<Map><MissingDataValue>-1.0</MissingDataValue>{}</Map>", row.repeat(24));
        let data = format!("{}<AxialLength>24.13</AxialLength>", map.repeat(20));
        let text = [record("OD", DATE, &data), record("OS", DATE, &data)].concat();
        assert!(text.len() > 4 << 20, "in eight bits");
        let decoded = of(&text).unwrap();
        assert_eq!((decoded.measurements.len(), decoded.unknown_records.len()), (2, 0));
    }

    #[test]
    fn a_day_alone_is_not_midnight() {
        let decoded = of(&record("OD", "2026-03-14", "<AxialLength>24.1</AxialLength>")).unwrap();
        let time = decoded.instrument_time.unwrap();
        assert_eq!((time.as_sent.as_str(), time.local), ("2026-03-14", None));
    }

    #[test]
    fn missing_values_are_no_numbers() {
        for missing in ["-1", "-1.0", "-1.000", "-1000", "-1000.0", ""] {
            let data = format!(
                "<FlatK>{missing}</FlatK><FlatAngle>{missing}</FlatAngle>\
                 <AxialLength>{missing}</AxialLength><MissingDataValue>-1.0</MissingDataValue>"
            );
            let decoded = of(&record("OS", DATE, &data)).unwrap();
            assert!(decoded.measurements.is_empty(), "{missing}: {:?}", decoded.measurements);
            assert!(decoded.unknown_records.is_empty(), "{:?}", decoded.unknown_records);
        }
        let other = record("OS", DATE, "<MissingDataValue>-9</MissingDataValue>");
        assert_eq!(of(&other).unwrap().unknown_records.len(), 1);
    }

    #[test]
    fn finer_radii_are_text() {
        let data = "<FlatK>7.8123</FlatK><SteepK>7.66</SteepK><AxialLength>24.1301</AxialLength>";
        let decoded = of(&record("OD", DATE, data)).unwrap();
        let kinds: Vec<&str> =
            decoded.measurements.iter().map(|it| it.measured.type_name()).collect();
        assert_eq!(kinds, ["other_test", "other_test"]);
    }

    #[test]
    fn another_patients_record_refuses_the_document() {
        let other = record("OD", DATE, "").replace("<PatientID>7", "<PatientID>8");
        assert_eq!(of(&other).unwrap_err().code, ErrorCode::Malformed);
        assert!(of(&format!("<Patient/>{}", record("OD", DATE, ""))).is_err());
        assert_eq!(of("").unwrap_err().code, ErrorCode::WrongKind);
        assert!(of(&record("OX", DATE, "")).is_err());
        assert!(of(&record("OD", DATE, "<FlatAngle>181</FlatAngle>")).is_err());
    }

    #[test]
    fn several_measurements_of_an_eye_carry_their_dates() {
        let length = "<AxialLength>24.13</AxialLength>";
        let later = "2026-09-01T08:00:00";
        let decoded =
            of(&[record("OD", DATE, length), record("OD", later, length)].concat()).unwrap();
        let sets: Vec<Option<&str>> =
            decoded.measurements.iter().map(|it| it.data_set.as_deref()).collect();
        assert_eq!(sets, [Some(DATE), Some(later)]);
        assert_eq!(decoded.instrument_time, None);
        assert!(decoded.claimed_patient.is_none());
    }
}

golden_tests!(SPEC);

//! Tomey TOP-1000, Rodenstock Topascope: one XML file per print.
//!
//! Source: two independent public readers that agree. Proved against constructed documents only.
//!
//! | element or attribute                     | meaning                                        |
//! |------------------------------------------|------------------------------------------------|
//! | `Measurement`, `@iop_unit`, `@cct_unit`  | root; `mmHg` and `um` are read                 |
//! | `Company`, `Model`                       | maker and model                                |
//! | `PatientID`                              | the running number, eight digits: no id        |
//! | `DateTime`                               | `YYYY-MM-DD_HH-MM-SS`                          |
//! | `Eye`, `@type`                           | `OD`, `OS`                                     |
//! | `Eye/IOP`, `@quality`                    | one shot, `Normal` or `Low`                    |
//! | `Eye/IOPAvg`                             | the instrument's mean of the normal ones       |
//! | `Eye/CCT`, `Eye/CIOP`                    | thickness; pressure corrected with it          |
//!
//! ```text
//! <Eye type="OD"><IOP quality="Low">24</IOP><IOP quality="Normal">15</IOP><IOPAvg>15.2</IOPAvg>
//! ```
//!
//! Traps: `--.-` is missing, not zero. The mean has a decimal that the shots do not have, so it
//! need not be the mean of what was sent. With low shots only there is no mean, and none is made.
//! A quality of another word counts as low. A unit other than these refuses the document.
//!
//! Unknown: what stands in `Message`; with text in it, it is kept. Which formula corrects.

use super::{AVERAGE, SHOTS_MAX, iop, is_missing, thickness};
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, Setup, Sniff, Transport,
    format::{
        fields::Field,
        xml::{Document, El, Tree, XmlDecoder, XmlFormat},
    },
};
use chiasm_proto::{
    Confidence, CorrectedIop, Decoded, Eye, FlagCode, Hundredths, Instrument, InstrumentTime,
    Integrity, IopValue, Measured, Measurement, Representative, Shot, Tonometry, TonometryMethod,
};
use jiff::civil;

/// Longest document, in bytes. Known ones are below 2 KiB.
const DOCUMENT_LEN_MAX: usize = 64 * 1024;
/// How far into a document its root may stand.
const SNIFF_LEN_MAX: usize = 2048;
/// Digits of the running number.
const NUMBER_LEN_MAX: usize = 8;
const ROOT: &str = "Measurement";
const EYES: [(Eye, &str); 2] = [(Eye::Right, "OD"), (Eye::Left, "OS")];
/// Not known of this format, but nothing that a reading may hold, should they stand there.
const PERSONAL: [&str; 7] =
    ["PatientName", "Name", "LastName", "FirstName", "BirthDate", "Sex", "Gender"];
const MICROMETRES: [&str; 3] = ["um", "\u{b5}m", "\u{3bc}m"];

/// Most measurements of one document, which names each once.
const MEASUREMENTS_MAX: usize = 64;

pub static SPEC: DriverSpec = DriverSpec {
    id: "tomey_top1000_xml",
    version: "1",
    vendor: "Tomey",
    models: &["TOP-1000", "Rodenstock Topascope"],
    yields: &["tonometry", "pachymetry", "other_test"],
    transport: Transport::Folder { extension: "xml" },
    evidence: Evidence::Manual,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "The instrument or its PC writes to a shared folder of the gateway.",
        settings: "Output of XML files on, units mmHg and um, path and account of the share.",
        dry_test: "Measure and print: the file is read within seconds and the lane shows the \
                   values of the ticket.",
    },
    limits: "Not tried on an instrument. Other units than mmHg and um are refused. The running \
             number is no patient's id, and no other is sent. The correction's formula is not \
             sent.",
    sniff,
    new: |options| XmlDecoder::boxed(&FORMAT, options),
};

static FORMAT: XmlFormat = XmlFormat { len_max: DOCUMENT_LEN_MAX, read };

fn sniff(bytes: &[u8]) -> Sniff {
    let head = &bytes[..bytes.len().min(SNIFF_LEN_MAX)];
    let text: String = head.iter().filter(|byte| **byte != 0).map(|b| char::from(*b)).collect();
    let is_ours = text.contains("<Measurement ") && text.contains("iop_unit");
    if is_ours { Sniff::Yes } else { Sniff::No }
}

fn read(raw: &[u8], options: &DriverOptions) -> Result<Decoded, DecodeError> {
    let document = Document::parse_western(raw)?;
    let tree = Tree::new(&document);
    let root = tree.root();
    check_root(root)?;
    let configured = options.model.clone().unwrap_or_else(|| SPEC.models[0].into());
    let instrument = Instrument {
        vendor: root.text_of("Company").unwrap_or_else(|| SPEC.vendor.into()),
        model: root.text_of("Model").unwrap_or(configured),
        ..Instrument::default()
    };
    let mut decoded = Decoded::new(instrument, Integrity::Structure);
    root.ignore(PERSONAL);
    decoded.instrument_time = root.text_of("DateTime").map(time);
    decoded.running_number = running_number(root);
    let mut eyes: [Option<Vec<Measurement>>; 2] = [None, None];
    for el in root.enter_all("Eye") {
        let sent = el.node().attribute("type").unwrap_or("").trim();
        let Some(at) = EYES.iter().position(|(_, token)| *token == sent) else {
            return Err(el.malformed("an eye that is neither OD nor OS"));
        };
        if eyes[at].replace(eye(root, el, EYES[at])?).is_some() {
            return Err(el.malformed("the same eye again"));
        }
    }
    decoded.measurements = eyes.into_iter().flatten().flatten().collect();
    tree.finish(decoded, MEASUREMENTS_MAX)
}

/// Root, unit and eyes make the format; other makers use the root's name as well.
fn check_root(root: El) -> Result<(), DecodeError> {
    let refuse =
        |what: &str| Err(DecodeError::new(ErrorCode::WrongKind, root.node().offset(), what));
    let unit = root.node().attribute("iop_unit").map(str::trim);
    if root.node().name() != ROOT || root.node().namespace().is_some() {
        return refuse("the root element is not Measurement: another format");
    }
    match unit {
        None => refuse("no unit of pressure: another format"),
        Some(unit) if !unit.eq_ignore_ascii_case("mmHg") => {
            Err(root.malformed("pressures in another unit than mmHg").in_field("iop_unit"))
        }
        Some(_) if root.peek("Eye").is_none() => refuse("no eye: another format"),
        Some(_) => Ok(()),
    }
}

/// `2026-06-21_16-05-09`
fn time(as_sent: String) -> InstrumentTime {
    let local = as_sent.split_once('_').and_then(|(date, clock)| {
        let date: civil::Date = date.parse().ok()?;
        let clock: civil::Time = clock.replace('-', ":").parse().ok()?;
        Some(date.to_datetime(clock))
    });
    InstrumentTime { as_sent, local }
}

/// The element is called an id and holds the running number. What is not such a number could be
/// anything about a person and is not taken over.
fn running_number(root: El) -> Option<String> {
    let number = root.text_of("PatientID").filter(|text| !is_missing(text))?;
    let is_number =
        number.len() <= NUMBER_LEN_MAX && number.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        let what = "PatientID is not a running number and was not taken over";
        root.tree().flag(FlagCode::Inconsistent, what);
    }
    is_number.then_some(number)
}

fn eye(root: El, el: El, (eye, token): (Eye, &str)) -> Result<Vec<Measurement>, DecodeError> {
    let mut shots = vec![];
    for sent in el.peek_all("IOP") {
        sent.done();
        shots.extend(shot(sent)?);
        if shots.len() > SHOTS_MAX {
            return Err(sent.malformed(format!("more than {SHOTS_MAX} shots of an eye")));
        }
    }
    let average = pressure(el, "IOPAvg")?;
    let corrected = pressure(el, "CIOP")?.map(|corrected_mmhg| CorrectedIop {
        label: "CIOP".into(),
        corrected_mmhg: Some(corrected_mmhg),
        ..CorrectedIop::default()
    });
    let tonometry = Tonometry {
        representative: average
            .map(|value| Representative { label: AVERAGE.into(), value: iop(value) }),
        shots,
        corrected: corrected.into_iter().collect(),
        ..Tonometry::new(TonometryMethod::NonContact)
    };
    let mut measurements = vec![];
    if tonometry != Tonometry::new(TonometryMethod::NonContact) {
        measurements.push(Measurement::of(eye, token, Measured::Tonometry(tonometry)));
    }
    if let Some(leaf) = el.leaf("CCT").filter(|leaf| !is_missing(leaf.text())) {
        let unit = root.node().attribute("cct_unit").unwrap_or("").trim();
        if !MICROMETRES.iter().any(|known| unit.eq_ignore_ascii_case(known)) {
            return Err(leaf.malformed("a thickness in another unit than um"));
        }
        let field = Field::new(leaf.text(), 0, "CCT");
        let sent = thickness(eye, token, &field);
        measurements.push(sent.map_err(|error| leaf.malformed(error.message))?);
    }
    Ok(measurements)
}

/// One shot; none if the element is empty.
fn shot(el: El) -> Result<Option<Shot<IopValue>>, DecodeError> {
    if el.text().is_empty() {
        return Ok(None);
    }
    let confidence = el.node().attribute("quality").map(|quality| Confidence {
        as_sent: quality.trim().to_owned(),
        scale: "Tomey quality".into(),
        low: quality.trim() != "Normal",
    });
    if is_missing(el.text()) {
        return Ok(Some(Shot { confidence, ..Shot::failed(el.text()) }));
    }
    Ok(Some(Shot { confidence, ..Shot::of(iop(number(el)?)) }))
}

fn pressure(el: El, name: &str) -> Result<Option<Hundredths>, DecodeError> {
    el.leaf(name).filter(|leaf| !is_missing(leaf.text())).map(number).transpose()
}

fn number(leaf: El) -> Result<Hundredths, DecodeError> {
    let field = Field::new(leaf.text(), 0, "");
    field.hundredths().map_err(|error| leaf.malformed(error.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Decoded, DecodeError> {
        read(text.as_bytes(), &DriverOptions::default())
    }

    #[test]
    fn another_unit_is_refused() {
        let eye = "<Eye type=\"OD\"><IOP>2.1</IOP><CCT>0.54</CCT></Eye></Measurement>";
        let kpa = read_text(&format!("<Measurement iop_unit=\"kPa\" cct_unit=\"um\">{eye}"));
        assert_eq!(kpa.unwrap_err().code, ErrorCode::Malformed);
        let mm = read_text(&format!("<Measurement iop_unit=\"mmHg\" cct_unit=\"mm\">{eye}"));
        assert_eq!(mm.unwrap_err().field.as_deref(), Some("Eye/CCT"));
        let none = read_text(&format!("<Measurement cct_unit=\"um\">{eye}"));
        assert_eq!(none.unwrap_err().code, ErrorCode::WrongKind);
    }

    #[test]
    fn the_micro_sign_of_western_europe_is_read() {
        let text = b"<Measurement iop_unit=\"mmHg\" cct_unit=\"\xB5m\"><Eye type=\"OD\">\
                     <CCT>541</CCT></Eye></Measurement>";
        assert_eq!(read(text, &DriverOptions::default()).unwrap().measurements.len(), 1);
    }

    #[test]
    fn what_is_no_running_number_is_not_kept() {
        let decoded = read_text(
            "<Measurement iop_unit=\"mmHg\" cct_unit=\"um\"><PatientID>SAMPLE A</PatientID>\
             <Name>SAMPLE A</Name>\
             <Eye type=\"OS\"><IOP quality=\"Normal\">15</IOP><CCT>541.5</CCT></Eye></Measurement>",
        )
        .unwrap();
        assert_eq!((decoded.running_number, decoded.claimed_patient), (None, None));
        assert!(decoded.unknown_records.is_empty());
        assert_eq!(decoded.flags[0].code, FlagCode::Inconsistent);
        assert!(matches!(&decoded.measurements[1].measured, Measured::OtherTest(it)
            if it.values[0].as_sent == "541.5"));
    }
}

golden_tests!(SPEC);

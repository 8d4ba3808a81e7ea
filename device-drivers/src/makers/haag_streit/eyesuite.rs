//! Haag-Streit EyeSuite: biometry of a Lenstar, exported as XML.
//!
//! Source: EyeSuite exports through templates that each site writes for itself; the XML of one such
//! site is known. Proved against constructed documents only.
//!
//! | element                                   | meaning                                          |
//! |-------------------------------------------|--------------------------------------------------|
//! | `EXAMINATION`                             | the root, or the only one in a root of any name  |
//! | `EXAMINATION/DATE`                        | `yyyy.mm.dd hh:mm:ss`                            |
//! | `EXAMINATION/PATIENT`, `COMMENT`          | never read                                       |
//! | `EYE` with `side`                         | `OD`, `OS`                                       |
//! | `A-SCAN/AXIAL_LENGTH` `AQUEOUS_DEPTH`     | mm                                               |
//! | `A-SCAN/LENSE_THICKNESS`                  | mm; spelt so                                     |
//! | `A-SCAN/CENTRAL_CORNEA_THICKNESS`         | µm                                               |
//! | `A-SCAN/MODE`                             | status of the lens, verbatim                     |
//! | `KERATOMETRY/FLAT_MERIDIAN`, `…_AXIS`     | mm or D as the template says, degrees            |
//! | `KERATOMETRY/STEEP_MERIDIAN`              | the same unit                                    |
//! | `WHITE-WHITE/DIAMETER`, `BARYCENTER_X/Y`  | mm; the circle's centre as text                  |
//! | `PUPILLOMETRY/DIAMETER`, `BARYCENTER_X/Y` | mm; the pupil's centre as text                   |
//! | `IMAGEAXIS`, `CHECK`, any other in `EYE`  | text of this eye                                 |
//!
//! ```text
//! <EXAMINATION><DATE>2026.05.06 10:11:12</DATE><EYE side="OD">
//! <A-SCAN><AXIAL_LENGTH>22,97</AXIAL_LENGTH><MODE>phakic</MODE></A-SCAN></EYE></EXAMINATION>
//! ```
//!
//! Traps: Windows-1252 without a declaration, decimal commas, empty elements for what was not
//! measured. The document does not say the unit of curvature: 5 to 13 is a radius, 25 to 70 a
//! power. One of each refuses the document; a number outside of both is kept as text with a flag.
//! Some templates give documents that are not well-formed: these are refused with the position.
//!
//! Unknown: the unit of the centres; the axis of the steep meridian, which is not computed; where a
//! site's template puts the patient's id.

use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, Setup, Sniff, Transport,
    format::{
        biometer::{Curvature, Meridians, Sent, length, thickness_um},
        xml::{AnyName, Document, El, Tree, XmlDecoder, XmlFormat},
    },
};
use chiasm_proto::{
    Biometry, CornealSize, Decoded, Eye, FlagCode, Instrument, InstrumentTime, Integrity, Measured,
    Measurement, OtherTest, OtherValue, PupilSize,
};
use jiff::civil;
use std::ops::RangeInclusive;

/// Most parts of one element that are not known and kept as text of their eye.
const UNKNOWN_PARTS_MAX: usize = 8;
const EXAM: &str = "EXAMINATION";
/// Longest document; such a one has about 2 KiB.
const DOCUMENT_LEN_MAX: usize = 1 << 20;
/// Most measurements of one document; two eyes have at most fourteen, and parts that are not known.
const MEASUREMENTS_MAX: usize = 128;
/// How far into a document its first eye may stand.
const SNIFF_LEN_MAX: usize = 16 * 1024;
/// What is taken for a radius, in millimetres, and for a power, in dioptres.
const RADIUS_MM: RangeInclusive<f64> = 5.0..=13.0;
const POWER_D: RangeInclusive<f64> = 25.0..=70.0;

pub static SPEC: DriverSpec = DriverSpec {
    id: "haag_streit_eyesuite",
    version: "1",
    vendor: "Haag-Streit",
    models: &["Lenstar (EyeSuite)", "EyeSuite"],
    yields: &["biometry", "pachymetry", "keratometry", "corneal_size", "pupil_size", "other_test"],
    transport: Transport::Folder { extension: "xml" },
    evidence: Evidence::SingleSource,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "Network: the EyeSuite PC writes into a shared folder of the gateway.",
        settings: "In EyeSuite choose the XML export and this share as its target folder. The \
                   template has to write EXAMINATION, one EYE with side=\"OD\" or \"OS\" for each \
                   eye, and within it A-SCAN, KERATOMETRY, WHITE-WHITE and PUPILLOMETRY. \
                   Curvature may be in mm or dioptres, but in one of them throughout.",
        dry_test: "Measure the test eye that comes with the instrument and export it: the lane \
                   shows the axial length of its label.",
    },
    limits: "The export's layout is a template that each site writes for itself: one layout is \
             read, any other is kept as a capture or, element by element, as text. The patient's \
             id is not read, for no layout says where it stands. The unit of curvature is told \
             by magnitude. Not tried on an instrument.",
    sniff,
    new: |options| XmlDecoder::boxed(&FORMAT, options),
};

static FORMAT: XmlFormat = XmlFormat { len_max: DOCUMENT_LEN_MAX, read };

fn sniff(bytes: &[u8]) -> Sniff {
    let head = &bytes[..bytes.len().min(SNIFF_LEN_MAX)];
    let text: String = head.iter().filter(|byte| **byte != 0).map(|b| char::from(*b)).collect();
    if !text.contains("<EXAMINATION") || !text.contains("<EYE") {
        Sniff::No
    } else if ["<A-SCAN", "<KERATOMETRY", "<WHITE-WHITE"].iter().any(|mark| text.contains(mark)) {
        Sniff::Yes
    } else {
        Sniff::Perhaps
    }
}

fn read(raw: &[u8], options: &DriverOptions) -> Result<Decoded, DecodeError> {
    let document = Document::parse_western(raw)?;
    let tree = Tree::new(&document);
    let root = exam(tree.root())?;
    root.ignore(["PATIENT"]); // a birth date and whatever else a site adds
    let instrument = Instrument {
        vendor: SPEC.vendor.into(),
        model: options.model.clone().unwrap_or_else(|| "EyeSuite".into()),
        ..Instrument::default()
    };
    let mut decoded = Decoded::new(instrument, Integrity::Structure);
    decoded.instrument_time = root.text_of("DATE").map(|as_sent| {
        let local = civil::DateTime::strptime("%Y.%m.%d %H:%M:%S", &as_sent).ok();
        InstrumentTime { as_sent, local }
    });
    for eye in root.enter_all("EYE") {
        read_eye(eye, &mut decoded.measurements)?;
    }
    tree.finish(decoded, MEASUREMENTS_MAX)
}

/// The examination: the root, or the only one in it.
fn exam(root: El) -> Result<El, DecodeError> {
    let refuse = |what| Err(DecodeError::new(ErrorCode::WrongKind, root.node().offset(), what));
    let found = match root.node().local_name() {
        EXAM => vec![root],
        _ => root.enter_all(EXAM),
    };
    root.ignore(["COMMENT", "PATIENT"]); // free text of a person, and about one
    match found[..] {
        [exam] if exam.peek("EYE").is_some() => Ok(exam),
        [_] | [] => refuse("not an EXAMINATION with an EYE"),
        _ => refuse("more than one EXAMINATION"),
    }
}

fn read_eye(el: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    let token = el.node().attribute("side").map(str::trim);
    let eye = match token {
        Some("OD") => Eye::Right,
        Some("OS") => Eye::Left,
        None | Some("") => Eye::NotGiven,
        Some(_) => return Err(el.malformed("a side is OD or OS")),
    };
    let mut measured = vec![];
    for scan in el.enter_all("A-SCAN") {
        a_scan(scan, &mut measured)?;
        unknown_parts(scan, &mut measured);
    }
    for meridians in el.enter_all("KERATOMETRY") {
        measured.extend(keratometry(meridians, token.unwrap_or("?"))?);
        unknown_parts(meridians, &mut measured);
    }
    for circle in el.enter_all("WHITE-WHITE") {
        let diameter = Sent::in_child(circle, "DIAMETER")?;
        let name = "white-to-white distance";
        let diameter_mm = length(diameter, "WHITE-WHITE", name, &mut measured);
        let size = |diameter_mm| Measured::CornealSize(CornealSize { diameter_mm });
        measured.extend(diameter_mm.map(size));
        measured.extend(centre(circle, "WHITE-WHITE", "centre of the white-to-white circle")?);
        unknown_parts(circle, &mut measured);
    }
    for pupil in el.enter_all("PUPILLOMETRY") {
        let diameter = Sent::in_child(pupil, "DIAMETER")?;
        let diameter_mm = length(diameter, "PUPILLOMETRY", "pupil diameter", &mut measured);
        let size =
            |diameter_mm| Measured::PupilSize(PupilSize { diameter_mm, state_as_sent: None });
        measured.extend(diameter_mm.map(size));
        measured.extend(centre(pupil, "PUPILLOMETRY", "centre of the pupil")?);
        unknown_parts(pupil, &mut measured);
    }
    unknown_parts(el, &mut measured);
    let of_eye = |measured| match token {
        Some(token) if !token.is_empty() => Measurement::of(eye, token, measured),
        _ => Measurement::without_token(eye, measured),
    };
    into.extend(measured.into_iter().map(of_eye));
    Ok(())
}

/// What is not known, as text of its eye, which an unknown record would lose.
fn unknown_parts(el: El, into: &mut Vec<Measured>) {
    for part in el.peek_all(AnyName).into_iter().take(UNKNOWN_PARTS_MAX) {
        part.mark_entered();
        let value = |(name, leaf): (String, El)| {
            let as_sent = leaf.text().to_owned();
            OtherValue { name, as_sent, unit: None }
        };
        let values: Vec<OtherValue> = part.texts().into_iter().map(value).collect();
        if !values.is_empty() {
            let code = part.node().local_name().to_owned();
            let what = format!("{} is not known and kept as text", part.path());
            el.tree().flag(FlagCode::UnknownRecord, what);
            let name = "part of the export that is not known".into();
            into.push(Measured::OtherTest(OtherTest { code, name, values }));
        }
    }
}

fn a_scan(scan: El, into: &mut Vec<Measured>) -> Result<(), DecodeError> {
    let mut texts = vec![];
    let mut read = |keys: [&'static str; 2], name: &str| -> Result<_, DecodeError> {
        Ok(length(Sent::in_child(scan, keys)?, keys[0], name, &mut texts))
    };
    let biometry = Biometry {
        axial_length_mm: read(["AXIAL_LENGTH"; 2], "axial length")?,
        aqueous_depth_mm: read(["AQUEOUS_DEPTH"; 2], "aqueous depth")?,
        lens_thickness_mm: read(["LENSE_THICKNESS", "LENS_THICKNESS"], "lens thickness")?,
        lens_status_as_sent: scan.text_of("MODE"),
    };
    if biometry != Biometry::default() {
        into.push(Measured::Biometry(biometry));
    }
    into.append(&mut texts);
    let thickness = Sent::in_child(scan, "CENTRAL_CORNEA_THICKNESS")?;
    into.extend(thickness.map(|sent| thickness_um(&sent, "CENTRAL_CORNEA_THICKNESS")));
    Ok(())
}

fn keratometry(el: El, side: &str) -> Result<Option<Measured>, DecodeError> {
    let meridians = Meridians {
        r1: Sent::in_child(el, "FLAT_MERIDIAN")?,
        r1_axis: Sent::in_child(el, "FLAT_MERIDIAN_AXIS")?,
        r2: Sent::in_child(el, "STEEP_MERIDIAN")?,
        r2_axis: None,
    };
    if meridians.r1_axis.as_ref().is_some_and(|axis| !axis.is_axis()) {
        return Err(el.malformed("FLAT_MERIDIAN_AXIS is not within 0 to 180 degrees"));
    }
    let sent = [&meridians.r1, &meridians.r2].into_iter().flatten();
    let units: Vec<Option<Curvature>> = sent.map(curvature).collect();
    if units.contains(&Some(Curvature::RadiusMm)) && units.contains(&Some(Curvature::Power)) {
        return Err(el.malformed("one meridian in millimetres and one in dioptres"));
    }
    let is_known = units.iter().all(Option::is_some);
    if !is_known {
        let numbers = [&meridians.r1, &meridians.r2].into_iter().flatten();
        let numbers: Vec<&str> = numbers.map(|sent| sent.text.as_str()).collect();
        let numbers = numbers.join(" and ");
        let what = format!("{side} keratometry: {numbers}, neither radii nor powers, kept as text");
        el.tree().flag(FlagCode::Implausible, what);
    }
    let unit = units.first().copied().flatten().filter(|_| is_known);
    // An axis by itself has no unit to be unsure of.
    let unit = if units.is_empty() { Some(Curvature::RadiusMm) } else { unit };
    Ok(meridians.measured("KERATOMETRY", unit))
}

fn curvature(sent: &Sent) -> Option<Curvature> {
    match sent.to_f64() {
        radius if RADIUS_MM.contains(&radius) => Some(Curvature::RadiusMm),
        power if POWER_D.contains(&power) => Some(Curvature::Power),
        _ => None,
    }
}

/// As text: neither the unit nor the origin is documented.
fn centre(el: El, code: &str, name: &str) -> Result<Option<Measured>, DecodeError> {
    let mut values = vec![];
    for (part, key) in [("x", "BARYCENTER_X"), ("y", "BARYCENTER_Y")] {
        let sent = Sent::in_child(el, key)?;
        values.extend(sent.map(|sent| OtherValue {
            name: part.into(),
            as_sent: sent.text,
            unit: None,
        }));
    }
    let test = OtherTest { code: code.into(), name: name.into(), values };
    Ok((!test.values.is_empty()).then_some(Measured::OtherTest(test)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(inside: &str) -> String {
        format!("<EXAMINATION><EYE side=\"OD\">{inside}</EYE></EXAMINATION>")
    }

    fn meridians(flat: &str, steep: &str) -> Result<Decoded, DecodeError> {
        let text = document(&format!(
            "<KERATOMETRY><FLAT_MERIDIAN>{flat}</FLAT_MERIDIAN><STEEP_MERIDIAN>{steep}\
             </STEEP_MERIDIAN></KERATOMETRY>"
        ));
        read(text.as_bytes(), &DriverOptions::default())
    }

    #[test]
    fn the_unit_of_curvature_is_never_mixed() {
        for (flat, steep) in [("5,00", "13,00"), ("25", "70,00")] {
            let decoded = meridians(flat, steep).unwrap();
            let measured = &decoded.measurements[0].measured;
            let Measured::Keratometry(cornea) = measured else { panic!("{measured:?}") };
            let value = cornea.shots[0].value.as_ref().unwrap();
            assert_eq!(value.r1.radius_mm.is_some(), flat == "5,00");
            assert_eq!(value.r2.power.is_some(), flat == "25");
        }
        assert_eq!(meridians("7,81", "44,06").unwrap_err().code, ErrorCode::Malformed);
        for unclear in ["4,99", "13,01", "24,99", "70,01", "0", "-7,81"] {
            let decoded = meridians(unclear, "7,66").unwrap();
            let measured = &decoded.measurements[0].measured;
            assert!(matches!(measured, Measured::OtherTest(_)), "{measured:?}");
            let is_told = |code| decoded.flags.iter().any(|flag| flag.code == code);
            assert!(is_told(FlagCode::Implausible), "{unclear}: {:?}", decoded.flags);
        }
    }

    #[test]
    fn what_is_not_well_formed_is_refused_with_its_position() {
        let text = document("<A-SCAN><AXIAL_LENGTH>24,13</A-SCAN>");
        let error = read(text.as_bytes(), &DriverOptions::default()).unwrap_err();
        assert_eq!(error.code, ErrorCode::Malformed);
        assert_eq!(error.offset, text.find("</A-SCAN>").unwrap());
        for inside in ["<A-SCAN><AXIAL_LENGTH>24,1.3</AXIAL_LENGTH></A-SCAN>", "<A-SCAN>"] {
            assert!(read(document(inside).as_bytes(), &DriverOptions::default()).is_err());
        }
        let swapped = document("").replace("OD", "OX");
        assert!(read(swapped.as_bytes(), &DriverOptions::default()).is_err());
    }

    #[test]
    fn accents_are_those_of_western_europe() {
        let text = document("<A-SCAN><MODE>phak\u{e9}</MODE></A-SCAN><NOTE>f\u{fc}r</NOTE>");
        let bytes: Vec<u8> = text.chars().map(|it| u8::try_from(u32::from(it)).unwrap()).collect();
        let decoded = read(&bytes, &DriverOptions::default()).unwrap();
        let Measured::Biometry(biometry) = &decoded.measurements[0].measured else { panic!() };
        assert_eq!(biometry.lens_status_as_sent.as_deref(), Some("phak\u{e9}"));
        let Measured::OtherTest(note) = &decoded.measurements[1].measured else { panic!() };
        assert_eq!((note.code.as_str(), note.values[0].as_sent.as_str()), ("NOTE", "f\u{fc}r"));
    }
}

golden_tests!(SPEC);

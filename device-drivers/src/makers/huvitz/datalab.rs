//! Huvitz HTR-1A and, through the maker's PC software, Nikon Speedy-K: `<datalab>` documents.
//!
//! Source: one published example and its description. Proved against constructed documents only.
//!
//! | element          | children                             | meaning           |
//! |------------------|--------------------------------------|-------------------|
//! | `patient`        |                                      | running number    |
//! | `date` `version` |                                      | day; software     |
//! | `ref`            | `rrs rrc rra rrp`, `rls rlc rla rlp` | sphere, cylinder, |
//! |                  |                                      | axis, PD of both  |
//! | `ker`            | `krr1 krr2 krax`, `klr1 klr2 klax`   | mm, axis of R1    |
//! | `tono`           | `tr01`… `tr`, `tl01`… `tl`           | mmHg, the average |
//! | `pachy`          | `pr01`… `pr`, `pl01`… `pl`           | µm, the average   |
//! | `misc`           | `C-R01`… `C-R-A`, `C-L01`… `C-L-A`   | corrected mmHg    |
//!
//! ```xml
//! <datalab><patient>00012</patient>
//! <ref><rrs>-0.75</rrs><rrc>-1.25</rrc><rra>85</rra><rrp>61</rrp></ref></datalab>
//! ```
//!
//! Traps: the published example closes its tags with a backslash (`<\ref>`), surely by mistake, so
//! both are read. Numbers are not padded. `rrp` and `rlp` are the same whole distance, not halves.
//! `patient` is a running number and never an id. An empty element was not measured. An average of
//! thicknesses has a decimal, which the type of thicknesses has not: it is kept as text then.
//!
//! Unknown: the formula of the corrected pressures; what a failed shot looks like.

use super::{EYES, instrument, refraction};
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, Setup, Sniff, Transport,
    format::{
        fields::{Field, Number},
        file::{FileDecoder, FileFormat, Part},
        xml::{
            Document, El, Tree,
            values::{DEGREES, DIOPTRES, MILLIMETRES, MMHG, axis_unless_zero, number, whole},
        },
    },
};
use chiasm_proto::{
    CorrectedIop, Decoded, Eye, FlagCode, Hundredths, InstrumentTime, Integrity, IopValue,
    Keratometry, KeratometryValue, Measured, Measurement, Meridian, OtherTest, Pachymetry,
    PupillaryDistance, RefractionValue, Representative, Shot, Tonometry, TonometryMethod,
};

/// Longest document. The published one is below 2 KiB.
const DOCUMENT_LEN_MAX: usize = 256 * 1024;
/// How far into a document its root may stand.
const SNIFF_LEN_MAX: usize = 1024;
/// Shots have two digits.
const SHOT_NO_MAX: u32 = 99;
const ROOT: &str = "datalab";
const AVERAGE: &str = "average";
const MICROMETRES: &str = "µm";

/// Most measurements of one document, which names each once.
const MEASUREMENTS_MAX: usize = 64;

pub static SPEC: DriverSpec = DriverSpec {
    id: "huvitz_datalab",
    version: "1",
    vendor: "Huvitz",
    models: &["HTR-1A", "Nikon Speedy-K"],
    yields: &[
        "refraction",
        "keratometry",
        "tonometry",
        "pachymetry",
        "pupillary_distance",
        "other_test",
    ],
    transport: Transport::Folder { extension: "xml" },
    evidence: Evidence::SingleSource,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "The instrument, or the PC with the maker's software, writes to a shared folder \
                 of the gateway.",
        settings: "Export of measurements as XML on, to the share. Configure the model here: the \
                   document does not name it.",
        dry_test: "Measure the model eye and save: the file is read within seconds and the lane \
                   shows its values.",
    },
    limits: "Known from one published example. Which formula gives the corrected pressures is \
             not documented. An average thickness with a decimal is kept as text. The day is \
             sent without a time.",
    sniff: |bytes| {
        let head = &bytes[..bytes.len().min(SNIFF_LEN_MAX)];
        let text: String = head.iter().filter(|b| **b != 0).map(|b| char::from(*b)).collect();
        if text.contains("<datalab>") { Sniff::Yes } else { Sniff::No }
    },
    new: |options| FileDecoder::boxed(&FORMAT, options),
};

static FORMAT: FileFormat = FileFormat {
    len_max: DOCUMENT_LEN_MAX,
    read: |raw, options| {
        let decoded = decode(&with_slashes(raw), options)?;
        let decoded = Box::new(decoded);
        Ok(vec![Part::Reading { decoded, context: vec![], len: raw.len() }])
    },
};

/// `<\` becomes `</` of the same length, so that positions stay what they are. In UTF-16 a NUL
/// stands between the two.
fn with_slashes(raw: &[u8]) -> Vec<u8> {
    let mut bytes = raw.to_vec();
    for at in 1..bytes.len() {
        let is_behind = matches!(bytes[..at], [.., b'<'] | [.., b'<', 0]);
        if bytes[at] == b'\\' && is_behind {
            bytes[at] = b'/';
        }
    }
    bytes
}

fn decode(bytes: &[u8], options: &DriverOptions) -> Result<Decoded, DecodeError> {
    let document = Document::parse(bytes)?;
    let tree = Tree::new(&document);
    let root = tree.root();
    if root.node().name() != ROOT {
        let message = "the root element is not datalab";
        return Err(DecodeError::new(ErrorCode::WrongKind, root.node().offset(), message));
    }
    let mut decoded = Decoded::new(instrument(options), Integrity::Structure);
    head(root, &mut decoded);
    let into = &mut decoded.measurements;
    if let Some(section) = root.enter("ref") {
        refractions(section, into)?;
    }
    if let Some(section) = root.enter("ker") {
        keratometries(section, into)?;
    }
    pressures(root.enter("tono"), root.enter("misc"), into)?;
    if let Some(section) = root.enter("pachy") {
        thicknesses(section, into)?;
    }
    tree.finish(decoded, MEASUREMENTS_MAX)
}

/// A running number that holds anything but digits may be a name: it is not read.
fn head(root: El, decoded: &mut Decoded) {
    let is_no = |text: &String| text.bytes().all(|byte| byte.is_ascii_digit());
    decoded.running_number = root.text_of("patient").filter(is_no);
    let day = |as_sent: String| InstrumentTime { as_sent, local: None };
    decoded.instrument_time = root.text_of("date").map(day);
    decoded.instrument.software = root.text_of("version");
}

/// A letter of the side as names of elements have it.
fn letter(eye: Eye) -> char {
    if eye == Eye::Right { 'r' } else { 'l' }
}

fn refractions(section: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    let mut distances: Vec<Hundredths> = vec![];
    for (eye, token) in EYES {
        let name = |part: char| format!("r{}{part}", letter(eye));
        let sphere = number(section, name('s').as_str(), DIOPTRES)?;
        let cylinder = number(section, name('c').as_str(), DIOPTRES)?;
        let axis_deg = whole(section, name('a').as_str(), DEGREES)?;
        let far = number(section, name('p').as_str(), MILLIMETRES)?;
        // Nought is no distance: it was not measured.
        distances.extend(far.filter(|far| !far.is_zero() && !distances.contains(far)));
        let (sphere, cylinder) = match (sphere, cylinder) {
            (Some(sphere), Some(cylinder)) => (sphere, cylinder),
            (None, None) if axis_deg.is_none() => continue,
            _ => return Err(section.malformed(format!("{token} without sphere or cylinder"))),
        };
        if axis_deg.is_none() && !cylinder.is_zero() {
            return Err(section.malformed(format!("{token} with a cylinder but no axis")));
        }
        let axis_deg = axis_unless_zero(Some(cylinder), axis_deg);
        let value = RefractionValue { sphere, cylinder, axis_deg, spherical_equivalent: None };
        into.push(refraction(eye, token, value));
    }
    if distances.len() > 1 {
        let what = "the two eyes hold different distances";
        section.tree().flag(FlagCode::Inconsistent, what);
    }
    for far in distances {
        let distance = PupillaryDistance { far_mm: Some(far), ..PupillaryDistance::default() };
        let measured = Measured::PupillaryDistance(distance);
        into.push(Measurement::without_token(Eye::Both, measured));
    }
    Ok(())
}

fn keratometries(section: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    for (eye, token) in EYES {
        let name = |part: &str| format!("k{}{part}", letter(eye));
        let r1 = Meridian {
            radius_mm: number(section, name("r1").as_str(), MILLIMETRES)?,
            power: None,
            axis_deg: whole(section, name("ax").as_str(), DEGREES)?,
        };
        let radius_mm = number(section, name("r2").as_str(), MILLIMETRES)?;
        let r2 = Meridian { radius_mm, ..Meridian::default() };
        if r1 == Meridian::default() && r2 == r1 {
            continue;
        }
        if r1.radius_mm.is_none() || r2.radius_mm.is_none() {
            return Err(section.malformed(format!("{token} with only one radius")));
        }
        let value = KeratometryValue { r1, r2, ..KeratometryValue::default() };
        let shots = vec![Shot::of(value)];
        let measured = Measured::Keratometry(Keratometry { shots, ..Keratometry::default() });
        into.push(Measurement::of(eye, token, measured));
    }
    Ok(())
}

/// A child's number as sent; nothing if it is empty or absent.
fn sent(section: El, name: &str) -> Result<Option<Number>, DecodeError> {
    let Some(leaf) = section.leaf(name) else { return Ok(None) };
    Field::new(leaf.text(), leaf.node().offset(), &leaf.path()).number().map(Some)
}

fn pressures(
    tono: Option<El>,
    misc: Option<El>,
    into: &mut Vec<Measurement>,
) -> Result<(), DecodeError> {
    for (eye, token) in EYES {
        let mut tonometry = Tonometry::new(TonometryMethod::NonContact);
        let mut finer = None;
        if let Some(section) = tono {
            let code = format!("t{}", letter(eye));
            for no in 1..=SHOT_NO_MAX {
                let iop = number(section, format!("{code}{no:02}").as_str(), MMHG)?;
                let shot = |iop| Shot { no: Some(no), ..Shot::of(iop_value(iop)) };
                tonometry.shots.extend(iop.map(shot));
            }
            match sent(section, &code)? {
                Some(Number::Hundredths(iop)) => {
                    let value = iop_value(iop);
                    tonometry.representative =
                        Some(Representative { label: AVERAGE.into(), value });
                }
                Some(Number::Finer(text)) => {
                    finer = Some(OtherTest::one(&code, "average pressure", &text, Some(MMHG)));
                }
                None => {}
            }
        }
        if let Some(section) = misc {
            tonometry.corrected = corrected(section, token)?;
        }
        if tonometry != Tonometry::new(TonometryMethod::NonContact) {
            into.push(Measurement::of(eye, token, Measured::Tonometry(tonometry)));
        }
        into.extend(finer.map(|it| Measurement::of(eye, token, Measured::OtherTest(it))));
    }
    Ok(())
}

fn iop_value(iop_mmhg: Hundredths) -> IopValue {
    IopValue { iop_mmhg, iop_kpa: None }
}

/// Corrected shots, then the corrected average.
fn corrected(section: El, token: &str) -> Result<Vec<CorrectedIop>, DecodeError> {
    let shots = (1..=SHOT_NO_MAX).map(|no| (Some(no), format!("C-{token}{no:02}")));
    let average = std::iter::once((None, format!("C-{token}-A")));
    let mut all = vec![];
    for (shot_no, label) in shots.chain(average) {
        let corrected_mmhg = number(section, label.as_str(), MMHG)?;
        if corrected_mmhg.is_some() {
            all.push(CorrectedIop { label, shot_no, corrected_mmhg, ..CorrectedIop::default() });
        }
    }
    Ok(all)
}

fn thicknesses(section: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    for (eye, token) in EYES {
        let code = format!("p{}", letter(eye));
        let mut pachymetry = Pachymetry::default();
        for no in 1..=SHOT_NO_MAX {
            let name = format!("{code}{no:02}");
            let Some(um) = sent(section, &name)? else { continue };
            let um = whole_um(&um)
                .ok_or_else(|| section.malformed(format!("{name} is no whole thickness")))?;
            pachymetry.shots_um.push(Shot { no: Some(no), ..Shot::of(um) });
        }
        let text = section.peek(code.as_str()).map_or("", El::text);
        let average = sent(section, &code)?;
        let value = average.as_ref().and_then(whole_um);
        pachymetry.representative_um =
            value.map(|value| Representative { label: AVERAGE.into(), value });
        if pachymetry != Pachymetry::default() {
            into.push(Measurement::of(eye, token, Measured::Pachymetry(pachymetry)));
        }
        if average.is_some() && value.is_none() {
            let name = "average central corneal thickness";
            let test = OtherTest::one(&code, name, text, Some(MICROMETRES));
            into.push(Measurement::of(eye, token, Measured::OtherTest(test)));
        }
    }
    Ok(())
}

fn whole_um(number: &Number) -> Option<u16> {
    match number {
        Number::Hundredths(um) if um.0 % 100 == 0 => u16::try_from(um.0 / 100).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::run;

    #[test]
    fn what_is_half_sent_is_refused() {
        for inside in [
            "<ref><rrs>-1.75</rrs></ref>",
            "<ref><rrs>-1.75</rrs><rrc>-0.5</rrc><rra></rra></ref>",
            "<ref><rrs>-1.755</rrs><rrc>0</rrc></ref>",
            "<ker><krr1>7.9</krr1><krax>11</krax></ker>",
            "<pachy><pr01>548.5</pr01></pachy>",
            "<tono><tr01>13x</tr01></tono>",
        ] {
            let text = format!("<datalab>{inside}</datalab>");
            assert!(run(&SPEC, [text.as_bytes()]).decoded().is_empty(), "{inside}");
        }
    }

    #[test]
    fn a_distance_of_zero_is_none() {
        let eye = "<rrs>-1.75</rrs><rrc>0</rrc><rra>0</rra><rrp>0</rrp><rlp>00</rlp>";
        let text = format!("<datalab><ref>{eye}</ref></datalab>");
        let outcome = run(&SPEC, [text.as_bytes()]);
        assert_eq!(outcome.decoded()[0].measurements.len(), 1, "{outcome:#?}");
    }

    #[test]
    fn a_name_in_place_of_the_number_is_not_read() {
        let text = "<datalab><patient>SAMPLE</patient><tono><tr>13.333</tr></tono></datalab>";
        let outcome = run(&SPEC, [text.as_bytes()]);
        let json = format!("{:?}", outcome.decoded());
        assert!(!json.contains("SAMPLE") && json.contains("13.333"), "{json}");
    }
}

golden_tests!(SPEC);

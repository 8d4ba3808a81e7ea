//! Huvitz HDR-9000 digital refractor: a document of flat elements with long names.
//!
//! Source: one public reader, which shows a few names and no whole document. Proved against
//! constructed documents only.
//!
//! | element                                 | form       | meaning                            |
//! |-----------------------------------------|------------|------------------------------------|
//! | `Product_Model`                         | `HDR-9000` | by which a document is known       |
//! | `Patient_ID`                            | text       | as entered at the refractor        |
//! | `Measurement_Date`                      | `YYYYMMDD` | day                                |
//! | `Final_Prescription_Data_FAR_Sph-Right` | `-1.75`    | final, far: sphere; `Cyl`, `Axis`, |
//! |                                         |            | `Left` by the same pattern         |
//! | `Far_PD_OU`                             | `63.0`     | distance of both eyes, mm          |
//!
//! ```xml
//! <Final_Prescription_Data_FAR_Sph-Right>-0.75</Final_Prescription_Data_FAR_Sph-Right>
//! ```
//!
//! Traps: only `Sph-Right` and `Far_PD_OU` are seen in the source; cylinder, axis and the left eye
//! follow their pattern. An eye is read only if its three elements are all there, else they stay
//! text. Everything about the patient but the id is ignored on purpose.
//!
//! Unknown: the root element, so any is taken; the names of near values, additions, prism, acuity
//! and of other sets than the final one, which are kept as text.

use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, Setup, Sniff, Transport,
    flags,
    format::xml::{
        Document, El, Key, Tree, XmlDecoder, XmlFormat,
        values::{DEGREES, DIOPTRES, MILLIMETRES, axis_unless_zero, number, whole},
    },
};
use chiasm_proto::{
    ClaimedPatient, Decoded, Eye, Instrument, InstrumentTime, Integrity, Measured, Measurement,
    PupillaryDistance, Refraction, RefractionKind, RefractionValue, Representative,
};

/// Longest document; a refractor has some hundred elements.
const DOCUMENT_LEN_MAX: usize = 1 << 20;
/// How far into a document the model may stand.
const SNIFF_LEN_MAX: usize = 64 * 1024;
/// Longest patient id, in characters.
const ID_LEN_MAX: usize = 128;
const MODEL: &str = "Product_Model";
const ID: &str = "Patient_ID";
const SIDES: [(Eye, &str); 2] = [(Eye::Right, "Right"), (Eye::Left, "Left")];
const FINAL: &str = "Final_Prescription_Data";

pub static SPEC: DriverSpec = DriverSpec {
    id: "huvitz_hdr",
    version: "1",
    vendor: "Huvitz",
    models: &["HDR-9000"],
    yields: &["refraction", "pupillary_distance"],
    transport: Transport::Folder { extension: "xml" },
    evidence: Evidence::SingleSource,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "Network cable; the refractor writes to a shared folder of the gateway.",
        settings: "Export of results to the share on, as XML. Names of menu items are not known.",
        dry_test: "Finish a refraction without a patient and save: the file is read within \
                   seconds and the lane shows the final prescription.",
    },
    limits: "Known from one reader that shows a few names. Read are XML elements only: the final \
             prescription for far (sphere, cylinder, axis) and the far distance of both eyes. \
             Near values, additions, prism, acuity and all other sets are kept as text. The \
             serial line of HDR-7000 and HDR-9000 is not known.",
    sniff: |bytes| {
        let head = &bytes[..bytes.len().min(SNIFF_LEN_MAX)];
        let text: String = head.iter().filter(|b| **b != 0).map(|b| char::from(*b)).collect();
        let model = text.split_once("<Product_Model>").map_or("", |(_, behind)| behind);
        if model.trim_start().starts_with("HDR") { Sniff::Yes } else { Sniff::No }
    },
    new: |options| XmlDecoder::boxed(&FORMAT, options),
};

static FORMAT: XmlFormat = XmlFormat { len_max: DOCUMENT_LEN_MAX, read: decode };

/// Elements that may hold a name or a birth date.
#[derive(Clone, Copy)]
struct Personal;

impl Key for Personal {
    fn fits(self, el: El) -> bool {
        let name = el.node().local_name();
        name.starts_with("Patient") || name.contains("Name") || name.contains("Birth")
    }
}

fn decode(raw: &[u8], _options: &DriverOptions) -> Result<Decoded, DecodeError> {
    let document = Document::parse(raw)?;
    let tree = Tree::new(&document);
    let root = tree.root();
    let model = root.text_of(MODEL).filter(|model| model.starts_with("HDR"));
    let Some(model) = model else {
        let message = "no Product_Model of a HDR";
        return Err(DecodeError::new(ErrorCode::WrongKind, root.node().offset(), message));
    };
    let instrument = Instrument { vendor: "Huvitz".into(), model, ..Instrument::default() };
    let mut decoded = Decoded::new(instrument, Integrity::Structure);
    decoded.claimed_patient = claimed_patient(root)?;
    let day = |as_sent: String| InstrumentTime { as_sent, local: None };
    decoded.instrument_time = root.text_of("Measurement_Date").map(day);
    for (eye, side) in SIDES {
        let Some(value) = final_value(root, side)? else { continue };
        let refraction = Refraction {
            representative: Some(Representative { label: FINAL.into(), value }),
            ..Refraction::new(RefractionKind::Final)
        };
        let measured = Measured::Refraction(refraction);
        decoded.measurements.push(Measurement::of(eye, side, measured));
    }
    if let Some(far_mm) = number(root, "Far_PD_OU", MILLIMETRES)? {
        let distance = PupillaryDistance { far_mm: Some(far_mm), ..PupillaryDistance::default() };
        let measured = Measured::PupillaryDistance(distance);
        decoded.measurements.push(Measurement::of(Eye::Both, "OU", measured));
    }
    root.ignore([Personal]);
    tree.check_texts()?;
    decoded.unknown_records = tree.unknown_records();
    decoded.flags = tree.flags.into_inner();
    flags::complete(&mut decoded);
    Ok(decoded)
}

fn claimed_patient(root: El) -> Result<Option<ClaimedPatient>, DecodeError> {
    let Some(id) = root.leaf(ID) else { return Ok(None) };
    if id.text().chars().count() > ID_LEN_MAX {
        return Err(id.malformed(format!("a patient id of more than {ID_LEN_MAX} characters")));
    }
    Ok(Some(ClaimedPatient { id: id.text().to_owned(), found_in: ID.into() }))
}

/// The final prescription of an eye. Without all its three elements they are left to the unknown
/// records, for their names are then others than were taken to be.
fn final_value(root: El, side: &str) -> Result<Option<RefractionValue>, DecodeError> {
    let names = ["Sph", "Cyl", "Axis"].map(|part| format!("{FINAL}_FAR_{part}-{side}"));
    let [sphere, cylinder, axis] = names.each_ref().map(String::as_str);
    let powers = [sphere, cylinder].map(|name| root.peek(name));
    let has_all = root.peek(axis).is_some()
        && powers.iter().all(|el| el.is_some_and(|el| !el.text().is_empty()));
    if !has_all {
        return Ok(None);
    }
    let axis_deg = whole(root, axis, DEGREES)?;
    let (Some(sphere), Some(cylinder)) =
        (number(root, sphere, DIOPTRES)?, number(root, cylinder, DIOPTRES)?)
    else {
        return Ok(None);
    };
    if axis_deg.is_none() && !cylinder.is_zero() {
        return Err(root.malformed(format!("{side} with a cylinder but no axis")));
    }
    let axis_deg = axis_unless_zero(Some(cylinder), axis_deg);
    Ok(Some(RefractionValue { sphere, cylinder, axis_deg, spherical_equivalent: None }))
}

golden_tests!(SPEC);

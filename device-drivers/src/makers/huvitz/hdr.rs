//! Huvitz HDR-9000 digital refractor: a document of flat elements with long names.
//!
//! Source: one public reader, which shows names and no whole document. Proved against constructed
//! documents only.
//!
//! | element                                 | form       | meaning                            |
//! |-----------------------------------------|------------|------------------------------------|
//! | `Product_Model`                         | `HDR-9000` | by which a document is known       |
//! | `Patient_ID`                            | text       | as entered at the refractor        |
//! | `Measurement_Date`                      | `YYYYMMDD` | day                                |
//! | `Final_Prescription_Data_FAR_Sph-Right` | `-1.75`    | final, far: sphere; also `Cyl`     |
//! |                                         |            | `Axis` `VA` `ADD`, and `Left`      |
//! | `Final_Prescription_Data_NEAR_Sph-Left` | `+0.25`    | near: `Sph` `Cyl` `Axis` `VA`      |
//! | `Far_PD_OU` `Near_PD_OU`                | `63.0`     | distance of both eyes, mm          |
//!
//! ```xml
//! <Final_Prescription_Data_FAR_Sph-Right>-0.75</Final_Prescription_Data_FAR_Sph-Right>
//! ```
//!
//! Traps: the reader looks for its names anywhere in the document, so they are found inside other
//! elements as well. The powers of an eye are read only if sphere, cylinder and axis are all there,
//! else they stay text. A name that stands twice, or final values in two elements, are of two exams:
//! refused. Everything about the patient but the id is ignored on purpose.
//!
//! Unknown: the root element, so any is taken; the notation of the acuity; the names of prism and
//! of other sets than the final one, which are kept as text.

use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, Setup, Sniff, Transport,
    format::xml::{
        AnyName, Document, El, Key, Tree, XmlDecoder, XmlFormat,
        values::{DEGREES, DIOPTRES, MILLIMETRES, axis_unless_zero, number, whole},
    },
};
use chiasm_proto::{
    ClaimedPatient, Correction, Decoded, Eye, FlagCode, Hundredths, Instrument, InstrumentTime,
    Integrity, Measured, Measurement, PupillaryDistance, Refraction, RefractionKind,
    RefractionValue, Representative, Vision, VisualAcuity,
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
const REACHES: [(Vision, &str); 2] = [(Vision::Far, "FAR"), (Vision::Near, "NEAR")];
const FINAL: &str = "Final_Prescription_Data";
const DAY: &str = "Measurement_Date";
const FAR_DISTANCE: &str = "Far_PD_OU";
const NEAR_DISTANCE: &str = "Near_PD_OU";
const ONCE: [&str; 5] = [MODEL, ID, DAY, FAR_DISTANCE, NEAR_DISTANCE];

/// Most measurements of one document, which names each once.
const MEASUREMENTS_MAX: usize = 64;

pub static SPEC: DriverSpec = DriverSpec {
    id: "huvitz_hdr",
    version: "1",
    vendor: "Huvitz",
    models: &["HDR-9000"],
    yields: &["refraction", "visual_acuity", "pupillary_distance"],
    transport: Transport::Folder { extension: "xml" },
    evidence: Evidence::SingleSource,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "Network cable; the refractor writes to a shared folder of the gateway.",
        settings: "Export of results to the share on, as XML. Names of menu items are not known.",
        dry_test: "Finish a refraction without a patient and save: the file is read within \
                   seconds and the lane shows the final prescription.",
    },
    limits: "Known from one reader that shows names. Read are XML elements only: of the final \
             prescription sphere, cylinder, axis and acuity for far and near, the addition, and \
             the distances of both eyes. Prism and all other sets are kept as text. The export as \
             CSV and the serial line of HDR-7000 and HDR-9000 are not read.",
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

/// Names that a document of one exam holds once.
fn is_known(name: &str) -> bool {
    name.starts_with(FINAL) || ONCE.contains(&name)
}

/// `FAR` or `NEAR` of a final value.
fn reach_of(name: &str) -> Option<&str> {
    name.strip_prefix(FINAL)?.trim_start_matches('_').split('_').next()
}

/// The elements that hold others: the names stand in any of them.
struct Sections<'t>(Vec<El<'t>>);

impl<'t> Sections<'t> {
    fn of(root: El<'t>) -> Self {
        let mut all = vec![root];
        let mut at = 0;
        while let Some(section) = all.get(at).copied() {
            let inside = section.peek_all(AnyName).into_iter();
            let holders = inside.filter(|child| child.node().children().next().is_some());
            all.extend(holders.inspect(|child| child.mark_entered()));
            at += 1;
        }
        Self(all)
    }

    /// The first one that holds an unread element of this name; the root if none does.
    fn holder(&self, name: &str) -> El<'t> {
        let holds = |section: &&El| section.peek(name).is_some();
        *self.0.iter().find(holds).unwrap_or(&self.0[0])
    }

    fn text_of(&self, name: &str) -> Option<String> {
        self.holder(name).text_of(name)
    }

    /// A value that stands twice and differs, a final one that stands twice at all, and final values
    /// of one reach in two elements are of two exams: read as one they would mix the eyes of both.
    fn refuse_two_exams(&self) -> Result<(), DecodeError> {
        let mut found: Vec<(&str, &str)> = vec![];
        let mut holders: Vec<(&str, El)> = vec![];
        for section in &self.0 {
            let leaves = section.node().children().filter(|it| it.children().next().is_none());
            for leaf in leaves.filter(|leaf| is_known(leaf.local_name())) {
                let (name, text) = (leaf.local_name(), leaf.text());
                let earlier = found.iter().find(|(known, _)| *known == name);
                if earlier.is_some_and(|(_, it)| *it != text || name.starts_with(FINAL)) {
                    return Err(section.malformed("a name stands twice: more than one exam"));
                }
                found.push((name, text));
                let Some(reach) = reach_of(name) else { continue };
                let index = section.node().index();
                if holders.iter().any(|(of, at)| *of == reach && at.node().index() != index) {
                    return Err(section.malformed("final values of more than one exam"));
                }
                holders.push((reach, *section));
            }
        }
        Ok(())
    }

    /// What is about the patient, and all that is left inside of it.
    fn ignore_personal(&self) {
        for (at, section) in self.0.iter().enumerate() {
            section.ignore([Personal]);
            if at > 0 && Personal.fits(*section) {
                section.ignore_whole();
            }
        }
    }
}

fn decode(raw: &[u8], _options: &DriverOptions) -> Result<Decoded, DecodeError> {
    let document = Document::parse(raw)?;
    let tree = Tree::new(&document);
    let root = tree.root();
    let sections = Sections::of(root);
    sections.refuse_two_exams()?;
    let model = sections.text_of(MODEL).filter(|model| model.starts_with("HDR"));
    let Some(model) = model else {
        let message = "no Product_Model of a HDR";
        return Err(DecodeError::new(ErrorCode::WrongKind, root.node().offset(), message));
    };
    let instrument = Instrument { vendor: "Huvitz".into(), model, ..Instrument::default() };
    let mut decoded = Decoded::new(instrument, Integrity::Structure);
    decoded.claimed_patient = claimed_patient(&sections)?;
    let day = |as_sent: String| InstrumentTime { as_sent, local: None };
    decoded.instrument_time = sections.text_of(DAY).map(day);
    for (vision, reach) in REACHES {
        for (eye, side) in SIDES {
            let measured = final_values(&sections, (vision, reach), side)?.into_iter();
            let measurements = measured.map(|it| Measurement::of(eye, side, it));
            decoded.measurements.extend(measurements);
        }
    }
    let distance = |name| millimetres(sections.holder(name), name);
    let distance = PupillaryDistance {
        far_mm: distance(FAR_DISTANCE)?,
        near_mm: distance(NEAR_DISTANCE)?,
        ..PupillaryDistance::default()
    };
    if distance != PupillaryDistance::default() {
        let measured = Measured::PupillaryDistance(distance);
        decoded.measurements.push(Measurement::of(Eye::Both, "OU", measured));
    }
    sections.ignore_personal();
    tree.finish(decoded, MEASUREMENTS_MAX)
}

/// A distance of zero was not measured.
fn millimetres(section: El, name: &str) -> Result<Option<Hundredths>, DecodeError> {
    let distance = number(section, name, MILLIMETRES)?;
    if distance.is_some_and(Hundredths::is_zero) {
        let what = "a pupillary distance of zero counts as not measured";
        section.tree().flag(FlagCode::Unusual, what);
    }
    Ok(distance.filter(|distance| !distance.is_zero()))
}

fn claimed_patient(sections: &Sections) -> Result<Option<ClaimedPatient>, DecodeError> {
    let Some(id) = sections.holder(ID).leaf(ID) else { return Ok(None) };
    if id.text().chars().count() > ID_LEN_MAX {
        return Err(id.malformed(format!("a patient id of more than {ID_LEN_MAX} characters")));
    }
    Ok(Some(ClaimedPatient { id: id.text().to_owned(), found_in: ID.into() }))
}

/// What the final prescription holds for an eye at a distance.
fn final_values(
    sections: &Sections,
    (vision, reach): (Vision, &str),
    side: &str,
) -> Result<Vec<Measured>, DecodeError> {
    let name = |part: &str| format!("{FINAL}_{reach}_{part}-{side}");
    let mut measured = vec![];
    if let Some(value) = final_value(sections, name)? {
        let add = name("ADD");
        let add = match vision {
            Vision::Far => number(sections.holder(&add), add.as_str(), DIOPTRES)?,
            Vision::Near => None,
        };
        measured.push(Measured::Refraction(Refraction {
            vision,
            representative: Some(Representative { label: FINAL.into(), value }),
            add,
            ..Refraction::new(RefractionKind::Final)
        }));
    }
    measured.extend(sections.text_of(&name("VA")).map(|as_sent| {
        Measured::VisualAcuity(VisualAcuity {
            correction: Correction::Final,
            vision,
            condition: Default::default(),
            as_sent,
            letters_as_sent: None,
            notation: None,
        })
    }));
    Ok(measured)
}

/// The powers. Without all their three elements they are left to the unknown records, for their
/// names are then others than were taken to be.
fn final_value(
    sections: &Sections,
    name: impl Fn(&str) -> String,
) -> Result<Option<RefractionValue>, DecodeError> {
    let names = ["Sph", "Cyl", "Axis"].map(name);
    let [sphere, cylinder, axis] = names.each_ref().map(String::as_str);
    let section = sections.holder(sphere);
    let powers = [sphere, cylinder].map(|name| section.peek(name));
    let has_all = section.peek(axis).is_some()
        && powers.iter().all(|el| el.is_some_and(|el| !el.text().is_empty()));
    if !has_all {
        return Ok(None);
    }
    let axis_deg = whole(section, axis, DEGREES)?;
    let (Some(sphere), Some(cylinder)) =
        (number(section, sphere, DIOPTRES)?, number(section, cylinder, DIOPTRES)?)
    else {
        return Ok(None);
    };
    if axis_deg.is_none() && !cylinder.is_zero() {
        return Err(section.malformed(format!("{axis} is empty beside a cylinder")));
    }
    let axis_deg = axis_unless_zero(Some(cylinder), axis_deg);
    Ok(Some(RefractionValue { sphere, cylinder, axis_deg, spherical_equivalent: None }))
}

#[cfg(test)]
mod tests;

golden_tests!(SPEC);

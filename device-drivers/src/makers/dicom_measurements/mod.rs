//! DICOM objects of measurements, of any maker.
//!
//! Source: DICOM PS3.3 2025 (the measurement IODs of Supplement 130 and those beside them), PS3.16
//! for codes. Proved against objects of our own generator, of pydicom and of this crate's writer
//! (through `dicom-object`); none of an instrument.
//!
//! | object | becomes |
//! |---|---|
//! | AR autorefraction | refraction, pupil and cornea size, pupillary distance |
//! | KER keratometry | keratometry: R1 is the flat meridian, R2 the steep one |
//! | LEN lensometry | lensometry, of an eye that was not given for an unspecified lens |
//! | SRF subjective refraction | refraction, pupillary distance |
//! | VA visual acuity | visual acuity, decimal as sent |
//! | OAM axial measurements | biometry; single lengths as text |
//! | IOL calculations, OPV visual field, SR of the macula | text with names and units |
//!
//! ```text
//! (0046,0050) right eye ─ item ─ (0046,0146) sphere FD -2.25
//!                              └ (0046,0018) ─ item ─ (0046,0147) cylinder FD, (0022,0009) axis FL
//! ```
//!
//! Values are what the object says; a double with more than two decimals is kept as text with a flag
//! (a double that holds no more than a single is that single's decimal number). The value of an eye
//! is the one that the object declares, so it is the representative, labelled `result`.
//!
//! Traps: DICOM has no end mark, so an object that is cut off between two elements looks whole.
//! Where it says that both eyes are in it and one is missing, that is flagged. The side of lens and
//! acuity is the sequence's, never the series'. What stands in the groups of measurements and is
//! not read is kept as text, and flags the reading.
//!
//! Missing values that the standard demands of the measurement itself refuse the object; a missing
//! time or maker only leaves a gap.

mod acuity;
mod axial;
mod field;
mod head;
mod keratometry;
mod lens_calculation;
mod refractive;
mod report;

use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, Setup, Sniff, Transport,
    dicom::{
        Class, Node, class,
        node::{Tree, wanted},
        part10,
    },
    flags,
    format::file::{FileDecoder, FileFormat, Part},
    registry::FILE_PENDING_LEN_MAX,
};
use chiasm_proto::{Decoded, Eye, FlagCode, Integrity, Measurement, OtherTest, OtherValue};
use dicom_core::Tag;
use dicom_dictionary_std::tags;

/// Most measurements of one object; two eyes have at most some twenty.
const MEASUREMENTS_MAX: usize = 128;
/// What is sent as the value of an eye.
const RESULT: &str = "result";

pub static SPEC: DriverSpec = DriverSpec {
    id: "dicom_measurements",
    version: "1",
    vendor: "DICOM",
    models: &["AR, KER, LEN, SRF, VA, OAM, IOL, OPV objects", "macular grid reports"],
    yields: &[
        "refraction",
        "keratometry",
        "lensometry",
        "visual_acuity",
        "biometry",
        "pupil_size",
        "corneal_size",
        "pupillary_distance",
        "other_test",
    ],
    transport: Transport::Folder { extension: "dcm" },
    evidence: Evidence::Manual,
    ending: Ending::Silence,
    setup: Setup {
        wiring: "Network: the instrument stores to the gateway's DICOM node, or its software \
                 writes DICOM files into a shared folder of the gateway.",
        settings: "On the instrument choose DICOM export of measurements as AR, KER, LEN, SRF, VA, \
                   OAM, IOL or OPV objects, not as a picture or a PDF; uncompressed or deflated.",
        dry_test: "Measure a test eye or a trial lens and store it: the lane shows its values with \
                   the maker and model that the object names.",
    },
    limits: "Numbers with more than two decimals are kept as text. The keratometric index is not \
             in these objects. Of a visual field the reliability, the global indices and the \
             sensitivities are read as text, of a report only its numbers. Private elements are \
             not read. An object that is cut off between two elements cannot be told from a \
             whole one, except by a missing eye. Not tried on an instrument.",
    sniff,
    new: |options| FileDecoder::boxed(&FORMAT, options),
};

static FORMAT: FileFormat = FileFormat { len_max: FILE_PENDING_LEN_MAX, read };

fn sniff(bytes: &[u8]) -> Sniff {
    if part10::is_dicom(bytes) { Sniff::Yes } else { Sniff::No }
}

fn read(raw: &[u8], options: &DriverOptions) -> Result<Vec<Part>, DecodeError> {
    let decoded = decode(raw, options)?;
    Ok(vec![Part::Reading { decoded: Box::new(decoded), context: vec![], len: raw.len() }])
}

/// What one whole file says. `options.model` stands in where it names no model.
pub fn decode(raw: &[u8], options: &DriverOptions) -> Result<Decoded, DecodeError> {
    let object = part10::read(raw, wanted)?;
    let tree = Tree::new(&object)?;
    let root = tree.root();
    let Some(class) = class(&object.class_uid) else { return Err(wanted("").unwrap_err()) };
    head::check_class(root, &object.class_uid)?;
    let mut decoded = Decoded::new(head::instrument(root, options)?, Integrity::Structure);
    decoded.instrument_time = head::time(root)?;
    decoded.claimed_patient = head::patient(root)?;
    let mut found = Found { measurements: vec![] };
    let into = &mut found;
    match class {
        Class::Autorefraction => refractive::autorefraction(root, into)?,
        Class::SubjectiveRefraction => refractive::subjective(root, into)?,
        Class::Lensometry => refractive::lensometry(root, into)?,
        Class::Keratometry => keratometry::read(root, into)?,
        Class::VisualAcuity => acuity::read(root, into)?,
        Class::AxialMeasurements => axial::read(root, into)?,
        Class::LensCalculations => lens_calculation::read(root, into)?,
        Class::VisualField => field::read(root, into)?,
        Class::Report => report::read(root, into)?,
    }
    decoded.measurements = found.measurements;
    if decoded.measurements.is_empty() {
        let what = "the object holds no value of any eye";
        return Err(root.refuse(tags::SOP_CLASS_UID, ErrorCode::Malformed, what));
    }
    if decoded.measurements.len() > MEASUREMENTS_MAX {
        let what = format!("more than {MEASUREMENTS_MAX} measurements");
        return Err(root.refuse(tags::SOP_CLASS_UID, ErrorCode::Hostile, what));
    }
    decoded.unknown_records = tree.unknown_records();
    decoded.flags = tree.into_flags();
    flags::complete(&mut decoded);
    Ok(decoded)
}

/// What was read so far.
struct Found {
    measurements: Vec<Measurement>,
}

impl Found {
    fn add(&mut self, eye: Eye, measured: chiasm_proto::Measured) {
        self.measurements.push(Measurement::without_token(eye, measured));
    }
}

/// The two eyes' sequences. That the object says another laterality than it holds is flagged.
fn eyes<'t>(root: Node<'t>, right: Tag, left: Tag) -> Result<Vec<(Eye, Node<'t>)>, DecodeError> {
    let mut found = vec![];
    for (eye, tag) in [(Eye::Right, right), (Eye::Left, left)] {
        found.extend(root.one(tag)?.map(|node| (eye, node)));
    }
    let said = head::laterality(root)?;
    let held = match found[..] {
        [_, _] => Some(Eye::Both),
        [(eye, _)] => Some(eye),
        _ => None,
    };
    if let (Some(said), Some(held)) = (said, held)
        && said != held
    {
        let (said, held) = (said.abbreviation(), held.abbreviation());
        let what = format!("the object says that it holds {said}, and holds {held}");
        root.tree().flag(FlagCode::Inconsistent, what);
    }
    Ok(found)
}

/// Says that a value could not be kept as one.
fn kept_as_text(root: Node, eye: Eye, what: &str) {
    let eye = eye.abbreviation();
    let what = format!("{eye} {what} is kept as text: finer than hundredths or whole degrees");
    root.tree().flag(FlagCode::Unusual, what);
}

/// One part of a result that is kept as text.
fn part(name: &str, as_sent: &str, unit: Option<&str>) -> OtherValue {
    OtherValue { name: name.into(), as_sent: as_sent.into(), unit: unit.map(str::to_owned) }
}

/// A result that is kept as text, if it has any part.
fn text_test(code: &str, name: &str, values: Vec<OtherValue>) -> Option<OtherTest> {
    let has_any = !values.is_empty();
    has_any.then(|| OtherTest { code: code.into(), name: name.into(), values })
}

#[cfg(test)]
mod tests;

golden_tests!(SPEC);

//! A reading as DICOM objects: AR, KER, LEN and SRF, one of each kind that it holds.
//!
//! Nothing is computed: a value is written only as it was sent. Where a kind has no place for what
//! a reading says, or the standard demands what it does not say, no object of that kind is made, and
//! [`Unwritten`] says why. Only what the instrument declares as the value of an eye is written, or
//! its only shot; several shots without a declared value are none.
//!
//! Steep and flat meridian are told by their radii (PS3.3 C.8.25.16.3), not by their names.

mod choose;
mod elements;

use chiasm_proto::{Eye, Instrument, Measurement, Sha256};
use dicom_core::{VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use elements::{put, put_text};
use jiff::civil;

/// Names this program in the files that it writes (PS3.7 D.3.3.2): a number that was drawn once.
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.68183936720281457310453280323935500266";
pub const IMPLEMENTATION_VERSION_NAME: &str = "CHIASM_1";
/// Stands where the standard demands a text that the instrument did not send.
const NOT_GIVEN: &str = "not given";
/// Longest patient id: a shortened one would be another patient's.
pub const PATIENT_ID_LEN_MAX: usize = 64;
const ACCESSION_LEN_MAX: usize = 16;

/// A kind of object that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Autorefraction,
    Keratometry,
    Lensometry,
    SubjectiveRefraction,
}

impl Kind {
    pub const ALL: [Kind; 4] =
        [Kind::Autorefraction, Kind::Keratometry, Kind::Lensometry, Kind::SubjectiveRefraction];

    /// The modality, which also names the kind in columns and logs.
    pub fn modality(self) -> &'static str {
        match self {
            Kind::Autorefraction => "AR",
            Kind::Keratometry => "KER",
            Kind::Lensometry => "LEN",
            Kind::SubjectiveRefraction => "SRF",
        }
    }

    pub fn class_uid(self) -> &'static str {
        match self {
            Kind::Autorefraction => uids::AUTOREFRACTION_MEASUREMENTS_STORAGE,
            Kind::Keratometry => uids::KERATOMETRY_MEASUREMENTS_STORAGE,
            Kind::Lensometry => uids::LENSOMETRY_MEASUREMENTS_STORAGE,
            Kind::SubjectiveRefraction => uids::SUBJECTIVE_REFRACTION_MEASUREMENTS_STORAGE,
        }
    }
}

/// Whose the values are, and when they were taken. The caller knows it; a reading does not.
#[derive(Debug, Clone)]
pub struct Subject {
    pub patient_id: String,
    pub family_name: String,
    pub given_name: String,
    pub birth_date: Option<civil::Date>,
    pub study_uid: String,
    pub accession: Option<String>,
    /// When the visit was, in the clinic's time.
    pub study_at: civil::DateTime,
    /// When the values were taken, in the clinic's time.
    pub content_at: civil::DateTime,
    /// What the identifiers of series and instances are made of: the same seed gives the same.
    pub seed: String,
}

/// A whole file, in Explicit VR Little Endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub kind: Kind,
    pub instance_uid: String,
    pub bytes: Vec<u8>,
}

/// A kind that the reading holds, but of which no object can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwritten {
    pub kind: Kind,
    /// For people; never a value.
    pub why: String,
}

/// Every kind of object that the measurements hold.
pub fn write(
    instrument: &Instrument,
    measurements: &[Measurement],
    subject: &Subject,
) -> Vec<Result<Written, Unwritten>> {
    let one = |kind| match choose::contents(kind, measurements) {
        Ok(None) => None,
        Ok(Some(contents)) => Some(file(kind, instrument, &contents, subject)),
        Err(why) => Some(Err(why)),
    };
    let one = |kind: Kind| one(kind).map(|made| made.map_err(|why| Unwritten { kind, why }));
    Kind::ALL.into_iter().filter_map(one).collect()
}

/// `2.25.` and a number that this text determines (PS3.5 B.2: a UUID as a decimal number).
pub fn uid_of(text: &str) -> String {
    let digest = Sha256::of(text.as_bytes()).0;
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&digest[..16]);
    uuid[6] = uuid[6] & 0x0F | 0x80; // version 8: made by a rule of our own
    uuid[8] = uuid[8] & 0x3F | 0x80;
    format!("2.25.{}", u128::from_be_bytes(uuid))
}

fn file(
    kind: Kind,
    instrument: &Instrument,
    contents: &choose::Contents,
    subject: &Subject,
) -> Result<Written, String> {
    let of = |what: &str| uid_of(&format!("{}/{}/{what}", subject.seed, kind.modality()));
    let (series_uid, instance_uid) = (of("series"), of("instance"));
    let mut object = InMemDicomObject::new_empty();
    put_text(&mut object, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192");
    put_text(&mut object, tags::SOP_CLASS_UID, VR::UI, kind.class_uid());
    put_text(&mut object, tags::SOP_INSTANCE_UID, VR::UI, &instance_uid);
    patient(&mut object, subject)?;
    study(&mut object, subject);
    put_text(&mut object, tags::MODALITY, VR::CS, kind.modality());
    put_text(&mut object, tags::SERIES_INSTANCE_UID, VR::UI, &series_uid);
    put_text(&mut object, tags::SERIES_NUMBER, VR::IS, "1");
    put_text(&mut object, tags::INSTANCE_NUMBER, VR::IS, "1");
    equipment(&mut object, instrument);
    let (date, time) = date_and_time(subject.content_at);
    put_text(&mut object, tags::CONTENT_DATE, VR::DA, &date);
    put_text(&mut object, tags::CONTENT_TIME, VR::TM, &time);
    laterality(&mut object, &contents.eyes());
    elements::measurements(kind, &mut object, contents)?;
    let head = FileMetaTableBuilder::new()
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .implementation_class_uid(IMPLEMENTATION_CLASS_UID)
        .implementation_version_name(IMPLEMENTATION_VERSION_NAME);
    let file = object.with_meta(head).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.write_all(&mut bytes).map_err(|error| error.to_string())?;
    Ok(Written { kind, instance_uid, bytes })
}

fn patient(object: &mut InMemDicomObject, subject: &Subject) -> Result<(), String> {
    let id = elements::clean(&subject.patient_id, usize::MAX);
    if id != subject.patient_id || id.chars().count() > PATIENT_ID_LEN_MAX {
        return Err("the chart number cannot be written as a DICOM patient id".into());
    }
    let name = |text: &str| elements::clean(&text.replace(['^', '='], " "), 31);
    let name = format!("{}^{}", name(&subject.family_name), name(&subject.given_name));
    put_text(object, tags::PATIENT_NAME, VR::PN, name.trim_end_matches('^'));
    put_text(object, tags::PATIENT_ID, VR::LO, &id);
    let birth = subject.birth_date.map(|date| date.strftime("%Y%m%d").to_string());
    put_text(object, tags::PATIENT_BIRTH_DATE, VR::DA, &birth.unwrap_or_default());
    put_text(object, tags::PATIENT_SEX, VR::CS, ""); // demanded, and may be empty
    Ok(())
}

fn study(object: &mut InMemDicomObject, subject: &Subject) {
    let (date, time) = date_and_time(subject.study_at);
    put_text(object, tags::STUDY_INSTANCE_UID, VR::UI, &subject.study_uid);
    put_text(object, tags::STUDY_DATE, VR::DA, &date);
    put_text(object, tags::STUDY_TIME, VR::TM, &time);
    put_text(object, tags::REFERRING_PHYSICIAN_NAME, VR::PN, "");
    let accession = subject.accession.as_deref().unwrap_or_default();
    let fits = accession.len() <= ACCESSION_LEN_MAX;
    let accession = elements::clean(if fits { accession } else { "" }, ACCESSION_LEN_MAX);
    put_text(object, tags::ACCESSION_NUMBER, VR::SH, &accession);
    put_text(object, tags::STUDY_ID, VR::SH, &accession);
}

fn equipment(object: &mut InMemDicomObject, instrument: &Instrument) {
    let given = |text: &str| match elements::clean(text, 64) {
        text if text.is_empty() => NOT_GIVEN.to_owned(),
        text => text,
    };
    put_text(object, tags::MANUFACTURER, VR::LO, &given(&instrument.vendor));
    put_text(object, tags::MANUFACTURER_MODEL_NAME, VR::LO, &given(&instrument.model));
    let serial = instrument.serial.as_deref().unwrap_or_default();
    put_text(object, tags::DEVICE_SERIAL_NUMBER, VR::LO, &given(serial));
    let software = instrument.software.as_deref().unwrap_or_default();
    put_text(object, tags::SOFTWARE_VERSIONS, VR::LO, &given(software));
}

/// Which eyes are in the object. Of a lens without a side nothing is said.
fn laterality(object: &mut InMemDicomObject, eyes: &[Eye]) {
    let word = match (eyes.contains(&Eye::Right), eyes.contains(&Eye::Left)) {
        (true, true) => "B",
        (true, false) => "R",
        (false, true) => "L",
        (false, false) => {
            // The series' own laterality may be empty, the measurement's may not.
            put_text(object, tags::LATERALITY, VR::CS, "");
            return;
        }
    };
    put(object, tags::MEASUREMENT_LATERALITY, VR::CS, dicom_value!(Str, word));
}

fn date_and_time(at: civil::DateTime) -> (String, String) {
    (at.strftime("%Y%m%d").to_string(), at.strftime("%H%M%S").to_string())
}

#[cfg(test)]
mod tests;

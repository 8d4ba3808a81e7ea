//! DICOM objects of measurements: a strict reader of whole Part 10 files, and a writer.
//!
//! | module | for |
//! |---|---|
//! | [`part10`] | bytes to a tree of elements with their positions, within limits |
//! | [`node`] | typed values out of that tree; remembers what was not read |
//! | [`charset`] | text in the character set that the object names |
//! | [`write`](mod@write) | a reading as AR, KER, LEN and SRF objects |
//!
//! The reader is our own, and not the one of `dicom-object`: a refusal needs the position, a length
//! is believed only within the bytes that are there, and what nobody asked for must not vanish.
//! What is written comes from `dicom-object`, so that the two check each other in the tests.

pub mod charset;
pub mod node;
pub mod part10;
pub mod write;

pub use node::{Node, Num};
pub use part10::Object;

use dicom_dictionary_std::uids;

/// What an object of a class holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Lensometry,
    Autorefraction,
    Keratometry,
    SubjectiveRefraction,
    VisualAcuity,
    AxialMeasurements,
    LensCalculations,
    VisualField,
    /// A report about the macular grid, or another report that may hold one.
    Report,
}

/// The classes whose values are read, by their identifiers.
pub const CLASSES: [(&str, Class); 12] = [
    (uids::LENSOMETRY_MEASUREMENTS_STORAGE, Class::Lensometry),
    (uids::AUTOREFRACTION_MEASUREMENTS_STORAGE, Class::Autorefraction),
    (uids::KERATOMETRY_MEASUREMENTS_STORAGE, Class::Keratometry),
    (uids::SUBJECTIVE_REFRACTION_MEASUREMENTS_STORAGE, Class::SubjectiveRefraction),
    (uids::VISUAL_ACUITY_MEASUREMENTS_STORAGE, Class::VisualAcuity),
    (uids::OPHTHALMIC_AXIAL_MEASUREMENTS_STORAGE, Class::AxialMeasurements),
    (uids::INTRAOCULAR_LENS_CALCULATIONS_STORAGE, Class::LensCalculations),
    (uids::OPHTHALMIC_VISUAL_FIELD_STATIC_PERIMETRY_MEASUREMENTS_STORAGE, Class::VisualField),
    (uids::MACULAR_GRID_THICKNESS_AND_VOLUME_REPORT_STORAGE, Class::Report),
    (uids::ENHANCED_SR_STORAGE, Class::Report),
    (uids::COMPREHENSIVE_SR_STORAGE, Class::Report),
    (uids::COMPREHENSIVE3_DSR_STORAGE, Class::Report),
];

/// The class of this identifier, if its values are read.
pub fn class(uid: &str) -> Option<Class> {
    CLASSES.iter().find(|(of, _)| *of == uid).map(|(_, class)| *class)
}

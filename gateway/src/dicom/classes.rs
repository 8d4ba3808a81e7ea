//! Which SOP classes the node takes, and what it does with them.

use dicom_dictionary_std::uids;

/// What a presentation context is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Verification,
    /// Objects of a class that the node knows.
    Storage,
    /// Objects of another class, taken and recorded: refusing loses them.
    UnknownStorage,
    Worklist,
    PatientFind,
    Commitment,
    ProcedureStep,
}

impl Service {
    pub fn is_storage(self) -> bool {
        matches!(self, Service::Storage | Service::UnknownStorage)
    }
}

/// Small objects that hold measurements: they become readings.
const MEASUREMENTS: &[&str] = &[
    uids::LENSOMETRY_MEASUREMENTS_STORAGE,
    uids::AUTOREFRACTION_MEASUREMENTS_STORAGE,
    uids::KERATOMETRY_MEASUREMENTS_STORAGE,
    uids::SUBJECTIVE_REFRACTION_MEASUREMENTS_STORAGE,
    uids::VISUAL_ACUITY_MEASUREMENTS_STORAGE,
    uids::OPHTHALMIC_AXIAL_MEASUREMENTS_STORAGE,
    uids::INTRAOCULAR_LENS_CALCULATIONS_STORAGE,
    uids::OPHTHALMIC_VISUAL_FIELD_STATIC_PERIMETRY_MEASUREMENTS_STORAGE,
    uids::MACULAR_GRID_THICKNESS_AND_VOLUME_REPORT_STORAGE,
];

/// Reports of many kinds, some of which hold measurements too.
const REPORTS: &[&str] = &[
    "1.2.840.10008.5.1.4.1.1.88.22", // Enhanced, Comprehensive, Comprehensive 3D SR
    "1.2.840.10008.5.1.4.1.1.88.33",
    "1.2.840.10008.5.1.4.1.1.88.34",
];

/// What eye imagers send, by the conformance statements of their makers and the standard.
const STORAGE: &[&str] = &[
    uids::OPHTHALMIC_PHOTOGRAPHY8_BIT_IMAGE_STORAGE,
    uids::OPHTHALMIC_PHOTOGRAPHY16_BIT_IMAGE_STORAGE,
    uids::STEREOMETRIC_RELATIONSHIP_STORAGE,
    uids::OPHTHALMIC_TOMOGRAPHY_IMAGE_STORAGE,
    uids::WIDE_FIELD_OPHTHALMIC_PHOTOGRAPHY_STEREOGRAPHIC_PROJECTION_IMAGE_STORAGE,
    uids::WIDE_FIELD_OPHTHALMIC_PHOTOGRAPHY3_D_COORDINATES_IMAGE_STORAGE,
    uids::OPHTHALMIC_OPTICAL_COHERENCE_TOMOGRAPHY_EN_FACE_IMAGE_STORAGE,
    uids::OPHTHALMIC_OPTICAL_COHERENCE_TOMOGRAPHY_BSCAN_VOLUME_ANALYSIS_STORAGE,
    uids::SPECTACLE_PRESCRIPTION_REPORT_STORAGE,
    uids::OPHTHALMIC_THICKNESS_MAP_STORAGE,
    "1.2.840.10008.5.1.4.1.1.82.1",  // Corneal Topography Map
    "1.2.840.10008.5.1.4.1.1.104.1", // Encapsulated PDF
    "1.2.840.10008.5.1.4.1.1.7",     // Secondary Capture, and its multi-frame kinds
    "1.2.840.10008.5.1.4.1.1.7.1",
    "1.2.840.10008.5.1.4.1.1.7.2",
    "1.2.840.10008.5.1.4.1.1.7.3",
    "1.2.840.10008.5.1.4.1.1.7.4",
    "1.2.840.10008.5.1.4.1.1.66",   // Raw Data
    "1.2.840.10008.5.1.4.1.1.66.4", // Segmentation, Surface, Label Map, Height Map
    "1.2.840.10008.5.1.4.1.1.66.5",
    "1.2.840.10008.5.1.4.1.1.66.7",
    "1.2.840.10008.5.1.4.1.1.66.8",
    "1.2.840.10008.5.1.4.1.1.88.11", // Basic Text, Enhanced, Comprehensive, Comprehensive 3D SR
    "1.2.840.10008.5.1.4.1.1.88.22",
    "1.2.840.10008.5.1.4.1.1.88.33",
    "1.2.840.10008.5.1.4.1.1.88.34",
    "1.2.840.10008.5.1.4.1.1.77.1.4", // VL and Video Photographic
    "1.2.840.10008.5.1.4.1.1.77.1.4.1",
    "1.2.840.10008.5.1.4.1.1.6.1", // Ultrasound, and its multi-frame kind
    "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.11.1", // Presentation States, Key Object Selection
    "1.2.840.10008.5.1.4.1.1.11.2",
    "1.2.840.10008.5.1.4.1.1.88.59",
];

/// All storage classes of the standard begin so.
const STANDARD_STORAGE: &str = "1.2.840.10008.5.1.4.1.1.";
/// What the standard defines; anything outside is a maker's own.
const STANDARD: &str = "1.2.840.10008.";

/// What an abstract syntax asks for, if the node does it. A maker's own class can only be one of
/// storage: no other service would make sense without an agreement.
pub fn service(abstract_syntax: &str) -> Option<Service> {
    match abstract_syntax {
        uids::VERIFICATION => Some(Service::Verification),
        uids::MODALITY_WORKLIST_INFORMATION_MODEL_FIND => Some(Service::Worklist),
        uids::PATIENT_ROOT_QUERY_RETRIEVE_INFORMATION_MODEL_FIND => Some(Service::PatientFind),
        uids::STORAGE_COMMITMENT_PUSH_MODEL => Some(Service::Commitment),
        uids::MODALITY_PERFORMED_PROCEDURE_STEP => Some(Service::ProcedureStep),
        uid if STORAGE.contains(&uid) || holds_measurements(uid) => Some(Service::Storage),
        uid if uid.starts_with(STANDARD_STORAGE) => Some(Service::UnknownStorage),
        uid if !uid.starts_with(STANDARD) && super::command::is_uid(uid) => {
            Some(Service::UnknownStorage)
        }
        _ => None,
    }
}

pub fn holds_measurements(sop_class_uid: &str) -> bool {
    MEASUREMENTS.contains(&sop_class_uid)
}

/// Whether an object may hold measurements, and nothing is wrong if it does not.
pub fn may_hold_measurements(sop_class_uid: &str) -> bool {
    REPORTS.contains(&sop_class_uid)
}

/// The classes that are known by name, for the conformance statement.
pub fn known_storage() -> impl Iterator<Item = &'static str> {
    STORAGE.iter().chain(MEASUREMENTS).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_classes_are_storage_only_if_they_look_like_it() {
        assert_eq!(service("1.2.840.10008.5.1.4.1.1.77.1.5.4"), Some(Service::Storage));
        assert_eq!(service("1.2.840.10008.5.1.4.1.1.2"), Some(Service::UnknownStorage));
        assert_eq!(service("1.3.12.2.1107.5.9.1"), Some(Service::UnknownStorage));
        // Patient Root MOVE, Print, and what is no UID.
        for none in ["1.2.840.10008.5.1.4.1.2.1.2", "1.2.840.10008.5.1.1.9", "", "../x"] {
            assert_eq!(service(none), None, "{none}");
        }
    }

    #[test]
    fn no_class_stands_twice() {
        let mut all: Vec<&str> = known_storage().collect();
        let len = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), len);
    }
}

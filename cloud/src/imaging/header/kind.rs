//! What an instance is, in plain words.

use super::super::data_set::DataSet;
use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use serde::{Deserialize, Serialize};

/// What an instance is to a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageKind {
    OctVolume,
    OctScan,
    AnteriorOct,
    OctEnFace,
    OctAngiography,
    FundusPhoto,
    ScanningLaser,
    SlitLampPhoto,
    EyePhoto,
    WideFieldPhoto,
    ThicknessMap,
    TopographyMap,
    Ultrasound,
    Photo,
    ScreenCapture,
    Pdf,
    /// Refraction, keratometry, acuity, biometry, field: numbers, not pictures.
    Measurement,
    Report,
    Segmentation,
    /// The maker's own data.
    RawData,
    /// How to show others, or which to look at.
    Presentation,
    #[default]
    Other,
}

impl ImageKind {
    /// For people, as the name of a tile.
    pub fn label(self) -> &'static str {
        match self {
            ImageKind::OctVolume => "OCT volume",
            ImageKind::OctScan => "OCT scan",
            ImageKind::AnteriorOct => "Anterior segment OCT",
            ImageKind::OctEnFace => "En face OCT",
            ImageKind::OctAngiography => "OCT angiography volume",
            ImageKind::FundusPhoto => "Fundus photo",
            ImageKind::ScanningLaser => "Scanning laser image",
            ImageKind::SlitLampPhoto => "Slit lamp photo",
            ImageKind::EyePhoto => "Eye photo",
            ImageKind::WideFieldPhoto => "Wide field photo",
            ImageKind::ThicknessMap => "Thickness map",
            ImageKind::TopographyMap => "Corneal topography",
            ImageKind::Ultrasound => "Ultrasound",
            ImageKind::Photo => "Photo",
            ImageKind::ScreenCapture => "Screen capture",
            ImageKind::Pdf => "PDF report",
            ImageKind::Measurement => "Measurement",
            ImageKind::Report => "Report",
            ImageKind::Segmentation => "Segmentation",
            ImageKind::RawData => "Maker's raw data",
            ImageKind::Presentation => "Presentation",
            ImageKind::Other => "Other instance",
        }
    }

    /// A stack of scans through the eye.
    pub fn is_oct(self) -> bool {
        matches!(
            self,
            ImageKind::OctVolume
                | ImageKind::OctScan
                | ImageKind::AnteriorOct
                | ImageKind::OctAngiography
        )
    }
}

pub fn of(set: &DataSet, frames: u32) -> ImageKind {
    let class = set.word(tags::SOP_CLASS_UID).unwrap_or_default();
    match class.as_str() {
        uids::OPHTHALMIC_TOMOGRAPHY_IMAGE_STORAGE => oct(set, frames),
        uids::OPHTHALMIC_OPTICAL_COHERENCE_TOMOGRAPHY_EN_FACE_IMAGE_STORAGE => ImageKind::OctEnFace,
        uids::OPHTHALMIC_OPTICAL_COHERENCE_TOMOGRAPHY_BSCAN_VOLUME_ANALYSIS_STORAGE => {
            ImageKind::OctAngiography
        }
        uids::OPHTHALMIC_PHOTOGRAPHY8_BIT_IMAGE_STORAGE
        | uids::OPHTHALMIC_PHOTOGRAPHY16_BIT_IMAGE_STORAGE => photo(set),
        uids::OPHTHALMIC_THICKNESS_MAP_STORAGE => ImageKind::ThicknessMap,
        uids::CORNEAL_TOPOGRAPHY_MAP_STORAGE => ImageKind::TopographyMap,
        uids::ENCAPSULATED_PDF_STORAGE => ImageKind::Pdf,
        uids::RAW_DATA_STORAGE => ImageKind::RawData,
        other => by_family(other),
    }
}

/// Classes of which it is enough to know the family, by the part of the UID behind the root.
fn by_family(class: &str) -> ImageKind {
    let Some(own) = class.strip_prefix("1.2.840.10008.5.1.4.1.1.") else {
        return ImageKind::Other;
    };
    let within = |family: &str| {
        own.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    match () {
        () if within("77.1.5.5") || within("77.1.5.6") => ImageKind::WideFieldPhoto,
        () if within("78.6") || within("79") || within("88.59") => match own {
            "88.59" => ImageKind::Presentation,
            _ => ImageKind::Report,
        },
        () if within("78") || within("80") => ImageKind::Measurement,
        () if within("88") => ImageKind::Report,
        () if within("66") => ImageKind::Segmentation,
        () if within("77.1.4") => ImageKind::Photo,
        () if within("7") => ImageKind::ScreenCapture,
        () if within("6") || within("3") => ImageKind::Ultrasound,
        () if within("11") => ImageKind::Presentation,
        () => ImageKind::Other,
    }
}

/// The front of the eye is told by its region: cornea, anterior chamber, iris, lens (CID 4211).
fn oct(set: &DataSet, frames: u32) -> ImageKind {
    const FRONT: [&str; 8] = [
        "28726007", "T-AA200", "31636006", "T-AA050", "41296002", "T-AA500", "78076003", "T-AA700",
    ];
    match code(set, tags::ANATOMIC_REGION_SEQUENCE) {
        Some(region) if FRONT.contains(&region.as_str()) => ImageKind::AnteriorOct,
        _ if frames > 1 => ImageKind::OctVolume,
        _ => ImageKind::OctScan,
    }
}

/// By the acquisition device (CID 4202).
fn photo(set: &DataSet) -> ImageKind {
    match code(set, tags::ACQUISITION_DEVICE_TYPE_CODE_SEQUENCE).as_deref() {
        Some("409898007" | "R-1021A") => ImageKind::FundusPhoto,
        Some("392001008" | "A-00E8B" | "392004000") => ImageKind::ScanningLaser,
        Some("397247004" | "A-00E8D") => ImageKind::SlitLampPhoto,
        _ => ImageKind::EyePhoto,
    }
}

fn code(set: &DataSet, sequence: Tag) -> Option<String> {
    set.item(sequence)?.word(tags::CODE_VALUE)
}

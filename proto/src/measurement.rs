//! One test of one eye, or of both.

use crate::{
    CornealSize, Eye, Keratometry, Lensometry, Pachymetry, PupilSize, PupillaryDistance,
    Refraction, Tonometry,
};
use serde::{Deserialize, Serialize};

/// One test of one eye (or of both together).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measurement {
    pub eye: Eye,
    /// The instrument's own token for the side, verbatim (R2): `R`, `L`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eye_as_sent: Option<String>,
    #[serde(flatten)]
    pub measured: Measured,
}

/// What was measured. On the wire the variant stands in `type`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Measured {
    CornealSize(CornealSize),
    Keratometry(Keratometry),
    Lensometry(Lensometry),
    Pachymetry(Pachymetry),
    PupilSize(PupilSize),
    PupillaryDistance(PupillaryDistance),
    Refraction(Refraction),
    Tonometry(Tonometry),
}

impl Measured {
    /// The word that stands in `type` on the wire, in columns and in URLs.
    pub fn type_name(&self) -> &'static str {
        match self {
            Measured::CornealSize(_) => "corneal_size",
            Measured::Keratometry(_) => "keratometry",
            Measured::Lensometry(_) => "lensometry",
            Measured::Pachymetry(_) => "pachymetry",
            Measured::PupilSize(_) => "pupil_size",
            Measured::PupillaryDistance(_) => "pupillary_distance",
            Measured::Refraction(_) => "refraction",
            Measured::Tonometry(_) => "tonometry",
        }
    }
}

//! One test of one eye, or of both.

use crate::{
    Biometry, CornealSize, Eye, Keratometry, Lensometry, OtherTest, Pachymetry, PupilSize,
    PupillaryDistance, Refraction, Tonometry, VisualAcuity,
};
use serde::{Deserialize, Serialize};

/// One test of one eye (or of both together).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measurement {
    pub eye: Eye,
    /// The instrument's own token for the side, verbatim (R2): `R`, `L`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eye_as_sent: Option<String>,
    /// The instrument's own name of the set that the value belongs to, where it sends several of
    /// one kind: `Full Correction`, `Photopic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_set: Option<String>,
    /// Measured by another instrument and passed on by this one: shown, but no second measurement.
    #[serde(default, skip_serializing_if = "is_not")]
    pub relayed: bool,
    #[serde(flatten)]
    pub measured: Measured,
}

fn is_not(flag: &bool) -> bool {
    !flag
}

impl Measurement {
    /// A measurement of an eye under the instrument's own token for it.
    pub fn of(eye: Eye, eye_as_sent: &str, measured: Measured) -> Self {
        Self { eye_as_sent: Some(eye_as_sent.into()), ..Self::without_token(eye, measured) }
    }
    /// One for which the instrument sends no token of a side, such as a distance of both eyes.
    pub fn without_token(eye: Eye, measured: Measured) -> Self {
        Self { eye, eye_as_sent: None, data_set: None, relayed: false, measured }
    }
    /// The same as part of a named set.
    pub fn in_set(self, name: &str) -> Self {
        Self { data_set: Some(name.into()), ..self }
    }
    /// The same as passed on from another instrument.
    pub fn relayed(self) -> Self {
        Self { relayed: true, ..self }
    }
}

/// What was measured. On the wire the variant stands in `type`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Measured {
    Biometry(Biometry),
    CornealSize(CornealSize),
    Keratometry(Keratometry),
    Lensometry(Lensometry),
    OtherTest(OtherTest),
    Pachymetry(Pachymetry),
    PupilSize(PupilSize),
    PupillaryDistance(PupillaryDistance),
    Refraction(Refraction),
    Tonometry(Tonometry),
    VisualAcuity(VisualAcuity),
}

impl Measured {
    /// Every type's word, in alphabetical order.
    pub const TYPE_NAMES: [&str; 11] = [
        "biometry",
        "corneal_size",
        "keratometry",
        "lensometry",
        "other_test",
        "pachymetry",
        "pupil_size",
        "pupillary_distance",
        "refraction",
        "tonometry",
        "visual_acuity",
    ];

    /// The word that stands in `type` on the wire, in columns and in URLs.
    pub fn type_name(&self) -> &'static str {
        let at = match self {
            Measured::Biometry(_) => 0,
            Measured::CornealSize(_) => 1,
            Measured::Keratometry(_) => 2,
            Measured::Lensometry(_) => 3,
            Measured::OtherTest(_) => 4,
            Measured::Pachymetry(_) => 5,
            Measured::PupilSize(_) => 6,
            Measured::PupillaryDistance(_) => 7,
            Measured::Refraction(_) => 8,
            Measured::Tonometry(_) => 9,
            Measured::VisualAcuity(_) => 10,
        };
        Self::TYPE_NAMES[at]
    }
}

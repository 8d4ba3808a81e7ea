//! Refraction of an eye: sphere, cylinder, axis, in the notation that the instrument sent (R6).

use crate::{Dioptres, Hundredths, Prism, Representative, Shot};
use serde::{Deserialize, Serialize};

/// One refraction of one eye with all its shots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refraction {
    pub kind: RefractionKind,
    /// In which light: instruments with a night mode send two separate data sets.
    #[serde(default)]
    pub light: Light,
    /// For which distance: refractors and some wavefront instruments send both.
    #[serde(default, skip_serializing_if = "Vision::is_far")]
    pub vision: Vision,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vertex_distance_mm: Option<Hundredths>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_distance_cm: Option<Hundredths>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dioptre_step: Option<Dioptres>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axis_step_deg: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cylinder_mode: Option<CylinderMode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub representative: Option<Representative<RefractionValue>>,
    #[serde(default)]
    pub shots: Vec<Shot<RefractionValue>>,
    /// Addition for near, only if the instrument sent one; never the difference of two spheres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add: Option<Dioptres>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prism: Option<Prism>,
}

impl Refraction {
    /// One of this kind in which nothing else was sent.
    pub fn new(kind: RefractionKind) -> Self {
        Self {
            kind,
            light: Light::Day,
            vision: Vision::Far,
            vertex_distance_mm: None,
            working_distance_cm: None,
            dioptre_step: None,
            axis_step_deg: None,
            cylinder_mode: None,
            representative: None,
            shots: vec![],
            add: None,
            prism: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefractionKind {
    /// Measured by an autorefractor: a starting point, never a prescription (R12).
    Autorefraction,
    /// The same, converted by the instrument to the corneal plane.
    ContactLensEquivalent,
    /// The instrument's trial lens value.
    TrialLens,
    /// Night value minus day value; the axis is a signed difference.
    NightMinusDay,
    /// Found with the patient's answers.
    Subjective,
    /// The refractor's final prescription.
    Final,
    /// An earlier prescription that a refractor was given and passes on.
    PreviousPrescription,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Light {
    #[default]
    Day,
    /// Large pupil.
    Night,
}

/// For which distance a refraction or an acuity is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vision {
    #[default]
    Far,
    Near,
}

impl Vision {
    /// Written only where it says something.
    pub fn is_far(&self) -> bool {
        *self == Vision::Far
    }
}

/// The instrument's cylinder convention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CylinderMode {
    #[serde(rename = "-")]
    Minus,
    #[serde(rename = "+")]
    Plus,
    #[serde(rename = "mix")]
    Mixed,
}

/// Sphere, cylinder and axis as sent. Without a cylinder there is no axis (R7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RefractionValue {
    pub sphere: Dioptres,
    pub cylinder: Dioptres,
    /// Degrees as sent, 0 included; signed only in [`RefractionKind::NightMinusDay`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axis_deg: Option<i16>,
    /// Spherical equivalent, only if the instrument sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spherical_equivalent: Option<Dioptres>,
}

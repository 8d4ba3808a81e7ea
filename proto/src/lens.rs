//! A spectacle lens in a lensmeter: what the patient wears, or what was made (R23-R26).

use crate::{CylinderMode, Dioptres, Hundredths};
use serde::{Deserialize, Serialize};

/// One lens. Absent fields were not sent, which is not the same as zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lensometry {
    /// Sphere, cylinder and axis; absent when the record carries only an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sphere: Option<Dioptres>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cylinder: Option<Dioptres>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axis_deg: Option<i16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cylinder_mode: Option<CylinderMode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add: Option<Dioptres>,
    /// Second addition of a trifocal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add2: Option<Dioptres>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near_sphere: Option<Dioptres>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near_sphere2: Option<Dioptres>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prism: Option<Prism>,
    /// As sent: `glass`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lens_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dioptre_step: Option<Dioptres>,
    /// How much ultraviolet light passes, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uv_transmittance_percent: Option<Hundredths>,
    /// The instrument's error text for this lens, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Prism in the form that was sent: two components, or amount and base angle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prism {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizontal: Option<PrismComponent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vertical: Option<PrismComponent>,
    /// Prism dioptres in the direction of `base_deg`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Dioptres>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_deg: Option<i16>,
}

/// Prism dioptres and where the base lies (R24: per eye, never mirrored by sign).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PrismComponent {
    /// Negative only together with [`Base::Unverified`], where the sign is all there is.
    pub amount: Dioptres,
    pub base: Base,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    In,
    Out,
    Up,
    Down,
    /// The maker does not document what its sign means.
    Unverified,
}

//! Lengths inside the eye.

use crate::Hundredths;
use serde::{Deserialize, Serialize};

/// One biometry of one eye. Corneal thickness, curvature, white-to-white and pupil are measurements
/// of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Biometry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axial_length_mm: Option<Hundredths>,
    /// From the back of the cornea to the lens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aqueous_depth_mm: Option<Hundredths>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lens_thickness_mm: Option<Hundredths>,
    /// Verbatim: `phakic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lens_status_as_sent: Option<String>,
}

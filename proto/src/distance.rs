//! Lengths on the face and the eye: pupillary distance, corneal size, pupil size (R29).

use crate::Hundredths;
use serde::{Deserialize, Serialize};

/// Pupillary distances as sent. One measured by an autorefractor is at far fixation and is not the
/// dispensing distance until an optician says so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PupillaryDistance {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub far_mm: Option<Hundredths>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right_mm: Option<Hundredths>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_mm: Option<Hundredths>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near_mm: Option<Hundredths>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near_right_mm: Option<Hundredths>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near_left_mm: Option<Hundredths>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_distance_cm: Option<Hundredths>,
}

/// Horizontal diameter of the cornea.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CornealSize {
    pub diameter_mm: Hundredths,
}

/// Diameter of the pupil and the maker's state letter, verbatim.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PupilSize {
    pub diameter_mm: Hundredths,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_as_sent: Option<String>,
}

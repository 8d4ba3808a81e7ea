//! Visual acuity as a refractor writes it.

use crate::Vision;
use serde::{Deserialize, Serialize};

/// One acuity of one eye, or of both together. The text is the instrument's: `<0.05`, `20/40`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisualAcuity {
    /// What stood before the eye.
    pub correction: Correction,
    #[serde(default, skip_serializing_if = "Vision::is_far")]
    pub vision: Vision,
    #[serde(default, skip_serializing_if = "AcuityCondition::is_standard")]
    pub condition: AcuityCondition,
    /// Verbatim, without blanks around it.
    pub as_sent: String,
    /// Letters more or less than the line, verbatim: `+2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub letters_as_sent: Option<String>,
    /// What the instrument calls the notation: `Decimal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notation: Option<String>,
}

/// What stood before the eye when the acuity was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// Nothing.
    Unaided,
    /// What the patient wears.
    Wearing,
    /// The autorefractor's value.
    Objective,
    Subjective,
    /// The refractor's final prescription.
    Final,
    /// Some correction; which one was not sent.
    Corrected,
}

/// How the acuity was taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AcuityCondition {
    #[default]
    Standard,
    Pinhole,
    /// Low contrast or low light.
    Low,
    Glare,
    /// Through the addition.
    WithAddition,
}

impl AcuityCondition {
    /// Written only where it says something.
    pub fn is_standard(&self) -> bool {
        *self == AcuityCondition::Standard
    }
}

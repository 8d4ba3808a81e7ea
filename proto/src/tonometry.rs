//! Intraocular pressure (R17, R19-R22).

use crate::{Hundredths, Representative, Shot};
use serde::{Deserialize, Serialize};

/// One tonometry of one eye with all its shots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tonometry {
    /// Without its method a pressure is not complete (R19).
    pub method: TonometryMethod,
    /// How many shots the instrument says it took; its relation to failed shots is the maker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count_as_sent: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub representative: Option<Representative<IopValue>>,
    #[serde(default)]
    pub shots: Vec<Shot<IopValue>>,
    /// Corrected values that the instrument itself sent; Chiasm computes none (R21).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corrected: Vec<CorrectedIop>,
}

impl Tonometry {
    /// One of this method in which nothing was sent.
    pub fn new(method: TonometryMethod) -> Self {
        Self { method, count_as_sent: None, representative: None, shots: vec![], corrected: vec![] }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TonometryMethod {
    /// Non-contact (air puff).
    NonContact,
    Goldmann,
    Rebound,
    TonoPen,
    /// Ocular Response Analyzer: Goldmann-correlated and cornea-compensated pressure.
    OcularResponse,
    /// The instrument sent no method and its kind does not tell.
    NotGiven,
}

/// A pressure as sent; some makers print mmHg and kPa side by side, each rounded by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IopValue {
    pub iop_mmhg: Hundredths,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iop_kpa: Option<Hundredths>,
}

/// A corrected pressure under the maker's own label.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrectedIop {
    /// `Formula1`.
    pub label: String,
    /// The shot that was corrected, if it is not the representative value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shot_no: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrected_mmhg: Option<Hundredths>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_mmhg: Option<Hundredths>,
    /// Central corneal thickness that the formula used; may have been typed in, so it is no
    /// pachymetry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cct_um: Option<u16>,
    /// The formula's parameters, verbatim.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

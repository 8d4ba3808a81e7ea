//! Curvature of the cornea (R27, R28).

use crate::{Dioptres, Hundredths, Representative, Shot};
use serde::{Deserialize, Serialize};

/// One keratometry of one eye with all its shots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keratometry {
    /// Which ring, where an instrument measures with two (`DKM`, `Dkm`): kept apart, never
    /// averaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mire: Option<String>,
    /// Index of refraction used for radius and power, as sent (`1.3375`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refractive_index: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dioptre_step: Option<Dioptres>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub representative: Option<Representative<KeratometryValue>>,
    #[serde(default)]
    pub shots: Vec<Shot<KeratometryValue>>,
}

/// Two meridians as sent: `r1` is what the instrument calls R1 (the flat one).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeratometryValue {
    pub r1: Meridian,
    pub r2: Meridian,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_mm: Option<Hundredths>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_power: Option<Dioptres>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cylinder: Option<Dioptres>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cylinder_axis_deg: Option<i16>,
}

/// One principal meridian. Radius and power stand side by side as sent; none is computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Meridian {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius_mm: Option<Hundredths>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power: Option<Dioptres>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axis_deg: Option<i16>,
}

//! Thickness of the cornea (R30).

use crate::{Representative, Shot};
use serde::{Deserialize, Serialize};

/// One pachymetry of one eye; values are central corneal thickness in micrometres.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pachymetry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count_as_sent: Option<u32>,
    /// In micrometres, only if the instrument sent an average itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub representative_um: Option<Representative<u16>>,
    /// In micrometres.
    #[serde(default)]
    pub shots_um: Vec<Shot<u16>>,
}

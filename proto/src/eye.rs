//! Which eye.

use serde::{Deserialize, Serialize};

/// The side a value belongs to (R1). A value without a side stays without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Eye {
    /// Oculus dexter.
    #[serde(rename = "OD")]
    Right,
    /// Oculus sinister.
    #[serde(rename = "OS")]
    Left,
    /// Both together; only for binocular quantities such as a binocular pupillary distance.
    #[serde(rename = "OU")]
    Both,
    /// The instrument did not say, as with a single lens in a lensmeter. A person decides.
    #[serde(rename = "not_given")]
    NotGiven,
}

impl Eye {
    /// The abbreviation doctors write; `–` where the side was not given.
    pub fn abbreviation(self) -> &'static str {
        match self {
            Eye::Right => "OD",
            Eye::Left => "OS",
            Eye::Both => "OU",
            Eye::NotGiven => "–",
        }
    }
}

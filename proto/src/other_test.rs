//! Results whose meaning is documented but that have no type of their own: binocular tests, quality
//! numbers, results with more decimals than the types hold.

use serde::{Deserialize, Serialize};

/// One such result, verbatim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherTest {
    /// The instrument's own code for it: `CP`, `CH`.
    pub code: String,
    /// In the field's words: `near point of convergence`.
    pub name: String,
    pub values: Vec<OtherValue>,
}

/// One part of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherValue {
    /// Which part, where there are several: `break`, `recovery`. May be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Verbatim, without blanks around it.
    pub as_sent: String,
    /// `mm`, `prism dioptres`; none where it has none or the instrument sent none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

impl OtherTest {
    /// A result of one part.
    pub fn one(code: &str, name: &str, as_sent: &str, unit: Option<&str>) -> Self {
        let value = OtherValue {
            name: String::new(),
            as_sent: as_sent.into(),
            unit: unit.map(str::to_owned),
        };
        Self { code: code.into(), name: name.into(), values: vec![value] }
    }
}

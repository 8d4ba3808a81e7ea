//! Repetitions inside a measurement (R13, R14, R16).

use serde::{Deserialize, Serialize};

/// One repetition, as sent. It has a value, or an error, or (a failed shot whose number the
/// instrument skipped) neither.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shot<V> {
    /// The instrument's own number of the shot, if it sends one; may have gaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no: Option<u32>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub value: Option<V>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// The instrument's error text or mark, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

fn none<V>() -> Option<V> {
    None
}

impl<V> Shot<V> {
    pub fn of(value: V) -> Self {
        Self { no: None, value: Some(value), confidence: None, error: None }
    }
    pub fn failed(error: impl Into<String>) -> Self {
        Self { no: None, value: None, confidence: None, error: Some(error.into()) }
    }
}

/// How sure the instrument says it is, on its maker's own scale (R14).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confidence {
    /// Verbatim: `8`, `*`, `Low`.
    pub as_sent: String,
    /// Whose scale: `NIDEK 1-9`, `Topcon *`.
    pub scale: String,
    /// The maker's own threshold says that a person should look.
    pub low: bool,
}

/// The value that the instrument itself declares for the eye (R13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Representative<V> {
    /// What the instrument calls it: `median`, `average`.
    pub label: String,
    pub value: V,
}

//! What is known of each code: data for whoever checks it. Payers differ and codes change every
//! year; nothing here decides what is billed.

use super::Kind;

/// One code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub code: &'static str,
    /// In our words.
    pub name: &'static str,
    pub evidence: Kind,
    /// Somebody has to have ordered it.
    pub needs_order: bool,
    /// A doctor has to have interpreted it in writing.
    pub needs_report: bool,
    /// Paid once, whether one eye or both were measured.
    pub is_once_for_both: bool,
    /// To be looked at beside every proposal of it.
    pub notes: &'static [&'static str],
}

const fn test(code: &'static str, name: &'static str, evidence: Kind) -> Rule {
    Rule {
        code,
        name,
        evidence,
        needs_order: true,
        needs_report: true,
        is_once_for_both: true,
        notes: &[],
    }
}

pub const RULES: &[Rule] = &[
    Rule {
        needs_order: false,
        needs_report: false,
        notes: &["Many medical plans leave it to the patient."],
        ..test("92015", "Refraction", Kind::FinalPrescription)
    },
    Rule {
        notes: &["Meant for ultrasound: check how this instrument measures."],
        ..test("76514", "Corneal thickness", Kind::Pachymetry)
    },
    test("92025", "Corneal topography", Kind::Topography),
    Rule {
        notes: &["Includes the calculation of the lens power."],
        ..test("92136", "Optical biometry", Kind::Biometry)
    },
    test("92133", "OCT of the optic nerve", Kind::NerveImage),
    test("92134", "OCT of the retina", Kind::RetinaImage),
    Rule {
        notes: &["To be ordered after the examination of that day, not in advance."],
        ..test("92250", "Fundus photograph", Kind::FundusPhoto)
    },
    test("92083", "Threshold visual field", Kind::ThresholdField),
];

/// Codes that do not stand beside each other on one day, and why.
pub const CONFLICTS: &[(&str, &str, &str)] = &[
    ("92133", "92134", "OCT of nerve and retina are not paid on the same day"),
    ("92250", "92133", "a fundus photograph and an OCT conflict on the same day"),
    ("92250", "92134", "a fundus photograph and an OCT conflict on the same day"),
];

pub fn rule(code: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.code == code)
}

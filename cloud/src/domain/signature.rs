//! What is signed, and what is left open by it (D8).

use super::prescription::Prescription;
use chiasm_proto::Sha256;
use serde::Serialize;
use serde_json::value::RawValue;

/// A reading as the signature sees it.
#[derive(Debug, Clone, Serialize)]
pub struct SignedReading {
    pub reading_id: String,
    pub version: i64,
    /// `pending`, `accepted`, `rejected`.
    pub acceptance: String,
    /// Of the document as the gateway sent it.
    pub document_sha256: String,
    /// In words, for the list of what is open: `NIDEK ARK-1a, 10:03:14, Lane 2`.
    #[serde(skip)]
    pub name: String,
}

/// An image as the signature sees it.
#[derive(Debug, Clone, Serialize)]
pub struct SignedImage {
    pub instance_id: String,
    pub version: i64,
    /// Of the whole file.
    pub sha256: String,
}

/// What a person typed.
#[derive(Debug, Clone, Serialize)]
pub struct SignedEntry {
    pub kind: String,
    pub version: i64,
    pub body: Box<RawValue>,
}

/// Everything that a signature covers.
#[derive(Debug, Clone, Serialize)]
pub struct Content {
    pub encounter_id: String,
    pub readings: Vec<SignedReading>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<SignedImage>,
    pub entries: Vec<SignedEntry>,
    /// In words, what was left open.
    pub open: Vec<String>,
}

/// The content with who signed it and when.
#[derive(Debug, Clone, Serialize)]
pub struct Snapshot<'a> {
    #[serde(flatten)]
    pub content: &'a Content,
    pub signed_by: &'a str,
    pub signed_at_us: i64,
}

impl Content {
    /// Names what was seen: another one means that something came or changed since.
    pub fn digest(&self) -> String {
        Sha256::of(&serde_json::to_vec(self).expect("plain data always serialises")).to_string()
    }
}

impl Snapshot<'_> {
    /// The text that is kept and its hash.
    pub fn seal(&self) -> (String, String) {
        let text = serde_json::to_string(self).expect("plain data always serialises");
        let sha256 = Sha256::of(text.as_bytes()).to_string();
        (text, sha256)
    }
}

/// By name: every reading that nobody accepted, every mismatch that is held, copies of the
/// autorefractor's values that nobody refined, and a missing final prescription.
pub fn open_items(
    readings: &[SignedReading],
    held: &[String],
    subjective: Option<&Prescription>,
    final_rx: Option<&Prescription>,
) -> Vec<String> {
    let pending = readings.iter().filter(|reading| reading.acceptance == "pending");
    let mut open: Vec<String> =
        pending.map(|reading| format!("not accepted: {}", reading.name)).collect();
    open.extend(held.iter().map(|name| format!("held, names another patient: {name}")));
    let untouched = subjective.map(Prescription::untouched).unwrap_or_default();
    open.extend(untouched.iter().map(|eye| format!("from the autorefractor, not refined: {eye}")));
    if final_rx.is_none_or(Prescription::is_empty) {
        open.push("no final prescription".into());
    }
    open
}

/// `Signed by Dr. Okafor, 23 Nov 2026, 10:31. Left open: …`
pub fn text(signer: &str, when: &str, open: &[String]) -> String {
    match open {
        [] => format!("Signed by {signer}, {when}. Nothing was left open."),
        open => format!("Signed by {signer}, {when}. Left open: {}.", open.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(name: &str, acceptance: &str) -> SignedReading {
        SignedReading {
            reading_id: name.into(),
            version: 1,
            acceptance: acceptance.into(),
            document_sha256: String::new(),
            name: name.into(),
        }
    }

    #[test]
    fn d8_what_is_open_is_listed_by_name() {
        let readings =
            [reading("NT", "pending"), reading("ARK", "accepted"), reading("LM", "rejected")];
        let open = open_items(&readings, &["KR-800, 10:01".into()], None, None);
        assert_eq!(
            open,
            [
                "not accepted: NT",
                "held, names another patient: KR-800, 10:01",
                "no final prescription"
            ]
        );
        assert!(text("Dr. O", "now", &open).contains("NT; held, names another patient: KR-800"));
        assert!(text("Dr. O", "now", &[]).contains("Nothing was left open"));
    }
}

//! A signed final prescription as a FHIR R4 `VisionPrescription`, for programs of opticians. What is
//! written here was signed by a doctor; an autorefraction appears only as a reference (R12).

use super::prescription::{EyeRx, Prescription, base_word};
use chiasm_proto::{Dioptres, Hundredths, PrismComponent};
use serde::Serialize;

/// Our extensions: the standard has no place for where a prescription comes from.
pub const BASED_ON: &str = "urn:chiasm:vision-prescription:based-on";
/// How far in front of the eye the power was found; R4 has no element for it.
pub const VERTEX_DISTANCE: &str = "urn:chiasm:vision-prescription:vertex-distance";
/// What was added to the exam after it was signed.
pub const ADDENDA: &str = "urn:chiasm:vision-prescription:addenda";

/// Everything that the resource says, in the terms of the exam.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    pub rx: &'a Prescription,
    pub encounter_id: &'a str,
    pub patient_id: &'a str,
    pub chart_number: &'a str,
    pub prescriber_id: &'a str,
    pub prescriber_name: &'a str,
    /// With the offset of the clinic: `2026-11-23T10:31:00-05:00`.
    pub signed_at: &'a str,
    /// The version of the final prescription that was signed.
    pub version: i64,
    /// The document that the signature covers.
    pub snapshot_sha256: &'a str,
    /// Autorefractions with which the subjective refraction began: id and hash of the document.
    pub readings: &'a [(String, String)],
    /// How many, and the moment of the last one in the form of `signed_at`.
    pub addenda: Option<(usize, String)>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VisionPrescription {
    resource_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    text: Narrative,
    extension: Vec<Extension>,
    identifier: Vec<Identifier>,
    status: &'static str,
    created: String,
    patient: Reference,
    encounter: Reference,
    date_written: String,
    prescriber: Reference,
    lens_specification: Vec<Lens>,
}

#[derive(Debug, Serialize)]
struct Narrative {
    status: &'static str,
    div: String,
}

#[derive(Debug, Clone, Serialize)]
struct Identifier {
    system: &'static str,
    value: String,
}

#[derive(Debug, Default, Serialize)]
struct Reference {
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identifier: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display: Option<String>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Extension {
    url: &'static str,
    /// Either these or one value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    extension: Vec<Extension>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_reference: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_quantity: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_unsigned_int: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_date_time: Option<String>,
}

#[derive(Debug, Serialize)]
struct Quantity {
    value: Hundredths,
    unit: &'static str,
    system: &'static str,
    code: &'static str,
}

#[derive(Debug, Serialize)]
struct Lens {
    product: Product,
    eye: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sphere: Option<Dioptres>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cylinder: Option<Dioptres>,
    #[serde(skip_serializing_if = "Option::is_none")]
    axis: Option<i16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prism: Vec<LensPrism>,
    #[serde(skip_serializing_if = "Option::is_none")]
    add: Option<Dioptres>,
}

#[derive(Debug, Serialize)]
struct Product {
    coding: [Coding; 1],
    text: &'static str,
}

#[derive(Debug, Serialize)]
struct Coding {
    system: &'static str,
    code: &'static str,
}

#[derive(Debug, Serialize)]
struct LensPrism {
    amount: Dioptres,
    base: &'static str,
}

/// The resource; none while neither eye has a lens.
pub fn resource(facts: &Facts<'_>) -> Option<VisionPrescription> {
    let eyes = [("right", &facts.rx.right), ("left", &facts.rx.left)];
    let lenses: Vec<Lens> = eyes.into_iter().filter_map(|(eye, rx)| lens(eye, rx)).collect();
    if lenses.is_empty() {
        return None;
    }
    let name = format!("{}/final/{}", facts.encounter_id, facts.version);
    let identifier = |system, value: &str| Identifier { system, value: value.to_owned() };
    Some(VisionPrescription {
        resource_type: "VisionPrescription",
        id: is_fhir_id(facts.encounter_id).then(|| facts.encounter_id.to_owned()),
        text: Narrative { status: "generated", div: narrative(facts) },
        extension: extensions(facts),
        identifier: vec![
            identifier("urn:chiasm:exam-entry", &name),
            identifier("urn:chiasm:signed-record-sha256", facts.snapshot_sha256),
        ],
        status: "active",
        created: facts.signed_at.to_owned(),
        patient: Reference {
            reference: Some(format!("Patient/{}", facts.patient_id)),
            kind: Some("Patient"),
            identifier: Some(identifier("urn:chiasm:chart-number", facts.chart_number)),
            display: None,
        },
        encounter: Reference {
            reference: Some(format!("Encounter/{}", facts.encounter_id)),
            kind: Some("Encounter"),
            ..Reference::default()
        },
        date_written: facts.signed_at.to_owned(),
        prescriber: Reference {
            kind: Some("Practitioner"),
            identifier: Some(identifier("urn:chiasm:account", facts.prescriber_id)),
            display: Some(facts.prescriber_name.to_owned()),
            ..Reference::default()
        },
        lens_specification: lenses,
    })
}

fn lens(eye: &'static str, rx: &EyeRx) -> Option<Lens> {
    if rx.is_empty() {
        return None;
    }
    let system = "http://terminology.hl7.org/CodeSystem/ex-visionprescriptionproduct";
    let prisms = [rx.prism_horizontal, rx.prism_vertical].into_iter().flatten();
    Some(Lens {
        product: Product { coding: [Coding { system, code: "lens" }], text: "Glasses" },
        eye,
        sphere: rx.sphere,
        cylinder: rx.cylinder,
        axis: rx.axis_deg,
        prism: prisms
            .map(|PrismComponent { amount, base }| prism(amount, base_word(base)))
            .collect(),
        add: rx.add,
    })
}

/// A base is each eye's own and stands as the doctor wrote it (R24).
fn prism(amount: Dioptres, base: &'static str) -> LensPrism {
    LensPrism { amount, base }
}

fn extensions(facts: &Facts<'_>) -> Vec<Extension> {
    let based_on = |kind, (system, value): (_, String), display: String| Extension {
        url: BASED_ON,
        value_reference: Some(Reference {
            kind: Some(kind),
            identifier: Some(Identifier { system, value }),
            display: Some(display),
            ..Reference::default()
        }),
        ..Extension::default()
    };
    let mut all = Vec::new();
    if let Some(it) = &facts.rx.based_on {
        let version = it.subjective_version;
        let name = format!("{}/subjective/{version}", facts.encounter_id);
        let words = format!("Subjective refraction, version {version}");
        all.push(based_on("Observation", ("urn:chiasm:exam-entry", name), words));
    }
    for (reading, sha256) in facts.readings {
        let words = format!("Autorefraction with which it began, document sha256 {sha256}");
        all.push(based_on("Observation", ("urn:chiasm:reading", reading.clone()), words));
    }
    if let Some(value) = facts.rx.vertex_distance_mm {
        let (unit, system) = ("mm", "http://unitsofmeasure.org");
        let quantity = Quantity { value, unit, system, code: "mm" };
        let value_quantity = Some(quantity);
        all.push(Extension { url: VERTEX_DISTANCE, value_quantity, ..Extension::default() });
    }
    if let Some((count, last)) = &facts.addenda {
        let count =
            Extension { url: "count", value_unsigned_int: Some(*count), ..Extension::default() };
        let last =
            Extension { url: "last", value_date_time: Some(last.clone()), ..Extension::default() };
        all.push(Extension { url: ADDENDA, extension: vec![count, last], ..Extension::default() });
    }
    all
}

/// What a person reads where a program shows no fields.
fn narrative(facts: &Facts<'_>) -> String {
    let mut text = String::from("<div xmlns=\"http://www.w3.org/1999/xhtml\">");
    for (eye, rx) in [("OD", &facts.rx.right), ("OS", &facts.rx.left)] {
        text.push_str(&format!("<p>{eye} {}</p>", escape(&rx.to_string())));
    }
    if let Some(mm) = facts.rx.vertex_distance_mm {
        text.push_str(&format!("<p>Vertex distance {mm} mm</p>"));
    }
    if !facts.rx.note.is_empty() {
        text.push_str(&format!("<p>{}</p>", escape(&facts.rx.note)));
    }
    let (signer, when) = (escape(facts.prescriber_name), escape(facts.signed_at));
    text.push_str(&format!("<p>Signed by {signer}, {when}</p>"));
    if let Some((count, _)) = &facts.addenda {
        text.push_str(&format!(
            "<p>Amended: {count} addend{} after the signature. Ask the prescriber before glasses are \
             made.</p>",
            if *count == 1 { "um" } else { "a" }
        ));
    }
    text.push_str("</div>");
    text
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What the standard takes for an id.
fn is_fhir_id(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    (1..=64).contains(&text.len()) && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chiasm_proto::Base;

    fn facts(rx: &Prescription) -> Facts<'_> {
        Facts {
            rx,
            encounter_id: "e-1",
            patient_id: "p-1",
            chart_number: "A-1",
            prescriber_id: "okafor",
            prescriber_name: "Dr. <O>",
            signed_at: "2026-11-23T10:31:00-05:00",
            version: 2,
            snapshot_sha256: "00",
            readings: &[],
            addenda: None,
        }
    }

    #[test]
    fn an_eye_without_a_lens_is_left_out_and_text_is_escaped() {
        let mut rx = Prescription::default();
        assert!(resource(&facts(&rx)).is_none());
        rx.left.sphere = Some(Hundredths(-350));
        rx.left.prism_horizontal =
            Some(PrismComponent { amount: Hundredths(100), base: Base::Out });
        let json = serde_json::to_value(resource(&facts(&rx)).unwrap()).unwrap();
        let lenses = json["lensSpecification"].as_array().unwrap();
        assert_eq!(lenses.len(), 1);
        assert_eq!(lenses[0]["eye"], "left");
        assert_eq!(lenses[0]["prism"][0]["base"], "out", "R24: as written, not mirrored");
        assert!(lenses[0].get("axis").is_none());
        let div = json["text"]["div"].as_str().unwrap();
        assert!(div.contains("Dr. &lt;O&gt;") && div.contains("-3.50"), "{div}");
    }
}

//! What FHIR R4 demands of a `VisionPrescription`, written down from the definition of the resource:
//! known elements, cardinalities, value sets and the forms of primitive values.

use serde_json::{Map, Value};

/// Name, least, most (none: any number).
type Element = (&'static str, usize, Option<usize>);

const RESOURCE: &[Element] = &[
    ("resourceType", 1, Some(1)),
    ("id", 0, Some(1)),
    ("meta", 0, Some(1)),
    ("implicitRules", 0, Some(1)),
    ("language", 0, Some(1)),
    ("text", 0, Some(1)),
    ("contained", 0, None),
    ("extension", 0, None),
    ("modifierExtension", 0, None),
    ("identifier", 0, None),
    ("status", 1, Some(1)),
    ("created", 1, Some(1)),
    ("patient", 1, Some(1)),
    ("encounter", 0, Some(1)),
    ("dateWritten", 1, Some(1)),
    ("prescriber", 1, Some(1)),
    ("lensSpecification", 1, None),
];
const LENS: &[Element] = &[
    ("id", 0, Some(1)),
    ("extension", 0, None),
    ("product", 1, Some(1)),
    ("eye", 1, Some(1)),
    ("sphere", 0, Some(1)),
    ("cylinder", 0, Some(1)),
    ("axis", 0, Some(1)),
    ("prism", 0, None),
    ("add", 0, Some(1)),
    ("power", 0, Some(1)),
    ("backCurve", 0, Some(1)),
    ("diameter", 0, Some(1)),
    ("duration", 0, Some(1)),
    ("color", 0, Some(1)),
    ("brand", 0, Some(1)),
    ("note", 0, None),
];
const PRISM: &[Element] = &[("amount", 1, Some(1)), ("base", 1, Some(1))];
const REFERENCE: &[Element] = &[
    ("reference", 0, Some(1)),
    ("type", 0, Some(1)),
    ("identifier", 0, Some(1)),
    ("display", 0, Some(1)),
];
const STATUS: [&str; 4] = ["active", "cancelled", "draft", "entered-in-error"];
/// What is wrong with a resource, in words.
pub fn faults(resource: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let Some(it) = elements(resource, "VisionPrescription", RESOURCE, &mut faults) else {
        return faults;
    };
    let mut must = |is: bool, what: &str| {
        if !is {
            faults.push(what.to_owned());
        }
    };
    must(it.get("resourceType") == Some(&"VisionPrescription".into()), "resourceType");
    must(code(it.get("status"), &STATUS), "status is not in the value set");
    must(it.get("id").is_none_or(is_id), "id has other characters");
    must(it.get("created").is_some_and(is_date_time), "created is no dateTime");
    must(it.get("dateWritten").is_some_and(is_date_time), "dateWritten is no dateTime");
    let narrative = it.get("text");
    let div = narrative.and_then(|text| text["div"].as_str()).unwrap_or("");
    let is_xhtml = div.starts_with("<div xmlns=\"http://www.w3.org/1999/xhtml\">");
    must(narrative.is_none() || is_xhtml && div.ends_with("</div>"), "the narrative is no div");
    let states = ["generated", "extensions", "additional", "empty"];
    must(narrative.is_none_or(|text| code(text.get("status"), &states)), "text.status");
    for (name, kinds) in [
        ("patient", &["Patient"][..]),
        ("encounter", &["Encounter"]),
        ("prescriber", &["Practitioner", "PractitionerRole"]),
    ] {
        if let Some(value) = it.get(name) {
            reference(value, name, kinds, &mut faults);
        }
    }
    for identifier in it.get("identifier").and_then(Value::as_array).into_iter().flatten() {
        if !is_uri(&identifier["system"]) || !identifier["value"].is_string() {
            faults.push(format!("identifier {identifier}"));
        }
    }
    for extension in it.get("extension").and_then(Value::as_array).into_iter().flatten() {
        check_extension(extension, &mut faults);
    }
    for lens in it.get("lensSpecification").and_then(Value::as_array).into_iter().flatten() {
        check_lens(lens, &mut faults);
    }
    faults
}

fn check_lens(lens: &Value, faults: &mut Vec<String>) {
    let Some(it) = elements(lens, "lensSpecification", LENS, faults) else { return };
    if !code(it.get("eye"), &["right", "left"]) {
        faults.push("eye is not in the value set".into());
    }
    let product = it.get("product").unwrap_or(&Value::Null);
    let coding = product["coding"].as_array();
    let is_coded = coding.is_some_and(|all| all.iter().all(|it| is_uri(&it["system"])));
    if !is_coded && !product["text"].is_string() {
        faults.push("product is no CodeableConcept".into());
    }
    for name in ["sphere", "cylinder", "add", "power", "backCurve", "diameter"] {
        if it.get(name).is_some_and(|value| !value.is_number()) {
            faults.push(format!("{name} is no decimal"));
        }
    }
    // R7, stricter than the standard: 1 to 180, and there exactly when there is a cylinder.
    let has_cylinder = it.get("cylinder").and_then(Value::as_f64).is_some_and(|it| it != 0.0);
    let axis = it.get("axis").map(Value::as_i64);
    if axis.is_some() != has_cylinder || axis.is_some_and(|it| !matches!(it, Some(1..=180))) {
        faults.push(format!("axis {axis:?}"));
    }
    for prism in it.get("prism").and_then(Value::as_array).into_iter().flatten() {
        let Some(it) = elements(prism, "prism", PRISM, faults) else { continue };
        if !code(it.get("base"), &["up", "down", "in", "out"]) {
            faults.push("base is not in the value set".into());
        }
        if it.get("amount").and_then(Value::as_f64).is_none_or(|amount| amount < 0.0) {
            faults.push("the amount of a prism is a decimal without a sign".into());
        }
    }
}

/// An extension has an absolute name, and either values of its own kind or others inside.
fn check_extension(extension: &Value, faults: &mut Vec<String>) {
    let Some(it) = extension.as_object() else { return faults.push("an extension".into()) };
    let values = it.keys().filter(|key| key.starts_with("value")).count();
    let inner = it.get("extension").and_then(Value::as_array);
    if !is_uri(&extension["url"]) || values + usize::from(inner.is_some()) != 1 {
        faults.push(format!("extension {extension}"));
    }
    for it in inner.into_iter().flatten() {
        let values = it.as_object().map(|it| it.keys().filter(|key| key.starts_with("value")));
        if !it["url"].is_string() || values.map(Iterator::count) != Some(1) {
            faults.push(format!("extension {it}"));
        }
    }
    if let Some(value) = it.get("valueReference") {
        reference(value, "valueReference", &["Observation"], faults);
    }
}

fn reference(value: &Value, name: &str, kinds: &[&str], faults: &mut Vec<String>) {
    let Some(it) = elements(value, name, REFERENCE, faults) else { return };
    let text = |key: &str| it.get(key).and_then(Value::as_str);
    // ref-1 and ref-2: something of it is there; a relative one names its type.
    if ["reference", "identifier", "display"].iter().all(|key| !it.contains_key(*key)) {
        faults.push(format!("{name} refers to nothing"));
    }
    let named = text("reference").and_then(|it| it.split_once('/')).map(|(kind, _)| kind);
    if text("reference").is_some() && named.is_none_or(|kind| !kinds.contains(&kind)) {
        faults.push(format!("{name} refers to {named:?}"));
    }
    if text("type").is_some_and(|kind| !kinds.contains(&kind)) {
        faults.push(format!("{name} is of another type"));
    }
}

/// Checks names and numbers of elements.
fn elements<'v>(
    value: &'v Value,
    name: &str,
    known: &[Element],
    faults: &mut Vec<String>,
) -> Option<&'v Map<String, Value>> {
    let Some(it) = value.as_object() else {
        faults.push(format!("{name} is no object"));
        return None;
    };
    for key in it.keys().filter(|key| !known.iter().any(|(name, ..)| name == key)) {
        faults.push(format!("{name}.{key} is unknown"));
    }
    for (key, least, most) in known {
        let found = it.get(*key);
        let count = match found {
            None => 0,
            Some(Value::Array(items)) => items.len(),
            Some(_) => 1,
        };
        let is_list = found.is_some_and(Value::is_array);
        let is_empty = matches!(found, Some(Value::Null)) || is_list && count == 0;
        // What may be there any number of times is a list even where it is there once.
        if is_list != (found.is_some() && most.is_none()) || is_empty {
            faults.push(format!("{name}.{key} has the wrong form"));
        }
        if count < *least || most.is_some_and(|most| count > most) {
            faults.push(format!("{name}.{key} is there {count} times"));
        }
    }
    Some(it)
}

fn code(value: Option<&Value>, set: &[&str]) -> bool {
    value.and_then(Value::as_str).is_some_and(|it| set.contains(&it))
}
fn is_uri(value: &Value) -> bool {
    value.as_str().is_some_and(|it| it.contains(':') && !it.contains(' '))
}
fn is_id(value: &Value) -> bool {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '.';
    value.as_str().is_some_and(|it| (1..=64).contains(&it.len()) && it.chars().all(is_plain))
}
/// `2026-11-23T10:31:00-05:00`: a time needs its offset.
fn is_date_time(value: &Value) -> bool {
    value.as_str().is_some_and(|it| it.len() >= 20 && it.parse::<jiff::Timestamp>().is_ok())
}

#[test]
fn the_check_sees_what_is_wrong() {
    let right = serde_json::json!({
        "resourceType": "VisionPrescription", "status": "active",
        "created": "2026-11-23T10:31:00-05:00", "dateWritten": "2026-11-23T10:31:00-05:00",
        "patient": {"reference": "Patient/1"}, "prescriber": {"display": "Dr. O"},
        "lensSpecification": [{"product": {"text": "lens"}, "eye": "right", "sphere": -1.25}]
    });
    assert_eq!(faults(&right), Vec::<String>::new());
    for (path, value) in [
        ("/status", "signed".into()),
        ("/created", "23 Nov 2026".into()),
        ("/patient/reference", "Person/1".into()),
        ("/lensSpecification", serde_json::json!([])),
        ("/lensSpecification/0/eye", "OD".into()),
        ("/lensSpecification/0/sphere", "-1.25".into()),
    ] {
        let mut wrong = right.clone();
        *wrong.pointer_mut(path).unwrap() = value;
        assert!(!faults(&wrong).is_empty(), "{path}");
    }
    for more in [("axis", 90.into()), ("cylinder", (-0.75).into()), ("prism", Value::Null)] {
        let mut wrong = right.clone();
        wrong["lensSpecification"][0][more.0] = more.1;
        assert!(!faults(&wrong).is_empty(), "{}", more.0);
    }
}

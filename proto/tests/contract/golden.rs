//! Documents in `fixtures/v1` freeze the wire format. A document that no longer passes here means
//! that deployed gateways and the cloud no longer understand each other: change the code, not the
//! document. New fields get a new document, or a new field in one.

use crate::strategies;
use chiasm_proto::{
    Ack, Body, Envelope, InstanceOffer, InstanceProgress, Staff, Worklist,
    enrol::{ClaimError, ClaimRequest, ClaimResponse},
    fleet::{Sessions, State, Telemetry},
};
use proptest::{strategy::ValueTree, test_runner::TestRunner};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, fmt::Debug, fs, path::PathBuf};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1")
}

pub fn fixture(name: &str) -> Value {
    let path = folder().join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|err| panic!("{name}: {err}"))
}

/// Every document but the word lists, in the order of their names.
fn fixtures() -> Vec<(String, Value)> {
    let entries = fs::read_dir(folder()).expect("the folder of golden documents exists");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("readable").file_name().into_string().expect("plain name"))
        .filter(|name| name != "words.json")
        .collect();
    names.sort();
    names.into_iter().map(|name| (name.clone(), fixture(&name))).collect()
}

/// Parses, writes and compares; then the same with fields from the future in every object.
fn holds<T>(name: &str, document: &Value)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let read: T = serde_json::from_value(document.clone())
        .unwrap_or_else(|err| panic!("{name} no longer parses: {err}"));
    let written = serde_json::to_value(&read).expect("plain data always serialises");
    assert_eq!(&written, document, "{name} is written differently now");
    let newer = with_unknown_fields(document);
    let read_newer: T = serde_json::from_value(newer)
        .unwrap_or_else(|err| panic!("{name} with unknown fields is refused: {err}"));
    assert_eq!(read_newer, read, "{name}: unknown fields change its meaning");
}

fn with_unknown_fields(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Map<String, Value> = fields
                .iter()
                .map(|(key, field)| (key.clone(), with_unknown_fields(field)))
                .collect();
            fields.insert("a_field_from_the_future".into(), json!({"nested": [1, null, "x"]}));
            Value::Object(fields)
        }
        Value::Array(items) => Value::Array(items.iter().map(with_unknown_fields).collect()),
        plain => plain.clone(),
    }
}

/// Which type a document has, by the beginning of its file name.
fn check(name: &str, document: &Value) {
    let (kind, _) = name.split_once(['_', '.']).expect("has an extension");
    match kind {
        "reading" | "capture" | "event" | "step" | "act" => holds::<Envelope>(name, document),
        "ack" => holds::<Ack>(name, document),
        "state" => holds::<State>(name, document),
        "telemetry" => holds::<Telemetry>(name, document),
        "sessions" => holds::<Sessions>(name, document),
        "staff" => holds::<Staff>(name, document),
        "worklist" => holds::<Worklist>(name, document),
        "instance" => match name {
            "instance_offer.json" => holds::<InstanceOffer>(name, document),
            "instance_progress.json" => holds::<InstanceProgress>(name, document),
            _ => panic!("{name}: say here which type it has"),
        },
        "claim" => match name {
            "claim_request.json" => holds::<ClaimRequest>(name, document),
            "claim_response.json" => holds::<ClaimResponse>(name, document),
            "claim_error.json" => holds::<ClaimError>(name, document),
            _ => panic!("{name}: say here which type it has"),
        },
        _ => panic!("{name}: say here which type it has"),
    }
}

#[test]
fn every_golden_document_is_read_and_written_unchanged() {
    let documents = fixtures();
    assert!(documents.len() >= 20, "golden documents are missing");
    for (name, document) in documents {
        check(&name, &document);
    }
}

#[test]
fn raw_bytes_in_golden_documents_fit_their_hash() {
    let mut count = 0;
    for (name, document) in fixtures() {
        let Ok(envelope) = serde_json::from_value::<Envelope>(document) else { continue };
        let raw = match &envelope.body {
            Body::Reading(reading) => &reading.raw,
            Body::Capture(capture) => &capture.raw,
            Body::Event(_) | Body::ProcedureStep(_) | Body::LaneAct(_) => continue,
        };
        assert!(raw.is_intact(), "{name}");
        count += 1;
    }
    assert!(count >= 7);
}

/// A field that exists in the types but in no golden document could be renamed unseen. The fields
/// are found by generating documents, so a new one need not be listed here.
#[test]
fn golden_documents_use_every_field_there_is() {
    let mut frozen = BTreeSet::new();
    for (_, document) in fixtures() {
        paths(
            &document,
            document.pointer("/type").and_then(Value::as_str).unwrap_or(""),
            &mut frozen,
        );
    }
    let mut runner = TestRunner::deterministic();
    let mut used = BTreeSet::new();
    for _ in 0..400 {
        for document in strategies::one_of_each(&mut runner) {
            let kind = document.pointer("/type").and_then(Value::as_str).unwrap_or("").to_owned();
            paths(&document, &kind, &mut used);
        }
    }
    let not_frozen: Vec<&String> = used.difference(&frozen).collect();
    assert!(not_frozen.is_empty(), "in no golden document: {not_frozen:#?}");
}

/// Collects `parent type/key` of all objects, so that equal names in different places stay apart.
fn paths(value: &Value, above: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            let own_type = fields.get("type").and_then(Value::as_str).unwrap_or("");
            for (key, field) in fields {
                let path = format!("{above}{own_type}/{key}");
                paths(field, &path, into);
                into.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| paths(item, above, into)),
        _ => {}
    }
}

/// Draws one value and gives it as JSON.
pub fn draw<T: Serialize + Debug>(
    strategy: &impl proptest::strategy::Strategy<Value = T>,
    runner: &mut TestRunner,
) -> Value {
    let tree = strategy.new_tree(runner).expect("the strategies reject nothing");
    serde_json::to_value(tree.current()).expect("plain data always serialises")
}

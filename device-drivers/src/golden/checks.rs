//! The checks themselves.

use super::outcome::{Fixture, Outcome, content, fixtures, run, run_files};
use crate::{DriverSpec, Ending, ErrorCode, Event, Transport, format::framing::EOT};
use chiasm_proto::{Decoded, Integrity};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs};

/// Bytes that one check may push through a decoder in total. Transmissions on a line stay below it,
/// so that every bit is flipped; documents are larger and slower to read, and are sampled.
const LINE_BYTES_MAX: usize = 6_000_000;
const FILE_BYTES_MAX: usize = 2_000_000;
const NOISE: [u8; 4] = [0x00, 0xFF, 0x51, 0x37];

fn golden_json(outcome: &Outcome) -> Value {
    let event = |event: &Event| match event {
        Event::Decoded { decoded, .. } => json!({ "decoded": decoded }),
        Event::Rejected { error, raw } => json!({ "rejected": {
            "code": error.code.as_str(), "field": error.field, "offset": error.offset,
            "message": error.message, "len": raw.len(),
        }}),
        Event::Control { what, raw } => json!({ "control": what, "len": raw.len() }),
        Event::Overflow { raw } => json!({ "overflow": raw.len() }),
    };
    let transmitted = outcome.transmitted.iter().map(|bytes| bytes.escape_ascii().to_string());
    json!({
        "events": outcome.events.iter().map(event).collect::<Vec<_>>(),
        "transmitted": transmitted.collect::<Vec<_>>(),
    })
}

/// The events are those in the golden file.
pub fn whole(spec: &DriverSpec) {
    for Fixture { path, raw } in fixtures(spec) {
        let outcome = run(spec, [raw.as_slice()]);
        outcome.assert_conserves(&raw, &format!("{path:?}"));
        let found = golden_json(&outcome);
        let golden = path.with_extension("json");
        assert!(path.with_extension("md").exists(), "{path:?} has no .md that says what it is");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            let text = serde_json::to_string_pretty(&found).unwrap();
            fs::write(&golden, text + "\n").unwrap();
        }
        let text = fs::read_to_string(&golden).unwrap_or_else(|error| {
            panic!("{golden:?}: {error}. UPDATE_GOLDEN=1 writes it; read it against the .md")
        });
        let expected: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(found, expected, "{path:?}: UPDATE_GOLDEN=1 rewrites it if this is intended");
    }
}

/// How far to step so that `count` runs over `len` bytes stay within the budget. Odd and prime to
/// eight, so that sampled bit flips reach every bit of a byte.
fn stride(spec: &DriverSpec, count: usize, len: usize) -> usize {
    let bytes_max = match spec.transport {
        Transport::Serial(_) => LINE_BYTES_MAX,
        Transport::Folder { .. } => FILE_BYTES_MAX,
    };
    let stride = (count * len).div_ceil(bytes_max).max(1);
    if stride.is_multiple_of(2) { stride + 1 } else { stride }
}

/// The same bytes in pieces give the same events.
pub fn every_chunk_size(spec: &DriverSpec) {
    for Fixture { path, raw } in fixtures(spec) {
        let whole = run(spec, [raw.as_slice()]);
        let stride = stride(spec, raw.len(), raw.len());
        let sizes = (1..=64.min(raw.len())).chain((65..raw.len()).step_by(stride));
        for size in sizes {
            let outcome = run(spec, raw.chunks(size));
            assert_eq!(outcome, whole, "{path:?} in pieces of {size} bytes");
        }
    }
}

/// A transmission that is cut short gives nothing, or what it gave before its last bytes.
pub fn every_prefix(spec: &DriverSpec) {
    for Fixture { path, raw } in fixtures(spec) {
        let whole = run(spec, [raw.as_slice()]);
        let golden: Vec<Decoded> = whole.decoded().into_iter().map(content).collect();
        let stride = stride(spec, raw.len(), raw.len());
        let tail = raw.len().saturating_sub(64);
        for len in (0..tail).step_by(stride).chain(tail..raw.len()) {
            let outcome = run(spec, [&raw[..len]]);
            let what = format!("{path:?} cut to {len} bytes");
            outcome.assert_conserves(&raw[..len], &what);
            let decoded: Vec<Decoded> = outcome.decoded().into_iter().map(content).collect();
            if loses_wrong_checksum(&whole, &raw[..len]) {
                continue;
            }
            let is_part = match spec.ending {
                Ending::Marked => golden.starts_with(&decoded),
                Ending::Silence => is_part_of(&decoded, &golden),
            };
            assert!(is_part, "{what} gave other values: {decoded:#?}");
        }
    }
}

/// Whether the measurements hold nothing that the others do not: where no mark ends a transmission,
/// whole lines may be missing, but no value may be another one.
fn is_part_of(decoded: &[Decoded], golden: &[Decoded]) -> bool {
    fn is_part(part: &Value, whole: &Value) -> bool {
        match (part, whole) {
            (Value::Object(part), Value::Object(whole)) => part
                .iter()
                .all(|(key, value)| whole.get(key).is_some_and(|other| is_part(value, other))),
            (Value::Array(part), Value::Array(whole)) => {
                part.iter().all(|item| whole.iter().any(|other| is_part(item, other)))
            }
            _ => part == whole,
        }
    }
    let json = |all: &[Decoded]| -> Value {
        all.iter().map(|decoded| json!(decoded.measurements)).collect()
    };
    is_part(&json(decoded), &json(golden))
}

/// A frame whose wrong checksum is cut away whole is one that was sent without: it ends in EOT.
fn loses_wrong_checksum(whole: &Outcome, prefix: &[u8]) -> bool {
    let is_wrong = |event: &Event| match event {
        Event::Rejected { error, .. } => error.code == ErrorCode::Checksum,
        _ => false,
    };
    prefix.last() == Some(&EOT) && whole.events.iter().any(is_wrong)
}

/// A flipped bit never panics, never loses bytes, never makes a value vanish without a word, and
/// never changes one that a checksum protects.
pub fn every_bit_flip(spec: &DriverSpec) {
    for Fixture { path, raw } in fixtures(spec) {
        let whole = run(spec, [raw.as_slice()]);
        let bits = raw.len() * 8;
        for bit in (0..bits).step_by(stride(spec, bits, raw.len())) {
            let mut damaged = raw.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let what = format!("{path:?} with bit {} of byte {} flipped", bit % 8, bit / 8);
            let outcome = run(spec, [damaged.as_slice()]);
            outcome.assert_conserves(&damaged, &what);
            assert_protected(&whole, &outcome, &what);
            assert_nothing_vanished(&whole, &outcome, &what);
        }
    }
}

/// Where every reading had a checksum, the damaged run may give those readings and no others.
#[track_caller]
pub fn assert_protected(whole: &Outcome, damaged: &Outcome, what: &str) {
    let golden = whole.decoded();
    let by_checksum = golden.iter().all(|decoded| decoded.integrity == Integrity::Checksum);
    if golden.is_empty() || !by_checksum {
        return;
    }
    let golden: Vec<Decoded> = golden.into_iter().map(content).collect();
    for decoded in damaged.decoded() {
        assert!(golden.contains(&content(decoded)), "{what} gave other values: {decoded:#?}");
    }
}

/// Fewer values than before need a refusal, or a flag or an unknown record that was not there.
#[track_caller]
fn assert_nothing_vanished(whole: &Outcome, damaged: &Outcome, what: &str) {
    let values = |outcome: &Outcome| outcome.decoded().into_iter().map(value_count).sum::<usize>();
    if values(damaged) >= values(whole) {
        return;
    }
    let notes = |outcome: &Outcome| -> BTreeSet<String> {
        let notes = outcome.decoded().into_iter().flat_map(|decoded| {
            let flags = decoded.flags.iter().map(|flag| format!("{:?} {}", flag.code, flag.detail));
            let unknown = decoded.unknown_records.iter().map(|record| record.text.clone());
            flags.chain(unknown).collect::<Vec<_>>()
        });
        notes.collect()
    };
    let is_told = damaged.refused_len() > whole.refused_len()
        || notes(damaged).difference(&notes(whole)).next().is_some();
    assert!(is_told, "{what}: a value vanished without a word: {:#?}", damaged.events);
}

/// Numbers in the measurements. Angles do not count: they go with a cylinder that becomes zero.
fn value_count(decoded: &Decoded) -> usize {
    fn count(value: &Value) -> usize {
        match value {
            Value::Number(_) => 1,
            Value::Array(items) => items.iter().map(count).sum(),
            Value::Object(fields) => fields
                .iter()
                .filter(|(name, _)| !name.ends_with("_deg"))
                .map(|(_, value)| count(value))
                .sum(),
            _ => 0,
        }
    }
    count(&serde_json::to_value(&decoded.measurements).unwrap())
}

/// Two transmissions in a row are two: on a line without a pause, in a folder as two files.
pub fn back_to_back(spec: &DriverSpec) {
    for Fixture { path, raw } in fixtures(spec) {
        let whole = run(spec, [raw.as_slice()]);
        let is_line = matches!(spec.transport, Transport::Serial(_));
        let twice = raw.repeat(2);
        let outcome = if is_line { run(spec, [twice.as_slice()]) } else { run_files(spec, &raw) };
        outcome.assert_conserves(&twice, &format!("{path:?} twice"));
        if is_line && whole.refused_len() > 0 {
            continue; // what is left of a refused transmission may reach into the next one
        }
        let once: Vec<Decoded> = whole.decoded().into_iter().map(content).collect();
        let found: Vec<Decoded> = outcome.decoded().into_iter().map(content).collect();
        assert_eq!(found, [once.as_slice(), &once].concat(), "{path:?} twice");
    }
}

/// Noise in front of a transmission on a line is told and changes nothing else.
pub fn noise_before(spec: &DriverSpec) {
    for Fixture { path, raw } in fixtures(spec) {
        let whole = run(spec, [raw.as_slice()]);
        let noisy = [NOISE.as_slice(), &raw].concat();
        let outcome = run(spec, [noisy.as_slice()]);
        let what = format!("{path:?} after noise");
        outcome.assert_conserves(&noisy, &what);
        if matches!(spec.transport, Transport::Serial(_)) {
            let golden: Vec<Decoded> = whole.decoded().into_iter().map(content).collect();
            let found: Vec<Decoded> = outcome.decoded().into_iter().map(content).collect();
            assert_eq!(found, golden, "{what}");
            assert!(outcome.refused_len() > whole.refused_len(), "{what}: the noise is not told");
        }
    }
}

/// What is kept of one reading, its context in front, is read as that same reading again.
pub fn alone_with_its_context(spec: &DriverSpec) {
    for Fixture { path, raw } in fixtures(spec) {
        for (at, event) in run(spec, [raw.as_slice()]).events.iter().enumerate() {
            let Event::Decoded { decoded, context, raw } = event else { continue };
            if context.is_empty() {
                continue;
            }
            let kept = [context.as_slice(), raw].concat();
            let again = run(spec, [kept.as_slice()]);
            assert_eq!(again.decoded(), [decoded.as_ref()], "event {at} of {path:?} alone");
        }
    }
}

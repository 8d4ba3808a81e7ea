//! Structured reports: the numbers of a macular grid, under the names that the report gives them.

use super::{Found, head, text_test};
use crate::{
    DecodeError, ErrorCode,
    dicom::{Node, node::Code},
};
use chiasm_proto::{Eye, Measured, OtherValue};
use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};

/// Most numbers of an eye. A grid has eleven; reports with layers have some hundred.
const NUMBERS_MAX: usize = 256;
/// The grid's thicknesses and its volume in LOINC (CID 4285), and DICOM's own average.
const GRID: [(&str, &str); 12] = [
    ("LN", "57108-3"),
    ("LN", "57109-1"),
    ("LN", "57110-9"),
    ("LN", "57111-7"),
    ("LN", "57112-5"),
    ("LN", "57113-3"),
    ("LN", "57114-1"),
    ("LN", "57115-8"),
    ("LN", "57116-6"),
    ("LN", "57117-4"),
    ("LN", "57118-2"),
    ("DCM", "131255"),
];
const LATERALITY: [(&str, &str); 2] = [("SCT", "272741003"), ("SRT", "G-C171")];
const RIGHT: [(&str, &str); 2] = [("SCT", "24028007"), ("SRT", "G-A100")];
const LEFT: [(&str, &str); 2] = [("SCT", "7771000"), ("SRT", "G-A101")];
const VALUE_TYPES: [&str; 16] = [
    "TEXT",
    "NUM",
    "CODE",
    "DATETIME",
    "DATE",
    "TIME",
    "UIDREF",
    "PNAME",
    "COMPOSITE",
    "IMAGE",
    "WAVEFORM",
    "SCOORD",
    "SCOORD3D",
    "TCOORD",
    "CONTAINER",
    "TABLE",
];
const CONTENT: Tag = tags::CONTENT_SEQUENCE;

/// What a report says of each eye, in its order.
#[derive(Default)]
struct Said {
    eyes: Vec<(Eye, Vec<OtherValue>)>,
    has_grid: bool,
}

pub fn read(root: Node, into: &mut Found) -> Result<(), DecodeError> {
    let title = root.code(tags::CONCEPT_NAME_CODE_SEQUENCE)?;
    let eye = head::laterality(root)?.unwrap_or(Eye::NotGiven);
    let class = root.text(tags::SOP_CLASS_UID)?.unwrap_or_default();
    let mut said = Said::default();
    walk(root, eye, &mut said)?;
    root.ignore_known();
    if class != uids::MACULAR_GRID_THICKNESS_AND_VOLUME_REPORT_STORAGE && !said.has_grid {
        let what = "a report without a macular grid";
        return Err(root.refuse(CONTENT, ErrorCode::WrongKind, what));
    }
    let (code, name) = match title {
        Some(title) => (title.value, title.meaning),
        None => ("SR".into(), "report".into()),
    };
    for (eye, values) in said.eyes {
        if let Some(test) = text_test(&code, &name, values) {
            into.add(eye, Measured::OtherTest(test));
        }
    }
    Ok(())
}

/// The side that stands beside the numbers of a container holds for all that is in it.
fn walk(node: Node, eye: Eye, said: &mut Said) -> Result<(), DecodeError> {
    let items = node.items(CONTENT)?;
    let mut eye = eye;
    for item in &items {
        let concept = item.code(tags::CONCEPT_NAME_CODE_SEQUENCE)?;
        if concept.is_some_and(|concept| is_one_of(&concept, LATERALITY)) {
            eye = side(*item)?.unwrap_or(eye);
        }
    }
    for item in items {
        let kind = item.word(tags::VALUE_TYPE, &VALUE_TYPES)?;
        // By reference: what is meant stands elsewhere in the report.
        let Some(kind) = kind else { continue };
        if kind == "NUM" {
            number(item, eye, said)?;
        } else {
            walk(item, eye, said)?;
        }
        item.ignore_known();
    }
    Ok(())
}

fn is_one_of(code: &Code, codes: [(&str, &str); 2]) -> bool {
    codes.iter().any(|(scheme, value)| code.is(scheme, value))
}

fn side(item: Node) -> Result<Option<Eye>, DecodeError> {
    let Some(code) = item.code(tags::CONCEPT_CODE_SEQUENCE)? else { return Ok(None) };
    Ok(match (is_one_of(&code, RIGHT), is_one_of(&code, LEFT)) {
        (true, _) => Some(Eye::Right),
        (_, true) => Some(Eye::Left),
        _ => None,
    })
}

fn number(item: Node, eye: Eye, said: &mut Said) -> Result<(), DecodeError> {
    let mut eye = eye;
    for modifier in item.items(CONTENT)? {
        let concept = modifier.code(tags::CONCEPT_NAME_CODE_SEQUENCE)?;
        if concept.is_some_and(|concept| is_one_of(&concept, LATERALITY)) {
            eye = side(modifier)?.unwrap_or(eye);
        }
        modifier.ignore_known();
    }
    let concept = item.code(tags::CONCEPT_NAME_CODE_SEQUENCE)?;
    let concept = item.need(tags::CONCEPT_NAME_CODE_SEQUENCE, concept)?;
    said.has_grid |= GRID.iter().any(|(scheme, value)| concept.is(scheme, value));
    let Some(measured) = item.one(tags::MEASURED_VALUE_SEQUENCE)? else { return Ok(()) };
    let (as_sent, unit) = value(measured)?;
    let values = match said.eyes.iter_mut().find(|(of, _)| *of == eye) {
        Some((_, values)) => values,
        None => {
            said.eyes.push((eye, vec![]));
            &mut said.eyes.last_mut().expect("just pushed").1
        }
    };
    if values.len() >= NUMBERS_MAX {
        return Err(item.refuse(CONTENT, ErrorCode::Hostile, "too many numbers of one eye"));
    }
    values.push(OtherValue { name: concept.meaning, as_sent, unit });
    measured.ignore_known();
    Ok(())
}

/// The number and its unit.
fn value(node: Node) -> Result<(String, Option<String>), DecodeError> {
    let tag = tags::NUMERIC_VALUE;
    let text = node.need(tag, node.text(tag)?)?;
    let is_number = text.len() <= 16 && text.parse::<f64>().is_ok_and(f64::is_finite);
    if !is_number {
        return Err(node.malformed(tag, "not a decimal number"));
    }
    let unit = node.code(tags::MEASUREMENT_UNITS_CODE_SEQUENCE)?;
    Ok((text, unit.map(|code| code.value).filter(|unit| unit != "1")))
}

/// A number that stands by itself with its name, as objects other than reports hold it.
pub(super) fn numeric(node: Node) -> Result<Option<OtherValue>, DecodeError> {
    let Some(concept) = node.code(tags::CONCEPT_NAME_CODE_SEQUENCE)? else { return Ok(None) };
    if !node.has(tags::NUMERIC_VALUE) {
        return Ok(None);
    }
    let (as_sent, unit) = value(node)?;
    Ok(Some(OtherValue { name: concept.meaning, as_sent, unit }))
}

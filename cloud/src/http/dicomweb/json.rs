//! The DICOM JSON model (PS3.18, annex F).

use crate::imaging::{Charset, DataSet, Span, Value};
use base64::{Engine, engine::general_purpose::STANDARD};
use dicom_core::{Tag, VR};
use serde_json::{Map, Value as Json, json};

/// `7FE00010`.
pub fn name(tag: Tag) -> String {
    format!("{:04X}{:04X}", tag.group(), tag.element())
}

/// A tag from eight hexadecimal digits.
pub fn tag(name: &str) -> Option<Tag> {
    if name.len() != 8 || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let group = u16::from_str_radix(&name[..4], 16).ok()?;
    Some(Tag(group, u16::from_str_radix(&name[4..], 16).ok()?))
}

/// One element with texts; without a value where all of them are empty.
pub fn texts<'a>(vr: &str, values: impl IntoIterator<Item = &'a str>) -> Json {
    let values: Vec<&str> = values.into_iter().filter(|value| !value.is_empty()).collect();
    match (values.is_empty(), vr) {
        (true, _) => json!({ "vr": vr }),
        (false, "PN") => {
            let names: Vec<Json> = values.into_iter().map(person_name).collect();
            json!({ "vr": vr, "Value": names })
        }
        (false, _) => json!({ "vr": vr, "Value": values }),
    }
}

pub fn number(vr: &str, value: Option<i64>) -> Json {
    value.map_or_else(|| json!({ "vr": vr }), |value| json!({ "vr": vr, "Value": [value] }))
}

fn person_name(name: &str) -> Json {
    let mut object = Map::new();
    for (group, text) in ["Alphabetic", "Ideographic", "Phonetic"].into_iter().zip(name.split('='))
    {
        if !text.is_empty() {
            object.insert(group.into(), text.into());
        }
    }
    Json::Object(object)
}

/// A whole data set. What is too long to stand in it is named by `bulk`, which gives its address.
pub fn data_set(set: &DataSet, charset: &Charset, bulk: &dyn Fn(Tag, Span) -> String) -> Json {
    let mut object = Map::new();
    for (tag, value) in set.iter() {
        // Lengths of groups mean nothing here.
        if tag.element() != 0 {
            object.insert(name(tag), element(set, (tag, value), charset, bulk));
        }
    }
    Json::Object(object)
}

fn element(
    set: &DataSet,
    (tag, value): (Tag, &Value),
    charset: &Charset,
    bulk: &dyn Fn(Tag, Span) -> String,
) -> Json {
    match value {
        Value::Items(items) if items.is_empty() => json!({ "vr": "SQ" }),
        Value::Items(items) => {
            let items: Vec<Json> = items.iter().map(|item| data_set(item, charset, bulk)).collect();
            json!({ "vr": "SQ", "Value": items })
        }
        Value::Elsewhere(span) => json!({ "vr": "OB", "BulkDataURI": bulk(tag, *span) }),
        Value::Bytes { vr, bytes } if bytes.is_empty() => json!({ "vr": vr.to_string() }),
        Value::Bytes { vr, bytes } => match vr {
            VR::US | VR::SS | VR::UL | VR::SL | VR::IS => {
                let numbers: Vec<Json> =
                    set.numbers(tag).into_iter().map(|it| json!(it as i64)).collect();
                json!({ "vr": vr.to_string(), "Value": numbers })
            }
            VR::FL | VR::FD | VR::DS => {
                let numbers: Vec<Json> = set
                    .numbers(tag)
                    .into_iter()
                    .map(|it| if it.is_finite() { json!(it) } else { Json::Null })
                    .collect();
                json!({ "vr": vr.to_string(), "Value": numbers })
            }
            VR::AT => {
                let tags: Vec<String> = bytes
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .map(|[a, b, c, d]| {
                        name(Tag(u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d])))
                    })
                    .collect();
                json!({ "vr": "AT", "Value": tags })
            }
            VR::OB | VR::OW | VR::OF | VR::OD | VR::OL | VR::OV | VR::UN | VR::SV | VR::UV => {
                json!({ "vr": vr.to_string(), "InlineBinary": STANDARD.encode(bytes) })
            }
            VR::LT | VR::ST | VR::UT | VR::UR => {
                let text = set.text(tag, charset).unwrap_or_default();
                texts(&vr.to_string(), [text.as_str()])
            }
            _ => {
                let text = set.text(tag, charset).unwrap_or_default();
                texts(&vr.to_string(), text.split('\\').map(str::trim))
            }
        },
    }
}

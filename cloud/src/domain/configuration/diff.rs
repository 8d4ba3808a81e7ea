//! What is different between two configurations, link by link.

use chiasm_proto::config::{Document, Imager, LinkTable};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Added,
    Removed,
    Changed,
}

impl Change {
    pub fn in_words(self) -> &'static str {
        match self {
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Changed => "changed",
        }
    }
}

/// A link or imager that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub id: String,
    pub change: Change,
    pub fields: Vec<Field>,
}

/// One of its fields; empty where it is not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub before: String,
    pub after: String,
}

/// By the order of names.
pub fn difference(before: &Document, after: &Document) -> Vec<Difference> {
    let (before, after) = (fields(before), fields(after));
    let ids: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let nothing = BTreeMap::new();
    let of = |id: &String| {
        let change = match (before.get(id), after.get(id)) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            (before, after) if before == after => return None,
            _ => Change::Changed,
        };
        let (before, after) =
            (before.get(id).unwrap_or(&nothing), after.get(id).unwrap_or(&nothing));
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let fields = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
        let text =
            |map: &BTreeMap<String, String>, name| map.get(name).cloned().unwrap_or_default();
        let fields = fields.map(|name| Field {
            name: name.clone(),
            before: text(before, name),
            after: text(after, name),
        });
        Some(Difference { id: id.clone(), change, fields: fields.collect() })
    };
    ids.into_iter().filter_map(of).collect()
}

/// The fields of everything by its name, as they are written.
fn fields(document: &Document) -> BTreeMap<String, BTreeMap<String, String>> {
    let links = document.link.iter().map(|it: &LinkTable| (it.id.to_string(), flat(it)));
    let imagers = document.imager.iter().map(|it: &Imager| (it.id.to_string(), flat(it)));
    links.chain(imagers).collect()
}

fn flat(table: &impl Serialize) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let value = serde_json::to_value(table).expect("plain data always serialises");
    flatten(&value, "", &mut fields);
    fields.remove("id");
    fields
}

fn flatten(value: &Value, name: &str, fields: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                flatten(value, &name, fields);
            }
        }
        Value::String(text) => drop(fields.insert(name.to_owned(), text.clone())),
        other => drop(fields.insert(name.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(links: &[(&str, &str, u32)]) -> Document {
        let link = |(id, lane, baud): &(&str, &str, u32)| {
            format!(
                r#"{{"id":"{id}","lane":"{lane}","driver":"nidek_ark",
                   "serial":{{"port":"usb:A","baud":{baud}}}}}"#
            )
        };
        let links: Vec<String> = links.iter().map(link).collect();
        Document::from_json(&format!(r#"{{"link":[{}]}}"#, links.join(","))).unwrap()
    }

    #[test]
    fn what_was_added_removed_and_changed_is_named_field_by_field() {
        let before = document(&[("ark", "lane-1", 9600), ("gone", "lane-1", 9600), ("as", "x", 1)]);
        let after = document(&[("as", "x", 1), ("ark", "lane-2", 2400), ("new", "lane-1", 9600)]);
        let found = difference(&before, &after);
        let names: Vec<_> = found.iter().map(|it| (it.id.as_str(), it.change)).collect();
        let expected =
            [("ark", Change::Changed), ("gone", Change::Removed), ("new", Change::Added)];
        assert_eq!(names, expected);
        let fields: Vec<_> = found[0]
            .fields
            .iter()
            .map(|it| (it.name.as_str(), it.before.as_str(), it.after.as_str()))
            .collect();
        assert_eq!(fields, [("lane", "lane-1", "lane-2"), ("serial.baud", "9600", "2400")]);
        assert!(difference(&after, &after).is_empty());
    }
}

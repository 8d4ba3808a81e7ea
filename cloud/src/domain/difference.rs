//! What changed between two JSON values, in few words: for the audit, which says old and new where
//! that is short.

use serde_json::Value;
use std::collections::BTreeMap;

/// Longest text of one side, in characters.
pub const DIFFERENCE_LEN_MAX: usize = 400;

/// The parts that differ, by their path: what they were, and what they are. A part that was added
/// or left out stands on one side only.
pub fn difference(before: &Value, after: &Value) -> (String, String) {
    let (before, after) = (leaves(before), leaves(after));
    let only = |of: &BTreeMap<String, String>, other: &BTreeMap<String, String>| {
        let parts = of.iter().filter(|(path, value)| other.get(*path) != Some(*value));
        let parts: Vec<String> = parts.map(|(path, value)| format!("{path} {value}")).collect();
        shorten(&parts.join(", "), DIFFERENCE_LEN_MAX)
    };
    (only(&before, &after), only(&after, &before))
}

/// A text of at most so many characters; what is cut off shows as an ellipsis.
pub fn shorten(text: &str, most: usize) -> String {
    if text.len() <= most || text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most.saturating_sub(1)).collect();
    cut.push('\u{2026}');
    cut
}

fn leaves(value: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    collect(value, String::new(), &mut found);
    found
}

fn collect(value: &Value, path: String, found: &mut BTreeMap<String, String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (key, value) in fields {
                collect(value, below(key), found);
            }
        }
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                collect(value, below(&(at + 1).to_string()), found);
            }
        }
        Value::String(text) => {
            found.insert(path, text.clone());
        }
        Value::Bool(_) | Value::Number(_) => {
            found.insert(path, value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_what_changed_and_nothing_else() {
        let before = json!({"OD": {"iop": 17, "shots": [16, 18]}, "OS": {"iop": 15}});
        let after =
            json!({"OD": {"iop": 18, "shots": [16, 18, 20]}, "OS": {"iop": 15}, "why": "x"});
        let (old, new) = difference(&before, &after);
        assert_eq!(old, "OD.iop 17");
        assert_eq!(new, "OD.iop 18, OD.shots.3 20, why x");
        assert_eq!(difference(&before, &before), (String::new(), String::new()));
    }

    #[test]
    fn stays_short() {
        let long = json!({"text": "\u{e9}".repeat(3 * DIFFERENCE_LEN_MAX)});
        let (old, new) = difference(&Value::Null, &long);
        assert_eq!(old, "");
        assert_eq!(new.chars().count(), DIFFERENCE_LEN_MAX);
        assert!(new.ends_with('\u{2026}'));
    }
}

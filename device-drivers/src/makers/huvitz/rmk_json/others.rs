//! What an object holds beside the refraction.

use super::{SIDES, Sent, cornea};
use crate::format::fields::Number;
use chiasm_proto::{Hundredths, UnknownRecord};

const DISTANCES: [&str; 2] = ["pd", "vd"];

/// A value beside the refraction: its key as sent and in lower case.
pub struct Other {
    pub key: String,
    pub name: String,
    pub sent: Option<Sent>,
}

impl Other {
    pub fn kept(self) -> Option<UnknownRecord> {
        let Sent { text, offset, .. } = self.sent?;
        Some(UnknownRecord { offset, text: format!("{}: {text}", self.key) })
    }
}

/// The name of a value beside the refraction, if it is one of those known.
pub fn other_name(key: &str) -> Option<String> {
    let name = key.to_ascii_lowercase();
    let of_cornea = |side: &str| {
        let part = name.strip_prefix(side)?.strip_prefix('_')?;
        cornea::PARTS.contains(&part).then_some(())
    };
    let is_known = DISTANCES.contains(&name.as_str())
        || SIDES.into_iter().any(|side| of_cornea(side).is_some());
    is_known.then_some(name)
}

/// Takes a distance out of the values; zero is none, and what is too fine for a value is text.
pub fn distance(
    others: &mut Vec<Other>,
    name: &str,
    unknown: &mut Vec<UnknownRecord>,
) -> Option<Hundredths> {
    let at = others.iter().position(|other| other.name == name)?;
    let other = others.remove(at);
    match other.sent.as_ref()?.number {
        Number::Hundredths(mm) => Some(mm).filter(|mm| !mm.is_zero()),
        Number::Finer(_) => {
            unknown.extend(other.kept());
            None
        }
    }
}

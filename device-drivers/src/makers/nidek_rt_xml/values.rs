//! Numbers as this dialect writes them: the unit in an attribute, behind the number, or both.

use crate::{
    DecodeError,
    format::{
        fields::{Field, Number},
        xml::{El, Key},
    },
};
use chiasm_proto::{Eye, Hundredths};

pub const DIOPTRES: &[&str] = &["D"];
/// The last one is what the sign for degrees in Windows-1252 looks like where the rest of an
/// eight-bit document is valid Shift_JIS too.
pub const DEGREES: &[&str] = &["deg", "°", "\u{ff70}"];
pub const MILLIMETRES: &[&str] = &["mm"];
pub const CENTIMETRES: &[&str] = &["cm"];
pub const MMHG: &[&str] = &["mmHg"];
pub const KPA: &[&str] = &["kPa"];
pub const MICROMETRES: &[&str] = &["um", "µm", "μm"];
pub const SECONDS: &[&str] = &["sec", "s"];

/// The tokens of the two eyes.
pub const EYES: [(Eye, &str); 2] = [(Eye::Right, "R"), (Eye::Left, "L")];

/// An element's text without its unit. Refused in another unit than these.
pub fn without_unit<'t>(leaf: El<'t>, units: &[&str]) -> Result<&'t str, DecodeError> {
    let attribute = leaf.node().attribute("unit").map_or("", str::trim);
    if !attribute.is_empty() && !units.iter().any(|unit| unit.eq_ignore_ascii_case(attribute)) {
        let known = units.first().copied().unwrap_or("none");
        return Err(leaf.malformed(format!("in another unit than {known}")));
    }
    let text = leaf.text();
    let bare = units.iter().find_map(|unit| text.strip_suffix(unit));
    Ok(bare.map_or(text, str::trim_end))
}

/// A child's number; none if the child is empty or absent.
pub fn any_number(
    parent: El,
    key: impl Key,
    units: &[&str],
) -> Result<Option<Number>, DecodeError> {
    let Some(leaf) = parent.leaf(key) else { return Ok(None) };
    let text = without_unit(leaf, units)?;
    let path = leaf.path();
    Field::new(text, leaf.node().offset(), &path).number().map(Some)
}

/// A child's number with at most two decimals.
pub fn number(
    parent: El,
    key: impl Key,
    units: &[&str],
) -> Result<Option<Hundredths>, DecodeError> {
    let Some(leaf) = parent.peek(key) else { return Ok(None) };
    match any_number(parent, key, units)? {
        None => Ok(None),
        Some(Number::Hundredths(number)) => Ok(Some(number)),
        Some(Number::Finer(_)) => Err(leaf.malformed("more than two decimals")),
    }
}

/// A child's whole number of degrees.
pub fn degrees(parent: El, key: impl Key) -> Result<Option<i16>, DecodeError> {
    let Some(leaf) = parent.peek(key) else { return Ok(None) };
    let Some(number) = number(parent, key, DEGREES)? else { return Ok(None) };
    match i16::try_from(number.0 / 100) {
        Ok(whole) if number.0 % 100 == 0 => Ok(Some(whole)),
        _ => Err(leaf.malformed("not a whole number of degrees")),
    }
}

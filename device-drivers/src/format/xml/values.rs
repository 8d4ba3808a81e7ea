//! Numbers as documents write them.

use super::{El, Key};
use crate::DecodeError;
use chiasm_proto::{CylinderMode, Hundredths};

pub const DIOPTRES: &str = "D";
pub const DEGREES: &str = "deg";
pub const MILLIMETRES: &str = "mm";
pub const CENTIMETRES: &str = "cm";
pub const MMHG: &str = "mmHg";

/// A decimal number with a point or, from PCs with such a locale, a comma; never both.
fn decimal(leaf: El, unit: &str) -> Result<String, DecodeError> {
    if let Some(sent) = leaf.node().attribute("unit").map(str::trim)
        && !sent.is_empty()
        && !sent.eq_ignore_ascii_case(unit)
    {
        return Err(leaf.malformed(format!("in another unit than {unit}")));
    }
    let text = leaf.text();
    if text.contains(',') && text.contains('.') {
        return Err(leaf.malformed("a number with point and comma"));
    }
    Ok(text.replace(',', "."))
}

/// A child's number with at most two decimals; none if the child is empty or absent.
pub fn number(parent: El, key: impl Key, unit: &str) -> Result<Option<Hundredths>, DecodeError> {
    let Some(leaf) = parent.leaf(key) else { return Ok(None) };
    let number = decimal(leaf, unit)?
        .parse()
        .map_err(|_| leaf.malformed("not a number with at most two decimals"))?;
    Ok(Some(number))
}

/// A child's whole number, such as an axis.
pub fn whole(parent: El, key: impl Key, unit: &str) -> Result<Option<i16>, DecodeError> {
    let Some(leaf) = parent.peek(key) else { return Ok(None) };
    let Some(number) = number(parent, key, unit)? else { return Ok(None) };
    match i16::try_from(number.0 / 100) {
        Ok(whole) if number.0 % 100 == 0 => Ok(Some(whole)),
        _ => Err(leaf.malformed("not a whole number of degrees")),
    }
}

/// A child's thickness, sent in millimetres with three decimals, in micrometres.
pub fn micrometres(parent: El, key: impl Key) -> Result<Option<u16>, DecodeError> {
    let Some(leaf) = parent.leaf(key) else { return Ok(None) };
    let text = decimal(leaf, MILLIMETRES)?;
    let refuse = || leaf.malformed("not a thickness in millimetres with at most three decimals");
    let digits = text.strip_prefix('+').unwrap_or(&text);
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let (kept, dropped) = decimals.split_at_checked(3).unwrap_or((decimals, ""));
    let is_number = whole.len() + kept.len() > 0
        && (whole.bytes().chain(kept.bytes())).all(|byte| byte.is_ascii_digit())
        && dropped.bytes().all(|byte| byte == b'0');
    if !is_number || whole.len() > 2 {
        return Err(refuse());
    }
    format!("{whole}{kept:0<3}").parse().map(Some).map_err(|_| refuse())
}

/// Without a cylinder there is no axis (R7).
pub fn axis_unless_zero(cylinder: Option<Hundredths>, axis_deg: Option<i16>) -> Option<i16> {
    axis_deg.filter(|_| cylinder.is_some_and(|cylinder| !cylinder.is_zero()))
}

/// The same, where a cylinder without its axis refuses the document: it says nothing by itself, and
/// which axis was lost is not known.
pub fn axis_beside(
    el: El,
    cylinder: Option<Hundredths>,
    axis_deg: Option<i16>,
) -> Result<Option<i16>, DecodeError> {
    if axis_deg.is_none() && cylinder.is_some_and(|cylinder| !cylinder.is_zero()) {
        return Err(el.malformed("a cylinder without an axis"));
    }
    Ok(axis_unless_zero(cylinder, axis_deg))
}

/// The instrument's cylinder convention. A word that is not known is left unread.
pub fn cylinder_mode(parent: El, key: impl Key) -> Option<CylinderMode> {
    let leaf = parent.peek(key)?;
    let mode = match leaf.text() {
        "-" => Some(CylinderMode::Minus),
        "+" => Some(CylinderMode::Plus),
        text if text.eq_ignore_ascii_case("mix") => Some(CylinderMode::Mixed),
        "" => None,
        _ => return None,
    };
    leaf.done();
    mode
}

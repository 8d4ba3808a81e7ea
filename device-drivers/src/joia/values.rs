//! Numbers and shots as the format writes them.

use super::cursor::{El, Ns};
use crate::DecodeError;
use chiasm_proto::{Confidence, CylinderMode, Eye, FlagCode, Hundredths, Representative, Shot};

/// The tokens of the two eyes.
pub const EYES: [(Eye, &str); 2] = [(Eye::Right, "R"), (Eye::Left, "L")];

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
pub fn number(
    parent: El,
    ns: Ns,
    name: &str,
    unit: &str,
) -> Result<Option<Hundredths>, DecodeError> {
    let Some(leaf) = parent.leaf(ns, name) else { return Ok(None) };
    let number = decimal(leaf, unit)?
        .parse()
        .map_err(|_| leaf.malformed("not a number with at most two decimals"))?;
    Ok(Some(number))
}

/// A child's whole number, such as an axis.
pub fn whole(parent: El, ns: Ns, name: &str, unit: &str) -> Result<Option<i16>, DecodeError> {
    let Some(leaf) = parent.peek(ns, name) else { return Ok(None) };
    let Some(number) = number(parent, ns, name, unit)? else { return Ok(None) };
    match i16::try_from(number.0 / 100) {
        Ok(whole) if number.0 % 100 == 0 => Ok(Some(whole)),
        _ => Err(leaf.malformed("not a whole number of degrees")),
    }
}

/// A child's thickness, sent in millimetres with three decimals, in micrometres.
pub fn micrometres(parent: El, ns: Ns, name: &str) -> Result<Option<u16>, DecodeError> {
    let Some(leaf) = parent.leaf(ns, name) else { return Ok(None) };
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

/// The instrument's cylinder convention. A word that is not known is left unread.
pub fn cylinder_mode(measure: El, ns: Ns) -> Option<CylinderMode> {
    let leaf = measure.peek(ns, "CylinderMode")?;
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

/// Without a cylinder there is no axis (R7).
pub fn axis_unless_zero(cylinder: Option<Hundredths>, axis_deg: Option<i16>) -> Option<i16> {
    axis_deg.filter(|_| cylinder.is_some_and(|cylinder| !cylinder.is_zero()))
}

/// The number that the instrument gave to a shot.
pub fn shot_no(list: El) -> Result<Option<u32>, DecodeError> {
    list.count_shot()?;
    match list.node().attribute("No").map(str::trim) {
        Some(no) => no.parse().map(Some).map_err(|_| list.malformed("No is not a number")),
        None => {
            let what = format!("{} has no number", list.path());
            list.tree().flag(FlagCode::Inconsistent, what);
            Ok(None)
        }
    }
}

/// The error text of a shot that failed. The element alone says so, even empty.
pub fn shot_error(list: El, ns: Ns) -> Option<String> {
    let error = list.peek(ns, "Error")?;
    error.done();
    Some(if error.text().is_empty() { "error".into() } else { error.text().to_owned() })
}

pub fn confidence(list: El, ns: Ns) -> Option<Confidence> {
    let as_sent = list.text_of(ns, "ConfidenceIndex")?;
    Some(Confidence { as_sent, scale: "Topcon ConfidenceIndex".into(), low: false })
}

/// All shots of an eye, in their order.
pub fn shots<V>(
    eye: El,
    ns: Ns,
    value: impl Fn(El) -> Result<Option<V>, DecodeError>,
) -> Result<Vec<Shot<V>>, DecodeError> {
    let lists = eye.enter_all(ns, "List").into_iter();
    lists
        .map(|list| {
            Ok(Shot {
                no: shot_no(list)?,
                value: value(list)?,
                confidence: confidence(list, ns),
                error: shot_error(list, ns),
            })
        })
        .collect()
}

/// The value that the instrument declares for the eye.
pub fn representative<V>(
    eye: El,
    ns: Ns,
    (name, label): (&str, &str),
    value: impl Fn(El) -> Result<Option<V>, DecodeError>,
) -> Result<Option<Representative<V>>, DecodeError> {
    let Some(declared) = eye.enter(ns, name) else { return Ok(None) };
    Ok(value(declared)?.map(|value| Representative { label: label.into(), value }))
}

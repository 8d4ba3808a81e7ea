//! Numbers in the refractor's columns: blanks stand for what is zero. A zero in their place, a sign
//! or a letter in front of 0.00 say the same and are read; a power without its sign and a prism
//! without its direction are refused.
//!
//! | number         | columns                                                          |
//! |----------------|------------------------------------------------------------------|
//! | power, 6       | polarity (blank for 0.00), tens (blank when 0), units, `.00`     |
//! | axis, 3        | padded with blanks: `··0` `·45` `180`                            |
//! | prism, 6 + 6   | letter (blank for 0.00), tens (blank when 0), units, `.00`       |
//! | acuity, 5      | compare, then `0.9·` `0.32`, or `200·` (fraction), or `10.5`     |
//! | acuity, 7      | the same, then `+2` letters, or two blanks                       |

use crate::{DecodeError, format::fields::Field};
use chiasm_proto::{Base, Hundredths, Prism, PrismComponent, RefractionValue};

/// `-·2.75`, `··0.00`, `+10.00`.
pub fn power(field: &Field) -> Result<Hundredths, DecodeError> {
    let [polarity, size] = field.cut([(1, field.name), (5, field.name)])?;
    let size = padded(&size)?;
    match (polarity.text, size.is_zero()) {
        (" " | "+" | "-", true) | ("+", false) => Ok(size),
        ("-", false) => Ok(Hundredths(-size.0)),
        _ => Err(field.malformed("a polarity is a sign, and a blank for 0.00 only")),
    }
}

/// `·2.75`, `02.75`, `10.00`.
fn padded(field: &Field) -> Result<Hundredths, DecodeError> {
    field.decimal("_0.00")
}

/// `··0`, `·45`, `045`, `180`.
pub fn axis_deg(field: &Field) -> Result<i16, DecodeError> {
    field.expect_len(3)?;
    let digits = field.text.trim_start();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return Err(field.malformed("not an axis padded with blanks or zeros"));
    }
    let offset = field.offset + field.text.len() - digits.len();
    Field::new(digits, offset, field.name).axis_deg(&"000"[..digits.len()])
}

/// Sphere 6, cylinder 6, axis 3. Without a cylinder the axis column means nothing and may be blank.
pub fn sphere_cylinder_axis(field: &Field) -> Result<RefractionValue, DecodeError> {
    let [sphere, cylinder, axis] = field.cut([(6, "sphere"), (6, "cylinder"), (3, "axis")])?;
    let (sphere, cylinder) = (power(&sphere)?, power(&cylinder)?);
    let is_blank = cylinder.is_zero() && axis.text.trim().is_empty();
    let axis = if is_blank { None } else { Some(axis_deg(&axis)?) };
    Ok(RefractionValue {
        sphere,
        cylinder,
        axis_deg: axis.filter(|_| !cylinder.is_zero()),
        spherical_equivalent: None,
    })
}

/// Horizontal 6, vertical 6. A direction with a blank and 0.00 has no prism.
pub fn prism(field: &Field) -> Result<Prism, DecodeError> {
    let [horizontal, vertical] = field.cut([(6, "horizontal prism"), (6, "vertical prism")])?;
    Ok(Prism {
        horizontal: component(&horizontal, [("I", Base::In), ("O", Base::Out)])?,
        vertical: component(&vertical, [("U", Base::Up), ("D", Base::Down)])?,
        ..Prism::default()
    })
}

fn component(
    field: &Field,
    bases: [(&str, Base); 2],
) -> Result<Option<PrismComponent>, DecodeError> {
    let [letter, amount] = field.cut([(1, field.name), (5, field.name)])?;
    let amount = padded(&amount)?;
    let base = bases.into_iter().find(|(known, _)| *known == letter.text).map(|(_, base)| base);
    match (letter.text, base, amount.is_zero()) {
        (" ", _, true) => Ok(None),
        (_, Some(base), _) => Ok(Some(PrismComponent { amount, base })),
        _ => Err(field.malformed("a base is one of its two letters, and a blank for 0.00 only")),
    }
}

/// An acuity without blanks around it, and what its form is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcuityText {
    pub as_sent: String,
    pub notation: Option<&'static str>,
    /// `+2`.
    pub letters: Option<String>,
}

/// Five columns, or seven with the letters behind them.
pub fn acuity(field: &Field) -> Result<AcuityText, DecodeError> {
    let (text, letters) = match field.text.len() {
        7 => (field.columns(0, 5, field.name)?, field.columns(5, 2, field.name)?),
        _ => (*field, Field { text: "  ", ..*field }),
    };
    let [compare, size] = text.cut([(1, field.name), (4, field.name)])?;
    let fraction = ["000 ", " 00 ", "  0 "];
    let notation = if size.has_shape("0.0_") {
        None
    } else if fraction.iter().any(|shape| size.has_shape(shape)) {
        Some("fraction")
    } else if size.has_shape("_0.0") {
        Some("Parinaud")
    } else {
        return Err(field.malformed("not an acuity"));
    };
    if !matches!(compare.text, "<" | ">" | "-" | " ") {
        return Err(compare.malformed("an acuity is compared with <, > or -"));
    }
    let letters = match letters.text.as_bytes() {
        b"  " => None,
        [b'+' | b'-', b'1'..=b'9'] => Some(letters.text.to_owned()),
        _ => return Err(letters.malformed("not a sign and a count of letters")),
    };
    Ok(AcuityText { as_sent: text.text.trim().to_owned(), notation, letters })
}

/// A number in one of these shapes, nothing if all its columns are blank.
pub fn optional(field: &Field, shapes: &[&str]) -> Result<Option<Hundredths>, DecodeError> {
    if field.text.trim().is_empty() {
        return Ok(None);
    }
    one_of(field, shapes).map(Some)
}

/// A number in one of these shapes.
pub fn one_of(field: &Field, shapes: &[&str]) -> Result<Hundredths, DecodeError> {
    match shapes.iter().find(|shape| field.has_shape(shape)) {
        Some(shape) => field.decimal(shape),
        None => Err(field.malformed(format!("not of the form {}", shapes.join(" or ")))),
    }
}

/// Whether a text is digits with at most one point in them, a sign before and blanks between both.
pub fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text).trim_start();
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    is_digits(whole) && is_digits(decimals)
}

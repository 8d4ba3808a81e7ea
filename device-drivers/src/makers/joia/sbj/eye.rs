//! The powers before one eye.

use super::NS;
use crate::{
    DecodeError,
    format::xml::{
        El,
        values::{DEGREES, DIOPTRES, axis_beside, number, whole},
    },
};
use chiasm_proto::{Base, Hundredths, Prism, PrismComponent, RefractionValue};

/// What the files call prism dioptres, in either case.
const PRISM_DIOPTRES: &str = "prism";
const HORIZONTAL: [(&str, Base); 2] = [("BI", Base::In), ("BO", Base::Out)];
const VERTICAL: [(&str, Base); 2] = [("BU", Base::Up), ("BD", Base::Down)];

pub struct Powers {
    /// None if the eye was not tested.
    pub value: Option<RefractionValue>,
    pub prism: Option<Prism>,
}

pub fn powers(side: El) -> Result<Powers, DecodeError> {
    let sphere = number(side, (NS, "Sph"), DIOPTRES)?;
    let cylinder = number(side, (NS, "Cyl"), DIOPTRES)?;
    // The axis may be filled in where there is no cylinder.
    let axis_deg = axis_beside(side, cylinder, whole(side, (NS, "Axis"), DEGREES)?)?;
    let value = match (sphere, cylinder) {
        (Some(sphere), Some(cylinder)) => {
            Some(RefractionValue { sphere, cylinder, axis_deg, spherical_equivalent: None })
        }
        (None, cylinder) if cylinder.is_none_or(|cylinder| cylinder.is_zero()) => None,
        _ => return Err(side.malformed("sphere and cylinder are not complete")),
    };
    Ok(Powers { value, prism: prism(side)? })
}

/// By components, or by amount and angle. Filled in both ways, the second one stays text.
fn prism(side: El) -> Result<Option<Prism>, DecodeError> {
    let horizontal = component(side, "HPri", "HBase", HORIZONTAL)?;
    let vertical = component(side, "VPri", "VBase", VERTICAL)?;
    let components = [horizontal, vertical].into_iter().flatten();
    let is_by_components = components.clone().any(|component| !component.amount.is_zero());
    let polar = polar(side, is_by_components)?;
    let has_components = components.count() > 0;
    // A zero beside components says nothing more.
    let polar = polar.filter(|(amount, _)| !has_components || !amount.is_zero());
    Ok((has_components || polar.is_some()).then(|| Prism {
        horizontal,
        vertical,
        amount: polar.map(|(amount, _)| amount),
        base_deg: polar.and_then(|(_, base_deg)| base_deg),
    }))
}

/// An amount and where its base lies. A base without an amount is no prism.
fn component(
    side: El,
    name: &str,
    base_name: &str,
    words: [(&str, Base); 2],
) -> Result<Option<PrismComponent>, DecodeError> {
    let amount = number(side, (NS, name), PRISM_DIOPTRES)?;
    let leaf = side.leaf((NS, base_name));
    let Some(amount) = amount else { return Ok(None) };
    let known = |leaf: El| {
        let word = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(leaf.text()));
        word.map(|(_, base)| *base)
    };
    let base = match leaf {
        None => Base::Unverified,
        Some(leaf) => match known(leaf) {
            Some(_) if amount.0 < 0 => return Err(leaf.malformed("a base of a negative amount")),
            Some(base) => base,
            None if amount.is_zero() => Base::Unverified,
            None => return Err(leaf.malformed("not a base of this direction")),
        },
    };
    Ok(Some(PrismComponent { amount, base }))
}

/// Amount and angle. An angle without an amount is no prism.
fn polar(
    side: El,
    is_by_components: bool,
) -> Result<Option<(Hundredths, Option<i16>)>, DecodeError> {
    let is_no_zero = |byte: u8| !matches!(byte, b'0' | b'.' | b',' | b'+' | b'-');
    let is_filled =
        side.peek((NS, "Prism")).is_some_and(|leaf| leaf.text().bytes().any(is_no_zero));
    let has_decimals = side.peek((NS, "Angle")).is_some_and(|leaf| {
        let decimals = leaf.text().split_once(['.', ',']).map_or("", |(_, decimals)| decimals);
        decimals.bytes().any(is_no_zero)
    });
    if is_filled && (is_by_components || has_decimals) {
        return Ok(None); // amount and angle stay text together
    }
    let Some(amount) = number(side, (NS, "Prism"), PRISM_DIOPTRES)? else {
        side.ignore([(NS, "Angle")]);
        return Ok(None);
    };
    Ok(Some((amount, whole(side, (NS, "Angle"), DEGREES)?)))
}

//! What has to fit: nothing but these sums tells that a value is damaged or in another one's place.

use crate::{DecodeError, format::fields::Field};
use chiasm_proto::{Hundredths, Meridian, RefractionValue};

/// Thousandfold difference of the index by which a keratometer turns millimetres into dioptres.
const INDEX: f64 = 337.5;
/// So far may power and radius, or an equivalent and its parts, be apart by rounding.
pub const GAP_MAX: f64 = 0.3;

/// Refuses an equivalent that is not that of sphere and cylinder.
pub fn equivalent(value: &RefractionValue, at: &Field) -> Result<(), DecodeError> {
    let expected = value.sphere.to_f64() + value.cylinder.to_f64() / 2.0;
    match value.spherical_equivalent {
        Some(sent) if (sent.to_f64() - expected).abs() > GAP_MAX => {
            Err(at.malformed("does not fit sphere and cylinder: shifted or damaged"))
        }
        _ => Ok(()),
    }
}

/// Refuses a mean that is neither a cornea by itself nor the mean of both powers: instruments may
/// average the powers or the radii, which differ where the cylinder is high.
pub fn mean(mean: &Meridian, [r1, r2]: [&Meridian; 2], at: &Field) -> Result<(), DecodeError> {
    let powers = (mean.power, r1.power, r2.power);
    let radii = (mean.radius_mm, r1.radius_mm, r2.radius_mm);
    if is_mean(powers) && is_mean(radii) { Ok(()) } else { radius(mean, at) }
}

/// Rounded to hundredths, the mean may be one of them off, and powers come in eighths.
fn is_mean(values: (Option<Hundredths>, Option<Hundredths>, Option<Hundredths>)) -> bool {
    const ROUNDING: f64 = 0.13;
    let (Some(mean), Some(first), Some(second)) = values else { return false };
    (mean.to_f64() - (first.to_f64() + second.to_f64()) / 2.0).abs() <= ROUNDING
}

/// Refuses a power of the cornea that is not that of its radius. Either is the other's reciprocal,
/// so that swapped ones would fit: of a cornea the power in dioptres is always the larger number.
pub fn radius(meridian: &Meridian, at: &Field) -> Result<(), DecodeError> {
    let Meridian { power: Some(power), radius_mm: Some(radius), .. } = meridian else {
        return Ok(());
    };
    let is_swapped = *radius <= Hundredths::ZERO || radius >= power;
    if is_swapped || (power.to_f64() - INDEX / radius.to_f64()).abs() > GAP_MAX {
        return Err(at.malformed("power and radius do not fit: shifted or damaged"));
    }
    Ok(())
}

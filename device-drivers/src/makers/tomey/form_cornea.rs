//! Keratometry in Tomey's "Form": an `INF` line and the lines behind it.

use super::values::{axis_deg, axis_unless_zero, once, power, radius};
use crate::{DecodeError, format::fields::Field};
use chiasm_proto::{Hundredths, KeratometryValue, Meridian};

/// One keratometry of one eye.
pub struct Block<'a> {
    pub opening: Field<'a>,
    /// The number of a reading; none for the average.
    pub no: Option<u32>,
    k1: Option<Meridian>,
    k2: Option<Meridian>,
    mean: Option<(Hundredths, Hundredths)>,
    cylinder: Option<(Hundredths, Option<i16>)>,
}

impl<'a> Block<'a> {
    pub fn new(opening: Field<'a>, no: Option<u32>) -> Self {
        Self { opening, no, k1: None, k2: None, mean: None, cylinder: None }
    }

    /// One of the lines `K1`, `K2`, `AV`, `CYL`.
    pub fn line(&mut self, name: &str, fields: &[Field]) -> Result<(), DecodeError> {
        let meridian = |fields: &[Field]| -> Result<Meridian, DecodeError> {
            let [_, mm, dioptres, axis] = exactly(fields)?;
            Ok(Meridian {
                radius_mm: Some(radius(&mm)?),
                power: Some(power(&dioptres)?),
                axis_deg: Some(axis_deg(&axis)?),
            })
        };
        match name {
            "K1" => once(&mut self.k1, meridian(fields)?, &fields[0]),
            "K2" => once(&mut self.k2, meridian(fields)?, &fields[0]),
            "AV" => {
                let [tag, mm, dioptres] = exactly(fields)?;
                once(&mut self.mean, (radius(&mm)?, power(&dioptres)?), &tag)
            }
            _ => {
                let [tag, dioptres, axis] = exactly(fields)?;
                let cylinder = power(&dioptres)?;
                once(&mut self.cylinder, (cylinder, axis_unless_zero(cylinder, &axis)?), &tag)
            }
        }
    }

    /// Both meridians at least; nothing if both radii are zero, for no cornea is flat: it was not
    /// measured.
    pub fn value(&self) -> Result<Option<KeratometryValue>, DecodeError> {
        let refuse = || self.opening.malformed("not both meridians behind it");
        let (r1, r2) = (self.k1.ok_or_else(refuse)?, self.k2.ok_or_else(refuse)?);
        match [r1, r2].map(|meridian| meridian.radius_mm == Some(Hundredths::ZERO)) {
            [true, true] => return Ok(None),
            [false, false] => {}
            _ => return Err(self.opening.malformed("a radius of zero behind it")),
        }
        let is_measured = |size: &Hundredths| !size.is_zero();
        Ok(Some(KeratometryValue {
            r1,
            r2,
            average_mm: self.mean.map(|(mm, _)| mm).filter(is_measured),
            average_power: self.mean.map(|(_, dioptres)| dioptres).filter(is_measured),
            cylinder: self.cylinder.map(|(cylinder, _)| cylinder),
            cylinder_axis_deg: self.cylinder.and_then(|(_, axis_deg)| axis_deg),
        }))
    }
}

/// Exactly so many fields with the tag; empty ones at the end do not count.
pub fn exactly<'a, const N: usize>(fields: &[Field<'a>]) -> Result<[Field<'a>; N], DecodeError> {
    let (known, behind) = fields
        .split_at_checked(N)
        .ok_or_else(|| fields[0].malformed(format!("{} fields, expected {N}", fields.len())))?;
    if let Some(more) = behind.iter().find(|field| !field.text.trim().is_empty()) {
        return Err(more.malformed(format!("{} fields, expected {N}", fields.len())));
    }
    known.try_into().map_err(|_| fields[0].malformed("not enough fields"))
}

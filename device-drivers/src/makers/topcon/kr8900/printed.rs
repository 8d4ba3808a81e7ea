//! Several values in a line, as a description of a capture has them.
//!
//! | lines | form                                        | meaning                                |
//! |-------|---------------------------------------------|----------------------------------------|
//! | 2     | `63` `12`                                   | distances                              |
//! | 4     | `-1.75 -0.50 14 -2.00`                      | right: sphere, cylinder, axis, SE; the |
//! |       |                                             | last line is the result                |
//! | 4     | the same                                    | left                                   |
//! | 8 / 0 | `H: 43.21 7.81 12` `V: …` `AVE: 43.55 7.75` | right, then left: D, mm, axis;         |
//! |       | `CYL -0.74 12`                              | corneal cylinder and its axis          |
//!
//! Lines of dots only, and blank ones, stand anywhere.

use super::{NAMES, Readings, Values, axis, decimal, fits, has_words};
use crate::{
    DecodeError, ErrorCode,
    format::{fields::Field, xml::values::axis_unless_zero},
};
use chiasm_proto::{Hundredths, KeratometryValue, Meridian, RefractionValue};
use std::collections::VecDeque;

/// A line of as many words is of this form.
pub const WORDS_MIN: usize = 3;
/// Lines of an eye: three readings and the result.
const ROWS: usize = 4;

pub fn read<'a>(body: &[Field<'a>]) -> Result<Values<'a>, DecodeError> {
    let mut rows = Rows(body.iter().copied().filter(has_words).collect());
    let distances = vec![rows.next("PD or VD")?, rows.next("PD or VD")?];
    let mut eyes = [None, None];
    for (slot, name) in eyes.iter_mut().zip(NAMES) {
        let mut shots = vec![];
        for _ in 0..ROWS {
            shots.push(refraction_value(&rows.next(name)?)?);
        }
        let result = shots.pop();
        *slot = Some(Readings { shots, result });
    }
    let mut corneas = [None, None];
    if !rows.0.is_empty() {
        for slot in &mut corneas {
            *slot = Some(keratometry_value(&mut rows)?);
        }
    }
    match rows.0.front() {
        Some(row) => Err(row.malformed("a line too many")),
        None => Ok(Values { distances, eyes, corneas, unknown: vec![] }),
    }
}

/// The lines that carry something.
struct Rows<'a>(VecDeque<Field<'a>>);

impl<'a> Rows<'a> {
    fn next(&mut self, name: &'a str) -> Result<Field<'a>, DecodeError> {
        let missing = || {
            let message = "a line before the one with the model is missing";
            DecodeError::new(ErrorCode::Malformed, 0, message).in_field(name)
        };
        self.0.pop_front().map(|field| field.named(name)).ok_or_else(missing)
    }
}

/// The words of a line, exactly as many.
fn words<'a, const N: usize>(row: &Field<'a>) -> Result<[Field<'a>; N], DecodeError> {
    let words = row.words();
    let count = words.len();
    words.try_into().map_err(|_| row.malformed(format!("{count} words, expected {N}")))
}

/// Two decimals with a sign; zero also without one.
fn signed(field: &Field) -> Result<Hundredths, DecodeError> {
    let shapes = if field.text == "0.00" { &["0.00"][..] } else { &["+0.00", "+00.00"] };
    decimal(field, shapes)
}

fn refraction_value(row: &Field) -> Result<RefractionValue, DecodeError> {
    let [sphere, cylinder, degrees, equivalent] = words(row)?;
    let cylinder = signed(&cylinder)?;
    let value = RefractionValue {
        sphere: signed(&sphere)?,
        cylinder,
        axis_deg: axis_unless_zero(Some(cylinder), Some(axis(&degrees)?)),
        spherical_equivalent: Some(signed(&equivalent)?),
    };
    fits::equivalent(&value, &equivalent)?;
    Ok(value)
}

/// Four lines: the horizontal and vertical meridian, their mean, the cylinder.
fn keratometry_value(rows: &mut Rows) -> Result<KeratometryValue, DecodeError> {
    const POWER: &[&str] = &["00.00"];
    const RADIUS: &[&str] = &["0.00", "00.00"];
    fn marked<'a, const N: usize>(
        rows: &mut Rows<'a>,
        mark: &'a str,
    ) -> Result<[Field<'a>; N], DecodeError> {
        let row = rows.next(mark)?;
        let words: [Field; N] = words(&row)?;
        if words[0].text == mark { Ok(words) } else { Err(row.malformed("not this line")) }
    }
    let mut meridian = |mark| -> Result<Meridian, DecodeError> {
        let [_, power, radius, degrees] = marked(rows, mark)?;
        let meridian = Meridian {
            power: Some(decimal(&power, POWER)?),
            radius_mm: Some(decimal(&radius, RADIUS)?),
            axis_deg: Some(axis(&degrees)?),
        };
        fits::radius(&meridian, &power)?;
        Ok(meridian)
    };
    let (r1, r2) = (meridian("H:")?, meridian("V:")?);
    let [_, power, radius] = marked(rows, "AVE:")?;
    let mean = Meridian {
        power: Some(decimal(&power, POWER)?),
        radius_mm: Some(decimal(&radius, RADIUS)?),
        axis_deg: None,
    };
    fits::mean(&mean, [&r1, &r2], &power)?;
    let [_, cylinder, degrees] = marked(rows, "CYL")?;
    let cylinder = signed(&cylinder)?;
    Ok(KeratometryValue {
        r1,
        r2,
        average_power: mean.power,
        average_mm: mean.radius_mm,
        cylinder: Some(cylinder),
        cylinder_axis_deg: axis_unless_zero(Some(cylinder), Some(axis(&degrees)?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::fields::lines;

    const EYE: &str = "-1.75 -0.50 14 -2.00\n-1.75 -0.50 16 -2.00\n-2.00 -0.25 12 -2.13\n\
                       -1.75 -0.50 14 -2.00\n";
    const CORNEA: &str = "H: 43.21 7.81 12\nV: 43.95 7.68 102\nAVE: 43.55 7.75\nCYL -0.74 12\n";

    fn is_read(text: &str) -> bool {
        let fields: Vec<Field> = lines(text).into_iter().map(|line| line.field).collect();
        read(&fields).is_ok()
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let print = format!("63\n12\n{EYE}{EYE}{CORNEA}{CORNEA}");
        assert!(is_read(&print));
        // High cylinders part the mean of the powers from the power of the mean radius.
        let cone = "H: 42.00 8.04 180\nV: 52.00 6.49 90\nAVE: 47.00 7.27\nCYL -10.00 180\n";
        assert!(is_read(&print.replacen(CORNEA, cone, 1)));
        assert!(!is_read(&print.replacen(CORNEA, &cone.replace("47.00", "41.00"), 1)));
        for (good, damaged) in [
            ("-1.75 -0.50 14 -2.00", "+1.75 -0.50 14 -2.00"),
            ("-2.00 -0.25 12 -2.13", "-6.00 -0.25 12 -2.13"),
            ("H: 43.21 7.81 12", "H: 43.21 3.81 12"),
            ("V: 43.95 7.68 102", "V: 03.95 7.68 102"),
            ("AVE: 43.55 7.75", "AVE: 41.55 7.75"),
        ] {
            assert!(!is_read(&print.replacen(good, damaged, 1)), "{damaged}");
        }
    }
}

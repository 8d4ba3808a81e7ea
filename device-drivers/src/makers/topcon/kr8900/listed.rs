//! One value in each line, as the public reader takes them: what a line means is its place.
//!
//! | lines | meaning                                                                            |
//! |-------|------------------------------------------------------------------------------------|
//! | 2     | distances                                                                          |
//! | 4     | right: sphere, cylinder, axis, spherical equivalent; all blank: not measured       |
//! | 4     | left                                                                               |
//! | 3     | right cornea, horizontal: D, mm, axis                                              |
//! | 3     | vertical                                                                           |
//! | 2     | mean: D, mm                                                                        |
//! | 1 / 0 | for the reader an axis of the mean, which has none: taken for the cylinder if it   |
//! |       | has decimals and the next line is a whole axis, else not read                      |
//! | 1     | corneal cylinder, or its axis                                                      |
//! | 9, 10 | left cornea, alike; both may be missing                                            |
//!
//! Places count with their blank lines. Where the count of lines shows that blank ones were lost
//! or added, only a print without any missing value is read. A shifted line is found by the shapes
//! (powers have decimals, axes have none) and by what has to fit: the equivalent to sphere and
//! cylinder, the power of a meridian to its radius.

use super::{EYES, NAMES, Readings, Values, axis, fits, has_words};
use crate::{
    DecodeError,
    format::{fields::Field, xml::values::axis_unless_zero},
};
use chiasm_proto::{Eye, Hundredths, KeratometryValue, Meridian, RefractionValue};

/// Lines of the distances and of both refractions.
const REFRACTION_LINES: usize = 10;
/// The same with both corneas, each with the line of unknown meaning or without it.
const ALL_LINES: [usize; 2] = [REFRACTION_LINES + 20, REFRACTION_LINES + 18];

pub fn read<'a>(body: &[Field<'a>]) -> Result<Values<'a>, DecodeError> {
    let lines = placed(body)?;
    let (head, corneas) = lines.split_at(REFRACTION_LINES);
    let (distances, eyes) = head.split_at(2);
    let mut values = Values {
        distances: distances.iter().copied().filter(has_words).collect(),
        eyes: [None, None],
        corneas: [None, None],
        unknown: vec![],
    };
    for (side, lines) in eyes.chunks(4).enumerate() {
        let value = refraction_value(lines, NAMES[side])?;
        values.eyes[side] = value.map(|value| Readings { shots: vec![value], result: None });
    }
    if !corneas.is_empty() {
        for (side, lines) in corneas.chunks(corneas.len() / EYES.len()).enumerate() {
            values.corneas[side] = cornea(lines, EYES[side], &mut values.unknown)?;
        }
    }
    Ok(values)
}

/// The lines at their places: as they came, without blank ones behind the last place, or, if there
/// are more or fewer of them, without any blank one.
fn placed<'a>(body: &[Field<'a>]) -> Result<Vec<Field<'a>>, DecodeError> {
    let used = body.iter().rposition(has_words).map_or(0, |last| last + 1);
    for count in [REFRACTION_LINES, ALL_LINES[0]] {
        if used <= count && count <= body.len() {
            return Ok(body[..count].to_vec());
        }
    }
    let dense: Vec<Field> = body.iter().copied().filter(has_words).collect();
    if ALL_LINES.contains(&dense.len()) || dense.len() == REFRACTION_LINES {
        return Ok(dense);
    }
    let found = dense.len();
    let first = body.first().copied().unwrap_or(Field::new("", 0, "values"));
    Err(first
        .named("values")
        .malformed(format!("{found} lines with a value: which value is which cannot be told")))
}

/// A number with decimals; blanks may stand behind its sign.
fn power(field: &Field) -> Result<Hundredths, DecodeError> {
    let refuse = || field.malformed("not a number with decimals");
    let (sign, digits) = match field.text.split_at_checked(1) {
        Some((sign @ ("+" | "-"), digits)) => (sign, digits.trim_start()),
        _ => ("", field.text),
    };
    if !digits.contains(['.', ',']) || !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(refuse());
    }
    let whole = format!("{sign}{digits}");
    Field { text: &whole, ..*field }.hundredths()
}

/// The same with a sign.
fn signed(field: &Field) -> Result<Hundredths, DecodeError> {
    field.with_sign(power(field)?)
}

fn is_blank(lines: &[Field]) -> bool {
    !lines.iter().any(has_words)
}

fn refraction_value<'a>(
    lines: &[Field<'a>],
    name: &'a str,
) -> Result<Option<RefractionValue>, DecodeError> {
    if is_blank(lines) {
        return Ok(None);
    }
    let [sphere, cylinder, degrees, equivalent] = [0, 1, 2, 3].map(|at| lines[at].named(name));
    let (sphere, cylinder) = (signed(&sphere)?, signed(&cylinder)?);
    let has_axis = has_words(&degrees);
    if !has_axis && !cylinder.is_zero() {
        return Err(degrees.malformed("a cylinder without an axis"));
    }
    let axis_deg = if has_axis { Some(axis(&degrees)?) } else { None };
    let spherical_equivalent =
        if has_words(&equivalent) { Some(signed(&equivalent)?) } else { None };
    let axis_deg = axis_unless_zero(Some(cylinder), axis_deg);
    let value = RefractionValue { sphere, cylinder, axis_deg, spherical_equivalent };
    fits::equivalent(&value, &equivalent)?;
    Ok(Some(value))
}

fn cornea<'a>(
    lines: &[Field<'a>],
    eye: Eye,
    unknown: &mut Vec<Field<'a>>,
) -> Result<Option<KeratometryValue>, DecodeError> {
    let name = if eye == Eye::Right { "right keratometry" } else { "left keratometry" };
    let lines: Vec<Field> = lines.iter().map(|line| line.named(name)).collect();
    if is_blank(&lines) {
        return Ok(None);
    }
    let (r1, r2) =
        (meridian(&lines[..2], Some(&lines[2]))?, meridian(&lines[3..5], Some(&lines[5]))?);
    fits::radius(&r1, &lines[0])?;
    fits::radius(&r2, &lines[3])?;
    let mean = meridian(&lines[6..8], None)?;
    fits::mean(&mean, [&r1, &r2], &lines[6])?;
    let mut value = KeratometryValue {
        r1,
        r2,
        average_power: mean.power,
        average_mm: mean.radius_mm,
        ..KeratometryValue::default()
    };
    let rest = &lines[8..];
    match cylinder(rest, &value)? {
        Some((cylinder, axis_deg)) => {
            value.cylinder = Some(cylinder);
            value.cylinder_axis_deg = axis_unless_zero(Some(cylinder), axis_deg);
        }
        None => unknown.extend(rest.iter().copied().filter(has_words)),
    }
    Ok(Some(value))
}

/// Power, radius and, in a line of its own, the axis.
fn meridian(lines: &[Field], degrees: Option<&Field>) -> Result<Meridian, DecodeError> {
    let [power_field, radius_field] = [lines[0], lines[1]];
    if is_blank(lines) && degrees.is_none_or(|degrees| !has_words(degrees)) {
        return Ok(Meridian::default());
    }
    let (power, radius) = (power(&power_field)?, power(&radius_field)?);
    let axis_deg = degrees.map(axis).transpose()?;
    Ok(Meridian { power: Some(power), radius_mm: Some(radius), axis_deg })
}

/// The corneal cylinder and its axis, where the lines behind the mean can be nothing else.
fn cylinder(
    rest: &[Field],
    value: &KeratometryValue,
) -> Result<Option<(Hundredths, Option<i16>)>, DecodeError> {
    let (sent, axis_deg) = match rest {
        [sent] => (signed(sent), None),
        [blank, sent] if !has_words(blank) => (signed(sent), None),
        [sent, degrees] => (signed(sent), axis(degrees).ok()),
        _ => return Ok(None),
    };
    let has_two = rest.iter().filter(|line| has_words(line)).count() == 2;
    let (Ok(sent), false) = (sent, has_two && axis_deg.is_none()) else { return Ok(None) };
    let powers = (value.r1.power, value.r2.power);
    let (Some(first), Some(second)) = powers else { return Ok(None) };
    let expected = (first.to_f64() - second.to_f64()).abs();
    let fits = (sent.to_f64().abs() - expected).abs() <= fits::GAP_MAX;
    Ok(fits.then_some((sent, axis_deg)))
}

#[cfg(test)]
mod tests {
    use crate::{DriverOptions, ErrorCode};
    use chiasm_proto::{Decoded, Eye, Hundredths, Measured};

    const RIGHT: [&str; 4] = ["-1.75", "-0.50", "14", "-2.00"];
    const LEFT: [&str; 4] = ["+ 1.25", "-1.50", "175", "+0.50"];
    const BLANK: [&str; 4] = [""; 4];
    const CORNEA: [&str; 8] = ["43.21", "7.81", "12", "43.95", "7.68", "102", "43.55", "7.75"];

    fn print(lines: &[&str]) -> String {
        let body: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        format!("2026_03_14\r\nAM 09:52\r\n{body}KR-8900   021.12\r\n0895\r\n")
    }

    fn read(lines: &[&str]) -> Result<Decoded, ErrorCode> {
        let read = super::super::read(print(lines).as_bytes(), &DriverOptions::default());
        read.map(|decoded| decoded.unwrap()).map_err(|error| error.code)
    }

    fn eyes(decoded: &Decoded) -> Vec<(Eye, i32)> {
        let sphere = |measured: &Measured| match measured {
            Measured::Refraction(it) => it.shots[0].value.map(|value| value.sphere.0),
            _ => None,
        };
        let all = decoded.measurements.iter();
        all.filter_map(|it| Some((it.eye, sphere(&it.measured)?))).collect()
    }

    #[test]
    fn a_missing_eye_is_told_by_its_blank_lines_or_not_at_all() {
        let distances = ["60.0", "12.00"];
        let both = read(&[&distances[..], &RIGHT, &LEFT].concat()).unwrap();
        assert_eq!(eyes(&both), [(Eye::Right, -175), (Eye::Left, 125)]);
        let left = read(&[&distances[..], &BLANK, &LEFT].concat()).unwrap();
        assert_eq!(eyes(&left), [(Eye::Left, 125)]);
        let right = read(&[&["", "12.00"], &RIGHT[..], &BLANK].concat()).unwrap();
        assert_eq!(eyes(&right), [(Eye::Right, -175)]);
        for lines in [
            [&distances[..], &LEFT].concat(),
            [&["12.00"], &RIGHT[..], &LEFT].concat(),
            [&distances[..], &RIGHT, &LEFT[..3]].concat(),
        ] {
            assert_eq!(read(&lines).unwrap_err(), ErrorCode::Malformed, "{lines:?}");
        }
    }

    #[test]
    fn lost_or_added_blank_lines_do_not_shift_a_whole_print() {
        let cornea = [&CORNEA[..], &["-0.74"]].concat();
        let dense = [&["12.00", "60.0"], &RIGHT[..], &LEFT, &cornea, &cornea].concat();
        let decoded = read(&dense).unwrap();
        let spread: Vec<&str> = dense.iter().flat_map(|line| [*line, "", "..."]).collect();
        assert_eq!(read(&spread).unwrap().measurements, decoded.measurements);
        assert_eq!(decoded.measurements.len(), 5);
    }

    #[test]
    fn the_line_of_unknown_meaning_is_read_only_where_it_is_plain() {
        let cylinder = |rest: [&'static str; 2]| {
            let cornea = [&CORNEA[..], &rest].concat();
            let none = [""; 10];
            let lines = [&["60.0", "12.00"], &RIGHT[..], &LEFT, &cornea, &none].concat();
            let decoded = read(&lines).unwrap();
            let found = decoded.measurements.iter().find_map(|it| match &it.measured {
                Measured::Keratometry(it) => it.shots[0].value.clone(),
                _ => None,
            });
            let value = found.unwrap();
            (value.cylinder, value.cylinder_axis_deg, decoded.unknown_records.len())
        };
        let cyl = Some(Hundredths(-74));
        assert_eq!(cylinder(["", "-0.74"]), (cyl, None, 0));
        assert_eq!(cylinder(["-0.74", "12"]), (cyl, Some(12), 0));
        assert_eq!(cylinder(["12", "-0.74"]), (None, None, 2));
        assert_eq!(cylinder(["", "-3.74"]), (None, None, 1));
    }

    /// One flipped bit makes CR of a minus sign, so that a blank line and an unsigned number come.
    #[test]
    fn a_sign_that_became_a_line_end_is_refused() {
        for (at, damaged) in
            [(0, ["\r1.75", "-0.50", "14", ""]), (1, ["-1.75", "\r0.25", "14", "-1.88"])]
        {
            let lines = [&["60.0", "12.00"], &damaged[..], &LEFT].concat();
            assert!(read(&lines).is_err(), "{at}: {lines:?}");
            let without = damaged.map(|line| line.trim_start());
            let lines = [&["60.0", "12.00"], &without[..], &LEFT].concat();
            assert!(read(&lines).is_err(), "{at}: {lines:?}");
        }
    }

    #[test]
    fn shifted_lines_are_refused() {
        let cornea = [&CORNEA[..], &["", "-0.74"]].concat();
        let good = [&["60.0", "12.00"], &RIGHT[..], &LEFT, &cornea, &cornea].concat();
        assert!(read(&good).is_ok());
        for at in 2..good.len() - 1 {
            let mut shifted = good.clone();
            shifted.swap(at, at + 1);
            let is_same = good[at] == good[at + 1] || shifted[at..at + 2].contains(&"");
            assert!(is_same || read(&shifted).is_err(), "{at}: {:?}", &shifted[at..at + 2]);
        }
    }
}

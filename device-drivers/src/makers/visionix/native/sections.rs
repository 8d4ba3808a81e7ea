//! What the sections mean.

use super::ini::Ini;
use crate::{
    DecodeError, DriverOptions, ErrorCode,
    format::{
        civil_time,
        fields::{Field, Number},
    },
};
use chiasm_proto::{
    Decoded, Eye, Flag, FlagCode, Hundredths, InstrumentTime, Measured, Measurement, OtherTest,
    OtherValue, PupillaryDistance, Refraction, RefractionKind, RefractionValue, Shot,
};

pub const PATIENT: &str = "PATIENT";
/// Sections of which one at least makes a file ours.
pub const KNOWN: [&str; 6] = ["SPHERE", "AR", "Sim_K", "TOPO", "KERATOCONUS", "KR"];
/// Section and key of sphere, cylinder and axis, and which zone of the pupil they are of.
const ZONES: [([(&str, &str); 3], &str); 6] = [
    ([("SPHERE", "r_3"), ("CYLINDER", "r_3"), ("AXIS", "r_3")], "3 mm"),
    ([("SPHERE", "r_5"), ("CYLINDER", "r_5"), ("AXIS", "r_5")], "5 mm"),
    ([("SPHERE", "r_7"), ("CYLINDER", "r_7"), ("AXIS", "r_7")], "7 mm"),
    ([("AR", "sphere_3"), ("AR", "cylinder_3"), ("AR", "axis_3")], "3 mm"),
    ([("AR", "sphere_5"), ("AR", "cylinder_5"), ("AR", "axis_5")], "5 mm"),
    ([("AR", "sphere_7"), ("AR", "cylinder_7"), ("AR", "axis_7")], "7 mm"),
];
/// Keratometry in units that are not documented.
const KERATOMETRY: [(&str, &str); 2] = [("Sim_K", "simulated keratometry"), ("KR", "keratometry")];
const DISTANCES: [&str; 2] = ["GENERAL", "TOPO"];
/// How far a radian may lie from a whole degree to be one: printed with six decimals it is far
/// nearer.
const DEGREE_GAP_MAX: f64 = 0.01;
/// Their keys; any other stays an unknown record.
const KERATOMETRY_KEYS: [&str; 6] = ["k1", "k2", "k1_axis", "k2_axis", "cyl", "simk_cyl"];

pub fn read(ini: &Ini, options: &DriverOptions, decoded: &mut Decoded) -> Result<(), DecodeError> {
    decoded.instrument_time = time(ini, options)?;
    ini.take_all(PATIENT); // never read, never kept as text
    for (keys, zone) in ZONES {
        refraction(ini, keys, zone, decoded)?;
    }
    for (section, name) in KERATOMETRY {
        keratometry(ini, section, name, decoded)?;
    }
    for section in DISTANCES {
        distance(ini, section, decoded)?;
    }
    if let Some(kpi) = ini.value("KERATOCONUS", "kpi")? {
        kpi.number()?;
        let test = OtherTest::one("kpi", "keratoconus probability index", kpi.text, None);
        push(decoded, Eye::NotGiven, None, Measured::OtherTest(test));
    }
    let (records, more) = ini.unknown_records();
    if more > 0 {
        let detail = format!("{more} more sections with unknown keys are in the raw file only");
        decoded.flags.push(Flag { code: FlagCode::UnknownRecord, detail });
    }
    decoded.unknown_records = records;
    Ok(())
}

fn push(decoded: &mut Decoded, eye: Eye, set: Option<&str>, measured: Measured) {
    let measurement = Measurement::without_token(eye, measured);
    decoded.measurements.push(match set {
        Some(set) => measurement.in_set(set),
        None => measurement,
    });
}

/// A quantity that has a type of its own but does not fit it: a person has to look.
fn kept_as_text(decoded: &mut Decoded, what: &str) {
    let detail = format!("{what} is kept as text: finer than hundredths or whole degrees");
    decoded.flags.push(Flag { code: FlagCode::Unusual, detail });
}

fn time(ini: &Ini, options: &DriverOptions) -> Result<Option<InstrumentTime>, DecodeError> {
    let date = ini.value(PATIENT, "CurrentDate")?;
    let clock = ini.value(PATIENT, "CurrentTime")?;
    let local = date
        .zip(clock)
        .and_then(|(date, clock)| civil_time::local(date.text, clock.text, options.date_order));
    let sent = [date, clock].into_iter().flatten().map(|field| field.text);
    let as_sent = sent.collect::<Vec<_>>().join(" ");
    Ok((!as_sent.is_empty()).then_some(InstrumentTime { as_sent, local }))
}

fn refraction(
    ini: &Ini,
    keys: [(&str, &str); 3],
    zone: &str,
    decoded: &mut Decoded,
) -> Result<(), DecodeError> {
    let [sphere, cylinder, axis] = keys.map(|(section, key)| ini.value(section, key));
    let (sphere, cylinder, axis) = (sphere?, cylinder?, axis?);
    let (Some(sphere), Some(cylinder)) = (sphere, cylinder) else {
        return match sphere.or(cylinder) {
            Some(only) => Err(only.malformed("sphere and cylinder are not complete")),
            None => Ok(()),
        };
    };
    let numbers = (sphere.number()?, cylinder.number()?);
    let is_zero = matches!(&numbers.1, Number::Hundredths(cylinder) if cylinder.is_zero());
    if axis.is_none() && !is_zero {
        let error = DecodeError::new(ErrorCode::Incomplete, cylinder.offset, "no axis to it");
        return Err(error.in_field(cylinder.name));
    }
    let degrees = match axis {
        Some(axis) => whole_degrees(axis)?,
        None => None,
    };
    let measured = match numbers {
        (Number::Hundredths(sphere), Number::Hundredths(cylinder))
            if is_zero || degrees.is_some() =>
        {
            let axis_deg = degrees.filter(|_| !is_zero);
            if let (Some(axis_deg), Some(axis)) = (axis_deg, axis) {
                let detail = format!("axis {axis_deg} of {zone} was sent as {} radians", axis.text);
                decoded.flags.push(Flag { code: FlagCode::Converted, detail });
            }
            let value = RefractionValue { sphere, cylinder, axis_deg, spherical_equivalent: None };
            Measured::Refraction(Refraction {
                shots: vec![Shot::of(value)],
                ..Refraction::new(RefractionKind::Autorefraction)
            })
        }
        _ => {
            kept_as_text(decoded, &format!("refraction of {zone}"));
            as_text(sphere, cylinder, axis, keys[0].0)
        }
    };
    push(decoded, Eye::NotGiven, Some(zone), measured);
    Ok(())
}

/// The whole degrees that this number of radians is; nothing if it lies between two.
fn whole_degrees(axis: Field) -> Result<Option<i16>, DecodeError> {
    let radians = match axis.number()? {
        Number::Hundredths(number) => number.to_f64(),
        Number::Finer(text) => text
            .replace(',', ".")
            .parse::<f64>()
            .map_err(|_| axis.malformed("not a number of radians"))?,
    };
    let degrees = radians.to_degrees();
    let near = degrees.round();
    let is_whole = (degrees - near).abs() <= DEGREE_GAP_MAX && (0.0..=180.0).contains(&near);
    Ok(is_whole.then_some(near as i16))
}

fn as_text(sphere: Field, cylinder: Field, axis: Option<Field>, code: &str) -> Measured {
    let part = |name: &str, field: Field, unit: Option<&str>| OtherValue {
        name: name.into(),
        as_sent: field.text.into(),
        unit: unit.map(str::to_owned),
    };
    let mut values = vec![part("sphere", sphere, None), part("cylinder", cylinder, None)];
    values.extend(axis.map(|axis| part("axis", axis, Some("radians"))));
    let name = "refraction".to_owned();
    Measured::OtherTest(OtherTest { code: code.into(), name, values })
}

fn keratometry(
    ini: &Ini,
    section: &str,
    name: &str,
    decoded: &mut Decoded,
) -> Result<(), DecodeError> {
    let mut values = vec![];
    for key in KERATOMETRY_KEYS {
        let Some(sent) = ini.value(section, key)? else { continue };
        sent.number()?;
        let (name, as_sent) = (sent.name.trim().to_owned(), sent.text.to_owned());
        values.push(OtherValue { name, as_sent, unit: None });
    }
    if !values.is_empty() {
        let test = OtherTest { code: section.into(), name: name.into(), values };
        push(decoded, Eye::NotGiven, None, Measured::OtherTest(test));
    }
    Ok(())
}

/// The whole distance of both eyes.
fn distance(ini: &Ini, section: &str, decoded: &mut Decoded) -> Result<(), DecodeError> {
    let Some(sent) = ini.value(section, "pd")? else { return Ok(()) };
    let measured = match sent.number()? {
        Number::Hundredths(far) => distance_of(far),
        Number::Finer(text) => {
            kept_as_text(decoded, "pupillary distance");
            Measured::OtherTest(OtherTest::one("pd", "far pupillary distance", &text, None))
        }
    };
    push(decoded, Eye::Both, None, measured);
    Ok(())
}

fn distance_of(far: Hundredths) -> Measured {
    let distance = PupillaryDistance { far_mm: Some(far), ..PupillaryDistance::default() };
    Measured::PupillaryDistance(distance)
}

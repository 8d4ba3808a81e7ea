//! Values in the place of those that an instrument sent: the shots stay, the sides stay, and what
//! was sent stays readable in the version before.

use super::{Test, Typed, parse};
use crate::domain::sheet::FieldFault;
use chiasm_proto::{
    Eye, Hundredths, Measured, Measurement, Meridian, RefractionKind, Vision,
    lens::{Base, PrismComponent},
    refraction::Light,
};

/// What an amended value is called.
pub const LABEL: &str = "amended";

/// Whether a measurement is of the test.
fn is_of(test: Test, measurement: &Measurement) -> bool {
    if measurement.relayed {
        return false;
    }
    match (&measurement.measured, test) {
        (Measured::Refraction(it), Test::Autorefraction) => {
            it.kind == RefractionKind::Autorefraction
                && it.light == Light::Day
                && it.vision == Vision::Far
        }
        (Measured::Lensometry(_), Test::Lensometry)
        | (Measured::Keratometry(_), Test::Keratometry)
        | (Measured::Tonometry(_), Test::Tonometry)
        | (Measured::Pachymetry(_), Test::Pachymetry)
        | (Measured::PupillaryDistance(_), Test::PupillaryDistance) => true,
        _ => false,
    }
}

fn prefix(eye: Eye) -> Option<&'static str> {
    match eye {
        Eye::Right => Some("od_"),
        Eye::Left => Some("os_"),
        Eye::Both => Some(""),
        Eye::NotGiven => None,
    }
}

/// The form's text of what is shown now, for the tests of a reading that can be amended. The first
/// measurement of an eye counts.
pub fn typed_of(test: Test, measurements: &[Measurement]) -> Typed {
    let mut typed = Typed::new();
    for measurement in measurements.iter().filter(|it| is_of(test, it)).rev() {
        let Some(prefix) = prefix(measurement.eye) else { continue };
        let mut put = |name: &str, text: Option<String>| {
            if let Some(text) = text {
                typed.insert(format!("{prefix}{name}"), text);
            }
        };
        match &measurement.measured {
            Measured::Refraction(it) => {
                let shown = it.representative.as_ref().map(|it| it.value);
                let shown = shown.or_else(|| it.shots.iter().find_map(|shot| shot.value));
                put("sphere", shown.map(|it| signed(it.sphere)));
                put("cylinder", shown.map(|it| signed(it.cylinder)));
                put("axis", shown.and_then(|it| axis(it.axis_deg, it.cylinder)));
                let vertex = it.vertex_distance_mm.map(|it| it.to_string());
                typed.extend(vertex.map(|text| ("vertex".to_owned(), text)));
            }
            Measured::Lensometry(it) => {
                let cylinder = it.cylinder.unwrap_or_default();
                put("sphere", it.sphere.map(signed));
                put("cylinder", it.cylinder.map(signed));
                put("axis", axis(it.axis_deg, cylinder));
                put("add", it.add.map(|add| add.to_string()));
                let prism = it.prism.clone().unwrap_or_default();
                for (part, component) in
                    [("horizontal", prism.horizontal), ("vertical", prism.vertical)]
                {
                    let Some(PrismComponent { amount, base }) = component else { continue };
                    put(&format!("prism_{part}"), Some(amount.to_string()));
                    put(&format!("base_{part}"), base_word(base).map(Into::into));
                }
            }
            Measured::Keratometry(it) => {
                let shown = it.representative.as_ref().map(|it| it.value.clone());
                let shown = shown.or_else(|| it.shots.iter().find_map(|shot| shot.value.clone()));
                let Some(shown) = shown else { continue };
                for (which, Meridian { radius_mm, power, axis_deg }) in
                    [("flat", shown.r1), ("steep", shown.r2)]
                {
                    put(&format!("{which}_mm"), radius_mm.map(|it| it.to_string()));
                    put(&format!("{which}_power"), power.map(|it| it.to_string()));
                    put(&format!("{which}_axis"), axis(axis_deg, Hundredths::whole(1)));
                }
            }
            Measured::Tonometry(it) => {
                let shown = it.representative.as_ref().map(|it| it.value);
                let shown = shown.or_else(|| it.shots.iter().find_map(|shot| shot.value));
                put("iop", shown.map(|it| it.iop_mmhg.to_string()));
                let method = serde_json::to_value(it.method).ok();
                let method = method.and_then(|it| it.as_str().map(ToOwned::to_owned));
                typed.extend(method.map(|text| ("method".to_owned(), text)));
            }
            Measured::Pachymetry(it) => {
                let shown = it.representative_um.as_ref().map(|it| it.value);
                let shown = shown.or_else(|| it.shots_um.iter().find_map(|shot| shot.value));
                put("cct", shown.map(|it| it.to_string()));
            }
            Measured::PupillaryDistance(it) => {
                put("far", it.far_mm.map(|it| it.to_string()));
                put("far_right", it.right_mm.map(|it| it.to_string()));
                put("far_left", it.left_mm.map(|it| it.to_string()));
                put("near", it.near_mm.map(|it| it.to_string()));
            }
            _ => {}
        }
    }
    typed
}

fn signed(number: Hundredths) -> String {
    format!("{number:+}")
}
fn axis(axis_deg: Option<i16>, cylinder: Hundredths) -> Option<String> {
    let axis_deg = axis_deg.filter(|_| !cylinder.is_zero())?;
    Some(if axis_deg == 0 { 180 } else { axis_deg }.to_string())
}
fn base_word(base: Base) -> Option<&'static str> {
    match base {
        Base::In => Some("in"),
        Base::Out => Some("out"),
        Base::Up => Some("up"),
        Base::Down => Some("down"),
        Base::Unverified => None,
    }
}

/// Puts typed values into a reading's measurements. Only what the reading measured can be amended:
/// another eye or test is typed as a reading of its own.
pub fn amend(
    test: Test,
    measurements: &[Measurement],
    typed: &Typed,
) -> Result<Vec<Measurement>, Vec<FieldFault>> {
    let given = parse(test, typed)?;
    let mut amended = measurements.to_vec();
    for new in given {
        let old = amended.iter_mut().find(|old| is_of(test, old) && old.eye == new.eye);
        let Some(old) = old else {
            let field = format!("{}{}", prefix(new.eye).unwrap_or(""), test.fields()[0].name);
            let message = "this reading has no value of this eye to amend: type it as a new one";
            return Err(vec![FieldFault { field, message: message.into() }]);
        };
        take_over(&mut old.measured, new.measured);
    }
    Ok(amended)
}

/// The typed value as the measurement's own; everything else stays.
fn take_over(old: &mut Measured, new: Measured) {
    let label = || LABEL.to_owned();
    match (old, new) {
        (Measured::Refraction(old), Measured::Refraction(new)) => {
            old.vertex_distance_mm = new.vertex_distance_mm.or(old.vertex_distance_mm);
            old.representative = new.representative;
            old.representative.iter_mut().for_each(|it| it.label = label());
        }
        (Measured::Lensometry(old), Measured::Lensometry(new)) => {
            (old.sphere, old.cylinder, old.axis_deg) = (new.sphere, new.cylinder, new.axis_deg);
            (old.add, old.prism) = (new.add, new.prism);
        }
        (Measured::Keratometry(old), Measured::Keratometry(new)) => {
            old.representative = new.representative;
            old.representative.iter_mut().for_each(|it| it.label = label());
        }
        (Measured::Tonometry(old), Measured::Tonometry(new)) => {
            old.method = new.method;
            old.representative = new.representative;
            old.representative.iter_mut().for_each(|it| it.label = label());
        }
        (Measured::Pachymetry(old), Measured::Pachymetry(new)) => {
            old.representative_um = new.representative_um;
            old.representative_um.iter_mut().for_each(|it| it.label = label());
        }
        (Measured::PupillaryDistance(old), Measured::PupillaryDistance(new)) => {
            (old.far_mm, old.near_mm) = (new.far_mm, new.near_mm);
            (old.right_mm, old.left_mm) = (new.right_mm, new.left_mm);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chiasm_proto::{Shot, Tonometry, TonometryMethod, tonometry::IopValue};

    fn pressure(eye: Eye, shots: &[i32]) -> Measurement {
        let value = |iop| IopValue { iop_mmhg: Hundredths::whole(iop), iop_kpa: None };
        let measured = Measured::Tonometry(Tonometry {
            shots: shots.iter().map(|iop| Shot::of(value(*iop))).collect(),
            ..Tonometry::new(TonometryMethod::NonContact)
        });
        Measurement::of(eye, "R", measured)
    }

    #[test]
    fn r35_an_amended_value_keeps_its_shots_and_what_it_does_not_name() {
        let sent = [pressure(Eye::Right, &[17, 18]), pressure(Eye::Left, &[16])];
        let mut typed = typed_of(Test::Tonometry, &sent);
        assert_eq!(typed["od_iop"], "17.00");
        assert_eq!(typed["method"], "non_contact");
        typed.insert("od_iop".into(), "27".into());
        typed.remove("os_iop");
        let amended = amend(Test::Tonometry, &sent, &typed).unwrap();
        let Measured::Tonometry(it) = &amended[0].measured else { panic!("a pressure") };
        assert_eq!(it.representative.as_ref().unwrap().label, LABEL);
        assert_eq!(it.representative.as_ref().unwrap().value.iop_mmhg, Hundredths::whole(27));
        assert_eq!(it.shots.len(), 2);
        assert_eq!(amended[1], sent[1]);
    }

    #[test]
    fn another_eye_is_not_amended_but_typed() {
        let sent = [pressure(Eye::Right, &[17])];
        let typed = Typed::from([
            ("os_iop".to_owned(), "20".to_owned()),
            ("method".to_owned(), "non_contact".to_owned()),
        ]);
        let faults = amend(Test::Tonometry, &sent, &typed).unwrap_err();
        assert_eq!(faults[0].field, "os_iop");
    }
}

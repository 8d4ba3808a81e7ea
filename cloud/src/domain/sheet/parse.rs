//! From the text of a form to measurements, with a message for each field that cannot be taken.

use super::{Field, Kind, Test};
use chiasm_proto::{
    Eye, Hundredths, Keratometry, KeratometryValue, Lensometry, Measured, Measurement, Meridian,
    Pachymetry, PupillaryDistance, Refraction, RefractionKind, RefractionValue, Representative,
    Tonometry, TonometryMethod,
    lens::{Base, Prism, PrismComponent},
    tonometry::IopValue,
};
use std::collections::BTreeMap;

/// What was typed, by the field's name in the form.
pub type Typed = BTreeMap<String, String>;

/// A message at a field.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldFault {
    pub field: String,
    pub message: String,
}

/// What the value of a typed measurement is called.
pub const LABEL: &str = "typed";

struct Reader<'t> {
    typed: &'t Typed,
    faults: Vec<FieldFault>,
}

/// Makes the measurements. An eye without any value was not measured; both without is a fault.
pub fn parse(test: Test, typed: &Typed) -> Result<Vec<Measurement>, Vec<FieldFault>> {
    let mut reader = Reader { typed, faults: Vec::new() };
    let eyes: &[(Eye, &str)] = match test.is_per_eye() {
        true => &[(Eye::Right, "od_"), (Eye::Left, "os_")],
        false => &[(Eye::Both, "")],
    };
    let mut measurements = Vec::new();
    for &(eye, prefix) in eyes {
        if test
            .fields()
            .iter()
            .any(|field| !reader.text(&format!("{prefix}{}", field.name)).is_empty())
        {
            let measured = reader.measured(test, prefix);
            measurements.extend(measured.map(|it| Measurement::without_token(eye, it)));
        }
    }
    if measurements.is_empty() && reader.faults.is_empty() {
        let first = format!("{}{}", eyes[0].1, test.fields()[0].name);
        reader.fault(first, "type at least one value");
    }
    if reader.faults.is_empty() { Ok(measurements) } else { Err(reader.faults) }
}

impl Reader<'_> {
    fn text(&self, name: &str) -> &str {
        self.typed.get(name).map_or("", |text| text.trim())
    }
    fn fault(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.faults.push(FieldFault { field: field.into(), message: message.into() });
    }

    fn number(&mut self, prefix: &str, field: &Field) -> Option<Hundredths> {
        let name = format!("{prefix}{}", field.name);
        let text = self.text(&name);
        if text.is_empty() {
            return None;
        }
        match within(text, field) {
            Ok(number) => Some(number),
            Err(message) => {
                self.fault(name, message);
                None
            }
        }
    }
    fn by_name(&mut self, test: Test, prefix: &str, name: &str) -> Option<Hundredths> {
        let field = test.fields().iter().chain(test.common()).find(|field| field.name == name)?;
        self.number(prefix, field)
    }
    fn axis(&mut self, test: Test, prefix: &str, name: &str) -> Option<i16> {
        let axis = self.by_name(test, prefix, name)?;
        i16::try_from(axis.0 / 100).ok()
    }

    fn measured(&mut self, test: Test, prefix: &str) -> Option<Measured> {
        match test {
            Test::Autorefraction => self.refraction(test, prefix),
            Test::Lensometry => self.lens(test, prefix),
            Test::Keratometry => self.keratometry(test, prefix),
            Test::Tonometry => self.tonometry(test, prefix),
            Test::Pachymetry => self.pachymetry(test, prefix),
            Test::PupillaryDistance => self.distance(test),
        }
    }

    /// R7: an axis exactly where there is a cylinder.
    fn check_axis(&mut self, prefix: &str, cylinder: Hundredths, axis: Option<i16>) {
        let name = format!("{prefix}axis");
        let is_given = !self.text(&name).is_empty();
        match axis {
            None if !cylinder.is_zero() && !is_given => {
                self.fault(name, "a cylinder needs its axis, 1 to 180");
            }
            Some(_) if cylinder.is_zero() => {
                self.fault(name, "without a cylinder there is no axis");
            }
            _ => {}
        }
    }
    fn sphere(&mut self, test: Test, prefix: &str) -> Option<Hundredths> {
        let name = format!("{prefix}sphere");
        let is_missing = self.text(&name).is_empty();
        if is_missing {
            self.fault(name, "type the sphere; 0 if it is plano");
            return None;
        }
        self.by_name(test, prefix, "sphere")
    }

    fn refraction(&mut self, test: Test, prefix: &str) -> Option<Measured> {
        let sphere = self.sphere(test, prefix);
        let cylinder = self.by_name(test, prefix, "cylinder").unwrap_or_default();
        let axis_deg = self.axis(test, prefix, "axis");
        self.check_axis(prefix, cylinder, axis_deg);
        let vertex_distance_mm = self.by_name(test, "", "vertex");
        let value =
            RefractionValue { sphere: sphere?, cylinder, axis_deg, spherical_equivalent: None };
        Some(Measured::Refraction(Refraction {
            vertex_distance_mm,
            representative: Some(Representative { label: LABEL.into(), value }),
            ..Refraction::new(RefractionKind::Autorefraction)
        }))
    }

    fn lens(&mut self, test: Test, prefix: &str) -> Option<Measured> {
        let sphere = self.sphere(test, prefix);
        let cylinder = self.by_name(test, prefix, "cylinder").unwrap_or_default();
        let axis_deg = self.axis(test, prefix, "axis");
        self.check_axis(prefix, cylinder, axis_deg);
        let add = self.by_name(test, prefix, "add");
        let horizontal = self.prism(test, prefix, "horizontal");
        let vertical = self.prism(test, prefix, "vertical");
        let prism = (horizontal.is_some() || vertical.is_some()).then(|| Prism {
            horizontal,
            vertical,
            ..Prism::default()
        });
        Some(Measured::Lensometry(Lensometry {
            sphere: Some(sphere?),
            cylinder: Some(cylinder),
            axis_deg,
            add,
            prism,
            ..Lensometry::default()
        }))
    }

    /// A prism needs its base, and a base its prism (R24).
    fn prism(&mut self, test: Test, prefix: &str, part: &str) -> Option<PrismComponent> {
        let amount_name = format!("prism_{part}");
        let base_name = format!("{prefix}base_{part}");
        let is_given = !self.text(&format!("{prefix}{amount_name}")).is_empty();
        let amount = self.by_name(test, prefix, &amount_name);
        let base = match self.text(&base_name) {
            "in" => Some(Base::In),
            "out" => Some(Base::Out),
            "up" => Some(Base::Up),
            "down" => Some(Base::Down),
            "" => None,
            _ => {
                self.fault(base_name, "choose one from the list");
                return None;
            }
        };
        match (amount, base) {
            (Some(amount), Some(base)) => Some(PrismComponent { amount, base }),
            (Some(_), None) => {
                self.fault(base_name, "say where the base of the prism lies");
                None
            }
            (None, Some(_)) if !is_given => {
                self.fault(format!("{prefix}{amount_name}"), "type the prism of this base");
                None
            }
            _ => None,
        }
    }

    fn keratometry(&mut self, test: Test, prefix: &str) -> Option<Measured> {
        let r1 = self.meridian(test, prefix, "flat")?;
        let r2 = self.meridian(test, prefix, "steep")?;
        let is_steeper = match (r1.radius_mm, r2.radius_mm, r1.power, r2.power) {
            (Some(flat), Some(steep), ..) => steep <= flat,
            (_, _, Some(flat), Some(steep)) => steep >= flat,
            _ => true,
        };
        if !is_steeper {
            let message = "the steep meridian has the smaller radius and the greater power";
            self.fault(format!("{prefix}steep_mm"), message);
        }
        let value = KeratometryValue { r1, r2, ..KeratometryValue::default() };
        Some(Measured::Keratometry(Keratometry {
            representative: Some(Representative { label: LABEL.into(), value }),
            ..Keratometry::default()
        }))
    }
    fn meridian(&mut self, test: Test, prefix: &str, which: &str) -> Option<Meridian> {
        let before = self.faults.len();
        let it = Meridian {
            radius_mm: self.by_name(test, prefix, &format!("{which}_mm")),
            power: self.by_name(test, prefix, &format!("{which}_power")),
            axis_deg: self.axis(test, prefix, &format!("{which}_axis")),
        };
        if it.radius_mm.is_none() && it.power.is_none() && self.faults.len() == before {
            let message = "type a radius or a power for both meridians";
            self.fault(format!("{prefix}{which}_mm"), message);
            return None;
        }
        Some(it)
    }

    fn tonometry(&mut self, test: Test, prefix: &str) -> Option<Measured> {
        let iop = self.by_name(test, prefix, "iop");
        let method = match self.text("method") {
            "goldmann" => TonometryMethod::Goldmann,
            "non_contact" => TonometryMethod::NonContact,
            "rebound" => TonometryMethod::Rebound,
            "tono_pen" => TonometryMethod::TonoPen,
            "ocular_response" => TonometryMethod::OcularResponse,
            _ => {
                if self.faults.iter().all(|fault| fault.field != "method") {
                    self.fault("method", "choose how the pressure was measured");
                }
                return None;
            }
        };
        let value = IopValue { iop_mmhg: iop?, iop_kpa: None };
        Some(Measured::Tonometry(Tonometry {
            representative: Some(Representative { label: LABEL.into(), value }),
            ..Tonometry::new(method)
        }))
    }

    fn pachymetry(&mut self, test: Test, prefix: &str) -> Option<Measured> {
        let cct = self.by_name(test, prefix, "cct")?;
        if cct.0 % 100 != 0 {
            self.fault(format!("{prefix}cct"), "whole micrometres");
            return None;
        }
        let value = u16::try_from(cct.0 / 100).ok()?;
        Some(Measured::Pachymetry(Pachymetry {
            representative_um: Some(Representative { label: LABEL.into(), value }),
            ..Pachymetry::default()
        }))
    }

    fn distance(&mut self, test: Test) -> Option<Measured> {
        Some(Measured::PupillaryDistance(PupillaryDistance {
            far_mm: self.by_name(test, "", "far"),
            right_mm: self.by_name(test, "", "far_right"),
            left_mm: self.by_name(test, "", "far_left"),
            near_mm: self.by_name(test, "", "near"),
            ..PupillaryDistance::default()
        }))
    }
}

/// A number as people type it: a comma or a point, a hyphen or a minus sign, `pl` for plano.
fn number(text: &str) -> Option<Hundredths> {
    let plain = text.replace(',', ".").replace(['\u{2212}', '\u{2013}'], "-").replace(' ', "");
    if matches!(plain.to_lowercase().as_str(), "pl" | "plano") {
        return Some(Hundredths::ZERO);
    }
    plain.parse().ok()
}

fn within(text: &str, field: &Field) -> Result<Hundredths, String> {
    let shown: String = text.chars().take(20).collect();
    let number =
        number(text).ok_or_else(|| format!("{shown} is no number with at most two decimals"))?;
    let whole = |hundredths: i32| Hundredths(hundredths).to_string().replace(".00", "");
    match field.kind {
        Kind::Signed { limit } if number.0.abs() > limit => {
            Err(format!("between -{0} and +{0} {1}", whole(limit), field.unit))
        }
        Kind::Between { least, most } if !(least..=most).contains(&number.0) => {
            Err(format!("between {} and {} {}", whole(least), whole(most), field.unit))
        }
        Kind::Axis if number.0 % 100 != 0 || !(100..=18_000).contains(&number.0) => {
            Err("whole degrees, 1 to 180".into())
        }
        _ => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(pairs: &[(&str, &str)]) -> Typed {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }
    fn fields(faults: &[FieldFault]) -> Vec<&str> {
        faults.iter().map(|fault| fault.field.as_str()).collect()
    }

    #[test]
    fn t11_what_is_typed_becomes_a_measurement_like_any_other() {
        let form =
            typed(&[("od_sphere", "\u{2212}1,25"), ("od_cylinder", "-0.75"), ("od_axis", "180")]);
        let measurements = parse(Test::Autorefraction, &form).unwrap();
        let [one] = &measurements[..] else { panic!("the right eye alone: {measurements:?}") };
        assert_eq!(one.eye, Eye::Right);
        let Measured::Refraction(it) = &one.measured else { panic!("a refraction") };
        let value = it.representative.as_ref().unwrap().value;
        assert_eq!(
            (value.sphere, value.cylinder, value.axis_deg),
            (Hundredths(-125), Hundredths(-75), Some(180))
        );
    }

    #[test]
    fn every_fault_names_its_field() {
        type Case<'a> = (Test, &'a [(&'a str, &'a str)], &'a [&'a str]);
        let cases: &[Case<'_>] = &[
            (Test::Autorefraction, &[], &["od_sphere"]),
            (Test::Autorefraction, &[("os_cylinder", "-1"), ("os_axis", "5")], &["os_sphere"]),
            (Test::Autorefraction, &[("od_sphere", "1"), ("od_cylinder", "-1")], &["od_axis"]),
            (Test::Autorefraction, &[("od_sphere", "1"), ("od_axis", "90")], &["od_axis"]),
            (
                Test::Autorefraction,
                &[("od_sphere", "1"), ("od_cylinder", "-1"), ("od_axis", "181")],
                &["od_axis"],
            ),
            (Test::Autorefraction, &[("od_sphere", "1.125")], &["od_sphere"]),
            (Test::Autorefraction, &[("od_sphere", "six")], &["od_sphere"]),
            (Test::Tonometry, &[("od_iop", "17"), ("os_iop", "18")], &["method"]),
            (Test::Tonometry, &[("od_iop", "170"), ("method", "goldmann")], &["od_iop"]),
            (
                Test::Lensometry,
                &[("od_sphere", "0"), ("od_prism_horizontal", "2")],
                &["od_base_horizontal"],
            ),
            (
                Test::Lensometry,
                &[("od_sphere", "0"), ("od_base_vertical", "up")],
                &["od_prism_vertical"],
            ),
            (Test::Keratometry, &[("od_flat_mm", "7.8")], &["od_steep_mm"]),
            (Test::Keratometry, &[("od_flat_mm", "7.5"), ("od_steep_mm", "7.8")], &["od_steep_mm"]),
            (Test::Pachymetry, &[("os_cct", "5400")], &["os_cct"]),
        ];
        for (test, form, expected) in cases {
            let faults = parse(*test, &typed(form)).expect_err("a fault");
            assert_eq!(fields(&faults), *expected, "{test:?} {form:?}: {faults:?}");
        }
    }

    #[test]
    fn r22_extremes_are_taken() {
        for pressure in ["2", "68"] {
            let form = typed(&[("os_iop", pressure), ("method", "rebound")]);
            assert_eq!(parse(Test::Tonometry, &form).unwrap().len(), 1, "{pressure}");
        }
    }

    #[test]
    fn r24_a_base_is_of_its_eye() {
        let form = typed(&[
            ("od_sphere", "pl"),
            ("od_prism_horizontal", "2.5"),
            ("od_base_horizontal", "in"),
            ("os_sphere", "+0.50"),
            ("os_prism_vertical", "2"),
            ("os_base_vertical", "down"),
        ]);
        let measurements = parse(Test::Lensometry, &form).unwrap();
        let bases: Vec<Base> = measurements
            .iter()
            .filter_map(|it| match &it.measured {
                Measured::Lensometry(lens) => lens.prism.as_ref(),
                _ => None,
            })
            .filter_map(|prism| prism.horizontal.or(prism.vertical))
            .map(|component| component.base)
            .collect();
        assert_eq!(bases, [Base::In, Base::Down]);
    }
}

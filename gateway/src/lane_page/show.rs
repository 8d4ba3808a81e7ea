//! Measurements in words and numbers, as the instrument sent them: nothing is computed.

use chiasm_proto::{
    Decoded, Eye, Hundredths, Keratometry, Lensometry, Measured, Meridian, Prism, Refraction,
    RefractionKind, Representative, Shot, Tonometry, TonometryMethod, Vision, refraction::Light,
};

/// One test, with what each eye has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    pub title: String,
    pub right: String,
    pub left: String,
    /// Of both eyes together, or of a side that was not sent.
    pub other: String,
}

/// The measurements of a transmission; the same test of two eyes is one row.
pub fn rows(decoded: &Decoded) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for measurement in &decoded.measurements {
        let (mut title, text) = in_words(&measurement.measured);
        if let Some(set) = &measurement.data_set {
            title = format!("{title}, {set}");
        }
        let has_room = |row: &Row| {
            row.title == title
                && match measurement.eye {
                    Eye::Right => row.right.is_empty(),
                    Eye::Left => row.left.is_empty(),
                    Eye::Both | Eye::NotGiven => row.other.is_empty(),
                }
        };
        let index = match rows.iter().position(has_room) {
            Some(index) => index,
            None => {
                rows.push(Row { title: title.clone(), ..Row::default() });
                rows.len() - 1
            }
        };
        match measurement.eye {
            Eye::Right => rows[index].right = text,
            Eye::Left => rows[index].left = text,
            Eye::Both => rows[index].other = text,
            Eye::NotGiven => rows[index].other = format!("{text} (side not sent)"),
        }
    }
    rows
}

fn in_words(measured: &Measured) -> (String, String) {
    match measured {
        Measured::Refraction(it) => (refraction_title(it), refraction(it)),
        Measured::Lensometry(it) => ("Lensmeter".into(), lens(it)),
        Measured::Keratometry(it) => ("Keratometry".into(), keratometry(it)),
        Measured::Tonometry(it) => (pressure_title(it), pressure(it)),
        Measured::Pachymetry(it) => {
            let um = |um: &u16| format!("{um} \u{b5}m");
            ("Corneal thickness".into(), declared(it.representative_um.as_ref(), &it.shots_um, um))
        }
        Measured::PupillaryDistance(it) => {
            let parts = [
                ("far", it.far_mm),
                ("R", it.right_mm),
                ("L", it.left_mm),
                ("near", it.near_mm),
                ("near R", it.near_right_mm),
                ("near L", it.near_left_mm),
            ];
            ("Pupillary distance".into(), named(&parts, "mm"))
        }
        Measured::CornealSize(it) => ("Corneal size".into(), unit(it.diameter_mm, "mm")),
        Measured::PupilSize(it) => ("Pupil size".into(), unit(it.diameter_mm, "mm")),
        Measured::Biometry(it) => {
            let parts = [
                ("AL", it.axial_length_mm),
                ("AD", it.aqueous_depth_mm),
                ("LT", it.lens_thickness_mm),
            ];
            ("Biometry".into(), named(&parts, "mm"))
        }
        Measured::VisualAcuity(it) => ("Visual acuity".into(), it.as_sent.clone()),
        Measured::OtherTest(it) => {
            let value = |value: &chiasm_proto::OtherValue| {
                let unit = value.unit.as_deref().unwrap_or_default();
                format!("{} {} {unit}", value.name, value.as_sent).trim().to_owned()
            };
            (it.name.clone(), it.values.iter().map(value).collect::<Vec<_>>().join(", "))
        }
    }
}

/// The value that the instrument declares for the eye, or its only one, or that there is none.
fn declared<V>(
    representative: Option<&Representative<V>>,
    shots: &[Shot<V>],
    text: impl Fn(&V) -> String,
) -> String {
    let values: Vec<&V> = shots.iter().filter_map(|shot| shot.value.as_ref()).collect();
    match (representative, &values[..]) {
        (Some(it), _) => text(&it.value),
        (None, [single]) => text(single),
        (None, []) => "no value".into(),
        (None, all) => {
            let all: Vec<String> = all.iter().map(|value| text(value)).collect();
            format!("no declared value; shots {}", all.join(" | "))
        }
    }
}

fn short(number: Hundredths) -> String {
    let text = number.to_string();
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn unit(number: Hundredths, unit: &str) -> String {
    format!("{} {unit}", short(number))
}

fn named(parts: &[(&str, Option<Hundredths>)], of: &str) -> String {
    let part = |(name, value): &(&str, Option<Hundredths>)| {
        value.map(|value| format!("{name} {}", unit(value, of)))
    };
    parts.iter().filter_map(part).collect::<Vec<_>>().join(", ")
}

/// In three digits; 0 is shown as 180 where there is a cylinder (R7).
fn axis(axis_deg: i16, cylinder: Hundredths) -> String {
    if axis_deg == 0 && !cylinder.is_zero() { "180".into() } else { format!("{axis_deg:03}") }
}

fn sphere_cylinder_axis(
    sphere: Option<Hundredths>,
    cylinder: Option<Hundredths>,
    axis_deg: Option<i16>,
) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(sphere.map(|sphere| format!("{sphere:+}")));
    parts.extend(cylinder.map(|cylinder| format!("{cylinder:+}")));
    let cylinder = cylinder.unwrap_or_default();
    let axis_deg = axis_deg.filter(|axis| *axis != 0 || !cylinder.is_zero());
    parts.extend(axis_deg.map(|axis_deg| format!("\u{d7} {}", axis(axis_deg, cylinder))));
    parts.join(" ")
}

fn refraction_title(it: &Refraction) -> String {
    let kind = match it.kind {
        RefractionKind::Autorefraction => "Autorefraction",
        RefractionKind::ContactLensEquivalent => "Contact lens equivalent",
        RefractionKind::TrialLens => "Trial lens",
        RefractionKind::NightMinusDay => "Night minus day",
        RefractionKind::Subjective => "Subjective",
        RefractionKind::Final => "Final",
        RefractionKind::PreviousPrescription => "Previous prescription",
    };
    let light = if it.light == Light::Night { ", night" } else { "" };
    let vision = if it.vision == Vision::Near { ", near" } else { "" };
    format!("{kind}{light}{vision}")
}

fn refraction(it: &Refraction) -> String {
    let mut text = declared(it.representative.as_ref(), &it.shots, |value| {
        sphere_cylinder_axis(Some(value.sphere), Some(value.cylinder), value.axis_deg)
    });
    if let Some(add) = it.add {
        text.push_str(&format!(", add {add:+}"));
    }
    text + &it.prism.as_ref().map(prism).unwrap_or_default()
}

fn lens(it: &Lensometry) -> String {
    let mut parts = vec![sphere_cylinder_axis(it.sphere, it.cylinder, it.axis_deg)];
    let powers = [
        ("add", it.add),
        ("add 2", it.add2),
        ("near", it.near_sphere),
        ("near 2", it.near_sphere2),
    ];
    for (name, power) in powers {
        parts.extend(power.map(|power| format!("{name} {power:+}")));
    }
    parts.extend(it.error.as_ref().map(|error| format!("the instrument reported: {error}")));
    parts.retain(|part| !part.is_empty());
    parts.join(", ") + &it.prism.as_ref().map(prism).unwrap_or_default()
}

fn prism(it: &Prism) -> String {
    let component = |it: chiasm_proto::PrismComponent| match it.base {
        chiasm_proto::Base::In => format!("{} BI", it.amount),
        chiasm_proto::Base::Out => format!("{} BO", it.amount),
        chiasm_proto::Base::Up => format!("{} BU", it.amount),
        chiasm_proto::Base::Down => format!("{} BD", it.amount),
        chiasm_proto::Base::Unverified => format!("{:+}", it.amount),
    };
    let mut parts: Vec<String> =
        [it.horizontal, it.vertical].into_iter().flatten().map(component).collect();
    let base = it.base_deg.map_or_else(String::new, |base| format!(" base {base:03}\u{b0}"));
    parts.extend(it.amount.map(|amount| format!("{amount}{base}")));
    if parts.is_empty() { String::new() } else { format!(", prism {}", parts.join(", ")) }
}

fn keratometry(it: &Keratometry) -> String {
    let meridian = |name: &str, it: &Meridian| {
        let mut text = name.to_owned();
        for value in [it.radius_mm.map(|mm| format!("{mm} mm")), it.power.map(|d| format!("{d} D"))]
            .into_iter()
            .flatten()
        {
            text.push(' ');
            text.push_str(&value);
        }
        if let Some(axis_deg) = it.axis_deg {
            text.push_str(&format!(" \u{d7} {}", axis(axis_deg, Hundredths::whole(1))));
        }
        text
    };
    declared(it.representative.as_ref(), &it.shots, |value| {
        format!("{}; {}", meridian("R1", &value.r1), meridian("R2", &value.r2))
    })
}

fn pressure_title(it: &Tonometry) -> String {
    let method = match it.method {
        TonometryMethod::NonContact => "non-contact",
        TonometryMethod::Goldmann => "Goldmann",
        TonometryMethod::Rebound => "rebound",
        TonometryMethod::TonoPen => "Tono-Pen",
        TonometryMethod::OcularResponse => "Ocular Response Analyzer",
        TonometryMethod::NotGiven => "method not given",
    };
    format!("Eye pressure, {method}")
}

fn pressure(it: &Tonometry) -> String {
    declared(it.representative.as_ref(), &it.shots, |value| unit(value.iop_mmhg, "mmHg"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chiasm_proto::{Instrument, Integrity, Measurement, RefractionValue, tonometry::IopValue};

    fn measured(eye: Eye, measured: Measured) -> Measurement {
        Measurement { eye, eye_as_sent: None, data_set: None, relayed: false, measured }
    }

    #[test]
    fn both_eyes_of_a_test_stand_beside_each_other_as_sent() {
        let mut decoded = Decoded::new(Instrument::default(), Integrity::Checksum);
        let refraction = |sphere, axis_deg| {
            let value = RefractionValue {
                sphere: Hundredths(sphere),
                cylinder: Hundredths(-75),
                axis_deg: Some(axis_deg),
                spherical_equivalent: None,
            };
            let mut it = Refraction::new(RefractionKind::Autorefraction);
            it.shots = vec![Shot::of(value)];
            Measured::Refraction(it)
        };
        let mut iop = Tonometry::new(TonometryMethod::NonContact);
        let shot = |mmhg| Shot::of(IopValue { iop_mmhg: Hundredths(mmhg), iop_kpa: None });
        iop.shots = vec![shot(1700), shot(1650)];
        decoded.measurements = vec![
            measured(Eye::Right, refraction(-425, 0)),
            measured(Eye::Left, refraction(100, 5)),
            measured(Eye::Right, Measured::Tonometry(iop)),
        ];
        let rows = rows(&decoded);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].right, "-4.25 -0.75 \u{d7} 180");
        assert_eq!(rows[0].left, "+1.00 -0.75 \u{d7} 005");
        assert_eq!(rows[1].right, "no declared value; shots 17 mmHg | 16.5 mmHg");
    }
}

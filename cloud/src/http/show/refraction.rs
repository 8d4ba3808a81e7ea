//! Sphere, cylinder and axis.

use super::{Cell, Group, Line, Section, Value, lens, text, values};
use crate::domain::optics::Power;
use chiasm_proto::{
    Hundredths, Refraction, RefractionKind, RefractionValue, Vision,
    refraction::{CylinderMode, Light},
};

pub fn cell(it: &Refraction) -> (Group, Cell) {
    let title = match it.kind {
        RefractionKind::Autorefraction => "Autorefraction",
        RefractionKind::ContactLensEquivalent => "Contact lens equivalent",
        RefractionKind::TrialLens => "Trial lens",
        RefractionKind::NightMinusDay => "Night minus day",
        RefractionKind::Subjective => "Subjective",
        RefractionKind::Final => "Final",
        RefractionKind::PreviousPrescription => "Previous prescription",
    };
    let title = match it.light {
        Light::Night => format!("{title}, night"),
        Light::Day => title.to_owned(),
    };
    let title = if it.vision == Vision::Near { format!("{title}, near") } else { title };
    let section = match it.kind {
        RefractionKind::Subjective
        | RefractionKind::Final
        | RefractionKind::PreviousPrescription => Section::Refractor,
        _ => Section::Autorefraction,
    };
    let mut notes = Vec::new();
    if let Some(distance) = it.working_distance_cm {
        notes.push(format!("at {} cm", text::short(distance)));
    }
    if let Some(mode) = it.cylinder_mode {
        notes.push(mode_name(mode).to_owned());
    }
    if let Some(step) = it.dioptre_step {
        notes.push(format!("step {step} D"));
    }
    let vertex = it.vertex_distance_mm.map(|vd| format!("VD {} mm", text::short(vd)));
    let mut cell = values::with_shots(
        it.representative.as_ref(),
        &it.shots,
        |value| lines(value, true),
        one_line,
    );
    cell.lines.extend(it.add.map(|add| lens::dioptres("Add", add)));
    cell.lines.extend(it.prism.as_ref().and_then(lens::prism_line));
    if let Some(vertex) = vertex {
        let shown = it.representative.as_ref().map(|representative| representative.value);
        let shown = shown.or_else(|| it.shots.iter().find_map(|shot| shot.value));
        // From 4 D on it stands beside the value (R10).
        if shown.is_some_and(|value| Power::from(value).is_strong()) {
            cell.notes.insert(0, vertex.clone());
        }
        // For both eyes alike: what heads them decides whether they stand side by side.
        notes.insert(0, vertex);
    }
    (values::group(section, title, notes), cell)
}

/// `-4.25 -0.75 × 175`; a power without a cylinder is its sphere alone.
pub fn power(it: Power) -> String {
    if it.cylinder.is_zero() {
        return format!("{:+}", it.sphere);
    }
    let axis = it
        .axis_deg()
        .map_or_else(String::new, |axis| format!(" \u{d7} {}", text::axis(axis, it.cylinder)));
    format!("{:+} {:+}{axis}", it.sphere, it.cylinder)
}

fn lines(value: &RefractionValue, with_equivalent: bool) -> Vec<Line> {
    let mut lines = vec![Line {
        name: String::new(),
        values: sphere_cylinder_axis(Some(value.sphere), Some(value.cylinder), value.axis_deg),
    }];
    if let (Some(se), true) = (value.spherical_equivalent, with_equivalent) {
        let values = vec![Value { name: String::new(), text: format!("{se:+}"), unit: "D" }];
        lines.push(Line { name: "SE".into(), values });
    }
    lines
}

/// `S`, `C` and `A`, as far as they were sent. Without a cylinder an axis of 0 says nothing.
pub fn sphere_cylinder_axis(
    sphere: Option<Hundredths>,
    cylinder: Option<Hundredths>,
    axis_deg: Option<i16>,
) -> Vec<Value> {
    let value = |name: &str, text| Value { name: name.into(), text, unit: "" };
    let mut values = Vec::new();
    values.extend(sphere.map(|sphere| value("S", format!("{sphere:+}"))));
    values.extend(cylinder.map(|cylinder| value("C", format!("{cylinder:+}"))));
    let cylinder = cylinder.unwrap_or_default();
    let axis = axis_deg.filter(|axis| *axis != 0 || !cylinder.is_zero());
    values.extend(axis.map(|axis| value("A", text::axis(axis, cylinder))));
    values
}

fn one_line(value: &RefractionValue) -> String {
    let mut text = format!("{:+} {:+}", value.sphere, value.cylinder);
    let axis = value.axis_deg.filter(|axis| *axis != 0 || !value.cylinder.is_zero());
    if let Some(axis) = axis {
        text.push_str(&format!(" \u{d7} {}", text::axis(axis, value.cylinder)));
    }
    if let Some(se) = value.spherical_equivalent {
        text.push_str(&format!(" SE {se:+}"));
    }
    text
}

pub fn mode_name(mode: CylinderMode) -> &'static str {
    match mode {
        CylinderMode::Minus => "minus cylinder",
        CylinderMode::Plus => "plus cylinder",
        CylinderMode::Mixed => "mixed cylinder",
    }
}

#[cfg(test)]
mod tests {
    use super::super::groups;
    use chiasm_proto::{
        Eye, Hundredths, Measured, Measurement, Refraction, RefractionKind, RefractionValue, Shot,
    };

    fn autorefraction(eye: Eye, sphere: i32) -> Measurement {
        let value = RefractionValue {
            sphere: Hundredths(sphere),
            cylinder: Hundredths::ZERO,
            axis_deg: None,
            spherical_equivalent: None,
        };
        let measured = Measured::Refraction(Refraction {
            vertex_distance_mm: Some(Hundredths(1375)),
            shots: vec![Shot::of(value)],
            ..Refraction::new(RefractionKind::Autorefraction)
        });
        Measurement::without_token(eye, measured)
    }

    /// R10: the vertex distance stands beside a strong power, and keeps the eyes together.
    #[test]
    fn a_weak_and_a_strong_eye_stand_side_by_side() {
        let groups = groups(&[autorefraction(Eye::Right, -399), autorefraction(Eye::Left, -400)]);
        let [group] = &groups[..] else { panic!("one group for both eyes: {groups:?}") };
        let (right, left) = (group.right.as_ref().unwrap(), group.left.as_ref().unwrap());
        assert!(!right.notes.iter().any(|note| note.starts_with("VD")));
        assert_eq!(left.notes[0], "VD 13.75 mm");
    }
}

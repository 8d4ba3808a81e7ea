//! From what a person typed to a prescription, with a message at each field that cannot be taken.

use super::{
    ACUITY_LEN_MAX, ADD_MAX, ADD_MIN, CYLINDER_MAX, EyeRx, NOTE_LEN_MAX, PRISM_MAX, Prescription,
    SPHERE_MAX, VERTEX_DISTANCE_MAX, base_word,
};
use chiasm_proto::{Base, Hundredths, PrismComponent};
use std::collections::BTreeMap;

/// Fields as typed, by name: `right_sphere`, `left_prism_horizontal`, `vertex_distance_mm`.
pub type Draft = BTreeMap<String, String>;

/// Why a field cannot be taken, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFault {
    pub field: String,
    pub message: String,
}

/// Acuities that are written by themselves: correction, distance and eye.
pub const ACUITIES: [&str; 15] = [
    "unaided_far_right",
    "unaided_far_left",
    "unaided_far_both",
    "unaided_near_right",
    "unaided_near_left",
    "unaided_near_both",
    "wearing_far_right",
    "wearing_far_left",
    "wearing_far_both",
    "wearing_near_right",
    "wearing_near_left",
    "wearing_near_both",
    "pinhole_far_right",
    "pinhole_far_left",
    "pinhole_far_both",
];

/// What a prescription has for each eye, behind `right_` or `left_`. `refined` confirms an eye that
/// began with an autorefractor's values.
const EYE_FIELDS: [&str; 11] = [
    "sphere",
    "cylinder",
    "axis",
    "add",
    "prism_horizontal",
    "base_horizontal",
    "prism_vertical",
    "base_vertical",
    "acuity",
    "near_acuity",
    "refined",
];
/// What it has once.
const COMMON_FIELDS: [&str; 3] = ["both_acuity", "vertex_distance_mm", "note"];

/// Whether a prescription has a field of this name.
pub fn is_field(name: &str) -> bool {
    let of_eye = name.strip_prefix("right_").or_else(|| name.strip_prefix("left_"));
    of_eye.is_some_and(|field| EYE_FIELDS.contains(&field)) || COMMON_FIELDS.contains(&name)
}

/// Reads the acuities; what is empty is left out.
pub fn acuities(draft: &Draft) -> Result<BTreeMap<String, String>, Vec<FieldFault>> {
    let mut form = Form { draft, faults: vec![] };
    let mut read = BTreeMap::new();
    for name in ACUITIES {
        let text = form.short_text(name, ACUITY_LEN_MAX);
        if !text.is_empty() {
            read.insert(name.to_owned(), text);
        }
    }
    if form.faults.is_empty() { Ok(read) } else { Err(form.faults) }
}

/// Reads a prescription.
pub fn read(draft: &Draft) -> Result<Prescription, Vec<FieldFault>> {
    let mut form = Form { draft, faults: vec![] };
    let read = Prescription {
        right: form.eye("right"),
        left: form.eye("left"),
        both_acuity: form.short_text("both_acuity", ACUITY_LEN_MAX),
        vertex_distance_mm: form.vertex_distance(),
        note: form.short_text("note", NOTE_LEN_MAX),
        based_on: None,
    };
    if form.faults.is_empty() { Ok(read) } else { Err(form.faults) }
}

/// The fields as they would be typed.
pub fn typed(rx: &Prescription) -> Draft {
    let mut draft = Draft::new();
    let mut put = |name: String, text: Option<String>| {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            draft.insert(name, text);
        }
    };
    for (side, eye) in [("right", &rx.right), ("left", &rx.left)] {
        let name = |field: &str| format!("{side}_{field}");
        let signed = |it: Option<Hundredths>| it.map(|it| format!("{it:+}"));
        put(name("sphere"), signed(eye.sphere));
        put(name("cylinder"), signed(eye.cylinder));
        put(name("axis"), eye.axis_deg.map(|axis| format!("{axis:03}")));
        put(name("add"), signed(eye.add));
        for (direction, prism) in
            [("horizontal", eye.prism_horizontal), ("vertical", eye.prism_vertical)]
        {
            put(name(&format!("prism_{direction}")), prism.map(|it| it.amount.to_string()));
            let base = prism.map(|it| base_word(it.base).to_owned());
            put(name(&format!("base_{direction}")), base);
        }
        put(name("acuity"), Some(eye.acuity.clone()));
        put(name("near_acuity"), Some(eye.near_acuity.clone()));
    }
    put("both_acuity".into(), Some(rx.both_acuity.clone()));
    put("vertex_distance_mm".into(), rx.vertex_distance_mm.map(|it| it.to_string()));
    put("note".into(), Some(rx.note.clone()));
    draft
}

struct Form<'a> {
    draft: &'a Draft,
    faults: Vec<FieldFault>,
}

impl Form<'_> {
    fn text(&self, field: &str) -> &str {
        self.draft.get(field).map_or("", |text| text.trim())
    }
    fn fault(&mut self, field: &str, message: impl Into<String>) {
        self.faults.push(FieldFault { field: field.to_owned(), message: message.into() });
    }

    fn short_text(&mut self, field: &str, most: usize) -> String {
        let text = self.text(field).to_owned();
        if text.chars().count() > most {
            self.fault(field, format!("at most {most} characters"));
        } else if text.chars().any(|it| it.is_control() && it != '\n' && it != '\r') {
            self.fault(field, "there is a character in it that cannot be shown: type it again");
        }
        text
    }

    fn eye(&mut self, side: &str) -> EyeRx {
        let name = |field: &str| format!("{side}_{field}");
        let sphere = self.power(&name("sphere"), SPHERE_MAX);
        let cylinder = self.power(&name("cylinder"), CYLINDER_MAX);
        let axis_deg = self.axis(&name("axis"), cylinder);
        let add = self.add(&name("add"));
        let horizontal = self.prism(side, "horizontal", [("in", Base::In), ("out", Base::Out)]);
        let vertical = self.prism(side, "vertical", [("up", Base::Up), ("down", Base::Down)]);
        let rx = EyeRx {
            sphere,
            cylinder,
            axis_deg,
            add,
            prism_horizontal: horizontal,
            prism_vertical: vertical,
            acuity: self.short_text(&name("acuity"), ACUITY_LEN_MAX),
            near_acuity: self.short_text(&name("near_acuity"), ACUITY_LEN_MAX),
            from_ar: None,
        };
        if rx.sphere.is_none() && !rx.is_empty() && self.text(&name("sphere")).is_empty() {
            self.fault(&name("sphere"), "write the sphere, or 0 for plano");
        }
        rx
    }

    /// A power with its sign. A number without one is not taken: a wrong sign makes wrong glasses.
    fn power(&mut self, field: &str, most: Hundredths) -> Option<Hundredths> {
        let text = self.text(field).to_lowercase();
        if text.is_empty() {
            return None;
        }
        if matches!(text.as_str(), "plano" | "pl" | "plan") {
            return Some(Hundredths::ZERO);
        }
        let plain = number_text(&text);
        match plain.parse::<Hundredths>() {
            Ok(number) if !number.is_zero() && !plain.starts_with(['+', '-']) => {
                self.fault(field, format!("write the sign: +{number} or -{number}"));
                None
            }
            Ok(number) if number.abs() > most => {
                self.fault(field, format!("at most {most} either way"));
                None
            }
            Ok(number) => Some(number),
            Err(_) => {
                self.fault(field, "a number such as -2.25, with two decimals at most");
                None
            }
        }
    }

    /// 1 to 180, needed exactly when there is a cylinder (R7). 0 is taken as 180.
    fn axis(&mut self, field: &str, cylinder: Option<Hundredths>) -> Option<i16> {
        let text = self.text(field).trim_end_matches('\u{b0}').to_owned();
        let has_cylinder = cylinder.is_some_and(|it| !it.is_zero());
        if text.is_empty() {
            if has_cylinder {
                self.fault(field, "a cylinder needs its axis");
            }
            return None;
        }
        match text.parse::<i16>() {
            Ok(axis @ 0..=180) if has_cylinder => Some(if axis == 0 { 180 } else { axis }),
            Ok(0..=180) => {
                self.fault(field, "without a cylinder there is no axis: leave it empty");
                None
            }
            _ => {
                self.fault(field, "a whole number from 1 to 180");
                None
            }
        }
    }

    fn add(&mut self, field: &str) -> Option<Hundredths> {
        let text = number_text(self.text(field));
        if text.is_empty() {
            return None;
        }
        match text.parse::<Hundredths>() {
            Ok(add) if (ADD_MIN..=ADD_MAX).contains(&add) => Some(add),
            _ => {
                self.fault(field, format!("from {ADD_MIN} to {ADD_MAX}, or leave it empty"));
                None
            }
        }
    }

    fn prism(
        &mut self,
        side: &str,
        direction: &str,
        bases: [(&str, Base); 2],
    ) -> Option<PrismComponent> {
        let (field, base_field) =
            (format!("{side}_prism_{direction}"), format!("{side}_base_{direction}"));
        let text = number_text(self.text(&field));
        let base_text = self.text(&base_field).to_owned();
        let base = bases.iter().find(|(word, _)| *word == base_text).map(|(_, base)| *base);
        if text.is_empty() {
            return None;
        }
        let amount = match text.parse::<Hundredths>() {
            Ok(amount) if amount.0 >= 0 && amount <= PRISM_MAX => amount,
            _ => {
                self.fault(&field, format!("from 0 to {PRISM_MAX}, without a sign"));
                return None;
            }
        };
        if amount.is_zero() {
            return None;
        }
        if base.is_none() {
            self.fault(
                &base_field,
                format!("say where the base is: {} or {}", bases[0].0, bases[1].0),
            );
        }
        base.map(|base| PrismComponent { amount, base })
    }

    fn vertex_distance(&mut self) -> Option<Hundredths> {
        let field = "vertex_distance_mm";
        let text = number_text(self.text(field));
        if text.is_empty() {
            return None;
        }
        match text.parse::<Hundredths>() {
            Ok(mm) if mm.0 >= 0 && mm <= VERTEX_DISTANCE_MAX => Some(mm),
            _ => {
                self.fault(field, format!("from 0 to {VERTEX_DISTANCE_MAX} mm"));
                None
            }
        }
    }
}

/// A number as people type it: with a comma, or with the minus sign of a word processor.
fn number_text(text: &str) -> String {
    text.replace(',', ".").replace(['\u{2212}', '\u{2013}'], "-").replace(' ', "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn draft(fields: &[(&str, &str)]) -> Draft {
        fields.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect()
    }
    fn faults(fields: &[(&str, &str)]) -> Vec<String> {
        read(&draft(fields)).unwrap_err().into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn fields_that_are_written_have_names_that_are_known() {
        let text = [("right_sphere", "-1.00"), ("right_cylinder", "-0.50"), ("right_axis", "10")];
        let written = typed(&read(&draft(&text)).unwrap());
        assert_eq!(written.len(), text.len());
        assert!(written.keys().all(|name| is_field(name)));
        assert!(!is_field("right_spere") && !is_field("sphere") && !is_field("right_note"));
    }

    #[test]
    fn takes_what_people_write() {
        let rx = read(&draft(&[
            ("right_sphere", "\u{2212}2,25"),
            ("right_cylinder", "-0.75"),
            ("right_axis", "0"),
            ("right_add", "2"),
            ("right_prism_horizontal", "2.5"),
            ("right_base_horizontal", "in"),
            ("left_sphere", "plano"),
            ("left_prism_vertical", "0"),
            ("vertex_distance_mm", "13.75"),
        ]))
        .unwrap();
        assert_eq!(rx.right.to_string(), "-2.25 -0.75 \u{d7} 180 add +2.00 prism 2.50 in");
        assert_eq!(rx.left.to_string(), "0.00");
        assert_eq!(rx.vertex_distance_mm, Some(Hundredths(1375)));
        assert_eq!(read(&typed(&rx)), Ok(rx), "what is shown is what was taken");
    }

    #[test]
    fn every_fault_stands_at_its_field() {
        let sphere = ("right_sphere", "-1.00");
        for (fields, at) in [
            (&[("right_sphere", "2.25")][..], "right_sphere"),
            (&[("right_sphere", "-2.255")], "right_sphere"),
            (&[("right_sphere", "-30.01")], "right_sphere"),
            (&[sphere, ("right_cylinder", "+15.01"), ("right_axis", "")], "right_cylinder"),
            (&[sphere, ("right_cylinder", "-0.50")], "right_axis"),
            (&[sphere, ("right_cylinder", "-0.50"), ("right_axis", "181")], "right_axis"),
            (&[sphere, ("right_cylinder", "-0.50"), ("right_axis", "-5")], "right_axis"),
            (&[sphere, ("right_cylinder", "0"), ("right_axis", "90")], "right_axis"),
            (&[sphere, ("right_add", "0.24")], "right_add"),
            (&[sphere, ("right_add", "4.01")], "right_add"),
            (&[sphere, ("right_prism_horizontal", "1")], "right_base_horizontal"),
            (
                &[sphere, ("right_prism_vertical", "1"), ("right_base_vertical", "in")],
                "right_base_vertical",
            ),
            (&[sphere, ("right_prism_vertical", "-1")], "right_prism_vertical"),
            (&[("left_add", "2.00")], "left_sphere"),
            (&[("vertex_distance_mm", "20.01")], "vertex_distance_mm"),
            (&[("right_acuity", "twenty over twenty")], "right_acuity"),
        ] {
            assert_eq!(faults(fields), [at], "{fields:?}");
        }
        assert!(acuities(&draft(&[("unaided_far_right", "20/40-2")])).unwrap().len() == 1);
        assert!(acuities(&draft(&[("unaided_far_right", "a much too long one")])).is_err());
    }

    proptest! {
        /// Whatever is typed gives a prescription within the limits or faults, and never panics.
        #[test]
        fn stays_within_limits(
            sphere in "[-+]?[0-9]{0,3}[.,]?[0-9]{0,3}",
            cylinder in "\\PC{0,8}",
            axis in "-?[0-9]{0,6}",
        ) {
            let typed = draft(&[
                ("left_sphere", &sphere), ("left_cylinder", &cylinder), ("left_axis", &axis),
            ]);
            if let Ok(rx) = read(&typed) {
                let left = rx.left;
                prop_assert!(left.sphere.is_none_or(|it| it.abs() <= SPHERE_MAX));
                let has_cylinder = left.cylinder.is_some_and(|it| !it.is_zero());
                prop_assert_eq!(left.axis_deg.is_some(), has_cylinder);
                prop_assert!(left.axis_deg.is_none_or(|it| (1..=180).contains(&it)));
            }
        }
    }
}

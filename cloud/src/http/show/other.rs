//! Biometry, visual acuity, and results without a type of their own.

use super::{
    Cell, Group, Section, Value,
    values::{group, line, millimetres, plain},
};
use chiasm_proto::{
    AcuityCondition, Biometry, Correction, OtherTest, OtherValue, Vision, VisualAcuity,
};

pub fn biometry(it: &Biometry) -> (Group, Cell) {
    let lengths = [
        ("Axial length", it.axial_length_mm),
        ("Aqueous depth", it.aqueous_depth_mm),
        ("Lens thickness", it.lens_thickness_mm),
    ];
    let lines = lengths
        .into_iter()
        .filter_map(|(name, value)| Some(line(name, vec![millimetres("", value?)])));
    let mut cell = plain(lines.collect());
    cell.notes.extend(it.lens_status_as_sent.clone().map(|status| format!("lens: {status}")));
    (group(Section::Biometry, "Biometry".into(), vec![]), cell)
}

pub fn acuity(it: &VisualAcuity) -> (Group, Cell) {
    let title = match it.correction {
        Correction::Unaided => "Unaided",
        Correction::Wearing => "With own glasses",
        Correction::Objective => "With the autorefractor's value",
        Correction::Subjective => "With the subjective refraction",
        Correction::Final => "With the final prescription",
        Correction::Corrected => "Corrected",
    };
    let condition = match it.condition {
        AcuityCondition::Standard => None,
        AcuityCondition::Pinhole => Some("pinhole"),
        AcuityCondition::Low => Some("low contrast or light"),
        AcuityCondition::Glare => Some("glare"),
        AcuityCondition::WithAddition => Some("with the addition"),
    };
    let mut notes: Vec<String> = Vec::new();
    notes.extend((it.vision == Vision::Near).then(|| "near".to_owned()));
    notes.extend(condition.map(str::to_owned));
    notes.extend(it.notation.clone());
    let letters = it.letters_as_sent.as_ref();
    let text = letters.map_or_else(|| it.as_sent.clone(), |some| format!("{} {some}", it.as_sent));
    let cell = plain(vec![line("", vec![Value { name: String::new(), text, unit: "" }])]);
    (group(Section::Acuity, title.into(), notes), cell)
}

pub fn other_test(it: &OtherTest) -> (Group, Cell) {
    let value = |value: &OtherValue| {
        let unit = value.unit.as_ref().map_or_else(String::new, |unit| format!(" {unit}"));
        let text = format!("{}{unit}", value.as_sent);
        line(&value.name, vec![Value { name: String::new(), text, unit: "" }])
    };
    let cell = plain(it.values.iter().map(value).collect());
    (group(Section::Other, capitalised(&it.name), vec![it.code.clone()]), cell)
}

fn capitalised(name: &str) -> String {
    let mut characters = name.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + characters.as_str()
}

//! Every kind of measurement as lines and shots.

use super::{Cell, Group, Line, Section, ShotLine, Value, lens, other, refraction, text};
use chiasm_proto::{
    Confidence, Eye, Keratometry, KeratometryValue, Measured, Meridian, Pachymetry, PupilSize,
    PupillaryDistance, Representative, Shot, Tonometry, TonometryMethod, tonometry::IopValue,
};

/// A measurement's group without its eyes, and what the eye has.
pub fn cell(measured: &Measured, eye: Eye) -> (Group, Cell) {
    match measured {
        Measured::Refraction(it) => refraction::cell(it),
        Measured::Lensometry(it) => lens::cell(it),
        Measured::Keratometry(it) => keratometry(it),
        Measured::Tonometry(it) => tonometry(it),
        Measured::Pachymetry(it) => pachymetry(it),
        Measured::PupillaryDistance(it) => distances(it, eye),
        Measured::CornealSize(it) => {
            let cell = plain(vec![line("", vec![millimetres("", it.diameter_mm)])]);
            (group(Section::Distances, "Corneal size".into(), vec![]), cell)
        }
        Measured::PupilSize(it) => pupil(it),
        Measured::Biometry(it) => other::biometry(it),
        Measured::VisualAcuity(it) => other::acuity(it),
        Measured::OtherTest(it) => other::other_test(it),
    }
}

pub fn group(section: Section, title: String, notes: Vec<String>) -> Group {
    Group {
        section,
        title,
        notes,
        is_minor: false,
        right: None,
        left: None,
        both: None,
        no_side: None,
    }
}

/// The representative value with its label, or the single shot, or the word that there is none
/// (R13); below it every shot.
pub fn with_shots<V>(
    representative: Option<&Representative<V>>,
    shots: &[Shot<V>],
    lines: impl Fn(&V) -> Vec<Line>,
    one_line: impl Fn(&V) -> String,
) -> Cell {
    let mut cell = Cell::default();
    let with_value: Vec<&V> = shots.iter().filter_map(|shot| shot.value.as_ref()).collect();
    match (representative, &with_value[..]) {
        (Some(representative), _) => {
            cell.lines = lines(&representative.value);
            cell.label = representative.label.clone();
        }
        (None, [single]) => {
            cell.lines = lines(single);
            cell.label = "single".into();
        }
        (None, []) => cell.label = "no value".into(),
        (None, _) => cell.label = "the instrument declared no value: see its shots".into(),
    }
    cell.shots = shots
        .iter()
        .enumerate()
        .map(|(index, shot)| ShotLine {
            no: shot.no.map_or_else(|| (index + 1).to_string(), |no| no.to_string()),
            text: shot.value.as_ref().map(&one_line).unwrap_or_default(),
            confidence: shot.confidence.as_ref().map(confidence).unwrap_or_default(),
            is_low: shot.confidence.as_ref().is_some_and(|confidence| confidence.low),
            error: shot.error.clone().unwrap_or_default(),
        })
        .collect();
    cell
}

fn confidence(it: &Confidence) -> String {
    format!("{} of {}", it.as_sent, it.scale)
}

pub fn plain(lines: Vec<Line>) -> Cell {
    Cell { lines, ..Cell::default() }
}
pub fn line(name: &str, values: Vec<Value>) -> Line {
    Line { name: name.into(), values }
}
pub fn millimetres(name: &str, value: chiasm_proto::Hundredths) -> Value {
    Value { name: name.into(), text: text::short(value), unit: "mm" }
}

fn keratometry(it: &Keratometry) -> (Group, Cell) {
    let mut notes = Vec::new();
    notes.extend(it.mire.clone().map(|mire| format!("ring {mire}")));
    notes.extend(it.refractive_index.clone().map(|index| format!("n = {index}")));
    let cell = with_shots(it.representative.as_ref(), &it.shots, keratometry_lines, |value| {
        let r1 = meridian_text(&value.r1);
        format!("R1 {r1}; R2 {}", meridian_text(&value.r2))
    });
    (group(Section::Keratometry, "Keratometry".into(), notes), cell)
}

fn keratometry_lines(value: &KeratometryValue) -> Vec<Line> {
    let mut lines = vec![line("R1", meridian(&value.r1)), line("R2", meridian(&value.r2))];
    let average = meridian(&Meridian {
        radius_mm: value.average_mm,
        power: value.average_power,
        axis_deg: None,
    });
    if !average.is_empty() {
        lines.push(line("AVG", average));
    }
    if let Some(cylinder) = value.cylinder {
        let mut values =
            vec![Value { name: String::new(), text: format!("{cylinder:+}"), unit: "D" }];
        let axis = value.cylinder_axis_deg.map(|axis| text::axis(axis, cylinder));
        values.extend(axis.map(|text| Value { name: "\u{d7}".into(), text, unit: "" }));
        lines.push(line("CYL", values));
    }
    lines
}

fn meridian(it: &Meridian) -> Vec<Value> {
    let mut values = Vec::new();
    let value = |text, unit| Value { name: String::new(), text, unit };
    values.extend(it.radius_mm.map(|mm| value(mm.to_string(), "mm")));
    values.extend(it.power.map(|power| value(power.to_string(), "D")));
    let axis = it.axis_deg.map(|axis| text::axis(axis, chiasm_proto::Hundredths::whole(1)));
    values.extend(axis.map(|text| Value { name: "\u{d7}".into(), text, unit: "" }));
    values
}

fn meridian_text(it: &Meridian) -> String {
    let parts: Vec<String> = meridian(it)
        .into_iter()
        .map(|Value { name, text, unit }| format!("{name} {text} {unit}").trim().to_owned())
        .collect();
    parts.join(" ")
}

fn tonometry(it: &Tonometry) -> (Group, Cell) {
    let method = match it.method {
        TonometryMethod::NonContact => "Non-contact (air puff)",
        TonometryMethod::Goldmann => "Goldmann",
        TonometryMethod::Rebound => "Rebound",
        TonometryMethod::TonoPen => "Tono-Pen",
        TonometryMethod::OcularResponse => "Ocular Response Analyzer",
        TonometryMethod::NotGiven => "Method not given",
    };
    let one_line = |value: &IopValue| {
        let kpa = value.iop_kpa.map_or_else(String::new, |kpa| format!(" ({kpa} kPa)"));
        format!("{} mmHg{kpa}", text::short(value.iop_mmhg))
    };
    let mut cell = with_shots(
        it.representative.as_ref(),
        &it.shots,
        |value| {
            let mut values = vec![Value {
                name: String::new(),
                text: text::short(value.iop_mmhg),
                unit: "mmHg",
            }];
            let kpa = value.iop_kpa.map(|kpa| kpa.to_string());
            values.extend(kpa.map(|text| Value { name: String::new(), text, unit: "kPa" }));
            vec![line("", values)]
        },
        one_line,
    );
    cell.notes.extend(it.count_as_sent.map(|count| format!("count as sent {count}")));
    for corrected in &it.corrected {
        let value = corrected.corrected_mmhg.map(|value| format!("{} mmHg", text::short(value)));
        let value = value.or_else(|| corrected.error.clone()).unwrap_or_default();
        let cct = corrected.cct_um.map_or_else(String::new, |cct| format!(" with {cct} \u{b5}m"));
        let shot = corrected.shot_no.map_or_else(String::new, |no| format!("shot {no}, "));
        let label = &corrected.label;
        cell.notes.push(format!("{shot}{label} by the instrument: {value}{cct}"));
    }
    (group(Section::Pressure, method.into(), vec![]), cell)
}

fn pachymetry(it: &Pachymetry) -> (Group, Cell) {
    let mut cell = with_shots(
        it.representative_um.as_ref(),
        &it.shots_um,
        |um| {
            let value = Value { name: String::new(), text: um.to_string(), unit: "\u{b5}m" };
            vec![line("", vec![value])]
        },
        |um| format!("{um} \u{b5}m"),
    );
    cell.notes.extend(it.count_as_sent.map(|count| format!("count as sent {count}")));
    (group(Section::Thickness, "Pachymetry".into(), vec![]), cell)
}

fn distances(it: &PupillaryDistance, eye: Eye) -> (Group, Cell) {
    let mut lines = Vec::new();
    let parts = [
        ("far", it.far_mm),
        (if eye == Eye::Both { "R" } else { "" }, it.right_mm),
        (if eye == Eye::Both { "L" } else { "" }, it.left_mm),
        ("near", it.near_mm),
        ("near R", it.near_right_mm),
        ("near L", it.near_left_mm),
    ];
    for (name, value) in parts {
        lines.extend(value.map(|value| line(name, vec![millimetres("", value)])));
    }
    let mut notes = vec!["not yet a dispensing distance".to_owned()];
    let distance = it.working_distance_cm.map(|cm| format!("near at {} cm", text::short(cm)));
    notes.extend(distance);
    (group(Section::Distances, "Pupillary distance".into(), notes), plain(lines))
}

fn pupil(it: &PupilSize) -> (Group, Cell) {
    let mut cell = plain(vec![line("", vec![millimetres("", it.diameter_mm)])]);
    cell.notes.extend(it.state_as_sent.clone().map(|state| format!("state as sent: {state}")));
    (group(Section::Distances, "Pupil size".into(), vec![]), cell)
}

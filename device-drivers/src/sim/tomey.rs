//! Tomey's autorefractors: RC-5000 in both outputs, RC-800, RT-6000.

use super::{Knob, Knobs, SimPrint, Simulator, dice::Dice};
use chiasm_proto::{
    Eye, Hundredths, Keratometry, KeratometryValue, Measured, Measurement, Meridian,
    PupillaryDistance, Refraction, RefractionKind, RefractionValue, Representative, Shot,
};

const KNOBS: &[Knob] =
    &[Knob::OneEye, Knob::MissingPd, Knob::Extremes, Knob::PlusCylinder, Knob::PatientId];

pub static FORM: Simulator = Simulator {
    driver: "tomey_form",
    vendor: "Tomey",
    model: "RC-5000 (Form)",
    knobs: KNOBS,
    print: |seed, knobs| form(&Print::random(seed, knobs), "\r\n", knobs),
};

pub static RC800: Simulator = Simulator {
    driver: "tomey_form",
    vendor: "Tomey",
    model: "RC-800",
    knobs: KNOBS,
    print: |seed, knobs| form(&Print::random(seed ^ 0x800, knobs), "\n", knobs),
};

pub static RC: Simulator = Simulator {
    driver: "tomey_rc",
    vendor: "Tomey",
    model: "RC-5000",
    knobs: KNOBS,
    print: |seed, knobs| standard(&Print::random(seed, knobs), knobs),
};

pub static RT6000: Simulator = Simulator {
    driver: "tomey_rt6000",
    vendor: "Tomey",
    model: "RT-6000",
    knobs: &[Knob::OneEye, Knob::Extremes, Knob::PlusCylinder],
    print: |seed, knobs| rt6000(&Print::random(seed, knobs)),
};

pub(super) const SIDES: [(Eye, &str); 2] = [(Eye::Right, "R"), (Eye::Left, "L")];

/// What was measured, before it gets a form. A pair holds the right eye first.
struct Print {
    eyes: [Option<EyePrint>; 2],
    /// Half a millimetre is the finest step.
    distance: Option<Hundredths>,
    vertex_distance: Hundredths,
}

/// One eye; the first of several values is the average.
struct EyePrint {
    refraction: Vec<RefractionValue>,
    cornea: Vec<KeratometryValue>,
}

impl Print {
    fn random(seed: u64, knobs: &Knobs) -> Self {
        let mut dice = Dice::new(seed ^ 0x7243);
        let eyes = SIDES.map(|(eye, _)| {
            let count = dice.between(2, 4);
            let average = value(&mut dice, knobs);
            let near = |dice: &mut Dice| RefractionValue {
                sphere: Hundredths(average.sphere.0 + dice.stepped(-25, 25, 25)),
                ..average
            };
            let refraction =
                (0..count).map(|at| if at == 0 { average } else { near(&mut dice) }).collect();
            let cornea = (0..dice.between(1, 3)).map(|_| cornea(&mut dice)).collect();
            knobs.measures(eye).then_some(EyePrint { refraction, cornea })
        });
        let distance = (!knobs.missing_pd).then(|| Hundredths(dice.stepped(5400, 7200, 50)));
        Self { eyes, distance, vertex_distance: Hundredths(dice.stepped(1200, 1400, 100)) }
    }

    fn sides(&self) -> impl Iterator<Item = (Eye, &'static str, &EyePrint)> {
        let sides = SIDES.into_iter().zip(&self.eyes);
        sides.filter_map(|((eye, letter), measured)| Some((eye, letter, measured.as_ref()?)))
    }

    /// Averages only, or single readings as well.
    fn measurements(&self, label: &str, with_shots: bool) -> Vec<Measurement> {
        let mut all = Vec::new();
        for (eye, letter, measured) in self.sides() {
            let refraction = Refraction {
                vertex_distance_mm: with_shots.then_some(self.vertex_distance),
                representative: Some(first(label, &measured.refraction)),
                shots: shots(&measured.refraction, with_shots),
                ..Refraction::new(RefractionKind::Autorefraction)
            };
            all.push(Measurement::of(eye, letter, Measured::Refraction(refraction)));
        }
        for (eye, letter, measured) in self.sides() {
            let mut values = measured.cornea.clone();
            if !with_shots {
                for value in &mut values {
                    (value.average_power, value.cylinder_axis_deg) = (None, None);
                }
            }
            let keratometry = Keratometry {
                representative: Some(first(label, &values)),
                shots: shots(&values, with_shots),
                ..Keratometry::default()
            };
            all.push(Measurement::of(eye, letter, Measured::Keratometry(keratometry)));
        }
        all.extend(self.distance.map(|far| {
            let distance = PupillaryDistance { far_mm: Some(far), ..Default::default() };
            Measurement::without_token(Eye::Both, Measured::PupillaryDistance(distance))
        }));
        all
    }
}

fn first<V: Clone>(label: &str, values: &[V]) -> Representative<V> {
    Representative { label: label.into(), value: values[0].clone() }
}

/// All but the average, numbered from one.
fn shots<V: Clone>(values: &[V], with_shots: bool) -> Vec<Shot<V>> {
    let shots = values[1..].iter().zip(1..);
    let shots = shots.map(|(value, no)| Shot { no: Some(no), ..Shot::of(value.clone()) });
    shots.filter(|_| with_shots).collect()
}

pub(super) fn value(dice: &mut Dice, knobs: &Knobs) -> RefractionValue {
    let (mut sphere, mut cylinder) = (dice.stepped(-900, 700, 25), dice.stepped(-300, -25, 25));
    if dice.once_in(6) {
        cylinder = 0;
    }
    if knobs.extremes {
        (sphere, cylinder) = (if sphere < 0 { -2975 } else { 2475 }, -1200);
    }
    if knobs.plus_cylinder {
        (sphere, cylinder) = (sphere + cylinder, -cylinder);
    }
    let axis = if knobs.extremes { 180 } else { dice.between(1, 179) };
    RefractionValue {
        sphere: Hundredths(sphere),
        cylinder: Hundredths(cylinder),
        axis_deg: (cylinder != 0).then_some(axis as i16),
        spherical_equivalent: None,
    }
}

fn cornea(dice: &mut Dice) -> KeratometryValue {
    let flat = dice.between(760, 830);
    let steep = flat - dice.between(2, 40);
    let dioptres = |mm: i32| Hundredths(3_375_000 / mm);
    let axis = dice.between(1, 90);
    let meridian = |mm: i32, axis: i32| Meridian {
        radius_mm: Some(Hundredths(mm)),
        power: Some(dioptres(mm)),
        axis_deg: Some(axis as i16),
    };
    let mean = (flat + steep) / 2;
    KeratometryValue {
        r1: meridian(flat, axis),
        r2: meridian(steep, axis + 90),
        average_mm: Some(Hundredths(mean)),
        average_power: Some(dioptres(mean)),
        cylinder: Some(Hundredths(dioptres(flat).0 - dioptres(steep).0)),
        cylinder_axis_deg: Some(axis as i16),
    }
}

/// `-1.75`, `+0.00`.
pub(super) fn signed(value: Hundredths) -> String {
    format!("{}{}", if value.0 < 0 { '-' } else { '+' }, plain(value))
}

/// `7.81`.
pub(super) fn plain(value: Hundredths) -> String {
    let size = value.0.unsigned_abs();
    format!("{}.{:02}", size / 100, size % 100)
}

/// `63.5`.
pub(super) fn one_decimal(value: Hundredths) -> String {
    let size = value.0.unsigned_abs();
    format!("{}.{}", size / 100, size % 100 / 10)
}

/// Six columns: the sign, if there is something to sign, then blanks and digits.
pub(super) fn six_columns(value: Hundredths) -> String {
    let sign = match value.0 {
        0 => ' ',
        size if size < 0 => '-',
        _ => '+',
    };
    format!("{sign}{:>5}", plain(value))
}

fn form(print: &Print, line_end: &str, knobs: &Knobs) -> SimPrint {
    let mut lines = vec![format!("[PT_ID],{}", knobs.patient_id.as_deref().unwrap_or(""))];
    lines.push(format!("[VD],{}", one_decimal(print.vertex_distance)));
    lines.push("[FM_IF],REF".into());
    for (_, side, eye) in print.sides() {
        lines.push(format!("[N_{side}],{},1", eye.refraction.len()));
        let singles = eye.refraction[1..].iter().zip(1..);
        let singles = singles.map(|(value, no)| (no.to_string(), value));
        for (which, value) in singles.chain([("A".to_owned(), &eye.refraction[0])]) {
            let (sphere, cylinder) = (signed(value.sphere), signed(value.cylinder));
            let axis = value.axis_deg.unwrap_or(0);
            lines.push(format!("[POWER_{side}],{which},{sphere},{cylinder},{axis},8"));
        }
    }
    lines.extend(print.distance.map(|distance| format!("[PD],{}", one_decimal(distance))));
    lines.push("[FM_IF],KERATO,1-03-00".into());
    for (_, side, eye) in print.sides() {
        lines.push(format!("[N_{side}],{},1", eye.cornea.len()));
        let singles = eye.cornea[1..].iter().zip(1..);
        let singles = singles.map(|(value, no)| (no.to_string(), value));
        for (which, value) in singles.chain([("A".to_owned(), &eye.cornea[0])]) {
            lines.push(format!("[INF_{side}],{which},"));
            lines.extend(form_cornea(side, value));
        }
    }
    SimPrint {
        bytes: lines.iter().flat_map(|line| format!("{line}{line_end}").into_bytes()).collect(),
        file_name: None,
        running_number: None,
        patient_id: knobs.patient_id.clone(),
        measurements: print.measurements("average", true),
    }
}

fn form_cornea(side: &str, value: &KeratometryValue) -> [String; 4] {
    let padded = |value: Option<Hundredths>| format!(" {}", plain(value.unwrap_or_default()));
    let meridian = |name: &str, it: &Meridian| {
        let axis = it.axis_deg.unwrap_or_default();
        format!("[{name}_{side}],{},{},{axis}", padded(it.radius_mm), padded(it.power))
    };
    let cylinder = signed(value.cylinder.unwrap_or_default());
    let axis = value.cylinder_axis_deg.unwrap_or_default();
    [
        meridian("K1", &value.r1),
        meridian("K2", &value.r2),
        format!("[AV_{side}],{},{}", padded(value.average_mm), padded(value.average_power)),
        format!("[CYL_{side}],{cylinder},{axis}"),
    ]
}

/// The id has four characters here: the last ones of what was typed.
fn standard(print: &Print, knobs: &Knobs) -> SimPrint {
    let id = knobs.patient_id.as_deref().map(|id| &id[id.len().saturating_sub(4)..]);
    let mut lines = vec!["RK".to_owned()];
    for (_, side, eye) in print.sides() {
        let value = &eye.refraction[0];
        let (sphere, cylinder) = (six_columns(value.sphere), six_columns(value.cylinder));
        lines.push(format!("O{side}{sphere}{cylinder}{:3}", value.axis_deg.unwrap_or(0)));
    }
    lines.extend(print.distance.map(|distance| format!("DB{}", one_decimal(distance))));
    for (_, side, eye) in print.sides() {
        let value = &eye.cornea[0];
        let five = |value: Option<Hundredths>| format!("{:>5}", plain(value.unwrap_or_default()));
        let meridian = |it: &Meridian| {
            let axis = it.axis_deg.unwrap_or_default();
            format!("{}{}{axis:3}", five(it.radius_mm), five(it.power))
        };
        let cylinder = six_columns(value.cylinder.unwrap_or_default());
        let (r1, r2) = (meridian(&value.r1), meridian(&value.r2));
        lines.push(format!("C{side}{r1}{r2}{}{cylinder}", five(value.average_mm)));
    }
    let lines: String = lines.iter().map(|line| format!("\x02{line}\r")).collect();
    SimPrint {
        bytes: format!("\x01*{:4}\r{lines}\x04", id.unwrap_or("")).into_bytes(),
        file_name: None,
        running_number: None,
        patient_id: id.map(str::to_owned),
        measurements: print.measurements("result", false),
    }
}

fn rt6000(print: &Print) -> SimPrint {
    let mut text = String::new();
    for (_, side, eye) in print.sides() {
        let value = &eye.refraction[0];
        let (sphere, cylinder) = (signed(value.sphere), signed(value.cylinder));
        let axis = value.axis_deg.unwrap_or(0);
        text.push_str(&format!("Ref_{side}*,{sphere},{cylinder},{axis}\n"));
    }
    text.push_str("PD,63\n");
    let mut measurements = print.measurements("*", false);
    measurements.retain(|one| matches!(one.measured, Measured::Refraction(_)));
    SimPrint {
        bytes: text.into_bytes(),
        file_name: None,
        running_number: None,
        patient_id: None,
        measurements,
    }
}

//! Tomey's and Rodenstock's refractors: two columns of values whose eyes nobody names.

use super::{
    Knob, Knobs, SimPrint, Simulator,
    dice::Dice,
    tomey::{SIDES, one_decimal, plain, signed, value},
};
use chiasm_proto::{
    AcuityCondition, Base, Correction, Eye, Hundredths, Keratometry, KeratometryValue, Lensometry,
    Measured, Measurement, Meridian, OtherTest, OtherValue, Prism, PrismComponent, Refraction,
    RefractionKind, RefractionValue, Representative, Vision, VisualAcuity,
};

const KNOBS: &[Knob] = &[
    Knob::OneEye,
    Knob::MissingPd,
    Knob::Extremes,
    Knob::PlusCylinder,
    Knob::Prism,
    Knob::ClockUnset,
];

pub static PHOROMAT: Simulator =
    simulator("Phoromat 2000", |seed, knobs| print("Phoromat 2000", seed, knobs));
pub static TAP: Simulator =
    simulator("TAP-2000", |seed, knobs| print("TAP-2000", seed ^ 0x2000, knobs));

const fn simulator(model: &'static str, print: fn(u64, &Knobs) -> SimPrint) -> Simulator {
    Simulator { driver: "tomey_tap", vendor: "Tomey", model, knobs: KNOBS, print }
}

const COLUMNS: [&str; 2] = ["column A", "column B"];

/// One section for both columns; an eye that was not measured has blank columns.
struct Section {
    name: &'static str,
    kind: Option<RefractionKind>,
    vision: Vision,
    values: [Option<RefractionValue>; 2],
    adds: [Option<Hundredths>; 2],
    prisms: [Option<(PrismComponent, PrismComponent)>; 2],
    acuities: Option<[Option<String>; 3]>,
}

/// The simulator's own arrangement: the knob's right eye stands in column A.
fn print(machine: &str, seed: u64, knobs: &Knobs) -> SimPrint {
    let mut dice = Dice::new(seed ^ 0x5441);
    let number = format!("{:09}", seed % 10_000);
    let mut records = vec![format!("{machine}|{number}|0")];
    let halves = [0, 1].map(|_| Hundredths(dice.stepped(2800, 3500, 50)));
    if !knobs.missing_pd {
        records.push(format!("PD|{}|{}|", one_decimal(halves[0]), one_decimal(halves[1])));
    }
    records.push("WD|40|".into());
    let sections = sections(&mut dice, knobs);
    let mut measurements = Vec::new();
    for section in &sections {
        section.write(&mut records);
        section.expect(&mut measurements);
    }
    for (eye, letter) in SIDES.into_iter().filter(|(eye, _)| knobs.measures(*eye)) {
        let (r1, r2) = cornea(&mut dice);
        for (name, it) in [("R1", r1), ("R2", r2)] {
            let number = |value: Option<Hundredths>| format!("{:>6}", plain(value.unwrap()));
            let (mm, power) = (number(it.radius_mm), number(it.power));
            let axis = it.axis_deg.unwrap();
            records.push(format!("KM|{name}|{letter}|{mm}|{power}|{axis:3}|"));
        }
        let value = KeratometryValue { r1, r2, ..KeratometryValue::default() };
        let representative = Some(Representative { label: "KM".into(), value });
        let measured = Keratometry { representative, ..Keratometry::default() };
        let measured = Measured::Keratometry(measured);
        measurements.push(Measurement::of(eye, letter, measured).relayed());
    }
    if !knobs.missing_pd {
        let values = halves.iter().zip(COLUMNS).map(|(half, column)| OtherValue {
            name: column.into(),
            as_sent: one_decimal(*half),
            unit: Some("mm".into()),
        });
        let name = "halves of the pupillary distance".into();
        let test = OtherTest { code: "PD".into(), name, values: values.collect() };
        let measured = Measured::OtherTest(test);
        measurements.push(Measurement::without_token(Eye::NotGiven, measured));
    }
    let year = if knobs.clock_unset { 2000 } else { 2026 };
    let (hour, minute) = (dice.between(8, 18), dice.between(0, 59));
    records.push(format!("TIME|{year}/03/14 {hour:02}:{minute:02}:07"));
    let records: String = records.iter().map(|record| format!("\x02*{record}\x17")).collect();
    SimPrint {
        bytes: format!("\x01*PC_RCV_S\x04{records}\x01*PC_RCV_E\x04").into_bytes(),
        file_name: None,
        running_number: Some(number),
        patient_id: None,
        measurements,
    }
}

fn sections(dice: &mut Dice, knobs: &Knobs) -> Vec<Section> {
    let kinds = [
        ("UN", None, Vision::Far),
        ("LM", None, Vision::Far),
        ("AR", Some(RefractionKind::Autorefraction), Vision::Far),
        ("SJ", Some(RefractionKind::Subjective), Vision::Far),
        ("fn", Some(RefractionKind::Final), Vision::Near),
        ("FN", Some(RefractionKind::Final), Vision::Far),
    ];
    let mut all = Vec::new();
    for (name, kind, vision) in kinds {
        let mut pair = || SIDES.map(|(eye, _)| knobs.measures(eye).then(|| value(dice, knobs)));
        let values = if name == "UN" { [None, None] } else { pair() };
        let is_final = name == "FN";
        let mut adds = [None; 2];
        let mut prisms = [None; 2];
        for at in 0..2 {
            if values[at].is_some() && (is_final || name == "LM") {
                adds[at] = Some(Hundredths(dice.stepped(75, 300, 25)));
                prisms[at] = knobs.prism.map(|bases| prism(dice, bases)).filter(|_| is_final);
            }
        }
        let mut acuity = || Some(format!("{}.{}", dice.between(0, 1), dice.between(1, 9)));
        let acuities = SIDES.map(|(eye, _)| acuity().filter(|_| knobs.measures(eye)));
        let [a, b] = acuities;
        let both = acuity().filter(|_| knobs.only_eye.is_none());
        let acuities = (is_final || name == "UN").then_some([a, b, both]);
        all.push(Section { name, kind, vision, values, adds, prisms, acuities });
    }
    all
}

fn prism(
    dice: &mut Dice,
    (horizontal, vertical): (Base, Base),
) -> (PrismComponent, PrismComponent) {
    let mut component =
        |base| PrismComponent { amount: Hundredths(dice.stepped(25, 400, 25)), base };
    (component(horizontal), component(vertical))
}

fn cornea(dice: &mut Dice) -> (Meridian, Meridian) {
    let flat = dice.between(760, 830);
    let axis = dice.between(1, 90);
    let meridian = |mm: i32, axis: i32| Meridian {
        radius_mm: Some(Hundredths(mm)),
        power: Some(Hundredths(3_375_000 / mm)),
        axis_deg: Some(axis as i16),
    };
    (meridian(flat, axis), meridian(flat - dice.between(2, 40), axis + 90))
}

impl Section {
    fn write(&self, records: &mut Vec<String>) {
        records.push(self.name.into());
        let mut row = |name: &str, texts: [Option<String>; 2]| {
            if texts.iter().any(Option::is_some) {
                let [a, b] = texts.map(|text| format!("{:>6}", text.unwrap_or_default()));
                records.push(format!("{name}|{a}|{b}|"));
            }
        };
        row("SP", self.values.map(|value| value.map(|value| signed(value.sphere))));
        row("CY", self.values.map(|value| value.map(|value| signed(value.cylinder))));
        row("AX", self.values.map(|value| value.map(|it| it.axis_deg.unwrap_or(0).to_string())));
        row("AD", self.adds.map(|add| add.map(plain)));
        let prisms = [
            ("PH", self.prisms.map(|prism| prism.map(|(horizontal, _)| horizontal))),
            ("PV", self.prisms.map(|prism| prism.map(|(_, vertical)| vertical))),
        ];
        for (name, components) in prisms {
            if components.iter().any(Option::is_some) {
                let texts = components.map(|component| match component {
                    Some(it) => format!("{}|{:>5}", letter(it.base), plain(it.amount)),
                    None => " |     ".into(),
                });
                records.push(format!("{name}|{}|", texts.join("|")));
            }
        }
        if let Some(acuities) = &self.acuities {
            let texts = acuities.clone().map(Option::unwrap_or_default);
            records.push(format!("VA|{}|", texts.join("|")));
        }
    }

    fn expect(&self, measurements: &mut Vec<Measurement>) {
        for (at, column) in COLUMNS.into_iter().enumerate() {
            let Some(value) = self.values[at] else { continue };
            let prism = self.prisms[at].map(|(horizontal, vertical)| Prism {
                horizontal: Some(horizontal),
                vertical: Some(vertical),
                ..Prism::default()
            });
            let cm = Hundredths::whole(40);
            let measured = match self.kind {
                Some(kind) => Measured::Refraction(Refraction {
                    vision: self.vision,
                    working_distance_cm: (kind != RefractionKind::Autorefraction).then_some(cm),
                    representative: Some(Representative { label: self.name.into(), value }),
                    add: self.adds[at],
                    prism,
                    ..Refraction::new(kind)
                }),
                None => Measured::Lensometry(Lensometry {
                    sphere: Some(value.sphere),
                    cylinder: Some(value.cylinder),
                    axis_deg: value.axis_deg,
                    add: self.adds[at],
                    prism,
                    ..Lensometry::default()
                }),
            };
            let one = Measurement::of(Eye::NotGiven, column, measured).in_set(self.name);
            let is_relayed = matches!(self.name, "LM" | "AR");
            measurements.push(Measurement { relayed: is_relayed, ..one });
        }
        let correction = if self.kind.is_some() { Correction::Final } else { Correction::Unaided };
        let eyes = [Eye::NotGiven, Eye::NotGiven, Eye::Both];
        let columns = ["column A", "column B", "column C"];
        for (at, text) in self.acuities.iter().flatten().enumerate() {
            let Some(as_sent) = text.clone().filter(|text| !text.is_empty()) else { continue };
            let measured = Measured::VisualAcuity(VisualAcuity {
                correction,
                vision: self.vision,
                condition: AcuityCondition::Standard,
                as_sent,
                letters_as_sent: None,
                notation: None,
            });
            let one = Measurement::of(eyes[at], columns[at], measured);
            measurements.push(one.in_set(self.name));
        }
    }
}

fn letter(base: Base) -> char {
    match base {
        Base::In => 'I',
        Base::Out => 'O',
        Base::Up => 'U',
        Base::Down | Base::Unverified => 'D',
    }
}

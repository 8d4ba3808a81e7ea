//! A NIDEK RT: what it was given by other instruments, and what it found with the patient.

use super::{Knob, Knobs, SimPrint, Simulator, dice::Dice};
use chiasm_proto::{
    Base, Correction, Eye, Hundredths, IopValue, Keratometry, KeratometryValue, Lensometry, Light,
    Measured, Measurement, Meridian, OtherTest, OtherValue, Prism, PrismComponent,
    PupillaryDistance, Refraction, RefractionKind, RefractionValue, Representative, Tonometry,
    TonometryMethod, Vision, VisualAcuity,
};

pub static RT: Simulator = Simulator {
    driver: "nidek_rt",
    vendor: "NIDEK",
    model: "RT-5100",
    knobs: &[
        Knob::OneEye,
        Knob::MissingPd,
        Knob::Extremes,
        Knob::Night,
        Knob::PlusCylinder,
        Knob::Prism,
        Knob::PatientId,
        Knob::ClockUnset,
    ],
    print,
};

const SIDES: [(Eye, char); 2] = [(Eye::Right, 'R'), (Eye::Left, 'L')];

fn print(seed: u64, knobs: &Knobs) -> SimPrint {
    let mut paper = Paper { dice: Dice::new(seed ^ 0x5254), knobs, lines: vec![], all: vec![] };
    let (opening, system) = paper.opening();
    paper.unaided();
    if paper.dice.once_in(2) {
        paper.lenses();
    }
    if paper.dice.once_in(4) | knobs.night {
        paper.autorefraction("@rm", Light::Night);
    }
    paper.autorefraction("@RM", Light::Day);
    paper.subjective();
    paper.prescription();
    if paper.dice.once_in(3) {
        paper.keratometry();
    }
    if paper.dice.once_in(3) {
        paper.pressure();
    }
    if let Some(system) = system {
        let test = OtherTest::one("SN", "number of the refracting system", &system, None);
        paper.all.push(Measurement::without_token(Eye::Both, Measured::OtherTest(test)));
    }
    let lines: String = paper.lines.iter().map(|line| format!("\x02{line}\r")).collect();
    SimPrint {
        bytes: format!("\x01{opening}\r{lines}\x04\r").into_bytes(),
        file_name: None,
        running_number: None,
        patient_id: knobs.patient_id.clone(),
        measurements: paper.all,
    }
}

struct Paper<'k> {
    dice: Dice,
    knobs: &'k Knobs,
    lines: Vec<String>,
    all: Vec<Measurement>,
}

impl Paper<'_> {
    /// The header, and the number of the system if it is in it.
    fn opening(&mut self) -> (String, Option<String>) {
        let (month, day) = (self.dice.between(1, 12), self.dice.between(1, 28));
        let date = match (self.knobs.clock_unset, self.dice.once_in(2)) {
            (true, _) => "2000/ 1/ 1".to_owned(),
            (false, true) => format!("2026/{month:2}/{day:2}"),
            (false, false) => format!("2026/{month:02}/{day:02}"),
        };
        let system = self.dice.once_in(2).then(|| format!("{:02}", self.dice.between(1, 10)));
        let behind = system.as_ref().map(|system| format!(" {system}")).unwrap_or_default();
        let id = self.knobs.patient_id.as_deref().unwrap_or_default();
        let opening = if self.dice.once_in(4) {
            format!("NIDEK RT-5100\r\x02ID{id}\r\x02DA{date}{behind}")
        } else {
            format!("NIDEK RT-5100 ID{id:>12} DA{date}{behind}")
        };
        (opening, system)
    }

    fn measured(&self) -> Vec<(usize, Eye, char)> {
        let sides = SIDES.into_iter().enumerate();
        let sides = sides.filter(|(_, (eye, _))| self.knobs.measures(*eye));
        sides.map(|(at, (eye, side))| (at, eye, side)).collect()
    }

    fn value(&mut self) -> RefractionValue {
        let mut sphere = self.dice.stepped(-1200, 1000, 25);
        let mut cylinder = if self.dice.once_in(4) { 0 } else { self.dice.stepped(-300, -25, 25) };
        let mut axis = self.dice.between(1, 180) as i16;
        if self.knobs.extremes {
            sphere = if sphere < 0 { -2975 } else { 2500 };
            (cylinder, axis) = (-1175, 180);
        }
        if self.knobs.plus_cylinder {
            cylinder = -cylinder;
        }
        RefractionValue {
            sphere: Hundredths(sphere),
            cylinder: Hundredths(cylinder),
            axis_deg: (cylinder != 0).then_some(axis),
            spherical_equivalent: None,
        }
    }

    fn prism(&mut self) -> Option<Prism> {
        let either = |dice: &mut Dice, one, other| if dice.once_in(2) { one } else { other };
        let (horizontal, vertical) = match self.knobs.prism {
            Some(bases) => bases,
            None if self.dice.once_in(3) => (
                either(&mut self.dice, Base::In, Base::Out),
                either(&mut self.dice, Base::Up, Base::Down),
            ),
            None => return None,
        };
        let mut component = |base| {
            let amount = self.dice.stepped(0, 1200, 25);
            (amount > 0).then_some(PrismComponent { amount: Hundredths(amount), base })
        };
        let (horizontal, vertical) = (component(horizontal), component(vertical));
        Some(Prism { horizontal, vertical, ..Prism::default() })
    }

    fn acuity(
        &mut self,
        (plain, extended): (char, char),
        (eye, side): (Eye, char),
        correction: Correction,
        set: &str,
    ) {
        let text = [" 0.3 ", "<0.05", " 0.32", " 1.0 ", " 020 ", " 12.5"];
        let text = text[self.dice.between(0, 5) as usize];
        let letters = ["  ", "+2", "-1", "+9"][self.dice.between(0, 3) as usize];
        self.lines.push(format!("{plain}{side}{text}"));
        self.lines.push(format!("{extended}{side}{text}{letters}"));
        let notation = match text {
            " 020 " => Some("fraction".to_owned()),
            " 12.5" => Some("Parinaud".to_owned()),
            _ => None,
        };
        let measured = Measured::VisualAcuity(VisualAcuity {
            correction,
            vision: Vision::Far,
            condition: Default::default(),
            as_sent: text.trim().to_owned(),
            letters_as_sent: Some(letters.to_owned()).filter(|letters| letters != "  "),
            notation,
        });
        self.all.push(Measurement::of(eye, &side.to_string(), measured).in_set(set));
    }

    fn unaided(&mut self) {
        self.lines.push("@RT".into());
        for (_, eye, side) in self.measured() {
            self.acuity(('W', 'M'), (eye, side), Correction::Unaided, "@RT");
        }
        if self.measured().len() == 2 {
            self.acuity(('W', 'M'), (Eye::Both, 'B'), Correction::Unaided, "@RT");
        }
    }

    fn lenses(&mut self) {
        self.lines.push("@LM".into());
        for (_, eye, side) in self.measured() {
            let value = self.value();
            let add = self.dice.once_in(2).then(|| Hundredths(self.dice.stepped(75, 300, 25)));
            let prism = self.prism();
            self.lines.push(format!(" {side}{}", columns(value)));
            self.lines.extend(add.map(|add| format!("A{side}{}", power(add))));
            self.lines.extend(prism.as_ref().map(|prism| format!("P{side}{}", prisms(prism))));
            let measured = Measured::Lensometry(Lensometry {
                sphere: Some(value.sphere),
                cylinder: Some(value.cylinder),
                axis_deg: value.axis_deg,
                add,
                prism,
                ..Lensometry::default()
            });
            self.push(eye, side, measured, "@LM");
        }
    }

    /// Of another instrument.
    fn push(&mut self, eye: Eye, side: char, measured: Measured, set: &str) {
        let it = Measurement::of(eye, &side.to_string(), measured);
        self.all.push(it.relayed().in_set(set));
    }

    fn autorefraction(&mut self, source: &str, light: Light) {
        self.lines.push(source.into());
        for (_, eye, side) in self.measured() {
            let value = self.value();
            self.lines.push(format!("O{side}{}", columns(value)));
            let refraction = Refraction {
                light,
                representative: Some(Representative { label: "result".into(), value }),
                ..Refraction::new(RefractionKind::Autorefraction)
            };
            self.push(eye, side, Measured::Refraction(refraction), source);
        }
        if light == Light::Day && !self.knobs.missing_pd {
            let far = self.dice.stepped(5400, 7200, 50);
            self.lines.push(format!("PD{}        ", one_decimal(far)));
            let distance =
                PupillaryDistance { far_mm: Some(Hundredths(far)), ..Default::default() };
            let measured = Measured::PupillaryDistance(distance);
            let it = Measurement::without_token(Eye::Both, measured);
            self.all.push(it.relayed().in_set(source));
        }
    }

    fn own(&mut self, (kind, letters): (RefractionKind, [char; 3]), set: &str) {
        let label = if kind == RefractionKind::Final { "final" } else { "subjective" };
        for (_, eye, side) in self.measured() {
            let value = self.value();
            let add = self.dice.once_in(2).then(|| Hundredths(self.dice.stepped(0, 300, 25)));
            let prism = self.prism();
            self.lines.push(format!("{}{side}{}", letters[0], columns(value)));
            self.lines.extend(add.map(|add| format!("{}{side}{}", letters[1], power(add))));
            let prisms = prism.as_ref().map(prisms);
            self.lines.extend(prisms.map(|prisms| format!("{}{side}{prisms}", letters[2])));
            let refraction = Refraction {
                representative: Some(Representative { label: label.into(), value }),
                add,
                prism,
                ..Refraction::new(kind)
            };
            let measured = Measured::Refraction(refraction);
            self.all.push(Measurement::of(eye, &side.to_string(), measured).in_set(set));
        }
    }

    fn subjective(&mut self) {
        self.lines.push("@RT".into());
        let set = "@RT subjective";
        self.own((RefractionKind::Subjective, ['f', 'a', 'p']), set);
        for (_, eye, side) in self.measured() {
            self.acuity(('v', 'u'), (eye, side), Correction::Subjective, set);
        }
        let values = [" 8.00", "12.50"].map(str::to_owned);
        self.lines.push(format!("dV     {}{}", values[0], "+04.00"));
        let part = |name: &str, as_sent: &str| OtherValue {
            name: name.into(),
            as_sent: as_sent.trim().into(),
            unit: Some("prism dioptres".into()),
        };
        let test = OtherTest {
            code: "dV".into(),
            name: "divergence far".into(),
            values: vec![part("break", &values[0]), part("recovery", "+04.00")],
        };
        let it = Measurement::without_token(Eye::Both, Measured::OtherTest(test));
        self.all.push(it.in_set(set));
    }

    fn prescription(&mut self) {
        self.lines.push("@RT".into());
        let set = "@RT final";
        self.own((RefractionKind::Final, ['F', 'A', 'P']), set);
        if !self.knobs.missing_pd {
            let halves = [0, 1].map(|_| self.dice.stepped(2700, 3500, 50));
            let far = halves[0] + halves[1];
            self.lines.push(format!(
                "PD{}{}{}",
                one_decimal(far),
                one_decimal(halves[0]),
                one_decimal(halves[1])
            ));
            self.lines.push(format!("Pd{}        ", one_decimal(far - 350)));
            let distance = PupillaryDistance {
                far_mm: Some(Hundredths(far)),
                right_mm: Some(Hundredths(halves[0])),
                left_mm: Some(Hundredths(halves[1])),
                near_mm: Some(Hundredths(far - 350)),
                ..PupillaryDistance::default()
            };
            let measured = Measured::PupillaryDistance(distance);
            self.all.push(Measurement::without_token(Eye::Both, measured).in_set(set));
        }
        for (_, eye, side) in self.measured() {
            self.acuity(('V', 'U'), (eye, side), Correction::Final, set);
        }
        let distance = self.dice.stepped(30, 60, 1);
        self.lines.push(format!("WD{distance}"));
        let name = "working distance of the tests";
        let test = OtherTest::one("WD", name, &distance.to_string(), Some("cm"));
        let it = Measurement::without_token(Eye::Both, Measured::OtherTest(test));
        self.all.push(it.in_set("@RT"));
    }

    fn keratometry(&mut self) {
        self.lines.push("@KM".into());
        for (_, eye, side) in self.measured() {
            let radii = [self.dice.between(780, 820), self.dice.between(740, 779)];
            let powers = radii.map(|radius| 3_375_000 / radius);
            let axis = self.dice.between(0, 180);
            let [r1, r2] = radii.map(two_decimals);
            self.lines.push(format!("C{side}{r1}{r2}{axis:3}"));
            let [d1, d2] = powers.map(two_decimals);
            self.lines.push(format!("D{side}{d1}{d2}"));
            let meridian = |at: usize, axis_deg| Meridian {
                radius_mm: Some(Hundredths(radii[at])),
                power: Some(Hundredths(powers[at])),
                axis_deg,
            };
            let value = KeratometryValue {
                r1: meridian(0, Some(axis as i16)),
                r2: meridian(1, None),
                ..KeratometryValue::default()
            };
            let representative = Some(Representative { label: "result".into(), value });
            let keratometry = Keratometry { representative, ..Keratometry::default() };
            self.push(eye, side, Measured::Keratometry(keratometry), "@KM");
        }
    }

    fn pressure(&mut self) {
        self.lines.push("@NT".into());
        for (_, eye, side) in self.measured() {
            let mmhg = self.dice.stepped(900, 2400, 50);
            let kpa = mmhg * 1333 / 10_000;
            self.lines.push(format!("T{side}{}", one_decimal(mmhg)));
            self.lines.push(format!("t{side}{}.{:02}", kpa / 100, kpa % 100));
            let value = IopValue { iop_mmhg: Hundredths(mmhg), iop_kpa: Some(Hundredths(kpa)) };
            let measured = Measured::Tonometry(Tonometry {
                method: TonometryMethod::NonContact,
                count_as_sent: None,
                representative: Some(Representative { label: "result".into(), value }),
                shots: vec![],
                corrected: vec![],
            });
            self.push(eye, side, measured, "@NT");
        }
    }
}

/// `- 2.75`; nothing but blanks in front of zero.
fn power(value: Hundredths) -> String {
    let sign = match value.0 {
        0 => ' ',
        below if below < 0 => '-',
        _ => '+',
    };
    let size = value.0.unsigned_abs();
    format!("{sign}{:2}.{:02}", size / 100, size % 100)
}

fn columns(value: RefractionValue) -> String {
    let axis = value.axis_deg.unwrap_or(0);
    format!("{}{}{axis:3}", power(value.sphere), power(value.cylinder))
}

/// `I 1.50  0.00`.
fn prisms(prism: &Prism) -> String {
    let one = |component: Option<PrismComponent>| {
        let Some(PrismComponent { amount, base }) = component else { return "  0.00".to_owned() };
        let letter = match base {
            Base::In => 'I',
            Base::Out => 'O',
            Base::Up => 'U',
            Base::Down | Base::Unverified => 'D',
        };
        format!("{letter}{:2}.{:02}", amount.0 / 100, amount.0 % 100)
    };
    format!("{}{}", one(prism.horizontal), one(prism.vertical))
}

fn one_decimal(value: i32) -> String {
    format!("{:2}.{}", value / 100, value % 100 / 10)
}

fn two_decimals(value: i32) -> String {
    format!("{:02}.{:02}", value / 100, value % 100)
}

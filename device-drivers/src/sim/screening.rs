//! Autorefractors that are known from the notes of a screening application.

use super::{Knob, Knobs, SimPrint, Simulator, dice::Dice};
use chiasm_proto::{
    Eye, Hundredths, Measured, Measurement, PupillaryDistance, Refraction, RefractionKind,
    RefractionValue, Shot,
};

const ALL: &[Knob] = &[Knob::OneEye, Knob::MissingPd, Knob::Extremes, Knob::PlusCylinder];

pub static FR710: Simulator =
    simulator("faliao_fr710", "Faliao", "FR-710", &[Knob::OneEye, Knob::Extremes], fr710);
pub static FR8900: Simulator = simulator("faliao_fr8900", "Faliao", "FR-8900", ALL, fr8900);
pub static URK700: Simulator =
    simulator("unicos_urk700", "Unicos", "URK-700", &[Knob::Extremes, Knob::PlusCylinder], urk700);
pub static FA6500: Simulator = simulator("xinyuan_fa6500", "Xinyuan", "FA-6500", ALL, fa6500);

const fn simulator(
    driver: &'static str,
    vendor: &'static str,
    model: &'static str,
    knobs: &'static [Knob],
    print: fn(u64, &Knobs) -> SimPrint,
) -> Simulator {
    Simulator { driver, vendor, model, knobs, print }
}

/// Powers in hundredths of a dioptre.
#[derive(Clone, Copy)]
struct Values {
    sphere: i32,
    cylinder: i32,
    axis: i32,
}

struct Print {
    eyes: [Option<Values>; 2],
    /// In millimetres.
    distance: Option<i32>,
}

impl Print {
    fn random(seed: u64, knobs: &Knobs) -> Self {
        let mut dice = Dice::new(seed ^ 0x5343_5245);
        let mut eye = |low, high, beyond| {
            let values = Values {
                sphere: dice.stepped(low, high, 25),
                cylinder: dice.stepped(-300, 0, 25),
                axis: dice.between(1, 180),
            };
            match (knobs.extremes, knobs.plus_cylinder) {
                (true, _) => Values { sphere: beyond, cylinder: -1200, axis: 180 },
                (false, true) => Values { cylinder: -values.cylinder, ..values },
                (false, false) => values,
            }
        };
        let (right, left) = (eye(-900, -25, -3000), eye(25, 700, 2500));
        Self { eyes: [Some(right), Some(left)], distance: Some(dice.between(54, 72)) }
    }

    fn only(mut self, knobs: &Knobs) -> Self {
        for (eye, values) in [Eye::Right, Eye::Left].into_iter().zip(&mut self.eyes) {
            if !knobs.measures(eye) {
                *values = None;
            }
        }
        if knobs.missing_pd {
            self.distance = None;
        }
        self
    }

    fn of(&self, text: String) -> SimPrint {
        let mut measurements = vec![];
        for ((eye, token), values) in
            [(Eye::Right, "R"), (Eye::Left, "L")].into_iter().zip(self.eyes)
        {
            let Some(values) = values else { continue };
            let axis = i16::try_from(values.axis).expect("at most 180");
            let value = RefractionValue {
                sphere: Hundredths(values.sphere),
                cylinder: Hundredths(values.cylinder),
                axis_deg: (values.cylinder != 0).then_some(axis),
                spherical_equivalent: None,
            };
            let refraction = Refraction {
                shots: vec![Shot::of(value)],
                ..Refraction::new(RefractionKind::Autorefraction)
            };
            measurements.push(Measurement::of(eye, token, Measured::Refraction(refraction)));
        }
        if let Some(mm) = self.distance {
            let distance = PupillaryDistance {
                far_mm: Some(Hundredths::whole(mm)),
                ..PupillaryDistance::default()
            };
            let measured = Measured::PupillaryDistance(distance);
            measurements.push(Measurement::without_token(Eye::Both, measured));
        }
        SimPrint {
            bytes: text.into_bytes(),
            file_name: None,
            running_number: None,
            patient_id: None,
            measurements,
        }
    }
}

/// `-02.25`, `+00.00`
fn signed(hundredths: i32) -> String {
    let sign = if hundredths < 0 { '-' } else { '+' };
    let magnitude = hundredths.abs();
    format!("{sign}{:02}.{:02}", magnitude / 100, magnitude % 100)
}

fn fr710(seed: u64, knobs: &Knobs) -> SimPrint {
    let mut print = Print::random(seed, knobs).only(knobs);
    print.distance = None;
    let mut text = String::new();
    for (tag, values) in ["REFR", "REFL"].into_iter().zip(print.eyes) {
        if let Some(Values { sphere, cylinder, axis }) = values {
            text += &format!("#!>{tag:<26}{}{}{axis:03}\r\n", signed(sphere), signed(cylinder));
        }
    }
    print.of(text)
}

fn fr8900(seed: u64, knobs: &Knobs) -> SimPrint {
    let print = Print::random(seed, knobs).only(knobs);
    let eye = |values: Option<Values>| match values {
        Some(Values { sphere, cylinder, axis }) => {
            format!(" {}, {}, {axis:03},  ", signed(sphere), signed(cylinder))
        }
        None => "       ,       ,    ,  ".to_owned(),
    };
    let [right, left] = print.eyes.map(eye);
    let distance = print.distance.map(|mm| format!("PD{mm} ")).unwrap_or_default();
    print.of(format!("R,{right},  ,L,{left},  ,{distance}\r\n"))
}

fn urk700(seed: u64, knobs: &Knobs) -> SimPrint {
    let print = Print::random(seed, knobs);
    let mut text = String::new();
    for (letter, values) in ["R", "L"].into_iter().zip(print.eyes) {
        let Values { sphere, cylinder, axis } = values.expect("both eyes");
        text += &format!("{letter} {} {} {axis:03} ", signed(sphere), signed(cylinder));
    }
    let mm = print.distance.expect("always measured");
    print.of(text + &format!("PD {mm}\r\n"))
}

fn fa6500(seed: u64, knobs: &Knobs) -> SimPrint {
    let print = Print::random(seed, knobs).only(knobs);
    let mut text = String::new();
    for (letter, values) in ["R", "L"].into_iter().zip(print.eyes) {
        if let Some(Values { sphere, cylinder, axis }) = values {
            let (sphere, cylinder) = (signed(sphere), signed(cylinder));
            text += &format!("{letter}\nS {sphere}\nC {cylinder}\nA {axis}\n");
        }
    }
    if let Some(mm) = print.distance {
        text += &format!("PD {mm}\n");
    }
    print.of(text)
}

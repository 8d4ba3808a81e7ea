//! Tomey's lensmeters: TL-6100 with tagged lines, TL-3000C with columns.

use super::{
    Knob, Knobs, SimPrint, Simulator,
    dice::Dice,
    tomey::{SIDES, plain, signed, six_columns, value},
};
use chiasm_proto::{Hundredths, Lensometry, Measured, Measurement, RefractionValue};

const KNOBS: &[Knob] = &[Knob::OneEye, Knob::Extremes, Knob::PlusCylinder];

pub static TL6100: Simulator = Simulator {
    driver: "tomey_tl_csv",
    vendor: "Tomey",
    model: "TL-6100",
    knobs: KNOBS,
    print: |seed, knobs| {
        let lenses = lenses(seed ^ 0x6100, knobs);
        let mut text = String::new();
        for (side, value, add) in &lenses {
            let (sphere, cylinder) = (signed(value.sphere), signed(value.cylinder));
            let axis = value.axis_deg.unwrap_or(0);
            text.push_str(&format!("[POWER_{side}],{sphere},{cylinder},{axis}\n"));
            text.extend(add.map(|add| format!("[ADD_{side}],{}\n", plain(add))));
        }
        print(text, &lenses)
    },
};

pub static TL3000C: Simulator = Simulator {
    driver: "tomey_tl3000c",
    vendor: "Tomey",
    model: "TL-3000C",
    knobs: KNOBS,
    print: |seed, knobs| {
        let lenses = lenses(seed ^ 0x3000, knobs);
        let mut lines = vec!["LM".to_owned()];
        for (_, side) in SIDES {
            let lens = lenses.iter().find(|(own, ..)| *own == side);
            lines.push(lens.map_or(format!("L{side}"), |(_, value, _)| {
                let (sphere, cylinder) = (six_columns(value.sphere), six_columns(value.cylinder));
                format!("L{side}{sphere}{cylinder}{:3}", value.axis_deg.unwrap_or(0))
            }));
            let add = lens.and_then(|(.., add)| *add).map(plain).unwrap_or_default();
            lines.extend([format!("A{side}{add}"), format!("P{side}"), format!("D{side}")]);
        }
        print(lines.iter().map(|line| format!("\x02{line}\r")).collect(), &lenses)
    },
};

type Lens = (&'static str, RefractionValue, Option<Hundredths>);

fn lenses(seed: u64, knobs: &Knobs) -> Vec<Lens> {
    let mut dice = Dice::new(seed);
    let has_add = dice.once_in(2);
    let lenses = SIDES.map(|(eye, side)| {
        let lens = value(&mut dice, knobs);
        let add = Hundredths(dice.stepped(75, 350, 25));
        knobs.measures(eye).then_some((side, lens, has_add.then_some(add)))
    });
    lenses.into_iter().flatten().collect()
}

fn print(text: String, lenses: &[Lens]) -> SimPrint {
    let measurement = |(side, value, add): &Lens| {
        let eye = SIDES.iter().find(|(_, letter)| letter == side).expect("one of both").0;
        let lens = Lensometry {
            sphere: Some(value.sphere),
            cylinder: Some(value.cylinder),
            axis_deg: value.axis_deg,
            add: *add,
            ..Lensometry::default()
        };
        Measurement::of(eye, side, Measured::Lensometry(lens))
    };
    SimPrint {
        bytes: text.into_bytes(),
        file_name: None,
        running_number: None,
        patient_id: None,
        measurements: lenses.iter().map(measurement).collect(),
    }
}

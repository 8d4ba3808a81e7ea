//! An IOLMaster 500's table with the headings that need no configuration.

use super::{Knob, Knobs, SimPrint, Simulator, dice::Dice};
use chiasm_proto::{
    Biometry, CornealSize, Eye, Hundredths, Keratometry, KeratometryValue, Measured, Measurement,
    Meridian, OtherTest, Shot,
};

pub static IOLMASTER500: Simulator = Simulator {
    driver: "zeiss_iolmaster500",
    vendor: "Zeiss",
    model: "IOLMaster 500",
    knobs: &[Knob::OneEye, Knob::Extremes, Knob::PatientId],
    print,
};

fn print(seed: u64, knobs: &Knobs) -> SimPrint {
    let mut dice = Dice::new(seed ^ 0x5A49);
    let is_long = dice.once_in(2);
    let delimiter = if dice.once_in(4) { "\t" } else { ";" };
    let mut headings = vec!["Patient ID".to_owned(), "Last name".into(), "First name".into()];
    let mut fields =
        vec![knobs.patient_id.clone().unwrap_or_default(), "SAMPLE".into(), "A".into()];
    let mut measurements = vec![];
    for (eye, token) in [(Eye::Right, "OD"), (Eye::Left, "OS")] {
        let side = Side::random(&mut dice, knobs.extremes);
        let mut columns =
            vec![("AL", comma(side.length)), ("R1", comma(side.r1)), ("R2", comma(side.r2))];
        if is_long {
            columns.extend([
                ("R1 axis", side.axis.to_string()),
                ("R2 axis", side.other_axis().to_string()),
                ("ACD", side.depth.map(comma).unwrap_or_default()),
                ("WTW", comma(side.white)),
            ]);
        }
        headings.extend(columns.iter().map(|(name, _)| format!("{token} {name}")));
        let is_measured = knobs.measures(eye);
        let sent = columns.into_iter().map(|(_, text)| text);
        fields.extend(sent.map(|text| if is_measured { text } else { String::new() }));
        if is_measured {
            let all = side.measured(is_long).into_iter();
            measurements.extend(all.map(|measured| Measurement::of(eye, token, measured)));
        }
    }
    let text = format!("{}\r\n{}\r\n", headings.join(delimiter), fields.join(delimiter));
    SimPrint {
        bytes: text.into_bytes(),
        file_name: Some(format!("IOLMaster_{:05}.csv", seed % 100_000)),
        running_number: None,
        patient_id: knobs.patient_id.clone(),
        measurements,
    }
}

fn comma(hundredths: i32) -> String {
    format!("{},{:02}", hundredths / 100, hundredths % 100)
}

/// One eye, in hundredths of a millimetre and degrees.
struct Side {
    length: i32,
    r1: i32,
    r2: i32,
    axis: i16,
    depth: Option<i32>,
    white: i32,
}

impl Side {
    fn random(dice: &mut Dice, extremes: bool) -> Self {
        let depth = dice.between(240, 400);
        Self {
            length: if extremes { dice.between(1400, 1450) } else { dice.between(2050, 2800) },
            r1: if extremes { 999 } else { dice.between(775, 830) },
            r2: if extremes { 501 } else { dice.between(720, 774) },
            axis: dice.between(0, 180) as i16,
            depth: (!dice.once_in(5)).then_some(depth),
            white: dice.stepped(1080, 1320, 10),
        }
    }

    fn other_axis(&self) -> i16 {
        if self.axis < 90 { self.axis + 90 } else { self.axis - 90 }
    }

    fn measured(&self, is_long: bool) -> Vec<Measured> {
        let mut all = vec![Measured::Biometry(Biometry {
            axial_length_mm: Some(Hundredths(self.length)),
            ..Biometry::default()
        })];
        if let (true, Some(depth)) = (is_long, self.depth) {
            let (name, sent) = ("depth of the anterior chamber", comma(depth));
            all.push(Measured::OtherTest(OtherTest::one("ACD", name, &sent, Some("mm"))));
        }
        let meridian = |radius: i32, axis: i16| Meridian {
            radius_mm: Some(Hundredths(radius)),
            power: None,
            axis_deg: is_long.then_some(axis),
        };
        all.push(Measured::Keratometry(Keratometry {
            shots: vec![Shot::of(KeratometryValue {
                r1: meridian(self.r1, self.axis),
                r2: meridian(self.r2, self.other_axis()),
                ..KeratometryValue::default()
            })],
            ..Keratometry::default()
        }));
        if is_long {
            let diameter_mm = Hundredths(self.white);
            all.push(Measured::CornealSize(CornealSize { diameter_mm }));
        }
        all
    }
}

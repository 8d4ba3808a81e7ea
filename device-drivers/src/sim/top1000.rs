//! A Tomey TOP-1000, as a file and as the text of its ticket.

use super::{Knob, Knobs, SimPrint, Simulator, dice::Dice};
use chiasm_proto::{
    Confidence, CorrectedIop, Eye, Hundredths, IopValue, Measured, Measurement, Pachymetry,
    Representative, Shot, Tonometry, TonometryMethod,
};

pub static FILE: Simulator = Simulator {
    driver: "tomey_top1000_xml",
    vendor: "Tomey",
    model: "TOP-1000",
    knobs: &[
        Knob::OneEye,
        Knob::FailedShots,
        Knob::LowConfidence,
        Knob::Extremes,
        Knob::ClockUnset,
    ],
    print: |seed, knobs| {
        let print = Print::random(seed, knobs);
        SimPrint {
            file_name: Some(format!("{}.xml", print.clock.replace([' ', ':'], "-"))),
            ..print.of(print.document().into_bytes(), &FILE_TOKENS)
        }
    },
};

pub static TICKET: Simulator = Simulator {
    driver: "tomey_top1000_ticket",
    vendor: "Tomey",
    model: "TOP-1000 (COM)",
    knobs: &[Knob::OneEye, Knob::Extremes, Knob::ClockUnset],
    print: |seed, knobs| {
        // How the ticket marks a failed or an unsure shot is not known.
        let sure = Knobs { failed_shots: false, low_confidence: false, ..knobs.clone() };
        let print = Print::random(seed, &sure);
        print.of(print.ticket().into_bytes(), &TICKET_TOKENS)
    },
};

/// The names of the eyes, of the correction, and whether a quality stands beside each shot.
struct Tokens {
    eyes: [&'static str; 2],
    corrected: &'static str,
    has_quality: bool,
}

const FILE_TOKENS: Tokens = Tokens { eyes: ["OD", "OS"], corrected: "CIOP", has_quality: true };
const TICKET_TOKENS: Tokens =
    Tokens { eyes: ["Right", "Left"], corrected: "C.IOP", has_quality: false };
const MISSING: &str = "--.-";

#[derive(Clone)]
struct Puff {
    /// Whole mmHg; none where it failed.
    mmhg: Option<i32>,
    is_low: bool,
}

#[derive(Default)]
struct MeasuredEye {
    puffs: Vec<Puff>,
    /// In tenths of mmHg.
    average: Option<i32>,
    corrected: Option<i32>,
    um: Option<u16>,
}

struct Print {
    number: u64,
    /// `2026-06-21 16:05:09`
    clock: String,
    eyes: [MeasuredEye; 2],
}

fn tenths(value: Option<i32>) -> String {
    value.map_or(MISSING.into(), |value| format!("{}.{}", value / 10, value % 10))
}

impl Print {
    fn random(seed: u64, knobs: &Knobs) -> Self {
        let mut dice = Dice::new(seed ^ 0x544F_5031);
        let year = if knobs.clock_unset { 2000 } else { dice.between(2024, 2030) };
        let clock = format!(
            "{year}-{:02}-{:02} {:02}:{:02}:{:02}",
            dice.between(1, 12),
            dice.between(1, 28),
            dice.between(7, 19),
            dice.between(0, 59),
            dice.between(0, 59),
        );
        let eyes = [Eye::Right, Eye::Left].map(|eye| {
            let measured = some_eye(&mut dice, knobs);
            if knobs.measures(eye) { measured } else { MeasuredEye::default() }
        });
        Self { number: seed % 10_000, clock, eyes }
    }

    fn of(&self, bytes: Vec<u8>, tokens: &Tokens) -> SimPrint {
        let mut measurements = vec![];
        let names = [Eye::Right, Eye::Left].into_iter().zip(tokens.eyes);
        for ((eye, token), measured) in names.zip(&self.eyes) {
            if !measured.puffs.is_empty() {
                let tonometry = expected(measured, tokens);
                measurements.push(Measurement::of(eye, token, Measured::Tonometry(tonometry)));
            }
            if let Some(um) = measured.um {
                let pachymetry = Pachymetry {
                    count_as_sent: None,
                    representative_um: None,
                    shots_um: vec![Shot::of(um)],
                };
                measurements.push(Measurement::of(eye, token, Measured::Pachymetry(pachymetry)));
            }
        }
        SimPrint {
            bytes,
            file_name: None,
            running_number: Some(format!("{:08}", self.number)),
            patient_id: None,
            measurements,
        }
    }

    fn document(&self) -> String {
        let mut text = format!(
            "<Measurement iop_unit=\"mmHg\" cct_unit=\"um\">\n\t<Company>Tomey</Company>\n\
             \t<Model>TOP-1000</Model>\n\t<PatientID>{:08}</PatientID>\n\
             \t<DateTime>{}</DateTime>\n",
            self.number,
            self.clock.replace(' ', "_").replace(':', "-"),
        );
        for (token, eye) in FILE_TOKENS.eyes.into_iter().zip(&self.eyes) {
            text += &format!("\t<Eye type=\"{token}\">\n");
            for puff in &eye.puffs {
                let quality = if puff.is_low { "Low" } else { "Normal" };
                let value = puff.mmhg.map_or(MISSING.to_owned(), |mmhg| mmhg.to_string());
                text += &format!("\t\t<IOP quality=\"{quality}\">{value}</IOP>\n");
            }
            let um = eye.um.map_or(MISSING.to_owned(), |um| um.to_string());
            let (average, corrected) = (tenths(eye.average), tenths(eye.corrected));
            text += &format!(
                "\t\t<IOPAvg>{average}</IOPAvg>\n\t\t<CCT>{um}</CCT>\n\
                 \t\t<CIOP>{corrected}</CIOP>\n\t</Eye>\n"
            );
        }
        text + "\t<Message>\n\t</Message>\n</Measurement>\n"
    }

    fn ticket(&self) -> String {
        let [right, left] = &self.eyes;
        let line = |label: &str, right: String, left: String| {
            format!("{label:<5}{right:>8}{left:>14}").trim_end().to_owned() + "\n"
        };
        let um = |eye: &MeasuredEye| eye.um.map_or(MISSING.to_owned(), |um| um.to_string());
        let mut text = format!("{:>26}\n\n", "Rodenstock");
        text += &line("C.IOP", tenths(right.corrected), tenths(left.corrected));
        text += &line("CCT", um(right), um(left));
        text += &line("Avg.", tenths(right.average), tenths(left.average));
        let dashes = "-".repeat(27) + "\n";
        text += &dashes;
        for at in 0..right.puffs.len().max(left.puffs.len()) {
            let shot = |eye: &MeasuredEye| {
                let mmhg = eye.puffs.get(at).and_then(|puff| puff.mmhg);
                mmhg.map_or(String::new(), |mmhg| format!("{mmhg} "))
            };
            text += &line("", shot(right), shot(left));
        }
        text += &line("", "Right".into(), "Left".into());
        text += &dashes;
        text += &line("", "mmHg".into(), "mmHg".into());
        text += &dashes;
        text + &format!("    {}\nNo.        :  {:08}\nTopaScope\n", self.clock, self.number)
    }
}

fn some_eye(dice: &mut Dice, knobs: &Knobs) -> MeasuredEye {
    let base = if knobs.extremes { 58 } else { dice.between(9, 24) };
    let good: Vec<i32> = (0..dice.between(1, 4)).map(|_| base + dice.between(-1, 1)).collect();
    let sum: i32 = good.iter().sum();
    let mut puffs: Vec<Puff> =
        good.iter().map(|mmhg| Puff { mmhg: Some(*mmhg), is_low: false }).collect();
    if knobs.low_confidence {
        puffs.insert(0, Puff { mmhg: Some(base + 12), is_low: true });
    }
    if knobs.failed_shots {
        puffs.push(Puff { mmhg: None, is_low: true });
    }
    // The instrument averages what it has not rounded yet.
    let count = i32::try_from(good.len()).expect("at most four");
    let average = sum * 10 / count + dice.between(0, 3);
    let um = (!dice.once_in(3)).then(|| dice.between(480, 620));
    MeasuredEye {
        puffs,
        average: Some(average),
        corrected: um.map(|um| average + (545 - um) / 5),
        um: um.and_then(|um| u16::try_from(um).ok()),
    }
}

fn expected(eye: &MeasuredEye, tokens: &Tokens) -> Tonometry {
    let iop = |hundredths| IopValue { iop_mmhg: Hundredths(hundredths), iop_kpa: None };
    let shot = |puff: &Puff| Shot {
        no: None,
        value: puff.mmhg.map(|mmhg| iop(mmhg * 100)),
        confidence: tokens.has_quality.then(|| Confidence {
            as_sent: if puff.is_low { "Low" } else { "Normal" }.into(),
            scale: "Tomey quality".into(),
            low: puff.is_low,
        }),
        error: puff.mmhg.is_none().then(|| MISSING.into()),
    };
    let corrected = eye.corrected.map(|value| CorrectedIop {
        label: tokens.corrected.into(),
        corrected_mmhg: Some(Hundredths(value * 10)),
        ..CorrectedIop::default()
    });
    Tonometry {
        method: TonometryMethod::NonContact,
        count_as_sent: None,
        representative: eye
            .average
            .map(|value| Representative { label: "average".into(), value: iop(value * 10) }),
        shots: eye.puffs.iter().map(shot).collect(),
        corrected: corrected.into_iter().collect(),
    }
}

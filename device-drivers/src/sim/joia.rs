//! The instruments that write JOIA XML, with their knobs.

use super::{Knob, Knobs, SimPrint, Simulator};
use crate::makers::joia::sim::{Knobs as FileKnobs, Model, Print};

const REFRACTING: &[Knob] = &[Knob::OneEye, Knob::FailedShots, Knob::MissingPd, Knob::PatientId];

pub static KR1: Simulator =
    simulator("KR-1", REFRACTING, |seed, knobs| print(Model::Kr1, seed, knobs));
pub static KR800S: Simulator =
    simulator("KR-800S", REFRACTING, |seed, knobs| print(Model::Kr800S, seed, knobs));
pub static CL300: Simulator =
    simulator("CL-300", &[Knob::OneEye, Knob::MissingPd, Knob::PatientId], |seed, knobs| {
        print(Model::Cl300, seed, knobs)
    });
pub static CT1P: Simulator =
    simulator("CT-1P", &[Knob::OneEye, Knob::LowConfidence, Knob::PatientId], |seed, knobs| {
        print(Model::Ct1P, seed, knobs)
    });
pub static TRK2P: Simulator = simulator(
    "TRK-2P",
    &[Knob::OneEye, Knob::FailedShots, Knob::LowConfidence, Knob::MissingPd, Knob::PatientId],
    |seed, knobs| print(Model::Trk2P, seed, knobs),
);

const fn simulator(
    model: &'static str,
    knobs: &'static [Knob],
    print: fn(u64, &Knobs) -> SimPrint,
) -> Simulator {
    Simulator { driver: "joia_xml", vendor: "Topcon", model, knobs, print }
}

fn print(model: Model, seed: u64, knobs: &Knobs) -> SimPrint {
    let inner = FileKnobs {
        one_eye: knobs.only_eye,
        failed_shots: u32::from(knobs.failed_shots),
        starred_shots: u32::from(knobs.low_confidence),
        patient_id: knobs.patient_id.clone(),
        with_pd: !knobs.missing_pd,
        decimal_comma: false,
    };
    let number = u16::try_from(seed % 10_000).expect("below 10000");
    let print = Print { running_number: number, ..Print::random(model, seed, &inner) };
    SimPrint {
        bytes: print.encode(),
        file_name: Some(print.file_name()),
        running_number: Some(print.running_number()),
        patient_id: print.patient_id.clone(),
        measurements: print.measurements,
    }
}

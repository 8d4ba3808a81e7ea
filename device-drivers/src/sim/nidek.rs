//! The NIDEK instruments of this folder with their knobs.

use super::{
    ArkPrint, Knob, Knobs, LmPrint, NtPrint, SimPrint, Simulator, TonorefPrint,
    nidek_ark::RefractedEye,
    nidek_nt::{PressureShot, ThicknessShot},
};
use chiasm_proto::{Eye, Hundredths, Lensometry, Prism, PrismComponent, RefractionValue};
use jiff::civil::{DateTime, datetime};

pub static ARK: Simulator = Simulator {
    driver: "nidek_ark",
    vendor: "NIDEK",
    model: "ARK-1a",
    knobs: &[
        Knob::OneEye,
        Knob::LowConfidence,
        Knob::MissingPd,
        Knob::Extremes,
        Knob::Night,
        Knob::PlusCylinder,
        Knob::PatientId,
        Knob::ClockUnset,
    ],
    print: |seed, knobs| {
        let print = ark(ArkPrint::random(seed), knobs);
        SimPrint {
            running_number: Some(format!("{:04}", print.no)),
            ..of(print.bytes(), knobs, print.measurements())
        }
    },
};

pub static LM: Simulator = Simulator {
    driver: "nidek_lm",
    vendor: "NIDEK",
    model: "LM-7P",
    knobs: &[
        Knob::OneEye,
        Knob::MissingPd,
        Knob::Extremes,
        Knob::PlusCylinder,
        Knob::Prism,
        Knob::SingleLens,
        Knob::ClockUnset,
    ],
    print: |seed, knobs| {
        let print = lensmeter(LmPrint::random(seed), knobs);
        SimPrint {
            running_number: print.no.map(|no| format!("{no:04}")),
            patient_id: None,
            ..of(print.bytes(), knobs, print.measurements())
        }
    },
};

pub static NT: Simulator = Simulator {
    driver: "nidek_nt",
    vendor: "NIDEK",
    model: "NT-530",
    knobs: &[Knob::OneEye, Knob::FailedShots, Knob::Extremes, Knob::PatientId, Knob::ClockUnset],
    print: |seed, knobs| {
        let mut print = tonometer(NtPrint::random(seed), knobs);
        print.time = time(print.time, knobs);
        print.patient_id = knobs.patient_id.clone();
        SimPrint {
            running_number: Some(format!("{:04}", print.no)),
            ..of(print.bytes(), knobs, print.measurements())
        }
    },
};

pub static TONOREF: Simulator = Simulator {
    driver: "nidek_tonoref",
    vendor: "NIDEK",
    model: "TONOREF III",
    knobs: &[
        Knob::OneEye,
        Knob::FailedShots,
        Knob::LowConfidence,
        Knob::MissingPd,
        Knob::Extremes,
        Knob::PlusCylinder,
        Knob::PatientId,
        Knob::ClockUnset,
    ],
    print: |seed, knobs| {
        let mut print = TonorefPrint::random(seed);
        let day_only = Knobs { night: false, ..knobs.clone() };
        print.refraction = ark(print.refraction, &day_only);
        print.pressure = tonometer(print.pressure, knobs);
        for (at, eye) in SIDES.into_iter().enumerate() {
            if !knobs.measures(eye) {
                print.second_ring[at] = None;
            }
        }
        SimPrint {
            running_number: Some(format!("{:04}", print.refraction.no)),
            ..of(print.bytes(), knobs, print.measurements())
        }
    },
};

const SIDES: [Eye; 2] = [Eye::Right, Eye::Left];
/// What the clock of an instrument says whose battery is empty.
const NEVER_SET: DateTime = datetime(2000, 1, 1, 0, 3, 0, 0);

fn of(bytes: Vec<u8>, knobs: &Knobs, measurements: Vec<chiasm_proto::Measurement>) -> SimPrint {
    SimPrint {
        bytes,
        file_name: None,
        running_number: None,
        patient_id: knobs.patient_id.clone(),
        measurements,
    }
}

fn time(at: DateTime, knobs: &Knobs) -> DateTime {
    if knobs.clock_unset { NEVER_SET } else { at }
}

fn ark(mut print: ArkPrint, knobs: &Knobs) -> ArkPrint {
    print.time = time(print.time, knobs);
    print.patient_id = knobs.patient_id.clone();
    if knobs.missing_pd {
        print.distance = None;
    }
    if knobs.night && print.night.iter().all(Option::is_none) {
        print.night = print.day.clone();
    }
    for eye in print.day.iter_mut().chain(&mut print.night).flatten() {
        refracted(eye, knobs);
    }
    for (at, eye) in SIDES.into_iter().enumerate() {
        if !knobs.measures(eye) {
            (print.day[at], print.night[at], print.cornea[at]) = (None, None, None);
        }
    }
    // At least the eye that was asked for.
    if knobs.only_eye.is_some() && print.day.iter().all(Option::is_none) {
        let at = usize::from(knobs.only_eye == Some(Eye::Left));
        print.day[at] = Some(RefractedEye {
            median: None,
            shots: vec![(
                RefractionValue {
                    sphere: Hundredths(-125),
                    cylinder: Hundredths(-50),
                    axis_deg: Some(3),
                    spherical_equivalent: None,
                },
                '9',
            )],
        });
    }
    print
}

fn refracted(eye: &mut RefractedEye, knobs: &Knobs) {
    if knobs.low_confidence
        && let Some((_, grade)) = eye.shots.first_mut()
    {
        *grade = '2';
    }
    for value in eye.median.iter_mut().chain(eye.shots.iter_mut().map(|(value, _)| value)) {
        if knobs.extremes {
            value.sphere = Hundredths(if value.sphere.0 < 0 { -2999 } else { 2575 });
            value.cylinder = Hundredths(-1200);
            value.axis_deg = Some(180);
        }
        if knobs.plus_cylinder && value.cylinder.0 < 0 {
            value.sphere = Hundredths(value.sphere.0 + value.cylinder.0);
            value.cylinder = Hundredths(-value.cylinder.0);
            value.axis_deg = value.axis_deg.map(|axis| (axis + 89) % 180 + 1);
        }
    }
}

fn lensmeter(mut print: LmPrint, knobs: &Knobs) -> LmPrint {
    print.time = print.time.map(|at| time(at, knobs));
    if knobs.missing_pd {
        print.distance = None;
    }
    let mut lenses: Vec<(Eye, Lensometry)> = std::mem::take(&mut print.lenses);
    if knobs.single_lens {
        lenses.truncate(1);
        lenses[0].0 = Eye::NotGiven;
    } else if let Some(only) = knobs.only_eye {
        lenses.truncate(1);
        lenses[0].0 = only;
    }
    for (_, lens) in &mut lenses {
        if knobs.extremes {
            lens.sphere = Some(Hundredths(-2500));
            lens.cylinder = Some(Hundredths(-1000));
            lens.axis_deg = Some(180);
        }
        if knobs.plus_cylinder
            && let Some(cylinder) = lens.cylinder.filter(|cylinder| cylinder.0 < 0)
        {
            lens.cylinder = Some(Hundredths(-cylinder.0));
        }
        if let Some((horizontal, vertical)) = knobs.prism {
            lens.prism = Some(Prism {
                horizontal: Some(PrismComponent { amount: Hundredths(75), base: horizontal }),
                vertical: Some(PrismComponent { amount: Hundredths(150), base: vertical }),
                ..Prism::default()
            });
        }
    }
    if lenses.len() < 2 {
        print.distance = None;
    }
    print.lenses = lenses;
    print
}

fn tonometer(mut print: NtPrint, knobs: &Knobs) -> NtPrint {
    for (at, eye) in SIDES.into_iter().enumerate() {
        let (pressure, thickness) = (&mut print.pressure[at], &mut print.thickness[at]);
        if !knobs.measures(eye) {
            pressure.clear();
            thickness.clear();
            continue;
        }
        if knobs.failed_shots {
            pressure.push(PressureShot::Failed("APL"));
            thickness.push(ThicknessShot::Failed("BLK"));
        }
        if knobs.extremes {
            *pressure = vec![PressureShot::Mmhg(2), PressureShot::Mmhg(60)];
        }
    }
    print
}

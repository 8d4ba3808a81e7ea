//! What holds for every simulated instrument: what it prints is what its driver reads.

use super::*;
use crate::{
    DriverOptions, Transport,
    golden::run_with,
    registry::{self, DRIVERS},
};
use chiasm_proto::Eye;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// One print through its driver: one reading with exactly what was printed.
#[track_caller]
fn assert_reads(simulator: &Simulator, seed: u64, knobs: &Knobs) {
    let spec = registry::find(simulator.driver).expect("a driver of the registry");
    let print = (simulator.print)(seed, knobs);
    let what = format!("{} of seed {seed} with {knobs:?}", simulator.model);
    let options = DriverOptions { columns: print_columns(simulator), ..Default::default() };
    let outcome = run_with(spec, &options, [print.bytes.as_slice()]);
    outcome.assert_conserves(&print.bytes, &what);
    let text = String::from_utf8_lossy(&print.bytes);
    let decoded = outcome.decoded();
    let [decoded] = decoded[..] else { panic!("{what}: {:#?}\n{text}", outcome.events) };
    assert_eq!(decoded.measurements, print.measurements, "{what}\n{text}");
    assert_eq!(decoded.running_number, print.running_number, "{what}\n{text}");
    let claimed = decoded.claimed_patient.as_ref().map(|claimed| claimed.id.clone());
    assert_eq!(claimed, print.patient_id, "{what}\n{text}");
    let is_file = matches!(spec.transport, Transport::Folder { .. });
    assert_eq!(print.file_name.is_some(), is_file, "{what}: has a file a name?");
}

/// Columns that a site would have to configure.
fn print_columns(_simulator: &Simulator) -> std::collections::BTreeMap<String, String> {
    Default::default()
}

fn knobs() -> impl Strategy<Value = Knobs> {
    proptest::collection::vec((proptest::sample::select(&Knob::ALL), any::<u64>()), 0..3).prop_map(
        |turned| {
            turned.into_iter().fold(Knobs::default(), |all, (knob, variant)| {
                let one = Knobs::turned(knob, variant);
                Knobs {
                    only_eye: all.only_eye.or(one.only_eye),
                    failed_shots: all.failed_shots | one.failed_shots,
                    low_confidence: all.low_confidence | one.low_confidence,
                    missing_pd: all.missing_pd | one.missing_pd,
                    extremes: all.extremes | one.extremes,
                    night: all.night | one.night,
                    plus_cylinder: all.plus_cylinder | one.plus_cylinder,
                    prism: all.prism.or(one.prism),
                    single_lens: all.single_lens | one.single_lens,
                    patient_id: all.patient_id.or(one.patient_id),
                    clock_unset: all.clock_unset | one.clock_unset,
                }
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn what_is_printed_is_read(seed in any::<u64>(), knobs in knobs()) {
        for simulator in SIMULATORS {
            assert_reads(simulator, seed, &knobs);
        }
    }
}

#[test]
fn every_knob_of_a_simulator_changes_its_prints_and_is_read() {
    for simulator in SIMULATORS {
        for knob in simulator.knobs {
            let mut changes = 0;
            for seed in 0..24 {
                let knobs = Knobs::turned(*knob, seed);
                assert_reads(simulator, seed, &knobs);
                let plain = (simulator.print)(seed, &Knobs::default());
                changes += u32::from((simulator.print)(seed, &knobs).bytes != plain.bytes);
            }
            assert!(changes >= 8, "{}: {knob:?} hardly changes a print", simulator.model);
        }
    }
}

#[test]
fn prints_of_neighbouring_seeds_differ_and_of_the_same_do_not() {
    for simulator in SIMULATORS {
        let print = |seed| (simulator.print)(seed, &Knobs::default());
        let contents: BTreeSet<String> =
            (0..100).map(|seed| format!("{:?}", print(seed).measurements)).collect();
        assert!(contents.len() >= 95, "{}: {} of 100", simulator.model, contents.len());
        assert_eq!(print(7), print(7));
    }
}

#[test]
fn every_driver_that_reads_values_has_a_simulator() {
    let mut models = BTreeSet::new();
    for simulator in SIMULATORS {
        assert!(registry::find(simulator.driver).is_some(), "{} has no driver", simulator.model);
        assert!(models.insert(simulator.model), "{} is simulated twice", simulator.model);
    }
    for spec in DRIVERS.iter().filter(|spec| !spec.yields.is_empty()) {
        let has_one = SIMULATORS.iter().any(|simulator| simulator.driver == spec.id);
        assert!(has_one, "{} has no simulator", spec.id);
    }
}

/// Nothing but the order of the eyes may tell where one print ends and the next begins: the left
/// eye of one patient and the right one of the next must never become one reading.
#[test]
fn a_left_eye_and_the_next_print_never_mix() {
    let is_line = |driver| {
        let spec = registry::find(driver).expect("a driver of the registry");
        matches!(spec.transport, Transport::Serial(_)).then_some(spec)
    };
    for simulator in SIMULATORS.iter().filter(|it| it.knobs.contains(&Knob::OneEye)) {
        let Some(spec) = is_line(simulator.driver) else { continue };
        for (seed, missing_pd) in (0..40).flat_map(|seed| [(seed, false), (seed, true)]) {
            let both = Knobs { missing_pd, ..Knobs::default() };
            let left = Knobs { only_eye: Some(Eye::Left), ..both.clone() };
            let prints = [(simulator.print)(seed, &left), (simulator.print)(seed + 1000, &both)];
            let bytes = [prints[0].bytes.as_slice(), &prints[1].bytes].concat();
            let outcome = run_with(spec, &DriverOptions::default(), [bytes.as_slice()]);
            let found: Vec<_> = outcome.decoded().iter().map(|it| &it.measurements).collect();
            let text = String::from_utf8_lossy(&bytes);
            assert_eq!(found, prints.each_ref().map(|it| &it.measurements), "{text}");
        }
    }
}

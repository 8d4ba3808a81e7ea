use super::*;
use crate::{
    DateOrder, Event,
    golden::{Outcome, run_with},
};

fn run(text: &str, columns: &[(&str, &str)]) -> Outcome {
    let columns = columns.iter().map(|(name, heading)| (name.to_string(), heading.to_string()));
    let options = DriverOptions {
        columns: columns.collect(),
        date_order: Some(DateOrder::DayFirst),
        ..Default::default()
    };
    let outcome = run_with(&SPEC, &options, [text.as_bytes()]);
    outcome.assert_conserves(text.as_bytes(), text);
    outcome
}

#[test]
fn a_site_names_its_own_columns() {
    let text = "Pat\tNachname\tDatum\tZeit\tL\u{e4}nge R\tStatus\tR1 R\tA R\tVKT R\tWTW R\tNotiz\n\
                B-9\tDOE\t03.04.2026\t09:41:07\t24,13\tphak\t7,81\t5\t3,52\t11,9\tx\n";
    let outcome = run(
        text,
        &[
            ("patient_id", "Pat"),
            ("last_name", "Nachname"),
            ("exam_date", "Datum"),
            ("exam_time", "Zeit"),
            ("axial_length_right", "L\u{e4}nge R"),
            ("lens_status_right", "Status"),
            ("r1_right", "R1 R"),
            ("r1_axis_right", "A R"),
            ("acd_right", "VKT R"),
            ("white_to_white_right", "WTW R"),
        ],
    );
    let decoded = outcome.decoded();
    let [decoded] = decoded[..] else { panic!("{:?}", outcome.events) };
    assert_eq!(decoded.claimed_patient.as_ref().unwrap().id, "B-9");
    let local = decoded.instrument_time.as_ref().unwrap().local.unwrap();
    assert_eq!(local.to_string(), "2026-04-03T09:41:07");
    let kinds: Vec<&str> = decoded.measurements.iter().map(|it| it.measured.type_name()).collect();
    assert_eq!(kinds, ["biometry", "other_test", "keratometry", "corneal_size"]);
    assert!(decoded.measurements.iter().all(|it| it.eye == Eye::Right));
    let kept: Vec<&str> = decoded.unknown_records.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(kept, ["Notiz: x"]);
}

#[test]
fn a_configuration_that_does_not_fit_refuses_the_file() {
    let text = "ID;AL R;AL L\nB-9;24,13;23,88\n";
    for columns in [
        [("axial_length", "AL R"), ("patient_id", "ID")],
        [("axial_length_right", "AL"), ("patient_id", "ID")],
        [("axial_length_right", "AL R"), ("axial_length_left", "AL R")],
        [("patient_id", "ID"), ("acd_right", "AL R")],
    ] {
        let outcome = run(text, &columns);
        assert!(matches!(&outcome.events[..], [Event::Rejected { .. }]), "{columns:?}");
    }
    assert!(run(text, &[]).decoded().is_empty(), "other headings without a configuration");
}

#[test]
fn a_row_without_its_end_is_refused_if_a_number_could_be_cut() {
    let columns = [("axial_length_right", "AL"), ("last_name", "Who")];
    for (text, is_read) in [
        ("Who;AL\nDOE;24,13", false),
        ("Who;AL\nDOE;24,13;", true),
        ("Who;AL\nDOE;24,13\n", true),
        ("AL;Who\n24,13;DO", true),
        ("AL;Who\n24,13", false),
    ] {
        assert_eq!(run(text, &columns).decoded().len(), usize::from(is_read), "{text}");
    }
}

#[test]
fn every_default_is_a_documented_quantity() {
    for (name, _) in DEFAULT_HEADINGS {
        assert!(COLUMNS.iter().any(|(known, _)| known == name), "{name}");
    }
    for name in PERSONAL.iter().chain(&ESSENTIAL) {
        assert!(COLUMNS.iter().any(|(known, _)| known == name), "{name}");
    }
}

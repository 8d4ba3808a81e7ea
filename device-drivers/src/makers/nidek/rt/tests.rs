//! Traps of the layout that the fixtures cannot show one by one.

use super::*;
use crate::{Event, golden::run};
use chiasm_proto::{Base, Measured, Measurement, Vision};

fn report(lines: &[&str]) -> Vec<u8> {
    let lines: String = lines.iter().map(|line| format!("\x02{line}\r")).collect();
    format!("\x01NIDEK RT-5100 ID             DA2026/ 3/14\r{lines}\x04\r").into_bytes()
}

fn decoded(lines: &[&str]) -> Decoded {
    let outcome = run(&SPEC, [report(lines).as_slice()]);
    let [decoded] = outcome.decoded()[..] else { panic!("{lines:?}: {:#?}", outcome.events) };
    decoded.clone()
}

#[track_caller]
fn assert_refused(lines: &[&str]) {
    let outcome = run(&SPEC, [report(lines).as_slice()]);
    let Some(Event::Rejected { error, .. }) = outcome.events.first() else {
        panic!("{lines:?}: {:#?}", outcome.events)
    };
    assert_eq!(error.code, ErrorCode::Malformed, "{lines:?}: {error}");
}

fn only(lines: &[&str]) -> Measurement {
    let mut decoded = decoded(lines);
    assert_eq!(decoded.measurements.len(), 1, "{lines:?}: {decoded:#?}");
    decoded.measurements.remove(0)
}

#[test]
fn numbers_are_padded_and_have_their_sign() {
    let plain = decoded(&["@RT", "FR- 2.75  0.00  0"]).measurements;
    for line in [
        "FR-02.75  0.00  0",
        "FR- 2.75- 0.00  0",
        "FR- 2.75+00.00000",
        "FR- 2.75  0.00   ",
        "FR- 2.75  0.00 90",
    ] {
        assert_eq!(decoded(&["@RT", line]).measurements, plain, "{line}");
    }
    let with_axis = decoded(&["@RT", "FR+ 0.00- 0.50  5"]).measurements;
    for line in ["FR  0.00- 0.50005", "FR- 0.00-00.50 05"] {
        assert_eq!(decoded(&["@RT", line]).measurements, with_axis, "{line}");
    }
    for line in [
        "FR  2.75  0.00  0",
        "FR 02.75  0.00  0",
        "FR- 2.75  0.50 90",
        "FR- 2.75- 0.501 0",
        "FR- 2.75- 0.50181",
        "FR- 2.75- 0.50   ",
        "FR- 2.75- 0.50 5",
        "FR- 2.7 - 0.50  5",
        "FR- 2.75- 0.50  5 ",
    ] {
        assert_refused(&["@RT", line]);
    }
}

#[test]
fn a_prism_has_a_letter_or_is_zero() {
    let prism = |line| match only(&["@RT", line]).measured {
        Measured::Refraction(refraction) => refraction.prism.expect("a prism was sent"),
        other => panic!("{other:?}"),
    };
    let sent = prism("PRO10.25U 0.50");
    let bases = [sent.horizontal, sent.vertical].map(|it| it.map(|it| (it.amount.0, it.base)));
    assert_eq!(bases, [Some((1025, Base::Out)), Some((50, Base::Up))]);
    assert_eq!(prism("PR  0.00  0.00"), Default::default());
    let zero = prism("PRI00.00D 0.00");
    let bases = [zero.horizontal, zero.vertical].map(|it| it.map(|it| (it.amount.0, it.base)));
    assert_eq!(bases, [Some((0, Base::In)), Some((0, Base::Down))]);
    for line in ["PR  0.50  0.00", "PR 00.50  0.00", "PRU 0.50  0.00", "PRI 0.50I 0.50"] {
        assert_refused(&["@RT", line]);
    }
}

#[test]
fn the_same_code_is_read_by_its_source() {
    let kind = |lines: &[&str]| only(lines).measured.type_name();
    assert_eq!(kind(&["@LM", "AR+ 1.25"]), "lensometry");
    assert_eq!(kind(&["@RT", "AR+ 1.25"]), "refraction");
    assert_eq!(kind(&["@KM", "CR07.8107.65  5"]), "keratometry");
    assert_eq!(kind(&["@NT", "TR14.0"]), "tonometry");
    let unknown = decoded(&["@RT", "CR07.8107.65  5", "TR14.0", "@RM", "AR+ 1.25", "@XY", "AR+ 9"]);
    let texts: Vec<&str> = unknown.unknown_records.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(texts, ["@RT CR07.8107.65  5", "@RT TR14.0", "@RM AR+ 1.25", "@XY AR+ 9"]);
}

/// As an RT-5100 sends them at the end of a report.
#[test]
fn the_distance_of_the_lenses_may_stand_among_the_tests() {
    let of = |lines: &[&str]| match only(lines).measured {
        Measured::OtherTest(test) => (test.code, test.values[0].as_sent.clone()),
        other => panic!("{other:?}"),
    };
    for source in ["@LM", "@RT"] {
        assert_eq!(of(&[source, "Wd 35"]), ("Wd".to_owned(), "35".to_owned()), "{source}");
    }
}

#[test]
fn near_lines_are_read_with_either_case_of_the_eye() {
    for line in ["nR- 1.00- 0.50 90", "nr- 1.00- 0.50 90"] {
        let Measured::Refraction(refraction) = only(&["@RT", line]).measured else { panic!() };
        assert_eq!(refraction.vision, Vision::Near);
    }
    assert_refused(&["@RT", "nR- 1.00- 0.50 90", "nr- 1.00- 0.50 90"]);
}

#[test]
fn what_comes_twice_is_two_reports() {
    assert_refused(&["@RT", "FR- 2.75  0.00  0", "FR- 2.75  0.00  0"]);
    assert_refused(&["@RT", "FR- 2.75  0.00  0", "@RT", "FR- 2.50  0.00  0"]);
    // A source whose mark is damaged must not add its lines to the one before.
    assert_refused(&["@RT", "FR- 2.75  0.00  0", "PLM", "AR+ 1.25"]);
}

#[test]
fn an_acuity_with_letters_and_without_is_one() {
    let all = |lines: &[&str]| {
        let decoded = decoded(lines);
        let acuity = |it: &Measurement| match &it.measured {
            Measured::VisualAcuity(it) => (it.as_sent.clone(), it.letters_as_sent.clone()),
            other => panic!("{other:?}"),
        };
        (decoded.measurements.iter().map(acuity).collect::<Vec<_>>(), decoded.flags.len())
    };
    let with = |text: &str| (text.to_owned(), Some("+2".to_owned()));
    let without = |text: &str| (text.to_owned(), None);
    assert_eq!(all(&["@RT", "VR 0.9 ", "UR 0.9 +2"]), (vec![with("0.9")], 1));
    assert_eq!(all(&["@RT", "UR 0.9 +2", "VR 0.9 "]), (vec![with("0.9")], 1));
    assert_eq!(
        all(&["@RT", "VR 0.9 ", "UR 0.8 +2"]),
        (vec![without("0.9"), with("0.8")], 2),
        "two that differ both stay and are flagged"
    );
    assert_refused(&["@RT", "VR 0,9 "]);
    assert_refused(&["@RT", "UR 0.9 +"]);
}

#[test]
fn a_lost_end_refuses_the_first_of_two() {
    let mut bytes = report(&["@RT", "FR- 2.75  0.00  0"]);
    bytes.truncate(bytes.len() - 2);
    bytes.extend(report(&["@RT", "FL- 1.00  0.00  0"]));
    let outcome = run(&SPEC, [bytes.as_slice()]);
    outcome.assert_conserves(&bytes, "a lost end");
    let Some(Event::Rejected { error, .. }) = outcome.events.first() else { panic!() };
    assert_eq!(error.code, ErrorCode::Incomplete);
    assert_eq!(outcome.decoded().len(), 1);
}

#[test]
fn a_refusal_names_source_code_and_part() {
    let bytes = report(&["@RT", "FR- 2.75  0.00  0", "FL- 2.75- 0.5x 10"]);
    let outcome = run(&SPEC, [bytes.as_slice()]);
    let Some(Event::Rejected { error, .. }) = outcome.events.first() else { panic!() };
    assert_eq!(error.field.as_deref(), Some("@RT FL cylinder"));
    let at = bytes.windows(2).position(|window| window == b"5x").unwrap() - 2;
    assert!((at - 2..=at).contains(&error.offset), "{error}");
}

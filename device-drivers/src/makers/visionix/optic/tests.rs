//! What no fixture can show.

use super::{SPEC, head::date_of};
use crate::{DriverOptions, ErrorCode, Event, golden::run, golden::run_with};
use chiasm_proto::{Decoded, Measured};
use jiff::civil;

fn document(inside: &str) -> Vec<u8> {
    format!("<optic><optometry>{inside}</optometry></optic>").into_bytes()
}

#[track_caller]
fn decoded(inside: &str) -> Decoded {
    let outcome = run(&SPEC, [document(inside).as_slice()]);
    let [Event::Decoded { decoded, .. }] = &outcome.events[..] else { panic!("{outcome:#?}") };
    decoded.as_ref().clone()
}

#[track_caller]
fn refused(inside: &str) -> ErrorCode {
    let outcome = run(&SPEC, [document(inside).as_slice()]);
    let [Event::Rejected { error, .. }] = &outcome.events[..] else { panic!("{outcome:#?}") };
    error.code
}

fn lens(ref_right: &str) -> String {
    format!(
        "<LSM_mesurement><measure_REF><ref_right>{ref_right}</ref_right></measure_REF>\
         </LSM_mesurement>"
    )
}

#[test]
fn dates_have_two_forms_and_one_order() {
    let at = civil::date(2026, 3, 4);
    assert_eq!(date_of("04/03/2026"), Some(at));
    assert_eq!(date_of("04/Mar/2026"), Some(at));
    for text in ["04/13/2026", "04/Mrz/2026", "4/3/2026", "04/03/26", "2026-03-04", "+4/03/2026"] {
        assert_eq!(date_of(text), None, "{text}");
    }
    let odd = "<date>04/Mrz/2026</date><time>10:00</time>".to_owned()
        + &lens("<sphere>1</sphere><cylinder>0</cylinder>");
    let time = decoded(&odd).instrument_time.unwrap();
    assert_eq!((time.as_sent.as_str(), time.local), ("04/Mrz/2026 10:00", None));
}

/// The tree alone proves nothing, and a worklist entry is no reading.
#[test]
fn nothing_measured_is_no_reading() {
    let blank = "<sphere> </sphere><cylinder></cylinder><axis>   0</axis><addition>  </addition>";
    assert_eq!(refused(&lens(blank)), ErrorCode::WrongKind);
    assert_eq!(refused("<patient><ID>P-1</ID></patient>"), ErrorCode::WrongKind);
    let outcome = run(&SPEC, [b"<optic><other>1</other></optic>".as_slice()]);
    assert!(outcome.decoded().is_empty());
}

#[test]
fn half_a_value_is_refused() {
    for inside in [
        "<sphere>1.00</sphere>",
        "<cylinder>-1.00</cylinder>",
        "<sphere>1.0O</sphere><cylinder>0</cylinder>",
        "<sphere>1.0,0</sphere><cylinder>0</cylinder>",
    ] {
        assert_eq!(refused(&lens(inside)), ErrorCode::Malformed, "{inside}");
    }
}

/// A lens in a document of a refraction unit was measured by the lensmeter beside it.
#[test]
fn lenses_of_other_instruments_are_relayed() {
    let value = lens("<sphere>1</sphere><cylinder>0</cylinder>");
    for (model, relayed) in [("VX40", false), ("VX36", false), ("Eye Refract", true), ("", false)] {
        let reading = decoded(&format!("<model_name>{model}</model_name>{value}"));
        assert_eq!(reading.measurements[0].relayed, relayed, "{model}");
    }
    let options = DriverOptions { model: Some("VX130".into()), ..DriverOptions::default() };
    let outcome = run_with(&SPEC, &options, [document(&value).as_slice()]);
    assert_eq!(outcome.decoded()[0].instrument.model, "VX130");
    assert!(outcome.decoded()[0].measurements[0].relayed);
}

#[test]
fn the_pressure_of_a_vx650_is_not_read() {
    let tono = "<objective_mesurement><TONO><tono_right><average>15.0</average></tono_right>\
                </TONO></objective_mesurement>";
    let reading = decoded(&format!("<model_name>VX650</model_name>{tono}"));
    assert!(reading.measurements.is_empty());
    assert_eq!(reading.unknown_records.len(), 1);
    let reading = decoded(&format!("<model_name>VX130</model_name>{tono}"));
    assert!(matches!(reading.measurements[0].measured, Measured::Tonometry(_)));
}

#[test]
fn a_job_number_is_no_patient() {
    let lens = lens("<sphere>1</sphere><cylinder>0</cylinder>")
        .replace("<measure_REF>", "<ID>00417</ID><measure_REF>");
    for (id, claimed) in [("00417", false), ("P-417", true), (" ", false)] {
        let reading = decoded(&format!("<patient><ID>{id}</ID></patient>{lens}"));
        assert_eq!(reading.running_number.as_deref(), Some("00417"));
        assert_eq!(reading.claimed_patient.is_some(), claimed, "{id}");
    }
}

#[test]
fn a_document_is_about_one_patient() {
    let exam = lens("<sphere>1</sphere><cylinder>0</cylinder>");
    let patient = |id| format!("<patient><ID>{id}</ID><last_name>Secret</last_name></patient>");
    let two = format!("{}{}{exam}", patient("A"), patient("B"));
    assert_eq!(refused(&two), ErrorCode::Malformed);
    let two = format!("{}{exam}</optometry><optometry>{}", patient("A"), patient("A"));
    assert_eq!(refused(&two), ErrorCode::Malformed, "two exams");
    let same = decoded(&format!("{}{}{exam}", patient("A"), patient("A")));
    assert_eq!(same.claimed_patient.as_ref().map(|claim| claim.id.as_str()), Some("A"));
    assert!(!format!("{same:?}").contains("Secret"));
}

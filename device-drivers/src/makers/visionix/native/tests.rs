//! What no fixture can show.

use super::SPEC;
use crate::{
    DateOrder, DriverOptions, ErrorCode, Event,
    golden::{run, run_with},
};
use chiasm_proto::{Decoded, FlagCode, Measured};
use jiff::civil;

fn file(body: &str) -> Vec<u8> {
    format!("[PATIENT]\nSurname=SAMPLE\nCurrentDate=04/03/2026\nCurrentTime=10:20:30\n{body}")
        .into_bytes()
}

#[track_caller]
fn decoded(body: &str) -> Decoded {
    let outcome = run(&SPEC, [file(body).as_slice()]);
    let [Event::Decoded { decoded, .. }] = &outcome.events[..] else { panic!("{outcome:#?}") };
    decoded.as_ref().clone()
}

#[track_caller]
fn refused(body: &str) -> ErrorCode {
    let outcome = run(&SPEC, [file(body).as_slice()]);
    let [Event::Rejected { error, .. }] = &outcome.events[..] else { panic!("{outcome:#?}") };
    error.code
}

fn ar(axis: &str) -> String {
    format!("[AR]\nsphere_3=-1.000000\ncylinder_3=-0.500000\naxis_3={axis}\n")
}

#[test]
fn radians_become_degrees_only_where_they_are_whole() {
    for (axis, degrees) in [("1.570796", 90), ("0.000000", 0), ("3.141593", 180), ("0.0174", 1)] {
        let reading = decoded(&ar(axis));
        let Measured::Refraction(refraction) = &reading.measurements[0].measured else {
            panic!("{axis}: {reading:#?}")
        };
        assert_eq!(refraction.shots[0].value.unwrap().axis_deg, Some(degrees), "{axis}");
        let told = reading.flags.iter().find(|flag| flag.code == FlagCode::Converted).unwrap();
        assert!(told.detail.contains(axis), "{}", told.detail);
    }
    for axis in ["1.579523", "-0.017453", "3.159046", "178"] {
        let reading = decoded(&ar(axis));
        assert!(matches!(reading.measurements[0].measured, Measured::OtherTest(_)), "{axis}");
        assert!(!reading.flags.iter().any(|flag| flag.code == FlagCode::Converted), "{axis}");
    }
}

#[test]
fn the_order_of_the_date_is_a_setting() {
    let local = |order| {
        let options = DriverOptions { date_order: order, ..DriverOptions::default() };
        let outcome = run_with(&SPEC, &options, [file(&ar("0.000000")).as_slice()]);
        outcome.decoded()[0].instrument_time.clone().unwrap()
    };
    assert_eq!(local(None).local, None);
    assert_eq!(local(None).as_sent, "04/03/2026 10:20:30");
    let day_first = local(Some(DateOrder::DayFirst)).local;
    assert_eq!(day_first, Some(civil::date(2026, 3, 4).at(10, 20, 30, 0)));
}

#[test]
fn what_is_not_whole_is_refused() {
    for (body, code) in [
        ("[AR]\nsphere_3=-1.000000\n", ErrorCode::Malformed),
        ("[AR]\nsphere_3=-1.000000\ncylinder_3=-0.500000\n", ErrorCode::Incomplete),
        ("[AR]\nsphere_3=-1.000000\ncylinder_3=0.000000\n[GENERAL]\npd=6", ErrorCode::Incomplete),
        ("[AR]\nsphere_3=-1.0O0000\ncylinder_3=0.000000\n", ErrorCode::Malformed),
        ("[AR]\nsphere_3=1\nsphere_3=2\ncylinder_3=0.000000\n", ErrorCode::Malformed),
        ("[AR]\nsphere_3=1\ncylinder_3=0\n[AR]\nsphere_3=2\n", ErrorCode::Malformed),
        ("[AR]\n[AR]\n", ErrorCode::WrongKind),
        ("[AR\n", ErrorCode::Malformed),
        ("[PACHY]\nmin=512\n", ErrorCode::WrongKind),
    ] {
        assert_eq!(refused(body), code, "{body}");
    }
}

#[test]
fn what_nobody_reads_may_have_any_form() {
    let map = "[MAP]\nrow=1 2\nrow=3 4\n5.1 5.2\n[MAP]\nx=1.#INF00\n";
    let reading = decoded(&format!("{}{map}[GENERAL]\npd=-1.#IND00\n", ar("0.000000")));
    assert_eq!(reading.measurements.len(), 1);
    let kept: Vec<&str> = reading.unknown_records.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(kept, ["[MAP]\nrow=1 2\nrow=3 4\n5.1 5.2", "[MAP]\nx=1.#INF00"]);
}

#[test]
fn the_last_number_is_whole_with_all_its_decimals() {
    let whole = format!("{}[GENERAL]\npd=61.500000", ar("0.000000"));
    assert_eq!(decoded(&whole).measurements.len(), 2);
    assert_eq!(refused(whole.trim_end_matches('0')), ErrorCode::Incomplete);
    assert_eq!(refused(&whole[..whole.len() - 1]), ErrorCode::Incomplete);
}

#[test]
fn a_persons_data_is_never_kept() {
    let reading = decoded(&format!("{}[OTHER]\nx=1\n", ar("0.000000")));
    let json = serde_json::to_string(&reading).unwrap();
    assert!(!json.contains("SAMPLE"), "{json}");
    assert_eq!(reading.unknown_records[0].text, "[OTHER]\nx=1");
}

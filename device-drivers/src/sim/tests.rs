//! What is sent is what is read: the simulators and the drivers know the layouts independently.

use super::*;
use crate::{DriverSpec, golden::run, makers::nidek};
use chiasm_proto::{Integrity, Measurement};
use proptest::prelude::*;
use std::collections::HashSet;

#[track_caller]
fn assert_reads(spec: &DriverSpec, bytes: &[u8], measurements: &[Measurement], no: Option<u16>) {
    let outcome = run(spec, [bytes]);
    let what = bytes.escape_ascii().to_string();
    outcome.assert_conserves(bytes, &what);
    let decoded = outcome.decoded();
    let [decoded] = decoded[..] else { panic!("{what}: {:#?}", outcome.events) };
    assert_eq!(decoded.measurements, measurements, "{what}");
    assert_eq!(decoded.running_number, no.map(|no| format!("{no:04}")), "{what}");
    assert!(decoded.instrument_time.as_ref().is_none_or(|time| time.local.is_some()), "{what}");
    assert!(decoded.unknown_records.is_empty(), "{what}: {:?}", decoded.unknown_records);
}

fn styles() -> impl Strategy<Value = nidek_wire::WireStyle> {
    any::<[bool; 3]>().prop_map(|[checksum, cr, year_first]| nidek_wire::WireStyle {
        checksum,
        cr,
        year_first,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn an_ark_is_read_as_printed(seed in any::<u64>(), style in styles()) {
        let print = ArkPrint { style, ..ArkPrint::random(seed) };
        assert_reads(&nidek::ARK, &print.bytes(), &print.measurements(), Some(print.no));
    }

    #[test]
    fn a_lensmeter_is_read_as_printed(seed in any::<u64>(), style in styles()) {
        let print = LmPrint { style, ..LmPrint::random(seed) };
        assert_reads(&nidek::LM, &print.bytes(), &print.measurements(), print.no);
    }

    #[test]
    fn a_tonometer_is_read_as_printed(seed in any::<u64>(), style in styles()) {
        let print = NtPrint { style, ..NtPrint::random(seed) };
        assert_reads(&nidek::NT, &print.bytes(), &print.measurements(), Some(print.no));
    }

    #[test]
    fn a_tonoref_is_read_as_printed(seed in any::<u64>(), style in styles()) {
        let mut print = TonorefPrint::random(seed);
        print.refraction.style = style;
        let no = Some(print.refraction.no);
        assert_reads(&nidek::TONOREF, &print.bytes(), &print.measurements(), no);
    }
}

#[test]
fn prints_of_neighbouring_seeds_differ() {
    let mut seen = HashSet::new();
    for seed in 0..2_000 {
        assert!(seen.insert(ArkPrint::random(seed).bytes()));
        assert!(seen.insert(LmPrint::random(seed).bytes()));
        assert!(seen.insert(NtPrint::random(seed).bytes()));
        assert!(seen.insert(TonorefPrint::random(seed).bytes()));
        assert_eq!(ArkPrint::random(seed), ArkPrint::random(seed));
    }
}

#[test]
fn a_claimed_patient_and_integrity_arrive() {
    let print = ArkPrint { patient_id: Some("P-4711".into()), ..ArkPrint::random(7) };
    let outcome = run(&nidek::ARK, [print.bytes().as_slice()]);
    let decoded = outcome.decoded()[0];
    assert_eq!(decoded.claimed_patient.as_ref().map(|claim| claim.id.as_str()), Some("P-4711"));
    assert_eq!(decoded.integrity, Integrity::Checksum);
}

/// Request, answer, data: both sides of NIDEK mode.
#[test]
fn drivers_answer_a_request_to_send() {
    for spec in [&nidek::ARK, &nidek::LM, &nidek::NT, &nidek::TONOREF] {
        let outcome = run(spec, [nidek_wire::REQUEST_TO_SEND]);
        let [answer] = &outcome.transmitted[..] else { panic!("{}: no answer", spec.id) };
        assert!(nidek_wire::is_go_ahead(answer), "{}: {}", spec.id, answer.escape_ascii());
        let options = crate::DriverOptions { listen_only: true, ..Default::default() };
        let mut silent = (spec.new)(&options);
        silent.handle_input(std::time::Instant::now(), nidek_wire::REQUEST_TO_SEND);
        assert_eq!(silent.poll_transmit(), None);
    }
}

//! What the fixtures cannot show: time, other families' frames, listening only.

use super::*;
use crate::{
    Decoder, DriverOptions, DriverSpec, ErrorCode, Event, Sniff,
    sim::{ArkPrint, LmPrint, NtPrint, TonorefPrint},
};
use chiasm_proto::Measured;
use std::time::{Duration, Instant};

fn decoder(spec: &DriverSpec) -> Box<dyn Decoder> {
    (spec.new)(&DriverOptions::default())
}

fn unsealed() -> Vec<u8> {
    let mut print = ArkPrint::random(3);
    print.style.checksum = false;
    print.bytes()
}

#[test]
fn a_proved_transmission_does_not_wait() {
    let mut decoder = decoder(&ARK);
    decoder.handle_input(Instant::now(), &ArkPrint::random(1).bytes());
    assert!(matches!(decoder.poll_event(), Some(Event::Decoded { .. })));
    assert_eq!(decoder.poll_timeout(), None);
}

#[test]
fn without_a_checksum_it_takes_200_ms() {
    let now = Instant::now();
    let mut decoder = decoder(&ARK);
    decoder.handle_input(now, &unsealed());
    assert_eq!(decoder.poll_event(), None);
    assert_eq!(decoder.poll_timeout(), Some(now + Duration::from_millis(200)));
    decoder.handle_timeout(now + Duration::from_millis(200));
    assert!(matches!(decoder.poll_event(), Some(Event::Decoded { .. })));
}

#[test]
fn a_line_end_may_follow_the_opening_of_a_block_too() {
    for line_end in ["\r", "\r\n", "\n"] {
        let text = "\x01DNT\x02\x17IDNIDEK/TONOREF3\x17 R01    14/1.9  AV14.0/1.90\x17";
        let text = text.replacen("\x02\x17", "\x02", 1).replace('\x17', &format!("\x17{line_end}"));
        let bytes = format!("{}\x04{line_end}", text.replace('\x02', &format!("\x02{line_end}")));
        assert_eq!((TONOREF.sniff)(bytes.as_bytes()), Sniff::Yes, "{line_end:?}");
        assert_eq!((NT.sniff)(bytes.as_bytes()), Sniff::No, "{line_end:?}");
        let mut decoder = decoder(&TONOREF);
        decoder.handle_input(Instant::now(), bytes.as_bytes());
        decoder.handle_end(Instant::now());
        let Some(Event::Decoded { decoded, .. }) = decoder.poll_event() else { panic!() };
        assert_eq!(decoded.measurements.len(), 1, "{line_end:?}");
    }
}

/// The number behind the shots is a shot unless everything says that it is the average.
#[test]
fn an_average_without_a_name_is_sure() {
    let shots = |line: &str| {
        let mut decoder = decoder(&NT);
        let bytes = format!("\x01DNT\x02IDNIDEK/NT-3000\x17{line}\x17\x04");
        decoder.handle_input(Instant::now(), bytes.as_bytes());
        decoder.handle_end(Instant::now());
        let Some(Event::Decoded { decoded, .. }) = decoder.poll_event() else { panic!("{line}") };
        match &decoded.measurements[0].measured {
            Measured::Tonometry(it) => (it.shots.len(), it.representative.is_some()),
            other => panic!("{other:?}"),
        }
    };
    for (line, expected) in [
        (" R03    10   12    13   11.7", (3, true)),
        (" R01     9    9.0", (1, true)),
        (" R03    10   12    13   14", (4, false)),
        (" R03    10   12    13   13.5", (4, false)),
        (" R04    10   12    13   11.7", (4, false)),
        (" R03    10.0 12.0  13.0 11.7", (4, false)),
        (" R03    10   APL   13   11.7", (4, false)),
        (" R03    10   12    13   AV11.7", (3, true)),
    ] {
        assert_eq!(shots(line), expected, "{line}");
    }
}

/// An odd distance must not cost the refraction; what is damaged still refuses it.
#[test]
fn settings_of_other_forms_are_kept_as_text() {
    let unknown = |settings: &str| {
        let mut decoder = decoder(&ARK);
        let bytes = format!("\x01DRM\x02IDNIDEK/ARK-1\x17{settings}\x17OR-01.25-00.50010\x17\x04");
        decoder.handle_input(Instant::now(), bytes.as_bytes());
        decoder.handle_end(Instant::now());
        match decoder.poll_event() {
            Some(Event::Decoded { decoded, .. }) => Some(decoded.unknown_records.len()),
            _ => None,
        }
    };
    for (settings, expected) in [
        ("PD61????57", Some(0)),
        ("PD61    57", Some(0)),
        ("PD", Some(0)),
        ("PD61.5", Some(1)),
        ("PD61.530.531.057.0", Some(1)),
        ("PD6l", None),
        ("PD6 ", None),
        ("PD61??5757PD61", None),
        ("VD 0.00", Some(0)),
        ("VD13.75 ", Some(0)),
        ("VD", Some(0)),
        ("VD12.0", Some(1)),
        ("VD1 .00", None),
        ("VD12.0O", None),
        ("WD 35", Some(0)),
        ("WD035", Some(0)),
        ("WD35.0", Some(1)),
        ("WD3 5", None),
        ("NO 417", Some(0)),
        ("NO    ", Some(0)),
        ("NO4 17", None),
        ("NO0417123", None),
        ("DA2025/09/05 14:22:33", Some(0)),
        ("DA2025.09.05.14:22VD12.00", None),
        ("IDNIDEK/ARK-1", Some(0)),
    ] {
        assert_eq!(unknown(settings), expected, "{settings}");
    }
}

#[test]
fn a_cable_pulled_out_is_told_within_three_seconds() {
    let start = Instant::now();
    let mut decoder = decoder(&ARK);
    let bytes = unsealed();
    decoder.handle_input(start, &bytes[..bytes.len() - 1]);
    let deadline = decoder.poll_timeout().expect("half a transmission is waited for");
    assert!(deadline - start <= Duration::from_secs(3));
    decoder.handle_timeout(deadline);
    let Some(Event::Rejected { error, raw }) = decoder.poll_event() else { panic!("not told") };
    assert_eq!((error.code, raw.len()), (ErrorCode::Incomplete, bytes.len() - 1));
    decoder.handle_input(deadline, &ArkPrint::random(1).bytes());
    assert!(matches!(decoder.poll_event(), Some(Event::Decoded { .. })), "it listens again");
}

#[test]
fn the_stream_ending_half_way_is_told_at_once() {
    let now = Instant::now();
    let mut decoder = decoder(&ARK);
    decoder.handle_input(now, &unsealed()[..40]);
    decoder.handle_end(now);
    assert!(matches!(decoder.poll_event(), Some(Event::Rejected { .. })));
}

#[test]
fn another_familys_transmission_is_called_by_its_name() {
    let prints: [(&DriverSpec, Vec<u8>); 4] = [
        (&ARK, ArkPrint::random(5).bytes()),
        (&LM, LmPrint::random(5).bytes()),
        (&NT, NtPrint::random(5).bytes()),
        (&TONOREF, TonorefPrint::random(5).bytes()),
    ];
    for (owner, bytes) in &prints {
        assert_eq!((owner.sniff)(bytes), Sniff::Yes, "{}", owner.id);
        for (other, _) in prints.iter().filter(|(other, _)| other.id != owner.id) {
            let mut decoder = decoder(other);
            decoder.handle_input(Instant::now(), bytes);
            let Some(Event::Rejected { error, raw }) = decoder.poll_event() else {
                panic!("{} reads what {} sent", other.id, owner.id)
            };
            assert_eq!(error.code, ErrorCode::WrongKind, "{}: {error}", other.id);
            assert_eq!(raw.len(), bytes.len());
            assert_eq!((other.sniff)(bytes), Sniff::No, "{} sniffs {}", other.id, owner.id);
        }
    }
}

#[test]
fn a_refractors_report_is_of_another_kind() {
    let report = b"\x01NIDEK RT-5100 ID      904417 DA2026/ 3/14 07\r\x02@RT\r\x04\r";
    let mut decoder = decoder(&ARK);
    decoder.handle_input(Instant::now(), report);
    decoder.handle_end(Instant::now());
    let Some(Event::Rejected { error, .. }) = decoder.poll_event() else { panic!("not refused") };
    assert_eq!(error.code, ErrorCode::WrongKind);
    assert_eq!((ARK.sniff)(report), Sniff::No);
}

#[test]
fn the_configured_model_stands_in_where_none_is_sent() {
    let keratometry = b"\x01DKM\x02 R07.9507.8800107.92\x17\x04";
    let options = |model: &str| DriverOptions { model: Some(model.into()), ..Default::default() };
    let mut ark = (ARK.new)(&options("ARK-530A"));
    ark.handle_input(Instant::now(), keratometry);
    ark.handle_end(Instant::now());
    let Some(Event::Decoded { decoded, .. }) = ark.poll_event() else { panic!("not read") };
    assert_eq!(decoded.instrument.model, "ARK-530A");
    let mut tonoref = (TONOREF.new)(&options("TONOREF III"));
    tonoref.handle_input(Instant::now(), keratometry);
    tonoref.handle_end(Instant::now());
    assert!(matches!(tonoref.poll_event(), Some(Event::Decoded { .. })));
}

#[test]
fn a_malformed_record_is_named_with_its_position() {
    let print = String::from_utf8(unsealed()).unwrap();
    let at = print.find("VD").unwrap();
    let damaged = print.replacen("VD", "VDx", 1);
    let mut decoder = decoder(&ARK);
    decoder.handle_input(Instant::now(), damaged.as_bytes());
    decoder.handle_end(Instant::now());
    let Some(Event::Rejected { error, .. }) = decoder.poll_event() else { panic!("not refused") };
    assert_eq!((error.code, error.offset), (ErrorCode::Malformed, at));
    assert_eq!(error.field.as_deref(), Some("VD"));
}

/// A lost end lets two prints run into one: two patients must not become one reading.
#[test]
fn two_prints_without_an_end_between_them_are_refused() {
    let night = "\x01Drm\x02IDNIDEK/ARK-1a\x17NO0001\x17OR-01.00-00.500909 \x17";
    let day = "\x01DRM\x02IDNIDEK/ARK-1a\x17NO0002\x17OR-03.00-01.500309 \x17\x04";
    let mut decoder = decoder(&ARK);
    decoder.handle_input(Instant::now(), format!("{night}{day}").as_bytes());
    decoder.handle_end(Instant::now());
    let Some(Event::Rejected { error, .. }) = decoder.poll_event() else { panic!("not refused") };
    assert_eq!((error.code, error.field.as_deref()), (ErrorCode::Malformed, Some("NO")));
}

#[test]
fn an_average_may_be_padded_or_missing_with_its_shots() {
    let read = |line: &str| {
        let mut decoder = decoder(&NT);
        let bytes = format!("\x01DNT\x02IDNIDEK/NT-510\x17{line}\x17\x04");
        decoder.handle_input(Instant::now(), bytes.as_bytes());
        decoder.handle_end(Instant::now());
        decoder.poll_event().expect("one event")
    };
    for line in [" L01     9/1.2  AV 9.0/1.20", "L02 APL ERR AV", "L01 APL AVERR", "L01 ERR AV ERR"]
    {
        assert!(matches!(read(line), Event::Decoded { .. }), "{line}: {:?}", read(line));
    }
    for line in ["L01 14.0 AV", "L01 14.0 AVERR", "L01 14.0 AV14.0/1.9 15.0", "L01 14,0 AV14.0"] {
        assert!(matches!(read(line), Event::Rejected { .. }), "{line}: {:?}", read(line));
    }
}

/// A blank for a zero inside an axis would make ten degrees of a hundred.
#[test]
fn blanks_stand_in_front_of_an_axis_only() {
    let read = |axis: &str| {
        let mut decoder = decoder(&LM);
        let bytes = format!("\x01DLM\x02IDNIDEK/LM-500\x17 R+03.25-00.75{axis}\x17\x04");
        decoder.handle_input(Instant::now(), bytes.as_bytes());
        decoder.handle_end(Instant::now());
        matches!(decoder.poll_event(), Some(Event::Decoded { .. }))
    };
    assert_eq!(
        ["100", " 10", "  1", "1 0", "10 ", "   "].map(read),
        [true, true, true, false, false, false]
    );
}

/// A wavefront belongs to the autorefractors; beside lenses it is another instrument's.
#[test]
fn a_wavefront_is_of_an_autorefractor() {
    let wavefront = b"\x01DWF\x02IDNIDEK/OPD-SCAN\x17OR-01.00-00.50090\x17\x04";
    for (spec, sniff) in [(&ARK, Sniff::Yes), (&LM, Sniff::No), (&TONOREF, Sniff::No)] {
        assert_eq!((spec.sniff)(wavefront), sniff, "{}", spec.id);
        let mut decoder = decoder(spec);
        decoder.handle_input(Instant::now(), wavefront);
        decoder.handle_end(Instant::now());
        let is_read = matches!(decoder.poll_event(), Some(Event::Decoded { .. }));
        assert_eq!(is_read, sniff == Sniff::Yes, "{}", spec.id);
    }
}

/// What a host sends to a refractor is no measurement of anybody, though its blocks look like it.
#[test]
fn data_on_their_way_to_a_refractor_are_not_read() {
    let bytes = b"\x01DRL\x02ID      904417\x17DRM\x02OR-02.25-00.75008\x17OL+10.25-03.00168\x17\
                  PD62\x17DLM\x02 R-02.00-00.75010\x17AR+01.25\x17PR00.50O\x17\x04";
    for spec in [&ARK, &LM, &NT, &TONOREF, &RT] {
        assert_eq!((spec.sniff)(bytes), Sniff::No, "{}", spec.id);
        let mut decoder = decoder(spec);
        decoder.handle_input(Instant::now(), bytes);
        decoder.handle_end(Instant::now());
        let event = decoder.poll_event();
        assert!(matches!(event, Some(Event::Rejected { .. })), "{}: {event:?}", spec.id);
    }
}

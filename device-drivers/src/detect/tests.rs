//! Detection over everything that is known, and over everything that hinders.

use super::{probe::*, *};
use crate::{
    LineSettings, Parity,
    golden::{Fixture, fixtures},
    makers::nidek,
    registry,
    sim::{self, Knobs, nidek_wire},
};

fn look(bytes: &[u8]) -> Examination {
    examine(Instant::now(), bytes, &DriverOptions::default())
}

/// What is decoded by its own driver is found without naming it, and read by no other.
#[test]
fn every_fixture_that_gives_a_reading_is_detected() {
    for owner in registry::DRIVERS.iter().filter(|spec| !spec.yields.is_empty()) {
        for Fixture { path, raw } in fixtures(owner) {
            let own = events(owner, Instant::now(), &raw, &DriverOptions::default());
            if !own.iter().any(|(_, event)| matches!(event, Event::Decoded { .. })) {
                continue;
            }
            let examination = look(&raw);
            let readers: Vec<_> = examination.readers().map(|trial| trial.spec.id).collect();
            assert_eq!(readers, [owner.id], "{path:?}");
            assert!(examination.hints.is_empty());
        }
    }
}

#[test]
fn what_hinders_is_said() {
    let print = (sim::find("ARK-1a").unwrap().print)(4, &Knobs::default()).bytes;
    let hints = |bytes: &[u8]| look(bytes).hints;
    assert_eq!(hints(b"\r\n"), [Hint::Silence]);
    assert_eq!(hints(nidek_wire::REQUEST_TO_SEND), [Hint::AsksToSend]);
    assert_eq!(hints(b"\x02CANON RK-F1\r\n\x17"), [Hint::WaitsForAcknowledgement]);
    assert_eq!(hints(b"<SOH>DRM<STX>IDNIDEK/ARK-1a<ETB>0004C0DE"), [Hint::LogOfControlCharacters]);
    let mut dicom = vec![0; 128];
    dicom.extend_from_slice(b"DICM\x02\0");
    assert!(matches!(hints(&dicom)[..], [Hint::OtherKind(kind)] if kind.contains("C-STORE")));
    assert_eq!(hints(b"Dear colleague, please find enclosed"), [Hint::UnknownText]);
    // R: 7 bits read as 8, for both parities.
    for parity in [Parity::Even, Parity::Odd] {
        let with_parity = |byte: &u8| {
            let is_odd = byte.count_ones() % 2 == 1;
            byte | if is_odd == (parity == Parity::Even) { 0x80 } else { 0 }
        };
        let seven: Vec<u8> = print.iter().map(with_parity).collect();
        assert_eq!(hints(&seven), [Hint::SevenBits(parity)]);
        let survivors: Vec<u8> =
            print.iter().filter(|byte| with_parity(byte) & 0x80 != 0).copied().collect();
        let expected = Hint::ParityNotRead { parity, maker: Some("NIDEK") };
        assert_eq!(hints(&survivors), [expected]);
    }
}

#[test]
fn words_say_what_to_do() {
    let hint = Hint::ParityNotRead { parity: Parity::Even, maker: Some("NIDEK") };
    assert!(hint.to_string().starts_with("looks like NIDEK, parity wrong"), "{hint}");
    assert!(hint.to_string().contains("parity = \"even\""), "{hint}");
    assert!(Hint::AsksToSend.to_string().contains("NCP10"));
}

/// I2: nothing but a whole transmission that is read ends the search.
#[test]
fn a_probe_follows_the_hints() {
    let print = (sim::find("ARK-1a").unwrap().print)(4, &Knobs::default()).bytes;
    let mut probe = Probe::new(&[&nidek::NT, &nidek::ARK], DriverOptions::default());
    let line = |data_bits, parity| LineSettings { baud: 9600, data_bits, parity, stop_bits: 1 };
    assert_eq!(probe.remaining(), 3);
    assert_eq!(probe.settings().map(|settings| settings.baud), Some(9600));
    let first = probe.settings().unwrap();
    // Everything failed its parity check.
    let zeros = vec![0; print.len()];
    let verdict = probe.heard(Instant::now(), &zeros, LineErrors { framing: 0, parity: 400 });
    assert!(matches!(verdict, Verdict::TryNext { .. }));
    assert_ne!(probe.settings(), Some(first));
    let mut probe = Probe::new(&[&nidek::ARK], DriverOptions::default());
    probe.queue = vec![line(8, Parity::None), line(8, Parity::Odd), line(8, Parity::Even)];
    let survivors: Vec<u8> = print.iter().filter(|it| it.count_ones() % 2 == 1).copied().collect();
    let verdict = probe.heard(Instant::now(), &survivors, LineErrors::default());
    assert!(matches!(verdict, Verdict::TryNext { .. }));
    assert_eq!(probe.settings(), Some(line(8, Parity::Even)));
    let Verdict::Found(readers) = probe.heard(Instant::now(), &print, LineErrors::default()) else {
        panic!("the right settings are not recognised");
    };
    assert_eq!(readers[0].spec.id, "nidek_ark");
}

#[test]
fn a_probe_ends_when_everything_was_tried() {
    let mut probe = Probe::new(&[&nidek::ARK], DriverOptions::default());
    let mut count = 1;
    while let Verdict::TryNext { .. } = probe.heard(
        Instant::now(),
        b"\x80\xF8\x80\xE0\x80\xF8\x80\x80\xF8\xE0\x80\x80\xF8",
        LineErrors::default(),
    ) {
        count += 1;
    }
    assert_eq!(count, 3);
    assert_eq!(probe.settings(), None);
}

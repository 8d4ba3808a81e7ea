//! What becomes of bytes that nobody can read yet.

use super::*;
use crate::{
    DriverOptions,
    golden::run,
    registry::{DRIVERS, LINE_PENDING_LEN_MAX},
};

const TEXT: &[u8] = b"\x01\x02any\r\n\x17\x04";

#[track_caller]
fn assert_captured(events: &[Event], lengths: &[usize]) {
    let found: Vec<usize> = events.iter().map(|event| event.raw().len()).collect();
    assert_eq!(found, lengths);
    for event in events {
        assert!(matches!(event, Event::Rejected { error, .. } if error.code == ErrorCode::NotRead));
    }
}

#[test]
fn a_transmission_is_one_capture_however_it_arrives() {
    let whole = run(&KEELER, [TEXT]);
    assert_captured(&whole.events, &[TEXT.len()]);
    assert!(whole.transmitted.is_empty());
    for size in 1..TEXT.len() {
        assert_eq!(run(&KEELER, TEXT.chunks(size)), whole, "in pieces of {size} bytes");
    }
    assert!(run(&KEELER, []).events.is_empty());
}

#[test]
fn silence_separates_and_a_pause_does_not() {
    let mut decoder = (TOPCON.new)(&DriverOptions::default());
    let start = Instant::now();
    decoder.handle_input(start, TEXT);
    let later = start + SILENCE_MAX / 2;
    decoder.handle_input(later, TEXT);
    assert_eq!(decoder.poll_timeout(), Some(later + SILENCE_MAX));
    decoder.handle_timeout(start + SILENCE_MAX);
    assert_eq!(decoder.poll_event(), None);
    decoder.handle_timeout(later + SILENCE_MAX);
    decoder.handle_input(later + SILENCE_MAX * 2, TEXT);
    decoder.handle_end(later + SILENCE_MAX * 2);
    let events: Vec<Event> = std::iter::from_fn(|| decoder.poll_event()).collect();
    assert_captured(&events, &[TEXT.len() * 2, TEXT.len()]);
    assert_eq!(decoder.poll_timeout(), None);
}

#[test]
fn a_long_transmission_is_cut_and_an_endless_one_is_counted() {
    let long = vec![b'x'; CAPTURE_LEN_MAX * 2 + 1];
    let outcome = run(&POTEC, long.chunks(1000));
    outcome.assert_conserves(&long, "long");
    assert_captured(&outcome.events, &[CAPTURE_LEN_MAX, CAPTURE_LEN_MAX, 1]);

    let endless = vec![b'x'; CAPTURE_LEN_MAX * (CAPTURES_MAX + 2)];
    let outcome = run(&POTEC, endless.chunks(5000));
    outcome.assert_conserves(&endless, "endless");
    assert_captured(&outcome.events[..CAPTURES_MAX], &[CAPTURE_LEN_MAX; CAPTURES_MAX]);
    let rest = &outcome.events[CAPTURES_MAX..];
    assert!(rest.iter().all(|event| matches!(event, Event::Overflow { .. })));
    assert_eq!(rest.len(), 2);
}

#[test]
fn a_line_that_was_endless_is_heard_again_after_silence() {
    let mut decoder = (POTEC.new)(&DriverOptions::default());
    let start = Instant::now();
    decoder.handle_input(start, &vec![b'x'; CAPTURE_LEN_MAX * (CAPTURES_MAX + 1)]);
    decoder.handle_timeout(start + SILENCE_MAX);
    decoder.handle_input(start + SILENCE_MAX, TEXT);
    decoder.handle_end(start + SILENCE_MAX);
    let last = std::iter::from_fn(|| decoder.poll_event()).last();
    assert_captured(&last.into_iter().collect::<Vec<_>>(), &[TEXT.len()]);
}

#[test]
fn captures_claim_nothing() {
    const { assert!(CAPTURE_LEN_MAX <= LINE_PENDING_LEN_MAX) };
    let captures: Vec<_> =
        DRIVERS.iter().filter(|spec| spec.evidence == Evidence::NeedsCapture).collect();
    assert!(captures.len() >= 18);
    for spec in captures {
        assert!(spec.yields.is_empty() && spec.id.ends_with("_capture"), "{}", spec.id);
        assert!(spec.limits.starts_with("No values are read."), "{}", spec.id);
        assert_eq!((spec.sniff)(TEXT), Sniff::No);
    }
}

#[test]
fn bytes_behind_the_silence_are_another_capture() {
    let mut decoder = (TOPCON.new)(&DriverOptions::default());
    let start = Instant::now();
    decoder.handle_input(start, TEXT);
    decoder.handle_input(start + SILENCE_MAX, b"next");
    let Some(Event::Rejected { raw, .. }) = decoder.poll_event() else { panic!("not told") };
    assert_eq!(raw, TEXT);
}

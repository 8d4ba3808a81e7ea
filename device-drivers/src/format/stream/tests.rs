//! What holds for every family: silence, and line ends between transmissions.

use super::*;
use chiasm_proto::{Instrument, Integrity, UnknownRecord};

const SILENCE: Duration = Duration::from_millis(500);

/// Lines behind a `<`, ended by silence; the text is kept.
static PROTOCOL: Protocol = Protocol {
    begins: |bytes| find(bytes, b"<"),
    ends: |_| End::NotYet,
    silence: SILENCE,
    ends_by_silence: true,
    len_max: 1024,
    read: |bytes, _| {
        let mut decoded = Decoded::new(Instrument::default(), Integrity::None);
        let text = String::from_utf8_lossy(bytes).into_owned();
        decoded.unknown_records.push(UnknownRecord { offset: 0, text });
        Ok(Some(decoded))
    },
};

fn decoder() -> Box<dyn Decoder> {
    StreamDecoder::boxed(&PROTOCOL, &DriverOptions::default())
}

fn texts(decoder: &mut dyn Decoder) -> Vec<String> {
    let text = |event| match event {
        Event::Decoded { decoded, .. } => decoded.unknown_records[0].text.clone(),
        other => format!("{other:?}"),
    };
    std::iter::from_fn(|| decoder.poll_event()).map(text).collect()
}

#[test]
fn bytes_behind_the_silence_begin_the_next_transmission() {
    let start = Instant::now();
    for late in [SILENCE, SILENCE * 3] {
        let mut decoder = decoder();
        decoder.handle_input(start, b"<one\n");
        decoder.handle_input(start + late, b"<two\n");
        assert_eq!(texts(decoder.as_mut()), ["<one\n"], "nobody called handle_timeout");
        decoder.handle_timeout(start + late + SILENCE);
        assert_eq!(texts(decoder.as_mut()), ["<two\n"]);
    }
    let mut decoder = decoder();
    decoder.handle_input(start, b"<one\n");
    decoder.handle_input(start + SILENCE - Duration::from_millis(1), b"more\n");
    assert!(texts(decoder.as_mut()).is_empty());
    decoder.handle_end(start + SILENCE);
    assert_eq!(texts(decoder.as_mut()), ["<one\nmore\n"]);
}

/// Line ends in any number and in pieces of any size cost nothing and lose nothing.
#[test]
fn many_line_ends_are_told_in_the_same_pieces_however_they_come() {
    let start = Instant::now();
    let bytes = ["\r\n".repeat(100).as_bytes(), b"<one\n"].concat();
    let events = |size: usize| -> Vec<Event> {
        let mut decoder = decoder();
        for piece in bytes.chunks(size) {
            decoder.handle_input(start, piece);
        }
        decoder.handle_end(start);
        std::iter::from_fn(|| decoder.poll_event()).collect()
    };
    let whole = events(bytes.len());
    let raw: Vec<u8> = whole.iter().flat_map(|event| event.raw().iter().copied()).collect();
    assert_eq!(raw, bytes);
    assert!(matches!(whole.last(), Some(Event::Decoded { .. })), "{whole:?}");
    assert_eq!(whole.len(), 200 / LINE_ENDS_LEN_MAX + 1);
    for size in 1..bytes.len() {
        assert_eq!(events(size), whole, "in pieces of {size} bytes");
    }
    let mut decoder = decoder();
    decoder.handle_input(start, &bytes[..200]);
    assert_eq!(decoder.poll_timeout(), None, "line ends wait for nothing");
}

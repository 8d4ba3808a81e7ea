//! Any bytes, in pieces, to every driver.
#![no_main]

use chiasm_drivers::{
    Decoder, DriverOptions, detect,
    registry::{DRIVERS, pending_len_max},
};
use libfuzzer_sys::fuzz_target;
use std::time::Instant;

/// Timeouts in a row without input.
const TIMEOUTS_MAX: usize = 16;

fuzz_target!(|input: &[u8]| {
    let Some((size, bytes)) = input.split_first() else { return };
    let size = usize::from(*size).max(1) * 8;
    detect::examine(Instant::now(), bytes, &DriverOptions::default());
    for spec in DRIVERS {
        let mut decoder = (spec.new)(&DriverOptions::default());
        let mut now = Instant::now();
        let mut given = 0;
        let mut accounted = 0;
        for piece in bytes.chunks(size) {
            decoder.handle_input(now, piece);
            given += piece.len();
            accounted = drain(decoder.as_mut(), bytes, accounted);
            assert!(given - accounted <= pending_len_max(spec), "{} holds back too much", spec.id);
        }
        for _ in 0..TIMEOUTS_MAX {
            let Some(at) = decoder.poll_timeout() else { break };
            now = now.max(at);
            decoder.handle_timeout(now);
            accounted = drain(decoder.as_mut(), bytes, accounted);
        }
        assert_eq!(decoder.poll_timeout(), None, "{}: timeouts do not end", spec.id);
        decoder.handle_end(now);
        accounted = drain(decoder.as_mut(), bytes, accounted);
        assert_eq!(accounted, bytes.len(), "{} loses bytes", spec.id);
    }
});

/// Takes all events and checks that they account for the input in order.
fn drain(decoder: &mut dyn Decoder, bytes: &[u8], mut accounted: usize) -> usize {
    while decoder.poll_transmit().is_some() {}
    while let Some(event) = decoder.poll_event() {
        let raw = event.raw();
        assert_eq!(raw, &bytes[accounted..accounted + raw.len()], "an event of other bytes");
        accounted += raw.len();
    }
    accounted
}

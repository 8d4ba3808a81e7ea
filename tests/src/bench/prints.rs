//! Prints of an auto ref/keratometer, as many different ones as are wanted.

use anyhow::{Context, Result};
use chiasm_drivers::{DriverOptions, DriverSpec, Event, makers::nidek, sim::ArkPrint};
use chiasm_proto::Decoded;
use std::time::Instant;

/// The driver that reads them.
pub fn driver() -> &'static DriverSpec {
    &nidek::ARK
}

/// What the instrument prints as running number on its n-th print.
pub fn running_number(n: u32) -> String {
    format!("{:04}", n % 10_000)
}

/// The n-th print.
pub fn frame(n: u32) -> Vec<u8> {
    ArkPrint::random(n.into()).bytes()
}

/// What the driver makes of a print.
pub fn decode(frame: &[u8]) -> Result<Decoded> {
    let mut decoder = (driver().new)(&DriverOptions::default());
    decoder.handle_input(Instant::now(), frame);
    match decoder.poll_event() {
        Some(Event::Decoded { decoded, raw, .. }) if raw == frame => Ok(*decoded),
        other => None.with_context(|| format!("a print gives no reading but {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A print that looks like an earlier one would be taken for a repetition.
    #[test]
    fn prints_are_read_and_differ() {
        let numbers: Vec<u32> = (0..200).chain([10_000, 10_001, 20_000]).collect();
        let contents = numbers.iter().map(|n| decode(&frame(*n)).unwrap().content_sha256());
        let different: BTreeSet<_> = contents.collect();
        assert_eq!(different.len(), numbers.len());
        let decoded = decode(&frame(10_007)).unwrap();
        assert_eq!(decoded.running_number, Some(running_number(10_007)));
        assert_eq!(running_number(10_007), "0007");
    }
}

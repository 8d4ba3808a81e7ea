//! Which drivers do these bytes fit? A proposal only: the configured instrument decides.

use crate::{DriverSpec, Sniff, registry::DRIVERS};

/// A driver that could read the bytes.
#[derive(Clone, Copy)]
pub struct Candidate {
    pub spec: &'static DriverSpec,
    pub sniff: Sniff,
}

/// All drivers that do not refuse these bytes, the best first. Noise in front of the first byte
/// that means something to a driver is that driver's business.
pub fn candidates(bytes: &[u8]) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = DRIVERS
        .iter()
        .map(|spec| Candidate { spec, sniff: (spec.sniff)(bytes) })
        .filter(|candidate| candidate.sniff != Sniff::No)
        .collect();
    found.sort_by_key(|candidate| std::cmp::Reverse(candidate.sniff));
    found
}

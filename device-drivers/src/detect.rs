//! Which drivers do these bytes fit, and if none, why? A proposal only: the configured instrument
//! decides.
//!
//! * [`examine`] takes bytes of a file or a line and says what reads them, or what hinders it.
//! * [`probe`] finds the settings of a line that somebody prints on.

pub mod hint;
pub mod probe;

pub use hint::{Hint, hints};

use crate::{DecodeError, DriverOptions, DriverSpec, ErrorCode, Event, Sniff, registry::DRIVERS};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

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

/// What a candidate made of the bytes.
pub struct Trial {
    pub spec: &'static DriverSpec,
    pub sniff: Sniff,
    /// Every event, with the position in the bytes at which its own begin.
    pub events: Vec<(usize, Event)>,
}

impl Trial {
    /// Transmissions that were understood.
    pub fn readings(&self) -> usize {
        self.events.iter().filter(|(_, event)| matches!(event, Event::Decoded { .. })).count()
    }

    /// Why the first refused stretch was refused, and the position of its first offending byte.
    pub fn refusal(&self) -> Option<(usize, &DecodeError)> {
        self.events.iter().find_map(|(begin, event)| match event {
            Event::Rejected { error, .. } => Some((begin + error.offset, error)),
            _ => None,
        })
    }
}

/// Everything that can be said about bytes.
pub struct Examination {
    /// Candidates with what they made of the bytes: those that read something first, then the
    /// surer ones.
    pub trials: Vec<Trial>,
    /// Why nothing fits. Empty if something was read.
    pub hints: Vec<Hint>,
}

impl Examination {
    /// The drivers that read something. More than one is possible where a format is shared, such
    /// as a request to send.
    pub fn readers(&self) -> impl Iterator<Item = &Trial> {
        self.trials.iter().filter(|trial| trial.readings() > 0)
    }
}

/// Tries every candidate on the bytes of a file, or on all that came over a line.
pub fn examine(now: Instant, bytes: &[u8], options: &DriverOptions) -> Examination {
    let mut trials: Vec<Trial> = candidates(bytes)
        .into_iter()
        .map(|Candidate { spec, sniff }| Trial {
            spec,
            sniff,
            events: events(spec, now, bytes, options),
        })
        .collect();
    trials.sort_by_key(|trial| std::cmp::Reverse((trial.readings() > 0, trial.sniff)));
    let is_read = trials.iter().any(|trial| trial.readings() > 0);
    let mut hints = if is_read { vec![] } else { hint::hints(now, bytes) };
    if !trials.is_empty() {
        hints.retain(|hint| *hint != Hint::UnknownText); // its maker is known
    }
    Examination { trials, hints }
}

/// Bytes that a driver is given at once, as from a port: what is pending stays short that way.
const PIECE_LEN: usize = 4096;
/// Most events of one driver on one file; what follows is not looked at.
const EVENTS_MAX: usize = 50_000;

/// What a driver makes of the bytes, as one transmission that has ended. A driver that panics on
/// them refuses them.
pub fn events(
    spec: &DriverSpec,
    now: Instant,
    bytes: &[u8],
    options: &DriverOptions,
) -> Vec<(usize, Event)> {
    let read = || {
        let mut decoder = (spec.new)(&DriverOptions { listen_only: true, ..options.clone() });
        let mut events = Vec::new();
        for piece in bytes.chunks(PIECE_LEN) {
            decoder.handle_input(now, piece);
            events.extend(std::iter::from_fn(|| decoder.poll_event()));
            if events.len() >= EVENTS_MAX {
                return events;
            }
        }
        decoder.handle_end(now);
        events.extend(std::iter::from_fn(|| decoder.poll_event()));
        events
    };
    let failed = || {
        let error = DecodeError::new(ErrorCode::Malformed, 0, "the driver failed on these bytes");
        vec![Event::Rejected { error, raw: bytes.to_vec() }]
    };
    let events = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| failed());
    let mut position = 0;
    let placed = events.into_iter().map(|event| {
        let begin = position;
        position += event.raw().len();
        (begin, event)
    });
    placed.collect()
}

/// Whether some driver reads these bytes.
pub fn is_read(now: Instant, bytes: &[u8]) -> bool {
    let options = DriverOptions::default();
    candidates(bytes).into_iter().any(|Candidate { spec, .. }| {
        let events = events(spec, now, bytes, &options);
        events.iter().any(|(_, event)| matches!(event, Event::Decoded { .. }))
    })
}

#[cfg(test)]
mod tests;

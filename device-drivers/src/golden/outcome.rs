//! Fixtures, and what a decoder makes of an input.

use crate::{Decoder, DriverOptions, DriverSpec, Event, Evidence};
use chiasm_proto::{Decoded, Integrity};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Timeouts that follow each other without input before a decoder is taken to be spinning.
const TIMEOUTS_MAX: usize = 16;

/// A stretch of input with its golden file beside it.
pub struct Fixture {
    pub path: PathBuf,
    pub raw: Vec<u8>,
}

/// What a decoder made of an input, once it had been given the end as well.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    pub events: Vec<Event>,
    pub transmitted: Vec<Vec<u8>>,
}

/// The fixtures of a driver, in the order of their names; none of one that reads nothing yet.
pub fn fixtures(spec: &DriverSpec) -> Vec<Fixture> {
    if spec.evidence == Evidence::NeedsCapture {
        return vec![];
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(spec.id);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a folder of fixtures can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "raw"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{folder:?} holds no .raw file");
    paths.into_iter().map(|path| Fixture { raw: fs::read(&path).unwrap(), path }).collect()
}

/// Feeds pieces, lets every timeout come, and ends the stream.
pub fn run<'a>(spec: &DriverSpec, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    run_with(spec, &DriverOptions::default(), pieces)
}

/// The same with options of a configuration.
pub fn run_with<'a>(
    spec: &DriverSpec,
    options: &DriverOptions,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Outcome {
    let mut decoder = (spec.new)(options);
    let mut outcome = Outcome { events: vec![], transmitted: vec![] };
    let mut now = Instant::now();
    for piece in pieces {
        decoder.handle_input(now, piece);
        drain(decoder.as_mut(), &mut outcome);
        now += Duration::from_micros(piece.len() as u64);
    }
    finish(decoder.as_mut(), now, &mut outcome);
    outcome
}

/// One decoder reads the same file twice.
pub fn run_files(spec: &DriverSpec, raw: &[u8]) -> Outcome {
    let mut decoder = (spec.new)(&DriverOptions::default());
    let mut outcome = Outcome { events: vec![], transmitted: vec![] };
    for _ in 0..2 {
        let now = Instant::now();
        decoder.handle_input(now, raw);
        drain(decoder.as_mut(), &mut outcome);
        finish(decoder.as_mut(), now, &mut outcome);
    }
    outcome
}

fn drain(decoder: &mut dyn Decoder, outcome: &mut Outcome) {
    outcome.transmitted.extend(std::iter::from_fn(|| decoder.poll_transmit()));
    outcome.events.extend(std::iter::from_fn(|| decoder.poll_event()));
}

fn finish(decoder: &mut dyn Decoder, mut now: Instant, outcome: &mut Outcome) {
    for _ in 0..TIMEOUTS_MAX {
        let Some(at) = decoder.poll_timeout() else {
            break;
        };
        now = now.max(at);
        decoder.handle_timeout(now);
        drain(decoder, outcome);
    }
    assert_eq!(decoder.poll_timeout(), None, "timeouts must come to an end");
    decoder.handle_end(now);
    drain(decoder, outcome);
}

impl Outcome {
    pub fn decoded(&self) -> Vec<&Decoded> {
        let decoded = self.events.iter().filter_map(|event| match event {
            Event::Decoded { decoded, .. } => Some(decoded.as_ref()),
            _ => None,
        });
        decoded.collect()
    }
    /// Bytes in events that tell of something that gave no reading. A line end behind the last
    /// transmission is nothing to tell.
    pub fn refused_len(&self) -> usize {
        let is_told = |event: &&Event| match event {
            Event::Decoded { .. } => false,
            Event::Control { raw, .. } => !raw.trim_ascii().is_empty(),
            Event::Rejected { .. } | Event::Overflow { .. } => true,
        };
        self.events.iter().filter(is_told).map(|event| event.raw().len()).sum()
    }
    /// Every byte given in stands in exactly one event, in order.
    #[track_caller]
    pub fn assert_conserves(&self, input: &[u8], what: &str) {
        let accounted: Vec<u8> =
            self.events.iter().flat_map(|event| event.raw().iter().copied()).collect();
        assert!(accounted == input, "{what}: events account for other bytes than were given in");
    }
}

/// The decoded values without what may differ between a whole and a cut transmission.
pub fn content(decoded: &Decoded) -> Decoded {
    Decoded {
        integrity: Integrity::None,
        flags: vec![],
        unknown_records: decoded
            .unknown_records
            .iter()
            .map(|record| {
                let mut record = record.clone();
                record.offset = 0;
                record
            })
            .collect(),
        ..decoded.clone()
    }
}

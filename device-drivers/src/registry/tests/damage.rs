//! Every driver on damaged transmissions: random edits, truncations, and splices of what other
//! instruments send. How many runs there were is printed past the test runner's capture.
//!
//! `PROPTEST_CASES=5000 cargo test -p chiasm-drivers --lib damage` looks longer; what fails says
//! with which `DAMAGE_SEED` it fails again.

use crate::{
    DriverOptions, DriverSpec, Event, detect,
    format::framing::EOT,
    golden::{self, Fixture, content, fixtures, run},
    registry::DRIVERS,
};
use chiasm_proto::{Decoded, Integrity};
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{RngAlgorithm, TestCaseError, TestRng, TestRunner},
};
use std::{cell::Cell, io::Write, time::Instant};

/// Damaged transmissions for each driver and property, if the environment says nothing else.
const CASES: u32 = 48;

/// One thing that may happen to bytes on their way.
#[derive(Debug, Clone)]
enum Edit {
    Replace(Index, u8),
    Insert(Index, u8),
    Delete(Index),
    Truncate(Index),
    /// A stretch of the same fixture stands somewhere else as well.
    Copy {
        from: Index,
        to: Index,
        len: u8,
    },
    /// From some byte on, another driver's fixture follows.
    Splice {
        at: Index,
        other: Index,
        from: Index,
    },
}

fn edit() -> impl Strategy<Value = Edit> {
    let byte = prop_oneof![
        any::<u8>(),
        Just(1u8),
        Just(2),
        Just(4),
        Just(13),
        Just(23),
        Just(b'<'),
        Just(b'D'),
        Just(b'['),
        Just(b';'),
        Just(b' '),
    ];
    let index = any::<Index>;
    prop_oneof![
        4 => (index(), byte.clone()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        2 => (index(), byte).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        2 => index().prop_map(Edit::Delete),
        1 => index().prop_map(Edit::Truncate),
        1 => (index(), index(), any::<u8>())
            .prop_map(|(from, to, len)| Edit::Copy { from, to, len }),
        1 => (index(), index(), index())
            .prop_map(|(at, other, from)| Edit::Splice { at, other, from }),
    ]
}

fn apply(raw: &mut Vec<u8>, edit: &Edit, all: &[Vec<u8>]) {
    if raw.is_empty() {
        return;
    }
    match edit {
        Edit::Replace(at, byte) => {
            let at = at.index(raw.len());
            raw[at] = *byte;
        }
        Edit::Insert(at, byte) => raw.insert(at.index(raw.len()), *byte),
        Edit::Delete(at) => {
            raw.remove(at.index(raw.len()));
        }
        Edit::Truncate(at) => raw.truncate(at.index(raw.len())),
        Edit::Copy { from, to, len } => {
            let from = from.index(raw.len());
            let piece = raw[from..raw.len().min(from + usize::from(*len))].to_vec();
            let to = to.index(raw.len());
            raw.splice(to..to, piece);
        }
        Edit::Splice { at, other, from } => {
            let other = other.get(all);
            raw.truncate(at.index(raw.len()));
            raw.extend_from_slice(&other[from.index(other.len())..]);
        }
    }
}

/// Drivers with their fixtures.
fn all_fixtures() -> Vec<(&'static DriverSpec, Vec<Fixture>)> {
    let all = DRIVERS.iter().map(|spec| (*spec, fixtures(spec)));
    all.filter(|(_, fixtures)| !fixtures.is_empty()).collect()
}

/// Runs a property, and says how often a decoder ran.
fn hold<S: Strategy>(
    name: &str,
    strategy: &S,
    property: impl Fn(&S::Value, &Cell<u64>) -> Result<(), TestCaseError>,
) {
    // The library's own default is 256, or what the environment says.
    let usual = ProptestConfig::default();
    let cases = if usual.cases == 256 { CASES } else { usual.cases };
    let config = ProptestConfig { cases, failure_persistence: None, ..usual };
    let runs = Cell::new(0);
    let seed = seed();
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let result =
        TestRunner::new_with_rng(config, rng).run(strategy, |value| property(&value, &runs));
    // Nobody reads it where standard error is closed.
    let _ = writeln!(std::io::stderr(), "{name}: {} runs of a decoder", runs.get());
    if let Err(failed) = result {
        panic!("{name}, DAMAGE_SEED={seed}: {failed}");
    }
}

/// Another one each time, unless the environment names one.
fn seed() -> u64 {
    let named = std::env::var("DAMAGE_SEED").ok();
    named.map_or_else(random_seed, |seed| seed.parse().expect("DAMAGE_SEED is a number"))
}

/// The standard library keys its hash maps with random numbers.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

/// No panic, every byte in exactly one event, timeouts that end; and detection survives it too.
#[test]
fn damaged_fixtures_are_accounted_for() {
    let all = all_fixtures();
    let bytes: Vec<Vec<u8>> =
        all.iter().flat_map(|(_, fixtures)| fixtures.iter().map(|it| it.raw.clone())).collect();
    let strategy = (any::<Index>(), vec(edit(), 1..6), 1..700usize);
    hold("damaged fixtures", &strategy, |(which, edits, chunk), runs| {
        for (spec, fixtures) in &all {
            let mut raw = which.get(fixtures).raw.clone();
            edits.iter().for_each(|edit| apply(&mut raw, edit, &bytes));
            let outcome = run(spec, raw.chunks(*chunk));
            outcome.assert_conserves(&raw, &format!("{} damaged by {edits:?}", spec.id));
            let found = detect::examine(Instant::now(), &raw, &DriverOptions::default());
            runs.set(runs.get() + 1 + found.trials.len() as u64);
        }
        Ok(())
    });
}

/// Replaced bytes inside one checksummed transmission give nothing, whatever their number, as long
/// as the sum of the bytes is another one.
#[test]
fn a_corrupt_checksummed_transmission_gives_nothing() {
    let mut sealed: Vec<(&DriverSpec, Fixture)> = Vec::new();
    for (spec, fixtures) in all_fixtures() {
        sealed.extend(fixtures.into_iter().filter_map(|fixture| {
            let outcome = run(spec, [fixture.raw.as_slice()]);
            let is_sealed = matches!(&outcome.events[..], [Event::Decoded { decoded, .. }]
                if decoded.integrity == Integrity::Checksum);
            is_sealed.then_some((spec, fixture))
        }));
    }
    assert!(sealed.len() >= 8, "{} sealed fixtures", sealed.len());
    let strategy = vec((any::<Index>(), any::<u8>()), 1..8);
    hold("corrupt checksummed transmissions", &strategy, |edits, runs| {
        for (spec, Fixture { path, raw }) in &sealed {
            let end = raw.iter().rposition(|byte| *byte == EOT).unwrap_or(raw.len());
            let mut damaged = raw.clone();
            for (at, byte) in edits {
                damaged[at.index(end)] = *byte;
            }
            let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
            if sum(&damaged) & 0xFFFF == sum(raw) & 0xFFFF {
                continue;
            }
            let (whole, outcome) = (run(spec, [raw.as_slice()]), run(spec, [damaged.as_slice()]));
            runs.set(runs.get() + 1);
            let what = format!("{path:?} with {edits:?}");
            outcome.assert_conserves(&damaged, &what);
            golden::assert_protected(&whole, &outcome, &what);
            let same: Vec<Decoded> = outcome.decoded().into_iter().map(content).collect();
            prop_assert!(same.is_empty(), "{} still gave a reading", what);
        }
        Ok(())
    });
}

//! What holds for every driver, found by walking the registry.

use super::*;
use crate::{
    DriverOptions, Event, Evidence, Transport,
    golden::{self, Fixture, content, fixtures, run},
};
use chiasm_proto::{Decoded, Integrity, Measured};
use proptest::{collection::vec, prelude::*, sample::Index};
use std::{collections::BTreeSet, time::Instant};

/// The driver of documents that hold matrices.
const WITH_MATRICES: &str = "topcon_myah";

#[test]
fn names_are_unique() {
    let mut ids = BTreeSet::new();
    let mut models = BTreeSet::new();
    for spec in DRIVERS {
        assert!(ids.insert(spec.id), "two drivers are called {}", spec.id);
        assert_eq!(find(spec.id).map(|found| found.id), Some(spec.id));
        assert!(!spec.models.is_empty(), "{} names no model", spec.id);
        for model in spec.models {
            assert!(
                models.insert((spec.vendor, *model)),
                "{} {model} is claimed twice",
                spec.vendor
            );
        }
    }
}

#[test]
fn every_driver_is_described_and_has_fixtures() {
    for spec in DRIVERS {
        let needs_capture = spec.evidence == Evidence::NeedsCapture;
        assert_eq!(fixtures(spec).is_empty(), needs_capture, "{}", spec.id);
        assert!(spec.setup.settings.len() > 20, "{}: say what to set on the instrument", spec.id);
        assert!(spec.limits.len() > 20, "{}: say what is not known or not read", spec.id);
        assert!(!spec.version.is_empty() && !spec.vendor.is_empty());
        let says_so = spec.limits.starts_with("No values are read");
        assert_eq!(spec.yields.is_empty(), says_so, "{}: does it read values?", spec.id);
        for word in spec.yields {
            assert!(
                Measured::TYPE_NAMES.contains(word),
                "{}: {word} is no type of measurement",
                spec.id
            );
        }
    }
}

/// A driver that decodes another's transmissions would file a wrong instrument's values.
#[test]
fn no_driver_decodes_anothers_fixtures() {
    for owner in DRIVERS {
        for Fixture { path, raw } in fixtures(owner) {
            for other in DRIVERS.iter().filter(|other| other.id != owner.id) {
                let outcome = run(other, [raw.as_slice()]);
                outcome.assert_conserves(&raw, &format!("{} reading {path:?}", other.id));
                let decoded = outcome.decoded();
                assert!(decoded.is_empty(), "{} decodes {path:?}: {decoded:#?}", other.id);
            }
        }
    }
}

/// What a whole transmission is, its own driver recognises best.
#[test]
fn fixtures_are_recognised() {
    for owner in DRIVERS {
        for Fixture { path, raw } in fixtures(owner) {
            if run(owner, [raw.as_slice()]).decoded().is_empty() {
                continue;
            }
            let candidates = crate::detect::candidates(&raw);
            let best = candidates.first().map(|candidate| candidate.sniff);
            let own = candidates.iter().find(|candidate| candidate.spec.id == owner.id);
            assert!(own.is_some_and(|own| Some(own.sniff) == best), "{path:?} is not recognised");
        }
    }
}

/// Endless input of every kind leaves no more pending than allowed.
#[test]
fn pending_bytes_have_a_limit() {
    for spec in DRIVERS {
        let mut beginnings: Vec<Vec<u8>> =
            vec![vec![], b"\x01".to_vec(), b"<?xml".to_vec(), b"\xFF\xFE<\0".to_vec()];
        beginnings.extend(fixtures(spec).into_iter().take(3).map(|Fixture { mut raw, .. }| {
            raw.truncate(raw.len() / 2);
            raw
        }));
        for beginning in beginnings {
            for filler in [b"A".as_slice(), b"\r", b"\n", b" ", b"\x17", b"\x01DRM\x02", b"<a>"] {
                assert_bounded(spec, &beginning, filler);
            }
        }
    }
}

fn assert_bounded(spec: &DriverSpec, beginning: &[u8], filler: &[u8]) {
    let mut decoder = (spec.new)(&DriverOptions::default());
    let now = Instant::now();
    let limit = match spec.transport {
        Transport::Serial(_) => LINE_PENDING_LEN_MAX,
        Transport::Folder { .. } if spec.id == WITH_MATRICES => PENDING_LEN_MAX,
        Transport::Folder { .. } => FILE_PENDING_LEN_MAX,
    };
    let block = filler.repeat(limit / 16 / filler.len());
    let count = 18 + filler.len();
    let mut pending = 0;
    let blocks = std::iter::once(beginning).chain(std::iter::repeat_n(block.as_slice(), count));
    for piece in blocks {
        decoder.handle_input(now, piece);
        pending += piece.len();
        while let Some(event) = decoder.poll_event() {
            pending -= event.raw().len();
        }
        assert!(pending <= limit, "{} holds back {pending} bytes", spec.id);
    }
}

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
        Just(b' '),
    ];
    prop_oneof![
        4 => (any::<Index>(), byte.clone()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        2 => (any::<Index>(), byte).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        2 => any::<Index>().prop_map(Edit::Delete),
        1 => any::<Index>().prop_map(Edit::Truncate),
        1 => (any::<Index>(), any::<Index>(), any::<u8>())
            .prop_map(|(from, to, len)| Edit::Copy { from, to, len }),
    ]
}

fn apply(raw: &mut Vec<u8>, edit: &Edit) {
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
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn damaged_fixtures_are_accounted_for(
        which in any::<Index>(), edits in vec(edit(), 1..6), chunk in 1..700usize,
    ) {
        for spec in DRIVERS {
            let mut all = fixtures(spec);
            if all.is_empty() {
                continue; // it reads nothing, so there is nothing to damage
            }
            let mut raw = all.swap_remove(which.index(all.len())).raw;
            edits.iter().for_each(|edit| apply(&mut raw, edit));
            let outcome = run(spec, raw.chunks(chunk));
            outcome.assert_conserves(&raw, &format!("{} damaged by {edits:?}", spec.id));
        }
    }

    /// Replaced bytes inside one checksummed transmission give nothing, whatever their number,
    /// as long as the sum of the bytes is another one.
    #[test]
    fn a_corrupt_checksummed_transmission_gives_nothing(
        which in any::<Index>(), edits in vec((any::<Index>(), any::<u8>()), 1..8),
    ) {
        for spec in DRIVERS {
            let mut sealed: Vec<Fixture> = fixtures(spec);
            sealed.retain(|fixture| {
                let outcome = run(spec, [fixture.raw.as_slice()]);
                matches!(&outcome.events[..], [Event::Decoded { decoded, .. }]
                    if decoded.integrity == Integrity::Checksum)
            });
            if sealed.is_empty() {
                continue;
            }
            let Fixture { path, raw } = sealed.swap_remove(which.index(sealed.len()));
            let whole = run(spec, [raw.as_slice()]);
            let end = raw.iter().rposition(|byte| *byte == 4).unwrap_or(raw.len());
            let mut damaged = raw.clone();
            for (at, byte) in &edits {
                damaged[at.index(end)] = *byte;
            }
            let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
            prop_assume!(sum(&damaged) & 0xFFFF != sum(&raw) & 0xFFFF);
            let outcome = run(spec, [damaged.as_slice()]);
            let what = format!("{path:?} with {edits:?}");
            outcome.assert_conserves(&damaged, &what);
            golden::assert_protected(&whole, &outcome, &what);
            let same: Vec<Decoded> = outcome.decoded().into_iter().map(content).collect();
            prop_assert!(same.is_empty(), "{} still gave a reading", what);
        }
    }
}

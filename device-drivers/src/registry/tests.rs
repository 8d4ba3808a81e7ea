//! What holds for every driver, found by walking the registry.

mod damage;

use super::*;
use crate::{
    DriverOptions, Evidence,
    golden::{Fixture, fixtures, run},
};
use chiasm_proto::Measured;
use std::{collections::BTreeSet, time::Instant};

/// Typical, one eye or errors, extremes.
const FIXTURES_MIN: usize = 3;

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
        let count = fixtures(spec).len();
        let is_enough = if needs_capture { count == 0 } else { count >= FIXTURES_MIN };
        assert!(is_enough, "{}: {count} fixtures", spec.id);
        assert!(spec.setup.wiring.len() > 20, "{}: say how to attach it", spec.id);
        assert!(spec.setup.dry_test.len() > 20, "{}: say how to try it", spec.id);
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

/// What a driver says it measures is what its fixtures show.
#[test]
fn fixtures_show_every_measurement_that_a_driver_yields_and_no_other() {
    let mut wrong = Vec::new();
    for spec in DRIVERS {
        let mut shown = BTreeSet::new();
        for Fixture { raw, .. } in fixtures(spec) {
            let outcome = run(spec, [raw.as_slice()]);
            let measured = outcome.decoded().into_iter().flat_map(|it| &it.measurements);
            shown.extend(measured.map(|measurement| measurement.measured.type_name()));
        }
        let said: BTreeSet<&str> = spec.yields.iter().copied().collect();
        let differing: Vec<_> = shown.symmetric_difference(&said).collect();
        if !differing.is_empty() {
            wrong.push(format!("{}: {differing:?}, shown {shown:?}", spec.id));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
    let limit = pending_len_max(spec);
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

//! What reading costs: each driver on its own typical transmission, beside the least that any reader
//! of such bytes has to do, and detection over the whole registry on bytes that nobody knows.
//!
//! `cargo bench -p chiasm-drivers`, as part of `make bench`. The columns are microseconds for one
//! transmission and, below them, bytes per second.

use chiasm_drivers::{DriverOptions, DriverSpec, Event, detect, registry};
use divan::{Bencher, black_box, counter::BytesCount};
use std::{fs, path::Path, time::Instant};

fn main() {
    divan::main();
}

/// The first fixture of a driver that gives a reading.
fn typical(spec: &DriverSpec) -> Option<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(spec.id);
    let mut paths: Vec<_> = fs::read_dir(folder)
        .ok()?
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "raw"))
        .collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).expect("a readable file")).find(|raw| {
        let events = detect::events(spec, Instant::now(), raw, &DriverOptions::default());
        events.iter().any(|(_, event)| matches!(event, Event::Decoded { .. }))
    })
}

fn ids() -> Vec<&'static str> {
    let with_one = registry::DRIVERS.iter().filter(|spec| typical(spec).is_some());
    with_one.map(|spec| spec.id).collect()
}

/// From the bytes to the reading: a new decoder, the input, its end, and every event.
#[divan::bench(args = ids())]
fn decode(bencher: Bencher, id: &str) {
    let spec = registry::find(id).expect("listed");
    let raw = typical(spec).expect("listed");
    let options = DriverOptions::default();
    bencher
        .counter(BytesCount::of_slice(&raw))
        .bench(|| detect::events(black_box(spec), Instant::now(), black_box(&raw), &options));
}

/// The floor: SHA-256 of the bytes, which every capture needs anyway.
#[divan::bench(args = ids())]
fn floor_sha256(bencher: Bencher, id: &str) {
    let raw = typical(registry::find(id).expect("listed")).expect("listed");
    bencher.counter(BytesCount::of_slice(&raw)).bench(|| chiasm_proto::Sha256::of(black_box(&raw)));
}

/// 64 KiB that no driver knows, of several kinds.
fn unknown(kind: &str) -> Vec<u8> {
    const LEN: usize = 64 * 1024;
    let piece: Vec<u8> = match kind {
        "noise" => {
            let mut state = 0x9E37_79B9_u32;
            let step = |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            };
            (0..LEN).map(step).collect()
        }
        "text" => b"The quick brown fox jumps over the lazy dog; 1,25 -0.50 175.\r\n".to_vec(),
        "xml" => b"<Row No=\"1\"><Sphere>-1.25</Sphere><Cylinder/></Row>\n".to_vec(),
        "table" => b"a;b;c;1.25;-0.50;175;2026-03-14\r\n".to_vec(),
        _ => b"\x01DZZ\x02IDNIDEK/XX-1\x17NO0001\x17\x04".to_vec(),
    };
    let mut bytes = if kind == "xml" { b"<Unknown>".to_vec() } else { Vec::new() };
    while bytes.len() < LEN {
        bytes.extend_from_slice(&piece);
    }
    bytes.truncate(LEN);
    bytes
}

/// Every driver looks, and what hinders is said. The aim is less than 5 ms.
#[divan::bench(args = ["noise", "text", "xml", "table", "nidek"])]
fn detect_unknown_64_kib(bencher: Bencher, kind: &str) {
    let bytes = unknown(kind);
    let options = DriverOptions::default();
    bencher
        .counter(BytesCount::of_slice(&bytes))
        .bench(|| detect::examine(Instant::now(), black_box(&bytes), &options).hints.len());
}

//! `decode`: files to JSON, one document per line.

use crate::{cli::DecodeArgs, clock, drivers};
use chiasm_drivers::{DriverOptions, DriverSpec, Event, Sniff, detect};
use chiasm_proto::{Decoded, DriverRef, Sha256};
use serde::Serialize;
use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
    process::ExitCode,
};

/// Longest file, in bytes.
const FILE_LEN_MAX: u64 = 64 * 1024 * 1024;

#[derive(Serialize)]
struct Line<'a> {
    driver: DriverRef,
    raw_sha256: Sha256,
    #[serde(flatten)]
    decoded: &'a Decoded,
}

/// Decodes each file. Exit code 1 if one of them gave nothing.
pub(super) fn decode(args: &DecodeArgs) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for file in &args.files {
        if let Err(error) = decode_file(args.driver.as_deref(), file) {
            if error
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
            {
                return ExitCode::SUCCESS;
            }
            eprintln!("{}: {}", file.display(), super::in_words(&error));
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn decode_file(driver: Option<&str>, path: &Path) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes)?;
    anyhow::ensure!(bytes.len() as u64 <= FILE_LEN_MAX, "longer than {FILE_LEN_MAX} bytes");
    let candidates = match driver {
        Some(id) => vec![drivers::find(id).ok_or_else(|| {
            anyhow::anyhow!("there is no driver `{id}`; choose one of: {}", drivers::ids())
        })?],
        None => sniffed(&bytes),
    };
    anyhow::ensure!(
        !candidates.is_empty(),
        "no driver knows these {} bytes; tried: {}",
        bytes.len(),
        drivers::ids()
    );
    let mut refusals = Vec::new();
    for spec in candidates {
        let events = events_of(spec, &bytes);
        if events.iter().any(|(_, event)| matches!(event, Event::Decoded { .. })) {
            return print(spec, &events);
        }
        refusals.push(refusal(spec, &events));
    }
    anyhow::bail!("{}", refusals.join("; "))
}

/// What fits, the best first; only if nothing is sure, also what may fit.
fn sniffed(bytes: &[u8]) -> Vec<&'static DriverSpec> {
    let candidates = detect::candidates(bytes);
    let is_sure = candidates.iter().any(|candidate| candidate.sniff == Sniff::Yes);
    candidates
        .into_iter()
        .filter(|candidate| !is_sure || candidate.sniff == Sniff::Yes)
        .map(|candidate| candidate.spec)
        .collect()
}

/// All events with the position in the file at which each begins.
fn events_of(spec: &DriverSpec, bytes: &[u8]) -> Vec<(usize, Event)> {
    let mut decoder = (spec.new)(&DriverOptions { listen_only: true, ..Default::default() });
    let now = clock::monotonic();
    decoder.handle_input(now, bytes);
    decoder.handle_end(now);
    let mut position = 0;
    std::iter::from_fn(|| decoder.poll_event())
        .map(|event| {
            let begin = position;
            position += event.raw().len();
            (begin, event)
        })
        .collect()
}

fn print(spec: &DriverSpec, events: &[(usize, Event)]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for (begin, event) in events {
        match event {
            Event::Decoded { decoded, context, raw } => {
                let raw = [context.as_slice(), raw].concat();
                let driver = DriverRef { id: spec.id.into(), version: spec.version.into() };
                let line = Line { driver, raw_sha256: Sha256::of(&raw), decoded };
                writeln!(out, "{}", serde_json::to_string(&line)?)?;
            }
            Event::Rejected { error, .. } => {
                eprintln!("{} refused a part that begins at byte {begin}: {error}", spec.id);
            }
            Event::Control { .. } | Event::Overflow { .. } => {}
        }
    }
    Ok(())
}

fn refusal(spec: &DriverSpec, events: &[(usize, Event)]) -> String {
    let first = events.iter().find_map(|(begin, event)| match event {
        Event::Rejected { error, .. } => Some((begin + error.offset, error)),
        _ => None,
    });
    match first {
        Some((position, error)) => format!("{}: byte {position} of the file: {error}", spec.id),
        None => format!("{}: no transmission in it", spec.id),
    }
}

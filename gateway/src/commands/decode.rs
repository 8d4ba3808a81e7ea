//! `decode`: files to JSON, one document per line.

use crate::{cli::DecodeArgs, clock, drivers};
use chiasm_drivers::{
    DriverOptions, DriverSpec, Event,
    detect::{self, Examination, Trial},
};
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
    let options = args.options.driver_options();
    for file in &args.files {
        if let Err(error) = decode_file(args.driver.as_deref(), &options, file) {
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

/// A whole file, if it is not too long.
pub(super) fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes)?;
    anyhow::ensure!(bytes.len() as u64 <= FILE_LEN_MAX, "longer than {FILE_LEN_MAX} bytes");
    Ok(bytes)
}

fn decode_file(driver: Option<&str>, options: &DriverOptions, path: &Path) -> anyhow::Result<()> {
    let bytes = read_file(path)?;
    let Some(id) = driver else {
        let examination = detect::examine(clock::monotonic(), &bytes, options);
        return match examination.readers().next() {
            Some(reader) => print(reader.spec, &reader.events),
            None => anyhow::bail!("{}", refusal(&examination)),
        };
    };
    let spec = drivers::named(id)?;
    let events = detect::events(spec, clock::monotonic(), &bytes, options);
    if events.iter().any(|(_, event)| matches!(event, Event::Decoded { .. })) {
        return print(spec, &events);
    }
    let trial = Trial { spec, sniff: (spec.sniff)(&bytes), events };
    anyhow::bail!("{}", why_not(&trial))
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

/// Every candidate with the first offending position, and what else hinders.
fn refusal(examination: &Examination) -> String {
    let mut lines = vec![match examination.trials.len() {
        0 => "no driver knows these bytes".to_owned(),
        1 => "one driver may fit and cannot read it".to_owned(),
        count => format!("{count} drivers may fit and none can read it"),
    }];
    lines.extend(examination.trials.iter().map(why_not));
    lines.extend(examination.hints.iter().map(ToString::to_string));
    lines.join("\n  ")
}

/// Why a driver reads nothing: the position of the first offending byte of the file.
pub(super) fn why_not(trial: &Trial) -> String {
    let id = trial.spec.id;
    match trial.refusal() {
        Some((position, error)) => {
            let field = error.field.as_ref().map_or_else(String::new, |it| format!(" in {it}"));
            let (code, message) = (error.code.as_str(), &error.message);
            format!("{id}: byte {position} of the file: {code}{field}: {message}")
        }
        None => format!("{id}: no transmission in it"),
    }
}

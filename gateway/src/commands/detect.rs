//! `detect`: which driver fits a file or a port, and which line settings.

use super::decode::{read_file, why_not};
use crate::{
    cli::DetectArgs,
    clock,
    config::{self, Serial},
    drivers,
    link::serial,
};
use anyhow::Context;
use chiasm_drivers::{
    DriverSpec, LineSettings, Sniff,
    detect::{
        self, Examination, Hint, Trial,
        probe::{LineErrors, Probe, Verdict},
    },
    handbook,
};
use std::{
    io::{self, Write},
    path::Path,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::{Instant, timeout_at},
};

/// Silence after which a transmission is taken to be over. At 2400 baud a report has gaps.
const SILENCE: Duration = Duration::from_millis(800);
/// Longest print, from its first byte: at 2400 baud some 14 KB.
const PRINT_MAX: Duration = Duration::from_secs(60);
/// Bytes of one transmission that are looked at.
const HEARD_LEN_MAX: usize = 64 * 1024;

/// Looks at a file, or listens to a port.
pub(super) async fn detect(args: DetectArgs) -> anyhow::Result<()> {
    let chosen = args.driver.iter().map(|id| drivers::named(id)).collect::<Result<Vec<_>, _>>()?;
    if !is_port(&args.target) {
        let bytes = read_file(Path::new(&args.target)).with_context(|| args.target.clone())?;
        let options = args.options.driver_options();
        let examination = detect::examine(clock::monotonic(), &bytes, &options);
        return describe(&examination);
    }
    let search = Search {
        port: args.target.clone(),
        probe: Probe::new(&chosen, args.options.driver_options()),
        deadline: Instant::now() + Duration::from_secs(args.timeout.into()),
        wait: Duration::from_secs(args.wait.into()),
        prints: 0,
    };
    search.run().await
}

/// A path to a device, or an adapter by its serial number; anything else is a file.
fn is_port(target: &str) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let is_device = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_char_device())
    };
    target.starts_with("usb:") || is_device(Path::new(target))
}

/// What was found in a file. An error if no driver reads it.
fn describe(examination: &Examination) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for trial in &examination.trials {
        let sure = if trial.sniff == Sniff::Yes { "fits" } else { "may fit" };
        match trial.readings() {
            0 => writeln!(out, "{sure}, cannot read it: {}", why_not(trial))?,
            count => writeln!(out, "{}: reads {count} transmission(s)", name(trial.spec))?,
        }
    }
    for hint in &examination.hints {
        writeln!(out, "{hint}")?;
    }
    anyhow::ensure!(examination.readers().next().is_some(), "no driver reads this file");
    Ok(())
}

fn name(spec: &DriverSpec) -> String {
    format!("{} ({} {})", spec.id, spec.vendor, spec.models.join(", "))
}

/// Listens at one documented setting after the other until a driver reads a whole transmission.
struct Search {
    port: String,
    probe: Probe,
    deadline: Instant,
    /// At each setting.
    wait: Duration,
    prints: u32,
}

/// What a port gave until it fell silent.
enum Heard {
    Transmission { bytes: Vec<u8>, errors: LineErrors },
    Nothing,
    Interrupted,
}

impl Search {
    async fn run(mut self) -> anyhow::Result<()> {
        let remaining = self.probe.remaining();
        writeln!(
            io::stdout(),
            "{remaining} documented line settings to try; press Print after each line, Ctrl-C ends"
        )?;
        let mut hints = vec![Hint::Silence];
        while let Some(line) = self.probe.settings() {
            let (bytes, errors) = match self.listen(line).await? {
                Heard::Transmission { bytes, errors } => (bytes, errors),
                Heard::Nothing if Instant::now() >= self.deadline => {
                    anyhow::bail!("no print in time. {}", in_words(&hints))
                }
                // Everything else was tried, and here every byte was dropped.
                Heard::Nothing if self.prints > 0 && self.probe.remaining() == 1 => {
                    return self.exhausted(&hints);
                }
                Heard::Nothing => {
                    self.probe.silent();
                    continue;
                }
                Heard::Interrupted => return Ok(()),
            };
            self.prints += 1;
            writeln!(io::stdout(), "  {} bytes came{}", bytes.len(), counted(errors))?;
            match self.probe.heard(clock::monotonic(), &bytes, errors) {
                Verdict::Found(readers) => return found(&self.port, line, &readers),
                Verdict::Hindered { hints } => anyhow::bail!("{}", in_words(&hints)),
                Verdict::Exhausted { hints } => return self.exhausted(&hints),
                Verdict::TryNext { hints: now } => {
                    writeln!(io::stdout(), "  not understood: {}", in_words(&now))?;
                    hints = now;
                }
            }
        }
        anyhow::bail!("no line settings to try: these drivers read files, or nothing yet")
    }

    fn exhausted(&self, hints: &[Hint]) -> anyhow::Result<()> {
        let (prints, hints) = (self.prints, in_words(hints));
        anyhow::bail!("{prints} prints, and no documented setting fits. {hints}")
    }

    async fn listen(&self, line: LineSettings) -> anyhow::Result<Heard> {
        let serial = Serial {
            port: self.port.clone(),
            line,
            flow_control: config::FlowControl::None,
            dtr: true,
            rts: true,
        };
        let mut stream = serial::open(&serial)?;
        writeln!(io::stdout(), "listening at {line}: press Print")?;
        io::stdout().flush()?;
        let before = serial::line_errors(&stream);
        let begun_by = self.deadline.min(Instant::now() + self.wait);
        let bytes = tokio::select! {
            bytes = transmission(&mut stream, begun_by) => bytes?,
            stopped = tokio::signal::ctrl_c() => {
                stopped?;
                return Ok(Heard::Interrupted);
            }
        };
        if bytes.is_empty() {
            return Ok(Heard::Nothing);
        }
        let after = serial::line_errors(&stream);
        Ok(Heard::Transmission { bytes, errors: difference(before, after) })
    }
}

/// Everything from the first byte until silence; empty if none came by `begun_by`.
///
/// What began in time may finish, within [`PRINT_MAX`] and [`HEARD_LEN_MAX`]: a print cut by our
/// clock would be blamed on the line settings.
async fn transmission<S: AsyncRead + Unpin>(
    stream: &mut S,
    begun_by: Instant,
) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let mut until = begun_by;
    let mut ends_by = None;
    while let Ok(read) = timeout_at(until, stream.read(&mut buffer)).await {
        let len = read.context("the port failed")?;
        anyhow::ensure!(len > 0, "the other end is gone");
        let room = HEARD_LEN_MAX.saturating_sub(bytes.len()).min(len);
        bytes.extend_from_slice(&buffer[..room]);
        let now = Instant::now();
        let ends_by = *ends_by.get_or_insert(now + PRINT_MAX);
        if bytes.len() >= HEARD_LEN_MAX || now >= ends_by {
            break; // a line that never rests
        }
        until = ends_by.min(now + SILENCE);
    }
    Ok(bytes)
}

fn difference(before: Option<LineErrors>, after: Option<LineErrors>) -> LineErrors {
    let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
    LineErrors {
        framing: after.framing.wrapping_sub(before.framing),
        parity: after.parity.wrapping_sub(before.parity),
    }
}

fn counted(errors: LineErrors) -> String {
    match (errors.framing, errors.parity) {
        (0, 0) => String::new(),
        (framing, parity) => format!(", {framing} framing and {parity} parity errors"),
    }
}

fn in_words(hints: &[Hint]) -> String {
    hints.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What to write into the configuration.
fn found(port: &str, line: LineSettings, readers: &[Trial]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for reader in readers {
        writeln!(out, "found: {} at {line}", name(reader.spec))?;
    }
    let Some(reader) = readers.first() else { return Ok(()) };
    writeln!(out, "\n{}", handbook::serial_configuration(reader.spec, port, line))?;
    write!(out, "{}", handbook::setup(reader.spec))?;
    Ok(())
}

//! Driver and line settings of a port that no link reads.

use super::{Listening, say};
use crate::{
    clock,
    config::{FlowControl, Serial},
    link::serial,
};
use chiasm_drivers::{
    DriverOptions, LineSettings,
    detect::{
        Hint,
        probe::{LineErrors, Probe, Verdict},
    },
};
use chiasm_proto::listening::{HEARD_LEN_MAX, mask};
use std::time::Duration;
use tokio::{
    io::AsyncReadExt,
    time::{Instant, timeout_at},
};

/// Silence after which a transmission is taken to be over. At 2400 baud a report has gaps.
const SILENCE: Duration = Duration::from_millis(800);
/// Without a byte for so long the next settings are tried.
const WAIT: Duration = Duration::from_secs(20);
/// Bytes of one transmission that are looked at.
const TRANSMISSION_LEN_MAX: usize = 64 * 1024;

/// Says how it ended: with driver and settings, or why not.
pub(super) async fn run(listening: &Listening, port: &str) -> String {
    let mut probe = Probe::new(&[], DriverOptions::default());
    while let Some(line) = probe.settings() {
        tell(listening, format!("listening at {line}: press Print"));
        let (bytes, errors) = match transmission(port, line).await {
            Ok(Some(heard)) => heard,
            Ok(None) => {
                probe.silent();
                continue;
            }
            Err(reason) => return reason,
        };
        listening.change(None, |heard| {
            heard.bytes += bytes.len() as u64;
            heard.masked = mask(&bytes);
            heard.masked.truncate(HEARD_LEN_MAX);
        });
        match probe.heard(clock::monotonic(), &bytes, errors) {
            Verdict::Found(readers) => {
                let names: Vec<&str> = readers.iter().map(|reader| reader.spec.id).collect();
                return format!("found: {} at {line}", names.join(" or "));
            }
            Verdict::Hindered { hints } => return in_words(&hints),
            Verdict::Exhausted { hints } => {
                return format!("no documented setting fits. {}", in_words(&hints));
            }
            Verdict::TryNext { hints } => {
                tell(listening, format!("not understood: {}", in_words(&hints)));
            }
        }
    }
    "no line settings to try".into()
}

fn tell(listening: &Listening, words: String) {
    listening.change(None, |heard| say(heard, words));
}

fn in_words(hints: &[Hint]) -> String {
    hints.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Everything from the first byte until silence; none if the line stays silent.
async fn transmission(
    port: &str,
    line: LineSettings,
) -> Result<Option<(Vec<u8>, LineErrors)>, String> {
    let serial =
        Serial { port: port.into(), line, flow_control: FlowControl::None, dtr: true, rts: true };
    let mut stream = serial::open(&serial).map_err(|error| error.to_string())?;
    let before = serial::line_errors(&stream).unwrap_or_default();
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    let mut until = Instant::now() + WAIT;
    while let Ok(read) = timeout_at(until, stream.read(&mut buffer)).await {
        match read {
            Ok(0) => return Err("the other end is gone".into()),
            Ok(len) => bytes.extend_from_slice(&buffer[..len]),
            Err(error) => return Err(format!("the port failed: {error}")),
        }
        if bytes.len() >= TRANSMISSION_LEN_MAX {
            break; // a line that never rests
        }
        until = Instant::now() + SILENCE;
    }
    let after = serial::line_errors(&stream).unwrap_or_default();
    let errors = LineErrors {
        framing: after.framing.wrapping_sub(before.framing),
        parity: after.parity.wrapping_sub(before.parity),
    };
    Ok((!bytes.is_empty()).then_some((bytes, errors)))
}

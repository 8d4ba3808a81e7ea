//! NIDEK refractors to a host on a serial line: RT-2100, RT-3100, RT-5100.
//!
//! Source: the layout of NIDEK's RT interface manual and captures of two models, as described.
//! Proved against constructed transmissions; three published ones of an RT-3100 and four logs of
//! an RT-5100, whose control characters were put back, were read in full. One way: nothing is sent
//! to a refractor.
//!
//! | part    | bytes                                  | meaning                                  |
//! |---------|----------------------------------------|------------------------------------------|
//! | header  | SOH `NIDEK·RT-5100…` CR                | model, id, date, system: `rt/header.rs`  |
//! | source  | STX `@RT` CR                           | whose data follow; lower case: night     |
//! | line    | STX code, columns CR                   | two to four characters of code           |
//! | end     | EOT CR                                 | no ETB, no checksum                      |
//!
//! | source       | holds                                                 | read as              |
//! |--------------|-------------------------------------------------------|----------------------|
//! | `@LM`        | lenses, from a lensmeter                              | relayed lensometry   |
//! | `@RM` `@WF`  | autorefraction, wavefront refraction                  | relayed refraction   |
//! | `@RT`        | unaided acuity, subjective, final, single tests       | this one's own       |
//! | `@KM` `@NT`  | keratometry, pressure                                 | relayed              |
//!
//! ```text
//! @RM                    from the autorefractor, by day
//! OR-·2.25-·0.75··8      right -2.25 -0.75 x 8
//! @RT                    of the refractor itself
//! fL··0.00··0.00··0      left, subjective: plano; a zero has no polarity
//! FL+·9.75-·2.75170      left, final: +9.75 -2.75 x 170
//! ```
//!
//! Traps: the same letters mean different things under different sources (`AR` is the addition of a
//! lens or of the final prescription, `CR` the right cornea), and capital letters are final where
//! small ones are subjective, so a line is read by its source and the case of its code. Up to three
//! `@RT` stand in one report. A code that comes twice under sources of the same name refuses the
//! report: an end was lost between two. The lines of the glare and ETDRS tests (`GR`, `ER` …) count
//! only behind their heading `CG` or `ET`. An acuity in `@LM` or `@RM` was taken by the refractor
//! behind those values, so it is not relayed. The clock of a refractor may be decades off.
//!
//! Unknown: to which meridian the axis under `@KM` belongs (taken for R1, as in an ARK); what the
//! numbers of the Plus package (`ACG`, `#14A`, `MGA` …), `CG` and `ET` say (kept as sent).

use self::report::Report;
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, LineSettings, Parity,
    Setup, Sniff, Transport, flags,
    format::{
        fields::Field,
        framing::{EOT, SOH, STX},
        stream::{End, Protocol, StreamDecoder, find},
    },
};
use chiasm_proto::Decoded;
use std::time::Duration;

mod acuities;
mod header;
mod measurements;
mod numbers;
mod others;
mod report;
mod sections;

/// How every transmission begins.
const MARK: &[u8] = b"\x01NIDEK RT-";
/// The fullest report that the layout allows has some three thousand bytes.
const REPORT_LEN_MAX: usize = 8 * 1024;
const LINES_MAX: usize = 512;
/// At 2400 baud a line takes 90 ms, and refractors pause between sections.
const SILENCE: Duration = Duration::from_millis(2500);

pub static SPEC: DriverSpec = DriverSpec {
    id: "nidek_rt",
    version: "1",
    vendor: "NIDEK",
    models: &["RT-2100", "RT-3100", "RT-5100"],
    yields: &[
        "refraction",
        "visual_acuity",
        "lensometry",
        "keratometry",
        "tonometry",
        "pupillary_distance",
        "other_test",
    ],
    transport: Transport::Serial(LINES),
    evidence: Evidence::Manual,
    ending: Ending::Marked,
    setup: Setup {
        wiring: super::WIRING,
        settings: "PC port on; Type 1: 2400 baud 7 E 2, Type 2: 9600 baud 8 O 1; CR code on; AR \
                   port HDR or another: both headers are read. An RT-3100 stays silent until the \
                   host holds DTR.",
        dry_test: "Set a sphere for each eye without a patient and press PRINT: the lane shows the \
                   values of the paper strip.",
    },
    limits: "Not tried on an instrument. Without a checksum a damaged digit may pass. The date has \
             no time of day. Results of the Plus package are kept as text. Data are never sent to \
             a refractor.",
    sniff: |bytes| if find(bytes, MARK).is_some() { Sniff::Yes } else { Sniff::No },
    new: |options| StreamDecoder::boxed(&PROTOCOL, options),
};

const LINES: &[LineSettings] = &[
    LineSettings { baud: 2400, data_bits: 7, parity: Parity::Even, stop_bits: 2 },
    LineSettings { baud: 9600, data_bits: 8, parity: Parity::Odd, stop_bits: 1 },
];

static PROTOCOL: Protocol = Protocol {
    begins: |bytes| find(bytes, MARK),
    ends,
    silence: SILENCE,
    ends_by_silence: false,
    len_max: REPORT_LEN_MAX,
    read,
};

fn ends(bytes: &[u8]) -> End {
    let end = bytes.iter().position(|byte| *byte == EOT);
    let within = &bytes[1..end.unwrap_or(bytes.len()).max(1)];
    match (find(within, MARK), end) {
        (Some(next), _) => End::Broken(next + 1),
        (None, Some(end)) => End::After(end + 1),
        (None, None) => End::NotYet,
    }
}

fn read(raw: &[u8], _options: &DriverOptions) -> Result<Option<Decoded>, DecodeError> {
    let lines = lines(raw)?;
    let (header, rest) = header::read(&lines)?;
    let mut report = Report::new(header.instrument());
    report.keep_unknown("", &header.unknown);
    report.read(rest)?;
    let mut decoded = report.decoded;
    if decoded.measurements.is_empty() && decoded.unknown_records.is_empty() {
        return Ok(None);
    }
    header.apply(&mut decoded);
    flags::complete(&mut decoded);
    Ok(Some(decoded))
}

/// The lines of a report, without their SOH, STX and CR.
fn lines(raw: &[u8]) -> Result<Vec<Field<'_>>, DecodeError> {
    let malformed = |at: usize, what: &str| DecodeError::new(ErrorCode::Malformed, at, what);
    let end = raw.len().saturating_sub(1);
    let mut lines = Vec::new();
    let mut at = 0;
    while at < end {
        let opening = if at == 0 { SOH } else { STX };
        if raw[at] != opening {
            return Err(malformed(at, "a line has to begin with STX"));
        }
        let inside = &raw[at + 1..end];
        let Some(len) = inside.iter().position(|byte| *byte == b'\r') else {
            return Err(malformed(at, "a line without its end"));
        };
        lines.push(line(&inside[..len], at + 1)?);
        if lines.len() > LINES_MAX {
            return Err(malformed(at, "more lines than any refractor sends"));
        }
        at += len + 2;
        at += usize::from(raw[..end].get(at) == Some(&b'\n'));
    }
    Ok(lines)
}

fn line(bytes: &[u8], offset: usize) -> Result<Field<'_>, DecodeError> {
    if let Some(at) = bytes.iter().position(|byte| !matches!(byte, b' '..=b'~')) {
        let message = "a byte inside a line that is no printable ASCII";
        return Err(DecodeError::new(ErrorCode::Malformed, offset + at, message));
    }
    let text = str::from_utf8(bytes).expect("printable ASCII is UTF-8");
    let field = Field::new(text, offset, "line");
    if text.len() < 2 { Err(field.malformed("a line without a code")) } else { Ok(field) }
}

golden_tests!(SPEC);

#[cfg(test)]
mod tests;

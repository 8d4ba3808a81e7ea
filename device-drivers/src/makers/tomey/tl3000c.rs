//! Tomey TL-3000C lensmeter: columns behind two letters.
//!
//! Source: one working reader and its only example. Proved against constructed transmissions only;
//! not tried on an instrument.
//!
//! | line      | columns                                 | meaning                                |
//! |-----------|-----------------------------------------|----------------------------------------|
//! | `LM`      | –                                       | opens a transmission                   |
//! | `LR` `LL` | sphere 2–7, cylinder 8–13, axis 14–16   | one lens; nothing behind: not measured |
//! | `AR` `AL` | addition 2–5 `2.25`                     | nothing behind: none                   |
//! | `PR` `PL` | not published                           | prism, kept as text                    |
//! | `DR` `DL` | not published                           | kept as text                           |
//!
//! ```text
//! LM
//! LR- 2.50- 0.75171
//! AR1.75
//! PR
//! DR
//! ```
//!
//! Traps: in the example each line has one control byte in front of it, whose value is not known;
//! so every control byte is a border, and it may be that none stands behind the last line. The last
//! line may therefore lack it if it is one that gives no value; all others are refused, for they
//! may have been cut. A second `LM` begins the next transmission. NIDEK lensmeters send `DLM`,
//! which is no beginning here.
//!
//! Unknown: the control bytes, prism, a single lens without a side, what an error looks like.

use super::values::{
    EYES, LEN_MAX, SILENCE, VENDOR, ascii, column_value, draft, eye_at, finish, keep_unknown, line,
    measurement, once, power,
};
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, LineSettings, Parity,
    Setup, Sniff, Transport,
    format::{
        fields::Field,
        stream::{End, Protocol, StreamDecoder},
    },
};
use chiasm_proto::{Decoded, Dioptres, Lensometry, Measured, RefractionValue};

/// Control bytes in a row between two lines.
const BORDER_LEN_MAX: usize = 4;
/// `AR` and four characters.
const ADD_LEN: usize = 6;

const LINES: &[LineSettings] = &[line(2400, 7, Parity::Even, 1)];

pub static SPEC: DriverSpec = DriverSpec {
    id: "tomey_tl3000c",
    version: "1",
    vendor: VENDOR,
    models: &["TL-3000C"],
    yields: &["lensometry"],
    transport: Transport::Serial(LINES),
    evidence: Evidence::SingleSource,
    ending: Ending::Silence,
    setup: Setup {
        wiring: "RS-232. Which cable is not published; if nothing arrives, try a crossed one.",
        settings: "2400 baud 7 E 1. Mind the seven data bits: with eight every second character is \
                   another one.",
        dry_test: "Measure a trial lens on each side and print: the lane shows the values of the \
                   paper strip.",
    },
    limits: "Not tried on an instrument. Known from one example. Prism lines are kept as text. The \
             bytes that frame a line are not known. No mark ends a transmission.",
    sniff: |bytes| if begins(bytes).is_some() { Sniff::Perhaps } else { Sniff::No },
    new: |options| StreamDecoder::boxed(&PROTOCOL, options),
};

static PROTOCOL: Protocol =
    Protocol { begins, ends, silence: SILENCE, ends_by_silence: true, len_max: LEN_MAX, read };

/// Whether `LM`, a border and the code of a lens stand here. `before` is the byte in front of it.
fn is_opening(bytes: &[u8], before: Option<u8>) -> bool {
    let Some(rest) = bytes.strip_prefix(b"LM") else { return false };
    let border = rest.iter().take_while(|byte| byte.is_ascii_control()).count();
    let code = rest[border..].first_chunk();
    before != Some(b'D')
        && (1..=BORDER_LEN_MAX).contains(&border)
        && matches!(code, Some([b'L' | b'A' | b'P' | b'D', b'R' | b'L']))
}

/// The first `LM`, together with the border in front of it; line ends there belong to nobody yet.
fn begins(bytes: &[u8]) -> Option<usize> {
    let is_here = |at: &usize| {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before)).copied();
        is_opening(&bytes[*at..], before)
    };
    let at = (0..bytes.len()).find(is_here)?;
    let border = bytes[..at].iter().rev().take_while(|byte| byte.is_ascii_control()).count();
    Some(at - border.min(BORDER_LEN_MAX))
}

fn ends(bytes: &[u8]) -> End {
    let border = bytes.iter().take_while(|byte| byte.is_ascii_control()).count();
    // From the letters of the own `LM` on, any other one is the next transmission's.
    let from = border + 2;
    let next = bytes.get(from..).and_then(next_opening);
    next.map_or(End::NotYet, |at| End::After(from + at))
}

/// The next `LM`; what stands between is left to this transmission, whose last line needs it.
fn next_opening(bytes: &[u8]) -> Option<usize> {
    let is_line = |at: &usize| {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before)).copied();
        before.is_some_and(|before| before.is_ascii_control()) && is_opening(&bytes[*at..], before)
    };
    (0..bytes.len()).find(is_line)
}

/// What was sent for the two lenses; an inner none is a code without a value.
#[derive(Default)]
struct Print<'a> {
    lenses: [Option<Option<RefractionValue>>; 2],
    adds: [Option<(Field<'a>, Option<Dioptres>)>; 2],
}

fn read(bytes: &[u8], options: &DriverOptions) -> Result<Option<Decoded>, DecodeError> {
    let mut decoded = draft(options, SPEC.models[0]);
    let mut print = Print::default();
    let mut offset = 0;
    for text in ascii(bytes)?.split(|border: char| border.is_ascii_control()) {
        let line = Field::new(text, offset, text.get(..2).unwrap_or("line"));
        offset += text.len() + 1;
        if !text.is_empty() {
            print.line(line, offset <= bytes.len(), &mut decoded)?;
        }
    }
    print.finish(decoded)
}

impl<'a> Print<'a> {
    fn line(
        &mut self,
        line: Field<'a>,
        is_ended: bool,
        decoded: &mut Decoded,
    ) -> Result<(), DecodeError> {
        let (code, value) = line.text.split_at_checked(2).unwrap_or((line.text, ""));
        if code.len() != 2 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(line.malformed("not a code of two letters"));
        }
        let has_value = !value.is_empty();
        match (&code[..1], eye_at(&code[1..])) {
            ("L" | "A", Some(_)) if !is_ended => {
                let message = "nothing behind the last line: it may have been cut short";
                Err(DecodeError::new(ErrorCode::Incomplete, line.offset, message))
            }
            ("L", Some(eye)) => {
                let lens = has_value.then(|| column_value(&line)).transpose()?;
                once(&mut self.lenses[eye], lens, &line)
            }
            ("A", Some(eye)) => {
                let add = has_value.then(|| add(&line)).transpose()?;
                once(&mut self.adds[eye], (line, add), &line)
            }
            ("P" | "D", Some(_)) if !has_value => Ok(()),
            _ if line.text == "LM" => Ok(()),
            _ => {
                keep_unknown(decoded, &line);
                Ok(())
            }
        }
    }

    fn finish(self, mut decoded: Decoded) -> Result<Option<Decoded>, DecodeError> {
        for (at, (lens, add)) in (0..EYES.len()).zip(self.lenses.into_iter().zip(self.adds)) {
            let (lens, add) = match (lens.flatten(), add) {
                (Some(lens), add) => (lens, add.and_then(|(_, add)| add)),
                (None, Some((line, Some(_)))) => {
                    return Err(line.malformed("an addition to a lens that was not measured"));
                }
                (None, _) => continue,
            };
            let lens = Lensometry {
                sphere: Some(lens.sphere),
                cylinder: Some(lens.cylinder),
                axis_deg: lens.axis_deg,
                add,
                ..Lensometry::default()
            };
            decoded.measurements.push(measurement(at, Measured::Lensometry(lens)));
        }
        finish(decoded)
    }
}

fn add(line: &Field) -> Result<Dioptres, DecodeError> {
    line.expect_len(ADD_LEN)?;
    power(&line.columns(2, ADD_LEN - 2, "addition")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_may_lack_its_end_only_if_it_gives_no_value() {
        let options = DriverOptions::default();
        let whole = "\x02LM\x02LR- 1.75- 0.50 14\x02AR2.25\x02PR\x02DR";
        let decoded = read(whole.as_bytes(), &options).unwrap().unwrap();
        assert_eq!(decoded.measurements.len(), 1);
        let cut = "\x02LM\x02LR- 1.75- 0.50 14\x02AR";
        assert_eq!(read(cut.as_bytes(), &options).unwrap_err().code, ErrorCode::Incomplete);
    }

    #[test]
    fn control_bytes_in_front_go_with_the_transmission() {
        assert_eq!(begins(b"xx\x02LM\x03LR"), Some(2));
        assert_eq!(begins(b"\x01DLM\x02LR"), None);
        assert_eq!(ends(b"\x02LM\x02LR\x02\x02LM\x02LR"), End::After(8));
    }
}

golden_tests!(SPEC);

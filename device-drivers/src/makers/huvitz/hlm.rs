//! Huvitz lensmeters HLM-1, HLM-7000P and CLM-7000, Visionix VL1000: one line of keys.
//!
//! Source: a public capture of one line and an independent reader. Proved against constructed
//! lines only.
//!
//! | part        | form                             | meaning                                |
//! |-------------|----------------------------------|----------------------------------------|
//! | begin       | `LM2RK`                          | names the format, not the model        |
//! | `No=`       | digits                           | running number                         |
//! | `R:` `L:`   |                                  | the lens of the keys behind it         |
//! | `S=` `C=`   | `+00.00`                         | sphere, cylinder                       |
//! | `A=`        | `000`                            | axis; 000 with zero cylinder           |
//! | `PX=` `PY=` | `+00.00`                         | horizontal, vertical prism, whose      |
//! |             |                                  | direction is not documented            |
//! | `PD=`       | `00.0`                           | mm from nose to lens; `00.0` none      |
//! | `ADD=`      | `+0.00`                          | addition; `+0.00` none                 |
//! | `UR=` `UL=` | 3 characters, padded with blanks | ultraviolet light that passes, percent |
//! | end         | `E$` LF                          |                                        |
//!
//! ```text
//! LM2RK   No=00012   R: S=-01.25 C=-00.50 A=090 PX=+00.25 PY=-00.75 PD=31.0 ADD=+1.25 UR=  7   E$
//! ```
//!
//! Traps: groups are separated by three blanks and keys by one, but a padded `UR=  7` holds blanks
//! too, so each key takes its own number of characters.
//!
//! Unknown: base in or out, up or down for a sign; what stands for a lens that was not measured.

use super::{EYES, ascii, instrument};
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, LineSettings, Parity,
    Setup, Sniff, Transport, flags,
    format::{
        fields::Field,
        stream::{End, Protocol, StreamDecoder, find},
        xml::{UNKNOWN_RECORDS_MAX, values::axis_unless_zero},
    },
};
use chiasm_proto::{
    Base, Decoded, Eye, Hundredths, Integrity, Lensometry, Measured, Measurement, Prism,
    PrismComponent, PupillaryDistance, UnknownRecord,
};
use std::time::Duration;

/// Longest line. One with both lenses is below 200 bytes.
const LEN_MAX: usize = 1024;
/// Digits of the running number.
const NO_LEN_MAX: usize = 10;
const PERCENT_MAX: Hundredths = Hundredths::whole(100);
const BEGIN: &[u8] = b"LM2RK";
const END: &[u8] = b"E$";
const NO: &str = "No=";

pub static SPEC: DriverSpec = DriverSpec {
    id: "huvitz_hlm",
    version: "1",
    vendor: "Huvitz",
    models: &["HLM-1", "HLM-7000P", "CLM-7000", "Visionix VL1000"],
    yields: &["lensometry", "pupillary_distance"],
    transport: Transport::Serial(&[
        LineSettings { baud: 9600, data_bits: 7, parity: Parity::Even, stop_bits: 1 },
        LineSettings { baud: 9600, data_bits: 8, parity: Parity::None, stop_bits: 1 },
    ]),
    evidence: Evidence::Manual,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "RS-232 of the lensmeter, which only sends. If nothing arrives, try a crossed \
                 cable (null modem).",
        settings: "Data output by RS-232 on, 9600 baud. CLM-7000 and VL1000 send 7 data bits, \
                   even parity, 1 stop bit; HLM-7000P is not documented: let the link probe, or \
                   set the same on both sides.",
        dry_test: "Measure any lens as right and left and press print: the lane shows the values \
                   of the paper strip.",
    },
    limits: "The sign of a prism is kept, but which base it means is not documented. Line \
             settings of the HLM-7000P are not documented. A lens without a side was never seen \
             and is refused.",
    sniff: |bytes| match find(bytes, BEGIN) {
        Some(_) => Sniff::Yes,
        None => Sniff::No,
    },
    new: |options| StreamDecoder::boxed(&PROTOCOL, options),
};

static PROTOCOL: Protocol = Protocol {
    begins: |bytes| find(bytes, BEGIN),
    ends,
    silence: Duration::from_secs(1),
    ends_by_silence: false,
    len_max: LEN_MAX,
    read,
};

/// The LF behind the mark is left to the line ends, so that a cut before it changes nothing.
fn ends(bytes: &[u8]) -> End {
    let again = find(&bytes[1..], BEGIN).map(|at| at + 1);
    match (find(bytes, END), again) {
        (Some(end), again) if again.is_none_or(|again| again > end) => End::After(end + END.len()),
        (_, Some(again)) => End::Broken(again),
        _ => End::NotYet,
    }
}

/// The keys of a lens in the order of a line: key, shape, name in errors.
const KEYS: [(&str, &str, &str); 9] = [
    ("S=", "+00.00", "sphere"),
    ("C=", "+00.00", "cylinder"),
    ("A=", "__0", "axis"),
    ("PX=", "+00.00", "horizontal prism"),
    ("PY=", "+00.00", "vertical prism"),
    ("PD=", "00.0", "PD"),
    ("ADD=", "+0.00", "addition"),
    ("UR=", "__0", "UV right"),
    ("UL=", "__0", "UV left"),
];
// Their positions.
const S: usize = 0;
const C: usize = 1;
const A: usize = 2;
const PX: usize = 3;
const PY: usize = 4;
const PD: usize = 5;
const ADD: usize = 6;
const UR: usize = 7;
const UL: usize = 8;

/// One lens: the values by the position of their key.
#[derive(Default)]
struct Lens {
    offset: usize,
    values: [Option<Hundredths>; KEYS.len()],
}

/// What is read of a line.
#[derive(Default)]
struct Draft {
    no: Option<String>,
    /// Right, left.
    lenses: [Option<Lens>; 2],
    side: Option<usize>,
    unknown: Vec<UnknownRecord>,
}

fn read(raw: &[u8], options: &DriverOptions) -> Result<Option<Decoded>, DecodeError> {
    let text = ascii(raw)?;
    let line = Field::new(text, 0, "line");
    let end = text.len() - END.len();
    let mut draft = Draft::default();
    let mut at = BEGIN.len();
    while at < end {
        if text.as_bytes()[at] == b' ' {
            at += 1;
        } else {
            at += draft.token(&line.columns(at, end - at, "line")?)?;
        }
    }
    draft.decoded(options)
}

impl Draft {
    /// Reads what stands first in the rest of the line; gives its length.
    fn token(&mut self, rest: &Field) -> Result<usize, DecodeError> {
        if let Some(at) = KEYS.iter().position(|(key, ..)| rest.text.starts_with(key)) {
            let (key, shape, name) = KEYS[at];
            let len = key.len() + shape.len();
            let value = rest.columns(key.len(), shape.len(), name)?;
            if !matches!(rest.text.as_bytes().get(len), None | Some(b' ')) {
                return Err(value.malformed("longer than it should be"));
            }
            self.value(at, &value)?;
            return Ok(len);
        }
        let word = rest.text.split(' ').next().unwrap_or("");
        if let Some(side) = EYES.iter().position(|(_, eye)| word.strip_suffix(':') == Some(eye)) {
            let lens = Lens { offset: rest.offset, ..Lens::default() };
            if self.lenses[side].replace(lens).is_some() {
                return Err(rest.malformed("a second lens for the same eye"));
            }
            self.side = Some(side);
        } else if let Some(no) = word.strip_prefix(NO) {
            let is_no = (1..=NO_LEN_MAX).contains(&no.len())
                && no.bytes().all(|byte| byte.is_ascii_digit());
            if !is_no || self.no.replace(no.to_owned()).is_some() {
                return Err(rest.malformed("not a running number").in_field(NO));
            }
        } else {
            return Ok(self.keep_unknown(word, rest));
        }
        Ok(word.len())
    }

    fn value(&mut self, at: usize, value: &Field) -> Result<(), DecodeError> {
        let Some(side) = self.side else {
            return Err(value.malformed("before it is said which lens it belongs to"));
        };
        let shape = KEYS[at].1;
        let number = match at {
            UR | UL => percent(value)?,
            A if is_padded(value) => Hundredths::whole(value.axis_deg(shape)?.into()),
            A => return Err(value.malformed("not an axis")),
            _ => value.decimal(shape)?,
        };
        if (at == UR && side != 0) || (at == UL && side != 1) {
            return Err(value.malformed("of the other lens"));
        }
        let lens = self.lenses[side].get_or_insert_default();
        match lens.values[at].replace(number) {
            Some(_) => Err(value.malformed("sent twice for one lens")),
            None => Ok(()),
        }
    }

    /// A key that nobody knows, with its value even if that is padded; gives the length.
    fn keep_unknown(&mut self, word: &str, rest: &Field) -> usize {
        let behind = &rest.text[word.len()..];
        let value = behind.trim_start_matches(' ');
        let len = match value.split(' ').next() {
            Some(padded) if word.ends_with('=') => rest.text.len() - value.len() + padded.len(),
            _ => word.len(),
        };
        let text = rest.text[..len].trim_end().to_owned();
        if self.unknown.len() < UNKNOWN_RECORDS_MAX {
            self.unknown.push(UnknownRecord { offset: rest.offset, text });
        } else if let Some(last) = self.unknown.last_mut() {
            last.text = format!("{} {text}", last.text);
        }
        len
    }

    fn decoded(self, options: &DriverOptions) -> Result<Option<Decoded>, DecodeError> {
        let mut decoded = Decoded::new(instrument(options), Integrity::None);
        decoded.running_number = self.no;
        let mut halves = [None, None];
        for (side, lens) in self.lenses.iter().enumerate() {
            let Some(lens) = lens else { continue };
            let (eye, token) = EYES[side];
            let measured = Measured::Lensometry(lens.lensometry()?);
            decoded.measurements.push(Measurement::of(eye, token, measured));
            halves[side] = lens.values[PD].filter(|half| !half.is_zero());
        }
        let [right_mm, left_mm] = halves;
        let distance = PupillaryDistance { right_mm, left_mm, ..PupillaryDistance::default() };
        if distance != PupillaryDistance::default() {
            let measured = Measured::PupillaryDistance(distance);
            decoded.measurements.push(Measurement::without_token(Eye::Both, measured));
        }
        decoded.unknown_records = self.unknown;
        if decoded.measurements.is_empty() && decoded.unknown_records.is_empty() {
            return Ok(None);
        }
        flags::complete(&mut decoded);
        Ok(Some(decoded))
    }
}

impl Lens {
    fn lensometry(&self) -> Result<Lensometry, DecodeError> {
        let value = |at: usize| self.values[at];
        let needed = [S, C, A].into_iter().find(|at| value(*at).is_none());
        if let Some(missing) = needed {
            let message = "not sent for this lens";
            let error = DecodeError::new(ErrorCode::Malformed, self.offset, message);
            return Err(error.in_field(KEYS[missing].2));
        }
        let component =
            |at: usize| value(at).map(|amount| PrismComponent { amount, base: Base::Unverified });
        let prism =
            Prism { horizontal: component(PX), vertical: component(PY), ..Prism::default() };
        let axis_deg = value(A).and_then(|axis| i16::try_from(axis.0 / 100).ok());
        Ok(Lensometry {
            sphere: value(S),
            cylinder: value(C),
            axis_deg: axis_unless_zero(value(C), axis_deg),
            add: value(ADD).filter(|add| !add.is_zero()),
            prism: (prism != Prism::default()).then_some(prism),
            uv_transmittance_percent: value(UR).or(value(UL)),
            ..Lensometry::default()
        })
    }
}

/// ` 12`: blanks in front only.
fn is_padded(value: &Field) -> bool {
    !value.text.trim_start().contains(' ')
}

fn percent(value: &Field) -> Result<Hundredths, DecodeError> {
    let percent = value.decimal("__0")?;
    if !is_padded(value) || percent > PERCENT_MAX {
        return Err(value.malformed("not a number of percent"));
    }
    Ok(percent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::run;

    #[test]
    fn damaged_lines_are_refused() {
        let lens = |keys: &str| format!("LM2RK   No=00001   {keys}   E$\n");
        for keys in [
            "S=-01.25 C=-00.50 A=090",
            "R: S=-01.25 C=-00.50",
            "R: S=-01.25 S=-01.25 C=-00.50 A=090",
            "R: S=-01.255 C=-00.50 A=090",
            "R: S=-01.25 C=-00.50 A=181",
            "R: S=-01.25 C=-00.50 A=1 1",
            "R: S=-01.25 C=-00.50 A=090 UL= 12",
            "R: S=-01.25 C=-00.50 A=090 UR=1 2",
            "R: S=-01.25 C=-00.50 A=090 UR=101",
            "R: S=-01.25 C=-00.50 A=090   R: S=-01.25 C=-00.50 A=090",
        ] {
            let outcome = run(&SPEC, [lens(keys).as_bytes()]);
            assert!(outcome.decoded().is_empty(), "{keys}: {outcome:#?}");
        }
    }

    #[test]
    fn one_line_inside_another_breaks_the_first() {
        let text = "LM2RK   No=00001   R: S=-0LM2RK   R: S=-01.25 C=-00.50 A=090   E$\n";
        let outcome = run(&SPEC, [text.as_bytes()]);
        outcome.assert_conserves(text.as_bytes(), text);
        assert_eq!(outcome.decoded().len(), 1);
        assert_eq!(outcome.refused_len(), 26);
    }
}

golden_tests!(SPEC);

//! Huvitz autorefractors HRK-8000A and HRK-9000A, and relatives: the `S-R-R` text.
//!
//! Source: public readers tried on three makers' instruments, and a second project that agrees on
//! the refraction records. Proved against constructed transmissions only.
//!
//! | part          | form                                        | meaning                        |
//! |---------------|---------------------------------------------|--------------------------------|
//! | head          | `S No=00218 R B`                            | not proved, ignored on purpose |
//! | refraction    | `S-R-R` `S-R-L`, then fields between blanks | right, left                    |
//! | · sphere      | `+00.00`                                    | D; zero also as `-00.00`       |
//! | · cylinder    | `+00.00`                                    | D                              |
//! | · axis        | `+000` `000`                                | degrees, 0 as sent             |
//! | · PD          | `00` `00.0`, may be missing                 | mm, in each record             |
//! | keratometry   | `S-K-R` `S-K-L`                             | not proved: kept as text       |
//! | end of record | `E`                                         | the next one follows at once   |
//!
//! ```text
//! ES-R-R -02.50 -01.25 +015 61 ES-R-L +00.75 +00.00 +000 61 E
//! ```
//!
//! Traps: the `E` in front of an `S` closes the record before it, or, if that is closed already or
//! there is none, leads the next one. Nothing marks the end of a transmission: a record repeated
//! for the same eye, a right one behind a left one of its kind, a head, or silence begins the next
//! one. Both records of a print hold the same distance: two different ones are of two patients and
//! refuse everything. Text between records may hold an `E`,
//! so it is never split there. `00` for the distance is none. Powers have all their digits: there
//! is no checksum, and one digit that was lost would make another power.
//!
//! Unknown: the layout of keratometry and of the head, whose running number and two letters are
//! therefore not taken over; whether an instrument puts its name in front (it is told as noise).

use super::{EYES, ascii, instrument, refraction};
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, LineSettings, Parity,
    Setup, Sniff, Transport, flags,
    format::{
        fields::Field,
        stream::{End, Protocol, StreamDecoder},
        xml::{UNKNOWN_RECORDS_MAX, values::axis_unless_zero},
    },
};
use chiasm_proto::{
    Decoded, Eye, Hundredths, Integrity, Measured, Measurement, PupillaryDistance, RefractionValue,
    UnknownRecord,
};
use std::time::Duration;

/// Longest transmission. One with everything is below 200 bytes.
const LEN_MAX: usize = 2048;
/// Line settings that are usual; none is documented for certain.
const LINES: &[LineSettings] = &[
    LineSettings { baud: 9600, data_bits: 8, parity: Parity::None, stop_bits: 1 },
    LineSettings { baud: 2400, data_bits: 8, parity: Parity::None, stop_bits: 1 },
];
const HEAD: &[u8] = b"S No=";
const TAG_LEN: usize = 5;
/// Digits of a head's running number.
const NO_LEN_MAX: usize = 8;
/// What a record for an eye is called in errors: sphere, cylinder, axis, distance.
const NAMES: [[&str; 4]; 2] = [
    ["S-R-R sphere", "S-R-R cylinder", "S-R-R axis", "S-R-R PD"],
    ["S-R-L sphere", "S-R-L cylinder", "S-R-L axis", "S-R-L PD"],
];

pub static SPEC: DriverSpec = DriverSpec {
    id: "huvitz_srr",
    version: "1",
    vendor: "Huvitz",
    models: &[
        "HRK-8000A",
        "HRK-9000A",
        "Charops CRK-8800",
        "Tianle KR-9800",
        "Xiongbo RMK-150",
        "Xiongbo RMK-800",
    ],
    yields: &["refraction", "pupillary_distance"],
    transport: Transport::Serial(LINES),
    evidence: Evidence::Manual,
    ending: Ending::Silence,
    setup: Setup {
        wiring: "RS-232 of the instrument, which only sends. CRK-8800, KR-9800 and RMK-800 need \
                 a crossed cable (null modem); if nothing arrives, try the other kind.",
        settings: "Data output by RS-232 on, best at each print; 9600 baud, 8 data bits, no \
                   parity, 1 stop bit are usual. Configure the model here: the text does not \
                   name it.",
        dry_test: "Measure the model eye and press print: the lane shows sphere, cylinder, axis \
                   and PD of the paper strip.",
    },
    limits: "Keratometry is kept as text: its layout is not proved. The head line (running \
             number, two letters) is not proved and not taken over. Line settings are not \
             documented. Several values of one eye arrive as several readings.",
    sniff: |bytes| if find_tag(bytes).is_some() { Sniff::Yes } else { Sniff::No },
    new: |options| StreamDecoder::boxed(&PROTOCOL, options),
};

static PROTOCOL: Protocol = Protocol {
    begins,
    ends,
    silence: Duration::from_millis(500),
    ends_by_silence: true,
    len_max: LEN_MAX,
    read,
};

/// The letters of kind and eye, if any record begins with these bytes.
fn tag(bytes: &[u8]) -> Option<[u8; 2]> {
    match bytes {
        [b'S', b'-', kind, b'-', eye, ..]
            if kind.is_ascii_uppercase() && eye.is_ascii_uppercase() =>
        {
            Some([*kind, *eye])
        }
        _ => None,
    }
}

/// The same for the records that are the format's mark.
fn known_tag(bytes: &[u8]) -> Option<[u8; 2]> {
    tag(bytes).filter(|[kind, eye]| b"RK".contains(kind) && b"RL".contains(eye))
}

fn find_tag(bytes: &[u8]) -> Option<usize> {
    (0..bytes.len()).find(|at| known_tag(&bytes[*at..]).is_some())
}

fn begins(bytes: &[u8]) -> Option<usize> {
    let is_begin = |at: &usize| {
        let here = &bytes[*at..];
        let led = here.strip_prefix(b"E").unwrap_or(here);
        here.starts_with(HEAD) || known_tag(led).is_some()
    };
    (0..bytes.len()).find(is_begin)
}

/// A transmission ends where a record of it is repeated, a right one follows a left one, or another
/// head stands.
fn ends(bytes: &[u8]) -> End {
    let mut seen: Vec<[u8; 2]> = vec![];
    let mut is_open = false;
    let mut closing = None;
    for at in 0..bytes.len() {
        let here = &bytes[at..];
        if at > 0 && here.starts_with(HEAD) {
            return End::After(at);
        }
        if let Some(found) = tag(here) {
            // The right record stands first: behind a left one of its kind it is another print's.
            let is_behind_left = found[1] == b'R' && seen.contains(&[found[0], b'L']);
            if seen.contains(&found) || is_behind_left {
                let is_led = bytes[at - 1] == b'E' && closing != Some(at - 1);
                return End::After(if is_led { at - 1 } else { at });
            }
            seen.extend(known_tag(here));
            is_open = true;
        } else if here[0] == b'E' && is_open {
            (is_open, closing) = (false, Some(at));
        }
    }
    End::NotYet
}

/// What is read of a transmission.
#[derive(Default)]
struct Draft {
    /// Right, left.
    eyes: [Option<RefractionValue>; 2],
    /// The same in both records.
    far_mm: Option<Hundredths>,
    unknown: Vec<UnknownRecord>,
    has_record: bool,
}

fn read(raw: &[u8], options: &DriverOptions) -> Result<Option<Decoded>, DecodeError> {
    let mut draft = Draft::default();
    let mut at = 0;
    loop {
        let next = (at..raw.len()).find(|at| tag(&raw[*at..]).is_some());
        draft.between(raw, at, next.unwrap_or(raw.len()))?;
        let Some(start) = next else { break };
        at = draft.record(raw, start)?;
    }
    if !draft.has_record {
        let message = "a head without any record";
        return Err(DecodeError::new(ErrorCode::Incomplete, raw.len(), message));
    }
    Ok(Some(draft.decoded(options)))
}

impl Draft {
    /// Reads or keeps the record from `start` on; gives the position behind it.
    fn record(&mut self, raw: &[u8], start: usize) -> Result<usize, DecodeError> {
        self.has_record = true;
        let inside = start + TAG_LEN;
        let next = (inside..raw.len()).find(|at| tag(&raw[*at..]).is_some());
        let limit = next.unwrap_or(raw.len());
        let closing = raw[inside..limit].iter().position(|byte| *byte == b'E');
        let kind = tag(&raw[start..]).unwrap_or_default();
        let is_refraction = matches!(kind, [b'R', b'R' | b'L']);
        let Some(end) = closing.map(|len| inside + len) else {
            if next.is_some() && !is_refraction {
                self.keep(raw, start, limit);
                return Ok(limit);
            }
            let code = if next.is_some() { ErrorCode::Malformed } else { ErrorCode::Incomplete };
            return Err(DecodeError::new(code, limit, "the record is not closed by E"));
        };
        if is_refraction {
            let text = ascii(&raw[inside..end])
                .map_err(|error| DecodeError { offset: error.offset + inside, ..error })?;
            let side = usize::from(kind[1] == b'L');
            self.refraction(side, Field::new(text, inside, NAMES[side][0]))?;
        } else {
            self.keep(raw, start, end + 1);
        }
        Ok(end + 1)
    }

    fn refraction(&mut self, side: usize, record: Field) -> Result<(), DecodeError> {
        let names = NAMES[side];
        let words = fields(&record);
        let (sphere, cylinder, axis, distance) = match words[..] {
            [sphere, cylinder, axis] => (sphere, cylinder, axis, None),
            [sphere, cylinder, axis, distance] => (sphere, cylinder, axis, Some(distance)),
            _ => return Err(record.malformed(format!("{} fields, not 3 or 4", words.len()))),
        };
        let sphere = sphere.decimal("+00.00")?;
        let cylinder = cylinder.named(names[1]).decimal("+00.00")?;
        let axis = axis.named(names[2]);
        let shape = if axis.has_shape("000") { "000" } else { "+000" };
        let axis_deg = axis.axis_deg(shape)?;
        if let Some(distance) = distance {
            let shape = if distance.has_shape("00.0") { "00.0" } else { "00" };
            let field = distance.named(names[3]);
            let distance = field.decimal(shape)?;
            if !distance.is_zero()
                && self.far_mm.replace(distance).is_some_and(|other| other != distance)
            {
                // One head has one distance: the records are of two patients.
                return Err(field.malformed("another distance than in the record before it"));
            }
        }
        let value = RefractionValue {
            sphere,
            cylinder,
            axis_deg: axis_unless_zero(Some(cylinder), Some(axis_deg)),
            spherical_equivalent: None,
        };
        if self.eyes[side].replace(value).is_some() {
            return Err(record.malformed("a second record for the same eye"));
        }
        Ok(())
    }

    /// What stands between two records: white space, the `E` of the next one, a head, or text that
    /// nobody knows.
    fn between(&mut self, raw: &[u8], from: usize, to: usize) -> Result<(), DecodeError> {
        let text = raw[from..to].trim_ascii();
        if text.is_empty() || text == b"E" || is_head(text) {
            return Ok(());
        }
        let is_cut = to == raw.len() && (is_cut_tag(text) || !self.has_record);
        if is_cut {
            let message = "the transmission stopped in the middle of a record's name";
            return Err(DecodeError::new(ErrorCode::Incomplete, to, message));
        }
        self.keep(raw, from, to);
        Ok(())
    }

    /// Keeps text of unknown meaning; beyond the limit the last one says so.
    fn keep(&mut self, raw: &[u8], from: usize, to: usize) {
        let blank = raw[from..to].len() - raw[from..to].trim_ascii_start().len();
        let text = String::from_utf8_lossy(raw[from..to].trim_ascii()).into_owned();
        let is_full = self.unknown.len() >= UNKNOWN_RECORDS_MAX;
        match self.unknown.last_mut() {
            Some(last) if is_full => {
                last.text.push(' ');
                last.text.push_str(&text);
            }
            _ => self.unknown.push(UnknownRecord { offset: from + blank, text }),
        }
    }

    fn decoded(self, options: &DriverOptions) -> Decoded {
        let mut decoded = Decoded::new(instrument(options), Integrity::None);
        for ((eye, token), value) in EYES.into_iter().zip(self.eyes) {
            decoded.measurements.extend(value.map(|value| refraction(eye, token, value)));
        }
        if let Some(far) = self.far_mm {
            let far_mm = Some(far);
            let distance = PupillaryDistance { far_mm, ..PupillaryDistance::default() };
            let measured = Measured::PupillaryDistance(distance);
            decoded.measurements.push(Measurement::without_token(Eye::Both, measured));
        }
        decoded.unknown_records = self.unknown;
        flags::complete(&mut decoded);
        decoded
    }
}

/// The fields between blanks, of which any kind may be; a sign begins one as well.
fn fields<'a>(record: &Field<'a>) -> Vec<Field<'a>> {
    let mut fields = vec![];
    for word in record.words_between(&[' ', '\t', '\r', '\n']) {
        let mut from = 0;
        let signs = word.text.match_indices(['+', '-']).map(|(at, _)| at);
        for at in signs.chain([word.text.len()]).filter(|at| *at > 0) {
            let text = &word.text[from..at];
            fields.push(Field { text, offset: word.offset + from, ..word });
            from = at;
        }
    }
    fields
}

/// `S No=00218 R B`, perhaps with the `E` of the first record.
fn is_head(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let is_no = |word: &str| {
        let digits = word.strip_prefix("No=").unwrap_or("");
        (1..=NO_LEN_MAX).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_letter = |word: &str| matches!(word.as_bytes(), [b'A'..=b'Z']);
    match text.split_ascii_whitespace().collect::<Vec<_>>()[..] {
        ["S", no, first, second] | ["S", no, first, second, "E"] => {
            is_no(no) && is_letter(first) && is_letter(second)
        }
        _ => false,
    }
}

/// The beginning of `S-R-R` or of a head, and no more.
fn is_cut_tag(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"E").unwrap_or(text);
    let is_tag = matches!(text, [b'S'] | [b'S', b'-'] | [b'S', b'-', _] | [b'S', b'-', _, b'-']);
    is_tag || HEAD.starts_with(text)
}

#[cfg(test)]
mod tests;

golden_tests!(SPEC);

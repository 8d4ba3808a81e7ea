//! Xinyuan FA-6500: one value in each line.
//!
//! Source: notes of one application that was tried with it; the exact bytes are not proved. Proved
//! against constructed transmissions only.
//!
//! | line                  | meaning                                             |
//! |-----------------------|-----------------------------------------------------|
//! | begins with `R` or `L` | the lines that follow are of this eye              |
//! | `S -02.25`            | sphere, behind one blank                            |
//! | `C -00.75`            | cylinder                                            |
//! | `A 12`                | axis                                                |
//! | `PD 63`               | distance in mm, of both eyes                        |
//! | end                   | silence                                             |
//!
//! ```text
//! R LF S -02.25 LF C -00.75 LF A 12 LF L LF … PD 63 LF
//! ```
//!
//! Traps: an eye needs all three lines, else nothing is read. A distance that stands under both
//! eyes has to be the same, for what two different ones would mean is not known. The right eye
//! begins a new transmission, and so does a second left one.
//!
//! Unknown: the line settings; what else stands in the line of an eye (no digits are allowed).

use super::{
    DRY_TEST, EYES, Found, LEN_MAX, PROBE, SETTINGS, SILENCE_MAX, distance_mm, ended, fits, value,
};
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, Evidence, Setup, Transport,
    format::{
        fields::{Field, lines},
        stream::{End, Protocol, StreamDecoder},
    },
};
use chiasm_proto::{Decoded, UnknownRecord};

/// Longest line of an eye, in characters.
const EYE_LEN_MAX: usize = 16;
/// The lines of an eye in their order.
const NAMES: [&str; 3] = ["S", "C", "A"];

pub static SPEC: DriverSpec = DriverSpec {
    id: "xinyuan_fa6500",
    version: "1",
    vendor: "Xinyuan",
    models: &["FA-6500"],
    yields: &["refraction", "pupillary_distance"],
    transport: Transport::Serial(PROBE),
    evidence: Evidence::Constructed,
    ending: Ending::Silence,
    setup: Setup {
        wiring: "Serial socket to a USB adapter with a straight cable; if nothing arrives, a \
                 crossed one.",
        settings: SETTINGS,
        dry_test: DRY_TEST,
    },
    limits: "Not tried on an instrument; the exact bytes are not proved, so an eye without all of \
             S, C and A refuses the transmission. Keratometry is not known. Nothing marks the \
             end: that the last lines are missing cannot be known. The line settings are not \
             stated.",
    sniff: |bytes| fits(&PROTOCOL, bytes),
    new: |options| StreamDecoder::boxed(&PROTOCOL, options),
};

static PROTOCOL: Protocol = Protocol {
    begins: |bytes| begins(bytes).map(|(at, _)| at),
    ends,
    silence: SILENCE_MAX,
    ends_by_silence: true,
    len_max: LEN_MAX,
    read,
};

/// The line of an eye with a sphere in the next one, and which eye it is.
fn begins(bytes: &[u8]) -> Option<(usize, usize)> {
    (0..bytes.len()).find_map(|at| {
        let eye = EYES.iter().position(|(_, letter)| bytes[at..].starts_with(letter.as_bytes()))?;
        let rest = &bytes[at..bytes.len().min(at + EYE_LEN_MAX)];
        let len = rest.iter().position(|byte| *byte == b'\n')?;
        let is_eye = |byte: &u8| matches!(byte, b' '..=b'~' | b'\r') && !byte.is_ascii_digit();
        let is_start = rest[..len].iter().all(is_eye) && bytes[at + len + 1..].starts_with(b"S ");
        is_start.then_some((at, eye))
    })
}

fn ends(bytes: &[u8]) -> End {
    let Some((_, first)) = begins(bytes) else { return End::NotYet };
    let mut is_left = first == 1;
    let mut at = 1;
    while let Some((next, eye)) = begins(&bytes[at..]) {
        let start = at + next;
        let is_line = matches!(bytes[start - 1], b'\r' | b'\n');
        if is_line && (eye == 0 || is_left) {
            return End::After(start);
        }
        is_left |= is_line && eye == 1;
        at = start + 1;
    }
    End::NotYet
}

fn read(bytes: &[u8], options: &DriverOptions) -> Result<Option<Decoded>, DecodeError> {
    let text = ended(bytes)?;
    let mut found = Found::default();
    let mut parts: [Option<[Option<Field>; 3]>; 2] = [None, None];
    let mut current = None;
    for line in lines(text) {
        let field = Field { text: line.field.text.trim_end(), ..line.field };
        let (name, sent) = field.text.split_once(' ').unwrap_or((field.text, ""));
        // With the blanks behind it, one of which may have been a digit.
        let behind = (field.offset + name.len() + 1).min(line.field.offset + line.field.text.len());
        let sent = match sent {
            "" => Field::new("", behind, field.name),
            _ => Field::new(&line.field.text[name.len() + 1..], behind, field.name),
        };
        let part = NAMES.iter().position(|known| *known == name);
        let eye = EYES.iter().position(|(_, letter)| field.text.starts_with(letter));
        match (part, eye, current) {
            (Some(part), _, Some(eye)) => {
                let eye: usize = eye;
                let slots = parts[eye].get_or_insert([None; 3]);
                if slots[part].replace(sent.named(NAMES[part])).is_some() {
                    return Err(field.malformed("the same part of an eye again"));
                }
            }
            (None, Some(eye), _) => {
                if field.text.bytes().any(|byte| byte.is_ascii_digit()) {
                    return Err(field.malformed("digits in the line of an eye"));
                }
                if parts[eye].replace([None; 3]).is_some() {
                    return Err(field.malformed("the same eye again"));
                }
                current = Some(eye);
            }
            _ if name == "PD" => {
                let distance = distance_mm(&sent.named("PD"))?;
                let other = distance.and_then(|distance| found.distance_mm.replace(distance));
                if other.is_some_and(|other| Some(other) != distance) {
                    return Err(field.malformed("two different distances"));
                }
            }
            _ if field.text.is_empty() => {}
            _ => {
                let record = UnknownRecord { offset: field.offset, text: field.text.to_owned() };
                found.unknown_records.push(record);
            }
        }
    }
    for (eye, slots) in parts.into_iter().enumerate() {
        let Some(slots) = slots else { continue };
        let [Some(sphere), Some(cylinder), Some(axis)] = slots else {
            let whole = Field::new(text, 0, EYES[eye].1);
            return Err(whole.malformed("an eye without all of S, C and A"));
        };
        found.eyes[eye] = value([sphere, cylinder, axis])?;
    }
    Ok(found.decoded(&SPEC, options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eye_is_complete_or_nothing_is_read() {
        let read = |text: &str| read(text.as_bytes(), &DriverOptions::default());
        let right = "R\nS -02.25\nC -00.75\nA 12\n";
        assert!(read(right).is_ok());
        assert!(read(&format!("{right}PD 63\nL\nS -01.50\nC -01.00\nA 168\nPD 63\n")).is_ok());
        for text in [
            "R\nS -02.25\nC -00.75\n",
            "R\nS -02.25\nC -00.75\nA 12",
            "R\nS -02.25\nC -00.75\nA 12\nA 13\n",
            "R\nS -02.25\nC -00.75\nA \n",
            "R\nS -02.25\nC 12\nA 12\n",
            "R1\nS -02.25\nC -00.75\nA 12\n",
            "R\nS 02.25\nC -00.75\nA 12\n",
            "R\nS -02.25\nC 00.75\nA 12\n",
            "R\nS -02.25\nC -00.75\nA 12 \n",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
        assert!(read(&format!("{right}PD 63\nL\nS -1.5\nC -1.0\nA 168\nPD 64\n")).is_err());
        let none = read(&format!("{right}PD 00\n")).unwrap().unwrap();
        assert_eq!(none.measurements.len(), 1, "a distance of zero is none");
    }
}

golden_tests!(SPEC);

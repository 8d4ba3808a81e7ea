//! Faliao FR-8900: sphere, cylinder and axis of both eyes and the distance in one line.
//!
//! Source: notes of one application that was tried with it; the exact bytes are not proved. Proved
//! against constructed transmissions only.
//!
//! | part     | form                                   | meaning                                |
//! |----------|----------------------------------------|----------------------------------------|
//! | eye      | `R,` or `L,` and 23 characters         | sphere, cylinder, axis between commas; |
//! |          |                                        | all blank: not measured                |
//! | distance | `PD` and a number within 5 characters  | mm; may be missing                     |
//! | between  | blanks, commas, line ends              |                                        |
//! | end      | line end, then silence                 |                                        |
//!
//! ```text
//! R, -02.25, -00.75, 012,  ,  ,L, -01.50, -01.00, 168,  ,  ,PD63 CR LF
//! ```
//!
//! Both eyes have to stand there, though one may be blank. Anything else in between refuses all.
//!
//! Unknown: the line settings; whether the parts stand in one line (several are read as well).

use super::{
    DRY_TEST, EYES, Found, LEN_MAX, PROBE, SETTINGS, SILENCE_MAX, distance_mm, ended, fits, value,
};
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, Setup, Transport,
    format::{
        fields::Field,
        stream::{End, Protocol, StreamDecoder},
    },
};
use chiasm_proto::Decoded;

/// Characters of an eye behind its letter and comma.
const EYE_LEN: usize = 23;
/// Characters behind `PD` in which its number stands.
const DISTANCE_LEN: usize = 5;

pub static SPEC: DriverSpec = DriverSpec {
    id: "faliao_fr8900",
    version: "1",
    vendor: "Faliao",
    models: &["FR-8900"],
    yields: &["refraction", "pupillary_distance"],
    transport: Transport::Serial(PROBE),
    evidence: Evidence::Constructed,
    ending: Ending::Silence,
    setup: Setup {
        wiring: "Serial socket to a USB adapter with a straight cable.",
        settings: SETTINGS,
        dry_test: DRY_TEST,
    },
    limits: "Not tried on an instrument; the exact bytes are not proved, so anything unexpected \
             refuses the transmission. Keratometry is not known. The line settings are not stated.",
    sniff: |bytes| fits(&PROTOCOL, bytes),
    new: |options| StreamDecoder::boxed(&PROTOCOL, options),
};

static PROTOCOL: Protocol =
    Protocol { begins, ends, silence: SILENCE_MAX, ends_by_silence: true, len_max: LEN_MAX, read };

/// `R,` and the comma behind a sphere within the next ten characters.
fn begins(bytes: &[u8]) -> Option<usize> {
    bytes.windows(12).position(|window| {
        let sphere = &window[2..];
        let len = sphere.iter().position(|byte| *byte == b',');
        let is_sphere =
            |byte: &u8| matches!(byte, b' ' | b'+' | b'-' | b'.') || byte.is_ascii_digit();
        window.starts_with(b"R,") && len.is_some_and(|len| sphere[..len].iter().all(is_sphere))
    })
}

fn ends(bytes: &[u8]) -> End {
    match bytes.get(1..).and_then(begins) {
        Some(at) if matches!(bytes[at], b'\r' | b'\n') => End::After(at + 1),
        Some(at) => End::Broken(at + 1),
        None => End::NotYet,
    }
}

fn read(bytes: &[u8], options: &DriverOptions) -> Result<Option<Decoded>, DecodeError> {
    let text = ended(bytes)?;
    let whole = Field::new(text, 0, "line");
    let mut found = Found::default();
    let mut seen: Vec<&str> = vec![];
    let mut at = 0;
    while let Some(next) = text[at..].find(|letter| !matches!(letter, ' ' | ',' | '\r' | '\n')) {
        at += next;
        let rest = whole.columns(at, text.len() - at, "line")?;
        let eye = EYES.iter().position(|(_, letter)| {
            rest.text.strip_prefix(letter).is_some_and(|rest| rest.starts_with(','))
        });
        let part = match eye {
            Some(eye) => {
                let letter = EYES[eye].1;
                let columns = rest.columns(2, EYE_LEN, letter)?;
                let fields = columns.split(',');
                let Some((parts, more)) = fields.split_first_chunk::<3>() else {
                    return Err(columns.malformed("not three numbers between commas"));
                };
                if let Some(extra) = more.iter().find(|field| !field.text.trim().is_empty()) {
                    return Err(extra.malformed("something behind the axis"));
                }
                found.eyes[eye] = value(*parts)?;
                at += 2 + EYE_LEN;
                letter
            }
            None if rest.text.starts_with("PD") => {
                let behind = &rest.text[2..];
                let line_end = behind.find(['\r', '\n']).unwrap_or(behind.len());
                let len = line_end.min(DISTANCE_LEN);
                let number = rest.columns(2, len, "PD")?;
                if !number.text.trim().is_empty() {
                    found.distance_mm = distance_mm(&number)?;
                }
                at += 2 + len;
                "PD"
            }
            None => return Err(rest.malformed("neither R, nor L, nor PD")),
        };
        if seen.contains(&part) {
            return Err(rest.named(part).malformed("the same part again"));
        }
        seen.push(part);
    }
    if let Some((_, missing)) = EYES.iter().find(|(_, letter)| !seen.contains(letter)) {
        let message = format!("no part {missing},");
        return Err(DecodeError::new(ErrorCode::Incomplete, text.len(), message));
    }
    Ok(found.decoded(&SPEC, options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_exactly_so_is_refused() {
        let field = |line: &str| read(line.as_bytes(), &DriverOptions::default());
        let right = "R, -02.25, -00.75, 012,  ";
        let left = "L, -01.50, -01.00, 168,  ";
        assert!(field(&format!("{right},  ,{left},  ,PD63 \r\n")).is_ok());
        assert!(field(&format!("{right}\r\n{left}\r\nPD63\r\n")).is_ok());
        for line in [
            format!("{right},  ,{left},  ,PD63 "),
            format!("{right},PD63\r\n"),
            format!("{right},{right},{left}\r\n"),
            format!("{right},{left},VD12\r\n"),
            format!("{right},{left},PD63 62\r\n"),
            "R, -02.25, -00.75,    ,  ,L, -01.50, -01.00, 168,  \r\n".into(),
            "R, -02.25, 012, -00.75,  ,L, -01.50, -01.00, 168,  \r\n".into(),
            "R, -02.25, -00.75, 181,  ,L, -01.50, -01.00, 168,  \r\n".into(),
            "R, -02.25, -00.75, 012,  ,L, \r01.50, -01.00, 168,  \r\n".into(),
            "R, -02.25, -00.75, 012,  ,L,  01.50, -01.00, 168,  \r\n".into(),
            "R, -02.25, -00.75, 12 ,  ,L, -01.50, -01.00, 168,  \r\n".into(),
            format!("{right},  ,{left},  ,PD6  \r\n"),
        ] {
            assert!(field(&line).is_err(), "{line:?}");
        }
    }
}

golden_tests!(SPEC);

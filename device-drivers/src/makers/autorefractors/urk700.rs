//! Unicos URK-700: seven numbers in a fixed order.
//!
//! Source: notes of one application that was tried with it; the exact bytes are not proved. Proved
//! against constructed transmissions only.
//!
//! | part     | form                  | meaning                    |
//! |----------|-----------------------|----------------------------|
//! | right    | `R`, three numbers    | sphere, cylinder, axis     |
//! | left     | `L`, three numbers    | sphere, cylinder, axis     |
//! | distance | `PD`, one number      | mm                         |
//! | between  | blanks or line ends   |                            |
//! | end      | line end behind it    |                            |
//!
//! ```text
//! R -02.25 -00.75 012 L -01.50 -01.00 168 PD 63 CR LF
//! ```
//!
//! Trap: without an eye or a number the others would move up, so exactly these ten words have to
//! stand there, in this order; else nothing is read.
//!
//! The same application reads Xinyuan's FA-6500K alike; configure it under this driver.
//!
//! Unknown: the line settings; what the instrument sends of one eye alone.

use super::{
    DRY_TEST, Found, LEN_MAX, PROBE, SETTINGS, SILENCE_MAX, distance_mm, ended, fits, value,
};
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, Evidence, Setup, Transport,
    format::{
        fields::Field,
        stream::{End, Protocol, StreamDecoder},
    },
};
use chiasm_proto::{Decoded, RefractionValue};

const BLANKS: &[char] = &[' ', '\r', '\n'];
/// Words of a transmission: seven numbers and three names.
const WORDS: usize = 10;

pub static SPEC: DriverSpec = DriverSpec {
    id: "unicos_urk700",
    version: "1",
    vendor: "Unicos",
    models: &["URK-700"],
    yields: &["refraction", "pupillary_distance"],
    transport: Transport::Serial(PROBE),
    evidence: Evidence::Constructed,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "Serial socket to a USB adapter with a straight cable; if nothing arrives, a \
                 crossed one.",
        settings: SETTINGS,
        dry_test: DRY_TEST,
    },
    limits: "Not tried on an instrument; the exact bytes are not proved, so anything but R, L and \
             PD with exactly seven numbers is refused: also a measurement of one eye. Xinyuan's \
             FA-6500K is said to send the same. Keratometry is not known. The line settings are \
             not stated. A power without its sign and an axis without its three digits are \
             refused.",
    sniff: |bytes| fits(&PROTOCOL, bytes),
    new: |options| StreamDecoder::boxed(&PROTOCOL, options),
};

static PROTOCOL: Protocol =
    Protocol { begins, ends, silence: SILENCE_MAX, ends_by_silence: false, len_max: LEN_MAX, read };

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\r' | b'\n')
}

/// The word `R` and a signed number.
fn begins(bytes: &[u8]) -> Option<usize> {
    let starts = bytes.windows(3).enumerate().filter(|(at, window)| {
        let is_word = *at == 0 || !bytes[at - 1].is_ascii_alphabetic();
        is_word && window[0] == b'R' && is_blank(window[1])
    });
    let mut starts = starts.map(|(at, _)| at);
    starts.find(|at| matches!(bytes[at + 2], b'+' | b'-' | b'0'..=b'9'))
}

/// At the line end behind the word `PD` and a number, unless another transmission begins before.
fn ends(bytes: &[u8]) -> End {
    let next = bytes.get(1..).and_then(begins).map(|at| at + 1);
    match (end_of(&bytes[..next.unwrap_or(bytes.len())]), next) {
        (Some(end), _) => End::After(end),
        (None, Some(next)) => End::Broken(next),
        (None, None) => End::NotYet,
    }
}

fn end_of(bytes: &[u8]) -> Option<usize> {
    let is_name = |window: &[u8]| window.starts_with(b"PD") && is_blank(window[2]);
    let behind = bytes.windows(3).position(is_name)? + 3;
    let number = behind + bytes[behind..].iter().position(|byte| !is_blank(*byte))?;
    let len = bytes[number..].iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
    Some(number + len + 1)
}

fn read(bytes: &[u8], options: &DriverOptions) -> Result<Option<Decoded>, DecodeError> {
    let whole = Field::new(ended(bytes)?, 0, "line");
    let words = whole.words_between(BLANKS);
    let Ok(words) = <[Field; WORDS]>::try_from(words.as_slice()) else {
        let message = format!("{} words, expected R, L, PD and seven numbers", words.len());
        return Err(whole.malformed(message));
    };
    let [right, a, b, c, left, d, e, f, distance, g] = words;
    for (word, name) in [(right, "R"), (left, "L"), (distance, "PD")] {
        if word.text != name {
            return Err(word.malformed(format!("{name} is expected here")));
        }
    }
    let found = Found {
        eyes: [
            whole_axis(value([a, b, c].map(|it| it.named("R")))?, &c)?,
            whole_axis(value([d, e, f].map(|it| it.named("L")))?, &f)?,
        ],
        distance_mm: distance_mm(&g.named("PD"))?,
        ..Found::default()
    };
    Ok(found.decoded(&SPEC, options))
}

/// An axis beside a cylinder has its three digits: a blank among the words may have been one.
fn whole_axis(
    value: Option<RefractionValue>,
    axis: &Field,
) -> Result<Option<RefractionValue>, DecodeError> {
    let has_axis = value.is_some_and(|value| value.axis_deg.is_some());
    match has_axis && !axis.has_shape("000") {
        true => Err(axis.malformed("an axis without its three digits")),
        false => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_but_seven_numbers_is_refused() {
        let read = |text: &str| read(text.as_bytes(), &DriverOptions::default());
        assert!(read("R -02.25 -00.75 012\r\nL -01.50 -01.00 168\r\nPD 63\r\n").is_ok());
        for line in [
            "R -02.25 -00.75 012 L -01.50 -01.00 168\r\n",
            "R -02.25 -00.75 012 PD 63\r\n",
            "R -02.25 -00.75 012 L -01.50 -01.00 168 PD 63 12\r\n",
            "R -02.25 -00.75 L -01.50 -01.00 168 012 PD 63\r\n",
            "L -02.25 -00.75 012 R -01.50 -01.00 168 PD 63\r\n",
            "R -02.25 012 -00.75 L -01.50 -01.00 168 PD 63\r\n",
            "R -02,25 -00.75 012 L -01.50 -01.00 168 PD 63\r\n",
            "R -02.25 -00.75 012 L -01.50 -01.00 168 PD 63",
            "R -02.25 \r00.75 012 L -01.50 -01.00 168 PD 63\r\n",
            "R 02.25 -00.75 012 L -01.50 -01.00 168 PD 63\r\n",
            "R -02.25 -00.75 12  L -01.50 -01.00 168 PD 63\r\n",
            "R -02.25 -00.75 012 L -01.50 -01.00 168 PD 6 \r\n",
        ] {
            assert!(read(line).is_err(), "{line:?}");
        }
    }
}

golden_tests!(SPEC);

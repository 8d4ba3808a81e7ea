//! Why bytes fit nothing, in words that say what to do.
//!
//! A line that is read with other settings than the instrument's gives bytes that follow from the
//! true ones. What the kernel makes of them on Linux, with the settings that the gateway opens a
//! port with:
//!
//! | instrument | read as | what arrives |
//! |---|---|---|
//! | 8 bits, parity | 8 bits, none | bytes whose parity bit is 1; the others break the frame and are dropped |
//! | 8 bits, none or another parity | 8 bits, parity | many NUL, one for each byte that fails its check |
//! | 7 bits, parity | 8 bits, none | every byte, its parity in the highest bit |
//! | another speed | | few different bytes, many of them 0x00, 0x80, 0xE0, 0xF8, 0xFE, 0xFF |

use super::is_read;
use crate::{Parity, format::stream::find};
use std::{fmt, time::Instant};

/// Bytes that are needed before their statistics say anything.
const SAMPLE_LEN_MIN: usize = 12;
/// Bytes that are looked at.
const SAMPLE_LEN_MAX: usize = 64 * 1024;
/// What NIDEK instruments and a Canon autorefractor wait for an answer after.
const NIDEK_REQUEST: &[u8] = b"\x01C**\x02RS\x17\x04";

/// Openings of transmissions by which a maker is known even if half of the bytes are missing.
const OPENINGS: &[(&str, &[u8])] = &[
    ("NIDEK", b"\x01DRM\x02IDNIDEK/"),
    ("NIDEK", b"\x01Drm\x02IDNIDEK/"),
    ("NIDEK", b"\x01DKM\x02"),
    ("NIDEK", b"\x01DLM\x02IDNIDEK/"),
    ("NIDEK", b"\x01DNT\x02IDNIDEK/"),
    ("NIDEK", b"\x01DPM\x02IDNIDEK/"),
    ("NIDEK", b"\x01NIDEK RT-"),
    ("NIDEK", NIDEK_REQUEST),
    ("Huvitz", b"ES-R-R"),
    ("Huvitz", b"LM2RK   No="),
    ("Tomey", b"\x01*PC_RCV_S"),
    ("Tomey", b"[POWER_R]"),
    ("Reichert", b"IOPcc"),
];

/// One thing that hinders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// Nothing came at all.
    Silence,
    /// Seven data bits with this parity were read as eight.
    SevenBits(Parity),
    /// Eight data bits with this parity were read without one.
    ParityNotRead { parity: Parity, maker: Option<&'static str> },
    /// The line is read with a parity that the instrument does not use.
    ParityFails,
    /// The speed is another one.
    Speed,
    /// A NIDEK instrument asks whether it may send.
    AsksToSend,
    /// A Canon instrument waits for an acknowledgement.
    WaitsForAcknowledgement,
    /// Control characters were written out as text: a log, not what the port gave.
    LogOfControlCharacters,
    /// A file of a kind that no driver reads.
    OtherKind(&'static str),
    /// Text or XML, but of no instrument that is known.
    UnknownText,
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hint::Silence => f.write_str(
                "nothing came: check the cable (some instruments need a crossed one), the \
                 instrument's output setting, and that DTR and RTS are raised; then press Print",
            ),
            Hint::SevenBits(parity) => write!(
                f,
                "these are 7 data bits with {} parity, read as 8 bits: set data_bits = 7, parity \
                 = \"{}\"",
                word(*parity),
                word(*parity),
            ),
            Hint::ParityNotRead { parity, maker } => {
                if let Some(maker) = maker {
                    write!(f, "looks like {maker}, parity wrong: ")?;
                }
                write!(
                    f,
                    "every byte that came has {} parity and the others are missing: set parity = \
                     \"{}\"",
                    word(*parity),
                    word(*parity),
                )
            }
            Hint::ParityFails => f.write_str(
                "most bytes failed their parity check and came as NUL: try another parity, or \
                 none",
            ),
            Hint::Speed => f.write_str(
                "these bytes are no characters: the speed is probably wrong; try the other baud \
                 rates that the instrument's menu offers",
            ),
            Hint::AsksToSend => f.write_str(
                "the instrument asks whether it may send and waits for an answer: switch it to \
                 NCP10, or let the gateway answer (listen_only = false)",
            ),
            Hint::WaitsForAcknowledgement => f.write_str(
                "the instrument waits for an acknowledgement after each block: let the gateway \
                 answer (listen_only = false) with the driver canon_rkf1",
            ),
            Hint::LogOfControlCharacters => f.write_str(
                "control characters are written out as text: this is a log, not the bytes that \
                 the port gave; record it with `chiasm-gateway listen`",
            ),
            Hint::OtherKind(kind) => write!(f, "this is {kind}"),
            Hint::UnknownText => f.write_str(
                "text of no instrument that is known; if it is one, keep this file: a driver can \
                 be written from it",
            ),
        }
    }
}

fn word(parity: Parity) -> &'static str {
    match parity {
        Parity::None => "none",
        Parity::Even => "even",
        Parity::Odd => "odd",
    }
}

/// What may hinder, the surest first.
pub fn hints(now: Instant, bytes: &[u8]) -> Vec<Hint> {
    let sample = &bytes[..bytes.len().min(SAMPLE_LEN_MAX)];
    if sample.iter().all(u8::is_ascii_whitespace) {
        return vec![Hint::Silence];
    }
    if let Some(kind) = other_kind(sample) {
        return vec![Hint::OtherKind(kind)];
    }
    let waits = [
        contains(sample, NIDEK_REQUEST).then_some(Hint::AsksToSend),
        waits_for_acknowledgement(sample).then_some(Hint::WaitsForAcknowledgement),
        is_log(sample).then_some(Hint::LogOfControlCharacters),
    ];
    let mut hints: Vec<Hint> = waits.into_iter().flatten().collect();
    hints.extend(line_settings(now, sample));
    if hints.is_empty() {
        hints.push(Hint::UnknownText);
    }
    hints
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    find(bytes, text).is_some()
}

/// Files that people try because they lie beside the right ones.
fn other_kind(bytes: &[u8]) -> Option<&'static str> {
    let at = |position: usize, mark: &[u8]| {
        bytes.get(position..).is_some_and(|rest| rest.starts_with(mark))
    };
    if at(128, b"DICM") {
        return Some("a DICOM object: imagers send it by C-STORE, no driver reads it from a file");
    }
    let kinds: [(&[u8], &str); 6] = [
        (b"%PDF", "a PDF: a printed report, not the instrument's data"),
        (b"\xFF\xD8\xFF", "a JPEG picture"),
        (b"\x89PNG", "a PNG picture"),
        (b"BM", "a bitmap picture"),
        (b"PK\x03\x04", "a ZIP archive or an office document: unpack or export it first"),
        (b"<xsl:stylesheet", "a style sheet that lies beside the instrument's files"),
    ];
    let is_text = bytes.iter().take(64).all(|byte| *byte >= b' ' || byte.is_ascii_whitespace());
    let found = kinds.iter().find(|(mark, _)| at(0, mark) && !(*mark == b"BM" && is_text));
    let style_sheet = kinds[5];
    let head = &bytes[..bytes.len().min(1024)];
    found.or_else(|| contains(head, style_sheet.0).then_some(&style_sheet)).map(|(_, kind)| *kind)
}

/// Blocks between STX and ETB or ETX without a SOH in front.
fn waits_for_acknowledgement(bytes: &[u8]) -> bool {
    let is_closed = bytes.trim_ascii_end().last().is_some_and(|end| matches!(end, 0x03 | 0x17));
    bytes.first() == Some(&0x02) && is_closed && !bytes.contains(&0x01)
}

/// `<STX>`, `[02]`, `\x02` or a checksum behind `0004`, as logs print them.
fn is_log(bytes: &[u8]) -> bool {
    let is_text = bytes.iter().all(|byte| *byte >= b' ' || byte.is_ascii_whitespace());
    let marks: [&[u8]; 8] =
        [b"<SOH>", b"<STX>", b"[SOH]", b"[STX]", b"\\x01", b"\\x02", b"<EOT>", b"IDNIDEK/"];
    is_text && marks.iter().any(|mark| contains(bytes, mark))
}

fn line_settings(now: Instant, bytes: &[u8]) -> Option<Hint> {
    if bytes.len() < SAMPLE_LEN_MIN {
        return None;
    }
    if bytes.iter().any(|byte| *byte >= 0x80) {
        let stripped = || bytes.iter().map(|byte| byte & 0x7F).collect::<Vec<u8>>();
        if let Some(parity) = parity_of_all(bytes)
            && is_read(now, &stripped())
        {
            return Some(Hint::SevenBits(parity));
        }
    }
    let share = |is: fn(&u8) -> bool| bytes.iter().filter(|byte| is(byte)).count() * 100;
    let is_wide = bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF");
    if is_wide {
        return None; // a file in UTF-16, of which every other byte is NUL
    }
    if share(|byte| *byte == 0) > 20 * bytes.len() {
        return Some(Hint::ParityFails);
    }
    // A byte with an odd number of ones has a parity bit of 1 where parity is even, which a reader
    // without parity takes for the stop bit.
    let survivors = parity_of_all(bytes).map(|parity| match parity {
        Parity::Even => Parity::Odd,
        _ => Parity::Even,
    });
    if let Some(parity) = survivors {
        return Some(Hint::ParityNotRead { parity, maker: maker_of(bytes, parity) });
    }
    let is_stretched = |byte: &u8| matches!(byte, 0x80 | 0xC0 | 0xE0 | 0xF0 | 0xF8 | 0xFC..=0xFF);
    let is_strange = |byte: &u8| *byte >= 0x80 || (*byte < b' ' && !byte.is_ascii_whitespace());
    (share(is_stretched) > 15 * bytes.len() || share(is_strange) > 50 * bytes.len())
        .then_some(Hint::Speed)
}

/// The parity that all bytes have, counted over eight bits.
fn parity_of_all(bytes: &[u8]) -> Option<Parity> {
    let mut odd = bytes.iter().map(|byte| byte.count_ones() % 2 == 1);
    let first = odd.next()?;
    odd.all(|is_odd| is_odd == first).then_some(if first { Parity::Odd } else { Parity::Even })
}

/// Whose opening it is, of which only the bytes with a parity bit of 1 have come.
fn maker_of(bytes: &[u8], parity: Parity) -> Option<&'static str> {
    let survives = |byte: &&u8| (byte.count_ones() % 2 == 1) == (parity == Parity::Even);
    let found = OPENINGS.iter().find(|(_, opening)| {
        let rest: Vec<u8> = opening.iter().filter(survives).copied().collect();
        rest.len() >= 3 && contains(bytes, &rest)
    });
    found.map(|(maker, _)| *maker)
}

//! Instruments whose link may be configured although nothing is known well enough to read them.
//!
//! Nothing is read: what a silence of [`SILENCE_MAX`] ends is refused as [`ErrorCode::NotRead`] and
//! so kept as a capture, byte by byte, until captures have taught us the format. Nothing is ever
//! sent, and no bytes are taken to be from one of these instruments ([`Sniff::No`]): a person has
//! configured the link.
//!
//! A long transmission is cut into captures of [`CAPTURE_LEN_MAX`]. After [`CAPTURES_MAX`] of them
//! without a silence the rest is counted only, so that a line that never rests fills no disk.

use crate::{
    DecodeError, Decoder, DriverSpec, Ending, ErrorCode, Event, Evidence, LineSettings, Parity,
    Setup, Sniff, Transport,
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Longest capture, in bytes.
pub const CAPTURE_LEN_MAX: usize = 8 * 1024;
/// Most captures of one transmission.
pub const CAPTURES_MAX: usize = 16;
/// So long after the last byte a transmission is over.
pub const SILENCE_MAX: Duration = Duration::from_secs(1);

const WIRING: &str = "Serial or USB socket of the instrument to the gateway. If nothing arrives at \
                      any setting, try a crossed cable. The gateway holds DTR and RTS high and \
                      sends nothing.";
const DRY_TEST: &str = "Print a measurement of the model eye: a capture appears. Send it to us \
                        with a photograph of the printed strip; never one of a patient.";

const fn line(baud: u32) -> LineSettings {
    LineSettings { baud, data_bits: 8, parity: Parity::None, stop_bits: 1 }
}

const UNKNOWN_LINE: &[LineSettings] =
    &[line(9600), line(19200), line(115_200), line(38400), line(57600), line(4800), line(2400)];

const fn with(baud: u32, data_bits: u8, parity: Parity, stop_bits: u8) -> LineSettings {
    LineSettings { baud, data_bits, parity, stop_bits }
}

/// The menus of CT-80 and SP-3000P.
const TOPCON_LINE: &[LineSettings] = &[
    line(9600),
    with(9600, 8, Parity::None, 2),
    with(9600, 7, Parity::Even, 2),
    line(2400),
    with(2400, 8, Parity::None, 2),
    with(2400, 7, Parity::Even, 2),
];

/// What is usual for NIDEK's instruments.
const NIDEK_LINE: &[LineSettings] = &[
    with(9600, 8, Parity::Odd, 1),
    with(9600, 8, Parity::Even, 1),
    line(9600),
    with(2400, 7, Parity::Even, 2),
    line(2400),
];

/// One maker's instruments of which nothing is read.
const fn capture(
    id: &'static str,
    vendor: &'static str,
    models: &'static [&'static str],
    lines: &'static [LineSettings],
    settings: &'static str,
    limits: &'static str,
) -> DriverSpec {
    DriverSpec {
        id,
        version: "1",
        vendor,
        models,
        yields: &[],
        transport: Transport::Serial(lines),
        evidence: Evidence::NeedsCapture,
        ending: Ending::Silence,
        setup: Setup { wiring: WIRING, settings, dry_test: DRY_TEST },
        limits,
        sniff: |_| Sniff::No,
        new: |_| Box::new(CaptureDecoder::default()),
    }
}

const NOT_STATED: &str = "Set the serial output of the instrument as its manual says and the same \
                          at the gateway; the line settings are not published.";

pub static KEELER: DriverSpec = capture(
    "keeler_capture",
    "Keeler",
    &["TonoCare dock", "Pulsair Desktop", "Pulsair IntelliPuff"],
    &[line(115_200), line(9600)],
    "TonoCare dock: 115200 baud, 8 data bits, no parity, 1 stop bit, no flow control, over USB; \
     it sends the text of the ticket when it prints. The Pulsair models: not known.",
    "No values are read. Missing: the wording of the TonoCare ticket (readings, average, time, \
     thickness); everything about the Pulsair models.",
);

pub static TOPCON: DriverSpec = capture(
    "topcon_capture",
    "Topcon",
    &["CT-80", "CT-80A", "CL-100", "CL-200", "KR-8000", "KR-8100", "RM-8000", "SP-3000P", "EZ-200"],
    TOPCON_LINE,
    "CT-80 and CT-80A: MODE1 to MODE3 have two stop bits, MODE4, MODE5, STD1 and STD2 one. \
     SP-3000P: RTS-CTS control (OLD) is 8 N 1, TOPCON NEW is 7 E 2. 2400 or 9600 baud. Others: as \
     the menu shows.",
    "No values are read. Missing: the bytes between the fields of the CT-80, whose sizes are \
     published; the frames STD1 to STD4, OLD and NEW; everything about CL on a serial line. Use \
     the XML files of newer models.",
);

pub static HUVITZ: DriverSpec = capture(
    "huvitz_capture",
    "Huvitz",
    &["HNT-7000", "HTR-1A (serial)", "HDR-9000 (serial)"],
    UNKNOWN_LINE,
    NOT_STATED,
    "No values are read. Missing: everything about the tonometer HNT and about HTR and HDR on a \
     serial line. Their XML files are another driver's.",
);

pub static CANON: DriverSpec = capture(
    "canon_capture",
    "Canon",
    &["RK-F2", "R-F10", "TX-20P"],
    UNKNOWN_LINE,
    NOT_STATED,
    "No values are read. Missing: everything; RK-F2 and TX-20P are said to write XML to a network \
     share, which no published file proves.",
);

pub static SHIN_NIPPON: DriverSpec = capture(
    "shin_nippon_capture",
    "Shin-Nippon",
    &["Accuref R-800", "Accuref K-900", "DL-800", "DL-900", "DL-1000", "SLM-4000", "NCT-200"],
    &[line(9600), line(115_200), line(19200), line(38400), line(4800), line(2400)],
    "Set the serial output on. Unproved: Accuref 115200 baud, NCT-200 19200 baud, both 8 N 1.",
    "No values are read. Missing: everything; nothing about these instruments is published.",
);

pub static POTEC: DriverSpec = capture(
    "potec_capture",
    "Potec",
    &["PRK", "PLM"],
    UNKNOWN_LINE,
    NOT_STATED,
    "No values are read. Missing: everything; any capture helps.",
);

pub static ESSILOR: DriverSpec = capture(
    "essilor_capture",
    "Essilor",
    &["any instrument with a serial line"],
    UNKNOWN_LINE,
    NOT_STATED,
    "No values are read. Missing: everything. Instruments that Essilor sells under its name and \
     another maker builds may work with that maker's driver.",
);

pub static REICHERT: DriverSpec = capture(
    "reichert_capture",
    "Reichert",
    &["7", "7CR", "Tono-Vera", "AutoLensometer", "LensChek", "OptoChek"],
    UNKNOWN_LINE,
    NOT_STATED,
    "No values are read. Missing: everything. 7 and 7CR may send a text like that of the ORA G3, \
     which nothing proves.",
);

pub static ICARE: DriverSpec = capture(
    "icare_capture",
    "iCare",
    &["HOME", "HOME2", "ic100", "ic200", "TA01i"],
    UNKNOWN_LINE,
    "The HOME models send to the maker's own applications only; for the others the output is not \
     published.",
    "No values are read. Missing: everything: no list of columns and no profile of the radio link \
     is published.",
);

pub static ZEISS: DriverSpec = capture(
    "zeiss_capture",
    "Zeiss",
    &["IOLMaster 500 (serial)", "VISUREF 100", "VISULENS 550", "VISUPLAN 500"],
    UNKNOWN_LINE,
    "IOLMaster 500: serial protocol old or new. Unproved: VISUREF 100 9600 baud, VISUPLAN 500 \
     19200 baud, both 8 N 1.",
    "No values are read. Missing: the frame of the IOLMaster 500, whose tables are another way to \
     its values; everything about the other models on a serial line.",
);

pub static RIGHTON: DriverSpec = capture(
    "righton_capture",
    "Righton",
    &["Retinomax 5", "Speedy-K (serial)", "Nikon NR-5500", "Nikon NRK-8000"],
    &[line(9600), line(115_200), line(19200), line(38400), line(4800), line(2400)],
    "Nikon NR-5500 and NRK-8000: modes NK, NNKI and NNKE differ in who raises DTR; note which one \
     is set. Retinomax 5: 115200 baud is unproved.",
    "No values are read. Missing: the layouts of all of them. Speedy-K through its PC software \
     writes XML, which is another driver's.",
);

pub static NIDEK: DriverSpec = capture(
    "nidek_capture",
    "NIDEK",
    &["NT-2000", "LM-970", "any model set to NCP20"],
    NIDEK_LINE,
    "Set the serial output of the instrument as its manual says; where it offers NCP10 and NCP20, \
     choose NCP10 and the driver of its model. 9600 baud 8 O 1 and 2400 baud 7 E 2 are usual, \
     neither is proved for these models.",
    "No values are read. Missing: everything about the tonometer NT-2000 and the lensmeter LM-970, \
     and about NCP20, whose two directions are not published.",
);

pub static TOMEY: DriverSpec = capture(
    "tomey_capture",
    "Tomey",
    &["CF-2000", "FT-1000", "MR-6000"],
    UNKNOWN_LINE,
    NOT_STATED,
    "No values are read. Missing: everything about the tonometer FT-1000 and about the CF-2000; \
     the MR-6000 is said to write XML files, which no published one proves.",
);

pub static VISIONIX: DriverSpec = capture(
    "visionix_capture",
    "Visionix",
    &["VX650 (serial)"],
    UNKNOWN_LINE,
    "Prefer the XML export (optic), driver visionix_optic: it keeps the VX650's pressure as text. \
     Where only a line can be had, set it as the manual says and the same at the gateway.",
    "No values are read. Missing: everything the VX650 sends on a line, and the block of its \
     pressure in the XML export: an export of one, with the screen photographed, helps as well.",
);

pub static WELCH_ALLYN: DriverSpec = capture(
    "welch_allyn_capture",
    "Welch Allyn",
    &["SureSight"],
    UNKNOWN_LINE,
    NOT_STATED,
    "No values are read. Missing: everything; what the SureSight sends to its printer is not \
     published.",
);

pub static MEDMONT: DriverSpec = capture(
    "medmont_capture",
    "Medmont",
    &["E300"],
    UNKNOWN_LINE,
    "The E300 hands its maps to the maker's software on a PC. Export one exam from there by every \
     way that it offers, and send the files to us.",
    "No values are read. Missing: everything: no layout of an export is published.",
);

pub static MARCO: DriverSpec = capture(
    "marco_capture",
    "Marco",
    &["units that Marco sells under its own name"],
    NIDEK_LINE,
    "Try the driver of the NIDEK model first that the unit is built as: ARK, LM, NT, TONOREF or RT. \
     Only if nothing is read, take this one.",
    "No values are read. Missing: a recording of any unit. Marco sells NIDEK instruments under its \
     name; that they send the same bytes is likely and not proved.",
);

pub static CSO: DriverSpec = capture(
    "cso_capture",
    "CSO",
    &["any topographer"],
    UNKNOWN_LINE,
    "The topographers hand their maps to the maker's software on a PC. Export one exam as text \
     from there and send the file to us.",
    "No values are read. Missing: the headings of the text export. Known is only that some 24 \
     lines of them stand above rings of 256 values, with decimal commas, and that -1 and -1000 \
     are missing.",
);

/// A serial line whose transmissions are kept and not read.
#[derive(Default)]
struct CaptureDecoder {
    pending: Vec<u8>,
    /// Captures of the transmission that is coming in.
    captures: usize,
    deadline: Option<Instant>,
    events: VecDeque<Event>,
}

impl CaptureDecoder {
    /// Makes an event of what is pending.
    fn cut(&mut self) {
        let raw = std::mem::take(&mut self.pending);
        if raw.is_empty() {
            return;
        }
        self.captures += 1;
        if self.captures > CAPTURES_MAX {
            self.events.push_back(Event::Overflow { raw });
            return;
        }
        let message = format!(
            "{} bytes of an instrument whose format is not known: kept until it is",
            raw.len()
        );
        let error = DecodeError::new(ErrorCode::NotRead, 0, message);
        self.events.push_back(Event::Rejected { error, raw });
    }

    fn is_over(&mut self) {
        self.cut();
        self.captures = 0;
        self.deadline = None;
    }
}

impl Decoder for CaptureDecoder {
    fn handle_input(&mut self, now: Instant, bytes: &[u8]) {
        // What comes behind the silence is of the next transmission, even if nobody told of it.
        self.handle_timeout(now);
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = CAPTURE_LEN_MAX - self.pending.len();
            let (fits, beyond) = rest.split_at(room.min(rest.len()));
            self.pending.extend_from_slice(fits);
            if self.pending.len() == CAPTURE_LEN_MAX {
                self.cut();
            }
            rest = beyond;
        }
        self.deadline = Some(now + SILENCE_MAX);
    }
    fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.is_over();
        }
    }
    fn handle_end(&mut self, _now: Instant) {
        self.is_over();
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }
    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

#[cfg(test)]
mod tests;

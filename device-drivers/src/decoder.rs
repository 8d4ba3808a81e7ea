//! What every driver is: a state machine over bytes and time, without I/O and without a clock.
//!
//! The caller gives input and time, then drains the `poll_*` methods until they give nothing more:
//!
//! ```text
//! handle_input(now, bytes) ─┐
//! handle_timeout(now) ──────┼─► poll_transmit()… ─► poll_event()… ─► poll_timeout()
//! handle_end(now) ──────────┘
//! ```
//!
//! **Conservation of bytes.** Every byte given in stands in exactly one event's `raw`, in order.
//! The gateway relies on it to know which bytes of its journal are understood, and the golden tests
//! check it on every fixture.

use chiasm_proto::Decoded;
use std::{fmt, time::Instant};

/// One instrument family's protocol.
pub trait Decoder: Send {
    /// Bytes as the port gave them, in pieces of any size.
    fn handle_input(&mut self, now: Instant, bytes: &[u8]);
    /// The moment that [`Decoder::poll_timeout`] named has come.
    fn handle_timeout(&mut self, now: Instant);
    /// The stream has ended: a file is whole, a connection is closed, a cable is out. What is
    /// pending becomes an event now.
    fn handle_end(&mut self, now: Instant);
    /// When to call [`Decoder::handle_timeout`], if the input stays silent.
    fn poll_timeout(&self) -> Option<Instant>;
    /// Bytes to send to the instrument, for protocols that want an answer.
    fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        None
    }
    /// What has become of the input so far.
    fn poll_event(&mut self) -> Option<Event>;
}

/// What became of a stretch of input.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A whole transmission was understood.
    Decoded { decoded: Box<Decoded>, raw: Vec<u8> },
    /// A stretch that gives no reading, and why. The bytes are kept as a capture.
    Rejected { error: DecodeError, raw: Vec<u8> },
    /// Well-formed traffic that carries no values, such as a request to send.
    Control { what: &'static str, raw: Vec<u8> },
    /// The rest of a stretch whose beginning was already rejected as too long: counted, not kept.
    Overflow { raw: Vec<u8> },
}

impl Event {
    /// The input bytes that this event accounts for.
    pub fn raw(&self) -> &[u8] {
        match self {
            Event::Decoded { raw, .. }
            | Event::Rejected { raw, .. }
            | Event::Control { raw, .. }
            | Event::Overflow { raw } => raw,
        }
    }
}

/// Why bytes gave no reading. The code is stable and counted; the rest is for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    pub code: ErrorCode,
    /// Which field or record: `OR sphere`, `nsREF:Axis`.
    pub field: Option<String>,
    /// Position of the first offending byte in the event's `raw`.
    pub offset: usize,
    /// What was found and what was expected. Never a patient's name or id.
    pub message: String,
}

impl DecodeError {
    pub fn new(code: ErrorCode, offset: usize, message: impl Into<String>) -> Self {
        Self { code, field: None, offset, message: message.into() }
    }
    pub fn in_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.code.as_str(), self.offset)?;
        if let Some(field) = &self.field {
            write!(f, " in {field}")?;
        }
        write!(f, ": {}", self.message)
    }
}
impl std::error::Error for DecodeError {}

/// The kinds of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The checksum does not fit the bytes.
    Checksum,
    /// The transmission stopped before its end.
    Incomplete,
    /// A known record or element is malformed.
    Malformed,
    /// Bytes outside any frame.
    Noise,
    /// Longer than any transmission of this family.
    TooLong,
    /// Well-formed, but of another family or kind than this driver reads.
    WrongKind,
    /// Not in a character encoding that the format allows.
    Encoding,
    /// Nested or referring in a way that no instrument does: entities, depth.
    Hostile,
}

impl ErrorCode {
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorCode::Checksum => "checksum",
            ErrorCode::Incomplete => "incomplete",
            ErrorCode::Malformed => "malformed",
            ErrorCode::Noise => "noise",
            ErrorCode::TooLong => "too_long",
            ErrorCode::WrongKind => "wrong_kind",
            ErrorCode::Encoding => "encoding",
            ErrorCode::Hostile => "hostile",
        }
    }
}

/// One driver: what it reads, how it is attached, how far it is proved, and how to make one.
pub struct DriverSpec {
    /// Stable name in configurations and readings: `nidek_ark`.
    pub id: &'static str,
    /// Raised whenever the same bytes may give another reading.
    pub version: &'static str,
    pub vendor: &'static str,
    pub models: &'static [&'static str],
    /// Measurement types, as on the wire: `refraction`, `keratometry`.
    pub yields: &'static [&'static str],
    pub transport: Transport,
    pub evidence: Evidence,
    /// What to set on the instrument, for the person who stands before it.
    pub settings: &'static str,
    /// What is not known or not read, for the instruments table.
    pub limits: &'static str,
    /// How well these bytes, from the beginning of a transmission, fit this driver.
    pub sniff: fn(&[u8]) -> Sniff,
    pub new: fn(&DriverOptions) -> Box<dyn Decoder>,
}

/// How well bytes fit a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sniff {
    No,
    /// Could be, but another driver may fit better.
    Perhaps,
    Yes,
}

/// What a configuration may say to a driver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DriverOptions {
    /// The model as configured, used where the data does not name one.
    pub model: Option<String>,
    /// Do not answer instruments that ask whether they may send.
    pub listen_only: bool,
}

/// How an instrument of this family is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Line settings in the order in which to try them.
    Serial(&'static [LineSettings]),
    /// Files in a folder, most often a share that the instrument writes to.
    Folder { extension: &'static str },
}

/// Settings of a serial line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineSettings {
    pub baud: u32,
    pub data_bits: u8,
    pub parity: Parity,
    pub stop_bits: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    None,
    Even,
    Odd,
}

/// What a driver was proved against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The maker's manual or two independent sources that agree.
    Manual,
    /// One working reader or one capture.
    SingleSource,
    /// Built from a described layout only.
    Constructed,
}

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
use std::{collections::BTreeMap, fmt, time::Instant};

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
    Decoded {
        decoded: Box<Decoded>,
        /// What is needed beside `raw` to understand it and is accounted for by an event before,
        /// such as the heading of a table. Kept in front of `raw` wherever that is kept.
        context: Vec<u8>,
        raw: Vec<u8>,
    },
    /// A stretch that gives no reading, and why. The bytes are kept as a capture.
    Rejected { error: DecodeError, raw: Vec<u8> },
    /// Well-formed traffic that carries no values, such as a request to send.
    Control { what: &'static str, raw: Vec<u8> },
    /// The rest of a stretch whose beginning was already rejected as too long: counted, not kept.
    Overflow { raw: Vec<u8> },
}

impl Event {
    /// A transmission that explains itself.
    pub fn decoded(decoded: Decoded, raw: Vec<u8>) -> Self {
        Event::Decoded { decoded: Box::new(decoded), context: vec![], raw }
    }

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
    /// The format is not known well enough to read values: the bytes are kept.
    NotRead,
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
            ErrorCode::NotRead => "not_read",
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
    /// How the end of a transmission is known.
    pub ending: Ending,
    /// How to attach and set the instrument, and how to try it.
    pub setup: Setup,
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
    /// In which order the instrument writes day and month, where its format leaves that to a
    /// setting of its own. Without it such a date is kept as sent and not understood.
    pub date_order: Option<DateOrder>,
    /// For tables whose columns the site chooses: the heading of each quantity, by the names that
    /// the driver documents.
    pub columns: BTreeMap<String, String>,
}

/// The order of day, month and year in a date of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    DayFirst,
    MonthFirst,
    YearFirst,
}

/// How the end of a transmission is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A mark, a closing tag, a count: what was cut short is told from what is whole.
    Marked,
    /// Lines that end, and then silence or the end of the file. Each line is whole, but that a last
    /// one is missing cannot be known.
    Silence,
}

/// For the person who stands before the instrument with a cable.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Connector, cable, share.
    pub wiring: &'static str,
    /// The instrument's own menu.
    pub settings: &'static str,
    /// How to see that it works, without a patient.
    pub dry_test: &'static str,
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
    /// Not known: nothing is read, bytes are kept until a capture teaches us.
    NeedsCapture,
}

impl Evidence {
    /// For people.
    pub fn in_words(self) -> &'static str {
        match self {
            Evidence::Manual => "a manual, or two sources that agree",
            Evidence::SingleSource => "a single source",
            Evidence::Constructed => "a described layout only",
            Evidence::NeedsCapture => "nothing yet: needs a capture",
        }
    }
}

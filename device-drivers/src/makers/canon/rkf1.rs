//! Canon RK-F1: the link, and the text of its print. No values: its columns are not known.
//!
//! Source: one clinic's library describes the link. Proved against constructed transfers only.
//!
//! | part     | bytes                   | meaning                                            |
//! |----------|-------------------------|----------------------------------------------------|
//! | block    | STX text ETB or ETX     | a piece of the print; the first begins with `CANON` |
//! | answer   | ACK, by the gateway     | after every block, else the instrument stops       |
//! | end      | EOT                     |                                                    |
//!
//! ```text
//! STX CANON RK-F1 CR LF ETB  (ACK)  STX <a line> CR LF ETX  (ACK)  EOT
//! ```
//!
//! Traps: STX and ETB stand in NIDEK's frames as well, so a transfer begins only where the text of
//! its first block does, and nothing else is answered. With `listen_only` nothing is answered: the
//! instrument stops after its first block, which is refused as incomplete and kept.
//!
//! Unknown: every column; which character set the text is in (bytes beyond ASCII and control
//! bytes are shown as `\xNN`); whether a block that was not answered in time is sent again.

use crate::{
    DecodeError, Decoder, DriverOptions, DriverSpec, Ending, ErrorCode, Event, Evidence,
    LineSettings, Parity, Setup, Sniff, Transport, flags,
    format::framing::{EOT, ETB, STX},
};
use chiasm_proto::{Decoded, Flag, FlagCode, Instrument, Integrity, UnknownRecord};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Longest transfer, in bytes.
const TRANSFER_LEN_MAX: usize = 8 * 1024;
/// Noise is cut into captures of this length.
const NOISE_LEN_MAX: usize = 512;
/// Most lines that are kept on one reading; the rest is in the raw bytes only.
const LINES_MAX: usize = 256;
/// Silence after which a transfer will not be finished any more.
const SILENCE_MAX: Duration = Duration::from_secs(5);
const ETX: u8 = 0x03;
const ACK: u8 = 0x06;
/// How the text of a first block begins.
const MARK: &[u8] = b"\x02CANON";

pub static SPEC: DriverSpec = DriverSpec {
    id: "canon_rkf1",
    version: "1",
    vendor: "Canon",
    models: &["RK-F1"],
    yields: &[],
    transport: Transport::Serial(&[LineSettings {
        baud: 9600,
        data_bits: 8,
        parity: Parity::None,
        stop_bits: 1,
    }]),
    evidence: Evidence::SingleSource,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "Serial socket to a USB adapter. The gateway holds DTR and RTS high and answers \
                 every block: do not use a cable that lets the gateway only listen.",
        settings: "9600 baud, 8 data bits, no parity, 1 stop bit; output to the PC on.",
        dry_test: "Print a measurement of the model eye: the reading shows the lines of the print \
                   as text. If only the first line comes, the answers do not reach the instrument.",
    },
    limits: "No values are read: the columns of the print are not known. Its text is kept line by \
             line, for a person to read and for us to learn from. RK-F2 and R-F10 are other \
             formats.",
    sniff,
    new: |options| Box::new(RkF1Decoder::new(options)),
};

fn sniff(bytes: &[u8]) -> Sniff {
    let is_ours = bytes.windows(MARK.len()).any(|window| window == MARK);
    if is_ours { Sniff::Yes } else { Sniff::No }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between transfers; what is pending is noise.
    Outside,
    /// In a block.
    Block,
    /// Behind a block: the next one or EOT follows.
    Between,
    /// Behind a transfer that was too long.
    Skipping,
}

/// The serial line of one instrument.
struct RkF1Decoder {
    options: DriverOptions,
    state: State,
    pending: Vec<u8>,
    /// The noise before this was already refused.
    is_noise_told: bool,
    deadline: Option<Instant>,
    events: VecDeque<Event>,
    /// Blocks that wait for their answer.
    unanswered: usize,
}

impl RkF1Decoder {
    fn new(options: &DriverOptions) -> Self {
        Self {
            options: options.clone(),
            state: State::Outside,
            pending: vec![],
            is_noise_told: false,
            deadline: None,
            events: VecDeque::new(),
            unanswered: 0,
        }
    }

    fn byte(&mut self, byte: u8) {
        match self.state {
            State::Outside => self.byte_outside(byte),
            State::Block => self.byte_in_block(byte),
            State::Between => self.byte_between(byte),
            State::Skipping => {
                self.pending.push(byte);
                if byte == EOT {
                    self.overflow();
                    self.state = State::Outside;
                } else if self.pending.len() >= NOISE_LEN_MAX {
                    self.overflow();
                }
            }
        }
    }

    fn byte_outside(&mut self, byte: u8) {
        self.pending.push(byte);
        if self.pending.ends_with(MARK) {
            self.noise(self.pending.len() - MARK.len());
            self.is_noise_told = false;
            self.state = State::Block;
        } else if self.pending.len() >= NOISE_LEN_MAX + MARK.len() {
            self.noise(NOISE_LEN_MAX);
        }
    }

    fn byte_in_block(&mut self, byte: u8) {
        match byte {
            STX => {
                self.refuse(ErrorCode::Incomplete, "a new block began before this one ended");
                self.byte(byte);
            }
            EOT => {
                self.pending.push(byte);
                self.refuse(ErrorCode::Incomplete, "the transfer ended inside a block");
            }
            _ => {
                self.push(byte);
                if matches!(byte, ETB | ETX) && self.state == State::Block {
                    self.state = State::Between;
                    self.unanswered += 1;
                }
            }
        }
    }

    fn byte_between(&mut self, byte: u8) {
        match byte {
            STX => {
                self.push(byte);
                if self.state == State::Between {
                    self.state = State::Block;
                }
            }
            b'\r' | b'\n' => self.push(byte),
            EOT => {
                self.pending.push(byte);
                self.whole();
            }
            _ => {
                self.refuse(ErrorCode::Malformed, "something between two blocks");
                self.byte(byte);
            }
        }
    }

    /// A byte of a transfer, unless it becomes too long.
    fn push(&mut self, byte: u8) {
        self.pending.push(byte);
        if self.pending.len() >= TRANSFER_LEN_MAX {
            let message = format!("more than {TRANSFER_LEN_MAX} bytes without an end");
            self.refuse(ErrorCode::TooLong, message);
            self.state = State::Skipping;
        }
    }

    fn refuse(&mut self, code: ErrorCode, message: impl Into<String>) {
        let raw = std::mem::take(&mut self.pending);
        let error = DecodeError::new(code, raw.len(), message);
        self.events.push_back(Event::Rejected { error, raw });
        self.state = State::Outside;
    }

    /// So many bytes are no transfer: the first stretch is told, the rest is counted.
    fn noise(&mut self, len: usize) {
        let rest = self.pending.split_off(len);
        let raw = std::mem::replace(&mut self.pending, rest);
        self.events.extend(if raw.is_empty() {
            None
        } else if raw.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            Some(Event::Control { what: "line end", raw })
        } else if std::mem::replace(&mut self.is_noise_told, true) {
            Some(Event::Overflow { raw })
        } else {
            let message = format!("{len} bytes outside any transfer");
            let error = DecodeError::new(ErrorCode::Noise, 0, message);
            Some(Event::Rejected { error, raw })
        });
    }

    fn overflow(&mut self) {
        let raw = std::mem::take(&mut self.pending);
        if !raw.is_empty() {
            self.events.push_back(Event::Overflow { raw });
        }
    }

    fn whole(&mut self) {
        let raw = std::mem::take(&mut self.pending);
        self.state = State::Outside;
        let decoded = read(&raw, &self.options);
        self.events.push_back(if decoded.unknown_records.is_empty() {
            Event::Control { what: "transmission without values", raw }
        } else {
            Event::decoded(decoded, raw)
        });
    }

    /// Nothing more comes: decide on what is there.
    fn give_up(&mut self) {
        self.deadline = None;
        match self.state {
            State::Outside => self.noise(self.pending.len()),
            State::Block | State::Between => {
                self.refuse(ErrorCode::Incomplete, "the transfer stopped before its end");
            }
            State::Skipping => self.overflow(),
        }
        self.state = State::Outside;
        self.is_noise_told = false;
    }
}

/// The print as text, line by line. Nothing in it is understood.
fn read(raw: &[u8], options: &DriverOptions) -> Decoded {
    let instrument = Instrument {
        vendor: SPEC.vendor.into(),
        model: options.model.clone().unwrap_or_else(|| SPEC.models[0].into()),
        ..Instrument::default()
    };
    let mut decoded = Decoded::new(instrument, Integrity::None);
    let mut more = 0;
    let mut offset = 0;
    for line in raw.split(|byte| matches!(*byte, STX | ETB | ETX | EOT | b'\r' | b'\n')) {
        let text = shown(line.trim_ascii_end());
        match text.as_str() {
            "" => {}
            _ if decoded.unknown_records.len() >= LINES_MAX => more += 1,
            _ => decoded.unknown_records.push(UnknownRecord { offset, text }),
        }
        offset += line.len() + 1;
    }
    if more > 0 {
        let detail = format!("{more} more lines are in the raw bytes only");
        decoded.flags.push(Flag { code: FlagCode::UnknownRecord, detail });
    }
    flags::complete(&mut decoded);
    decoded
}

/// ASCII as it is, any other byte by its number.
fn shown(line: &[u8]) -> String {
    let one = |byte: &u8| match byte {
        b' '..=b'~' => char::from(*byte).to_string(),
        other => format!("\\x{other:02X}"),
    };
    line.iter().map(one).collect()
}

impl Decoder for RkF1Decoder {
    fn handle_input(&mut self, now: Instant, bytes: &[u8]) {
        // What comes behind the silence is of the next transfer, even if nobody told of it.
        self.handle_timeout(now);
        bytes.iter().for_each(|byte| self.byte(*byte));
        let is_waiting = !self.pending.is_empty() || self.state != State::Outside;
        self.deadline = is_waiting.then(|| now + SILENCE_MAX);
    }
    fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.give_up();
        }
    }
    fn handle_end(&mut self, _now: Instant) {
        self.give_up();
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }
    fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        if self.unanswered == 0 {
            return None;
        }
        self.unanswered -= 1;
        (!self.options.listen_only).then(|| vec![ACK])
    }
    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{run, run_with};

    const TRANSFER: &[u8] = b"\x02CANON RK-F1\r\n\x17\x02one \x81\r\ntwo\x17\x02end\x03\x04";

    #[test]
    fn every_block_is_answered_once_and_nothing_else() {
        let outcome = run(&SPEC, [TRANSFER]);
        assert_eq!(outcome.transmitted, vec![vec![ACK]; 3]);
        let texts: Vec<&str> = outcome.decoded()[0]
            .unknown_records
            .iter()
            .map(|record| record.text.as_str())
            .collect();
        assert_eq!(texts, ["CANON RK-F1", "one \\x81", "two", "end"]);
        let nidek = b"\x01DRM\x02OR-02.25-00.50178\x17\x04";
        assert!(run(&SPEC, [nidek.as_slice()]).transmitted.is_empty());
    }

    #[test]
    fn bytes_behind_the_silence_are_of_another_transfer() {
        let mut decoder = (SPEC.new)(&DriverOptions::default());
        let start = Instant::now();
        let half = &TRANSFER[..10];
        decoder.handle_input(start, half);
        decoder.handle_input(start + SILENCE_MAX, TRANSFER);
        let Some(Event::Rejected { raw, .. }) = decoder.poll_event() else { panic!("not told") };
        assert_eq!(raw, half);
        assert!(matches!(decoder.poll_event(), Some(Event::Decoded { .. })));
    }

    #[test]
    fn whoever_only_listens_answers_nothing() {
        let options = DriverOptions { listen_only: true, ..DriverOptions::default() };
        let outcome = run_with(&SPEC, &options, [TRANSFER]);
        assert!(outcome.transmitted.is_empty());
        assert_eq!(outcome.decoded().len(), 1);
    }

    #[test]
    fn a_block_is_answered_before_the_next_one_comes() {
        let mut decoder = (SPEC.new)(&DriverOptions::default());
        let now = Instant::now();
        decoder.handle_input(now, &TRANSFER[..13]);
        assert_eq!(decoder.poll_transmit(), None);
        decoder.handle_input(now, &TRANSFER[13..15]);
        assert_eq!(decoder.poll_transmit(), Some(vec![ACK]));
        assert_eq!(decoder.poll_transmit(), None);
    }
}

golden_tests!(SPEC);

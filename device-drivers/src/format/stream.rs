//! Transmissions of text on a line, for the families whose frames are not NIDEK's.
//!
//! A family says where a transmission begins, where it ends and how to read it ([`Protocol`]); the
//! [`StreamDecoder`] keeps what is pending, tells noise, cuts, and gives up after silence. Where a
//! cut falls depends on the bytes alone, never on how they were delivered.

use crate::{DecodeError, Decoder, DriverOptions, ErrorCode, Event};
use chiasm_proto::Decoded;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Noise is cut into captures of this length.
pub const NOISE_LEN_MAX: usize = 512;
/// Longest mark by which a beginning is known, in bytes.
pub const MARK_LEN_MAX: usize = 32;
/// Line ends that wait for a transmission to belong to.
const LINE_ENDS_LEN_MAX: usize = 64;

/// What is particular to one family.
pub struct Protocol {
    /// Position of the first beginning of a transmission in the bytes. It has to be decided by the
    /// [`MARK_LEN_MAX`] bytes from that position on.
    pub begins: fn(&[u8]) -> Option<usize>,
    /// Looks at bytes from a beginning on.
    pub ends: fn(&[u8]) -> End,
    /// So long after the last byte nothing more comes.
    pub silence: Duration,
    /// Silence ends a transmission, instead of leaving it incomplete.
    pub ends_by_silence: bool,
    /// Longest transmission, in bytes; at most
    /// [`crate::registry::LINE_PENDING_LEN_MAX`] less [`NOISE_LEN_MAX`].
    pub len_max: usize,
    /// Reads one whole transmission; nothing if it is well-formed and carries no values. Offsets in
    /// errors count from the first of these bytes.
    pub read: fn(&[u8], &DriverOptions) -> Result<Option<Decoded>, DecodeError>,
}

/// Where a transmission ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Not within these bytes, as far as can be seen.
    NotYet,
    /// After so many bytes, at least one. It is whole.
    After(usize),
    /// Another one begins after so many bytes, at least one; this one was cut short.
    Broken(usize),
}

/// A serial line of an instrument that sends text.
pub struct StreamDecoder {
    protocol: &'static Protocol,
    options: DriverOptions,
    pending: Vec<u8>,
    /// The noise or the long transmission before this was already refused.
    is_told: bool,
    deadline: Option<Instant>,
    events: VecDeque<Event>,
}

impl StreamDecoder {
    pub fn boxed(protocol: &'static Protocol, options: &DriverOptions) -> Box<dyn Decoder> {
        Box::new(Self {
            protocol,
            options: options.clone(),
            pending: Vec::new(),
            is_told: false,
            deadline: None,
            events: VecDeque::new(),
        })
    }

    /// Makes one event of what is pending, if its fate is already decided.
    fn step(&mut self) -> bool {
        let blank = self.pending.iter().take_while(|byte| is_line_end(**byte)).count();
        let rest = &self.pending[blank..];
        if blank >= LINE_ENDS_LEN_MAX {
            self.line_ends(LINE_ENDS_LEN_MAX);
            return true;
        }
        if rest.is_empty() {
            return false;
        }
        match (self.protocol.begins)(rest) {
            Some(0) => self.step_inside(blank),
            Some(at) if at <= NOISE_LEN_MAX => {
                self.noise(blank + at);
                true
            }
            Some(_) => {
                self.noise(blank + NOISE_LEN_MAX);
                true
            }
            None if rest.len() >= NOISE_LEN_MAX + MARK_LEN_MAX => {
                self.noise(blank + NOISE_LEN_MAX);
                true
            }
            None => false,
        }
    }

    fn step_inside(&mut self, blank: usize) -> bool {
        let len_max = self.protocol.len_max;
        let within = &self.pending[blank..self.pending.len().min(blank + len_max)];
        match (self.protocol.ends)(within) {
            End::After(len) => self.whole(blank + len),
            End::Broken(len) => {
                self.incomplete(blank + len, "another transmission began before this one ended")
            }
            End::NotYet if within.len() == len_max => {
                let raw = self.take(blank + len_max);
                let message = format!("more than {len_max} bytes without an end");
                let error = DecodeError::new(ErrorCode::TooLong, raw.len(), message);
                self.events.push_back(Event::Rejected { error, raw });
                self.is_told = true;
            }
            End::NotYet => return false,
        }
        true
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        let rest = self.pending.split_off(len);
        std::mem::replace(&mut self.pending, rest)
    }

    fn whole(&mut self, len: usize) {
        self.is_told = false;
        let raw = self.take(len);
        let blank = raw.iter().take_while(|byte| is_line_end(**byte)).count();
        let event = match (self.protocol.read)(&raw[blank..], &self.options) {
            Ok(Some(mut decoded)) => {
                for record in &mut decoded.unknown_records {
                    record.offset += blank;
                }
                Event::decoded(decoded, raw)
            }
            Ok(None) => Event::Control { what: "transmission without values", raw },
            Err(error) => {
                let error = DecodeError { offset: error.offset + blank, ..error };
                Event::Rejected { error, raw }
            }
        };
        self.events.push_back(event);
    }

    fn incomplete(&mut self, len: usize, message: &str) {
        self.is_told = false;
        let raw = self.take(len);
        let error = DecodeError::new(ErrorCode::Incomplete, raw.len(), message);
        self.events.push_back(Event::Rejected { error, raw });
    }

    /// Bytes outside any transmission: the first stretch is told, the rest is counted.
    fn noise(&mut self, len: usize) {
        let raw = self.take(len);
        if std::mem::replace(&mut self.is_told, true) {
            self.events.push_back(Event::Overflow { raw });
            return;
        }
        let message = format!("{len} bytes outside any transmission");
        let error = DecodeError::new(ErrorCode::Noise, 0, message);
        self.events.push_back(Event::Rejected { error, raw });
    }

    fn line_ends(&mut self, len: usize) {
        let raw = self.take(len);
        self.events.push_back(Event::Control { what: "line end", raw });
    }

    /// Nothing more comes: decide on what is there.
    fn give_up(&mut self) {
        while self.step() {}
        let blank = self.pending.iter().take_while(|byte| is_line_end(**byte)).count();
        let rest = &self.pending[blank..];
        let len = self.pending.len();
        if rest.is_empty() {
            return;
        }
        match (self.protocol.begins)(rest) {
            Some(0) if self.protocol.ends_by_silence => self.whole(len),
            Some(0) => self.incomplete(len, "the transmission stopped before its end"),
            // What stands in front of a beginning was cut off above.
            Some(_) | None => self.noise(len),
        }
    }
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

impl Decoder for StreamDecoder {
    fn handle_input(&mut self, now: Instant, bytes: &[u8]) {
        // Bytes behind the silence belong to the next transmission, even if nobody told of it.
        self.handle_timeout(now);
        self.pending.extend_from_slice(bytes);
        while self.step() {}
        let is_waiting = self.is_told || self.pending.iter().any(|byte| !is_line_end(*byte));
        self.deadline = is_waiting.then(|| now + self.protocol.silence);
    }
    fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            self.give_up();
            self.is_told = false;
        }
    }
    fn handle_end(&mut self, _now: Instant) {
        self.deadline = None;
        self.give_up();
        if !self.pending.is_empty() {
            self.line_ends(self.pending.len());
        }
        self.is_told = false;
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }
    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

/// Position of a text in bytes.
pub fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, text)
}

#[cfg(test)]
mod tests;

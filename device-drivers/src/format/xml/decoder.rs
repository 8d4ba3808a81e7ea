//! The decoder of every driver that reads XML documents: cuts the input and reads each document.

use super::{Piece, Splitter};
use crate::{DecodeError, Decoder, DriverOptions, ErrorCode, Event};
use chiasm_proto::Decoded;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Silence in the middle of a document after which its rest no longer comes.
pub const SILENCE_MAX: Duration = Duration::from_secs(5);

/// What is particular to one family.
pub struct XmlFormat {
    /// Longest document, in bytes; at most [`crate::registry::FILE_PENDING_LEN_MAX`],
    /// or [`crate::registry::PENDING_LEN_MAX`] with matrices.
    pub len_max: usize,
    pub read: fn(&[u8], &DriverOptions) -> Result<Decoded, DecodeError>,
}

/// Cuts the input into documents and reads each.
pub struct XmlDecoder {
    format: &'static XmlFormat,
    splitter: Splitter,
    events: VecDeque<Event>,
    deadline: Option<Instant>,
    options: DriverOptions,
}

impl XmlDecoder {
    pub fn boxed(format: &'static XmlFormat, options: &DriverOptions) -> Box<dyn Decoder> {
        Box::new(Self {
            format,
            splitter: Splitter::new(format.len_max),
            events: VecDeque::new(),
            deadline: None,
            options: options.clone(),
        })
    }

    fn take(&mut self, pieces: Vec<Piece>) {
        for piece in pieces {
            let event = self.event(piece);
            self.events.push_back(event);
        }
    }

    fn event(&self, piece: Piece) -> Event {
        let rejected = |code, raw: Vec<u8>, message: &str| {
            let offset = if code == ErrorCode::Noise { 0 } else { raw.len() };
            Event::Rejected { error: DecodeError::new(code, offset, message), raw }
        };
        match piece {
            Piece::Document(raw) => match (self.format.read)(&raw, &self.options) {
                Ok(decoded) => Event::decoded(decoded, raw),
                Err(error) => Event::Rejected { error, raw },
            },
            Piece::Noise(raw) => rejected(ErrorCode::Noise, raw, "not the beginning of a document"),
            Piece::Blank(raw) => Event::Control { what: "white space", raw },
            Piece::Incomplete(raw) => {
                rejected(ErrorCode::Incomplete, raw, "the root element is not closed")
            }
            Piece::TooLong(raw) => {
                rejected(ErrorCode::TooLong, raw, "longer than any such document")
            }
            Piece::Overflow(raw) => Event::Overflow { raw },
        }
    }
}

impl Decoder for XmlDecoder {
    fn handle_input(&mut self, now: Instant, bytes: &[u8]) {
        self.handle_timeout(now); // what was late when this came ends first
        let pieces = self.splitter.push(bytes);
        self.take(pieces);
        self.deadline = self.splitter.is_inside().then(|| now + SILENCE_MAX);
    }
    fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.handle_end(now);
        }
    }
    fn handle_end(&mut self, _now: Instant) {
        let pieces = self.splitter.end();
        self.take(pieces);
        self.deadline = None;
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }
    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

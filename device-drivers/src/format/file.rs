//! Files that are read as a whole: tables and other text that no closing tag ends.
//!
//! A family cuts a file into [`Part`]s, in order and without gaps; the [`FileDecoder`] makes an
//! event of each. XML documents have [`crate::format::xml::XmlDecoder`].

use crate::{DecodeError, Decoder, DriverOptions, ErrorCode, Event};
use chiasm_proto::Decoded;
use std::{collections::VecDeque, time::Instant};

/// What a stretch of a file is.
pub enum Part {
    /// A reading of `len` bytes. `context` are bytes of the same file that it needs to be
    /// understood by itself, such as the heading of its table; empty for a file of one reading.
    Reading { decoded: Box<Decoded>, context: Vec<u8>, len: usize },
    /// `len` bytes that give no reading. The offset of the error counts from their beginning.
    Refused { error: DecodeError, len: usize },
    /// `len` bytes without values: a heading, a row of something that was not measured.
    Control { what: &'static str, len: usize },
}

impl Part {
    fn len(&self) -> usize {
        match self {
            Part::Reading { len, .. } | Part::Refused { len, .. } | Part::Control { len, .. } => {
                *len
            }
        }
    }
}

/// What is particular to one family.
pub struct FileFormat {
    /// Longest file, in bytes; at most [`crate::registry::FILE_PENDING_LEN_MAX`].
    pub len_max: usize,
    /// Cuts a whole file. An error refuses all of it.
    pub read: fn(&[u8], &DriverOptions) -> Result<Vec<Part>, DecodeError>,
}

/// A folder of files of one family.
pub struct FileDecoder {
    format: &'static FileFormat,
    options: DriverOptions,
    pending: Vec<u8>,
    is_too_long: bool,
    events: VecDeque<Event>,
}

impl FileDecoder {
    pub fn boxed(format: &'static FileFormat, options: &DriverOptions) -> Box<dyn Decoder> {
        Box::new(Self {
            format,
            options: options.clone(),
            pending: Vec::new(),
            is_too_long: false,
            events: VecDeque::new(),
        })
    }

    fn take(&mut self, parts: Vec<Part>, raw: Vec<u8>) {
        let mut rest = raw;
        for part in parts {
            let len = part.len().min(rest.len());
            let behind = rest.split_off(len);
            let raw = std::mem::replace(&mut rest, behind);
            self.events.push_back(match part {
                Part::Reading { decoded, context, .. } => Event::Decoded { decoded, context, raw },
                Part::Refused { error, .. } => Event::Rejected { error, raw },
                Part::Control { what, .. } => Event::Control { what, raw },
            });
        }
        debug_assert!(rest.is_empty(), "a format has to account for every byte of a file");
        if !rest.is_empty() {
            self.events.push_back(Event::Overflow { raw: rest });
        }
    }
}

impl Decoder for FileDecoder {
    fn handle_input(&mut self, _now: Instant, bytes: &[u8]) {
        if self.is_too_long {
            self.events.push_back(Event::Overflow { raw: bytes.to_vec() });
            return;
        }
        let room = self.format.len_max - self.pending.len();
        let (fits, beyond) = bytes.split_at(room.min(bytes.len()));
        self.pending.extend_from_slice(fits);
        if beyond.is_empty() {
            return;
        }
        self.is_too_long = true;
        let raw = std::mem::take(&mut self.pending);
        let message = format!("longer than {} bytes", self.format.len_max);
        let error = DecodeError::new(ErrorCode::TooLong, raw.len(), message);
        self.events.push_back(Event::Rejected { error, raw });
        self.events.push_back(Event::Overflow { raw: beyond.to_vec() });
    }
    fn handle_timeout(&mut self, _now: Instant) {}
    fn handle_end(&mut self, _now: Instant) {
        self.is_too_long = false;
        let raw = std::mem::take(&mut self.pending);
        if raw.is_empty() {
            return;
        }
        match (self.format.read)(&raw, &self.options) {
            Ok(parts) => self.take(parts, raw),
            Err(error) => self.events.push_back(Event::Rejected { error, raw }),
        }
    }
    /// Silence says nothing about a file: its end does.
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

//! Transmissions between SOH and EOT with a checksum that may follow, as NIDEK sends them:
//!
//! ```text
//! SOH DRM STX segment ETB [CR] … SOH DKM STX segment ETB [CR] … EOT [CCCC] [CR]
//! ```
//!
//! * `CCCC`: the sum of every byte from the first SOH through EOT, low 16 bits, as four upper-case
//!   hexadecimal digits. Whether it comes shows only after EOT: a frame with it is ready with its
//!   last digit, one without after [`CHECKSUM_WAIT`].
//! * Line ends behind ETB: readers of two models leave them out of the sum, and two transmissions
//!   of
//!   an ARK-1a that were published line by line have sums that fit only without. The description
//!   of the format counts them. Both sums prove a frame.
//! * A second SOH opens a further block if it stands after ETB (or a line end) and is followed by
//!   `D??` STX with a code that this frame has not had yet. Any other SOH means that an EOT was
//!   lost: what came before is refused.
//! * Line ends between frames go with the next frame. Everything else out there is noise.
//! * After EOT nothing but the checksum, line ends or the next SOH may follow directly; else the
//!   EOT was none (one flipped bit makes it of a `D`) and the frame is refused. Recordings are
//!   padded with NUL or closed with SUB (0x1A): these go with the frame, if nothing else follows.

use crate::{DecodeError, ErrorCode};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

pub const SOH: u8 = 0x01;
pub const STX: u8 = 0x02;
pub const EOT: u8 = 0x04;
pub const ETB: u8 = 0x17;

/// Longest frame. The longest known print has some 600 bytes; ten shots of everything stay below
/// three thousand.
pub const FRAME_LEN_MAX: usize = 8 * 1024;
/// Noise is cut into captures of this length.
pub const NOISE_LEN_MAX: usize = 512;
/// Line ends that wait for a frame to belong to.
pub const LINE_ENDS_LEN_MAX: usize = 64;
/// Bytes of padding that go with a frame.
const PADDING_LEN_MAX: usize = 64;
/// Blocks in one frame.
pub const BLOCKS_MAX: usize = 16;
/// How long after EOT the checksum may take.
pub const CHECKSUM_WAIT: Duration = Duration::from_millis(200);
/// Silence after which a frame will not be finished any more.
pub const SILENCE_MAX: Duration = Duration::from_millis(2500);
/// Length of a block's opening: SOH, three characters, STX.
pub const OPENING_LEN: usize = 5;

/// What a stretch of input turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framed {
    Frame(Frame),
    Refused {
        error: DecodeError,
        raw: Vec<u8>,
    },
    /// The rest of something refused as too long.
    Overflow {
        raw: Vec<u8>,
    },
    /// Nothing but line ends before the stream ended.
    LineEnds {
        raw: Vec<u8>,
    },
}

/// One whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Line ends before it, the frame, its checksum.
    pub raw: Vec<u8>,
    /// Where its first SOH stands in `raw`.
    pub start: usize,
    /// Where its EOT stands in `raw`.
    pub end: usize,
    /// A checksum was sent; it is right.
    pub is_proved: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between frames; what is kept is line ends or noise.
    Outside,
    /// Between SOH (at `start`) and EOT.
    Inside { start: usize },
    /// A SOH at `at` inside a frame; what follows decides whether it opens a block.
    Opening { start: usize, at: usize },
    /// Behind EOT (at `end`): digits of a checksum may come.
    Behind { start: usize, end: usize },
    /// Skipping the rest of something too long, up to its EOT.
    Skipping,
}

/// Cuts a stream of bytes into frames. Give it bytes and time, take what it made with
/// [`Self::poll`].
#[derive(Debug)]
pub struct Framer {
    buffer: Vec<u8>,
    state: State,
    /// Noise, not line ends, is in the buffer.
    is_noisy: bool,
    /// The noise before this was already refused.
    is_noise_told: bool,
    /// Codes of the blocks of the current frame.
    codes: Vec<[u8; 3]>,
    deadline: Option<Instant>,
    ready: VecDeque<Framed>,
}

impl Default for Framer {
    fn default() -> Self {
        Self {
            buffer: Vec::new(),
            state: State::Outside,
            is_noisy: false,
            is_noise_told: false,
            codes: Vec::new(),
            deadline: None,
            ready: VecDeque::new(),
        }
    }
}

impl Framer {
    pub fn input(&mut self, now: Instant, bytes: &[u8]) {
        // What comes behind the silence is of the next frame, even if nobody told of it.
        self.timeout(now);
        bytes.iter().for_each(|byte| self.byte(*byte));
        self.deadline = match self.state {
            State::Behind { .. } => Some(now + CHECKSUM_WAIT),
            State::Outside if !self.is_noisy => None,
            _ => Some(now + SILENCE_MAX),
        };
    }

    /// The deadline has come: what was waited for will not come.
    pub fn timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            self.give_up();
        }
    }

    /// The stream has ended.
    pub fn end(&mut self) {
        self.deadline = None;
        self.give_up();
        if !self.buffer.is_empty() {
            let raw = std::mem::take(&mut self.buffer);
            self.ready.push_back(Framed::LineEnds { raw });
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// What has become of the input so far.
    pub fn poll(&mut self) -> Option<Framed> {
        self.ready.pop_front()
    }

    fn byte(&mut self, byte: u8) {
        match self.state {
            State::Outside => self.byte_outside(byte),
            State::Inside { start } => self.byte_inside(start, byte),
            State::Opening { start, at } => self.byte_opening(start, at, byte),
            State::Behind { start, end } => self.byte_behind(start, end, byte),
            State::Skipping => self.byte_skipping(byte),
        }
    }

    fn byte_outside(&mut self, byte: u8) {
        if byte == SOH {
            self.flush_noise();
            self.is_noise_told = false;
            self.codes.clear();
            self.state = State::Inside { start: self.buffer.len() };
            self.buffer.push(byte);
            return;
        }
        self.is_noisy |= !is_line_end(byte);
        self.buffer.push(byte);
        let len_max = if self.is_noisy { NOISE_LEN_MAX } else { LINE_ENDS_LEN_MAX };
        if self.buffer.len() >= len_max {
            self.is_noisy = true;
            self.flush_noise();
        }
    }

    fn byte_inside(&mut self, start: usize, byte: u8) {
        let at = self.buffer.len();
        if byte == SOH {
            let after = self.buffer[at - 1];
            if after == ETB || is_line_end(after) {
                self.buffer.push(byte);
                self.state = State::Opening { start, at };
            } else {
                self.refuse(ErrorCode::Incomplete, at, "a new frame began before this one ended");
                self.byte(byte);
            }
            return;
        }
        self.buffer.push(byte);
        if at + 1 == start + OPENING_LEN
            && let Some(code) = block_code(&self.buffer[start..])
        {
            self.codes.push(code);
        }
        if byte == EOT {
            self.close(start, at);
        } else if self.buffer.len() >= FRAME_LEN_MAX {
            let message = format!("more than {FRAME_LEN_MAX} bytes without an end");
            self.refuse(ErrorCode::TooLong, at, message);
            self.state = State::Skipping;
        }
    }

    /// A command stands by itself and is answered at once; data may have a checksum behind it.
    fn close(&mut self, start: usize, end: usize) {
        if self.buffer.get(start + 1) == Some(&b'C') {
            self.accept(start, end, false);
        } else {
            self.state = State::Behind { start, end };
        }
    }

    fn byte_opening(&mut self, start: usize, at: usize, byte: u8) {
        self.buffer.push(byte);
        if self.buffer.len() < at + OPENING_LEN && !matches!(byte, SOH | EOT) {
            return;
        }
        let code = block_code(&self.buffer[at..]);
        match code.filter(|code| !self.codes.contains(code) && self.codes.len() < BLOCKS_MAX) {
            Some(code) => {
                self.codes.push(code);
                self.state = State::Inside { start };
            }
            None => {
                let next = self.buffer.split_off(at);
                self.refuse(ErrorCode::Incomplete, at, "a new frame began before this one ended");
                next.into_iter().for_each(|byte| self.byte(byte));
            }
        }
    }

    fn byte_behind(&mut self, start: usize, end: usize, byte: u8) {
        let behind = &self.buffer[end + 1..];
        let has_digits = behind.first().is_some_and(|first| is_checksum_digit(*first));
        if is_checksum_digit(byte) && (behind.is_empty() || has_digits) {
            self.buffer.push(byte);
            if self.buffer.len() == end + 5 {
                self.check(start, end);
            }
        } else if has_digits {
            let at = self.buffer.len();
            self.refuse(ErrorCode::Checksum, at, "the checksum is cut short");
            self.byte(byte);
        } else if is_line_end(byte) && behind.len() < 2
            || is_padding(byte) && behind.len() < PADDING_LEN_MAX
        {
            self.buffer.push(byte);
        } else if byte == SOH || is_line_end(byte) || behind.len() == PADDING_LEN_MAX {
            self.accept(start, end, false);
            self.byte(byte);
        } else {
            self.refuse(ErrorCode::Malformed, end, "the frame goes on behind its end");
            self.byte(byte);
        }
    }

    fn byte_skipping(&mut self, byte: u8) {
        self.buffer.push(byte);
        if byte == EOT || self.buffer.len() >= NOISE_LEN_MAX {
            self.flush_overflow();
        }
        if byte == EOT {
            self.state = State::Outside;
        }
    }

    fn check(&mut self, start: usize, end: usize) {
        let frame = &self.buffer[start..=end];
        let (sum, bare) = (checksum(frame), checksum_without_line_ends(frame));
        let sent = &self.buffer[end + 1..];
        if [sum, bare].iter().any(|sum| sent == format!("{sum:04X}").as_bytes()) {
            self.accept(start, end, true);
        } else {
            let message = format!("checksum {} was sent, {sum:04X} is right", sent.escape_ascii());
            self.refuse(ErrorCode::Checksum, end + 1, message);
        }
    }

    fn accept(&mut self, start: usize, end: usize, is_proved: bool) {
        let raw = std::mem::take(&mut self.buffer);
        self.ready.push_back(Framed::Frame(Frame { raw, start, end, is_proved }));
        self.state = State::Outside;
    }

    fn refuse(&mut self, code: ErrorCode, offset: usize, message: impl Into<String>) {
        let raw = std::mem::take(&mut self.buffer);
        let error = DecodeError::new(code, offset, message);
        self.ready.push_back(Framed::Refused { error, raw });
        self.state = State::Outside;
        self.is_noisy = false;
    }

    /// Nothing more comes: decide on what is there.
    fn give_up(&mut self) {
        match self.state {
            State::Outside => self.flush_noise(),
            State::Behind { start, end } => {
                let behind = self.buffer.get(end + 1).copied();
                if behind.is_none_or(|first| !is_checksum_digit(first)) {
                    self.accept(start, end, false);
                } else {
                    let at = self.buffer.len();
                    self.refuse(ErrorCode::Checksum, at, "the checksum is cut short");
                }
            }
            State::Inside { .. } | State::Opening { .. } => {
                let at = self.buffer.len();
                self.refuse(ErrorCode::Incomplete, at, "the transmission stopped before its end");
            }
            State::Skipping => {
                self.flush_overflow();
                self.state = State::Outside;
            }
        }
    }

    fn flush_noise(&mut self) {
        if !self.is_noisy {
            return;
        }
        let is_told = std::mem::replace(&mut self.is_noise_told, true);
        if is_told {
            self.flush_overflow();
        } else {
            let count = self.buffer.len();
            self.refuse(ErrorCode::Noise, 0, format!("{count} bytes outside any frame"));
        }
        self.is_noisy = false;
    }

    fn flush_overflow(&mut self) {
        if !self.buffer.is_empty() {
            let raw = std::mem::take(&mut self.buffer);
            self.ready.push_back(Framed::Overflow { raw });
        }
    }
}

/// Sum of the bytes, low 16 bits.
pub fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum: u16, byte| sum.wrapping_add(u16::from(*byte)))
}

/// The same without CR and LF.
fn checksum_without_line_ends(bytes: &[u8]) -> u16 {
    let counted = bytes.iter().filter(|byte| !is_line_end(**byte));
    counted.fold(0, |sum: u16, byte| sum.wrapping_add(u16::from(*byte)))
}

/// The three characters that name a data block, if the bytes open one.
pub fn block_code(bytes: &[u8]) -> Option<[u8; 3]> {
    match bytes {
        [SOH, b'D', kind, part, STX, ..]
            if kind.is_ascii_alphabetic() && part.is_ascii_alphabetic() =>
        {
            Some([b'D', *kind, *part])
        }
        _ => None,
    }
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

fn is_padding(byte: u8) -> bool {
    matches!(byte, 0x00 | 0x1A)
}

fn is_checksum_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'A'..=b'F')
}

#[cfg(test)]
mod tests;

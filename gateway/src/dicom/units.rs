//! Protocol data units (PS3.8 9.3) out of a stream of bytes. Pure: bytes are put in, pieces come out.
//!
//! Objects are given out in pieces as they arrive, so that memory does not grow with what is sent.
//! Everything else is small, and read whole by `dicom-ul`.

use dicom_ul::pdu::{self, Pdu};
use std::ops::Range;

/// Longest P-DATA unit that we take, without its header; told to the sender.
pub const PDU_LEN_MAX: u32 = 128 * 1024;
/// Longest unit of another kind: an association request with 128 contexts and all their syntaxes.
pub const CONTROL_PDU_LEN_MAX: u32 = 256 * 1024;
pub(super) const P_DATA: u8 = 0x04;
const PDU_HEADER_LEN: usize = 6;
/// Length, context and flags of a fragment.
const FRAGMENT_HEADER_LEN: usize = 6;
/// There is room for so much, unless a whole unit needs it.
const READ_LEN_MIN: usize = 32 * 1024;
const BUFFER_LEN: usize = CONTROL_PDU_LEN_MAX as usize + PDU_HEADER_LEN;

/// Why bytes are no units.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    #[error("a unit of type {kind} with {len} bytes; at most {max} are taken")]
    TooLong { kind: u8, len: u32, max: u32 },
    #[error("a malformed unit: {0}")]
    Malformed(String),
}

/// What comes next.
#[derive(Debug)]
pub enum Received {
    /// Bytes of a message.
    Piece(Piece),
    /// Another unit, whole.
    Unit(Pdu),
}

/// A stretch of one fragment; its bytes are lent by [`Units::bytes`] until more are put in.
#[derive(Debug)]
pub struct Piece {
    pub context: u8,
    pub is_command: bool,
    /// The message's command, or data set, ends with this piece.
    pub is_last: bool,
    range: Range<usize>,
}

/// The fragment that is being received.
#[derive(Debug)]
struct Fragment {
    context: u8,
    is_command: bool,
    is_last: bool,
    left: usize,
}

pub struct Units {
    buffer: Box<[u8]>,
    /// What was put in and not given out stands in `start..end`.
    start: usize,
    end: usize,
    /// Bytes of the current P-DATA unit behind the current fragment.
    unit_left: usize,
    fragment: Option<Fragment>,
}

impl Default for Units {
    fn default() -> Self {
        let buffer = vec![0; BUFFER_LEN].into_boxed_slice();
        Self { buffer, start: 0, end: 0, unit_left: 0, fragment: None }
    }
}

impl Units {
    /// Where the next bytes go; never empty after [`Units::receive`] gave nothing.
    pub fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.start > 0 && self.buffer.len() - self.end < READ_LEN_MIN {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.buffer[self.end..]
    }

    /// So many bytes were put into the room.
    pub fn filled(&mut self, len: usize) {
        self.end += len;
    }

    /// What comes next, if enough has been put in.
    pub fn receive(&mut self) -> Result<Option<Received>, UnitError> {
        loop {
            if let Some(piece) = self.piece() {
                return Ok(Some(Received::Piece(piece)));
            }
            if self.fragment.is_some() {
                return Ok(None);
            }
            if self.unit_left > 0 {
                if self.waiting() < FRAGMENT_HEADER_LEN {
                    return Ok(None);
                }
                self.begin_fragment()?;
                continue;
            }
            if self.waiting() < PDU_HEADER_LEN {
                return Ok(None);
            }
            if !self.begin_data_unit()? {
                return Ok(self.unit()?.map(Received::Unit));
            }
        }
    }

    /// The bytes of a piece that was given out last.
    pub fn bytes(&self, piece: &Piece) -> &[u8] {
        &self.buffer[piece.range.clone()]
    }

    fn waiting(&self) -> usize {
        self.end - self.start
    }

    /// What there is of the current fragment. An empty one is given too, for its end.
    fn piece(&mut self) -> Option<Piece> {
        let available = self.waiting();
        let fragment = self.fragment.as_mut()?;
        if available == 0 && fragment.left > 0 {
            return None;
        }
        let len = fragment.left.min(available);
        fragment.left -= len;
        let is_whole = fragment.left == 0;
        let piece = Piece {
            context: fragment.context,
            is_command: fragment.is_command,
            is_last: is_whole && fragment.is_last,
            range: self.start..self.start + len,
        };
        self.start += len;
        if is_whole {
            self.fragment = None;
        }
        Some(piece)
    }

    fn begin_fragment(&mut self) -> Result<(), UnitError> {
        let header = &self.buffer[self.start..self.start + FRAGMENT_HEADER_LEN];
        let len = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let behind_len =
            self.unit_left.checked_sub(4).filter(|behind| (2..=*behind).contains(&len));
        let Some(behind_len) = behind_len else {
            let problem = format!("a fragment of {len} bytes in {} of its unit", self.unit_left);
            return Err(UnitError::Malformed(problem));
        };
        let flags = header[5];
        self.fragment = Some(Fragment {
            context: header[4],
            is_command: flags & 1 != 0,
            is_last: flags & 2 != 0,
            left: len - 2,
        });
        self.start += FRAGMENT_HEADER_LEN;
        self.unit_left = behind_len - len;
        if (1..FRAGMENT_HEADER_LEN).contains(&self.unit_left) {
            return Err(UnitError::Malformed("bytes behind the last fragment of a unit".into()));
        }
        Ok(())
    }

    fn header(&self) -> Result<(u8, usize), UnitError> {
        let header = &self.buffer[self.start..self.start + PDU_HEADER_LEN];
        let kind = header[0];
        let len = u32::from_be_bytes([header[2], header[3], header[4], header[5]]);
        let max = if kind == P_DATA { PDU_LEN_MAX } else { CONTROL_PDU_LEN_MAX };
        if len > max {
            return Err(UnitError::TooLong { kind, len, max });
        }
        Ok((kind, len as usize))
    }

    fn begin_data_unit(&mut self) -> Result<bool, UnitError> {
        let (kind, len) = self.header()?;
        if kind != P_DATA {
            return Ok(false);
        }
        if len < FRAGMENT_HEADER_LEN {
            return Err(UnitError::Malformed(format!("a data unit of {len} bytes")));
        }
        self.start += PDU_HEADER_LEN;
        self.unit_left = len;
        Ok(true)
    }

    fn unit(&mut self) -> Result<Option<Pdu>, UnitError> {
        let whole_len = PDU_HEADER_LEN + self.header()?.1;
        if self.waiting() < whole_len {
            return Ok(None);
        }
        let whole = &self.buffer[self.start..self.start + whole_len];
        let unit = pdu::read_pdu(whole, CONTROL_PDU_LEN_MAX, true)
            .map_err(|error| UnitError::Malformed(error.to_string()))?;
        self.start += whole_len;
        let unit = unit.ok_or_else(|| UnitError::Malformed("its items exceed it".into()))?;
        Ok(Some(unit))
    }
}

/// A command or a data set in as many units as the other side's longest demands.
pub fn message(context: u8, is_command: bool, bytes: &[u8], unit_len_max: usize) -> Vec<u8> {
    let chunk_len = unit_len_max.saturating_sub(FRAGMENT_HEADER_LEN).max(1);
    let count = bytes.len().div_ceil(chunk_len).max(1);
    let overhead = PDU_HEADER_LEN + FRAGMENT_HEADER_LEN;
    let mut out = Vec::with_capacity(bytes.len() + count * overhead);
    for index in 0..count {
        let chunk = &bytes[index * chunk_len..bytes.len().min((index + 1) * chunk_len)];
        let is_last = index + 1 == count;
        let len = u32::try_from(chunk.len()).expect("a chunk is not longer than a unit");
        out.extend([P_DATA, 0]);
        out.extend((len + 6).to_be_bytes());
        out.extend((len + 2).to_be_bytes());
        out.extend([context, u8::from(is_command) | u8::from(is_last) << 1]);
        out.extend(chunk);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts bytes in, `step` at a time, and gives the data and the other units that came.
    fn read(bytes: &[u8], step: usize) -> Result<(Vec<u8>, Vec<Pdu>, usize), UnitError> {
        let mut units = Units::default();
        let (mut data, mut others, mut ends) = (Vec::new(), Vec::new(), 0);
        let mut left = bytes;
        while !left.is_empty() {
            let room = units.room();
            let (chunk, behind) = left.split_at(left.len().min(step).min(room.len()));
            room[..chunk.len()].copy_from_slice(chunk);
            units.filled(chunk.len());
            left = behind;
            while let Some(received) = units.receive()? {
                match received {
                    Received::Piece(piece) => {
                        data.extend(units.bytes(&piece));
                        ends += usize::from(piece.is_last);
                    }
                    Received::Unit(unit) => others.push(unit),
                }
            }
        }
        Ok((data, others, ends))
    }

    #[test]
    fn messages_come_out_as_they_went_in_whatever_the_steps() {
        let text: Vec<u8> = (0..1000_u32).map(|at| at as u8).collect();
        let release = [5, 0, 0, 0, 0, 4, 0, 0, 0, 0];
        for unit_len in [128, 137, 1012, 65536] {
            let stream = [
                &message(1, true, &text, unit_len)[..],
                &message(1, false, &[], unit_len),
                &release,
            ]
            .concat();
            for step in [1, 2, 5, 7, 100, 4096] {
                let (data, others, ends) = read(&stream, step).unwrap();
                assert_eq!(data, text);
                assert_eq!(others, [Pdu::ReleaseRQ]);
                assert_eq!(ends, 2);
            }
        }
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        for hostile in [
            &b"\x04\x00\xff\xff\xff\xff"[..],
            b"\x01\x00\xff\xff\xff\xff",
            b"\x04\x00\x00\x00\x00\x06\xff\xff\xff\xff\x01\x03",
            b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x03\x01\x03\x00",
            b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x00\x01\x03",
            b"\x04\x00\x00\x00\x00\x09\x00\x00\x00\x02\x01\x03\x00\x00\x00",
            b"\x04\x00\x00\x00\x00\x00",
            b"\x07\x00\x00\x00\x00\x00",
            b"\x01\x00\x00\x00\x00\x04\x00\x01\x00\x00",
        ] {
            assert!(read(hostile, 1).is_err(), "{hostile:?}");
            assert!(read(hostile, 100).is_err(), "{hostile:?}");
        }
    }

    #[test]
    fn the_longest_unit_fits_wherever_it_begins() {
        let mut unit = vec![0x0f, 0, 0, 4, 0, 0];
        unit.resize(6 + CONTROL_PDU_LEN_MAX as usize, 7);
        let stream = [&message(1, false, &[1; 5000], 65536)[..], &unit].concat();
        let (_, others, _) = read(&stream, 4096).unwrap();
        assert_eq!(others.len(), 1);
    }
}

//! A frame cut into blocks and segments.

use crate::{
    DecodeError, ErrorCode,
    format::{
        fields::Field,
        framing::{ETB, Frame, OPENING_LEN, SOH, STX},
    },
};

/// Segments in one frame.
pub const SEGMENTS_MAX: usize = 512;

/// One block: `DRM`, and its segments. A segment's field name is its two characters of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block<'a> {
    pub code: &'a str,
    pub segments: Vec<Field<'a>>,
}

/// What a frame is about, by its first block's opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// `D`: measurements.
    Data(Vec<Block<'a>>),
    /// `C**` `RS`: the instrument asks whether it may send.
    RequestToSend,
    /// Any other `C`.
    Command,
}

/// Cuts a frame. Refused: control characters or bytes beyond ASCII inside a segment, a segment
/// without its ETB, an empty one, and frames that are neither data nor command.
pub fn parse(frame: &Frame) -> Result<Message<'_>, DecodeError> {
    let bytes = &frame.raw[frame.start..frame.end];
    match bytes.get(..OPENING_LEN) {
        Some([SOH, b'D', _, _, STX]) => blocks(frame).map(Message::Data),
        Some([SOH, b'C', b'*', b'*', STX]) if bytes[OPENING_LEN..] == [b'R', b'S', ETB] => {
            Ok(Message::RequestToSend)
        }
        Some([SOH, b'C', _, _, STX]) => Ok(Message::Command),
        _ => {
            // Errors are logged: what was sent stands in none of them.
            let message = "a frame that begins neither with D nor with C is not read here";
            Err(DecodeError::new(ErrorCode::WrongKind, frame.start, message))
        }
    }
}

fn blocks(frame: &Frame) -> Result<Vec<Block<'_>>, DecodeError> {
    let mut blocks = Vec::new();
    let mut start = frame.start;
    let mut budget = SEGMENTS_MAX;
    while start < frame.end {
        let inside = &frame.raw[start + 1..frame.end];
        let end = inside.iter().position(|byte| *byte == SOH);
        let end = end.map_or(frame.end, |at| start + 1 + at);
        blocks.push(block(&frame.raw[..end], start, &mut budget)?);
        start = end;
    }
    Ok(blocks)
}

/// One block: from its SOH at `start` to the end of `raw`.
fn block<'a>(raw: &'a [u8], start: usize, budget: &mut usize) -> Result<Block<'a>, DecodeError> {
    let malformed = |at: usize, message: &str| DecodeError::new(ErrorCode::Malformed, at, message);
    let code = match &raw[start..] {
        [SOH, code @ ..] if code.len() >= 4 && code[3] == STX => str::from_utf8(&code[..3]),
        _ => return Err(malformed(start, "not the opening of a block")),
    };
    let code = code.map_err(|_| malformed(start + 1, "not the code of a block"))?;
    let mut segments = Vec::new();
    let mut at = behind_line_end(raw, start + OPENING_LEN);
    while at < raw.len() {
        let Some(len) = raw[at..].iter().position(|byte| *byte == ETB) else {
            return Err(malformed(at, "a segment without its end"));
        };
        segments.push(segment(&raw[at..at + len], at)?);
        *budget = budget
            .checked_sub(1)
            .ok_or_else(|| malformed(at, "more segments than any instrument sends"))?;
        at = behind_line_end(raw, at + len + 1);
    }
    Ok(Block { code, segments })
}

/// Skips CR, LF or both.
fn behind_line_end(raw: &[u8], at: usize) -> usize {
    let at = at + usize::from(raw.get(at) == Some(&b'\r'));
    at + usize::from(raw.get(at) == Some(&b'\n'))
}

fn segment(bytes: &[u8], offset: usize) -> Result<Field<'_>, DecodeError> {
    if let Some(at) = bytes.iter().position(|byte| !matches!(byte, b' '..=b'~')) {
        let message = "a byte inside a segment that is no printable ASCII";
        return Err(DecodeError::new(ErrorCode::Malformed, offset + at, message));
    }
    if bytes.is_empty() {
        return Err(DecodeError::new(ErrorCode::Malformed, offset, "an empty segment"));
    }
    let text = str::from_utf8(bytes).expect("printable ASCII is UTF-8");
    Ok(Field::new(text, offset, &text[..text.len().min(2)]))
}

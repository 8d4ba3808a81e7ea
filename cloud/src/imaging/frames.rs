//! Where each frame of an instance lies in its file, so that one frame can be read without the rest.

use super::{
    data_set::Span,
    header::{Header, PixelFormat, Table, geometry::FRAMES_MAX},
};
use std::{
    borrow::Cow,
    io::{self, BufReader, Read, Seek, SeekFrom},
};

/// Longest frame as it is stored, and as it is decoded, in bytes.
pub const FRAME_BYTES_MAX: u64 = 96 * 1024 * 1024;
/// Most fragments of one instance.
pub const FRAGMENTS_MAX: usize = 65_536;

const ITEM: [u8; 4] = [0xFE, 0xFF, 0x00, 0xE0];
const SEQUENCE_END: [u8; 4] = [0xFE, 0xFF, 0xDD, 0xE0];
const ITEM_HEAD_BYTES: u64 = 8;

/// Why frames cannot be found in a file.
#[derive(Debug, thiserror::Error)]
pub enum FramesError {
    #[error("the instance has no pixels")]
    NoPixels,
    #[error("the instance says it has {0} frames; at most {FRAMES_MAX} can be shown")]
    TooManyFrames(u32),
    #[error("a frame of {0} bytes is longer than {FRAME_BYTES_MAX} bytes")]
    FrameTooLong(u64),
    #[error("{frames} frames of {frame_bytes} bytes are promised, {len_bytes} bytes are there")]
    Short { frames: u32, frame_bytes: u64, len_bytes: u64 },
    #[error("pixels of {0} bits cannot be taken apart into frames")]
    Bits(u16),
    #[error("what stands at byte {0} is no fragment of a frame")]
    NoFragment(u64),
    #[error("the pixels have more than {FRAGMENTS_MAX} fragments")]
    TooManyFragments,
    #[error(
        "{frames} frames are promised in {fragments} fragments, and no table says which is whose"
    )]
    Undivided { frames: u32, fragments: usize },
    #[error("cannot read the file: {0}")]
    Read(#[from] io::Error),
}

/// The frames of a file, in the order in which they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameIndex {
    /// Native: the frame's bytes. Encapsulated: its fragments with the heads of their items.
    spans: Vec<Span>,
    encapsulated: bool,
}

impl FrameIndex {
    pub fn len(&self) -> usize {
        self.spans.len()
    }
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
    /// Where to read frame `frame`, which counts from 0.
    pub fn span(&self, frame: usize) -> Option<Span> {
        self.spans.get(frame).copied()
    }

    /// The frame's bytes from what was read at its [`Self::span`].
    pub fn payload<'a>(&self, read: &'a [u8]) -> Result<Cow<'a, [u8]>, FramesError> {
        if self.encapsulated { joined(read) } else { Ok(Cow::Borrowed(read)) }
    }
}

/// Finds the frames of a file with this header. Reads heads of fragments only.
pub fn index<R: Read + Seek>(reader: R, header: &Header) -> Result<FrameIndex, FramesError> {
    let format = header.pixels.as_ref().ok_or(FramesError::NoPixels)?;
    if header.frames == 0 {
        return Err(FramesError::NoPixels);
    }
    if header.frames > FRAMES_MAX {
        return Err(FramesError::TooManyFrames(header.frames));
    }
    let spans = match format.len {
        Some(len) => native(format, header.frames, len)?,
        None => Fragments::new(reader, format)?.frames(header.frames)?,
    };
    match spans.iter().find(|span| span.len > FRAME_BYTES_MAX) {
        Some(span) => Err(FramesError::FrameTooLong(span.len)),
        None => Ok(FrameIndex { spans, encapsulated: format.len.is_none() }),
    }
}

/// Length of a native frame, in bytes.
pub fn native_frame_bytes(format: &PixelFormat) -> Result<u64, FramesError> {
    let samples = match format.photometric.as_str() {
        // Two pixels share their colour.
        "YBR_FULL_422" | "YBR_PARTIAL_422" => 2,
        _ => u64::from(format.samples_per_pixel),
    };
    let pixels = u64::from(format.rows) * u64::from(format.columns) * samples;
    match format.bits_allocated {
        8 | 16 | 32 => Ok(pixels * u64::from(format.bits_allocated / 8)),
        1 if pixels % 8 == 0 => Ok(pixels / 8),
        bits => Err(FramesError::Bits(bits)),
    }
}

fn native(format: &PixelFormat, frames: u32, len_bytes: u64) -> Result<Vec<Span>, FramesError> {
    let frame_bytes = native_frame_bytes(format)?;
    if frame_bytes == 0 {
        return Err(FramesError::NoPixels);
    }
    if frame_bytes.saturating_mul(u64::from(frames)) > len_bytes {
        return Err(FramesError::Short { frames, frame_bytes, len_bytes });
    }
    let span = |frame| Span { offset: format.offset + frame * frame_bytes, len: frame_bytes };
    Ok((0..u64::from(frames)).map(span).collect())
}

/// The fragments of encapsulated pixels (PS3.5, A.4).
struct Fragments<'a, R> {
    source: BufReader<R>,
    format: &'a PixelFormat,
    /// Of the file.
    end: u64,
    /// The head of the first fragment, from which tables count.
    first: u64,
    basic_offsets: Vec<u64>,
}

impl<'a, R: Read + Seek> Fragments<'a, R> {
    fn new(mut reader: R, format: &'a PixelFormat) -> Result<Self, FramesError> {
        let end = reader.seek(SeekFrom::End(0))?;
        reader.seek(SeekFrom::Start(format.offset))?;
        let mut source = BufReader::with_capacity(4096, reader);
        let (tag, len) = head(&mut source)?;
        let table_bytes = u64::from(len);
        let first = format.offset + ITEM_HEAD_BYTES + table_bytes;
        if tag != ITEM || table_bytes > 4 * u64::from(FRAMES_MAX) || first > end {
            return Err(FramesError::NoFragment(format.offset));
        }
        let mut table = vec![0; len as usize];
        source.read_exact(&mut table)?;
        let offsets = table.as_chunks::<4>().0.iter();
        let basic_offsets = offsets.map(|four| u64::from(u32::from_le_bytes(*four))).collect();
        Ok(Fragments { source, format, end, first, basic_offsets })
    }

    fn frames(mut self, frames: u32) -> Result<Vec<Span>, FramesError> {
        if let Some(spans) = self.by_extended_table(frames)? {
            return Ok(spans);
        }
        let basic = std::mem::take(&mut self.basic_offsets);
        if let Some(spans) = self.by_offsets(&basic, frames) {
            return Ok(spans);
        }
        self.by_walking(frames)
    }

    /// By the Extended Offset Table, where every frame is one fragment of known length.
    fn by_extended_table(&mut self, frames: u32) -> Result<Option<Vec<Span>>, FramesError> {
        let offsets = self.table(self.format.extended_offsets.as_ref(), frames)?;
        let lengths = self.table(self.format.extended_lengths.as_ref(), frames)?;
        let (Some(offsets), Some(lengths)) = (offsets, lengths) else { return Ok(None) };
        let mut spans = Vec::with_capacity(offsets.len());
        for (offset, len) in offsets.into_iter().zip(lengths) {
            // The item is padded to even length.
            let len = ITEM_HEAD_BYTES.checked_add(len.saturating_add(len % 2));
            let start = self.first.checked_add(offset);
            match (start, len) {
                (Some(offset), Some(len)) if offset.saturating_add(len) <= self.end => {
                    spans.push(Span { offset, len });
                }
                _ => return Err(FramesError::NoFragment(self.first.saturating_add(offset))),
            }
        }
        Ok(Some(spans))
    }

    fn table(
        &mut self,
        table: Option<&Table>,
        frames: u32,
    ) -> Result<Option<Vec<u64>>, FramesError> {
        let numbers = match table {
            None => return Ok(None),
            Some(Table::Here(numbers)) => numbers.clone(),
            Some(Table::Elsewhere(span)) if span.len <= 8 * u64::from(FRAMES_MAX) => {
                self.source.seek(SeekFrom::Start(span.offset))?;
                let mut bytes = vec![0; span.len as usize];
                self.source.read_exact(&mut bytes)?;
                bytes.as_chunks::<8>().0.iter().map(|eight| u64::from_le_bytes(*eight)).collect()
            }
            Some(Table::Elsewhere(span)) => return Err(FramesError::NoFragment(span.offset)),
        };
        Ok((numbers.len() == frames as usize).then_some(numbers))
    }

    /// By the Basic Offset Table. None where the table cannot be right; then the fragments say it.
    fn by_offsets(&self, offsets: &[u64], frames: u32) -> Option<Vec<Span>> {
        let rises = offsets.first() == Some(&0) && offsets.is_sorted_by(|one, next| one < next);
        if offsets.len() != frames as usize || !rises {
            return None;
        }
        let starts = offsets.iter().map(|offset| self.first + offset);
        let ends = offsets[1..].iter().map(|offset| self.first + offset);
        let spans: Vec<Span> = starts
            .zip(ends.chain([self.end]))
            .map(|(offset, end)| Span { offset, len: end.saturating_sub(offset) })
            .collect();
        spans.iter().all(|span| span.len >= ITEM_HEAD_BYTES).then_some(spans)
    }

    /// By the heads of all fragments.
    fn by_walking(mut self, frames: u32) -> Result<Vec<Span>, FramesError> {
        let mut fragments: Vec<Span> = Vec::new();
        let mut starts_frame = Vec::new();
        let mut at = self.first;
        self.source.seek(SeekFrom::Start(at))?;
        loop {
            let (tag, len) = head(&mut self.source)?;
            let next = at + ITEM_HEAD_BYTES + u64::from(len);
            if tag == SEQUENCE_END {
                break;
            }
            if tag != ITEM || next > self.end {
                return Err(FramesError::NoFragment(at));
            }
            if fragments.len() == FRAGMENTS_MAX {
                return Err(FramesError::TooManyFragments);
            }
            fragments.push(Span { offset: at, len: next - at });
            starts_frame.push(self.begins_image(len)?);
            at = next;
        }
        let count = fragments.len();
        if count == frames as usize {
            return Ok(fragments);
        }
        let starts: Vec<usize> = match frames {
            1 if count > 0 => vec![0],
            _ => (0..count).filter(|place| starts_frame[*place]).collect(),
        };
        if starts.len() != frames as usize || starts.first() != Some(&0) {
            return Err(FramesError::Undivided { frames, fragments: count });
        }
        let ends = starts[1..].iter().copied().chain([count]);
        Ok(starts
            .iter()
            .zip(ends)
            .map(|(start, end)| {
                let offset = fragments[*start].offset;
                let last = fragments[end - 1];
                Span { offset, len: last.offset + last.len - offset }
            })
            .collect())
    }

    /// Whether a fragment begins as a compressed picture does; passes over it.
    fn begins_image(&mut self, len: u32) -> Result<bool, FramesError> {
        let mut begin = [0; 4];
        let seen = begin.len().min(len as usize);
        self.source.read_exact(&mut begin[..seen])?;
        self.source.seek_relative(i64::from(len) - seen as i64)?;
        // JPEG and JPEG-LS, a JPEG 2000 codestream, a JP2 file.
        Ok(begin.starts_with(&[0xFF, 0xD8, 0xFF])
            || begin == [0xFF, 0x4F, 0xFF, 0x51]
            || begin == [0x00, 0x00, 0x00, 0x0C])
    }
}

fn head(source: &mut impl Read) -> io::Result<([u8; 4], u32)> {
    let mut bytes = [0; 8];
    source.read_exact(&mut bytes)?;
    let [tag, len] = [0, 4].map(|at| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    Ok((tag, u32::from_le_bytes(len)))
}

/// The fragments of one frame without the heads of their items.
fn joined(mut read: &[u8]) -> Result<Cow<'_, [u8]>, FramesError> {
    let mut whole: Cow<[u8]> = Cow::Borrowed(&[]);
    while read.len() >= ITEM_HEAD_BYTES as usize {
        let mut rest = read;
        let (tag, len) = head(&mut rest)?;
        if tag == SEQUENCE_END {
            break;
        }
        if tag != ITEM || len as usize > rest.len() {
            return Err(FramesError::NoFragment(0));
        }
        let (fragment, behind) = rest.split_at(len as usize);
        if whole.is_empty() {
            whole = Cow::Borrowed(fragment);
        } else {
            whole.to_mut().extend_from_slice(fragment);
        }
        read = behind;
    }
    if whole.is_empty() { Err(FramesError::NoFragment(0)) } else { Ok(whole) }
}

#[cfg(test)]
mod tests {
    use super::super::{
        dicom::{EXPLICIT, Set},
        header,
    };
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn image(frames: u32, rows: u16, columns: u16) -> Set {
        Set::default()
            .us(0x0028_0002, &[1])
            .text(0x0028_0004, "CS", "MONOCHROME2")
            .text(0x0028_0008, "IS", &frames.to_string())
            .us(0x0028_0010, &[rows])
            .us(0x0028_0011, &[columns])
            .us(0x0028_0100, &[8])
    }

    /// Reads every frame of a file by its span.
    fn frames(file: &[u8]) -> Result<Vec<Vec<u8>>, FramesError> {
        let header = header::read(Cursor::new(file)).unwrap();
        let index = index(Cursor::new(file), &header)?;
        (0..index.len())
            .map(|frame| {
                let span = index.span(frame).unwrap();
                let read = &file[span.offset as usize..(span.offset + span.len) as usize];
                Ok(index.payload(read)?.into_owned())
            })
            .collect()
    }

    #[test]
    fn native_frames_lie_one_after_another() {
        let file = image(3, 1, 4).pixels(8, b"aaaabbbbcccc").file(EXPLICIT);
        assert_eq!(frames(&file).unwrap(), [b"aaaa", b"bbbb", b"cccc"]);
    }

    #[test]
    fn more_frames_than_bytes_are_refused() {
        let file = image(4, 1, 4).pixels(8, b"aaaabbbbcccc").file(EXPLICIT);
        let error = frames(&file).unwrap_err();
        assert!(matches!(error, FramesError::Short { frames: 4, .. }), "{error}");
        let file = image(4_000_000_000, 1, 4).pixels(8, b"aaaa").file(EXPLICIT);
        assert!(matches!(frames(&file).unwrap_err(), FramesError::TooManyFrames(_)));
        let file = image(0, 1, 4).pixels(8, b"aaaa").file(EXPLICIT);
        assert!(matches!(frames(&file).unwrap_err(), FramesError::NoPixels));
    }

    fn parts() -> Vec<Vec<u8>> {
        vec![b"\xFF\xD8\xFFone".to_vec(), b"more".to_vec(), b"\xFF\xD8\xFFtwo".to_vec()]
    }

    #[test]
    fn a_basic_offset_table_joins_fragments_to_frames() {
        let file = image(2, 1, 4).fragments(&[0, 26], parts()).file(EXPLICIT);
        assert_eq!(frames(&file).unwrap(), [&b"\xFF\xD8\xFFonemore"[..], b"\xFF\xD8\xFFtwo"]);
    }

    #[test]
    fn without_a_table_the_fragments_say_where_frames_begin() {
        let file = image(2, 1, 4).fragments(&[], parts()).file(EXPLICIT);
        assert_eq!(frames(&file).unwrap(), [&b"\xFF\xD8\xFFonemore"[..], b"\xFF\xD8\xFFtwo"]);
        let file = image(3, 1, 4).fragments(&[], parts()).file(EXPLICIT);
        assert_eq!(frames(&file).unwrap(), parts());
        let file = image(1, 1, 4).fragments(&[], parts()).file(EXPLICIT);
        assert_eq!(frames(&file).unwrap(), [parts().concat()]);
    }

    #[test]
    fn a_table_that_lies_is_not_believed() {
        for table in [&[0, 9_000_000][..], &[4, 26], &[0, 0], &[26, 0]] {
            let file = image(2, 1, 4).fragments(table, parts()).file(EXPLICIT);
            let found = frames(&file).unwrap();
            assert_eq!(found, [&b"\xFF\xD8\xFFonemore"[..], b"\xFF\xD8\xFFtwo"], "{table:?}");
        }
        let inside_a_fragment = image(2, 1, 4).fragments(&[0, 20], parts()).file(EXPLICIT);
        assert!(matches!(frames(&inside_a_fragment).unwrap_err(), FramesError::NoFragment(_)));
    }

    #[test]
    fn an_extended_offset_table_is_used_and_checked() {
        let numbers =
            |values: &[u64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
        let with = |offsets: &[u64], lengths: &[u64]| {
            image(2, 1, 4)
                .raw(0x7FE0_0001, "OV", &numbers(offsets))
                .raw(0x7FE0_0002, "OV", &numbers(lengths))
                .fragments(&[], vec![b"first!".to_vec(), b"second".to_vec()])
                .file(EXPLICIT)
        };
        assert_eq!(frames(&with(&[0, 14], &[6, 6])).unwrap(), [b"first!", b"second"]);
        let error = frames(&with(&[0, u64::MAX - 3], &[6, 6])).unwrap_err();
        assert!(matches!(error, FramesError::NoFragment(_)), "{error}");
        assert!(frames(&with(&[0, 14], &[6, u64::MAX])).is_err());
    }

    #[test]
    fn frames_that_nothing_divides_are_refused() {
        let parts = vec![b"ab".to_vec(), b"cd".to_vec(), b"ef".to_vec()];
        let file = image(2, 1, 4).fragments(&[], parts).file(EXPLICIT);
        let error = frames(&file).unwrap_err();
        assert!(matches!(error, FramesError::Undivided { frames: 2, fragments: 3 }), "{error}");
    }

    proptest! {
        #[test]
        fn no_table_and_no_fragment_makes_it_panic(
            offsets in proptest::collection::vec(any::<u32>(), 0..5),
            extended in proptest::collection::vec(any::<u8>(), 0..40),
            count in 0u32..6,
            at in 0usize..200, bytes in proptest::collection::vec(any::<u8>(), 1..9),
        ) {
            let set = image(count, 1, 4)
                .raw(0x7FE0_0001, "OV", &extended)
                .raw(0x7FE0_0002, "OV", &extended)
                .fragments(&offsets, parts());
            let mut file = set.file(EXPLICIT);
            let len = file.len();
            for (place, byte) in bytes.iter().enumerate() {
                let tail = len - 1 - (at + place) % 100;
                file[tail] = *byte;
            }
            if header::read(Cursor::new(&file)).is_ok() {
                let _ = frames(&file);
            }
        }
    }
}

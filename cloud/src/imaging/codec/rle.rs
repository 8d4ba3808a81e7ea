//! RLE (PS3.5, annex G): bytes of equal meaning stand together, packed as PackBits.

use super::{CodecError, damaged, pixel_count};
use crate::imaging::header::PixelFormat;

const SYNTAX: &str = "RLE";
const HEAD_BYTES: usize = 64;

/// Samples colour by colour, in little endian.
pub fn unpack(format: &PixelFormat, bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
    let count = pixel_count(format);
    let sample_bytes = usize::from(format.bits_allocated / 8).max(1);
    let samples = usize::from(format.samples_per_pixel);
    let head = bytes.get(..HEAD_BYTES).ok_or_else(|| damaged(SYNTAX, "its head is cut off"))?;
    let numbers: Vec<usize> =
        head.as_chunks::<4>().0.iter().map(|four| u32::from_le_bytes(*four) as usize).collect();
    let segments = numbers[0];
    if segments != samples * sample_bytes {
        let reason =
            format!("it has {segments} segments, the pixels need {}", samples * sample_bytes);
        return Err(damaged(SYNTAX, reason));
    }
    let mut unpacked = vec![0; count * samples * sample_bytes];
    for segment in 0..segments {
        let start = numbers[1 + segment];
        let end = if segment + 1 < segments { numbers[2 + segment] } else { bytes.len() };
        let packed = bytes
            .get(start..end)
            .ok_or_else(|| damaged(SYNTAX, format!("segment {segment} lies outside of it")))?;
        // The most significant byte comes first.
        let first = segment / sample_bytes * count * sample_bytes
            + (sample_bytes - 1 - segment % sample_bytes);
        let places = unpacked[first..].iter_mut().step_by(sample_bytes).take(count);
        unpack_segment(packed, places)?;
    }
    Ok(unpacked)
}

fn unpack_segment<'a>(
    mut packed: &[u8],
    mut places: impl ExactSizeIterator<Item = &'a mut u8>,
) -> Result<(), CodecError> {
    let short = || damaged(SYNTAX, "a segment ends too early");
    while places.len() > 0 {
        let (head, rest) = packed.split_first().ok_or_else(short)?;
        packed = rest;
        match *head {
            128 => {}
            head @ 0..128 => {
                let len = usize::from(head) + 1;
                let (literal, rest) = packed.split_at_checked(len).ok_or_else(short)?;
                packed = rest;
                places.by_ref().zip(literal).for_each(|(place, byte)| *place = *byte);
            }
            head => {
                let (byte, rest) = packed.split_first().ok_or_else(short)?;
                packed = rest;
                places.by_ref().take(257 - usize::from(head)).for_each(|place| *place = *byte);
            }
        }
    }
    Ok(())
}

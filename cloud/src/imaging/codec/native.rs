//! Uncompressed pixels: bits within samples, samples within pixels, colours (PS3.3, C.7.6.3.1).

use super::{CodecError, Frame, Pixels, damaged, frame, pixel_count};
use crate::imaging::header::PixelFormat;

const SYNTAX: &str = "uncompressed pixels";

pub fn decode(format: &PixelFormat, bytes: &[u8], big_endian: bool) -> Result<Frame, CodecError> {
    let count = pixel_count(format);
    let pixels = match (format.samples_per_pixel, format.bits_allocated) {
        (1, 1) => Pixels::Gray8(bits(bytes, count)?),
        (1, 8) => Pixels::Gray8(gray8(format, take(bytes, count)?)),
        (1, _) => Pixels::Gray16(gray16(format, take(bytes, 2 * count)?, big_endian)),
        (_, 8) if format.photometric.ends_with("_422") => {
            Pixels::Rgb(from_422(take(bytes, 2 * count)?))
        }
        (_, 8) => Pixels::Rgb(colour(format, interleaved(format, take(bytes, 3 * count)?))),
        _ => {
            let samples = gray16(format, take(bytes, 6 * count)?, big_endian);
            // Shown with 8 bits per colour.
            let scale = |sample: u16| match format.bits_stored {
                bits @ 9.. => (sample >> (bits - 8)) as u8,
                bits => (sample << (8 - bits)) as u8,
            };
            let samples: Vec<u8> = samples.into_iter().map(scale).collect();
            Pixels::Rgb(colour(format, interleaved(format, &samples)))
        }
    };
    Ok(frame(format, pixels))
}

fn take(bytes: &[u8], len: usize) -> Result<&[u8], CodecError> {
    bytes.get(..len).ok_or_else(|| {
        damaged(SYNTAX, format!("{len} bytes are needed, {} are there", bytes.len()))
    })
}

/// The stored bits of samples of 8, without what may stand beside them.
fn gray8(format: &PixelFormat, bytes: &[u8]) -> Vec<u8> {
    if format.bits_stored == 8 {
        return bytes.to_vec();
    }
    let shift = format.high_bit + 1 - format.bits_stored;
    let mask = ((1u16 << format.bits_stored) - 1) as u8;
    bytes.iter().map(|byte| (byte >> shift) & mask).collect()
}

fn gray16(format: &PixelFormat, bytes: &[u8], big_endian: bool) -> Vec<u16> {
    let shift = format.high_bit + 1 - format.bits_stored;
    let mask = ((1u32 << format.bits_stored) - 1) as u16;
    let read = if big_endian { u16::from_be_bytes } else { u16::from_le_bytes };
    bytes.as_chunks::<2>().0.iter().map(|two| (read(*two) >> shift) & mask).collect()
}

/// One bit per pixel, the lowest bit of a byte first (PS3.5, 8.1.1).
fn bits(bytes: &[u8], count: usize) -> Result<Vec<u8>, CodecError> {
    let bytes = take(bytes, count.div_ceil(8))?;
    Ok((0..count).map(|pixel| (bytes[pixel / 8] >> (pixel % 8)) & 1).collect())
}

/// Samples pixel by pixel, from samples colour by colour.
fn interleaved(format: &PixelFormat, samples: &[u8]) -> Vec<u8> {
    if !format.planar {
        return samples.to_vec();
    }
    let count = samples.len() / 3;
    let (red, rest) = samples.split_at(count);
    let (green, blue) = rest.split_at(count);
    red.iter().zip(green).zip(blue).flat_map(|((red, green), blue)| [*red, *green, *blue]).collect()
}

fn colour(format: &PixelFormat, mut samples: Vec<u8>) -> Vec<u8> {
    if format.photometric == "YBR_FULL" {
        for pixel in samples.as_chunks_mut::<3>().0 {
            *pixel = rgb(*pixel);
        }
    }
    samples
}

/// Two pixels as brightness, brightness, blue, red.
fn from_422(bytes: &[u8]) -> Vec<u8> {
    bytes
        .as_chunks::<4>()
        .0
        .iter()
        .flat_map(|[one, two, blue, red]| [[*one, *blue, *red], [*two, *blue, *red]])
        .flat_map(rgb)
        .collect()
}

/// PS3.3, C.7.6.3.1.2.
fn rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    [y + 1.402 * cr, y - 0.344_14 * cb - 0.714_14 * cr, y + 1.772 * cb]
        .map(|value| value.round().clamp(0.0, 255.0) as u8)
}

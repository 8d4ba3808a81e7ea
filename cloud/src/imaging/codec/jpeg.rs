//! JPEG: baseline, extended and progressive with 8 bits, lossless with up to 16.

use super::{CodecError, Frame, Pixels, damaged, frame, pixel_count, same_size};
use crate::imaging::header::PixelFormat;
use jpeg_decoder::{ColorTransform, Decoder, Error, PixelFormat as Kind, UnsupportedFeature};

const SYNTAX: &str = "JPEG";

pub fn decode(format: &PixelFormat, bytes: &[u8]) -> Result<Frame, CodecError> {
    let mut decoder = Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(8 * pixel_count(format));
    decoder.read_info().map_err(refused)?;
    let info = decoder.info().ok_or_else(|| damaged(SYNTAX, "it has no head"))?;
    same_size(format, SYNTAX, info.width.into(), info.height.into())?;
    // Lossless JPEG keeps the samples as they were; nothing in it tells of colours.
    if is_lossless(bytes) && format.photometric == "RGB" {
        decoder.set_color_transform(ColorTransform::RGB);
    }
    let samples = decoder.decode().map_err(refused)?;
    let pixels = match info.pixel_format {
        Kind::L8 if format.samples_per_pixel == 1 && format.bits_allocated == 8 => {
            Pixels::Gray8(samples)
        }
        Kind::L8 if format.samples_per_pixel == 1 => {
            Pixels::Gray16(samples.into_iter().map(u16::from).collect())
        }
        Kind::L16 if format.samples_per_pixel == 1 => {
            let mask = ((1u32 << format.bits_stored) - 1) as u16;
            let samples = samples.as_chunks::<2>().0.iter();
            Pixels::Gray16(samples.map(|two| u16::from_ne_bytes(*two) & mask).collect())
        }
        Kind::RGB24 if format.samples_per_pixel == 3 => Pixels::Rgb(samples),
        kind => return Err(damaged(SYNTAX, format!("{kind:?} is not what the header says"))),
    };
    Ok(frame(format, pixels))
}

/// Whether browsers show these bytes as they are: 8 bits, baseline or progressive, with colours
/// that the file itself tells.
pub fn is_for_browsers(bytes: &[u8]) -> bool {
    let mut decoder = Decoder::new(bytes);
    decoder.read_info().is_ok()
        && !is_lossless(bytes)
        && decoder.info().is_some_and(|info| matches!(info.pixel_format, Kind::L8 | Kind::RGB24))
}

/// By the frame's marker: SOF3.
fn is_lossless(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some([0xFF, marker, high, low]) = bytes.get(at..at + 4) {
        match marker {
            0xC3 => return true,
            0xC0..=0xC2 | 0xDA => return false,
            _ => at += 2 + usize::from(u16::from_be_bytes([*high, *low])),
        }
    }
    false
}

fn refused(error: Error) -> CodecError {
    match error {
        Error::Unsupported(UnsupportedFeature::SamplePrecision(bits)) => {
            CodecError::Unsupported(format!("JPEG with {bits} bits"))
        }
        Error::Unsupported(feature) => CodecError::Unsupported(format!("JPEG with {feature:?}")),
        other => damaged(SYNTAX, other),
    }
}

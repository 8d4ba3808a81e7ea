//! JPEG 2000, lossless and lossy, with up to 16 bits.

use super::{CodecError, Frame, Pixels, damaged, frame, pixel_count, same_size};
use crate::imaging::header::PixelFormat;
use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

const SYNTAX: &str = "JPEG 2000";

pub fn decode(format: &PixelFormat, bytes: &[u8]) -> Result<Frame, CodecError> {
    let image = Image::new(bytes, &DecodeSettings::default()).map_err(refused)?;
    same_size(format, SYNTAX, image.width(), image.height())?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(refused)?;
    let components = decoded.components();
    let count = pixel_count(format);
    if components.iter().any(|component| component.samples().len() != count) {
        return Err(damaged(SYNTAX, "its components differ in size"));
    }
    // The decoder moves signed samples up to begin with 0; back to two's complement.
    let flip = if is_signed(bytes) && format.signed { 1u16 << (format.bits_stored - 1) } else { 0 };
    let pixels = match (components, format.samples_per_pixel) {
        ([gray], 1) if format.bits_stored <= 8 => {
            let value = |value: &f32| whole(*value, 255.0) ^ flip;
            Pixels::Gray8(gray.samples().iter().map(|it| value(it) as u8).collect())
        }
        ([gray], 1) => {
            let most = ((1u32 << format.bits_stored) - 1) as f32;
            Pixels::Gray16(gray.samples().iter().map(|value| whole(*value, most) ^ flip).collect())
        }
        ([red, green, blue], 3) => {
            let byte = |component: &hayro_jpeg2000::ComponentData, pixel: usize| {
                let most = ((1u32 << component.bit_depth().clamp(1, 16)) - 1) as f32;
                whole(component.samples()[pixel] * 255.0 / most, 255.0) as u8
            };
            let pixel = |at| [byte(red, at), byte(green, at), byte(blue, at)];
            Pixels::Rgb((0..count).flat_map(pixel).collect())
        }
        (components, samples) => {
            let reason = format!("it has {} colours, the header {samples}", components.len());
            return Err(damaged(SYNTAX, reason));
        }
    };
    Ok(frame(format, pixels))
}

/// Whether the codestream's first component has a sign (ISO/IEC 15444-1, A.5.1).
fn is_signed(bytes: &[u8]) -> bool {
    const SSIZ: usize = 42;
    let start = bytes.windows(4).position(|four| four == [0xFF, 0x4F, 0xFF, 0x51]);
    start.and_then(|start| bytes.get(start + SSIZ)).is_some_and(|ssiz| ssiz & 0x80 != 0)
}

fn whole(value: f32, most: f32) -> u16 {
    value.round().clamp(0.0, most) as u16
}

fn refused(error: hayro_jpeg2000::DecodeError) -> CodecError {
    damaged(SYNTAX, error)
}

//! From a frame's bytes to its pixels, by transfer syntax.

mod jpeg;
mod jpeg_2000;
mod jpeg_ls;
mod native;
mod rle;
#[cfg(test)]
mod tests;

use super::{
    frames::FRAME_BYTES_MAX,
    header::{Header, PixelFormat},
    walk,
};

/// Most pixels of one frame: what an eye camera of the largest kind takes, four times.
pub const PIXELS_MAX: u64 = 64 * 1024 * 1024;

/// Why a frame cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Nothing is wrong with the instance; we cannot decode its kind.
    #[error("frames in {0} cannot be shown here")]
    Unsupported(String),
    #[error("the frame is {columns} x {rows} pixels; at most {PIXELS_MAX} can be shown")]
    TooLarge { columns: u32, rows: u32 },
    #[error("the frame does not decode as {syntax}: {reason}")]
    Damaged { syntax: &'static str, reason: String },
}

/// A decoded frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub columns: u32,
    pub rows: u32,
    pub pixels: Pixels,
}

/// Row by row from the top left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pixels {
    /// Stored values of up to 8 bits.
    Gray8(Vec<u8>),
    /// Stored values of up to 16 bits, without the bits beside them. Signed ones as two's
    /// complement of `bits_stored` bits.
    Gray16(Vec<u16>),
    /// Red, green, blue.
    Rgb(Vec<u8>),
}

/// Decodes one frame.
pub fn decode(
    format: &PixelFormat,
    transfer_syntax_uid: &str,
    bytes: &[u8],
) -> Result<Frame, CodecError> {
    check(format)?;
    match transfer_syntax_uid {
        walk::IMPLICIT_LITTLE | walk::EXPLICIT_LITTLE | walk::DEFLATED_LITTLE => {
            native::decode(format, bytes, false)
        }
        walk::EXPLICIT_BIG => native::decode(format, bytes, true),
        "1.2.840.10008.1.2.5" => {
            native::decode(&planar(format), &rle::unpack(format, bytes)?, false)
        }
        "1.2.840.10008.1.2.4.50"
        | "1.2.840.10008.1.2.4.51"
        | "1.2.840.10008.1.2.4.57"
        | "1.2.840.10008.1.2.4.70" => jpeg::decode(format, bytes),
        "1.2.840.10008.1.2.4.80" | "1.2.840.10008.1.2.4.81" => jpeg_ls::decode(format, bytes),
        "1.2.840.10008.1.2.4.90" | "1.2.840.10008.1.2.4.91" => jpeg_2000::decode(format, bytes),
        other => Err(CodecError::Unsupported(syntax_name(other))),
    }
}

/// Whether frames like this can be decoded at all.
pub fn can_decode(format: &PixelFormat, transfer_syntax_uid: &str) -> Result<(), CodecError> {
    match decode(format, transfer_syntax_uid, &[]) {
        Err(error @ CodecError::Damaged { syntax: "pixels", .. }) => Err(error),
        Ok(_) | Err(CodecError::Damaged { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether a stored frame is a picture that browsers show as it is meant.
pub fn is_for_browsers(header: &Header, bytes: &[u8]) -> bool {
    let is_jpeg = matches!(
        header.transfer_syntax_uid.as_str(),
        "1.2.840.10008.1.2.4.50" | "1.2.840.10008.1.2.4.51"
    );
    let is_upright = header.pixels.as_ref().is_some_and(|format| {
        format.photometric != "MONOCHROME1" && format.bits_stored == 8 && !format.signed
    });
    is_jpeg && is_upright && jpeg::is_for_browsers(bytes)
}

/// What people call a transfer syntax.
pub fn syntax_name(uid: &str) -> String {
    match uid {
        "1.2.840.10008.1.2.4.50" => "JPEG (baseline)".into(),
        "1.2.840.10008.1.2.4.51" => "JPEG (extended)".into(),
        "1.2.840.10008.1.2.4.57" | "1.2.840.10008.1.2.4.70" => "JPEG (lossless)".into(),
        "1.2.840.10008.1.2.4.80" | "1.2.840.10008.1.2.4.81" => "JPEG-LS".into(),
        "1.2.840.10008.1.2.4.90" | "1.2.840.10008.1.2.4.91" => "JPEG 2000".into(),
        "1.2.840.10008.1.2.4.100" | "1.2.840.10008.1.2.4.101" => "MPEG-2 video".into(),
        uid if uid.starts_with("1.2.840.10008.1.2.4.10") => "MPEG-4 video".into(),
        uid if uid.starts_with("1.2.840.10008.1.2.4.20") => "High-Throughput JPEG 2000".into(),
        "1.2.840.10008.1.2.5" => "RLE".into(),
        uid if uid.starts_with("1.2.840.10008.1.2.4") => format!("a compression ({uid})"),
        uid if uid.starts_with("1.2.840.10008.1.2") => "uncompressed pixels".into(),
        uid => format!("a maker's own format ({uid})"),
    }
}

/// Limits before anything is decoded, and kinds of pixels that nobody here can show.
fn check(format: &PixelFormat) -> Result<(), CodecError> {
    let (columns, rows) = (u32::from(format.columns), u32::from(format.rows));
    let pixels = u64::from(columns) * u64::from(rows);
    if pixels == 0 || pixels > PIXELS_MAX {
        return Err(CodecError::TooLarge { columns, rows });
    }
    let stored_in = match format.bits_allocated {
        1 | 8 | 16 => format.bits_allocated,
        bits => return Err(CodecError::Unsupported(format!("samples of {bits} bits"))),
    };
    let fits = format.bits_stored >= 1
        && format.high_bit < stored_in
        && format.bits_stored <= format.high_bit + 1;
    if !fits {
        let reason = format!(
            "{} bits up to bit {} do not fit into {stored_in}",
            format.bits_stored, format.high_bit
        );
        return Err(CodecError::Damaged { syntax: "pixels", reason });
    }
    match (format.samples_per_pixel, format.photometric.as_str()) {
        (1, "MONOCHROME1" | "MONOCHROME2") => Ok(()),
        (3, "RGB" | "YBR_FULL" | "YBR_FULL_422" | "YBR_RCT" | "YBR_ICT" | "YBR_PARTIAL_420") => {
            Ok(())
        }
        (samples, photometric) => {
            Err(CodecError::Unsupported(format!("pixels of {samples} samples in {photometric}")))
        }
    }
}

/// RLE keeps all of one colour together.
fn planar(format: &PixelFormat) -> PixelFormat {
    PixelFormat { planar: true, ..format.clone() }
}

fn damaged(syntax: &'static str, reason: impl ToString) -> CodecError {
    CodecError::Damaged { syntax, reason: reason.to_string() }
}

/// A compressed picture's own size has to be the header's.
fn same_size(
    format: &PixelFormat,
    syntax: &'static str,
    columns: u32,
    rows: u32,
) -> Result<(), CodecError> {
    if (columns, rows) == (u32::from(format.columns), u32::from(format.rows)) {
        return Ok(());
    }
    Err(damaged(
        syntax,
        format!(
            "it is {columns} x {rows} pixels, the header says {} x {}",
            format.columns, format.rows
        ),
    ))
}

fn frame(format: &PixelFormat, pixels: Pixels) -> Frame {
    Frame { columns: format.columns.into(), rows: format.rows.into(), pixels }
}

/// Number of pixels; [`check`] has limited it.
fn pixel_count(format: &PixelFormat) -> usize {
    usize::from(format.rows) * usize::from(format.columns)
}

const _: () = assert!(PIXELS_MAX < FRAME_BYTES_MAX);

//! From pixels to a picture for a browser: brightness by a window, and PNG.

use super::{
    codec::{Frame, Pixels},
    header::{Header, PixelFormat, Window},
};
use png::{BitDepth, ColorType, Compression, Encoder, EncodingError, Filter};

/// Longest side of a thumbnail, in pixels.
pub const THUMBNAIL_SIDE_MAX: u32 = 320;

/// An 8-bit picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub columns: u32,
    pub rows: u32,
    pub is_colour: bool,
    /// One byte per pixel, or three.
    pub bytes: Vec<u8>,
}

/// The window that an instance brings, or that follows from its bits alone: all values of 8 bits,
/// which is what cameras mean.
pub fn window_of_header(header: &Header, format: &PixelFormat) -> Option<Window> {
    let needs_pixels = format.samples_per_pixel == 1 && format.bits_stored > 8;
    header.window.or_else(|| (!needs_pixels).then(|| full(header, format)))
}

/// The same, or else from the darkest to the brightest value of a frame but for a few outliers.
pub fn first_window(header: &Header, format: &PixelFormat, frame: &Frame) -> Window {
    if let Some(window) = window_of_header(header, format) {
        return window;
    }
    let range = match &frame.pixels {
        Pixels::Gray16(values) => middle(values, format),
        _ => None,
    };
    range.map_or_else(|| full(header, format), |range| over(header, range))
}

/// All values that the bits can hold.
fn full(header: &Header, format: &PixelFormat) -> Window {
    let bits = if format.samples_per_pixel == 3 { 8 } else { format.bits_stored };
    let lowest = if format.signed { -(1i64 << (bits - 1)) } else { 0 };
    over(header, (lowest, lowest + (1i64 << bits) - 1))
}

fn over(header: &Header, (low, high): (i64, i64)) -> Window {
    let (slope, intercept) = header.rescale.unwrap_or((1.0, 0.0));
    let (low, high) = (low as f64 * slope + intercept, high as f64 * slope + intercept);
    let (low, high) = (low.min(high), low.max(high));
    Window { center: f64::midpoint(low, high) + 0.5, width: (high - low + 1.0).max(1.0) }
}

/// The values between which 99 of 100 pixels lie.
fn middle(values: &[u16], format: &PixelFormat) -> Option<(i64, i64)> {
    let mut values: Vec<i64> =
        values.iter().step_by(7).map(|value| meant(*value, format)).collect();
    values.sort_unstable();
    let at =
        |share: f64| values.get((values.len().checked_sub(1)? as f64 * share) as usize).copied();
    let (low, high) = (at(0.005)?, at(0.995)?);
    (low < high).then_some((low, high))
}

/// The value of stored bits.
fn meant(stored: u16, format: &PixelFormat) -> i64 {
    let value = i64::from(stored);
    let half = 1i64 << (format.bits_stored - 1);
    if format.signed && value >= half { value - 2 * half } else { value }
}

/// A frame as it is seen through a window. Colours are shown as they are, unless a window is asked
/// for, which then makes them brighter or darker.
pub fn render(
    header: &Header,
    format: &PixelFormat,
    frame: Frame,
    window: Option<Window>,
) -> Picture {
    let Frame { columns, rows, pixels } = frame;
    let shown = |pixels: Vec<u8>, is_colour| Picture { columns, rows, is_colour, bytes: pixels };
    match pixels {
        Pixels::Gray8(values) => {
            let table = table(header, format, window.unwrap_or_else(|| full(header, format)));
            shown(values.into_iter().map(|value| table[usize::from(value)]).collect(), false)
        }
        Pixels::Gray16(values) => {
            let table = table(header, format, window.unwrap_or_else(|| full(header, format)));
            let last = table.len() - 1;
            let shade = |value: u16| table[usize::from(value).min(last)];
            shown(values.into_iter().map(shade).collect(), false)
        }
        Pixels::Rgb(mut values) => {
            if let Some(window) = window {
                let table = shades((0..256).map(f64::from), window, false);
                values.iter_mut().for_each(|value| *value = table[usize::from(*value)]);
            }
            shown(values, true)
        }
    }
}

/// The shade of every stored value.
fn table(header: &Header, format: &PixelFormat, window: Window) -> Vec<u8> {
    // Eight-bit samples index without a check.
    let count = (1usize << format.bits_stored).max(256);
    let (slope, intercept) = header.rescale.unwrap_or((1.0, 0.0));
    let values = (0..count).map(|stored| meant(stored as u16, format) as f64 * slope + intercept);
    shades(values, window, format.photometric == "MONOCHROME1")
}

/// The linear function of PS3.3, C.11.2.1.2.1.
fn shades(values: impl Iterator<Item = f64>, window: Window, is_inverted: bool) -> Vec<u8> {
    let (center, width) = (window.center - 0.5, (window.width - 1.0).max(f64::MIN_POSITIVE));
    values
        .map(|value| {
            let shade = ((value - center) / width + 0.5).clamp(0.0, 1.0) * 255.0;
            let shade = shade.round() as u8;
            if is_inverted { 255 - shade } else { shade }
        })
        .collect()
}

impl Picture {
    /// As PNG. Speed matters more than size: frames are scrolled through.
    pub fn png(&self) -> Result<Vec<u8>, EncodingError> {
        let mut bytes = Vec::with_capacity(self.bytes.len() / 2 + 1024);
        let mut encoder = Encoder::new(&mut bytes, self.columns, self.rows);
        encoder.set_color(if self.is_colour { ColorType::Rgb } else { ColorType::Grayscale });
        encoder.set_depth(BitDepth::Eight);
        encoder.set_compression(Compression::Fast);
        encoder.set_filter(Filter::Up);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.bytes)?;
        writer.finish()?;
        Ok(bytes)
    }

    /// A smaller picture with square pixels. `aspect` is a pixel's width divided by its height.
    pub fn thumbnail(&self, aspect: f64) -> Picture {
        let (wide, high) =
            (f64::from(self.columns) * aspect.clamp(0.02, 50.0), f64::from(self.rows));
        let scale = (f64::from(THUMBNAIL_SIDE_MAX) / wide.max(high)).min(1.0);
        let side = |length: f64| ((length * scale).round() as u32).clamp(1, THUMBNAIL_SIDE_MAX);
        self.resized(side(wide), side(high))
    }

    /// The mean of the pixels that fall together; the nearest where it grows.
    fn resized(&self, columns: u32, rows: u32) -> Picture {
        let depth = if self.is_colour { 3 } else { 1 };
        let range = |at: u32, of: u32, from: u32| {
            let start = u64::from(at) * u64::from(from) / u64::from(of);
            let end = u64::from(at + 1) * u64::from(from) / u64::from(of);
            start as usize..end.max(start + 1) as usize
        };
        let mut bytes = Vec::with_capacity(columns as usize * rows as usize * depth);
        for row in 0..rows {
            let from_rows = range(row, rows, self.rows);
            for column in 0..columns {
                let from_columns = range(column, columns, self.columns);
                for sample in 0..depth {
                    let mut sum = 0u64;
                    for y in from_rows.clone() {
                        for x in from_columns.clone() {
                            let at = (y * self.columns as usize + x) * depth + sample;
                            sum += u64::from(self.bytes[at]);
                        }
                    }
                    bytes.push((sum / (from_rows.len() * from_columns.len()) as u64) as u8);
                }
            }
        }
        Picture { columns, rows, is_colour: self.is_colour, bytes }
    }
}

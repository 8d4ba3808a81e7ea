//! JPEG-LS (ITU-T T.87), lossless and near-lossless, up to 16 bits: grey, or colours that stand in
//! scans or lines of their own.

mod bits;
mod scan;

use super::{CodecError, Frame, Pixels, damaged, frame, pixel_count, same_size};
use crate::imaging::header::PixelFormat;
use scan::{Coding, Scan};

const SYNTAX: &str = "JPEG-LS";

const SOF55: u8 = 0xF7;
const LSE: u8 = 0xF8;
const SOS: u8 = 0xDA;
const EOI: u8 = 0xD9;

pub fn decode(format: &PixelFormat, bytes: &[u8]) -> Result<Frame, CodecError> {
    let mut file = File { bytes, at: 2, precision: 0, components: 0, preset: None };
    if !bytes.starts_with(&[0xFF, 0xD8]) {
        return Err(damaged(SYNTAX, "it does not begin as JPEG does"));
    }
    let mut planes = Vec::new();
    while planes.len() < usize::from(format.samples_per_pixel) {
        let (marker, segment) = file.segment()?;
        match marker {
            SOF55 => file.head(format, segment)?,
            LSE => file.presets(segment)?,
            SOS => file.scan(format, segment, &mut planes)?,
            EOI => return Err(damaged(SYNTAX, "it ends before its last colour")),
            _ => {}
        }
    }
    let count = pixel_count(format);
    Ok(frame(
        format,
        match &mut planes[..] {
            [gray] if format.bits_stored <= 8 => {
                Pixels::Gray8(gray.iter().map(|value| *value as u8).collect())
            }
            [gray] => Pixels::Gray16(std::mem::take(gray)),
            [red, green, blue] => {
                let shift = file.precision.saturating_sub(8);
                let pixel = |at| [&red, &green, &blue].map(|plane| (plane[at] >> shift) as u8);
                Pixels::Rgb((0..count).flat_map(pixel).collect())
            }
            _ => return Err(damaged(SYNTAX, "its colours are not what the header says")),
        },
    ))
}

struct File<'a> {
    bytes: &'a [u8],
    at: usize,
    precision: u32,
    components: usize,
    /// MAXVAL, three thresholds and RESET, as far as they are given.
    preset: Option<[i32; 5]>,
}

impl<'a> File<'a> {
    /// The next marker with its parameters.
    fn segment(&mut self) -> Result<(u8, &'a [u8]), CodecError> {
        let cut = || damaged(SYNTAX, "it is cut off");
        // Fill bytes and what is left of a scan may stand before a marker.
        while *self.bytes.get(self.at).ok_or_else(cut)? != 0xFF
            || *self.bytes.get(self.at + 1).ok_or_else(cut)? < 0x80
            || self.bytes[self.at + 1] == 0xFF
        {
            self.at += 1;
        }
        let marker = self.bytes[self.at + 1];
        self.at += 2;
        if marker == EOI {
            return Ok((marker, &[]));
        }
        let len = usize::from(word(self.bytes, self.at).ok_or_else(cut)?);
        let segment = self.bytes.get(self.at + 2..self.at + len).ok_or_else(cut)?;
        self.at += len;
        Ok((marker, segment))
    }

    fn head(&mut self, format: &PixelFormat, segment: &[u8]) -> Result<(), CodecError> {
        let cut = || damaged(SYNTAX, "its head is cut off");
        self.precision = (*segment.first().ok_or_else(cut)?).into();
        let (rows, columns) =
            (word(segment, 1).ok_or_else(cut)?, word(segment, 3).ok_or_else(cut)?);
        self.components = (*segment.get(5).ok_or_else(cut)?).into();
        same_size(format, SYNTAX, columns.into(), rows.into())?;
        if !(2..=16).contains(&self.precision)
            || self.components != usize::from(format.samples_per_pixel)
            || self.precision > u32::from(format.bits_allocated)
        {
            return Err(damaged(SYNTAX, "its samples are not what the header says"));
        }
        Ok(())
    }

    fn presets(&mut self, segment: &[u8]) -> Result<(), CodecError> {
        if segment.first() != Some(&1) {
            return Err(CodecError::Unsupported("JPEG-LS with tables".into()));
        }
        let number = |place: usize| word(segment, 1 + 2 * place).map(i32::from);
        let numbers: Option<Vec<i32>> = (0..5).map(number).collect();
        let numbers = numbers.ok_or_else(|| damaged(SYNTAX, "its presets are cut off"))?;
        self.preset = numbers.try_into().ok();
        Ok(())
    }

    fn scan(
        &mut self,
        format: &PixelFormat,
        segment: &[u8],
        planes: &mut Vec<Vec<u16>>,
    ) -> Result<(), CodecError> {
        let cut = || damaged(SYNTAX, "the head of a scan is cut off");
        let count = usize::from(*segment.first().ok_or_else(cut)?);
        let end = 1 + 2 * count;
        let near = *segment.get(end).ok_or_else(cut)?;
        let interleave = *segment.get(end + 1).ok_or_else(cut)?;
        match (interleave, count) {
            (0, 1) => {}
            (1, 1..) if count == self.components => {}
            _ => return Err(CodecError::Unsupported("JPEG-LS with mixed samples".into())),
        }
        if self.precision == 0 || planes.len() + count > self.components {
            return Err(damaged(SYNTAX, "its scans do not fit its head"));
        }
        let coding = Coding::new(self.precision, near.into(), self.preset)
            .ok_or_else(|| damaged(SYNTAX, "its presets cannot be"))?;
        let size = (usize::from(format.columns), usize::from(format.rows));
        let mut scan = Scan::new(coding, &self.bytes[self.at..]);
        let decoded =
            scan.decode(size, count).ok_or_else(|| damaged(SYNTAX, "its data is cut off"))?;
        self.at += scan.used_bytes();
        planes.extend(decoded);
        Ok(())
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

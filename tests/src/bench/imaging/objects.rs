//! What is sent: one large volume, many small measurements. Written for their size; a page that
//! shows images is measured with others.

use crate::imager::dicom::{EXPLICIT, Set};
use anyhow::Result;
use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
};

const OPT: &str = "1.2.840.10008.5.1.4.1.1.77.1.5.4";
const AR: &str = "1.2.840.10008.5.1.4.1.1.78.2";

#[derive(Debug, Clone, Copy)]
pub struct Volume {
    pub frames: u32,
    pub rows: u16,
    pub columns: u16,
}

fn head(class: &str, number: usize) -> Set {
    Set::default()
        .text(0x0008_0016, "UI", class)
        .text(0x0008_0018, "UI", &format!("2.25.77.{number}"))
        .text(0x0008_0060, "CS", if class == OPT { "OPT" } else { "AR" })
        .text(0x0010_0010, "PN", "Bench^Person")
        .text(0x0010_0020, "LO", "B-1")
        .text(0x0020_000D, "UI", "2.25.77")
        .text(0x0020_000E, "UI", &format!("2.25.77.{number}.1"))
}

impl Volume {
    /// Noise in 8 bits: nothing on the way can compress it.
    pub fn write(self, path: &Path) -> Result<()> {
        let set = head(OPT, 0)
            .text(0x0028_0004, "CS", "MONOCHROME2")
            .text(0x0028_0008, "IS", &self.frames.to_string())
            .us(0x0028_0002, &[1])
            .us(0x0028_0010, &[self.rows])
            .us(0x0028_0011, &[self.columns])
            .us(0x0028_0100, &[8])
            .us(0x0028_0101, &[8])
            .us(0x0028_0102, &[7])
            .us(0x0028_0103, &[0]);
        let frame_len = usize::from(self.rows) * usize::from(self.columns);
        let len = u32::try_from(frame_len)? * self.frames;
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(&set.file(EXPLICIT))?;
        file.write_all(&[0xE0, 0x7F, 0x10, 0x00, b'O', b'B', 0, 0])?;
        file.write_all(&len.to_le_bytes())?;
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut frame = vec![0; frame_len];
        for _ in 0..self.frames {
            for byte in &mut frame {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                *byte = state as u8;
            }
            file.write_all(&frame)?;
        }
        Ok(file.into_inner()?.sync_all()?)
    }
}

/// Autorefractions as instruments send them.
pub fn write_small(folder: &Path, count: usize) -> Result<()> {
    fs::create_dir_all(folder)?;
    for number in 1..=count {
        let cylinder =
            Set::default().fd(0x0046_0147, &[-0.75]).fl(0x0022_0009, &[(number % 180) as f32]);
        let eye = Set::default().fd(0x0046_0146, &[-2.25]).items(0x0046_0018, vec![cylinder]);
        let set = head(AR, number)
            .text(0x0008_0023, "DA", "20261130")
            .text(0x0008_0033, "TM", "101500")
            .text(0x0008_0070, "LO", "Maker")
            .text(0x0008_1090, "LO", "Model")
            .text(0x0018_1000, "LO", "4711")
            .items(0x0046_0050, vec![eye.clone()])
            .items(0x0046_0052, vec![eye])
            .text(0x0010_4000, "LT", &"x".repeat(500));
        fs::write(folder.join(format!("{number}.dcm")), set.file(EXPLICIT))?;
    }
    Ok(())
}

//! Frames that encoders of others compressed, decoded by ours.

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use chiasm_cloud::imaging::{
    codec::{self, Pixels},
    header::PixelFormat,
};
use serde::Deserialize;
use std::{path::PathBuf, process::Command};

/// One line of `tests/imagecodecs/encode.py`.
#[derive(Deserialize)]
struct Case {
    name: String,
    transfer_syntax_uid: String,
    rows: u16,
    columns: u16,
    samples: u16,
    bits_allocated: u16,
    bits_stored: u16,
    signed: bool,
    frame: String,
    /// Two bytes per sample.
    pixels: String,
    off_max: f64,
}

/// The pinned encoders that `tests/imagecodecs/install.sh` installs.
fn cases() -> Result<Vec<Case>> {
    let mut folder: PathBuf = std::env::current_exe()?;
    while folder.pop() {
        let python = folder.join("imagecodecs/bin/python");
        if python.is_file() {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/imagecodecs/encode.py");
            let output = Command::new(python).arg(script).output()?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8(output.stdout)?;
            return text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect();
        }
    }
    bail!("encoders are not installed: run tests/imagecodecs/install.sh (make test does)")
}

impl Case {
    fn format(&self) -> PixelFormat {
        PixelFormat {
            rows: self.rows,
            columns: self.columns,
            samples_per_pixel: self.samples,
            photometric: if self.samples == 3 { "RGB" } else { "MONOCHROME2" }.into(),
            bits_allocated: self.bits_allocated,
            bits_stored: self.bits_stored,
            high_bit: self.bits_stored - 1,
            signed: self.signed,
            ..PixelFormat::default()
        }
    }

    /// The largest difference of a sample.
    fn off(&self) -> Result<f64> {
        let frame = STANDARD.decode(&self.frame)?;
        let decoded = codec::decode(&self.format(), &self.transfer_syntax_uid, &frame)?;
        let samples: Vec<u16> = match decoded.pixels {
            Pixels::Gray8(values) | Pixels::Rgb(values) => {
                values.into_iter().map(u16::from).collect()
            }
            Pixels::Gray16(values) => values,
        };
        let expected = STANDARD.decode(&self.pixels)?;
        let expected = expected.as_chunks::<2>().0.iter().map(|two| u16::from_le_bytes(*two));
        ensure!(samples.len() == expected.len(), "{} samples", samples.len());
        let off = samples.into_iter().zip(expected);
        Ok(off.map(|(is, was)| f64::from(is.abs_diff(was))).fold(0.0, f64::max))
    }

    /// What is cut off or changed is refused or looks different; it never panics.
    fn survives_damage(&self) -> Result<()> {
        let frame = STANDARD.decode(&self.frame)?;
        for part in 1..40 {
            let at = frame.len() * part / 40;
            let _ = codec::decode(&self.format(), &self.transfer_syntax_uid, &frame[..at]);
            let mut flipped = frame.clone();
            flipped[at] ^= 0x55;
            let _ = codec::decode(&self.format(), &self.transfer_syntax_uid, &flipped);
        }
        Ok(())
    }
}

#[test]
fn what_others_compress_is_decoded() -> Result<()> {
    let cases = cases()?;
    ensure!(cases.len() >= 20, "only {} cases", cases.len());
    let mut bad = Vec::new();
    for case in &cases {
        match case.off() {
            Ok(off) if off <= case.off_max => {}
            Ok(off) => bad.push(format!("{}: off by {off}, at most {}", case.name, case.off_max)),
            Err(error) => bad.push(format!("{}: {error:#}", case.name)),
        }
        case.survives_damage().with_context(|| case.name.clone())?;
    }
    ensure!(bad.is_empty(), "{}", bad.join("\n"));
    Ok(())
}

//! How fast a gateway takes images, beside other receivers on the same machine in the same run.
//! The sender is dcmtk's `storescu` as it comes: an imager cannot be changed.

mod objects;
mod receivers;

use super::report::{Aim, Figure};
use crate::{process, stats::Summary};
use anyhow::{Result, ensure};
use receivers::{Kind, Receiver};
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// As an SD-OCT volume with angiography has it: 512 frames of 1024 × 1024.
const LARGE: objects::Volume = objects::Volume { frames: 512, rows: 1024, columns: 1024 };
const LARGE_QUICK: objects::Volume = objects::Volume { frames: 8, rows: 512, columns: 512 };
/// Autorefractions of some 1 KB, in one association.
const SMALL: usize = 500;
const SMALL_QUICK: usize = 20;
const RUNS: usize = 3;

/// Of `storescp +B`, although we hash, sync and index.
const RATIO_MIN: f64 = 0.7;
const MEMORY_MAX_MIB: f64 = 48.0;
const SMALL_PER_S_MIN: f64 = 800.0;

/// Measures every receiver that is installed.
pub async fn measure(is_quick: bool, folder: &Path) -> Result<Vec<Figure>> {
    // By its path: pynetdicom puts a program of the same name on PATH.
    let sender = PathBuf::from("/usr/bin/storescu");
    ensure!(sender.exists(), "{} is not installed: apt-get install dcmtk", sender.display());
    let folder = tempfile::Builder::new().prefix("chiasm-imaging-").tempdir_in(folder)?;
    let bench = Bench { sender, folder: folder.path().into() };
    let volume = if is_quick { LARGE_QUICK } else { LARGE };
    let count = if is_quick { SMALL_QUICK } else { SMALL };
    let large = bench.folder.join("large.dcm");
    volume.write(&large)?;
    let small = bench.folder.join("small");
    objects::write_small(&small, count)?;
    let mut figures = bench.large(&large).await?;
    figures.extend(bench.small(&small, count).await?);
    Ok(figures)
}

struct Bench {
    sender: PathBuf,
    folder: PathBuf,
}

/// What one receiver did.
struct Run {
    took: Duration,
    /// Above what it held before.
    memory_bytes: u64,
}

impl Bench {
    async fn large(&self, file: &Path) -> Result<Vec<Figure>> {
        let bytes = std::fs::metadata(file)?.len();
        let mut figures = Vec::new();
        let mut floor_mb_per_s = None;
        for kind in Kind::ALL {
            let Some(runs) = self.runs(kind, file, 1).await? else {
                figures.push(missing(kind));
                continue;
            };
            let mb_per_s = bytes as f64 / 1e6 / median(&runs).as_secs_f64();
            let memory = runs.iter().map(|run| run.memory_bytes).max().unwrap_or(0);
            let memory = memory as f64 / (1024.0 * 1024.0);
            if kind == Kind::Dcmtk {
                floor_mb_per_s = Some(mb_per_s);
            }
            let what = format!("one object of {:.0} MB, {}", bytes as f64 / 1e6, kind.title());
            let speed = Figure::plain(what.clone(), format!("{mb_per_s:.0} MB/s"));
            let held = Figure::plain(format!("{what}, memory"), format!("{memory:.0} MiB"));
            figures.push(match (kind, floor_mb_per_s) {
                (Kind::Chiasm, Some(floor)) => speed
                    .beside(format!("{floor:.0} MB/s"))
                    .judged(mb_per_s / floor, Aim::AtLeast(RATIO_MIN)),
                _ => speed,
            });
            figures.push(match kind {
                Kind::Chiasm => held.judged(memory, Aim::AtMost(MEMORY_MAX_MIB)),
                _ => held,
            });
        }
        Ok(figures)
    }

    async fn small(&self, folder: &Path, count: usize) -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        for kind in Kind::ALL {
            let Some(runs) = self.runs(kind, folder, count).await? else { continue };
            let per_s = count as f64 / median(&runs).as_secs_f64();
            let what = format!("{count} small objects, one association, {}", kind.title());
            let figure = Figure::plain(what, format!("{per_s:.0} /s"));
            figures.push(match kind {
                Kind::Chiasm => figure.judged(per_s, Aim::AtLeast(SMALL_PER_S_MIN)),
                _ => figure,
            });
        }
        Ok(figures)
    }

    /// Each run with a fresh receiver in a fresh folder. None if it is not installed.
    async fn runs(&self, kind: Kind, what: &Path, count: usize) -> Result<Option<Vec<Run>>> {
        let mut runs = Vec::new();
        for number in 0..RUNS {
            eprintln!("imaging: {}, {count} object(s), run {}", kind.title(), number + 1);
            let folder = tempfile::tempdir_in(&self.folder)?;
            let Some(receiver) = Receiver::start(kind, folder.path()).await? else {
                return Ok(None);
            };
            runs.push(self.send(&receiver, what).await?);
            let held = receiver.received()?;
            ensure!(held == count, "{} holds {held} of {count} objects", kind.title());
        }
        Ok(Some(runs))
    }

    async fn send(&self, receiver: &Receiver, what: &Path) -> Result<Run> {
        let before = receiver.memory_bytes()?;
        let mut command = Command::new(&self.sender);
        command.args(["-aet", "OCT", "-aec", "CHIASM", "+sd", "+r", "-R", "-xe", "127.0.0.1"]);
        command.arg(receiver.port.to_string()).arg(what);
        let began = Instant::now();
        tokio::task::spawn_blocking(move || process::output(command)).await??;
        let took = began.elapsed();
        let memory_bytes = receiver.memory_peak_bytes()?.saturating_sub(before);
        Ok(Run { took, memory_bytes })
    }
}

fn median(runs: &[Run]) -> Duration {
    let took: Vec<Duration> = runs.iter().map(|run| run.took).collect();
    Summary::of(&took).map_or(Duration::MAX, |summary| summary.p50)
}

fn missing(kind: Kind) -> Figure {
    Figure::plain(kind.title(), format!("not installed: {}", kind.install()))
}

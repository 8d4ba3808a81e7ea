//! What the figures were measured on. A figure without its machine says nothing.

use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Processor, memory, kernel, source revision and build of this run, one fact per line.
pub fn describe(folder: &Path) -> Result<Vec<(&'static str, String)>> {
    let cpus = std::thread::available_parallelism()?;
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into());
    let memory_kib = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    let memory_kib: u64 = memory_kib.trim_end_matches(" kB").parse().unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown").to_owned();
    Ok(vec![
        ("processor", format!("{cpus} × {processor}")),
        ("memory", format!("{} MiB", memory_kib / 1024)),
        ("kernel", format!("Linux {}", kernel.trim())),
        ("disk", format!("{} below {}", file_system(folder)?, folder.display())),
        ("load before", load),
        ("commit", commit()),
        ("build", if cfg!(debug_assertions) { "debug" } else { "release" }.into()),
    ])
}

/// A folder on a disk. Memory in the place of a disk would make every durable write free.
pub fn check_is_on_disk(folder: &Path) -> Result<()> {
    let kind = file_system(folder)?;
    if kind.starts_with("tmpfs") || kind.starts_with("ramfs") {
        bail!("{} is on {kind}: name a folder on a disk with --folder", folder.display());
    }
    Ok(())
}

/// Type and device of the file system that a folder is on.
fn file_system(folder: &Path) -> Result<String> {
    let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let best = mounts
        .lines()
        .filter_map(|line| {
            let [device, point, kind, ..] = line.split(' ').collect::<Vec<_>>()[..] else {
                return None;
            };
            let point = PathBuf::from(point);
            folder.starts_with(&point).then_some((point, device, kind))
        })
        .max_by_key(|(point, ..)| point.components().count());
    let (_, device, kind) = best.context("no file system is mounted there")?;
    Ok(format!("{kind} on {device}"))
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The revision of the sources, with a mark if they were changed since.
fn commit() -> String {
    let git = |args: &[&str]| {
        let folder = env!("CARGO_MANIFEST_DIR");
        let output = Command::new("git").arg("-C").arg(folder).args(args).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let Some(hash) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".into() };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => hash,
        _ => format!("{hash}, with changes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_where_a_folder_is() {
        let kind = file_system(Path::new("/proc")).unwrap();
        assert!(kind.starts_with("proc on "), "{kind}");
        check_is_on_disk(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    }
}

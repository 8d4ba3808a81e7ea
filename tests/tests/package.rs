//! The Debian package on a machine that systemd booted: installed, upgraded, removed, and the unit's
//! sandbox around a gateway that reads an instrument and reaches its cloud (stories I1, I8).
//!
//! The machine is a container over the files of this one (overlayfs in memory, so nothing of it
//! stays). That needs root, as continuous integration has it.

use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// Longest life of the machine, in seconds.
const MACHINE_MAX_S: &str = "240";

/// Where the programs of this build lie, and the root of the repository.
fn places() -> Result<(PathBuf, PathBuf)> {
    let programs = std::env::current_exe()?.parent().and_then(Path::parent).map(Path::to_owned);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned);
    Ok((programs.context("no folder of programs")?, root.context("no root")?))
}

fn done(what: &str, command: &mut Command) -> Result<Output> {
    let output = command.output().with_context(|| format!("cannot start {what}"))?;
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{what}: {}\n{out}\n{err}", output.status);
    Ok(output)
}

fn build(folder: &Path, version: &str, name: &str) -> Result<PathBuf> {
    let (programs, root) = places()?;
    let out = folder.join(version);
    let output = done(
        "build-package.sh",
        Command::new(root.join("deploy/gateway/build-package.sh"))
            .arg(programs.join("chiasm-gateway"))
            .arg(&out)
            .arg(version),
    )?;
    let made = String::from_utf8(output.stdout)?;
    let package = folder.join(name);
    fs::rename(made.trim(), &package)?;
    Ok(package)
}

#[test]
fn the_package_keeps_what_debian_asks() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let package = build(folder.path(), "1.0.0", "one.deb")?;
    // There is no address yet that packages come from.
    done(
        "lintian",
        Command::new("lintian")
            .args(["--allow-root", "--fail-on", "error,warning", "--suppress-tags"])
            .args(["bogus-mail-host,bogus-mail-host-in-debian-changelog"])
            .arg(package),
    )?;
    Ok(())
}

#[test]
fn i1_i8_the_package_is_installed_upgraded_and_removed_with_its_readings() -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "run this test as root: it boots a container");
    let folder = tempfile::tempdir()?;
    let shared = folder.path().join("package");
    fs::create_dir(&shared)?;
    build(&shared, "1.0.0", "old.deb")?;
    build(&shared, "1.1.0", "new.deb")?;
    let (programs, root) = places()?;
    fs::copy(programs.join("chiasm-cloud"), shared.join("chiasm-cloud"))?;
    fs::copy(root.join("device-drivers/fixtures/nidek_ark/01_full.raw"), shared.join("print.raw"))?;
    fs::copy(root.join("tests/package/inside.sh"), shared.join("inside.sh"))?;
    let output = Command::new("unshare")
        .args(["--mount", "sh"])
        .arg(root.join("tests/package/machine.sh"))
        .args([&shared, &folder.path().join("machine")])
        .arg(MACHINE_MAX_S)
        .stdin(Stdio::null())
        .output()?;
    let said = fs::read_to_string(shared.join("said")).unwrap_or_default();
    println!("{said}");
    ensure!(
        said.ends_with("all steps are done\n"),
        "the machine stopped early:\n{said}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

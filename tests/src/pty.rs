//! A real pseudo-terminal in the place of a serial line.
//!
//! The harness keeps the gateway's side open as well: the kernel throws away what it holds when the
//! last reader of a terminal goes, which a serial adapter does not do when a process dies.

use anyhow::{Context, Result};
use rustix::{
    fs::{Mode, OFlags},
    pty::OpenptFlags,
    termios::OptionalActions,
};
use std::{
    ffi::OsStr,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::symlink},
    },
    path::{Path, PathBuf},
};
use tokio::io::unix::AsyncFd;

/// The instrument's side of a line. Dropped, the cable is out: readers get an error.
pub struct Pty {
    instrument: AsyncFd<OwnedFd>,
    gateway_side: OwnedFd,
    path: PathBuf,
}

impl Pty {
    /// Makes a line that can be found at `path`, which then plays the stable name of an adapter.
    pub fn plug_in(path: &Path) -> Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).context("no pseudo-terminal to be had")?;
        rustix::fs::fcntl_setfl(&master, OFlags::NONBLOCK)?;
        rustix::pty::grantpt(&master)?;
        rustix::pty::unlockpt(&master)?;
        let name = rustix::pty::ptsname(&master, Vec::new())?;
        let name = Path::new(OsStr::from_bytes(name.as_bytes()));
        let slave =
            rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        let mut attributes = rustix::termios::tcgetattr(&slave)?;
        attributes.make_raw();
        rustix::termios::tcsetattr(&slave, OptionalActions::Now, &attributes)?;
        if std::fs::symlink_metadata(path).is_ok() {
            std::fs::remove_file(path)?;
        }
        symlink(name, path).with_context(|| format!("cannot link {}", path.display()))?;
        // SAFETY: an OwnedFd always names the same open descriptor until it is dropped.
        let instrument = unsafe { AsyncFd::register(master)? };
        Ok(Self { instrument, gateway_side: slave, path: path.into() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets the line be opened again. A program that opens a line exclusively leaves the mark
    /// behind when it is killed, because the harness holds the terminal open; on an adapter it
    /// would go.
    pub fn release(&self) -> Result<()> {
        Ok(rustix::termios::ioctl_tiocnxcl(&self.gateway_side)?)
    }

    /// Writes everything; waits while the line is full.
    pub async fn write_all(&self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let written = self
                .instrument
                .async_io(tokio::io::Interest::WRITABLE, |fd| {
                    rustix::io::write(fd.as_fd(), bytes).map_err(io::Error::from)
                })
                .await?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Reads what the gateway sent.
    pub async fn read(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; 4096];
        let count = self
            .instrument
            .async_io(tokio::io::Interest::READABLE, |fd| {
                rustix::io::read(fd.as_fd(), &mut bytes[..]).map_err(io::Error::from)
            })
            .await?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Pulls the cable: the terminal goes, its name goes.
    pub fn pull_out(self) -> Result<()> {
        std::fs::remove_file(&self.path)?;
        Ok(())
    }
}

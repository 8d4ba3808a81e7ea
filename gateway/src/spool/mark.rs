//! A small file beside the database with the epoch and the last number. A database that is behind
//! it was restored from a backup, and must not give out the same numbers for other documents.

use chiasm_proto::{Epoch, Seq};
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

/// The mark, open for writing.
pub struct Mark {
    file: File,
}

impl Mark {
    /// Opens the mark and reads what it says. What cannot be read says nothing.
    pub fn open(path: &Path) -> io::Result<(Self, Option<(Epoch, Seq)>)> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut line = [0; 64];
        let len = file.read_at(&mut line, 0)?;
        let said = str::from_utf8(&line[..len]).ok().and_then(|line| {
            let (epoch, seq) = line.lines().next()?.split_once(' ')?;
            Some((epoch.parse().ok()?, seq.parse().ok()?))
        });
        Ok((Self { file }, said))
    }

    /// Notes a committed number. Of fixed width, so that one write replaces the line. Not synced:
    /// a mark that is behind the database does no harm.
    pub fn set(&self, epoch: Epoch, last_seq: Seq) -> io::Result<()> {
        self.file.write_all_at(format!("{epoch} {last_seq:020}\n").as_bytes(), 0)
    }
}

//! A tar archive of a few small files (POSIX ustar), written front to back.

use jiff::Timestamp;
use std::io::{self, Write};

const BLOCK_LEN: usize = 512;
/// Longest name of a file in it.
const NAME_LEN_MAX: usize = 100;

pub(super) struct Archive<W> {
    out: W,
    made_at: Timestamp,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(out: W, made_at: Timestamp) -> Self {
        Self { out, made_at }
    }

    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(&head(name, bytes.len(), self.made_at)?)?;
        self.out.write_all(bytes)?;
        let rest = bytes.len().next_multiple_of(BLOCK_LEN) - bytes.len();
        self.out.write_all(&[0; BLOCK_LEN][..rest])
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK_LEN])?;
        Ok(self.out)
    }
}

fn head(name: &str, len: usize, made_at: Timestamp) -> io::Result<[u8; BLOCK_LEN]> {
    if name.len() > NAME_LEN_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the name of a file is too long"));
    }
    let mut head = [0; BLOCK_LEN];
    let mut put = |at: usize, text: &[u8]| head[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000600\0"); // mode
    put(108, b"0000000\0"); // user
    put(116, b"0000000\0"); // group
    put(124, format!("{len:011o}\0").as_bytes());
    put(136, format!("{:011o}\0", made_at.as_second().max(0)).as_bytes());
    put(148, b"        "); // where the checksum will stand
    put(156, b"0"); // a file
    put(257, b"ustar\x0000");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(head)
}
